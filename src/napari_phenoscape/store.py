"""Store: every specimen of a collection as a square crop of reflectance, ready for views."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_phenoscape.collection import Collection
from napari_phenoscape.cube import Band, Cube, Modality, describe
from napari_phenoscape.errors import BandMismatchError, CollectionError
from napari_phenoscape.events import Notice, Progress

#: Bytes of reflectance that are in memory at once beside the crops.
SLAB_BYTES = 1 << 28

#: Share of the free memory that crops may take; the network needs the rest.
FREE_SHARE = 0.8


@dataclass(frozen=True, eq=False)
class Crops:
    """Every specimen, its longest side scaled to S pixels, in the middle of a square.

    Parameters
    ----------
    images : (N, C, S, S) float32
        Reflectance. Around the specimen's box, and where nothing was measured, the band's mean; so
        too in the bands of a modality that the specimen does not have.
    masks : (N, 1, S, S) bool
        True on the specimen.
    ids
        N specimen ids.
    bands
        C bands: those of all modalities, each once.
    modalities
        Name of a modality → (n,) positions of its bands in C.
    present
        Name of a modality → (N,) bool, True where the specimen has its bands.
    mean, std : (C,) float32
        Over the pixels under the mask of all crops, so that a specimen weighs the same however
        many pixels its photograph had. A band that is constant there has std 1.
    """

    images: NDArray[np.float32]
    masks: NDArray[np.bool_]
    ids: tuple[str, ...]
    bands: tuple[Band, ...]
    modalities: dict[str, NDArray[np.intp]]
    present: dict[str, NDArray[np.bool_]]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @property
    def modality_bands(self) -> dict[str, tuple[Band, ...]]:
        """Name of a modality → its bands."""
        return {
            name: tuple(self.bands[i] for i in index) for name, index in self.modalities.items()
        }

    @property
    def lacking(self) -> str:
        """How many specimens lack which modality, in sentences; empty when none does."""
        absent = {name: np.flatnonzero(~there) for name, there in self.present.items()}
        return " ".join(
            f"Without the modality '{name}': {len(numbers)} of {len(self.ids)} specimens, e.g. "
            f"'{self.ids[numbers[0]]}'."
            for name, numbers in absent.items()
            if len(numbers)
        )


@dataclass(frozen=True, eq=False)
class _Layout:
    """Which bands the crops have, and the cube that each modality was found in first."""

    bands: tuple[Band, ...]
    positions: dict[str, NDArray[np.intp]]
    examples: dict[str, Cube]

    def found(
        self, cube: Cube, modalities: Sequence[Modality]
    ) -> tuple[dict[int, int], frozenset[str]]:
        """Position among the C bands → index in the cube; names of the modalities that it has."""
        place: dict[int, int] = {}
        seen = [modality for modality in modalities if modality.seen_by(cube)]
        if not seen:
            names = [modality.name for modality in modalities]
            if len(names) == 1:
                modalities[0].indices(cube)  # says what is missing
            raise BandMismatchError(
                f"{describe(cube)} has the bands of none of the modalities {', '.join(names)}. "
                "Leave it out by the collection's 'pattern', or choose a modality for it."
            )
        for modality in seen:
            index = modality.indices(cube)
            own = tuple(cube.bands[i] for i in index)
            expected = tuple(self.bands[i] for i in self.positions[modality.name])
            if own != expected:
                raise BandMismatchError(
                    _difference(cube, own, self.examples[modality.name], expected)
                )
            place |= dict(zip(self.positions[modality.name].tolist(), index.tolist(), strict=True))
        return place, frozenset(modality.name for modality in seen)


def _layout(modalities: Sequence[Modality], cubes: Iterable[Cube]) -> _Layout:
    """Bands of all modalities, each once, as the first cube that has a modality says.

    Raises
    ------
    BandMismatchError
        No cube has the bands of one of the modalities.
    """
    examples: dict[str, Cube] = {}
    for cube in cubes:
        examples = {m.name: cube for m in modalities if m.seen_by(cube)} | examples
        if len(examples) == len(modalities):
            break
    chosen = {}
    for modality in modalities:
        # where no cube has its bands, the last one says what is missing
        example = examples.get(modality.name, cube)
        chosen[modality.name] = [example.bands[i] for i in modality.indices(example)]
    bands = tuple(dict.fromkeys(band for own in chosen.values() for band in own))
    positions = {
        name: np.array([bands.index(band) for band in own], dtype=np.intp)
        for name, own in chosen.items()
    }
    return _Layout(bands, positions, examples)


def prepare(
    collection: Collection, modalities: Sequence[Modality], size: int
) -> Generator[Progress | Notice, None, Crops]:
    """Read every specimen of a collection and scale it.

    Shrinking averages over the area of a pixel, without regard to the mask (a pixel on the
    outline sees what the camera would have seen from farther away); enlarging is bilinear. Pixels
    that were not measured (NaN, infinite) take no part in either.

    Parameters
    ----------
    collection
        N specimens.
    modalities
        Choices of bands; names are distinct. Of several, a cube may lack one as a whole.
    size
        Side S of the crops in pixels.

    Raises
    ------
    BandMismatchError
        The cubes do not have the same bands of a modality, or one has none at all.
    CollectionError
        The crops do not fit in memory, a band was measured nowhere, or a modality by fewer than
        two specimens.
    """
    number = len(collection.specimens)
    cubes = collection.cubes()
    first = next(cubes)
    # others are looked at only as far as the first lacks a modality
    others = (cube for cube, _, _ in islice(collection.cubes(), 1, None))
    layout = _layout(modalities, chain([first[0]], others))
    bands = layout.bands
    _check_memory(number, len(bands), size)
    # NaN until the mean is known
    images = np.full((number, len(bands), size, size), np.nan, dtype=np.float32)
    masks = np.zeros((number, 1, size, size), dtype=np.bool_)
    present = {modality.name: np.zeros(number, dtype=np.bool_) for modality in modalities}
    for cube, labels, members in chain([first], cubes):
        place, seen = layout.found(cube, modalities)
        index = np.array(list(place.values()), dtype=np.intp)
        for i in members:
            specimen = collection.specimens[i]
            row0, row1, column0, column1 = specimen.box
            height, width = _scaled(row1 - row0, column1 - column0, size)
            top, left = (size - height) // 2, (size - width) // 2
            inside = slice(top, top + height), slice(left, left + width)
            rows = resampling(row1 - row0, height)
            columns = resampling(column1 - column0, width)
            images[i][list(place), *inside] = _resampled(
                cube, index, (row0, column0), rows, columns
            )
            cover = rows @ specimen.mask(labels).astype(np.float32) @ columns.T
            # a specimen thinner than a pixel of the crop is where it covers most
            masks[i, 0][inside] = cover > 0.5 * cover.max()
            for name in seen:
                present[name][i] = True
            yield Progress("reading specimens", i + 1, number)
    ids = tuple(specimen.id for specimen in collection.specimens)
    _check_present(present, ids)
    mean, std = _statistics(images, masks, bands)
    for i in range(number):
        np.copyto(images[i], mean[:, None, None], where=np.isnan(images[i]))
    crops = Crops(images, masks, ids, bands, layout.positions, present, mean, std)
    if crops.lacking:
        yield Notice(crops.lacking)
    return crops


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
    slab = max(1, SLAB_BYTES // (4 * len(index) * width))
    for start in range(0, height, slab):
        stop = min(start + slab, height)
        part = cube.reflectance(
            index, slice(row0 + start, row0 + stop), slice(column0, column0 + width)
        )
        lines = rows[:, start:stop]
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


def _statistics(
    images: NDArray[np.float32], masks: NDArray[np.bool_], bands: tuple[Band, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(C,) mean and standard deviation over the measured pixels under the mask."""
    count, total, squares = np.zeros((3, len(bands)), dtype=np.float64)
    for image, mask in zip(images, masks, strict=True):
        pixels = image[:, mask[0]].astype(np.float64)
        count += np.isfinite(pixels).sum(axis=1)
        total += np.nansum(pixels, axis=1)
        squares += np.nansum(pixels**2, axis=1)
    if not count.all():
        name = bands[int(np.argmin(count))].name
        raise CollectionError(
            f"The band '{name}' was not measured on any specimen (all NaN); leave it out of the "
            "modality by 'bands' or 'range_nm'."
        )
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    constant = std <= 1e-6 * np.abs(mean)
    return mean.astype(np.float32), np.where(constant, 1, std).astype(np.float32)


