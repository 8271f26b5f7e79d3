"""Elements: what was painted on the samples is what their cells are clustered into."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from napari_phenoscape.analysis import elements
from napari_phenoscape.analysis.explanation._elements import element_shares, elements_table
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import result
from napari_phenoscape.samples._shapes import material_cover
from napari_phenoscape.samples._specimens import individual, pattern, photograph, spectra
from napari_phenoscape.specimens import Crops

BANDS = Bands(Band(name) for name in ("R", "G", "B", "UV_R", "UV_G", "UV_B"))


def crops_of(images: np.ndarray, masks: np.ndarray, present: np.ndarray | None = None) -> Crops:
    inside = np.moveaxis(images, 1, -1)[masks]
    there = np.ones(len(images), bool) if present is None else present
    return Crops(
        images, masks[:, None], tuple(f"s{i}" for i in range(len(images))), BANDS,
        {"all": np.arange(6)}, {"all": there}, inside.mean(0), inside.std(0),
    )  # fmt: skip


def drawn(seed: int, count: int = 12, size: int = 64):
    """Specimens; what each pixel is painted with, by its spectrum; and whether by that alone."""
    images, masks, painted, pure = [], [], [], []
    for number in range(count):
        one = individual(number, seed)
        picture, mask = photograph(one, size)
        covers, _ = material_cover(one.wings, pattern(one), one.pose, size)
        known, stack = spectra(one), np.array(list(covers.values()))
        # patches that shine in the UV are other elements than those that do not
        shining = [name + " UV" * bool(known[name][0] > 0.5) for name in covers]
        images.append(picture / 65535)
        masks.append(mask)
        painted.append(np.array(shining)[stack.argmax(axis=0)])
        pure.append(stack.max(axis=0) > 0.8)
    return (np.array(each) for each in (images, masks, painted, pure))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_elements_of_the_samples_are_those_that_were_painted(seed):
    images, masks, painted, pure = drawn(seed)
    found = result(elements(crops_of(images.astype(np.float32), masks), 8, seed))
    assert ((found.labels > 0) == masks).all()
    seen = masks & pure  # a pixel on an edge is of none
    assert adjusted_mutual_info_score(painted[seen], found.labels[seen]) >= 0.8


@pytest.fixture
def halves():
    """Four specimens, each dark on the left and twice as red as blue on the right, by exposure."""
    images = np.empty((4, 6, 16, 16), np.float32)
    exposure = np.array([0.8, 0.9, 1.1, 1.2], np.float32)[:, None, None, None]
    images[..., :8] = 0.02
    images[..., 8:] = np.array([0.6, 0.5, 0.3, 0.1, 0.1, 0.1], np.float32)[:, None, None]
    images *= exposure
    masks = np.ones((4, 16, 16), bool)
    masks[:, :2] = False
    return images, masks


def test_exposure_makes_no_element_and_spectra_are_those_of_the_cells(halves):
    images, masks = halves
    found = result(elements(crops_of(images, masks), 2, cells=8))
    dark, red = found.labels[0, 8, 2], found.labels[0, 8, 12]
    assert (found.labels[:, 2:, :8] == dark).all()
    assert (found.labels[:, 2:, 8:] == red).all()
    assert (found.labels[:, :2] == 0).all()
    np.testing.assert_allclose(found.shares, 0.5)
    np.testing.assert_allclose(found.mean[red - 1], [0.6, 0.5, 0.3, 0.1, 0.1, 0.1], rtol=1e-5)
    table = elements_table(found)
    assert table["area"].tolist() == [0.5] * 12
    own = table[(table["element"] == red) & (table["band"] == "R")].iloc[0]
    assert own["10%"] < own["50%"] < own["90%"]
    assert own["cells"] == found.cells[red - 1]
    ids = pd.DataFrame({"specimen": list("abcd"), "filename": list("abcd")})
    assert element_shares(found, ids)["element 1"].tolist() == [0.5] * 4


def test_who_lacks_bands_has_no_elements_and_too_many_are_refused(halves):
    images, masks = halves
    some = crops_of(images, masks, np.array([True, True, False, True]))
    found = result(elements(some, 2, cells=8))
    assert (found.labels[2] == 0).all()
    assert found.shares[2].sum() == 0
    with pytest.raises(CollectionError, match="cannot be of 200 kinds"):
        result(elements(some, 200, cells=8))
