"""Encoders: from the bands of a modality to D features. The options; torch is in the files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from napari_phenoscape.option import Option

#: What three bands of a camera, at 460, 550 and 640 nm, see.
RGB_ENDS_NM = (450.0, 650.0)


class Convolution(Option):
    """The backbone's first convolution takes every band as it is."""

    kind: Literal["convolution"] = "convolution"


class Adapter(Option):
    """A learned 1×1 convolution mixes the bands into a few planes; it knows nothing of nm."""

    kind: Literal["adapter"] = "adapter"
    planes: int = Field(8, ge=1, le=256, description="planes that the bands are mixed into")


class SpectralAttention(Option):
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


class SpectralResponse(Option):
    """Smooth response curves over wavelength, like receptors, mix the bands into a few planes."""

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


AnyStem = Annotated[
    Convolution | Adapter | SpectralAttention | SpectralResponse, Field(discriminator="kind")
]


class Readout(Option):
    """Where in the backbone the features are read, and how places become one vector."""

    pooling: Literal["classifier", "cls", "mean", "both"] = Field(
        "classifier",
        description="classifier: what the net's own classifier would get; mean: of all places; of "
        "vision transformers also the class token (cls), or both side by side",
    )
    last: int = Field(
        1,
        ge=1,
        le=12,
        description="blocks of a transformer, or stages of a convolutional net, whose features "
        "stand side by side; counted from the end",
    )
    skip: int = Field(
        0,
        ge=0,
        le=36,
        description="blocks or stages at the end that are left out, e.g. 1 for what a ResNet sees "
        "after its third stage",
    )


class Encoder(Option):
    """What turns the bands of one modality into features."""

    backbone: str = Field(
        "resnet18",
        description="any classification net of torchvision, e.g. resnet50, vit_b_16, "
        "convnext_tiny; or timm:NAME when timm is installed",
    )
    stem: AnyStem = Convolution()
    readout: Readout = Readout()
    sharing: Literal["separate", "shared", "trunk"] = Field(
        "separate",
        description="with several modalities: an encoder each; one encoder for all; or a stem and "
        "a modality token each before one backbone (trunk)",
    )
    weights: Path | None = Field(
        None,
        description="what to start from: a file of pretrained weights (.safetensors or .pth), or "
        "the directory of a run, whose encoders of the same modalities are taken",
    )
    download: bool = Field(
        False, description="start from weights pretrained on ImageNet, fetched from the internet"
    )
    rate: float = Field(
        1.0,
        ge=0,
        le=1,
        description="share of the learning rate that the encoders get, e.g. 0.1 when they start "
        "from trained weights; 0 = frozen",
        json_schema_extra={"step": 0.05},
    )

    @model_validator(mode="after")
    def _one_start(self) -> Encoder:
        if self.weights and self.download:
            raise ValueError(
                f"'weights' ({self.weights}) and 'download' are both given; choose one start."
            )
        return self


class Joint(Option):
    """Base of the fusions that make a joint embedding."""

    modality_dropout: float = Field(
        0.0,
        ge=0,
        le=0.9,
        description="probability that a modality is left out of the joint of a view in training "
        "(never all), so that specimens that lack one are embedded near those that do not",
        json_schema_extra={"step": 0.05},
    )


class Concatenate(Joint):
    """The features of all modalities, side by side; zeros for one that a specimen lacks."""

    kind: Literal["concatenate"] = "concatenate"


class Mean(Joint):
    """The mean of the features of the modalities that a specimen has."""

    kind: Literal["mean"] = "mean"


class Gated(Joint):
    """A weighted mean of the features; the weights of each specimen are learned [1]_.

    References
    ----------
    .. [1] Arevalo et al. 2017, Gated multimodal units. https://arxiv.org/abs/1702.01992
    """

    kind: Literal["gated"] = "gated"


class Attention(Joint):
    """What a learned query finds in the places of all modalities' pictures [1]_.

    References
    ----------
    .. [1] Vaswani et al. 2017, Attention is all you need, section 3.2.
       https://arxiv.org/abs/1706.03762
    """

    kind: Literal["attention"] = "attention"
    heads: int = Field(4, ge=1, le=64, description="queries; they divide the features")


class Separate(Option):
    """No fusion: an embedding for each modality, and none for all."""

    kind: Literal["separate"] = "separate"


AnyFusion = Annotated[
    Concatenate | Mean | Gated | Attention | Separate, Field(discriminator="kind")
]


class ProjectionHead(Option):
    """Two layers between features and loss; not used for embeddings (SimCLR's g)."""

    hidden: int = Field(512, ge=8, le=8192, description="width of the hidden layer")
    out: int = Field(128, ge=2, le=4096, description="dimensions P of the projection")
