"""Measures how well photographs in other light are laid on each other, and what is refused.

``python docs/measure_registration.py [--tries 200] [--first 0] [--size 250] [--soft 0] [--only
KIND]`` plants a turn, a scale, a shear and a shift between the visible and the ultraviolet bands of
drawn specimens on paper, with light, blur, noise and size of their own, and prints the table of
photographs.md. Every fourth try is no such pair: it pairs another specimen of the same species and
sex, turns by 60° to 180°, or shows a plain disc, whose turn nobody can see, or nothing but paper.
``--only`` makes all of them such. ``--soft`` blurs both by so many pixels and triples their noise.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_phenoscape.cubes import Band, Bands, Cube
from napari_phenoscape.samples._specimens import individual, photograph
from napari_phenoscape.spectra import MOST_PX, Registration, registration

#: What is no pair, in turn. How another specimen should lie, nobody knows.
WRONG = ("another specimen", "turned too far", "a plain disc", "paper alone")


@dataclass(frozen=True, eq=False)
class Pair:
    """Two photographs, and the map from one to the other that is planted.

    Parameters
    ----------
    visible, ultraviolet
        Of 3 bands, and of 1 to 3.
    matrix : (3, 3)
        From (column, row, 1) of the first to those of the second.
    mask : (H, W)
        True on the specimen, in the first.
    """

    visible: Cube
    ultraviolet: Cube
    matrix: NDArray[np.float64]
    mask: NDArray[np.bool_]

    def error_px(self, matrix: NDArray[np.float64]) -> float:
        """Root mean square in pixels of the first, over the specimen."""
        rows, columns = np.nonzero(self.mask)
        places = np.stack([columns, rows, np.ones_like(rows)]).astype(float)
        moved = np.linalg.inv(self.matrix) @ (matrix @ places) - places
        return float(np.sqrt(np.mean(np.sum(moved[:2] ** 2, axis=0))))


def planted(seed: int, wrong: str = "", about: int = 250, soft: float = 0) -> Pair:
    """A pair of about so many pixels a side, a fifth more or less, and blurred by so many.

    Turns up to 20°, scales of 0.85 to 1.18, shears of a hundredth, shifts up to 8 % of a side.
    """
    rng = np.random.default_rng(seed)
    size = int(rng.integers(about * 4 // 5, about * 6 // 5 + 1))
    both, mask = _drawn(seed, size, rng)
    other = _drawn(seed + 5000, size, rng)[0] if wrong == "another specimen" else both
    if wrong == "a plain disc":
        both = other = np.repeat(np.where(_disc(size), 0.6, 0.3)[None], 6, axis=0)
        mask = _disc(size)
    if wrong == "paper alone":
        both, other = (np.repeat(_paper(size, rng)[None], 6, axis=0) for _ in range(2))
    degrees = rng.uniform(60, 180) if wrong == "turned too far" else rng.uniform(-20, 20)
    turn, scale = np.deg2rad(degrees), rng.uniform(0.85, 1.18)
    height, width = (int(size * part) for part in rng.uniform(0.85, 1.25, 2))
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = linear @ (np.eye(2) + rng.normal(0, 0.01, (2, 2)))
    shift = rng.uniform(-0.08, 0.08, 2) * size
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = np.array([width, height]) / 2 - linear @ (np.full(2, size) / 2) + shift
    back = np.linalg.inv(matrix)
    rows, columns = np.mgrid[:height, :width]
    x, y = (back[i, 0] * columns + back[i, 1] * rows + back[i, 2] for i in (0, 1))
    bands = int(rng.integers(1, 4))
    uv = np.stack(
        [ndimage.map_coordinates(plane, [y, x], order=3, mode="nearest") for plane in other[3:]]
    )[:bands]
    blur, noise = np.hypot(0.8, soft), 3 if soft else 1
    uv = ndimage.gaussian_filter(uv, (0, blur, blur)) * _light(uv.shape[1:], rng)
    visible = ndimage.gaussian_filter(both[:3], (0, soft, soft)) * _light(mask.shape, rng)
    return Pair(
        _cube(visible + rng.normal(0, 0.005 * noise, visible.shape), "vis"),
        _cube(uv + rng.normal(0, 0.015 * noise, uv.shape), "uv"),
        matrix,
        mask,
    )


def _drawn(
    seed: int, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(6, size, size) reflectance of a specimen on paper that is not quite even, and its mask."""
    numbers, mask = photograph(individual(seed, 0), size)
    return np.where(mask, numbers / 65535, _paper(size, rng)), mask


def _paper(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return 0.5 + 2 * ndimage.gaussian_filter(rng.normal(size=(size, size)), 20)


def _disc(size: int) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:size, :size] - size / 2
    return np.asarray(rows**2 + columns**2 < (0.3 * size) ** 2)


def _light(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Brighter towards one side, by up to twice."""
    down, across = (np.linspace(0, 1, side) for side in shape)
    return np.asarray(0.6 + 0.8 * rng.random() * down[:, None] + 0.3 * (1 - across))


def _cube(planes: NDArray[np.float64], name: str) -> Cube:
    bands = Bands(Band(f"{name} {i}") for i in range(len(planes)))
    return Cube(planes.astype(np.float32), bands, Path(name))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first try")
    parser.add_argument("--size", type=int, default=250, help="pixels a side, about")
    parser.add_argument("--soft", type=float, default=0, help="pixels by which both are blurred")
    parser.add_argument("--only", choices=WRONG, help="what all tries are")
    asked = parser.parse_args()
    found: dict[str, list[tuple[float, Registration]]] = {}
    for seed in range(asked.first, asked.first + asked.tries):
        wrong = asked.only or (WRONG[seed // 4 % len(WRONG)] if seed % 4 == 3 else "")
        pair = planted(seed, wrong, asked.size, asked.soft)
        lies = registration(pair.visible, pair.ultraviolet)
        found.setdefault(wrong or "in reach", []).append((pair.error_px(lies.matrix), lies))
    print("| planted | tries | accepted | error (px), median | largest | residual said, median |")
    print("|---|---|---|---|---|---|")
    for name, pairs in found.items():
        kept = [(error, lies.residual_px) for error, lies in pairs if not lies.doubt(MOST_PX)]
        errors, residuals = np.array(kept).T if kept else (np.array([]), np.array([]))
        words = (
            f"{np.median(errors):.2f} | {errors.max():.2f} | {np.median(residuals):.2f}"
            if kept and name not in (WRONG[0], WRONG[3])
            else "- | - | -"
        )
        print(f"| {name} | {len(pairs)} | {len(kept)} | {words} |")


if __name__ == "__main__":
    main()
