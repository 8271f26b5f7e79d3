"""Samples: specimens drawn from physics, with a known answer, written as a user's files would be.

Two invented butterfly species of two sexes, each in two morphs that differ in the UV only. What
differs between photographs of the same kind is pose, size, exposure, pigmentation and noise.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import platformdirs
import tifffile
from PIL import Image

from napari_phenoscape._atomic import atomic
from napari_phenoscape._remote import here
from napari_phenoscape.cubes import RGB_NM
from napari_phenoscape.errors import CollectionError, RunError
from napari_phenoscape.events import Progress
from napari_phenoscape.samples._experiments import write_experiments
from napari_phenoscape.samples._pigments import WAVELENGTHS_NM
from napari_phenoscape.samples._specimens import (
    DRAWER_COLUMNS,
    DRAWER_ROWS,
    DRAWER_TILE,
    SCAN_SCALE,
    Individual,
    individual,
    pattern,
    photograph,
    scan,
)
from napari_phenoscape.spectra import srgb_encoded

#: Says what a directory of samples holds.
RECEIPT = "samples.json"

#: Raised whenever the same seed gives other files than before.
VERSION = 1

IN_DRAWER = DRAWER_ROWS * DRAWER_COLUMNS


def sample_directory() -> Path:
    """The user's cache folder in which the window keeps its samples; need not exist yet."""
    return platformdirs.user_cache_path("napari-phenoscape", appauthor=False) / "samples"


def write_samples(
    directory: Path | str,
    *,
    seed: int = 0,
    specimens: int = 240,
    size: int = 96,
    drawer: bool = True,
) -> Generator[Progress, None, Path]:
    """Write the samples into a new or empty directory, or find the very same ones there.

    ``multispectral/`` has a folder per species of 7-channel TIFFs (R, G, B, UV_R, UV_G, UV_B,
    mask), ``rgb/`` sRGB pictures of the same specimens, each with its ``metadata.csv``;
    ``drawer.bil`` is a 408-band scan of the first 24, ``drawer_regions.tif`` numbers them 1 to
    24, ``drawer_metadata.csv`` describes them. ``patches.csv`` says where each pattern element
    lies. The three ``.yaml`` files are experiments that run as they stand.

    Parameters
    ----------
    directory
        Made when it is not there.
    seed
        The same seed gives the same bytes.
    specimens
        How many are photographed, at least 24.
    size
        Side of a photograph in pixels, at least 32.
    drawer
        Whether to scan the drawer too (46 MB).

    Returns
    -------
    The directory.

    Raises
    ------
    CollectionError
        Too few specimens, or too small.
    RunError
        The directory holds something else, or cannot be written.
    """
    if specimens < IN_DRAWER or size < 32:
        raise CollectionError(
            f"{specimens} specimens of {size} pixels were asked for; samples need at least "
            f"{IN_DRAWER} specimens of 32 pixels. Ask for more."
        )
    directory = here(Path(directory)).absolute()
    asked = {
        "version": VERSION,
        "seed": seed,
        "specimens": specimens,
        "size": size,
        "drawer": drawer,
    }
    if _holds(directory, asked):
        return directory
    with atomic(directory) as folder:
        folder.mkdir(parents=True)
        individuals = [individual(number, seed) for number in range(specimens)]
        total = specimens + (DRAWER_ROWS if drawer else 0)
        done = 0
        for _ in _write_photographs(folder, individuals, size):
            done += 1
            if done % 20 == 0:
                yield Progress("drawing samples", done, total)
        if drawer:
            for _ in _write_drawer(folder, individuals[:IN_DRAWER]):
                done += 1
                yield Progress("drawing samples", done, total)
        write_experiments(folder, drawer)
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
        (folder / RECEIPT).write_text(json.dumps({**asked, "bytes": sizes}, indent=1), "utf-8")
    return directory


def _holds(directory: Path, asked: dict[str, Any]) -> bool:
    """Whether the directory holds the very samples that are asked for; False when it is empty."""
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        return False
    receipt = directory / RECEIPT
    if not receipt.is_file():
        raise RunError(
            f"'{directory}' is there already and does not hold samples; a new or an empty folder "
            "was expected. Choose another folder."
        )
    held = json.loads(receipt.read_text("utf-8"))
    sizes = held.pop("bytes")
    if held != asked:
        given = ", ".join(f"{name} {held[name]}" for name in asked if held[name] != asked[name])
        raise RunError(
            f"'{directory}' already holds other samples ({given}); the same ones or an empty "
            "folder were expected. Choose another folder, or delete this one."
        )
    for name, size in sizes.items():
        path = directory / name
        if not path.is_file() or path.stat().st_size != size:
            raise RunError(
                f"'{path}' is missing or was changed since the samples were written. "
                f"Delete '{directory}' and write them again, or choose another folder."
            )
    return True


