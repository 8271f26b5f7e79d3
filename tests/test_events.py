"""Events: a line of JSON holds all of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_phenoscape.events import (
    Event,
    Failed,
    Finished,
    Health,
    Notice,
    Progress,
    Saved,
    Started,
    Step,
    agreement_words,
    event_from_line,
    event_line,
)


@pytest.mark.parametrize(
    "event",
    [
        Progress("reading", 1, 3),
        Notice("3 specimens lack it."),
        Started(Path("runs/a"), 24, 0, 100, "cpu"),
        Step(1, 100, 4.2, 0.5, 1e-3, 60.0, 99.0),
        Health(25, 0.9, ""),
        Saved(Path("runs/a/x")),
        Failed("no"),
        Finished(Path("runs/a"), stopped=True),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_comes_back_from_its_line(event: Event) -> None:
    assert event_from_line(event_line(event)) == event


@pytest.mark.parametrize(
    "line",
    [
        "", "3", "null", "[]", "[1]", '"Notice"', "{}", '{"event": 3}', '{"event": "Quantum"}',
        '{"event": "Notice"}', '{"event": "Notice", "message": 3}', '{"event": ["Notice"]}',
        '{"event": "Notice", "message": "a", "colour": 3}', '{"event": "Saved", "path": 3}',
        '{"event": "Progress", "what": "a", "done": "x", "total": 3}', "[" * 100_000,
    ],
)  # fmt: skip
def test_a_line_that_is_no_event_is_no_event(line: str) -> None:
    with pytest.raises(ValueError, match=r"no event|Expecting|dictionary"):
        event_from_line(line)


def test_agreement_is_told_beside_chance_and_the_start():
    def step(number: int, agreement: float) -> Step:
        return Step(number, 100, 1.0, agreement, 1e-3, 10.0, 1.0, chance=1 / 127)

    first, last = step(1, 0.41), [step(20, 0.5), step(21, 0.76)]
    words = "views of one specimen find each other in 63% (chance 0.8%, at the start 41%)"
    assert agreement_words(first, last) == words
    assert agreement_words(last[0], last) == words.replace(", at the start 41%", "")  # gone on with
