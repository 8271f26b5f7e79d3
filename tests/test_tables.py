"""One reader of tables: what was typed is what is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_phenoscape._tables import read_cells, read_table
from napari_phenoscape.errors import MissingFileError, TableError


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "metadata.csv"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("separator", list(",;\t|"), ids=["comma", "semicolon", "tab", "bar"])
def test_any_separator_gives_the_same_table(tmp_path, separator):
    text = "file,sex,note\n1.png,M,a\n2.png,F,b\n".replace(",", separator)
    names, rows = read_cells(table(tmp_path, text))
    assert names == ["file", "sex", "note"]
    assert rows == [["1.png", "M", "a"], ["2.png", "F", "b"]]


def test_a_cell_in_quotation_marks_holds_separators_and_lines(tmp_path):
    text = 'file,"where, when"\n1.png,"Bern, 1999"\n2.png,"two\nlines ""here"""\n'
    names, rows = read_cells(table(tmp_path, text))
    assert names == ["file", "where, when"]
    assert rows == [["1.png", "Bern, 1999"], ["2.png", 'two\nlines "here"']]


@pytest.mark.parametrize("name", ["007", "0012", "1e5", "4006381333931123456789", "+1", "1.", "½"])
def test_a_column_with_one_cell_that_is_no_plain_number_stays_as_typed(tmp_path, name):
    found = read_table(table(tmp_path, f"file,individual\n1.png,{name}\n2.png,7\n"))
    assert list(found["individual"]) == [name, "7"]


def test_two_spellings_of_one_number_are_two_names(tmp_path):
    found = read_table(table(tmp_path, "file,plate\n1.png,1.1\n2.png,1.10\n3.png,1.2\n"))
    assert list(found["plate"]) == ["1.1", "1.10", "1.2"]


def test_a_comma_is_a_decimal_mark_where_semicolons_separate(tmp_path):
    found = read_table(table(tmp_path, "file;mass\n1.png;1,5\n2.png;-0,25\n3.png;3\n"))
    assert found["mass"].tolist() == [1.5, -0.25, 3.0]


def test_the_separator_that_excel_says_is_no_header(tmp_path):
    found = read_table(table(tmp_path, "sep=;\r\nfile;a,b\r\n1.png;x\r\n"))
    assert found.to_dict("list") == {"file": ["1.png"], "a,b": ["x"]}


def test_what_is_not_seen_makes_no_other_label(tmp_path):
    text = "file,note\n1.png,caf\u00e9\n2.png,cafe\u0301\u200b\n3.png,\xa0caf\u00e9\n"
    assert set(read_table(table(tmp_path, text))["note"]) == {"caf\u00e9"}


def test_only_line_ends_end_lines(tmp_path):
    found = read_table(table(tmp_path, "file,note\n1.png,a\u2028b\x0bc\n\n2.png,d\n,\n"))
    assert list(found["note"]) == ["a\u2028b\x0bc", "d"]


def test_a_title_above_the_header_is_not_taken_for_it(tmp_path):
    with pytest.raises(TableError, match="column 2 has no name in its first line"):
        read_table(table(tmp_path, "My moths,,\nfile,species,sex\n1.png,a,F\n"))


def test_columns_of_numbers_are_numbers(tmp_path):
    found = read_table(table(tmp_path, "file,year,mass\n1.png,1999,-0.50\n2.png,2001,12\n"))
    assert found["year"].dtype == np.int64
    assert found["mass"].tolist() == [-0.5, 12.0]


@pytest.mark.parametrize("missing", ["", "NA", "N/A", "nan", "NULL", "#N/A", "<NA>"])
def test_what_is_not_known_is_missing_in_text_and_in_numbers(tmp_path, missing):
    text = f"file,sex,mass\n1.png,{missing},{missing}\n2.png,F,3\n"
    found = read_table(table(tmp_path, text))
    assert list(found["sex"]) == [None, "F"]
    assert found["mass"].isna().tolist() == [True, False]


def test_a_comma_at_the_end_of_every_line_moves_no_column(tmp_path):
    found = read_table(table(tmp_path, "number,file,sex\n0,1.png,M,\n1,2.png,F,\n"))
    assert list(found) == ["number", "file", "sex"]
    assert list(found["file"]) == ["1.png", "2.png"]


def test_the_row_names_of_other_programs_are_no_column(tmp_path):
    found = read_table(table(tmp_path, ',file,sex\n"1",1.png,M\n"2",2.png,F\n'))
    assert list(found) == ["file", "sex"]


def test_blanks_around_names_and_cells_do_not_count(tmp_path):
    found = read_table(table(tmp_path, "file, species \n1.png, aurea \n2.png,aurea\n"))
    assert list(found) == ["file", "species"]
    assert list(found["species"]) == ["aurea", "aurea"]


def test_a_line_that_ends_early_goes_on_with_empty_cells(tmp_path):
    assert read_cells(table(tmp_path, "a,b\n1,2\n3\n"))[1] == [["1", "2"], ["3", ""]]


def test_lines_with_a_mark_are_comments_only_where_tables_have_comments(tmp_path):
    path = table(tmp_path, "# by me\nwl,u\n300,1\n")
    assert read_cells(path, comments=True) == (["wl", "u"], [["300", "1"]])
    assert read_cells(table(tmp_path, "#file,sex\n#1.png,M\n")) == (
        ["#file", "sex"],
        [["#1.png", "M"]],
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has 0 lines"),
        ("a,b\n", "has 1 lines"),
        (",,\n1,2,3\n", "has 2 lines"),
        ("a,a\n1,2\n", "two columns are called 'a'"),
        ("a,b\n1,2,3\n", "line 1 below the header has 3 cells, and 2 were expected"),
        ("a\n" + "x" * 200_000 + "\n", "field larger"),
    ],
    ids=["empty", "header alone", "no names", "one name twice", "too long", "huge cell"],
)
def test_what_is_no_table_is_refused_in_a_sentence(tmp_path, text, words):
    with pytest.raises(TableError, match=words):
        read_cells(table(tmp_path, text))


def test_a_table_that_is_not_there_or_no_text_is_refused(tmp_path):
    with pytest.raises(MissingFileError, match=r"no table at .*none\.csv"):
        read_cells(tmp_path / "none.csv")
    (tmp_path / "old.csv").write_bytes("leg\nMüller\n".encode("latin-1"))
    with pytest.raises(TableError, match="is not UTF-8 text"):
        read_cells(tmp_path / "old.csv")
