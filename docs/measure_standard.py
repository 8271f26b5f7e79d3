"""How well a standard is found by itself, and what is not taken for one: standards.md's table.

``python docs/measure_standard.py [--tries 100] [--first 0]`` draws so many photographs of each
kind: a butterfly in six bands (every other one is white all over), on white, grey, black, blue or
yellow paper, in uneven light, by a camera without white balance, blurred and noisy; with a
standard of its own place, size and turn, or with what is none.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from napari_phenoscape.cubes import Band, Bands, Cube
from napari_phenoscape.errors import CubeError
from napari_phenoscape.samples._pigments import white_balanced_cameras
from napari_phenoscape.samples._shapes import material_cover
from napari_phenoscape.samples._specimens import individual, pattern, spectra
from napari_phenoscape.spectra import standard_box

#: Reflectance of papers in R, G, B and UV.
PAPERS = {
    "white": (0.9, 0.9, 0.88, 0.15),
    "grey": (0.4, 0.4, 0.4, 0.3),
    "black": (0.04, 0.04, 0.04, 0.03),
    "blue": (0.15, 0.3, 0.7, 0.2),
    "yellow": (0.85, 0.75, 0.2, 0.1),
}

#: The greys of a chart, from white to black, and its colours, in R, G, B and UV.
GREYS = (0.9, 0.59, 0.36, 0.19, 0.09, 0.035)
COLOURS = (
    (0.45, 0.08, 0.06, 0.05), (0.07, 0.3, 0.08, 0.05), (0.06, 0.06, 0.3, 0.1),
    (0.8, 0.6, 0.05, 0.05), (0.5, 0.1, 0.3, 0.2), (0.05, 0.25, 0.4, 0.1),
)  # fmt: skip

#: With a standard, and without or with more than one.
SHOWN = ("a square", "a disc", "in a holder", "a row of greys", "a colour chart")
REFUSED = ("nothing", "a written label", "a mounting card", "two standards", "a red card")


class Scene:
    """What a photograph shows, at twice its size.

    Parameters
    ----------
    seed
        All is drawn by.
    """

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.height, self.width = (int(side) for side in rng.integers(360, 900, 2))
        self.paper = list(PAPERS)[int(rng.integers(len(PAPERS)))]
        six = _six(PAPERS[self.paper])
        self.picture = np.repeat(six[:, None], 4 * self.height * self.width, 1).reshape(
            6, 2 * self.height, 2 * self.width
        )
        self._lay_specimen(seed)
        #: (H, W) True on the patch that is to be found
        self.truth = np.zeros((self.height, self.width), np.bool_)

    def _lay_specimen(self, seed: int) -> None:
        one = individual(seed, 0)
        side = int(1.2 * min(self.height, self.width))
        covers, whole = material_cover(one.wings, pattern(one), one.pose, side)
        known = spectra(one)
        seen = np.array([known[name] for name in covers]) @ white_balanced_cameras().T
        if seed % 2:
            seen = np.repeat(self.rng.uniform(0.8, 0.95, (len(seen), 1)), 6, axis=1)
        drawn = np.tensordot(seen, np.array(list(covers.values())), (0, 0))
        down, right = 2 * self.height - side, 2 * self.width - side
        # in one half of the picture, so that the other has room
        box = (
            (slice(down // 2, down // 2 + side), slice(0, side))
            if self.width >= self.height
            else (slice(0, side), slice(right // 2, right // 2 + side))
        )
        self.picture[:, *box] = self.picture[:, *box] * (1 - whole) + drawn

    def spot(self, fraction: float) -> tuple[float, float, float]:
        """Row, column and half side of a square in the free part, of so much of a side."""
        half = fraction * min(self.height, self.width)
        row, column = 2 * self.height - 1.6 * half - 16, 2 * self.width - 1.6 * half - 16
        spread = 0.5 * abs(self.width - self.height)
        moved = self.rng.uniform(0, spread + 1)
        return (
            (row - moved, column, half) if self.width < self.height else (row, column - moved, half)
        )

    def lay(
        self, corners: list[tuple[float, float]], colour: NDArray[np.float64], *, disc: bool = False
    ) -> NDArray[np.bool_]:
        """Draw a piece, (row, column) of its corners; of a disc those of its box."""
        image = Image.new("L", self.picture.shape[:0:-1])
        draw = ImageDraw.Draw(image)
        flat = [(column, row) for row, column in corners]
        if disc:
            draw.ellipse([flat[0], flat[2]], fill=255)
        else:
            draw.polygon(flat, fill=255)
        mask = np.asarray(image) > 0
        self.picture[:, mask] = colour[:, None]
        return mask

    def photographed(self) -> Cube:
        """In some light, by a camera without white balance."""
        rng = self.rng
        planes = self.picture.reshape(6, self.height, 2, self.width, 2).mean(axis=(2, 4))
        blur = rng.uniform(0, 1.2)
        planes = ndimage.gaussian_filter(planes, (0, blur, blur))
        v, u = np.meshgrid(*(np.linspace(-1, 1, n) for n in planes.shape[1:]), indexing="ij")
        turn, fall = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.3)
        light = 1 + fall * (np.cos(turn) * u + np.sin(turn) * v) - 0.1 * (u * u + v * v)
        gains = rng.uniform(0.35, 0.8, 6)[:, None, None]
        noise = rng.uniform(0.001, 0.008)
        numbers = planes * light * gains + rng.normal(0, noise, planes.shape)
        bands = Bands(
            [Band(name, region="vis") for name in ("R", "G", "B")]
            + [Band(name, region="uv") for name in ("UV_R", "UV_G", "UV_B")]
        )
        return Cube(np.clip(numbers, 0, 1).astype(np.float32), bands, Path("planted.tif"))


def _six(colour: tuple[float, ...]) -> NDArray[np.float64]:
    return np.array([*colour[:3], *[colour[3]] * 3])


def _turned(
    row: float, column: float, tall: float, wide: float, angle: float
) -> list[tuple[float, float]]:
    """Corners of a rectangle with half sides, turned about its middle."""
    c, s = np.cos(angle), np.sin(angle)
    return [
        (row + y * c + x * s, column - y * s + x * c)
        for y, x in ((-tall, -wide), (-tall, wide), (tall, wide), (tall, -wide))
    ]


def planted(kind: str, seed: int) -> tuple[Cube, NDArray[np.bool_], str]:
    """A photograph, (H, W) where its standard is, if it is to be found, and its paper."""
    scene = Scene(seed)
    rng = scene.rng
    angle = rng.uniform(-0.4, 0.4)
    row, column, half = scene.spot(rng.uniform(0.08, 0.14))
    grey = np.full(6, float(rng.choice([0.2, 0.5, 0.8, 0.99])))
    if abs(grey[0] - scene.picture[0, 0, 0]) < 0.12:
        grey[:] = 0.99 if scene.picture[0, 0, 0] < 0.8 else 0.2
    mask = np.zeros(scene.picture.shape[1:], np.bool_)
    squeeze = rng.uniform(0.6, 1)
    match kind:
        case "a square":
            mask = scene.lay(_turned(row, column, half * squeeze, half, angle), grey)
        case "a disc":
            mask = scene.lay(_turned(row, column, half, half, 0), grey, disc=True)
        case "in a holder":
            holder = np.full(6, 0.03 if scene.paper != "black" else 0.3)
            scene.lay(_turned(row, column, 1.3 * half, 1.3 * half, 0), holder, disc=True)
            mask = scene.lay(_turned(row, column, half, half, 0), grey, disc=True)
        case "a row of greys" | "a colour chart":
            half = 0.25 * min(scene.height, scene.width)
            place = 2 * scene.height - 0.6 * half - 20, 2 * scene.width - 1.4 * half - 20
            mask = _chart(scene, *place, half, coloured=kind == "a colour chart")
        case "a written label":
            corners = _turned(row, column, half * 0.7, half, angle)
            scene.lay(corners, np.full(6, 0.85 if scene.paper != "white" else 0.6))
            for line in range(3):
                for letter in range(int(rng.integers(3, 8))):
                    place = row + (line - 1) * half * 0.4, column + (letter - 3) * half * 0.2
                    scene.lay(_turned(*place, half * 0.12, half * 0.05, 0), np.full(6, 0.05))
        case "a mounting card":
            scene.lay(_turned(row, column, half, half, angle), np.full(6, 0.8))
            scene.lay(_turned(row, column, half * 0.5, half * 0.3, 0), np.full(6, 0.1), disc=True)
        case "two standards":
            apart = 1.2 * half
            scene.lay(_turned(row - 2 * apart, column, 0.9 * half, 0.9 * half, 0), grey)
            scene.lay(_turned(row, column, 0.9 * half, 0.9 * half, 0), grey)
        case "a red card":
            red = np.array([0.7, 0.15, 0.1, 0.05, 0.05, 0.05])
            scene.lay(_turned(row, column, half * squeeze, half, angle), red)
    shape = scene.height, 2, scene.width, 2
    return scene.photographed(), np.all(mask.reshape(shape), axis=(1, 3)), scene.paper


def _chart(
    scene: Scene, row: float, column: float, half: float, *, coloured: bool
) -> NDArray[np.bool_]:
    """Patches on a black card, or a row of greys that touch; True on the white one."""
    across = 6
    rows = 2 if coloured else 1
    side = 2.6 * half / across
    left, top = column - 1.3 * half, row - side * rows
    frame = np.full(6, 0.05 if scene.paper != "black" else 0.02)
    margin = side * 0.25
    if coloured:
        corners = _turned(
            top + side * rows / 2, column, side * rows / 2 + margin, 1.3 * half + margin, 0
        )
        scene.lay(corners, frame)
    gap = side * 0.12 if coloured else 0
    found = np.zeros(scene.picture.shape[1:], np.bool_)
    for place in range(rows * across):
        down, right = divmod(place, across)
        middle = top + (down + 0.5) * side, left + (right + 0.5) * side
        is_grey = down == rows - 1
        colour = np.full(6, GREYS[right]) if is_grey else _six(COLOURS[right])
        drawn = scene.lay(_turned(*middle, side / 2 - gap, side / 2 - gap, 0), colour)
        if is_grey and right == 0:
            found = drawn
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first photograph")
    parser.add_argument("--only", choices=(*SHOWN, *REFUSED), help="what is shown")
    parser.add_argument("--verbose", action="store_true", help="what became of each")
    asked = parser.parse_args()
    print("| shown | photographs | found | refused | wrong |")
    print("|---|---|---|---|---|")
    for kind in [asked.only] if asked.only else (*SHOWN, *REFUSED):
        ends = {"found": 0, "refused": 0, "wrong": 0}
        for seed in range(asked.first, asked.first + asked.tries):
            cube, truth, paper = planted(kind, seed)
            try:
                said = standard_box(cube)
                top, bottom, left, right = map(int, re.findall(r"\d+", said))
                inside = truth[top:bottom, left:right]
                end = "found" if inside.size and inside.all() else "wrong"
            except CubeError as error:
                end, said = "refused", str(error)
            ends[end] += 1
            if asked.verbose and end != ("found" if kind in SHOWN else "refused"):
                print(kind, seed, paper, "white specimen" if seed % 2 else "", said)
        print(f"| {kind} | {asked.tries} | {' | '.join(map(str, ends.values()))} |", flush=True)


if __name__ == "__main__":
    main()
