"""Together: photographs of one specimen in several files, told by their names."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from napari_phenoscape.errors import CollectionError
from napari_phenoscape.specimens.collection._specimens import Skipped

#: What stands in braces of a pattern.
_FIELD = re.compile(r"\{([^{}]*)\}")

#: Nanoseconds after which a folder's time of change tells of every change, whatever the disk.
_SETTLED_NS = 3_000_000_000


def parts_of(pattern: str) -> tuple[str, ...]:
    """What the photographs show, the one first on which the others are laid: ``vis``, ``uv``.

    Raises
    ------
    ValueError
        The pattern is not one of ``{id}`` and parts such as ``{vis|uv}``.
    """
    fields = _FIELD.findall(pattern)
    parts: list[str] = next((field.split("|") for field in fields if field != "id"), [])
    if (
        sorted(fields) != sorted(["id", "|".join(parts)])
        or len(parts) < 2
        or len(set(parts)) < len(parts)
        or not all(parts)
    ):
        raise ValueError(
            f"'{pattern}' does not say which photographs belong together; give the name without "
            "its ending, {id} where the specimen's name stands and the parts in braces, the one "
            "first on which the others are laid, e.g. '{id}_{vis|uv}'."
        )
    return tuple(parts)


def complete_sets(files: Sequence[Path], root: Path, pattern: str) -> list[list[Path]]:
    """The photographs of each specimen of which all parts are there once, in their order."""
    parts = parts_of(pattern)
    found: dict[str, dict[str, list[Path]]] = {}
    for file in files:
        if match := _spelt(file, root, pattern):
            found.setdefault(match["id"], {}).setdefault(match["part"], []).append(file)
    return [
        [one[part][0] for part in parts]
        for one in found.values()
        if all(len(one.get(part, [])) == 1 for part in parts)
    ]


def firsts(files: Sequence[Path], root: Path, pattern: str) -> tuple[list[Path], list[Skipped]]:
    """The first photograph of each specimen, and the files that are no part of one."""
    first, *_ = parts_of(pattern)
    found: list[Path] = []
    others: list[tuple[Path, Path]] = []
    skipped = []
    for file in files:
        match = _spelt(file, root, pattern)
        if match is None:
            skipped.append(
                Skipped(file, f"Its name does not have the form '{pattern}' (together).")
            )
        elif match["part"] == first:
            found.append(file)
        else:
            others.append((file, root / _named(pattern, match["id"], first)))
    there = {file.with_suffix("") for file in found}
    skipped += [
        Skipped(file, f"There is no photograph '{wanted.name}' ({first}) to lay it on.")
        for file, wanted in others
        if wanted not in there
    ]
    return found, skipped


def set_of(path: Path, root: Path, pattern: str) -> list[Path]:
    """A first photograph and the others of its specimen, in the order of the parts.

    Raises
    ------
    CollectionError
        A part is not there, or in several files.
    """
    match = _spelt(path, root, pattern)
    if match is None:
        raise CollectionError(f"Its name does not have the form '{pattern}' (together).")
    found = [path]
    for part in parts_of(pattern)[1:]:
        wanted = root / _named(pattern, match["id"], part)
        files = [
            file for file in _of_stem(wanted.parent, wanted.name) if file.suffix.lower() != ".hdr"
        ]
        if len(files) != 1:
            names = ", ".join(f"'{file.name}'" for file in sorted(files, key=lambda f: f.name))
            raise CollectionError(
                f"One photograph '{wanted.name}' ({part}) was expected with it, and "
                + (f"there are {names}; keep one." if files else "there is none.")
            )
        found += files
    return found


def _of_stem(folder: Path, stem: str) -> list[Path]:
    """The files of a folder with an ending after this name.

    A folder is listed once for all of its specimens, and anew when it has changed.
    """
    try:
        changed_ns = folder.stat().st_mtime_ns
        settled = time.time_ns() - changed_ns > _SETTLED_NS
        files = (_by_stem if settled else _by_stem.__wrapped__)(folder, changed_ns)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return files.get(stem, [])


@lru_cache(maxsize=8)
def _by_stem(folder: Path, _changed_ns: int) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for file in folder.iterdir():
        if file.suffix:
            files.setdefault(file.stem, []).append(file)
    return files


def _spelt(path: Path, root: Path, pattern: str) -> re.Match[str] | None:
    parts = "|".join(map(re.escape, parts_of(pattern)))
    fields = {"id": "(?P<id>.+)"}
    regex = "".join(
        re.escape(piece) if place % 2 == 0 else fields.get(piece, f"(?P<part>{parts})")
        for place, piece in enumerate(_FIELD.split(pattern))
    )
    return re.fullmatch(regex, path.relative_to(root).with_suffix("").as_posix())


def _named(pattern: str, name: str, part: str) -> str:
    return _FIELD.sub(lambda field: name if field[1] == "id" else part, pattern)
