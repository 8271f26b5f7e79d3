"""Encoders: from the bands of a modality to D features. The options; torch is in the files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from napari_phenoscape.option import Option


class Convolution(Option):
    """The backbone's first convolution takes every band as it is."""

    kind: Literal["convolution"] = "convolution"


class SpectralResponse(Option):
    """Smooth response curves over wavelength, like receptors, mix the bands into a few planes."""

    kind: Literal["spectral_response"] = "spectral_response"
    curves: int = Field(24, ge=2, le=256, description="number of response curves, i.e. of planes")
    range_nm: tuple[float, float] = Field(
        (300.0, 1000.0), description="wavelengths (nm) between which the curves are defined"
    )
    learned: bool = Field(
        True, description="curves change in training; else they stay evenly spaced bells"
    )

    @model_validator(mode="after")
    def _range_rises(self) -> SpectralResponse:
        low, high = self.range_nm
        if not 0 < low < high:
            raise ValueError(
                f"the range {low:g}-{high:g} nm is empty; give the lower end first, above 0."
            )
        return self


AnyStem = Annotated[Convolution | SpectralResponse, Field(discriminator="kind")]


class Encoder(Option):
    """What turns the bands of one modality into features; every modality has its own weights."""

    backbone: str = Field(
        "resnet18",
        description="any classification net of torchvision, e.g. resnet50, vit_b_16, "
        "convnext_tiny; or timm:NAME when timm is installed",
    )
    stem: AnyStem = Convolution()
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


class Concatenate(Option):
    """The features of all modalities, side by side."""

    kind: Literal["concatenate"] = "concatenate"


class Mean(Option):
    """The mean of the features of all modalities."""

    kind: Literal["mean"] = "mean"


class Gated(Option):
    """A weighted mean of the features; the weights of each specimen are learned [1]_.

    References
    ----------
    .. [1] Arevalo et al. 2017, Gated multimodal units. https://arxiv.org/abs/1702.01992
    """

    kind: Literal["gated"] = "gated"


class Attention(Option):
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
