"""What the Explain dock asks for, and the verbs that it runs beside the window."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape.analysis import (
    WINDOW_NM,
    Explanation,
    SpecimenSpectra,
    explained,
    occlude,
    specimen_spectra,
    write_explanation,
)
from napari_phenoscape.embeddings import (
    Clusters,
    Embeddings,
    embedded_collection,
    embedded_specimens,
    false_colour,
    restore,
    thumbnails,
)
from napari_phenoscape.events import Event, Progress, Saved
from napari_phenoscape.option import Option
from napari_phenoscape.widgets._overlay import THUMBNAIL


class Hiding(Option):
    """Which bands are hidden from the net together."""

    window_nm: float = Field(
        WINDOW_NM, ge=1, description="width of the windows when there are more than 16 bands"
    )


@dataclass(frozen=True, eq=False)
class Facts:
    """What the clusters of a run do not change.

    Parameters
    ----------
    spectra
        Of its N specimens.
    pictures : (N, 64, 64, 3) uint8
        Thumbnails.
    false_colour
        Whether these are in UV false colour.
    """

    spectra: SpecimenSpectra
    pictures: NDArray[np.uint8]
    false_colour: bool


def compare(
    run: Path, embeddings: Embeddings, clusters: Clusters, facts: Facts | None
) -> Generator[Event, None, tuple[Path, Facts, Explanation]]:
    """Explain clusters of a run; ``facts`` when they are at hand."""
    if facts is None or facts.spectra.ids != embeddings.ids:
        crops = yield from embedded_specimens(run, embeddings)
        spectra = yield from specimen_spectra(crops)
        shown = false_colour(crops)
        facts = Facts(spectra, thumbnails(crops, THUMBNAIL, shown), shown is not None)
    yield Progress("comparing clusters", 0, 1)
    return run, facts, explained(embeddings, clusters, facts.spectra)


def hide(
    run: Path, embeddings: Embeddings, found: Explanation, hiding: Hiding
) -> Generator[Event, None, Explanation]:
    """Occlude bands of the specimens of a run."""
    collection = yield from embedded_collection(embeddings)
    net = yield from restore(run, collection, untrained=embeddings.untrained)
    seen = yield from occlude(net, embeddings, found.membership.labels, hiding.window_nm)
    return replace(found, occlusion=seen)


def save(found: Explanation, folder: Path) -> Generator[Event, None, Path]:
    """Write an explanation into a folder."""
    yield Progress("writing tables and figure", 0, 1)
    for path in write_explanation(found, folder):
        yield Saved(path)
    return folder
