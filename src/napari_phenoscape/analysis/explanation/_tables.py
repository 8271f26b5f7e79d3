"""Tables: an explanation by band, by occluded window and by specimen."""

from __future__ import annotations

import pandas as pd

from napari_phenoscape.analysis.explanation._explanation import Explanation
from napari_phenoscape.embeddings import NOISE


def bands_table(explanation: Explanation) -> pd.DataFrame:
    """One row per cluster and band.

    Columns ``cluster, name, band, wavelength_nm``; ``n, mean, sd`` of the reflectance over the
    specimens that have the band; ``hedges_g vs others`` (all other specimens), and one such column
    for each cluster, by its number.
    """
    bands, names = explanation.spectra.bands, explanation.clusters.names
    parts = []
    for number, moments in zip(explanation.numbers, explanation.moments, strict=True):
        part = pd.DataFrame(
            {
                "cluster": number,
                "name": names[number],
                "band": [band.name for band in bands],
                "wavelength_nm": [band.wavelength_nm for band in bands],
                "n": moments.n,
                "mean": moments.mean,
                "sd": moments.sd,
            }
        )
        if number != NOISE:
            part["hedges_g vs others"] = explanation.effect(number)
            for other in explanation.nearest:
                if other != number:
                    part[f"hedges_g vs {other}"] = explanation.effect(number, other)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def occlusion_table(explanation: Explanation) -> pd.DataFrame:
    """One row per cluster and window: ``cluster, name, window, n, margin, lost, sd``.

    ``margin`` with all bands, and how much of it is ``lost`` without those of the window: means
    over the specimens of the cluster, and the standard deviation of the second.
    """
    assert explanation.occlusion is not None  # else there is nothing to tell
    rows = []
    for number, lost in zip(explanation.numbers, explanation.lost, strict=True):
        if number == NOISE:
            continue
        margin = explanation.occlusion.margin[explanation.membership.labels == number].mean()
        for w, window in enumerate(explanation.occlusion.windows):
            own = {"n": lost.n[w], "margin": margin, "lost": lost.mean[w], "sd": lost.sd[w]}
            name = explanation.clusters.names[number]
            rows.append({"cluster": number, "name": name, "window": window.name, **own})
    return pd.DataFrame(rows)


def specimens_table(explanation: Explanation) -> pd.DataFrame:
    """One row per specimen: ``specimen, filename, cluster, name``, then `Membership`."""
    of, names = explanation.membership, explanation.clusters.names
    return explanation.table[["specimen", "filename"]].assign(
        cluster=of.labels,
        name=[names[number] for number in of.labels.tolist()],
        similarity=of.similarity,
        silhouette=of.silhouette,
        other=[names[number] for number in of.other.tolist()],
    )
