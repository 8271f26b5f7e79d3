"""Presets of a whole experiment, in the Train dock, in a real window."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_phenoscape.events import result
from napari_phenoscape.specimens import collect
from napari_phenoscape.training import SETTLED, experiment_for
from napari_phenoscape.widgets import TrainDock
from napari_phenoscape.widgets._dock import WIDTH
from napari_phenoscape.widgets._session import session_of
from napari_phenoscape.widgets._specimens import collected
from napari_phenoscape.widgets.form._variants import OWN

pytestmark = pytest.mark.gui


@pytest.fixture
def session(viewer):
    return session_of(viewer)


@pytest.fixture
def dock(open_dock, session, experiment, wait):
    """Beside 24 specimens that were collected."""
    collection, fitting = result(collected(experiment.collection))
    session.set_collection(collection, **fitting)
    dock = open_dock(TrainDock)
    wait(dock.preset.isEnabled)
    return dock


def choose(dock, name: str) -> None:
    dock.preset.box.setFocus()
    for letter in name[:3]:
        QTest.keyClick(dock.preset.box, letter)
    QTest.keyClick(dock.preset.box, Qt.Key.Key_Return)
    assert dock.preset.box.currentText() == name


def test_what_fits_is_the_preset_workstation_and_the_rest_is_folded(dock):
    assert dock.preset.box.currentText() == "workstation"
    assert "600 steps of 6 specimens" in dock.preset.words.text()
    assert not dock.settings.opened
    assert dock.form.editors["modalities"].isVisible()


@pytest.mark.parametrize("name", ["look", "quick", "paper"])
def test_a_preset_is_what_the_command_line_makes_of_these_specimens(dock, session, name):
    choose(dock, name)
    asked = experiment_for(session.collection, name)
    for field in SETTLED:
        assert getattr(session.experiment, field) == getattr(asked, field)
        if field in dock.form.editors:
            assert dock.form.editors[field].get() == getattr(asked, field)
    assert dock.preset.box.currentText() == name


def test_bands_that_were_chosen_stay_and_other_settings_are_my_own(dock, session):
    session.set_part("modalities", ("uv",))
    choose(dock, "quick")
    assert session.experiment.modalities == ("uv",)
    dock.form.editors["schedule"].editors["steps"].set(7)
    assert dock.preset.box.currentText() == OWN
    assert dock.preset.words.text() == ""
    assert session.experiment.schedule.steps == 7


def test_without_specimens_none_is_offered_and_it_is_said_why(dock, session, specimens):
    folder = session.collection.source
    session.set_part("collection", folder.model_copy(update={"path": specimens / "nowhere"}))
    assert not dock.preset.isEnabled()
    assert "Collect specimens first" in dock.preset.toolTip()


def test_a_preset_fits_other_specimens_when_these_are_collected(dock, session, wait):
    choose(dock, "quick")
    source = session.collection.source
    species = session.collection.specimens[0].path.parent.name
    folder = source.model_copy(update={"pattern": f"{species}/*"})
    fewer = result(collect(folder))
    assert 2 < len(fewer.specimens) < 24
    fitting = result(collected(folder))[1]
    session.set_collection(fewer, **fitting)
    assert session.experiment.schedule == experiment_for(fewer, "workstation").schedule


def test_the_modalities_of_all_specimens_are_no_wider_than_the_dock(open_dock):
    dock = open_dock(TrainDock)
    modalities = dock.form.editors["modalities"]
    assert sum(box.isVisibleTo(modalities) for box in modalities.boxes.values()) > 8
    # its margins, and the bar that scrolls it
    assert modalities.minimumSizeHint().width() <= WIDTH - 12 - 20
