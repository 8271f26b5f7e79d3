"""Figure: every measure of every embedding, with its interval, as PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from napari_phenoscape.analysis._paper import FAINT, INK, MM
from napari_phenoscape.analysis.evaluation._score import Score
from napari_phenoscape.cubes import save_figure

_PANEL, _LETTER, _ROW, _ABOVE, _BELOW = (size * MM for size in (58, 1.7, 5.5, 9, 9))
_ACROSS = 3
_TRAINED = "#0072b2"


def comparison_figure(scores: Mapping[str, Mapping[str, Score]], path: Path) -> None:
    """Small multiples: a panel per measure, a row per embedding, dot and 95 % interval.

    Trained embeddings are blue, controls grey.

    Parameters
    ----------
    scores
        Embedding → measure → score.
    path
        The PNG to write.

    Raises
    ------
    RunError
        The disk is full or cannot be written; a file that was there stays.
    """
    from matplotlib.figure import Figure

    measures = list(dict.fromkeys(name for each in scores.values() for name in each))
    names = list(scores)
    down = -(-len(measures) // _ACROSS)
    across = min(_ACROSS, len(measures))
    high = _ABOVE + _BELOW + _ROW * len(names)
    left = _LETTER * (4 + max(map(len, names)))
    figure = Figure(figsize=(left + across * _PANEL, down * high))
    width, height = figure.get_size_inches()
    for number, measure in enumerate(measures):
        row, column = divmod(number, _ACROSS)
        axes = figure.add_axes(
            (
                (left + column * _PANEL) / width,
                1 - ((row + 1) * high - _BELOW) / height,
                (_PANEL - 5 * MM) / width,
                _ROW * len(names) / height,
            )
        )
        largest = 0.0
        for y, name in enumerate(names):
            score = scores[name].get(measure)
            if score is None or not np.isfinite(score.value):
                continue
            colour = _TRAINED if ": trained" in f": {name}" else FAINT
            if np.isfinite(score.low):
                axes.plot((score.low, score.high), (y, y), color=colour, linewidth=1.5)
            axes.plot(score.value, y, "o", color=colour, markersize=4)
            largest = max(largest, abs(score.value))
        axes.set(ylim=(len(names) - 0.5, -0.5), yticks=range(len(names)))
        axes.set_yticklabels(names if column == 0 else [], size=7.5, color=INK)
        axes.tick_params(axis="x", labelsize=7, colors=FAINT)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#e5e5e5", linewidth=0.5)
        axes.set_axisbelow(True)
        axes.margins(x=0.1)
        if largest <= 1:  # a share: the whole of it, or small differences look large
            axes.set_xlim(min(-0.04, axes.get_xlim()[0]), 1.04)
        axes.set_title(measure, size=8.5, color=INK, loc="left", parse_math=False)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set(color=FAINT, linewidth=0.5)
    save_figure(figure, path)
