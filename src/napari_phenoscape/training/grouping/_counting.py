"""Counting: how many clusters there are, by how far they lie apart and whether they come back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Numbers of clusters that are tried at most, and specimens that each must have on average.
MOST, FEWEST_EACH = 15, 4

#: Specimens that the number is chosen from at most, drawn evenly; all are clustered then.
SPECIMENS = 600

#: Times that the specimens are halved.
HALVINGS = 10

#: Clouds without clusters that the specimens are compared with; above all 19 is p = 0.05.
CLOUDS = 19

#: Below it, a clustering of other specimens would not be the same.
STABLE = 0.6

Parts = Callable[[NDArray[np.float32], int], NDArray[np.int64]]


@dataclass(frozen=True)
class Choice:
    """Why so many clusters: a value for each number that was tried; the curve of the figures.

    Parameters
    ----------
    numbers
        Of clusters, from 2.
    silhouette
        How much nearer a specimen is to its own cluster than to the next, -1 to 1; mean [1]_.
    stability
        Adjusted Rand index of two clusterings of one half of the specimens: its own, and that of
        the other half handed on to the nearest mean; mean over 10 halvings, both ways [2]_.
    best
        The number with the largest product of silhouette and stability.
    cloud
        The largest silhouette of as many parts of one cloud without clusters: normal, with the
        specimens' mean and covariance, in 19 draws [3]_.
    chosen
        The number of clusters: the best, or 1, one group, where its silhouette is not above that
        of the cloud.

    References
    ----------
    .. [1] Rousseeuw 1987. https://doi.org/10.1016/0377-0427(87)90125-7
    .. [2] Lange et al. 2004. https://doi.org/10.1162/089976604773717621
    .. [3] Liu et al. 2008. https://doi.org/10.1198/016214508000000454
    """

    numbers: tuple[int, ...] = ()
    silhouette: tuple[float, ...] = ()
    stability: tuple[float, ...] = ()
    best: int = 1
    cloud: float = 0.0
    chosen: int = 1

    @property
    def words(self) -> str:
        """The choice in a sentence or two."""
        if not self.numbers:
            return (
                f"One group: fewer than {2 * FEWEST_EACH} specimens differ, too few to choose a "
                "number of clusters from."
            )
        place = self.numbers.index(self.best)
        silhouette, stability = self.silhouette[place], self.stability[place]
        tried = f"of 2 to {self.numbers[-1]}"
        if self.chosen == 1:
            return (
                f"One group only: {self.best} clusters would be the best number {tried}, and part "
                f"the specimens no more (silhouette {silhouette:.2f}) than a cloud without "
                f"clusters is parted (up to {self.cloud:.2f})."
            )
        firm = "come back" if stability >= STABLE else "come back only in part"
        last = (
            " It is the largest number that was tried: there may be more."
            if self.chosen == self.numbers[-1]
            else ""
        )
        return (
            f"{self.chosen} clusters, chosen {tried}: silhouette {silhouette:.2f} (a cloud without "
            f"clusters: up to {self.cloud:.2f}); in other halves of the specimens they {firm} "
            f"(stability {stability:.2f} of 1).{last}"
        )


def choose(x: NDArray[np.float32], parts: Parts, seed: int) -> Choice:
    """How many clusters (N, D) embeddings of unit length have; the same at every call.

    Parameters
    ----------
    parts
        (n,) labels of (n, D) embeddings, of which there are so many clusters.
    seed
        Of the draws and halvings.
    """
    from sklearn import config_context
    from threadpoolctl import threadpool_limits

    # of so few specimens a second thread computes little, and keeps a core busy while it waits;
    # to check hundreds of times what was checked takes longer than to compute
    checked = config_context(assume_finite=True, skip_parameter_validation=True)
    with threadpool_limits(1), checked:
        return _chosen(x, parts, np.random.default_rng(seed))


def _chosen(x: NDArray[np.float32], parts: Parts, rng: np.random.Generator) -> Choice:
    from sklearn.metrics import silhouette_score

    if len(x) > SPECIMENS:
        x = x[np.sort(rng.permutation(len(x))[:SPECIMENS])]
    most = min(MOST, len(np.unique(x, axis=0)) // FEWEST_EACH)
    if most < 2:
        return Choice()
    numbers = tuple(range(2, most + 1))
    halvings = [rng.permutation(len(x)) for _ in range(HALVINGS)]
    silhouette = tuple(float(silhouette_score(x, parts(x, number))) for number in numbers)
    stability = tuple(_stability(x, parts, number, halvings) for number in numbers)
    best = numbers[int(np.argmax(np.multiply(silhouette, stability)))]
    clouds = [_cloud(x, rng) for _ in range(CLOUDS)]
    cloud = max(float(silhouette_score(one, parts(one, best))) for one in clouds)
    apart = silhouette[numbers.index(best)] > cloud
    return Choice(
        numbers=numbers,
        silhouette=silhouette,
        stability=stability,
        best=best,
        cloud=cloud,
        chosen=best if apart else 1,
    )


def _cloud(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """(N, D) directions of a normal distribution with the mean and covariance of ``x``."""
    mean = x.mean(axis=0)
    # N standard normal mixtures of the N deviations: their covariance, whatever D is
    mixed = rng.standard_normal((len(x), len(x))) @ (x - mean) / np.sqrt(len(x) - 1)
    drawn = mean + mixed
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def _stability(
    x: NDArray[np.float32], parts: Parts, number: int, halvings: list[NDArray[np.int64]]
) -> float:
    from sklearn.metrics import adjusted_rand_score

    agreements = []
    for order in halvings:
        halves = x[order[: len(x) // 2]], x[order[len(x) // 2 :]]
        labels = [parts(half, number) for half in halves]
        for own, other in ((0, 1), (1, 0)):
            handed = _handed_on(halves[other], labels[other], halves[own])
            agreements.append(float(adjusted_rand_score(labels[own], handed)))
    return float(np.mean(agreements))


def _handed_on(
    x: NDArray[np.float32], labels: NDArray[np.int64], to: NDArray[np.float32]
) -> NDArray[np.int64]:
    """(M,) of (M, D) embeddings: the label of (N, D) others whose mean is nearest."""
    found = np.unique(labels)
    means = np.stack([x[labels == label].mean(axis=0) for label in found])
    distance = (means**2).sum(axis=1) - 2 * to @ means.T
    return np.asarray(found[distance.argmin(axis=1)])
