"""Spectral operations: what lamp, spectrometer and camera do differently to different wavelengths.

Each is affine in the spectrum of a pixel, so it commutes with warps and mixes of bands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape._device import placed, together
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.views._colour import BandContext, blocks, shifted
from napari_phenoscape.views._filters import LinearFilter, RandomGaussianNoise
from napari_phenoscape.views._operation import NotNegativeInterval, between
from napari_phenoscape.views._photometric import Linear, Photometric

if TYPE_CHECKING:
    from torch import Tensor


class RandomExposure(Photometric):
    """One gain for all bands, 2 to the power of ± so many stops; the spectrum keeps its shape."""

    invariance: ClassVar[str] = "A longer exposure or a brighter lamp does not matter."
    draws: ClassVar[int] = 1

    kind: Literal["RandomExposure"] = "RandomExposure"
    stops: float = Field(
        0.3, ge=0, le=4, description="± this many stops", json_schema_extra={"step": 0.1}
    )

    def gain(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp2(between(u[:, 0], -self.stops, self.stops))

    @property
    def changes_pixels(self) -> bool:
        return False


class RandomIlluminantTilt(Linear):
    """Warmer or cooler light: a gain that changes smoothly from the first wavelength to the last.

    The gain is exp(a x + b (3 x² - 1) / 2), x being -1 at the shortest and 1 at the longest
    wavelength, a and b drawn within ± ``strength``: the first two Legendre polynomials of the
    logarithm of the lamp's change. Where a band has no wavelength, x is its place in the order UV,
    visible, infrared.
    """

    invariance: ClassVar[str] = "The colour of the lamp does not matter."
    draws: ClassVar[int] = 2

    kind: Literal["RandomIlluminantTilt"] = "RandomIlluminantTilt"
    strength: float = Field(
        0.1,
        ge=0,
        le=1,
        description="± this, as the logarithm of the gain",
        json_schema_extra={"step": 0.05},
    )

    def gains(self, u: NDArray[np.float64], context: BandContext) -> NDArray[np.float64]:
        """(N, C) factors."""
        a, b = between(u, -self.strength, self.strength).T[:, :, None]
        x = context.position
        gains: NDArray[np.float64] = np.exp(a * x + b * (1.5 * x**2 - 0.5))
        return gains

    def apply(
        self, image: Tensor, mask: Tensor, u: NDArray[np.float64], context: BandContext
    ) -> Tensor:
        gains = placed(self.gains(u, context), image.device, image.dtype)
        return image.mul_(gains[..., None, None])


class RandomBandShift(Linear):
    """A spectrometer whose calibration is a little off: the spectrum is read at shifted nm.

    Between bands it is linear; beyond the first and the last it goes on flat. The bands need
    wavelengths.
    """

    invariance: ClassVar[str] = "A small error of the wavelength calibration does not matter."
    draws: ClassVar[int] = 1

    kind: Literal["RandomBandShift"] = "RandomBandShift"
    shift_nm: float = Field(
        0.5, ge=0, le=20, description="± this many nm", json_schema_extra={"step": 0.1}
    )

    def shifts(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) nm; features move to longer waves when positive."""
        return between(u[:, 0], -self.shift_nm, self.shift_nm)

    def check(self, context: BandContext) -> None:
        if context.wavelengths_nm is None:
            raise BandMismatchError(
                "RandomBandShift moves the spectrum along its wavelengths, and not every band has "
                "one. Leave it out, or give the cube wavelengths."
            )

    def apply(
        self, image: Tensor, mask: Tensor, u: NDArray[np.float64], context: BandContext
    ) -> Tensor:
        assert context.wavelengths_nm is not None
        for block in blocks(image):
            block.copy_(shifted(block, context.wavelengths_nm, self.shifts(u)))
        return image


