"""Nuisance: what differs between specimens for technical reasons, and who is of which level."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from napari_phenoscape._tables import is_unknown
from napari_phenoscape.errors import OptionError, did_you_mean
from napari_phenoscape.events import Notice
from napari_phenoscape.option import Option

#: A level of fewer specimens says more of these than of itself.
FEWEST_OF_LEVEL = 3

#: Cramér's V from which two columns go together a little, and so much that they are one: what
#: Cohen 1988 (Statistical power analysis, chapter 7) calls a small and a large effect.
SMALL, LARGE = 0.1, 0.5


class Nuisance(Option):
    """Metadata columns that differ for technical reasons, as year, lab, camera or drawer do.

    A list of columns stands for this with its defaults. What is not known of a specimen, and a
    level of fewer than 3 specimens, stay as they are. Several columns count together: a level is a
    year in a lab. What a run knows of a level holds for others of that level; a level that it does
    not know is known from the collection that is embedded.
    """

    columns: tuple[str, ...] = Field(
        (), description="of the metadata, e.g. year; none: no nuisance"
    )
    bands: bool = Field(
        True,
        description="give every level the same mean in every band, by a factor, as light, exposure "
        "and white reference are",
    )
    batches: bool = Field(
        True,
        description="draw each batch of a training from one level, so that levels are nothing to "
        "tell specimens by",
    )
    norms: bool = Field(
        True, description="embed each level with BatchNorm statistics of its own (AdaBN)"
    )
    centre: bool = Field(
        True, description="take the mean of each level out before the readout of an instant run"
    )
    bar: bool = Field(
        True, description="in `evaluate`, judge by the neighbours of other levels too"
    )
    keep: tuple[str, ...] = Field(
        (),
        description="columns of what is asked, e.g. species: of a nuisance that goes together with "
        "one of them (Cramér's V of 0.5 or more) nothing is taken out",
    )

    @model_validator(mode="before")
    @classmethod
    def _columns_alone(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"columns": [given]}
        return {"columns": given} if isinstance(given, list | tuple) else given

    @property
    def name(self) -> str:
        """In words, e.g. ``lab, camera``."""
        return ", ".join(self.columns)

    def of(self, metadata: pd.DataFrame) -> Levels | None:
        """Which level each specimen is of; None without columns.

        Raises
        ------
        OptionError
            There is no such column, or nothing differs in it.
        """
        if not self.columns:
            return None
        for column in (*self.columns, *self.keep):
            if column not in metadata:
                raise OptionError(
                    f"'nuisance' names the metadata column '{column}', which the specimens do not "
                    f"have (they have {', '.join(map(str, metadata.columns)) or 'none'}). "
                    f"{did_you_mean(column, metadata)}Name one of these, or leave it out."
                )
        levels = levels_of_columns(metadata, self.columns)
        if not levels.names:
            raise OptionError(
                f"Nothing is known of '{self.name}', which 'nuisance' names. Fill the column, or "
                "leave it out."
            )
        return levels

    def judged(
        self, metadata: pd.DataFrame, *, alone: bool = False
    ) -> Generator[Notice, None, Levels | None]:
        """The levels that are to be made alike, told in notices; None where nothing is.

        ``alone``: a collection of one level may be of a run that knows it.

        Raises
        ------
        OptionError
            As `of`; or all specimens are of one level.
        """
        levels = self.of(metadata)
        if levels is None:
            return None
        if len(levels.names) < 2 and not alone:
            raise OptionError(
                f"All specimens have '{levels.names[0]}' in '{self.name}', which 'nuisance' names; "
                "two levels or more were expected. Leave it out."
            )
        for column in self.keep:
            strength = association(levels, metadata[column])
            if strength >= LARGE:
                yield Notice(
                    f"'{self.name}' and '{column}' go together (Cramér's V {strength:.2f}; 0 = "
                    "independent, 1 = the same), so what is technical cannot be told from what is "
                    "asked, and nothing is taken out."
                )
                return None
            if strength >= SMALL:
                yield Notice(
                    f"'{self.name}' and '{column}' go together a little (Cramér's V "
                    f"{strength:.2f}): what is taken out is in part '{column}'."
                )
        return levels


@dataclass(frozen=True, eq=False)
class Levels:
    """Which level of a nuisance each specimen is of.

    Parameters
    ----------
    names
        L levels, e.g. ``2019``, or ``2019, lab 1`` of two columns.
    codes : (N,)
        Number of the level of each specimen; -1 where it is not known.
    """

    names: tuple[str, ...]
    codes: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(L,) specimens of each."""
        known = self.codes[self.codes >= 0]
        return np.bincount(known, minlength=len(self.names)).astype(np.int64)

    @property
    def judged(self) -> tuple[str, ...]:
        """The levels of enough specimens to say what a level is."""
        enough = self.sizes >= FEWEST_OF_LEVEL
        return tuple(name for name, is_one in zip(self.names, enough, strict=True) if is_one)

    def rows(self, name: str) -> NDArray[np.intp]:
        """The numbers of the specimens of a level."""
        return np.flatnonzero(self.codes == self.names.index(name))

    def take(self, rows: Sequence[int] | NDArray[np.integer[Any]]) -> Levels:
        """Those of some specimens, with the same names."""
        return replace(self, codes=self.codes[np.asarray(rows, np.intp)])

    def words(self, known: Sequence[str] = ()) -> str:
        """What is left as it is, a sentence; empty when nothing is.

        ``known`` are levels that a run knows.
        """
        sentences = []
        if unknown := int((self.codes < 0).sum()):
            sentences.append(f"of {unknown} specimens it is not known")
        sentences += [
            f"'{name}' has {size}, and {FEWEST_OF_LEVEL} or more say what a level is"
            for name, size in zip(self.names, self.sizes, strict=True)
            if 0 < size < FEWEST_OF_LEVEL and name not in known
        ]
        return "; ".join(sentences)


