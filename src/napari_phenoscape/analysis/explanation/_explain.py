"""Explain: why the clusters of a run are clusters, as files and a figure."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from napari_phenoscape._atomic import atomic
from napari_phenoscape.analysis.explanation._explanation import Explanation, explained
from napari_phenoscape.analysis.explanation._figure import explanation_figure
from napari_phenoscape.analysis.explanation._occlusion import WINDOW_NM, occlude
from napari_phenoscape.analysis.explanation._spectra import specimen_spectra
from napari_phenoscape.analysis.explanation._tables import (
    bands_table,
    occlusion_table,
    specimens_table,
)
from napari_phenoscape.analysis.explanation._weights import weights_figure, weights_of
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
from napari_phenoscape.spectra import write_spectra
from napari_phenoscape.training import crops_for, read_experiment


def explain(
    run: Path,
    *,
    space: str = "",
    source: Source | None = None,
    untrained: bool = False,
    occlusion: bool = True,
    width_nm: float = WINDOW_NM,
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

    Raises
    ------
    MissingFileError
        These specimens were not embedded, or not clustered.
    CollectionError, CheckpointError
        See `explained` and `occlude`.
    """
    embeddings = read_embeddings(run, space, source, untrained=untrained)
    path = clusters_path(run, embeddings)
    clusters = read_clusters(path)
    labels_of(embeddings.ids, clusters)  # or nothing need be read
    embeddings, collection = yield from labelled_today(embeddings)
    weighed = not (untrained or read_experiment(run).method.trains)
    if occlusion or weighed:
        net = yield from restore(run, collection, untrained=untrained)
        crops = net.crops
    else:
        crops = yield from crops_for(run, collection)
    explanation = explained(embeddings, clusters, (yield from specimen_spectra(crops)))
    if occlusion:
        seen = yield from occlude(net, embeddings, explanation.membership.labels, width_nm)
        explanation = replace(explanation, occlusion=seen)
    if weighed:
        weights = yield from weights_of(net, embeddings.space)
        explanation = replace(explanation, weights=weights)
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
    ``-weights.csv`` and ``.png`` of an instant run: `weights_of`.

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
    written = []
    for name, table in tables.items():
        path = folder / f"explanation-{name}.csv"
        with atomic(path.absolute()) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
        written.append(path)
    written += write_spectra(explanation.cluster_spectra(), folder / "explanation-spectra.csv")
    figure = folder / "explanation.png"
    explanation_figure(explanation, figure)
    if explanation.weights is not None:
        written.append(folder / "explanation-weights.png")
        weights_figure(explanation.weights, explanation.spectra.bands, written[-1])
    return [*written, figure]
