"""Beside: what lies with specimens, and says which masks and which table are theirs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from napari_phenoscape._remote import located
from napari_phenoscape._tables import read_table
from napari_phenoscape.cubes import Interpretation, open_cube, read_mask
from napari_phenoscape.errors import (
    CollectionError,
    PhenoscapeError,
    RemoteError,
    there,
)
from napari_phenoscape.events import Notice, Progress
from napari_phenoscape.specimens.collection._drawer import REGION_COLUMNS, Drawer
from napari_phenoscape.specimens.collection._folder import Folder
from napari_phenoscape.specimens.collection._labels import LABELS
from napari_phenoscape.specimens.collection._metadata import join_by_file
from napari_phenoscape.specimens.collection._specimens import Source
from napari_phenoscape.specimens.collection._together import complete_sets
from napari_phenoscape.specimens.finding._finding import AUTO

#: Where masks lie, seen from their pictures, the surest first.
MASKS = (
    "{stem}_mask", "{stem}-mask", "{stem}_segmentation", "masks/{stem}", "masks/{stem}_mask",
    "mask/{stem}", "../masks/{stem}", "../masks/{stem}_mask", "../mask/{stem}", "{stem}",
)  # fmt: skip
REGIONS = ("{stem}_regions", "{stem}_labels", "{stem}_mask", "{stem}_masks")
#: Those of masks that are refused are found too, for they are no specimens.
ENDINGS = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg", ".webp", ".gif", ".npy")
TABLES = (".csv", ".tsv")

#: How photographs in visible light and in UV are called that belong together.
LIGHTS = (
    "vis|uv", "VIS|UV", "Vis|UV", "Vis|Uv", "visible|uv", "Visible|UV", "rgb|uv", "RGB|UV",
)  # fmt: skip
TOGETHER = (
    *(f"{{id}}{between}{{{light}}}" for between in "_- " for light in LIGHTS),
    *(f"{{{light}}}/{{id}}" for light in LIGHTS),
)

#: Values of a mask at most, and files that are looked into.
_VALUES, _FEW = 16, 5

#: Bands that a photograph in UV has at most: cubes that hold visible bands too have more.
_COLOURS = 3

#: Pixels a side from which a net sees what is on a picture.
_SEEN_PX = 64

#: Share of the pictures on which a specimen must be clear, or that must have the same bands; the
#: others are left out.
_MOST = 0.9

#: Specimens that a folder must share with the one beside it to show the same, as a share.
_SHARED = 0.5


def source_at(
    path: Path, said: Mapping[str, Any] = MappingProxyType({})
) -> Generator[Progress | Notice, None, Source]:
    """Where specimens come from: a folder, or one cube that shows many, with what lies beside.

    Masks are known by their names (`MASKS`; those that only have another ending than their picture
    by what they hold too), tables by a column that names the files or numbers the regions.

    Parameters
    ----------
    path
        The folder, or the cube.
    said
        Settings of the source that it does not tell, such as ``read_as``.

    Yields
    ------
    What was found.

    Raises
    ------
    MissingFileError
        There is nothing.
    CollectionError
        Nothing there can be a collection.
    OptionError
        The source has no such setting.
    """
    path = there(located(path).absolute())
    yield Progress("looking at what is there", 0, 1)
    found = _folder(path, said) if path.is_dir() else _drawer(path)
    source: Source = yield from found
    yield Progress("looking at what is there", 1, 1)
    return source.parse(source.model_dump() | dict(said)) if said else source


def _drawer(path: Path) -> Generator[Notice, None, Drawer]:
    cube = open_cube(path)
    path = cube.path
    stem = path.name.split(".")[0]
    regions = next(_named(path.parent, REGIONS, stem), None)
    own = "the mask of the cube itself" if regions is None and cube.mask is not None else None
    table = None
    for name in (f"{stem}_metadata.csv", f"{stem}.csv", "metadata.csv"):
        here = path.parent / name
        if here.is_file() and set(REGION_COLUMNS) & {*map(str, read_table(here))}:
            table = here
            break
    auto = regions is None and own is None
    yield _found(f"regions '{regions.name}'" if regions else own, table)
    if auto:
        yield Notice(
            f"No mask outlines the specimens of '{path.name}', so they are told from its "
            "background (regions: auto). `phenoscape find` writes them to a file, to look at."
        )
    return Drawer(path=path, regions=AUTO if auto else regions, metadata=table)


def _folder(root: Path, said: Mapping[str, Any]) -> Generator[Progress | Notice, None, Folder]:
    files = Folder(path=root).files()
    together, sets = _together(root, files)
    if together is not None:
        laid = {file for one in sets for file in one[1:]}
        files = [file for file in files if file not in laid]
        yield Notice(
            f"{len(sets)} pairs of photographs belong together, such as '{sets[0][0].name}' and "
            f"'{sets[0][1].name}': the second is laid on the first, and gives it more bands "
            f"(together: '{together}')."
        )
    given, every = root, files
    root, notice = _of_several(given, every)
    if notice:
        yield Notice(notice)
        files = [file for file in every if file.is_relative_to(root)]
    mask, masks, lacking = _masks(files)
    pictures = [file for file in files if file not in masks and file.suffix.lower() not in TABLES]
    if mask is None and pictures and all(map(_is_mask, _some(pictures))):
        raise CollectionError(
            f"'{root}' holds masks, {len(pictures)} files of a few values each, and no pictures. "
            "Name the folder of the pictures: masks beside them are found."
        )
    table: Path | None = root / "metadata.csv"
    if table not in files:
        kind = Counter(file.suffix for file in pictures).most_common(1)
        ids = [
            file.relative_to(root).as_posix()
            for file in pictures
            if kind and file.suffix == kind[0][0]
        ]
        table = next((one for one in _tables(given, every) if _names_files(one, ids)), None)
    missing = f", none for {lacking}" if lacking else ""
    told_apart = Folder.parse({"path": root, **said, "mask": AUTO})
    found = f"masks '{mask}' of {len(masks)} pictures{missing}" if mask else None
    if mask is None and _has_mask(pictures, told_apart.read_as):
        found = "masks in the pictures themselves"
    yield _found(found, table)
    if mask is None:
        if odd := next(filter(_is_mask, _some(pictures)), None) if pictures else None:
            yield Notice(
                f"'{odd.name}' holds a few whole numbers, as a mask does, and is taken as a "
                "specimen. Where it is the mask of another file, say how masks are called (mask)."
            )
        why = yield from _not_plain(told_apart, pictures)
        if why == "":
            mask = AUTO
            yield Notice(
                "The pictures have a plain background, so the largest thing on each is its "
                "specimen (mask: auto)."
            )
        elif why and min(_shape(pictures)[1:]) >= _SEEN_PX:
            yield Notice(
                f"{why} No mask outlines the specimens, so the ground of the pictures is compared, "
                "too. `phenoscape find` of the folder tells specimens from any ground by a "
                "pretrained net, and writes their masks."
            )
    return Folder(path=root, mask=mask, metadata=table, together=together)


def _found(masks: str | None, table: Path | None) -> Notice:
    given = table and f"metadata '{table.name}'"
    found = " and ".join(each for each in (masks, given) if each)
    return Notice(
        f"Found {found}."
        if found
        else "No mask and no table of metadata was found beside the files."
    )


def _masks(files: Sequence[Path]) -> tuple[str | None, set[Path], int]:
    """The pattern by which most pictures have a mask, these masks, and how many have none."""
    there, suffixes = set(files), {file.suffix for file in files}
    endings = [own for ending in ENDINGS for own in sorted(suffixes) if own.lower() == ending]
    for name in MASKS:
        for ending in endings:
            of = {
                file: mask
                for file in files
                if (mask := _beside(file.parent, name + ending, file.stem)) in there
                and mask != file
            }
            masks = set(of.values())
            kinds = {file.suffix for file in of if file not in masks}
            alike = [file for file in files if file.suffix in kinds and file not in masks]
            if len(of) < 2 or len(of) < _SHARED * len(alike):
                continue
            if name != "{stem}" or all(map(_is_mask, _some(sorted(masks)))):
                return name + ending, masks, len(alike) - len(of)
    return None, set(), 0


def _together(root: Path, files: Sequence[Path]) -> tuple[str | None, list[list[Path]]]:
    """The pattern by which most files are pairs in visible light and in UV, and these."""
    pictures = [file for file in files if file.suffix.lower() not in TABLES]
    for pattern in TOGETHER:
        sets = complete_sets(pictures, root, pattern)
        many = len(sets) > 1 and 2 * len(sets) >= _SHARED * len(pictures)
        if many and 0 < _bands([sets[0][1]]) <= _COLOURS:
            return pattern, sets
    return None, []


def _of_several(root: Path, files: Sequence[Path]) -> tuple[Path, str]:
    """The folder to look at, of several, and a sentence about it, "" where it is all of them.

    Of those that show the same specimens, that with most bands; else that in which nearly all lie,
    where the others have other bands.
    """
    inside: dict[Path, list[Path]] = {}
    names: dict[Path, set[str]] = {}
    of_name: dict[str, set[Path]] = {}
    for file in files:
        first, *rest = file.relative_to(root).parts
        if rest:
            inside.setdefault(root / first, []).append(file)
        if rest and file.suffix.lower() not in TABLES:
            names.setdefault(root / first, set()).add(file.stem)
            of_name.setdefault(file.stem, set()).add(root / first)
    bands = {folder: _bands(inside[folder]) for folder in names}
    ranked = sorted(names, key=lambda folder: (-bands[folder], folder))
    for folder in ranked:
        # those that share a name, and how many
        shared = Counter(other for name in names[folder] for other in of_name[name])
        same = [
            other
            for other in sorted(shared, key=lambda other: (-bands[other], other))
            if shared[other] > _SHARED * len(names[other])
            and 0 < bands[other] < bands[folder]
            and other.name.lower() not in ("mask", "masks")
        ]
        if same:
            others = ", ".join(f"'{other.name}'" for other in same)
            return folder, (
                f"'{folder.name}' and {others} show the same specimens; '{folder.name}' has most "
                f"bands and is looked at, and nothing else in '{root.name}'. Name another to look "
                "at it."
            )
    kind = Counter(file.suffix for file in files).most_common(1)
    pictures = [file for file in files if file.suffix == kind[0][0]]
    for folder in ranked:
        elsewhere = [file for file in pictures if not file.is_relative_to(folder)]
        if not 0 < len(elsewhere) <= (1 - _MOST) * len(pictures):
            continue
        other = {_bands([file]) for file in _some(elsewhere)} - {0, bands[folder]}
        if other:
            return folder, (
                f"'{folder.name}' holds {len(pictures) - len(elsewhere)} of {len(pictures)} files "
                f"and is looked at, and nothing else in '{root.name}', where others have "
                f"{min(other)} bands instead of {bands[folder]}. Name another to look at it."
            )
    return root, ""


def _bands(files: Sequence[Path]) -> int:
    """How many the first cube among the files has, 0 if none of the first opens."""
    return _shape(files)[0]


def _shape(files: Sequence[Path]) -> tuple[int, int, int]:
    """(C, H, W) of the first cube among the files, zeros if none of the first opens."""
    for file in files[:_FEW]:
        try:
            return open_cube(file).shape
        except RemoteError:
            raise
        except PhenoscapeError:
            continue
    return 0, 0, 0


def _has_mask(files: Sequence[Path], read_as: Interpretation) -> bool:
    """Whether one of a few has a mask of its own."""
    for file in _some(files) if files else ():
        try:
            if open_cube(file, read_as).mask is not None:
                return True
        except RemoteError:
            raise
        except PhenoscapeError:
            continue
    return False


def _is_mask(path: Path) -> bool:
    """Whether a file holds few whole numbers, 0 among them."""
    try:
        values = np.unique(read_mask(path))
    except RemoteError:
        raise
    except PhenoscapeError:
        return False
    return len(values) <= _VALUES and bool(values[0] == 0)


def _not_plain(found: Folder, files: Sequence[Path]) -> Generator[Progress, None, str | None]:
    """Why most pictures are not of a clear specimen on a plain background, "" where they are.

    None where none opens, or some have a mask of their own.
    """
    doubtful: list[tuple[Path, str]] = []
    opened = 0
    for done, file in enumerate(found.ready(files), 1):
        try:
            cube = open_cube(file, found.read_as)
        except RemoteError:
            raise
        except PhenoscapeError:  # it is left out, and says nothing of the others
            continue
        if cube.mask is not None:
            return None
        opened += 1
        try:
            found.labels(cube)
        except RemoteError:
            raise
        except PhenoscapeError as error:
            doubtful.append((file, str(error)))
        if len(doubtful) > (1 - _MOST) * len(files):
            first, reason = doubtful[0]
            of = f"{opened}" if done == len(files) else f"the first {opened}"
            some = f"{len(doubtful)} of {of} pictures" if opened > 1 else "The first picture"
            return (
                f"{some} {'show' if len(doubtful) > 1 else 'shows'} no clear specimen on a plain "
                f"background, {'such as ' if opened > 1 else ''}'{first.name}': "
                f"{reason.split('. ')[0].removesuffix('.')}."
            )
        yield Progress("telling specimens from the background", done, len(files))
    return "" if opened else None


def _tables(root: Path, files: Sequence[Path]) -> Iterator[Path]:
    """Tables in a folder, the outermost first, and those beside it that are called like it."""
    inside = [file for file in files if file.suffix.lower() in TABLES]
    yield from sorted(inside, key=lambda file: len(file.parts))
    called = re.compile(rf"(?<!\w){re.escape(root.name)}(?!\w)", re.IGNORECASE)
    for beside in sorted(root.parent.glob("*.[ct]sv")):
        if beside.name.endswith(LABELS):  # what somebody named here is no metadata yet
            continue
        if called.search(beside.stem.replace("_", " ")) or called.search(beside.stem):
            yield beside


def _names_files(table: Path, ids: Sequence[str]) -> bool:
    """Whether a table has a row for half of the files or more."""
    try:
        rows, _ = join_by_file(read_table(table), table, ids)
    except RemoteError:
        raise
    except PhenoscapeError:
        return False
    return bool(rows.notna().any(axis=1).mean() >= _SHARED)


def _named(folder: Path, names: Iterable[str], stem: str) -> Iterator[Path]:
    endings = [*ENDINGS, *map(str.upper, ENDINGS)]
    places = (_beside(folder, name + ending, stem) for name in names for ending in endings)
    return (path for path in places if path.is_file())


def _beside(folder: Path, pattern: str, stem: str) -> Path:
    name = pattern.format(stem=stem)
    return folder.parent / name[3:] if name.startswith("../") else folder / name


def _some(files: Sequence[Path]) -> list[Path]:
    """A few of them, evenly."""
    return [files[i] for i in np.unique(np.linspace(0, len(files) - 1, _FEW).astype(int))]
