"""Elements: the kinds of places that the patterns of many specimens are made of."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape.analysis.explanation._cells import cells_of, grouped
from napari_phenoscape.analysis.explanation._spectra import bands_present
from napari_phenoscape.cubes import Bands
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Progress
from napari_phenoscape.specimens import Crops

#: Cells of a specimen, about; small ones, so that few lie across an edge.
CELLS = 80

#: Reflectance that is added before logarithms: of the order of a camera's noise, or darkness
#: would be of many kinds.
FLOOR = 0.03

#: Weight of brightness beside the shape of the spectrum, which exposure does not change.
BRIGHTNESS = 0.2

#: Cells that kinds are found by; the others are given to the nearest.
ENOUGH = 20_000

#: Of the reflectance of an element's cells.
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, eq=False)
class Elements:
    """Elements of N specimens, the largest first.

    Parameters
    ----------
    labels : (N, S, S) uint8
        Element of each pixel of the crops, from 1; 0 outside, and of specimens that lack bands.
    shares : (N, K)
        Of each specimen's area; 0 where it has none.
    bands
        C bands.
    mean, sd, quantiles : (K, C), (K, C), (3, K, C)
        Reflectance over the cells of an element; a cell's is its median, and all count alike.
    cells : (K,)
        How many of them there are.
    """

    labels: NDArray[np.uint8]
    shares: NDArray[np.float64]
    bands: Bands
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    cells: NDArray[np.int64]

    @property
    def number(self) -> int:
        """K."""
        return len(self.cells)


def elements(
    crops: Crops, number: int, seed: int = 0, cells: int = CELLS
) -> Generator[Progress, None, Elements]:
    """Cut all specimens into cells, and cluster the cells of all together.

    Cells are `cells_of` a specimen, described by the shape of their median spectrum and, with less
    weight, their brightness ::

        ln((r + 0.03) / geometric mean) / sqrt(C),   0.2 ln(root mean square of r + 0.02)

    and clustered by k-means. They are facts of the photographs, not of a net.

    Parameters
    ----------
    number
        K, 2 to 255.

    Raises
    ------
    CollectionError
        There are fewer cells than elements: all specimens lack some band.
    """
    from sklearn.cluster import KMeans

    whole: NDArray[np.bool_] = np.all(bands_present(crops), axis=1)
    found, spectra, sizes = [], [], []
    for i, (image, mask) in enumerate(zip(crops.images, crops.masks[:, 0], strict=True)):
        yield Progress("cutting specimens into cells", i, len(crops.ids))
        own = np.zeros(mask.shape, np.int64)
        if whole[i] and mask.any():
            own = cells_of(image, mask, crops.bands, crops.mean, crops.std, cells)
        numbers = np.arange(1, int(own.max()) + 1)
        spectra += [np.median(image[:, own == n], axis=1) for n in numbers]
        sizes.append(np.bincount(own.ravel(), minlength=len(numbers) + 1)[1:])
        found.append(own)
    yield Progress("clustering cells", 0, 1)
    if len(spectra) < number:
        raise CollectionError(
            f"{len(spectra)} cells of specimens that have all bands cannot be of {number} kinds. "
            "Ask for fewer elements, or choose a modality that all specimens have."
        )
    values = np.stack(spectra).astype(np.float64)
    features = _described(values, crops.bands)
    rng = np.random.default_rng(seed)
    some = rng.permutation(len(features))[:ENOUGH]
    fitted = KMeans(number, n_init=5, random_state=seed).fit(features[some])
    kinds, size = fitted.predict(features), np.concatenate(sizes)
    order = np.argsort(-np.bincount(kinds, size, minlength=number), kind="stable")
    kinds = np.argsort(order)[kinds]  # the largest is the first
    return _gathered(crops, found, kinds, size, values, number)


def _described(values: NDArray[np.float64], bands: Bands) -> NDArray[np.float64]:
    """(M, D) of (M, C) reflectances."""
    lit = grouped(values.T, bands).T.clip(0)
    logs = np.log(lit + FLOOR)
    shape = (logs - logs.mean(axis=1, keepdims=True)) / np.sqrt(logs.shape[1])
    bright = BRIGHTNESS * np.log(np.sqrt((lit**2).mean(axis=1)) + 0.02)
    return np.column_stack([bright, shape])


def _gathered(
    crops: Crops,
    found: list[NDArray[np.int64]],
    kinds: NDArray[np.int64],
    size: NDArray[np.int64],
    values: NDArray[np.float64],
    number: int,
) -> Elements:
    labels, shares, start = [], np.zeros((len(found), number)), 0
    for i, own in enumerate(found):
        count = int(own.max())
        part = slice(start, start + count)
        labels.append(np.concatenate([[0], kinds[part] + 1]).astype(np.uint8)[own])
        if count:
            shares[i] = np.bincount(kinds[part], size[part], minlength=number) / size[part].sum()
        start += count
    of = [values[kinds == kind] for kind in range(number)]
    return Elements(
        np.stack(labels),
        shares,
        crops.bands,
        np.stack([own.mean(axis=0) for own in of]),
        np.stack([own.std(axis=0) for own in of]),
        np.stack([np.quantile(own, QUANTILES, axis=0) for own in of], axis=1),
        np.array([len(own) for own in of], np.int64),
    )


def elements_table(found: Elements) -> pd.DataFrame:
    """One row per element and band: ``element, cells, area, specimens``; ``band, wavelength_nm``.

    ``area`` is the mean share over the specimens, ``specimens`` how many have it; then ``mean, sd,
    10%, 50%, 90%`` of the reflectance over its cells.
    """
    parts: list[dict[str, Any]] = []
    for kind in range(found.number):
        own = {
            "element": kind + 1,
            "cells": found.cells[kind],
            "area": found.shares[:, kind].mean(),
            "specimens": int((found.shares[:, kind] > 0).sum()),
        }
        for c, band in enumerate(found.bands):
            spread = {f"{q:.0%}": found.quantiles[j, kind, c] for j, q in enumerate(QUANTILES)}
            of_band = {"band": band.name, "wavelength_nm": band.wavelength_nm}
            parts.append(
                own | of_band | {"mean": found.mean[kind, c], "sd": found.sd[kind, c]} | spread
            )
    return pd.DataFrame(parts)


def element_shares(found: Elements, specimens: pd.DataFrame) -> pd.DataFrame:
    """One row per specimen: ``specimen, filename``, and the share of its area of each element."""
    table = specimens[["specimen", "filename"]].reset_index(drop=True)
    return table.assign(**{f"element {k + 1}": found.shares[:, k] for k in range(found.number)})
