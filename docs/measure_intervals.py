"""How often the 95 % intervals of `compare` hold what is true of embeddings that are noise.

Embeddings and labels know nothing of each other, so the truth is chance: 0 for the adjusted
measures, for the others the mean over all trials. Printed for each measure and number of specimens
and kinds: chance, and of how many trials the interval holds it, and holds its own value.

    python docs/measure_intervals.py [TRIALS] [PROCESSES] [MEASURE ...]

Named measures of single specimens are measured alone, which is faster; "right more often" is that
of two embeddings, both of them noise.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape.analysis import compare
from napari_phenoscape.analysis.evaluation._comparison import OF_SPECIMENS, SIGNED
from napari_phenoscape.analysis.evaluation._score import Score, mean_of, scored
from napari_phenoscape.analysis.evaluation._verdict import paired

#: Specimens and kinds.
SIZES = ((24, 8), (60, 20), (120, 30), (300, 50))

#: How much more often one of two embeddings is right.
PAIRED = "right more often"

#: Numbers of an embedding.
DIMENSIONS = 16


def scores_on_noise(
    size: tuple[int, int], measures: tuple[str, ...], trial: int
) -> dict[str, Score]:
    """Scores that have an interval, of one trial."""
    specimens, kinds = size
    draws = np.random.default_rng((specimens, trial))
    x = draws.normal(size=(specimens, DIMENSIONS)).astype(np.float32)
    labels = draws.integers(0, kinds, specimens)
    if measures:
        other = draws.normal(size=(specimens, DIMENSIONS)).astype(np.float32)
        return {
            name: paired(x, other, pd.Series(labels, name="kind"))
            if name == PAIRED
            else _alone(name, x, labels)
            for name in measures
        }
    scores = compare(x, pd.Series(labels, name="kind"))
    return {name: one for name, one in scores.items() if np.isnan(one.p)}


def _alone(name: str, x: NDArray[np.float32], labels: NDArray[np.int64]) -> Score:
    """As `compare` has it where all are of one level, each a group of its own."""

    def statistic(rows: NDArray[np.intp]) -> float:
        return mean_of(OF_SPECIMENS[name](x[rows], labels[rows], rows).astype(np.float64))

    return scored(statistic, np.arange(len(x)), proportion=name not in SIGNED)


def main(trials: int, processes: int, *measures: str) -> None:
    """Print a table."""
    print("| specimens / kinds | measure | chance | holds chance | holds its value |")
    print("|---|---|---|---|---|")
    with ProcessPoolExecutor(processes) as pool:
        for size in SIZES:
            tried = list(pool.map(partial(scores_on_noise, size, measures), range(trials)))
            for measure in tried[0]:
                scores = [scores[measure] for scores in tried]
                mean = float(np.mean([one.value for one in scores]))
                chance = 0.0 if measure.startswith(("adjusted", PAIRED)) else mean
                held = sum(one.low <= chance <= one.high for one in scores)
                own = sum(one.low <= one.value <= one.high for one in scores)
                specimens, kinds = size
                print(
                    f"| {specimens} / {kinds} | {measure} | {chance:.3f} | {held} of {trials} "
                    f"| {own} of {trials} |",
                    flush=True,
                )


if __name__ == "__main__":
    trials, processes = [*map(int, sys.argv[1:3]), *(100, 2)[len(sys.argv[1:3]) :]]
    main(trials, processes, *sys.argv[3:])
