"""Clusters: the dock that embeds a run's specimens and colours them by cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_phenoscape.analysis import MAPS, map_figure, renamed
from napari_phenoscape.embeddings import (
    TABLES,
    clusters_path,
    export_table,
    write_clusters,
)
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.training import PCA, Grouping, read_experiment
from napari_phenoscape.widgets._clustered import ClusteredRun
from napari_phenoscape.widgets._dock import Dock, column_of, row, short, short_combo
from napari_phenoscape.widgets._grouping import (
    Embedding,
    asked_of,
    dressed,
    embedded,
    group,
    mapped,
    opened,
    reported,
)
from napari_phenoscape.widgets._mapping import begin_early
from napari_phenoscape.widgets._overlay import overlay_of
from napari_phenoscape.widgets._worker import Task, Verb
from napari_phenoscape.widgets.form._fold import Fold
from napari_phenoscape.widgets.form._form import Form
from napari_phenoscape.widgets.form._note import note
from napari_phenoscape.widgets.map._labelling import LABELLING, Labelling
from napari_phenoscape.widgets.map._legend import Legend
from napari_phenoscape.widgets.map._looks import ColourKey, Looks
from napari_phenoscape.widgets.map._panel import MapPanel
from napari_phenoscape.widgets.map._twins import FINDING, TwinsPanel
from napari_phenoscape.widgets.map._working import Working

if TYPE_CHECKING:
    import napari.viewer


OPENING, EMBEDDING = "Opening the run", "Embedding specimens"
REPORTING = "Writing the report"
CLUSTERING, MAPPING, DRESSING = "Clustering", "Drawing the map", "Drawing the specimens"


class ClustersDock(Dock):
    """Embed, cluster, map, name, export; the points on the image follow."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.embedding = Form(Embedding)
        self.embed_button = self.button("Embed", "Embed these specimens by the run", self._embed)
        self.space = short_combo()
        self.space.setToolTip("Whose embedding: one modality's, or all of them (joint)")
        self.grouping = Form(Grouping, hide=("space",))
        self.grouping.folds["method"].opened = True
        self.cluster_button = self.button(
            "Cluster", "Group the embeddings and colour the specimens", self._cluster
        )
        self.choice_words = note()
        self.panel = MapPanel()
        self.map = self.panel.scatter
        self.map.chosen.connect(self.session.select)
        self.panel.save.clicked.connect(self._save_map)
        self.map_words = note()
        self.overlay = overlay_of(viewer)
        self.back_button = self.button(
            "All frames",
            "Show the frames and layers again that were deleted from the picture",
            self.overlay.bring_back,
        )
        self.legend = Legend()
        self.legend.renamed.connect(self._rename)
        self.export_button = self.button(
            "Export…",
            "Write embeddings, clusters and metadata as CSV, Parquet or AnnData (.h5ad)",
            self._export,
        )
        self.report_button = self.button(
            "Report", "Write what was found as one page for a browser, and for paper", self._report
        )
        self.page_button = self.button("Open the page", "In your browser", self._open_page)
        self.page_button.hide()
        self.page: Path | None = None
        first, second = QWidget(), QWidget()
        column = column_of(first)
        column.addWidget(self.embedding)
        column.addLayout(row(self.embed_button, self.space))
        column = column_of(second)
        column.addWidget(self.grouping)
        column.addWidget(self.cluster_button)
        column.addWidget(self.choice_words)
        self.asking = [
            Fold("1  Embed", first, opened=True),
            Fold("2  Cluster and map", second, opened=True),
        ]
        self.legend.picked.connect(self._pick)
        self.working = Working(self, self.legend, lambda: self.grouping.value.method)
        self.labelling = Labelling(self, self.colour_by)
        self.twins = TwinsPanel(self)
        self.looks, self.key = Looks(), ColourKey()
        self.looks.changed.connect(self._dress)
        for part in (
            *self.asking,
            self.looks,
            self.panel,
            self.key,
            self.legend,
            self.map_words,
            self.working,
            self.labelling,
            self.twins,
        ):
            self.column.addWidget(part)
        self.column.addLayout(row(self.export_button, self.report_button, self.back_button))
        self.foot.addWidget(self.page_button)
        self.fill(self.panel)

        self.embedding.changed.connect(self._refresh)
        self.grouping.changed.connect(self._keep_grouping)
        self.listen(self.session.experiment_changed, self._take_grouping)
        self._take_grouping("grouping")
        self.space.currentIndexChanged.connect(self._cluster)
        self.listen(self.session.collection_changed, self._refresh)
        self.listen(self.session.training_changed, self._offer_run)
        self.listen(self.session.embedded_changed, self._take_embedded)
        self.listen(self.session.clustered_changed, self._show)
        self.listen(self.session.selected_changed, self._show_selected)
        self.listen(self.overlay.gone_changed, self._offer_frames)
        self._mapped = False
        self._offer_frames()
        self._offer_run()
        resumed = [
            self.resume(title) for title in (OPENING, EMBEDDING, CLUSTERING, MAPPING, DRESSING)
        ]
        for title in (*LABELLING, FINDING, REPORTING):
            self.resume(title)
        self._list_spaces()
        if not any(resumed):
            self._group_what_is_new()
        self._show()

    def open_run(self, run: Path) -> None:
        """Choose a run, and show the embeddings and clusters that it has already."""
        self.embedding.set(Embedding(run=run))
        self._begin(OPENING, lambda: opened(run), self.session.set_embedded)

    def _begin(self, title: str, verb: Verb, done: Callable[[Any], None]) -> Task:
        task = self.session.do(title, verb, done)
        self.follow(task)
        return task

    def _busy(self) -> str:
        for title in (OPENING, EMBEDDING, CLUSTERING):
            task = self.session.task(title)
            if task is not None and task.busy:
                return f"{title}: wait for it to end."
        return ""

    def _refresh(self) -> None:
        busy = self._busy()
        if self.session.trains:
            busy = busy or "A training is at work; stop it, or wait for its end."
        collected = self.embedding.error or self.embedding.value.specimens == "of the run"
        lacks = "" if collected or self.session.collection else "Collect specimens first."
        self.allow(self.embed_button, busy or self.embedding.error or lacks)
        missing = "" if self.session.embedded else "Embed the specimens of a run first."
        self.allow(self.cluster_button, busy or missing or self.grouping.error)
        unclustered = "" if self.session.clustered else "Cluster first."
        self.allow(self.export_button, missing or unclustered)
        reporting = self.session.task(REPORTING)
        writes = "The page is being written." if reporting and reporting.busy else ""
        self.allow(self.report_button, missing or unclustered or writes)
        self.working.refresh()
        self.labelling.refresh()
        self.twins.refresh()

    def _keep_grouping(self) -> None:
        if not self.grouping.error:
            self.session.set_part("grouping", self.grouping.value)
        self._refresh()

    def _take_grouping(self, name: str) -> None:
        grouping = self.session.parts.get("grouping")
        if name not in ("", "grouping") or grouping is None:
            return
        if self.grouping.error or self.grouping.value != grouping:
            self.grouping.set(grouping)

    def _offer_run(self) -> None:
        run = self.session.run or (self.session.embedded and self.session.embedded.run)
        if run is not None:
            self.embedding.set(Embedding(run=run))
        if self.session.training is not None:
            self.session.training.state_changed.connect(self._on_training)

    def _on_training(self, state: str) -> None:
        if state in ("done", "stopped") and self.session.run is not None:
            self.embedding.set(Embedding(run=self.session.run))
        self._refresh()

    def _embed(self) -> None:
        chosen, source = self.embedding.value, self.session.parts.get("collection")
        self._begin(EMBEDDING, lambda: embedded(chosen, source), self.session.set_embedded)

    def _take_embedded(self) -> None:
        self._list_spaces()
        self._group_what_is_new()

    def _list_spaces(self) -> None:
        """Offer the spaces: chosen is the one that is shown, or was clustered, or the joint one."""
        embedded, clustered = self.session.embedded, self.session.clustered
        spaces = [] if embedded is None else list(embedded.spaces)
        self.space.blockSignals(True)
        self.space.clear()
        self.space.addItems(spaces)
        self.space.setCurrentIndex(len(spaces) - 1)
        if self._is_clustered and clustered is not None:
            self.space.setCurrentText(clustered.embeddings.space)
        elif embedded is not None and embedded.clusters is not None:
            self.session.set_part("grouping", read_experiment(embedded.run).grouping)
            self.space.setCurrentText(embedded.clusters.space)
        self.space.setEnabled(bool(spaces))
        self.space.blockSignals(False)
        self._refresh()

    @property
    def _is_clustered(self) -> bool:
        """Whether the clusters that are shown are of the embeddings that there are."""
        embedded, clustered = self.session.embedded, self.session.clustered
        spaces = {} if embedded is None else embedded.spaces
        return clustered is not None and clustered.embeddings in spaces.values()

    def _group_what_is_new(self) -> None:
        wrong = self.grouping.error
        if self.session.embedded is not None and not self._is_clustered and not wrong:
            self._group(anew=False)

    def _cluster(self) -> None:
        self.overlay.ask()
        self._group(anew=True)

    def _offer_frames(self) -> None:
        self.back_button.setVisible(bool(self.overlay.gone))

    def _save_map(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Save the map", "map.png", f"Figure (*{' *'.join(MAPS)})"
        )
        if chosen:
            self.save_map(Path(chosen))

    def save_map(self, path: Path) -> None:
        """Write the map as a figure, in the colours that are shown."""
        if (clustered := self.session.clustered) is None:
            return
        try:
            map_figure(clustered.plotted.xy, clustered.colouring, clustered.plotted.title, path)
        except PhenoscapeError as error:
            self.say(str(error), error=True)
        else:
            self.say(f"Saved '{path}'.")

    def _group(self, *, anew: bool) -> None:
        """Cluster in a thread; PCA at once, the chosen map when it is ready."""
        embedded, space = self.session.embedded, self.space.currentText()
        assert embedded is not None  # the button is grey
        grouping, previous = self.grouping.value, self.session.clustered
        if grouping.map != PCA():
            begin_early(grouping.map)
        task = self._begin(
            CLUSTERING,
            lambda: group(embedded, space, grouping, previous, anew=anew),
            self.session.set_clustered,
        )
        if grouping.map != PCA():
            task.succeeded.connect(self._map)

    def _map(self, clustered: ClusteredRun) -> None:
        embedded, grouping = self.session.embedded, self.grouping.value
        space = clustered.embeddings.space
        if embedded is not None and embedded.spaces.get(space) is clustered.embeddings:
            self._begin(MAPPING, lambda: mapped(embedded, space, grouping), self.session.set_map)

    def _show(self) -> None:
        """Show the session's clusters: legend and map."""
        clustered = self.session.clustered
        for widget in (self.legend, self.panel, self.looks, self.working):
            widget.setVisible(clustered is not None)
        if clustered is not None and not self._mapped:
            self._mapped = True
            for fold in self.asking:  # the map has their room; they open by a click
                fold.opened = False
        self._refresh()
        if clustered is not None:
            choice = clustered.clusters.choice
            self.choice_words.setText(choice.words if choice else "")
            self.legend.show_clusters(clustered.clusters)
            self.looks.show_appearance(asked_of(clustered), clustered.appearance)
            self.key.show_colouring(clustered.key)
            self._show_selected()
        self.labelling.show_labels()

    def _pick(self, numbers: tuple[int, ...]) -> None:
        """Select the specimens of the clusters that are chosen in the legend."""
        clustered = self.session.clustered
        if clustered is not None and numbers:
            rows = np.flatnonzero(np.isin(clustered.clusters.labels, numbers)).tolist()
            self.session.select([clustered.ids[row] for row in rows])

    def _dress(self) -> None:
        """Show the specimens in other pictures, colours, and another order."""
        clustered, asked = self.session.clustered, self.looks.value
        if clustered is not None:
            self._begin(DRESSING, lambda: dressed(clustered, asked), self.session.set_appearance)

    def colour_by(self, column: str) -> None:
        """Show specimens in the colours of a column."""
        self.looks.boxes[1].setCurrentText(column)
        self._dress()

    def _show_selected(self) -> None:
        """Mark on the map what is selected, and say what it is."""
        clustered, selected = self.session.clustered, self.session.selected
        if clustered is None:
            return
        self.map.draw(clustered, selected)
        self.working.refresh()
        self.labelling.refresh()
        self.labelling.mark()
        if selected:
            known = clustered.known_of(clustered.rows[selected[0]])
            words = ", ".join(f"{name} {value}" for name, value in known.items())
            more = f" and {len(selected) - 1} more" if len(selected) > 1 else ""
            self.map_words.setText(f"{selected[0]}{more}: {words}")
        else:
            self.map_words.setText(
                "Click a specimen, or drag around some: Shift adds, Alt takes away, Escape clears."
            )

    def _rename(self, number: int, name: str) -> None:
        clustered = self.session.clustered
        if clustered is None:
            return
        clusters = clustered.clusters
        try:
            after = renamed(clusters, number, name)
            write_clusters(after, clusters_path(clustered.run, clustered.embeddings))
        except PhenoscapeError as error:
            self.legend.show_clusters(clusters)  # what is there still
            self.say(str(error), error=True)
            return
        self.session.set_clustered(replace(clustered, clusters=after))

    def _report(self) -> None:
        if (clustered := self.session.clustered) is not None:
            self.page_button.hide()
            self._begin(REPORTING, lambda: reported(clustered), self._show_page)

    def _show_page(self, page: Path) -> None:
        self.page = page
        self.page_button.show()
        self.say(f"The report is '{short(page)}'.")

    def _open_page(self) -> None:
        if self.page is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.page.absolute())))

    def _export(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Export", "clusters.csv", f"Table (*{' *'.join(TABLES)})"
        )
        if chosen:
            self.export(Path(chosen))

    def export(self, path: Path) -> None:
        """Write file name, embedding, cluster, metadata and labels of every specimen."""
        clustered = self.session.clustered
        if clustered is None:
            return
        try:
            labelled = replace(clustered.embeddings, table=clustered.table)
            export_table(labelled, path, clustered.clusters)
        except PhenoscapeError as error:
            self.say(str(error), error=True)
        else:
            self.say(f"Exported '{path}'.")
