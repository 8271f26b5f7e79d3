"""Zarr, versions 2 and 3: folders ``NAME.zarr`` and their zip files; through zarr (an extra).

Here a store is listed: names, shapes, types, axes and attributes of its arrays. The numbers of
those that are wanted come from zarr, guarded, in `_zarr_numbers`. Nothing outside the store is
opened, and no codec runs that is not known to be harmless.
"""

from __future__ import annotations

import base64
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._brought import bring
from napari_phenoscape._remote import list_folder
from napari_phenoscape.cubes._arrays import unique
from napari_phenoscape.cubes._bands import Band, Bands
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._labels import band_of_label
from napari_phenoscape.cubes.readers._centres import Centres, stated_lists, wavelengths_of
from napari_phenoscape.cubes.readers._chunked import ChunkedArray
from napari_phenoscape.cubes.readers._reader import FORMATS, Reader
from napari_phenoscape.cubes.readers._stated import stated, text_of, unit_of
from napari_phenoscape.cubes.readers._variable import Variable
from napari_phenoscape.cubes.readers._variables import find_cube
from napari_phenoscape.errors import CubeError, PhenoscapeError

_ZIP = b"PK\x03\x04"

#: From so many channels on, a picture of OME-Zarr is a spectrum; below, it is a microscope's.
SPECTRAL = 17

#: Groups and arrays of a store that are looked at; bytes of what one of them says of itself.
MOST_OBJECTS, MOST_TEXT = 10_000, 16 << 20

#: Coordinates of a cube that scale each band alone (NetCDF's words scale them all alike).
GAIN, OFFSET = "gain", "offset"

#: Files that say that a folder is a group or an array.
_MARKS = ("zarr.json", ".zarray", ".zgroup")

#: What damaged metadata raise, and the zip file around them.
_DAMAGED = (ArithmeticError, AttributeError, EOFError, LookupError, RuntimeError, TypeError,
           ValueError, zipfile.BadZipFile, zlib.error)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    """An array of a store, or a list that an attribute of an array or a group holds.

    Parameters
    ----------
    variable
        It among the others of a file.
    attributes
        As they stand.
    channels
        Names of the channels of a picture of OME-Zarr; None of any other array.
    """

    variable: Variable
    attributes: dict[str, Any]
    channels: tuple[str, ...] | None = None


def root_of(path: Path) -> Path | None:
    """The store that a path names or lies in: the outermost of the folders that are parts of it."""
    if path.is_file():
        return None
    found = None
    for folder in (path, *path.parents):
        if is_store(folder):
            found = folder
        elif found is not None:
            break
    return found


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr store or a part of one, or bears the name of one."""
    return path.is_dir() and (
        path.suffix.lower() == ".zarr" or any((path / mark).is_file() for mark in _MARKS)
    )


def is_zipped(path: Path) -> bool:
    """Whether a zip file is a Zarr store."""
    with _contents_of(path) as contents:
        return any(contents.joinpath(mark).is_file() for mark in _MARKS)


def recognise(path: Path) -> bool:
    """Whether a store holds numbers with three axes and their wavelengths, or OME's spectra."""
    nodes = _nodes(path)
    variables = [node.variable for node in nodes.values()]

    def is_spectral(node: Node) -> bool:
        cube = node.variable
        if node.channels is not None:
            return dict(zip(cube.axes, cube.shape, strict=True)).get("channel", 0) >= SPECTRAL
        try:
            return "band_names" in node.attributes or bool(wavelengths_of(cube, variables))
        except ImportError:  # by its name and length a list of centres, which zarr would read
            return True

    return any(node.variable.is_cube and is_spectral(node) for node in nodes.values())


def open_zarr(path: Path, inside: str = "", axis: int | None = None) -> Cube:
    """The cube of a Zarr store; its numbers are read when they are indexed.

    Parameters
    ----------
    path
        The folder or the zip file.
    inside
        Path of the array in it; empty: the only one that can be a cube.
    axis
        Of the bands, where the user says it.

    Raises
    ------
    CubeError
        The store is damaged, holds no cube or several, or its numbers are not in it; nothing says
        which axis counts the bands.
    """
    nodes, notes = _nodes(path), list[str]()
    found = find_cube(path, inside, [node.variable for node in nodes.values()], axis, notes)
    name = found.cube.name
    node, array = nodes[name], ChunkedArray(open_numbers, path, name, found.order)
    if _names_in(node, found.centres, len(found.bands)):
        notes.clear()  # as `phenoscape convert` writes: nothing was assumed
    notes += array.stored.gaps
    with _sound(path, name):
        shown = _shown(node.attributes, len(found.bands))
        bands = _bands(node, found.centres, found.bands).proposing(shown)
        cube = Cube(array, bands, path / inside, mask=found.mask, provenance=tuple(notes))
        return stated(cube, _scaled(nodes, node), path.name)


