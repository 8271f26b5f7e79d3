"""Reading: the specimens of a collection, each scaled into the middle of a square."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube, Modality, binned, cropped, describe, row_blocks
from napari_phenoscape.errors import BandMismatchError, CollectionError
from napari_phenoscape.events import Progress
from napari_phenoscape.specimens.collection._specimens import Collection, Specimen
from napari_phenoscape.specimens.crops._crops import Crops
from napari_phenoscape.specimens.crops._layout import layout_of
from napari_phenoscape.specimens.crops._preparation import DTYPES, Preparation
from napari_phenoscape.specimens.crops._statistics import BandStatistics, BandSums
from napari_phenoscape.spectra import widened


class Reading:
    """The specimens of a collection as they are read, one after the other, once."""

    def __init__(
        self,
        collection: Collection,
        modalities: Sequence[Modality],
        size: int,
        preparation: Preparation,
        known: Mapping[str, BandStatistics],
    ) -> None:
        self.known = known
        self.collection, self.modalities = collection, modalities
        self.dtype: np.dtype[Any] = DTYPES[preparation.precision]
        self._bin = preparation.bin_bands
        self._cubes = _cubes(collection, self._bin, modalities)
        self._first = next(self._cubes)
        # others are looked at only as far as the first lacks a modality
        others = (cube for cube, _, _ in islice(_cubes(collection, self._bin, modalities), 1, None))
        self.layout = layout_of(modalities, chain([self._first[0]], others), known)
        self.shape = len(collection.specimens), len(self.layout.bands), size, size

    def bytes(self, each: int = 4) -> int:
        """What all crops take, at so many bytes a number."""
        number, bands, size, _ = self.shape
        return number * size**2 * (each * bands + 1)

    def crops(
        self, add: Callable[[NDArray[np.float32], NDArray[np.bool_]], object]
    ) -> Generator[Progress, None, Crops]:
        """Hand (C, S, S), NaN where nothing is known, and (1, S, S) of each specimen to ``add``.

        Returns
        -------
        All but the images and masks.
        """
        ids = tuple(specimen.id for specimen in self.collection.specimens)
        number = len(ids)
        present = {each.name: np.zeros(number, dtype=np.bool_) for each in self.modalities}
        sums = BandSums(len(self.layout.bands))
        for cube, labels, members in chain([self._first], self._cubes):
            place, seen = self.layout.found(cube, self.modalities)
            for i in members:
                specimen = self.collection.specimens[i]
                image, mask = _crop(cube, place, specimen, labels, self.shape[1:])
                image = self._rounded(image, specimen.id)
                sums.add(image, mask)
                add(image, mask)
                for name in seen:
                    present[name][i] = True
                yield Progress("reading specimens", i + 1, number)
        _check_present(present, ids, self.known)
        mean, std = sums.result()
        crops = Crops(
            np.empty((0, *self.shape[1:]), np.float32),
            np.empty((0, 1, *self.shape[2:]), np.bool_),
            ids,
            self.layout.bands,
            self.layout.positions,
            present,
            mean,
            std,
        )
        _check_measured(crops, sums)
        return crops.standardised_as(self.known)

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


def _cubes(
    collection: Collection, bins: int, modalities: Sequence[Modality]
) -> Iterator[tuple[Cube, NDArray[Any] | None, tuple[int, ...]]]:
    """What `Collection.cubes` gives: neighbouring bands averaged, the catches of eyes added."""
    for cube, labels, members in collection.cubes():
        coarse = cube if bins == 1 else _coarse(cube, bins)
        yield widened(coarse, modalities), labels, members


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
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A specimen, its longest side scaled to S pixels, in the middle of a square.

    Parameters
    ----------
    place
        Position among the C bands → index in the cube.
    labels
        What `Collection.cubes` gives with the cube.
    shape
        C, S, S.

    Returns
    -------
    (C, S, S) reflectance, NaN where nothing was measured, and (1, S, S) True on the specimen.
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
    ids: tuple[str, ...],
    known: Mapping[str, BandStatistics],
) -> None:
    for name, having in present.items():
        if having.sum() < 2 and name not in known:
            raise CollectionError(
                f"Only '{ids[int(having.argmax())]}' has bands of the modality '{name}'; at least "
                "2 specimens were expected, since specimens are compared. Leave the modality out, "
                "or add specimens that have it."
            )


def _check_measured(crops: Crops, sums: BandSums) -> None:
    """Every band that specimens have was measured somewhere."""
    unmeasured = np.flatnonzero(crops.measured & (sums.count == 0))
    if len(unmeasured):
        name = crops.bands[int(unmeasured[0])].name
        raise CollectionError(
            f"The band '{name}' was not measured on any specimen (all NaN); leave it out of "
            "the modality by 'bands' or 'range_nm'."
        )
