"""Layout: which bands the crops have, and where each cube keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Bands, Cube, Modality, describe
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.specimens.crops._statistics import BandStatistics


@dataclass(frozen=True, eq=False)
class Layout:
    """Which bands the crops have, and the cube that each modality was found in first."""

    bands: Bands
    positions: dict[str, NDArray[np.intp]]
    examples: dict[str, Cube]

    def found(self, cube: Cube, seen: Sequence[Modality]) -> dict[int, int]:
        """Position among the C bands → index in the cube, of the modalities that it has."""
        place: dict[int, int] = {}
        for modality in seen:
            index = modality.indices(cube)
            own = cube.bands.take(index).short
            expected = self.bands.take(self.positions[modality.name])
            if own != expected:
                raise BandMismatchError(
                    _difference(cube, own, self.examples[modality.name], expected)
                )
            place |= dict(zip(self.positions[modality.name].tolist(), index.tolist(), strict=True))
        return place


def layout_of(
    modalities: Sequence[Modality],
    cubes: Iterable[Cube],
    known: Mapping[str, BandStatistics],
) -> Layout:
    """Bands of all modalities, each once, as the first cube that has a modality says.

    ``known`` says them of modalities that no cube need have.

    Raises
    ------
    BandMismatchError
        No cube has the bands of one of the others.
    """
    examples: dict[str, Cube] = {}
    for cube in cubes:
        examples = {m.name: cube for m in modalities if m.seen_by(cube)} | examples
        if len(examples) == len(modalities):
            break
    chosen = {}
    for modality in modalities:
        if modality.name in known and modality.name not in examples:
            chosen[modality.name] = known[modality.name].bands.short
            continue
        # where no cube has its bands, the last one says what is missing
        example = examples.get(modality.name, cube)
        chosen[modality.name] = example.bands.take(modality.indices(example)).short
    return Layout(*together(chosen), examples)


def lacking(cube: Cube, modalities: Sequence[Modality]) -> BandMismatchError:
    """Why a cube can show nothing of a specimen: it has the bands of none of the modalities."""
    names = [modality.name for modality in modalities]
    try:
        if len(names) == 1:
            modalities[0].indices(cube)  # says what is missing
    except BandMismatchError as error:
        return error
    return BandMismatchError(
        f"{describe(cube)} has the bands of none of the modalities {', '.join(names)}. Collect it "
        "apart by the collection's 'pattern', or choose a modality for it."
    )


def together(
    chosen: Mapping[str, Bands],
) -> tuple[Bands, dict[str, NDArray[np.intp]]]:
    """Bands of all modalities, each once, and the positions of each modality's among them."""
    bands = Bands(dict.fromkeys(band for own in chosen.values() for band in own))
    place = {band: index for index, band in enumerate(bands)}
    positions = {
        name: np.array([place[band] for band in own], dtype=np.intp) for name, own in chosen.items()
    }
    return bands, positions


def _difference(cube: Cube, bands: Bands, first: Cube, expected: Bands) -> str:
    differ = (i for i, pair in enumerate(zip(bands, expected, strict=False)) if pair[0] != pair[1])
    at = next(differ, 0)
    return (
        f"'{cube.path.name}' has other bands ({bands.words}; {at} is {bands[at].label}) than "
        f"'{first.path.name}' ({expected.words}; {at} is {expected[at].label}); all cubes of a "
        "collection must agree. Choose a modality that they share, several of which one may be "
        "lacking as a whole (e.g. rgb and uv), or collect them apart."
    )
