"""Experiments on the samples, as YAML files that run as they stand."""

from __future__ import annotations

from pathlib import Path

from napari_phenoscape.nets import Encoder, SpectralResponse
from napari_phenoscape.specimens import Drawer, Folder
from napari_phenoscape.training import Experiment, Schedule

_PHOTOGRAPHS = Folder(path=Path("multispectral"))

#: Some minutes on a laptop's CPU; the morphs are found well before the end.
RGB_UV = Experiment(
    name="rgb-uv",
    collection=_PHOTOGRAPHS,
    modalities=("rgb+uv",),
    image_size=64,
    schedule=Schedule(steps=120, checkpoint_every=60),
)

#: The control: the same files without their UV bands.
RGB = RGB_UV.model_copy(update={"name": "rgb", "modalities": ("rgb",)})

DRAWER = Experiment(
    name="drawer",
    collection=Drawer(
        path=Path("drawer.bil"),
        regions=Path("drawer_regions.tif"),
        metadata=Path("drawer_metadata.csv"),
    ),
    modalities=("full",),
    image_size=48,
    encoder=Encoder(stem=SpectralResponse()),
    schedule=Schedule(steps=60, batch_size=24, checkpoint_every=30),
)


def write_experiments(folder: Path, drawer: bool) -> None:
    """Write the experiments beside the samples; their paths are relative to ``folder``."""
    for experiment in (RGB_UV, RGB, DRAWER) if drawer else (RGB_UV, RGB):
        (folder / f"{experiment.name}.yaml").write_text(experiment.to_yaml(), "utf-8")
