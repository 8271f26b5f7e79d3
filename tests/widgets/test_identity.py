"""The right specimen everywhere: after other collections, added files, deleted points."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_phenoscape.embeddings import embed
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Drawer, Folder
from napari_phenoscape.training import PCA, Experiment, Grouping, KMeans, Schedule, train
from napari_phenoscape.training._experiment import Runtime
from napari_phenoscape.widgets import ClustersDock, ExplainDock
from napari_phenoscape.widgets._clustered import EmbeddedSpaces
from napari_phenoscape.widgets._commands import add_cube
from napari_phenoscape.widgets._dock import frame_of
from napari_phenoscape.widgets._place import ours

pytestmark = pytest.mark.gui

N = 8


def photograph(path: Path, level: int) -> None:
    """One grey level, and a lighter stripe so that specimens differ."""
    pixels = np.full((24, 24, 3), level, np.uint8)
    pixels[:, 2 : 2 + level // 20] = 250
    Image.fromarray(pixels).save(path)


def collection(folder: Path, levels: list[int]) -> Path:
    """``0.png`` and so on, each of its own grey."""
    folder.mkdir()
    for number, level in enumerate(levels):
        photograph(folder / f"{number}.png", level)
    return folder


def trained_on(source, runs: Path) -> Path:
    experiment = Experiment(
        collection=source,
        image_size=16,
        schedule=Schedule(steps=1, batch_size=2),
        runtime=Runtime(device="cpu"),
        runs=runs,
    )
    return result(train(experiment))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """``rising`` and ``falling`` hold the same names, and other pictures; a run of each."""
    folder = tmp_path_factory.mktemp("identity")
    levels = [40 + 20 * number for number in range(N)]
    for name, given in (("rising", levels), ("falling", levels[::-1])):
        source = Folder(path=collection(folder / name, given))
        run = trained_on(source, folder / "runs").rename(folder / f"run-{name}")
        result(embed(run))
    return folder


@pytest.fixture
def clusters(open_dock) -> ClustersDock:
    dock = open_dock(ClustersDock)
    dock.grouping.set(Grouping(method=KMeans(clusters=2), map=PCA()))
    return dock


@pytest.fixture
def show(clusters, wait):
    """Opens a run, or shows embeddings, and waits until they are clustered."""

    def until_clustered(shown: Path | EmbeddedSpaces):
        before = clusters.session.clustered
        if isinstance(shown, EmbeddedSpaces):
            clusters.session.set_embedded(shown)
        else:
            clusters.open_run(shown)
        session = clusters.session
        wait(lambda: session.clustered is not before and not session.busy)
        return session.clustered

    return until_clustered


def frames(viewer):
    return ours(viewer, "clusters")[-1]


def by_brightness(viewer) -> list[str]:
    """Ids of the frames, from the darkest picture in one to the brightest."""
    sheet, points = ours(viewer, "clusters")
    rows, columns = np.round(points.data).astype(int).T
    levels = sheet.data[rows + 20, columns + 20, 0]
    ids = np.array(points.features["specimen"])
    return ids[np.argsort(levels, kind="stable")].tolist()


RISING = [f"{number}.png" for number in range(N)]


def test_a_second_collection_of_the_same_names_has_its_own_pictures_names_and_selection(
    viewer, clusters, show, made
):
    first = show(made / "run-rising")
    assert by_brightness(viewer) == RISING
    clusters.legend.item(0, 1).setText("dark ones")
    clusters.session.select(["3.png"])
    frames(viewer).features["mine"] = range(N)
    second = show(made / "run-falling")
    assert by_brightness(viewer) == RISING[::-1]
    assert second.ids == first.ids
    assert clusters.session.selected == ()
    assert not frames(viewer).selected_data
    assert set(second.clusters.names.values()) == {"cluster 1", "cluster 2"}
    assert "mine" not in frames(viewer).features


def test_a_photograph_that_is_added_moves_no_picture_to_another_specimen(
    viewer, clusters, show, open_dock, made, tmp_path, wait
):
    shutil.copytree(made / "rising", tmp_path / "rising")
    run = Path(shutil.copytree(made / "run-rising", tmp_path / "run"))
    here = EmbeddedSpaces(run, result(embed(run, Folder(path=tmp_path / "rising"))))
    photograph(tmp_path / "rising" / "2-new.png", 250)
    explain = open_dock(ExplainDock)
    show(here)
    wait(lambda: explain.explanation is not None)
    assert by_brightness(viewer) == RISING
    explain.choose("5.png")
    assert clusters.map_words.text().startswith("5.png")
    assert explain.like.words.text().startswith("Most like 5.png")
    levels = [picture[50, 50, 0] for picture in clusters.session.explained.facts.pictures]
    assert levels == sorted(levels)
    assert len(levels) == N


def test_embeddings_of_another_source_have_the_pictures_of_that_source(viewer, show, made):
    show(made / "run-rising")
    run = made / "run-rising"
    show(EmbeddedSpaces(run, result(embed(run, Folder(path=made / "falling")))))
    assert by_brightness(viewer) == RISING[::-1]


def test_after_a_point_is_deleted_the_others_still_are_who_they_are(
    viewer, clusters, show, open_dock, made, wait
):
    explain = open_dock(ExplainDock)
    show(made / "run-rising")
    wait(lambda: explain.explanation is not None)
    points = frames(viewer)
    points.selected_data = {2}
    assert clusters.session.selected == ("2.png",)
    points.remove_selected()
    assert clusters.session.selected == ()
    points.selected_data = {2}
    assert clusters.session.selected == ("3.png",)
    assert clusters.map_words.text().startswith("3.png")
    assert explain.like.words.text().startswith("Most like 3.png")
    explain.choose("7.png")
    assert points.selected_data == {6}


def test_columns_of_others_stay_with_their_specimens_when_clusters_are_renamed(
    viewer, clusters, show, made
):
    show(made / "run-rising")
    points = frames(viewer)
    points.features["mine"] = [f"of {specimen}" for specimen in points.features["specimen"]]
    points.selected_data = {0}
    points.remove_selected()
    points.selected_data = {1}  # 2.png
    clusters.legend.item(0, 1).setText("dark ones")
    features = points.features.set_index("specimen")
    assert features.loc["5.png", "mine"] == "of 5.png"
    assert "dark ones" in set(features["cluster"])
    assert list(features.columns).count("cluster") == 1
    assert {points.features["specimen"][row] for row in points.selected_data} == {"2.png"}


def test_a_selection_stays_with_its_specimens_when_they_are_clustered_again(
    viewer, clusters, show, made, wait
):
    before = show(made / "run-rising")
    clusters.session.select(["6.png", "1.png"])
    clusters.cluster_button.click()
    wait(lambda: clusters.session.clustered is not before and not clusters.session.busy)
    assert clusters.session.selected == ("1.png", "6.png")
    assert {frames(viewer).features["specimen"][row] for row in frames(viewer).selected_data} == {
        "1.png", "6.png"
    }  # fmt: skip
    assert clusters.map.dots.marked.tolist() == [1, 6]


def test_docks_that_were_closed_and_opened_again_show_the_same_specimens(
    viewer, clusters, show, open_dock, made, wait, qtbot
):
    explain = open_dock(ExplainDock)
    show(made / "run-rising")
    wait(lambda: explain.explanation is not None)
    before = clusters.session.clustered
    for dock in (clusters, explain):
        with qtbot.waitSignal(dock.destroyed):
            frame_of(dock).titleBarWidget().close_button.click()
    frames(viewer).selected_data = {4}  # the picture goes on without them
    again, explained = open_dock(ClustersDock), open_dock(ExplainDock)
    assert again.map_words.text().startswith("4.png")
    assert explained.like.words.text().startswith("Most like 4.png")
    again.map.chosen.emit(("6.png",), "only")
    assert frames(viewer).selected_data == {6}
    # nothing was to be done again
    assert again.session.clustered is before
    assert explained.explanation is not None


def test_frames_lie_on_their_own_drawer_when_a_second_one_is_opened(viewer, show, drawer, tmp_path):
    numbers = np.zeros((40, 60), np.uint8)
    numbers[5:15, 10:22], numbers[20:32, 30:45], numbers[0:12, 40:56] = 1, 2, 3
    tifffile.imwrite(tmp_path / "regions.tif", numbers)
    runs = []
    for name in ("first", "second"):
        cube = tmp_path / f"{name}.bil"
        shutil.copy(drawer, cube)
        shutil.copy(f"{drawer}.hdr", f"{cube}.hdr")
        runs.append(
            trained_on(Drawer(path=cube, regions=tmp_path / "regions.tif"), tmp_path / "runs")
        )
        result(embed(runs[-1]))
    show(runs[0])
    assert viewer.layers[-1] == frames(viewer)
    add_cube(viewer, tmp_path / "second.bil")
    assert viewer.layers[-1] != frames(viewer)  # it is of the first
    show(runs[1])
    assert viewer.layers[-1] == frames(viewer)
    assert frames(viewer).features["specimen"].tolist() == [f"second.bil#{i}" for i in (1, 2, 3)]
    assert [layer.name for layer in viewer.layers].count("second bands") == 1


def test_work_of_a_dock_that_was_closed_is_there_when_it_is_opened_again(
    viewer, clusters, open_dock, made, wait, qtbot
):
    session = clusters.session
    clusters.open_run(made / "run-rising")
    with qtbot.waitSignal(clusters.destroyed):
        frame_of(clusters).titleBarWidget().close_button.click()
    wait(lambda: session.embedded is not None and not session.busy)
    again = open_dock(ClustersDock)
    again.grouping.set(Grouping(method=KMeans(clusters=2), map=PCA()))
    wait(lambda: session.clustered is not None and not session.busy)
    assert by_brightness(viewer) == RISING
    assert again.legend.rowCount() == len(session.clustered.clusters.names)
