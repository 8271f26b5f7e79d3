"""Methods: how a run comes to its embedding. The options; torch is in the files."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from napari_phenoscape.nets import AnyFeatures, AnyReadout, Contrast, DescriptorFeatures
from napari_phenoscape.option import Option, Variants


class SimCLRMethod(Option):
    """A net is trained to tell specimens by their views; its features are read out."""

    #: Whether a net learns, step by step.
    trains: ClassVar[bool] = True
    #: Names of the embedding and of its control.
    outcomes: ClassVar[tuple[str, str]] = ("trained", "untrained")
    #: Of runs without training.
    features: ClassVar[tuple[AnyFeatures, ...]] = ()

    kind: Literal["simclr"] = "simclr"
    readout: AnyReadout = Contrast()
    beside: Literal["instant", "nothing"] = Field(
        "instant",
        description="what stands beside the net's features in the embedding: that of an instant "
        "run (and of the pretrained net that it began with), where the net counts as far as it "
        "names the same neighbours, so that training never shows less; or nothing",
    )


class InstantMethod(Option):
    """No training: numbers for colour and texture, what views vary divided out; in seconds.

    Of several kinds of features, each has a readout of its own, and the embeddings, scaled to the
    same total variance, stand side by side.
    """

    trains: ClassVar[bool] = False
    outcomes: ClassVar[tuple[str, str]] = ("instant", "features alone")
    beside: ClassVar[str] = "nothing"

    kind: Literal["instant"] = "instant"
    features: tuple[AnyFeatures, ...] = Field((DescriptorFeatures(),), min_length=1)
    readout: AnyReadout = Contrast()

    @field_validator("features")
    @classmethod
    def _each_once(cls, features: tuple[AnyFeatures, ...]) -> tuple[AnyFeatures, ...]:
        if twice := [one.kind for one in features if features.count(one) > 1]:
            raise ValueError(f"the features '{twice[0]}' are named twice; name each once.")
        return features


AnyMethod = Annotated[SimCLRMethod | InstantMethod, Variants(SimCLRMethod, InstantMethod)]
