"""Opening files as cubes: the reader is picked by what is in the file, not by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._interpretation import Interpretation, interpreted
from napari_phenoscape.cubes.readers import (
    _envi as envi,
    _hdf5 as hdf5,
    _matlab as matlab,
    _picture as picture,
    _tiff as tiff,
    _tiff_folder as tiff_folder,
    _zarr as zarr,
)
from napari_phenoscape.cubes.readers._envi_doubt import envi_doubts
from napari_phenoscape.cubes.readers._zarr import is_store
from napari_phenoscape.errors import CubeError, MissingFileError, PhenoscapeError

__all__ = ["Interpretation", "doubts", "is_store", "open_cube", "read_mask", "recognise"]

#: How files begin that hold a cube after one more step, and that step.
_ONE_STEP_AWAY = {
    b"\x1f\x8b": "compressed by gzip; decompress it (gunzip)",
    b"CDF": "NetCDF 3; make it NetCDF 4 (nccopy -k nc4 OLD NEW)",
}


def open_cube(path: str | Path, read_as: Interpretation | None = None) -> Cube:
    """Open a file as a cube; its pixels stay on the disk until they are indexed.

    More generous than `recognise`: a TIFF with three channels is opened as RGB when it is asked
    for by name.

    Parameters
    ----------
    path
        An ENVI header or data file, a TIFF, a picture (PNG, JPEG, BMP, WebP), a MATLAB or an HDF5
        file (NetCDF-4 too), a Zarr store. An array of the last three is named like a file in a
        folder: ``scan.h5/scene/reflectance``. A folder with one TIFF for each band.
    read_as
        What its planes are, where the file does not say it or says it wrongly.

    Raises
    ------
    CubeError
        The file is no cube, or is damaged.
    MissingFileError
        The file, or its header or data, is not there.
    """
    path, inside = _container(Path(path))
    said = read_as or Interpretation()
    try:
        return interpreted(_open(path, inside, plain=bool(said.names)), said)
    except PhenoscapeError:
        raise
    except OSError as error:
        raise CubeError(_unreadable(path, error)) from None


def _open(path: Path, inside: str, *, plain: bool) -> Cube:
    if zarr.is_store(path):
        return zarr.open_zarr(path, inside)
    if path.is_dir() and tiff_folder.is_folder_of_bands(path):
        return tiff_folder.open_folder(path)
    head = _head(path)
    if head.startswith(zarr.ZIP) and zarr.is_zipped(path):
        return zarr.open_zarr(path, inside)
    if head.startswith(matlab.SIGNATURES):
        return matlab.open_matlab(path, inside)
    if head.startswith(hdf5.SIGNATURES):
        return hdf5.open_hdf5(path, inside)
    if inside:
        raise MissingFileError(f"There is no '{inside}' in the file '{path}'. Open the file.")
    if head.startswith(tiff.SIGNATURES):
        return tiff.open_tiff(path, plain=plain)
    if head.startswith(picture.SIGNATURES):
        return picture.open_picture(path)
    is_named_so = path.suffix.lower() in (".hdr", *envi.ENDINGS[1:])
    for start, step in _ONE_STEP_AWAY.items():
        if head.startswith(start) and not is_named_so:
            raise CubeError(f"'{path.name}' is {step} and open what comes out.")
    if not is_named_so and not envi.recognise(path):
        raise CubeError(
            f"'{path.name}' is no cube; an ENVI header or its data, a TIFF, a MATLAB, HDF5 "
            "or Zarr file, a PNG, JPEG or BMP picture was expected. Export it as one of these."
        )
    return envi.open_envi(path)


def files_of(path: Path) -> tuple[Path, ...]:
    """What a cube is read from: its file, and its ENVI header if it has one."""
    path, _ = _container(path)
    header = envi.header_of(path)
    return (path,) if header is None else (path, header)


def recognise(
    path: str | Path,
) -> Literal["envi", "tiff", "picture", "matlab", "hdf5", "zarr"] | None:
    """What kind of cube a file is, None when it is not one of ours.

    Cheap, and strict about TIFF: only specimen stacks (RGB, UV, mask) and spectral files whose
    convention is evident are ours, other people's TIFFs are not. Of MATLAB and HDF5, those with
    a cube and its wavelengths are, and an array in them that is named.
    """
    path, inside = _container(Path(path))
    try:
        if zarr.is_store(path):
            return "zarr" if inside or zarr.recognise(path) else None
        head = _head(path)
        if head.startswith(zarr.ZIP) and zarr.is_zipped(path):
            return "zarr" if inside or zarr.recognise(path) else None
        if head.startswith(matlab.SIGNATURES):
            return "matlab" if inside or matlab.recognise(path) else None
        if head.startswith(hdf5.SIGNATURES):
            return "hdf5" if inside or hdf5.recognise(path) else None
        if head.startswith(tiff.SIGNATURES):
            return "tiff" if tiff.recognise(path) else None
        if head.startswith(picture.SIGNATURES):
            return "picture" if picture.recognise(path, head) else None
        return "envi" if envi.recognise(path) else None
    except (PhenoscapeError, OSError):
        return None


def doubts(cube: Cube) -> tuple[str, ...]:
    """Sentences about what may be wrong in the file itself; reads a small part of the pixels."""
    return envi_doubts(cube)


def read_mask(path: str | Path) -> NDArray[Any]:
    """(H, W) whole numbers of a label image or mask; above 0 = specimen.

    Parameters
    ----------
    path
        A TIFF, PNG or BMP of one band.

    Raises
    ------
    CubeError
        It has several bands, or fractions.
    MissingFileError
        It is not there.
    """
    path = Path(path)
    head = _head(path)
    try:
        if head.startswith(tiff.SIGNATURES):
            numbers = tiff.read_numbers(path)
        elif head.startswith(picture.SIGNATURES):
            numbers = picture.read_numbers(path)
        else:
            raise CubeError(
                f"'{path.name}' is no mask; a TIFF, PNG or BMP of one band was expected. Save it "
                "as one of these."
            )
    except PhenoscapeError:
        raise
    except OSError as error:
        raise CubeError(_unreadable(path, error)) from None
    if numbers.dtype == np.bool_:
        return numbers.astype(np.uint8)
    if numbers.dtype.kind == "f":
        whole = numbers.astype(np.int64, copy=True) if np.isfinite(numbers).all() else None
        if whole is None or not np.array_equal(whole, numbers):
            raise CubeError(
                f"'{path.name}' holds fractions; a mask of whole numbers was expected. Save it as "
                "8 or 16 bit."
            )
        return whole
    return numbers


def _container(path: Path) -> tuple[Path, str]:
    """The file or Zarr store, and the rest of a path that goes on inside it."""
    if (store := zarr.root_of(path)) is not None:
        rest = path.relative_to(store).as_posix()
        return store, "" if rest == "." else rest
    if not path.exists():
        for parent in path.parents:
            if parent.is_file():
                return parent, path.relative_to(parent).as_posix()
    return path, ""


def _head(path: Path) -> bytes:
    if path.is_dir():
        raise CubeError(
            f"'{path}' is a folder; a file, a Zarr store, or a folder with one TIFF for each band "
            "was expected. A folder of cubes is a collection."
        )
    try:
        with path.open("rb") as file:
            return file.read(16)
    except FileNotFoundError:
        raise MissingFileError(f"There is no file at '{path}'. Correct its path.") from None
    except OSError as error:
        raise CubeError(_unreadable(path, error)) from None


def _unreadable(path: Path, error: OSError) -> str:
    return (
        f"'{path}' cannot be read ({error.strerror or error}); a readable file was expected. "
        "Check its permissions and its disk."
    )
