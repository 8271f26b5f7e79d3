"""The figure of response curves over nm, as PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import REGION_ENDS_NM, save_figure


def curves_figure(
    wavelengths_nm: NDArray[np.float64], curves: Mapping[str, NDArray[np.float32]], path: Path
) -> None:
    """Sensitivity over wavelength, a panel for each modality; each curve over its own maximum.

    Parameters
    ----------
    wavelengths_nm : (G,)
        Rising.
    curves : (K, G) each
        By modality. NaN where its bands see nothing.
    path
        The PNG to write.

    Raises
    ------
    RunError
        The disk is full or cannot be written; a file that was there stays.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    rows = len(curves)
    figure = Figure(figsize=(6.3, 2.36 * rows), layout="constrained")
    all_axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    seen = wavelengths_nm[np.isfinite(np.concatenate(tuple(curves.values()))).any(0)]
    low, high = seen.min(), seen.max()
    for axes, (name, values) in zip(all_axes, curves.items(), strict=True):
        for curve in values:
            peak = wavelengths_nm[np.nanargmax(np.abs(curve))]
            colour = colormaps["turbo"]((peak - low) / max(high - low, 1))
            axes.plot(wavelengths_nm, curve / np.nanmax(np.abs(curve)), color=colour, linewidth=1)
        axes.axhline(0, color="#707070", linewidth=0.5)
        for _, end in REGION_ENDS_NM:
            if low < end < high:
                axes.axvline(end, color="#707070", linewidth=0.5, linestyle=":")
        axes.set_xlim(low, high)
        axes.set_title(f"{name}: {len(values)} curves", size=9, color="#222222", parse_math=False)
        axes.set_ylabel("relative sensitivity", size=8)
        axes.tick_params(labelsize=7.5)
    all_axes[-1].set_xlabel("wavelength (nm)", size=8)
    save_figure(figure, path)
