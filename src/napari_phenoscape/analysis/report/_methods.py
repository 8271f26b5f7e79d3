"""Methods: how a run was made, in the words of a paper's methods section."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from napari_phenoscape.embeddings import Clusters, Embeddings
from napari_phenoscape.option import Option
from napari_phenoscape.training import Experiment, described

_REFERENCE = re.compile(r"^\.\. \[\d+\] (.*(?:\n   .*)*)", re.M)


def methods(experiment: Experiment, embeddings: Embeddings, clusters: Clusters) -> str:
    """A paragraph: specimens, views, net, embedding, clusters, map; with all that one would ask."""
    number, dimensions = embeddings.x.shape
    control = ", of the control before training" if embeddings.untrained else ""
    counted = ", their number chosen by silhouette and stability" if clusters.choice else ""
    drawn = f"; the map is {settings(clusters.map)}" if clusters.map else ""
    return (
        f"{described(experiment, number)} Embeddings ({dimensions} dimensions, space "
        f"'{embeddings.space}'{control}) were scaled to unit length and clustered by "
        f"{settings(clusters.method)}{counted}{drawn} (seed {clusters.seed})."
    )


def settings(option: Option) -> str:
    """e.g. ``kmeans (clusters 4)``."""
    fields = option.model_dump(mode="json")
    kind = fields.pop("kind")
    words = ", ".join(f"{name} {value}" for name, value in fields.items())
    return f"{kind} ({words})" if words else str(kind)


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
