"""Explain: the dock that says why a cluster is a cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QComboBox, QFileDialog, QLabel, QWidget

from napari_phenoscape.analysis import (
    BORDERLINE,
    SINGLE,
    Explanation,
    borderline,
    differences,
    missed,
    nearest,
)
from napari_phenoscape.embeddings import METADATA, NOISE
from napari_phenoscape.events import Event
from napari_phenoscape.widgets._dock import Dock, column_of, count_of, row, short_combo, swatch
from napari_phenoscape.widgets._place import bring_into_view, ours
from napari_phenoscape.widgets.explain._asking import Facts, Hiding, compare, hide, save
from napari_phenoscape.widgets.explain._curves import Curves
from napari_phenoscape.widgets.explain._strip import ACROSS, Strip, Tile
from napari_phenoscape.widgets.form._fold import heading
from napari_phenoscape.widgets.form._form import Form
from napari_phenoscape.widgets.form._note import note

if TYPE_CHECKING:
    import napari.viewer

COMPARING, HIDING, WRITING = "Comparing clusters", "Hiding bands", "Writing the explanation"

ALL, OTHERS = "all clusters", "all others"


class ExplainDock(Dock):
    """Spectra, bands, typical and borderline specimens of a cluster, and neighbours of any one."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._points: Any = None
        self._chosen: int | None = None
        self.first = note(
            "No clusters yet: embed and cluster the specimens of a run in the Clusters dock."
        )
        self.cluster, self.against = short_combo(), short_combo()
        self.cluster.setToolTip("Which cluster is explained")
        self.against.setToolTip("What it is compared with")
        self.curves = Curves()
        self.answer = note()
        self.hiding = Form(Hiding)
        self.hide_button = self.button(
            "Hide bands from the net",
            "Embed the specimens again without some of their bands, in turn: what the net looks at",
            self._hide,
        )
        self.typical, self.borderline, self.like = Strip(), Strip(), Strip()
        self.export_button = self.button(
            "Export…", "Write spectra, bands and specimens as CSV, and a figure", self._export
        )
        self.content = QWidget()
        column = column_of(self.content)
        column.addLayout(row(self.cluster, QLabel("against"), self.against))
        column.addWidget(self.curves)
        column.addWidget(self.answer)
        column.addWidget(self.hiding)
        column.addWidget(self.hide_button)
        for title, strip in (
            ("Typical", self.typical), ("Borderline", self.borderline), ("Neighbours", self.like),
        ):  # fmt: skip
            column.addWidget(heading(title))
            column.addWidget(strip)
            strip.chosen.connect(self.choose)
        column.addWidget(self.export_button)
        self.column.addWidget(self.first)
        self.column.addWidget(self.content)
        self.cluster.currentIndexChanged.connect(self._show_cluster)
        self.against.currentIndexChanged.connect(self._show_curves)
        self.hiding.changed.connect(self._refresh)
        self.session.clusters_changed.connect(self._follow_clusters)
        self._follow_clusters()

    @property
    def found(self) -> Explanation | None:
        """The explanation of the session's clusters, as they are named and coloured now."""
        found, clusters = self.session.explanation, self.session.clusters
        if found is None or clusters is None or found.clusters.labels is not clusters.labels:
            return None
        return replace(found, clusters=clusters)

    def choose(self, number: int) -> None:
        """Select a specimen on the picture and the map, and bring it into view."""
        if self._points is not None and self._points in self.viewer.layers:
            self._points.selected_data = {number}
            bring_into_view(self.viewer, self._points, number)
        else:  # the user closed the layer
            self._chosen = number
            self._show_neighbours()

    def _follow_clusters(self) -> None:
        clusters, shown, run = self.session.clusters, self.session.map, self.session.clustered
        if self.found is None and clusters is not None and shown is not None and run is not None:
            embeddings, facts = shown.embeddings, self.session.facts.get(run)
            self._begin(
                COMPARING, lambda: compare(run, embeddings, clusters, facts), self._compared
            )
        self._show()

    def _begin(
        self,
        title: str,
        verb: Callable[[], Generator[Event, None, Any]],
        done: Callable[[Any], None] | None = None,
        words: str = "",
    ) -> None:
        task = self.session.do(title, verb, done)
        self.follow(task, words)
        task.state_changed.connect(self._refresh)
        self._refresh()

    def _compared(self, made: tuple[Path, Facts, Explanation]) -> None:
        run, facts, found = made
        self.session.facts[run], self.session.explanation = facts, found
        self._show()

    def _hide(self) -> None:
        found, shown, run = self.found, self.session.map, self.session.clustered
        if found is not None and shown is not None and run is not None:
            embeddings, hiding = shown.embeddings, self.hiding.value
            self._begin(HIDING, lambda: hide(run, embeddings, found, hiding), self._hidden)

    def _hidden(self, found: Explanation) -> None:
        if self.found is not None and found.membership is self.found.membership:
            self.session.explanation = found
            self._show()

    def _export(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Export into a folder")
        if folder:
            self.export(Path(folder))

    def export(self, folder: Path) -> None:
        """Write tables and figure into a folder."""
        if (found := self.found) is not None:
            self._begin(WRITING, lambda: save(found, folder), words=f"Exported into '{folder}'.")

    def _refresh(self) -> None:
        tasks = [self.session.task(title) for title in (COMPARING, HIDING, WRITING)]
        busy = next((f"{t.title}: wait for its end." for t in tasks if t and t.busy), "")
        training = self.session.training
        if training is not None and training.busy:
            busy = busy or "A training is at work; stop it, or wait for its end."
        self.allow(self.hide_button, busy or self.hiding.error)
        self.allow(self.export_button, busy)

    def _show(self) -> None:
        """Show the explanation that there is, or what to do first."""
        found = self.found
        self.first.setVisible(self.session.clusters is None)
        self.content.setVisible(found is not None)
        self._refresh()
        if found is None:
            return
        many = len(found.spectra.bands) > SINGLE and found.spectra.bands.wavelengths_nm is not None
        self.hiding.setVisible(many)
        self._list(self.cluster, ALL, found.numbers)
        layers = ours(self.viewer, "clusters")
        if layers and layers[-1] is not self._points:
            self._points = layers[-1]
            self.listen(self._points.selected_data.events.items_changed, self._selected)
        self._show_cluster()
        self._selected()

    def _list(self, combo: QComboBox, first: str, numbers: Sequence[int]) -> None:
        """Offer clusters by colour and name; what was chosen stays, if it is there."""
        assert self.found is not None  # or there is nothing to list
        clusters, chosen = self.found.clusters, combo.currentData()
        combo.blockSignals(True)
        combo.clear()
        combo.addItem(first)
        for number in numbers:
            combo.addItem(swatch(clusters.colours[number]), clusters.names[number], number)
        combo.setCurrentIndex(max(0, combo.findData(chosen)))
        combo.blockSignals(False)

    def _show_cluster(self) -> None:
        found, number = self.found, self.cluster.currentData()
        if found is None:
            return
        others = [] if number is None else [n for n in found.nearest if n != number]
        self._list(self.against, OTHERS, others)
        self.against.setEnabled(bool(others))
        self._show_curves()
        like, numbers = found.membership, [*found.nearest] if number is None else [number]
        best = [like.typical(n)[:ACROSS].tolist() if n != NOISE else [] for n in numbers]
        in_turn = [i for rank in zip_longest(*best) for i in rank if i is not None]
        nearest_words = f"Nearest to the centroid, with their cosine to it{self._colours()}"
        self.typical.show_tiles(
            nearest_words if in_turn else "Noise has no centroid.",
            [self._tile(i, f"{like.similarity[i]:.3f}") for i in in_turn[:ACROSS]],
        )
        sure = np.where(np.isin(like.labels, numbers), like.silhouette, np.nan)
        near = np.flatnonzero(sure < BORDERLINE)
        near = near[np.argsort(sure[near], kind="stable")]
        self.borderline.show_tiles(
            self._borderline_words(found, numbers, len(near)),
            [self._tile(int(i), f"{sure[i]:.2f}") for i in near[:ACROSS]],
        )
        self._mark()

    def _colours(self) -> str:
        run = self.session.clustered
        false = run is not None and self.session.facts[run].false_colour
        return "; in UV false colour" if false else ""

    def _borderline_words(self, found: Explanation, numbers: Sequence[int], count: int) -> str:
        if numbers == [NOISE]:
            return "Noise is in no cluster whose border it could be near."
        if len(numbers) == 1:
            return f"Silhouette below {BORDERLINE}: {borderline(found, numbers[0])}."
        return f"Silhouette below {BORDERLINE}: {count_of(count, 'specimen')}."

    def _show_curves(self) -> None:
        found, number = self.found, self.cluster.currentData()
        if found is None:
            return
        against = self.against.currentData()
        if number is None:
            self.curves.show_clusters(found, found.numbers)
            self.answer.setText("Each cluster against all other specimens.")
            return
        self.curves.show_clusters(found, [number], against)
        size = count_of(int((found.membership.labels == number).sum()), "specimen")
        if number == NOISE:
            self.answer.setText(f"{size} in no cluster.")
            return
        other = "all others (grey)" if against is None else found.clusters.names[against]
        words = f"{size}. Differs from {other} by {differences(found, number, against)}."
        if found.occlusion is not None:
            words += f" Margin lost when hidden: {missed(found, number)}."
        self.answer.setText(words)

    def _selected(self) -> None:
        """Follow what is selected on the picture, or through it on the map."""
        if self._points is not None and self.found is not None:
            chosen = sorted(n for n in self._points.selected_data if n < len(self.found.table))
            self._chosen = chosen[0] if chosen else None
            self._show_neighbours()

    def _show_neighbours(self) -> None:
        found, shown, number = self.found, self.session.map, self._chosen
        if found is None or shown is None:
            return
        if number is None:
            self.like.show_tiles("Click a specimen to see which are most like it.", [])
        else:
            rows, similarity = nearest(shown.embeddings.x, number, ACROSS)
            cluster = found.clusters.names[int(found.membership.labels[number])]
            self.like.show_tiles(
                f"Most like {found.table['specimen'][number]} ({cluster}), with their cosine",
                [
                    self._tile(i, f"{cosine:.3f}")
                    for i, cosine in zip(rows.tolist(), similarity, strict=True)
                ],
            )
        self._mark()

    def _mark(self) -> None:
        for strip in (self.typical, self.borderline, self.like):
            strip.mark(self._chosen)

    def _tile(self, number: int, words: str) -> Tile:
        found, run = self.found, self.session.clustered
        assert found is not None  # whose specimen it is
        assert run is not None
        one, like, names = found.table.iloc[number], found.membership, found.clusters.names
        label = int(like.labels[number])
        tip = [f"{one['specimen']}: {names[label]}"]
        tip += [f"{key} {one[key]}" for key in found.table.columns[METADATA:]]
        if label != NOISE:
            tip.append(f"silhouette {like.silhouette[number]:.2f}")
        tip.append(f"next to {names[int(like.other[number])]}")
        picture = self.session.facts[run].pictures[number]
        return Tile(number, picture, words, "\n".join(tip), found.clusters.colours[label])
