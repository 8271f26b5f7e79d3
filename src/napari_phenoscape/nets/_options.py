"""Options of the encoders: from the bands of a modality to D features."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from napari_phenoscape.errors import OptionError
from napari_phenoscape.nets._pretrained import PRETRAINED, PretrainedNet
from napari_phenoscape.nets._stem_options import AnyStem, Convolution
from napari_phenoscape.option import Option

#: Before the name of a net of timm, and of the list of pretrained ones.
TIMM_PREFIX, PRETRAINED_PREFIX = "timm:", "pretrained:"

#: Share of the learning rate for what has learned before.
FINE = 0.1


class Pooling(Option):
    """Where in the backbone the features are read, and how places become one vector."""

    by: Literal["classifier", "cls", "mean", "both"] = Field(
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
        "convnext_tiny; timm:NAME when timm is installed; or pretrained:NAME, a net of the page "
        "'Pretrained nets' with its weights, e.g. pretrained:efficientnet_lite0",
    )
    stem: AnyStem = Convolution()
    pooling: Pooling = Pooling()
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
    rate: float | None = Field(
        None,
        ge=0,
        le=1,
        description="share of the learning rate that the encoders get; 0 = frozen; nothing = 0.1 "
        "when they start from trained weights, else 1",
        json_schema_extra={"step": 0.05},
    )

    @model_validator(mode="after")
    def _one_start(self) -> Encoder:
        if self.weights and self.download:
            raise ValueError(
                f"'weights' ({self.weights}) and 'download' are both given; choose one start."
            )
        return self

    @property
    def share(self) -> float:
        """Of the learning rate that the encoders get."""
        if self.rate is not None:
            return self.rate
        started = self.weights or self.download or self.backbone.startswith(PRETRAINED_PREFIX)
        return FINE if started else 1.0

    def blank(self) -> Encoder:
        """The same without the weights that it starts from."""
        name = self.backbone
        if name.startswith(PRETRAINED_PREFIX):
            name = TIMM_PREFIX + listed(name).architecture
        return self.model_copy(update={"weights": None, "download": False, "backbone": name})


def listed(backbone: str) -> PretrainedNet:
    """The entry of a backbone ``pretrained:NAME``.

    Raises
    ------
    OptionError
        There is none, or it does not take red, green and blue as timm builds nets for them.
    """
    name = backbone.removeprefix(PRETRAINED_PREFIX)
    found = next((net for own, net in PRETRAINED.items() if own == name), None)
    if found is None or not found.trainable:
        able = ", ".join(f"'{own}'" for own, net in PRETRAINED.items() if net.trainable)
        raise OptionError(
            f"'{name}' is no pretrained net that training can start from; one of {able} was "
            "expected."
        )
    return found


class ProjectionHead(Option):
    """Two layers between features and loss; not used for embeddings (SimCLR's g)."""

    hidden: int = Field(512, ge=8, le=8192, description="width of the hidden layer")
    out: int = Field(128, ge=2, le=4096, description="dimensions P of the projection")
