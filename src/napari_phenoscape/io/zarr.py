"""Zarr, versions 2 and 3: folders ``NAME.zarr`` and their zip files; through zarr (an extra).

What a store says of itself is read here; its numbers, guarded, in `zarr_numbers`. Nothing outside
the store is opened, and no codec runs that is not known to be harmless.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cube import Band, Cube
from napari_phenoscape.errors import CubeError, PhenoscapeError
from napari_phenoscape.io.arrays import ignorable, unique
from napari_phenoscape.io.chunked import ChunkedArray
from napari_phenoscape.io.labels import band_of_label
from napari_phenoscape.io.variables import (
    Variable,
    bands_of,
    choose,
    mask_among,
    names_wavelengths,
    number_of,
    spectral_axis,
    stated_scale,
    text_of,
    wavelengths_of,
)
from napari_phenoscape.io.zarr_files import Contents, contents_of

ZIP = b"PK\x03\x04"

#: From so many channels on, a picture of OME-Zarr is a spectrum; below, it is a microscope's.
SPECTRAL = 17

#: Groups and arrays of a store that are looked at.
MOST_OBJECTS = 10_000

#: Files that say that a folder is a group or an array.
_MARKS = ("zarr.json", ".zarray", ".zgroup")

#: Of these, reading an array runs nothing but arithmetic and decompression (``pickle`` is one
#: that would run the file's own program).
HARMLESS = {
    "bytes", "endian", "transpose", "crc32c", "sharding_indexed", "blosc", "zstd", "gzip", "zlib",
    "bz2", "lz4", "shuffle", "delta", "bitround", "fletcher32", "fixedscaleoffset",
}  # fmt: skip

_DAMAGED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)


@dataclass(frozen=True, slots=True)
class Node:
    """What a store says of one of its arrays.

    Parameters
    ----------
    name
        Its path in the store; empty for the store that is an array.
    version
        Of Zarr, 2 or 3.
    shape, dtype, axes
        Of all its axes; ``axes`` is empty when they have no names.
    attributes
        As they stand.
    files
        Shape of what lies in one file.
    chunk
        Shape of what is decompressed at once.
    codecs
        Their names in the order of writing.
    channels
        Names of the channels of a picture of OME-Zarr; None of any other array.
    """

    name: str
    version: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: tuple[str, ...]
    attributes: dict[str, Any]
    files: tuple[int, ...]
    chunk: tuple[int, ...]
    codecs: tuple[str, ...]
    channels: tuple[str, ...] | None = None

    @property
    def kept(self) -> tuple[int, ...]:
        """Axes without the single time point, depth, ... that are more than three."""
        axes = list(range(len(self.shape)))
        for axis in range(len(self.shape)):
            spatial = bool(self.axes) and self.axes[axis] in ("channel", "y", "x")
            if len(axes) > 3 and self.shape[axis] == 1 and not spatial:
                axes.remove(axis)
        return tuple(axes)

    @property
    def variable(self) -> Variable:
        """This array among the others of a file."""
        shape = tuple(self.shape[axis] for axis in self.kept)
        axes = tuple(self.axes[axis] for axis in self.kept) if self.axes else ()
        return Variable(self.name, shape, self.dtype, axes)


@dataclass(frozen=True, slots=True)
class _Store:
    path: Path
    nodes: dict[str, Node]
    #: Lists of numbers among the attributes, by "array/attribute".
    lists: dict[str, list[float]]

    @property
    def variables(self) -> list[Variable]:
        stated = [
            Variable(name, (len(numbers),), np.dtype(np.float64))
            for name, numbers in self.lists.items()
        ]
        return [node.variable for node in self.nodes.values()] + stated


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
    with contents_of(path) as contents:
        return any(contents.read(mark) is not None for mark in _MARKS)


def recognise(path: Path) -> bool:
    """Whether a store holds numbers with three axes and their wavelengths, or OME's spectra."""
    with contents_of(path) as contents:
        store = _read_store(path, contents)
    variables = store.variables

    def is_spectral(node: Node) -> bool:
        if not node.variable.is_cube:
            return False
        if node.channels is not None:
            return dict(zip(node.axes, node.shape, strict=True)).get("channel", 0) >= SPECTRAL
        return "band_names" in node.attributes or bool(wavelengths_of(node.variable, variables))

    return any(map(is_spectral, store.nodes.values()))


