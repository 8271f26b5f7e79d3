"""Clusterings: from the embeddings of specimens to a number for each."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape.errors import OptionError
from napari_phenoscape.option import Option, Variants
from napari_phenoscape.training.grouping._maps import principal_components

#: Density means little in hundreds of dimensions; HDBSCAN sees this many principal components.
HDBSCAN_DIMENSIONS = 15

#: Starts of KMeans, of which the best is kept.
KMEANS_STARTS = 10


class Clustering(Option):
    """Base of the clusterings."""

    kind: str

    def labels(self, x: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
        """(N,) a number for each of (N, D) embeddings of unit length, equal in a cluster.

        -1 is noise; the other numbers mean nothing. The same at every call with a seed.

        Raises
        ------
        OptionError
            More clusters are asked for than can be.
        """
        raise NotImplementedError


class KMeans(Clustering):
    """So many clusters, each around its mean; every specimen belongs to one."""

    kind: Literal["kmeans"] = "kmeans"
    clusters: int = Field(4, ge=2, description="how many clusters")

    def labels(self, x: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
        from sklearn.cluster import KMeans as Algorithm

        distinct = len(np.unique(x, axis=0))
        if distinct < self.clusters:
            raise OptionError(
                f"KMeans cannot make {self.clusters} clusters of {len(x)} specimens with "
                f"{distinct} distinct embeddings; ask for at most {distinct} clusters, or give "
                "more specimens."
                if distinct > 1
                else f"All {len(x)} specimens have the same embedding, so there is nothing to "
                "cluster; give more specimens, or train again if the encoder has collapsed."
            )
        algorithm = Algorithm(self.clusters, n_init=KMEANS_STARTS, random_state=seed)
        return np.asarray(algorithm.fit_predict(x), dtype=np.int64)


class HDBSCAN(Clustering):
    """As many clusters as there are dense groups; specimens in between are noise [1]_.

    References
    ----------
    .. [1] Campello et al. 2013. https://doi.org/10.1007/978-3-642-37456-2_14
    """

    kind: Literal["hdbscan"] = "hdbscan"
    min_size: int = Field(5, ge=2, description="specimens that make a cluster at least")

    def labels(self, x: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
        from sklearn.cluster import HDBSCAN as Algorithm

        if len(x) < self.min_size:
            raise OptionError(
                f"HDBSCAN with clusters of at least {self.min_size} needs as many specimens, "
                f"there are {len(x)}; choose a smaller min_size, or KMeans."
            )
        reduced = principal_components(x, min(HDBSCAN_DIMENSIONS, *x.shape))
        algorithm = Algorithm(min_cluster_size=self.min_size, copy=True)
        return np.asarray(algorithm.fit_predict(reduced), dtype=np.int64)


AnyClustering = Annotated[Clustering, Variants(KMeans, HDBSCAN, group="clusterings")]
