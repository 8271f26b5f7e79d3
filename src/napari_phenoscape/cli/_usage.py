"""Usage: the order of the verbs, and what is said of a command that was typed wrong."""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import typer

from napari_phenoscape.cli._answer import say_error
from napari_phenoscape.errors import did_you_mean

#: Verbs as `--help` lists them, under the heading of each group.
GROUPS = {
    "Start here": ("look", "samples", "demo", "runs"),
    "Photographs and cubes": ("info", "picture", "spectra", "convert", "join", "find"),
    "Train": ("preview", "prepare", "train", "slurm"),
    "Clusters, and what they mean": (
        "embed", "cluster", "edit", "draw", "explain", "neighbours", "associate", "evaluate",
        "report",
    ),
    "Names and labels": ("label", "classify", "twins"),
    "Use elsewhere": ("export",),
}  # fmt: skip
GROUP_OF = {verb: group for group, verbs in GROUPS.items() for verb in verbs}

#: What the shell hands over, by the type of an option.
EXPECTED = {int: "a whole number", float: "a number", Path: "a file or folder"}

# what all usage errors of Typer derive from; it names this one alone
Usage: Any = typer.BadParameter.__base__


class Verbs(typer.core.TyperGroup):
    """The verbs, in the order of `GROUPS`; a command that was typed wrong is one sentence."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the order of `GROUPS`."""
        return sorted(self.commands, key=list(GROUP_OF).index)

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """Run what was typed."""
        typed = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(args=args, standalone_mode=False, **extra)
        except Usage as error:
            if not standalone_mode:
                raise
            if type(error).__name__ == "NoArgsIsHelpError":
                error.show()
            else:
                say_error(usage_words(error, typed), as_json="--json" in typed)
            code = error.exit_code
        if standalone_mode:
            sys.exit(code)
        return code


def usage_words(error: Any, typed: Sequence[str]) -> str:
    """What was typed, what was expected, and the way out.

    Parameters
    ----------
    error
        One of Typer's usage errors: of a value, a missing argument, an option or a verb that is
        none, or of more than was expected.
    typed
        The command without its first word.
    """
    context = error.ctx
    path = "phenoscape"
    if context is not None and context.parent is not None:
        path += f" {context.info_name}"
    elif typed and typed[0] in GROUP_OF:
        path += f" {typed[0]}"
    more = f"`{path} --help` explains it."
    parameter: Any = getattr(error, "param", None)
    if type(error).__name__ == "MissingParameter":
        name = word(parameter)
        what = f" ({parameter.help})" if parameter.help else ""
        return f"{path}: {name}{what} was expected, and is missing. {more}"
    if parameter is not None:
        name, value = _value(parameter.opts, typed)
        return f"{name} {value}: {_expected(context, parameter)} was expected. {more}"
    if hasattr(error, "possibilities"):
        name = error.option_name
        meant = did_you_mean(name, error.possibilities or _options(context))
        return f"{name}: `{path}` has no such option. {meant}`{path} --help` lists those it has."
    if hasattr(error, "option_name"):
        name, value = _value([error.option_name], typed)
        if value:
            return f"{name}={value}: {name} takes no value. Type {name} alone. {more}"
        return f"{name}: a value was expected after it, and is missing. {more}"
    if context is not None and context.parent is not None:
        return _too_many(context, path, typed)
    return _no_verb(typed)


def word(parameter: Any) -> str:
    """A parameter as it is typed, e.g. ``RUN`` or ``--label``."""
    if parameter.param_type_name != "argument":
        return str(parameter.opts[0])
    return str(parameter.name).upper() + ("..." if parameter.nargs == -1 else "")


def _value(options: Iterable[str], typed: Sequence[str]) -> tuple[str, str]:
    """An option as it was typed last, and the value behind it, or ""."""
    found = (next(iter(options)), "")
    for at, one in enumerate(typed):
        name, equals, value = one.partition("=")
        if name in options:
            found = name, value if equals else "".join(typed[at + 1 : at + 2])
    return found


def _expected(context: Any, parameter: Any) -> str:
    """What a parameter takes, by its type and bounds in the verb's signature."""
    kind = inspect.signature(context.command.callback).parameters[parameter.name].annotation
    kind, *more = get_args(kind) if hasattr(kind, "__metadata__") else (kind,)
    if get_origin(kind) is not None:  # of a list, or of what may be left out
        kind = get_args(kind)[0]
    words = EXPECTED.get(kind, "another value")
    least, most = (getattr(more[0], name, None) if more else None for name in ("min", "max"))
    if least is not None and most is not None:
        return f"{words} from {least} to {most}"
    if least is not None:
        return f"{words}, {least} or more,"
    return words if most is None else f"{words}, {most} or less,"


def _options(context: Any) -> list[str]:
    return [name for one in context.command.params for name in one.opts if name[:2] == "--"]


def _too_many(context: Any, path: str, typed: Sequence[str]) -> str:
    takes = [one for one in context.command.params if one.param_type_name == "argument"]
    plain = [one for one in typed[1:] if not one.startswith("-")]
    joined = next(
        (
            " ".join(plain[first : last + 1])
            for first in range(len(plain))
            for last in range(first + 1, len(plain))
            if Path(" ".join(plain[first : last + 1])).exists()
        ),
        "",
    )
    way = f"{path} {' '.join(map(word, takes))}".rstrip()
    words = f"`{shlex.join(['phenoscape', *typed])}`: more words than '{way}' takes. "
    if joined:
        return words + f"A name with spaces needs quotation marks: {path} '{joined}'."
    return words + f"Put names with spaces in quotation marks. `{path} --help` explains it."


def _no_verb(typed: Sequence[str]) -> str:
    given = next((one for one in typed if not one.startswith("-")), "")
    if Path(given).exists():
        way = f"To see which specimens in it look alike: phenoscape look {shlex.quote(given)}"
        return f"{given}: a command was expected first, and this is a file or folder. {way}"
    meant = did_you_mean(given, GROUP_OF)
    return f"{given}: there is no such command. {meant}`phenoscape --help` lists those there are."
