"""Opening files as cubes: the reader is picked by what is in the file, not by its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._brought import bring
from napari_phenoscape._extensions import author_of
from napari_phenoscape._remote import is_mirrored, located
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._interpretation import Interpretation, interpreted
from napari_phenoscape.cubes._unmeasured import unmeasured_doubts
from napari_phenoscape.cubes.readers._capture import scans_of
from napari_phenoscape.cubes.readers._envi import described, described_tiff, header_of
from napari_phenoscape.cubes.readers._envi_data import contents_of
from napari_phenoscape.cubes.readers._envi_doubt import envi_doubts
from napari_phenoscape.cubes.readers._folder import is_capture
from napari_phenoscape.cubes.readers._reader import Reader, needs
from napari_phenoscape.cubes.readers._table import all_readers, reader_of
from napari_phenoscape.cubes.readers._zarr import root_of
from napari_phenoscape.errors import (
    CubeError,
    MissingFileError,
    OptionError,
    PhenoscapeError,
    RemoteError,
    did_you_mean_file,
)

#: How files begin that hold a cube after one more step, and that step.
_ONE_STEP_AWAY = {
    b"\x1f\x8b": "compressed by gzip; decompress it (gunzip)",
    b"CDF": "NetCDF 3; make it NetCDF 4 (nccopy -k nc4 OLD NEW)",
    b"\x0e\x03\x13\x01": "HDF4; make it HDF5 (h4toh5 OLD NEW)",
    **dict.fromkeys(
        (b"SIMPLE  =", b"NITF", b"\0\0\0\x0cjP  "),
        "FITS, NITF or JPEG 2000; make it ENVI (gdal_translate -of ENVI OLD NEW)",
    ),
    b"mspec": "micaToolbox's recipe for raw photographs, without their numbers; lay these on each "
    "other (phenoscape join NAME.mspec -o NAME.tif), or generate the multispectral image in "
    "ImageJ, save it as a TIFF",
}

#: Other formats of spectral cameras, by the endings of their names.
_BY_ENDING = {
    ".hips": "a picture of a Videometer camera; save it as TIFF, in VideometerLab or with the "
    "package videometer (videometer.hips.read)",
    ".cu3s": "a session of a Cubert camera; export its measurements as ENVI or TIFF, in Cubert's "
    "program or with the package cuvis (EnviExporter)",
}


def open_cube(path: str | Path, read_as: Interpretation | None = None) -> Cube:
    """Open a file as a cube; its pixels stay on the disk until they are indexed.

    More generous than `recognise`: a TIFF with three channels is opened as RGB when it is asked
    for by name.

    Parameters
    ----------
    path
        A file or folder of one of `READERS`, or of those of other packages, or its address on a
        server; of the folder of a capture its scan. An array of a MATLAB, HDF5, Zarr or NumPy file
        is named like a file in a folder: ``scan.h5/scene/reflectance``; so is a capture, of a
        folder that holds several: ``flight/IMG_0001``.
    read_as
        What its planes are, where the file does not say it or says it wrongly.

    Raises
    ------
    CubeError
        The file is no cube, or is damaged, or needs a library that is not there.
    MissingFileError
        The file, or its header or data, is not there.
    OptionError, RemoteError
        It is an address that cannot be asked, or not just now.
    """
    path, inside = _container(path)
    with _readable(path):
        is_header = path.suffix.lower() == ".hdr" and path.is_file()
        if is_header and (found := described_tiff(path)):
            path, _ = _container(found)
    said = read_as or Interpretation()
    with _readable(path):
        reader = _reader(path)
    with _readable(path, reader.install):
        return interpreted(_opened(reader, path, inside, said), said)


def _opened(reader: Reader, path: Path, inside: str, said: Interpretation) -> Cube:
    if reader.open_array is not None:
        return reader.open_array(path, inside, said.axis)
    if inside and reader.open_part is None:
        raise MissingFileError(f"There is no '{inside}' in the file '{path}'. Open the file.")
    if said.axis is not None:
        raise CubeError(
            f"'{path.name}' is of a format that says which axis counts the bands; --axis (read_as: "
            f"axis) {said.axis} is for arrays of MATLAB, HDF5, Zarr and NumPy. Leave it out."
        )
    if inside and reader.open_part is not None:
        return reader.open_part(path, inside)
    return described(path, (said.names and reader.open_planes) or reader.open, reader.open_planes)


def _reader(path: Path) -> Reader:
    """The reader that claims a file, else the first whose names it bears, to say what is wrong."""
    head = _head(path)
    if not head and path.is_file():
        raise CubeError(f"'{path.name}' is empty, of 0 bytes. Copy it again from its source.")
    if (found := reader_of(path, head)) is not None:
        return found
    if path.is_dir():
        raise CubeError(
            f"'{path}' is a folder; a file, a Zarr store, or a folder with one picture for each "
            "band was expected. A folder of cubes is a collection."
        )
    for start, step in _ONE_STEP_AWAY.items():
        if head.startswith(start):
            raise CubeError(f"'{path.name}' is {step} and open what comes out.")
    if path.suffix.lower() in _BY_ENDING:
        step = _BY_ENDING[path.suffix.lower()]
        raise CubeError(f"'{path.name}' is {step}, and open what comes out.")
    for reader in all_readers():
        if any(fnmatch(path.name.lower(), pattern) for pattern in reader.patterns):
            return reader
    raise CubeError(
        f"'{path.name}' is no cube; an ENVI header or its data, a TIFF, a MATLAB, HDF5, "
        "Zarr or NumPy file, a PNG, JPEG or BMP picture was expected. Export it as one of these."
    )


def files_of(path: Path) -> tuple[Path, ...]:
    """What a cube is read from: its file, and its ENVI header if it has one."""
    path, _ = _container(path)
    header = header_of(path)
    return (path,) if header is None else (path, header)


def recognise(path: str | Path) -> str | None:
    """The name of the `Reader` of a file that is evidently a cube, else None.

    Cheap, and strict about TIFF: only specimen stacks (RGB, UV, mask) and spectral files whose
    convention is evident are ours, other people's TIFFs are not, nor are pictures. Of MATLAB and
    HDF5, those with a cube and its wavelengths are, and an array in them that is named.

    Raises
    ------
    OptionError, RemoteError
        It is an address that cannot be asked, or not just now.
    """
    try:
        path, inside = _container(path)
        reader = reader_of(path, _head(path))
        if reader is None or reader.recognise is None or (inside and not reader.open_array):
            return None
        return reader.name if inside or reader.recognise(path) else None
    except (OptionError, RemoteError):
        raise
    except (PhenoscapeError, ImportError, OSError):
        return None


def doubts(cube: Cube) -> tuple[str, ...]:
    """Sentences about what may be wrong in the file itself; reads a small part of the pixels."""
    return envi_doubts(cube) + unmeasured_doubts(cube)


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
    path = _here(path)
    with _readable(path):
        reader = reader_of(path, _head(path))
    if reader is None or reader.read_mask is None:
        raise CubeError(
            f"'{path.name}' is no mask; a TIFF, PNG or BMP of one band was expected. Save it as "
            "one of these."
        )
    with _readable(path, reader.install):
        numbers = reader.read_mask(path)
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


def orientation_of(path: Path) -> int | None:
    """TIFF's and EXIF's tag Orientation of a mask; None where its file does not have it."""
    with _readable(path):
        reader = reader_of(path, _head(path))
        return reader.orientation(path) if reader and reader.orientation else None


def _here(given: str | Path) -> Path:
    """The path of a file; one of a server is brought, but for numbers that are read in pieces."""
    path = located(given)
    if is_mirrored(path):
        with _readable(path):
            if is_whole(path):
                bring(path)
    return path


def _container(given: str | Path) -> tuple[Path, str]:
    """The file or Zarr store, and the rest of a path that goes on inside it."""
    path = _here(given)
    if (store := root_of(path)) is not None:
        rest = path.relative_to(store).as_posix()
        return store, "" if rest == "." else rest
    with _readable(path):
        scans = scans_of(path) if path.is_dir() else []
    if scans:
        if len(scans) > 1:
            names = ", ".join(f"'{one.name}'" for one in scans[:3]) + ", ..." * (len(scans) > 3)
            raise CubeError(
                f"'{path}' is a capture of {len(scans)} scans: {names}. Open one of them; together "
                "they are a collection."
            )
        return scans[0], ""
    if not path.exists():
        for parent in path.parents:
            if parent.is_file():
                return parent, path.relative_to(parent).as_posix()
        if is_capture(path):
            return path.parent, path.name
    return path, ""


def is_whole(path: Path) -> bool:
    """Whether a file is read whole: it has no plain numbers that an ENVI header describes."""
    return header_of(path) is None or bool(contents_of(path))


def _head(path: Path) -> bytes:
    """The first bytes of a file; of a folder, none."""
    if path.is_dir():
        return b""
    if path.exists() and not path.is_file():  # opening a pipe waits for ever
        raise CubeError(
            f"'{path.name}' is a pipe, a socket or a device; a file was expected. Write what comes "
            "from it into one."
        )
    with path.open("rb") as file:
        return file.read(16)


@contextmanager
def _readable(path: Path, install: str = "") -> Iterator[None]:
    """What the system, or a library that is missing, says of a file becomes our own error."""
    try:
        yield
    except PhenoscapeError:
        raise
    except ImportError as error:
        raise needs(path, error.name or str(error), install) from None
    except FileNotFoundError:
        raise MissingFileError(
            f"There is no file at '{path}'. {did_you_mean_file(path)}Correct its path."
        ) from None
    except OSError as error:
        raise CubeError(
            f"'{path}' cannot be read ({error.strerror or error}); a readable file was expected. "
            "Check its permissions and its disk."
        ) from None
    except Exception as error:
        if not (author := author_of(error)):
            raise
        raise CubeError(
            f"'{path.name}' cannot be read by {author} ({type(error).__name__}: {error}). Copy it "
            f"again from its source, or tell the authors of {author}."
        ) from error
