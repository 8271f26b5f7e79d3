"""The Train dock, with real training in a real window."""

from __future__ import annotations

import shutil

import pytest
from qtpy.QtCore import QThreadPool, QTimer

import napari_phenoscape.training._loop
from napari_phenoscape.events import Finished, Progress, Started, Step, result
from napari_phenoscape.specimens import collect
from napari_phenoscape.training import Experiment, InstantMethod, read_events, read_state
from napari_phenoscape.training._checkpoint import checkpoints
from napari_phenoscape.training._recipe import learning_rate
from napari_phenoscape.widgets import TrainDock
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
def dock(open_dock, session):
    return open_dock(TrainDock)


def steps(session) -> list[Step]:
    return [event for event in session.history if isinstance(event, Step)]


def start(dock, session, wait) -> None:
    dock.start_button.click()
    wait(lambda: len(steps(session)) > 1 or not session.training.busy)
    assert session.training.busy, dock.words.text()


def test_start_pause_resume_stop_continue(dock, session, wait, qtbot):
    assert not dock.pause_button.isEnabled()
    assert dock.pause_button.toolTip() == "Nothing is being trained."
    ticks = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(len(session.history)))
    timer.start(5)

    start(dock, session, wait)
    wait(lambda: len(steps(session)) > 4)
    timer.stop()
    # the window went on living between the steps
    assert len(ticks) > len(steps(session))
    assert not dock.start_button.isEnabled()
    assert dock.progress.isVisible()
    wait(lambda: "step" in dock.progress.text())

    dock.pause_button.click()
    wait(lambda: session.training.state == "paused")
    held = len(steps(session))
    qtbot.wait(200)
    assert len(steps(session)) == held
    assert dock.pause_button.text() == "Resume"

    dock.pause_button.click()
    wait(lambda: len(steps(session)) > held)
    dock.stop_button.click()
    wait(lambda: not session.training.busy)
    made = len(steps(session))
    x, losses = dock.curve.line.getData()
    assert x.tolist() == list(range(1, made + 1))
    assert losses.tolist() == [step.loss for step in steps(session)]
    assert read_state(checkpoints(session.run)[-1]).step == made
    assert dock.start_button.isEnabled()
    assert "Stopped and saved" in dock.words.text()

    dock.continue_run(session.run)
    wait(lambda: len(steps(session)) > 0)
    assert steps(session)[0].step == made + 1
    session.training.stop()
    wait(lambda: not session.training.busy)


def test_closing_the_dock_does_not_stop_the_training_and_a_new_one_shows_it_all(
    viewer, open_dock, session, wait
):
    dock = open_dock(TrainDock)
    start(dock, session, wait)
    viewer.window.remove_dock_widget(dock)
    seen = len(steps(session))
    wait(lambda: len(steps(session)) > seen + 1)

    again = open_dock(TrainDock)
    assert not again.start_button.isEnabled()
    assert again.stop_button.isEnabled()
    again.stop_button.click()
    wait(lambda: not session.training.busy)
    x, _ = again.curve.line.getData()
    assert x.tolist() == list(range(1, len(steps(session)) + 1))


def test_closing_the_window_saves_what_was_learned(viewer, dock, session, wait):
    start(dock, session, wait)
    viewer.close()
    assert QThreadPool.globalInstance().waitForDone(60_000)
    told = read_events(session.run)
    assert told[-1] == Finished(session.run, stopped=True)
    last = max(event.step for event in told if isinstance(event, Step))
    assert read_state(checkpoints(session.run)[-1]).step == last


