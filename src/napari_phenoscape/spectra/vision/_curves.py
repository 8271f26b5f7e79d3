"""Curves over wavelength: sensitivities, illuminants, and the tables that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._tables import as_numbers, read_cells
from napari_phenoscape.errors import OptionError

_TABLES = Path(__file__).with_name("tables")


@dataclass(frozen=True, eq=False)
class Curves:
    """K curves at n wavelengths; straight lines between them, 0 outside.

    Parameters
    ----------
    names
        K names.
    wavelengths_nm : (n,)
        Rising.
    values : (K, n)
        In units of their own.
    """

    names: tuple[str, ...]
    wavelengths_nm: NDArray[np.float64]
    values: NDArray[np.float64]

    def at(self, wavelengths_nm: NDArray[np.float64]) -> NDArray[np.float64]:
        """(K, m) values at m wavelengths."""
        return np.array(
            [
                np.interp(wavelengths_nm, self.wavelengths_nm, curve, left=0, right=0)
                for curve in self.values
            ]
        )


@cache
def standard_table(name: str) -> Curves:
    """A table of the package, by its file's name without the ending."""
    return read_curves(_TABLES / f"{name}.csv")


def read_curves(path: Path) -> Curves:
    """The curves in a CSV: a column ``wl`` with nm, then one for each curve.

    So the R package pavo writes sensitivities [1]_. Lines that start with # are comments.

    Raises
    ------
    MissingFileError
        No such file.
    TableError
        It is no table of numbers.
    OptionError
        A cell is below 0, or wavelengths do not rise.

    References
    ----------
    .. [1] Maia et al. 2019, pavo 2. https://doi.org/10.1111/2041-210X.13174
    """
    header, rows = read_cells(path, comments=True)
    if not is_of_curves(header):
        raise OptionError(
            f"The first column of '{path.name}' is '{header[0]}'; 'wl' was expected, with "
            "wavelengths in nm, then one column for each curve."
        )
    cells = as_numbers(rows, path)
    nm, values = cells[:, 0], cells[:, 1:].T
    if not len(values) or len(nm) < 2 or (np.diff(nm) <= 0).any() or not 100 < nm[0] < 10_000:
        raise OptionError(
            f"'{path.name}' has {len(nm)} wavelengths and {len(values)} curves; at least two "
            "wavelengths in nm, rising from line to line, and one curve were expected."
        )
    if (values < 0).any() or not values.any(axis=1).all():
        raise OptionError(
            f"A curve in '{path.name}' is below 0 somewhere, or 0 everywhere; sensitivities and "
            "illuminants are 0 and above. Correct the column or leave it out."
        )
    return Curves(tuple(header[1:]), nm, values)


def is_of_curves(header: list[str]) -> bool:
    """Whether the first column of a table is one of wavelengths."""
    return header[0].lower() in ("wl", "wavelength", "wavelength_nm", "nm")
