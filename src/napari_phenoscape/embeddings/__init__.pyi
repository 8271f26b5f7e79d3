from ._clustering import (
    NOISE as NOISE,
    Clusters as Clusters,
    cluster as cluster,
    labels_of as labels_of,
    legend as legend,
    noise_last as noise_last,
    read_clusters as read_clusters,
    write_clusters as write_clusters,
)
from ._embedding import (
    METADATA as METADATA,
    Embeddings as Embeddings,
    Projections as Projections,
    Restored as Restored,
    batches as batches,
    check_specimens as check_specimens,
    embed as embed,
    embedded_specimens as embedded_specimens,
    embeddings_path as embeddings_path,
    project as project,
    read_embeddings as read_embeddings,
    restore as restore,
    whole_views as whole_views,
    write_embeddings as write_embeddings,
)
from ._export import export as export, load_encoder as load_encoder
from ._reduction import reduce as reduce, unit_length as unit_length
from ._thumbnails import (
    ContactSheet as ContactSheet,
    contact_sheet as contact_sheet,
    false_colour as false_colour,
    thumbnails as thumbnails,
)
