"""Explain: the spectra, bands and specimens that make a cluster, as a noun, files and a figure."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic
from napari_phenoscape.analysis.explanation._figure import explanation_figure
from napari_phenoscape.analysis.explanation._likeness import Likeness, centroids, likeness
from napari_phenoscape.analysis.explanation._occlusion import WINDOW_NM, Occlusion, occlude
from napari_phenoscape.analysis.explanation._spectra import (
    Moments,
    SpecimenSpectra,
    hedges_g,
    specimen_spectra,
)
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.embeddings import (
    NOISE,
    Clusters,
    Embeddings,
    check_specimens,
    embeddings_path,
    labels_of,
    noise_last,
    read_clusters,
    read_embeddings,
    restore,
    unit_length,
)
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Event, Saved
from napari_phenoscape.spectra import Spectrum, write_spectra
from napari_phenoscape.training import specimens_for


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
    likeness
        Of the N specimens.
    occlusion
        None until it was asked for.
    """

    clusters: Clusters
    table: pd.DataFrame
    space: str
    spectra: SpecimenSpectra
    numbers: tuple[int, ...]
    moments: tuple[Moments, ...]
    nearest: dict[int, int]
    likeness: Likeness
    occlusion: Occlusion | None = None

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
        labels = self.likeness.labels
        return tuple(Moments.of(self.occlusion.lost[labels == number]) for number in self.numbers)

    def cluster_spectra(self) -> list[Spectrum]:
        """Mean and standard deviation over the specimens of each cluster."""
        bands = self.spectra.bands
        if len(np.unique(bands.x)) < len(bands):  # of two detectors: the names tell them apart
            bands = Bands(Band(name) for name in bands.names)
        return [
            Spectrum(self.clusters.names[number], bands, one.mean, one.sd)
            for number, one in zip(self.numbers, self.moments, strict=True)
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
    labels = np.array(labels_of(embeddings.table["specimen"].tolist(), clusters), np.int64)
    numbers = sorted(set(labels.tolist()), key=noise_last)
    there = [number for number in numbers if number != NOISE]
    if len(there) < 2:
        found = f"only '{clusters.names[there[0]]}'" if there else "only noise"
        raise CollectionError(
            f"What sets a cluster apart can be said of two at least; there is {found}. Cluster "
            "again, with KMeans or a smaller min_size of HDBSCAN."
        )
    means = unit_length(centroids(embeddings.x, labels, there))
    alike = means @ means.T
    np.fill_diagonal(alike, -np.inf)
    return Explanation(
        clusters,
        embeddings.table,
        embeddings.space,
        spectra,
        tuple(numbers),
        tuple(Moments.of(spectra.values[labels == number]) for number in numbers),
        {number: there[near] for number, near in zip(there, alike.argmax(axis=1), strict=True)},
        likeness(embeddings.x, labels),
    )


def explain(
    run: Path, *, occlusion: bool = True, width_nm: float = WINDOW_NM
) -> Generator[Event, None, Explanation]:
    """Say why the clusters of a run are clusters, and write it into the run.

    Parameters
    ----------
    run
        With embeddings, and clusters of them.
    occlusion
        Also hide bands from the net, windows of about ``width_nm``; takes as long as embedding
        once per window.

    Raises
    ------
    MissingFileError
        The run was not embedded, or not clustered.
    CollectionError, CheckpointError
        See `explained` and `occlude`.
    """
    embeddings = read_embeddings(embeddings_path(run))
    clusters = read_clusters(run / "clusters.parquet")
    if clusters.space not in ("", embeddings.space):
        embeddings = read_embeddings(embeddings_path(run, clusters.space))
    labels_of(embeddings.table["specimen"].tolist(), clusters)  # or nothing need be read
    if occlusion:
        net = yield from restore(run, embeddings.source)
        found = explained(embeddings, clusters, (yield from specimen_spectra(net.crops)))
        seen = yield from occlude(net, embeddings, found.likeness.labels, width_nm)
        found = replace(found, occlusion=seen)
    else:
        _, crops = yield from specimens_for(run, embeddings.source)
        found = explained(embeddings, clusters, (yield from specimen_spectra(crops)))
    for path in write_explanation(found, run):
        yield Saved(path)
    return found


def write_explanation(found: Explanation, folder: Path) -> list[Path]:
    """Write the tables and the figure, ``explanation-*``.

    ``explanation-spectra.csv`` and ``-spectra-sd.csv``: per cent by nm, a column per cluster, as
    `write_spectra` has it; ``-bands.csv`` and ``-specimens.csv``: see `bands_table` and
    `specimens_table`; ``-occlusion.csv``, once bands were occluded: `occlusion_table`.

    Raises
    ------
    RunError
        The disk is full or cannot be written.
    """
    written = write_spectra(found.cluster_spectra(), folder / "explanation-spectra.csv")
    tables = {"bands": bands_table(found), "specimens": specimens_table(found)}
    if found.occlusion is None:  # of other clusters, if it is there
        (folder / "explanation-occlusion.csv").unlink(missing_ok=True)
    else:
        tables["occlusion"] = occlusion_table(found)
    for name, table in tables.items():
        path = folder / f"explanation-{name}.csv"
        with atomic(path.absolute()) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
        written.append(path)
    figure = folder / "explanation.png"
    explanation_figure(found, figure)
    return [*written, figure]


def bands_table(found: Explanation) -> pd.DataFrame:
    """One row per cluster and band.

    Columns ``cluster, name, band, wavelength_nm``; ``n, mean, sd`` of the reflectance over the
    specimens that have the band; ``hedges_g vs others`` (all other specimens), and one such column
    for each cluster, by its number.
    """
    bands, names = found.spectra.bands, found.clusters.names
    parts = []
    for number, one in zip(found.numbers, found.moments, strict=True):
        part = pd.DataFrame(
            {
                "cluster": number,
                "name": names[number],
                "band": bands.names,
                "wavelength_nm": [band.wavelength_nm for band in bands],
                "n": one.n,
                "mean": one.mean,
                "sd": one.sd,
            }
        )
        if number != NOISE:
            part["hedges_g vs others"] = found.effect(number)
            for other in found.nearest:
                if other != number:
                    part[f"hedges_g vs {other}"] = found.effect(number, other)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def occlusion_table(found: Explanation) -> pd.DataFrame:
    """One row per cluster and window: ``cluster, name, window, n, margin, lost, sd``.

    ``margin`` with all bands, and how much of it is ``lost`` without those of the window: means
    over the specimens of the cluster, and the standard deviation of the second.
    """
    assert found.occlusion is not None  # else there is nothing to tell
    rows = []
    for number, lost in zip(found.numbers, found.lost, strict=True):
        if number == NOISE:
            continue
        margin = found.occlusion.margin[found.likeness.labels == number].mean()
        for w, window in enumerate(found.occlusion.windows):
            own = {"n": lost.n[w], "margin": margin, "lost": lost.mean[w], "sd": lost.sd[w]}
            name = found.clusters.names[number]
            rows.append({"cluster": number, "name": name, "window": window.name, **own})
    return pd.DataFrame(rows)


def specimens_table(found: Explanation) -> pd.DataFrame:
    """One row per specimen: ``specimen, filename, cluster, name``, then `Likeness`."""
    like, names = found.likeness, found.clusters.names
    return found.table[["specimen", "filename"]].assign(
        cluster=like.labels,
        name=[names[number] for number in like.labels.tolist()],
        similarity=like.similarity,
        silhouette=like.silhouette,
        other=[names[number] for number in like.other.tolist()],
    )
