"""Colours of tetrachromats: the closed forms of the tetrahedron, and pavo's formulae."""

from __future__ import annotations

import numpy as np
import pytest

from napari_phenoscape.spectra import relative_catches, tetrahedral

CATCHES = np.random.default_rng(0).uniform(0, 1, (200, 4))


def test_equal_catches_have_no_colour():
    grey = tetrahedral(np.array([[0.3, 0.3, 0.3, 0.3]]))
    assert grey.relative.tolist() == [[0.25] * 4]
    np.testing.assert_allclose(grey.xyz, 0, atol=1e-15)
    assert (grey.r[0], grey.r_achieved[0]) == (pytest.approx(0, abs=1e-15), 0)
    assert np.isnan([grey.theta[0], grey.phi[0], grey.r_max[0]]).all()


@pytest.mark.parametrize(
    ("lone", "xyz"),
    [
        (0, [0, 0, 0.75]),
        (1, [-0.6123724, -0.3535534, -0.25]),
        (2, [0, 0.7071068, -0.25]),
        (3, [0.6123724, -0.3535534, -0.25]),
    ],
    ids=["u", "s", "m", "l"],
)
def test_one_receptor_alone_is_a_corner(lone, xyz):
    found = tetrahedral(np.eye(4)[[lone]])
    np.testing.assert_allclose(found.xyz[0], xyz, atol=1e-7)
    np.testing.assert_allclose([found.r[0], found.r_max[0], found.r_achieved[0]], [0.75, 0.75, 1])


def test_what_lacks_one_receptor_alone_is_on_its_face():
    found = tetrahedral(1 - np.eye(4))
    np.testing.assert_allclose(found.r, 0.25)
    np.testing.assert_allclose(found.r_max, 0.25)
    assert found.phi[0] == pytest.approx(-np.pi / 2)


def test_brightness_is_not_colour():
    a, b = tetrahedral(CATCHES), tetrahedral(CATCHES * 7)
    np.testing.assert_allclose(a.xyz, b.xyz, atol=1e-15)
    np.testing.assert_allclose(relative_catches(CATCHES).sum(axis=1), 1)


def test_nothing_caught_is_no_colour_at_all():
    assert np.isnan(tetrahedral(np.zeros((1, 4))).xyz).all()
    assert np.isnan(tetrahedral(np.full((1, 4), np.nan)).r_achieved).all()


def test_place_hue_and_chroma_are_those_of_stoddard_and_prum():
    """Their equations, as printed: no tetrahedron, no barycentric coordinates."""
    found = tetrahedral(CATCHES)
    u, s, m, _ = (CATCHES / CATCHES.sum(axis=1, keepdims=True)).T
    x = (1 - 2 * s - m - u) / 2 * np.sqrt(3 / 2)
    y = (-1 + 3 * m + u) / (2 * np.sqrt(2))
    z = u - 1 / 4
    np.testing.assert_allclose(found.xyz, np.stack([x, y, z], axis=1), atol=1e-12)
    np.testing.assert_allclose(found.r, np.sqrt(x**2 + y**2 + z**2))
    np.testing.assert_allclose(found.theta, np.arctan2(y, x))
    np.testing.assert_allclose(found.phi, np.arcsin(z / found.r))
    # r_max from the angles between the hue and the four corners, as pavo computes it
    corners = [(0, np.pi / 2)] + [(t, -0.33983691) for t in (-2.61799388, np.pi / 2, -0.52359878)]
    cosines = [
        np.cos(found.phi) * np.cos(phi) * np.cos(found.theta - theta)
        + np.sin(found.phi) * np.sin(phi)
        for theta, phi in corners
    ]
    r_max = 0.25 / -np.min(cosines, axis=0)
    np.testing.assert_allclose(found.r_max, r_max, rtol=1e-6)
    np.testing.assert_allclose(found.r_achieved, found.r / r_max, rtol=1e-6)
    assert found.r_achieved.max() <= 1
