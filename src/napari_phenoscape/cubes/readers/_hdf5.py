"""HDF5, and what is made of it: NetCDF-4 and MATLAB 7.3; through h5py (an extra).

Nothing outside the file is ever opened: external links are not followed, external storage and
virtual data sets of other files are refused.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_phenoscape.cubes._bands import Band, Bands
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes.readers._centres import (
    numbers_in,
    says_of_bands,
    stated_lists,
    wavelengths_of,
)
from napari_phenoscape.cubes.readers._chunked import ChunkedArray
from napari_phenoscape.cubes.readers._hdf5_axes import (
    axes_of,
    axis_of_hyperspy,
    uneven_axis_of_hyperspy,
)
from napari_phenoscape.cubes.readers._hdf5_heaps import WatchedFile
from napari_phenoscape.cubes.readers._pieces import MOST_DEFLATED
from napari_phenoscape.cubes.readers._planes import Stacked, families
from napari_phenoscape.cubes.readers._reader import FORMATS, Reader
from napari_phenoscape.cubes.readers._stated import number_of, stated, text_of, unit_of
from napari_phenoscape.cubes.readers._variable import Variable
from napari_phenoscape.cubes.readers._variables import find_cube
from napari_phenoscape.errors import CubeError, PhenoscapeError

SIGNATURES = (b"\x89HDF\r\n\x1a\n", b"MATLAB 7.3")

#: How NetCDF marks a data set that is only the name of an axis.
PLACEHOLDER = "This is a netCDF dimension but not a netCDF variable"

#: Objects of a file that are looked at.
MOST_OBJECTS = 10_000

_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError)


def recognise(path: Path) -> bool:
    """Whether a file holds numbers with three axes and their wavelengths."""
    try:
        with _watched(path) as file:
            variables = list(_variables(path, file))
            known = any(one.is_cube and wavelengths_of(one, variables) for one in variables)
            return known or len(families(variables)) == 1
    except PhenoscapeError:
        raise
    except _DAMAGED as error:
        raise _damaged(path, error) from None


def open_hdf5(path: Path, inside: str = "", axis: int | None = None) -> Cube:
    """The cube of an HDF5 file; its numbers are read when they are indexed.

    Parameters
    ----------
    path
        The file.
    inside
        Path of the data set in it; empty: the only one that can be a cube.
    axis
        Of the bands, where the user says it.

    Raises
    ------
    CubeError
        The file is damaged, holds no cube or several, or its numbers are
        not in it; nothing says which axis counts the bands.
    """
    try:
        with _watched(path) as file:
            return _cube(path, inside, axis, file)
    except PhenoscapeError:
        raise
    except _DAMAGED as error:
        raise _damaged(path, error) from None


def open_dataset(path: Path, inside: str) -> Any:
    """The h5py data set, whose file stays open as long as it is held."""
    file = _opened(path)
    return file[inside]


def _cube(path: Path, inside: str, axis: int | None, file: Any) -> Cube:
    is_matlab, notes = _is_matlab(path), list[str]()
    variables = list(_variables(path, file))
    sets = {} if is_matlab else families(variables)
    if inside in sets or (not inside and len(sets) == 1 and not any(v.is_cube for v in variables)):
        return _cube_of_planes(path, inside or next(iter(sets)), sets, file, notes)
    found = find_cube(path, inside, variables, axis, notes, bands_last=is_matlab)
    name, axes = found.cube.name, len(found.cube.shape)
    data = file[name]
    _refuse_what_is_not_there(path, data, notes)
    # MATLAB counts the axes from the other end
    c, h, w = (axes - 1 - i if is_matlab else i for i in found.order)
    said = ChainMap(_scale_of_prisma(file, name), dict(data.attrs), _scale_of_root(file))
    array = ChunkedArray(_opener(data), path, name, (c, h, w))
    cube = Cube(array, found.bands, path / inside, mask=found.mask, provenance=tuple(notes))
    return stated(cube, said, path.name)


def open_unsigned(path: Path, inside: str) -> Any:
    """A data set of whole numbers with sign, whose bits are numbers without."""
    return _Unsigned(open_dataset(path, inside))


class _Unsigned:
    def __init__(self, data: Any) -> None:
        self._data, self.shape = data, data.shape
        self.dtype = np.dtype(data.dtype.str.replace("i", "u"))

    def __getitem__(self, index: tuple[Any, ...]) -> NDArray[Any]:
        return np.asarray(self._data[index]).view(self.dtype)


def _opener(data: Any) -> Any:
    """How a data set is opened: NetCDF's ``_Unsigned`` says that its sign is none."""
    says = text_of(data.attrs, "_Unsigned").lower() == "true"
    return open_unsigned if says and data.dtype.kind == "i" else open_dataset


