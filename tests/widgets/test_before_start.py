"""The list *Before you start* of the Train dock, in a real window."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_phenoscape.events import result
from napari_phenoscape.specimens import collect
from napari_phenoscape.training import Schedule
from napari_phenoscape.widgets import TrainDock
from napari_phenoscape.widgets._session import session_of
from napari_phenoscape.widgets.form._note import TONES, Note

pytestmark = pytest.mark.gui


@pytest.fixture
def session(viewer, experiment):
    session = session_of(viewer)
    session.set_experiment(experiment.model_copy(update={"schedule": Schedule(steps=4)}))
    session.set_collection(result(collect(experiment.collection)))
    return session


@pytest.fixture
def dock(open_dock, session):
    return open_dock(TrainDock)


def press(button) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def said(dock, words: str) -> bool:
    return any(words in line for line in dock.before.words)


def test_a_click_makes_the_change_that_mends_it_and_starts_nothing(dock, session, wait):
    wait(lambda: said(dock, "A batch of 64 is larger than the collection of 24 specimens"))
    (button,) = (one for one in dock.before.buttons if "batch" in one.text())
    assert button.text() == "Set batch size to 6"
    assert button.isVisible()
    assert button.visibleRegion().boundingRect().size() == button.size()  # not cut off
    press(button)
    assert dock.form.value.schedule.batch_size == 6
    assert session.experiment.schedule.batch_size == 6
    wait(lambda: not said(dock, "batch"))
    assert session.training is None


def test_how_long_it_takes_is_said_when_a_step_was_tried_and_once_for_the_same_settings(
    dock, session, wait
):
    assert not said(dock, "It takes about")
    session.set_part("schedule", Schedule(steps=12, batch_size=6))
    wait(lambda: said(dock, "12 steps of"))
    told = [line for line in dock.before.words if "12 steps of" in line]
    session.set_part("name", "another")  # which changes no step
    wait(lambda: session.task("Looking for what would go wrong").busy)
    wait(lambda: not session.busy)
    assert [line for line in dock.before.words if "12 steps of" in line] == told
    assert session.training is None


def test_an_error_is_in_the_colour_that_is_read_on_the_theme(dock, choose_theme, wait):
    wait(lambda: errors(dock) == {f"color: {TONES['error'][False]};"})
    choose_theme("light")
    wait(lambda: errors(dock) == {f"color: {TONES['error'][True]};"})


def errors(dock) -> set[str]:
    lines = dock.before.findChildren(Note)
    return {line.styleSheet() for line in lines if line.tone == "error" and line.isVisible()}


def test_what_is_wrong_goes_when_the_form_mends_it_and_comes_back(dock, session, wait):
    wait(lambda: said(dock, "A batch of 64"))
    batch = dock.form.editors["schedule"]
    batch.set(Schedule(steps=4, batch_size=12))
    dock.form.changed.emit()
    wait(lambda: said(dock, "A batch of 12 is more than a quarter of 24 specimens"))
    assert not said(dock, "A batch of 64")


def test_modalities_are_offered_that_the_specimens_have_by_what_they_are(dock, session, wait):
    boxes = dock.form.editors["modalities"].boxes
    wait(lambda: not boxes["nir"].isVisible())
    offered = {name: box.text() for name, box in boxes.items() if box.isVisible()}
    assert {"rgb", "uv", "full"} <= set(offered) <= {"rgb", "uv", "vis", "full", "all"}
    assert offered["uv"] == "ultraviolet (uv)"
    dock.form.editors["modalities"].line.value = "rgb; nir"
    wait(lambda: boxes["nir"].isVisible())  # what is chosen can be unchosen


def test_while_a_training_is_at_work_nothing_stands_before_the_start(dock, session, wait):
    wait(lambda: dock.before.isVisible())
    session.set_part("schedule", Schedule(steps=100_000, batch_size=4))
    press(dock.start_button)
    wait(lambda: session.training is not None)
    wait(lambda: not dock.before.isVisible())
    session.training.stop()
    wait(lambda: not session.training.busy)


def test_a_cube_that_is_gone_is_said_in_place_until_it_is_back(dock, session, wait):
    wait(lambda: dock.before.isVisible())
    path = session.collection.specimens[0].path
    aside = path.with_name("aside")
    path.rename(aside)
    try:
        session.set_part("seed", 1)
        wait(lambda: said(dock, path.name))
    finally:
        aside.rename(path)
    session.set_part("seed", 2)
    wait(lambda: not said(dock, path.name))
