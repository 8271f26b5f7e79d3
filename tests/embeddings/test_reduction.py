"""Maps of embeddings."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_phenoscape.embeddings import reduce, unit_length
from napari_phenoscape.errors import CollectionError, OptionError
from napari_phenoscape.training import PCA, TSNE, UMAP, AnyReduction
from napari_phenoscape.training.grouping._maps import nearest_neighbours, principal_components

METHODS = [PCA(), UMAP(neighbours=5), TSNE(perplexity=5)]


def groups(count: int = 10, dimensions: int = 16) -> NDArray[np.float32]:
    """(3 * count, D): three groups of specimens, each along an axis of its own."""
    random = np.random.default_rng(0)
    x = np.repeat(np.eye(dimensions)[:3], count, axis=0)
    return (x + random.normal(scale=0.03, size=x.shape)).astype(np.float32)


def test_unit_length_keeps_directions_and_leaves_zero() -> None:
    x = np.array([[3, 4], [0, 0], [0, -9]], np.float32)
    assert unit_length(x) == pytest.approx(np.array([[0.6, 0.8], [0, 0], [0, -1]]))


def test_pca_of_opposite_directions_is_a_line_from_minus_one_to_one() -> None:
    # directions (0.6, 0.8) and (-0.6, -0.8): all variance lies along them, whatever the lengths
    xy = reduce(np.array([[3, 4], [-30, -40]], np.float32), PCA())
    assert xy == pytest.approx(np.array([[1, 0], [-1, 0]]), abs=1e-6)
    assert xy.dtype == np.float32


def test_components_that_there_are_not_are_zero() -> None:
    scores = principal_components(np.array([[0], [2]], np.float32), 3)
    assert scores == pytest.approx(np.array([[-1, 0, 0], [1, 0, 0]]))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.kind)
@pytest.mark.slow
def test_groups_stay_groups(method: AnyReduction) -> None:
    xy = reduce(groups(), method, seed=0).reshape(3, 10, 2)
    centres = xy.mean(axis=1)
    radius = np.linalg.norm(xy - centres[:, None], axis=2).max()
    apart = np.linalg.norm(centres[[0, 1, 2]] - centres[[1, 2, 0]], axis=1).min()
    assert apart > 2 * radius


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.kind)
def test_the_same_seed_gives_the_same_map(method: AnyReduction) -> None:
    first, again, other = (reduce(groups(), method, seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert np.array_equal(first, other) == (method.kind == "pca")  # PCA has no chance in it


@pytest.mark.parametrize(
    "method", [PCA(), UMAP(), TSNE(perplexity=2)], ids=lambda method: method.kind
)
def test_three_specimens_have_a_map_with_three_places(method: AnyReduction) -> None:
    xy = reduce(np.eye(3, dtype=np.float32), method)
    assert np.isfinite(xy).all()
    assert len(np.unique(xy, axis=0)) == 3


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.kind)
def test_equal_embeddings_lie_on_one_point(method: AnyReduction) -> None:
    assert reduce(np.ones((8, 4), np.float32), method).tolist() == [[0, 0]] * 8


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.kind)
def test_embeddings_that_vary_along_one_line_have_a_map(method: AnyReduction) -> None:
    x = np.ones((20, 1), np.float32)
    x[::2] = -1
    xy = reduce(x, method)
    assert np.isfinite(xy).all()
    assert len(np.unique(xy, axis=0)) > 1


def test_neighbours_are_exact_each_specimen_its_own_first_at_no_distance() -> None:
    x = groups(20)
    distance = np.linalg.norm(x[:, None].astype(float) - x, axis=2)
    near, how_far = nearest_neighbours(x, 6)
    assert near.tolist() == np.argsort(distance, axis=1)[:, :6].tolist()
    assert how_far == pytest.approx(np.sort(distance, axis=1)[:, :6], abs=1e-6)
    assert not how_far[:, 0].any()


def test_of_few_specimens_all_others_are_neighbours() -> None:
    x = groups(5)
    np.testing.assert_array_equal(reduce(x, UMAP()), reduce(x, UMAP(neighbours=len(x) - 1)))


@pytest.mark.parametrize(
    ("method", "rows", "message"),
    [
        (UMAP(), 2, r"UMAP needs at least 3 specimens, there are 2; choose PCA"),
        (TSNE(perplexity=15), 15, r"t-SNE with perplexity 15 needs more than 15.*are 15.*or PCA"),
    ],
    ids=["umap", "tsne"],
)
def test_too_few_specimens_for_a_map_are_one_sentence(
    method: AnyReduction, rows: int, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        reduce(groups(5)[:rows], method)


def test_one_specimen_has_no_map() -> None:
    with pytest.raises(CollectionError, match="1 specimens"):
        reduce(np.ones((1, 4), np.float32), PCA())


def test_forms_do_not_wait_for_the_libraries() -> None:
    code = (
        "import sys; from napari_phenoscape.training import KMeans, PCA;"
        "print([name for name in ('torch', 'sklearn', 'umap', 'scipy', 'pyarrow')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_umap_compiles_is_kept_for_the_next_process():
    from umap import umap_

    reduce(np.eye(4, dtype=np.float32), UMAP())
    assert umap_.smooth_knn_dist.stats.cache_path
    assert umap_.compute_membership_strengths.stats.cache_path
