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
    embedded_collection,
    embedded_specimens,
    false_colour,
    restore,
    thumbnails,
)
from napari_phenoscape.events import Event, Progress, Saved
from napari_phenoscape.option import Option
from napari_phenoscape.widgets._clustered import ClusteredRun
from napari_phenoscape.widgets._grouping import THUMBNAIL


class Hiding(Option):
    """Which bands are hidden from the net together."""

    window_nm: float = Field(
        WINDOW_NM, ge=1, description="width of the windows when there are more than 16 bands"
    )


@dataclass(frozen=True, eq=False)
class Facts:
    """What the clusters of N specimens do not change.

    Parameters
    ----------
    spectra
        Of the specimens.
    pictures : (N, 64, 64, 3) uint8
        Thumbnails.
    false_colour
        Whether these are in UV false colour.
    """

    spectra: SpecimenSpectra
    pictures: NDArray[np.uint8]
    false_colour: bool


@dataclass(frozen=True, eq=False)
class ExplainedRun:
    """A clustered run, and why its clusters are clusters; rows are those of the run."""

    clustered: ClusteredRun
    facts: Facts
    explanation: Explanation

    def explains(self, clustered: ClusteredRun) -> bool:
        """Whether it is of these clusters, whatever they are called now."""
        return self.clustered.clusters.labels is clustered.clusters.labels


def compare(
    clustered: ClusteredRun, before: ExplainedRun | None
) -> Generator[Event, None, ExplainedRun]:
    """Explain clusters; what was explained before may be of the same specimens."""
    if before is not None and before.clustered.backdrop is clustered.backdrop:
        facts = before.facts
    else:
        facts = yield from _facts(clustered)
    yield Progress("comparing clusters", 0, 1)
    explanation = explained(clustered.embeddings, clustered.clusters, facts.spectra)
    return ExplainedRun(clustered, facts, explanation)


def _facts(clustered: ClusteredRun) -> Generator[Event, None, Facts]:
    crops = yield from embedded_specimens(clustered.run, clustered.embeddings)
    spectra = yield from specimen_spectra(crops)
    shown = false_colour(crops)
    return Facts(spectra, thumbnails(crops, THUMBNAIL, shown), shown is not None)


def hide(before: ExplainedRun, hiding: Hiding) -> Generator[Event, None, ExplainedRun]:
    """Occlude bands of the specimens."""
    embeddings, explanation = before.clustered.embeddings, before.explanation
    collection = yield from embedded_collection(embeddings)
    net = yield from restore(before.clustered.run, collection, untrained=embeddings.untrained)
    labels = explanation.membership.labels
    occlusion = yield from occlude(net, embeddings, labels, hiding.window_nm)
    return replace(before, explanation=replace(explanation, occlusion=occlusion))


def save(explanation: Explanation, folder: Path) -> Generator[Event, None, Path]:
    """Write an explanation into a folder."""
    yield Progress("writing tables and figure", 0, 1)
    for path in write_explanation(explanation, folder):
        yield Saved(path)
    return folder
