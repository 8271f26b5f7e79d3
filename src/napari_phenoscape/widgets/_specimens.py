"""Specimens: the dock that makes a collection of a folder, a drawer, or open layers."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_phenoscape.cubes import as_modality
from napari_phenoscape.errors import CollectionError, PhenoscapeError
from napari_phenoscape.events import Event
from napari_phenoscape.specimens import (
    Collection,
    Crops,
    Drawer,
    Folder,
    Source,
    collect,
    prepare,
)
from napari_phenoscape.training import SETTLED, Experiment, experiment_for
from napari_phenoscape.widgets._dock import (
    Dock,
    count_of,
    plot,
    row,
    short,
    short_combo,
    stacked,
)
from napari_phenoscape.widgets._finding import FindPanel
from napari_phenoscape.widgets._finding_photographs import PhotographsPanel
from napari_phenoscape.widgets._grouping import looked
from napari_phenoscape.widgets._overlay import overlay_of
from napari_phenoscape.widgets._pairs import PairsPanel
from napari_phenoscape.widgets._regions import cube_layers_of, region_layers_of, write_regions
from napari_phenoscape.widgets._small_table import fill_table, small_table
from napari_phenoscape.widgets.form._fold import Fold, heading
from napari_phenoscape.widgets.form._form import editor_of
from napari_phenoscape.widgets.form._note import note

if TYPE_CHECKING:
    import napari.viewer

#: Side in pixels at which bands are measured: a mean over a mask needs no detail.
MEASURED_PX = 32

#: Rows of the metadata that are shown.
ROWS = 8

#: Settings that fit the specimens that were collected, where nobody chose others.
FITTED = ("name", "modalities", *SETTLED)

COLLECTING, MEASURING, LOOKING = "Collecting specimens", "Measuring bands", "Looking"

OWN_MASK = "the file's own mask"


def collected(source: Source) -> Generator[Event, None, tuple[Collection, dict[str, Any]]]:
    """The specimens of a source, and settings that fit them."""
    collection = yield from collect(source)
    try:
        fitting = experiment_for(collection, "workstation")
    except PhenoscapeError:  # which stands beside Start
        return collection, {}
    return collection, {name: getattr(fitting, name) for name in FITTED}


class SpecimensDock(Dock):
    """Where the specimens come from, what they are, and which files are none."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        overlay_of(viewer)
        self.form = editor_of(Experiment, "collection")
        self.form.changed.connect(self._refresh)
        self.cubes, self.regions = short_combo(), short_combo()
        self.cubes.setToolTip("An open cube")
        self.regions.setToolTip("Each region of it is a specimen: the mask, or a layer you drew")
        self.use_button = self.button(
            "Use these layers",
            "Describe these layers above; drawn regions are written as a label image, so that "
            "the command line can use them too",
            self._use_layers,
        )
        self.from_layers = Fold(
            "From open layers", stacked(self.cubes, self.regions, self.use_button)
        )
        self.finding = FindPanel(
            self, self._chosen_cube, self.regions.setCurrentText, self._collect_layers
        )
        self.photographs = PhotographsPanel(self, self._chosen_folder, self._collect_folder)
        self.collect_button = self.button(
            "Collect", "Find the specimens and read their metadata", self._collect
        )
        self.look_button = self.button(
            "Look now",
            "Collect, compare without training, and colour the specimens by cluster; masks and "
            "metadata beside the files are found",
            self._look,
        )
        self.seen_words = note()
        self.older = note(tone="warning")
        self.summary = note()
        self.bands = plot("wavelength (nm)", "reflectance", 180)
        self.bands_words = note()
        self.table = small_table(190)
        self.table_words = note()
        self.skipped = small_table(120)
        self.pairs = PairsPanel(self)
        self.found = Fold("Found", stacked(self.older, self.summary, self.pairs), opened=True)
        self.bands_fold = Fold(
            "Bands: mean ± sd over the specimens", stacked(self.bands, self.bands_words)
        )
        self.table_fold = Fold("Metadata", stacked(self.table, self.table_words))
        self.skipped_fold = Fold("Skipped files", stacked(self.skipped))
        self.assumed = note()
        self.assumed_fold = Fold("Assumed about the files", stacked(self.assumed))
        self.assumed_fold.setToolTip("What the files do not say; 'read as' above can say it")
        self.folds = (
            self.found, self.bands_fold, self.table_fold, self.assumed_fold, self.skipped_fold,
        )  # fmt: skip
        self.column.addWidget(heading("Where the specimens are"))
        self.column.addWidget(self.form)
        self.column.addWidget(self.from_layers)
        self.column.addWidget(self.finding)
        self.column.addWidget(self.photographs)
        self.column.addLayout(row(self.look_button, self.collect_button))
        self.column.addWidget(self.seen_words)
        for fold in self.folds:
            self.column.addWidget(fold)

        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            self.listen(event, self._list_layers)
        self.listen(self.session.collection_changed, self._show)
        self.listen(self.session.experiment_changed, self._take)
        self.listen(self.session.clustered_changed, self._show_seen)
        self.listen(self.session.selected_changed, self._show_table)
        self._list_layers()
        self._take("collection")
        self._show()
        # after it, which may begin to measure, and would have that followed
        if (looking := self.session.task(LOOKING)) is not None and looking.busy:
            self.follow(looking, beside=self.seen_words)
        else:
            self.resume(COLLECTING)

    def _take(self, name: str) -> None:
        source = self.session.parts.get("collection")
        if name in ("", "collection") and source is not None and self._source() != source:
            self.form.set(source)
        self._refresh()

    def _source(self) -> Any:
        try:
            return self.form.get()
        except PhenoscapeError:
            return None

    def _refresh(self) -> None:
        task = self.session.task(COLLECTING)
        busy = task is not None and task.busy
        try:
            self.form.get()
            wrong = ""
        except PhenoscapeError as error:
            wrong = str(error)
        self.allow(self.collect_button, "Specimens are being collected." if busy else wrong)
        looking = self.session.task(LOOKING)
        looks = looking is not None and looking.busy
        open_cube = wrong and self._source() is None and self.cubes.count() > 0
        self.allow(
            self.look_button,
            "The first look is under way." if looks else "" if open_cube else wrong,
        )
        collection = self.session.collection
        other = collection is not None and self._source() != collection.source
        self.older.setText(
            "This was found with other settings than those above; 'Collect' finds anew."
            if other and not busy
            else ""
        )
        self.allow(
            self.use_button, "" if self.cubes.count() else "No cube is open; open one first."
        )
        self.finding.refresh()
        self.photographs.refresh()
        # of a folder and no open cube, only the other way is of use
        self.finding.setVisible(self._chosen_cube() is not None or self._chosen_folder() is None)

    def _list_layers(self) -> None:
        for combo, names in (
            (self.cubes, [layer.name for layer in cube_layers_of(self.viewer)]),
            (self.regions, [OWN_MASK, *(layer.name for layer in region_layers_of(self.viewer))]),
        ):
            chosen = combo.currentText()
            combo.clear()
            combo.addItems(names)
            combo.setCurrentIndex(max(0, combo.findText(chosen)))
        self._refresh()

    def _chosen_cube(self) -> Any:
        named = (one for one in cube_layers_of(self.viewer) if one.name == self.cubes.currentText())
        return next(named, None)

    def _chosen_folder(self) -> Folder | None:
        source = self._source()
        return source if isinstance(source, Folder) else None

    def _collect_folder(self, folder: Folder) -> None:
        self.form.set(folder)
        self._collect()

    def _collect_layers(self) -> None:
        if self._use_layers():
            self._collect()

    def _use_layers(self) -> bool:
        """Describe the chosen layers in the form; whether they are of use."""
        cube = self.viewer.layers[self.cubes.currentText()]
        path = Path(cube.metadata["phenoscape"]["path"])
        try:
            regions = None
            if self.regions.currentText() == OWN_MASK:
                if cube.metadata["phenoscape"]["cube"].mask is None:
                    raise CollectionError(
                        f"The file of '{cube.name}' holds no mask. Add a Shapes or a Labels layer, "
                        "draw on each specimen, and choose that layer here."
                    )
            else:
                drawn = self.viewer.layers[self.regions.currentText()]
                runs = Path(self.session.parts.get("runs", Path("runs")))
                regions = write_regions(drawn, cube, runs / f"{path.stem}_regions.tif")
            self.form.set(Drawer(path=path, regions=regions))
        except PhenoscapeError as error:
            self.say(str(error), error=True)
            return False
        self.say("" if regions is None else f"The regions are in '{regions}'.")
        return True

    def _collect(self) -> None:
        source = self._source()
        task = self.session.do(
            COLLECTING,
            lambda: collected(source),
            lambda found: self.session.set_collection(found[0], **found[1]),
            torch=False,
        )
        self.follow(task)

    def _look(self) -> None:
        if self._source() is None:  # nothing is named: what is open is meant
            if self.regions.currentText() == OWN_MASK:  # or what numbers its regions, beside it
                cube = self.viewer.layers[self.cubes.currentText()]
                self.form.set(Drawer(path=Path(cube.metadata["phenoscape"]["path"])))
            else:
                self._use_layers()
        if (source := self._source()) is None:
            return
        # where nothing but a place is said, what lies beside it is found
        given = source.path if source == type(source)(path=source.path) else source
        runs = Path(self.session.parts.get("runs", Path("runs")))
        self.seen_words.say("")
        task = self.session.do(LOOKING, lambda: looked(given, runs), self.session.set_looked)
        self.follow(task, beside=self.seen_words)

    def _show_seen(self) -> None:
        """Say what the clusters that are shown are, and why they are so many."""
        clustered = self.session.clustered
        if clustered is None or clustered.embeddings.source != self._source():
            return
        choice = clustered.clusters.choice
        self.seen_words.say(
            f"{choice.words if choice else ''} The dock Clusters names and maps them, Explain says "
            f"why; the table is in {short(clustered.run)}.".strip()
        )

    def _show(self) -> None:
        collection = self.session.collection
        for fold in self.folds:
            fold.setVisible(collection is not None)
        if collection is None:
            return
        columns = [str(name) for name in collection.metadata.columns]
        files = len({specimen.path for specimen in collection.specimens})
        self.summary.setText(
            f"{count_of(len(collection.specimens), 'specimen')} in {count_of(files, 'file')} of "
            f"'{short(collection.source.path)}'; "
            f"metadata: {', '.join(columns) or 'none'}; "
            f"{count_of(len(collection.skipped), 'file')} skipped."
        )
        self.pairs.show_collection(collection)
        self._show_table()
        self.table_fold.opened = True
        fill_table(
            self.skipped,
            ["file", "why"],
            [[skipped.path.name, skipped.reason] for skipped in collection.skipped],
        )
        self.assumed.setText("\n".join(f"• {sentence}" for sentence in collection.assumed))
        self.assumed_fold.setVisible(bool(collection.assumed))
        self.skipped_fold.setVisible(bool(collection.skipped))
        self.skipped_fold.opened = bool(collection.skipped)
        self._measure(collection)
        self._refresh()

    def _show_table(self) -> None:
        """The metadata of the specimens that are selected, or of the first ones."""
        collection, clustered = self.session.collection, self.session.clustered
        if collection is None:
            return
        metadata = collection.metadata
        chosen: list[str] = []
        if clustered is not None and clustered.embeddings.source == collection.source:
            chosen = [one for one in self.session.selected if one in metadata.index]
        of = metadata.loc[chosen] if chosen else metadata
        head = of.head(ROWS)
        fill_table(
            self.table,
            ["specimen", *map(str, metadata.columns)],
            [
                [str(index), *map(str, values)]
                for index, values in zip(head.index, head.to_numpy(), strict=True)
            ],
        )
        which = f" {len(of)} that are selected" if chosen else f" {len(of)}"
        self.table_words.setText(
            f"The first {ROWS} of{which}."
            if len(of) > ROWS
            else "Those that are selected."
            if chosen
            else ""
        )

    def _measure(self, collection: Collection) -> None:
        self.bands_fold.setVisible(False)
        measured = self.session.measured
        if measured is not None and measured[0] is collection:
            self._show_bands(measured)
            return

        # of several modalities a specimen may lack one; of all bands together none
        chosen = self.session.parts.get("modalities", ())
        modalities = [as_modality(name) for name in (chosen if len(chosen) > 1 else ["full"])]

        def verb() -> Generator[Event, None, tuple[Collection, Crops]]:
            crops = yield from prepare(collection, modalities, MEASURED_PX)
            return collection, crops

        self.follow(self.session.do(MEASURING, verb, self._show_bands, torch=False))

    def _show_bands(self, measured: tuple[Collection, Crops]) -> None:
        self.session.measured = measured
        crops = measured[1]
        in_nm, x = crops.bands.wavelengths_nm is not None, crops.bands.x
        order = np.argsort(x)
        low, high = crops.mean - crops.std, crops.mean + crops.std
        self.bands.clear()
        self.bands.setLabel("bottom", "wavelength (nm)" if in_nm else "band")
        symbol = "o" if len(x) < 30 else None
        for edge in (low, high):
            self.bands.plot(x[order], edge[order], pen={"color": "#4fc3f780", "width": 1})
        self.bands.plot(
            x[order],
            crops.mean[order],
            pen={"color": "#4fc3f7", "width": 2},
            symbol=symbol,
            symbolSize=5,
        )
        names = [list(enumerate(crops.bands.names))]
        self.bands.getAxis("bottom").setTicks(None if in_nm else names)
        self.bands_fold.opened = True
        self.bands_fold.setVisible(True)
        words = (
            f"{crops.bands.words}."
            if len(x) > 12
            else "; ".join(
                f"{name} {mean:.3f} ± {sd:.3f}"
                for name, mean, sd in zip(crops.bands.names, crops.mean, crops.std, strict=True)
            )
        )
        self.bands_words.setText(f"{crops.lacking} {words}".strip())
