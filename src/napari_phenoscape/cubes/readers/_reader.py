"""What a format says of itself: how its files are known, offered and opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.errors import CubeError

#: What a raw photograph is, and the step to numbers that stay those of its sensor.
LINEAR = (
    "a camera's raw file, whose numbers must be developed in proportion to the light; make it a "
    "linear 16-bit TIFF (dcraw -4 -T -o 0 -r 1 1 1 1 FILE, or micaToolbox)"
)

#: How numbers are said not to be in proportion to light.
CODED = "as its camera coded them"

#: What brings h5py, zarr and imagecodecs.
FORMATS = 'pip install "napari-phenoscape[formats]"'


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How the files of one format become cubes.

    Its functions raise a `PhenoscapeError` where a file is damaged, and import what is not always
    there when they are called.

    Parameters
    ----------
    name
        What `recognise` calls a file of this format.
    patterns
        Of the names that such files usually have, e.g. ``*.bil``, for the dialog, and for napari
        where there is ``recognise``. What is in a file decides, not its name.
    claims
        Whether a file or folder is of this format, by its path and its first 16 bytes (of a folder
        there are none). Cheap: it is asked of files of every kind.
    open
        The cube in it, its numbers unread.
    recognise
        Whether a file of this format is evidently a cube, so that napari opens it here when it is
        dropped. None: only when it is asked to.
    open_array
        Of a format whose files hold arrays with nameless axes, instead of ``open``: the cube in the
        array of a name (empty: the only one), whose bands are counted by an axis (None: as the
        file says).
    open_part
        The cube in a part of a name, of a format that holds several, such as the captures of a
        folder.
    open_planes
        The cube of which every plane is a band, whatever the file calls them, for a user who names
        them (`Interpretation`); ``open`` where there is none.
    read_mask
        (H, W) numbers of a file of one channel, of a format in which people keep masks.
    orientation
        TIFF's and EXIF's tag of a file, None where it does not have it; of a format that has it.
    install
        The command that brings the library that it needs; else ``pip install`` and its name.
    """

    name: str
    patterns: tuple[str, ...]
    claims: Callable[[Path, bytes], bool]
    open: Callable[[Path], Cube]
    recognise: Callable[[Path], bool] | None = None
    open_array: Callable[[Path, str, int | None], Cube] | None = None
    open_part: Callable[[Path, str], Cube] | None = None
    open_planes: Callable[[Path], Cube] | None = None
    read_mask: Callable[[Path], NDArray[Any]] | None = None
    orientation: Callable[[Path], int | None] | None = None
    install: str = ""


def needs(path: Path, library: str, install: str) -> CubeError:
    """The error to raise where a library is missing that a file needs."""
    return CubeError(
        f"'{path.name}' needs {library}: {install or f'pip install {library}'}, or export it as "
        "ENVI or uncompressed TIFF."
    )
