"""How alike different drawn specimens are, and copies of one: ``python docs/measure_twins.py``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from skimage.transform import resize

from napari_phenoscape.analysis import look, twins_among
from napari_phenoscape.embeddings import embedded_specimens
from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import Crops


def half(picture: np.ndarray) -> np.ndarray:
    """At half the size, and back."""
    bands, *size = picture.shape
    small = [side // 2 for side in size]
    return np.asarray(resize(resize(picture, (bands, *small), anti_aliasing=True), picture.shape))


def noisy(picture: np.ndarray) -> np.ndarray:
    """With noise of 0.02 in reflectance."""
    return picture + np.random.default_rng(0).normal(0, 0.02, picture.shape)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "noisy": noisy,
    "half the size": half,
    "turned": lambda picture: np.rot90(picture, 1, (1, 2)),
}


def main() -> None:
    """Print the correlations that decide who is a twin."""
    with tempfile.TemporaryDirectory() as folder:
        samples = result(write_samples(Path(folder) / "samples", specimens=72, drawer=False))
        seen = result(look(samples / "multispectral", Path(folder) / "runs"))
        crops: Crops = result(embedded_specimens(seen.run, seen.embeddings))
        others = result(twins_among(seen.embeddings, crops, least=-1)).table["correlation"]
        print(f"{len(others)} pairs of different specimens: {others.max():.3f} at most")
        images, masks = np.array(crops.images), np.array(crops.masks)
        for name, copy in COPIES.items():
            found = []
            for row in range(0, len(images) - 1, 4):
                both = Crops(
                    np.stack([images[row], copy(images[row])]).astype(np.float32),
                    np.stack([masks[row], np.rot90(masks[row], name == "turned", (1, 2))]),
                    crops.ids[:2], crops.bands, {}, {}, crops.mean, crops.std,
                )  # fmt: skip
                two = type(seen.embeddings)(
                    seen.embeddings.x[:2], seen.embeddings.table[:2], "", seen.embeddings.source
                )
                found += result(twins_among(two, both, least=-1)).table["correlation"].tolist()
            print(f"{len(found)} copies, {name}: {min(found):.3f} at least")


if __name__ == "__main__":
    main()
