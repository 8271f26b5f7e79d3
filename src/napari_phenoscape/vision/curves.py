"""Curves over wavelength: sensitivities, illuminants, and the tables that hold them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.errors import MissingFileError, OptionError

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
    """A table of the package: ``cie_1931_2_degree``, ``d65`` or ``cie_2006_2_degree_cones``."""
    return read_curves(_TABLES / f"{name}.csv")


def read_curves(path: Path) -> Curves:
    """The curves in a CSV: a column ``wl`` (or ``wavelength``, in nm), then one for each curve.

    This is how the R package pavo writes sensitivities [1]_. Lines that start with # are comments.

    Raises
    ------
    MissingFileError
        No such file.
    OptionError
        It is no such table: a cell is no number or below 0, wavelengths do not rise.

    References
    ----------
    .. [1] Maia et al. 2019, pavo 2. https://doi.org/10.1111/2041-210X.13174
    """
    header, cells = read_numbers(path)
    if header[0].lower() not in ("wl", "wavelength", "wavelength_nm", "nm"):
        raise OptionError(
            f"The first column of '{path.name}' is '{header[0]}'; 'wl' was expected, with "
            "wavelengths in nm, then one column for each curve."
        )
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


def read_numbers(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """The header of a CSV, and the finite numbers below it.

    Raises
    ------
    MissingFileError
        No such file.
    OptionError
        A line has another number of cells than the header, or a cell is no number; names repeat.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise MissingFileError(f"There is no table at '{path}'.") from None
    except UnicodeDecodeError:
        raise OptionError(f"'{path.name}' is no UTF-8 text; a CSV was expected.") from None
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    # spreadsheets of half of Europe write semicolons
    separator = next((mark for mark in ",;\t" if lines and mark in lines[0]), ",")
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
    if len(rows) < 2:
        raise OptionError(f"'{path.name}' is empty; a header and lines of numbers were expected.")
    header, body = rows[0], rows[1:]
    if len(set(header)) < len(header):
        raise OptionError(f"'{path.name}' names a column twice ({', '.join(header)}).")
    try:
        numbers = np.array([[float(cell) for cell in row] for row in body])
    except ValueError as error:
        raise OptionError(
            f"'{path.name}' is no table of {len(header)} columns of numbers ({error}); a point is "
            "the decimal mark, and no cell is empty."
        ) from None
    if numbers.shape[1] != len(header) or not np.isfinite(numbers).all():
        raise OptionError(
            f"'{path.name}' has {len(header)} names and {numbers.shape[1]} columns, or a cell that "
            "is not finite; a number below every name was expected."
        )
    return header, numbers
