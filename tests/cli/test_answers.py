"""How the command line speaks: to people, to programs, into files; and of its own errors."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from napari_phenoscape import __version__
from napari_phenoscape.cli import _console
from napari_phenoscape.cli._answer import Answer
from napari_phenoscape.cli._console import app


def phenoscape(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures whose names are commands to those who print them, and longer than a line."""
    folder = tmp_path / "moths"
    folder.mkdir()
    for name in ("[red]x[bold]", ":bee:", "[link=y]", "a" * 120):
        pixels = np.random.default_rng(0).integers(0, 255, (8, 9, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def failing(error: Exception):
    def fails(*_: object, **__: object) -> None:
        raise error

    return fails


def test_an_error_that_nobody_foresaw_is_one_sentence_and_a_report(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("napari_phenoscape.cubes.doubts", failing(KeyError("[/red]")))
    end = phenoscape("info", folder / ":bee:.png")
    assert end.exit_code == 1
    assert end.stderr.startswith("error: phenoscape itself went wrong (KeyError: '[/red]').")
    assert end.stderr.count("\n") == 1
    (report,) = tmp_path.glob("phenoscape-report-*.txt")
    assert str(report) in end.stderr
    kept = report.read_text("utf-8")
    assert "Traceback (most recent call last)" in kept
    assert f"phenoscape {__version__}" in kept
    assert f"numpy {np.__version__}" in kept
    assert "command: " in kept


def test_an_error_without_room_for_its_report_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_phenoscape.cubes.doubts", failing(RuntimeError("two\nlines")))
    monkeypatch.setattr("tempfile.mkstemp", failing(OSError(28, "No space left on device")))
    end = phenoscape("info", folder / ":bee:.png")
    assert end.exit_code == 1
    assert "(RuntimeError: two lines). No report could be kept" in end.stderr
    assert end.stderr.count("\n") == 1


def test_what_the_system_refuses_is_one_sentence_with_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = PermissionError(13, "Permission denied", "lost+found")
    monkeypatch.setattr("napari_phenoscape.cubes.doubts", failing(error))
    end = phenoscape("info", folder / ":bee:.png")
    assert end.exit_code == 2
    assert end.stderr.startswith("error: 'lost+found' cannot be read or written (Permission denied")
    assert end.stderr.count("\n") == 1


def test_names_are_shown_as_they_are(folder: Path) -> None:
    for path in folder.iterdir():
        assert path.name in phenoscape("info", path).stdout
        assert f"{path.name}x" in phenoscape("info", f"{path}x").stderr
        said = phenoscape("picture", path, "-o", path.with_name(f"{path.stem}-seen.png")).stdout
        assert f"{path.stem}-seen.png" in said


def test_a_collection_is_told_to_programs_and_into_tables(folder: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    end = phenoscape("info", folder, "--json", "-q", "-o", tmp_path / "of.csv")
    told = json.loads(end.stdout)
    assert sorted(one["specimen"] for one in told["specimens"]) == names
    with (tmp_path / "of.csv").open(newline="", encoding="utf-8") as lines:
        assert sorted(row["specimen"] for row in csv.DictReader(lines)) == names
    assert phenoscape("info", folder, "-o", tmp_path / "of.json").exit_code == 0
    assert json.loads((tmp_path / "of.json").read_text("utf-8")) == told


def test_a_column_with_the_name_of_ours_does_not_take_its_place(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    rows = [f"{name},mine {name},here" for name in names]
    (folder / "metadata.csv").write_text("\n".join(["file,specimen,path", *rows]), "utf-8")
    told = json.loads(phenoscape("info", folder, "--json", "-q").stdout)["specimens"]
    assert [one["specimen"] for one in told] == names
    assert [one["metadata.specimen"] for one in told] == [f"mine {name}" for name in names]
    assert {one["metadata.path"] for one in told} == {"here"}


def test_masks_beside_the_pictures_of_a_folder_are_no_specimens(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        mask = np.arange(72).reshape(8, 9) > 30
        Image.fromarray(mask).save(folder / f"{path.stem}_mask.png")
    end = phenoscape("info", folder)
    assert "Found masks '{stem}_mask.png' of 4 pictures" in end.stderr
    assert ": 4 specimens" in end.stdout


def test_a_cube_is_told_to_programs_as_its_bands(folder: Path) -> None:
    told = json.loads(phenoscape("info", folder / ":bee:.png", "--json").stdout)
    assert (told["rows"], told["columns"], told["masked"]) == (8, 9, None)
    assert [band["name"] for band in told["bands"]] == ["R", "G", "B"]


def test_an_answer_goes_over_nothing_that_is_there_or_read(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("mine")
    assert "say --overwrite" in phenoscape("info", folder, "-o", table).stderr
    assert table.read_text() == "mine"
    assert phenoscape("info", folder, "-o", table, "--overwrite").exit_code == 0
    inside = folder / "metadata.csv"
    inside.write_text("filename,kind\n:bee:.png,bee\n")
    said = phenoscape("info", folder, "-o", inside, "--overwrite").stderr
    assert "what is read is never overwritten" in said
    assert "ends in none of .csv, .tsv, .json" in phenoscape("info", folder, "-o", "x.xlsx").stderr


def test_where_there_is_no_terminal_progress_is_lines(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_console, "LINE_EVERY_S", 0.0)
    words = ("convert", folder / ":bee:.png", "-o")
    assert re.search(r"^\S.*: \d+ of \d+$", phenoscape(*words, tmp_path / "a.tif").stderr, re.M)
    assert phenoscape(*words, tmp_path / "b.tif", "--quiet").stderr == ""


def test_version_and_help_are_where_they_are_looked_for() -> None:
    assert phenoscape("--version").stdout == f"phenoscape {__version__}\n"
    for words in (("-h",), ("--help",), ("cluster", "-h")):
        assert phenoscape(*words).exit_code == 0


@pytest.mark.parametrize(
    ("words", "offered"), [("tr", "train"), ("train --ch", "--check"), ("info --js", "--json")]
)
def test_the_shell_completes_verbs_and_options(words: str, offered: str) -> None:
    asked = {
        "_PHENOSCAPE_COMPLETE": "complete_bash",
        "COMP_WORDS": f"phenoscape {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    end = CliRunner().invoke(app, env=asked, prog_name="phenoscape")
    assert end.stdout.split() == [offered]


def test_help_loads_no_numbers() -> None:
    code = (
        "import sys\nfrom napari_phenoscape.cli import app\n"
        "try:\n app(['--help'])\nexcept SystemExit:\n print('loaded', *sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = process.stdout.partition("\nloaded ")[2].split()
    assert "typer" in loaded
    assert not {"numpy", "pandas", "pydantic", "torch", "tifffile"} & set(loaded)


def test_a_table_without_rows_has_its_header(tmp_path: Path) -> None:
    Answer({"pairs": []}, [], "pairs", ["first", "second"]).show(file=tmp_path / "a.csv")
    assert pd.read_csv(tmp_path / "a.csv").columns.tolist() == ["first", "second"]
