"""The table of formats: ours, and those of other packages."""

from __future__ import annotations

import warnings
from pathlib import Path

from napari_phenoscape._extensions import ExtensionWarning, extensions
from napari_phenoscape.cubes.readers import (
    _envi as envi,
    _folder as folder,
    _hdf5 as hdf5,
    _matlab as matlab,
    _numpy as numpy,
    _picture as picture,
    _raw as raw,
    _tiff as tiff,
    _zarr as zarr,
)
from napari_phenoscape.cubes.readers._reader import Reader

#: In the order in which they are asked; ENVI, whose data begin with any bytes, at the end.
READERS: tuple[Reader, ...] = (
    zarr.READER,
    folder.READER,
    matlab.READER,
    hdf5.READER,
    numpy.READER,
    raw.READER,  # before the format in which most of them are
    tiff.READER,
    picture.READER,
    envi.READER,
)


def all_readers() -> tuple[Reader, ...]:
    """Ours, and those that other packages add to the entry points ``napari_phenoscape.readers``.

    Warns
    -----
    ExtensionWarning
        What is added is no `Reader`; it is left out.
    """
    return (*READERS, *extensions("readers", _check).values())


def reader_of(path: Path, head: bytes) -> Reader | None:
    """The first reader that claims a file or folder, which begins with ``head``.

    Warns
    -----
    ExtensionWarning
        One of another package fails at that; it is left out.
    """
    for reader in READERS:
        if reader.claims(path, head):
            return reader
    # after ours: what a file of ours is does not change with what else is installed
    for reader in all_readers()[len(READERS) :]:
        try:
            if reader.claims(path, head):
                return reader
        except Exception as error:  # noqa: BLE001  whatever a stranger's function raises
            warnings.warn(
                f"The reader '{reader.name}' of another package fails at '{path.name}' "
                f"({type(error).__name__}: {error}); it is left out. Update or remove that "
                "package.",
                ExtensionWarning,
                stacklevel=2,
            )
    return None


def _check(_: str, found: object) -> None:
    if not isinstance(found, Reader):
        raise TypeError(f"it is {type(found).__name__}, and a Reader was expected")
