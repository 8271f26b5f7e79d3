"""The Preview augmentations dock, in a real window."""

from __future__ import annotations

import numpy as np
import pytest

from napari_phenoscape.cubes import as_modality
from napari_phenoscape.events import result
from napari_phenoscape.specimens import collect, prepare
from napari_phenoscape.training import views_of
from napari_phenoscape.training._specimens import canvas_size
from napari_phenoscape.views import PRESETS, RandomHorizontalFlip
from napari_phenoscape.widgets import PreviewDock
from napari_phenoscape.widgets._place import ours
from napari_phenoscape.widgets._preview import ALL, WORKING
from napari_phenoscape.widgets._session import session_of

pytestmark = pytest.mark.gui


@pytest.fixture
def session(viewer, experiment):
    session = session_of(viewer)
    session.set_experiment(experiment)
    session.set_collection(result(collect(experiment.collection)))
    return session


@pytest.fixture
def dock(open_dock, session, wait):
    dock = open_dock(PreviewDock)
    settled(dock, wait)
    return dock


def settled(dock, wait) -> None:
    """The views on the screen are those of the form."""
    task = dock.session.task(WORKING)
    wait(lambda: dock._rest.isActive() or dock.session.task(WORKING) is not task)
    wait(lambda: not dock._rest.isActive() and not dock.session.task(WORKING).busy)


def pictures(viewer) -> list[np.ndarray]:
    return [np.asarray(layer.data) for layer in ours(viewer, "view")]


def test_the_specimen_and_both_views_stand_side_by_side(viewer, dock):
    names = [layer.name for layer in ours(viewer, "view")]
    assert names == ["specimen", "view 1", "view 2", "outlines", "more views"]
    starts = [layer.translate[-1] for layer in ours(viewer, "view")[:3]]
    assert starts == sorted(starts)
    assert len(set(starts)) == 3


def test_the_views_are_those_of_training(viewer, dock, session, experiment, wait):
    dock.specimen.setCurrentIndex(5)
    dock.step.setValue(3)
    settled(dock, wait)
    collection = result(collect(experiment.collection))
    crops = result(prepare(collection, [as_modality("rgb")], canvas_size(experiment)))
    views = views_of(experiment, crops, 5, seed=experiment.seed, step=3)
    outlines = pictures(viewer)[3]
    side = views.mask.shape[-1]
    start = round(ours(viewer, "view")[1].translate[-1] - ours(viewer, "view")[0].translate[-1])
    np.testing.assert_array_equal(
        outlines[:side, start : start + side] > 0, views.mask[0, 0].numpy()
    )