def open_plane(path: Path, inside: str) -> Any:
    """A data set of rows and columns as one of one band."""
    return _Plane(open_dataset(path, inside))


class _Plane:
    """(1, H, W) of a data set of two axes."""

    def __init__(self, data: Any) -> None:
        self._data, self.shape, self.dtype = data, (1, *data.shape), data.dtype

    def __getitem__(self, index: tuple[slice, slice, slice]) -> NDArray[Any]:
        return np.asarray(self._data[index[1:]])[np.newaxis]


def _cube_of_planes(
    path: Path, name: str, sets: dict[str, dict[float, Variable]], file: Any, notes: list[str]
) -> Cube:
    """The cube of data sets that are a band each, in nm by their names."""
    centres = sets[name]
    members = [file[one.name] for one in centres.values()]
    for data in members:
        _refuse_what_is_not_there(path, data, notes)
    others = [other for other in sets if other != name]
    notes.append(
        f"{len(centres)} variables '{name}_...' are taken as bands, the numbers in their names as "
        "nm." + (f" There are also {', '.join(others)}." if others else "")
    )
    planes = [ChunkedArray(open_plane, path, one.name, (0, 1, 2)) for one in centres.values()]
    bands = Bands(Band(f"{nm:.7g} nm", nm) for nm in centres)
    cube = Cube(Stacked(planes), bands, path / name, provenance=tuple(notes))
    return stated(cube, members[0].attrs, path.name)


def _scale_of_prisma(file: Any, name: str) -> dict[str, Any]:
    """PRISMA's level 2: the reflectance for which 0 and 65535 stand, said by the file [1]_.

    References
    ----------
    .. [1] PRISMA Products Specification Document, Agenzia Spaziale Italiana 2020.
    """
    detector = re.search(r"(VNIR|SWIR)_Cube$", name)
    ends = [
        number_of(file.attrs, f"L2Scale{detector[1].title()}{end}") if detector else None
        for end in ("Min", "Max")
    ]
    if ends[0] is None or ends[1] is None:
        return {}
    return {"scale_factor": (ends[1] - ends[0]) / 65535, "add_offset": ends[0]}


def _scale_of_root(file: Any) -> dict[str, Any]:
    """A scale to reflectance that a file says of itself as a whole."""
    return {key: file.attrs[key] for key in file.attrs if re.match("(?i)reflectance.?scale", key)}


@contextmanager
def _watched(path: Path) -> Iterator[Any]:
    """The file, held against writers, and read through what refuses endless heaps."""
    import h5py

    with _opened(path), WatchedFile(path) as own, h5py.File(own) as file:
        yield file


def _opened(path: Path) -> Any:
    import h5py

    try:
        return h5py.File(path, "r", locking="best-effort")
    except _DAMAGED as error:
        raise _damaged(path, error) from None


def _objects(path: Path, file: Any) -> Iterator[Any]:
    """Every group and data set that is in this file itself, each once."""
    import h5py

    waiting, seen = [file], {h5py.h5o.get_info(file.id).addr}
    while waiting:
        group = waiting.pop(0)
        yield group
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue  # elsewhere, or another name of what is here
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > MOST_OBJECTS:
                raise CubeError(
                    f"'{path.name}' holds more than {MOST_OBJECTS} objects; a cube and its "
                    "wavelengths were expected. Export the cube alone."
                )
            if isinstance(item, h5py.Dataset):
                yield item
            elif isinstance(item, h5py.Group):
                waiting.append(item)


def _variables(path: Path, file: Any) -> Iterator[Variable]:
    """The data sets of a file, and the lists that attributes hold."""
    import h5py

    is_matlab = _is_matlab(path)
    for item in _objects(path, file):
        place = item.name.strip("/")
        unit = text_of(item.attrs, "wavelength_units", "wavelength_unit")
        yield from stated_lists(place, item.attrs, unit)
        if isinstance(item, h5py.Group):
            if re.search(r"(^|/)axis-\d$", place):
                yield from axis_of_hyperspy(place, item.attrs)
        elif re.search(r"(^|/)axis-\d/axis$", place):
            listed = _variable(path, item, is_matlab=is_matlab)
            yield uneven_axis_of_hyperspy(listed, place, item.parent.attrs)
        elif item.dtype.kind in "SO" and len(item.shape or ()) == 1 and says_of_bands(item.name):
            if (listed_words := numbers_in(item[()])) is not None:
                yield replace(_variable(path, item, is_matlab=is_matlab), dtype=listed_words.dtype,
                              numbers=partial(np.asarray, listed_words))  # fmt: skip
        elif not text_of(item.attrs, "NAME").startswith(PLACEHOLDER):
            yield _variable(path, item, is_matlab=is_matlab)


