"""How well specimens are found where no mask outlines them: the numbers of finding.md.

    python docs/measure_finding.py drawers   # 100 random drawers; minutes
    python docs/measure_finding.py bands     # the samples' drawer at 3, 7 and 408 bands
    python docs/measure_finding.py paper     # specimens on paper of several colours
    python docs/measure_finding.py ground    # pictures whose background is not plain
    python docs/measure_finding.py memory    # a drawer of 9.8 GB, sparse

``paper`` and ``ground`` also take real pictures from the folder that PHENOSCAPE_DATA names.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_phenoscape.cubes import Band, Bands, Cube, binned, open_cube, read_mask
from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples._pigments import WAVELENGTHS_NM, white_balanced_cameras
from napari_phenoscape.samples._shapes import Pose, material_cover
from napari_phenoscape.samples._specimens import (
    BACKGROUND,
    Individual,
    individual,
    pattern,
    spectra,
)
from napari_phenoscape.specimens import Finding, Found, find

#: Pixels of a specimen's place in a random drawer.
TILE = 64

#: Papers: white, grey, black, blue, yellow, in reflectance.
PAPERS = {
    "white": (0.95, 0.95, 0.93),
    "grey": (0.5, 0.5, 0.5),
    "black": (0.04, 0.04, 0.04),
    "blue": (0.2, 0.35, 0.75),
    "yellow": (0.9, 0.8, 0.2),
}


def camera(bands: int) -> NDArray[np.float64]:
    """(bands, 408) of 3: R, G, B; of 7: with three of UV and one of near infrared."""
    weights = white_balanced_cameras()
    infrared = np.where(WAVELENGTHS_NM > 700, 1.0, 0.0)
    return weights[:3] if bands == 3 else np.vstack([weights, infrared / infrared.sum()])


def drawn_drawer(
    seed: int, bands: int = 3, *, pairs: int = 1, gradient: float = 0.3, noise: float = 0.012
) -> tuple[Cube, NDArray[np.int32]]:
    """A drawer of 24 butterflies turned in every direction, some in pairs that touch.

    Parameters
    ----------
    pairs
        Two that overlap by a pixel or a few, side by side.
    gradient
        Exposure at the ends is so much more or less than in the middle.
    noise
        Standard deviation in reflectance.

    Returns
    -------
    The cube, and (H, W) the planted numbers.
    """
    rng = np.random.default_rng(seed)
    seen = camera(bands)
    shape = 5 * TILE, 7 * TILE
    picture = np.full((bands, *shape), BACKGROUND)
    truth = np.zeros(shape, np.int32)

    def drawn(turn: float) -> tuple[Individual, NDArray[np.float32]]:
        pose = Pose(float(rng.uniform(-turn, turn)), 0, 0, float(rng.uniform(0.35, 0.44)))
        one = replace(individual(int(rng.integers(1000)), seed), pose=pose)
        return one, material_cover(one.wings, pattern(one), pose, TILE)[1]

    def put(one: Individual, top: int, left: int) -> None:
        covers, whole = material_cover(one.wings, pattern(one), one.pose, TILE)
        known = spectra(one)
        materials = np.array([known[name] for name in covers]) @ seen.T
        box = slice(top, top + TILE), slice(left, left + TILE)
        mixed = np.tensordot(materials.T, np.array(list(covers.values())), 1)
        picture[:, *box] = picture[:, *box] * (1 - whole) + mixed
        truth[box][whole > 0.5] = truth.max() + 1

    places = [(row, column) for row in range(4) for column in range(0, 6, 2)]
    touching = {places[i] for i in rng.permutation(len(places))[:pairs]}
    for row, column in places:
        corner = (row * TILE + TILE // 2, column * TILE + TILE // 2)
        top, left = np.array(corner) + rng.integers(-3, 4, 2)
        is_pair = (row, column) in touching
        one, _ = drawn(20 if is_pair else 180)
        put(one, top, left)
        other, cover = drawn(20 if is_pair else 180)
        down, across = int(rng.integers(-3, 4)), TILE + int(rng.integers(-3, 4))
        if is_pair:  # from the right, until they meet
            down, first = int(rng.integers(-6, 7)), truth == truth.max()
            for across in range(TILE, 0, -1):
                box = (
                    slice(top + down, top + down + TILE),
                    slice(left + across, left + across + TILE),
                )
                if (first[box] & (cover > 0.5)).any():
                    break
        put(other, top + down, left + across)
    light = _light(shape, gradient, float(rng.uniform(0, 2 * np.pi)))
    noisy = picture * light + rng.normal(0, noise, picture.shape)
    names = Bands(Band(f"band {i + 1}") for i in range(bands))
    return Cube(noisy.astype(np.float32), names, Path(f"drawer_{seed}")), truth


def _light(shape: tuple[int, int], gradient: float, direction: float) -> NDArray[np.float64]:
    """(H, W) exposure that falls across a picture, and towards its corners."""
    v, u = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    across = (np.cos(direction) * u + np.sin(direction) * v) / np.sqrt(2)
    return np.asarray(1 + gradient * across - 0.1 * gradient * (u * u + v * v))


def overlaps(truth: NDArray[np.integer], labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Intersection over union of each planted specimen with the piece that covers it most."""
    found = []
    for number in range(1, int(truth.max()) + 1):
        planted = truth == number
        shares = np.bincount(labels[planted], minlength=2)
        shares[0] = 0
        piece = labels == shares.argmax() if shares.any() else np.zeros_like(planted)
        found.append((planted & piece).sum() / (planted | piece).sum())
    return np.array(found)