def levels_of_columns(metadata: pd.DataFrame, columns: Sequence[str]) -> Levels:
    """The levels of some columns together; unknown where one of them says nothing."""
    cells = metadata[list(columns)]
    unknown = cells.apply(is_unknown).any(axis=1)
    # 2019 and 2019.0 are one year: a column of numbers is of floats where one is missing
    texts = cells.apply(
        lambda of: of.map(
            lambda cell: str(
                int(cell) if isinstance(cell, float) and cell.is_integer() else cell
            ).strip()
        )
    )
    whole = texts.agg(", ".join, axis=1)
    names = tuple(sorted(set(whole[~unknown])))
    place = {name: number for number, name in enumerate(names)}
    codes = [-1 if out else place[name] for name, out in zip(whole, unknown, strict=True)]
    return Levels(names, np.array(codes, np.int64))


def association(levels: Levels, labels: pd.Series[Any]) -> float:
    """Cramér's V between levels and labels, without the part that chance makes [1]_.

    0 = independent, 1 = the same. Over the specimens of which both are known; 0 where one of them
    does not differ there.

    References
    ----------
    .. [1] Bergsma 2013, A bias-correction for Cramér's V. https://doi.org/10.1016/j.jkss.2012.10.002
    """
    known = (levels.codes >= 0) & ~is_unknown(labels).to_numpy()
    table = pd.crosstab(levels.codes[known], labels[known].astype(str).to_numpy()).to_numpy(float)
    number, (rows, columns) = table.sum(), table.shape
    if min(rows, columns) < 2:
        return 0.0
    expected = table.sum(1, keepdims=True) * table.sum(0) / number
    phi = ((table - expected) ** 2 / expected).sum() / number
    chance = (rows - 1) * (columns - 1) / (number - 1)
    sides = [side - (side - 1) ** 2 / (number - 1) for side in (rows, columns)]
    return float(np.sqrt(max(phi - chance, 0) / max(min(sides) - 1, 1e-12)).clip(0, 1))
