"""Explain: the dock that says why a cluster is a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QComboBox, QFileDialog, QSizePolicy, QWidget

from napari_phenoscape.analysis import (
    BORDERLINE,
    SINGLE,
    Explanation,
    borderline,
    differences,
    missed,
    nearest,
    typical_rows,
)
from napari_phenoscape.embeddings import METADATA, NOISE
from napari_phenoscape.layers import elements_layer, where_layer
from napari_phenoscape.widgets._dock import (
    Dock,
    column_of,
    count_of,
    fields,
    short_combo,
    stacked,
    swatch,
)
from napari_phenoscape.widgets._overlay import overlay_of
from napari_phenoscape.widgets._worker import Verb
from napari_phenoscape.widgets.explain._apart import Apart
from napari_phenoscape.widgets.explain._asking import (
    Cutting,
    Hiding,
    OwnEye,
    compare,
    cut,
    hide,
    hide_places,
    save,
    see,
)
from napari_phenoscape.widgets.explain._curves import Curves
from napari_phenoscape.widgets.explain._strip import ACROSS, Strip, Tile
from napari_phenoscape.widgets.form._fold import Fold, heading
from napari_phenoscape.widgets.form._form import Form
from napari_phenoscape.widgets.form._note import note

if TYPE_CHECKING:
    import napari.viewer

    from napari_phenoscape.widgets._overlay import Overlay
    from napari_phenoscape.widgets._session import Session
    from napari_phenoscape.widgets.explain._asking import ExplainedRun

COMPARING, HIDING, WRITING = "Comparing clusters", "Hiding bands", "Writing the explanation"
PLACES, CUTTING = "Hiding places", "Finding pattern elements"
SEEING = "Comparing colours"
WORK = (COMPARING, HIDING, PLACES, CUTTING, SEEING, WRITING)

#: Typical specimens of each of all clusters whose places are hidden; of one cluster, `ACROSS`.
OF_EACH = 3

ALL, OTHERS = "all clusters", "all others"


class ExplainDock(Dock):
    """Spectra, bands, typical and borderline specimens of a cluster, and neighbours of any one."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.overlay = overlay_of(viewer)
        self._asked: Any = None
        self.first = note(
            "No clusters yet: embed and cluster the specimens of a run in the Clusters dock."
        )
        self.cluster, self.against = short_combo(), short_combo()
        for combo in (self.cluster, self.against):
            combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.cluster.setToolTip("Which cluster is explained")
        self.against.setToolTip("What it is compared with")
        self.curves = Curves()
        self.answer = note()
        self.hiding = Form(Hiding)
        self.hide_button = self.button(
            "Hide bands",
            "Embed the specimens again without some of their bands, in turn: what tells them apart",
            self._hide,
        )
        self.where_button = self.button(
            "Where on the specimens",
            "Hide places of the selected specimens, or else of typical ones, and lay over them how "
            "much each place tells them from the other cluster",
            self._where,
        )
        self.cutting = Form(Cutting)
        self.elements_button = self.button(
            "Pattern elements",
            "Cut all specimens into cells, cluster these, and lay over the specimens of which kind "
            "each place is",
            self._cut,
        )
        self.apart = Apart()
        self.own_eye = Form(OwnEye)
        self.see_button = self.button(
            "Compare for this eye", "Add it to the eyes above, for all clusters", self._see
        )
        self.typical, self.borderline, self.like = Strip(), Strip(), Strip()
        self.export_button = self.button(
            "Export…", "Write spectra, bands and specimens as CSV, and a figure", self._export
        )
        self.content = QWidget()
        column = column_of(self.content)
        column.addLayout(fields(cluster=self.cluster, against=self.against))
        column.addWidget(self.curves)
        column.addWidget(self.answer)
        column.addWidget(self.hiding)
        column.addWidget(self.hide_button)
        column.addWidget(self.where_button)
        column.addWidget(self.cutting)
        column.addWidget(self.elements_button)
        column.addWidget(self.apart)
        self.eye_fold = Fold("Another eye", stacked(self.own_eye, self.see_button))
        column.addWidget(self.eye_fold)
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
        self.cutting.changed.connect(self._refresh)
        self.own_eye.changed.connect(self._refresh)
        self.listen(self.session.clustered_changed, self._follow_clusters)
        self.listen(self.session.explained_changed, self._show)
        self.listen(self.session.selected_changed, self._show_neighbours)
        for title in WORK[1:]:
            self.resume(title)
        self._follow_clusters()

    @property
    def explanation(self) -> Explanation | None:
        """The explanation of the session's clusters, as they are named and coloured now."""
        explained, clustered = self.session.explained, self.session.clustered
        if explained is None or clustered is None or not explained.explains(clustered):
            return None
        return replace(explained.explanation, clusters=clustered.clusters)

    def choose(self, specimen: str) -> None:
        """Select a specimen on the picture and the map, and bring it into view."""
        self.session.select([specimen])
        self.overlay.bring_into_view(specimen)

    def _follow_clusters(self) -> None:
        clustered, before = self.session.clustered, self.session.explained
        labels = None if clustered is None else clustered.clusters.labels
        if clustered is not None and self.explanation is None and labels is not self._asked:
            self._asked = labels  # once, also when there is no answer
            self._begin(COMPARING, lambda: compare(clustered, before), self.session.set_explained)
        self._show()

    def _begin(
        self, title: str, verb: Verb, done: Callable[[Any], None] | None = None, words: str = ""
    ) -> None:
        self.follow(self.session.do(title, verb, done), words)

    def _hide(self) -> None:
        explained, hiding = self.session.explained, self.hiding.value
        if explained is not None and self.explanation is not None:
            self._begin(HIDING, lambda: hide(explained, hiding), self.session.set_explained)

    def _where(self) -> None:
        explained, explanation, clustered = (
            self.session.explained,
            self.explanation,
            self.session.clustered,
        )
        if explained is None or explanation is None or clustered is None:
            return
        number, other = self.cluster.currentData(), self.against.currentData()
        rows = np.array([clustered.rows[one] for one in self.session.selected], np.intp)
        rows = rows[explanation.membership.labels[rows] != NOISE]
        if not len(rows) and number in explanation.nearest:
            rows = explanation.membership.typical(number)[:ACROSS]
        elif not len(rows):
            rows = typical_rows(explanation, OF_EACH)
        against = "" if other is None else other
        words = (
            f"Over {count_of(len(rows), 'specimen')}: bright where hiding it costs most of what "
            "tells its cluster from "
            f"{'the nearest other' if other is None else explanation.clusters.names[other]}."
        )
        self._begin(
            PLACES,
            lambda: hide_places(explained, rows, against),
            partial(_lay_where, self.session, self.overlay),
            words,
        )

    def _cut(self) -> None:
        explained, cutting = self.session.explained, self.cutting.value
        if explained is not None and self.explanation is not None:
            words = (
                f"{cutting.elements} elements over all specimens, the largest is 1; their spectra "
                "are in the export."
            )
            done = partial(_lay_elements, self.session, self.overlay)
            self._begin(CUTTING, lambda: cut(explained, cutting), done, words)

    def _see(self) -> None:
        explained, own = self.session.explained, self.own_eye.value
        if explained is not None and self.explanation is not None:
            self._begin(SEEING, lambda: see(explained, own), self._show_seen)

    def _show_seen(self, explained: ExplainedRun) -> None:
        self.session.set_explained(explained)
        self.apart.eye.setCurrentText(explained.facts.eyes[0].eye.name)

    def _export(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Export into a folder")
        if folder:
            self.export(Path(folder))

    def export(self, folder: Path) -> None:
        """Write tables and figure into a folder."""
        if (explanation := self.explanation) is not None:
            words = f"Exported into '{folder}'."
            self._begin(WRITING, lambda: save(explanation, folder), words=words)

    def _refresh(self) -> None:
        tasks = [self.session.task(title) for title in WORK]
        busy = next((f"{t.title}: wait for its end." for t in tasks if t and t.busy), "")
        if self.session.trains:
            busy = busy or "A training is at work; stop it, or wait for its end."
        self.allow(self.hide_button, busy or self.hiding.error)
        self.allow(self.where_button, busy)
        self.allow(self.elements_button, busy or self.cutting.error)
        self.allow(self.see_button, busy or self.own_eye.error)
        self.allow(self.export_button, busy)

    def _show(self) -> None:
        """Show the explanation that there is, or what to do first."""
        explanation = self.explanation
        self.first.setVisible(self.session.clustered is None)
        self.content.setVisible(explanation is not None)
        self._refresh()
        if explanation is None:
            return
        bands = explanation.spectra.bands
        many = len(bands) > SINGLE and bands.wavelengths_nm is not None
        self.hiding.setVisible(many)
        self.eye_fold.setVisible(bands.wavelengths_nm is not None)
        self._list(self.cluster, ALL, explanation.numbers)
        self._show_cluster()
        self._show_neighbours()

    def _list(self, combo: QComboBox, first: str, numbers: Sequence[int]) -> None:
        """Offer clusters by colour and name; what was chosen stays, if it is there."""
        assert self.explanation is not None  # or there is nothing to list
        clusters, chosen = self.explanation.clusters, combo.currentData()
        combo.blockSignals(True)
        combo.clear()
        combo.addItem(first)
        for number in numbers:
            combo.addItem(swatch(clusters.colours[number]), clusters.names[number], number)
        combo.setCurrentIndex(max(0, combo.findData(chosen)))
        combo.blockSignals(False)

    def _show_cluster(self) -> None:
        explanation, number = self.explanation, self.cluster.currentData()
        if explanation is None:
            return
        others = [] if number is None else [n for n in explanation.nearest if n != number]
        self._list(self.against, OTHERS, others)
        self.against.setEnabled(bool(others))
        self._show_curves()
        self.apart.show_clusters(explanation, number)
        like, numbers = (
            explanation.membership,
            [*explanation.nearest] if number is None else [number],
        )
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
            self._near(explanation, numbers, len(near)),
            [self._tile(int(i), f"{sure[i]:.2f}") for i in near[:ACROSS]],
        )
        self._mark()

    def _colours(self) -> str:
        explained = self.session.explained
        return "; in UV false colour" if explained and explained.facts.false_colour else ""

    def _near(self, explanation: Explanation, numbers: Sequence[int], count: int) -> str:
        if numbers == [NOISE]:
            return "Noise is in no cluster whose border it could be near."
        if len(numbers) == 1:
            return f"Silhouette below {BORDERLINE}: {borderline(explanation, numbers[0])}."
        return f"Silhouette below {BORDERLINE}: {count_of(count, 'specimen')}."

    def _show_curves(self) -> None:
        explanation, number = self.explanation, self.cluster.currentData()
        if explanation is None:
            return
        against = self.against.currentData()
        if number is None:
            self.curves.show_clusters(explanation, explanation.numbers)
            self.answer.setText("Each cluster against all other specimens.")
            return
        self.curves.show_clusters(explanation, [number], against)
        size = count_of(int((explanation.membership.labels == number).sum()), "specimen")
        if number == NOISE:
            self.answer.setText(f"{size} in no cluster.")
            return
        other = "all others (grey)" if against is None else explanation.clusters.names[against]
        words = f"{size}. Differs from {other} by {differences(explanation, number, against)}."
        if explanation.occlusion is not None:
            words += f" Margin lost when hidden: {missed(explanation, number)}."
        self.answer.setText(words)

    def _show_neighbours(self) -> None:
        """Of the first specimen that is selected."""
        explanation, clustered = self.explanation, self.session.clustered
        if explanation is None or clustered is None:
            return
        if not self.session.selected:
            self.like.show_tiles("Click a specimen to see which are most like it.", [])
        else:
            specimen = self.session.selected[0]
            row = clustered.rows[specimen]
            rows, similarity = nearest(clustered.directions, row, ACROSS)
            cluster = explanation.clusters.names[int(explanation.membership.labels[row])]
            self.like.show_tiles(
                f"Most like {specimen} ({cluster}), with their cosine",
                [
                    self._tile(i, f"{cosine:.3f}")
                    for i, cosine in zip(rows.tolist(), similarity, strict=True)
                ],
            )
        self._mark()

    def _mark(self) -> None:
        for strip in (self.typical, self.borderline, self.like):
            strip.mark(next(iter(self.session.selected), ""))

    def _tile(self, row: int, words: str) -> Tile:
        explanation, explained = self.explanation, self.session.explained
        assert explanation is not None  # whose specimen it is
        assert explained is not None
        specimen = explanation.table.iloc[row]
        like, names = explanation.membership, explanation.clusters.names
        label = int(like.labels[row])
        tip = [f"{specimen['specimen']}: {names[label]}"]
        tip += [f"{key} {specimen[key]}" for key in explanation.table.columns[METADATA:]]
        if label != NOISE:
            tip.append(f"silhouette {like.silhouette[row]:.2f}")
        tip.append(f"next to {names[int(like.other[row])]}")
        colour = explanation.clusters.colours[label]
        picture = explained.facts.pictures[row]
        return Tile(specimen["specimen"], picture, words, "\n".join(tip), colour)


def _lay_where(session: Session, overlay: Overlay, explained: ExplainedRun) -> None:
    """Keep what was found, and lay it over the specimens; the dock may be closed meanwhile."""
    session.set_explained(explained)
    found = explained.explanation.where
    if session.explained is explained and found is not None:
        overlay.lay(explained.clustered, found.rows, found.lost, where_layer)


def _lay_elements(session: Session, overlay: Overlay, explained: ExplainedRun) -> None:
    session.set_explained(explained)
    found = explained.explanation.elements
    if session.explained is explained and found is not None:
        rows = np.arange(len(found.labels))
        overlay.lay(explained.clustered, rows, found.labels, elements_layer)