def open_numbers(path: Path, name: str) -> Any:
    """The array of this name, for `ChunkedArray`."""
    from napari_phenoscape.cubes.readers._zarr_numbers import Numbers

    with _sound(path, name), _contents_of(path) as contents:
        return Numbers(path, contents, name, _metadata_of(contents, name))


def _whole(path: Path, name: str) -> NDArray[Any]:
    with _sound(path, name):
        return np.asarray(open_numbers(path, name)[...])


def _scaled(nodes: dict[str, Node], node: Node) -> dict[str, Any]:
    """What an array says of itself, with its coordinates that scale each band alone."""
    said = dict(node.attributes)
    fill = said.get("_FillValue")
    if isinstance(fill, str):
        with suppress(ValueError, struct.error):  # as Zarr 2, and as xarray, writes a float
            infinite = fill.endswith("Infinity")
            coded = b"" if infinite else base64.standard_b64decode(fill)
            said["_FillValue"] = float(fill) if infinite else struct.unpack("<d", coded)[0]
    beside = node.variable.name.rpartition("/")[0]
    for name, word in ((GAIN, "scale_factor"), (OFFSET, "add_offset")):
        coordinate = nodes.get(f"{beside}/{name}".lstrip("/"))
        is_named = name in text_of(said, "coordinates").split()
        if is_named and coordinate is not None and coordinate.variable.length:
            said[word] = coordinate.variable.numbers()
    return said


def _names_in(node: Node, centres: Centres | None, count: int) -> list[str]:
    """What a store that we wrote calls its bands; nothing of others."""
    names = node.attributes.get("band_names")
    is_nm = centres is None or centres.unit == "nm"
    return names if is_nm and _is_list(names, count, str) else []


def _bands(node: Node, centres: Centres | None, bands: Bands) -> Bands:
    """Bands with the names that the store gives them: those that we write, and channels of OME."""
    said, count = node.attributes, len(bands)
    regions, bad = map(said.get, ("regions", "bad_bands"))
    if names := _names_in(node, centres, count):
        regions = regions if _is_list(regions, count) else [None] * count
        return Bands(
            Band(
                name,
                band.wavelength_nm,
                region if region in ("uv", "vis", "nir", "swir") else None,
                bad=isinstance(bad, list) and i in bad,
            )
            for i, (name, band, region) in enumerate(
                zip(unique(names), bands, regions, strict=True)
            )
        )
    if centres is not None or node.channels is None or len(node.channels) != count:
        return bands
    labelled = [(name, band_of_label(name)) for name in node.channels]
    bands = Bands(band if isinstance(band, Band) else Band(name) for name, band in labelled)
    own = unique(list(bands.names))
    return Bands(replace(band, name=name) for band, name in zip(bands, own, strict=True))


def _shown(said: dict[str, Any], count: int) -> tuple[int, int, int] | None:
    given = said.get("rgb_bands")
    if _is_list(given, 3, int) and all(0 <= band < count for band in given):
        return given[0], given[1], given[2]
    return None


def _is_list(value: Any, count: int, kind: Any = object) -> TypeGuard[list[Any]]:
    return (
        isinstance(value, list)
        and len(value) == count
        and all(isinstance(each, kind) for each in value)
    )


@contextmanager
def _sound(path: Path, place: str) -> Iterator[None]:
    """Reading what a part of a store says of itself; damage is a CubeError."""
    try:
        yield
    except PhenoscapeError:
        raise
    except _DAMAGED as error:
        raise CubeError(
            f"'{path.name}' cannot be read as Zarr: '{place or '/'}' in it says what cannot be "
            f"({type(error).__name__}: {str(error)[:100]}). Copy it again from its source."
        ) from None


@contextmanager
def _contents_of(path: Path) -> Iterator[Path | zipfile.Path]:
    """The folder that is a store, or the root of the zip file that is.

    Raises
    ------
    CubeError
        It is a zip file that is damaged.
    """
    if path.is_dir():
        list_folder(path, deep=True)
        yield path
        return
    try:
        archive = zipfile.ZipFile(path)
        # a walk that never ends in Python before 3.11.10 and 3.12.6 (CVE-2024-8088)
        if any("//" in f"/{name}" for name in archive.namelist()):
            archive.close()
            raise zipfile.BadZipFile("a name in it begins with a slash, or has two of them")
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise CubeError(
            f"'{path.name}' cannot be read as a zip file ({error}); it is damaged or cut short. "
            "Copy it again from its source."
        ) from None
    with archive:
        yield zipfile.Path(archive)


def _metadata_of(contents: Path | zipfile.Path, place: str) -> dict[str, Any]:
    """What a group or an array says of itself; only empty attributes where it says nothing."""
    said = _json(contents.joinpath(place, "zarr.json"))
    if not said:
        said = _json(contents.joinpath(place, ".zarray"))
        said["attributes"] = _json(contents.joinpath(place, ".zattrs"))
    said["attributes"] = dict(said.get("attributes") or {})
    return said


