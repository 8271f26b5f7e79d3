"""The demonstration: specimens with a known answer, learned with and without UV."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from napari_phenoscape.analysis import (
    KNN,
    RAND,
    Comparison,
    cluster_figure,
    cluster_panel,
    cluster_run,
    evaluate,
)
from napari_phenoscape.embeddings import KMeans, embed
from napari_phenoscape.events import Event, Saved
from napari_phenoscape.samples._write import write_samples
from napari_phenoscape.training import Experiment, train

#: The experiments of the samples that are compared, and what to call them.
COMPARED = {"rgb-uv.yaml": "RGB + UV", "rgb.yaml": "RGB only"}


@dataclass(frozen=True)
class Result:
    """What the demonstration found.

    Parameters
    ----------
    runs, species, morphs
        By name of the experiment: the run directory; how well embeddings tell the species; how
        well they tell the UV morphs within a species.
    figure
        PNG of the contact sheets coloured by cluster, and the maps.
    """

    runs: dict[str, Path]
    species: dict[str, list[Comparison]]
    morphs: dict[str, list[Comparison]]
    figure: Path

    @property
    def table(self) -> Table:
        """Species by nearest neighbours, morphs by clusters (two groups in each species).

        KMeans with two clusters would split all specimens by species or by morph, whichever is
        the larger difference, so it does not measure how well species are told.
        """
        table = Table(
            "bands",
            "embedding",
            "species: 5-NN accuracy",
            "UV morphs within species: adjusted Rand index",
        )
        for name in self.runs:
            for species, morph in zip(self.species[name], self.morphs[name], strict=True):
                table.add_row(
                    name,
                    species.embedding,
                    f"{species.scores[KNN].value:.2f}",
                    f"{morph.scores[RAND].value:.2f}",
                )
        return table


def demo(directory: Path, *, seed: int = 0, steps: int = 120) -> Generator[Event, None, Result]:
    """Draw samples, train on them with and without UV, cluster, compare with the answer.

    Parameters
    ----------
    directory
        Where samples, runs and the figure go.
    seed
        Of weights, batches and views; the specimens are the same for every seed.
    steps
        Of each training.
    """
    samples = yield from write_samples(directory / "samples")
    runs, species, morphs, panels = {}, {}, {}, []
    for file, name in COMPARED.items():
        experiment = Experiment.read(samples / file)
        experiment = experiment.model_copy(
            update={
                "seed": seed,
                "runs": (directory / "runs").absolute(),
                "schedule": experiment.schedule.model_copy(update={"steps": steps}),
            }
        )
        runs[name] = run = yield from train(experiment)
        by_label = yield from evaluate([run], "species", "morph", within="species")
        species[name], morphs[name] = by_label["species"], by_label["morph"]
        embeddings = list((yield from embed(run)).values())[-1]
        clusters = yield from cluster_run(run, KMeans(clusters=4))
        note = (
            f"5-NN accuracy of species {species[name][0].scores[KNN].value:.2f}; "
            "adjusted Rand index of UV morphs within species "
            f"{morphs[name][0].scores[RAND].value:.2f}"
        )
        panels.append((yield from cluster_panel(run, embeddings, clusters, name, note)))
    figure = directory / "demo.png"
    cluster_figure(panels, figure)
    yield Saved(figure)
    return Result(runs, species, morphs, figure)


def show(run: Path) -> None:
    """Open a clustered run in napari, in a process of its own, and wait until it is closed."""
    subprocess.run([sys.executable, "-m", "napari_phenoscape.widgets._show", str(run)], check=False)


def has_display() -> bool:
    """Whether a window can be opened here."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True
