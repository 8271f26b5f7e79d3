"""Opening files as cubes: the reader is picked by what is in the file, not by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cube import Cube
from napari_phenoscape.errors import CubeError, MissingFileError, PhenoscapeError
from napari_phenoscape.io import envi, hdf5, matlab, picture, tiff
from napari_phenoscape.io.envi_doubt import envi_doubts


def open_cube(path: str | Path) -> Cube:
    """Open a file as a cube; its pixels stay on the disk until they are indexed.

    More generous than `recognise`: a TIFF with three channels is opened as RGB when it is asked
    for by name.

    Parameters
    ----------
    path
        An ENVI header or data file, a TIFF, a picture (PNG, JPEG, BMP, WebP), a MATLAB or an HDF5
        file (NetCDF-4 too). An array of the last two is named like a file in a folder:
        ``scan.h5/scene/reflectance``.

    Raises
    ------
    CubeError
        The file is no cube, or is damaged.
    MissingFileError
        The file, or its header or data, is not there.
    """
    path, inside = _container(Path(path))
    head = _head(path)
    try:
        if head.startswith(matlab.SIGNATURES):
            return matlab.open_matlab(path, inside)
        if head.startswith(hdf5.SIGNATURES):
            return hdf5.open_hdf5(path, inside)
        if inside:
            raise MissingFileError(f"There is no '{inside}' in the file '{path}'. Open the file.")
        if head.startswith(tiff.SIGNATURES):
            return tiff.open_tiff(path)
        if head.startswith(picture.SIGNATURES):
            return picture.open_picture(path)
        if not envi.recognise(path) and path.suffix.lower() not in (".hdr", *envi.ENDINGS[1:]):
            raise CubeError(
                f"'{path.name}' is no cube; an ENVI header or its data, a TIFF, a MATLAB or HDF5 "
                "file, or a PNG, JPEG or BMP picture was expected. Export it as one of these."
            )
        return envi.open_envi(path)
    except PhenoscapeError:
        raise
    except OSError as error:
        raise CubeError(_unreadable(path, error)) from None


def recognise(
    path: str | Path,
) -> Literal["envi", "tiff", "picture", "matlab", "hdf5"] | None:
    """What kind of cube a file is, None when it is not one of ours.

    Cheap, and strict about TIFF: only specimen stacks (RGB, UV, mask) and spectral files whose
    convention is evident are ours, other people's TIFFs are not. Of MATLAB and HDF5, those with
    a cube and its wavelengths are, and an array in them that is named.
    """
    path, inside = _container(Path(path))
    try:
        head = _head(path)
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
    """The file, and the rest of a path that goes on inside it."""
    if not path.exists():
        for parent in path.parents:
            if parent.is_file():
                return parent, path.relative_to(parent).as_posix()
    return path, ""


def _head(path: Path) -> bytes:
    if path.is_dir():
        raise CubeError(
            f"'{path}' is a folder; a file was expected. A folder of cubes is a collection."
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