def open_zarr(path: Path, inside: str) -> Cube:
    """The cube of a Zarr store; its numbers are read when they are indexed.

    Parameters
    ----------
    path
        The folder or the zip file.
    inside
        Path of the array in it; empty: the only one that can be a cube.

    Raises
    ------
    CubeError
        zarr is not installed; the store is damaged, holds no cube or several, or its numbers are
        not in it.
    """
    with contents_of(path) as contents:
        store = _read_store(path, contents)
        variables = store.variables
        chosen = choose(path, inside, variables)
        notes = [f"'{chosen.name}' of {len(variables)} variables is taken."] * (
            not inside and len(store.nodes) > 1
        )
        node = store.nodes[chosen.name]
        if gaps := _numbers(path, node.name).gaps:
            notes.append(gaps)
        try:
            return _cube(store, inside, node, notes)
        except PhenoscapeError:
            raise
        except _DAMAGED as error:
            raise _damaged(path, node.name, error) from None


def _cube(store: _Store, inside: str, node: Node, notes: list[str]) -> Cube:
    variables, chosen = store.variables, node.variable
    wavelengths = wavelengths_of(chosen, variables)
    axis = spectral_axis(chosen, wavelengths, notes)
    order = (axis, *(i for i in range(3) if i != axis))
    count, rows, columns = (chosen.shape[i] for i in order)
    centres, unit = _centres(store, wavelengths, node)
    gain, offset = stated_scale(node.attributes, chosen.dtype, count, notes)
    mask_variable = mask_among(variables, (rows, columns), notes)
    mask: NDArray[np.bool_] | None = None
    if mask_variable is not None:
        mask = np.asarray(_numbers(store.path, mask_variable.name)[...]) > 0
    ignored = _ignored(node.attributes)
    return Cube(
        array=ChunkedArray(open_numbers, store.path, node.name, (order[0], order[1], order[2])),
        bands=_bands(node, count, centres, unit, notes),
        path=store.path / inside,
        gain=gain,
        offset=offset,
        mask=mask,
        ignore_value=None if ignored is None else ignorable(ignored, chosen.dtype),
        rgb_bands=_shown(node.attributes, count),
        provenance=tuple(notes),
    )


def open_numbers(path: Path, inside: str) -> Any:
    """The array of this name, with three axes, for `ChunkedArray`."""
    return _numbers(path, inside)


def _numbers(path: Path, inside: str) -> Any:
    with contents_of(path) as contents:
        node = _read_store(path, contents).nodes[inside]
        unknown = [name for name in node.codecs if name not in HARMLESS]
        if unknown:
            raise CubeError(
                f"'{inside}' in '{path.name}' is coded by '{unknown[0][:40]}', which may run a "
                f"program and is not used; {', '.join(sorted(HARMLESS))} were expected. Write it "
                "again with one of these."
            )
        try:
            from napari_phenoscape.io.zarr_numbers import Numbers
        except ImportError:
            raise CubeError(
                f"'{path.name}' is Zarr, which needs zarr: "
                'pip install "napari-phenoscape[formats]", or export it as ENVI or TIFF.'
            ) from None
        return Numbers(path, contents, node)