def test_a_roll_changes_the_views_in_place_and_the_way_back_restores_them(viewer, dock, wait):
    before, layers = pictures(viewer), ours(viewer, "view")
    dock.roll_button.click()
    settled(dock, wait)
    assert ours(viewer, "view") == layers
    assert not np.array_equal(pictures(viewer)[1], before[1])
    np.testing.assert_array_equal(pictures(viewer)[0], before[0])
    dock.step.setValue(0)
    settled(dock, wait)
    for now, then in zip(pictures(viewer), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_the_preset_none_shows_two_equal_views(viewer, dock, session, wait):
    dock.form.editors["augmentations"].choice.set("none")
    settled(dock, wait)
    _, first, second, *_ = pictures(viewer)
    np.testing.assert_array_equal(first, second)
    assert session.experiment.augmentations == "none"


def test_one_of_the_operations_can_be_looked_at_alone(viewer, dock, session, experiment, wait):
    kinds = [operation.kind for operation in PRESETS[experiment.augmentations]]
    assert [dock.only.itemText(i) for i in range(dock.only.count())] == [ALL, *kinds]
    dock.only.setCurrentText("RandomHorizontalFlip")
    settled(dock, wait)
    views = views_of(
        experiment.model_copy(update={"augmentations": (RandomHorizontalFlip(p=1),)}),
        session.crops.of(experiment), 0, seed=experiment.seed, step=0, count=8,
    )  # fmt: skip
    sheet = pictures(viewer)[4]
    side = views.mask.shape[-1]
    # every view is the same one, flipped
    np.testing.assert_array_equal(sheet[:side, :side], sheet[:side, side + 2 : 2 * side + 2])
    np.testing.assert_array_equal(sheet[:side, :side], pictures(viewer)[1])
    # and the experiment is as it was
    assert session.experiment.augmentations == experiment.augmentations
    dock.only.setCurrentText(ALL)
    settled(dock, wait)
    assert not np.array_equal(pictures(viewer)[4], sheet)


def test_one_band_is_shown_in_grey(viewer, dock, wait):
    dock.show_as.setCurrentText("G")
    settled(dock, wait)
    for picture in (pictures(viewer)[0], pictures(viewer)[4]):
        assert (picture[..., 0] == picture[..., 1]).all()
    dock.show_as.setCurrentText("colours")
    settled(dock, wait)
    assert (pictures(viewer)[0][..., 0] != pictures(viewer)[0][..., 1]).any()


def test_a_single_operation_is_shown_alone(viewer, dock, session, wait):
    dock.form.editors["augmentations"].set((RandomHorizontalFlip(p=1),))
    settled(dock, wait)
    flipped = pictures(viewer)[1]
    dock.form.editors["augmentations"].choice.set("none")
    settled(dock, wait)
    np.testing.assert_allclose(
        flipped.astype(int)[:, ::-1], pictures(viewer)[1].astype(int), atol=1
    )


def test_the_users_layers_are_left_as_they_are(viewer, open_dock, session, wait):
    own = viewer.add_image(np.zeros((50, 70)), name="view 1")
    dock = open_dock(PreviewDock)
    settled(dock, wait)
    viewer.layers.remove("view 2")
    dock.roll_button.click()
    settled(dock, wait)
    assert viewer.layers["view 1"].data is own.data or np.array_equal(
        viewer.layers["view 1"].data, own.data
    )
    assert tuple(own.translate) == (0, 0)
    assert len(ours(viewer, "view")) == 5
    # ours stand beside it, not on it
    assert all(layer.translate[-1] >= 70 for layer in ours(viewer, "view")[:1])


def test_a_setting_that_destroys_the_signal_is_named(dock, wait):
    dock.form.editors["augmentations"].choice.set("simclr-rgb")
    settled(dock, wait)
    expected = [w for operation in PRESETS["simclr-rgb"] if (w := operation.warning())]
    assert expected
    assert dock.warnings.text().split("\n") == expected
    dock.form.editors["augmentations"].choice.set("none")
    settled(dock, wait)
    assert dock.warnings.text() == ""


def test_a_modality_that_the_specimens_lack_is_answered_in_words(dock, session, wait):
    session.set_part("modalities", ("nir",))
    settled(dock, wait)
    assert "nir" in dock.words.text()
    session.set_part("modalities", ("uv",))
    settled(dock, wait)
    assert dock.words.text() == ""


def test_without_specimens_the_roll_is_grey_and_says_why(open_dock):
    dock = open_dock(PreviewDock)
    assert not dock.roll_button.isEnabled()
    assert dock.roll_button.toolTip() == "Collect specimens first, in the Specimens dock."


def test_what_was_tried_is_saved_and_comes_back(dock, session, tmp_path, wait):
    dock.editors["seed"].set(7)
    dock.form.editors["augmentations"].choice.set("shape-only")
    settled(dock, wait)
    dock.file.save(tmp_path / "e.yaml")
    dock.editors["seed"].set(0)
    dock.form.editors["augmentations"].choice.set("none")
    settled(dock, wait)
    dock.file.load(tmp_path / "e.yaml")
    settled(dock, wait)
    assert (session.experiment.seed, session.experiment.augmentations) == (7, "shape-only")
    assert dock.editors["seed"].get() == 7
    assert dock.form.editors["augmentations"].get() == "shape-only"


def test_another_seed_rolls_other_views(viewer, dock, wait):
    before = pictures(viewer)[1]
    dock.editors["seed"].set(5)
    settled(dock, wait)
    assert not np.array_equal(pictures(viewer)[1], before)
    dock.editors["seed"].set(0)
    settled(dock, wait)
    np.testing.assert_array_equal(pictures(viewer)[1], before)


def test_many_warnings_leave_room_for_the_form(viewer, dock, session, wait):
    viewer.window.set_geometry(0, 0, 1280, 800)
    session.set_part("augmentations", "simclr-rgb")
    settled(dock, wait)
    assert dock.warnings.text().count("\n") == 2
    assert dock.warnings.height() < 250
    assert dock.specimen.visibleRegion().boundingRect().height() > 10
    assert dock.roll_button.visibleRegion().boundingRect().height() > 10