def _check_present(present: dict[str, NDArray[np.bool_]], ids: tuple[str, ...]) -> None:
    for name, having in present.items():
        if having.sum() < 2:
            raise CollectionError(
                f"Only '{ids[int(having.argmax())]}' has bands of the modality '{name}'; at least "
                "2 specimens were expected, since specimens are compared. Leave the modality out, "
                "or add specimens that have it."
            )


def _check_memory(number: int, bands: int, size: int) -> None:
    needed = number * size**2 * (4 * bands + 1)
    free = psutil.virtual_memory().available
    if needed > FREE_SHARE * free:
        raise CollectionError(
            f"{number} specimens of {bands} bands and {size} × {size} pixels need "
            f"{needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free. Choose fewer "
            "bands (another modality), a smaller image_size, or fewer specimens."
        )


def _difference(
    cube: Cube, bands: tuple[Band, ...], first: Cube, expected: tuple[Band, ...]
) -> str:
    def words(given: tuple[Band, ...]) -> str:
        return f"{len(given)} bands, {given[0].name} to {given[-1].name}"

    return (
        f"'{cube.path.name}' has other bands ({words(bands)}) than '{first.path.name}' "
        f"({words(expected)}); all cubes of a collection must agree. Choose a modality that they "
        "share, or collect them apart."
    )
