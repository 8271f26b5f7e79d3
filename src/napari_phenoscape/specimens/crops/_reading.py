"""Reading: the specimens of a collection, each scaled into the middle of a square."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._ahead import made_ahead
from napari_phenoscape.cubes import Cube, Modality, binned, cropped, describe, row_blocks
from napari_phenoscape.errors import (
    BandMismatchError,
    CollectionError,
    CubeError,
    MissingFileError,
    PhenoscapeError,
)
from napari_phenoscape.events import Progress
from napari_phenoscape.specimens._at_once import at_once
from napari_phenoscape.specimens.collection._moment import refuse_moment
from napari_phenoscape.specimens.collection._nuisance import Levels
from napari_phenoscape.specimens.collection._specimens import Skipped, Specimen
from napari_phenoscape.specimens.crops._crops import Crops, factors_to
from napari_phenoscape.specimens.crops._layout import lacking, layout_of
from napari_phenoscape.specimens.crops._preparation import DTYPES
from napari_phenoscape.specimens.crops._request import CropRequest
from napari_phenoscape.specimens.crops._statistics import BandStatistics, BandSums
from napari_phenoscape.spectra import widened


class TooFewError(CollectionError):
    """Hardly any specimen can be used."""

    #: Those that cannot.
    left_out: tuple[Skipped, ...] = ()


_Opened = tuple[Cube, NDArray[Any] | None, tuple[int, ...]]

#: (C, S, S) and (1, S, S) of a specimen.
_Crop = tuple[NDArray[np.float32], NDArray[np.bool_]]


class Reading:
    """The specimens of a collection as they are read, in their order, once.

    Parameters
    ----------
    threads
        How many pictures are read at once, at most; 0: see `at_once`.
    """

    def __init__(self, request: CropRequest, fewest: int = 2, threads: int = 0) -> None:
        self._fewest, self._threads = fewest, threads
        self.collection, self.modalities = request.collection, request.modalities
        self.known, self.levels = request.known, request.levels
        self.known_levels = request.known_levels
        self.dtype: np.dtype[Any] = DTYPES[request.preparation.precision]
        self._bin = request.preparation.bin_bands
        self._left_out: dict[int, Skipped] = {}
        self._groups = list(self.collection.groups())
        cubes = self._opened()
        first = next(cubes, None)
        if first is None:
            raise self._too_few()
        self._first = first
        # others are looked at only as far as the first lacks a modality
        others = (cube for cube, _, _ in self._opened(after=first[2][-1]))
        self.layout = layout_of(self.modalities, chain([first[0]], others), self.known)
        number, size = len(self.collection.specimens), request.size
        self.shape = number, len(self.layout.bands), size, size

    def bytes(self, each: int = 4) -> int:
        """What all crops take, at so many bytes a number."""
        number, bands, size, _ = self.shape
        return number * size**2 * (each * bands + 1)

    def crops(
        self, add: Callable[[NDArray[np.float32], NDArray[np.bool_]], object]
    ) -> Generator[Progress, None, Crops]:
        """Hand (C, S, S), NaN where nothing is known, and (1, S, S) of each specimen to ``add``.

        Those that cannot be read, or have none of the modalities, are left out.

        Returns
        -------
        All but the images and masks.

        Raises
        ------
        CollectionError
            Fewer than two are left, or one cannot be read for a reason that may pass.
        """
        number = len(self.collection.specimens)
        having: dict[str, list[bool]] = {each.name: [] for each in self.modalities}
        ids: list[str] = []
        stamps: list[int] = []
        codes = np.full(number, -1) if self.levels is None else self.levels.codes
        # of each level; last: of those whose level is not known
        of_level = [BandSums(len(self.layout.bands)) for _ in range(codes.max() + 2)]
        rows: list[int] = []
        groups = [members for members in self._groups if members >= self._first[2]]
        paths = [self.collection.specimens[members[0]].path for members in groups]
        threads = at_once(paths, self.collection.source.read_as, self._threads)
        for members, read in zip(groups, made_ahead(groups, self._read, threads), strict=True):
            if isinstance(read, PhenoscapeError):
                self._leave_out(members, read)
                continue
            seen, found = read
            for i, crop in zip(members, found, strict=True):
                if isinstance(crop, CubeError):
                    self._leave_out((i,), crop)
                    continue
                image, mask = crop
                of_level[codes[i]].add(image, mask)
                add(image, mask)
                rows.append(i)
                ids.append(self.collection.specimens[i].id)
                stamps.append(zlib.crc32(mask.tobytes(), zlib.crc32(image.tobytes())))
                for modality in self.modalities:
                    having[modality.name].append(modality in seen)
                yield Progress("reading specimens", i + 1, number)
        if self._left_out and len(ids) < self._fewest:
            raise self._too_few()
        present = {name: np.array(there, np.bool_) for name, there in having.items()}
        _check_present(present, ids, self.known)
        sums = BandSums.over(of_level)
        mean, std = sums.result()
        crops = Crops(
            np.empty((0, *self.shape[1:]), np.float32),
            np.empty((0, 1, *self.shape[2:]), np.bool_),
            tuple(ids),
            self.layout.bands,
            self.layout.positions,
            present,
            mean,
            std,
            tuple(stamps),
            tuple(self._left_out[i] for i in sorted(self._left_out)),
        )
        # bands that specimens have, and that were measured on none of them (all NaN)
        unmeasured = np.flatnonzero(crops.measured & (sums.count == 0)).tolist()
        crops = replace(crops, unmeasured=tuple(crops.bands.names[band] for band in unmeasured))
        if self._fewest > 1:
            check_measured(crops.unmeasured)
        if self.levels is not None:
            crops = _alike(crops, self.levels.take(rows), of_level)
        return crops.standardised_as(self.known, self.known_levels)

    def _opened(self, after: int = -1) -> Iterator[_Opened]:
        """Each cube, its labels, the numbers of its specimens, from those after a number on.

        Neighbouring bands are averaged, the catches of eyes added.
        """
        for members in self._groups:
            if members[0] <= after:
                continue
            opened = self._open(members)
            if isinstance(opened, PhenoscapeError):
                self._leave_out(members, opened)
            else:
                yield opened

    def _open(self, members: tuple[int, ...]) -> _Opened | CubeError | MissingFileError:
        try:
            cube, labels = self.collection.opened(members)
        except (CubeError, MissingFileError) as error:
            return error
        coarse = cube if self._bin == 1 else _coarse(cube, self._bin)
        return widened(coarse, self.modalities), labels, members

    def _read(
        self, members: tuple[int, ...]
    ) -> tuple[list[Modality], Iterable[_Crop | CubeError]] | PhenoscapeError:
        """The modalities and specimens of a cube, or why there are none; a thread may do it.

        Of several specimens, each is read when it is asked for.
        """
        opened = self._first if members == self._first[2] else self._open(members)
        if isinstance(opened, PhenoscapeError):
            return opened
        cube, labels, _ = opened
        seen = [modality for modality in self.modalities if modality.seen_by(cube)]
        if not seen:
            return lacking(cube, self.modalities)
        place = self.layout.found(cube, seen)
        crops = (self._crop(cube, place, labels, i) for i in members)
        return seen, list(crops) if len(members) == 1 else crops

    def _crop(
        self, cube: Cube, place: Mapping[int, int], labels: NDArray[Any] | None, number: int
    ) -> _Crop | CubeError:
        specimen = self.collection.specimens[number]
        try:
            image, mask = _crop(cube, place, specimen, labels, self.shape[1:])
        except CubeError as error:
            return error
        return self._rounded(image, specimen.id), mask

    def _leave_out(self, members: Sequence[int], error: PhenoscapeError) -> None:
        for i in members:
            specimen = self.collection.specimens[i]
            refuse_moment(error, specimen.path)
            where = "" if specimen.region is None else f"Region {specimen.region}: "
            self._left_out[i] = Skipped(specimen.path, f"{where}{error}")

    def _too_few(self) -> TooFewError:
        number = len(self.collection.specimens)
        first = self._left_out[min(self._left_out)]
        error = TooFewError(
            f"{len(self._left_out)} of {number} specimens cannot be used, and at least 2 that can "
            f"were expected: '{first.path.name}' was left out, since: {first.reason}"
        )
        error.left_out = tuple(self._left_out.values())
        return error

    def _rounded(self, image: NDArray[np.float32], specimen: str) -> NDArray[np.float32]:
        if self.dtype.itemsize == 4:
            return image
        largest = np.nanmax(np.abs(image))
        if largest > np.finfo(self.dtype).max:
            raise CollectionError(
                f"'{specimen}' holds numbers up to {largest:g}, and float16 none above "
                f"{np.finfo(self.dtype).max:g}. Set preparation.precision to float32, or state the "
                "scale of the cube, so that it holds reflectance."
            )
        return image.astype(self.dtype).astype(np.float32)


def _coarse(cube: Cube, bins: int) -> Cube:
    good = np.flatnonzero(cube.bands.good)
    nm = cube.bands.take(good).wavelengths_nm
    if nm is None:
        raise BandMismatchError(
            f"{describe(cube)} has bands without wavelengths, which have no neighbours; "
            f"preparation.bin_bands {bins} was asked for. Set it to 1, or leave the cube out."
        )
    rising = good[np.argsort(nm, kind="stable")]
    return binned(cropped(cube, rising, slice(None), slice(None)), bins)


def _crop(
    cube: Cube,
    place: Mapping[int, int],
    specimen: Specimen,
    labels: NDArray[Any] | None,
    shape: tuple[int, int, int],
) -> _Crop:
    """A specimen, its longest side scaled to S pixels, in the middle of a square.

    Parameters
    ----------
    place
        Position among the C bands → index in the cube.
    labels
        What `Collection.opened` gives with the cube.
    shape
        C, S, S.

    Returns
    -------
    (C, S, S) reflectance, NaN where nothing was measured, and (1, S, S) True on the specimen.

    Raises
    ------
    CubeError
        Nothing of it was measured.
    """
    size = shape[1]
    image = np.full(shape, np.nan, dtype=np.float32)
    mask = np.zeros((1, size, size), dtype=np.bool_)
    row0, row1, column0, column1 = specimen.box
    height, width = _scaled(row1 - row0, column1 - column0, size)
    top, left = (size - height) // 2, (size - width) // 2
    inside = slice(top, top + height), slice(left, left + width)
    rows = resampling(row1 - row0, height)
    columns = resampling(column1 - column0, width)
    index = np.array(list(place.values()), dtype=np.intp)
    image[list(place), *inside] = _resampled(cube, index, (row0, column0), rows, columns)
    cover = rows @ specimen.mask(labels).astype(np.float32) @ columns.T
    # a specimen thinner than a pixel of the crop is where it covers most
    mask[0][inside] = cover > 0.5 * cover.max()
    if not np.isfinite(image[:, mask[0]]).any():
        raise CubeError(
            "Nothing of it was measured: every pixel is NaN, infinite or the cube's own 'no data'."
        )
    return image, mask


def resampling(source: int, target: int) -> NDArray[np.float32]:
    """(target, source) weights that scale a line of pixels; every row adds up to 1.

    Shrinking: share of the new pixel that each old one covers. Enlarging: bilinear between pixel
    centres, constant outside of the outermost.
    """
    pixels = np.arange(source)
    step = source / target
    start = np.arange(target)[:, None] * step
    if step >= 1:
        weights = np.minimum(start + step, pixels + 1) - np.maximum(start, pixels)
        return np.asarray(np.clip(weights, 0, None) / step, dtype=np.float32)
    centres = np.clip(start + step / 2 - 0.5, 0, source - 1)
    return np.asarray(np.clip(1 - abs(centres - pixels), 0, None), dtype=np.float32)


def _resampled(
    cube: Cube,
    index: NDArray[np.intp],
    corner: tuple[int, int],
    rows: NDArray[np.float32],
    columns: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(C, h, w) scaled reflectance of a box; NaN where nothing was measured.

    Parameters
    ----------
    corner
        First row and column of the box.
    rows, columns : (h, H), (w, W)
        `resampling` weights for a box of H by W pixels.
    """
    height, width = rows.shape[1], columns.shape[1]
    shape = (len(index), rows.shape[0], columns.shape[0])
    total = np.zeros(shape, dtype=np.float32)
    weight = np.zeros(shape, dtype=np.float32)
    row0, column0 = corner
    across = slice(column0, column0 + width)
    box = slice(row0, row0 + height)
    for place, down in row_blocks(cube, index, box, across):
        part = cube.reflectance(index, down, across)
        lines = rows[:, place]
        measured = np.isfinite(part)
        if measured.all():
            weight += lines.sum(axis=1)[:, None]
        else:
            part[~measured] = 0
            weight += lines @ (measured.astype(np.float32) @ columns.T)
        total += lines @ (part @ columns.T)
    # below the rounding error of a sum of weights, nothing was measured
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 1e-5)


