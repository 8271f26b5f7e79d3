"""Templates: the sensitivity of a photoreceptor from a few numbers that were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.spectra.vision._curves import Curves
from napari_phenoscape.spectra.vision._quadrature import steps_nm

#: Types of oil droplets: C (clear: short waves), Y (yellow: middle), R (red: long), P (pale:
#: double cones). Transparent ones filter nothing.
Droplet = Literal["C", "Y", "R", "P"]

#: Slope and intercept of λmid over λcut of oil droplets, by type [Hart & Vorobyev 2005].
_DROPLETS: dict[Droplet, tuple[float, float]] = {
    "C": (0.99, 24.38), "Y": (0.90, 70.03), "R": (0.99, 28.65), "P": (0.96, 33.57),
}  # fmt: skip

#: Polynomial whose logarithm is the transmittance of the ocular media, and where that is a half
#: [Hart & Vorobyev 2005, as quoted by Maia et al. 2019].
_MEDIA, _MEDIA_HALF_NM = (8.928e-13, -2.595e-9, 3.006e-6, -0.001736, 0.5013, -55.56), 335.0

#: Wavelengths that templates are computed at: those of sunlight, up to where no pigment absorbs.
_TEMPLATE_NM = (300.0, 750.0)


@dataclass(frozen=True)
class Receptor:
    """A photoreceptor by the numbers that are published of it.

    Parameters
    ----------
    name
        As in micaToolbox.
    peak_nm
        λmax of the alpha band of its pigment.
    droplet
        Type and λcut of the oil droplet before it. None: none, or a transparent one.
    """

    name: str
    peak_nm: float
    droplet: tuple[Droplet, float] | None = None


def template_sensitivities(receptors: Sequence[Receptor], media_nm: float | None = None) -> Curves:
    """Sensitivities to quanta, at every nm from 300 to 750; peaks are 1.

    Pigment times droplet times ocular media. Self-screening in the outer segment is left out.

    Parameters
    ----------
    media_nm
        Where the ocular media pass half of the light. None: they pass all.
    """
    nm = steps_nm(*_TEMPLATE_NM)
    values = np.array([pigment(nm, receptor.peak_nm) for receptor in receptors])
    for curve, receptor in zip(values, receptors, strict=True):
        if receptor.droplet is not None:
            kind, cut_nm = receptor.droplet
            curve *= oil_droplet(nm, cut_nm, kind)
    if media_nm is not None:
        values *= ocular_media(nm, media_nm)
    values /= values.max(axis=1, keepdims=True)
    return Curves(tuple(receptor.name for receptor in receptors), nm, values)


def pigment(
    wavelengths_nm: NDArray[np.float64], peak_nm: float, *, beta: bool = True
) -> NDArray[np.float64]:
    """Absorbance of a visual pigment with vitamin A1 [1]_; the peak of the alpha band is 1.

    Parameters
    ----------
    wavelengths_nm : (n,)
        Wavelengths.
    peak_nm
        Of the alpha band (λmax).
    beta
        With the beta band, in the ultraviolet.

    References
    ----------
    .. [1] Govardovskii et al. 2000, eq. 1, 2, 4 and 5. https://doi.org/10.1017/S0952523800174036
    """
    x = peak_nm / wavelengths_nm
    a = 0.8795 + 0.0459 * np.exp(-((peak_nm - 300) ** 2) / 11940)
    alpha: NDArray[np.float64] = 1 / (
        np.exp(69.7 * (a - x)) + np.exp(28 * (0.922 - x)) + np.exp(-14.9 * (1.104 - x)) + 0.674
    )
    if not beta:
        return alpha
    centre, width = 189 + 0.315 * peak_nm, -40.5 + 0.195 * peak_nm
    return alpha + 0.26 * np.exp(-(((wavelengths_nm - centre) / width) ** 2))


def oil_droplet(
    wavelengths_nm: NDArray[np.float64], cut_nm: float, kind: Droplet
) -> NDArray[np.float64]:
    """Transmittance of the oil droplet of a cone of birds [1]_.

    Parameters
    ----------
    wavelengths_nm : (n,)
        Wavelengths.
    cut_nm
        λcut: where the tangent at half of the greatest absorptance meets it, 5 % transmitted.
    kind
        Its type, which says how steep it is.

    References
    ----------
    .. [1] Hart & Vorobyev 2005. https://doi.org/10.1007/s00359-004-0595-3
    """
    slope, intercept = _DROPLETS[kind]
    steepness = 0.5 / (slope * cut_nm + intercept - cut_nm)
    transmittance: NDArray[np.float64] = np.exp(
        -np.exp(-2.89 * steepness * (wavelengths_nm - cut_nm) + 1.08)
    )
    return transmittance


def ocular_media(wavelengths_nm: NDArray[np.float64], half_nm: float) -> NDArray[np.float64]:
    """Transmittance of cornea, lens and humours of the eyes of birds, 0-1.

    The curve published for the mean of some species [1]_, moved along the wavelengths so that half
    of the light passes where it was measured to: at 323 nm in the mean of birds whose shortest
    cone is ultraviolet-sensitive, at 358 nm in that of those with a violet-sensitive one [2]_.

    Parameters
    ----------
    wavelengths_nm : (n,)
        Wavelengths, 270-800.
    half_nm
        λT0.5.

    References
    ----------
    .. [1] Hart & Vorobyev 2005. https://doi.org/10.1007/s00359-004-0595-3
    .. [2] Lind et al. 2014. https://doi.org/10.1098/rspb.2013.2209
    """
    quintic = np.polyval(_MEDIA, wavelengths_nm + _MEDIA_HALF_NM - half_nm)
    transmittance: NDArray[np.float64] = np.log(quintic.clip(1, np.e))
    return transmittance
