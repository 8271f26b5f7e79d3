"""Widened cubes: catches beside a cube's own bands, so that modalities choose among both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Bands, Cube, LazyArray, Modality, in_reflectance
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.spectra.vision._catch import cone_catch, read_eye


class _Beside(LazyArray):
    """Reflectance in the bands of several cubes of one size, one cube after the other."""

    def __init__(self, cubes: Sequence[Cube]) -> None:
        self._cubes = cubes
        self._ends = np.cumsum([cube.shape[0] for cube in cubes])
        super().__init__((int(self._ends[-1]), *cubes[0].shape[1:]), np.dtype(np.float32))

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        found = self._empty(bands, rows, columns)
        of = np.searchsorted(self._ends, bands, side="right")
        for which, cube in enumerate(self._cubes):
            if (places := np.flatnonzero(of == which)).size:
                own = bands[places] - (self._ends[which] - cube.shape[0])
                found[places] = cube.reflectance(own, rows, columns)
        return found


def widened(cube: Cube, modalities: Sequence[Modality]) -> Cube:
    """The cube with the catches that modalities ask for beside its own bands, in D65.

    Without such modalities it is the cube itself. A catch is named by its eye and receptor, e.g.
    ``bird-uv sw``. Of several modalities a cube may lack one, so an eye that it does not suit adds
    nothing.

    Raises
    ------
    BandMismatchError
        There is one modality, and the cube does not suit its eye.
    PhenoscapeError
        The CSV of an eye is none.
    """
    eyes = {name: words for each in modalities for name, words in each.eyes.items()}
    caught = []
    for name, words in eyes.items():
        try:
            seen = cone_catch(cube, read_eye(words))
        except BandMismatchError:
            if len(modalities) == 1:
                raise
            continue
        bands = Bands(replace(b, name=f"{name} {b.name}", eye=name) for b in seen.bands)
        caught.append(replace(seen, bands=bands))
    if not caught:
        return cube
    own = in_reflectance(cube)
    return replace(
        own,
        array=_Beside([own, *caught]),
        bands=Bands([*cube.bands, *(band for seen in caught for band in seen.bands)]),
        provenance=tuple(dict.fromkeys(note for seen in caught for note in seen.provenance)),
    )
