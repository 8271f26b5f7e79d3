"""See which organisms look alike, in any part of the spectrum, without labels.

The verbs are loaded when they are first used: this module imports neither torch nor Qt.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_phenoscape.classification import classify as classify
    from napari_phenoscape.clustering import cluster as cluster
    from napari_phenoscape.collection import collect as collect
    from napari_phenoscape.embedding import embed as embed
    from napari_phenoscape.evaluation.worth import evaluate as evaluate
    from napari_phenoscape.explanation.explain import explain as explain
    from napari_phenoscape.io import open_cube as open_cube
    from napari_phenoscape.reduction import reduce as reduce
    from napari_phenoscape.training import train as train

__version__ = "0.1.0"

_ROOM_OF = {
    "open_cube": "io",
    "collect": "collection",
    "train": "training",
    "embed": "embedding",
    "evaluate": "evaluation.worth",
    "reduce": "reduction",
    "cluster": "clustering",
    "explain": "explanation.explain",
    "classify": "classification",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_ROOM_OF]
