"""The Runs dock, and the offer to go on, in a real window."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QDesktopServices
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QMessageBox

from napari_phenoscape.embeddings import load_encoder
from napari_phenoscape.events import Finished, Started, Step
from napari_phenoscape.training import Schedule, read_events, read_experiment
from napari_phenoscape.training._run import EXPERIMENT, LOCK, log_event, new_run
from napari_phenoscape.widgets import ClustersDock, RunsDock, TrainDock
from napari_phenoscape.widgets._last_folder import keep_last_folder, last_folder
from napari_phenoscape.widgets._session import session_of

pytestmark = pytest.mark.gui


@pytest.fixture
def session(viewer):
    return session_of(viewer)


@pytest.fixture
def runs(experiment) -> list[Path]:
    """One that was interrupted, one that is finished; changed in this order, oldest first."""
    made = []
    for name, steps in (("finished", 8), ("interrupted", 5)):
        run = new_run(
            experiment.model_copy(
                update={"name": name, "schedule": Schedule(steps=8, batch_size=len(name))}
            )
        )
        log_event(run, Started(run, 24, 0, 8, "cpu"))
        for step in range(1, steps + 1):
            log_event(run, Step(step, 8, 4.0 / step, 0.5, 1e-3, 10.0, 1.0))
        made.append(run)
    log_event(made[0], Finished(made[0]))
    os.utime(made[0] / "events.jsonl", (1, 1))
    return made


@pytest.fixture
def dock(open_dock, session, runs, wait):
    session.set_part("runs", runs[0].parent)
    dock = open_dock(RunsDock)
    wait(lambda: len(dock.runs) == 2 and not session.busy)
    return dock


def cells(table) -> list[dict[str, str]]:
    names = [table.horizontalHeaderItem(at).text() for at in range(table.columnCount())]
    return [
        {name: table.item(at, column).text() for column, name in enumerate(names)}
        for at in range(table.rowCount())
    ]


def click(dock, number: int, keys=Qt.KeyboardModifier.NoModifier) -> None:
    """As a user does, on the row of a run."""
    table = dock.table
    place = table.visualItemRect(table.item(number, 0)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, keys, place)


def press(button) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_runs_stand_in_a_table_with_what_differs_and_their_curves(dock, session, runs, wait):
    assert cells(dock.table) == [
        {
            "run": runs[1].name,
            "state": "interrupted",
            "step": "5 of 8",
            "loss": "0.800",
        },
        {
            "run": runs[0].name,
            "state": "finished",
            "step": "8 of 8",
            "loss": "0.500",
        },
    ]
    assert [run.path for run in dock.chosen] == [runs[1]]  # the newest
    assert dock.unfinished.isVisible()
    assert dock.unfinished.words.text() == f"'{runs[1].name}' was interrupted at step 5 of 8."
    assert dock.differing.words.text().startswith("Choose several runs")
    click(dock, 1, Qt.KeyboardModifier.ControlModifier)
    assert cells(dock.differing.table) == [
        {"differs": "schedule › batch size", "interrupted": "11", "finished": "8"}
    ]
    assert dock.differing.words.text() == ""
    wait(lambda: len(dock.curves.getPlotItem().listDataItems()) == 2)
    (x, y), (longer, _) = (
        line.getOriginalDataset() for line in dock.curves.getPlotItem().listDataItems()
    )
    assert x.tolist() == [1, 2, 3, 4, 5]
    assert y.tolist() == [4.0, 2.0, 4 / 3, 1.0, 0.8]
    assert longer.tolist() == list(range(1, 9))
    assert dock.open_button.toolTip() == "Choose one run in the table."
    click(dock, 1)
    assert dock.continue_button.toolTip().startswith("It is finished.")
    assert dock.watch_button.toolTip() == "Nobody trains it now."


def test_a_broken_run_says_what_is_wrong_and_the_words_go_when_it_is_mended(dock, runs, wait):
    whole = (runs[1] / EXPERIMENT).read_bytes()
    (runs[1] / EXPERIMENT).write_text("name: [")
    press(dock.refresh_button)
    wait(lambda: "experiment.yaml" in dock.wrong.text())
    assert not dock.open_button.isEnabled()
    assert dock.discard_button.isEnabled()
    (runs[1] / EXPERIMENT).write_bytes(whole)
    press(dock.refresh_button)
    wait(lambda: dock.wrong.text() == "")
    assert dock.open_button.isEnabled()


def test_settings_of_a_run_are_taken_and_its_command_is_copied(
    dock, session, runs, monkeypatch, wait
):
    press(dock.take_button)
    assert session.experiment.schedule.batch_size == 11
    assert session.training is None  # nothing begins by itself
    press(dock.command_button)
    assert QApplication.clipboard().text() == f"phenoscape train {runs[1]}"
    click(dock, 1)
    press(dock.command_button)
    assert QApplication.clipboard().text() == f"phenoscape train {runs[0] / EXPERIMENT}"
    shown = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: shown.append(url.toLocalFile()))
    press(dock.reveal_button)
    assert shown == [str(runs[0])]


def test_the_encoder_of_a_run_is_exported_with_its_model_card(
    open_dock, session, trained, tmp_path, wait, monkeypatch
):
    asked, folder = [], tmp_path / "encoder"

    def ask(_dock, _title, offered, kinds) -> tuple[str, str]:
        asked.append((Path(offered), kinds.split(";;")))
        return str(folder), kinds.split(";;")[0]

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    session.set_part("runs", trained.parent)
    dock = open_dock(RunsDock)
    wait(lambda: bool(dock.runs) and not session.busy)
    press(dock.export_button)
    wait(lambda: not session.busy)
    assert asked == [(trained / "encoder", ["For torch (*)", "For torch, and as ONNX (*)"])]
    assert "encoder of specimens" in (folder / "README.md").read_text()
    assert load_encoder(folder).inputs == ("images", "mask")
    assert not (folder / "encoder.onnx").exists()
    assert "The encoder is in" in dock.words.text()
    press(dock.export_button)
    wait(lambda: not session.busy)
    assert "is there already" in dock.words.text()


def test_a_batch_script_is_written_for_a_run_that_can_go_on(dock, runs, wait, session):
    press(dock.slurm_button)
    assert f"train {runs[1]}" in (runs[1] / "train.sbatch").read_text()
    wait(lambda: not session.busy)
    assert len(dock.runs) == 2


def test_a_run_goes_to_the_trash_when_that_is_confirmed_and_comes_back(dock, runs, wait, session):
    def answer(button) -> None:
        QTimer.singleShot(200, lambda: press(dock.findChild(QMessageBox).button(button)))

    answer(QMessageBox.StandardButton.Cancel)
    press(dock.discard_button)
    assert runs[1].is_dir()
    answer(QMessageBox.StandardButton.Yes)
    press(dock.discard_button)
    wait(lambda: [run.path for run in dock.runs] == [runs[0]])
    assert not runs[1].exists()
    press(dock.undo_button)
    wait(lambda: len(dock.runs) == 2)
    assert runs[1].is_dir()
    assert not dock.undo_button.isVisible()


def test_a_run_that_another_program_trains_is_watched_as_if_it_were_here(
    dock, open_dock, session, runs, wait
):
    lock = FileLock(runs[1] / LOCK, thread_local=False)
    with lock:
        press(dock.refresh_button)
        wait(lambda: cells(dock.table)[0]["state"] == "trained elsewhere")
        assert not dock.discard_button.isEnabled()
        press(dock.watch_button)
        train_dock = open_dock(TrainDock)
        wait(lambda: train_dock.curve.line.getData()[0] is not None)
        wait(lambda: len(train_dock.curve.steps) == 5)
        log_event(runs[1], Step(6, 8, 0.25, 0.5, 1e-3, 10.0, 1.0))
        wait(lambda: train_dock.curve.steps == [1, 2, 3, 4, 5, 6])
        assert train_dock.stop_button.text() == "Stop watching"
        assert not train_dock.pause_button.isEnabled()
        assert open_dock(ClustersDock).embed_button.isEnabled()  # nothing is trained here
        press(train_dock.stop_button)
        wait(lambda: not session.training.busy)
        assert train_dock.words.text() == "No longer watched; its training goes on."
        assert lock.is_locked
    assert len(read_events(runs[1])) == 7  # watching writes nothing


def test_at_the_start_the_run_that_did_not_end_is_offered_and_goes_on_when_asked(
    open_dock, viewer, session, experiment, wait
):
    short = experiment.model_copy(update={"schedule": Schedule(steps=40, batch_size=4)})
    first = open_dock(TrainDock)
    session.set_experiment(short)
    press(first.start_button)
    wait(lambda: sum(isinstance(event, Step) for event in session.history) > 1)
    session.training.stop()
    wait(lambda: not session.training.busy)
    run = session.run
    told = len(read_events(run))
    viewer.window.remove_dock_widget(first)

    # as a napari that was started anew: nothing is known but the folder used last
    session.parts, session.training, session.history = {}, None, []
    dock = open_dock(TrainDock)
    wait(dock.unfinished.isVisible)
    assert run.name in dock.unfinished.words.text()
    assert "was stopped at step" in dock.unfinished.words.text()
    assert session.training is None
    assert len(read_events(run)) == told
    press(dock.unfinished.button)
    wait(lambda: session.training is not None and not session.training.busy)
    assert not dock.unfinished.isVisible()
    steps = [event.step for event in read_events(run) if isinstance(event, Step)]
    assert steps == list(range(1, 41))
    assert read_events(run)[-1] == Finished(run)


def test_a_run_whose_program_was_killed_before_its_first_step_is_offered(
    open_dock, experiment, wait
):
    run = new_run(experiment.model_copy(update={"schedule": Schedule(steps=3, batch_size=4)}))
    keep_last_folder(run.parent)
    dock = open_dock(TrainDock)
    wait(dock.unfinished.isVisible)
    assert "was made and not begun at step 0 of 3" in dock.unfinished.words.text()
    press(dock.unfinished.button)
    wait(lambda: dock.session.training is not None and not dock.session.training.busy)
    steps = [event.step for event in read_events(run) if isinstance(event, Step)]
    assert steps == [1, 2, 3]


def test_where_a_run_will_be_is_known_before_it_has_said_a_word(session, experiment, wait):
    experiment.runs.mkdir()
    session.train_experiment(experiment)
    assert not session.history
    assert last_folder() == experiment.runs
    session.training.stop()
    wait(lambda: not session.training.busy)


def test_after_a_run_that_ended_nothing_is_offered(open_dock, session, runs, wait):
    shutil.rmtree(runs[1])
    keep_last_folder(runs[0].parent)
    dock = open_dock(RunsDock)
    wait(lambda: len(dock.runs) == 1)
    assert not dock.unfinished.isVisible()
    assert read_experiment(runs[0]).name == "finished"
