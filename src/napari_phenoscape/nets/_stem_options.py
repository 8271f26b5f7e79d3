"""Options of the stems: what a backbone is shown of the bands. Torch is in what they build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from numpy.typing import ArrayLike
from pydantic import Field, model_validator

from napari_phenoscape.cubes import Bands
from napari_phenoscape.option import Option, Variants

if TYPE_CHECKING:
    from napari_phenoscape.nets._stem import Stem

#: Of no bands.
NONE = Bands()

#: What three bands of a camera, at 460, 550 and 640 nm, see.
RGB_ENDS_NM = (450.0, 650.0)


class StemOption(Option):
    """Base of the stems."""

    #: Whether what it has learned serves the bands of another camera too.
    takes_any_bands: ClassVar[bool] = False

    kind: str

    def build(self, bands: Bands, mean: ArrayLike, std: ArrayLike, over: Bands = NONE) -> Stem:
        """The module that makes K planes of C bands; its weights are from torch's random state.

        Parameters
        ----------
        bands
            C bands, in the order of the input.
        mean, std : (C,)
            Reflectance of the collection; to be kept in buffers, which loaded weights replace.
        over
            The bands of all modalities, where they share one stem.

        Raises
        ------
        BandMismatchError
            It cannot take these bands.
        """
        raise NotImplementedError


class Convolution(StemOption):
    """The backbone's first convolution takes every band as it is."""

    kind: Literal["convolution"] = "convolution"

    def build(self, bands: Bands, mean: ArrayLike, std: ArrayLike, over: Bands = NONE) -> Stem:
        from napari_phenoscape.nets._stem import Standardised

        return Standardised(bands, mean, std)


class Adapter(StemOption):
    """A learned 1×1 convolution mixes the bands into a few planes; it knows nothing of nm."""

    kind: Literal["adapter"] = "adapter"
    planes: int = Field(8, ge=1, le=256, description="planes that the bands are mixed into")

    def build(self, bands: Bands, mean: ArrayLike, std: ArrayLike, over: Bands = NONE) -> Stem:
        from napari_phenoscape.nets._stem import BandMix

        return BandMix(bands, mean, std, self.planes)


class SpectralAttention(StemOption):
    """Each image's own mean spectrum decides how much every band counts in it [1]_.

    References
    ----------
    .. [1] Hu et al. 2018, Squeeze-and-excitation networks, section 3.
       https://arxiv.org/abs/1709.01507
    """

    kind: Literal["spectral_attention"] = "spectral_attention"
    reduction: int = Field(
        4, ge=1, le=64, description="the hidden layer has the number of bands over this"
    )

    def build(self, bands: Bands, mean: ArrayLike, std: ArrayLike, over: Bands = NONE) -> Stem:
        from napari_phenoscape.nets._stem import BandGates

        return BandGates(bands, mean, std, self.reduction)


class SpectralResponse(StemOption):
    """Smooth response curves over wavelength, like receptors, mix the bands into a few planes."""

    takes_any_bands: ClassVar[bool] = True

    kind: Literal["spectral_response"] = "spectral_response"
    curves: int = Field(24, ge=2, le=256, description="number of response curves, i.e. of planes")
    range_nm: tuple[float, float] = Field(
        (300.0, 1000.0), description="wavelengths (nm) between which the curves are defined"
    )
    start: Literal["bells", "rgb", "human", "bird-uv", "bird-v", "honeybee"] = Field(
        "bells",
        description="what the curves begin as: evenly spaced bells; or first red, green and blue "
        "of a camera (with pretrained weights the net then begins as on its pictures), or the "
        "receptors of an eye, and bells for the rest",
    )
    learned: bool = Field(
        True, description="curves change in training; else they stay what they begin as"
    )

    @model_validator(mode="after")
    def _range_rises(self) -> SpectralResponse:
        low, high = self.range_nm
        if not 0 < low < high:
            raise ValueError(
                f"the range {low:g}-{high:g} nm is empty; give the lower end first, above 0."
            )
        return self

    @model_validator(mode="after")
    def _start_fits(self) -> SpectralResponse:
        first, last = RGB_ENDS_NM
        if self.start == "rgb" and (self.range_nm[0] > first or self.range_nm[1] < last):
            raise ValueError(
                f"curves that start from rgb cover {first:g}-{last:g} nm, and 'range_nm' is "
                f"{self.range_nm[0]:g}-{self.range_nm[1]:g}. Widen it, or start from bells."
            )
        least = {"bells": 2, "bird-uv": 5, "bird-v": 5}.get(self.start, 3)
        if self.curves < least:
            raise ValueError(
                f"curves that start from {self.start} are {least} at least, and 'curves' is "
                f"{self.curves}. Raise it, or start from bells."
            )
        return self

    def build(self, bands: Bands, mean: ArrayLike, std: ArrayLike, over: Bands = NONE) -> Stem:
        from napari_phenoscape.nets._response import ResponseCurves

        return ResponseCurves(
            bands,
            mean,
            std,
            over,
            curves=self.curves,
            range_nm=self.range_nm,
            start=self.start,
            learned=self.learned,
        )


AnyStem = Annotated[
    StemOption,
    Variants(Convolution, Adapter, SpectralAttention, SpectralResponse, group="stems"),
]
