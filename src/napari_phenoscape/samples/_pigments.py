"""Reflectance of pigments and scales, and the cameras that look at them.

Everything is sampled at the 408 band centres of the hyperspectral camera, so that its cube and
the two ordinary cameras see the very same light.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Spectrum = NDArray[np.float64]

#: (408,) band centres in nm: 348.39 to 809.61, step 1.1332.
WAVELENGTHS_NM: Spectrum = 348.39 + 1.1332 * np.arange(408, dtype=np.float64)

#: Nothing that only the UV shows reaches beyond this, and no UV light gets past it to the RGB
#: camera.
UV_END_NM = 400.0


def eumelanin(density: float) -> Spectrum:
    """(408,) dark brown to black; absorption falls exponentially with wavelength [1]_.

    Parameters
    ----------
    density
        Absorption over scattering at 550 nm; 4 is nearly black.

    References
    ----------
    .. [1] Meredith & Sarna 2006, The physical and chemical properties of eumelanin,
       Pigment Cell Research 19: 572-594.
    """
    return _scattered(density * np.exp((550 - WAVELENGTHS_NM) / 150))


def pheomelanin(density: float) -> Spectrum:
    """(408,) rufous; absorbs as `eumelanin` does, but falls off faster towards the red [1]_.

    References
    ----------
    .. [1] McGraw 2006, Mechanics of melanin-based coloration, in: Hill & McGraw (eds),
       Bird Coloration I, Harvard University Press.
    """
    return _scattered(density * np.exp((550 - WAVELENGTHS_NM) / 70))


def carotenoid(density: float) -> Spectrum:
    """(408,) yellow: a step near 500 nm, a little reflectance left in the UV [1]_.

    Three vibronic absorption peaks at 425, 450 and 478 nm, and a weak one in the UV.

    References
    ----------
    .. [1] McGraw 2006, Mechanics of carotenoid-based coloration, in: Hill & McGraw (eds),
       Bird Coloration I, Harvard University Press.
    """
    peaks = ((425, 22, 0.7), (450, 14, 1.0), (478, 13, 0.9), (340, 25, 0.5))
    absorption = np.sum([height * _bell(centre, width) for centre, width, height in peaks], axis=0)
    return _scattered(0.06 + density * absorption)


def pterin(density: float) -> Spectrum:
    """(408,) the yellow of pierid wings: absorbs violet and all of the UV [1]_.

    References
    ----------
    .. [1] Wijnen, Leertouwer & Stavenga 2007, Colors and pterin pigmentation of pierid butterfly
       wings, Journal of Insect Physiology 53: 1206-1217.
    """
    return _scattered(0.06 + density * _edge(455, 14))


def white(uv_absorption: float) -> Spectrum:
    """(408,) unpigmented keratin or chitin, scattering all of the visible alike.

    Parameters
    ----------
    uv_absorption
        Absorption over scattering in the UV: 0 reflects it as well, 3 hides it. Exactly none
        from 400 nm on, so no eye like ours can tell.
    """
    return _scattered(0.06 + uv_absorption * _below_visible())


def structural(peak_nm: float, width_nm: float, height: float) -> Spectrum:
    """(408,) interference peak of stacked layers, to be added to the pigment underneath [1]_.

    Parameters
    ----------
    peak_nm, width_nm
        Centre and standard deviation of the Gaussian.
    height
        Reflectance at the peak.

    References
    ----------
    .. [1] Vukusic et al. 1999, Quantified interference and diffraction in single Morpho butterfly
       scales, Proceedings of the Royal Society B 266: 1403-1411.
    """
    return height * _bell(peak_nm, width_nm)


def uv_scales(height: float) -> Spectrum:
    """(408,) UV interference scales, to be added to the pigment underneath [1]_ [2]_.

    As broad as measured, but ending at exactly 400 nm: in the visible nothing is added, not even
    a rounding error.

    References
    ----------
    .. [1] Ghiradella et al. 1972, Ultraviolet reflection of a male butterfly: interference color
       caused by thin-layer elaboration of wing scales, Science 178: 1214-1217.
    .. [2] Rutowski et al. 2005, Pterin pigments amplify iridescent ultraviolet signal in males of
       the orange sulphur butterfly, Colias eurytheme, Proceedings of the Royal Society B 272:
       2329-2335.
    """
    return height * _below_visible()


def white_balanced_cameras() -> NDArray[np.float64]:
    """(6, 408) weights of R, G, B, UV_R, UV_G, UV_B; each row sums to 1 (a perfect white gives 1).

    The RGB camera is blind below 400 nm and above 700 nm. The UV camera is the same sensor behind
    a filter that is black from 400 nm on; its three colour filters leak there, unequally. The
    illuminant is a 6000 K black body, like sunlight or a xenon arc.
    """
    visible = (WAVELENGTHS_NM >= UV_END_NM) & (WAVELENGTHS_NM <= 700)
    rgb = [visible * _bell(centre, 32) for centre in (600, 540, 460)]
    uv = [_below_visible() * _bell(centre, 12) for centre in (380, 365, 350)]
    metres = WAVELENGTHS_NM * 1e-9
    illuminant = metres**-5 / np.expm1(0.014388 / (metres * 6000))
    weights = np.array(rgb + uv) * illuminant
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _scattered(absorption: Spectrum) -> Spectrum:
    """Reflectance of a thick layer with this absorption over scattering (Kubelka & Munk 1931)."""
    return 1 + absorption - np.sqrt(absorption**2 + 2 * absorption)


def _bell(centre_nm: float, width_nm: float) -> Spectrum:
    return np.exp(-0.5 * ((WAVELENGTHS_NM - centre_nm) / width_nm) ** 2)


def _edge(centre_nm: float, width_nm: float) -> Spectrum:
    """1 below the centre, 0 above."""
    return 1 / (1 + np.exp((WAVELENGTHS_NM - centre_nm) / width_nm))


def _below_visible() -> Spectrum:
    """Raised cosine from 1 at 355 nm and below to exactly 0 at 400 nm and above."""
    phase = np.clip((WAVELENGTHS_NM - 355) / (UV_END_NM - 355), 0, 1)
    return np.where(phase < 1, 0.5 + 0.5 * np.cos(np.pi * phase), 0.0)
