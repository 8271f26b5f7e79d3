"""The table of real data: every method on files that nobody here made, plain and with readout.

The files are in the folder that PHENOSCAPE_DATA names, one folder each: ``wbc-zheng`` (stained
white blood cells of two laboratories) and ``neon-trees-hsi`` (crowns from the air). The fourth set
are the samples, which are drawn. Nothing is tuned on labels; they are for the scores alone:

- cells: 5-NN accuracy of the class, leave one out;
- laboratories: cells of the second by the votes of their five nearest in the first, which the
  run was made of; back: of the first, by those of the second;
- trees: whether the nearest crown of another year is of the same tree, the mean of each year
  taken from the embeddings of that year;
- morphs: adjusted Rand index of two clusters in each species, where the morphs differ in UV alone.

Prints a row for each embedding: the median over seeds, then each.

    PHENOSCAPE_DATA=data python docs/make_real_data.py [--quick] [--seeds 3] [--only cells trees]

``--quick`` trains nothing. lightly's SimCLR on the cells: ``python -m tests.benchmarks.quality``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape.analysis import RAND, compare
from napari_phenoscape.analysis.evaluation._neighbours import knn_correct, knn_vote
from napari_phenoscape.embeddings import EmbeddedRun, embed_all
from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import Collection, collect, colour_quantiles, colour_statistics
from napari_phenoscape.training import Experiment, InstantMethod, SimCLRMethod, train

#: Steps of each training.
STEPS = 150

#: What is fitted or trained on each set, quick ones first: fields of an experiment, and what is
#: added to the names of its embeddings.
QUICK: dict[str, dict[str, Any]] = {
    "": {"method": "instant"},
    " with the pretrained net": {
        "method": {"kind": "instant", "features": ["descriptor", "pretrained"]}
    },
}
TRAINED: dict[str, dict[str, Any]] = {
    "": {"method": "simclr"},
    " from the pretrained net": {
        "method": "simclr",
        "encoder": {"backbone": "pretrained:efficientnet_lite0"},
    },
    " of a small net": {"method": "simclr", "encoder": {"backbone": "timm:test_resnet"}},
}

#: How one training is read out, and what is added to the names of its embeddings.
READ_OUT = {"": SimCLRMethod(), " by itself": SimCLRMethod(beside="nothing")}

#: The folder of the crowns, as their authors name it.
CROWNS = "110ac77ae89043898f618466359c2a2e"

#: Embedding and metadata of a collection: the run's own, and another one where there is any.
Part = tuple[NDArray[np.float32], pd.DataFrame]


@dataclass(frozen=True)
class Data:
    """A set of specimens, and what is asked of their embeddings.

    Parameters
    ----------
    given
        Of the experiment.
    score
        Of the embedding of the run's own specimens, and of ``others``.
    others
        Where these come from.
    batch
        Specimens in a step.
    """

    given: dict[str, Any]
    score: Callable[..., float]
    others: dict[str, Any] | None = None
    batch: int = 64


def _cells_right(own: Part) -> float:
    x, table = own
    return float(knn_correct(x, table["class label"].astype(str)).mean())


def _laboratory_right(own: Part, other: Part) -> float:
    x = np.concatenate([own[0], other[0]])
    # the two laboratories' tables call it differently
    labels = [
        table["class label" if "class label" in table else "class"] for _, table in (own, other)
    ]
    kinds = pd.concat(labels).astype(int).to_numpy()
    voters = np.arange(len(x)) < len(own[0])
    votes = knn_vote(x, np.where(voters, kinds, -1)).codes
    return float((votes == kinds)[~voters].mean())


def _trees_right(own: Part) -> float:
    x, table = own
    year, tree = table["tile_year"].to_numpy(), table["individualID"].astype(str)
    centred = x - pd.DataFrame(x).groupby(year).transform("mean").to_numpy()
    return float(knn_correct(centred, tree, k=1, groups=year).mean())


def _morphs_right(own: Part) -> float:
    x, table = own
    return compare(x, table["morph"], within=table["species"])[RAND].value


def _folder(path: Path, **given: str) -> dict[str, Any]:
    return {"kind": "folder", "path": str(path), **given}


def sets(data: Path, drawn: Path) -> dict[str, Data]:
    """By name; the samples are drawn into a folder."""
    cells, crowns = data / "wbc-zheng", data / "neon-trees-hsi" / CROWNS
    laboratories = [
        _folder(
            cells / f"Dataset {number}",
            pattern="*.bmp",
            mask="{stem}.png",
            metadata=str(cells / f"Class Labels of Dataset {number}.csv"),
        )
        for number in (1, 2)
    ]
    trees = _folder(crowns, pattern="*.tif", metadata=str(crowns / "annotations.csv"))
    photographs = _folder(drawn / "multispectral")
    lab = {"collection": laboratories[0], "modalities": ["rgb"], "image_size": 64}
    return {
        "cells": Data(lab, _cells_right),
        "laboratories": Data(lab, _laboratory_right, laboratories[1]),
        "back": Data({**lab, "collection": laboratories[1]}, _laboratory_right, laboratories[0]),
        "trees": Data(
            {"collection": trees, "modalities": ["full"], "image_size": 32}, _trees_right, batch=26
        ),
        "morphs": Data(
            {"collection": photographs, "modalities": ["rgb+uv"], "image_size": 64}, _morphs_right
        ),
    }


def embedded(
    data: Data, method: dict[str, Any], more: str, seed: int, runs: Path
) -> dict[str, list[NDArray[Any]]]:
    """By name, the embeddings of the own and of the other specimens of a run, and plain colour."""
    experiment = Experiment.parse(
        {**data.given, **method, "seed": seed, "runs": str(runs)}
        | {"schedule": {"steps": STEPS, "batch_size": data.batch}}
    )
    run, sources = result(train(experiment)), [experiment.collection]
    if data.others:
        sources.append(Experiment.parse({**data.given, "collection": data.others}).collection)
    collections = [result(collect(source)) for source in sources]
    found: dict[str, list[NDArray[Any]]] = {}
    ways = READ_OUT if experiment.method.trains else {"": experiment.method}
    for alone, way in ways.items():
        read = experiment.model_copy(update={"method": way})
        (run / "experiment.yaml").write_text(read.to_yaml(), "utf-8")  # its readouts fit no more
        made = [_embedded(run, each) for each in collections]
        for name, output in zip(way.outcomes, (_trained, _untrained), strict=True):
            parts = [list(output(each).spaces.values())[-1].x for each in made]
            found[f"{name}{more}{alone}"] = parts
        for name in made[0].others:
            kept = name.split(",")[0]
            if kept not in InstantMethod.outcomes:
                kept += more if " plain" in kept else ""
                found[kept] = [each.others[name] for each in made]
    for name, colour in (
        ("colour statistics", colour_statistics), ("colour quantiles", colour_quantiles)
    ):  # fmt: skip
        found[name] = _standardised([colour(each.crops) for each in made])
    return found


def tables(data: Data) -> list[pd.DataFrame]:
    """Metadata of the own and of the other specimens."""
    sources = [data.given["collection"], *([data.others] if data.others else [])]
    parsed = [Experiment.parse({**data.given, "collection": one}).collection for one in sources]
    return [result(collect(source)).metadata.reset_index(drop=True) for source in parsed]


def _embedded(run: Path, collection: Collection) -> EmbeddedRun:
    made = result(embed_all(run, run / ".parts", collection))
    assert made is not None  # of several processes the first has it
    return made


def _trained(made: EmbeddedRun) -> Any:
    return made.trained


def _untrained(made: EmbeddedRun) -> Any:
    return made.untrained


def _standardised(parts: list[NDArray[np.float32]]) -> list[NDArray[Any]]:
    mean, spread = parts[0].mean(axis=0), parts[0].std(axis=0)
    return [(part - mean) / np.where(spread > 0, spread, 1) for part in parts]


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="train nothing")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="names of sets")
    given = parser.parse_args()
    if "PHENOSCAPE_DATA" not in os.environ:
        sys.exit("PHENOSCAPE_DATA does not name the folder of the data; set it.")
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "samples"
        if not given.only or "morphs" in given.only:
            result(write_samples(drawn, drawer=False))
        every = sets(Path(os.environ["PHENOSCAPE_DATA"]), drawn)
        for name in given.only or every:
            data, scores = every[name], dict[str, dict[int, float]]()
            known = tables(data)
            for seed in range(given.seeds):
                made = [*QUICK.items(), *([] if given.quick else TRAINED.items())]
                for more, method in made:
                    backbone = method.get("encoder", {}).get("backbone", "")
                    if "pretrained" in backbone and data.given["modalities"] != ["rgb"]:
                        continue  # that net takes red, green and blue
                    runs = Path(folder) / "runs"
                    for of, parts in embedded(data, method, more, seed, runs).items():
                        score = data.score(*zip(parts, known, strict=True))
                        scores.setdefault(of, {})[seed] = score
            print(f"\n| {name} | median | seeds |\n|---|---|---|")
            for of, by_seed in scores.items():
                each = ", ".join(f"{value:.3f}" for value in by_seed.values())
                print(f"| {of} | {statistics.median(by_seed.values()):.3f} | {each} |", flush=True)


if __name__ == "__main__":
    main()
