"""Specimen and Collection: what there is to compare, and where its pixels are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._remote import address
from napari_phenoscape.cubes import Cube, Interpretation, scale_words, unmeasured_doubts
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Notice, Progress
from napari_phenoscape.option import Option
from napari_phenoscape.spectra import files_with_references, open_calibrated

#: Pixels kept around a specimen, so that its outline does not touch the edge of its crop.
MARGIN = 2

#: Files that a sentence about many names at most, and reasons that are told.
_NAMED, REASONS = 3, 8

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is not in the collection, or lacks something there.

    Parameters
    ----------
    path
        The file.
    reason
        What is wrong with it, a sentence.
    only_lacks
        It is no file that was left out: something is missing, such as rows of the metadata.
    """

    path: Path
    reason: str
    only_lacks: bool = False


@dataclass(frozen=True, slots=True)
class Specimen:
    """One thing to embed.

    Parameters
    ----------
    id
        Unique in its collection: the path relative to the folder, or file name and region
        (``drawer.bil#3``).
    path
        The cube that shows it, absolute.
    box
        ``(row0, row1, column0, column1)`` in pixels, half open: its mask and a margin of 2 px, or
        the whole image when nothing outlines it.
    region
        Its number among the labels of its cube; None = all that the mask of the cube shows.
    """

    id: str
    path: Path
    box: Box
    region: int | None = None

    def mask(self, labels: NDArray[Any] | None) -> NDArray[np.bool_]:
        """(h, w) True on the specimen, inside its box.

        Parameters
        ----------
        labels : (H, W) or None
            What `Collection.opened` gives with the cube.
        """
        row0, row1, column0, column1 = self.box
        if labels is None:
            return np.ones((row1 - row0, column1 - column0), dtype=np.bool_)
        inside = labels[row0:row1, column0:column1]
        return np.asarray(inside > 0 if self.region is None else inside == self.region)


class Opened(NamedTuple):
    """A specimen, the labels that its name spells, and how its file was read, joined, outlined."""

    specimen: Specimen
    fields: dict[str, str]
    provenance: tuple[str, ...]
    residual_px: float
    outline: str
    doubt: str


class Source(Option):
    """Base of what specimens come from."""

    if TYPE_CHECKING:  # each says in words of its own what they are
        path: Path
        read_as: Interpretation

    def collect(self) -> Generator[Progress, None, Collection]:
        """Find the specimens; see `collect`."""
        raise NotImplementedError

    def labels(self, cube: Cube) -> NDArray[Any] | None:
        """(H, W) above 0 on specimens, each region by its number; None: nothing outlines them."""
        raise NotImplementedError

    def outline(self, path: Path) -> Path | None:
        """The file that outlines the specimens of a cube."""
        raise NotImplementedError

    def cube(self, path: Path) -> Cube:
        """The cube that shows the specimens of a `Specimen.path`."""
        return open_calibrated(path, self.read_as)

    def reads(self, path: Path) -> tuple[Path, ...]:
        """The files that `cube` reads."""
        return files_with_references(path)

    @property
    def with_table(self) -> Self:
        """The same, with the table of metadata named that it takes up by itself."""
        return self

    @property
    def to_outline(self) -> dict[str, Any]:
        """Settings that would outline specimens in cubes without a mask of their own.

        Empty where it outlines them already, or cannot.
        """
        return {}


