"""The experiment that fits a collection, from nothing but what lies there."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import tifffile

from napari_phenoscape.events import result
from napari_phenoscape.nets import SpectralResponse
from napari_phenoscape.specimens import Collection, Drawer, Folder, collect
from napari_phenoscape.training import (
    EXPERIMENT_PRESETS,
    PCA,
    SETTLED,
    UMAP,
    ExperimentPresetName,
    KMeans,
    experiment_for,
    experiments_for,
)


def folder(path: Path, planes: int, number: int, size: tuple[int, int] = (40, 30)) -> Collection:
    """Stacks of 6 (RGB, UV) planes, RGB or grey pictures."""
    path.mkdir(exist_ok=True)
    for i in range(number):
        numbers = np.random.default_rng(i).integers(1, 9999, (*size, planes)).astype("u2")
        if planes == 6:
            stack = numbers.transpose(2, 0, 1)
            tifffile.imwrite(path / f"uv{i}.tif", stack, photometric="minisblack", metadata=None)
        elif planes == 3:
            tifffile.imwrite(path / f"rgb{i}.tif", numbers.astype("u1"), photometric="rgb")
        else:
            tifffile.imwrite(path / f"grey{i}.tif", numbers[..., 0], photometric="minisblack")
    return result(collect(Folder(path=path)))


@pytest.mark.parametrize(("planes", "modality"), [(1, "grey"), (3, "rgb"), (6, "rgb+uv")])
def test_the_modality_has_all_bands_of_the_specimens(tmp_path, planes, modality) -> None:
    assert experiment_for(folder(tmp_path, planes, 4)).modalities == (modality,)


def test_of_stacks_and_pictures_that_share_rgb_alone_rgb_is_compared(tmp_path) -> None:
    folder(tmp_path, 6, 6)
    assert experiment_for(folder(tmp_path, 3, 4)).modalities == ("rgb",)


def test_one_picture_among_many_stacks_does_not_take_their_uv(tmp_path) -> None:
    folder(tmp_path, 6, 12)
    numbers = np.full((9, 9, 3), 9, np.uint8)
    tifffile.imwrite(tmp_path / "one.tif", numbers, photometric="rgb")
    assert experiment_for(result(collect(Folder(path=tmp_path)))).modalities == ("rgb+uv",)


@pytest.mark.parametrize(
    ("number", "batch", "steps"),
    [(5, 2, 375), (8, 2, 600), (240, 60, 600), (300, 64, 703), (400, 64, 937)],
)
def test_batches_are_a_quarter_and_steps_show_each_150_times(
    tmp_path, number, batch, steps
) -> None:
    collection = folder(tmp_path, 3, number, (4, 4))
    schedule = experiment_for(collection, "workstation").schedule
    assert (schedule.batch_size, schedule.steps) == (batch, steps)


@pytest.mark.parametrize(
    ("preset", "batch", "steps"),
    [("quick", 64, 93), ("workstation", 64, 703), ("paper", 75, 3200)],
)
def test_a_preset_says_how_often_each_specimen_is_seen(tmp_path, preset, batch, steps) -> None:
    """300 specimens 20, 150 and 800 times; a quarter of them is the largest batch."""
    schedule = experiment_for(folder(tmp_path, 3, 300, (4, 4)), preset).schedule
    assert (schedule.batch_size, schedule.steps) == (batch, steps)


def test_presets_differ_in_what_they_settle_and_in_the_map_alone(tmp_path) -> None:
    each = experiments_for(folder(tmp_path, 3, 12, (300, 4)))
    assert list(each) == list(EXPERIMENT_PRESETS) == list(get_args(ExperimentPresetName))
    assert [one.image_size for one in each.values()] == [96, 96, 96, 224]
    assert [one.method.trains for one in each.values()] == [False, True, True, True]
    same = [one.model_dump(exclude={*SETTLED, "grouping"}) for one in each.values()]
    assert all(one == same[0] for one in same)


@pytest.mark.parametrize(("side", "size"), [(5, 16), (40, 40), (75, 72), (500, 96)])
def test_a_view_is_as_large_as_the_median_specimen_between_16_and_96(tmp_path, side, size) -> None:
    assert experiment_for(folder(tmp_path, 3, 3, (side, 4))).image_size == size


def test_a_look_is_instant_on_a_quick_map_and_a_training_is_not(tmp_path) -> None:
    collection = folder(tmp_path / "my moths (2)", 3, 3)
    look, training = experiment_for(collection), experiment_for(collection, "workstation")
    assert (look.method.kind, training.method.kind) == ("instant", "simclr")
    assert (look.grouping.map, training.grouping.map) == (PCA(), UMAP())
    assert look.grouping.method == KMeans(clusters=0)
    assert look.name == "my-moths-2"
    assert look.collection == collection.source


@pytest.mark.parametrize(
    ("planes", "side", "there", "beside"),
    [(3, 40, True, True), (3, 24, True, False), (6, 40, True, False), (3, 40, False, False)],
)
def test_the_net_of_photographs_is_asked_of_photographs_alone(
    tmp_path, monkeypatch, planes, side, there, beside
) -> None:
    net = "efficientnet_lite0" if there else None
    monkeypatch.setattr("napari_phenoscape.training._proposal.offline_net", lambda: net)
    collection = folder(tmp_path, planes, 4, (side, side))
    look, training = experiment_for(collection), experiment_for(collection, "workstation")
    kinds = [features.kind for features in look.method.features]
    assert kinds == ["descriptor", "pretrained"][: 1 + beside]
    assert training.encoder.backbone.startswith("pretrained:") is beside


def test_a_spectrum_is_compared_in_full_and_mixed_by_wavelength(tmp_path) -> None:
    cube = np.zeros((20, 20, 40), "<u2")  # row, band, column
    cube[2:12, :, 2:14], cube[4:16, :, 20:38] = 300, 200
    path = tmp_path / "drawer.bil"
    path.write_bytes(cube.tobytes())
    centres = ", ".join(str(400 + 10 * band) for band in range(20))
    (tmp_path / "drawer.bil.hdr").write_text(
        "ENVI\nsamples = 40\nlines = 20\nbands = 20\ndata type = 12\ninterleave = bil\n"
        f"byte order = 0\nwavelength units = nm\nwavelength = {{{centres}}}\n"
    )
    tifffile.imwrite(tmp_path / "drawer_regions.tif", (cube[:, 0] // 100).astype("u1"))
    drawer = Drawer(path=path, regions=tmp_path / "drawer_regions.tif")
    experiment = experiment_for(result(collect(drawer)))
    assert experiment.modalities == ("full",)
    assert experiment.encoder.stem == SpectralResponse()
