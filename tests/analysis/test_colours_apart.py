"""How far clusters are apart for an eye, on spectra that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from napari_phenoscape.analysis import SpecimenSpectra, colour_distances, explained, eyes_of
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.embeddings import NOISE, Clusters, Embeddings
from napari_phenoscape.errors import BandMismatchError, OptionError
from napari_phenoscape.samples._pigments import WAVELENGTHS_NM, pterin, uv_scales
from napari_phenoscape.specimens import Folder
from napari_phenoscape.spectra import read_eye
from napari_phenoscape.training import KMeans

NM = np.arange(300.0, 701.0, 4.0)


def explanation_of(values: np.ndarray, labels: list[int], bands: Bands):
    ids = tuple(f"s{i}" for i in range(len(values)))
    table = pd.DataFrame({"specimen": ids, "filename": ids})
    angle = np.radians(40.0 * np.array(labels) + np.arange(len(labels)))
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    numbers = sorted(set(labels))
    clusters = Clusters(
        np.array(labels), ids, {n: f"c{n}" for n in numbers},
        dict.fromkeys(numbers, "#000000"), KMeans(),
    )  # fmt: skip
    embeddings = Embeddings(x, table, "full", Folder(path=Path("nowhere")))
    return explained(embeddings, clusters, SpecimenSpectra(ids, bands, values))


@pytest.fixture
def morphs():
    """Yellow, and yellow of which most has UV scales, six of each; exposure varies."""
    rng = np.random.default_rng(0)
    plain = np.interp(NM, WAVELENGTHS_NM, pterin(1.5))
    patched = plain + 0.6 * np.interp(NM, WAVELENGTHS_NM, uv_scales(0.5))
    values = np.stack([patched] * 6 + [plain] * 6 + [plain])
    values *= rng.uniform(0.8, 1.2, (13, 1)) * rng.normal(1, 0.01, values.shape)
    bands = Bands(Band(f"{nm:g} nm", nm) for nm in NM)
    return explanation_of(values, [1] * 6 + [2] * 6 + [NOISE], bands)


def test_a_uv_morph_is_told_by_a_bird_and_not_by_a_person(morphs):
    assert {"bird-uv", "bird-v", "human"} <= set(eyes_of(morphs.spectra))
    (bird,) = colour_distances(morphs, read_eye("bird-uv")).itertuples()
    (person,) = colour_distances(morphs, read_eye("human")).itertuples()
    assert (bird.name, bird.other_name, bird.n, bird.other_n) == ("c1", "c2", 6, 6)
    assert bird.jnd > 3
    assert bird.low < bird.jnd < bird.high
    assert bird.words == "easy to tell"
    assert person.high < 0.5
    assert person.words == "hard to tell"


def test_the_same_specimens_have_the_same_interval_and_noise_halves_with_weber(morphs):
    first, again = (colour_distances(morphs, read_eye("bird-uv")) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    fine = colour_distances(morphs, read_eye("bird-uv"), weber=0.05)
    assert fine["jnd"][0] == pytest.approx(2 * first["jnd"][0])
    asked = colour_distances(morphs, read_eye("bird-uv"), densities=(1, 1.92, 2.68, 2.7))
    pd.testing.assert_frame_equal(first, asked)


def test_one_specimen_has_a_distance_and_no_interval(morphs):
    lonely = explanation_of(morphs.spectra.values[5:12], [1] + [2] * 6, morphs.spectra.bands)
    found = colour_distances(lonely, read_eye("bird-uv"))
    assert found["jnd"][0] > 1
    assert np.isnan(found["low"][0])


def test_bands_without_wavelengths_and_wrong_densities_are_refused_in_a_sentence(morphs):
    bands = Bands(Band(name) for name in "RGB")
    photographs = explanation_of(np.full((4, 3), 0.5), [1, 1, 2, 2], bands)
    assert eyes_of(photographs.spectra) == ()
    with pytest.raises(BandMismatchError):
        colour_distances(photographs, read_eye("human"))
    with pytest.raises(OptionError, match=r"1:2 are 2\. Give 4"):
        colour_distances(morphs, read_eye("bird-uv"), densities=(1, 2))
