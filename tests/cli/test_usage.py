"""A command that was typed wrong: what it was, what was expected, the way out, in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from napari_phenoscape.cli import app
from napari_phenoscape.cli._usage import GROUPS


def phenoscape(*words: str) -> Result:
    return CliRunner().invoke(app, words)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            "cluster RUN --clusters four",
            "--clusters four: a whole number, 0 or more, was expected. "
            "`phenoscape cluster --help` explains it.",
        ),
        (
            "cluster RUN --clusters=-1",
            "--clusters -1: a whole number, 0 or more, was expected. "
            "`phenoscape cluster --help` explains it.",
        ),
        (
            "look moths --panel much",
            "--panel much: a number was expected. `phenoscape look --help` explains it.",
        ),
        (
            "look moths --panel",
            "--panel: a value was expected after it, and is missing. "
            "`phenoscape look --help` explains it.",
        ),
        (
            "look moths --quiet=yes",
            "--quiet=yes: --quiet takes no value. Type --quiet alone. "
            "`phenoscape look --help` explains it.",
        ),
        (
            "cluster",
            "phenoscape cluster: RUN (run directory) was expected, and is missing. "
            "`phenoscape cluster --help` explains it.",
        ),
        (
            "cluster RUN --clustres 4",
            "--clustres: `phenoscape cluster` has no such option. Did you mean '--clusters'? "
            "`phenoscape cluster --help` lists those it has.",
        ),
        (
            "--verson",
            "--verson: `phenoscape` has no such option. Did you mean '--version'? "
            "`phenoscape --help` lists those it has.",
        ),
        (
            "trainn moths",
            "trainn: there is no such command. Did you mean 'train'? "
            "`phenoscape --help` lists those there are.",
        ),
        (
            "look moths birds",
            "`phenoscape look moths birds`: more words than 'phenoscape look SPECIMENS' takes. "
            "Put names with spaces in quotation marks. `phenoscape look --help` explains it.",
        ),
    ],
)
def test_what_was_typed_wrong_is_one_sentence(typed: str, said: str) -> None:
    end = phenoscape(*typed.split())
    assert (end.exit_code, end.stdout, end.stderr) == (2, "", f"error: {said}\n")


def test_a_name_with_spaces_that_is_there_is_shown_in_quotation_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Dataset 1").mkdir()
    said = "A name with spaces needs quotation marks: phenoscape look 'Dataset 1'.\n"
    assert phenoscape("look", "Dataset", "1").stderr.endswith(said)
    said = "To see which specimens in it look alike: phenoscape look 'Dataset 1'\n"
    assert phenoscape("Dataset 1").stderr.endswith(said)


@pytest.mark.parametrize(
    "typed",
    [
        "look moths --panel 0.2",
        "convert a.tif -o b.tif --panel 0.2",
        "join a b -o c.tif --panel 0.2",
        "info own.yaml",
    ],
)
def test_the_reflectance_of_a_standard_that_is_not_named_is_refused_wherever_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("moths").mkdir()
    Path("own.yaml").write_text("collection: {kind: folder, path: moths, panel: 0.2}")
    end = phenoscape(*typed.split())
    assert end.exit_code == 2
    assert (
        "A panel of 0.2 is the reflectance of a standard, and none is named. Say where it is, "
        "white_region (--white-region), or leave the panel out."
    ) in end.stderr


@pytest.mark.parametrize("typed", ["cluster RUN --json --clusters four", "look nowhere --json"])
def test_a_program_that_asks_for_json_is_told_of_an_error_in_json(typed: str) -> None:
    end = phenoscape(*typed.split())
    assert end.exit_code == 2
    said = json.loads(end.stdout)
    assert end.stderr == f"error: {said['error']}\n"


def test_help_lists_every_verb_under_a_heading_and_the_first_to_type_first() -> None:
    end = phenoscape("--help")
    assert end.exit_code == 0
    places = [end.stdout.index(f" {heading} ") for heading in GROUPS]
    assert places == sorted(places)
    assert end.stdout.index(" look ") < end.stdout.index(" train ") < end.stdout.index(" report ")