class RandomBandDropout(Photometric):
    """Bands fail: each, with the probability ``share``, shows its mean over the collection."""

    invariance: ClassVar[str] = "No single band decides; a faulty one does not matter."
    draws: ClassVar[int] = 1
    sees_specimen: ClassVar[bool] = False

    kind: Literal["RandomBandDropout"] = "RandomBandDropout"
    share: float = Field(
        0.05, ge=0, le=1, description="share of the bands", json_schema_extra={"step": 0.05}
    )

    def dropped(self, u: NDArray[np.float64], bands: int) -> NDArray[np.bool_]:
        """(N, C) True where a band fails."""
        seeds = (u[:, 0] * 2.0**53).astype(np.int64)
        return np.stack([np.random.default_rng(s).random(bands) < self.share for s in seeds])

    def is_affine(self, context: BandContext) -> bool:
        return True

    def apply(
        self, image: Tensor, mask: Tensor, u: NDArray[np.float64], context: BandContext
    ) -> Tensor:
        row, band = np.nonzero(self.dropped(u, image.shape[1]))
        mean = placed(context.mean[band], image.device, image.dtype)[:, None, None]
        image[placed(row, image.device), placed(band, image.device)] = mean
        return image

    def warning(self) -> str:
        if self.p and self.share > 0.5:
            return (
                f"RandomBandDropout hides {self.share:.0%} of the bands; what shows in few bands "
                "will not be learned."
            )
        return ""


class RandomSensorNoise(RandomGaussianNoise):
    """Independent normal noise with a level of each band's own.

    A sensor sees worst at the ends of its range: the level is ``std`` at the middle wavelength and
    grows with the square of the distance to ``ends`` times as much at the first and the last.
    """

    invariance: ClassVar[str] = (
        "Noise of the sensor, worst at the ends of its range, does not matter."
    )

    kind: Literal["RandomSensorNoise"] = "RandomSensorNoise"  # type: ignore[assignment]
    ends: float = Field(3.0, ge=0, le=20, description="level at the first and last band, times std")

    def unit(self, context: BandContext) -> NDArray[np.float32]:
        return (context.mean * (1 + (self.ends - 1) * context.position**2)).astype(np.float32)


class RandomVignetting(LinearFilter):
    """The picture darkens towards its border, by the cos⁴ law of a lens.

    At the distance r from a centre (r = 1 half a view away) the light falls to
    (1 + (r tan(angle))²)⁻². The centre lies within half of half the view about the middle.
    """

    invariance: ClassVar[str] = "The specimen's place in the lens' field does not matter."
    draws: ClassVar[int] = 3
    mixes_pixels: ClassVar[bool] = False

    kind: Literal["RandomVignetting"] = "RandomVignetting"
    angle: NotNegativeInterval = Field(
        (0.0, 20.0), description="degrees that half the view spans; drawn for each view"
    )

    def falloff(self, u: NDArray[np.float64], size: int) -> NDArray[np.float64]:
        """(N, size, size) factors."""
        x, y, tangent = self._distances(u, size)
        light: NDArray[np.float64] = (1 + (x + y) * tangent) ** -2.0
        return light

    def _distances(self, u: NDArray[np.float64], size: int) -> tuple[NDArray[np.float64], ...]:
        """Squares of x and y, (N, 1, size) and (N, size, 1), and of the tangent, (N, 1, 1)."""
        tangent = np.tan(np.deg2rad(np.minimum(between(u[:, 0], *self.angle), 80)))
        centre = between(u[:, 1:3], -0.5, 0.5)
        line = (2 * np.arange(size) + 1) / size - 1
        x, y = ((line - centre[:, i : i + 1]) ** 2 for i in (0, 1))
        return x[:, None, :], y[:, :, None], tangent[:, None, None] ** 2

    def apply(self, view: Tensor, u: NDArray[np.float64], first_band: int, unit: Tensor) -> Tensor:
        size, device = view.shape[-1], view.device
        if not together(device):
            return view.mul_(view.new_tensor(self.falloff(u, size))[:, None])
        # less to bring there than the factors of every pixel
        x, y, tangent = (placed(each, device, view.dtype) for each in self._distances(u, size))
        return view.mul_(((1 + (x + y) * tangent) ** -2.0)[:, None])

    def adjoint(self, grad: Tensor, u: NDArray[np.float64]) -> None:
        self.apply(grad, u, 0, grad)
