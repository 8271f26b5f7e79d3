"""Trains RGB beside UV with and without agreement, and prints the table of cross-modal.md.

``python docs/measure_cross_modal.py samples/rgb-uv.yaml morph species``: a label and what it lies
within. Embeddings are the plain features of the nets, with nothing beside them; of three seeds the
median, and each in brackets.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from napari_phenoscape.analysis import evaluate
from napari_phenoscape.events import result
from napari_phenoscape.training import Experiment, train

AGREEMENT = "adjusted Rand index"

#: Of the rows: what `nt_xent` and `cross_modal` weigh.
WEIGHTS = {
    "`nt_xent` and `cross_modal`, weight 1": (1, 1),
    "`cross_modal` with weight 4": (1, 4),
    "`cross_modal` alone": (0, 1),
}

#: Of the columns: a space and a measure of it.
COLUMNS = (
    ("uv", AGREEMENT),
    ("joint", AGREEMENT),
    ("rgb", "same view found among uv"),
    ("uv", "same view found among rgb"),
    ("rgb", "another view found among uv"),
    ("rgb", "another view found"),
    ("joint", "5-NN accuracy"),
)


def trained(experiment: Experiment, weights: tuple[int, int], seed: int) -> Path:
    """The run of a row and seed: 100 steps at 32 px."""
    kinds = zip(("nt_xent", "cross_modal"), weights, strict=True)
    fields = {
        "modalities": ["rgb", "uv"],
        "image_size": 32,
        "seed": seed,
        "method": {"kind": "simclr", "readout": {"kind": "plain"}, "beside": "nothing"},
        "losses": [{"kind": kind, "weight": weight} for kind, weight in kinds if weight],
        "schedule": experiment.schedule.model_dump() | {"steps": 100},
    }
    return result(train(Experiment.model_validate(experiment.model_dump() | fields)))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("label", help="metadata column to tell")
    parser.add_argument("within", help="metadata column whose groups are looked at one by one")
    given = parser.parse_args()
    experiment = Experiment.read(given.experiment)
    heads = (f"{measure}, `{space}`" for space, measure in COLUMNS)
    print(f"| losses | {' | '.join(heads)} |\n|{'---|' * (1 + len(COLUMNS))}")
    for name, weights in WEIGHTS.items():
        seeds: dict[str, list[list[float]]] = {"trained": [], "untrained": []}
        for seed in range(3):
            run = trained(experiment, weights, seed)
            compared = result(evaluate([run], given.label, within=given.within))[given.label]
            scores = {one.embedding: one.scores for one in compared}
            for net, values in seeds.items():
                values.append([scores[f"{net}, {space}"][what].value for space, what in COLUMNS])
        print(row(name, seeds["trained"]), flush=True)
    print(row("untrained", seeds["untrained"]))


def row(name: str, seeds: list[list[float]]) -> str:
    """One line of the table: of each column the median, and each seed."""
    cells = (
        f"{statistics.median(column):.3f} ({', '.join(f'{value:.3f}' for value in column)})"
        for column in zip(*seeds, strict=True)
    )
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
