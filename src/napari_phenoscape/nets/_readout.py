"""Readouts: from the features of a specimen's views to its embedding."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape.errors import OptionError
from napari_phenoscape.option import Option, Variants

#: Features beyond so many are first reduced to their principal components.
MANY_FEATURES = 256

#: Of the dimensions that are chosen by themselves: in more, clusters drown.
FEWEST, MOST = 2, 32


class Affine(NamedTuple):
    """What a readout does to the features of a view: ``(features - centre) / scale @ weights``.

    The embedding of several views of a specimen is their mean.

    Parameters
    ----------
    centre, scale : (D,) each
        Mean and standard deviation of the features.
    weights : (D, K)
        What each feature, so standardised, gives to each dimension of the embedding.
    """

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., D) -> (..., K)."""
        return (features - self.centre) / self.scale @ self.weights


class Plain(Option):
    """The features of the whole specimen, nothing divided out."""

    kind: Literal["plain"] = "plain"

    @property
    def views(self) -> int:
        """Views of a specimen whose mean embedding is its own; 0: the whole specimen."""
        return 0

    def fit(self, features: NDArray[np.float32]) -> Affine:
        """The readout of (N, 1, D) features of whole specimens, which standardises each."""
        width = features.shape[-1]
        return Affine(*_moments(features.reshape(-1, width)), np.eye(width))


class Contrast(Option):
    """What views of a specimen vary is divided out; what tells specimens apart is kept.

    Fisher's linear discriminant [1]_ with every specimen a class of its own views, known from
    speaker recognition as within-class covariance normalisation [2]_. Of the standardised features
    f(i, v) of V views of N specimens, with means m(i) over views and m over all, the scatter within
    specimens ::

        S_w = 1/(N V) sum_iv (f(i, v) - m(i)) (f(i, v) - m(i))'

    is shrunk as Ledoit and Wolf do [3]_, so that few specimens suffice, and the embedding is the
    principal components of ``S_w^(-1/2) (m(i) - m)``: the best that a linear net could gain by
    contrasting views, without training.

    Dimensions: the components along which the m(i) vary by more than the views of one specimen do,
    and by more than chance makes of N specimens alike in D directions, which is
    ``(1 + sqrt(D/N))^2 / (V - 1)`` times that [4]_; 2 to 32 of them.

    References
    ----------
    .. [1] Fisher 1936, The use of multiple measurements in taxonomic problems.
       https://doi.org/10.1111/j.1469-1809.1936.tb02137.x
    .. [2] Hatch, Kajarekar & Stolcke 2006, Within-class covariance normalization for SVM-based
       speaker recognition, Interspeech. https://doi.org/10.21437/Interspeech.2006-183
    .. [3] Ledoit & Wolf 2004, A well-conditioned estimator for large-dimensional covariance
       matrices. https://doi.org/10.1016/S0047-259X(03)00096-4
    .. [4] Marchenko & Pastur 1967, the upper edge. https://doi.org/10.1070/SM1967v001n04ABEH001994
    """

    kind: Literal["contrast"] = "contrast"
    views: int = Field(
        6, ge=2, le=64, description="views of a specimen; its embedding is their mean"
    )
    dimensions: int = Field(
        0,
        ge=0,
        le=1024,
        description="of the embedding; 0 = as many as tell specimens apart by more than chance, "
        f"{FEWEST} to {MOST}",
    )

    def fit(self, features: NDArray[np.float32]) -> Affine:
        """The readout that (N, V, D) features of views ask for, the same bits each time.

        Raises
        ------
        OptionError
            Views of a specimen do not differ at all, or there are fewer dimensions than asked for.
        """
        from sklearn.covariance import ledoit_wolf

        number, views, width = features.shape
        centre, scale = _moments(features.reshape(-1, width))
        rows, reduce = (features - centre) / scale, np.eye(width)
        if width > MANY_FEATURES:
            components = _spectrum(rows.reshape(-1, width))[1][:MANY_FEATURES].T
            rows, reduce = rows @ components, reduce @ components
        means = rows.mean(axis=1)
        within = (rows - means[:, None]).reshape(-1, rows.shape[-1])
        if not np.abs(within).max() > 0:
            raise OptionError(
                "The views of each specimen are all alike, so there is nothing that the readout "
                "'contrast' could divide out. Either the pictures show nothing (one colour, or a "
                "few pixels so large, as an undeclared 'no data' is, that nothing else counts): "
                "mend them; or choose augmentations that vary something, or the readout 'plain'."
            )
        values, vectors = np.linalg.eigh(ledoit_wolf(within, assume_centered=True)[0])
        whiten = vectors / np.sqrt(values)
        white = means @ whiten
        variance, axes = _spectrum(white)
        # the mean over the collection is 0: a direction fewer than specimens
        most = min(len(axes), number - 1)
        chance = (1 + np.sqrt(white.shape[1] / number)) ** 2 / (views - 1)
        alike = ((within @ whiten @ axes.T) ** 2).mean(axis=0)
        telling = (variance > max(1, chance) * alike).sum()
        kept = self.dimensions or min(int(np.clip(telling, FEWEST, MOST)), most)
        if kept > most:
            raise OptionError(
                f"{kept} dimensions were asked for, and {number} specimens of {width} features "
                f"have {most}. Ask for as many or fewer; 0 lets the readout choose."
            )
        return Affine(centre, scale, signed((reduce @ whiten @ axes[:kept].T).T).T)


AnyReadout = Annotated[Plain | Contrast, Variants(Plain, Contrast)]


def signed(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K, D) rows, each with the sign that makes its largest number positive.

    The sign of an eigenvector is free; this fixes it.
    """
    largest = np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1)
    return rows * np.where(largest < 0, -1.0, 1.0)


def _moments(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(D,) mean and standard deviation of (M, D); what hardly varies is not blown up."""
    scale = rows.std(axis=0, dtype=np.float64)
    return rows.mean(axis=0, dtype=np.float64), np.maximum(scale, max(1e-6 * scale.max(), 1e-12))


def _spectrum(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(R,) variances about 0, falling, and (R, D) principal axes of (M, D), those of rank alone."""
    wide = rows.shape[1] > len(rows)
    # of wide rows, those of the products of rows are the same and cheaper
    products = rows @ rows.T if wide else rows.T @ rows
    values, vectors = np.linalg.eigh(products / len(rows))
    order = np.argsort(values)[::-1]
    order = order[values[order] > 1e-12 * values.max()]
    variances, axes = values[order], vectors[:, order].T
    if wide:
        axes = axes @ rows / np.sqrt(variances * len(rows))[:, None]
    return variances, axes