def _json(file: Path | zipfile.Path) -> dict[str, Any]:
    if not file.is_file() or _is_link(file):
        return {}
    size = file.stat().st_size if isinstance(file, Path) else file.root.getinfo(file.at).file_size
    if size > MOST_TEXT:
        raise CubeError(
            f"'{file}' has {size} bytes; metadata of at most {MOST_TEXT} were expected. Copy the "
            "store again from its source."
        )
    if isinstance(file, Path):
        bring(file)
    return dict(json.loads(file.read_bytes()))


def _is_link(file: Path | zipfile.Path) -> bool:
    return isinstance(file, Path) and file.is_symlink()


def _nodes(path: Path) -> dict[str, Node]:
    """The arrays of a store, of OME's pyramids the finest level alone; and lists of centres."""
    nodes: dict[str, Node] = {}
    pictures: dict[str, dict[str, Any]] = {}
    seen, waiting = 0, [""]
    with _contents_of(path) as contents:
        while waiting:
            place = waiting.pop(0)
            with _sound(path, place):
                said = _metadata_of(contents, place)
                nodes |= _stated(place, said["attributes"])
                if "shape" in said:
                    nodes |= _named(path, place, said, pictures)
                    continue
                ome = said["attributes"].get("ome", said["attributes"])
                if isinstance(ome, dict) and ome.get("multiscales"):
                    pictures[place] = ome
                inner = contents.joinpath(place).iterdir()
                names = sorted(one.name for one in inner if one.is_dir() and not _is_link(one))
            waiting += [f"{place}/{name}".lstrip("/") for name in names]
            seen += 1 + len(names)
            if seen > MOST_OBJECTS:
                raise CubeError(
                    f"'{path.name}' holds more than {MOST_OBJECTS} groups and arrays; a cube and "
                    "its wavelengths were expected. Export the cube alone."
                )
    return nodes


def _stated(place: str, attributes: dict[str, Any]) -> dict[str, Node]:
    """The lists of bands that are attributes of a group or an array, by name."""
    unit = text_of(attributes, "wavelength_units")
    if "band_names" in attributes:  # a list of bad bands beside it is ours, and counts from 0
        attributes = {key: said for key, said in attributes.items() if key != "bad_bands"}
    return {one.name: Node(one, attributes) for one in stated_lists(place, attributes, unit)}


def _named(
    path: Path, name: str, said: dict[str, Any], pictures: dict[str, dict[str, Any]]
) -> dict[str, Node]:
    """An array by its name; of a picture only the finest level."""
    shape, attributes = tuple(map(int, said["shape"])), said["attributes"]
    if min(shape, default=0) < 0:
        raise ValueError(f"a shape of {shape}")
    axes = said.get("dimension_names") or attributes.get("_ARRAY_DIMENSIONS") or ()
    axes = tuple(map(str, axes)) if len(axes) == len(shape) else ()
    if "_ARRAY_DIMENSIONS" in attributes and said["zarr_format"] == 2:
        # xarray and GDAL keep "not measured" there, in Zarr 2
        attributes.setdefault("_FillValue", said.get("fill_value"))
    channels = None
    for place, ome in pictures.items():
        if not PurePosixPath(name).is_relative_to(place):
            continue
        picture = ome["multiscales"][0]
        if name != f"{place}/{picture['datasets'][0]['path']}".lstrip("/"):
            return {}
        # version 0.3 has the names alone
        given = [axis if isinstance(axis, dict) else {"name": axis} for axis in picture["axes"]]
        axes = tuple(
            "channel" if axis.get("type") == "channel" or axis["name"] == "c" else str(axis["name"])
            for axis in given
        )
        shown = (ome.get("omero") or {}).get("channels", [])
        channels = tuple(str(channel.get("label", "")) for channel in shown)
        if len(axes) != len(shape):
            raise ValueError(f"{len(axes)} axes of OME for {len(shape)}")
    try:
        dtype = np.dtype(str(said.get("data_type") or said["dtype"]))
    except (TypeError, ValueError):
        dtype = np.dtype("O")  # a text, or of many parts: no cube
    variable = Variable(
        name, shape, dtype, axes, unit_of(attributes), cache(partial(_whole, path, name))
    )
    return {name: Node(variable, attributes, channels)}


def _claims(path: Path, head: bytes) -> bool:
    return is_store(path) or (head.startswith(_ZIP) and is_zipped(path))


READER = Reader(
    name="zarr",
    patterns=("*.zarr", "*.zarr.zip"),
    claims=_claims,
    open=open_zarr,
    recognise=recognise,
    open_array=open_zarr,
    install=FORMATS,
)
