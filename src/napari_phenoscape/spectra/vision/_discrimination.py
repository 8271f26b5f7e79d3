"""Discrimination: how far two colours are apart for an eye, in units of what it can just tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.errors import OptionError
from napari_phenoscape.spectra.vision._catch import Eye

#: Relative numbers of the receptors that see colour, from short waves to long, as others who use
#: the model quote them: blue tit, Hart et al. 2000; peafowl, Hart 2002; human, Olsson et al. 2018
#: (https://doi.org/10.1093/beheco/arx133).
DENSITIES: dict[str, tuple[float, ...]] = {
    "bird-uv": (1, 1.92, 2.68, 2.7),
    "bird-v": (1, 1.9, 2.2, 2.1),
    "human": (1, 10, 30),
}

#: Noise over signal of the receptor of the longest waves: that of a bird, which pavo takes of all;
#: and where another is known (human: Olsson et al. 2018).
WEBER = 0.1
WEBERS = {"human": 0.02}

#: Below the first, two colours are hard to tell; above the second it is easy (Siddiqi et al. 2004,
#: https://doi.org/10.1242/jeb.01047).
HARD, EASY = 1.0, 3.0


def densities_of(eye: Eye) -> tuple[float, ...]:
    """Relative numbers of the receptors of an eye that see colour, from short waves to long.

    Raises
    ------
    OptionError
        They are not known.
    """
    if eye.name not in DENSITIES:
        raise OptionError(
            f"How many receptors of each kind '{eye.name}' has is not known, and their noise "
            f"depends on it. Give {len(eye.colour_receptors)} relative numbers, from short waves "
            "to long, e.g. 1:2:2:4."
        )
    return DENSITIES[eye.name]


def densities_from(words: str) -> tuple[float, ...] | None:
    """``1:2:2:4`` as numbers; None of nothing.

    Raises
    ------
    OptionError
        They are none.
    """
    try:
        return tuple(float(word) for word in words.split(":")) if words.strip() else None
    except ValueError:
        raise OptionError(
            f"The densities '{words}' are no numbers with colons between them. Write e.g. 1:2:2:4."
        ) from None


def weber_of(eye: Eye) -> float:
    """Noise over signal of the receptor of the longest waves; that of a bird if not known."""
    return WEBERS.get(eye.name, WEBER)


def weber_fractions(densities: Sequence[float], weber: float = WEBER) -> NDArray[np.float64]:
    """(n,) noise over signal of n kinds of receptors by their numbers [1]_.

    ``e_i = weber / sqrt(n_i / n_last)``: ``weber`` is that of the last, of the longest waves.

    References
    ----------
    .. [1] Vorobyev & Osorio 1998. https://doi.org/10.1098/rspb.1998.0302
    """
    numbers = np.asarray(densities, np.float64)
    return np.asarray(weber / np.sqrt(numbers / numbers[-1]))


def discrimination(
    a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], noise: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(...,) distance of two colours in units that are just noticeable (JND) [1]_.

    Receptors' signals are the logarithms of their catches, so ``d = ln a - ln b``; the noise of
    each is independent, and brightness, which moves all signals alike, is not seen: the distance is
    the Mahalanobis one in what is orthogonal to it [2]_, for any number of receptors ::

        S^2 = sum_i d_i^2 / e_i^2 - (sum_i d_i / e_i^2)^2 / sum_i 1 / e_i^2

    which for two, three and four are the formulae of [1]_.

    Parameters
    ----------
    a, b : (..., n)
        Catches, above 0; any factor of a receptor that both share drops out.
    noise : (n,)
        See `weber_fractions`; of neurons: it does not depend on how bright it is.

    References
    ----------
    .. [1] Vorobyev & Osorio 1998, eq. 3-5. https://doi.org/10.1098/rspb.1998.0302
    .. [2] Clark, Santer & Brebner 2017. https://doi.org/10.1098/rsos.170712
    """
    apart = np.log(np.asarray(a, np.float64)) - np.log(np.asarray(b, np.float64))
    weights = 1 / noise**2
    seen = apart - (apart @ weights / weights.sum())[..., None]
    return np.asarray(np.sqrt((seen**2 * weights).sum(axis=-1)))


def told(jnd: float) -> str:
    """Whether two colours can be told apart, in words; "" where it is not known."""
    if not np.isfinite(jnd):
        return ""
    return "hard to tell" if jnd < HARD else "easy to tell" if jnd > EASY else "can be told"
