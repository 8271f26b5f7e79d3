"""What the fuzz tests of the readers share: small valid files, and what may become of damaged ones.

``make fuzz`` looks for inputs that reach new code, for as long as it is told; the test suite makes
the same attempts with hypothesis for some seconds.
"""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import scipy.io
import tifffile
import zarr
from PIL import Image

from napari_phenoscape.cubes import doubts, open_cube, recognise
from napari_phenoscape.errors import PhenoscapeError

#: Bytes that an attempt on a file of some kilobytes may take at once.
MOST_MEMORY = 64 << 20

#: (4, 5, 6) numbers: rows, columns, bands.
NUMBERS = np.arange(120).reshape(4, 5, 6)
NM = np.linspace(400, 650, 6)

ENVI = b"""ENVI
description = {a {scan}}
samples = 5
lines = 4
bands = 6
header offset = 0
file type = ENVI Standard
data type = 12
interleave = bil
byte order = 0
wavelength units = nm
wavelength = {400, 450, 500, 550, 600, 650}
band names = {a, b, c, d, e, f}
bbl = {1, 1, 0, 1, 1, 1}
default bands = {1, 2, 3}
data ignore value = 65535
reflectance scale factor = 10000
data gain values = {1, 1, 1, 1, 1, 1}
"""


#: What GDAL and SNAP say of the bands of a TIFF, in tags of their own.
SAID = [
    (42112, "s", 0, b"<GDALMetadata>"
     b'<Item name="DESCRIPTION" sample="0" role="description">a 450 nm, 10 nm FWHM</Item>'
     b'<Item name="SCALE" sample="0" role="scale">0.0001</Item>'
     b'<Item name="Wavelengths (um)">0.4,0.45,0.5,0.55,0.6,0.65</Item>'
     b'<Item name="bbl" domain="ENVI">{1,1,0,1,1,1}</Item></GDALMetadata>', True),
    (42113, "s", 0, b"-9999", True),
    (65000, "s", 0, b"<D><Spectral_Band_Info><BAND_INDEX>1</BAND_INDEX><BAND_NAME>B</BAND_NAME>"
     b"<BAND_WAVELEN>450.0</BAND_WAVELEN><SCALING_FACTOR>1.0E-4</SCALING_FACTOR>"
     b"<NO_DATA_VALUE_USED>true</NO_DATA_VALUE_USED><NO_DATA_VALUE>0.0</NO_DATA_VALUE>"
     b"</Spectral_Band_Info></D>", True),
]  # fmt: skip

#: Of each of our readers, the name of the file that is damaged.
NAMES = {
    "folder": "any/a_500nm.tif",
    "envi": "any.hdr",
    "tiff": "any.tif",
    "picture": "any.png",
    "raw": "any.dng",
    "matlab": "any.mat",
    "hdf5": "any.h5",
    "numpy": "any.npz",
    "zarr": "any.zarr/zarr.json",
}