def _variable(path: Path, data: Any, *, is_matlab: bool) -> Variable:
    shape, axes = tuple(data.shape or ()), axes_of(data)
    dtype = np.dtype(data.dtype).newbyteorder("=")
    if is_matlab:
        shape, axes = shape[::-1], axes[::-1]
        if data.attrs.get("MATLAB_class") in (b"logical", "logical"):
            dtype = np.dtype("?")
        elif data.attrs.get("MATLAB_class") in (b"char", "char"):
            dtype = np.dtype("O")
    unit = unit_of(data.attrs)
    if not unit and says_of_bands(data.name):
        unit = text_of(data.parent.attrs, "wavelength_units", "wavelength_unit")
    return Variable(
        data.name.lstrip("/"), shape, dtype, axes if any(axes) else (), unit,
        cache(partial(_whole, path, data, is_matlab)),
    )  # fmt: skip


def _whole(path: Path, data: Any, is_matlab: bool) -> NDArray[Any]:
    if len(data.shape) == 1 and not data.is_virtual and not data.id.get_storage_size():
        return np.full(data.shape, np.nan)  # a list that was declared and never written
    _refuse_what_is_not_there(path, data, [])
    numbers = np.asarray(data[()])
    return numbers.T if is_matlab else numbers


def _is_matlab(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(10) == SIGNATURES[1]


def _refuse_what_is_not_there(path: Path, data: Any, notes: list[str]) -> None:
    """Numbers of other files, of no file, and more of them than there can be."""
    where = f"'{data.name.lstrip('/')}' in '{path.name}'"
    sources = data.virtual_sources() if data.is_virtual else ()
    if data.external or any(source.file_name != "." for source in sources):
        raise CubeError(
            f"{where} takes its numbers from other files, which are not opened. Copy them into "
            "one file, e.g. with h5repack."
        )
    if data.is_virtual:
        return
    _refuse_missing_filters(where, data)
    declared = data.size * data.dtype.itemsize
    stored = data.id.get_storage_size()
    if declared > MOST_DEFLATED * stored:
        raise CubeError(
            f"{where} declares {declared} bytes and {stored} are stored; most of its numbers are "
            "not there. Copy it again from its source."
        )
    if data.chunks:
        chunk = int(np.prod(data.chunks, dtype=object)) * data.dtype.itemsize
        if chunk > (free := psutil.virtual_memory().available):
            raise CubeError(
                f"{where} is stored in blocks of {chunk} bytes; {free} bytes of memory are free. "
                "Store it in smaller ones with h5repack."
            )
        blocks = -(-np.array(data.shape) // np.array(data.chunks))
        missing = int(np.prod(blocks)) - data.id.get_num_chunks()
        if missing:
            notes.append(f"{missing} of its blocks are not stored; they read as {data.fillvalue}.")


def _refuse_missing_filters(where: str, data: Any) -> None:
    """Numbers that a plug-in has compressed which is not there."""
    import h5py

    created = data.id.get_create_plist()
    filters = [created.get_filter(place) for place in range(created.get_nfilters())]
    missing = {code: name for code, _, _, name in filters if not h5py.h5z.filter_avail(code)}
    if missing:
        with suppress(ImportError):
            import hdf5plugin  # noqa: F401  adds its filters to libhdf5
    for code, name in missing.items():
        if not h5py.h5z.filter_avail(code):
            called = name.decode("utf-8", "replace").partition(";")[0]
            raise CubeError(
                f"{where} is compressed by a plug-in of HDF5 that is not there (filter {code}"
                f"{f', {called}' if called else ''}): pip install hdf5plugin, or store it anew "
                "with h5repack -f GZIP=4."
            )


def _damaged(path: Path, error: Exception) -> CubeError:
    if isinstance(error, BlockingIOError):
        return CubeError(
            f"'{path.name}' is being written by another program, which has locked it. Close it "
            "there, then open it again."
        )
    return CubeError(
        f"'{path.name}' cannot be read as HDF5 ({str(error)[:200]}); it is damaged or cut short. "
        "Copy it again from its source."
    )


READER = Reader(
    name="hdf5",
    patterns=("*.h5", "*.hdf5", "*.he5", "*.nc"),
    claims=lambda _, head: head.startswith(SIGNATURES),
    open=open_hdf5,
    recognise=recognise,
    open_array=open_hdf5,
    install=FORMATS,
)
