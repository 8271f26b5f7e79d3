"""The samples as layers."""

from __future__ import annotations

import numpy as np

from napari_phenoscape.events import result
from napari_phenoscape.layers import drawer_layers
from napari_phenoscape.samples import write_samples


def test_the_drawer_opens_with_its_regions_or_without_them_to_find_them(tmp_path):
    samples = result(write_samples(tmp_path / "samples", specimens=24))
    without = drawer_layers(samples, regions=False)
    *same, (numbers, settings, kind) = drawer_layers(samples, regions=True)
    assert [one[1]["name"] for one in same] == [one[1]["name"] for one in without]
    assert kind == "labels"
    assert set(np.unique(numbers)) == set(range(25))
    assert settings["metadata"]["phenoscape"]["role"] == "regions"
