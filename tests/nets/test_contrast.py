"""The readout 'contrast' against its equations, and what it is for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_phenoscape.errors import OptionError
from napari_phenoscape.nets import Contrast, Plain


def views_of(
    specimens: int, views: int, width: int, *, apart: int, seed: int = 0, size: float = 3.0
) -> NDArray[np.float32]:
    """(N, V, D) features: specimens differ along ``apart`` axes, their views by noise alone."""
    random = np.random.default_rng(seed)
    own = np.zeros((specimens, 1, width))
    own[..., :apart] = size * random.normal(size=(specimens, 1, apart))
    return (own + random.normal(size=(specimens, views, width))).astype(np.float32)


def reference(features: NDArray[np.float32], dimensions: int) -> NDArray[np.float64]:
    """(N, K) embedding: Fisher's discriminant as the papers write it, sums written out."""
    x = features.astype(float)
    n, v, d = x.shape
    x = (x - x.mean((0, 1))) / x.std((0, 1))
    means = x.mean(1)
    within = [x[i, j] - means[i] for i in range(n) for j in range(v)]
    scatter = sum(np.outer(w, w) for w in within) / (n * v)
    # Ledoit & Wolf 2004, section 3: towards the mean variance, by the share that is noise
    target = np.trace(scatter) / d * np.eye(d)
    noise = sum(((np.outer(w, w) - scatter) ** 2).sum() for w in within) / (n * v) ** 2
    share = min(noise / ((scatter - target) ** 2).sum(), 1)
    values, vectors = np.linalg.eigh((1 - share) * scatter + share * target)
    white = (means - means.mean(0)) @ (vectors * values**-0.5) @ vectors.T
    u, s, _ = np.linalg.svd(white, full_matrices=False)
    return (u * s)[:, :dimensions]


def embedding(features: NDArray[np.float32], readout: Contrast | Plain) -> NDArray[np.float64]:
    return readout.fit(features)(features).mean(axis=1)


@pytest.mark.parametrize("specimens", [60, 12], ids=["more than features", "fewer than features"])
def test_it_is_what_its_equations_say(specimens: int) -> None:
    features = views_of(specimens, 4, 20, apart=5)
    found = embedding(features, Contrast(views=4, dimensions=6))
    expected = reference(features, 6)
    signs = np.sign((found * expected).sum(0))
    np.testing.assert_allclose(found, expected * signs, rtol=1e-5, atol=1e-5)


def test_what_views_vary_is_divided_out() -> None:
    # exposure moves all features together, 5 times as far as two kinds are apart
    random = np.random.default_rng(0)
    kind = np.repeat([0.0, 1.0], 30)
    direction, exposure = random.normal(size=(2, 10))
    features = (
        kind[:, None, None] * direction
        + 5 * random.normal(size=(60, 6, 1)) * exposure
        + 0.2 * random.normal(size=(60, 6, 10))
    ).astype(np.float32)

    def apart(x: NDArray[np.float64]) -> float:
        a, b = x[kind == 0], x[kind == 1]
        return float(np.linalg.norm(a.mean(0) - b.mean(0)) / np.sqrt((a.var(0) + b.var(0)).sum()))

    assert apart(embedding(features, Contrast(dimensions=2))) > 5
    assert apart(embedding(features, Plain())) < 1


def test_views_of_a_specimen_scatter_alike_in_every_direction() -> None:
    features = views_of(500, 6, 8, apart=4)
    features[..., 0] *= 100
    features[..., 1] += features[..., 2]
    rows = Contrast(dimensions=8).fit(features)(features)
    within = (rows - rows.mean(1, keepdims=True)).reshape(-1, 8)
    np.testing.assert_allclose(within.T @ within / len(within), np.eye(8), atol=0.1)


@pytest.mark.parametrize(
    ("apart", "kept"), [(0, 2), (5, 5), (20, 20), (60, 32)], ids=["none", "few", "20", "many"]
)
def test_as_many_dimensions_as_tell_specimens_apart(apart: int, kept: int) -> None:
    assert embedding(views_of(300, 6, 80, apart=apart), Contrast()).shape == (300, kept)


def test_as_many_dimensions_as_asked_for() -> None:
    assert embedding(views_of(100, 4, 50, apart=3), Contrast(dimensions=17)).shape == (100, 17)


def test_more_dimensions_than_there_are_cannot_be_asked_for() -> None:
    with pytest.raises(OptionError, match=r"30 dimensions.*20 specimens of 50 features have 19"):
        Contrast(dimensions=30).fit(views_of(20, 4, 50, apart=3))


@pytest.mark.parametrize(("specimens", "width"), [(5, 105), (40, 1018), (80, 300), (3, 12)])
def test_a_new_view_lies_nearest_to_its_own_specimen(specimens: int, width: int) -> None:
    # fewer specimens, or views, than features; more features than are kept
    features = views_of(specimens, 7, width, apart=width // 2)
    known, new = features[:, :6], features[:, 6]
    readout = Contrast().fit(known)
    means = readout(known).mean(1)
    assert 2 <= means.shape[1] < min(specimens, 33)
    nearest = np.linalg.norm(readout(new)[:, None] - means, axis=-1).argmin(axis=1)
    assert nearest.tolist() == list(range(specimens))


@pytest.mark.parametrize("width", [30, 300])
def test_twice_the_same_bits_and_signs_that_are_fixed(width: int) -> None:
    features = views_of(40, 4, width, apart=5)
    one, two = (Contrast().fit(features.copy()) for _ in range(2))
    assert np.array_equal(one.weights, two.weights)
    assert np.array_equal(one.centre, two.centre)
    largest = np.abs(one.weights).argmax(axis=0)
    assert (np.take_along_axis(one.weights, largest[None], axis=0) > 0).all()


def test_a_feature_that_never_varies_says_nothing() -> None:
    features = views_of(40, 4, 10, apart=5)
    still = np.concatenate([features, np.full((40, 4, 1), 0.1, np.float32)], axis=-1)
    assert np.abs(embedding(still, Contrast(dimensions=5))).max() < 100


def test_views_that_are_all_alike_leave_nothing_to_divide_out() -> None:
    features = np.repeat(views_of(10, 1, 5, apart=3), 4, axis=1)
    with pytest.raises(OptionError, match="or choose augmentations"):
        Contrast(views=4).fit(features)


def test_plain_features_are_standardised() -> None:
    features = views_of(50, 1, 6, apart=2) * 7 + 3
    found = embedding(features, Plain())
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(found.std(0), 1, rtol=1e-5)
