"""Clusterings: from the embeddings of specimens to a number for each."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape.errors import OptionError
from napari_phenoscape.option import Option, Variants
from napari_phenoscape.training.grouping._counting import Choice, choose
from napari_phenoscape.training.grouping._maps import principal_components

#: Density means little in hundreds of dimensions; HDBSCAN sees this many principal components.
HDBSCAN_DIMENSIONS = 15

#: Up to so many specimens are clustered in one thread: others compute little, and keep cores busy
#: while they wait, of which a machine that has other work to do takes ten times as long.
ALONE = 20_000

#: Starts of each of the hundreds of clusterings that a number of clusters is chosen by.
CHOOSING_STARTS = 4

#: A mixture has as many shapes as pairs of dimensions; it sees this many principal components.
MIXTURE_DIMENSIONS = 8

#: Ward's method holds a distance for every two specimens: 1.6 GB.
WARD_SPECIMENS = 20_000


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

    def settled(self, x: NDArray[np.float32], seed: int) -> tuple[Clustering, Choice | None]:
        """The clustering with nothing left to choose, and why; itself where nothing was.

        Raises
        ------
        OptionError
            As `labels` does.
        """
        return self, None


class Counted(Clustering):
    """Base of the clusterings that make a number of clusters, given or chosen."""

    clusters: int = Field(
        0, ge=0, description="how many; 0 = chosen by silhouette and stability, and shown why"
    )

    #: Starts of which the best is kept, where it begins at random.
    starts: ClassVar[int] = 1

    def parts(
        self, x: NDArray[np.float32], number: int, seed: int, starts: int
    ) -> NDArray[np.int64]:
        """(N,) labels of (N, D) embeddings in ``number`` clusters, 2 or more."""
        raise NotImplementedError

    def settled(self, x: NDArray[np.float32], seed: int) -> tuple[Clustering, Choice | None]:
        self._check(x)
        if self.clusters:
            return self, None
        starts = min(self.starts, CHOOSING_STARTS)
        choice = choose(x, lambda some, number: self.parts(some, number, seed, starts), seed)
        return self.model_copy(update={"clusters": choice.chosen}), choice

    def labels(self, x: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
        from threadpoolctl import threadpool_limits

        if not self.clusters:
            return self.settled(x, seed)[0].labels(x, seed)
        self._check(x)
        if self.clusters == 1:
            return np.zeros(len(x), np.int64)
        with threadpool_limits(1 if len(x) <= ALONE else None):
            return np.asarray(self.parts(x, self.clusters, seed, self.starts), np.int64)

    def _check(self, x: NDArray[np.float32]) -> None:
        distinct = len(np.unique(x, axis=0))
        if len(x) > 1 and distinct < max(self.clusters, 2):
            raise OptionError(
                f"{type(self).__name__} cannot make {self.clusters} clusters of {len(x)} specimens "
                f"with {distinct} distinct embeddings; ask for at most {distinct} clusters, or "
                "give more specimens."
                if distinct > 1
                else f"All {len(x)} specimens have the same embedding, so there is nothing to "
                "cluster; give more specimens, or train again if the encoder has collapsed."
            )


class KMeans(Counted):
    """So many clusters, each around its mean; every specimen belongs to one."""

    starts: ClassVar[int] = 10
    kind: Literal["kmeans"] = "kmeans"

    def parts(
        self, x: NDArray[np.float32], number: int, seed: int, starts: int
    ) -> NDArray[np.int64]:
        from sklearn.cluster import KMeans as Algorithm

        return np.asarray(Algorithm(number, n_init=starts, random_state=seed).fit_predict(x))


class Ward(Counted):
    """So many clusters, by joining those that are least apart, two at a time [1]_.

    References
    ----------
    .. [1] Ward 1963. https://doi.org/10.1080/01621459.1963.10500845
    """

    kind: Literal["ward"] = "ward"

    def parts(
        self, x: NDArray[np.float32], number: int, seed: int, starts: int
    ) -> NDArray[np.int64]:
        from sklearn.cluster import AgglomerativeClustering

        if len(x) > WARD_SPECIMENS:
            raise OptionError(
                f"Ward's method compares every two specimens, and {len(x)} are more than the "
                f"{WARD_SPECIMENS} that fit; choose kmeans."
            )
        return np.asarray(AgglomerativeClustering(number, linkage="ward").fit_predict(x))


class GaussianMixture(Counted):
    """So many clusters, each a normal distribution, which may be wide or long [1]_.

    References
    ----------
    .. [1] Fraley & Raftery 2002. https://doi.org/10.1198/016214502760047131
    """

    starts: ClassVar[int] = 2
    kind: Literal["gaussian_mixture"] = "gaussian_mixture"

    def parts(
        self, x: NDArray[np.float32], number: int, seed: int, starts: int
    ) -> NDArray[np.int64]:
        from sklearn.mixture import GaussianMixture as Algorithm

        few = principal_components(x, min(MIXTURE_DIMENSIONS, *x.shape)).astype(np.float64)
        # a share of the spread keeps a cluster of few specimens from becoming a plane
        algorithm = Algorithm(number, n_init=starts, reg_covar=1e-2 * few.var(), random_state=seed)
        return np.asarray(algorithm.fit_predict(few))


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


AnyClustering = Annotated[
    Clustering, Variants(KMeans, HDBSCAN, Ward, GaussianMixture, group="clusterings")
]
