"""The numbers of a Zarr array: parsed and decoded by zarr, which trusts what it reads.

It would follow links, run any codec, and take the memory that a block says it needs. Here it is
given the files that are known to be the array's, and decompressors that end at a block's size.
"""

from __future__ import annotations

import asyncio
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow
import zarr
from numcodecs import LZ4, Blosc  # type: ignore[import-untyped]
from numcodecs.abc import Codec  # type: ignore[import-untyped]
from numpy.typing import NDArray
from zarr.abc.codec import BytesBytesCodec
from zarr.abc.store import RangeByteRequest
from zarr.storage import LocalStore, StorePath, WrapperStore, ZipStore

from napari_phenoscape._brought import bring
from napari_phenoscape._remote import is_mirrored
from napari_phenoscape.cubes.readers._pieces import PIECE
from napari_phenoscape.errors import CubeError

#: Streams, which may say no size, by pyarrow's names; and codecs that say it first.
STREAMS = {"zstd": "zstd", "gzip": "gzip", "zlib": "gzip", "bz2": "bz2"}
SIZED = {"blosc": Blosc(), "lz4": LZ4()}

#: Of these, reading an array runs nothing but arithmetic and decompression (``pickle`` is one
#: that would run the file's own program).
HARMLESS = {
    *STREAMS, *SIZED, "bytes", "endian", "transpose", "crc32c", "sharding_indexed", "shuffle",
    "delta", "bitround", "fletcher32", "fixedscaleoffset",
}  # fmt: skip

#: A store with a smaller share of its files holds none of what it declares.
FEWEST = 1 / 1100

#: What a block may expand to beyond its numbers: checksums, headers; and where a filter of Zarr 2
#: may have widened them, so many times.
SLACK, WIDEST = 1 << 16, 8


