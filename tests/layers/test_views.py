"""Views as layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.layers import view_layers
from napari_phenoscape.views import Views, view_sheet

RGB = Bands(Band(name) for name in "RGB")


def _views(count: int, size: int, value: float) -> Views:
    image = torch.full((count, 3, size, size), value)
    mask = torch.zeros(count, 1, size, size, dtype=torch.bool)
    mask[:, :, 1:3, 1:3] = True
    return Views(image, mask, torch.eye(3).repeat(count, 1, 1), None)


def _original() -> tuple[np.ndarray, np.ndarray]:
    ramp = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8)
    return np.repeat(ramp, 3, axis=0), np.ones((1, 8, 8), bool)


def test_views_stand_beside_the_specimen_and_their_outlines_lie_on_them():
    layers = view_layers(*_original(), _views(2, 4, 0.5), RGB)
    assert [kind for _, _, kind in layers] == ["image", "image", "image", "labels"]
    assert [kwargs["name"] for _, kwargs, _ in layers[:3]] == ["specimen", "view 1", "view 2"]
    # 8 pixels of specimen, a gap of 1, 4 of a view, a gap of 1
    assert [kwargs["translate"] for _, kwargs, _ in layers[:3]] == [(0, 0), (0, 9), (0, 14)]
    outlines = layers[3][0]
    assert outlines.shape == (8, 18)
    assert np.argwhere(outlines == 2).tolist() == [[1, 10], [1, 11], [2, 10], [2, 11]]
    assert np.argwhere(outlines == 3).tolist() == [[1, 15], [1, 16], [2, 15], [2, 16]]
    assert all(kwargs["metadata"]["phenoscape"]["role"] == "view" for _, kwargs, _ in layers)


def test_a_brighter_view_looks_brighter():
    dark, bright = (view_layers(*_original(), _views(1, 4, v), RGB)[1][0] for v in (0.25, 0.5))
    assert int(bright[0, 0, 0]) - int(dark[0, 0, 0]) == pytest.approx(0.25 / 0.98 * 255, abs=2)


def test_a_sheet_has_four_views_in_a_row_in_their_order():
    views = _views(5, 4, 0.0)
    views.image[:] = torch.arange(5.0).view(5, 1, 1, 1)
    sheet = view_sheet(views, RGB)
    assert sheet.shape == (4 + 2 + 4, 4 * 4 + 3 * 2, 3)
    places = [sheet[0, 0, 0], sheet[0, 6, 0], sheet[0, 12, 0], sheet[0, 18, 0], sheet[6, 0, 0]]
    assert places == [0, 64, 128, 191, 255]
    assert (sheet[6:, 6:] == 255).all()
