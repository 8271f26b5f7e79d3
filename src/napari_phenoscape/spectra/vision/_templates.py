"""Templates: the sensitivity of a photoreceptor from a few numbers that were measured."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

#: Slope and intercept of λmid over λcut of oil droplets, by type [Hart & Vorobyev 2005, table 1].
_DROPLETS = {"C": (0.99, 24.38), "Y": (0.90, 70.03), "R": (0.99, 28.65), "P": (0.96, 33.57)}


def pigment(nm: NDArray[np.float64], peak_nm: float, *, beta: bool = True) -> NDArray[np.float64]:
    """Absorbance of a visual pigment with vitamin A1 [1]_; the peak of the alpha band is 1.

    Parameters
    ----------
    nm : (n,)
        Wavelengths.
    peak_nm
        Of the alpha band (λmax).
    beta
        With the beta band, in the ultraviolet.

    References
    ----------
    .. [1] Govardovskii et al. 2000, eq. 1, 2, 4 and 5. https://doi.org/10.1017/S0952523800174036
    """
    x = peak_nm / nm
    a = 0.8795 + 0.0459 * np.exp(-((peak_nm - 300) ** 2) / 11940)
    alpha: NDArray[np.float64] = 1 / (
        np.exp(69.7 * (a - x)) + np.exp(28 * (0.922 - x)) + np.exp(-14.9 * (1.104 - x)) + 0.674
    )
    if not beta:
        return alpha
    centre, width = 189 + 0.315 * peak_nm, -40.5 + 0.195 * peak_nm
    return alpha + 0.26 * np.exp(-(((nm - centre) / width) ** 2))


def oil_droplet(
    nm: NDArray[np.float64], cut_nm: float, kind: Literal["C", "Y", "R", "P"]
) -> NDArray[np.float64]:
    """Transmittance of the oil droplet of a cone of birds [1]_.

    Parameters
    ----------
    nm : (n,)
        Wavelengths.
    cut_nm
        λcut: where the tangent at half of the greatest absorptance meets it, 5 % transmitted.
    kind
        C (clear: short waves), Y (yellow: middle), R (red: long), P (pale: double cones).

    References
    ----------
    .. [1] Hart & Vorobyev 2005. https://doi.org/10.1007/s00359-004-0595-3
    """
    slope, intercept = _DROPLETS[kind]
    steepness = 0.5 / (slope * cut_nm + intercept - cut_nm)
    transmittance: NDArray[np.float64] = np.exp(-np.exp(-2.89 * steepness * (nm - cut_nm) + 1.08))
    return transmittance