def _scaled(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width with the longest side ``size`` and the other in proportion."""
    longest = max(height, width)
    return max(1, round(height * size / longest)), max(1, round(width * size / longest))


def _check_present(
    present: dict[str, NDArray[np.bool_]],
    ids: Sequence[str],
    known: Mapping[str, BandStatistics],
) -> None:
    for name, having in present.items():
        if having.sum() < 2 and name not in known:
            raise CollectionError(
                f"Only '{ids[int(having.argmax())]}' has bands of the modality '{name}'; at least "
                "2 specimens were expected, since specimens are compared. Leave the modality out, "
                "or add specimens that have it."
            )


def _alike(crops: Crops, levels: Levels, sums: Sequence[BandSums]) -> Crops:
    """With the mean of each level that has enough specimens, and the spread about all of them."""
    means, factors = {}, np.ones((len(sums), len(crops.bands)), np.float32)
    for number, level in enumerate(levels.names):
        if level in levels.judged:
            own = sums[number].result()[0]
            # a level without a band has nothing to multiply in it
            means[level] = np.where(sums[number].count > 0, own, crops.mean)
            factors[number] = factors_to(crops.mean, means[level])
    std = BandSums.over(sums, factors).result()[1]
    return replace(crops, levels=levels, level_means=means, std=std)


def check_measured(unmeasured: Iterable[str]) -> None:
    """Every band that specimens have was measured somewhere.

    Raises
    ------
    CollectionError
        Not so, and these are the bands.
    """
    for name in unmeasured:
        raise CollectionError(
            f"The band '{name}' was not measured on any specimen (all NaN); leave it out of "
            "the modality by 'bands' or 'range_nm'."
        )
