"""Working: the buttons that change clusters by hand, and what clusters go with."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QInputDialog, QSizePolicy, QWidget

from napari_phenoscape.analysis import association, results_agreement, results_beside
from napari_phenoscape.embeddings import (
    Clusters,
    History,
    clusters_path,
    excluded,
    keep_clusters,
    merged,
    read_results,
    regrouped,
    split,
    write_clusters,
)
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.training import Clustering
from napari_phenoscape.widgets._clustered import ClusteredRun
from napari_phenoscape.widgets._dock import column_of, count_of, row
from napari_phenoscape.widgets._grouping import dressed
from napari_phenoscape.widgets._small_table import fill_table, small_table
from napari_phenoscape.widgets.form._fold import Fold
from napari_phenoscape.widgets.form._note import note

if TYPE_CHECKING:
    from napari_phenoscape.widgets._dock import Dock
    from napari_phenoscape.widgets.map._legend import Legend

EDITING, COMPARING = "Changing clusters", "Comparing with the metadata"


class Working(QWidget):
    """Merge, split, leave out, cluster a selection again; undo and redo; keep and compare.

    Parameters
    ----------
    dock
        The dock that it is a part of.
    legend
        Where clusters are chosen.
    method
        By what a selection is clustered again.
    """

    def __init__(self, dock: Dock, legend: Legend, method: Callable[[], Clustering]) -> None:
        super().__init__()
        self.dock, self.legend, self.method = dock, legend, method
        self.merge = dock.button(
            "Merge", "The clusters that are chosen in the legend become one", self._merge
        )
        self.split = dock.button(
            "Split", "The cluster that is chosen in the legend becomes two, by KMeans", self._split
        )
        self.exclude = dock.button(
            "Leave out", "Specimens that are selected belong to no cluster any more", self._exclude
        )
        self.again = dock.button(
            "Cluster these",
            "Specimens that are selected are clustered by themselves, by the method chosen above",
            self._again,
        )
        self.undo = dock.button("Undo", "Clusters as they were before", self._undo)
        self.redo = dock.button("Redo", "Clusters as they were before Undo", self._redo)
        self.keep = dock.button(
            "Keep as…", "Keep these clusters under a name, to compare others with", self._keep
        )
        self.compare = dock.button(
            "Compare",
            "How far these clusters go with each column of the metadata, and with other results: "
            "the spaces of this run, those that were kept, and those of the runs beside it",
            self._compare,
        )
        self.columns, self.results, self.words = small_table(150), small_table(120), note()
        inner = QWidget()
        inside = column_of(inner)
        inside.addLayout(row(self.keep, self.compare))
        for widget in (self.words, self.columns, self.results):
            inside.addWidget(widget)
        self.fold = Fold("3  Compare", inner)
        for button in (self.merge, self.split, self.exclude, self.again, self.undo, self.redo):
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        layout = column_of(self)
        layout.addLayout(row(self.merge, self.split, self.exclude))
        layout.addLayout(row(self.again, self.undo, self.redo))
        layout.addWidget(self.fold)
        for table in (self.columns, self.results):
            table.hide()
        legend.picked.connect(lambda _: self.refresh())

    def refresh(self) -> None:
        """What is possible with what is chosen."""
        session, allow = self.dock.session, self.dock.allow
        none = "" if session.clustered is not None else "Cluster first."
        chosen = self.legend.chosen
        selected = "" if session.selected else "Select specimens on the map or on the picture."
        few = "" if len(session.selected) > 1 else "Select two specimens at least."
        two = "" if len(chosen) > 1 else "Choose clusters in the legend: with Ctrl, several."
        one = "" if len(chosen) == 1 else "Choose one cluster in the legend."
        history = session.clusterings
        allow(self.merge, none or two)
        allow(self.split, none or one)
        allow(self.exclude, none or selected)
        allow(self.again, none or few)
        allow(self.undo, "" if history is not None and history.past else "Nothing to undo.")
        allow(self.redo, "" if history is not None and history.future else "Nothing to redo.")
        for button in (self.keep, self.compare):
            allow(button, none)

    def _merge(self) -> None:
        numbers = self.legend.chosen
        self._do(lambda shown: merged(shown.clusters, numbers))

    def _split(self) -> None:
        (number,) = self.legend.chosen
        self._do(lambda shown: split(shown.clusters, number, shown.embeddings.x))

    def _exclude(self) -> None:
        ids = self.dock.session.selected
        self._do(lambda shown: excluded(shown.clusters, ids))

    def _again(self) -> None:
        ids, method = self.dock.session.selected, self.method()
        self._do(lambda shown: regrouped(shown.clusters, ids, shown.embeddings.x, method))

    def _undo(self) -> None:
        self._travel(History.undone)

    def _redo(self) -> None:
        self._travel(History.redone)

    def _travel(self, step: Callable[[History], History]) -> None:
        history = self.dock.session.clusterings
        if history is not None:
            to = step(history)
            self._do(lambda _: to.now, to)

    def _do(
        self, change: Callable[[ClusteredRun], Clusters], history: History | None = None
    ) -> None:
        """Change clusters, write them, and show them in the colours that were asked for."""
        shown = self.dock.session.clustered
        if shown is None:
            return

        def verb() -> Generator[Event, None, ClusteredRun]:
            yield Progress("changing clusters", 0, 1)
            clusters = change(shown)
            after = yield from dressed(replace(shown, clusters=clusters), shown.appearance)
            write_clusters(clusters, clusters_path(shown.run, shown.embeddings))
            return after

        def done(after: ClusteredRun) -> None:
            self.dock.session.set_clustered(after, history)

        self.dock.follow(self.dock.session.do(EDITING, verb, done, torch=False))

    def _keep(self) -> None:
        name, yes = QInputDialog.getText(self, "Keep clusters", "Name of these clusters")
        if yes:
            self.keep_as(name)

    def keep_as(self, name: str) -> None:
        """Keep the clusters under a name."""
        if (shown := self.dock.session.clustered) is None:
            return
        try:
            path = keep_clusters(shown.run, shown.clusters, name)
        except PhenoscapeError as error:
            self.dock.say(str(error), error=True)
        else:
            self.dock.say(f"Kept as '{path.stem}'.")

    def _compare(self) -> None:
        if (shown := self.dock.session.clustered) is None:
            return

        def verb() -> Generator[Event, None, tuple[pd.DataFrame, pd.DataFrame]]:
            yield Progress("comparing with the metadata", 0, 1)
            found = association(shown.embeddings.table, shown.clusters)
            others = read_results(shown.run)
            others.pop(clusters_path(shown.run, shown.embeddings).stem, None)
            others |= yield from results_beside(shown.run)
            both = [results_agreement({"": shown.clusters, name: c}) for name, c in others.items()]
            return found, pd.concat(both) if both else results_agreement({})

        self.dock.follow(self.dock.session.do(COMPARING, verb, self._show, torch=False))

    def _show(self, tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
        found, both = tables
        self.columns.show()
        self.results.setVisible(len(both) > 0)
        self.words.setText(
            "Adjusted mutual information: 1 = the clusters are the column, 0 = chance."
            if len(found)
            else "The metadata has no column that could divide these specimens."
        )
        self.columns.setVisible(len(found) > 0)
        columns = zip(
            found["column"],
            found["mutual_information"],
            found["p"],
            found["specimens"],
            strict=True,
        )
        fill_table(
            self.columns,
            ["column", "information", "p", "specimens"],
            [[str(name), f"{value:.2f}", f"{p:.3f}", str(n)] for name, value, p, n in columns],
        )
        others = zip(
            both["second"], both["rand"], both["mutual_information"], both["specimens"], strict=True
        )
        fill_table(
            self.results,
            ["other result", "Rand", "information", "shared"],
            [[str(name), f"{rand:.2f}", f"{value:.2f}", str(n)] for name, rand, value, n in others],
        )
        self.dock.say(f"{count_of(len(found), 'column')} compared.")
        QTimer.singleShot(0, self._see)  # when the fold is as high as the tables

    def _see(self) -> None:
        self.dock.see(self.fold)
