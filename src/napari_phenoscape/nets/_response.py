"""Response curves: a stem that sees spectra as receptors do, in the bands of any camera."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from napari_phenoscape.cubes import RGB_NM, Band, Bands
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.nets._options import RGB_ENDS_NM, SpectralResponse
from napari_phenoscape.nets._stem import Mix, as_tensor, floored
from napari_phenoscape.spectra import VisualSystem, built_in_system

#: The first and the last band speak for so many nm beyond their centres.
MARGIN_NM = 10.0

#: Distance in nm of the spline's knots: no curve is narrower than about this.
KNOT_NM = 10.0

#: Standard deviation in nm of a camera's sensitivities (full width at half maximum 70 nm).
CAMERA_NM = 30.0


class ResponseCurves(Mix):
    """K smooth curves over wavelength, each integrated with the spectrum of every pixel.

    Plane k is ``∫ s_k(λ) (x(λ) - mean(λ)) dλ / scale_k``: x(λ) is the pixel's spectrum, linear
    between the bands' centres; s_k is a cubic B-spline with learned coefficients; mean is the mean
    spectrum of the collection. Nothing that is learned or kept knows the bands, so the same state
    serves the bands of another camera. Wavelengths that a camera does not see count as the mean.

    Curves begin as bells of unit area. With ``start: rgb`` the first three begin as bells around
    640, 550 and 460 nm, unmixed so that a camera with these three bands sees each band in its own
    plane and in no other; pretrained kernels for R, G, B go to these three, and zeros to the rest.
    With an eye, the first begin as its receptors' sensitivities to quanta, of unit area.

    Parameters
    ----------
    option
        How many curves, where, and what they begin as.
    bands
        C bands, each with a wavelength, in any order.
    mean, std : (C,)
        Reflectance of the collection. Replaced when a state is loaded.
    over
        Bands over whose wavelengths the curves are spread, those of all modalities that share them.

    Raises
    ------
    BandMismatchError
        A band has no wavelength, or one outside the curves' range.
    """

    spectrum: Tensor
    scale: Tensor
    basis: Tensor
    sampling: Tensor

    def __init__(
        self,
        option: SpectralResponse,
        bands: Bands,
        mean: ArrayLike,
        std: ArrayLike,
        over: Bands = Bands(),  # noqa: B008, a tuple
    ) -> None:
        wavelengths_nm = _wavelengths_nm(bands, option)
        grid = np.arange(option.range_nm[0], option.range_nm[1] + 1)  # 1 nm apart
        knots, basis = _splines(grid)
        everywhere = _seen(grid, _wavelengths_nm(Bands([*bands, *over]), option))
        match option.start:
            case "bells":
                first, names = np.empty((0, len(knots))), []
            case "rgb":
                first = _camera(grid, knots, basis)
                names = [Band(name, nm) for name, nm in zip("RGB", RGB_NM, strict=True)]
            case eye:
                first, names = _receptors(built_in_system(eye), grid, basis)
        bells_nm = np.linspace(
            grid[everywhere].min(), grid[everywhere].max(), option.curves - len(first)
        )
        curves = np.concatenate([first, _bells(bells_nm, knots, basis[:, everywhere])])
        super().__init__(Bands([*names, *(Band(f"{nm:.0f} nm", float(nm)) for nm in bells_nm)]))

        self.grid_nm, self.seen = grid, _seen(grid, wavelengths_nm)
        seen = basis * self.seen
        sampling = _interpolation(grid, wavelengths_nm)  # (G, C)
        self.start = option.start
        self.coefficients = nn.Parameter(as_tensor(curves), requires_grad=option.learned)  # (K, B)
        self.register_buffer("spectrum", as_tensor(sampling @ np.asarray(mean)))  # (G,)
        # the standard deviation if neighbouring bands rise and fall together, as in smooth spectra
        spread = curves @ seen @ sampling @ np.asarray(std)
        self.register_buffer("scale", floored(as_tensor(spread)))  # (K,)
        # these follow from the bands and are not kept
        self.register_buffer("basis", as_tensor(seen), persistent=False)  # (B, G)
        self.register_buffer("sampling", as_tensor(seen @ sampling), persistent=False)  # (B, C)

    def kernels(self) -> NDArray[np.float64]:
        """Pretrained kernels go by wavelength, or to the camera's curves alone."""
        return np.eye(3, len(self.planes)) if self.start == "rgb" else super().kernels()

    def matrix(self) -> Tensor:
        return self.coefficients @ self.sampling / self.scale[:, None]

    def offset(self) -> Tensor:
        return self.coefficients @ (self.basis @ self.spectrum) / self.scale

    def curves(self) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """(G,) wavelengths in nm, and the (K, G) sensitivities s_k(λ), per nm.

        NaN where the bands see nothing, for there is nothing to learn from.
        """
        with torch.no_grad():
            values: NDArray[np.float32] = (self.coefficients @ self.basis).cpu().numpy()
        values[:, ~self.seen] = np.nan
        return self.grid_nm, values


