"""Colours: how far clusters are apart for an eye, in units of what it can just tell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape.analysis.explanation._explanation import Explanation
from napari_phenoscape.analysis.explanation._spectra import SpecimenSpectra
from napari_phenoscape.cubes import Cube, visual_systems
from napari_phenoscape.errors import BandMismatchError, OptionError
from napari_phenoscape.spectra import (
    Eye,
    cone_catch,
    densities_of,
    discrimination,
    read_eye,
    told,
    weber_fractions,
    weber_of,
)

#: Draws of specimens, and the share of their distances that the interval holds.
DRAWS, INTERVAL = 1000, 0.95


def colour_catches(spectra: SpecimenSpectra, eye: Eye) -> NDArray[np.float64]:
    """(N, n) catches of the receptors that see colour, short waves first, of mean spectra.

    NaN for a specimen that lacks bands, or of which a receptor catches nothing.

    Raises
    ------
    BandMismatchError
        The eye sees what these bands do not.
    """
    values = spectra.values.T[:, None].astype(np.float32)  # (C, 1, N)
    caught = cone_catch(Cube(values, spectra.bands, Path("specimens")), eye).reflectance()[:, 0].T
    colour = caught[:, list(eye.colour_receptors)].astype(np.float64)
    return np.where((colour > 0).all(axis=1, keepdims=True), colour, np.nan)


def eyes_of(spectra: SpecimenSpectra) -> tuple[str, ...]:
    """Names of the eyes whose catches these bands give, and whose receptors were counted."""
    found = []
    for name in visual_systems():
        try:
            eye = read_eye(name)
            densities_of(eye)
            colour_catches(spectra, eye)
        except (BandMismatchError, OptionError):
            continue
        found.append(name)
    return tuple(found)


def colour_distances(
    explanation: Explanation,
    eye: Eye,
    densities: Sequence[float] | None = None,
    weber: float | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """How far the mean colours of clusters are apart; see `discrimination`.

    The colour of a cluster is the geometric mean of its specimens' catches, each of its mean
    spectrum: of the whole specimen, not of a patch. The interval is of drawing specimens with
    replacement within clusters [1]_; as drawn means vary, it lies above the distance where that is
    near 0.

    Parameters
    ----------
    densities : (n,)
        Relative numbers of the receptors, short waves first; None: those that are known.
    weber
        Noise over signal of the receptor of the longest waves; None: see `weber_of`.

    Returns
    -------
    One row for each two clusters but noise: ``eye``; ``cluster, name, n`` and ``other, other_name,
    other_n``, n specimens; ``jnd, low, high, words``.

    Raises
    ------
    BandMismatchError, OptionError
        See `colour_catches` and `densities_of`; or there are not as many densities as receptors.

    References
    ----------
    .. [1] Maia & White 2018, Comparing colors using visual models.
       https://doi.org/10.1093/beheco/ary017
    """
    numbers = densities_of(eye) if densities is None else tuple(densities)
    receptors = [eye.receptors[i] for i in eye.colour_receptors]
    if len(numbers) != len(receptors) or min(numbers) <= 0:
        raise OptionError(
            f"'{eye.name}' sees colour by {', '.join(receptors)}, and the densities "
            f"{':'.join(f'{n:g}' for n in numbers)} are {len(numbers)}. Give {len(receptors)} "
            "numbers above 0, from short waves to long."
        )
    noise = weber_fractions(numbers, weber_of(eye) if weber is None else weber)
    rng = np.random.default_rng(seed)
    signals = np.log(colour_catches(explanation.spectra, eye))
    means, drawn, count = {}, {}, {}
    for number in explanation.nearest:
        own = signals[explanation.membership.labels == number]
        own = own[np.isfinite(own).all(axis=1)]
        count[number] = len(own)
        means[number] = own.mean(axis=0) if len(own) else np.full(len(numbers), np.nan)
        drawn[number] = np.full((DRAWS, len(numbers)), np.nan)
        if len(own) > 1:
            for draw in drawn[number]:
                draw[:] = own[rng.integers(len(own), size=len(own))].mean(axis=0)
    rows, names = [], explanation.clusters.names
    for a, b in combinations(explanation.nearest, 2):
        jnd = float(discrimination(np.exp(means[a]), np.exp(means[b]), noise))
        spread = discrimination(np.exp(drawn[a]), np.exp(drawn[b]), noise)
        low, high = np.quantile(spread, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
        both = (eye.name, a, names[a], count[a], b, names[b], count[b])
        rows.append((*both, jnd, low, high, told(jnd)))
    columns = ["eye", "cluster", "name", "n", "other", "other_name", "other_n"]
    columns += ["jnd", "low", "high", "words"]
    return pd.DataFrame(rows, columns=columns)