def _bands(
    node: Node, count: int, centres: Sequence[float], unit: str, notes: list[str]
) -> tuple[Band, ...]:
    said = node.attributes
    names = said.get("band_names", [])
    if not (isinstance(names, list) and len(names) == count and all(map(_is_text, names))):
        names = node.channels or ()
        labelled = [band_of_label(name) for name in names]
        if len(names) == count and not len(centres):
            bands = [
                band if isinstance(band, Band) else Band(name)
                for name, band in zip(names, labelled, strict=True)
            ]
            return tuple(
                replace(band, name=name)
                for band, name in zip(bands, unique([band.name for band in bands]), strict=True)
            )
        return bands_of(count, centres, unit, notes)
    regions = said.get("regions", [])
    regions = regions if isinstance(regions, list) and len(regions) == count else [None] * count
    flagged = said.get("bad_bands", [])
    known = list(centres) or [math.nan] * count
    return tuple(
        Band(
            name,
            None if math.isnan(centre) else centre,
            region if region in ("uv", "vis", "nir", "swir") else None,
            bad=isinstance(flagged, list) and i in flagged,
        )
        for i, (name, centre, region) in enumerate(
            zip(unique(names), known, regions, strict=True)
        )
    )


def _centres(store: _Store, wavelengths: Variable | None, cube: Node) -> tuple[list[float], str]:
    """Band centres and the unit that they are in, empty when nobody says it."""
    if wavelengths is None:
        return [], ""
    if wavelengths.name in store.lists:
        return store.lists[wavelengths.name], text_of(cube.attributes, "wavelength_units")
    node = store.nodes[wavelengths.name]
    numbers = np.asarray(_numbers(store.path, node.name)[...]).ravel()
    return numbers.astype(float).tolist(), text_of(node.attributes, "units", "Units", "unit")


def _ignored(said: dict[str, Any]) -> float | None:
    fill = said.get("_FillValue")
    if isinstance(fill, str):  # as xarray writes the one of a float
        try:
            return float(struct.unpack("<d", base64.standard_b64decode(fill))[0])
        except (ValueError, struct.error):
            return None
    return number_of(said, "_FillValue", "Data_Ignore_Value", "missing_value")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _shown(said: dict[str, Any], count: int) -> tuple[int, int, int] | None:
    given = said.get("rgb_bands")
    if not isinstance(given, list) or len(given) != 3:
        return None
    if not all(isinstance(band, int) and 0 <= band < count for band in given):
        return None
    return given[0], given[1], given[2]


def _read_store(path: Path, contents: Contents) -> _Store:
    """Every array of a store, its numbers unread; of OME's pyramids the finest level alone."""
    nodes: dict[str, Node] = {}
    groups: dict[str, dict[str, Any]] = {}
    waiting = [""]
    while waiting:
        place = waiting.pop(0)
        try:
            said = _said(contents, place)
            if "shape" in said:
                nodes[place] = _node(place, said)
                continue
        except PhenoscapeError:
            raise
        except (*_DAMAGED, RecursionError) as error:
            raise _damaged(path, place, error) from None
        groups[place] = said["attributes"]
        waiting += [_below(place, name) for name in contents.folders(place)]
        if len(groups) + len(nodes) + len(waiting) > MOST_OBJECTS:
            raise CubeError(
                f"'{path.name}' holds more than {MOST_OBJECTS} groups and arrays; a cube and its "
                "wavelengths were expected. Export the cube alone."
            )
    for place, attributes in groups.items():
        try:
            nodes = _without_pyramid(nodes, place, attributes)
        except _DAMAGED as error:
            raise _damaged(path, place, error) from None
    lists = {
        f"{node.name}/{key}".lstrip("/"): [float(number) for number in value]
        for node in nodes.values()
        for key, value in node.attributes.items()
        if names_wavelengths(key)
        and isinstance(value, list)
        and len(value) in node.shape
        and all(isinstance(number, int | float) for number in value)
    }
    return _Store(path, nodes, lists)


