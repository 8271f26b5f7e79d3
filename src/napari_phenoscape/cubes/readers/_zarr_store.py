"""What a Zarr store says of its arrays: their shapes, types, names of axes, codecs."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from napari_phenoscape.cubes.readers._variables import Variable, names_wavelengths
from napari_phenoscape.cubes.readers._zarr_files import Contents, contents_of
from napari_phenoscape.errors import CubeError, PhenoscapeError

#: Groups and arrays of a store that are looked at.
MOST_OBJECTS = 10_000

#: Files that say that a folder is a group or an array.
_MARKS = ("zarr.json", ".zarray", ".zgroup")

#: What metadata of other shapes raise.
DAMAGED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)


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
    index
        Of files that hold several blocks: whether the list of these is at the beginning, and the
        bytes of its checksum. None of files of one block.
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
    index: tuple[bool, int] | None = None
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
class Store:
    """The arrays of a store.

    Parameters
    ----------
    path
        The folder or zip file.
    nodes
        By their names.
    lists
        Band centres that are attributes of an array, by "array/attribute".
    """

    path: Path
    nodes: dict[str, Node]
    lists: dict[str, list[float]]

    @property
    def variables(self) -> list[Variable]:
        """The arrays, and the lists as if they were some."""
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


def read_store(path: Path, contents: Contents) -> Store:
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
        except (*DAMAGED, RecursionError) as error:
            raise damaged(path, place, error) from None
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
        except DAMAGED as error:
            raise damaged(path, place, error) from None
    lists = {
        f"{node.name}/{key}".lstrip("/"): [float(number) for number in value]
        for node in nodes.values()
        for key, value in node.attributes.items()
        if names_wavelengths(key)
        and isinstance(value, list)
        and len(value) in node.shape
        and all(isinstance(number, int | float) for number in value)
    }
    return Store(path, nodes, lists)


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
    index: tuple[bool, int] | None = None
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
                if index is not None:
                    raise ValueError("shards inside of shards")
                inner = codec["configuration"]
                chunk = tuple(map(int, inner["chunk_shape"]))
                listed = [str(each["name"]) for each in inner.get("index_codecs", [])]
                index = inner.get("index_location") == "start", 4 * ("crc32c" in listed)
                codecs += inner["codecs"]
        dtype = said["data_type"]
        axes = said.get("dimension_names") or attributes.get("_ARRAY_DIMENSIONS") or ()
    of_some = min((*files, *chunk, 1)) > 0 <= min((*shape, 0))
    if not of_some or not len(shape) == len(files) == len(chunk):
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
        index=index,
    )


def damaged(path: Path, place: str, error: Exception) -> CubeError:
    """The error to raise where the metadata of a part of a store are no metadata."""
    return CubeError(
        f"'{path.name}' cannot be read as Zarr: '{place or '/'}' in it says what cannot be "
        f"({type(error).__name__}: {str(error)[:100]}). Copy it again from its source."
    )
