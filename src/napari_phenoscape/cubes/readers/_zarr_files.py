"""What lies in a Zarr store: small texts, and the sizes of the rest; in a folder or a zip file."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from napari_phenoscape.errors import CubeError

#: Larger is no metadata.
LARGEST_TEXT = 16 << 20


class Contents(Protocol):
    """The files of a store, by their path in it."""

    def read(self, name: str) -> bytes | None:
        """A text of it; None when there is none, or only a link to one."""

    def folders(self, name: str) -> list[str]:
        """Names of the folders in a folder, links left out."""

    def files(self, name: str) -> Iterator[tuple[str, int | None]]:
        """Path in a folder and size of every file below it; None instead of the size of a link."""


@contextmanager
def contents_of(path: Path) -> Iterator[Contents]:
    """The files of a store.

    Raises
    ------
    CubeError
        It is a zip file that is damaged.
    """
    if path.is_dir():
        yield _Folder(path)
        return
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise CubeError(
            f"'{path.name}' cannot be read as a zip file ({error}); it is damaged or cut short. "
            "Copy it again from its source."
        ) from None
    with archive:
        yield _Zip(path, archive)


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> bytes | None:
        file = self._path / name
        if file.is_symlink() or not file.is_file():
            return None
        _refuse_large(self._path, name, file.stat().st_size)
        return file.read_bytes()

    def folders(self, name: str) -> list[str]:
        with os.scandir(self._path / name) as entries:
            return sorted(one.name for one in entries if one.is_dir(follow_symlinks=False))

    def files(self, name: str) -> Iterator[tuple[str, int | None]]:
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            with os.scandir(self._path / name / folder) as entries:
                for one in entries:
                    inner = f"{folder}/{one.name}".lstrip("/")
                    if one.is_symlink():
                        yield inner, None
                    elif one.is_dir(follow_symlinks=False):
                        waiting.append(inner)
                    else:
                        yield inner, one.stat(follow_symlinks=False).st_size


class _Zip:
    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        self._sizes = {
            one.filename: one.file_size for one in archive.infolist() if not one.is_dir()
        }

    def read(self, name: str) -> bytes | None:
        if name not in self._sizes:
            return None
        _refuse_large(self._path, name, self._sizes[name])
        try:
            return self._archive.read(name)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
            raise CubeError(
                f"'{name}' in '{self._path.name}' cannot be read ({error}). Copy the file again "
                "from its source."
            ) from None

    def folders(self, name: str) -> list[str]:
        start = f"{name}/" if name else ""
        inside = (file[len(start) :] for file in self._sizes if file.startswith(start))
        return sorted({rest.partition("/")[0] for rest in inside if "/" in rest})

    def files(self, name: str) -> Iterator[tuple[str, int | None]]:
        start = f"{name}/" if name else ""
        for file, size in self._sizes.items():
            if file.startswith(start):
                yield file[len(start) :], size


def _refuse_large(path: Path, name: str, size: int) -> None:
    if size > LARGEST_TEXT:
        raise CubeError(
            f"'{name}' in '{path.name}' has {size} bytes; metadata of at most {LARGEST_TEXT} were "
            "expected. Copy the store again from its source."
        )
