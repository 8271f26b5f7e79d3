"""HDF5, and what is made of it: NetCDF-4 and MATLAB 7.3; through h5py (an extra).

Nothing outside the file is ever opened: external links are not followed, external storage and
virtual data sets of other files are refused.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import ignorable
from napari_phenoscape.cubes._bands import Band, Bands
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes.readers._centres import stated_lists, wavelengths_of
from napari_phenoscape.cubes.readers._chunked import ChunkedArray
from napari_phenoscape.cubes.readers._pieces import MOST_DEFLATED
from napari_phenoscape.cubes.readers._planes import Stacked, families
from napari_phenoscape.cubes.readers._reader import FORMATS, Reader
from napari_phenoscape.cubes.readers._variable import Variable
from napari_phenoscape.cubes.readers._variables import (
    find_cube,
    number_of,
    stated_scale,
    text_of,
)
from napari_phenoscape.errors import CubeError, PhenoscapeError

SIGNATURES = (b"\x89HDF\r\n\x1a\n", b"MATLAB 7.3")

#: Attributes that name the axes; how NetCDF marks a data set that is only the name of one.
DIMENSION_LABELS, DIMENSION_LIST = "DIMENSION_LABELS", "DIMENSION_LIST"
PLACEHOLDER = "This is a netCDF dimension but not a netCDF variable"

#: Objects of a file that are looked at.
MOST_OBJECTS = 10_000

_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError)


def recognise(path: Path) -> bool:
    """Whether a file holds numbers with three axes and their wavelengths."""
    try:
        with _opened(path) as file:
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
        with _opened(path) as file:
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
    cube, (count, *_) = found.cube, found.shape
    data = file[cube.name]
    _refuse_what_is_not_there(path, data, notes)
    # MATLAB counts the axes from the other end
    c, h, w = (len(cube.shape) - 1 - i if is_matlab else i for i in found.order)
    said = ChainMap(_scale_of_prisma(file, cube.name), data.attrs)
    gain, offset = stated_scale(path.name, said, cube.dtype, count, notes)
    ignored = number_of(said, "_FillValue", "Data_Ignore_Value", "missing_value")
    return Cube(
        array=ChunkedArray(open_dataset, path, cube.name, (c, h, w)),
        bands=found.bands,
        path=path / inside,
        gain=gain,
        offset=offset,
        mask=found.mask,
        ignore_value=None if ignored is None else ignorable(ignored, cube.dtype),
        provenance=tuple(notes),
    )


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
    said, dtype = members[0].attrs, np.dtype(members[0].dtype).newbyteorder("=")
    gain, offset = stated_scale(path.name, said, dtype, 1, notes)
    ignored = number_of(said, "_FillValue", "missing_value")
    planes = [ChunkedArray(open_plane, path, one.name, (0, 1, 2)) for one in centres.values()]
    return Cube(
        array=Stacked(planes),
        bands=Bands(Band(f"{nm:.7g} nm", nm) for nm in centres),
        path=path / name,
        gain=gain,
        offset=offset,
        mask=None,
        ignore_value=None if ignored is None else ignorable(ignored, dtype),
        provenance=tuple(dict.fromkeys(notes)),
    )


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
        for name, numbers in stated_lists(place, item.attrs).items():
            yield Variable(name, numbers.shape, numbers.dtype, (), "", partial(np.asarray, numbers),
                           is_attribute=True)  # fmt: skip
        if isinstance(item, h5py.Group):
            if re.search(r"(^|/)axis-\d$", place):
                yield from _axis_of_hyperspy(place, item.attrs)
        elif re.search(r"(^|/)axis-\d/axis$", place):
            listed = _variable(path, item, is_matlab=is_matlab)
            yield _uneven_axis_of_hyperspy(listed, place, item.parent.attrs)
        elif not text_of(item.attrs, "NAME").startswith(PLACEHOLDER):
            yield _variable(path, item, is_matlab=is_matlab)


def _variable(path: Path, data: Any, *, is_matlab: bool) -> Variable:
    shape, axes = tuple(data.shape or ()), _axes(data)
    dtype = np.dtype(data.dtype).newbyteorder("=")
    if is_matlab:
        shape, axes = shape[::-1], axes[::-1]
        if data.attrs.get("MATLAB_class") in (b"logical", "logical"):
            dtype = np.dtype("?")
        elif data.attrs.get("MATLAB_class") in (b"char", "char"):
            dtype = np.dtype("O")
    unit = text_of(data.attrs, "units", "Units", "unit")
    return Variable(
        data.name.lstrip("/"), shape, dtype, axes if any(axes) else (), unit,
        cache(partial(_whole, path, data, is_matlab)),
    )  # fmt: skip


def _axes(data: Any) -> tuple[str, ...]:
    """Names of the axes, "" of one that has none.

    Read by hand: libhdf5 ends the process (h5py's ``dim.label``) where these attributes are of
    another kind or shape than its own.
    """
    import h5py

    count, labels = len(data.shape or ()), [""]
    if DIMENSION_LABELS in data.attrs:
        labels = [text_of({"": label}, "") for label in np.ravel(data.attrs[DIMENSION_LABELS])]
    if len(labels) != count:
        labels = [""] * count
    if DIMENSION_LIST in data.attrs:
        kind = data.attrs.get_id(DIMENSION_LIST)
        entry = h5py.check_vlen_dtype(kind.dtype)
        if kind.shape == (count,) and entry and h5py.check_ref_dtype(entry) is h5py.Reference:
            for axis, scales in enumerate(data.attrs[DIMENSION_LIST]):
                if not labels[axis] and len(scales) and scales[0]:
                    labels[axis] = (data.file[scales[0]].name or "").rpartition("/")[2]
    stated = re.split(r"\s*,\s*", text_of(data.attrs, "Dimensions"))  # NEON's
    return tuple(stated) if len(stated) == count and not any(labels) else tuple(labels)


def _axis_of_hyperspy(place: str, said: Any) -> Iterator[Variable]:
    """The centres along an axis of HyperSpy's, a group beside the data: offset, scale and size."""
    offset, scale, size = (number_of(said, word) for word in ("offset", "scale", "size"))
    if offset is not None and scale and size and 0 < size <= MOST_OBJECTS:
        numbers = (offset + scale * np.arange(int(size))).round(9)
        name = text_of(said, "name")
        yield Variable(
            f"{place.rpartition('/')[0]}/{name}".lstrip("/"), numbers.shape, numbers.dtype, (name,),
            text_of(said, "units"), partial(np.asarray, numbers), is_attribute=True,
        )  # fmt: skip


def _uneven_axis_of_hyperspy(listed: Variable, place: str, said: Any) -> Variable:
    """The list ``axis`` in the group of an axis that is not even."""
    name = text_of(said, "name")
    stem = place.rpartition("/")[0].rpartition("/")[0]
    return replace(listed, name=f"{stem}/{name}".lstrip("/"), axes=(name,),
                   unit=text_of(said, "units"), is_attribute=True)  # fmt: skip


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
