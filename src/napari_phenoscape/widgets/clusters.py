"""Clusters: the dock that embeds a run's specimens and colours them by cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from qtpy.QtWidgets import QFileDialog

from napari_phenoscape.clustering import (
    AnyClustering,
    Clusters,
    KMeans,
    cluster,
    write_clusters,
)
from napari_phenoscape.embedding import Embeddings, write_embeddings
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.layers.maps import labels_of
from napari_phenoscape.option import Option
from napari_phenoscape.reduction import PCA, UMAP, AnyReduction, reduce
from napari_phenoscape.run import read_experiment
from napari_phenoscape.widgets.dock import Dock, row, short_combo
from napari_phenoscape.widgets.form import Form, heading, note
from napari_phenoscape.widgets.overlay import ground_of, read_run, show_clusters
from napari_phenoscape.widgets.scatter import Legend, Scatter

if TYPE_CHECKING:
    import napari


EMBEDDING, CLUSTERING, MAPPING = "Embedding specimens", "Clustering", "Drawing the map"


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
        self._points: Any = None
        self.embedding = Form(Embedding)
        self.embed_button = self.button("Embed", "Embed every specimen of the run", self._embed)
        self.space = short_combo()
        self.space.setToolTip("Whose embedding: one modality's, or all of them (joint)")
        self.grouping = Form(Grouping)
        self.grouping.folds["clusters"].opened = True
        self.cluster_button = self.button(
            "Cluster", "Group the embeddings and colour the specimens", self._cluster
        )
        self.map = Scatter()
        self.map.chosen.connect(self._choose)
        self.map_words = note()
        self.legend = Legend()
        self.legend.renamed.connect(self._rename)
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
        self.column.addWidget(self.legend)
        self.column.addWidget(self.map_words)
        self.column.addWidget(self.export_button)

        self.embedding.changed.connect(self._refresh)
        self.grouping.changed.connect(self._refresh)
        self.space.currentIndexChanged.connect(self._cluster)
        self.session.training_changed.connect(self._offer_run)
        self.session.embeddings_changed.connect(self._list_spaces)
        self.session.clusters_changed.connect(self._show)
        self._offer_run()
        self._list_spaces()
        self._show()

    def open_run(self, run: Path) -> None:
        """Choose a run, and show the embeddings and clusters that it has already."""
        self.embedding.set(Embedding(run=run))
        self.session.run = run

        def verb() -> Generator[Event, None, Any]:
            yield Progress("reading the run", 0, 1)
            return read_run(run)

        self._begin("Opening the run", verb, self._opened)

    def _opened(self, found: tuple[dict[str, Embeddings], Clusters | None]) -> None:
        self.session.clusters = found[1]
        self._keep_embeddings(found[0])

    def _begin(
        self,
        title: str,
        verb: Callable[[], Generator[Event, None, Any]],
        done: Callable[[Any], None],
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

    def _cluster(self) -> None:
        """Cluster in a thread; PCA at once, the chosen map when it is ready."""
        embeddings, run = self._chosen(), self.session.run
        grouping, previous = self.grouping.value, self.session.clusters
        assert run is not None  # embeddings come from a run
        ground = self.session.grounds.get(run)

        def verb() -> Generator[Event, None, Any]:
            seed = read_experiment(run).seed
            yield Progress("clustering", 0, 2)
            specimens = tuple(embeddings.table["specimen"])
            found = cluster(embeddings.x, specimens, grouping.clusters, seed, previous)
            write_clusters(found, run / "clusters.parquet")
            yield Progress("clustering", 1, 2)
            shown = ground or (yield from ground_of(run))
            return run, embeddings, found, shown, reduce(embeddings.x, PCA(), seed), seed

        self._begin(CLUSTERING, verb, self._clustered)

    def _clustered(self, made: tuple[Any, ...]) -> None:
        run, embeddings, found, ground, xy, seed = made
        self.session.grounds[run] = ground
        self.session.clusters, self.session.shown = found, embeddings
        self._set_map(xy, "pca")
        self.session.clusters_changed.emit()
        method = self.grouping.value.map
        if not isinstance(method, PCA):

            def verb() -> Generator[Event, None, Any]:
                yield Progress(f"drawing the map ({method.kind})", 0, 1)
                return embeddings, reduce(embeddings.x, method, seed), method.kind

            self._begin(MAPPING, verb, self._mapped)

    def _mapped(self, made: tuple[Embeddings, NDArray[np.float32], str]) -> None:
        embeddings, xy, name = made
        if self.session.shown is embeddings:
            self._set_map(xy, name)

    def _set_map(self, xy: NDArray[np.float32], name: str) -> None:
        self.session.map = xy, name
        self._draw_map()
        self.map.autoRange()

    def _show(self) -> None:
        """Show the session's clusters: legend, map, points on the picture."""
        clusters, embeddings = self.session.clusters, self.session.shown
        self.legend.setVisible(clusters is not None)
        self._refresh()
        if clusters is None or embeddings is None or self.session.run is None:
            return
        self.legend.show_clusters(clusters)
        self._draw_map()
        ground = self.session.grounds[self.session.run]
        points = show_clusters(self.viewer, ground, embeddings, clusters)
        if points is not self._points:
            self._points = points
            self.listen(points.selected_data.events.items_changed, self._selected)

    def _draw_map(self) -> None:
        clusters, shown = self.session.clusters, self.session.map
        if clusters is None or shown is None:
            return
        xy, name = shown
        if len(xy) != len(clusters.labels):
            return
        chosen = self._points.selected_data if self._points is not None else ()
        self.map.draw(xy, clusters, chosen, f"{name} of {self.space.currentText()}")

    def _choose(self, numbers: set[int]) -> None:
        if self._points is not None:
            self._points.selected_data = numbers

    def _selected(self) -> None:
        embeddings = self.session.shown
        chosen = sorted(self._points.selected_data)
        self._draw_map()
        if embeddings is not None and chosen and max(chosen) < len(embeddings.table):
            one = embeddings.table.iloc[chosen[0]]
            words = ", ".join(f"{key} {one[key]}" for key in embeddings.table.columns[5:])
            more = f" and {len(chosen) - 1} more" if len(chosen) > 1 else ""
            self.map_words.setText(f"{one['specimen']}{more}: {words}")
        else:
            self.map_words.setText("Click a point to find its specimen; Shift adds.")

    def _rename(self, number: int, name: str) -> None:
        clusters, run = self.session.clusters, self.session.run
        if clusters is None or run is None:
            return
        renamed = replace(clusters, names={**clusters.names, number: name})
        try:
            write_clusters(renamed, run / "clusters.parquet")
        except PhenoscapeError as error:
            self.say(str(error), error=True)
            return
        self.session.clusters = renamed
        self.session.clusters_changed.emit()

    def _export(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Export", "clusters.csv", "Table (*.csv *.parquet)"
        )
        if chosen:
            self.export(Path(chosen))

    def export(self, path: Path) -> None:
        """Write file name, embedding, cluster and metadata of every specimen."""
        clusters, embeddings = self.session.clusters, self.session.shown
        if clusters is None or embeddings is None:
            return
        numbers = labels_of(list(embeddings.table["specimen"]), clusters)
        names = [clusters.names[number] for number in numbers]
        table = embeddings.table.assign(cluster=numbers, cluster_name=names)
        try:
            write_embeddings(replace(embeddings, table=table), path)
        except PhenoscapeError as error:
            self.say(str(error), error=True)
        else:
            self.say(f"Exported '{path}'.")
