"""Methods: how a run comes to its embedding. The options; torch is in the files."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from napari_phenoscape.nets import AnyReadout, Contrast
from napari_phenoscape.option import Option, Variants


class SimCLRMethod(Option):
    """A net is trained to tell specimens by their views; its features are read out."""

    #: Whether a net learns, step by step.
    trains: ClassVar[bool] = True
    #: Names of the embedding and of its control.
    outcomes: ClassVar[tuple[str, str]] = ("trained", "untrained")

    kind: Literal["simclr"] = "simclr"
    readout: AnyReadout = Contrast()
    beside: Literal["instant", "nothing"] = Field(
        "instant",
        description="what stands beside the net's features in the embedding: that of an instant "
        "run, of equal variance in all, so that training never shows less; or nothing",
    )


class InstantMethod(Option):
    """No training: numbers for colour and texture, what views vary divided out; in seconds."""

    trains: ClassVar[bool] = False
    outcomes: ClassVar[tuple[str, str]] = ("instant", "features alone")
    beside: ClassVar[str] = "nothing"

    kind: Literal["instant"] = "instant"
    readout: AnyReadout = Contrast()


AnyMethod = Annotated[SimCLRMethod | InstantMethod, Variants(SimCLRMethod, InstantMethod)]
