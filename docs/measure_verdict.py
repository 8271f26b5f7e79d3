"""How often `evaluate` calls an embedding better when it is not.

Four cases, each with a trained embedding, its start, two of colour and an instant one:

- noise: numbers that know nothing of the labels;
- shuffled: embeddings of kinds that lie apart, the labels of the specimens exchanged;
- as good: all know the labels equally well, each through noise of its own;
- collapsed: the trained embedding is the same for all specimens, the others are noise.

Printed for each: of how many trials the verdict says "Better than before training ..." (and not
only than some), and of how many trials one pair alone is called better (two-sided 5 %, so 2.5 %
by chance).

    python docs/measure_verdict.py [TRIALS] [PROCESSES]
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pandas as pd

from napari_phenoscape.analysis.evaluation._verdict import (
    COLOUR,
    COMMONEST,
    START,
    TEXTURE,
    paired,
    verdict,
)

#: Specimens of each kind: one case of kinds alike, one of a common kind.
SIZES = ((20, 20, 20), (60, 60, 60), (176, 53, 48, 22), (5,) * 20)

#: What an embedding is measured against.
OTHERS = (START, f"{COLOUR}: colour statistics", f"{COLOUR}: colour quantiles", TEXTURE)

CASES = ("noise", "shuffled", "as good", "collapsed")

#: Numbers of an embedding, and distance of kinds in standard deviations of each number.
DIMENSIONS, APART = 16, 0.6


def said_by_chance(sizes: tuple[int, ...], case: str, trial: int) -> tuple[bool, bool]:
    """Whether a trial is called better than all, and than the first of them alone."""
    draws = np.random.default_rng((sum(sizes), len(sizes), CASES.index(case), trial))
    kinds = np.repeat(np.arange(len(sizes)), sizes)
    apart = APART if case in ("shuffled", "as good") else 0
    centres = draws.normal(size=(len(sizes), DIMENSIONS)) * apart
    embeddings = [
        (centres[kinds] + draws.normal(size=(len(kinds), DIMENSIONS))).astype(np.float32)
        for _ in range(1 + len(OTHERS))
    ]
    labels = pd.Series(kinds if case == "as good" else draws.permutation(kinds), name="kind")
    own, *others = embeddings
    if case == "collapsed":
        own[:] = 1
    scores = {name: paired(own, x, labels) for name, x in zip(OTHERS, others, strict=True)}
    alone = {START: scores[START]}
    scores[COMMONEST] = paired(own, None, labels)
    better, better_alone = (verdict(of, len(kinds)).startswith("Better") for of in (scores, alone))
    return better, better_alone


def main(trials: int = 200, processes: int = 2) -> None:
    """Print a table."""
    print("| specimens / kinds | case | called better | than its start alone |")
    print("|---|---|---|---|")
    with ProcessPoolExecutor(processes) as pool:
        for sizes in SIZES:
            for case in CASES:
                tried = list(pool.map(partial(said_by_chance, sizes, case), range(trials)))
                both = (f"{sum(each)} of {trials}" for each in zip(*tried, strict=True))
                print(f"| {sum(sizes)} / {len(sizes)} | {case} | {' | '.join(both)} |", flush=True)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3]))
