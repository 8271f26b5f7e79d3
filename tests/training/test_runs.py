"""The runs of a folder: how they stand, what differs, and how one of them is watched."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from napari_phenoscape.errors import MissingFileError, RunError
from napari_phenoscape.events import Finished, Notice, Progress, Started, Step, event_line, result
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import (
    Experiment,
    InstantMethod,
    Schedule,
    curve,
    differences,
    discard,
    follow,
    restore,
    runs_in,
)
from napari_phenoscape.training._run import EVENTS, EXPERIMENT, LOCK, log_event, new_run
from napari_phenoscape.training._runs import LINE, POINTS, TAIL


def step(number: int, of: int = 100) -> Step:
    return Step(number, of, 4.0 / number, 0.5, 1e-3, 10.0, 1.0, {"nt_xent": 4.0 / number})


def started(run: Path, at: int = 0) -> Started:
    return Started(run, 24, at, 100, "cpu")


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    return Experiment(
        collection=Folder(path=tmp_path), schedule=Schedule(steps=100), runs=tmp_path / "runs"
    )


@pytest.fixture
def make(experiment: Experiment) -> Callable[..., Path]:
    """A run in which this was said."""

    def made(*events: object, **changes: object) -> Path:
        run = new_run(experiment.model_copy(update=changes))
        for event in events:
            log_event(run, event(run) if callable(event) else event)  # type: ignore[arg-type]
        return run

    return made


@pytest.mark.parametrize(
    ("said", "method", "state", "done"),
    [
        ([], None, "new", 0),
        ([started, step(1), step(2)], None, "interrupted", 2),
        ([started, step(7), lambda run: Finished(run, stopped=True)], None, "stopped", 7),
        ([started, step(100), Finished], None, "finished", 100),
        ([started, step(100), Finished, started, step(101, 150)], None, "interrupted", 101),
        ([started, Finished], InstantMethod(), "instant", 0),
    ],
    ids=["new", "killed", "stopped", "finished", "lengthened", "instant"],
)
def test_a_run_says_how_it_stands(make, experiment, said, method, state, done):
    run = make(*said, **({"method": method} if method else {}))
    (found,) = result(runs_in(experiment.runs))
    assert (found.path, found.state, found.step) == (run, state, done)
    assert found.goes_on == (state in ("new", "interrupted", "stopped"))
    assert math.isnan(found.loss) == (done == 0)


def test_a_run_that_a_program_holds_is_being_trained_and_cannot_be_thrown_away(make, experiment):
    run = make(started, step(1))
    with FileLock(run / LOCK, thread_local=False):
        assert result(runs_in(experiment.runs))[0].state == "training"
        with pytest.raises(RunError, match=r"is being trained by a program.*Stop it there"):
            discard(run)
    assert result(runs_in(experiment.runs))[0].state == "interrupted"


def test_of_a_million_steps_only_the_end_is_read(make, experiment, monkeypatch):
    run = make(started)
    line = event_line(step(50)) + "\n"
    with (run / EVENTS).open("a") as file:
        for number in range(20_000):
            file.write(event_line(step(number + 1, 20_000)) + "\n")
        file.write(line[: len(line) // 2])  # a kill
    assert (run / EVENTS).stat().st_size > POINTS * LINE // 4
    parsed = []
    monkeypatch.setattr(
        "napari_phenoscape.training._runs.event_from_line",
        lambda text: parsed.append(text) or step(json.loads(text)["step"], 20_000),
    )
    (found,) = result(runs_in(experiment.runs))
    assert (found.step, found.steps) == (20_000, 20_000)
    assert sum(map(len, parsed)) <= TAIL
    monkeypatch.undo()
    steps, losses = curve(run)
    assert POINTS / 2 < len(steps) <= POINTS
    assert (np.diff(steps) > 0).all()
    assert steps[0] < 50
    assert steps[-1] == 20_000
    np.testing.assert_allclose(losses, 4.0 / steps)


def test_steps_that_were_done_again_are_one_point_of_the_curve(make):
    run = make(started, step(1), step(2), step(3), lambda r: started(r, 2), step(3), step(4))
    steps, losses = curve(run)
    assert steps.tolist() == [1, 2, 3, 4]
    assert losses.tolist() == [4.0, 2.0, 4 / 3, 1.0]


def test_an_unreadable_experiment_is_one_line_among_the_others(make, experiment):
    make(started, step(1))
    broken = make(started)
    (broken / EXPERIMENT).write_text("name: [")
    (experiment.runs / "notes").mkdir()
    (experiment.runs / ".trash").mkdir()
    states = {run.path.name: run for run in result(runs_in(experiment.runs))}
    assert len(states) == 2
    assert states[broken.name].state == "unreadable"
    assert "experiment.yaml" in states[broken.name].wrong


def test_the_run_that_spoke_last_is_first(make, experiment):
    first, second = make(started), make(started)
    os.utime(second / EVENTS, (1, 1))
    assert [run.path for run in result(runs_in(experiment.runs))] == [first, second]


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(MissingFileError, match=r"There is no folder '.*nowhere'. Name one"):
        result(runs_in(tmp_path / "nowhere"))


def test_scores_are_those_of_the_first_embedding(make, experiment):
    run = make(started, Finished)
    (run / "evaluation-species.csv").write_text(
        "embedding,measure,value,low,high,p\n"
        '"trained, rgb",5-NN accuracy,0.75,0.7,0.8,\n"untrained, rgb",5-NN accuracy,0.5,,,\n'
    )
    (run / "evaluation-broken.csv").write_text("x\n1\n")
    assert result(runs_in(experiment.runs))[0].scores == {"species 5-NN accuracy": 0.75}


def test_only_the_settings_that_differ_are_named(experiment):
    other = experiment.model_copy(
        update={"seed": 3, "name": "other", "schedule": Schedule(steps=100, batch_size=12)}
    )
    assert differences([experiment, other, experiment]) == {
        "schedule.batch_size": ("64", "12", "64"),
        "seed": ("0", "3", "0"),
    }
    assert differences([experiment, experiment]) == {}
    several = experiment.model_copy(update={"modalities": ("rgb", "uv"), "method": InstantMethod()})
    found = differences([experiment, several])
    assert found["modalities"] == ('["rgb"]', '["rgb", "uv"]')
    assert found["method.kind"] == ("simclr", "instant")


def test_what_was_thrown_away_comes_back(make, experiment):
    run = make(started, step(1))
    gone = discard(run)
    assert gone == experiment.runs.absolute() / ".trash" / run.name
    assert not run.exists()
    assert result(runs_in(experiment.runs)) == ()
    assert restore(gone) == run
    assert [found.path for found in result(runs_in(experiment.runs))] == [run]
    again = discard(run)
    fresh = make(started)
    assert fresh == run
    assert discard(fresh).name == f"{run.name}-2"  # nothing is replaced
    assert restore(again) == run


def test_a_run_that_another_program_trains_is_watched_to_its_end(make):
    run = make(started, step(1))
    heard = []
    lock = FileLock(run / LOCK, thread_local=False)
    lock.acquire()
    said = threading.Event()

    def trains() -> None:
        said.wait(60)
        with (run / EVENTS).open("a") as file:
            words = event_line(step(2))
            file.write(words[:20])
            file.flush()
            file.write(words[20:] + "\n")
        log_event(run, Finished(run))
        lock.release()

    other = threading.Thread(target=trains)
    other.start()
    for event in follow(run, every_s=0.01):
        heard.append(event)
        if isinstance(event, Progress):  # all that was there is told
            said.set()
    other.join()
    events = [event for event in heard if not isinstance(event, Progress)]
    assert events == [started(run), step(1), step(2), Finished(run)]


def test_a_run_that_waits_for_its_turn_is_waited_for(make):
    run = make()
    watching = follow(run, every_s=0.0, patience_s=0.0)
    assert [next(watching) for _ in range(3)] == [Progress("watching", 0, 100)] * 3
    # as the computer of a cluster names it
    for event in (started(Path("/scratch/run")), step(1), Finished(Path("/scratch/run"))):
        log_event(run, event)
    assert list(watching) == [started(run), step(1), Finished(run)]


def test_a_run_that_was_killed_is_given_up_in_words(make):
    run = make(started, step(1))
    *_, last = follow(run, every_s=0.0, patience_s=0.0)
    assert last == Notice(f"'{run.name}' ended without a word at step 1 of 100.")
