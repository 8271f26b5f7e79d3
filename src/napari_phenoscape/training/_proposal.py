"""Proposal: the experiment that fits a collection, for those who have not written one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_phenoscape.cubes import Cube, as_modality
from napari_phenoscape.nets import (
    DescriptorFeatures,
    Encoder,
    NetName,
    PretrainedNetFeatures,
    SpectralResponse,
    offline_net,
)
from napari_phenoscape.specimens import Collection
from napari_phenoscape.training._experiment import Experiment, Grouping, Schedule
from napari_phenoscape.training._method import InstantMethod, SimCLRMethod
from napari_phenoscape.training._presets import (
    EXPERIMENT_PRESETS,
    ExperimentPreset,
    ExperimentPresetName,
)
from napari_phenoscape.training.grouping._maps import PCA, UMAP

#: Cubes whose bands are looked at, at most, evenly over the collection.
OPENED = 100

#: Share of the specimens that must have the bands that are chosen; the others are left out.
COMMON = 0.9

#: More bands than a camera's filters are a spectrum.
SPECTRUM = 16

#: Side of a view in pixels, the least, and what it is a multiple of.
LEAST_PX, STEP_PX = 16, 8

#: Side of a specimen in pixels from which a net that was trained on photographs sees its texture.
LEAST_SEEN_PX = 32

#: What is said of other settings is measured against.
USUAL = EXPERIMENT_PRESETS["workstation"]

#: How many batches the collection must fill.
BATCHES = 4

#: Fields that a preset of `EXPERIMENT_PRESETS` settles; which bands are compared, it does not.
SETTLED = ("image_size", "method", "encoder", "schedule")


def experiment_for(
    collection: Collection, preset: ExperimentPresetName = "look", *, runs: Path = Path("runs")
) -> Experiment:
    """What to ask of a collection that nothing else is known of.

    Modalities by the bands that nine of ten specimens have; views as large as the median specimen
    (its longest side), from 16 px on; batches of a quarter of the specimens; steps and the largest
    of all this by the preset. With the extra ``pretrained`` installed, RGB of 32 px or more is
    described by its net too, beside the descriptor, and a training on such starts from it.

    Parameters
    ----------
    collection
        N specimens, of which the headers of up to 100 cubes are read.
    preset
        How much to compute: by ``look`` the run is instant, on a map by PCA, by the others a net is
        trained by SimCLR.
    runs
        Folder that holds the run directories.

    Raises
    ------
    CubeError, BandMismatchError
        A cube cannot be opened any more.
    """
    return experiments_for(collection, runs=runs)[preset]


def experiments_for(
    collection: Collection, *, runs: Path = Path("runs")
) -> dict[ExperimentPresetName, Experiment]:
    """The experiment of each preset; see `experiment_for`."""
    cubes = some_cubes(collection)
    return {
        name: _experiment(collection, cubes, preset, runs)
        for name, preset in EXPERIMENT_PRESETS.items()
    }


def _experiment(
    collection: Collection, cubes: Sequence[Cube], preset: ExperimentPreset, runs: Path
) -> Experiment:
    number = len(collection.specimens)
    size = fitting_size(longest_side(collection), preset.most_px)
    batch = fitting_batch(number, preset.most_batch)
    wanted = preset.times * number // batch
    steps = int(np.clip(wanted, preset.least_steps, preset.most_steps))
    name = re.sub(r"[^\w.-]+", "-", collection.source.path.stem).strip("-.") or "look"
    spectral = all(
        len(cube.bands) > SPECTRUM and cube.bands.wavelengths_nm is not None for cube in cubes
    )
    modality = modality_of(cubes)
    net = _net(modality, size)
    return Experiment(
        name=name,
        collection=collection.source,
        modalities=(modality,),
        image_size=size,
        method=SimCLRMethod() if preset.trains else _instant(net),
        encoder=_encoder(net, spectral, preset.backbone),
        schedule=Schedule(steps=steps, batch_size=batch),
        grouping=Grouping(map=UMAP() if preset.trains else PCA()),
        runs=runs,
    )


def longest_side(collection: Collection) -> float:
    """Of the median specimen, in pixels."""
    boxes = np.array([specimen.box for specimen in collection.specimens])
    return float(np.median(np.maximum(boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2])))


def fitting_size(longest: float, most: int = USUAL.most_px) -> int:
    """Side of a view in pixels, for specimens of this longest side."""
    return int(np.clip(STEP_PX * round(longest / STEP_PX), LEAST_PX, most))


def fitting_batch(number: int, most: int = USUAL.most_batch) -> int:
    """Specimens of a batch, of so many."""
    return max(2, min(most, number // BATCHES))


def _net(modality: str, size: int) -> NetName | None:
    """The net that is installed, of what it was trained on: photographs, not a few pixels."""
    return offline_net() if modality == "rgb" and size >= LEAST_SEEN_PX else None


def _instant(net: NetName | None) -> InstantMethod:
    if net is None:
        return InstantMethod()
    return InstantMethod(features=(DescriptorFeatures(), PretrainedNetFeatures(net=net)))


def _encoder(net: NetName | None, spectral: bool, backbone: str) -> Encoder:
    if spectral:
        return Encoder(stem=SpectralResponse(), backbone=backbone)
    return Encoder(backbone=f"pretrained:{net}" if net else backbone)


def some_cubes(collection: Collection) -> list[Cube]:
    """Up to 100, evenly over the collection, of which nothing but the headers is read."""
    paths = list(dict.fromkeys(specimen.path for specimen in collection.specimens))
    places = np.unique(np.linspace(0, len(paths) - 1, OPENED).astype(int))
    return [collection.source.cube(paths[place]) for place in places]


def modality_of(cubes: Sequence[Cube]) -> str:
    """What most cubes have: ``rgb``, ``grey``, ``rgb+uv``, or ``full``."""
    kinds = Counter(map(_kind, cubes))
    first, count = kinds.most_common(1)[0]
    rgb = as_modality("rgb")
    if count < COMMON * len(cubes):
        seeing = sum(rgb.seen_by(cube) for cube in cubes)
        if seeing >= COMMON * len(cubes):
            return "rgb"
    return first


def _kind(cube: Cube) -> str:
    """The modality that has every good band of a cube."""
    every = as_modality("full").indices(cube).tolist()
    if len(every) <= SPECTRUM:
        for name in ("grey", "rgb", "rgb+uv"):
            modality = as_modality(name)
            if modality.seen_by(cube) and sorted(modality.indices(cube).tolist()) == every:
                return name
    return "full"
