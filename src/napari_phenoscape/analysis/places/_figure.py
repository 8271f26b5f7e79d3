"""Map figure: the map of the embeddings in any colours, as PNG or SVG."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.analysis._paper import MM
from napari_phenoscape.analysis.places._appearance import CLUSTER, MEAN_OF, coloured
from napari_phenoscape.analysis.places._colouring import Colouring
from napari_phenoscape.cubes import save_figure
from napari_phenoscape.embeddings import (
    clusters_path,
    embedded_specimens,
    read_clusters,
    read_embeddings,
)
from napari_phenoscape.errors import MissingFileError, OptionError
from napari_phenoscape.events import Event

#: Endings of the files that a map can be written to.
MAPS = (".png", ".svg", ".pdf")

#: More dots than this are one picture inside of an SVG or PDF, or no program could open it.
DRAWN_DOTS = 20_000

_WIDTH, _HEIGHT = 120 * MM, 100 * MM


def map_figure(xy: NDArray[np.floating[Any]], colouring: Colouring, title: str, path: Path) -> None:
    """Draw a map with its legend, or its scale.

    Parameters
    ----------
    xy : (N, 2)
        Places, unitless.
    colouring
        Of the same N specimens.

    Raises
    ------
    OptionError
        The ending is none of `MAPS`.
    RunError
        The disk is full or cannot be written; a file that was there stays.
    """
    from matplotlib.figure import Figure  # no pyplot: no global state, any thread may draw

    if path.suffix.lower() not in MAPS:
        raise OptionError(
            f"'{path.name}' ends in '{path.suffix}'; a map is written as {', '.join(MAPS)}."
        )
    figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
    axes = figure.add_subplot()
    size = float(np.clip(6000 / max(1, len(xy)), 1, 36))  # square points
    # in random order, so that no cluster hides another
    order = np.random.default_rng(0).permutation(len(xy))
    axes.scatter(
        xy[order, 0],
        xy[order, 1],
        s=size,
        c=colouring.colours[order] / 255,
        linewidths=0,
        rasterized=len(xy) > DRAWN_DOTS,
    )
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9, parse_math=False)
    if colouring.scale is not None:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        low, high = colouring.scale
        bar = figure.colorbar(ScalarMappable(Normalize(low, high), "viridis"), ax=axes)
        bar.ax.tick_params(labelsize=7)
        bar.set_label(colouring.title, fontsize=8, parse_math=False)
    for name, colour, count in colouring.legend:
        axes.scatter([], [], s=24, c=[np.array(colour) / 255], label=f"{name} ({count})")
    if colouring.legend:
        words = axes.legend(
            title=colouring.title,
            fontsize=7,
            title_fontsize=8,
            loc="upper left",
            bbox_to_anchor=(1, 1),
            frameon=False,
        )
        for text in words.get_texts():
            text.set_parse_math(False)
    kind = path.suffix.lower().removeprefix(".")
    save_figure(figure, path, kind)


def run_map(
    run: Path, path: Path, by: str = CLUSTER, space: str = ""
) -> Generator[Event, None, Path]:
    """Draw the map of a run's clusters in any of the `colourings`.

    Raises
    ------
    OptionError
        The colours are none of them, or the ending is none of `MAPS`.
    MissingFileError
        The run has no embeddings, or no clusters with a map, of this space.
    """
    embeddings = read_embeddings(run, space)
    clusters = read_clusters(clusters_path(run, embeddings))
    if clusters.xy is None:
        raise MissingFileError(
            f"The clusters of '{run}' have no map; draw one first: `phenoscape cluster {run}`."
        )
    crops = None
    if by.startswith(MEAN_OF):
        crops = yield from embedded_specimens(run, embeddings)
    colouring = yield from coloured(by, embeddings, clusters, crops)
    # the file of clusters may have another order
    rows = {specimen: row for row, specimen in enumerate(clusters.specimens)}
    xy = clusters.xy[[rows[specimen] for specimen in embeddings.ids]]
    kind = clusters.map.kind if clusters.map is not None else "map"
    map_figure(xy, colouring, f"{kind} of {embeddings.space}", path)
    return path
