"""Clusters: the dock that embeds a run's specimens and colours them by cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from pydantic import Field
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QFileDialog, QTableWidget, QTableWidgetItem

from napari_phenoscape.clustering import AnyClustering, Clusters, KMeans, cluster, write_clusters
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.option import Option
from napari_phenoscape.reduction import PCA, UMAP, AnyReduction, reduce
from napari_phenoscape.widgets.dock import Dock, row, short_combo
from napari_phenoscape.widgets.form import Fold, Form, heading, note

if TYPE_CHECKING:
    import napari

    from napari_phenoscape.embedding import Embeddings


class Embedding(Option):
    """Which run embeds the specimens."""

    run: Path = Field(description="run directory", json_schema_extra={"picks": "folder"})
    untrained: bool = Field(
        False, description="the control: the same net with the weights that training began with"
    )


class Grouping(Option):
    """How the embeddings are grouped and drawn."""

    clusters: AnyClustering = KMeans()
    map: AnyReduction = UMAP()


class ClustersDock(Dock):
    """Embed, cluster, map, name, export; the points on the image follow."""

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__(viewer)
        self._xy: NDArray[np.float32] | None = None
        self._points: Any = None
        self.embedding = Form(Embedding)
        self.embed_button = self.button("Embed", "Embed every specimen of the run", self._embed)
        self.space = short_combo()
        self.space.setToolTip("Whose embedding: one modality's, or all of them (joint)")
        self.grouping = Form(Grouping)
        self.cluster_button = self.button(
            "Cluster", "Group the embeddings and colour the specimens", self._cluster
        )
        self.map = pg.PlotWidget(background=None)
        self.map.setFixedHeight(240)
        self.map.getPlotItem().hideButtons()
        self.map.getPlotItem().setMenuEnabled(False)
        self.scatter = pg.ScatterPlotItem(size=9, hoverable=True, tip=None)
        self.scatter.sigClicked.connect(self._clicked)
        self.map.addItem(self.scatter)
        self.map_words = note()
        self.legend = QTableWidget(0, 3)
        self.legend.setHorizontalHeaderLabels(["", "cluster", "specimens"])
        self.legend.setToolTip("Double-click a name to change it")
        self.legend.itemChanged.connect(self._renamed)
        self.export_button = self.button(
            "Export…", "Write embeddings, clusters and metadata as CSV or Parquet", self._export
        )
        self.column.addWidget(heading("1  Embed"))
        self.column.addWidget(self.embedding)
        self.column.addLayout(row(self.embed_button, self.space))
        self.column.addWidget(heading("2  Cluster and map"))
        self.column.addWidget(self.grouping)
        self.column.addWidget(self.cluster_button)
        self.column.addWidget(self.map)
        self.column.addWidget(self.map_words)
        self.column.addWidget(self.legend)
        self.column.addWidget(self.export_button)

        self.embedding.changed.connect(self._refresh)
        self.grouping.changed.connect(self._refresh)
        self.space.currentIndexChanged.connect(self._new_space)
        self.session.training_changed.connect(self._offer_run)
        self.session.embeddings_changed.connect(self._list_spaces)
        self.session.clusters_changed.connect(self._show)
        self._offer_run()
        self._list_spaces()
        self._show()

    def open_run(self, run: Path) -> None:
        """Choose a run, and show the embeddings and clusters that it has already."""
        self.embedding.set(Embedding(run=run))

        def verb() -> Generator[Event, None, tuple[dict[str, Embeddings], Clusters | None]]:
            yield Progress("reading the run", 0, 1)
            return read_run(run)

        def show(found: tuple[dict[str, Embeddings], Clusters | None]) -> None:
            self.session.run = run
            self.session.clusters = found[1]
            self._keep_embeddings(found[0])

        self._begin("Opening the run", verb, show)

    def _begin(
        self, title: str, verb: Callable[[], Generator[Event, None, Any]], done: Callable[[Any], None]
    ) -> None:
        task = self.session.do(title, verb, done)
        self.follow(task)
        task.state_changed.connect(self._refresh)
        self._refresh()

    def _busy(self) -> str:
        for title in (EMBEDDING, CLUSTERING):
            task = self.session.task(title)
            if task is not None and task.busy:
                return f"{title}: wait for it to end."
        return ""

    def _refresh(self) -> None:
        busy = self._busy()
        training = self.session.training
        if training is not None and training.busy:
            busy = busy or "A training is at work; stop it, or wait for its end."
        self.allow(self.embed_button, busy or self.embedding.error)
        missing = "" if self.session.embeddings else "Embed the specimens of a run first."
        self.allow(self.cluster_button, busy or missing or self.grouping.error)
        unclustered = "" if self.session.clusters is not None else "Cluster first."
        self.allow(self.export_button, missing or unclustered)

    def _offer_run(self) -> None:
        if self.session.run is not None:
            self.embedding.set(Embedding(run=self.session.run))
        if self.session.training is not None:
            self.session.training.state_changed.connect(self._on_training)

    def _on_training(self, state: str) -> None:
        if state in ("done", "stopped") and self.session.run is not None:
            self.embedding.set(Embedding(run=self.session.run))
        self._refresh()

    def _embed(self) -> None:
        chosen = self.embedding.value

        def verb() -> Generator[Event, None, Any]:
            from napari_phenoscape.embedding import embed

            return embed(chosen.run, untrained=chosen.untrained)

        self.session.run = chosen.run
        self._begin(EMBEDDING, verb, self._keep_embeddings)

    def _keep_embeddings(self, spaces: dict[str, Embeddings]) -> None:
        self.session.embeddings = spaces
        self.session.embeddings_changed.emit()

    def _list_spaces(self) -> None:
        spaces = list(self.session.embeddings)
        self.space.blockSignals(True)
        self.space.clear()
        self.space.addItems(spaces)
        self.space.setCurrentIndex(len(spaces) - 1)  # the joint one, when there are several
        self.space.setEnabled(bool(spaces))
        self.space.blockSignals(False)
        self._refresh()
        if spaces:
            self._cluster()

    def _chosen(self) -> Embeddings:
        return self.session.embeddings[self.space.currentText()]
