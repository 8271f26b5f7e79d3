"""Figures: clusters on the specimens beside their map, as PNG."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.analysis._paper import FAINT, INK, MM
from napari_phenoscape.cubes import save_figure
from napari_phenoscape.embeddings import Clusters, ContactSheet, contact_sheet, legend
from napari_phenoscape.training import Choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: One panel: its width, then heights of title, a line of the note, the map, a row of the legend.
_WIDTH, _TITLE, _LINE, _MAP, _ROW = (size * MM for size in (100, 6.5, 3.4, 66, 4.5))
_MARGIN = 4 * MM

#: The curve by which a number of clusters was chosen, with room for the words at its axes.
_CURVE, _AXES = 26 * MM, 10 * MM
_ACROSS = _WIDTH - 2 * _MARGIN

#: Side of a thumbnail at most.
_TILE = 12 * MM

#: Letters that fit in a line of the note, and in all columns of the legend together.
_NOTE_LETTERS, _LEGEND_LETTERS = 66, 48

#: More specimens than this would be too small to see on paper.
SHOWN = 600


@dataclass(frozen=True, eq=False)
class Panel:
    """One clustering of one collection.

    Parameters
    ----------
    title, note
        Printed above, the note smaller.
    thumbnails : (n, h, h, 3) uint8
        Those of the `shown_specimens`, in their order.
    xy : (N, 2)
        The map.
    clusters
        Of the N specimens of the map.
    """

    title: str
    thumbnails: NDArray[np.uint8]
    xy: NDArray[np.float32]
    clusters: Clusters
    note: str = ""


def cluster_figure(panels: Sequence[Panel], path: Path) -> None:
    """Panels side by side: specimens framed and grouped by cluster, map, legend.

    Of more than 600 specimens, every so-manyth of each cluster is shown on the sheet, and the
    panel says so; the map always has all.

    Parameters
    ----------
    panels
        At least one, e.g. the same specimens seen with and without the ultraviolet.
    path
        The PNG to write.

    Raises
    ------
    RunError
        The disk is full or cannot be written; a file that was there stays.
    """
    save_figure(_drawn(panels), path)


def _drawn(panels: Sequence[Panel]) -> Figure:
    from matplotlib.figure import Figure  # no pyplot: no global state, any thread may draw

    shown = [shown_specimens(panel.clusters.labels) for panel in panels]
    sheets = [
        contact_sheet(panel.thumbnails, labels=panel.clusters.labels[rows])
        for panel, rows in zip(panels, shown, strict=True)
    ]
    notes = [_note(panel, len(rows)) for panel, rows in zip(panels, shown, strict=True)]
    legends = [_grid(panel.clusters) for panel in panels]

    # as high as the highest, so that maps stand side by side
    scales = [min(_ACROSS / sheet.image.shape[1], _TILE / sheet.tile) for sheet in sheets]
    highs = [scale * sheet.image.shape[0] for scale, sheet in zip(scales, sheets, strict=True)]
    words = _TITLE + _LINE * max(map(len, notes)) + _MARGIN / 4
    below = _ROW * max(rows for rows, _ in legends)
    width = _WIDTH * len(panels)
    curve = _CURVE + _AXES if any(panel.clusters.choice for panel in panels) else 0
    below += curve
    height = words + max(highs) + _MAP + below + 4 * _MARGIN
    figure = Figure(figsize=(width, height))

    for number, panel in enumerate(panels):
        left, top = number * _WIDTH + _MARGIN, height - _MARGIN

        def place(bottom: float, high: float, wide: float, left: float = left) -> Axes:
            box = (left / width, bottom / height, wide / width, high / height)
            return figure.add_axes(box)

        figure.text(
            left / width,
            (top - 3.5 * MM) / height,
            panel.title,
            size=11,
            weight="bold",
            color=INK,
            parse_math=False,
        )
        for line, text in enumerate(notes[number], start=1):
            y = (top - _TITLE - (line - 0.2) * _LINE) / height
            figure.text(left / width, y, text, size=7.5, color=FAINT, parse_math=False)
        sheet, scale, high = sheets[number], scales[number], highs[number]
        axes = place(top - words - high, high, scale * sheet.image.shape[1])
        _draw_sheet(axes, sheet, _colours(panel.clusters)[shown[number]], scale)
        _draw_map(place(2 * _MARGIN + below, _MAP, _ACROSS), panel)
        rows, columns = legends[number]
        axes = place(_MARGIN + below - rows * _ROW, rows * _ROW, _ACROSS)
        _draw_legend(axes, panel.clusters, columns)
        if (choice := panel.clusters.choice) and choice.numbers:
            axes = place(_MARGIN + _AXES, _CURVE - _MARGIN, _ACROSS - _AXES, left + _AXES)
            _draw_choice(axes, choice)
    return figure


def shown_specimens(labels: NDArray[np.int64]) -> NDArray[np.intp]:
    """Rows of the specimens on the sheet: all, or evenly from each cluster, none left out."""
    if len(labels) <= SHOWN:
        return np.arange(len(labels))
    by_cluster = np.argsort(labels, kind="stable")
    _, first = np.unique(labels[by_cluster], return_index=True)
    even = np.linspace(0, len(labels) - 1, SHOWN).astype(np.intp)
    return np.sort(by_cluster[np.union1d(even, first)])


def _note(panel: Panel, shown: int) -> list[str]:
    lines = textwrap.wrap(panel.note, _NOTE_LETTERS)
    if shown < len(panel.xy):
        lines.append(f"{shown} of {len(panel.xy)} specimens shown")
    return lines


def _draw_sheet(axes: Axes, sheet: ContactSheet, colours: NDArray[np.str_], scale: float) -> None:
    """Specimens in frames; ``scale`` is in inches per pixel of the sheet."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    axes.imshow(sheet.image, interpolation="antialiased")
    line = 0.4 * sheet.gap  # pixels of the sheet; the rest of the gap stays white
    half = sheet.frame / 2
    frames = [Rectangle((x - half, y - half), 2 * half, 2 * half) for y, x in sheet.centres]
    axes.add_collection(
        PatchCollection(
            frames,
            facecolor="none",
            edgecolor=colours.tolist(),
            linewidth=72 * scale * line,
            joinstyle="miter",
        )
    )
    axes.set_axis_off()


