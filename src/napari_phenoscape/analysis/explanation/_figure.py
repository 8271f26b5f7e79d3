"""Figure: spectra of the clusters, what sets them apart, and what the net looks at, as PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_phenoscape.analysis._paper import FAINT, INK, MM
from napari_phenoscape.analysis.explanation._explanation import Explanation
from napari_phenoscape.embeddings import NOISE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _PANEL = 160 * MM, 52 * MM

#: So many bands have a dot each, and their names below when they have no wavelengths.
FEW = 24


def explanation_figure(explanation: Explanation) -> Figure:
    """Panels one below the other, in the clusters' colours, over nm (or by band).

    Mean reflectance ± standard deviation over the specimens, Hedges' g against all other
    specimens, and the margin lost by occlusion ± standard deviation, if it was measured.
    """
    from matplotlib.figure import Figure

    rows = 2 if explanation.occlusion is None else 3
    figure = Figure(figsize=(_WIDTH, rows * _PANEL), layout="constrained")
    panels = figure.subplots(rows, 1, sharex=True)
    _draw_spectra(panels[0], explanation)
    _draw_effect(panels[1], explanation)
    if explanation.occlusion is not None:
        _draw_lost(panels[2], explanation)
    for axes in panels:
        axes.tick_params(labelsize=7, colors=FAINT)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    bands, nm = explanation.spectra.bands, explanation.spectra.bands.wavelengths_nm
    panels[-1].set_xlabel("band" if nm is None else "wavelength (nm)", size=8, color=INK)
    if nm is None and len(bands) <= FEW:
        panels[-1].set_xticks(range(len(bands)), bands.names, rotation=45 if len(bands) > 8 else 0)
    return figure


def _draw_spectra(axes: Axes, explanation: Explanation) -> None:
    x, order = explanation.spectra.bands.x, np.argsort(explanation.spectra.bands.x, kind="stable")
    sizes = [int((explanation.membership.labels == number).sum()) for number in explanation.numbers]
    for number, moments, size in zip(explanation.numbers, explanation.moments, sizes, strict=True):
        colour, sd = explanation.clusters.colours[number], np.nan_to_num(moments.sd)
        name = f"{explanation.clusters.names[number]} ({size})"
        axes.fill_between(
            x[order],
            (moments.mean - sd)[order],
            (moments.mean + sd)[order],
            color=colour,
            alpha=0.2,
            lw=0,
        )
        axes.plot(x[order], moments.mean[order], label=name, **_line(colour, len(x)))
    axes.set_ylabel("reflectance ± sd", size=8, color=INK)
    legend = axes.legend(
        fontsize=7, frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0, 1)
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw_effect(axes: Axes, explanation: Explanation) -> None:
    x, order = explanation.spectra.bands.x, np.argsort(explanation.spectra.bands.x, kind="stable")
    axes.axhline(0, color=FAINT, linewidth=0.5)
    for number in explanation.nearest:
        g = explanation.effect(number)[order]
        axes.plot(x[order], g, **_line(explanation.clusters.colours[number], len(x)))
    axes.set_ylabel("difference to all others\n(Hedges' g)", size=8, color=INK)


def _draw_lost(axes: Axes, explanation: Explanation) -> None:
    assert explanation.occlusion is not None  # or this is not drawn
    axes.axhline(0, color=FAINT, linewidth=0.5)
    x = [
        float(explanation.spectra.bands.x[list(w.bands)].mean())
        for w in explanation.occlusion.windows
    ]
    for number, lost in zip(explanation.numbers, explanation.lost, strict=True):
        if number != NOISE:
            colour, sd = explanation.clusters.colours[number], np.nan_to_num(lost.sd)
            axes.fill_between(x, lost.mean - sd, lost.mean + sd, color=colour, alpha=0.2, lw=0)
            axes.plot(x, lost.mean, **_line(colour, len(x)))
    axes.set_ylabel("cosine margin lost\nwhen hidden ± sd", size=8, color=INK)


def _line(colour: str, points: int) -> dict[str, Any]:
    return {"color": colour, "linewidth": 1.2, "marker": "o" if points <= FEW else "", "ms": 3}
