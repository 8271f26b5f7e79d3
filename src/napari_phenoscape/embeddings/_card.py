"""Model card: what an exported encoder is, in the form of Hugging Face's [1]_.

References
----------
.. [1] Mitchell et al. 2019, Model cards for model reporting. https://arxiv.org/abs/1810.03993
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import yaml

from napari_phenoscape.events import Notice
from napari_phenoscape.nets import PRETRAINED
from napari_phenoscape.training import (
    Experiment,
    described,
    last_checkpoint,
    read_events,
    read_state,
    versions,
)

#: Name that forges show first in a folder.
CARD = "README.md"


def model_card(run: Path, experiment: Experiment, spaces: Sequence[str]) -> str:
    """Markdown, its head in YAML: data, bands, settings, limits, scores, versions, licences.

    Parameters
    ----------
    spaces
        Whose embeddings the encoder gives.
    """
    state = read_state(last_checkpoint(run))
    head = {
        "library_name": "napari-phenoscape",
        "pipeline_tag": "image-feature-extraction",
        "tags": ["multispectral", "hyperspectral", "specimens", experiment.method.kind],
    }
    bands = [f"- `{name}`: {of.bands.words}" for name, of in state.statistics.items()]
    notices = dict.fromkeys(e.message for e in read_events(run) if isinstance(e, Notice))
    said = [f"- {one}" for one in notices]
    sections = {
        "Data": [
            f"{len(state.specimens)} specimens, by modality:",
            "",
            *bands,
            *(["", "What the run said of them:", "", *said] if said else []),
        ],
        "How it was made": [
            described(experiment, len(state.specimens)),
            "",
            f"Every setting stands in `encoder.yaml`. Exported with {versions()}.",
        ],
        "Input and output": [
            f"Reflectance (N, bands, {experiment.image_size}, {experiment.image_size}) of "
            "specimens cropped to their masks, the bands and the fill of the background as in "
            f"`encoder.yaml`; rows of numbers for {', '.join(f'`{name}`' for name in spaces)}.",
        ],
        "Limits": [f"- {one}" for one in _limits(experiment)],
        "Scores": list(_scores(run)),
        "Licences": list(_licences(experiment)),
    }
    parts = ["---", yaml.safe_dump(head, sort_keys=False).rstrip(), "---", ""]
    parts += [f"# {experiment.name}: an encoder of specimens", ""]
    for title, lines in sections.items():
        parts += [f"## {title}", "", *lines, ""]
    return "\n".join(parts)


def _limits(experiment: Experiment) -> Iterator[str]:
    """What it was not made for."""
    by_nm = experiment.method.trains and experiment.encoder.stem.kind == "spectral_response"
    if by_nm and experiment.method.beside == "nothing":
        yield "Other cameras than that of its specimens are seen by wavelength, and were not tried."
    else:
        yield "It knows the bands above, and no others."
    yield "It tells specimens like those above apart; of other organisms nothing was tried."
    yield "It says who looks alike, not which species a specimen is, nor why."
    yield "What its views vary (exposure, pose and the like) it ignores, where it has learned to."
    if experiment.nuisance.columns:
        yield f"It knows no levels of {experiment.nuisance.name}, which the run took out."


def _scores(run: Path) -> Iterator[str]:
    """A table for each label that the run was evaluated by: embeddings by measures."""
    tables = sorted(run.glob("evaluation*.csv"))
    if not tables:
        yield "It was not evaluated: `phenoscape evaluate` compares it with labels and controls."
    for path in tables:
        found = pd.read_csv(path)
        label = path.stem.removeprefix("evaluation").removeprefix("-")
        yield f"By `{label}`, 95 % intervals over the specimens:" if label else "Without labels:"
        yield ""
        values = found[found["value"].notna()]
        columns = list(dict.fromkeys(values["measure"]))
        yield "| embedding | " + " | ".join(columns) + " |"
        yield "|---" * (len(columns) + 1) + "|"
        for name, rows in values.groupby("embedding", sort=False):
            scores = rows[["value", "low", "high"]].to_numpy(float)
            cells = dict(zip(rows["measure"], map(_cell, *scores.T.tolist()), strict=True))
            yield f"| {name} | " + " | ".join(cells.get(column, "") for column in columns) + " |"
        yield ""
        for words in found.loc[found["measure"] == "verdict", "words"].dropna():
            yield f"{words}"


def _cell(value: float, low: float, high: float) -> str:
    """e.g. ``0.93 [0.90, 0.95]``."""
    return f"{value:.2f}" if low != low else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _licences(experiment: Experiment) -> Iterator[str]:
    """Of the weights that it began with or holds; its own is for its author to choose."""
    encoder, method = experiment.encoder, experiment.method
    known = {str(name): net.words for name, net in PRETRAINED.items()}
    names = [one.holds for one in method.features if one.holds]
    if method.trains and encoder.backbone.startswith("pretrained:"):
        names.append(encoder.backbone.removeprefix("pretrained:"))
    elif method.trains and encoder.weights is not None:
        yield f"It began with the weights of `{encoder.weights.name}`, whose licence holds on."
    elif method.trains and encoder.download:
        yield f"It began with the weights that the library of `{encoder.backbone}` offers."
    for name in names:
        yield f"It holds or began with `{name}`: {known[name]}."
    yield "These weights have the licence that you, who trained them, choose; none is given here."