def found_in(cube: Cube, finding: Finding | None = None, *, touching: bool = True) -> Found:
    """What is found in a cube by the settings that nobody changes."""
    return result(find(cube, finding or Finding(), 64, touching=touching))


def is_exact(found: Found, truth: NDArray[np.integer]) -> bool:
    """Whether as many are found as were planted, all clear."""
    return len(found.used(Finding())) == len(found.pieces) == int(truth.max())


def measure_drawers(number: int = 100) -> None:
    """Random drawers with a pair that touches; and with two pairs."""
    for pairs in (0, 1, 2):
        exact, mean = 0, []
        for seed in range(number):
            cube, truth = drawn_drawer(seed, 3 if seed % 2 else 7, pairs=pairs)
            found = found_in(cube)
            exact += is_exact(found, truth)
            mean.append(overlaps(truth, found.labels).mean())
        print(f"{pairs} pairs: exact in {exact} of {number}, mean IoU {np.mean(mean):.3f}")


def lit(cube: Cube, gradient: float, noise: float) -> Cube:
    """A cube with other light and more noise, in memory."""
    rng = np.random.default_rng(0)
    numbers = cube.reflectance() * _light(cube.shape[1:], gradient, 0.7).astype(np.float32)
    numbers += noise * rng.standard_normal(numbers.shape, dtype=np.float32)
    one = np.ones((), np.float32)
    return replace(cube, array=numbers, gain=one, offset=0 * one, ignore_value=None)


