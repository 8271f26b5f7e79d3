from __future__ import annotations

import time
from pathlib import Path

import pytest

from napari_phenoscape.errors import RunError
from napari_phenoscape.events import Failed, Finished, Notice, Progress, Saved, Step
from napari_phenoscape.widgets import _worker
from napari_phenoscape.widgets._worker import Task, relay


def step(number: int) -> Step:
    return Step(number, 100, 1.0, 0.5, 1e-3, 10.0, 1.0)


def told_by(task: Task) -> list[object]:
    told: list[object] = []
    task.event_received.connect(told.append)
    return told


def test_every_event_is_told_in_order_and_fast_ones_come_in_packets(qtbot, wait):
    def verb():
        for number in range(500):
            yield step(number)
        yield Saved(Path("a"))
        yield Finished(Path("b"))
        return 7

    task = Task("Counting", verb, torch=False)
    told, packets, outcomes = told_by(task), [], []
    task.batch_flushed.connect(lambda: packets.append(len(told)))
    task.succeeded.connect(outcomes.append)
    task.start()
    wait(lambda: not task.busy)
    assert told == [*(step(number) for number in range(500)), Saved(Path("a")), Finished(Path("b"))]
    assert len(packets) < 100
    assert outcomes == [7]
    assert task.state == "done"


def test_notices_that_follow_each_other_are_one_message(wait, monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr(_worker, "show_info", shown.append)

    def verb():
        yield Notice("Found masks.")
        time.sleep(0.3)  # longer than a packet takes
        yield Notice("Found a table.")

    task = Task("Looking", verb, torch=False)
    task.start()
    wait(lambda: bool(shown))
    assert shown == ["Found masks.\nFound a table."]


def test_a_message_waits_until_the_one_before_has_gone(wait, monkeypatch):
    shown: list[tuple[str, float]] = []
    monkeypatch.setattr(_worker, "show_info", lambda words: shown.append((words, time.monotonic())))
    monkeypatch.setattr(_worker, "SHOWN_S", 0.5)
    messages = _worker._Messages()
    for words in ("Found masks.", "Found a table."):
        messages.show(words)
    wait(lambda: len(shown) == 2)
    (first, at), (second, later) = shown
    assert (first, second) == ("Found masks.", "Found a table.")
    assert later - at > 0.4


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("out of memory"), "Unforeseen RuntimeError: out of memory"),
        (RunError("'r' cannot be written (No space left); make room."), "No space left"),
        (StopIteration("inside"), "RuntimeError"),
    ],
    ids=["runtime-error", "foreseen", "stop-iteration"],
)
def test_an_exception_becomes_failed_after_the_events_before_it(wait, error, words):
    def verb():
        yield step(1)
        yield step(2)
        raise error

    task = Task("Failing", verb, torch=False)
    told, outcomes = told_by(task), []
    task.succeeded.connect(outcomes.append)
    task.start()
    wait(lambda: not task.busy)
    assert told[:2] == [step(1), step(2)]
    assert isinstance(told[2], Failed)
    assert words in told[2].message
    assert task.state == "failed"
    assert outcomes == []


def test_pause_holds_the_generator_and_stop_closes_it_so_that_it_saves(qtbot, wait):
    made, saved = [], []

    def verb():
        try:
            while True:
                made.append(len(made))
                yield Saved(Path("x"))
        finally:
            saved.append(len(made))

    task = Task("Going on", verb, torch=False)
    task.start()
    wait(lambda: len(made) > 3)
    task.pause()
    wait(lambda: task.state == "paused")
    held = len(made)
    qtbot.wait(50)
    assert len(made) == held
    task.resume()
    wait(lambda: len(made) > held)
    task.stop()
    wait(lambda: not task.busy)
    assert task.state == "stopped"
    assert saved == [len(made)]


def test_a_paused_task_can_be_stopped(wait):
    closed = []

    def verb():
        try:
            while True:
                yield Saved(Path("x"))
        finally:
            closed.append(True)

    task = Task("Going on", verb, torch=False)
    told = told_by(task)
    task.start()
    wait(lambda: len(told) > 0)
    task.pause()
    wait(lambda: task.state == "paused")
    task.stop()
    wait(lambda: not task.busy)
    assert closed == [True]


def test_an_error_while_saving_at_the_stop_is_told(wait):
    def verb():
        try:
            while True:
                yield Saved(Path("x"))
        finally:
            raise RunError("'runs' cannot be written (No space left on device); make room.")

    task = Task("Going on", verb, torch=False)
    told = told_by(task)
    task.start()
    wait(lambda: len(told) > 0)
    task.stop()
    wait(lambda: not task.busy)
    assert "No space left" in told[-1].message
    assert task.state == "failed"


def test_the_last_packet_is_told_though_it_comes_at_once():
    packets = list(relay(lambda: (step(number) for number in range(3)), torch=False))
    assert [event for packet in packets for event in packet] == [step(0), step(1), step(2)]


def test_progress_that_the_same_work_has_outdone_is_not_told():
    def verb():
        for number in range(3):
            yield step(number)
            yield from (Progress("reading", done, 1000) for done in range(1001))
        yield Progress("measuring", 1, 1)

    told = [event for packet in relay(verb, torch=False) for event in packet]
    assert [event for event in told if isinstance(event, Step)] == [step(0), step(1), step(2)]
    assert told[-2:] == [Progress("reading", 1000, 1000), Progress("measuring", 1, 1)]
    assert len(told) < 100
