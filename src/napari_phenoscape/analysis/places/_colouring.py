"""Colouring: a colour for every specimen, by what is known or was found of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._tables import is_numeric
from napari_phenoscape.embeddings import NOISE_COLOUR, Clusters, legend
from napari_phenoscape.training import PALETTE, PALETTES, PaletteName

Colour = tuple[int, int, int]

#: Of specimens of which nothing is known.
UNKNOWN = "unknown"

#: Kinds in the legend at most; the commonest have a line of their own.
KINDS = 40

#: Percentiles that a scale ends at, so that one odd specimen does not take all of it.
ENDS = (1.0, 99.0)


@dataclass(frozen=True, eq=False)
class Colouring:
    """A colour for each of N specimens.

    Parameters
    ----------
    title
        By what.
    colours : (N, 3) uint8
        Red, green, blue.
    legend
        Name, colour and number of specimens of each kind; empty when there is a scale.
    scale
        Numbers of the first and of the last colour; None for kinds.
    """

    title: str
    colours: NDArray[np.uint8]
    legend: tuple[tuple[str, Colour, int], ...] = ()
    scale: tuple[float, float] | None = None


def by_cluster(clusters: Clusters) -> Colouring:
    """In the colours of the clusters."""
    entries = tuple((name, _rgb(colour), count) for name, colour, count in legend(clusters))
    return Colouring("cluster", clusters.rgb, entries)


def by_values(
    title: str,
    values: pd.Series | NDArray[Any] | Sequence[Any],
    palette: PaletteName = PALETTE,
) -> Colouring:
    """By N numbers on a scale, or by N words, each kind in a colour of its own.

    Numbers are shown between percentiles 1 and 99. Kinds have the colours of a palette, the
    commonest first; where there are more than 24, colours come again. Who has no value is grey.
    """
    column = pd.Series(values).reset_index(drop=True)
    return (
        _on_scale(title, column)
        if is_numeric(column)
        else _by_kind(title, column, PALETTES[palette])
    )


def _on_scale(title: str, column: pd.Series) -> Colouring:
    import matplotlib

    values = column.to_numpy(np.float64, na_value=np.nan)
    known = np.isfinite(values)
    colours = np.tile(np.array(_rgb(NOISE_COLOUR), np.uint8), (len(values), 1))
    if not known.any():
        return Colouring(title, colours, ((UNKNOWN, _rgb(NOISE_COLOUR), len(values)),))
    low, high = (float(end) for end in np.percentile(values[known], ENDS))
    high = high if high > low else low + 1
    ramp = np.rint(255 * matplotlib.colormaps["viridis"](np.arange(256))[:, :3]).astype(np.uint8)
    steps = np.clip((values[known] - low) / (high - low) * 255, 0, 255).astype(np.intp)
    colours[known] = ramp[steps]
    return Colouring(title, colours, scale=(low, high))


def _by_kind(title: str, column: pd.Series, table: tuple[str, ...]) -> Colouring:
    codes, kinds = pd.factorize(column.astype("string"), sort=True)
    counts = np.bincount(codes[codes >= 0], minlength=len(kinds))
    order = np.argsort(-counts, kind="stable")
    palette = np.tile(np.array(_rgb(NOISE_COLOUR), np.uint8), (len(kinds) + 1, 1))
    for place, kind in enumerate(order.tolist()):
        palette[kind] = _rgb(table[place % len(table)])
    entries = [
        (str(kinds[kind]), _rgb(table[place % len(table)]), int(counts[kind]))
        for place, kind in enumerate(order.tolist())
    ][:KINDS]
    unknown = int((codes < 0).sum())
    if unknown:
        entries.append((UNKNOWN, _rgb(NOISE_COLOUR), unknown))
    return Colouring(title, palette[codes], tuple(entries))


def _rgb(colour: str) -> Colour:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
