"""Weights: which bands, and what of them at which scale, an instant embedding is made of."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._device import computing
from napari_phenoscape.analysis._paper import FAINT, INK, MM
from napari_phenoscape.cubes import Bands, save_figure
from napari_phenoscape.embeddings import Restored
from napari_phenoscape.events import Progress
from napari_phenoscape.training import batches, pictures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELL, _LINE, _LEFT, _BELOW = (size * MM for size in (11, 6, 32, 22))

#: In place of a band, of the features of a pretrained net.
NET = "pretrained net"

_LEAST, _MOST = "#ffffff", "#0072b2"


@computing
def weights_of(net: Restored, space: str) -> Generator[Progress, None, pd.DataFrame]:
    """What part of an instant embedding's variance each band and scale makes.

    The embedding is linear in standardised features, ``x = f w``, so its total variance over the
    specimens is a sum over features d ::

        sum_k var(x_k) = sum_d sum_k w_dk cov(f_d, x_k)

    and the share of each is its part of the sum (Pratt's [1]_). Shares sum to 1; a feature that
    only corrects others may have less than 0.

    Parameters
    ----------
    net
        Of an instant run, with the specimens of the embedding.
    space
        Which of its embeddings.

    Returns
    -------
    A row for each band (or plane) and map: ``modality, band, map, share``, summed over mean,
    deviation and quantiles of the map.

    References
    ----------
    .. [1] Pratt 1987, Dividing the indivisible: using simple symmetry to partition variance
       explained.
    """
    import torch

    from napari_phenoscape.training import InstantNet, present

    model = net.model
    assert isinstance(model, InstantNet)  # of another, nobody asks
    readout, looks, number = model.readouts[space], net.looks(), len(net.crops.ids)
    rows = []
    for batch in batches(net.crops):
        views = []
        for view in looks(batch):
            images, mask = pictures(net.crops, view, net.device)
            having = present(net.crops, batch) or None
            with torch.inference_mode():
                views.append(model.features(images, mask, having)[space].cpu().numpy())
        rows.append(np.mean(views, axis=0))
        yield Progress("weighing bands and scales", int(batch[-1]) + 1, number)
    centre, scale, weights = (
        each.cpu().double().numpy() for each in (readout.centre, readout.scale, readout.weights)
    )
    features = np.nan_to_num((np.concatenate(rows) - centre) / scale)
    names = [
        (name, *of)
        for source in model.sources
        for name in model.modalities_of(space)
        for of in getattr(source[name], "names", [(NET, "", "")] * source[name].width)
    ]
    table = pd.DataFrame(names, columns=["modality", "band", "map", "summary"])
    table["share"] = shares(features, weights)
    order = ["modality", "band", "map"]
    return table.groupby(order, sort=False)["share"].sum().reset_index()


def shares(features: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(D,) of the total variance of (N, D) features times (D, K) weights; see `weights_of`."""
    centred = features - features.mean(axis=0)
    x = centred @ weights
    parts: NDArray[np.float64] = (weights * (centred.T @ x)).sum(axis=1)
    return parts / max(float((x**2).sum()), 1e-300)


def weights_figure(weights: pd.DataFrame, bands: Bands, path: Path) -> None:
    """A square for each band and map, darker for more; spectra of many bands as a line over nm.

    Raises
    ------
    RunError
        The disk is full or cannot be written; a file that was there stays.
    """
    from matplotlib.figure import Figure

    weights = weights[weights["band"] != NET]
    several = weights["modality"].nunique() > 1
    label = weights["band"]
    if several:
        label = weights["modality"] + " " + label
    whole = weights.assign(label=label)
    maps = whole["map"].unique().tolist()
    textured = whole.groupby("label", sort=False)["map"].transform("nunique") > 1
    grid = whole[textured].pivot_table(index="label", columns="map", values="share", sort=False)
    spectrum = whole[~textured]
    wide = _LEFT + _CELL * len(maps) + 8 * MM
    line = 42 * MM if len(spectrum) else 0
    high = _BELOW + _LINE * len(grid) + 8 * MM + line
    figure = Figure(figsize=(wide, high))
    axes = figure.add_axes(
        (_LEFT / wide, (_BELOW + line) / high, _CELL * len(maps) / wide, _LINE * len(grid) / high)
    )
    _draw_grid(axes, grid[maps])
    if len(spectrum):
        below = figure.add_axes((_LEFT / wide, 12 * MM / high, 0.62, (line - 10 * MM) / high))
        _draw_spectrum(below, spectrum, bands)
    save_figure(figure, path)


def _draw_grid(axes: Axes, grid: pd.DataFrame) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    values = grid.to_numpy()
    colours = LinearSegmentedColormap.from_list("share", [_LEAST, _MOST])
    top = max(float(values.max()), 1e-9)
    axes.imshow(values, cmap=colours, vmin=0, vmax=top, aspect="auto")
    for (row, column), share in np.ndenumerate(values):
        dark = share > 0.6 * top
        axes.text(
            column, row, f"{100 * share:.0f}", ha="center", va="center", size=7,
            color=_LEAST if dark else INK,
        )  # fmt: skip
    axes.set_xticks(range(grid.shape[1]), grid.columns, rotation=45, ha="right")
    axes.set_yticks(range(grid.shape[0]), [str(name) for name in grid.index])
    axes.set_title("per cent of the embedding's variance", size=8.5, color=INK, loc="left")
    axes.tick_params(labelsize=7, colors=FAINT, length=0)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    for side in axes.spines.values():
        side.set_visible(False)


def _draw_spectrum(axes: Axes, spectrum: pd.DataFrame, bands: Bands) -> None:
    x = dict(zip(bands.names, bands.x, strict=True))
    for _, part in spectrum.groupby("modality", sort=False):
        at = np.array([x[name] for name in part["band"]])
        order = np.argsort(at, kind="stable")
        axes.plot(at[order], 100 * part["share"].to_numpy()[order], color=_MOST, linewidth=1.2)
    axes.axhline(0, color=FAINT, linewidth=0.5)
    axes.set_xlabel("band" if bands.wavelengths_nm is None else "wavelength (nm)", size=8)
    axes.set_ylabel("per cent,\nmean spectrum", size=8, color=INK)
    axes.tick_params(labelsize=7, colors=FAINT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def looked_at(weights: pd.DataFrame, number: int = 3) -> str:
    """The bands and maps of the largest shares, e.g. ``"UV_B edges 2 px 12 %, G value 8 %"``."""
    most = weights.sort_values("share", ascending=False, kind="stable").head(number)
    return ", ".join(
        f"{band} {what} {share:.0%}".replace("%", " %")
        for band, what, share in most[["band", "map", "share"]].itertuples(index=False)
    )
