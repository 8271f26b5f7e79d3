"""A folder with one TIFF for each band, as filter-wheel and drone cameras write them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import ignorable, unique
from napari_phenoscape.cubes._bands import Band, Bands
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._labels import MASK, band_of_label, natural
from napari_phenoscape.cubes._lazy import LazyArray
from napari_phenoscape.cubes.readers._reader import Reader
from napari_phenoscape.cubes.readers._tiff import scale_of
from napari_phenoscape.cubes.readers._tiff_stack import Stack, read_stack
from napari_phenoscape.errors import CubeError

ENDINGS = (".tif", ".tiff")

#: Between the name of the specimen and that of the band.
_SEPARATORS = "_-. "


class _Files(LazyArray):
    """(C, H, W) numbers, a band in each file."""

    def __init__(self, planes: list[LazyArray]) -> None:
        _, rows, columns = planes[0].shape
        super().__init__((len(planes), rows, columns), planes[0].dtype)
        self._planes = planes

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        return np.stack([self._planes[band][0, rows, columns] for band in bands])


def is_folder_of_bands(path: Path) -> bool:
    """Whether a folder holds TIFFs, the first of one channel."""
    files = _tiffs(path)
    return len(files) > 1 and read_stack(files[0], colours=False).count == 1


def open_folder(path: Path) -> Cube:
    """The cube whose bands are the TIFFs of a folder.

    A wavelength in the name (``band_550nm.tif``) is the band's, a role (``moth_uvR.tif``,
    ``moth_mask.tif``) too. Bands are in the order of their wavelengths when all have one, else in
    the natural one of their names (2 before 10).

    Raises
    ------
    CubeError
        A file has several channels, or another size or type than the first.
    """
    files = _tiffs(path)
    stacks = [read_stack(file, colours=False) for file in files]
    first = stacks[0]
    for stack in stacks:
        if stack.count != 1:
            raise CubeError(
                f"'{stack.path.name}' in '{path.name}' has {stack.count} channels; a folder that "
                "is opened as one cube holds one band in each TIFF. Move it elsewhere."
            )
        if (stack.array.shape, stack.array.dtype) != (first.array.shape, first.array.dtype):
            raise CubeError(
                f"'{stack.path.name}' is {_described(stack)}, '{first.path.name}' "
                f"{_described(first)}; all bands of '{path.name}' must agree. Move it elsewhere, "
                "or export it anew."
            )
    stems = [file.stem for file in files]
    said = [_words(stem, _common(stems)) for stem in stems]
    roles = [band_of_label(words) for words in said]
    masks = [i for i, role in enumerate(roles) if role == MASK]
    if len(masks) > 1 or len(masks) == len(files):
        raise CubeError(
            f"'{path.name}' has {len(masks)} masks among {len(files)} files; one beside bands was "
            "expected. Rename the others."
        )
    bands = Bands(
        role if isinstance(role, Band) else Band(words)
        for role, words in zip(roles, said, strict=True)
    )
    chosen = [i for i in range(len(files)) if i not in masks]
    notes = [f"Each of {len(chosen)} TIFFs in the folder is taken as a band."]
    if bands.take(chosen).wavelengths_nm is not None:
        chosen.sort(key=lambda i: bands[i].wavelength_nm or 0.0)
        notes.append("The wavelengths are those in the names of the files.")
    else:
        notes.append("The bands are in the order of the names; wavelengths are not given.")
    scales = [scale_of(stacks[i], [0], notes) for i in chosen]
    gain, offset = (np.array([float(np.ravel(part[i])[0]) for part in scales]) for i in (0, 1))
    nodata = {stacks[i].nodata for i in chosen}
    ignored = next(iter(nodata)) if len(nodata) == 1 else None
    if len(nodata) > 1:
        notes.append("The files have different numbers for 'not measured'; none is used.")
    names = unique(list(bands.take(chosen).names))
    return Cube(
        array=_Files([stacks[i].array for i in chosen]),
        bands=Bands(
            Band(name, bands[i].wavelength_nm, bands[i].region)
            for i, name in zip(chosen, names, strict=True)
        ),
        path=path,
        gain=gain.astype(np.float32),
        offset=offset.astype(np.float32),
        mask=stacks[masks[0]].plane(0) > 0 if masks else None,
        ignore_value=None if ignored is None else ignorable(ignored, first.array.dtype),
        provenance=tuple(dict.fromkeys(notes)),
    )


def _tiffs(path: Path) -> list[Path]:
    return sorted(
        (
            file
            for file in path.iterdir()
            if file.suffix.lower() in ENDINGS and file.is_file() and not file.name.startswith(".")
        ),
        key=lambda file: natural(file.name),
    )


def _common(stems: list[str]) -> str:
    """What all of them begin with."""
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*stems, strict=False))
    return "".join(letters[0] for letters in alike)


def _words(stem: str, common: str) -> str:
    """A name without what all of them begin with, cut between two words."""
    place = max(common.rfind(separator) for separator in _SEPARATORS) + 1
    return stem[place:].strip(_SEPARATORS) or stem


def _described(stack: Stack) -> str:
    _, rows, columns = stack.array.shape
    return f"{rows} × {columns} of {stack.array.dtype}"


READER = Reader(
    name="folder",
    patterns=(),
    claims=lambda path, _: path.is_dir() and is_folder_of_bands(path),
    open=open_folder,
)
