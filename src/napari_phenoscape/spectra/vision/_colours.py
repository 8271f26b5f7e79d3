"""Colours as numbers: a table of what an eye catches, and where that lies in its colour space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape.spectra.vision._catch import Eye
from napari_phenoscape.spectra.vision._tetrahedron import relative_catches, tetrahedral


def colours_table(
    eye: Eye, catches: Sequence[tuple[str, NDArray[np.floating[Any]]]]
) -> pd.DataFrame:
    """One row per specimen, region or pixel.

    Parameters
    ----------
    eye
        With K receptors.
    catches
        Names and (K,) catches (`cone_catch`).

    Returns
    -------
    Column ``name``; a column for each receptor, 1 for a perfect white; the relative catch of each
    receptor that sees colour, ``uv_share`` and so on, which add up to 1; and of tetrachromats
    ``x y z theta phi r r_max r_achieved`` (`Tetrahedral`, angles in radians).
    """
    names = [name for name, _ in catches]
    caught = np.array([values for _, values in catches], dtype=np.float64)
    caught = caught.reshape(-1, len(eye.receptors))
    colour = list(eye.colour_receptors)
    columns: dict[str, Any] = {"name": names, **dict(zip(eye.receptors, caught.T, strict=True))}
    shares = relative_catches(caught[:, colour])
    columns |= {
        f"{eye.receptors[i]}_share": share for i, share in zip(colour, shares.T, strict=True)
    }
    if len(colour) == 4:
        found = tetrahedral(caught[:, colour])
        columns |= dict(zip("xyz", found.xyz.T, strict=True))
        columns |= {
            "theta": found.theta, "phi": found.phi,
            "r": found.r, "r_max": found.r_max, "r_achieved": found.r_achieved,
        }  # fmt: skip
    return pd.DataFrame(columns)
