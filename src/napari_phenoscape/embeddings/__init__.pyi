from ._clustering import (
    NOISE as NOISE,
    NOISE_COLOUR as NOISE_COLOUR,
    Clusters as Clusters,
    cluster as cluster,
    labels_of as labels_of,
    legend as legend,
    noise_last as noise_last,
)
from ._clusters_file import (
    read_clusters as read_clusters,
    write_clusters as write_clusters,
)
from ._embed_all import (
    EmbeddedRun as EmbeddedRun,
    NetOutput as NetOutput,
    Projections as Projections,
    embed_all as embed_all,
)
from ._embedding import (
    check_specimens as check_specimens,
    embed as embed,
    embedded_specimens as embedded_specimens,
    some_specimens as some_specimens,
)
from ._export import (
    ENCODER as ENCODER,
    export as export,
    load_encoder as load_encoder,
)
from ._parts import held as held
from ._reduction import reduce as reduce, unit_length as unit_length
from ._restore import (
    Restored as Restored,
    restore as restore,
)
from ._sheet import (
    ContactSheet as ContactSheet,
    SheetLevel as SheetLevel,
    contact_sheet as contact_sheet,
)
from ._table import (
    METADATA as METADATA,
    Embeddings as Embeddings,
    clusters_path as clusters_path,
    embedded_collection as embedded_collection,
    embeddings_path as embeddings_path,
    labelled_today as labelled_today,
    read_embeddings as read_embeddings,
    read_spaces as read_spaces,
    table_of as table_of,
    write_embeddings as write_embeddings,
)
from ._table_export import (
    TABLES as TABLES,
    check_table as check_table,
    export_table as export_table,
)
from ._thumbnails import (
    band_mean as band_mean,
    false_colour as false_colour,
    pictured as pictured,
    pictures as pictures,
    thumbnails as thumbnails,
)
from ._working import (
    History as History,
    excluded as excluded,
    keep_clusters as keep_clusters,
    kept_path as kept_path,
    merged as merged,
    read_results as read_results,
    regrouped as regrouped,
    split as split,
)
