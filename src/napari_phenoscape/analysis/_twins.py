"""Twins: specimens that are there twice, and what leaks from one part of a split into another."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._tables import is_unknown
from napari_phenoscape.analysis.evaluation._columns import check_columns, group_codes
from napari_phenoscape.analysis.evaluation._neighbours import nearest_others
from napari_phenoscape.embeddings import (
    Embeddings,
    check_specimens,
    labelled_today,
    read_embeddings,
    unit_length,
)
from napari_phenoscape.errors import OptionError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.specimens import Crops, Source
from napari_phenoscape.training import crops_for

#: Twins are among so many nearest of each other.
NEAREST = 5

#: Their pictures correlate so far at least.
LEAST = 0.98

#: Side in pixels, and bands at most, that are compared: noise and resampling fall below it.
SIDE, BANDS = 32, 8

#: Pictures that are kept at hand.
_KEPT = 4096

TWINS, SAME = "twins", "same"


@dataclass(frozen=True, eq=False)
class Twins:
    """Pairs of specimens that are one, or one photograph.

    Parameters
    ----------
    table
        One row per pair, leaks first, then by correlation: ``first`` and ``second`` (ids), ``why``
        (``twins`` or ``same``), ``cosine`` of the embeddings, ``correlation`` of the pictures, and,
        when a split is named, ``first_part``, ``second_part`` and ``leak``: whether these differ.
    specimens
        How many were compared.
    over, same
        Columns of the split, and of what must not lie on both of its sides; "" without.
    """

    table: pd.DataFrame
    specimens: int
    over: str = ""
    same: str = ""

    def words(self) -> str:
        """How many there are, in a sentence."""
        twins = int((self.table["why"] == TWINS).sum())
        text = f"{twins} {'pair' if twins == 1 else 'pairs'} of twins among {self.specimens}"
        if self.over:
            leaks = int(self.table["leak"].sum())
            text += f"; {leaks or 'none'} of all pairs {'reach' if leaks != 1 else 'reaches'}"
            text += f" from one {self.over} into another"
        return f"{text}."

    def lines(self) -> list[list[str]]:
        """Of each pair: both ids, why, the correlation and, of a split, the parts if it leaks."""
        lines = []
        for pair in self.table.to_dict("records"):
            why = TWINS if pair["why"] == TWINS else f"same {self.same}"
            line = [pair["first"], pair["second"], why, f"{pair['correlation']:.3f}"]
            if self.over:
                line.append(f"{pair['first_part']} | {pair['second_part']}" if pair["leak"] else "")
            lines.append(line)
        return lines


def twins(
    run: Path,
    *,
    over: str = "",
    same: str = "",
    least: float = LEAST,
    space: str = "",
    source: Source | None = None,
) -> Generator[Event, None, Twins]:
    """The specimens of a run that are there twice, and what leaks over a split; see `twins_among`.

    Parameters
    ----------
    space
        Whose embeddings: a modality, or the joint or only one.
    source
        Where the specimens came from, if not from the run's own collection.

    Raises
    ------
    OptionError
        The metadata has no such column, or ``same`` is given without ``over``.
    CollectionError
        Specimens are gone, or are no longer those that were embedded.
    """
    embeddings, collection = yield from labelled_today(read_embeddings(run, space, source))
    check_columns(run, embeddings.table, (over, same))
    crops = yield from crops_for(run, collection)
    check_specimens(embeddings, crops.ids)
    return (yield from twins_among(embeddings, crops, over=over, same=same, least=least))


def twins_among(
    embeddings: Embeddings,
    crops: Crops,
    *,
    over: str = "",
    same: str = "",
    least: float = LEAST,
) -> Generator[Progress, None, Twins]:
    """Pairs of specimens that are one, or one photograph.

    **Twins** are two specimens each of which is among the 5 nearest of the other, by the cosine of
    their embeddings, and whose pictures correlate at ``least`` or more: at 32 pixels, over all
    pixels of the two masks and at most 8 bands (neighbouring ones averaged), each band's own mean
    taken out; the best of the eight ways to turn one by quarter turns and to mirror it. So a gain,
    another size or format, and a turned copy are twins still.

    Parameters
    ----------
    crops
        The specimens of the embeddings, in their order.
    over
        A column such as split or collection: pairs of which the parts differ are leaks.
    same
        A column such as individual: of each of its levels in two parts, the most similar pair is
        a leak too, however different the photographs.

    Raises
    ------
    OptionError
        ``same`` is given without ``over``.
    """
    if same and not over:
        raise OptionError(
            f"That specimens have the same '{same}' is a leak over a split, and no column of a "
            "split is given; name it (over), e.g. split or folder."
        )
    table, unit = embeddings.table, unit_length(np.asarray(embeddings.x, np.float32))
    pictures = _Pictures(crops)
    pairs = yield from _mutual(unit)
    rows: list[tuple[int, int, str, float]] = []
    for done, (i, j) in enumerate(pairs, 1):
        correlation = pictures.correlation(i, j)
        if correlation >= least:
            rows.append((i, j, TWINS, correlation))
        if done % 100 == 0 or done == len(pairs):
            yield Progress("comparing pictures", done, len(pairs))
    part = None
    if over:  # -1 where it is not known
        part = np.where(is_unknown(table[over]), -1, group_codes(table[over], len(table)))
    if part is not None and same:
        there = {(i, j) for i, j, *_ in rows}
        for i, j in _across(unit, group_codes(table[same], len(table)), part):
            if (i, j) not in there:
                rows.append((i, j, SAME, pictures.correlation(i, j)))
    ids = np.array(embeddings.ids, dtype=object)
    first, second = (np.array([row[side] for row in rows], np.intp) for side in (0, 1))
    found = pd.DataFrame(
        {
            "first": ids[first],
            "second": ids[second],
            "why": [row[2] for row in rows],
            "cosine": (unit[first] * unit[second]).sum(axis=1),
            "correlation": [row[3] for row in rows],
        }
    )
    order = ["correlation"]
    if part is not None:
        for name, side in (("first_part", first), ("second_part", second)):
            found[name] = table[over].to_numpy()[side]
        a, b = part[first], part[second]
        found["leak"] = (a != b) & (a >= 0) & (b >= 0)
        order = ["leak", *order]
    found = found.sort_values(order, ascending=False, ignore_index=True)
    return Twins(found, len(ids), over, same)


def _mutual(unit: NDArray[np.float32]) -> Generator[Progress, None, list[tuple[int, int]]]:
    """Rows that are among the nearest of each other, each pair once."""
    sets: list[set[int]] = []
    for rows, others in nearest_others(unit, NEAREST):
        sets += map(set, others.tolist())
        yield Progress("comparing embeddings", int(rows[-1]) + 1, len(unit))
    return [(i, j) for i, row in enumerate(sets) for j in sorted(row) if i < j and i in sets[j]]


def _across(
    unit: NDArray[np.float32], group: NDArray[np.intp], part: NDArray[np.intp]
) -> Iterator[tuple[int, int]]:
    """Of each group in several parts, the most similar pair of each two of them."""
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        parts = np.unique(part[members][part[members] >= 0])
        for a, b in combinations(parts.tolist(), 2):
            first, second = members[part[members] == a], members[part[members] == b]
            best = np.argmax(unit[first] @ unit[second].T)
            i, j = (
                int(side[at])
                for side, at in zip(
                    (first, second), np.unravel_index(best, (len(first), len(second))), strict=True
                )
            )
            yield min(i, j), max(i, j)


class _Pictures:
    """Specimens as unit vectors of what varies within each of them."""

    def __init__(self, crops: Crops) -> None:
        self.of = lru_cache(_KEPT)(lambda row: _varying(crops.images[row], crops.masks[row][0]))

    def correlation(self, i: int, j: int) -> float:
        """Pearson correlation of two pictures, the best of eight ways to lay one on the other."""
        one, other = self.of(i), self.of(j)
        turned = (np.rot90(one, turns, (1, 2)) for turns in range(4))
        ways = (way for turn in turned for way in (turn, turn[:, ::-1]))
        return float(max(np.vdot(way, other) for way in ways))


def _varying(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(c, s, s) of unit length: (C, S, S) at 32 pixels without each band's mean over the mask."""
    inside = _smaller(mask[None].astype(np.float32))
    bands = np.array_split(np.arange(len(image)), min(len(image), BANDS))
    planes = np.stack([image[own].mean(axis=0) for own in bands])
    small = _smaller(np.where(mask, planes, 0)) / np.maximum(inside, 1e-6)
    there = inside[0] > 0.5
    varying = np.where(there, small - small[:, there].mean(axis=1)[:, None, None], 0)
    length = float(np.sqrt((varying**2).sum()))
    scaled: NDArray[np.float32] = (varying / (length or 1)).astype(np.float32)
    return scaled


def _smaller(planes: NDArray[Any]) -> NDArray[Any]:
    """(C, S, S) at 32 pixels or fewer, each the mean of its part of the picture."""
    size = planes.shape[-1]
    ends = np.linspace(0, size, min(size, SIDE) + 1)
    at = np.arange(size)
    # how much of each pixel lies in each cell; turned copies have turned cells
    share = np.clip(np.minimum(at + 1, ends[1:, None]) - np.maximum(at, ends[:-1, None]), 0, 1)
    share /= share.sum(axis=1, keepdims=True)
    smaller: NDArray[Any] = share @ planes @ share.T
    return smaller
