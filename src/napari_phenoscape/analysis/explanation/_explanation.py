"""Explanation: the spectra, bands and specimens that make clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape.analysis.explanation._elements import Elements
from napari_phenoscape.analysis.explanation._membership import Membership, centroids, membership
from napari_phenoscape.analysis.explanation._occlusion import Occlusion
from napari_phenoscape.analysis.explanation._spectra import Moments, SpecimenSpectra, hedges_g
from napari_phenoscape.analysis.explanation._where import Where
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.embeddings import (
    NOISE,
    Clusters,
    Embeddings,
    check_specimens,
    labels_of,
    noise_last,
    unit_length,
)
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.spectra import Spectrum


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why clusters are clusters.

    Parameters
    ----------
    clusters
        Names and colours of these.
    table
        Of the embeddings: N rows, a specimen each.
    space
        Whose embeddings were clustered.
    spectra
        Of the N specimens, in C bands.
    numbers
        K clusters, noise last.
    moments
        Of the spectra of each cluster.
    nearest
        Of each cluster but noise, the other one whose centroid is most similar: the one that it
        could be mistaken for.
    membership
        Of the N specimens.
    occlusion
        None until it was asked for.
    weights
        Of an instant run: what its embedding is made of, see `weights_of`.
    where
        Places of some specimens; None until it was asked for.
    colours
        How far clusters are apart for some eyes, see `colour_distances`; None until it was asked
        for.
    elements
        Of all N specimens; None until they were asked for.
    """

    clusters: Clusters
    table: pd.DataFrame
    space: str
    spectra: SpecimenSpectra
    numbers: tuple[int, ...]
    moments: tuple[Moments, ...]
    nearest: dict[int, int]
    membership: Membership
    occlusion: Occlusion | None = None
    weights: pd.DataFrame | None = None
    where: Where | None = None
    colours: pd.DataFrame | None = None
    elements: Elements | None = None

    def others(self, number: int, against: int | None = None) -> Moments:
        """What a cluster is compared with: another one, or all others (None), noise among them."""
        compared = [n for n in self.numbers if n != number] if against is None else [against]
        return Moments.together([self.moments[self.numbers.index(n)] for n in compared])

    def effect(self, number: int, against: int | None = None) -> NDArray[np.float64]:
        """(C,) Hedges' g of a cluster against `others`."""
        own = self.moments[self.numbers.index(number)]
        return hedges_g(own, self.others(number, against))

    @property
    def lost(self) -> tuple[Moments, ...]:
        """Of each cluster, what its specimens lose in the W windows; none before occlusion."""
        if self.occlusion is None:
            return ()
        labels = self.membership.labels
        return tuple(Moments.of(self.occlusion.lost[labels == number]) for number in self.numbers)

    def cluster_spectra(self) -> list[Spectrum]:
        """Mean and standard deviation over the specimens of each cluster."""
        bands = self.spectra.bands
        if len(np.unique(bands.x)) < len(bands):  # of two detectors: the names tell them apart
            bands = Bands(Band(name) for name in bands.names)
        return [
            Spectrum(self.clusters.names[number], bands, moments.mean, moments.sd)
            for number, moments in zip(self.numbers, self.moments, strict=True)
        ]


def explained(embeddings: Embeddings, clusters: Clusters, spectra: SpecimenSpectra) -> Explanation:
    """What clusters of some embeddings have in common.

    Parameters
    ----------
    spectra
        Of the same specimens, in the same order.

    Raises
    ------
    CollectionError
        They are of others; there are fewer than two clusters, or specimens without one.
    """
    check_specimens(embeddings, spectra.ids)
    labels = np.array(labels_of(embeddings.ids, clusters), np.int64)
    numbers = sorted(set(labels.tolist()), key=noise_last)
    kinds = [number for number in numbers if number != NOISE]
    if len(kinds) < 2:
        only = f"only '{clusters.names[kinds[0]]}'" if kinds else "only noise"
        raise CollectionError(
            f"What sets a cluster apart can be said of two at least; there is {only}. Cluster "
            "again, with KMeans or a smaller min_size of HDBSCAN."
        )
    means = unit_length(centroids(embeddings.x, labels, kinds))
    alike = means @ means.T
    np.fill_diagonal(alike, -np.inf)
    return Explanation(
        clusters,
        embeddings.table,
        embeddings.space,
        spectra,
        tuple(numbers),
        tuple(Moments.of(spectra.values[labels == number]) for number in numbers),
        {number: kinds[near] for number, near in zip(kinds, alike.argmax(axis=1), strict=True)},
        membership(embeddings.x, labels),
    )


def typical_rows(explanation: Explanation, number: int) -> NDArray[np.intp]:
    """Rows of so many specimens of each cluster but noise, those nearest to its centroid first."""
    return np.concatenate(
        [explanation.membership.typical(kind)[:number] for kind in explanation.nearest]
    )


def told_from(explanation: Explanation, against: str | int = "") -> dict[int, int]:
    """From which other cluster each is told: one by name or number, or its nearest ("").

    Raises
    ------
    CollectionError
        There is no such cluster.
    """
    if against == "":
        return explanation.nearest
    names = explanation.clusters.names
    other = next((n for n in explanation.nearest if against in (n, names[n])), None)
    if other is None:
        raise CollectionError(
            f"There is no cluster '{against}'; these are "
            f"{', '.join(names[n] for n in explanation.nearest)}. Name one of them."
        )
    return {n: near if n == other else other for n, near in explanation.nearest.items()}
