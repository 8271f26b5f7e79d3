"""How well specimens are told from grounds that are not plain: the numbers of finding.md.

    python docs/measure_ground.py masks [--number 60]   # variants, on butterflies, flowers, cells
    python docs/measure_ground.py embeddings            # species by neighbours, with and without

Butterflies, drawn ones and those that PHENOSCAPE_DATA names, are put on grounds that are drawn
(noise, leaves, blades, discs out of focus) or cut from photographs of scikit-learn and
scikit-image, with clutter at the border and light of its own. ``flowers`` puts a flower behind
most of them. ``cells`` are stained white blood cells of PHENOSCAPE_DATA on their smears.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure_finding import camera
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage import color, data
from skimage.draw import ellipse
from skimage.filters import threshold_otsu
from sklearn.datasets import load_sample_image

from napari_phenoscape.analysis import proposed, tell_things, write_masks
from napari_phenoscape.embeddings import embed
from napari_phenoscape.events import result
from napari_phenoscape.nets import PLACES_PX, PlacesNet
from napari_phenoscape.samples._shapes import Pose, material_cover
from napari_phenoscape.samples._specimens import individual, pattern, spectra
from napari_phenoscape.specimens import Folder
from napari_phenoscape.specimens.finding import _ground
from napari_phenoscape.training import train

#: Side of a picture in pixels, and share of it that a specimen has.
SIDE, AREA = 256, (0.12, 0.38)

Picture = NDArray[np.float64]
Mask = NDArray[np.bool_]


def noise(rng: np.random.Generator, roughness: float) -> Picture:
    """(4, SIDE, SIDE) of standard deviation 1, as rough as is said."""
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(SIDE),) * 2, indexing="ij"))
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(rng.normal(size=(4, SIDE, SIDE))) / frequency**roughness
    planes = np.fft.ifft2(spectrum).real
    return np.asarray(planes / planes.std(axis=(1, 2), keepdims=True))


def colour(rng: np.random.Generator) -> Picture:
    """A colour, more often green or brown."""
    hues = rng.uniform((0.2, 0.05, 0.0), (0.4, 0.15, 1.0))
    hue = rng.choice(hues, p=(0.55, 0.25, 0.2))
    return np.asarray(color.hsv2rgb([hue, rng.uniform(0.2, 0.8), rng.uniform(0.25, 0.85)]))


def drawn_ground(rng: np.random.Generator, kind: str) -> Picture:
    """Noise, leaves, blades, or discs out of focus."""
    one, other = colour(rng), colour(rng)
    if kind == "noise":
        planes = noise(rng, rng.uniform(0.8, 1.8))
        share = (1 / (1 + np.exp(-1.5 * planes[0])))[..., None]
        grain = 0.06 * np.moveaxis(planes[1:], 0, -1)
        return np.asarray(one * share + other * (1 - share) + grain)
    planes = noise(rng, 1.5)
    made = one + 0.05 * np.moveaxis(planes[1:], 0, -1)
    for _ in range(rng.integers(10, 60)):
        shade = np.clip((one if rng.random() < 0.6 else other) * rng.uniform(0.5, 1.5), 0, 1)
        long = {"leaves": (20, 70), "blades": (60, 200), "discs": (8, 40)}[kind]
        length = rng.uniform(*long)
        wide = {"leaves": rng.uniform(8, 30), "blades": rng.uniform(1, 5), "discs": length}[kind]
        y, x = rng.uniform(-20, SIDE + 20, 2)
        at = ellipse(y, x, length, wide, shape=(SIDE, SIDE), rotation=rng.uniform(0, 6.3))
        grain = 1 + 0.1 * planes[1][at][:, None]
        made[at] = 0.5 * (made[at] + shade) if kind == "discs" else shade * grain
    return made


def photographs() -> list[NDArray[np.uint8]]:
    """Of scikit-learn and scikit-image, and of PHENOSCAPE_DATA: none shows a butterfly."""
    found = [load_sample_image("flower.jpg"), load_sample_image("china.jpg")]
    found += [data.chelsea(), data.coffee(), data.astronaut()]
    found += [np.dstack([one] * 3) for one in (data.grass(), data.gravel(), data.brick())]
    if "PHENOSCAPE_DATA" in os.environ:
        lizard = Path(os.environ["PHENOSCAPE_DATA"]) / "specimens-pavo" / "vig" / "lizard.jpg"
        found.append(np.asarray(Image.open(lizard).convert("RGB")))
    return found


def cut_ground(rng: np.random.Generator, photograph: NDArray[np.uint8]) -> Picture:
    """A square of a photograph, of other hues."""
    side = int(rng.uniform(0.45, 1) * min(photograph.shape[:2]))
    top, left = (rng.integers(0, photograph.shape[i] - side + 1) for i in (0, 1))
    cut = Image.fromarray(photograph[top : top + side, left : left + side])
    hsv = color.rgb2hsv(np.asarray(cut.resize((SIDE, SIDE))) / 255)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(-0.15, 0.15)) % 1
    return np.asarray(color.hsv2rgb(hsv))


def ground(rng: np.random.Generator, real: list[NDArray[np.uint8]], *, flower: bool) -> Picture:
    """(SIDE, SIDE, 3) a ground, more or less in focus, with clutter at its border."""
    kind = rng.choice(["noise", "leaves", "blades", "discs", "real", "real", "real"])
    made = (
        cut_ground(rng, real[rng.integers(len(real))])
        if kind == "real"
        else drawn_ground(rng, str(kind))
    )
    blur = float(rng.choice([0, 0, 1, 2, 4, 8]))
    made = ndimage.gaussian_filter(np.clip(made, 0, 1), (blur, blur, 0))
    if flower and rng.random() < 0.75:
        _flower(rng, made)
    for _ in range(rng.integers(0, 4) if rng.random() < 0.4 else 0):
        along, off = rng.uniform(0, SIDE), rng.uniform(0, 30)
        y, x = ((along, off), (along, SIDE - off), (SIDE - off, along), (off, along))[
            rng.integers(4)
        ]
        size = rng.uniform(20, 50), rng.uniform(10, 30)
        at = ellipse(y, x, *size, shape=(SIDE, SIDE), rotation=rng.uniform(0, 6))
        made[at] = colour(rng) * (1 + 0.15 * noise(rng, 1)[0][at])[:, None]
    return np.clip(made, 0, 1)


def _flower(rng: np.random.Generator, made: Picture) -> None:
    y, x = SIDE / 2 + rng.normal(0, 0.14, 2) * SIDE
    radius, petals = rng.uniform(45, 85), rng.integers(5, 14)
    hue = rng.choice([0.9, 0.8, 0.13, 0.0, 0.95, 0.75])
    shade = color.hsv2rgb([hue, rng.uniform(0.3, 0.95), rng.uniform(0.6, 0.95)])
    grain = 1 + 0.08 * noise(rng, 1.2)[0]
    for turn in 2 * np.pi * np.arange(petals) / petals + rng.normal(0, 0.08, petals):
        middle = y + 0.55 * radius * np.cos(turn), x + 0.55 * radius * np.sin(turn)
        size = 0.5 * radius, 0.8 * radius * np.pi / petals
        at = ellipse(*middle, *size, shape=(SIDE, SIDE), rotation=turn)
        far = np.hypot(at[0] - y, at[1] - x) / radius
        made[at] = shade * ((0.7 + 0.35 * far) * grain[at] * rng.uniform(0.85, 1.1))[:, None]
    at = ellipse(y, x, radius / 4, radius / 4, shape=(SIDE, SIDE))
    made[at] = np.array([0.85, 0.6, 0.1]) * (1 + 0.25 * noise(rng, 0.5)[1][at])[:, None]


def butterflies() -> list[tuple[Picture, Mask]]:
    """Eight: drawn ones, and of PHENOSCAPE_DATA two that were photographed on white, twice."""
    found = []
    for number in range(4 if "PHENOSCAPE_DATA" in os.environ else 8):
        one = replace(individual(number, 0), pose=Pose(0, 0, 0, 0.44))
        covers, whole = material_cover(one.wings, pattern(one), one.pose, SIDE)
        materials = np.array([spectra(one)[name] for name in covers]) @ camera(3).T
        seen = np.tensordot(np.array(list(covers.values())), materials, (0, 0))
        seen = np.clip(seen / np.maximum(whole, 1e-6)[..., None], 0, 1) ** (1 / 2.2)
        found.append((seen, whole > 0.5))
    if "PHENOSCAPE_DATA" in os.environ:
        folder = Path(os.environ["PHENOSCAPE_DATA"]) / "specimens-pavo" / "butterflies"
        for path in 2 * [folder / "h_melpomene.jpg", folder / "papilio.png"]:
            seen = np.asarray(Image.open(path).convert("RGB")) / 255
            dark = ndimage.binary_opening(seen.min(axis=-1) < 0.85)
            found.append((seen, ndimage.binary_erosion(_ground.largest_piece(dark))))
    return found


def put(
    rng: np.random.Generator, cut: tuple[Picture, Mask], under: Picture
) -> tuple[Picture, Mask]:
    """A specimen on a ground: turned, foreshortened, of any size and place, in other light."""
    seen, mask = cut
    box = ndimage.find_objects(mask.astype(int))[0]
    rgba = Image.fromarray((255 * np.dstack([seen[box], mask[box]])).astype(np.uint8))
    rgba = rgba.resize((int(rgba.width * rng.uniform(0.55, 1)), rgba.height))
    rgba = rgba.rotate(rng.uniform(0, 360), expand=True, resample=Image.Resampling.BILINEAR)
    area = (np.asarray(rgba)[..., 3] > 128).sum()
    scale = min(np.sqrt(rng.uniform(*AREA) * SIDE**2 / area), 1.05 * SIDE / max(rgba.size))
    width, height = (max(1, int(scale * side)) for side in rgba.size)
    rgba = rgba.resize((width, height))
    corner = [int((SIDE - side) / 2 + rng.normal(0, 0.07) * SIDE) for side in rgba.size]
    whole = Image.new("RGBA", (SIDE, SIDE))
    whole.paste(rgba, (corner[0], corner[1]))
    numbers = np.asarray(whole) / 255
    inside = numbers[..., 3] > 0.5
    near = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    hsv = color.rgb2hsv(numbers[..., :3][tuple(near)])
    hsv[..., 0] = (hsv[..., 0] + rng.normal(0, 0.04)) % 1
    light = np.clip(1 + 0.25 * noise(rng, 2.2)[0], 0.5, 1.4) * rng.uniform(0.75, 1.2)
    cover = ndimage.gaussian_filter(numbers[..., 3], 0.6)[..., None]
    mixed = under * (1 - cover) + color.hsv2rgb(hsv) * light[..., None] * cover
    return np.clip(mixed + rng.normal(0, 0.012, mixed.shape), 0, 1), cover[..., 0] > 0.5


def planted(name: str, number: int) -> list[tuple[NDArray[np.uint8], Mask]]:
    """Pictures of 8 bits with their masks."""
    if name == "cells":
        folder = Path(os.environ["PHENOSCAPE_DATA"]) / "wbc-zheng" / "Dataset 1"
        paths = sorted(folder.glob("*.bmp"))
        paths = paths[:: max(1, len(paths) // number)][:number]
        return [
            (
                np.asarray(Image.open(path).convert("RGB")),
                np.asarray(Image.open(path.with_suffix(".png")).convert("L")) > 0,
            )
            for path in paths
        ]
    rng, real, cuts = np.random.default_rng(len(name)), photographs(), butterflies()
    made = []
    for place in range(number):
        seen, mask = put(rng, cuts[place % len(cuts)], ground(rng, real, flower=name == "flowers"))
        made.append(((255 * seen).astype(np.uint8), mask))
    return made


def written(folder: Path, made: list[tuple[NDArray[np.uint8], Mask]]) -> Folder:
    """A folder of these pictures, numbered."""
    for place, (seen, _) in enumerate(made):
        Image.fromarray(seen).save(folder / f"{place:03d}.png")
    return Folder(path=folder)


def overlap(share: NDArray[np.floating], mask: Mask) -> float:
    """Intersection over union with a mask, at its own size."""
    plane = Image.fromarray(np.asarray(share, np.float32))
    found = np.asarray(plane.resize(mask.shape[::-1], Image.Resampling.BILINEAR)) > 0.5
    return float((found & mask).sum() / max((found | mask).sum(), 1))


def leading(grids: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, h', w') the leading component of a grid over a collection, cut by Otsu, 0 or 1.

    Its sign is that of which the border has less.
    """
    number, _, rows, columns = grids.shape
    seen = _ground._components(np.moveaxis(grids, 1, -1).reshape(-1, grids.shape[1]))
    first = seen[:, 0].reshape(number, rows, columns)
    ring = np.ones((rows, columns), bool)
    ring[1:-1, 1:-1] = False
    if first[:, ring].mean() > first[:, ~ring].mean():
        first = -first
    return np.asarray(first > threshold_otsu(first), float)


