"""Benchmarks: ours and the alternative in one run, never part of the test suite.

A file ``bench_<name>.py`` has ``comparisons()``, which yields lines whose names begin with
the first word of ``<name>``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

#: Each side runs so often at least, if it names no other number, and for about so many seconds.
ROUNDS, SECONDS = 7, 8.0


@dataclass(frozen=True)
class Comparison:
    """The same work done by us and by the alternative, and how many times faster ours should be."""

    name: str
    ours: Callable[[], object]
    theirs: Callable[[], object]
    goal: float
    rounds: int = ROUNDS

    def line(self) -> str:
        """e.g. ``augment-3-bands: 3.4x (goal 3x)``: ratio of the medians of interleaved rounds."""
        seconds: tuple[list[float], list[float]] = ([], [])
        for call in (self.ours, self.theirs):
            call()
        end = time.perf_counter() + SECONDS
        while len(seconds[0]) < self.rounds or time.perf_counter() < end:
            for call, taken in zip((self.ours, self.theirs), seconds, strict=True):
                start = time.perf_counter()
                call()
                taken.append(time.perf_counter() - start)
        ours, theirs = (statistics.median(taken) for taken in seconds)
        missed = " MISSED" if theirs / ours < self.goal else ""
        return f"{self.name}: {theirs / ours:.3g}x (goal {self.goal:.3g}x){missed}"


@dataclass(frozen=True)
class Figure:
    """A quantity of ours alone, and the most that it should be."""

    name: str
    measure: Callable[[], float]
    unit: str
    goal: float

    def line(self) -> str:
        """e.g. ``io-open-cube-memory: 3.2 MB (goal 50 MB)``."""
        value = self.measure()
        missed = " MISSED" if value > self.goal else ""
        return f"{self.name}: {value:.3g} {self.unit} (goal {self.goal:.3g} {self.unit}){missed}"
