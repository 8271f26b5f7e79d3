"""Preview: the very views that training sees, as a picture."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_phenoscape.cubes import save_drawn
from napari_phenoscape.errors import OptionError, did_you_mean
from napari_phenoscape.events import Event, Saved
from napari_phenoscape.specimens import Crops
from napari_phenoscape.spectra import COLOURS
from napari_phenoscape.training._build import augmenter
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._specimens import specimens_of
from napari_phenoscape.views import operations, pictures, view_sheet

if TYPE_CHECKING:
    from napari_phenoscape.views import Views

#: Views on a sheet: those of four steps.
SHEET = 8

#: Width in pixels that the picture of a sheet has at most, unless its views are larger.
SHEET_PX = 1200


def views_of(
    experiment: Experiment, crops: Crops, specimen: int, *, seed: int, step: int, count: int = 2
) -> Views:
    """Views of one specimen: the two of ``step``, then the two of the next one, and so on.

    Bit for bit what `train` with that seed makes of the specimen in that step, when it is in the
    batch.

    Returns
    -------
    ``count`` views, (count, C, h, w) and so on.
    """
    import torch

    from napari_phenoscape.views import Views

    make = augmenter(experiment, crops)
    number = np.array([specimen])
    each = [
        make(
            torch.from_numpy(crops.images[number]),
            torch.from_numpy(crops.masks[number]),
            seed=seed,
            step=step + index,
            specimens=number,
            view=(0, 1),
        )
        for index in range(-(-count // 2))
    ]
    bends = [pair.bends for pair in each if pair.bends is not None]
    return Views(
        torch.cat([pair.image for pair in each]),
        torch.cat([pair.mask for pair in each]),
        torch.cat([pair.matrix for pair in each]),
        torch.cat(bends) if bends else None,
    ).part(slice(count))


def with_only(experiment: Experiment, kind: str) -> Experiment:
    """The experiment with one of its augmentations alone, in every view.

    Raises
    ------
    OptionError
        It has no such augmentation.
    """
    chosen = operations(experiment.augmentations)
    alone = tuple(op.model_copy(update={"p": 1.0}) for op in chosen if op.kind == kind)
    if not alone:
        kinds = [op.kind for op in chosen]
        raise OptionError(
            f"'{kind}' is none of the augmentations. {did_you_mean(kind, kinds)}"
            f"Name one of {', '.join(kinds)}, or add it."
        )
    return experiment.model_copy(update={"augmentations": alone})


def preview(
    experiment: Experiment,
    path: Path,
    specimen: int,
    *,
    seed: int | None = None,
    step: int = 0,
    only: str = "",
    show: str = COLOURS,
) -> Generator[Event, None, Path]:
    """Write a sheet of eight views of one specimen as PNG.

    Parameters
    ----------
    experiment, specimen, seed, step
        Of which specimen, and the training step whose views are wanted.
    path
        The PNG.
    only
        One augmentation alone, in every view.
    show
        A way to look at the bands (`views.pictures`).
    """
    from PIL import Image

    if only:
        experiment = with_only(experiment, only)
    _, crops = yield from specimens_of(experiment)
    number = len(crops.ids)
    ways = pictures(crops.bands)
    if show not in ways:
        raise OptionError(
            f"There is no picture '{show}'. {did_you_mean(show, ways)}Choose from "
            f"{', '.join(ways)}."
        )
    if not 0 <= specimen < number:
        raise OptionError(
            f"There is no specimen {specimen}; the collection has {number}. Choose 0 to "
            f"{number - 1}."
        )
    views = views_of(
        experiment,
        crops,
        specimen,
        seed=experiment.seed if seed is None else seed,
        step=step,
        count=SHEET,
    )
    sheet = Image.fromarray(view_sheet(views, crops.bands, ways[show]))
    # whole pixels, large enough to look at
    sheet = sheet.resize(
        [side * max(1, SHEET_PX // sheet.width) for side in sheet.size], Image.Resampling.NEAREST
    )
    save_drawn(sheet, path)
    yield Saved(path)
    return path
