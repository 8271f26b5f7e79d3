"""Encoders: from a view of any number of bands to one embedding. Options only, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from napari_phenoscape.option import Option


class Convolution(Option):
    """The backbone's own first convolution, widened to the bands; needs no wavelengths."""

    kind: Literal["convolution"] = "convolution"


class SpectralResponse(Option):
    """Smooth response curves over wavelength turn any number of bands into a few planes."""

    kind: Literal["spectral_response"] = "spectral_response"
    curves: int = Field(24, ge=1, le=128, description="response curves, i.e. planes")
    learned: bool = Field(True, description="learn the curves, or keep the starting ones")


AnyStem = Annotated[Convolution | SpectralResponse, Field(discriminator="kind")]


class Concatenate(Option):
    """The joint embedding is the embeddings of all modalities, one after the other."""

    kind: Literal["concatenate"] = "concatenate"


class Mean(Option):
    """The joint embedding is the mean of the modalities' embeddings."""

    kind: Literal["mean"] = "mean"


AnyFusion = Annotated[Concatenate | Mean, Field(discriminator="kind")]


class Encoder(Option):
    """A stem and a backbone; every modality has one of its own."""

    backbone: str = Field(
        "resnet18", description="a torchvision classification net, e.g. resnet50, vit_b_16"
    )
    stem: AnyStem = Field(Convolution(), description="how bands enter the backbone")
    weights: Path | None = Field(
        None, description="file of pretrained RGB weights (.safetensors, .pth)"
    )


class ProjectionHead(Option):
    """Two layers between the embedding and the space in which views are compared."""

    hidden: int = Field(512, ge=1, description="width of the hidden layer")
    out: int = Field(128, ge=2, description="dimensions of a projection")
