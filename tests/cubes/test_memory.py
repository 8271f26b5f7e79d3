"""Opening a file of any kind and looking at a band takes less than twice its numbers in memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest
import scipy.io
import tifffile
import zarr
from PIL import Image

Write = Callable[[Path, int], int]


def numbers(side: int, bands: int = 6, dtype: str = "u2") -> np.ndarray:
    """(bands, side, side) numbers that compress to about half."""
    noise = np.random.default_rng(0).integers(0, 256, (bands, side, 1), "u1")
    return np.broadcast_to(noise + np.arange(side, dtype="u1") // 3, (bands, side, side)).astype(
        dtype
    )


LAYOUTS = {
    "interleaved": {"planarconfig": "contig"},
    "planar": {"planarconfig": "separate"},
    "paged": {},
}
CODECS = {
    "raw": {},
    "raw tiles": {"tile": (256, 256)},
    "deflate": {"compression": "zlib"},
    "deflate tiles": {"compression": "zlib", "tile": (256, 256)},
    "deflate in one strip": {"compression": "zlib", "rowsperstrip": 10_000},
    "deflate in one strip of differences, big-endian": {
        "compression": "zlib", "rowsperstrip": 10_000, "predictor": True, "byteorder": ">",
    },
    "LZW in one strip": {"compression": "lzw", "rowsperstrip": 10_000},
    "zstd": {"compression": "zstd"},
}  # fmt: skip


def tiff(layout: str, codec: str) -> Write:
    def write(path: Path, side: int) -> int:
        array = numbers(side)
        if layout == "interleaved":
            array = np.ascontiguousarray(array.transpose(1, 2, 0))
        how = {"photometric": "minisblack", "metadata": None} | LAYOUTS[layout] | CODECS[codec]
        tifffile.imwrite(path, array, **how)
        return array.nbytes

    return write


def picture(form: str, channels: int = 3, turned: int = 1) -> Write:
    def write(path: Path, side: int) -> int:
        pixels = np.ascontiguousarray(numbers(2 * side, channels, "u1").transpose(1, 2, 0))
        exif = Image.Exif()
        exif[0x0112] = turned
        image = Image.fromarray(pixels)
        (image.quantize(64) if form == "GIF" else image).save(
            path, "PNG" if form == "GIF" else form, exif=exif
        )
        return pixels.nbytes

    return write


def deep(path: Path, side: int) -> int:
    pixels = np.ascontiguousarray(numbers(2 * side, 3).transpose(1, 2, 0))
    path.write_bytes(imagecodecs.png_encode(pixels))
    return pixels.nbytes


def matlab(dtype: str, *, compressed: bool) -> Write:
    def write(path: Path, side: int) -> int:
        array = numbers(side, dtype=dtype)
        scipy.io.savemat(path, {"scene": array.transpose(1, 2, 0)}, do_compression=compressed)
        return array.nbytes

    return write


def in_zarr(*, whole: bool = False, **how: object) -> Write:
    def write(path: Path, side: int) -> int:
        array = numbers(side)
        made = zarr.create_array(
            path / "a.zarr", shape=array.shape, dtype="u2",
            chunks=array.shape if whole else "auto", **how,
        )  # fmt: skip
        made[:] = array
        return array.nbytes

    return write


def hdf5(path: Path, side: int) -> int:
    with h5py.File(path, "w") as file:
        file.create_dataset("scene", data=numbers(side), compression="gzip")
    return numbers(side).nbytes


def envi(path: Path, side: int) -> int:
    path.write_bytes(numbers(side).tobytes())
    path.with_name(path.name + ".hdr").write_text(
        f"ENVI\nsamples = {side}\nlines = {side}\nbands = 6\ndata type = 12\ninterleave = bsq\n"
    )
    return numbers(side).nbytes


FILES: dict[str, Write] = {
    **{f"TIFF, {layout}, {codec}": tiff(layout, codec) for layout in LAYOUTS for codec in CODECS},
    "PNG": picture("PNG"),
    "PNG with transparency": picture("PNG", 4),
    "PNG with a palette": picture("GIF"),
    "PNG of 16 bits": deep,
    "JPEG": picture("JPEG"),
    "JPEG on its side": picture("JPEG", turned=6),
    "BMP": picture("BMP"),
    "MATLAB": matlab("u2", compressed=False),
    "MATLAB, compressed": matlab("u2", compressed=True),
    "MATLAB, doubles, compressed": matlab("f8", compressed=True),
    "HDF5": hdf5,
    "Zarr": in_zarr(),
    "Zarr in one block": in_zarr(whole=True),
    "Zarr in one block, raw": in_zarr(whole=True, compressors=None),
    "ENVI": envi,
}

READ = r"""
import os, re, sys
from pathlib import Path
from napari_phenoscape.cubes import open_cube

def peak():
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])

for line in sys.stdin.read().splitlines():
    if os.fork() == 0:  # whose peak begins at what is in memory now
        small, large = line.split("|")
        open_cube(small).array[0]  # libraries load more of themselves
        before = peak()
        open_cube(large).array[0]
        print(peak() - before, flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def shares(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Of each kind of file, the peak of memory over the bytes of its numbers."""
    folder = tmp_path_factory.mktemp("memory")
    lines, sizes = [], []
    for number, (name, write) in enumerate(FILES.items()):
        pair = []
        for side in (64, 1000):
            path = folder / f"{number}-{side}"
            if name.startswith("Zarr"):
                path.mkdir()
            sizes.append(write(path, side))
            pair.append(str(path / "a.zarr" if name.startswith("Zarr") else path))
        lines.append("|".join(pair))
    end = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ], input="\n".join(lines), text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    peaks = [int(line) for line in end.stdout.splitlines()]
    assert len(peaks) == len(FILES), end.stderr
    return {name: peak / size for name, peak, size in zip(FILES, peaks, sizes[1::2], strict=True)}


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("kind", FILES)
def test_a_file_takes_less_than_twice_its_numbers(shares, kind):
    assert shares[kind] < 2