def _draw_map(axes: Axes, panel: Panel) -> None:
    area = float(np.clip(6000 / len(panel.xy), 3, 36))  # square points
    # in random order, so that no cluster hides another
    order = np.random.default_rng(0).permutation(len(panel.xy))
    axes.scatter(
        panel.xy[order, 0],
        panel.xy[order, 1],
        s=area,
        c=_colours(panel.clusters)[order].tolist(),
        edgecolors="white",
        linewidths=0.07 * area**0.5,
    )
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.06)
    axes.tick_params(bottom=False, left=False, labelbottom=False, labelleft=False)
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=0.5)
    axes.text(
        0.015, 0.98, "embedding map", transform=axes.transAxes, va="top", size=7.5, color=FAINT
    )


def _draw_choice(axes: Axes, choice: Choice) -> None:
    """Silhouette and stability by number of clusters, the best marked, and what a cloud gives."""
    axes.axvline(choice.best, color=FAINT, linewidth=0.8, linestyle=":")
    for name, values, colour in (
        ("stability", choice.stability, "#0072b2"),
        ("silhouette", choice.silhouette, "#d55e00"),
    ):
        axes.plot(choice.numbers, values, "o-", color=colour, linewidth=1, markersize=3, label=name)
    axes.plot(
        choice.best, choice.cloud, "_", color=INK, markersize=9, label="silhouette of one cloud"
    )
    axes.set(ylim=(min(0, *choice.stability) - 0.05, 1.08), xticks=choice.numbers)
    axes.set_xlabel("number of clusters", size=7.5, color=FAINT, labelpad=1)
    axes.tick_params(labelsize=7, color=FAINT, labelcolor=FAINT, length=2)
    for name, spine in axes.spines.items():
        spine.set(color=FAINT, linewidth=0.5, visible=name in ("left", "bottom"))
    axes.legend(
        ncols=3, fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 0.96),
        handlelength=1.4, columnspacing=1.2, labelcolor=FAINT,
    )  # fmt: skip


def _grid(clusters: Clusters) -> tuple[int, int]:
    """Rows and columns of the legend."""
    entries = legend(clusters)
    longest = max(len(name) + len(str(count)) for name, _, count in entries) + 3
    rows = -(-len(entries) // max(1, _LEGEND_LETTERS // longest))
    return rows, -(-len(entries) // rows)


def _draw_legend(axes: Axes, clusters: Clusters, columns: int) -> None:
    entries = legend(clusters)
    rows = -(-len(entries) // columns)
    for index, (name, colour, count) in enumerate(entries):
        x, y = index // rows + 0.02, index % rows + 0.5
        axes.scatter(x, y, s=32, c=colour, clip_on=False)
        text = f"{name} ({count})"
        axes.text(x + 0.03 * columns, y, text, va="center", size=8, color=INK, parse_math=False)
    axes.set(xlim=(0, columns), ylim=(rows, 0))
    axes.set_axis_off()


def _colours(clusters: Clusters) -> NDArray[np.str_]:
    return np.array([clusters.colours[label] for label in clusters.labels.tolist()])
