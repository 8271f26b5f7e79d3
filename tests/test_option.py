"""Options: what a wrong YAML file says, and that YAML is the printed form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from napari_phenoscape.errors import MissingFileError, OptionError, did_you_mean
from napari_phenoscape.option import Option, Variants, variants_of
from napari_phenoscape.training import Experiment


class Inner(Option):
    kind: Literal["inner"] = "inner"
    temperature: float = Field(0.2, gt=0)
    table: Path | None = None


class Outer(Option):
    inner: Inner = Inner()
    folders: tuple[Path, ...] = ()


@pytest.mark.parametrize(
    ("given", "question"),
    [("mroph", "Did you mean 'morph'? "), ("SEX", "Did you mean 'Sex'? "), ("habitat", "")],
)
def test_a_word_that_is_nearly_known_is_asked_for(given, question):
    assert did_you_mean(given, ["Sex", "morph", "locality"]) == question


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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "a:\n  b: 1\n c: 2",
            r"line 3 \(c: 2\), .* one level in the same column",
        ),
        ("a: 1\nb: *.bmp", r"line 2 \(b: \*\.bmp\), .* in quotation marks, e\.g\. '\*\.png'"),
        ("a: 1\n\tb: 2", r"line 2 \(b: 2\), .* by blanks, not by tabs"),
        ("a: 1\nb 2\nc: 3", r"line 2 \(b 2\), .* Write 'key: value'"),
        ("a: b: c", r"line 1 \(a: b: c\), .* holds a colon in quotation marks"),
        ("a: [1\nb: 2", r"line 2 \(b: 2\), .* Close each bracket"),
        ("a: 'b\n", r"line 1 \(a: 'b\), .* Close each quotation mark"),
        ("a: @b", r"line 1 \(a: @b\), .* such a character in quotation marks"),
        ("a: \0", "is not YAML: unacceptable character .* Write 'key: value' lines"),
    ],
    ids=["column", "star", "tab", "no colon", "two colons", "bracket", "quote", "at", "zero"],
)
def test_what_is_not_yaml_says_in_which_line_and_the_way_out(text: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
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
        ({"names": "a"}, r"names: a list was expected, e\.g\. \[a\] or \[a, b\] \(given: 'a'\)"),
    ],
    ids=["words", "bound", "none", "choice", "list"],
)
def test_what_was_expected_is_said_in_plain_words(given: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=f"^{words}"):
        Many.parse(given)


def test_a_folder_in_place_of_a_file_is_called_one(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="is a folder, and a YAML file was expected"):
        Many.read(tmp_path)


class Way(Option):
    kind: str


class Left(Way):
    """One way."""

    kind: Literal["left"] = "left"
    share: float = Field(0.5, gt=0)


class Right(Way):
    """The other way."""

    kind: Literal["right"] = "right"


AnyWay = Annotated[Way, Variants(Left, Right)]


class Walk(Option):
    first: AnyWay = Left()
    rest: str | tuple[AnyWay, ...] = ()


@pytest.mark.parametrize(
    "given",
    [Left(share=0.25), {"kind": "left", "share": 0.25}],
    ids=["option", "keys"],
)
def test_a_variant_is_given_as_an_option_or_by_its_keys(given: object) -> None:
    assert Walk.parse({"first": given}).first == Left(share=0.25)


def test_a_kind_alone_is_the_variant_with_its_defaults() -> None:
    walk = Walk.parse({"first": "right", "rest": ["left", "right"]})
    assert walk == Walk(first=Right(), rest=(Left(), Right()))


def test_variants_print_all_of_their_own_keys() -> None:
    walk = Walk(first=Left(share=0.25), rest=(Right(), Left()))
    assert walk.model_dump()["first"] == {"kind": "left", "share": 0.25}
    assert Walk.from_yaml(walk.to_yaml()) == walk


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"first": "rigth"},
            r"first: the kind 'rigth' is unknown.*'left', 'right' was.*Did",
        ),
        ({"first": {"share": 1}}, "first: its 'kind' is missing, which says what it is; one of"),
        ({"first": {"kind": "left", "shore": 1}}, r"first: unknown key 'shore' in Left\. Did you"),
        ({"first": {"kind": "left", "share": 0}}, r"first\.share: a number greater than 0"),
        ({"first": 3}, "first: 'key: value' lines were expected"),
        (
            {"rest": [{"kind": "up"}]},
            r"rest\.0: the kind 'up' is unknown; one of 'left', 'right' was expected\. If another "
            r"package adds it, install that\.$",
        ),
    ],
    ids=["unknown", "missing", "key", "bound", "number", "in a list"],
)
def test_a_wrong_variant_says_where_it_stands_and_which_there_are(
    given: dict[str, object], words: str
) -> None:
    with pytest.raises(OptionError, match=f"^{words}"):
        Walk.parse(given)


def test_an_option_of_another_union_is_no_variant() -> None:
    with pytest.raises(OptionError):
        Walk.parse({"first": Inner()})


def test_variants_of_a_type_are_those_it_offers_anywhere_in_it() -> None:
    fields = {name: field.rebuild_annotation() for name, field in Walk.model_fields.items()}
    assert variants_of(fields["first"]) == variants_of(fields["rest"]) == (Left, Right)
    assert variants_of(Left) == (Left,)
    assert variants_of(tuple[int, ...]) == ()


@pytest.mark.parametrize(
    "text",
    ["[" * 3000, "name: " + "9" * 5000, 'collection: {kind: folder, path: "a\\0b"}'],
    ids=["brackets", "digits", "null"],
)
def test_yaml_that_breaks_its_reader_is_one_sentence(text, tmp_path):
    (tmp_path / "e.yaml").write_text(text)
    with pytest.raises(OptionError):
        Experiment.read(tmp_path / "e.yaml")
