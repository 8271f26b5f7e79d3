from ._before import (
    Check as Check,
    checks as checks,
    mended as mended,
    modalities_seen as modalities_seen,
)
from ._build import augmenter as augmenter, build_model as build_model
from ._checkpoint import (
    last_checkpoint as last_checkpoint,
    load_weights as load_weights,
    read_state as read_state,
)
from ._described import described as described, versions as versions
from ._dry_step import dry_step as dry_step, undisturbed as undisturbed
from ._examples import Example as Example
from ._experiment import (
    Experiment as Experiment,
    Grouping as Grouping,
    Runtime as Runtime,
    Schedule as Schedule,
)
from ._fit import features_of as features_of
from ._inputs import present as present
from ._instant import InstantNet as InstantNet, MaskedBandEncoder as MaskedBandEncoder
from ._kept_readout import kept_embeddings as kept_embeddings
from ._levels import (
    if_mixed as if_mixed,
    level_means as level_means,
    mixing_words as mixing_words,
    same_level as same_level,
    without_means as without_means,
)
from ._looks import BATCH as BATCH, Looks as Looks, batches as batches, pictures as pictures
from ._loop import train as train
from ._method import InstantMethod as InstantMethod, SimCLRMethod as SimCLRMethod
from ._model import Representations as Representations, SimCLR as SimCLR
from ._presets import (
    EXPERIMENT_PRESETS as EXPERIMENT_PRESETS,
    ExperimentPreset as ExperimentPreset,
    ExperimentPresetName as ExperimentPresetName,
)
from ._preview import (
    SHEET as SHEET,
    preview as preview,
    views_of as views_of,
    with_only as with_only,
)
from ._proposal import (
    SETTLED as SETTLED,
    experiment_for as experiment_for,
    experiments_for as experiments_for,
)
from ._read_net import BandEncoder as BandEncoder, ReadNet as ReadNet, Readouts as Readouts
from ._readouts import (
    instant_beside as instant_beside,
    instant_embeddings as instant_embeddings,
    instant_net as instant_net,
    keeps_readout as keeps_readout,
    read_net as read_net,
    read_out as read_out,
)
from ._run import (
    CHECKPOINTS as CHECKPOINTS,
    EVENTS as EVENTS,
    EXPERIMENT as EXPERIMENT,
    keep_experiment as keep_experiment,
    keep_grouping as keep_grouping,
    read_events as read_events,
    read_experiment as read_experiment,
    read_log as read_log,
    run_near as run_near,
)
from ._runs import (
    RunSummary as RunSummary,
    curve as curve,
    differences as differences,
    discard as discard,
    follow as follow,
    restore as restore,
    runs_in as runs_in,
)
from ._snapshots import Snapshot as Snapshot
from ._specimens import (
    CropsInParts as CropsInParts,
    crops_for as crops_for,
    crops_in_parts as crops_in_parts,
    crops_of as crops_of,
    specimens_of as specimens_of,
)
from .grouping._clusterings import (
    HDBSCAN as HDBSCAN,
    AnyClustering as AnyClustering,
    Clustering as Clustering,
    GaussianMixture as GaussianMixture,
    KMeans as KMeans,
    Ward as Ward,
)
from .grouping._counting import Choice as Choice
from .grouping._maps import (
    PCA as PCA,
    TSNE as TSNE,
    UMAP as UMAP,
    AnyReduction as AnyReduction,
    Reduction as Reduction,
)
from .grouping._palettes import (
    PALETTE as PALETTE,
    PALETTES as PALETTES,
    PaletteName as PaletteName,
)
from .parallel._launch import launch as launch, launch_shares as launch_shares
from .parallel._memory import freed_memory_kept as freed_memory_kept
from .parallel._peers import check_alike as check_alike, told_to_peers as told_to_peers
from .parallel._runtime import (
    device_of as device_of,
    fabric_of as fabric_of,
    joins as joins,
    rank as rank,
    ranks as ranks,
    runtime_here as runtime_here,
)
from .parallel._slurm import write_batch_script as write_batch_script
from .parallel._threads import WAITING as WAITING
