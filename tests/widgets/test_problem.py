"""What a dock copies of an error: all that helps to mend it, nothing that says who one is."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_phenoscape import __version__
from napari_phenoscape.errors import RunError
from napari_phenoscape.events import Notice, Progress
from napari_phenoscape.specimens import Folder
from napari_phenoscape.widgets._dock import Dock

pytestmark = pytest.mark.gui


@pytest.fixture
def dock(open_dock, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/home/lovelace"))
    monkeypatch.setattr("getpass.getuser", lambda: "lovelace")
    dock = open_dock(Dock)
    dock.session.parts["collection"] = Folder(path=Path("/home/lovelace/moths"))
    return dock


def fail(dock, error: Exception, wait) -> None:
    def verb():
        yield Progress("reading specimens", 3, 9)
        yield Notice("/media/lovelace/disk is slow")
        raise error

    dock.follow(dock.session.do("Trying", verb, torch=False))
    wait(lambda: not dock.session.busy)


def test_an_error_is_copied_with_all_about_it_and_without_who_one_is(dock, wait):
    assert not dock.problem.isVisible()
    fail(dock, KeyError("band"), wait)
    assert "Copy report" in dock.words.text()
    QTest.mouseClick(dock.problem, Qt.MouseButton.LeftButton)
    copied = QApplication.clipboard().text()
    for part in (
        "Unforeseen KeyError", f"phenoscape {__version__}", "torch ", "napari ", "~/moths",
        "/media/USER/disk is slow", '"done": 3', "raise error", "threads",
    ):  # fmt: skip
        assert part in copied
    assert "lovelace" not in copied
    QTest.mouseClick(dock.problem, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier)
    assert "/home/lovelace/moths" in dock.problem.text_of(personal=True)
    dock.say("All is well.")
    assert not dock.problem.isVisible()


def test_an_error_that_was_foreseen_can_be_copied_too(dock, wait):
    fail(dock, RunError("'/home/lovelace/runs' cannot be written; make room."), wait)
    assert dock.problem.isVisible()
    assert "'~/runs' cannot be written" in dock.problem.text_of()
    try:
        raise RunError("It cannot be.")
    except RunError as error:
        dock.say(str(error), error=True)
    assert "It cannot be." in dock.problem.text_of()
    assert "test_problem.py" in dock.problem.text_of()