def seeds() -> dict[str, list[bytes]]:
    """Small valid files of each reader."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {
            "folder": [_plane(folder)],
            "envi": [ENVI],
            "tiff": _tiffs(folder),
            "picture": _pictures(folder),
            "raw": [_raw(folder)],
            "matlab": _matlab(folder),
            "hdf5": _hdf5(folder),
            "numpy": _numpy(folder),
            "zarr": [_zarr(folder)],
        }


def attempt(folder: Path, reader: str, content: bytes) -> bool:
    """Whether a file with this content opens; anything but a cube or our own error is a bug.

    Of ENVI and Zarr, ``content`` is the text that describes the numbers, which lie beside it; of
    a folder, the first of two bands.
    """
    path = folder / NAMES[reader]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    if reader == "envi":
        path.with_suffix(".dat").write_bytes(bytes(range(250)) * 4)
    if reader == "folder":
        path = path.parent
        (path / "b_600nm.tif").write_bytes(_plane(folder))
    if reader == "zarr":
        path = path.parent
        (path / "c" / "0" / "0").mkdir(parents=True, exist_ok=True)
        (path / "c" / "0" / "0" / "0").write_bytes(NUMBERS.astype("<u2").tobytes())
    tracemalloc.start()
    try:
        refused = _refused(path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MOST_MEMORY, f"{peak} bytes for a file of {len(content)}"
    named = {each.stem for each in (path, folder / NAMES[reader])}
    assert not refused or any(name in refused for name in named), f"no file in: {refused}"
    return not refused


def _refused(path: Path) -> str:
    """Our own error, empty when the file opens as a sound cube."""
    try:
        recognise(path)
        cube = open_cube(path)
        assert len(cube.bands) == cube.shape[0] == len({band.name for band in cube.bands})
        assert cube.array[0].shape == cube.shape[1:]
        assert cube.mask is None or cube.mask.shape == cube.shape[1:]
        assert all(sentence.endswith(".") for sentence in (*cube.provenance, *doubts(cube)))
    except PhenoscapeError as error:
        return str(error)
    return ""


def _plane(folder: Path) -> bytes:
    tifffile.imwrite(folder / "a.tif", NUMBERS[..., 0].astype("u2"), compression="zlib")
    return (folder / "a.tif").read_bytes()


def _raw(folder: Path) -> bytes:
    tags = [
        (50706, 1, 4, bytes([1, 4, 0, 0]), True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, bytes([0, 1, 1, 2]), True),
        (50714, 4, 1, 64, True),
        (50717, 4, 1, 4064, True),
        (50721, 10, 9, (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1), True),
    ]
    mosaic = np.full((24, 32), 1000, "u2")
    tifffile.imwrite(folder / "a.dng", mosaic, photometric=32803, metadata=None, extratags=tags)
    return (folder / "a.dng").read_bytes()


def _tiffs(folder: Path) -> list[bytes]:
    stack = NUMBERS.transpose(2, 0, 1).astype("u2")
    seven = np.concatenate([stack, 65535 * np.eye(4, 5, dtype="u2")[None]])
    files: list[tuple[np.ndarray, dict[str, object]]] = [
        (seven, {"photometric": "minisblack", "metadata": None}),
        (seven, {"photometric": "minisblack", "compression": "zlib"}),
        (seven.transpose(1, 2, 0), {"planarconfig": "contig", "photometric": "minisblack"}),
        (stack, {"imagej": True, "metadata": {"axes": "CYX"}}),
        (NUMBERS[..., :3].astype("u1"), {"photometric": "rgb", "compression": "lzw"}),
        (np.zeros((16, 16, 3), "u1"), {"tile": (16, 16), "compression": "zlib", "predictor": True}),
        (stack, {"photometric": "minisblack", "metadata": None, "extratags": SAID}),
    ]
    contents = []
    for numbers, how in files:
        tifffile.imwrite(folder / "a.tif", np.ascontiguousarray(numbers), **how)
        contents.append((folder / "a.tif").read_bytes())
    return contents


def _pictures(folder: Path) -> list[bytes]:
    pixels = NUMBERS[..., :4].astype("u1")
    contents = [imagecodecs.png_encode(pixels.astype("u2") * 257)]
    for ending, channels in ((".png", 4), (".png", 3), (".jpg", 3), (".bmp", 3), (".webp", 4)):
        Image.fromarray(np.ascontiguousarray(pixels[..., :channels])).save(folder / f"a{ending}")
        contents.append((folder / f"a{ending}").read_bytes())
    return contents


def _matlab(folder: Path) -> list[bytes]:
    contents = []
    for compressed in (False, True):
        named = {"scene": NUMBERS.astype("f4"), "wavelengths": NM, "mask": NUMBERS[..., 0] > 50}
        scipy.io.savemat(folder / "a.mat", named, do_compression=compressed)
        contents.append((folder / "a.mat").read_bytes())
    return contents


def _hdf5(folder: Path) -> list[bytes]:
    contents = []
    for how in ({}, {"chunks": (2, 5, 3), "compression": "gzip"}):
        with h5py.File(folder / "a.h5", "w") as file:
            file.create_dataset("scene", data=NUMBERS.astype("f4"), **how)
            file["wavelength"] = NM
            file["wavelength"].make_scale("wavelength")
            file["scene"].dims[2].attach_scale(file["wavelength"])
        contents.append((folder / "a.h5").read_bytes())
    return contents


def _numpy(folder: Path) -> list[bytes]:
    np.save(folder / "a.npy", np.asfortranarray(NUMBERS[None, ..., :3].astype(">u2")))
    contents = [(folder / "a.npy").read_bytes()]
    for save in (np.savez, np.savez_compressed):
        save(
            folder / "a.npz", scene=NUMBERS.astype("f4"), wavelengths=NM, mask=NUMBERS[..., 0] > 50
        )
        contents.append((folder / "a.npz").read_bytes())
    return contents


def _zarr(folder: Path) -> bytes:
    array = zarr.create_array(
        folder / "a.zarr", shape=NUMBERS.shape, chunks=NUMBERS.shape, dtype="u2", compressors=None,
        dimension_names=("y", "x", "wavelength"),
        attributes={"wavelengths": NM.tolist(), "scale_factor": 0.5, "_FillValue": 9},
    )  # fmt: skip
    array[:] = NUMBERS
    return (folder / "a.zarr" / "zarr.json").read_bytes()
