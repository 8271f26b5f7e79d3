"""The numbers of a Zarr array, read through zarr from files that are known to be there."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import zarr
from numpy.typing import NDArray
from zarr.abc.store import SuffixByteRequest
from zarr.storage import LocalStore, WrapperStore, ZipStore

from napari_phenoscape.cubes.readers._pieces import PIECE
from napari_phenoscape.cubes.readers._zarr_files import Contents
from napari_phenoscape.cubes.readers._zarr_store import Node
from napari_phenoscape.errors import CubeError

#: A store with a smaller share of its files holds none of what it declares.
FEWEST = 1 / 1100

#: What a file may expand to, over the numbers that it is to hold: a filter may widen them.
WIDEST = 8

#: Bytes that checksums and headers add to a file, at most.
SLACK = 1 << 16

#: How the name of a file says which part of the array is in it: c/0/1/2, 0.1.2
_PART = re.compile(r"(?:c[./])?(\d+(?:[./]\d+)*)|c")

#: pyarrow's names of what can only be measured by decompressing; it does so piece by piece.
_STREAMS = {"zlib": "gzip", "gzip": "gzip", "bz2": "bz2", "zstd": "zstd"}

_DAMAGED = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError)


class Numbers:
    """An array of a store, without its single axes, for `ChunkedArray`.

    zarr reads a file that is missing as fill values. Here, those that were missing from the
    beginning are told in ``gaps``; one that goes missing later is an error.

    Parameters
    ----------
    path
        The store.
    contents
        Its files.
    node
        The array.

    Raises
    ------
    CubeError
        Its numbers lie in other files, or are not there; or a part is more than the free memory.
    """

    def __init__(self, path: Path, contents: Contents, node: Node) -> None:
        self._node = node
        self.shape: tuple[int, ...] = node.variable.shape
        self.dtype = node.dtype
        where = f"'{node.name}' in '{path.name}'"
        limit = int(np.prod(node.chunk, dtype=object)) * node.dtype.itemsize
        if limit > (free := psutil.virtual_memory().available):
            raise CubeError(
                f"{where} is stored in blocks of {limit} bytes; {free} bytes of memory are free. "
                "Store it in smaller ones."
            )
        there = _parts(where, contents, node)
        parts = int(np.prod([-(-n // of) for n, of in zip(node.shape, node.files, strict=True)],
                            dtype=object))  # fmt: skip
        if len(there) < FEWEST * parts:
            declared = int(np.prod(node.shape, dtype=object)) * node.dtype.itemsize
            raise CubeError(
                f"{where} declares {declared} bytes in {parts} files and {len(there)} are there; "
                "most of its numbers are not. Copy it again from its source."
            )
        keys = frozenset(f"{node.name}/{name}".lstrip("/") for name in there)
        inner = LocalStore(path, read_only=True) if path.is_dir() else ZipStore(path, mode="r")
        store = _Guarded(inner, keys, node, WIDEST * limit + SLACK)
        try:
            self._array: Any = zarr.open_array(
                store,
                path=node.name,
                mode="r",
                zarr_format=2 if node.version == 2 else 3,
            )
        except _DAMAGED as error:
            raise CubeError(
                f"{where} cannot be opened as Zarr ({str(error)[:200]}); it is damaged, or of a "
                "kind that zarr does not know. Write it again."
            ) from None
        missing = parts - len(there)
        self.gaps = (
            f"{missing} of its {parts} blocks are not stored; they read as "
            f"{self._array.fill_value}."
            if missing
            else ""
        )

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """The numbers in slices of the axes; all of them at ``...``."""
        if index is Ellipsis:
            return np.asarray(self._array[...]).reshape(self.shape)
        whole: list[Any] = [0] * len(self._node.shape)
        for axis, part in zip(self._node.kept, index, strict=True):
            whole[axis] = part
        return np.asarray(self._array[tuple(whole)])


class _Guarded(WrapperStore[Any]):
    """A store that says when a file is gone, or holds more than it may."""

    def __init__(self, store: Any, keys: frozenset[str], node: Node, most: int) -> None:
        super().__init__(store)
        self._keys, self._node, self._most = keys, node, most

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        try:
            await self._ensure_open()
            found = await self._store.get(key, prototype, byte_range)
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise OSError(str(error)) from None
        if key not in self._keys:
            return found
        if found is None:
            raise FileNotFoundError(f"'{key}' is gone")
        whole = memoryview(found.as_numpy_array())  # `to_bytes` copies
        for block in _blocks(whole, byte_range, self._node):
            if _expands_beyond(block, self._most, self._node.codecs):
                raise ValueError(f"'{key}' expands to more than the {self._most} bytes that it may")
        return found


def _parts(where: str, contents: Contents, node: Node) -> list[str]:
    """The files of the array that hold some of its numbers."""
    grid = [-(-n // of) for n, of in zip(node.shape, node.files, strict=True)]
    found = []
    for name, size in contents.files(node.name):
        match = _PART.fullmatch(name)
        if size is None:
            raise CubeError(
                f"{where} takes its numbers from other files ('{name}' is a link), which are not "
                "opened. Copy them into the store."
            )
        if match is None:
            continue
        place = [int(number) for number in re.split("[./]", match[1])] if match[1] else []
        if (len(place) == len(grid) or not grid) and all(
            number < side for number, side in zip(place, grid or [1], strict=False)
        ):
            found.append(name)
    return found


def _blocks(coded: memoryview, asked: Any, node: Node) -> list[memoryview]:
    """The blocks in what was read of a file: all of it, or those that its list names."""
    if node.index is None:
        return [coded]
    at_start, checksum = node.index
    if asked is not None:  # a block alone, or the list
        is_list = isinstance(asked, SuffixByteRequest) or (at_start and asked.start == 0)
        return [] if is_list else [coded]
    count = int(
        np.prod([-(-n // of) for n, of in zip(node.files, node.chunk, strict=True)], dtype=object)
    )
    size = 16 * count
    end = size if at_start else len(coded) - checksum
    if not size <= end <= len(coded):
        raise ValueError(f"{len(coded)} bytes are too few for a list of {count} blocks")
    # offset and length of each; of an empty one both are the largest number
    places = np.frombuffer(coded[end - size : end], "<u8").reshape(count, 2).tolist()
    return [coded[start : start + n] for start, n in places if start < 2**64 - 1]


def _expands_beyond(coded: memoryview, most: int, codecs: tuple[str, ...]) -> bool:
    """Whether decompressing these bytes would make more than so many."""
    if "blosc" in codecs:
        return _said_by_blosc(coded) > most
    if "lz4" in codecs:
        return int.from_bytes(coded[:4], "little") > most
    if "zstd" in codecs and (said := _said_by_zstd(coded)):
        return said > most
    streamed = [_STREAMS[codec] for codec in codecs if codec in _STREAMS]
    return _streams_beyond(coded, most, streamed[0]) if streamed else len(coded) > most


def _streams_beyond(coded: memoryview, most: int, codec: str) -> bool:
    """The same, of a codec that does not say it."""
    import pyarrow

    with pyarrow.CompressedInputStream(pyarrow.py_buffer(coded), codec) as stream:
        while most >= 0 and (piece := stream.read(PIECE)):
            most -= len(piece)
    return most < 0


def _said_by_blosc(coded: memoryview) -> int:
    """Bytes that a block says it expands to.

    Blosc believes the header, whatever it is given, and reads and writes beyond the ends.

    Raises
    ------
    ValueError
        The header does not fit to the bytes behind it.
    """
    size = len(coded)
    expanded, part, declared = (
        int.from_bytes(coded[start : start + 4], "little") for start in (4, 8, 12)
    )
    if size < 16 or declared != size:
        raise ValueError(f"{size} bytes of Blosc, {declared} are declared")
    if not expanded or coded[2] & 2:  # nothing, or plain numbers behind the header
        fits = size == 16 + expanded
    else:  # behind the header, where each part begins
        count = -(-expanded // part) if part else 0
        end = 16 + 4 * count
        fits = (
            0 < part <= expanded
            and end <= size
            and all(end <= start < size for start in struct.unpack(f"<{count}i", coded[16:end]))
        )
    if not fits or not coded[3]:
        raise ValueError("the header of Blosc does not fit to what is behind it")
    return expanded


def _said_by_zstd(coded: memoryview) -> int:
    """Bytes that the first frame says it expands to (RFC 8878, 3.1.1.1); 0 when it does not."""
    if bytes(coded[:4]) != b"\x28\xb5\x2f\xfd" or len(coded) < 6:
        return 0
    flag, single, dictionary = coded[4] >> 6, coded[4] >> 5 & 1, coded[4] & 3
    width = (single, 2, 4, 8)[flag]
    start = 5 + (not single) + (0, 1, 2, 4)[dictionary]
    size = int.from_bytes(coded[start : start + width], "little")
    return size + 256 * (flag == 1)
