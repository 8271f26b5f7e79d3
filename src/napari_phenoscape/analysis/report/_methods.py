"""Methods: how a run was made, in the words of a paper's methods section."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib.metadata import version

from napari_phenoscape.cubes import as_modality
from napari_phenoscape.embeddings import Clusters, Embeddings
from napari_phenoscape.option import Option
from napari_phenoscape.training import Experiment

#: Of which the versions are said.
PACKAGES = ("napari-phenoscape", "torch", "torchvision", "kornia", "scikit-learn", "numpy")

_REFERENCE = re.compile(r"^\.\. \[\d+\] (.*(?:\n   .*)*)", re.M)


def methods(experiment: Experiment, embeddings: Embeddings, clusters: Clusters) -> str:
    """A paragraph: specimens, views, net, embedding, clusters, map; with all that one would ask."""
    number, dimensions = embeddings.x.shape
    bands = ", ".join(as_modality(given).name for given in experiment.modalities)
    views = experiment.augmentations
    views_words = f"preset '{views}'" if isinstance(views, str) else f"{len(views)} operations"
    outside = {"remove": "was replaced by the mean of each band", "keep": "was kept"}
    sentences = [
        f"{number} specimens were cropped to their masks and averaged to {experiment.image_size} "
        f"pixels (modalities: {bands}); bands were standardised by their mean and standard "
        f"deviation over the collection, and what lay outside the masks "
        f"{outside[experiment.background]}."
    ]
    if experiment.method.trains:
        schedule = experiment.schedule
        losses = ", ".join(loss.kind for loss in experiment.losses)
        length = f"{schedule.epochs} epochs" if schedule.epochs else f"{schedule.steps} steps"
        sentences.append(
            f"{experiment.encoder.backbone} (stem {experiment.encoder.stem.kind}) was trained for "
            f"{length} of {schedule.batch_size} specimens, two views each ({views_words}), with "
            f"the loss {losses}, {schedule.optimizer} and a peak learning rate of "
            f"{schedule.learning_rate:g} (seed {experiment.seed})."
        )
    else:
        sentences.append(
            f"Features of {experiment.method.readout.views or 1} views of each specimen "
            f"({views_words}; seed {experiment.seed}) were reduced by the readout "
            f"'{experiment.method.readout.kind}', without training."
        )
    control = ", of the control before training" if embeddings.untrained else ""
    counted = ", their number chosen by silhouette and stability" if clusters.choice else ""
    drawn = f"; the map is {settings(clusters.map)}" if clusters.map else ""
    sentences.append(
        f"Embeddings ({dimensions} dimensions, space '{embeddings.space}'{control}) were scaled to "
        f"unit length and clustered by {settings(clusters.method)}{counted}{drawn} "
        f"(seed {clusters.seed})."
    )
    return " ".join(sentences)


def settings(option: Option) -> str:
    """e.g. ``kmeans (clusters 4)``."""
    fields = option.model_dump(mode="json")
    kind = fields.pop("kind")
    words = ", ".join(f"{name} {value}" for name, value in fields.items())
    return f"{kind} ({words})" if words else str(kind)


def versions() -> str:
    """Of the packages that made the page, e.g. ``torch 2.9.0``, with commas."""
    return ", ".join(f"{name} {version(name)}" for name in PACKAGES)


def citations(experiment: Experiment, clusters: Clusters) -> list[str]:
    """The references of all options in use, each once, as their docstrings have them."""
    found: dict[str, None] = {}
    skipped = {"encoder", "head", "losses", "schedule", "fusion"}
    for name, value in experiment:
        if experiment.method.trains or name not in skipped:
            for option in _options(value):
                found |= dict.fromkeys(_references(option))
    for chosen in (clusters.method, clusters.map):
        for option in _options(chosen):
            found |= dict.fromkeys(_references(option))
    return list(found)


def _options(value: object) -> Iterator[Option]:
    """An option, and those in its fields."""
    if isinstance(value, Option):
        yield value
        for _, inner in value:
            yield from _options(inner)
    elif isinstance(value, tuple):
        for inner in value:
            yield from _options(inner)


def _references(option: Option) -> list[str]:
    text = inspect.getdoc(type(option)) or ""
    return [" ".join(found.split()) for found in _REFERENCE.findall(text)]
