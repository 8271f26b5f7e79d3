"""How far colours are apart for an eye: the formulae of the paper, and pavo's published numbers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import least_squares

from napari_phenoscape.errors import OptionError
from napari_phenoscape.spectra import densities_of, discrimination, read_eye, told, weber_fractions

# pavo's guide, https://github.com/rmaia/pavo, docs/articles/pavo.html at
# 0e3759eb9f118fb89285fff287f20cee34971d17, "Visual Modeling": catches of six birds as they are
# printed there, and what coldist(..., n = c(1, 2, 2, 4), weber = 0.1), and for the dichromat
# n = c(1, 2), make of them: cardinal, jacana, oriole, parakeet, robin, tanager
BIRD = (
    [
        [0.0341, 0.0649, 0.1297, 0.4187], [0.0199, 0.1484, 0.2923, 0.3313],
        [0.0139, 0.0375, 0.2649, 0.4807], [0.0186, 0.0611, 0.2542, 0.2171],
        [0.0109, 0.0622, 0.1413, 0.2420], [0.0418, 0.1572, 0.2747, 0.2284],
    ],
    (1, 2, 2, 4),
    [
        8.423965, 7.905876, 7.999730, 5.805562, 10.100311, 10.151253, 4.231570, 3.503769,
        5.126266, 8.135793, 7.220505, 13.608253, 4.606847, 5.969760, 7.688707,
    ],
)  # fmt: skip
DICHROMAT = (
    [
        [0.1458, 0.3519], [0.0916, 0.3179], [0.0698, 0.3776],
        [0.1058, 0.1727], [0.0473, 0.2175], [0.1644, 0.2149],
    ],
    (1, 2),
    [
        2.0993283, 4.6567462, 2.2575457, 3.7236780, 3.5417700, 2.5574178, 4.3568740, 1.6243496,
        5.6410983, 6.9142918, 0.9330682, 8.1985162, 5.9812236, 1.2842244, 7.2654480,
    ],
)  # fmt: skip


def between_all(catches: np.ndarray, densities: tuple[float, ...]) -> np.ndarray:
    noise = weber_fractions(densities, 0.1)
    pairs = combinations(range(len(catches)), 2)
    return np.array([discrimination(catches[a], catches[b], noise) for a, b in pairs])


@pytest.mark.parametrize(("printed", "densities", "distances"), [BIRD, DICHROMAT])
def test_distances_are_those_that_pavo_published(printed, densities, distances):
    printed, distances = np.array(printed), np.array(distances)
    rounded = between_all(printed, densities)
    assert np.abs(rounded / distances - 1).max() < 0.01
    # catches are printed to four places: some that round to these have all fifteen distances
    found = least_squares(
        lambda x: between_all(x.reshape(printed.shape), densities) - distances,
        printed.ravel(),
        bounds=(printed.ravel() - 5.1e-5, printed.ravel() + 5.1e-5),
        x_scale=1e-4,
        ftol=1e-12,
        xtol=1e-12,
    )
    assert np.abs(found.fun).max() < 1e-3


def as_written(d: np.ndarray, e: np.ndarray) -> float:
    """Equations 3 to 5 of Vorobyev & Osorio 1998, as they are written there."""
    match len(d):
        case 2:
            square = (d[0] - d[1]) ** 2 / (e[0] ** 2 + e[1] ** 2)
        case 3:
            top = sum((e[i] * (d[j] - d[k])) ** 2 for i, j, k in [(0, 2, 1), (1, 2, 0), (2, 0, 1)])
            square = top / sum((e[i] * e[j]) ** 2 for i, j in combinations(range(3), 2))
        case _:
            top = 0.0
            for i, j in combinations(range(4), 2):
                k, m = (other for other in range(4) if other not in (i, j))
                top += (e[i] * e[j] * (d[k] - d[m])) ** 2
            square = top / sum((e[i] * e[j] * e[k]) ** 2 for i, j, k in combinations(range(4), 3))
    return float(np.sqrt(square))


@pytest.mark.parametrize("receptors", [2, 3, 4])
def test_the_general_form_is_that_of_the_paper(receptors):
    rng = np.random.default_rng(receptors)
    for _ in range(20):
        a, b = rng.uniform(0.01, 1, (2, receptors))
        noise = rng.uniform(0.01, 0.2, receptors)
        assert discrimination(a, b, noise) == pytest.approx(as_written(np.log(a / b), noise))


def test_brightness_is_not_seen_and_adaptation_drops_out():
    a, b = np.random.default_rng(0).uniform(0.1, 1, (2, 4))
    noise = weber_fractions((1, 2, 2, 4))
    apart = discrimination(a, b, noise)
    assert discrimination(3 * a, b, noise) == pytest.approx(apart)
    white = np.array([0.2, 0.5, 0.8, 0.9])
    assert discrimination(white * a, white * b, noise) == pytest.approx(apart)
    assert discrimination(a, 7 * a, noise) == pytest.approx(0, abs=1e-9)


def test_noise_falls_with_the_root_of_the_number_of_receptors():
    np.testing.assert_allclose(
        weber_fractions((1, 2, 2, 4), 0.1), [0.2, 0.1 * 2**0.5, 0.1 * 2**0.5, 0.1]
    )


def test_words_and_numbers_of_receptors():
    words = [told(jnd) for jnd in (0.9, 1, 3, 3.1, np.nan)]
    assert words == ["hard to tell", "can be told", "can be told", "easy to tell", ""]
    for name in ("bird-uv", "bird-v", "human"):
        eye = read_eye(name)
        assert len(densities_of(eye)) == len(eye.colour_receptors)


def test_an_eye_whose_receptors_were_not_counted_asks_for_their_numbers(tmp_path):
    (tmp_path / "moth.csv").write_text("receptor,peak_nm\nuv,350\nmw,520\n")
    with pytest.raises(OptionError, match=r"Give 2 relative numbers"):
        densities_of(read_eye(str(tmp_path / "moth.csv")))
