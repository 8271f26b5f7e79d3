"""Events: what a long-running verb says while it works.

A verb is a generator of these. The command line prints them, a notebook loops over them, a dock
runs the generator in a thread worker. ``generator.close()`` stops it; it saves before it ends.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """So much of a countable piece of work is done.

    Parameters
    ----------
    what
        The work in the user's words, e.g. ``"reading specimens"``.
    done, total
        Items.
    """

    what: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the user should know; the work goes on."""

    message: str


@dataclass(frozen=True, slots=True)
class Started:
    """Training begins (or goes on).

    Parameters
    ----------
    run
        The run directory.
    specimens
        How many take part.
    step, steps
        Optimiser steps done already, and planned in all.
    device
        e.g. ``"cpu"``, ``"cuda:0"``.
    """

    run: Path
    specimens: int
    step: int
    steps: int
    device: str


@dataclass(frozen=True, slots=True)
class Step:
    """One optimiser step is done.

    Parameters
    ----------
    step, steps
        Steps done, and planned in all.
    loss
        Total loss of this step, in nats.
    agreement
        Share of views whose most similar other view in the batch is of the same specimen, 0-1.
    learning_rate
        The rate that was used.
    specimens_per_s
        Over this step.
    remaining_s
        Estimated seconds to the end.
    terms
        Each term of the loss before its weight, in nats.
    chance
        The agreement of projections that tell nothing: 1 / (other views in the batch). 0: unknown.
    """

    step: int
    steps: int
    loss: float
    agreement: float
    learning_rate: float
    specimens_per_s: float
    remaining_s: float
    terms: dict[str, float] = dataclasses.field(default_factory=dict)
    chance: float = 0.0


@dataclass(frozen=True, slots=True)
class Health:
    """How the representation fares; the sentence says so when it is ill.

    Parameters
    ----------
    step
        Steps done.
    spread
        Standard deviation over the batch of the unit-length projections, averaged over their P
        dimensions and multiplied by sqrt(P): 1 = spread over the sphere, 0 = collapsed.
    verdict
        Empty when nothing is wrong.
    """

    step: int
    spread: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Saved:
    """A file or a checkpoint directory is safely on disk."""

    path: Path


@dataclass(frozen=True, slots=True)
class Failed:
    """The work ended in an error; the message is for the user."""

    message: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The work is done, or was stopped and saved.

    Parameters
    ----------
    path
        What it made: a run directory or a file.
    stopped
        True when somebody stopped it before its planned end.
    """

    path: Path
    stopped: bool = False


Event = Progress | Notice | Started | Step | Health | Saved | Failed | Finished


def agreement_words(first: Step, last: Sequence[Step]) -> str:
    """How often views of one specimen find each other, beside chance and the first step.

    Parameters
    ----------
    first, last
        Of what was heard; of the last ones the mean is told, since each is of one batch.
    """
    beside = [f"chance {_percent(last[-1].chance)}"] if last[-1].chance else []
    if first.step == 1 < last[0].step:
        beside.append(f"at the start {_percent(first.agreement)}")
    share = sum(step.agreement for step in last) / len(last)
    words = f"views of one specimen find each other in {_percent(share)}"
    return words + (f" ({', '.join(beside)})" if beside else "")


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.0995 else f"{share:.1%}"


def event_line(event: Event) -> str:
    """One line of JSON, e.g. ``{"event": "Step", "step": 3, ...}``, as kept in ``events.jsonl``."""
    fields: dict[str, Any] = dataclasses.asdict(event)
    return json.dumps({"event": type(event).__name__, **fields}, default=str)


#: What JSON holds of a field, by the type that it is declared with.
_IN_JSON: dict[Any, Any] = {
    "int": int, "float": int | float, "str": str, "bool": bool, "Path": str,
    "dict[str, float]": dict,
}  # fmt: skip


def event_from_line(line: str) -> Event:
    """The event that `event_line` printed.

    Raises
    ------
    ValueError
        The line is cut short, of a later version, or no event.
    """
    kinds = {cls.__name__: cls for cls in Event.__args__}
    try:
        fields = dict(json.loads(line))
        cls = kinds[fields.pop("event")]
        declared = {field.name: field.type for field in dataclasses.fields(cls)}
        if all(isinstance(value, _IN_JSON[declared[name]]) for name, value in fields.items()):
            paths = {name: Path(fields[name]) for name in ("run", "path") if name in fields}
            return cls(**fields | paths)  # type: ignore[no-any-return]
    except (KeyError, TypeError, RecursionError):
        pass
    raise ValueError(f"{line[:40]!r} is no event")


def result(generator: Generator[Event, None, T]) -> T:
    """What a verb returns, its events unheard."""
    while True:
        try:
            next(generator)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