def _without_pyramid(
    nodes: dict[str, Node], place: str, attributes: dict[str, Any]
) -> dict[str, Node]:
    """The arrays, those of a picture of OME-Zarr only at the finest level, with its axes."""
    ome = attributes.get("ome", attributes)
    if not isinstance(ome, dict) or not ome.get("multiscales"):
        return nodes
    pyramid = ome["multiscales"][0]
    finest = _below(place, str(pyramid["datasets"][0]["path"]))
    if finest not in nodes:
        return nodes
    # version 0.3 has the names alone
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in pyramid["axes"]]
    names = tuple(
        "channel" if axis.get("type") == "channel" or axis["name"] == "c" else str(axis["name"])
        for axis in axes
    )
    shown = (ome.get("omero") or {}).get("channels", [])
    channels = tuple(str(channel.get("label", "")) for channel in shown)
    if len(names) != len(nodes[finest].shape):
        raise ValueError(f"{len(names)} axes of OME for {len(nodes[finest].shape)}")
    others = {
        name
        for name in nodes
        if name != finest and PurePosixPath(name).is_relative_to(PurePosixPath(place))
    }
    kept = {name: node for name, node in nodes.items() if name not in others}
    return kept | {finest: replace(nodes[finest], axes=names, channels=channels)}


def _below(place: str, name: str) -> str:
    return f"{place}/{name}".strip("/")


def _said(contents: Contents, place: str) -> dict[str, Any]:
    """The metadata of a group or an array; that of a folder without any is empty."""
    if (text := contents.read(_below(place, "zarr.json"))) is not None:
        said = dict(json.loads(text))
        said["attributes"] = dict(said.get("attributes") or {})
        return said
    text = contents.read(_below(place, ".zarray"))
    said = {} if text is None else dict(json.loads(text))
    attributes = contents.read(_below(place, ".zattrs"))
    said["attributes"] = {} if attributes is None else dict(json.loads(attributes))
    return said


def _node(name: str, said: dict[str, Any]) -> Node:
    attributes = said["attributes"]
    shape = tuple(map(int, said["shape"]))
    if said["zarr_format"] == 2:
        files = chunk = tuple(map(int, said["chunks"]))
        codecs = [said.get("compressor"), *(said.get("filters") or [])]
        names = tuple(str(codec["id"]) for codec in codecs if codec)
        dtype = said["dtype"]
        axes = attributes.get("_ARRAY_DIMENSIONS") or ()
    else:
        files = chunk = tuple(map(int, said["chunk_grid"]["configuration"]["chunk_shape"]))
        codecs, names = list(said["codecs"]), ()
        for codec in codecs:
            codec = {"name": codec} if isinstance(codec, str) else codec
            names += (str(codec["name"]).removeprefix("numcodecs."),)
            if names[-1] == "sharding_indexed":
                inner = codec["configuration"]
                chunk = tuple(map(int, inner["chunk_shape"]))
                codecs += [*inner["codecs"], *inner.get("index_codecs", [])]
        dtype = said["data_type"]
        axes = said.get("dimension_names") or attributes.get("_ARRAY_DIMENSIONS") or ()
    if not len(shape) == len(files) == len(chunk) or min((*files, *chunk, *shape, 1)) < 0:
        raise ValueError(f"shape {shape}, chunks {files} and {chunk}")
    try:
        numbers = np.dtype(dtype)
    except TypeError:
        numbers = np.dtype("O")  # a text, or of many parts: no cube
    return Node(
        name=name,
        version=int(said["zarr_format"]),
        shape=shape,
        dtype=numbers,
        axes=tuple(map(str, axes)) if len(axes) == len(shape) else (),
        attributes=attributes,
        files=files,
        chunk=chunk,
        codecs=names,
    )


def _damaged(path: Path, place: str, error: Exception) -> CubeError:
    return CubeError(
        f"'{path.name}' cannot be read as Zarr: '{place or '/'}' in it says what cannot be "
        f"({type(error).__name__}: {str(error)[:100]}). Copy it again from its source."
    )
