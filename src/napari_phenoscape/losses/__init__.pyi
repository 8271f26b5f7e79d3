from ._contrastive import (
    agreement as agreement,
    contrast as contrast,
    spread as spread,
)
from ._losses import (
    AnyLoss as AnyLoss,
    CrossModal as CrossModal,
    LocalPatches as LocalPatches,
    Loss as Loss,
    NTXent as NTXent,
    Projections as Projections,
    total_loss as total_loss,
)
from ._patches import Matches as Matches, matches as matches
