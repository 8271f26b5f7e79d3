"""Across: how well embeddings tell a label from one level of a nuisance to the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._tables import is_unknown
from napari_phenoscape.analysis.evaluation._neighbours import knn_correct
from napari_phenoscape.analysis.evaluation._score import Score, over_specimens
from napari_phenoscape.events import Notice
from napari_phenoscape.specimens import SMALL, Levels, Nuisance, association
from napari_phenoscape.training import mixing_words, same_level


def mixing(x: NDArray[np.float32], levels: Levels, name: str) -> dict[str, Score]:
    """The share of the (N, D) rows whose nearest other is of the same level."""
    return {f"nearest is of the same {name}": over_specimens(same_level(x, levels))}


def across(
    x: NDArray[np.float32], labels: pd.Series[Any], levels: Levels, name: str
) -> dict[str, Score]:
    """Accuracy of the nearest specimens of other levels, those of the same one being barred.

    Over all, and of the specimens of each level. One whose label no other level has is missed.

    Parameters
    ----------
    x : (N, D)
        Embeddings; a specimen with NaN is left out.
    labels : (N,)
        What is known; a specimen without is left out.
    levels
        Of the N specimens; one whose level is not known is left out.
    name
        Of the nuisance.
    """
    known = ~is_unknown(labels).to_numpy() & (levels.codes >= 0) & ~np.isnan(x).any(axis=1)
    own, label = levels.take(np.flatnonzero(known)), labels[known].astype(str).to_numpy()
    if len(np.unique(own.codes)) < 2:
        return {}
    correct = {k: knn_correct(x[known], label, k, own.codes) for k in (5, 1)}
    scores = {f"{k}-NN accuracy across {name}": over_specimens(of) for k, of in correct.items()}
    for level in own.names:
        if len(rows := own.rows(level)):
            scores[f"5-NN accuracy across {name}: {level}"] = over_specimens(correct[5][rows])
    return scores


def nuisance_notices(
    nuisance: Nuisance,
    levels: Levels,
    labels: pd.DataFrame,
    embeddings: Mapping[str, NDArray[np.float32]],
) -> Iterator[Notice]:
    """How far a nuisance still tells, and labels that go together with it.

    ``embeddings`` are (N, D) by name, plain colour among them.
    """
    shares = {name: float(np.nanmean(same_level(x, levels))) for name, x in embeddings.items()}
    plain = next(name for name in shares if name.endswith("colour statistics"))
    before = shares.pop(plain)
    yield Notice(mixing_words(nuisance.name, before, shares, levels))
    for label in labels:
        if label in nuisance.columns:
            continue
        strength = association(levels, labels[label])
        if strength >= SMALL:
            yield Notice(
                f"'{nuisance.name}' and '{label}' go together (Cramér's V {strength:.2f}; 0 = "
                "independent, 1 = the same): what is taken out with the one is in part the other, "
                "and what is left of the one helps to tell the other."
            )
