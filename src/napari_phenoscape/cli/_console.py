"""The console: how a verb of the command line is run, and how it speaks."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress as Bar,
    TextColumn,
    TimeRemainingColumn,
)

from napari_phenoscape.errors import PhenoscapeError
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
    event_line,
)
from napari_phenoscape.specimens import Source
from napari_phenoscape.training import Experiment, rank

T = TypeVar("T")

app = typer.Typer(
    help="See which organisms look alike, in any part of the spectrum, without labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

SAVED = "stopped; what was done is saved"
AT_ONCE = "stopped at once; what was saved before is whole"

Run = Annotated[Path, typer.Argument(help="run directory", show_default=False)]
Others = Annotated[
    Path | None, typer.Option("--collection", help="experiment.yaml with other specimens")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="replace a file that is there; never one that is read")
]


def source_of(others: Path | None) -> Source | None:
    """Where the specimens of another experiment come from."""
    return Experiment.read(others).collection if others else None


def inputs_of(source: Source) -> list[Path]:
    """The files and folders that specimens, and what is known of them, are read from."""
    return [value for _, value in source if isinstance(value, Path)]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A verb whose errors are one sentence and exit code 2; Ctrl-C is exit code 130."""

    @app.command()
    @functools.wraps(function)
    def verb(*args: Any, **kwargs: Any) -> None:
        # of several processes one speaks
        out.quiet = err.quiet = rank() > 0
        try:
            function(*args, **kwargs)
        except PhenoscapeError as error:
            err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt as stop:
            err.print(str(stop) or AT_ONCE, soft_wrap=True)
            raise typer.Exit(130) from None

    return verb


@contextmanager
def _stop_signals(say: Callable[[str], object]) -> Iterator[list[int]]:
    """A list that holds the signal that asked to stop: Ctrl-C, SIGTERM or SIGHUP.

    Clusters send SIGTERM, a terminal that is closed sends SIGHUP. Between two events a verb can
    save; in the middle of one it could not.
    """
    stopping: list[int] = []

    def stop(number: int, _frame: object) -> None:
        if stopping:  # asked twice
            raise KeyboardInterrupt(AT_ONCE)
        stopping.append(number)
        say("stopping; again to stop without saving")

    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    handlers = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stopping
    finally:
        for number, before in handlers.items():
            signal.signal(number, before)


def print_events(verb: Generator[Event, None, object]) -> None:
    """Run a verb to its end and print its events, one line of JSON each; `Failed` on every rank.

    When nobody reads them any more, the verb goes on.
    """
    heard = True

    def line(event: Event) -> None:
        nonlocal heard
        try:
            if heard:
                sys.stdout.write(event_line(event) + "\n")
                sys.stdout.flush()
        except OSError:
            heard = False
            # what waits in the buffer must go somewhere when Python ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    with _stop_signals(err.print) as stopping:
        try:
            while not stopping:
                event = next(verb)
                if rank() == 0:
                    line(event)
        except StopIteration:
            return
        except PhenoscapeError as error:
            line(Failed(str(error)))
            raise
        finally:
            verb.close()
    raise KeyboardInterrupt(SAVED)


def listen(verb: Generator[Event, None, T]) -> T:
    """Run a verb to its end with a progress bar; what it returns.

    Ctrl-C (or SIGTERM) closes the verb after the running batch, and raises KeyboardInterrupt.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        Bar(*columns, TimeRemainingColumn(), console=err, transient=True) as bar,
        _stop_signals(bar.console.print) as stopping,
    ):
        tasks: dict[str, Any] = {}
        ended = SAVED

        def show(what: str, done: int, total: int, detail: str = "") -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total, description=what + detail)

        try:
            while not stopping:
                match next(verb):
                    case Progress(what, done, total):
                        show(what, done, total)
                    case Notice(message):
                        bar.console.print(f"[yellow]note:[/] {escape(message)}", soft_wrap=True)
                    case Started(run, specimens, step, steps, device):
                        ended = f"stopped and saved; `phenoscape train {run}` goes on"
                        bar.console.print(f"training on {specimens} specimens, {device}")
                        show("training", step, steps)
                    case Step(step=step, steps=steps, loss=loss, terms=terms):
                        parts = [f"{name} {term:.3f}" for name, term in terms.items()]
                        several = f" ({', '.join(parts)})" if len(parts) > 1 else ""
                        show("training", step, steps, f"  loss {loss:.3f}{several}")
                    case Health(step, _, verdict) if verdict:
                        bar.console.print(f"[yellow]step {step}:[/] {escape(verdict)}")
                    case Finished(stopped=True):
                        stopping.append(signal.SIGTERM)  # elsewhere, e.g. on another rank
                    case Saved() | Finished() | Health():
                        pass
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        finally:
            verb.close()
    raise KeyboardInterrupt(ended)
