"""Store: every specimen of a collection as a square crop of reflectance, ready for views.

In memory where it fits, else on disk; the numbers are the same.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import psutil
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic
from napari_phenoscape.cubes import Modality
from napari_phenoscape.errors import CollectionError, RunError
from napari_phenoscape.events import Notice, Progress, Saved
from napari_phenoscape.specimens.collection._nuisance import Levels
from napari_phenoscape.specimens.collection._specimens import Collection, left_out
from napari_phenoscape.specimens.crops._crops import Crops
from napari_phenoscape.specimens.crops._disk import Writer, key_of, read_store, write_manifest
from napari_phenoscape.specimens.crops._preparation import Preparation
from napari_phenoscape.specimens.crops._reading import Reading
from napari_phenoscape.specimens.crops._request import CropRequest
from napari_phenoscape.specimens.crops._statistics import BandStatistics

__all__ = ["BandStatistics", "Crops", "Preparation", "prepare"]

#: Seconds between two looks whether another process has prepared the crops.
WAIT_S = 0.2


def prepare(
    collection: Collection,
    modalities: Sequence[Modality],
    size: int,
    preparation: Preparation = Preparation(),  # noqa: B008, options are frozen
    folder: Path | None = None,
    *,
    keep: bool = False,
    processes: int = 1,
    known: Mapping[str, BandStatistics] = MappingProxyType({}),
    levels: Levels | None = None,
    known_levels: Mapping[str, Mapping[str, BandStatistics]] = MappingProxyType({}),
    fewest: int = 2,
    threads: int = 0,
) -> Generator[Progress | Notice | Saved, None, Crops]:
    """Read every specimen of a collection and scale it, or find that done.

    A specimen that is damaged, or has the bands of no modality, is left out, and told; the `ids`
    are those of the others.

    Shrinking averages over the area of a pixel, without regard to the mask (a pixel on the
    outline sees what the camera would have seen from farther away); enlarging is bilinear. Pixels
    that were not measured (NaN, infinite) take no part in either.

    Crops that are too large for `Preparation.memory_share` of the free memory are written into
    ``folder`` and read from there, batch by batch; and so are those that are there already.

    Parameters
    ----------
    collection
        N specimens.
    modalities
        Choices of bands; names are distinct. Of several, a cube may lack one as a whole.
    size
        Side S of the crops in pixels.
    preparation
        What is done to them, and how much of the memory they may take.
    folder
        Where crops are kept, each in a folder named by its key. None: in memory alone.
    keep
        Write them whatever their size.
    processes
        How many processes on this machine read the same crops at once.
    known
        What a run that the crops are for knows of its modalities, by name: it takes the place of
        the collection's own mean and standard deviation (where the cubes have other bands: linear
        in wavelength), so that a crop does not depend on those beside it. No specimen need have
        such a modality.
    levels
        Those of a nuisance that are to be made alike, of the N specimens: each is multiplied, band
        by band, so that its mean is that of all. A factor is what light, exposure and white
        reference are in reflectance; the spread is left, for it is what the specimens are.
    known_levels
        What the run knows of levels, as `Crops.level_statistics` tells; others are known from this
        collection.
    fewest
        Specimens that must be left; 1 for a part of a collection, in memory.
    threads
        Pictures that are read at once, at most; 0: as many as OMP_NUM_THREADS says, or as there are
        processors. Fewer where they are large.

    Raises
    ------
    BandMismatchError
        The cubes do not have the same bands of a modality, or one has none at all.
    CollectionError
        A specimen cannot be read for a reason that may pass, there is no room for the crops, a band
        was measured nowhere, or there are fewer than two specimens, be it of a modality.
    RunError
        The folder cannot be written.
    """
    request = CropRequest(collection, modalities, size, preparation, known, levels, known_levels)
    if folder is None:
        reading = Reading(request, fewest, threads)
        _check_memory(reading, preparation.memory_share)
        crops = yield from _in_memory(reading)
    else:
        found, home, damage = kept(request, folder)
        for words in damage:
            yield Notice(words)
        if found is None:
            reading = Reading(request, threads=threads)
            free = psutil.virtual_memory().available
            small = reading.bytes() * processes <= preparation.memory_share * free
            if small and not keep and not damage:
                found = yield from _in_memory(reading)
            else:
                found = yield from _on_disk(reading, home)
        crops = found
    yield from left_out(crops.left_out, len(crops.ids))
    if crops.lacking:
        yield Notice(crops.lacking)
    return crops


def kept(request: CropRequest, folder: Path) -> tuple[Crops | None, Path, list[str]]:
    """The crops that `prepare` has kept on disk, if it has; and where, and what is damaged."""
    damaged = []
    # the crops that a run was trained on were prepared before it knew anything
    before = replace(request, known={}, known_levels={})
    for asked in (before, request) if request.known else (before,):
        home = folder.absolute() / key_of(asked)
        found, damage = _found(home)
        if damage:
            damaged.append(damage)
        if (
            found is not None
            and found.statistics == request.known
            and (request.levels is None or found.level_statistics == request.known_levels)
        ):
            break
    return found, home, damaged


def _in_memory(reading: Reading) -> Generator[Progress, None, Crops]:
    number, _, size, _ = reading.shape
    images = np.empty(reading.shape, dtype=np.float32)
    masks = np.empty((number, 1, size, size), dtype=np.bool_)
    places = zip(images, masks, strict=True)

    def add(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
        here, there = next(places)
        here[:], there[:] = image, mask

    crops = yield from reading.crops(add)
    images, masks = images[: len(crops.ids)], masks[: len(crops.ids)]
    fill = crops.mean.astype(reading.dtype).astype(np.float32)[:, None, None]
    for image, factors in zip(images, crops.factors, strict=True):
        if (factors != 1).any():
            image[:] = (image * factors[:, None, None]).astype(reading.dtype)
        np.copyto(image, fill, where=np.isnan(image))
    return replace(crops, images=images, masks=masks)


def _on_disk(reading: Reading, home: Path) -> Generator[Progress | Notice | Saved, None, Crops]:
    """Write the crops into ``home``, unless another process does; then open them there."""
    number = reading.shape[0]
    lock = FileLock(home.with_name(f".{home.name}.lock"), thread_local=False)
    while True:
        try:
            home.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
            break
        except Timeout:
            yield Progress("waiting for another process that prepares them", 0, number)
            time.sleep(WAIT_S)
        except OSError as error:
            raise RunError(
                f"'{home.parent}' cannot be written ({error.strerror or error}), and the crops are "
                "to be kept there. Name another preparation.folder."
            ) from None
    try:
        crops, _ = _found(home)
        if crops is not None:
            return crops
        for left in home.parent.glob(f".{home.name}.*.part"):
            shutil.rmtree(left)  # of a process that was killed: it holds no lock
        _check_disk(reading, home.parent)
        with atomic(home) as temporary:
            writer = Writer(temporary, reading.shape, reading.dtype)
            try:
                crops = yield from reading.crops(writer.add)
                writer.count(len(crops.ids))
                for i, factors in enumerate(crops.factors):
                    writer.fill(i, crops.mean, factors)
                    yield Progress("writing specimens", i + 1, len(crops.ids))
            finally:
                writer.close()
            write_manifest(temporary, crops, home.name)
        yield Saved(home)
        return read_store(home)
    finally:
        lock.release()


def _found(home: Path) -> tuple[Crops | None, str]:
    """The crops in a folder, if they are there and whole; and what is wrong with them."""
    if not home.exists():
        return None, ""
    try:
        return read_store(home), ""
    except CollectionError as error:
        return None, str(error)


def _check_memory(reading: Reading, share: float) -> None:
    free = psutil.virtual_memory().available
    if reading.bytes() > share * free:
        raise CollectionError(
            f"{_room(reading, 4)} of memory, and {free / 1e9:.1f} GB are free. Choose fewer bands "
            "(another modality), a smaller image_size, or fewer specimens."
        )


def _check_disk(reading: Reading, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if reading.bytes(reading.dtype.itemsize) > free:
        raise CollectionError(
            f"{_room(reading, reading.dtype.itemsize)} in '{folder}', and {free / 1e9:.1f} GB are "
            "free there. Name a preparation.folder on another disk, set preparation.precision to "
            "float16 or a higher preparation.bin_bands, or choose a smaller image_size."
        )


def _room(reading: Reading, each: int) -> str:
    number, bands, size, _ = reading.shape
    return (
        f"{number} specimens of {bands} bands and {size} × {size} pixels need "
        f"{reading.bytes(each) / 1e9:.1f} GB"
    )