def test_a_fault_of_the_machine_is_told_and_the_run_can_go_on(dock, session, wait, monkeypatch):
    def fails_at_three(schedule, step):
        if step == 3:
            raise RuntimeError("the device went away")
        return learning_rate(schedule, step)

    monkeypatch.setattr(napari_phenoscape.training._loop, "learning_rate", fails_at_three)
    dock.start_button.click()
    wait(lambda: not session.training.busy)
    assert session.training.state == "failed"
    assert "the device went away" in dock.words.text()
    assert len(steps(session)) == 3
    assert dock.start_button.isEnabled()
    assert not dock.progress.isVisible()

    monkeypatch.undo()
    start(dock, session, wait)
    session.training.stop()
    wait(lambda: not session.training.busy)


def test_a_runs_folder_that_is_a_file_is_answered_in_words(dock, session, wait, tmp_path):
    (tmp_path / "file").write_text("")
    dock.form.editors["runs"].line.value = str(tmp_path / "file")
    dock.start_button.click()
    wait(lambda: not session.training.busy)
    assert "is a file, so no run directory fits in it" in dock.words.text()
    assert dock.start_button.isEnabled()


def test_specimens_that_disappeared_are_answered_in_words(
    dock, session, wait, tmp_path, specimens, experiment
):
    copy = tmp_path / "copy"
    shutil.copytree(specimens, copy)
    source = experiment.collection.model_copy(update={"path": copy})
    session.set_collection(result(collect(source)))
    shutil.rmtree(copy)
    dock.start_button.click()
    wait(lambda: not session.training.busy)
    assert str(copy) in dock.words.text()
    assert dock.start_button.isEnabled()


def test_a_batch_larger_than_the_collection_is_answered_in_words(dock, session, wait):
    dock.form.editors["schedule"].editors["batch_size"].set(64)
    dock.start_button.click()
    wait(lambda: not session.training.busy)
    assert "A batch of 64 is larger than the collection of 24 specimens" in dock.words.text()
    assert session.run is None
    assert dock.start_button.isEnabled()


def test_without_specimens_start_is_grey_and_says_why(open_dock):
    dock = open_dock(TrainDock)
    assert not dock.start_button.isEnabled()
    assert dock.start_button.toolTip() == "Collect specimens first, in the Specimens dock."


def test_a_wrong_setting_greys_start_and_says_which(dock):
    dock.form.editors["name"].line.value = "no spaces allowed"
    assert not dock.start_button.isEnabled()
    assert "no spaces allowed" in dock.start_button.toolTip()
    dock.form.editors["name"].line.value = "fine"
    assert dock.start_button.isEnabled()


def test_the_saved_experiment_is_the_one_that_is_trained(dock, session, wait, tmp_path):
    path = tmp_path / "elsewhere" / "experiment.yaml"
    path.parent.mkdir()
    dock.file.save(path)
    start(dock, session, wait)
    session.training.stop()
    wait(lambda: not session.training.busy)
    assert Experiment.read(path) == Experiment.read(session.run / "experiment.yaml")


def test_a_loaded_experiment_is_shown(dock, session, experiment, tmp_path):
    other = experiment.model_copy(update={"name": "other", "modalities": ("rgb+uv",)})
    (tmp_path / "e.yaml").write_text(other.to_yaml())
    dock.file.load(tmp_path / "e.yaml")
    assert dock.form.value == other
    assert session.experiment == other


def test_a_broken_yaml_is_answered_in_words_and_changes_nothing(dock, session, tmp_path):
    before = session.experiment
    (tmp_path / "e.yaml").write_text("collection: {kind: folder, path: x}\nstepz: 3\n")
    dock.file.load(tmp_path / "e.yaml")
    assert "unknown key 'stepz'" in dock.words.text()
    assert session.experiment == before


def test_started_tells_where_the_run_is(dock, session, wait):
    start(dock, session, wait)
    session.training.stop()
    wait(lambda: not session.training.busy)
    started = next(event for event in session.history if isinstance(event, Started))
    assert started.run == session.run
    assert session.run.name in dock.words.text()