class Numbers:
    """An array of a store, with all its axes, for `ChunkedArray`.

    zarr reads a file that is missing as fill values. Here, those that were missing from the
    beginning are told in ``gaps``; one that goes missing later is an error.

    Parameters
    ----------
    path, contents
        The store, and what is in it: the folder itself, or the root of the zip file.
    name
        Path of the array in it.
    said
        The array's metadata.

    Raises
    ------
    CubeError
        Its numbers lie in other files, or are not there; a codec may run a program; a part is more
        than the free memory.
    ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError
        The metadata are damaged.
    """

    def __init__(
        self, path: Path, contents: Path | zipfile.Path, name: str, said: dict[str, Any]
    ) -> None:
        where = f"'{name}' in '{path.name}'"
        inner = LocalStore(path, read_only=True) if path.is_dir() else ZipStore(path, mode="r")
        store = _Files(inner, path)
        self._array: Any = zarr.Array.from_dict(StorePath(store, name), _bounded(where, said))
        block, part = self._array.chunks, self._array.shards or self._array.chunks
        grid = [-(-side // of) for side, of in zip(self._array.shape, part, strict=True)]
        for file, size in _sizes(contents, name):
            if size is None:
                raise CubeError(
                    f"{where} takes its numbers from other files ('{file}' is a link), which are "
                    "not opened. Copy them into the store."
                )
            place = tuple(map(int, re.findall(r"\d+", file)))
            within = len(place) == len(grid) and all(map(int.__lt__, place, grid))
            if within and file == self._array.metadata.encode_chunk_key(place):
                store.sizes[f"{name}/{file}".lstrip("/")] = size
        self.shape: tuple[int, ...] = self._array.shape
        self.dtype: np.dtype[Any] = self._array.dtype
        largest = max(_bytes(block, self.dtype), *store.sizes.values(), 0)
        if largest > (free := psutil.virtual_memory().available):
            raise CubeError(
                f"{where} is stored in blocks of {largest} bytes; {free} bytes of memory are free. "
                "Store it in smaller ones."
            )
        there, count = len(store.sizes), int(np.prod(grid, dtype=object))
        if there < FEWEST * count:
            raise CubeError(
                f"{where} declares {_bytes(self.shape, self.dtype)} bytes in {count} files and "
                f"{there} are there; most of its numbers are not. Copy it again from its source."
            )
        fill = self._array.fill_value or 0
        told = f"{count - there} of its {count} blocks are not stored; they read as {fill}."
        self.gaps = [told] if there < count else []

    def __getitem__(self, index: Any) -> NDArray[Any]:
        return np.asarray(self._array[index])


class _Files(WrapperStore[Any]):
    """Of a store, the files alone whose sizes are known; says when one of them is gone."""

    def __init__(self, store: Any, path: Path) -> None:
        super().__init__(store)
        self._path = path
        self.sizes: dict[str, int] = {}

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        if key not in self.sizes:
            return None
        if isinstance(byte_range, RangeByteRequest) and byte_range.end > self.sizes[key]:
            raise ValueError(f"'{key}' ends before its block at {byte_range.start}")
        try:
            await self._ensure_open()
            if is_mirrored(self._path):
                await asyncio.to_thread(bring, self._path / key)
            if (found := await self._store.get(key, prototype, byte_range)) is not None:
                return found
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise OSError(str(error)) from None
        except FileNotFoundError:  # nor is the store
            pass
        raise FileNotFoundError(f"'{key}' is gone")


@dataclass(frozen=True)
class _Bounded3(BytesBytesCodec):
    """A compressor of Zarr 3, for reading alone."""

    compressor: str
    is_fixed_size = False

    async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        most = _bytes(chunk_spec.shape, chunk_spec.dtype.to_native_dtype()) + SLACK
        coded = chunk_data.as_numpy_array()
        found = await asyncio.to_thread(_decompressed, self.compressor, coded, most)
        return chunk_spec.prototype.buffer.from_bytes(found)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        raise NotImplementedError


class _Bounded2(Codec):  # type: ignore[misc]  # numcodecs has no types
    """A compressor of Zarr 2, for reading alone."""

    codec_id = "phenoscape.bounded"

    def __init__(self, most: int, compressor: str) -> None:
        self._most, self._compressor = most, compressor

    def encode(self, buf: Any) -> Any:
        raise NotImplementedError

    def decode(self, buf: Any, out: Any = None) -> Any:
        return _decompressed(self._compressor, buf, self._most)


def _bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    return int(np.prod(shape, dtype=object)) * dtype.itemsize


def _sizes(contents: Path | zipfile.Path, name: str) -> Iterator[tuple[str, int | None]]:
    """Path in the array and size of each file below it; of a link None."""
    if isinstance(contents, Path):
        yield from _sizes_below(contents / name, "")
        return
    start = f"{name}/".lstrip("/")
    for one in contents.root.infolist():
        if one.filename.startswith(start):
            yield one.filename[len(start) :], one.file_size


def _sizes_below(folder: Path, start: str) -> Iterator[tuple[str, int | None]]:
    with os.scandir(folder) as entries:
        for one in entries:
            if one.is_dir(follow_symlinks=False):
                yield from _sizes_below(folder / one.name, f"{start}{one.name}/")
            else:
                yield start + one.name, None if one.is_symlink() else one.stat().st_size


def _bounded(where: str, said: dict[str, Any]) -> dict[str, Any]:
    """The metadata for zarr: harmless codecs alone, and compressors of ours."""
    if "codecs" in said:
        return said | {"codecs": _chain(where, said["codecs"], "name", _Bounded3)}
    filters = list(said.get("filters") or ())
    most = (WIDEST if filters else 1) * _bytes(said["chunks"], np.dtype(said["dtype"])) + SLACK
    codecs = filters + [said["compressor"]] * bool(said["compressor"])
    chain = _chain(where, codecs, "id", partial(_Bounded2, most))
    return said | {"filters": chain or None, "compressor": None}


def _chain(where: str, codecs: Any, key: str, bounded: Callable[[str], Any]) -> list[Any]:
    chain: list[Any] = []
    for given in codecs:
        codec: dict[str, Any] = {key: given} if isinstance(given, str) else dict(given)
        name = str(codec[key]).removeprefix("numcodecs.")
        if name not in HARMLESS:
            raise CubeError(
                f"{where} is coded by '{name[:40]}', which may run a program and is not used; "
                f"{', '.join(sorted(HARMLESS))} were expected. Write it again with one of these."
            )
        if name == "sharding_indexed":
            inner = codec["configuration"]
            lists = {"codecs", "index_codecs"} & inner.keys()
            checked = {part: _chain(where, inner[part], key, bounded) for part in lists}
            codec["configuration"] = inner | checked
        chain.append(bounded(name) if name in {*STREAMS, *SIZED} else codec)
    return chain


def _decompressed(compressor: str, coded: Any, most: int) -> Any:
    """The bytes, of which no more than ``most`` are made.

    Raises
    ------
    ValueError, OSError, RuntimeError
        They are more, or damaged.
    """
    if codec := STREAMS.get(compressor):
        found = bytearray()
        with pyarrow.CompressedInputStream(pyarrow.py_buffer(coded), codec) as stream:
            while len(found) <= most and (piece := stream.read(PIECE)):
                found += piece
        expanded = len(found)
    elif compressor == "blosc":
        expanded = _said_by_blosc(memoryview(coded).cast("B"))
    else:
        expanded = int.from_bytes(memoryview(coded).cast("B")[:4], "little")
    if expanded > most:
        raise ValueError(f"a block expands to more than the {most} bytes that it may")
    return found if codec else SIZED[compressor].decode(coded)


def _said_by_blosc(coded: memoryview) -> int:
    """Bytes that a block says it expands to, where its header fits to what is behind it.

    Blosc believes the header, whatever it is given, and reads and writes beyond the ends.
    """
    size = len(coded)
    head = bytes(coded[:16]).ljust(16, b"\0")
    expanded, part, declared = struct.unpack("<4x3I", head)
    if declared != size:
        raise ValueError(f"{size} bytes of Blosc, {declared} are declared")
    if not expanded or head[2] & 2:  # nothing, or plain numbers behind the header
        fits = size == 16 + expanded
    else:  # behind the header, where each part begins
        count = -(-expanded // part) if part else 0
        end = 16 + 4 * count
        fits = (
            0 < part <= expanded
            and end <= size
            and all(end <= start < size for start in struct.unpack(f"<{count}i", coded[16:end]))
        )
    if not fits or not head[3]:
        raise ValueError("the header of Blosc does not fit to what is behind it")
    return int(expanded)
