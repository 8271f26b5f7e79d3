"""Report: what a run found, on one page that opens in any browser."""

from __future__ import annotations

import base64
import io
from collections.abc import Generator, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic
from napari_phenoscape.analysis._cluster_run import cluster_run
from napari_phenoscape.analysis._figures import shown_specimens
from napari_phenoscape.analysis.explanation._explanation import Explanation, explained
from napari_phenoscape.analysis.explanation._figure import explanation_figure
from napari_phenoscape.analysis.explanation._spectra import specimen_spectra
from napari_phenoscape.analysis.explanation._words import borderline, differences
from napari_phenoscape.analysis.report._methods import citations, methods
from napari_phenoscape.cubes import figure_bytes
from napari_phenoscape.embeddings import (
    METADATA,
    Clusters,
    Embeddings,
    clusters_path,
    embed,
    embedded_specimens,
    embeddings_path,
    false_colour,
    labelled_today,
    labels_of,
    legend,
    read_clusters,
    read_embeddings,
    reduce,
    thumbnails,
)
from napari_phenoscape.errors import CollectionError, OptionError
from napari_phenoscape.events import Event, Notice, Progress, Saved, Started, Step
from napari_phenoscape.specimens import Source
from napari_phenoscape.training import Grouping, read_events, read_experiment, versions

#: Side in pixels of the picture of a specimen.
PICTURE = 72

#: Side of the map, and what is kept free around its dots, in units of its drawing.
MAP, MARGIN = 1000, 30


class Group(NamedTuple):
    """A cluster on the page: its words, and the rows of its specimens, the most typical first."""

    name: str
    colour: str
    size: int
    differs: str
    nearest: str
    borderline: str
    rows: list[int]


