"""Measures what is left of a nuisance when it is named, part by part, and draws the figure.

``python docs/measure_nuisance.py experiment.yaml LABEL NUISANCE [-o figure.png]``; the experiments
of the published table are those of batch-effects.md. Prints Markdown: for each of three seeds the
accuracy across levels, and how far levels keep to themselves.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape.analysis.evaluation._across import across, mixing
from napari_phenoscape.analysis.evaluation._neighbours import knn_correct
from napari_phenoscape.embeddings import Embeddings, embed, unit_length
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Levels, Nuisance
from napari_phenoscape.training import Experiment, if_mixed, train

PARTS: dict[str, dict[str, bool] | None] = {
    "not named": None,
    "`bands` alone": {"centre": False},
    "`centre` alone": {"bands": False},
    "named": {},
}
SEEDS = (0, 1, 2)


def embedded(experiment: Experiment) -> Embeddings:
    """Of the main space of a new run."""
    return list(result(embed(result(train(experiment)))).values())[-1]


def scores_of(
    x: NDArray[np.float32], labels: pd.Series, levels: Levels, name: str
) -> dict[str, float]:
    """By measure."""
    known = levels.codes >= 0
    near = {"5-NN accuracy": knn_correct(x, labels.astype(str).to_numpy()).mean()}
    others = {
        key: score.value
        for key, score in across(x, labels, levels, name).items()
        if ": " not in key or len(levels.names) == 2  # or the table is too wide
    }
    mixed = {key: score.value for key, score in mixing(x, levels, name).items()}
    return (
        near | others | mixed | {f"5-NN {name}": knn_correct(x[known], levels.codes[known]).mean()}
    )


def draw(shown: dict[str, Embeddings], label: str, levels: Levels, path: Path) -> None:
    """Two leading components of unit-length embeddings, coloured by level; lines join a label."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(shown), 3.7), layout="constrained")
    for axes, (title, embeddings) in zip(
        figure.subplots(1, len(shown)), shown.items(), strict=True
    ):
        unit = unit_length(embeddings.x.astype(np.float64))
        centred = unit - unit.mean(axis=0)
        places = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
        labels = embeddings.table[label].astype(str).to_numpy()
        if len(np.unique(labels)) > len(labels) / 10:
            for one in np.unique(labels):
                own = places[labels == one]
                ends = np.stack([own, np.broadcast_to(own.mean(axis=0), own.shape)], axis=1)
                for end in ends:
                    axes.plot(*end.T, color="#c8c8c8", linewidth=0.7, zorder=1)
        for number, level in enumerate(levels.names):
            rows = levels.rows(level)
            axes.scatter(*places[rows].T, s=16, color=f"C{number}", label=level, zorder=2)
        axes.set_title(title, loc="left", size=10)
        axes.set(xticks=[], yticks=[], xlabel="component 1", ylabel="component 2")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure the parts of a nuisance on one experiment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("label", help="metadata column to tell")
    parser.add_argument("nuisance", help="metadata column that differs for technical reasons")
    parser.add_argument("-o", "--output", type=Path, help="PNG")
    given = parser.parse_args()
    experiment = Experiment.read(given.experiment)
    shown: dict[str, Embeddings] = {}
    first = True
    for name, parts in PARTS.items():
        option = Nuisance() if parts is None else Nuisance(columns=(given.nuisance,), **parts)
        found: list[dict[str, float]] = []
        for seed in SEEDS:
            asked = experiment.model_copy(update={"nuisance": option, "seed": seed})
            embeddings = embedded(asked)
            of = Nuisance(columns=(given.nuisance,)).of(embeddings.table)
            assert of is not None
            levels = of
            found.append(
                scores_of(embeddings.x, embeddings.table[given.label], levels, given.nuisance)
            )
            if name in ("not named", "named"):
                shown.setdefault(f"'{given.nuisance}' {name}", embeddings)
        if first:
            print(f"`{given.label}`; by lot, {if_mixed(levels):.2f} would be of the same level\n")
            print(f"| nuisance | {' | '.join(found[0])} |\n|---|{'---|' * len(found[0])}")
            first = False
        cells = [
            f"{median(values):.2f} ({', '.join(f'{value:.2f}' for value in values)})"
            for values in zip(*(each.values() for each in found), strict=True)
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    if given.output:
        draw(shown, given.label, levels, given.output)


if __name__ == "__main__":
    main()
