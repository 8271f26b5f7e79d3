"""Methods: how a run comes to its embedding. The options; torch is in the files."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from napari_phenoscape.nets import AnyReadout, Contrast, Plain
from napari_phenoscape.option import Option, Variants


class SimCLRMethod(Option):
    """A net is trained to tell specimens by their views; its features are the embedding."""

    #: Whether a net learns, step by step.
    trains: ClassVar[bool] = True
    #: Names of the embedding and of its control.
    outcomes: ClassVar[tuple[str, str]] = ("trained", "untrained")
    readout: ClassVar[Plain] = Plain()

    kind: Literal["simclr"] = "simclr"


class InstantMethod(Option):
    """No training: numbers for colour and texture, what views vary divided out; in seconds."""

    trains: ClassVar[bool] = False
    outcomes: ClassVar[tuple[str, str]] = ("instant", "features alone")

    kind: Literal["instant"] = "instant"
    readout: AnyReadout = Contrast()


AnyMethod = Annotated[SimCLRMethod | InstantMethod, Variants(SimCLRMethod, InstantMethod)]
