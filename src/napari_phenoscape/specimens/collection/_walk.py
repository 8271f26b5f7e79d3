"""Walk: the files in a folder and in the folders inside it, those behind links too."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from napari_phenoscape._brought import brought_ahead
from napari_phenoscape._remote import address, list_folder
from napari_phenoscape.cubes import capture_around, is_store, is_whole, natural, recognise
from napari_phenoscape.errors import CollectionError, MissingFileError, did_you_mean_file
from napari_phenoscape.events import Progress
from napari_phenoscape.specimens.collection._moment import refuse_moment
from napari_phenoscape.specimens.collection._specimens import Skipped

#: Files between two words about how many there are.
_EVERY = 1000

#: What systems and their programs leave among the files of people, in lower case.
LITTER = frozenset(
    {
        "__macosx", "__pycache__", "@eadir", "@tmp", "#recycle", "@recycle", "$recycle.bin",
        "lost+found", "network trash folder", "system volume information", "temporary items",
        "desktop.ini", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "icon\r",
    }
)  # fmt: skip

#: Endings of experiments, which stand beside the specimens that they are about.
_EXPERIMENTS = (".yaml", ".yml")

#: Files that together make a folder a run of ours, or prepared crops: images, masks, manifest.
_RUN = {"experiment.yaml", "events.jsonl"}
PREPARED = ("images.npy", "masks.npy", "manifest.json")


def walked(root: Path) -> Generator[Progress, None, list[Path | Skipped]]:
    """Every file and Zarr store in a folder that may be a specimen's, and what cannot be reached.

    Hidden files, litter of systems, experiments, runs and prepared crops are passed over. A folder
    is looked through once, under its own name where it has one here, so that links in a circle end.

    Raises
    ------
    MissingFileError, CollectionError
        ``root`` is no folder, or it or another cannot be read just now.
    """
    reached: list[Path | Skipped] = []
    if not _is_text(str(root)):
        raise CollectionError(
            f"The path '{os.fsencode(root).decode('utf-8', 'backslashreplace')}' is not UTF-8, so "
            "no table can hold it. Rename its folders."
        )
    try:
        for one in _walk(root):
            reached.append(one)
            if len(reached) % _EVERY == 0:
                yield Progress("looking through the folder", len(reached), len(reached))
    except NotADirectoryError:
        raise CollectionError(
            f"'{root}' is a file and a folder was expected; many specimens in one cube are "
            "collected as a drawer (kind: drawer)."
        ) from None
    except FileNotFoundError:
        raise MissingFileError(
            f"There is no folder at '{root}'. {did_you_mean_file(root)}Correct its path: of a YAML "
            "or a run it is 'collection.path' (--set collection.path=FOLDER)."
        ) from None
    except OSError as error:
        refuse_moment(error, root)
        raise CollectionError(
            f"The folder '{root}' cannot be read ({error.strerror}). Correct its path."
        ) from None
    return reached


def _walk(root: Path) -> Iterator[Path | Skipped]:
    folders, links = deque([root]), deque[Path]()
    seen: set[str] = set()
    while folders or links:
        folder = folders.popleft() if folders else links.popleft()
        list_folder(folder)
        real = os.path.realpath(folder)
        if real in seen:
            yield Skipped(folder, f"It is a link to '{real}', which is looked through already.")
            continue
        seen.add(real)
        try:
            names = {entry.name: entry for entry in os.scandir(folder)}
        except OSError as error:
            if folder == root:
                raise
            # a folder that belongs to the system or to somebody else is none of the specimens
            if not isinstance(error, PermissionError):
                refuse_moment(error, folder)
            yield Skipped(folder, f"The folder cannot be read ({error.strerror}).")
            continue
        if names.keys() >= set(PREPARED) or (folder != root and names.keys() >= _RUN):
            continue
        for name in sorted(names):
            path = folder / name
            if name.startswith((".", "~$")) or name.lower() in LITTER:
                continue
            if name.lower().endswith(_EXPERIMENTS):
                continue
            if not _is_text(name):
                shown = folder / os.fsencode(name).decode("utf-8", "backslashreplace")
                yield Skipped(shown, "Its name is not UTF-8, so no table can hold it. Rename it.")
                continue
            try:
                is_folder, is_file = names[name].is_dir(), names[name].is_file()
            except OSError as error:  # a link in a circle
                refuse_moment(error, path)
                is_folder = is_file = False
            if is_folder:
                list_folder(path)
            if is_file or (is_folder and is_store(path)):
                yield path
            elif is_folder:
                (links if names[name].is_symlink() else folders).append(path)
            elif names[name].is_symlink():
                yield Skipped(path, "It is a link to what is not there.")


def brought(files: Sequence[Path]) -> Iterator[Path]:
    """Files one by one; of a server, while those behind are brought, but for plain numbers."""
    return brought_ahead(files, is_whole)


def _is_text(name: str) -> bool:
    """Whether a name can be written; bytes that are no UTF-8 are half characters in Python."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def scans_alone(files: Sequence[Path]) -> tuple[list[Path], list[Skipped]]:
    """Files without those that lie in the folder of a capture and are not its scan.

    A scanner keeps a preview, a picture of the scene, and what it made of the scan there.
    """
    # the folder of a scan, and of its capture
    insides = {one.parent: root for one in files if (root := capture_around(one)) is not None}
    captures = set(insides.values())
    found: list[Path] = []
    others: dict[Path, list[Path]] = {}
    for file in files:
        capture = next((one for one in file.parents if one in captures), None)
        if capture is None or (file.parent in insides and recognise(file)):
            found.append(file)
        else:
            others.setdefault(capture, []).append(file)
    return found, [
        Skipped(
            capture,
            f"{len(beside)} files of the capture beside its scan, such as '{beside[0].name}', are "
            "no specimens.",
        )
        for capture, beside in others.items()
    ]


def matches(parts: Sequence[str], pattern: str) -> bool:
    """Whether the folders and the name of a file are what a pattern says; ``**`` is any folders."""
    return _fits(tuple(parts), PurePosixPath(pattern).parts)


def matching(files: Sequence[Path], root: Path, pattern: str, table: Path | None) -> list[Path]:
    """The files of a folder that are what a pattern says, in natural order, without its table.

    Parameters
    ----------
    pattern
        Of folders and a name (`matches`).

    Raises
    ------
    CollectionError
        None of them is.
    """
    found = [
        file for file in files if file != table and matches(file.relative_to(root).parts, pattern)
    ]
    if found:
        return sorted(found, key=lambda file: natural(file.relative_to(root).as_posix()))
    if not files:
        raise CollectionError(
            f"'{address(root)}' holds no files of specimens; pictures or cubes were expected, and "
            "hidden files, experiments, runs and prepared crops are none. Name the folder that "
            "they are in."
        )
    endings = Counter(file.suffix or "no ending" for file in files)
    listed = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(5))
    raise CollectionError(
        f"No file in '{address(root)}' matches '{pattern}'; it holds {listed}. Correct the pattern."
    )


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[i:], pattern[1:]) for i in range(len(parts) + 1))
    return bool(parts) and fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
