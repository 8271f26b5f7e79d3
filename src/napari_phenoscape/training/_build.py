"""Build: the views of an experiment, and the net that sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from napari_phenoscape.specimens import BandStatistics, Crops
from napari_phenoscape.training._checkpoint import load_encoders
from napari_phenoscape.training._experiment import Experiment

if TYPE_CHECKING:
    from napari_phenoscape.training._instant import InstantNet
    from napari_phenoscape.training._model import SimCLR
    from napari_phenoscape.views import Augmenter


def augmenter(experiment: Experiment, crops: Crops) -> Augmenter:
    """The function from crops to views that preview and training share."""
    from napari_phenoscape.views import Augmenter, operations

    return Augmenter(
        operations(experiment.augmentations),
        bands=crops.bands,
        fill=crops.mean,
        size=experiment.image_size,
        background=experiment.background,
    )


def build_model(
    experiment: Experiment, statistics: Mapping[str, BandStatistics], *, pretrained: bool = True
) -> SimCLR | InstantNet:
    """The untrained net of an experiment; the same weights for the same seed.

    Parameters
    ----------
    experiment
        What it is made of.
    statistics
        Of each modality: the bands that it takes, and what it standardises them by.
    pretrained
        Read the pretrained weights that the experiment names; not needed, and so not looked for,
        where a checkpoint is loaded next.
    """
    import torch

    from napari_phenoscape.training._instant import InstantNet
    from napari_phenoscape.training._model import SimCLR

    bands = {name: of.bands for name, of in statistics.items()}
    mean = {name: of.mean for name, of in statistics.items()}
    std = {name: of.std for name, of in statistics.items()}
    if not experiment.method.trains:
        return InstantNet(experiment, bands, mean, std, pretrained=pretrained)
    start = experiment.encoder.weights if pretrained else None
    if start is None or not start.is_dir():
        start = None
    if start is not None or not pretrained:
        experiment = experiment.model_copy(update={"encoder": experiment.encoder.blank()})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        net = SimCLR(experiment, bands, mean, std)
    if start is not None:
        load_encoders(start, net, bands)
    return net
