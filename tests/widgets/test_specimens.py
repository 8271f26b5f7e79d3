"""The Specimens dock, in a real window."""

from __future__ import annotations

import shutil

import fsspec
import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QLineEdit

from napari_phenoscape.cubes import Interpretation
from napari_phenoscape.events import result
from napari_phenoscape.samples._specimens import individual, photograph
from napari_phenoscape.specimens import Drawer, Folder, collect
from napari_phenoscape.widgets import SpecimensDock
from napari_phenoscape.widgets._commands import add_cube
from napari_phenoscape.widgets._pairs import GROUP
from napari_phenoscape.widgets._place import ours

pytestmark = pytest.mark.gui


@pytest.fixture
def dock(open_dock):
    return open_dock(SpecimensDock)


def gather(dock, wait, source) -> None:
    dock.form.set(source)
    dock.collect_button.click()
    wait(lambda: not dock.session.task("Collecting specimens").busy)
    measuring = dock.session.task("Measuring bands")
    wait(lambda: measuring is None or not dock.session.task("Measuring bands").busy)


def cells(table) -> list[list[str]]:
    return [
        [table.item(i, j).text() for j in range(table.columnCount())]
        for i in range(table.rowCount())
    ]


def test_a_folder_is_collected_with_its_metadata_and_skipped_files(dock, wait, specimens, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(specimens, folder)
    (folder / "notes.tif").write_text("not a picture")
    gather(dock, wait, Folder(path=folder))
    assert len(dock.session.collection.specimens) == 24
    assert dock.summary.text().startswith("24 specimens in 24 files")
    assert "; 1 file skipped" in dock.summary.text()
    assert [row[0] for row in cells(dock.skipped)] == ["notes.tif"]
    header = [dock.table.horizontalHeaderItem(j).text() for j in range(dock.table.columnCount())]
    assert {"species", "morph"} <= set(header)
    first = dict(zip(header, cells(dock.table)[0], strict=True))
    metadata = dock.session.collection.metadata.iloc[0]
    assert first["species"] == metadata["species"]
    # one mean for each of R, G, B and the UV bands
    assert dock.bands_words.text().count("±") == 6


def test_what_was_assumed_is_shown_and_can_be_said_instead(dock, wait, tmp_path):
    for name in "ab":
        numbers = np.arange(6 * 40 * 30, dtype="u2").reshape(6, 40, 30)
        tifffile.imwrite(tmp_path / f"{name}.tif", numbers, photometric="minisblack", metadata=None)
    gather(dock, wait, Folder(path=tmp_path))
    assert "• The six pages are taken as R, G, B and UV_R, UV_G, UV_B." in dock.assumed.text()
    said = Interpretation(names=("-", "UV_R", "R", "G", "B", "mask"), wavelengths_nm=())
    gather(dock, wait, Folder(path=tmp_path, read_as=said))
    assert dock.form.get().read_as == said
    assert "As stated, the planes are -, UV_R, R, G, B, mask." in dock.assumed.text()
    assert dock.bands_words.text().startswith("UV_R")


def test_a_photograph_without_uv_among_stacks_is_taken_and_told(dock, wait, specimens, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(specimens, folder)
    tifffile.imwrite(folder / "rgb.tif", np.full((32, 32, 3), 99, np.uint8), photometric="rgb")
    dock.session.set_part("modalities", ("rgb", "uv"))
    gather(dock, wait, Folder(path=folder))
    words = "Without the modality 'uv': 1 of 25 specimens, e.g. 'rgb.tif'."
    assert dock.bands_words.text().startswith(words)
    assert dock.bands_words.text().count("±") == 6
    assert dock.words.text() == words


def test_measured_bands_are_the_reflectance_that_was_drawn(dock, wait, drawer):
    gather(dock, wait, Drawer(path=drawer, regions=regions_of(drawer)))
    curves = dock.bands.getPlotItem().listDataItems()
    x, mean = curves[-1].getData()
    np.testing.assert_allclose(x, [370, 460, 550, 640])
    # rectangles of reflectance 0.1-0.4 and 0.4-0.1: the means lie between
    assert np.all((mean > 0.1) & (mean < 0.4))


def regions_of(drawer):
    path = drawer.with_name("regions.tif")
    numbers = np.zeros((40, 60), np.uint8)
    numbers[5:15, 10:22], numbers[20:32, 30:45] = 1, 2
    tifffile.imwrite(path, numbers)
    return path


@pytest.mark.parametrize("kind", ["labels", "shapes"])
def test_drawn_regions_become_specimens_that_the_command_line_finds_too(
    viewer, dock, wait, drawer, tmp_path, kind
):
    dock.session.set_part("runs", tmp_path / "runs")
    add_cube(viewer, drawer)
    if kind == "labels":
        numbers = np.zeros((40, 60), np.int32)
        numbers[5:15, 10:22], numbers[20:32, 30:45] = 3, 7
        viewer.add_labels(numbers, name="mine")
        rows = [0] * 5 + [3 * 12] * 10 + [0] * 5 + [7 * 15] * 12 + [0] * 8
    else:
        boxes = [
            [[5, 10], [5, 21], [14, 21], [14, 10]],
            [[20, 30], [20, 44], [31, 44], [31, 30]],
        ]
        viewer.add_shapes(boxes, shape_type="polygon", name="mine")
        rows = [0] * 5 + [1 * 12] * 10 + [0] * 5 + [2 * 15] * 12 + [0] * 8
    dock.regions.setCurrentText("mine")
    dock.use_button.click()
    source = dock.form.get()
    assert source.path == drawer
    assert source.regions == tmp_path / "runs" / "drawer_regions.tif"
    gather(dock, wait, source)
    boxes = [specimen.box for specimen in dock.session.collection.specimens]
    assert boxes == [(3, 17, 8, 24), (18, 34, 28, 47)]  # with a margin of 2 pixels
    assert tifffile.imread(source.regions).sum(axis=1).tolist() == rows
    assert [s.box for s in result(collect(source)).specimens] == boxes
    assert [layer.name for layer in viewer.layers].count("mine") == 1


def test_an_empty_drawn_layer_is_answered_in_words(viewer, dock, drawer):
    add_cube(viewer, drawer)
    viewer.add_shapes(name="nothing")
    dock.regions.setCurrentText("nothing")
    before = dock.words.text()
    dock.use_button.click()
    assert dock.words.text() != before
    assert "'nothing' holds no shape" in dock.words.text()


def test_a_folder_without_a_picture_is_answered_in_words_and_the_dock_is_usable_again(
    dock, wait, tmp_path, specimens
):
    (tmp_path / "empty").mkdir()
    dock.form.set(Folder(path=tmp_path / "empty"))
    dock.collect_button.click()
    wait(lambda: not dock.session.task("Collecting specimens").busy)
    assert "empty" in dock.words.text()
    assert dock.collect_button.isEnabled()
    gather(dock, wait, Folder(path=specimens))
    assert dock.summary.text().startswith("24 specimens")


def test_settings_fit_what_was_collected_but_for_those_that_were_chosen(
    dock, wait, specimens, tmp_path
):
    gather(dock, wait, Folder(path=specimens))
    fitting = dock.session.experiment
    assert (fitting.modalities, fitting.schedule.batch_size) == (("rgb+uv",), 6)
    dock.session.set_part("modalities", ("uv",))
    shutil.copytree(specimens, tmp_path / "few")
    for path in sorted((tmp_path / "few").rglob("*.tif"))[12:]:
        path.unlink()
    gather(dock, wait, Folder(path=tmp_path / "few"))
    fitting = dock.session.experiment
    assert (fitting.modalities, fitting.schedule.batch_size) == (("uv",), 3)


def test_without_a_path_collect_is_grey_and_says_why(dock):
    assert not dock.collect_button.isEnabled()
    assert "No path is given" in dock.collect_button.toolTip()


def test_a_new_dock_shows_what_the_closed_one_collected(viewer, dock, open_dock, wait, specimens):
    gather(dock, wait, Folder(path=specimens))
    viewer.window.remove_dock_widget(dock)
    again = open_dock(SpecimensDock)
    assert again.summary.text().startswith("24 specimens")
    assert again.form.get() == Folder(path=specimens)
    viewer.add_image(np.zeros((4, 4)))  # the closed dock no longer listens
    wait(lambda: not again.session.task("Measuring bands").busy)


def test_wavelengths_are_on_the_axis_after_bands_that_have_names(dock, wait, specimens, drawer):
    gather(dock, wait, Folder(path=specimens))
    gather(dock, wait, Drawer(path=drawer, regions=regions_of(drawer)))
    assert dock.bands.getAxis("bottom")._tickLevels is None  # nm, not R, G, B at 0, 1, 2


def test_specimens_of_other_settings_than_those_above_are_called_so(dock, wait, specimens):
    gather(dock, wait, Folder(path=specimens))
    assert f"of '{specimens}'" in dock.summary.text()
    assert not dock.older.isVisible()
    dock.form.set(Folder(path=specimens, pattern="*.nothing"))
    dock.collect_button.click()
    wait(lambda: not dock.session.task("Collecting specimens").busy)
    assert "matches '*.nothing'" in dock.words.text()
    assert dock.older.text().startswith("This was found with other settings")
    gather(dock, wait, Folder(path=specimens))
    assert dock.older.text() == ""


def test_bands_that_cannot_be_measured_leave_no_empty_plot(dock, wait, specimens, tmp_path):
    gather(dock, wait, Folder(path=specimens))
    assert dock.bands_fold.isVisible()
    for bands in (6, 5):
        stack = np.ones((bands, 30, 40), "u2")
        tifffile.imwrite(tmp_path / f"{bands}.tif", stack, photometric="minisblack", metadata=None)
    gather(dock, wait, Folder(path=tmp_path))
    assert "all cubes of a collection must agree" in dock.words.text()
    assert not dock.bands_fold.isVisible()


def test_of_many_rows_the_first_are_shown_and_their_number_is_said(dock, wait, specimens):
    gather(dock, wait, Folder(path=specimens))
    assert dock.table.rowCount() == 8
    assert dock.table_words.text() == "The first 8 of 24."


def test_regions_that_a_run_may_refer_to_are_not_overwritten(viewer, dock, drawer, tmp_path):
    add_cube(viewer, drawer)
    dock.session.set_part("runs", tmp_path)
    drawn = viewer.add_labels(np.zeros((40, 60), np.uint8), name="mine")
    dock.regions.setCurrentText("mine")
    made = []
    for number in (1, 2, 1):
        drawn.data = np.full((40, 60), number, np.uint8)
        dock.use_button.click()
        made.append(dock.form.get().regions)
    first, second = tmp_path / "drawer_regions.tif", tmp_path / "drawer_regions-2.tif"
    assert made == [first, second, first]
    assert (tifffile.imread(first) == 1).all()
    assert (tifffile.imread(second) == 2).all()


def test_a_cube_without_a_mask_asks_for_a_drawing(viewer, dock, drawer):
    add_cube(viewer, drawer)
    dock.use_button.click()
    assert "holds no mask. Add a Shapes or a Labels layer" in dock.words.text()


@pytest.fixture
def moths(tmp_path):
    """Two moths, each in visible light and, 4 pixels to the right and in a larger file, in UV."""
    (tmp_path / "moths").mkdir()
    for number in range(2):
        planes, mask = photograph(individual(number, 0), 120)
        pixels = np.moveaxis(np.where(mask, planes, 30000).astype(np.uint16), 0, -1)
        laid = np.pad(pixels[..., 3:], ((0, 2), (4, 0), (0, 0)), mode="edge")
        for part, shown in (("vis", pixels[..., :3]), ("uv", laid)):
            path = tmp_path / "moths" / f"moth{number}_{part}.tif"
            tifffile.imwrite(path, shown, photometric="rgb")
    return tmp_path / "moths"


def test_photographs_that_were_laid_on_each_other_are_seen_in_turn(viewer, dock, wait, moths):
    gather(dock, wait, Folder(path=moths, together="{id}_{vis|uv}"))
    pairs = dock.pairs
    left = [float(pairs.pairs.itemText(i).split()[-3]) for i in range(2)]
    assert left == sorted(left, reverse=True)
    pairs.button.click()
    wait(pairs.timer.isActive)
    first, laid = ours(viewer, GROUP)
    assert first.data.shape == laid.data.shape == (120, 120, 3)
    assert np.corrcoef(first.data[30:90, 30:90].ravel(), laid.data[30:90, 30:90].ravel())[0, 1] > 0
    wait(lambda: not laid.visible)
    wait(lambda: laid.visible)
    assert first.visible
    pairs.pairs.setCurrentIndex(1)
    assert not pairs.timer.isActive()
    assert laid.visible
    pairs.button.click()
    wait(pairs.timer.isActive)
    assert len(ours(viewer, GROUP)) == 2
    assert laid not in viewer.layers
    viewer.layers.remove(ours(viewer, GROUP)[1])
    wait(lambda: not pairs.timer.isActive())
    assert pairs.button.text() == "Blink"


def test_a_collection_of_single_photographs_has_no_pairs(dock, wait, specimens):
    gather(dock, wait, Folder(path=specimens))
    assert dock.pairs.isHidden()


def test_an_address_is_collected_as_a_folder_is_and_shown_as_it_was_typed(dock, wait, specimens):
    memory = fsspec.filesystem("memory")
    memory.put(str(specimens), "/moths/all", recursive=True)
    gather(dock, wait, Folder(path="memory://moths/all"))
    assert dock.summary.text().startswith("24 specimens in 24 files of 'memory://moths/all'")
    shown = [line.text() for line in dock.form.findChildren(QLineEdit)]
    assert "memory://moths/all" in shown
    assert dock.form.get().path == Folder(path="memory://moths/all").path
    memory.rm("/moths", recursive=True)