def test_a_training_on_two_devices_is_followed_and_stopped_like_any_other(dock, session, wait):
    runtime = session.parts["runtime"].model_copy(update={"devices": 2, "device": "cpu"})
    session.set_experiment(session.experiment.model_copy(update={"runtime": runtime}))
    start(dock, session, wait)
    assert not dock.pause_button.isEnabled()
    assert "Several devices cannot wait" in dock.pause_button.toolTip()
    dock.stop_button.click()
    wait(lambda: not session.training.busy)
    assert "Stopped and saved" in dock.words.text()
    logged = read_events(session.run)
    assert logged[-1] == Finished(session.run, stopped=True)
    made = [event.step for event in logged if isinstance(event, Step)]
    assert read_state(checkpoints(session.run)[-1]).step == made[-1]


def test_a_start_that_fails_leaves_the_settings_open_and_forgets_the_run_before(
    dock, session, wait
):
    start(dock, session, wait)
    assert not dock.settings.opened  # room for the curve
    dock.stop_button.click()
    wait(lambda: not session.training.busy)
    assert session.run.name in dock.run_words.text()
    dock.settings.opened = True
    dock.form.editors["encoder"].editors["backbone"].line.value = "resnet19"
    dock.start_button.click()
    assert dock.words.text() == "Starting …"
    wait(lambda: not session.training.busy)
    assert "'resnet19' is not a classification net" in dock.words.text()
    assert dock.settings.opened
    assert dock.run_words.text() == ""


def test_what_the_preview_dock_decides_is_said_beside_the_specimens(dock, session):
    assert "Views of 32 pixels, by the augmentations 'colour-pattern'" in dock.source.text()
    session.set_part("augmentations", "shape-only")
    assert "'shape-only'" in dock.source.text()


def test_no_modality_is_answered_in_words(dock):
    dock.form.editors["modalities"].line.value = ""
    tip = dock.start_button.toolTip()
    assert "modalities: at least 1 was expected, and there are 0" in tip


def test_a_dock_that_is_closed_ends_and_the_one_opened_after_a_training_answers(
    viewer, open_dock, session, wait, qtbot
):
    dock = open_dock(TrainDock)
    start(dock, session, wait)
    dock.stop_button.click()
    wait(lambda: not session.training.busy)
    with qtbot.waitSignal(dock.destroyed):
        frame_of(dock).titleBarWidget().close_button.click()
    again = open_dock(TrainDock)
    qtbot.keyClicks(again.form.editors["name"].line.native, "x")
    assert session.experiment.name == again.form.value.name == "xphenoscape"


def test_two_docks_that_are_both_alive_show_what_is_typed_in_one(open_dock, session, qtbot):
    one, other = open_dock(TrainDock), open_dock(TrainDock)
    changes = []
    session.experiment_changed.connect(changes.append)
    qtbot.keyClicks(one.form.editors["name"].line.native, "x")
    assert changes == ["name"]  # nobody answers
    assert one.form.value == other.form.value == session.experiment
    other.form.editors["schedule"].editors["steps"].set(7)
    assert one.form.value.schedule.steps == 7


def test_a_closed_dock_hears_nothing_more_even_before_it_is_deleted(viewer, open_dock, session):
    dock = open_dock(TrainDock)
    before = dock.form.value.name
    viewer.window.remove_dock_widget(dock)
    session.set_part("name", "another")
    assert dock.form.value.name == before


def test_an_instant_run_is_chosen_in_the_form_and_shows_its_progress(dock, session, wait):
    editor = dock.form.editors["method"]
    editor.kind.set("instant")
    assert editor.forms["instant"].isVisibleTo(editor)
    assert session.experiment.method == InstantMethod()
    dock.start_button.click()
    wait(lambda: not session.training.busy)
    assert session.training.state == "done", dock.words.text()
    assert Progress("describing views", 144, 144) in session.history
    assert not steps(session)
    assert not dock.curve.isVisible()
    assert dock.words.text().startswith("Done. Embed and cluster the run")
    assert read_state(checkpoints(session.run)[-1]).step == 1