@dataclass(frozen=True, eq=False)
class Collection:
    """Specimens with metadata.

    Parameters
    ----------
    source
        Where they come from.
    specimens
        N specimens in natural order.
    metadata
        N rows in the same order, index ``specimen`` = id; empty where nothing is known.
    skipped
        What was left out, and what is missing.
    assumed
        What was assumed about the files since they do not say it, one sentence each, with how
        many files it is of.
    """

    source: Source
    specimens: tuple[Specimen, ...]
    metadata: pd.DataFrame
    skipped: tuple[Skipped, ...] = ()
    assumed: tuple[str, ...] = ()

    def take(self, ids: Sequence[str]) -> Collection:
        """The specimens of these ids, in this order.

        Raises
        ------
        CollectionError
            Some are not there.
        """
        specimens = {specimen.id: specimen for specimen in self.specimens}
        if missing := [name for name in ids if name not in specimens]:
            raise CollectionError(
                f"{len(missing)} of {len(ids)} specimens are not in '{address(self.source.path)}' "
                f"any more, e.g. '{missing[0]}'. Put them back, or embed what is there again."
            )
        chosen = tuple(specimens[name] for name in ids)
        return replace(self, specimens=chosen, metadata=self.metadata.loc[list(ids)])

    def rows(self, numbers: slice | Sequence[int]) -> Collection:
        """The specimens of these numbers, in this order."""
        chosen = np.arange(len(self.specimens))[numbers]
        specimens = tuple(self.specimens[number] for number in chosen)
        return replace(self, specimens=specimens, metadata=self.metadata.iloc[chosen])

    def groups(self) -> Iterator[tuple[int, ...]]:
        """The numbers of the specimens of each cube."""
        numbers = range(len(self.specimens))
        for _, group in groupby(numbers, lambda number: self.specimens[number].path):
            yield tuple(group)

    def opened(self, group: tuple[int, ...]) -> tuple[Cube, NDArray[Any] | None]:
        """The cube of one of the `groups`, and its (H, W) labels."""
        cube = self.source.cube(self.specimens[group[0]].path)
        return cube, self.source.labels(cube)

    def files(self) -> Iterator[Path]:
        """Every file that says what the specimens look like, not what is known of them.

        Cubes, headers, references, masks. A mask of many cubes is named for each.
        """
        for path in dict.fromkeys(specimen.path for specimen in self.specimens):
            yield from self.source.reads(path)
            if (outline := self.source.outline(path)) is not None:
                yield outline


def left_out(skipped: Sequence[Skipped], kept: int) -> Iterator[Notice]:
    """A sentence for each reason why something is not there: how many, why, which first.

    Parameters
    ----------
    skipped
        What is not there.
    kept
        How many are.
    """
    total = kept + sum(not one.only_lacks for one in skipped)
    by_reason: dict[tuple[str, bool], list[str]] = {}
    for one in skipped:
        name = one.path.name
        reason = one.reason if one.only_lacks else one.reason.replace(f"'{name}'", "it")
        by_reason.setdefault((reason, one.only_lacks), []).append(name)
    reasons = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    for (reason, only_lacks), names in reasons[:REASONS]:
        if only_lacks:
            yield Notice(f"'{names[0]}': {reason}")
        else:
            some = ", ".join(f"'{name}'" for name in names[:_NAMED])
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            yield Notice(f"{len(names)} of {total} left out ({some}{more}): {reason}")
    if others := reasons[REASONS:]:
        number = sum(len(names) for (_, only_lacks), names in others if not only_lacks)
        yield Notice(f"{number} of {total} left out for {len(others)} other reasons.")


def told_of(cube: Cube) -> tuple[str, ...]:
    """What was assumed of a cube, and a number in it that may stand for "not measured"."""
    return (*cube.provenance, *unmeasured_doubts(cube, quick=True))


def assumptions(cubes: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The sentences of the provenances of some cubes, each once, the commonest first."""
    count = Counter(sentence for provenance in cubes for sentence in dict.fromkeys(provenance))
    return tuple(
        sentence if times == len(cubes) else f"{sentence} ({times} of {len(cubes)} files)"
        for sentence, times in count.most_common()
    )


def unequal_scales(root: Path, cubes: Sequence[tuple[str, ...]]) -> list[Skipped]:
    """What is told where the scale of the numbers of some cubes was assumed and of others not so.

    Parameters
    ----------
    cubes
        Their provenances.
    """
    found = Counter(scale_words(provenance) or "Their files say it." for provenance in cubes)
    if len(found) < 2:
        return []
    words = " ".join(f"{number} of {len(cubes)}: {one}" for one, number in found.most_common())
    reason = (
        f"Its files do not have their scale from one source. {words} Where they are brighter or "
        "darker for that, say full_scale (read_as), or collect them separately."
    )
    return [Skipped(root, reason, only_lacks=True)]


def box_around(rows: slice, columns: slice, shape: tuple[int, int]) -> Box:
    """A range of pixels with the margin around it, inside an image of ``shape``."""
    return (
        max(rows.start - MARGIN, 0),
        min(rows.stop + MARGIN, shape[0]),
        max(columns.start - MARGIN, 0),
        min(columns.stop + MARGIN, shape[1]),
    )