def places(made: list[tuple[NDArray[np.uint8], Mask]]) -> NDArray[np.float32]:
    """(N, D, h', w') what the net sees at each place of the pictures."""
    net, grids = PlacesNet(), []
    for seen, _ in made:
        planes = np.asarray(Image.fromarray(seen).resize((PLACES_PX, PLACES_PX)), np.float32) / 255
        with torch.inference_mode():
            grids.append(net(torch.from_numpy(planes).permute(2, 0, 1)[None])[0].numpy())
    return np.stack(grids)


def coloured(seen: NDArray[np.uint8]) -> NDArray[np.floating]:
    """What is thing by colours and place alone."""
    side = _ground.MASK_PX
    small = np.asarray(Image.fromarray(seen).resize((side, side)), np.float32) / np.float32(255)
    share = _ground.Picture(small).thing(_ground._odds(np.zeros((16, 16)), side))
    return np.where(_ground.largest_piece(share > 0.5), share, 0)


def measure_masks(number: int) -> None:
    """Mean IoU of each way, of each set."""
    print("| pictures | everything | leading component | colours alone | all | of them clear |")
    print("|---|---|---|---|---|---|")
    for name in ["butterflies", "flowers"] + ["cells"] * ("PHENOSCAPE_DATA" in os.environ):
        made = planted(name, number)
        with tempfile.TemporaryDirectory() as folder:
            things = result(tell_things(written(Path(folder), made)))
        ways: list[Sequence[NDArray[Any]] | NDArray[Any]] = [
            [np.ones((16, 16))] * len(made),
            leading(places(made)),
            [coloured(seen) for seen, _ in made],
            things.shares,
        ]
        values = np.array(
            [[overlap(one, mask) for one, (_, mask) in zip(way, made, strict=True)] for way in ways]
        )
        clear = values[-1, list(things.used())]
        words = " | ".join(f"{value:.2f}" for value in values.mean(axis=1))
        print(f"| {name}, {len(made)} | {words} | {len(clear)}, {clear.mean():.2f} |", flush=True)


