"""Clusters: the dock that embeds a run's specimens and colours them by cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog

from napari_phenoscape.embeddings import (
    METADATA,
    TABLES,
    Clusters,
    Embeddings,
    clusters_path,
    export_table,
    write_clusters,
)
from napari_phenoscape.errors import OptionError, PhenoscapeError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.training import PCA, Grouping, read_experiment
from napari_phenoscape.widgets._dock import Dock, row, short_combo
from napari_phenoscape.widgets._grouping import (
    Embedding,
    Grouped,
    Map,
    group,
    located,
    map_of,
    read_run,
)
from napari_phenoscape.widgets._overlay import show_clusters
from napari_phenoscape.widgets._scatter import Legend, Scatter
from napari_phenoscape.widgets.form._fold import heading
from napari_phenoscape.widgets.form._form import Form
from napari_phenoscape.widgets.form._note import note

if TYPE_CHECKING:
    import napari.viewer


EMBEDDING, CLUSTERING, MAPPING = "Embedding specimens", "Clustering", "Drawing the map"


class ClustersDock(Dock):
    """Embed, cluster, map, name, export; the points on the image follow."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._points: Any = None
        self.embedding = Form(Embedding)
        self.embed_button = self.button("Embed", "Embed every specimen of the run", self._embed)
        self.space = short_combo()
        self.space.setToolTip("Whose embedding: one modality's, or all of them (joint)")
        self.grouping = Form(Grouping, hide=("space",))
        self.grouping.folds["method"].opened = True
        self.cluster_button = self.button(
            "Cluster", "Group the embeddings and colour the specimens", self._cluster
        )
        self.map = Scatter()
        self.map.chosen.connect(self._choose)
        self.map_words = note()
        self.legend = Legend()
        self.legend.renamed.connect(self._rename)
        self.export_button = self.button(
            "Export…",
            "Write embeddings, clusters and metadata as CSV, Parquet or AnnData (.h5ad)",
            self._export,
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
        self.grouping.changed.connect(self._keep_grouping)
        self.session.experiment_changed.connect(self._take_grouping)
        self._take_grouping("grouping")
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

        def verb() -> Generator[Event, None, Any]:
            yield Progress("reading the run", 0, 1)
            return run, *read_run(run)

        self._begin("Opening the run", verb, self._opened)

    def _opened(self, found: tuple[Path, dict[str, Embeddings], Clusters | None]) -> None:
        run, spaces, clusters = found
        self.session.set_embeddings(run, spaces)
        grouping = read_experiment(run).grouping
        self.session.set_part("grouping", grouping)
        if grouping.space in spaces:
            blocked = self.space.blockSignals(True)
            self.space.setCurrentText(grouping.space)
            self.space.blockSignals(blocked)
        self._group(clusters)

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
        run = self.session.run or self.session.embedded
        if run is not None:
            self.embedding.set(Embedding(run=run))
        if self.session.training is not None:
            self.session.training.state_changed.connect(self._on_training)

    def _on_training(self, state: str) -> None:
        if state in ("done", "stopped") and self.session.run is not None:
            self.embedding.set(Embedding(run=self.session.run))
        self._refresh()

    def _embed(self) -> None:
        chosen = self.embedding.value

        def verb() -> Generator[Event, None, Any]:
            from napari_phenoscape.embeddings import embed

            spaces = yield from located(chosen.run, embed(chosen.run, untrained=chosen.untrained))
            return chosen, spaces

        self._begin(EMBEDDING, verb, self._keep_embeddings)

    def _keep_embeddings(self, made: tuple[Embedding, dict[str, Embeddings]]) -> None:
        chosen, spaces = made
        self.session.set_embeddings(chosen.run, spaces, untrained=chosen.untrained)
        self._cluster()

    def _list_spaces(self) -> None:
        spaces = list(self.session.embeddings)
        self.space.blockSignals(True)
        self.space.clear()
        self.space.addItems(spaces)
        shown = self.session.map
        there = shown is not None and shown.embeddings in self.session.embeddings.values()
        # the joint one is the last
        index = spaces.index(shown.embeddings.space) if shown and there else len(spaces) - 1
        self.space.setCurrentIndex(index)
        self.space.setEnabled(bool(spaces))
        self.space.blockSignals(False)
        self._refresh()

    def _chosen(self) -> Embeddings:
        return self.session.embeddings[self.space.currentText()]

    def _cluster(self) -> None:
        self._group(None)

    def _group(self, known: Clusters | None) -> None:
        """Cluster in a thread, unless it was done; PCA at once, the chosen map when it is ready."""
        embeddings, run = self._chosen(), self.session.embedded
        assert run is not None  # embeddings come from a run
        # the joint or only one is the last, and has no name in the run
        space = "" if self.space.currentIndex() == self.space.count() - 1 else embeddings.space
        grouping = self.grouping.value.model_copy(update={"space": space})
        previous = self.session.clusters
        ground = self.session.grounds.get(run)
        self._begin(
            CLUSTERING,
            lambda: group(run, embeddings, grouping, previous, known, ground),
            self._grouped,
        )

    def _grouped(self, made: Grouped) -> None:
        run, embeddings, grouping = made.run, made.map.embeddings, self.grouping.value
        self.session.grounds[run] = made.ground
        self.session.clusters, self.session.map = made.clusters, made.map
        self.session.clustered = run
        self.session.clusters_changed.emit()
        self.map.autoRange()
        if grouping.map != PCA():
            verb = partial(map_of, embeddings, grouping.map, grouping.seed)
            self._begin(MAPPING, verb, self._mapped)

    def _mapped(self, made: Map) -> None:
        shown = self.session.map
        if shown is not None and shown.embeddings is made.embeddings:
            self.session.map = made
            self._draw_map()
            self.map.autoRange()

    def _show(self) -> None:
        """Show the session's clusters: legend, map, points on the picture."""
        clusters, shown, run = self.session.clusters, self.session.map, self.session.clustered
        for widget in (self.legend, self.map):
            widget.setVisible(clusters is not None)
        self._refresh()
        if clusters is None or shown is None or run is None:
            return
        self.legend.show_clusters(clusters)
        self._draw_map()
        ground = self.session.grounds[run]
        points = show_clusters(self.viewer, ground, shown.embeddings, clusters)
        if points is not self._points:
            self._points = points
            self.listen(points.selected_data.events.items_changed, self._selected)

    def _draw_map(self) -> None:
        clusters, shown = self.session.clusters, self.session.map
        if clusters is None or shown is None:
            return
        chosen = self._points.selected_data if self._points is not None else ()
        there = {number for number in chosen if number < len(shown.xy)}
        control = ", untrained" if self.session.untrained else ""
        title = f"{shown.method} of {shown.embeddings.space}{control}"
        self.map.draw(shown.xy, clusters, there, title)

    def _choose(self, numbers: set[int]) -> None:
        if self._points is not None:
            self._points.selected_data = numbers

    def _selected(self) -> None:
        shown = self.session.map
        chosen = sorted(self._points.selected_data)
        self._draw_map()
        if shown is not None and chosen and chosen[0] < len(shown.xy):
            table = shown.embeddings.table
            one = table.iloc[chosen[0]]
            words = ", ".join(f"{key} {one[key]}" for key in table.columns[METADATA:])
            more = f" and {len(chosen) - 1} more" if len(chosen) > 1 else ""
            self.map_words.setText(f"{one['specimen']}{more}: {words}")
        else:
            self.map_words.setText("Click a point to find its specimen; Shift adds.")

    def _rename(self, number: int, name: str) -> None:
        clusters, shown, run = self.session.clusters, self.session.map, self.session.clustered
        if clusters is None or shown is None or run is None:
            return
        renamed = replace(clusters, names={**clusters.names, number: name.strip()})
        try:
            if not name.strip():
                raise OptionError("A cluster without a name could not be found again; type one.")
            write_clusters(renamed, clusters_path(run, shown.embeddings))
        except PhenoscapeError as error:
            self.legend.show_clusters(clusters)  # what is there still
            self.say(str(error), error=True)
            return
        self.session.clusters = renamed
        self.session.clusters_changed.emit()

    def _export(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Export", "clusters.csv", f"Table (*{' *'.join(TABLES)})"
        )
        if chosen:
            self.export(Path(chosen))

    def export(self, path: Path) -> None:
        """Write file name, embedding, cluster and metadata of every specimen."""
        clusters, shown = self.session.clusters, self.session.map
        if clusters is None or shown is None:
            return
        try:
            export_table(shown.embeddings, path, clusters)
        except PhenoscapeError as error:
            self.say(str(error), error=True)
        else:
            self.say(f"Exported '{path}'.")
