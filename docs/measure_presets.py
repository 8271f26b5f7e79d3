"""Trains an experiment with every preset, and prints what each embedding tells, as Markdown.

``python docs/measure_presets.py experiment.yaml LABEL [PRESET ...]``; the experiments of the
published table are those of real-data.md. The last two rows are the controls.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

from napari_phenoscape.analysis import KNN, Comparison, evaluate
from napari_phenoscape.events import result
from napari_phenoscape.training import Experiment, train
from napari_phenoscape.views import PresetName

MEASURES = (KNN, "linear probe accuracy")


def row(name: str, comparison: Comparison) -> str:
    """One line of the table."""
    scores = (comparison.scores[measure] for measure in MEASURES)
    values = (f"{score.value:.3f} ({score.low:.2f}-{score.high:.2f})" for score in scores)
    return f"| {name} | {' | '.join(values)} |"


def main() -> None:
    """Measure the presets that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("label", help="metadata column to tell")
    parser.add_argument("presets", nargs="*", help="all when none is named")
    given = parser.parse_args()
    experiment = Experiment.read(given.experiment)
    print(f"| augmentations | {' | '.join(MEASURES)} |\n|---|---|---|")
    controls: list[str] = []
    for preset in given.presets or get_args(PresetName):
        run = result(train(experiment.model_copy(update={"augmentations": preset})))
        comparisons = result(evaluate([run], given.label))[given.label]
        trained, untrained, *others = comparisons
        print(row(f"`{preset}`", trained))
        sys.stdout.flush()
        controls = [row("untrained", untrained), row("colour statistics", others[-1])]
    print("\n".join(controls))


if __name__ == "__main__":
    main()
