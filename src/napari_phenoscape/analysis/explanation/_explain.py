"""Explain: why the clusters of a run are clusters, as files and a figure."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from napari_phenoscape._atomic import atomic
from napari_phenoscape.analysis.explanation._colours import colour_distances
from napari_phenoscape.analysis.explanation._elements import (
    element_shares,
    elements as elements_of,
    elements_table,
)
from napari_phenoscape.analysis.explanation._explanation import (
    Explanation,
    explained,
    told_from,
    typical_rows,
)
from napari_phenoscape.analysis.explanation._figure import explanation_figure
from napari_phenoscape.analysis.explanation._occlusion import WINDOW_NM, occlude
from napari_phenoscape.analysis.explanation._spectra import specimen_spectra
from napari_phenoscape.analysis.explanation._tables import (
    bands_table,
    occlusion_table,
    specimens_table,
)
from napari_phenoscape.analysis.explanation._weights import weights_figure, weights_of
from napari_phenoscape.analysis.explanation._where import where as hidden_places
from napari_phenoscape.analysis.explanation._where_files import write_planes, write_where
from napari_phenoscape.cubes import save_figure
from napari_phenoscape.embeddings import (
    clusters_path,
    labelled_today,
    labels_of,
    read_clusters,
    read_embeddings,
    restore,
)
from napari_phenoscape.events import Event, Saved
from napari_phenoscape.specimens import Source
from napari_phenoscape.spectra import read_eye, write_spectra
from napari_phenoscape.training import crops_for, read_experiment


def explain(
    run: Path,
    *,
    space: str = "",
    source: Source | None = None,
    untrained: bool = False,
    occlusion: bool = True,
    width_nm: float = WINDOW_NM,
    where: int = 0,
    against: str = "",
    eyes: Sequence[str] = (),
    densities: Sequence[float] | None = None,
    weber: float | None = None,
    elements: int = 0,
) -> Generator[Event, None, Explanation]:
    """Say why clusters are clusters; tables and figure into ``RUN/explanations/<clusters>``.

    Parameters
    ----------
    run
        With embeddings, and clusters of them.
    space, source, untrained
        Whose clusters: see `embeddings_path`.
    occlusion
        Also hide bands from the net, windows of about ``width_nm``; takes as long as embedding
        once per window.
    where
        Also hide places of so many specimens of each cluster, those nearest to its centroid; see
        `where`.
    against
        Name of the cluster from which places tell them; "": the nearest of each.
    eyes, densities, weber
        For each of these eyes (see `read_eye`) also how far clusters are apart in colour; see
        `colour_distances`.
    elements
        Into so many elements also cluster cells of the specimens; 0: none. See `elements`.

    Raises
    ------
    MissingFileError
        These specimens were not embedded, or not clustered.
    CollectionError, CheckpointError, BandMismatchError, OptionError
        See `explained`, `occlude` and `colour_distances`.
    """
    embeddings = read_embeddings(run, space, source, untrained=untrained)
    path = clusters_path(run, embeddings)
    clusters = read_clusters(path)
    labels_of(embeddings.ids, clusters)  # or nothing need be read
    embeddings, collection = yield from labelled_today(embeddings)
    weighed = not (untrained or read_experiment(run).method.trains)
    if occlusion or weighed or where:
        net = yield from restore(run, collection, untrained=untrained)
        crops = net.crops
    else:
        crops = yield from crops_for(run, collection)
    explanation = explained(embeddings, clusters, (yield from specimen_spectra(crops)))
    told_from(explanation, against)  # or nothing need be hidden
    if eyes:
        apart = [colour_distances(explanation, read_eye(eye), densities, weber) for eye in eyes]
        explanation = replace(explanation, colours=pd.concat(apart, ignore_index=True))
    if occlusion:
        seen = yield from occlude(net, embeddings, explanation.membership.labels, width_nm)
        explanation = replace(explanation, occlusion=seen)
    if weighed:
        weights = yield from weights_of(net, embeddings.space)
        explanation = replace(explanation, weights=weights)
    if elements:
        parts = yield from elements_of(crops, elements)
        explanation = replace(explanation, elements=parts)
    if where:
        rows, others = typical_rows(explanation, where), told_from(explanation, against)
        labels = explanation.membership.labels
        places = yield from hidden_places(net, embeddings, labels, rows, others)
        explanation = replace(explanation, where=places)
    folder = run / "explanations" / path.stem
    with atomic(folder) as temporary:
        temporary.mkdir(parents=True)
        written = write_explanation(explanation, temporary)
    for file in written:
        yield Saved(folder / file.name)
    return explanation


def write_explanation(explanation: Explanation, folder: Path) -> list[Path]:
    """Write the tables and the figure, ``explanation-*``.

    ``explanation-spectra.csv`` and ``-spectra-sd.csv``: per cent by nm, a column per cluster, as
    `write_spectra` has it; ``-bands.csv`` and ``-specimens.csv``: see `bands_table` and
    `specimens_table`; ``-occlusion.csv``, once bands were occluded: `occlusion_table`;
    ``-weights.csv`` and ``.png`` of an instant run: `weights_of`; ``-where.*``, once places were
    hidden: `write_where`; ``-colours.csv`` of eyes: `colour_distances`; ``-elements.csv`` and
    ``-element-shares.csv``: `elements_table` and `element_shares`; ``-elements.tif``: a plane for
    each specimen.

    Raises
    ------
    RunError
        The disk is full or cannot be written.
    """
    tables = {"bands": bands_table(explanation), "specimens": specimens_table(explanation)}
    if explanation.occlusion is None:  # of other clusters, if it is there
        (folder / "explanation-occlusion.csv").unlink(missing_ok=True)
    else:
        tables["occlusion"] = occlusion_table(explanation)
    if explanation.weights is not None:
        tables["weights"] = explanation.weights
    if explanation.colours is not None:
        tables["colours"] = explanation.colours
    if explanation.elements is not None:
        tables["elements"] = elements_table(explanation.elements)
        tables["element-shares"] = element_shares(explanation.elements, explanation.table)
    written = []
    for name, table in tables.items():
        path = folder / f"explanation-{name}.csv"
        with atomic(path.absolute()) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
        written.append(path)
    written += write_spectra(explanation.cluster_spectra(), folder / "explanation-spectra.csv")
    figure = folder / "explanation.png"
    save_figure(explanation_figure(explanation), figure)
    if explanation.weights is not None:
        written.append(folder / "explanation-weights.png")
        weights_figure(explanation.weights, explanation.spectra.bands, written[-1])
    if explanation.elements is not None:
        written.append(folder / "explanation-elements.tif")
        names = explanation.table["specimen"].tolist()
        write_planes(explanation.elements.labels, names, written[-1])
    if explanation.where is not None:
        written += write_where(explanation, explanation.where, folder)
    return [*written, figure]
