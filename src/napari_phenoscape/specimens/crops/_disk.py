"""Disk: prepared crops in a folder named by the key of all that they were made of.

A folder holds ``images.npy`` (N, C, S, S), ``masks.npy`` (N, 1, S, S) and ``manifest.json``. One
specimen lies in one piece. No pickle; ``numpy.load`` reads the arrays.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.specimens.collection._moment import refuse_moment
from napari_phenoscape.specimens.collection._specimens import Skipped
from napari_phenoscape.specimens.collection._walk import PREPARED
from napari_phenoscape.specimens.crops._crops import Crops
from napari_phenoscape.specimens.crops._mapped import OnDisk
from napari_phenoscape.specimens.crops._request import CropRequest

IMAGES, MASKS, MANIFEST = PREPARED

#: Raised when the same sources and settings give other numbers than before.
VERSION = 3


class Writer:
    """Writes the arrays of a folder, one specimen after the other.

    Plain writes, not a mapping: on a full disk a write fails in words, and a mapping ends the
    process.
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int, int], dtype: np.dtype[Any]):
        self.folder = folder
        self._shape, self._dtype = shape, dtype
        folder.mkdir()
        self._images = (folder / IMAGES).open("wb+")
        self._masks = (folder / MASKS).open("wb+")
        self.count(shape[0])
        self._start = self._images.tell()

    def count(self, number: int) -> None:
        """Say how many specimens there are; NumPy leaves room for any number of them."""
        side = self._shape[2:]
        for file, dtype, shape in (
            (self._images, self._dtype, (number, *self._shape[1:])),
            (self._masks, np.dtype(np.bool_), (number, 1, *side)),
        ):
            file.seek(0)
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False}
            np.lib.format.write_array_header_1_0(file, header | {"shape": shape})

    def add(self, image: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
        """Write the next specimen: (C, S, S) and (1, S, S)."""
        self._images.write(image.astype(self._dtype).tobytes())
        self._masks.write(mask.tobytes())

    def fill(self, number: int, mean: NDArray[np.float32], factors: NDArray[np.float32]) -> None:
        """Multiply a specimen by (C,) factors, and put the (C,) mean where it was not measured."""
        bytes_each = int(np.prod(self._shape[1:])) * self._dtype.itemsize
        self._images.seek(self._start + number * bytes_each)
        image = np.frombuffer(self._images.read(bytes_each), self._dtype).reshape(self._shape[1:])
        unknown = np.isnan(image)
        if unknown.any() or (factors != 1).any():
            self._images.seek(self._start + number * bytes_each)
            alike = image * factors[:, None, None]
            filled = np.where(unknown, mean[:, None, None], alike)
            self._images.write(filled.astype(self._dtype).tobytes())

    def close(self) -> None:
        """Everything is with the system."""
        self._images.close()
        self._masks.close()


def key_of(request: CropRequest) -> str:
    """16 hexadecimal digits that change when the crops would: sources, settings, this program."""
    collection, modalities, size = request.collection, request.modalities, request.size
    preparation, known, levels = request.preparation, request.known, request.levels
    # a file that is not there is missed by who reads it, in words
    eyes = [each.eye for each in modalities if each.eye is not None and each.eye.exists()]
    settings = {
        "version": [VERSION, version("napari-phenoscape")],
        "modalities": [modality.model_dump(mode="json") for modality in modalities],
        "size": size,
        "source": collection.source.model_dump(mode="json", exclude={"path", "metadata"}),
        "known": {name: asdict(statistics) for name, statistics in known.items()},
        "bin_bands": preparation.bin_bands,
        "precision": preparation.precision,
        "specimens": [
            [specimen.id, str(specimen.path), specimen.box, specimen.region]
            for specimen in collection.specimens
        ],
        "files": [stamp for path in [*collection.files(), *eyes] for stamp in _stamps(path)],
    }
    if levels is not None:
        settings["levels"] = [levels.names, levels.codes.tolist()]
        settings["known_levels"] = {
            level: {name: asdict(statistics) for name, statistics in of.items()}
            for level, of in request.known_levels.items()
        }
    return _checksum(settings)[:16]


def _stamps(path: Path) -> Iterator[tuple[str, int, int]]:
    """Path, bytes and time of change in ns of a file, or of all files in a folder."""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        try:
            status = file.stat()
        except OSError as error:
            refuse_moment(error, file)
            continue  # it is missed by who reads it, in words
        if not stat.S_ISDIR(status.st_mode):
            yield str(file), status.st_size, status.st_mtime_ns


def write_manifest(folder: Path, crops: Crops, key: str) -> None:
    """Say what the arrays in a folder are, and how to know them again."""
    contents = {
        "key": key,
        "ids": crops.ids,
        "bands": [asdict(band) for band in crops.bands],
        "modalities": {name: index.tolist() for name, index in crops.modalities.items()},
        "present": {name: there.tolist() for name, there in crops.present.items()},
        "mean": crops.mean.tolist(),
        "std": crops.std.tolist(),
        "level_means": {level: mean.tolist() for level, mean in crops.level_means.items()},
        "stamps": crops.stamps,
        "left_out": [[str(one.path), one.reason] for one in crops.left_out],
        "files": {name: _state(folder / name) for name in (IMAGES, MASKS)},
    }
    manifest = {"checksum": _checksum(contents), "contents": contents}
    (folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")


def read_store(folder: Path) -> Crops:
    """The crops in a folder, as they were written.

    Raises
    ------
    CollectionError
        Something in the folder is not as it was written.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        contents = manifest["contents"]
        if manifest["checksum"] != _checksum(contents):
            raise ValueError(f"{MANIFEST} was altered")
        if contents["key"] != folder.name:
            raise ValueError(f"they belong into a folder called '{contents['key']}'")
        for name, (size, changed_ns) in contents["files"].items():
            now = _state(folder / name)
            if now[0] != size:
                raise ValueError(f"{name} has {now[0]} bytes, not {size}")
            if now[1] != changed_ns:
                raise ValueError(f"{name} was altered after it was written")
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CollectionError(
            f"The prepared crops in '{folder}' are damaged: {reason}; they must be prepared again."
        ) from None
    return Crops(
        OnDisk(folder / IMAGES, np.float32),
        OnDisk(folder / MASKS, np.bool_),
        tuple(contents["ids"]),
        Bands(Band(**band) for band in contents["bands"]),
        {name: np.array(index, np.intp) for name, index in contents["modalities"].items()},
        {name: np.array(there, np.bool_) for name, there in contents["present"].items()},
        np.array(contents["mean"], np.float32),
        np.array(contents["std"], np.float32),
        tuple(contents["stamps"]),
        tuple(Skipped(Path(path), reason) for path, reason in contents["left_out"]),
        {name: np.array(mean, np.float32) for name, mean in contents["level_means"].items()},
    )


def stores_at(folder: Path) -> list[Path]:
    """Folders of prepared crops: this one, or those that are all that is in it."""

    def is_store(path: Path) -> bool:
        return (path / MANIFEST).is_file() and (path / IMAGES).is_file()

    if not folder.is_dir() or is_store(folder):
        return [folder] if folder.is_dir() else []
    inside = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
    return inside if all(map(is_store, inside)) else []


def store_words(folder: Path) -> str:
    """What a folder of prepared crops holds, in two lines."""
    crops = read_store(folder)
    number, _, side, _ = crops.images.shape
    numbers = OnDisk(folder / IMAGES, np.float32).stored
    room = sum(file.stat().st_size for file in folder.iterdir())
    having = ", ".join(f"{name} {there.sum()}" for name, there in crops.present.items())
    return (
        f"{number} specimens, {crops.bands.words}, "
        f"{side} × {side} pixels, {numbers}, {room / 1e6:.1f} MB in {folder}\n"
        f"specimens with each modality: {having}"
    )


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _checksum(contents: Any) -> str:
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()
