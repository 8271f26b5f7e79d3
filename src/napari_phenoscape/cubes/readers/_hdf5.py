"""HDF5, and what is made of it: NetCDF-4 and MATLAB 7.3; through h5py (an extra).

Nothing outside the file is ever opened: external links are not followed, external storage and
virtual data sets of other files are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import ignorable
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes.readers._chunked import ChunkedArray
from napari_phenoscape.cubes.readers._pieces import MOST_DEFLATED
from napari_phenoscape.cubes.readers._reader import FORMATS, Reader
from napari_phenoscape.cubes.readers._variables import (
    Variable,
    bands_of,
    choose,
    mask_among,
    number_of,
    spectral_axis,
    stated_scale,
    text_of,
    wavelengths_of,
)
from napari_phenoscape.errors import CubeError, PhenoscapeError

SIGNATURES = (b"\x89HDF\r\n\x1a\n", b"MATLAB 7.3")

#: Objects of a file that are looked at.
MOST_OBJECTS = 10_000

_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError)


def recognise(path: Path) -> bool:
    """Whether a file holds numbers with three axes and their wavelengths."""
    try:
        with _opened(path) as file:
            variables = [_variable(path, each) for each in _datasets(path, file)]
    except _DAMAGED as error:
        raise _damaged(path, error) from None
    return any(one.is_cube and wavelengths_of(one, variables) for one in variables)


def open_hdf5(path: Path, inside: str = "") -> Cube:
    """The cube of an HDF5 file; its numbers are read when they are indexed.

    Parameters
    ----------
    path
        The file.
    inside
        Path of the data set in it; empty: the only one that can be a cube.

    Raises
    ------
    CubeError
        The file is damaged, holds no cube or several, or its numbers are
        not in it.
    """
    try:
        with _opened(path) as file:
            return _cube(path, inside, file)
    except PhenoscapeError:
        raise
    except _DAMAGED as error:
        raise _damaged(path, error) from None


def open_dataset(path: Path, inside: str) -> Any:
    """The h5py data set, whose file stays open as long as it is held."""
    file = _opened(path)
    return file[inside]


def _cube(path: Path, inside: str, file: Any) -> Cube:
    datasets = {each.name.lstrip("/"): each for each in _datasets(path, file)}
    variables = [_variable(path, each) for each in datasets.values()]
    cube = choose(path, inside, variables)
    notes = [f"'{cube.name}' of {len(variables)} variables is taken."] if not inside else []
    data = datasets[cube.name]
    _refuse_what_is_not_there(path, data, notes)
    wavelengths = wavelengths_of(cube, variables)
    axis = spectral_axis(cube, wavelengths, notes)
    order = (axis, *(i for i in range(3) if i != axis))
    bands, rows, columns = (cube.shape[i] for i in order)
    centres: list[float] = []
    unit = ""
    if wavelengths is not None:
        found = datasets[wavelengths.name]
        _refuse_what_is_not_there(path, found, [])
        centres, unit = found[()].ravel().tolist(), text_of(found.attrs, "units", "Units")
    # MATLAB counts the axes from the other end
    there = tuple(2 - i for i in order) if _is_matlab(path) else order
    gain, offset = stated_scale(path.name, data.attrs, cube.dtype, bands, notes)
    ignored = number_of(data.attrs, "_FillValue", "Data_Ignore_Value", "missing_value")
    return Cube(
        array=ChunkedArray(open_dataset, path, cube.name, (there[0], there[1], there[2])),
        bands=bands_of(bands, centres, unit, notes),
        path=path / inside,
        gain=gain,
        offset=offset,
        mask=_mask(path, datasets, variables, (rows, columns), notes),
        ignore_value=None if ignored is None else ignorable(ignored, cube.dtype),
        provenance=tuple(notes),
    )


def _opened(path: Path) -> Any:
    import h5py

    try:
        return h5py.File(path, "r", locking="best-effort")
    except _DAMAGED as error:
        raise _damaged(path, error) from None


def _datasets(path: Path, file: Any) -> Iterator[Any]:
    """Every data set that is in this file itself, each once."""
    import h5py

    waiting, seen = [file], set()
    while waiting:
        group = waiting.pop(0)
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


def _variable(path: Path, data: Any) -> Variable:
    shape = tuple(data.shape or ())
    axes = tuple(
        dim.label or (dim[0].name.rpartition("/")[2] if len(dim) else "") for dim in data.dims
    )
    dtype = np.dtype(data.dtype).newbyteorder("=")
    if _is_matlab(path):
        shape, axes = shape[::-1], axes[::-1]
        if data.attrs.get("MATLAB_class") in (b"logical", "logical"):
            dtype = np.dtype("?")
        elif data.attrs.get("MATLAB_class") in (b"char", "char"):
            dtype = np.dtype("O")
    return Variable(data.name.lstrip("/"), shape, dtype, axes if any(axes) else ())


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


def _mask(
    path: Path,
    datasets: dict[str, Any],
    variables: list[Variable],
    shape: tuple[int, int],
    notes: list[str],
) -> NDArray[np.bool_] | None:
    found = mask_among(variables, shape, notes)
    if found is None:
        return None
    data = datasets[found.name]
    _refuse_what_is_not_there(path, data, [])
    mask: NDArray[np.bool_] = np.asarray(data[()]) > 0
    return mask.T if _is_matlab(path) else mask


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
