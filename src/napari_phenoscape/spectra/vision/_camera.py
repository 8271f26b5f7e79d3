"""Models of a camera: the catches of an eye from the bands of a camera that has no wavelengths."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._tables import as_numbers, read_cells
from napari_phenoscape.cubes import Cube
from napari_phenoscape.errors import BandMismatchError, OptionError


@dataclass(frozen=True, eq=False)
class CameraModel:
    """Catches as polynomials of the reflectance in a camera's bands.

    Such a model is fitted, for one camera, one light and one eye, to catches that are known: of
    spectra that were measured, or of a library of them [1]_ [2]_.

    Parameters
    ----------
    name
        That of the file.
    receptors
        K names.
    terms
        T products of bands by name, each of any length; of none: the constant.
    coefficients : (K, T)
        For reflectance with 1 as a perfect white.

    References
    ----------
    .. [1] Stevens et al. 2007. https://doi.org/10.1111/j.1095-8312.2007.00725.x
    .. [2] Troscianko & Stevens 2015, micaToolbox. https://doi.org/10.1111/2041-210X.12439
    """

    name: str
    receptors: tuple[str, ...]
    terms: tuple[tuple[str, ...], ...]
    coefficients: NDArray[np.float64]

    def bands_in(self, cube: Cube) -> NDArray[np.intp]:
        """(n,) indices of the bands of the model in a cube, in the order of `band_names`.

        Raises
        ------
        BandMismatchError
            The cube lacks one.
        """
        missing = [name for name in self.band_names if name not in cube.bands.names]
        if missing:
            raise BandMismatchError(
                f"'{cube.path.name}' has no band '{missing[0]}', which the camera's model "
                f"'{self.name}' asks for; it has {', '.join(cube.bands.names[:8])}. "
                "Write the names of the cube's own bands into the model."
            )
        return np.array([cube.bands.index(name) for name in self.band_names], dtype=np.intp)

    @property
    def colour_receptors(self) -> tuple[int, ...]:
        """Which receptors see colour, from short waves to long, where their names say it."""
        known = [name for name in ("uv", "sw", "mw", "lw") if name in self.receptors]
        return tuple(self.receptors.index(name) for name in known)

    @property
    def band_names(self) -> tuple[str, ...]:
        """The n bands that the model needs, each once."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term))

    def catches(self, reflectance: NDArray[np.float64]) -> NDArray[np.float64]:
        """(K, ...) catches of an (n, ...) reflectance in the bands of `band_names`."""
        of = dict(zip(self.band_names, reflectance, strict=True))
        one = np.ones(reflectance.shape[1:])
        products = [math.prod((of[name] for name in term), start=one) for term in self.terms]
        caught: NDArray[np.float64] = np.tensordot(self.coefficients, np.stack(products), axes=1)
        return caught


def is_of_a_camera(header: list[str]) -> bool:
    """Whether the columns of a table are those of a camera's model."""
    return header[0].lower() == "receptor" and "peak_nm" not in header


def read_camera_model(path: Path) -> CameraModel:
    """The model in a CSV: a line for each receptor, a column for each term.

    The first column is ``receptor``. The others are named by their term: a band (``R``), a product
    (``R*UV_B``), a power (``R^2``), or ``1`` for the constant; the cells are the coefficients.

    Raises
    ------
    PhenoscapeError
        No such file, or it is no such table.
    """
    header, rows = read_cells(path, comments=True)
    receptors = tuple(row[0] for row in rows)
    if len(header) < 2 or not all(receptors) or len(set(receptors)) < len(receptors):
        raise OptionError(
            f"'{path.name}' has {len(header) - 1} terms and the receptors {', '.join(receptors)}; "
            "at least one term was expected, and a name of its own for each receptor."
        )
    terms = tuple(_term(name) for name in header[1:])
    if not any(terms) or len(set(terms)) < len(terms):
        raise OptionError(
            f"The terms in '{path.name}' are {', '.join(header[1:])}; each was expected once, with "
            "at least one band among them."
        )
    return CameraModel(path.name, receptors, terms, as_numbers([row[1:] for row in rows], path))


def _term(words: str) -> tuple[str, ...]:
    """Names of the bands that a term multiplies, in alphabetical order."""
    if words == "1":
        return ()
    factors: list[str] = []
    for factor in words.split("*"):
        match = re.fullmatch(r"(.+?)\s*(?:\^\s*([1-9]))?", factor.strip())
        if match is None:
            raise OptionError(
                f"'{words}' is no term of a camera's model; a band, a product such as R*G, a power "
                "such as R^2, or 1 was expected."
            )
        factors += [match[1]] * int(match[2] or 1)
    return tuple(sorted(factors))