def _write_photographs(
    folder: Path, individuals: list[Individual], size: int
) -> Iterator[Individual]:
    rows, patches = [], []
    for one in individuals:
        species = one.species.replace(" ", "_")
        (folder / "multispectral" / species).mkdir(parents=True, exist_ok=True)
        (folder / "rgb").mkdir(exist_ok=True)
        bands, mask = photograph(one, size)
        image = np.concatenate([bands, 65535 * mask[None].astype("<u2")]).transpose(1, 2, 0)
        # without these tags, (H, W, 7) would be written as H pages
        tifffile.imwrite(
            folder / "multispectral" / species / f"{one.stem}.tif",
            np.ascontiguousarray(image),
            byteorder="<",
            photometric="rgb",
            planarconfig="contig",
            extrasamples=["unspecified"] * 4,
            metadata=None,
            software=False,
        )
        # 8-bit sRGB, as a camera's own pictures are
        colours = np.rint(255 * srgb_encoded(image[..., :3] / 65535)).astype(np.uint8)
        Image.fromarray(colours).save(folder / "rgb" / f"{one.stem}.png")
        rows.append(_description(one))
        for spot in pattern(one).spots:
            for x in (-spot.x, spot.x):
                row, column = one.pose.pixel(x, spot.y, size)
                patches.append(
                    {
                        "individual": one.number,
                        "element": spot.element,
                        "material": spot.material,
                        "row": round(row, 2),
                        "column": round(column, 2),
                        "radius": round(spot.radius * one.pose.wing_length * size, 2),
                    }
                )
        yield one
    table = pd.DataFrame(rows)
    for kind, extension in (("multispectral", ".tif"), ("rgb", ".png")):
        names = [one.stem + extension for one in individuals]
        named = table.copy()
        named.insert(0, "filename", names)
        named.to_csv(folder / kind / "metadata.csv", index=False, lineterminator="\n")
    pd.DataFrame(patches).to_csv(folder / "patches.csv", index=False, lineterminator="\n")


def _write_drawer(folder: Path, individuals: list[Individual]) -> Iterator[int]:
    side = DRAWER_TILE
    regions = np.zeros((DRAWER_ROWS * side, DRAWER_COLUMNS * side), dtype=np.uint8)
    with (folder / "drawer.bil").open("wb") as file:
        for row in range(DRAWER_ROWS):
            # (lines, bands, columns): the order of BIL
            strip = np.empty((side, len(WAVELENGTHS_NM), regions.shape[1]), dtype="<u2")
            for column in range(DRAWER_COLUMNS):
                index = row * DRAWER_COLUMNS + column
                across = slice(column * side, (column + 1) * side)
                strip[:, :, across], mask = scan(individuals[index])
                regions[row * side : (row + 1) * side, across] = mask * (index + 1)
            file.write(strip.data)
            yield row
    (folder / "drawer.bil.hdr").write_text(_header(*regions.shape), "ascii", newline="\n")
    tifffile.imwrite(
        folder / "drawer_regions.tif", regions, byteorder="<", metadata=None, software=False
    )
    table = pd.DataFrame([_description(one) for one in individuals])
    table = table.drop(columns="exposure")
    table.insert(0, "region", range(1, len(table) + 1))
    table.to_csv(folder / "drawer_metadata.csv", index=False, lineterminator="\n")


def _description(one: Individual) -> dict[str, Any]:
    return {
        "individual": one.number,
        "species": one.species,
        "morph": one.morph,
        "sex": one.sex,
        "view": "Dorsal",
        "locality": one.locality,
        "exposure": round(one.exposure, 4),
        "rotation_deg": round(one.pose.rotation_deg, 1),
        "wing_length": round(one.pose.wing_length, 4),
    }


def _header(lines: int, samples: int) -> str:
    shown = [int(np.abs(WAVELENGTHS_NM - nm).argmin()) + 1 for nm in RGB_NM]  # 1-based
    wavelengths = ", ".join(f"{nm:.4f}" for nm in WAVELENGTHS_NM)
    return (
        "ENVI\n"
        "description = {A drawer of 24 drawn specimens}\n"
        f"samples = {samples}\n"
        f"lines = {lines}\n"
        f"bands = {len(WAVELENGTHS_NM)}\n"
        "header offset = 0\n"
        "file type = ENVI Standard\n"
        "data type = 12\n"
        "interleave = bil\n"
        "byte order = 0\n"
        f"reflectance scale factor = {SCAN_SCALE}\n"
        f"default bands = {{{', '.join(map(str, shown))}}}\n"
        "wavelength units = Nanometers\n"
        f"wavelength = {{{wavelengths}}}\n"
    )
