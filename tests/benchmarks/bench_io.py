"""Reading a BIL cube of 1 GB: ours against the fastest of `spectral`, rasterio and `np.memmap`.

The cube (408 bands, 1000 rows, 1300 columns, uint16) is made in the folder for temporary files.
Each side opens it once and reads another place each time; all but the cold read find it in the
system's file cache.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rasterio
import spectral
from rasterio.windows import Window

from napari_phenoscape.cubes import open_cube
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Folder, collect
from napari_phenoscape.spectra import composite, rgb_bands
from tests.benchmarks import Comparison, Figure
from tests.soak.specimens import draw_specimens

C, H, W = 408, 1000, 1300
SIDE = 224

#: Spectra that are read in a row: one alone takes microseconds.
SPECTRA = 100

Read = Callable[[int, int, int], object]


def comparisons() -> Iterator[Comparison | Figure]:
    """The cold read, then warm ones."""
    with tempfile.TemporaryDirectory() as name:
        header = write_cube(Path(name))
        yield Figure("io-cold-band-share-of-file", lambda: 100 * _cold_share(header), "%", 2)
        yield Figure("io-open-cube-memory", lambda: _memory_of_open(header) / 1e6, "MB", 50)
        yield from _warm(header)
        yield Figure("io-collecting-20000-as-2000", lambda: _collecting(Path(name)), "x", 12)


def write_cube(folder: Path) -> Path:
    """Smooth spectra with noise; gives the header."""
    rng = np.random.default_rng(0)
    row = np.linspace(200, 3000, C)[:, None] + rng.integers(0, 200, (C, W))
    with (folder / "drawer.bil").open("wb") as file:
        for line in range(H):
            file.write((row + line).astype("<u2").tobytes())
        file.flush()
        os.fsync(file.fileno())  # what is not on the disk cannot be dropped from the cache
    centres = ", ".join(f"{nm:.2f}" for nm in np.linspace(348.39, 809.61, C))
    header = folder / "drawer.bil.hdr"
    header.write_text(
        f"ENVI\nsamples = {W}\nlines = {H}\nbands = {C}\ndata type = 12\ninterleave = bil\n"
        f"byte order = 0\nheader offset = 0\nwavelength units = nm\nwavelength = {{{centres}}}\n"
    )
    return header


def _cold_share(header: Path) -> float:
    """Of the file, what one band reads from the disk."""
    array = open_cube(header).array
    with header.with_suffix("").open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    before = psutil.Process().io_counters().read_bytes
    _ = array[C // 2]
    read = psutil.Process().io_counters().read_bytes - before
    return read / header.with_suffix("").stat().st_size


def _memory_of_open(header: Path) -> float:
    """Bytes of anonymous memory that a cube takes of which every band has been read."""
    before = _anonymous()
    cube = open_cube(header)
    for band in range(C):
        _ = cube.array[band]
    return _anonymous() - before


def _anonymous() -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def _collecting(folder: Path) -> float:
    """Processor seconds of collecting 20 000 small PNGs with a table, over those of 2000."""
    sources = [Folder(path=draw_specimens(folder / str(count), count)) for count in (2000, 20_000)]
    seconds = []
    for source in (*sources, *sources):  # the first time each is new to the system's cache
        start = time.process_time()
        result(collect(source))
        seconds.append(time.process_time() - start)
    return seconds[3] / seconds[2]


def _warm(header: Path) -> Iterator[Comparison]:
    data = str(header.with_suffix(""))
    cube, lines = open_cube(header), np.memmap(data, "<u2", "r", shape=(H, C, W))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        envi: Any = spectral.envi.open(str(header), data)
        raster = rasterio.open(data)

    def load() -> object:
        return envi.load(dtype=envi.dtype)

    def first_look() -> object:
        opened = open_cube(header)
        return composite(opened, rgb_bands(opened.bands))

    bands: dict[str, Read] = {
        "ours": lambda b, y, x: cube.array[b],
        "spectral": lambda b, y, x: envi.read_band(b),
        "rasterio": lambda b, y, x: raster.read(b + 1),
        "memmap": lambda b, y, x: np.array(lines[:, b]),
    }
    spectra: dict[str, Read] = {
        "ours": lambda b, y, x: cube.array[:, y, x],
        "spectral": lambda b, y, x: envi.read_pixel(y, x),
        "rasterio": lambda b, y, x: raster.read(window=Window(x, y, 1, 1)),
        "memmap": lambda b, y, x: np.array(lines[y, :, x]),
    }
    crops: dict[str, Read] = {
        "ours": lambda b, y, x: cube.array[:, y : y + SIDE, x : x + SIDE],
        "spectral": lambda b, y, x: envi.read_subregion((y, y + SIDE), (x, x + SIDE)),
        "rasterio": lambda b, y, x: raster.read(window=Window(x, y, SIDE, SIDE)),
        "memmap": lambda b, y, x: np.array(lines[y : y + SIDE, :, x : x + SIDE]),
    }
    yield _against_the_fastest("band", bands)
    yield _against_the_fastest("spectrum", spectra, SPECTRA)
    yield _against_the_fastest("crop", crops)
    everything = np.array(lines)
    yield Comparison("io-full-load-as-copy", lambda: cube.array[...], everything.copy, 1 / 1.2)
    del everything
    yield Comparison("io-open-and-composite-as-spectral-load", first_look, load, 50, rounds=2)


def _against_the_fastest(what: str, reads: dict[str, Read], times: int = 1) -> Comparison:
    """Ours, and whichever of the others is fastest in a first trial."""

    def work(read: Read, seed: int) -> Callable[[], object]:
        chance = random.Random(seed)

        def some() -> None:
            for _ in range(times):
                places = C, H - SIDE, W - SIDE
                read(*(chance.randrange(end) for end in places))

        return some

    def trial(call: Callable[[], object]) -> float:
        taken = []
        for _ in range(4):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
        return min(taken)

    calls = {name: work(read, seed) for seed, (name, read) in enumerate(reads.items())}
    ours = calls.pop("ours")
    fastest = min(calls, key=lambda name: trial(calls[name]))
    return Comparison(f"io-{what}-as-{fastest}", ours, calls[fastest], 0.9)
