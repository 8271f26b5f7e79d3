"""Maps: from D numbers per specimen to two."""

from __future__ import annotations

import warnings
from contextlib import suppress
from functools import cache
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape.errors import OptionError
from napari_phenoscape.option import Option, Variants

#: Up to so many specimens UMAP is given their exact neighbours. Of more it looks for most of them
#: by itself, with code that takes half a minute to compile.
EXACT_NEIGHBOURS = 30_000

#: Steps of UMAP's layout, and those of more than so many specimens, as its own are of more than
#: 10 000: of 15 neighbours the map of 5000 keeps 0.31 instead of 0.32, in 0.4 of the time.
EPOCHS, EPOCHS_OF_MANY, MANY = 500, 200, 5000


class Reduction(Option):
    """Base of the maps."""

    kind: str

    def map(self, x: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
        """(N, 2) places, unitless, of (N, D) embeddings of unit length, not all the same.

        The same at every call with a seed.

        Raises
        ------
        OptionError
            It cannot be made of so few specimens.
        """
        raise NotImplementedError


class PCA(Reduction):
    """The two directions in which the embeddings vary most; instant, and axes have a meaning."""

    kind: Literal["pca"] = "pca"

    def map(self, x: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
        return principal_components(x, 2)


class UMAP(Reduction):
    """Keeps neighbours together, and much of the arrangement of groups [1]_.

    References
    ----------
    .. [1] McInnes et al. 2018, UMAP. https://arxiv.org/abs/1802.03426
    """

    kind: Literal["umap"] = "umap"
    neighbours: int = Field(
        15,
        ge=2,
        description="specimens that count as near, all others where there are fewer; more = the "
        "overall arrangement",
    )
    min_distance: float = Field(
        0.1, ge=0, le=1, description="how tightly points may pack", json_schema_extra={"step": 0.01}
    )

    def map(self, x: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
        from umap import UMAP as Projection

        _keep_compiled()
        if len(x) < 3:
            raise OptionError(
                f"UMAP needs at least 3 specimens, there are {len(x)}; choose PCA "
                "(grouping.map: pca)."
            )
        count = min(self.neighbours, len(x) - 1)
        exact = len(x) <= EXACT_NEIGHBOURS
        known = nearest_neighbours(x, count) if exact else (None, None)
        projection = Projection(
            n_neighbors=count,
            n_epochs=EPOCHS_OF_MANY if len(x) > MANY else EPOCHS,
            precomputed_knn=(*known, None),
            min_dist=self.min_distance,
            # as faithful as the spectral start, faster, and defined for any number of specimens
            init=_start(x, seed),
            random_state=seed,
            n_jobs=1,  # what a seed forces; said here, or UMAP warns
        )
        with warnings.catch_warnings():
            # no specimen is added to a map
            warnings.filterwarnings("ignore", "precomputed_knn.*transforming new data")
            return np.asarray(projection.fit_transform(x))


@cache
def _keep_compiled() -> None:
    """Let Numba keep on disk what takes seconds to compile, as UMAP does of its other parts."""
    from umap import umap_

    for name in ("smooth_knn_dist", "compute_membership_strengths"):
        # where there is no place to keep it, or UMAP has changed, it is compiled each time
        with suppress(AttributeError, RuntimeError):
            getattr(umap_, name).enable_caching()


class TSNE(Reduction):
    """Keeps neighbours together; distances between groups mean nothing [1]_.

    References
    ----------
    .. [1] van der Maaten & Hinton 2008. https://jmlr.org/papers/v9/vandermaaten08a.html
    """

    kind: Literal["tsne"] = "tsne"
    perplexity: float = Field(30.0, ge=2, description="specimens that count as near, softly")

    def map(self, x: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
        from sklearn.manifold import TSNE as Projection

        if self.perplexity >= len(x):
            raise OptionError(
                f"t-SNE with perplexity {self.perplexity:g} needs more than {self.perplexity:g} "
                f"specimens, there are {len(x)}; choose a perplexity of about a third of them, "
                "or PCA."
            )
        start = 1e-4 * _start(x, seed)
        projection = Projection(perplexity=self.perplexity, init=start, random_state=seed)
        return np.asarray(projection.fit_transform(x))


AnyReduction = Annotated[Reduction, Variants(PCA, UMAP, TSNE, group="maps")]


def principal_components(x: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """(N, dimensions) coordinates along the largest variances; zero where there are no more."""
    from sklearn.decomposition import PCA as Decomposition

    count = min(dimensions, *x.shape)
    # exact for any N (the default turns to a randomised solver for wide embeddings): the smaller
    # side is decomposed
    solver = "covariance_eigh" if len(x) > x.shape[1] else "full"
    scores = Decomposition(count, svd_solver=solver).fit_transform(x)
    return np.pad(np.asarray(scores, np.float32), ((0, 0), (0, dimensions - count)))


def nearest_neighbours(
    x: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(N, count) rows of the nearest of (N, D) and their distances, each row itself first."""
    from sklearn.neighbors import NearestNeighbors

    distance, near = NearestNeighbors(algorithm="brute").fit(x).kneighbors(n_neighbors=count - 1)
    own = np.arange(len(x))[:, None]
    # rounding must not make a distance to itself of it: UMAP measures from the first above zero
    return (
        np.hstack([own, near]).astype(np.int32),
        np.hstack([np.zeros(own.shape), distance]).astype(np.float32),
    )


def _start(x: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """(N, 2) principal components, the first of unit variance; a little noise parts equal rows."""
    xy = principal_components(x, 2)
    xy /= xy[:, 0].std()
    noise = np.random.default_rng(seed).normal(scale=1e-3, size=xy.shape)
    return np.asarray(xy + noise, np.float32)
