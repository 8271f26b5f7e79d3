"""Options of the fusions: one embedding of several modalities. Torch is in what they build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from napari_phenoscape.option import Option, Variants

if TYPE_CHECKING:
    from napari_phenoscape.nets._fusion import Fusion


class FusionOption(Option):
    """Base of the fusions."""

    kind: str

    @property
    def dropout(self) -> float:
        """Probability that a modality is left out of the joint of a view in training."""
        return 0.0

    def build(self, features: int, modalities: int) -> Fusion | None:
        """The module that fuses so many modalities of so many features; None: they stay apart."""
        raise NotImplementedError


class Joint(FusionOption):
    """Base of the fusions that make a joint embedding."""

    modality_dropout: float = Field(
        0.0,
        ge=0,
        le=0.9,
        description="probability that a modality is left out of the joint of a view in training "
        "(never all), so that specimens that lack one are embedded near those that do not",
        json_schema_extra={"step": 0.05},
    )

    @property
    def dropout(self) -> float:
        return self.modality_dropout


class Concatenate(Joint):
    """The features of all modalities, side by side; zeros for one that a specimen lacks."""

    kind: Literal["concatenate"] = "concatenate"

    def build(self, features: int, modalities: int) -> Fusion:
        from napari_phenoscape.nets._fusion import Concatenation

        return Concatenation(features * modalities)


class Mean(Joint):
    """The mean of the features of the modalities that a specimen has."""

    kind: Literal["mean"] = "mean"

    def build(self, features: int, modalities: int) -> Fusion:
        from napari_phenoscape.nets._fusion import MeanFusion

        return MeanFusion(features)


class Gated(Joint):
    """A weighted mean of the features; the weights of each specimen are learned [1]_.

    References
    ----------
    .. [1] Arevalo et al. 2017, Gated multimodal units. https://arxiv.org/abs/1702.01992
    """

    kind: Literal["gated"] = "gated"

    def build(self, features: int, modalities: int) -> Fusion:
        from napari_phenoscape.nets._fusion import Gates

        return Gates(features, modalities)


class Attention(Joint):
    """What a learned query finds in the places of all modalities' pictures [1]_.

    References
    ----------
    .. [1] Vaswani et al. 2017, Attention is all you need, section 3.2.
       https://arxiv.org/abs/1706.03762
    """

    kind: Literal["attention"] = "attention"
    heads: int = Field(4, ge=1, le=64, description="queries; they divide the features")

    def build(self, features: int, modalities: int) -> Fusion:
        from napari_phenoscape.nets._fusion import Query

        return Query(features, modalities, self.heads)


class Separate(FusionOption):
    """No fusion: an embedding for each modality, and none for all."""

    kind: Literal["separate"] = "separate"

    def build(self, features: int, modalities: int) -> None:
        return None


AnyFusion = Annotated[FusionOption, Variants(Concatenate, Mean, Gated, Attention, Separate)]
