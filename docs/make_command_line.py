"""Writes command-line.md, the reference of every verb, from the commands themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import typer

from napari_phenoscape.cli import app

PAGE = Path(__file__).with_name("command-line.md")

INTRODUCTION = """\
# Command line

<!-- Written by make_command_line.py from the commands themselves; edit those. -->

`phenoscape info --help`, and so with every verb, says the same. Whatever a dock does, a verb does
from the same `experiment.yaml`.

Answers go to the standard output, progress and notes to the standard error: a bar in a terminal,
else a line every half minute. `--quiet` leaves both out, `--json` makes the answer JSON, and where
it is a table `--output` keeps it as CSV, TSV or JSON too; names are never cut where the output is
no terminal. Exit codes: 0 done, 1 a fault of phenoscape itself (a report file is named), 2
something that can be put right, in one sentence, 130 stopped. `phenoscape --install-completion`
has your shell complete verbs and options with the tab key.

| verb | does |
|---|---|
"""


def summary(command: click.Command) -> str:
    """The first sentence of its help."""
    return (command.help or "").partition("\n\n")[0].replace("\n", " ")


def word(argument: click.Parameter) -> str:
    """An argument as it is typed, e.g. ``[DIRECTORY]``."""
    name = (argument.name or "").upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def rows(command: click.Command) -> list[tuple[str, str]]:
    """Each argument and option: how it is typed, and what it says."""
    context = click.Context(command)
    records = [(p, p.get_help_record(context)) for p in command.params if p.name != "help"]
    return [
        (word(p) if p.param_type_name == "argument" else record[0], " ".join(record[1].split()))
        for p, record in records
        if record
    ]


def section(verb: str, command: click.Command) -> str:
    """One verb: what it does, how it is typed, and a table of what it takes."""
    arguments = [word(p) for p in command.params if p.param_type_name == "argument"]
    typed = " ".join(["phenoscape", verb, *arguments, "[OPTIONS]"])
    lines = [f"## {verb}", "", command.help or "", "", f"```text\n{typed}\n```", ""]
    lines += ["| typed | what |", "|---|---|"]
    for name, text in rows(command):
        cells = (cell.replace("|", "\\|") for cell in (f"`{name}`", text))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def page() -> str:
    """The whole page, Markdown."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    table = "".join(f"| [{v}](#{v}) | {summary(c)} |\n" for v, c in commands.items())
    return INTRODUCTION + table + "\n" + "\n".join(section(v, c) for v, c in commands.items())


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
