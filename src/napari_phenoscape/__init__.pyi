from .analysis import classify as classify, evaluate as evaluate, explain as explain
from .cubes import (
    Band as Band,
    Cube as Cube,
    Modality as Modality,
    open_cube as open_cube,
    write_cube as write_cube,
)
from .embeddings import (
    cluster as cluster,
    embed as embed,
    export as export,
    load_encoder as load_encoder,
    reduce as reduce,
)
from .events import (
    Failed as Failed,
    Finished as Finished,
    Health as Health,
    Notice as Notice,
    Progress as Progress,
    Saved as Saved,
    Started as Started,
    Step as Step,
    result as result,
)
from .samples import write_samples as write_samples
from .specimens import (
    Collection as Collection,
    Crops as Crops,
    Drawer as Drawer,
    Folder as Folder,
    collect as collect,
    prepare as prepare,
)
from .training import (
    HDBSCAN as HDBSCAN,
    PCA as PCA,
    TSNE as TSNE,
    UMAP as UMAP,
    Experiment as Experiment,
    Grouping as Grouping,
    KMeans as KMeans,
    launch as launch,
    train as train,
)

__version__: str