def _wavelengths_nm(bands: Bands, option: SpectralResponse) -> NDArray[np.float64]:
    low, high = option.range_nm
    for band in bands:
        if band.wavelength_nm is None:
            raise BandMismatchError(
                f"The band '{band.name}' has no wavelength, which response curves over nm need. "
                "Choose the stem 'convolution', or give the cube wavelengths."
            )
        if not low <= band.wavelength_nm <= high:
            raise BandMismatchError(
                f"The band '{band.name}' ({band.wavelength_nm:g} nm) lies outside the response "
                f"curves' range of {low:g}-{high:g} nm. Widen the stem's 'range_nm', or choose a "
                "modality within it."
            )
    return bands.x


def _seen(grid: NDArray[np.float64], wavelengths_nm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(G,) whether a camera sees a wavelength."""
    low, high = wavelengths_nm.min() - MARGIN_NM, wavelengths_nm.max() + MARGIN_NM
    seen: NDArray[np.bool_] = (grid >= low) & (grid <= high)
    return seen


def _bells(
    bells_nm: NDArray[np.float64], knots: NDArray[np.float64], basis: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(K, B) coefficients of bells of unit area; neighbours cross at 0.6 of their height."""
    step = bells_nm[1] - bells_nm[0] if len(bells_nm) > 1 else 0.0
    bells = _gaussians(bells_nm, knots, max(KNOT_NM, step / 2))
    bells /= (bells @ basis).sum(1, keepdims=True)
    return bells


def _camera(
    grid: NDArray[np.float64], knots: NDArray[np.float64], basis: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(3, B) coefficients that tell three bands at 640, 550 and 460 nm apart exactly."""
    mixed = _gaussians(np.array(RGB_NM), knots, CAMERA_NM)
    seen = (grid >= RGB_ENDS_NM[0]) & (grid <= RGB_ENDS_NM[1])
    answers = mixed @ (basis * seen) @ _interpolation(grid, np.array(RGB_NM))  # (3, 3)
    return np.asarray(np.linalg.solve(answers, mixed), dtype=np.float64)


def _receptors(
    eye: VisualSystem, grid: NDArray[np.float64], basis: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[Band]]:
    """(K, B) coefficients nearest to the sensitivities of an eye, and what each sees."""
    wanted = eye.sensitivities.at(grid)
    fitted, *_ = np.linalg.lstsq(basis.T, wanted.T, rcond=None)
    curves = np.asarray(fitted.T / wanted.sum(axis=1, keepdims=True), dtype=np.float64)
    peaks = zip(eye.receptors, eye.peaks_nm.tolist(), strict=True)
    return curves, [Band(name, peak) for name, peak in peaks]


def _gaussians(
    peaks_nm: NDArray[np.float64], knots: NDArray[np.float64], sd_nm: float
) -> NDArray[np.float64]:
    """(K, B) bells of height 1."""
    bells: NDArray[np.float64] = np.exp(-0.5 * ((knots - peaks_nm[:, None]) / sd_nm) ** 2)
    return bells


def _interpolation(
    grid: NDArray[np.float64], wavelengths_nm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(G, C) matrix of linear interpolation; bands of the same wavelength share its weight."""
    nm, index, counts = np.unique(wavelengths_nm, return_inverse=True, return_counts=True)
    hats = np.stack([np.interp(grid, nm, unit) for unit in np.eye(len(nm))], axis=1)
    matrix: NDArray[np.float64] = hats[:, index] / counts[index]
    return matrix


def _splines(grid: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres (B,) and values (B, G) of cubic B-splines over the grid, which sum to 1."""
    centres = np.arange(grid[0] - KNOT_NM, grid[-1] + 2 * KNOT_NM, KNOT_NM)
    t = np.abs(grid - centres[:, None]) / KNOT_NM
    basis = np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.clip(2 - t, 0, None) ** 3 / 6)
    return centres, basis
