"""Options: what a wrong YAML file says, and that YAML is the printed form."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from napari_phenoscape.errors import MissingFileError, OptionError
from napari_phenoscape.option import Option


class Inner(Option):
    kind: Literal["inner"] = "inner"
    temperature: float = Field(0.2, gt=0)
    table: Path | None = None


class Outer(Option):
    inner: Inner = Inner()
    folders: tuple[Path, ...] = ()


def test_yaml_is_the_printed_form() -> None:
    option = Outer(inner=Inner(temperature=0.5), folders=(Path("a"),))
    assert Outer.from_yaml(option.to_yaml()) == option


def test_an_unknown_key_names_the_one_that_was_meant() -> None:
    with pytest.raises(OptionError, match=r"'temprature'.*Did you mean 'temperature'\?.*Legal"):
        Outer.parse({"inner": {"temprature": 1}})


def test_a_wrong_value_says_where_it_stands_and_what_it_is() -> None:
    with pytest.raises(OptionError, match=r"inner\.temperature.*greater than 0.*-1"):
        Outer.parse({"inner": {"temperature": -1}})


@pytest.mark.parametrize("text", ["- a\n- b", "just words", "a: [1"], ids=["list", "text", "torn"])
def test_what_is_not_a_mapping_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        Outer.from_yaml(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"nothing\.yaml"):
        Outer.read(tmp_path / "nothing.yaml")


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "outer.yaml"
    file.write_text("inner: {table: t.csv}\nfolders: [a, /b]\n")
    read = Outer.read(file)
    assert read.inner.table == tmp_path / "t.csv"
    assert read.folders == (tmp_path / "a", Path("/b"))


class Many(Option):
    steps: int = Field(1, ge=1)
    names: tuple[str, ...] = Field(("a",), min_length=1)
    how: Literal["fast", "slow"] = "fast"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"steps": "abc"}, r"steps: a whole number was expected \(given: 'abc'\)"),
        ({"steps": 0}, r"steps: 1 or more was expected \(given: 0\)"),
        ({"names": []}, "names: at least 1 was expected, and there are 0"),
        ({"how": "soon"}, r"how: 'fast' or 'slow' was expected \(given: 'soon'\)"),
        ({"names": "a"}, "names: a list was expected"),
    ],
    ids=["words", "bound", "none", "choice", "list"],
)
def test_what_was_expected_is_said_in_plain_words(given: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=f"^{words}"):
        Many.parse(given)


def test_a_folder_in_place_of_a_file_is_called_one(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="is a folder, and a YAML file was expected"):
        Many.read(tmp_path)
