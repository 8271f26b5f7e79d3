"""Augmentations: options, presets, and the numbers that are drawn."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from pydantic import TypeAdapter

from napari_phenoscape.errors import OptionError
from napari_phenoscape.views import (
    PRESETS,
    AnyAugmentation,
    ColorJitter,
    RandomAffine,
    RandomErasing,
    RandomGaussianNoise,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomPosterize,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    operations,
    warnings,
)
from napari_phenoscape.views._geometry import composed
from napari_phenoscape.views._randomness import philox, uniforms

WORD = 2**32 - 1


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([WORD] * 4, [WORD] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_philox_gives_the_words_its_authors_publish(counter, key, expected):
    words = philox(np.array(counter, np.uint64), np.array(key, np.uint64))
    assert words.tolist() == expected


def _drawn(count=4, **changes):
    given = {"purpose": "a", "seed": 1, "step": 2, "specimens": np.arange(5), "view": 0}
    return uniforms(count, **{**given, **changes})


@pytest.mark.parametrize(
    "changes",
    [{"purpose": "b"}, {"seed": 2}, {"seed": 1 + 2**40}, {"step": 3}, {"view": 1}],
    ids=lambda changes: str(changes),
)
def test_every_part_of_the_key_changes_every_number(changes):
    assert (_drawn() != _drawn(**changes)).all()


def test_a_specimens_numbers_depend_on_nothing_around_it():
    alone = _drawn(specimens=np.array([3]))
    assert (alone == _drawn()[3:4]).all()
    assert (alone == _drawn(count=7)[3:4, :4]).all()


def test_numbers_are_uniform():
    drawn = _drawn(count=200, specimens=np.arange(500)).ravel()
    assert 0 <= drawn.min() < drawn.max() < 1
    # standard error of a mean of 100 000 uniforms: 0.0009
    assert drawn.mean() == pytest.approx(0.5, abs=0.005)
    assert np.histogram(drawn, 10, (0, 1))[0] == pytest.approx([10_000] * 10, abs=500)


def test_a_preset_survives_yaml_and_json_unchanged():
    adapter = TypeAdapter(tuple[AnyAugmentation, ...])
    for preset in PRESETS.values():
        assert adapter.validate_python(adapter.dump_python(preset, mode="json")) == preset


def test_the_default_preset_jitters_exposure_and_noise_and_keeps_colour():
    chosen = {op.kind: op for op in operations("colour-pattern")}
    jitter, noise = chosen["ColorJitter"], chosen["RandomGaussianNoise"]
    assert isinstance(jitter, ColorJitter)
    assert (jitter.brightness, jitter.saturation, jitter.hue) == (0.25, 0, 0)
    assert isinstance(noise, RandomGaussianNoise)
    assert noise.std[1] > 0
    assert not {"RandomGrayscale", "RandomPosterize"} & set(chosen)
    assert warnings(operations("colour-pattern")) == []


def test_what_destroys_colour_is_said_in_words():
    said = warnings([ColorJitter(hue=0.2), RandomGrayscale(), RandomPosterize()])
    assert [sentence.split()[0] for sentence in said] == [
        "ColorJitter",
        "RandomGrayscale",
        "RandomPosterize",
    ]
    assert "ignore colour" in said[0]
    assert "8 levels" in said[2]
    assert warnings([RandomResizedCrop(scale=(0.05, 1.0))])[0].startswith("RandomResizedCrop cuts")


def test_a_kind_that_is_named_twice_is_refused():
    with pytest.raises(OptionError, match="RandomRotation 2 times"):
        operations([RandomRotation(), RandomHorizontalFlip(), RandomRotation(degrees=10)])


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (RandomResizedCrop, {"scale": (0.9, 0.1)}),
        (RandomResizedCrop, {"scale": (0.5, 1.5)}),
        (RandomRotation, {"degrees": 200}),
        (RandomPosterize, {"bits_low": 6, "bits_high": 3}),
        (RandomGaussianNoise, {"std": (-0.1, 0.1)}),
    ],
    ids=["falling", "above one", "turn", "bits", "negative"],
)
def test_values_out_of_bounds_are_refused(kind, given):
    with pytest.raises(OptionError):
        kind.parse(given)


def test_crops_lie_in_the_specimen_or_hold_it():
    crop = RandomResizedCrop(scale=(0.05, 0.6), ratio=(0.5, 2.0))
    u = uniforms(4, purpose="x", seed=0, step=0, specimens=np.arange(500), view=0)
    specimen = np.array([10.0, 40.0, 90.0, 60.0])  # 80 x 20 pixels of a picture of 100
    x0, y0, width, height = crop.boxes(u, 100, np.tile(specimen, (500, 1))).T
    assert x0.min() >= 0
    assert (x0 + width).max() <= 100
    for start, length, low, high in ((x0, width, 10, 90), (y0, height, 40, 60)):
        within = (start >= low) & (start + length <= high)
        holds = (start <= low) & (start + length >= high)
        assert (within | holds).all()
        assert within.any()


def test_crops_have_the_areas_and_proportions_asked_for():
    crop = RandomResizedCrop(scale=(0.1, 0.3), ratio=(0.5, 2.0))
    u = uniforms(4, purpose="x", seed=0, step=0, specimens=np.arange(2000), view=0)
    _, _, width, height = crop.boxes(u, 100, np.tile([0.0, 0, 100, 100], (2000, 1))).T
    area, ratio = width * height / 10_000, width / height
    assert [area.min(), area.mean(), area.max()] == pytest.approx([0.1, 0.2, 0.3], abs=0.005)
    assert [ratio.min(), np.median(ratio), ratio.max()] == pytest.approx([0.5, 1, 2], abs=0.05)


@pytest.mark.parametrize(
    ("operation", "u"),
    [
        (RandomHorizontalFlip(p=1), []),
        (RandomVerticalFlip(p=1), []),
        (RandomRotation(p=1), [0.75]),  # by 90 degrees
        (RandomAffine(p=1, degrees=0, translate=0.1), [0.5, 0.9, 0.2, 0.5, 0.5, 0.5]),
    ],
    ids=["flip", "upside down", "quarter turn", "shift"],
)
def test_crops_reach_from_edge_to_edge_of_a_specimen_that_was_moved(operation, u):
    specimen = np.array([6.0, 8, 26, 20])
    # 6 px wide, one in each of two opposite corners
    crop = RandomResizedCrop(scale=(1 / 64, 1 / 64), ratio=(1, 1))
    draws = {
        operation.kind: np.array([[0, *u]] * 2),
        crop.kind: np.array([[0, 0.5, 0.5, 0, 0], [0, 0.5, 0.5, 1, 1]]),
    }
    matrices = composed((operation, crop), draws, 48, 16, np.tile(specimen, (2, 1)))
    corners = np.array([[-0.5, 15.5], [-0.5, 15.5], [1, 1]])  # of the views
    x, y, w = np.linalg.inv(matrices).swapaxes(0, 1) @ corners
    shown = np.stack([x / w, y / w]).reshape(2, -1) + 0.5
    np.testing.assert_allclose([*shown.min(1), *shown.max(1)], specimen, atol=1e-9)


def test_a_crop_stays_in_the_picture_when_the_specimen_has_left_it():
    crop = RandomResizedCrop(scale=(0.25, 0.25), ratio=(1, 1))
    shift = RandomAffine(p=1, degrees=0, translate=1, scale=(1, 1))
    draws = {
        shift.kind: np.array([[0, 0.5, 1, 0.5, 0.5, 0.5, 0.5]] * 3),
        crop.kind: np.array([[0, 0.5, 0.5, along, 0.5] for along in (0, 0.5, 1)]),
    }
    bounds = np.tile([6.0, 8, 26, 20], (3, 1))
    # moved by 48 px to the right, of which the crop shows the last 24 of what came into the picture
    matrices = composed((shift, crop), draws, 48, 24, bounds)
    np.testing.assert_allclose(matrices[:, 0], np.tile([1.0, 0, 48 - 24], (3, 1)), atol=1e-9)


def test_erased_rectangles_stay_in_the_view():
    erasing = RandomErasing(scale=(0.02, 0.2))
    u = uniforms(4, purpose="x", seed=0, step=0, specimens=np.arange(500), view=0)
    x0, y0, width, height = erasing.boxes(u, 32).T
    assert (np.minimum(x0, y0) >= 0).all()
    assert (np.maximum(x0 + width, y0 + height) <= 32).all()
    assert (width * height / 32**2).mean() == pytest.approx(0.11, abs=0.01)


def test_options_need_no_torch():
    code = "import sys, napari_phenoscape.views._augmentations; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
