"""Runs are evaluated in the window, with the verdict in words."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_phenoscape.analysis import as_table, evaluation_path
from napari_phenoscape.analysis.evaluation._evaluate import Comparison
from napari_phenoscape.analysis.evaluation._score import Score
from napari_phenoscape.errors import TableError
from napari_phenoscape.events import result
from napari_phenoscape.widgets import RunsDock
from napari_phenoscape.widgets._evaluating import _read, told
from napari_phenoscape.widgets._session import session_of

pytestmark = pytest.mark.gui


def test_scores_are_told_with_their_intervals_and_verdicts_by_name_where_there_are_several():
    scores = {"5-NN accuracy": Score(0.9, 0.8, 0.95), "adjusted Rand index": Score(0.25, 0.1, 0.3)}
    rows = [
        Comparison("a, rgb", scores, {"plain colour": Score(0.2)}, "Better."),
        Comparison("colour", {"5-NN accuracy": Score(0.7)}),
    ]
    verdict, header, lines = told(as_table(rows))
    assert (verdict, header) == ("Better.", ["embedding", "neighbours right", "clusters agree"])
    assert lines == [["a, rgb", "90% (80% to 95%)", "0.250"], ["colour", "70%", "-"]]
    of_views = [Comparison("a, rgb", {"another view found": Score(0.5, 0.4, 0.6)})]
    assert told(as_table(of_views))[1:] == (
        ["embedding", "views of one found"],
        [["a, rgb", "50% (40% to 60%)"]],
    )
    rows.append(Comparison("b, rgb", {}, {}, "Worse."))
    assert told(as_table(rows))[0] == "a, rgb: Better.\nb, rgb: Worse."


@pytest.mark.parametrize("text", ["", "damaged,1\n", "embedding,measure\na,verdict\n"])
def test_a_table_that_is_none_of_scores_is_a_sentence_with_the_way_out(tmp_path, text):
    path = tmp_path / "evaluation.csv"
    assert result(_read(path)) is None
    path.write_text(text)
    with pytest.raises(TableError, match=r"is no table of scores \(.*Press 'Evaluate'"):
        result(_read(path))


def test_a_run_is_evaluated_by_a_typed_column_and_found_again(
    viewer, open_dock, trained, tmp_path, wait
):
    run = shutil.copytree(trained, tmp_path / "runs" / "run")
    session = session_of(viewer)
    session.set_part("runs", run.parent)
    dock = open_dock(RunsDock)
    wait(lambda: len(dock.runs) == 1 and not session.busy)
    panel = dock.evaluating
    assert not panel.fold.opened
    panel.fold.opened = True
    wait(lambda: not session.busy)
    assert panel.button.isEnabled()
    assert panel.table.isHidden()
    QTest.keyClicks(panel.label.lineEdit(), "specie")
    QTest.mouseClick(panel.button, Qt.MouseButton.LeftButton)
    wait(lambda: not session.busy)
    assert "Did you mean 'species'?" in panel.verdict.text()
    QTest.keyClicks(panel.label.lineEdit(), "s")
    QTest.mouseClick(panel.button, Qt.MouseButton.LeftButton)
    wait(lambda: evaluation_path(run, "species").is_file() and not session.busy)
    assert panel.verdict.text() in set(pd.read_csv(evaluation_path(run, "species"))["words"])
    names = [panel.table.item(row, 0).text() for row in range(panel.table.rowCount())]
    assert "colour quantiles" in names
    assert any(name.startswith("trained, ") for name in names)
    header = [dock.table.horizontalHeaderItem(at).text() for at in range(dock.table.columnCount())]
    assert "species" in " ".join(header)
    # by a dock that is opened later, from the run
    again = open_dock(RunsDock)
    wait(lambda: len(again.runs) == 1 and not session.busy)
    again.evaluating.fold.opened = True
    QTest.keyClicks(again.evaluating.label.lineEdit(), "species")
    QTest.keyClick(again.evaluating.label.lineEdit(), Qt.Key.Key_Return)
    wait(lambda: again.evaluating.table.rowCount() == len(names))
    assert again.evaluating.verdict.text() == panel.verdict.text()