def report(
    run: Path,
    output: Path | None = None,
    *,
    source: Source | None = None,
    untrained: bool = False,
) -> Generator[Event, None, Path]:
    """Write what a run found as one page of HTML: nothing is loaded from elsewhere.

    What was asked, the specimens and what was left out, the specimens by cluster, the map, spectra
    and the bands that differ, what was evaluated, and a paragraph of methods with versions,
    settings and citations. Specimens that were not embedded or clustered yet are. Of more than 600
    specimens, every so-manyth of each cluster is shown, and the page says so.

    Parameters
    ----------
    output
        The page; ``RUN/report.html`` when it is None.
    source, untrained
        Of other specimens than the run's own, or of the control: see `embeddings_path`.

    Raises
    ------
    OptionError
        The name of the page is not one of HTML.
    MissingFileError, CollectionError, RunError
        It is no run, its specimens are gone, or the page cannot be written.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise OptionError(
            f"'{output.name}' ends in '{output.suffix}'; a report is written as .html. Name it so; "
            "a browser prints it, as PDF too."
        )
    experiment = read_experiment(run)
    embeddings, clusters = yield from _grouped(run, experiment.grouping, source, untrained)
    crops = yield from embedded_specimens(run, embeddings)
    spectra = yield from specimen_spectra(crops)
    yield Progress("writing the page", 0, 1)
    labels = np.array(labels_of(embeddings.ids, clusters), np.int64)
    try:
        explanation = explained(embeddings, clusters, spectra)
    except CollectionError as error:  # of one cluster there is nothing that sets it apart
        explanation, why_not = None, str(error)
    else:
        why_not = ""
    bands = false_colour(crops)
    shown = shown_specimens(labels)
    events = read_events(run)
    page = Environment(
        loader=PackageLoader("napari_phenoscape.analysis.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    written = page.get_template("page.html").render(
        run=run.name,
        experiment=experiment,
        settings=experiment.to_yaml().replace(str(Path.home()), "~"),
        embeddings=embeddings,
        left_out=list(dict.fromkeys(e.message for e in events if isinstance(e, Notice))),
        started=next((e for e in reversed(events) if isinstance(e, Started)), None),
        curve=_curve([e for e in events if isinstance(e, Step)]),
        is_false_colour=bands is not None,
        specimens=_specimens(embeddings, clusters, shown, thumbnails(crops, PICTURE, bands)),
        shown=len(shown),
        groups=_groups(clusters, labels, shown, explanation),
        why=_figure(explanation) if explanation else "",
        why_not=why_not,
        evaluations=_evaluations(run),
        methods=methods(experiment, embeddings, clusters),
        versions=versions(),
        citations=citations(experiment, clusters),
        map_side=MAP,
    )
    output = output or run / "report.html"
    with atomic(output) as temporary:
        temporary.write_text(written, "utf-8")
    yield Saved(output)
    return output


def _grouped(
    run: Path, grouping: Grouping, source: Source | None, untrained: bool
) -> Generator[Event, None, tuple[Embeddings, Clusters]]:
    """Embeddings with the metadata of today, and clusters with a map; made where there are none."""
    if not embeddings_path(run, grouping.space, source, untrained=untrained).is_file():
        yield from embed(run, source, untrained=untrained)
    embeddings = read_embeddings(run, grouping.space, source, untrained=untrained)
    path = clusters_path(run, embeddings)
    clusters = read_clusters(path) if path.is_file() else None
    if clusters is None or set(clusters.specimens) != set(embeddings.ids):
        clusters = yield from cluster_run(run, source=source, untrained=untrained)
    elif clusters.xy is None:  # they may have been changed by hand, so only the map is drawn
        of = dict(zip(embeddings.ids, embeddings.x, strict=True))
        xy = reduce(np.stack([of[one] for one in clusters.specimens]), grouping.map, grouping.seed)
        clusters = replace(clusters, xy=xy, map=grouping.map)
    embeddings, _ = yield from labelled_today(embeddings)
    return embeddings, clusters


def _specimens(
    embeddings: Embeddings,
    clusters: Clusters,
    shown: NDArray[np.intp],
    pictures: NDArray[np.uint8],
) -> dict[int, dict[str, Any]]:
    """By row, what the page says of a specimen."""
    from PIL import Image

    assert clusters.xy is not None  # cluster_run has drawn it
    places = dict(zip(clusters.specimens, clusters.xy.astype(float), strict=True))
    xy = np.stack([places[specimen] for specimen in embeddings.ids])
    low, high = xy.min(axis=0), xy.max(axis=0)
    scale = (MAP - 2 * MARGIN) / max(float((high - low).max()), 1e-12)
    # in the middle, y upwards
    xy = MAP / 2 + (xy - (low + high) / 2) * scale * (1, -1)
    number_of = dict(zip(clusters.specimens, clusters.labels.tolist(), strict=True))
    columns = list(embeddings.table.columns[METADATA:])
    found = {}
    for row in shown.tolist():
        buffer = io.BytesIO()
        Image.fromarray(pictures[row]).save(buffer, "JPEG", quality=88)
        one = embeddings.table.iloc[row]
        number = number_of[embeddings.ids[row]]
        words = [f"{name} {one[name]}" for name in columns if pd.notna(one[name])]
        found[row] = {
            "id": one["specimen"],
            "words": ", ".join([clusters.names[number], *words]),
            "picture": _uri(buffer.getvalue(), "jpeg"),
            "x": round(float(xy[row, 0]), 1),
            "y": round(float(xy[row, 1]), 1),
            "colour": clusters.colours[number],
        }
    return found


def _groups(
    clusters: Clusters,
    labels: NDArray[np.int64],
    shown: NDArray[np.intp],
    explanation: Explanation | None,
) -> list[Group]:
    """The clusters in the order of the legend."""
    numbers = {name: number for number, name in clusters.names.items()}
    groups = []
    for name, colour, size in legend(clusters):
        number = numbers[name]
        rows = np.flatnonzero(labels == number)
        differs = nearest = unsure = ""
        if explanation and number in explanation.nearest:
            rows = explanation.membership.typical(number)
            near = explanation.nearest[number]
            differs = differences(explanation, number)
            nearest = f"from {clusters.names[near]} by {differences(explanation, number, near)}"
            unsure = borderline(explanation, number)
        kept = set(shown.tolist())
        rows_shown = [row for row in rows.tolist() if row in kept]
        groups.append(Group(name, colour, size, differs, nearest, unsure, rows_shown))
    return groups


def _figure(explanation: Explanation) -> str:
    """Spectra and differences, as the source of a picture."""
    return _uri(figure_bytes(explanation_figure(explanation)), "png")


def _curve(steps: Sequence[Step]) -> str:
    """The points of a line of the loss over the steps, 0-100 each; empty for an instant run."""
    if len(steps) < 2:
        return ""
    by_step = {step.step: step.loss for step in steps}  # a step that was made again counts once
    at, loss = np.array(list(by_step)), np.array(list(by_step.values()))
    groups = np.array_split(np.argsort(at), min(len(at), 200))
    x = np.array([at[group].mean() for group in groups])
    y = np.array([loss[group].mean() for group in groups])
    x = 100 * (x - x[0]) / max(x[-1] - x[0], 1)
    y = 100 - 100 * (y - y.min()) / max(float(np.ptp(y)), 1e-12)
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def _evaluations(run: Path) -> dict[str, list[dict[Hashable, Any]]]:
    """Rows of what `evaluate` wrote into the run, by label."""
    return {
        path.stem.removeprefix("evaluation").removeprefix("-"): pd.read_csv(path).to_dict("records")
        for path in sorted(run.glob("evaluation*.csv"))
    }


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