def measure_embeddings(number: int) -> None:
    """Species by the five nearest of the others, of instant embeddings without and with masks."""
    from sklearn.model_selection import LeaveOneOut, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    kinds = np.array([0, 1, 0, 1, 2, 3, 2, 3] if "PHENOSCAPE_DATA" in os.environ else [0, 1] * 4)
    for name in ("butterflies", "flowers"):
        with tempfile.TemporaryDirectory() as given, tempfile.TemporaryDirectory() as runs:
            folder = written(Path(given), planted(name, number))
            things = result(tell_things(folder))
            shares = list(things.shares)
            result(write_masks(things, shares))
            for words, source in (("without", folder), ("with found masks", things.masked)):
                if source is folder:
                    source = Folder(path=folder.path, pattern="*.png")
                experiment, _ = result(proposed(source, Path(runs)))
                for features in experiment.method.features:
                    method = experiment.method.model_copy(update={"features": (features,)})
                    one = experiment.model_copy(update={"method": method})
                    embeddings = list(result(embed(result(train(one)))).values())[-1]
                    species = kinds[[int(Path(i).stem) % len(kinds) for i in embeddings.ids]]
                    near = KNeighborsClassifier(5, metric="cosine")
                    share = cross_val_score(near, embeddings.x, species, cv=LeaveOneOut())
                    print(f"{name}, {words}, {features.kind}: {share.mean():.2f}", flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("masks", "embeddings"))
    parser.add_argument("--number", type=int, default=60)
    asked = parser.parse_args()
    {"masks": measure_masks, "embeddings": measure_embeddings}[asked.what](asked.number)


if __name__ == "__main__":
    main()
