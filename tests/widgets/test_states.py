"""Each state of a training: its dock closed by its × and opened again, and napari closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from qtpy.QtCore import QThreadPool

import napari_phenoscape.training._loop as loop
from napari_phenoscape.events import Finished, Progress, Step, result
from napari_phenoscape.specimens import collect
from napari_phenoscape.training import Schedule, read_events, read_state, runs_in
from napari_phenoscape.training._checkpoint import checkpoints
from napari_phenoscape.widgets import ClustersDock, SpecimensDock, TrainDock
from napari_phenoscape.widgets._dock import frame_of
from napari_phenoscape.widgets._session import session_of

pytestmark = pytest.mark.gui


@pytest.fixture
def session(viewer, experiment):
    session = session_of(viewer)
    session.set_experiment(experiment)
    session.set_collection(result(collect(experiment.collection)))
    return session


@pytest.fixture
def hold(monkeypatch) -> Callable[[object, str], threading.Event]:
    """Makes a verb wait before it begins, until an event is set; a close is heard."""

    def holding(module, name: str) -> threading.Event:
        go, verb = threading.Event(), getattr(module, name)

        def held(*args, **kwargs):
            while not go.is_set():
                yield Progress("held", 1, 2)
                time.sleep(0.01)
            return (yield from verb(*args, **kwargs))

        monkeypatch.setattr(module, name, held)
        return go

    return holding


@pytest.fixture
def slow_save(monkeypatch) -> tuple[threading.Event, threading.Event]:
    """A checkpoint is being written; and may be."""
    saving, go, save = threading.Event(), threading.Event(), loop.save_checkpoint

    def held(*args):
        saving.set()
        assert go.wait(60)
        return save(*args)

    monkeypatch.setattr(loop, "save_checkpoint", held)
    return saving, go


@pytest.fixture
def reopen(open_dock, qtbot):
    def again(dock):
        with qtbot.waitSignal(dock.destroyed):
            frame_of(dock).titleBarWidget().close_button.click()
        return open_dock(type(dock))

    return again


def steps(session) -> list[Step]:
    return [event for event in session.history if isinstance(event, Step)]


def finish_stopped(dock, session, wait) -> None:
    dock.stop_button.click()
    wait(lambda: not session.training.busy)
    made = steps(session)[-1].step
    assert read_state(checkpoints(session.run)[-1]).step == made
    assert read_events(session.run)[-1] == Finished(session.run, stopped=True)
    assert "Stopped and saved" in dock.words.text()


def test_while_specimens_are_collected(open_dock, session, reopen, wait, hold):
    import napari_phenoscape.widgets._specimens as module

    go = hold(module, "collect")
    dock = open_dock(SpecimensDock)
    dock.collect_button.click()
    wait(lambda: "held" in dock.progress.text())
    again = reopen(dock)
    assert "held: 1 of 2" in again.progress.text()
    wait(lambda: again.progress.isVisible() and "held" in again.progress.text())
    go.set()
    wait(lambda: not session.busy)
    assert len(session.collection.specimens) == 24
    assert not again.progress.isVisible()


def test_measuring_that_is_not_done_hides_no_collecting(open_dock, session, reopen, wait, hold):
    import napari_phenoscape.widgets._specimens as module

    measured, found = hold(module, "prepare"), hold(module, "collect")
    dock = open_dock(SpecimensDock)
    dock.collect_button.click()
    wait(lambda: "held" in dock.progress.text())
    again = reopen(dock)
    again.stop_button.click()
    wait(lambda: not session.task(module.COLLECTING).busy)
    assert session.task(module.COLLECTING).state == "stopped"
    measured.set()
    found.set()
    wait(lambda: not session.busy)


def test_while_specimens_are_prepared(open_dock, session, reopen, wait, hold):
    go = hold(loop, "specimens_of")
    dock = open_dock(TrainDock)
    dock.start_button.click()
    wait(lambda: "held" in dock.progress.text())
    again = reopen(dock)
    assert "held: 1 of 2" in again.progress.text()
    assert not again.start_button.isEnabled()
    go.set()
    wait(lambda: len(steps(session)) > 1)
    finish_stopped(again, session, wait)


def test_napari_closed_while_specimens_are_prepared_leaves_nothing(
    viewer, open_dock, session, wait, hold, experiment
):
    hold(loop, "specimens_of")
    dock = open_dock(TrainDock)
    dock.start_button.click()
    wait(lambda: "held" in dock.progress.text())
    viewer.close()
    assert QThreadPool.globalInstance().waitForDone(60_000)
    assert not experiment.runs.exists()


def test_while_it_saves_at_a_stop(open_dock, session, reopen, wait, slow_save):
    saving, go = slow_save
    dock = open_dock(TrainDock)
    dock.start_button.click()
    wait(lambda: len(steps(session)) > 1)
    dock.stop_button.click()
    wait(saving.is_set)
    again = reopen(dock)
    assert not again.start_button.isEnabled()
    assert again.stop_button.toolTip() == "Stopping."
    assert "then saving" in again.words.text()
    go.set()
    wait(lambda: not session.training.busy)
    assert "Stopped and saved" in again.words.text()
    assert again.start_button.isEnabled()
    assert read_state(checkpoints(session.run)[-1]).step == steps(session)[-1].step


def test_napari_closed_while_it_saves_at_a_stop(viewer, open_dock, session, wait, slow_save):
    saving, go = slow_save
    dock = open_dock(TrainDock)
    dock.start_button.click()
    wait(lambda: len(steps(session)) > 1)
    dock.stop_button.click()
    wait(saving.is_set)
    viewer.close()
    go.set()
    assert QThreadPool.globalInstance().waitForDone(60_000)
    told = read_events(session.run)
    assert told[-1] == Finished(session.run, stopped=True)
    last = max(event.step for event in told if isinstance(event, Step))
    assert read_state(checkpoints(session.run)[-1]).step == last


def test_after_it_failed(open_dock, session, reopen, wait, monkeypatch):
    def fails(*_):
        raise RuntimeError("the device went away")

    monkeypatch.setattr(loop, "learning_rate", fails)
    dock = open_dock(TrainDock)
    dock.start_button.click()
    wait(lambda: not session.training.busy)
    again = reopen(dock)
    assert "the device went away" in again.words.text()
    assert again.start_button.isEnabled()
    assert not again.progress.isVisible()


def test_after_it_finished_and_while_its_specimens_are_embedded(
    open_dock, session, reopen, wait, hold
):
    import napari_phenoscape.widgets._grouping as module

    short = session.experiment.model_copy(update={"schedule": Schedule(steps=2, batch_size=4)})
    session.set_experiment(short)
    session.set_collection(result(collect(short.collection)))
    train, clusters = open_dock(TrainDock), open_dock(ClustersDock)
    train.start_button.click()
    wait(lambda: not session.training.busy)
    again = reopen(train)
    assert again.words.text().startswith("Done. Embed and cluster the run")
    assert again.start_button.isEnabled()
    assert not again.progress.isVisible()
    assert [run.state for run in result(runs_in(short.runs))] == ["finished"]
    go = hold(module, "embed")
    clusters.embed_button.click()
    wait(lambda: "held" in clusters.progress.text())
    other = reopen(clusters)
    wait(lambda: other.progress.isVisible() and "held" in other.progress.text())
    assert not other.embed_button.isEnabled()
    go.set()
    wait(lambda: session.clustered is not None and not session.busy)
    assert other.legend.isVisible()
