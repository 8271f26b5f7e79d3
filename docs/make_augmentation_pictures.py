"""Pictures of every augmentation, on a specimen of 7 channels and one of 408 bands.

``python docs/make_augmentation_pictures.py`` writes ``docs/images/augment-*.png``, from generated
samples: the specimen and four views of it, in colours or in UV false colour, first the
multispectral one, below it the hyperspectral one where the operation has a meaning for both.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_phenoscape.cubes import as_modality
from napari_phenoscape.events import result
from napari_phenoscape.layers import view_layers
from napari_phenoscape.option import variants_of
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import Crops, Drawer, Folder, collect, prepare
from napari_phenoscape.spectra import COLOURS, FALSE_COLOUR
from napari_phenoscape.training import Experiment, views_of
from napari_phenoscape.training._specimens import canvas_size
from napari_phenoscape.views import AnyAugmentation, Operation, RandomBandShift, pictures

IMAGES = Path(__file__).parent / "images"

#: Side of a view, and views of each specimen.
SIZE, VIEWS = 80, 4

#: Stronger than the default where that can hardly be seen.
STRENGTHS: dict[str, dict[str, Any]] = {
    "ColorJitter": {"brightness": 0.3, "contrast": 0.3, "saturation": 0.8, "hue": 0.1},
    "RandomPosterize": {"bits_low": 1, "bits_high": 3},
    "RandomAffine": {"degrees": 30, "scale": (0.7, 1.3), "shear": 15},
    "RandomThinPlateSpline": {"scale": 0.2},
    "RandomGaussianBlur": {"sigma": (1.0, 3.0)},
    "RandomSharpness": {"sharpness": (0.0, 4.0)},
    "RandomGaussianNoise": {"std": (0.1, 0.2)},
    "RandomExposure": {"stops": 1.0},
    "RandomIlluminantTilt": {"strength": 0.6},
    "RandomBandShift": {"shift_nm": 20.0},
    "RandomBandDropout": {"share": 0.4},
    "RandomSensorNoise": {"std": (0.05, 0.1)},
    "RandomVignetting": {"angle": (15.0, 35.0)},
}

#: Seen best where green, blue and UV are shown as red, green and blue.
SPECTRAL = ("RandomIlluminantTilt", "RandomBandShift", "RandomBandDropout", "RandomSensorNoise")


def specimens() -> dict[str, tuple[Experiment, Crops]]:
    """An experiment of each kind and its crops."""
    result(write_samples("samples", specimens=24))
    experiments = {
        "multispectral": Experiment(
            collection=Folder(path=Path("samples/multispectral")),
            modalities=("rgb+uv",),
            image_size=SIZE,
            background="keep",
            augmentations="none",
        ),
        "hyperspectral": Experiment(
            collection=Drawer(
                path=Path("samples/drawer.bil"), regions=Path("samples/drawer_regions.tif")
            ),
            modalities=("full",),
            image_size=SIZE,
            background="keep",
            augmentations="none",
        ),
    }
    found = {}
    for name, experiment in experiments.items():
        collection = result(collect(experiment.collection))
        modalities = [as_modality(given) for given in experiment.modalities]
        found[name] = experiment, result(prepare(collection, modalities, canvas_size(experiment)))
    return found


def strip(experiment: Experiment, crops: Crops, operation: Operation) -> NDArray[np.uint8]:
    """(h, w, 3) the specimen and views of it, side by side and brightened alike."""
    ways = pictures(crops.bands)
    shown = ways[FALSE_COLOUR if operation.kind in SPECTRAL else COLOURS]
    sides = {}
    for name, chosen in (("before", ()), ("after", (operation,))):
        asked = experiment.model_copy(update={"augmentations": chosen})
        sides[name] = views_of(asked, crops, 2, seed=0, step=0, count=VIEWS)
    layers = view_layers(
        np.asarray(sides["before"].image[0]),
        np.asarray(sides["before"].mask[0]),
        sides["after"],
        crops.bands,
        shown,
    )
    tiles = [picture for picture, _, kind in layers if kind == "image"]
    gap = np.full((SIZE, 4, 3), 255, np.uint8)
    spaced = [part for tile in tiles for part in (tile, gap)]
    return np.concatenate(spaced[:-1], axis=1)


def main() -> None:
    """Draw every operation."""
    kinds = variants_of(AnyAugmentation)
    home = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="phenoscape-") as folder:
        os.chdir(folder)
        both = specimens()
        os.chdir(home)
        for cls in kinds:
            assert issubclass(cls, Operation)
            operation = cls(p=1, **STRENGTHS.get(cls.__name__, {}))
            rows = [
                strip(experiment, crops, operation)
                for name, (experiment, crops) in both.items()
                if name == "hyperspectral" or cls is not RandomBandShift  # it needs wavelengths
            ]
            gap = np.full((4, rows[0].shape[1], 3), 255, np.uint8)
            sheet = np.concatenate([part for row in rows for part in (row, gap)][:-1])
            path = IMAGES / f"augment-{operation.kind}.png"
            Image.fromarray(sheet).quantize(96).save(path, optimize=True)
            print(f"{path.name}: {path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
