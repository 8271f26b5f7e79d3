"""What a pretrained net tells beside the descriptor, alone, and without it: the numbers and figure.

``python docs/measure_pretrained.py experiment.yaml LABEL [-o figure.png]``; the experiment of the
published table is that of see-at-once.md. Prints Markdown: for each of three seeds the share of
specimens whose five nearest neighbours, leaving one out, name the right class.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from measure_nuisance import SEEDS, draw, embedded

from napari_phenoscape.analysis.evaluation._neighbours import knn_correct
from napari_phenoscape.specimens import Nuisance
from napari_phenoscape.training import Experiment

FEATURES = {
    "descriptor": ["descriptor"],
    "`efficientnet_lite0`": ["pretrained"],
    "both, side by side": ["descriptor", "pretrained"],
}


def main() -> None:
    """Fit each of the features, and draw the first seed's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("label", help="metadata column to tell")
    parser.add_argument("-o", "--output", type=Path, help="PNG")
    given = parser.parse_args()
    experiment, shown = Experiment.read(given.experiment), {}
    print(f"| features | {' | '.join(f'seed {seed}' for seed in SEEDS)} |\n|---|---|---|---|")
    for name, features in FEATURES.items():
        method = {"kind": "instant", "features": features}
        found = [
            embedded(Experiment.parse({**experiment.model_dump(), "method": method, "seed": seed}))
            for seed in SEEDS
        ]
        right = [float(knn_correct(each.x, each.table[given.label]).mean()) for each in found]
        print(f"| {name} | {' | '.join(f'{each:.3f}' for each in right)} |", flush=True)
        shown[f"{name.strip('`')}: {right[0]:.2f}"] = found[0]
    if given.output:
        levels = Nuisance(columns=(given.label,)).of(found[0].table)
        assert levels is not None
        draw(shown, given.label, levels, given.output)


if __name__ == "__main__":
    main()
