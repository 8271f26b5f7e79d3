"""What the Explain dock asks for, and the verbs that it runs beside the window."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape.analysis import (
    WINDOW_NM,
    Explanation,
    SpecimenSpectra,
    colour_distances,
    elements,
    explained,
    eyes_of,
    occlude,
    specimen_spectra,
    told_from,
    where,
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
from napari_phenoscape.spectra import Eye, densities_from, read_eye
from napari_phenoscape.widgets._clustered import ClusteredRun
from napari_phenoscape.widgets._grouping import THUMBNAIL


class Hiding(Option):
    """Which bands are hidden together."""

    window_nm: float = Field(
        WINDOW_NM, ge=1, description="width of the windows when there are more than 16 bands"
    )


class OwnEye(Option):
    """An eye that is not among those that are shown, and how many receptors of each kind it has."""

    eye: Path | Literal["bird-uv", "bird-v", "honeybee", "human"] = Field(
        "honeybee",
        description="by name, or a CSV of sensitivities",
        json_schema_extra={"picks": "file"},
    )
    densities: str = Field(
        "", description="relative numbers of its receptors, short waves first, e.g. 1:2:2:4"
    )
    weber: float | None = Field(
        None,
        ge=1e-4,
        description="noise over signal of its receptor of the longest waves; as is known of it, or "
        "that of a bird, when not given",
        json_schema_extra={"step": 0.01},
    )


@dataclass(frozen=True, eq=False)
class Seeing:
    """An eye, and the noise of its receptors; None: what is known of it."""

    eye: Eye
    densities: tuple[float, ...] | None = None
    weber: float | None = None


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
    eyes
        Those that see what these bands show.
    """

    spectra: SpecimenSpectra
    pictures: NDArray[np.uint8]
    false_colour: bool
    eyes: tuple[Seeing, ...] = ()


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
    return ExplainedRun(clustered, facts, _seen(explanation, facts.eyes))


def _seen(explanation: Explanation, eyes: Sequence[Seeing]) -> Explanation:
    """With how far its clusters are apart for each eye, if there is any."""
    apart = [colour_distances(explanation, of.eye, of.densities, of.weber) for of in eyes]
    if not apart:
        return explanation
    return replace(explanation, colours=pd.concat(apart, ignore_index=True))


def see(before: ExplainedRun, own: OwnEye) -> Generator[Event, None, ExplainedRun]:
    """How far clusters are apart for one more eye, or for one by other numbers."""
    yield Progress("comparing colours", 0, 1)
    seeing = Seeing(read_eye(str(own.eye)), densities_from(own.densities), own.weber)
    others = [one for one in before.facts.eyes if one.eye.name != seeing.eye.name]
    facts = replace(before.facts, eyes=(seeing, *others))
    return replace(before, facts=facts, explanation=_seen(before.explanation, facts.eyes))


def _facts(clustered: ClusteredRun) -> Generator[Event, None, Facts]:
    crops = yield from embedded_specimens(clustered.run, clustered.embeddings)
    spectra = yield from specimen_spectra(crops)
    shown = false_colour(crops)
    small = thumbnails(crops, THUMBNAIL, shown)
    eyes = tuple(Seeing(read_eye(name)) for name in eyes_of(spectra))
    return Facts(spectra, small, shown is not None, eyes)


def hide(before: ExplainedRun, hiding: Hiding) -> Generator[Event, None, ExplainedRun]:
    """Occlude bands of the specimens."""
    embeddings, explanation = before.clustered.embeddings, before.explanation
    collection = yield from embedded_collection(embeddings)
    net = yield from restore(before.clustered.run, collection, untrained=embeddings.untrained)
    labels = explanation.membership.labels
    occlusion = yield from occlude(net, embeddings, labels, hiding.window_nm)
    return replace(before, explanation=replace(explanation, occlusion=occlusion))


def hide_places(
    before: ExplainedRun, rows: NDArray[np.intp], against: int | str
) -> Generator[Event, None, ExplainedRun]:
    """Occlude places of some specimens, and see what tells them from a cluster ("": nearest)."""
    embeddings, explanation = before.clustered.embeddings, before.explanation
    collection = yield from embedded_collection(embeddings)
    net = yield from restore(before.clustered.run, collection, untrained=embeddings.untrained)
    others = told_from(explanation, against)
    found = yield from where(net, embeddings, explanation.membership.labels, rows, others)
    return replace(before, explanation=replace(explanation, where=found))


class Cutting(Option):
    """Into how many kinds of places the patterns of all specimens are cut."""

    elements: int = Field(8, ge=2, le=255, description="kinds of places, over all specimens")


def cut(before: ExplainedRun, cutting: Cutting) -> Generator[Event, None, ExplainedRun]:
    """Find the pattern elements of all specimens."""
    clustered = before.clustered
    crops = clustered.backdrop.crops
    if crops is None:
        crops = yield from embedded_specimens(clustered.run, clustered.embeddings)
    found = yield from elements(crops, cutting.elements)
    return replace(before, explanation=replace(before.explanation, elements=found))


def save(explanation: Explanation, folder: Path) -> Generator[Event, None, Path]:
    """Write an explanation into a folder."""
    yield Progress("writing tables and figure", 0, 1)
    for path in write_explanation(explanation, folder):
        yield Saved(path)
    return folder
