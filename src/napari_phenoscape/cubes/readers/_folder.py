"""A folder with one picture for each band, as filter-wheel and drone cameras write them."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._brought import bring
from napari_phenoscape.cubes._arrays import unique
from napari_phenoscape.cubes._bands import Band, Bands
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._labels import (
    GREY,
    MASK,
    band_of_label,
    bands_of_labels,
    natural,
    wavelength_of,
    wavelengths_of,
)
from napari_phenoscape.cubes.readers import _picture as picture, _tiff as tiff
from napari_phenoscape.cubes.readers._planes import Measured, Stacked
from napari_phenoscape.cubes.readers._reader import Reader
from napari_phenoscape.cubes.readers._tiff_stack import SIGNATURES, read_stack
from napari_phenoscape.errors import CubeError, MissingFileError, PhenoscapeError

#: Endings of pictures that may be bands, and the kind of which all bands of a cube are; a WebP has
#: no grey.
KINDS = {
    ".tif": "TIFF", ".tiff": "TIFF", ".png": "PNG", ".bmp": "BMP", ".jpg": "JPEG",
    ".jpeg": "JPEG",
}  # fmt: skip

#: Between the words of a name; the dot of ``365.5`` is none.
_BETWEEN = re.compile(r"[_\- ]|(?<!\d)\.|\.(?!\d)")
#: How MicaSense's cameras name the files of a shot, a band in each: the shot, and the band.
_SHOT = re.compile(r"(IMG_\d{4,})_(\d{1,2})")
_CENTRE = re.compile(r"\d+(?:\.\d+)?[ _-]?nm(?![a-z])", re.IGNORECASE)


def is_folder_of_bands(path: Path) -> bool:
    """Whether a folder holds pictures, the first of one band."""
    files, _ = _pictures(path)
    return len(files) > 1 and len(_open(files[0]).bands) == 1


def is_capture(path: Path) -> bool:
    """Whether a path is a folder of bands and what the names of several of them begin with."""
    try:
        files, _ = _pictures(path.parent) if path.parent.is_dir() else ([], 0)
        alike = sum(file.stem.startswith(path.name) for file in files)
        return alike > 1 and is_folder_of_bands(path.parent)
    except (OSError, PhenoscapeError):
        return False


def as_shots(files: Sequence[Path]) -> list[Path]:
    """Files, with those that a camera wrote for one shot as what their names begin with.

    Only of names that one kind of camera gives: ``IMG_0001_1.tif`` to ``IMG_0001_5.tif`` of a
    MicaSense are ``IMG_0001``; ``moth_1.tif`` and ``moth_2.tif`` stay two pictures.
    """
    shots: dict[Path, list[Path]] = {}
    for file in files:
        named = _SHOT.fullmatch(file.stem)
        is_tiff = KINDS.get(file.suffix.lower()) == "TIFF"
        shots.setdefault(file.parent / named[1] if named and is_tiff else file, []).append(file)
    found: list[Path] = []
    for shot, own in shots.items():
        found += [shot] if len(own) > 1 and is_capture(shot) else own
    return found


def open_folder(path: Path, capture: str = "") -> Cube:
    """The cube whose bands are the pictures of a folder.

    A wavelength in the name (``moth_550nm.tif``, ``moth_550.png``) or in the file (XMP) is the
    band's, a role (``moth_uvR.tif``, ``moth_mask.tif``) too. Bands are in the order of their
    wavelengths when all have one, else in the natural one of their names (2 before 10).

    Parameters
    ----------
    path
        The folder.
    capture
        What the names of the files begin with, of a folder that holds several captures.

    Raises
    ------
    CubeError
        A file has several bands, or another size or type than the first; there are several
        captures and none is named.
    MissingFileError
        There is no such capture.
    """
    files, others = _pictures(path)
    shot = [file for file in files if (of := _SHOT.fullmatch(file.stem)) and of[1] == capture]
    # of thousands of shots in one folder only this one is opened
    captures = {capture: shot} if len(shot) > 1 else _captures(files)
    if capture and capture not in captures:
        raise MissingFileError(
            f"There is no '{capture}' in the folder '{path}'; {_listed(captures)} are. Name one."
        )
    if not capture and len(captures) > 1:
        raise CubeError(
            f"'{path.name}' holds {len(captures)} captures, {_listed(captures)}; one was expected. "
            f"Open each by its name, '{path / next(iter(captures))}', or move it into a folder of "
            "its own."
        )
    files = captures[capture or next(iter(captures))]
    kind = KINDS[files[0].suffix.lower()]
    notes = [f"{others} pictures in the folder that are no {kind} are no bands."] * bool(others)
    return _cube(path / capture, files, kind, notes)


def _cube(path: Path, files: list[Path], kind: str, notes: list[str]) -> Cube:
    stems = [file.stem for file in files]
    words = [_words(stem, _common(stems)) for stem in stems]
    masks = [i for i, word in enumerate(words) if band_of_label(word) == MASK]
    chosen = [i for i in range(len(files)) if i not in masks]
    if len(masks) > 1 or not chosen:
        raise CubeError(
            f"'{path.name}' has {len(masks)} masks among {len(files)} files; one beside bands was "
            "expected. Rename the others."
        )
    planes = {i: _open(files[i]) for i in chosen}
    first = planes[chosen[0]]
    for cube in planes.values():
        if len(cube.bands) != 1:
            raise CubeError(
                f"'{cube.path.name}' in '{path.name}' has {len(cube.bands)} channels; a folder "
                f"that is opened as one cube holds one band in each {kind}. Move it elsewhere."
            )
        if (cube.shape, cube.array.dtype) != (first.shape, first.array.dtype):
            raise CubeError(
                f"'{cube.path.name}' is {_described(cube)}, '{first.path.name}' "
                f"{_described(first)}; all bands of '{path.name}' must agree. Move it elsewhere, "
                "or export it anew."
            )
    notes.append(f"Each of {len(chosen)} {kind}s in the folder is taken as a band.")
    bands = _bands([planes[i].bands[0] for i in chosen], [words[i] for i in chosen],
                   [stems[i] for i in chosen], notes)  # fmt: skip
    order = list(range(len(chosen)))
    if bands.wavelengths_nm is not None:
        order.sort(key=lambda i: bands[i].wavelength_nm or 0.0)
    cubes = [planes[chosen[i]] for i in order]
    arrays, ignored = [cube.array for cube in cubes], [cube.ignore_value for cube in cubes]
    if len({*ignored}) > 1:
        arrays = [Measured(*one) for one in zip(arrays, ignored, strict=True)]
        ignored = [None]
        notes.append("Each file's own number for 'not measured' is taken for NaN.")
    gain, offset = (
        np.array([float(np.ravel(part)[0]) for part in parts], np.float32)
        for parts in ([cube.gain for cube in cubes], [cube.offset for cube in cubes])
    )
    return Cube(
        array=Stacked(arrays),
        bands=bands.take(order),
        path=path,
        gain=gain,
        offset=offset,
        mask=_mask(files[masks[0]]) if masks else None,
        ignore_value=ignored[0],
        provenance=tuple(dict.fromkeys((*notes, *(n for cube in cubes for n in cube.provenance)))),
    )


def _bands(own: list[Band], words: list[str], stems: list[str], notes: list[str]) -> Bands:
    """By what each file says itself, else by its name."""
    roles = [band_of_label(word) for word in words]
    found = [
        band if band.name != GREY else role if isinstance(role, Band) else Band(word)
        for band, role, word in zip(own, roles, words, strict=True)
    ]
    if all(band.wavelength_nm is not None for band in own):
        notes.append("The wavelengths are those in the files.")
    elif (centres := wavelengths_of(stems)) is not None:
        notes.append(
            "The wavelengths are those in the names of the files"
            + ("." if wavelength_of(stems[0]) else ", numbers that are taken as nm.")
        )
        found = [Band(band.name, nm) for band, nm in zip(found, centres, strict=True)]
    elif any(band.wavelength_nm is None for band in found):
        notes.append("The bands are in the order of the names; wavelengths are not given.")
    names = unique([band.name for band in found])
    return Bands(replace(band, name=name) for band, name in zip(found, names, strict=True))


def _pictures(path: Path) -> tuple[list[Path], int]:
    """The pictures of the kind of which there are most, and how many others there are."""
    files = [
        file
        for file in path.iterdir()
        if file.suffix.lower() in KINDS and file.is_file() and not file.name.startswith(".")
    ]
    kinds = Counter(KINDS[file.suffix.lower()] for file in files)
    most = max(kinds, key=lambda kind: (kinds[kind], kind == "TIFF"), default="")
    chosen = [file for file in files if KINDS[file.suffix.lower()] == most]
    return sorted(chosen, key=lambda file: natural(file.name)), len(files) - len(chosen)


def _captures(files: list[Path]) -> dict[str, list[Path]]:
    """The files of each shot, by what their names begin with; of one, by no name."""
    stems = [file.stem for file in files]
    shots = [_capture_of(file) for file in files]
    if len(set(shots)) > 1 and all(shots):
        found = _grouped(files, shots)
        begun = [_common([file.stem for file in own]).strip("_-. ") for own in found.values()]
        if all(begun) and len(set(begun)) == len(begun):
            return dict(zip(begun, found.values(), strict=True))
        return found
    centres = [wavelength_of(stem) for stem in stems]
    if all(centres):
        if len(set(centres)) < len(centres):
            return _grouped(files, [_CENTRE.sub("", stem).strip("_-. ") for stem in stems])
        return {"": files}
    if wavelengths_of(stems) is not None:
        return {"": files}
    if bands_of_labels(tuple(_words(stem, _common(stems)) for stem in stems)) is not None:
        return {"": files}  # vis_R, vis_G, uv_R
    cuts = [max((m.start() for m in _BETWEEN.finditer(stem)), default=0) for stem in stems]
    shots = [stem[:cut] for stem, cut in zip(stems, cuts, strict=True)]
    tails = Counter(stem[cut:] for stem, cut in zip(stems, cuts, strict=True))
    found = _grouped(files, shots)
    # a_1, a_2, b_1, b_2: the same bands of two
    is_grid = all(found) and all(len(own) > 1 for own in found.values())
    return found if len(found) > 1 and is_grid and max(tails.values()) > 1 else {"": files}


def _grouped(files: list[Path], keys: Iterable[str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for file, key in zip(files, keys, strict=True):
        found.setdefault(key, []).append(file)
    return found


def _listed(captures: dict[str, list[Path]]) -> str:
    names = list(captures)
    return ", ".join(repr(name) for name in names[:4]) + (", ..." if len(names) > 4 else "")


def _is_tiff(file: Path) -> bool:
    bring(file)
    with file.open("rb") as opened:
        return opened.read(4) in SIGNATURES


def _open(file: Path) -> Cube:
    return tiff.open_tiff(file, colours=False) if _is_tiff(file) else picture.open_picture(file)


def _mask(file: Path) -> NDArray[np.bool_]:
    numbers = tiff.read_numbers(file) if _is_tiff(file) else picture.read_numbers(file)
    inside: NDArray[np.bool_] = numbers > 0
    return inside


def _capture_of(file: Path) -> str:
    return read_stack(file, colours=False).capture if _is_tiff(file) else ""


def _common(stems: list[str]) -> str:
    """What all of them begin with."""
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*stems, strict=False))
    return "".join(letters[0] for letters in alike)


def _words(stem: str, common: str) -> str:
    """A name without what all of them begin with, cut between two words."""
    ends = (match.end() for match in _BETWEEN.finditer(stem))
    place = max((end for end in ends if end <= len(common)), default=0)
    return stem[place:].strip("_-. ") or stem


def _described(cube: Cube) -> str:
    _, rows, columns = cube.shape
    return f"{rows} × {columns} of {cube.array.dtype}"


READER = Reader(
    name="folder",
    patterns=(),
    claims=lambda path, _: path.is_dir() and is_folder_of_bands(path),
    open=open_folder,
    open_part=open_folder,
)
