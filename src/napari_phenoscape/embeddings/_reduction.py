"""Reduction: from D numbers per specimen to two, for a map that a person can look at.

Distances are taken between embeddings scaled to unit length. The contrastive loss compares
directions only (cosine), so the space in which neighbours were learnt is the sphere; how long an
embedding is was never trained and says nothing about likeness.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape.errors import CollectionError, OptionError
from napari_phenoscape.option import Option

F = TypeVar("F", bound=np.floating[Any])


class PCA(Option):
    """The two directions in which the embeddings vary most; instant, and axes have a meaning."""

    kind: Literal["pca"] = "pca"


class UMAP(Option):
    """Keeps neighbours together, and much of the arrangement of groups [1]_.

    References
    ----------
    .. [1] McInnes et al. 2018, UMAP. https://arxiv.org/abs/1802.03426
    """

    kind: Literal["umap"] = "umap"
    neighbours: int = Field(
        15, ge=2, description="specimens that count as near; more = the overall arrangement"
    )
    min_distance: float = Field(
        0.1, ge=0, le=1, description="how tightly points may pack", json_schema_extra={"step": 0.01}
    )


class TSNE(Option):
    """Keeps neighbours together; distances between groups mean nothing [1]_.

    References
    ----------
    .. [1] van der Maaten & Hinton 2008. https://jmlr.org/papers/v9/vandermaaten08a.html
    """

    kind: Literal["tsne"] = "tsne"
    perplexity: float = Field(30.0, ge=2, description="specimens that count as near, softly")


AnyReduction = Annotated[PCA | UMAP | TSNE, Field(discriminator="kind")]


def reduce(x: NDArray[np.float32], method: PCA | UMAP | TSNE, seed: int = 0) -> NDArray[np.float32]:
    """Map of the specimens, the same at every call.

    Parameters
    ----------
    x : (N, D)
        Embeddings of any length; only their directions count.
    method
        PCA takes at most seconds; UMAP compiles for about a minute in a process's first call.
    seed
        Of UMAP's and t-SNE's random numbers.

    Returns
    -------
    (N, 2) float32; unitless. All zero when all embeddings have one direction.

    Raises
    ------
    OptionError
        The method looks at more neighbours than there are specimens.
    CollectionError
        Fewer than two specimens.
    """
    count = len(x)
    if count < 2:
        raise CollectionError(f"A map of {count} specimens shows nothing; give at least 2.")
    x = unit_length(x)
    if np.ptp(x, axis=0).max() == 0:
        return np.zeros((count, 2), np.float32)
    match method:
        case PCA():
            xy = principal_components(x, 2)
        case UMAP(neighbours=neighbours):
            if neighbours >= count:
                raise OptionError(
                    f"UMAP with {neighbours} neighbours needs at least {neighbours + 1} specimens, "
                    f"there are {count}; choose fewer neighbours, or PCA."
                )
            xy = _umap(x, method, seed)
        case TSNE(perplexity=perplexity):
            if perplexity >= count:
                raise OptionError(
                    f"t-SNE with perplexity {perplexity:g} needs more than {perplexity:g} "
                    f"specimens, there are {count}; choose a perplexity of about a third of them, "
                    "or PCA."
                )
            xy = _tsne(x, perplexity, seed)
    return np.asarray(xy, np.float32)


def unit_length(x: NDArray[F]) -> NDArray[F]:
    """(N, D) directions of the rows of ``x``; a row of zeros stays.

    Raises
    ------
    CollectionError
        Some rows are not numbers, because their specimens lack the modality.
    """
    if lacking := int(np.isnan(x).any(axis=1).sum()):
        raise CollectionError(
            f"{lacking} of {len(x)} specimens lack the modality of this embedding, so they have no "
            "place among the others. Choose the space 'joint', which is made of what they have, or "
            "leave them out by the collection's 'pattern'."
        )
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.where(length > 0, length, 1), x.dtype)


def principal_components(x: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """(N, dimensions) coordinates along the largest variances; zero where there are no more."""
    from sklearn.decomposition import PCA as Decomposition

    count = min(dimensions, *x.shape)
    # exact for any N (the default turns to a randomised solver for wide embeddings): the smaller
    # side is decomposed
    solver = "covariance_eigh" if len(x) > x.shape[1] else "full"
    scores = Decomposition(count, svd_solver=solver).fit_transform(x)
    return np.pad(np.asarray(scores, np.float32), ((0, 0), (0, dimensions - count)))


def _umap(x: NDArray[np.float32], method: UMAP, seed: int) -> NDArray[np.float32]:
    from umap import UMAP as Projection

    projection = Projection(
        n_neighbors=method.neighbours,
        min_dist=method.min_distance,
        # as faithful as the spectral start, faster, and defined for any number of specimens
        init=_start(x, seed),
        random_state=seed,
        n_jobs=1,  # what a seed forces; said here, or UMAP warns
    )
    return np.asarray(projection.fit_transform(x))


def _tsne(x: NDArray[np.float32], perplexity: float, seed: int) -> NDArray[np.float32]:
    from sklearn.manifold import TSNE as Projection

    projection = Projection(perplexity=perplexity, init=1e-4 * _start(x, seed), random_state=seed)
    return np.asarray(projection.fit_transform(x))


def _start(x: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """(N, 2) principal components, the first of unit variance; a little noise parts equal rows."""
    xy = principal_components(x, 2)
    xy /= xy[:, 0].std()
    noise = np.random.default_rng(seed).normal(scale=1e-3, size=xy.shape)
    return np.asarray(xy + noise, np.float32)
