"""The console: how a verb of the command line is run, and how it speaks."""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress as Bar,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from napari_phenoscape.cli._answer import Answer, Made, check_answer, err, out, say_error
from napari_phenoscape.cli._report import refused, unforeseen
from napari_phenoscape.cli._usage import GROUP_OF, Verbs
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
    agreement_words,
    event_line,
)

if TYPE_CHECKING:
    from napari_phenoscape.specimens import Source

T = TypeVar("T")

app = typer.Typer(
    cls=Verbs,
    help="See which organisms look alike, in any part of the spectrum, without labels.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="To begin: 'phenoscape look FOLDER'. More about one command: 'phenoscape look --help'.",
)
#: Progress and notes, which ``--quiet`` leaves out.
told = Console(stderr=True, highlight=False, markup=False, emoji=False)

#: Seconds between two lines of progress where there is no terminal, e.g. in a cluster's log.
LINE_EVERY_S = 30.0

SAVED = "stopped; what was done is saved"
AT_ONCE = "stopped at once; what was saved before is whole"

#: Endings of experiments; any other file is a cube.
YAML = (".yaml", ".yml")

Run = Annotated[Path, typer.Argument(help="run directory", show_default=False)]
Others = Annotated[
    Path | None,
    typer.Option(
        "--collection", help="other specimens: their folder, a drawer, or an experiment.yaml"
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="replace an existing file (never one that is being read)"),
]


Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="leave out progress and notes; print only answers and errors"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="print the answer as JSON, for programs")]
TableFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="also save the answer, as .csv, .tsv or .json"),
]


def source_of(others: Path | None) -> Source | None:
    """Where other specimens come from: as an experiment says, or as what lies at a path does."""
    from napari_phenoscape.specimens import source_at
    from napari_phenoscape.training import Experiment

    if others is None:
        return None
    if others.suffix in YAML:
        return Experiment.read(others).collection
    return listen(source_at(others))


def inputs_of(source: Source) -> list[Path]:
    """The files and folders that specimens, and what is known of them, are read from."""
    return [value for _, value in source if isinstance(value, Path)]


@app.callback(invoke_without_command=True)
def phenoscape(
    version: Annotated[bool, typer.Option("--version", help="show the version")] = False,
) -> None:
    """See which organisms look alike, in any part of the spectrum, without labels."""
    if version:
        from napari_phenoscape import __version__

        out.print(f"phenoscape {__version__}")
        raise typer.Exit


def command(function: Callable[..., Answer | None]) -> Callable[..., None]:
    """A verb whose errors are one sentence, with ``--quiet``; ``--json`` if it has an `Answer`.

    Exit code 2 is an error that can be put right, 1 one of our own, 130 is Ctrl-C. A verb that
    writes nothing else has ``--output`` for its answer.
    """
    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())
    added: dict[str, Any] = {"quiet": (Quiet, False)}
    kinds = {signature.return_annotation, *get_args(signature.return_annotation)}
    if kinds & {Answer, Made}:
        added["as_json"] = (Json, False)
    if Answer in kinds:
        added |= {"answer_file": (TableFile, None), "overwrite": (Overwrite, False)}
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in added.items()
        if name not in signature.parameters
    ]

    def answered(
        quiet: bool = False,
        as_json: bool = False,
        answer_file: Path | None = None,
        **given: Any,
    ) -> None:
        from napari_phenoscape.training import rank

        # of several processes one speaks
        out.quiet = err.quiet = rank() > 0
        told.quiet = quiet or err.quiet
        if answer_file is not None:
            read = list(_inputs(given.values()))
            check_answer(answer_file, read, overwrite=given["overwrite"])
        answer = function(**{name: given[name] for name in signature.parameters})
        if answer is not None and not out.quiet:
            answer.show(as_json=as_json, file=answer_file)

    @functools.wraps(function)
    def verb(**given: Any) -> None:
        say = functools.partial(say_error, as_json=given.get("as_json", False))
        try:
            answered(**given)
        except PhenoscapeError as error:
            say(str(error))
            raise typer.Exit(2) from None
        except BrokenPipeError:
            raise  # nobody reads any more, and Typer ends as every program does
        except OSError as error:
            say(refused(error))
            raise typer.Exit(2) from None
        except KeyboardInterrupt as stop:
            err.print(str(stop) or AT_ONCE, soft_wrap=True)
            raise typer.Exit(130) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - the last resort, which keeps all about it
            say(unforeseen(error))
            raise typer.Exit(1) from None

    verb.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
    return app.command(rich_help_panel=GROUP_OF[function.__name__])(verb)


def _inputs(given: Iterable[Any]) -> Iterator[Path]:
    """What a verb reads, of its arguments: files, runs, and the specimens that these name."""
    from napari_phenoscape.training import EXPERIMENT, Experiment, read_experiment

    for value in given:
        for path in value if isinstance(value, list) else [value]:
            if isinstance(path, Path):
                yield path
                if (path / EXPERIMENT).is_file():
                    yield from inputs_of(read_experiment(path).collection)
                elif path.suffix in (".yaml", ".yml"):
                    yield from inputs_of(Experiment.read(path).collection)


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
    from napari_phenoscape.training import rank

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
    description = TextColumn("{task.description}", markup=False)
    columns = (description, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Bar(*columns, console=told, transient=True, disable=not told.is_terminal) as bar,
        _stop_signals(told.print) as stopping,
    ):
        tasks: dict[str, Any] = {}
        ended = SAVED
        first: Step | None = None
        last: deque[Step] = deque(maxlen=10)
        line_at = monotonic() + LINE_EVERY_S

        def show(what: str, done: int, total: int, detail: str = "") -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total, description=what + detail)
            nonlocal line_at
            if not told.is_terminal and monotonic() >= line_at:
                line_at = monotonic() + LINE_EVERY_S
                told.print(f"{what}: {done} of {total}{detail}", soft_wrap=True)

        try:
            while not stopping:
                match next(verb):
                    case Progress(what, done, total):
                        show(what, done, total)
                    case Notice(message):
                        _note("note:", message)
                    case Started(run, specimens, step, steps, device):
                        ended = f"stopped and saved; `phenoscape train {run}` goes on"
                        if step < steps:
                            told.print(f"learning from {specimens} specimens, {device}")
                            show("learning", step, steps)
                        else:
                            told.print(_learned(steps), soft_wrap=True)
                    case Step(step=step, steps=steps, loss=loss, terms=terms) as event:
                        first = first or event
                        last.append(event)
                        parts = [f"{name} {term:.3f}" for name, term in terms.items()]
                        several = f" ({', '.join(parts)})" if len(parts) > 1 else ""
                        show("learning", step, steps, f"  loss {loss:.3f}{several}")
                    case Health(step, _, verdict) if verdict:
                        _note(f"step {step}:", verdict)
                    case Finished(stopped=True):
                        stopping.append(signal.SIGTERM)  # elsewhere, e.g. on another rank
                    case Finished() if first is not None:
                        told.print(f"at the end {agreement_words(first, last)}", soft_wrap=True)
                    case Saved() | Finished() | Health():
                        pass
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        finally:
            verb.close()
    raise KeyboardInterrupt(ended)


def _learned(steps: int) -> str:
    """What is said of a run all of whose steps were done before; an instant one has one step."""
    longer = f"; --set schedule.steps={2 * steps} would train it longer" if steps > 1 else ""
    return f"all is learned: {steps} of {steps} steps were done before{longer}"


def _note(of: str, sentence: str) -> None:
    told.print(Text.assemble((of, "yellow"), " ", sentence), soft_wrap=True)
