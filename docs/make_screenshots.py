"""Screenshots of the docks: a real window, driven as a user would, on generated samples.

``make screenshots`` writes ``docs/images/dock-*.png``, ``labelling.png``, ``finding-*.png`` and
``field-photographs.png``; those of the first sitting are made by ``make_walk.py``.
Needs a display of 1600 x 1000 pixels.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import napari
import numpy as np
from measure_ground import planted, written
from PIL import Image
from qtpy.QtTest import QTest

from napari_phenoscape.events import Step, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import Drawer, Folder, Specimen
from napari_phenoscape.spectra import pixel_spectrum, region_spectrum
from napari_phenoscape.training import Experiment, Schedule
from napari_phenoscape.widgets import (
    ClustersDock,
    ExplainDock,
    Fold,
    PreviewDock,
    SpecimensDock,
    SpectrumDock,
    TrainDock,
)
from napari_phenoscape.widgets._commands import add_cube
from napari_phenoscape.widgets._dock import Dock
from napari_phenoscape.widgets._session import Session, session_of
from napari_phenoscape.widgets._worker import guard_torch

IMAGES = Path(__file__).parent / "images"

#: Enough for a loss curve that falls.
STEPS = 60


def wait(claim: Callable[[], bool], seconds: float = 300) -> None:
    """Let the window live until a claim is true."""
    end = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > end:
            raise TimeoutError("a dock did not come to its end")
        QTest.qWait(50)


def at_rest(dock: Dock) -> Callable[[], bool]:
    """Whether nothing is at work any more."""
    return lambda: not dock.session.busy


def steps_of(session: Session) -> int:
    """Training steps that the docks were told of."""
    return sum(isinstance(event, Step) for event in session.history)


def shoot(viewer: napari.Viewer, name: str) -> None:
    """Save the window as it stands, with few enough colours to be small."""
    QTest.qWait(800)
    picture = Image.fromarray(viewer.window.screenshot(flash=False)[..., :3])
    path = IMAGES / f"{name}.png"
    picture.quantize(256).save(path, optimize=True)
    print(f"{path.name}: {picture.width} x {picture.height}, {path.stat().st_size // 1024} kB")


def put(viewer: napari.Viewer, dock: Dock, name: str) -> Dock:
    """Dock it on the right, alone."""
    for old in list(viewer.window.dock_widgets.values()):
        if isinstance(old, Dock):
            viewer.window.remove_dock_widget(old)
    viewer.window.add_dock_widget(dock, name=name, area="right")
    return dock


def shoot_spectrum(viewer: napari.Viewer, specimens: Sequence[Specimen]) -> None:
    """Keep spectra of a drawer, look at it in false colour, and through the eyes of a bird."""
    dock = put(viewer, SpectrumDock(viewer), "Spectrum")
    assert isinstance(dock, SpectrumDock)
    assert dock.cube is not None
    for one in (specimens[0], specimens[9]):
        top, bottom, left, right = one.box
        row, column = (top + bottom) // 2, left + (right - left) // 4
        dock.kept.keep(pixel_spectrum(dock.cube, row, column), (row, column))
    mask = np.zeros(dock.cube.shape[1:], bool)
    mask[slice(*specimens[16].box[:2]), slice(*specimens[16].box[2:])] = True
    dock.kept.keep(region_spectrum(dock.cube, mask, "a specimen"))
    dock.pictures.show_as.setCurrentText("UV false colour")
    for fold in dock.findChildren(Fold):
        fold.opened = fold.content() is dock.eyes
    dock.eyes.eye.choose("bird-uv")
    dock.eyes.table_button.click()
    QTest.qWait(500)
    wait(at_rest(dock))
    shoot(viewer, "dock-spectrum")


def shoot_labelling(viewer: napari.Viewer, dock: ClustersDock) -> None:
    """Name four specimens of each cluster, and let the others be predicted."""
    panel, session = dock.labelling, dock.session
    panel.fold.opened = True
    panel.label.setCurrentText("wing")
    panel.label.lineEdit().editingFinished.emit()
    wait(at_rest(dock))
    labels = session.clustered.clusters.labels
    for number, name in enumerate(
        ("plain gold", "gold with UV", "brown hindwing", "brown forewing"), start=1
    ):
        own = np.flatnonzero(labels == number)[:4]
        session.select([session.clustered.ids[row] for row in own])
        panel.name.setCurrentText(name)
        panel.name_button.click()
        wait(at_rest(dock))
    panel.predict_button.click()
    wait(at_rest(dock))
    QTest.qWait(500)
    wait(at_rest(dock))
    panel.table.selectRow(0)
    QTest.qWait(200)
    dock.see(panel)
    shoot(viewer, "labelling")
    session.select([])


def finding(viewer: napari.Viewer) -> None:
    """From a drawer without regions to coloured specimens, as docs/finding.md tells it."""
    viewer.layers.clear()
    Path("drawer").mkdir()
    for name in ("drawer.bil", "drawer.bil.hdr"):
        shutil.copy(Path("samples", name), "drawer")
    add_cube(viewer, Path("drawer/drawer.bil"))
    specimens = put(viewer, SpecimensDock(viewer), "Specimens")
    assert isinstance(specimens, SpecimensDock)
    wait(at_rest(specimens))
    specimens.finding.find_button.click()
    wait(at_rest(specimens))
    viewer.reset_view()
    shoot(viewer, "finding-found")
    specimens.look_button.click()
    wait(at_rest(specimens))
    shoot(viewer, "finding-coloured")


def field(viewer: napari.Viewer) -> None:
    """Masks of photographs whose ground is not plain, as docs/field-photographs.md tells it."""
    viewer.layers.clear()
    os.environ.pop("PHENOSCAPE_DATA", None)  # nothing is shown that is another's
    folder = Path("butterflies")
    folder.mkdir()
    written(folder, planted("butterflies", 24))
    specimens = put(viewer, SpecimensDock(viewer), "Specimens")
    assert isinstance(specimens, SpecimensDock)
    specimens.form.set(Folder(path=folder))
    specimens.photographs.find_button.click()
    wait(lambda: specimens.photographs.layer is not None, 600)
    shoot(viewer, "field-photographs")


def main(size: tuple[int, int] = (1600, 1000)) -> None:
    """Drive every dock."""
    guard_torch()
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="phenoscape-") as folder:
        os.chdir(folder)  # so that the pictures show short, relative paths
        result(write_samples("samples", specimens=72))
        viewer = napari.Viewer(title="napari")
        viewer.window.set_geometry(0, 0, *size)

        add_cube(viewer, Path("samples/drawer.bil"))
        specimens = put(viewer, SpecimensDock(viewer), "Specimens")
        assert isinstance(specimens, SpecimensDock)
        specimens.form.set(
            Drawer(
                path=Path("samples/drawer.bil"),
                regions=Path("samples/drawer_regions.tif"),
                metadata=Path("samples/drawer_metadata.csv"),
            )
        )
        specimens.collect_button.click()
        wait(at_rest(specimens))
        shoot(viewer, "dock-specimens")

        table = specimens.session.collection
        assert table is not None
        shoot_spectrum(viewer, table.specimens)

        viewer.layers.clear()
        specimens = put(viewer, SpecimensDock(viewer), "Specimens")  # a closed dock is gone
        assert isinstance(specimens, SpecimensDock)
        specimens.form.set(Folder(path=Path("samples/multispectral")))
        specimens.collect_button.click()
        wait(at_rest(specimens))
        experiment = Experiment(
            collection=Folder(path=Path("samples/multispectral")),
            modalities=("rgb+uv",),
            image_size=64,
            schedule=Schedule(steps=STEPS, batch_size=24),
        )
        collection = specimens.session.collection
        session_of(viewer).set_experiment(experiment)
        assert collection is not None
        session_of(viewer).set_collection(collection)
        QTest.qWait(500)
        wait(at_rest(specimens))

        preview = put(viewer, PreviewDock(viewer), "Preview augmentations")
        assert isinstance(preview, PreviewDock)
        QTest.qWait(500)
        wait(at_rest(preview))
        preview.specimen.setCurrentIndex(7)
        preview.roll_button.click()
        QTest.qWait(500)
        wait(at_rest(preview))
        preview.show_as.setCurrentText("UV false colour")
        QTest.qWait(500)
        wait(at_rest(preview))
        shoot(viewer, "dock-preview")

        train = put(viewer, TrainDock(viewer), "Train")
        assert isinstance(train, TrainDock)
        wait(train.preset.isEnabled)
        train.start_button.click()
        session = train.session
        wait(lambda: steps_of(session) > STEPS * 0.7 or not session.busy)
        if not session.busy:
            raise RuntimeError(train.words.text())
        shoot(viewer, "dock-train")
        wait(at_rest(train))

        clusters = put(viewer, ClustersDock(viewer), "Clusters")
        assert isinstance(clusters, ClustersDock)
        viewer.layers.clear()
        clusters.embed_button.click()
        wait(at_rest(clusters))
        QTest.qWait(500)
        wait(at_rest(clusters))
        clusters.session.select([clusters.session.clustered.ids[3]])
        shoot(viewer, "dock-clusters")

        explain = put(viewer, ExplainDock(viewer), "Explain")
        assert isinstance(explain, ExplainDock)
        wait(at_rest(explain))
        explain.hide_button.click()
        wait(at_rest(explain))
        explain.cluster.setCurrentIndex(2)
        explain.against.setCurrentIndex(1)
        explain.choose(explain.session.clustered.ids[3])
        shoot(viewer, "dock-explain")
        clusters = put(viewer, ClustersDock(viewer), "Clusters")
        assert isinstance(clusters, ClustersDock)
        wait(at_rest(clusters))
        shoot_labelling(viewer, clusters)
        finding(viewer)
        field(viewer)
        viewer.close()


if __name__ == "__main__":
    main()
