"""Writes command-line.md, the reference of every verb, from the commands themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import typer

from napari_phenoscape.cli import app
from napari_phenoscape.cli._usage import GROUPS, word as name_of

PAGE = Path(__file__).with_name("command-line.md")

INTRODUCTION = """\
# Command line

<!-- Written by make_command_line.py from the commands themselves; edit those. -->

A command is `phenoscape`, a verb, what it works on, and options, for example
`phenoscape cluster runs/RUN --clusters 4`. `phenoscape --help` lists the verbs, and
`phenoscape cluster --help` explains one. Whatever a dock does, a verb does too, from the same
`experiment.yaml`. To begin: `phenoscape look FOLDER`.

- **What you see.** Answers go to standard output; progress and notes go to standard error (a bar in
  a terminal, otherwise a line every half minute). `--quiet` leaves out progress and notes.
- **For programs.** `--json` prints the answer as JSON, errors too (`{"error": "..."}`). Where the
  answer is a table, `--output` also keeps it as CSV, TSV or JSON. Names are never shortened unless
  the output is a terminal.
- **When something is wrong.** One sentence says what was typed or found, what was expected, and
  what to do. Exit codes: 0 done; 1 a fault of phenoscape itself (the sentence names a report file);
  2 something that you can put right; 130 stopped by you.
- **Completion.** After `phenoscape --install-completion` the tab key completes verbs and options.

"""


def summary(command: click.Command) -> str:
    """The first sentence of its help."""
    return (command.help or "").partition("\n\n")[0].replace("\n", " ")


def word(argument: click.Parameter) -> str:
    """An argument as it is typed, e.g. ``[DIRECTORY]``."""
    return name_of(argument) if argument.required else f"[{name_of(argument)}]"


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
    lines = []
    for group, verbs in GROUPS.items():
        lines += [f"| {group} | |", "|---|---|"]
        lines += [f"| [{verb}](#{verb}) | {summary(commands[verb])} |" for verb in verbs]
        lines.append("")
    ordered = (section(verb, commands[verb]) for verbs in GROUPS.values() for verb in verbs)
    return INTRODUCTION + "\n".join(lines) + "\n" + "\n".join(ordered)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