def banded(cube: Cube, bands: int) -> Cube:
    """The drawer as a camera of so many bands sees it."""
    if bands == 408:
        return cube
    if bands == 7:
        return binned(cube, -(-408 // 7))
    seen = np.tensordot(camera(3), cube.reflectance(), 1).astype(np.float32)
    one = np.ones((), np.float32)
    names = Bands(Band(name, region="vis") for name in "RGB")
    return replace(cube, array=seen, bands=names, gain=one, offset=0 * one)


def measure_bands() -> None:
    """The samples' drawer without its regions."""
    with tempfile.TemporaryDirectory() as folder:
        samples = result(write_samples(Path(folder) / "samples", specimens=24))
        drawer = open_cube(samples / "drawer.bil")
        truth = read_mask(samples / "drawer_regions.tif")
        for bands in (3, 7, 408):
            for gradient, noise in ((0.0, 0.0), (0.3, 0.0), (0.3, 0.01), (0.5, 0.02)):
                found = found_in(lit(banded(drawer, bands), gradient, noise))
                mean = overlaps(truth, found.labels).mean()
                print(
                    f"{bands} bands, light ±{gradient:.0%}, noise {noise}: "
                    f"{len(found.used(Finding()))} of 24, mean IoU {mean:.3f}"
                )


def on_paper(
    picture: NDArray[np.float64], mask: NDArray[np.bool_], paper: tuple[float, ...], seed: int
) -> Cube:
    """A cut-out specimen on paper with grain, under light that falls off a little; 8 bits.

    Parameters
    ----------
    picture : (H, W, 3)
        0 to 1.
    """
    rng = np.random.default_rng(seed)
    margin = max(12, max(mask.shape) // 5)
    whole = np.pad(mask, margin).astype(float)
    seen = np.pad(picture, ((margin, margin), (margin, margin), (0, 0)))
    mixed = np.where(whole[..., None] > 0, seen, np.array(paper))
    light = _light(whole.shape, 0.1, 0.7)[..., None]
    noisy = mixed * light + rng.normal(0, 0.008, mixed.shape)
    numbers = np.rint(255 * np.clip(noisy, 0, 1)).astype(np.float32) / 255
    bands = Bands(Band(name, region="vis") for name in "RGB")
    return Cube(np.moveaxis(numbers, -1, 0), bands, Path("paper.png"))


def cut_outs() -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.bool_]]]:
    """Drawn butterflies; white blood cells and transparent pictures of PHENOSCAPE_DATA."""
    for number in range(4):
        one = individual(number, 0)
        covers, whole = material_cover(one.wings, pattern(one), one.pose, 160)
        materials = np.array([spectra(one)[name] for name in covers]) @ camera(3).T
        seen = np.tensordot(np.array(list(covers.values())), materials, (0, 0))
        yield f"drawn {number}", seen / np.maximum(whole, 1e-6)[..., None], whole > 0.5
    if "PHENOSCAPE_DATA" not in os.environ:
        return
    data = Path(os.environ["PHENOSCAPE_DATA"])
    for path in sorted(data.glob("specimens-*/**/*.png")):
        picture = np.asarray(Image.open(path).convert("RGBA")) / 255
        mask = picture[..., 3] > 0.5
        if mask.all():
            continue
        step = max(1, max(mask.shape) // 400)
        yield path.stem, picture[::step, ::step, :3], mask[::step, ::step]
    for path in sorted(data.glob("wbc-zheng/*/*.bmp"))[::20]:
        mask = np.asarray(Image.open(path.with_suffix(".png")).convert("L")) > 0
        yield (
            f"cell {path.parent.name[-1]}/{path.stem}",
            np.asarray(Image.open(path).convert("RGB")) / 255,
            mask,
        )


def measure_paper() -> None:
    """Cut-out specimens on paper of several colours."""
    kinds: dict[tuple[str, str], list[float]] = {}
    for seed, (name, picture, mask) in enumerate(cut_outs()):
        margin = max(12, max(mask.shape) // 5)
        for paper, colour in PAPERS.items():
            found = found_in(on_paper(picture, mask, colour, seed), touching=False)
            planted = np.pad(mask, margin).astype(np.int32)
            value = float(overlaps(planted, found.regions(found.used(Finding())))[0])
            kinds.setdefault((name.partition(" ")[0], paper), []).append(value)
    for (kind, paper), values in kinds.items():
        low = sum(value < 0.9 for value in values)
        print(
            f"{kind:16s} on {paper:6s}: mean IoU {np.mean(values):.3f}, least {min(values):.3f}, "
            f"{low} of {len(values)} below 0.9"
        )


def textured(seed: int, roughness: float) -> Cube:
    """(3, 240, 320) a picture of stones, grass or clouds: noise as rough as is said."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(240), np.fft.fftfreq(320), indexing="ij"))
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(rng.normal(size=(4, 240, 320))) / frequency**roughness
    planes = np.fft.ifft2(spectrum).real
    planes /= planes.std(axis=(1, 2), keepdims=True)
    numbers = np.clip(0.5 + 0.17 * (planes[:1] + 0.5 * planes[1:]), 0, 1).astype(np.float32)
    bands = Bands(Band(name, region="vis") for name in "RGB")
    return Cube(numbers, bands, Path("ground.png"))


def _photograph(picture: NDArray[np.uint8], name: str) -> Cube:
    bands = Bands(Band(colour, region="vis") for colour in "RGB")
    return Cube(np.moveaxis(picture[..., :3] / 255, -1, 0).astype(np.float32), bands, Path(name))


def measure_ground() -> None:
    """Pictures whose background is not plain: textures, photographs of scikit-learn, cells."""
    from sklearn.datasets import load_sample_image

    grounds = [textured(seed, roughness) for roughness in (0.8, 1.2, 1.6) for seed in range(5)]
    for name in ("china.jpg", "flower.jpg"):
        whole = load_sample_image(name)
        for seed in range(10):
            top, left = np.random.default_rng(seed).integers(0, (227, 400))
            grounds.append(_photograph(whole[top : top + 200, left : left + 240], name))
    silent = [
        (cube.path.name, len(used))
        for cube in grounds
        if (used := found_in(cube, touching=False).used(Finding()))
    ]
    print(f"{len(grounds)} backgrounds that are not plain: {len(silent)} give specimens {silent}")
    if "PHENOSCAPE_DATA" in os.environ:
        clear, values = 0, []
        paths = sorted(Path(os.environ["PHENOSCAPE_DATA"]).glob("wbc-zheng/*/*.bmp"))[::5]
        for path in paths:
            cell = np.asarray(Image.open(path.with_suffix(".png")).convert("L")) > 0
            found = found_in(_photograph(np.asarray(Image.open(path).convert("RGB")), path.name))
            value = overlaps(cell.astype(int), found.labels)[0]
            is_used = bool(
                np.isin(found.labels[cell], [p.number for p in found.used(Finding())]).any()
            )
            clear += is_used
            values += [value] if is_used else []
        print(
            f"{len(paths)} cells on their smears: {clear} said to be clear, of these mean IoU "
            f"{np.mean(values):.3f}, median {np.median(values):.3f}"
        )


def measure_memory() -> None:
    """A sparse BIL of 408 bands, 4000 rows and 3000 columns, with some specimens written."""
    bands, height, width = 408, 4000, 3000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.bil"
        with path.open("wb") as file:
            file.truncate(2 * bands * height * width)
            line = np.zeros((bands, width), "<u2")
            for column in range(250, 2700, 600):
                line[:, column : column + 200] = 4000
            for top in range(300, 3100, 700):
                file.seek(2 * top * bands * width)
                file.write(line.tobytes() * 120)
        size, disk = path.stat().st_size / 1e9, path.stat().st_blocks * 512 / 1e9
        path.with_name("large.bil.hdr").write_text(
            f"ENVI\nsamples = {width}\nlines = {height}\nbands = {bands}\ndata type = 12\n"
            "interleave = bil\nbyte order = 0\nheader offset = 0\n"
            "reflectance scale factor = 10000\n"
        )
        own: list[float] = []
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.05):
                status = Path("/proc/self/status").read_text()
                own.append(int(status.split("RssAnon:")[1].split()[0]) / 2**20)

        watching = threading.Thread(target=watch)
        watching.start()
        found = found_in(open_cube(path))
        done.set()
        watching.join()
        print(
            f"{size:.1f} GB ({disk:.2f} on disk): {len(found.pieces)} pieces of 20; memory of the "
            f"process, without the pages of the file that the system keeps: {max(own):.2f} GiB"
        )


if __name__ == "__main__":
    for what in sys.argv[1:] or ("bands", "drawers", "paper", "ground", "memory"):
        globals()[f"measure_{what}"]()
