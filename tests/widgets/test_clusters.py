"""The Clusters dock, on a run of a few steps, in a real window."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from napari.settings import get_settings

from napari_phenoscape.analysis import cluster_run
from napari_phenoscape.embeddings import read_clusters
from napari_phenoscape.events import result
from napari_phenoscape.nets import Plain
from napari_phenoscape.specimens import Drawer
from napari_phenoscape.training import (
    HDBSCAN,
    PCA,
    TSNE,
    Experiment,
    Grouping,
    KMeans,
    Schedule,
    SimCLRMethod,
    read_experiment,
    train,
)
from napari_phenoscape.training._experiment import Runtime
from napari_phenoscape.widgets import ClustersDock
from napari_phenoscape.widgets._clusters import EMBEDDING
from napari_phenoscape.widgets._grouping import Embedding
from napari_phenoscape.widgets._place import ours
from napari_phenoscape.widgets._session import session_of
from napari_phenoscape.widgets._show import show

pytestmark = pytest.mark.gui


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def dock(open_dock):
    dock = open_dock(ClustersDock)
    dock.grouping.set(Grouping(method=KMeans(clusters=3), map=PCA()))
    return dock


def idle(dock) -> bool:
    return not dock.session.busy


def embed(dock, run, wait, untrained=False) -> None:
    dock.embedding.set(Embedding(run=run, untrained=untrained))
    before = dock.session.clustered
    dock.embed_button.click()
    wait(lambda: idle(dock) and dock.session.clustered is not before)


def points(viewer):
    return ours(viewer, "clusters")[-1]


def test_embedding_a_run_colours_every_specimen_on_a_contact_sheet(viewer, dock, run, wait):
    embed(dock, run, wait)
    clusters = dock.session.clustered.clusters
    assert [dock.space.itemText(i) for i in range(dock.space.count())] == ["rgb", "uv", "joint"]
    assert dock.space.currentText() == "joint"
    sheet, frames = ours(viewer, "clusters")
    assert sheet.data.ndim == 3
    assert len(frames.data) == 24
    for label, colour in zip(clusters.labels.tolist(), frames.border_color, strict=True):
        expected = [int(clusters.colours[label][i : i + 2], 16) / 255 for i in (1, 3, 5)]
        np.testing.assert_allclose(colour[:3], expected, atol=1e-6)
    assert set(frames.features["cluster"]) == set(clusters.names.values())
    assert {"species", "morph"} <= set(frames.features)
    assert sum(int(dock.legend.item(i, 2).text()) for i in range(3)) == 24
    assert len(dock.map.dots.xy) == 24
    assert (
        read_clusters(run / "clusters" / "joint.parquet").labels.tolist()
        == clusters.labels.tolist()
    )


def test_choosing_dots_selects_points_and_the_other_way_round(viewer, dock, run, wait):
    embed(dock, run, wait)
    ids = dock.session.clustered.ids
    dock.map.chosen.emit({ids[4], ids[7]}, "only")
    assert set(points(viewer).selected_data) == {4, 7}
    points(viewer).selected_data = {2}
    assert dock.map.dots.marked.tolist() == [2]
    assert dock.session.clustered.embeddings.table["specimen"][2] in dock.map_words.text()


def test_napari_outlines_who_is_chosen_only_while_its_own_tool_selects(viewer, dock, run, wait):
    embed(dock, run, wait)
    wait(lambda: not dock.session.drawing)
    blue = np.rint(255 * np.array(get_settings().appearance.highlight.highlight_color))

    def outlined() -> bool:
        seen = viewer.screenshot(canvas_only=True, flash=False)
        return bool((np.abs(seen.astype(int) - blue).max(axis=-1) < 40).any())

    dock.session.select([dock.session.clustered.ids[4]])
    ours(viewer, "chosen")[0].visible = False  # it lies over it
    viewer.layers.selection.active = ours(viewer, "clusters")[0]  # the sheet
    viewer.layers.selection.active = points(viewer)
    assert not outlined()
    points(viewer).mode = "select"
    assert outlined()
    points(viewer).mode = "pan_zoom"
    assert not outlined()


def test_another_method_updates_the_same_layers(viewer, dock, run, wait):
    embed(dock, run, wait)
    layers = ours(viewer, "clusters")
    dock.grouping.set(Grouping(method=KMeans(clusters=5), map=PCA()))
    before = dock.session.clustered
    dock.cluster_button.click()
    wait(lambda: idle(dock) and dock.session.clustered is not before)
    assert ours(viewer, "clusters") == layers
    assert len(set(dock.session.clustered.clusters.labels)) == 5
    dock.grouping.set(Grouping(method=HDBSCAN(min_size=2), map=PCA()))
    before = dock.session.clustered
    dock.cluster_button.click()
    wait(lambda: idle(dock) and dock.session.clustered is not before)
    assert dock.session.clustered.clusters.method == HDBSCAN(min_size=2)


def test_a_name_that_is_edited_is_kept_on_the_layer_and_on_disk(viewer, dock, run, wait):
    embed(dock, run, wait)
    number = dock.session.clustered.clusters.labels[0]
    row = next(
        i
        for i in range(3)
        if dock.legend.item(i, 1).text() == dock.session.clustered.clusters.names[number]
    )
    dock.legend.item(row, 1).setText("pale morph")
    wait(lambda: idle(dock))
    assert points(viewer).features["cluster"].iloc[0] == "pale morph"
    assert read_clusters(run / "clusters" / "joint.parquet").names[number] == "pale morph"
    before = dock.session.clustered
    dock.cluster_button.click()
    wait(lambda: idle(dock) and dock.session.clustered is not before)
    assert "pale morph" in dock.session.clustered.clusters.names.values()


def test_the_exported_table_has_file_embedding_cluster_and_metadata(dock, run, wait, tmp_path):
    embed(dock, run, wait)
    dock.export(tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv")
    width = dock.session.clustered.embeddings.x.shape[1]
    assert list(table.columns[: width + 1]) == ["filename", *(f"x{i + 1}" for i in range(width))]
    assert table["cluster"].tolist() == dock.session.clustered.clusters.labels.tolist()
    assert "species" in table
    dock.export(tmp_path / "missing" / "out.csv")
    assert "cannot be written" in dock.words.text()


def test_the_untrained_net_gives_other_embeddings(dock, run, wait):
    embed(dock, run, wait)
    trained = dock.session.embedded.spaces["joint"].x
    embed(dock, run, wait, untrained=True)
    untrained = dock.session.embedded.spaces["joint"].x
    # each has as many dimensions as its readout finds
    assert len(untrained) == len(trained)
    assert not np.allclose(untrained @ untrained.T, trained @ trained.T)


def test_a_map_that_cannot_be_drawn_leaves_pca_and_says_why(dock, run, wait):
    dock.grouping.set(Grouping(method=KMeans(clusters=3), map=TSNE(perplexity=50)))
    embed(dock, run, wait)
    wait(lambda: idle(dock))
    assert "perplexity 50" in dock.words.text()
    assert dock.session.clustered.map.title == "pca of joint"
    assert dock.cluster_button.isEnabled()


@pytest.mark.parametrize("name", ["nothing here", "empty"])
def test_a_folder_that_is_no_run_is_answered_in_words(dock, wait, tmp_path, name):
    (tmp_path / "empty").mkdir()
    dock.embedding.set(Embedding(run=tmp_path / name))
    dock.embed_button.click()
    wait(lambda: idle(dock))
    assert "is not a run directory" in dock.words.text()
    assert dock.embed_button.isEnabled()


def test_a_new_dock_shows_the_clusters_of_the_closed_one(viewer, dock, open_dock, run, wait):
    embed(dock, run, wait)
    clustered = dock.session.clustered
    viewer.window.remove_dock_widget(dock)
    layers = ours(viewer, "clusters")
    again = open_dock(ClustersDock)
    assert again.legend.rowCount() == 3
    assert len(again.map.dots.xy) == 24
    assert ours(viewer, "clusters") == layers
    assert again.session.clustered is clustered
    assert again.grouping.value == Grouping(method=KMeans(clusters=3), map=PCA())
    points(viewer).selected_data = {1}
    assert again.session.clustered.embeddings.table["specimen"][1] in again.map_words.text()


def test_a_run_that_was_clustered_before_opens_as_it_was(viewer, dock, open_dock, run, wait):
    embed(dock, run, wait)
    labels = dock.session.clustered.clusters.labels.tolist()
    dock.legend.item(0, 1).setText("renamed")
    before = dock.session.clustered
    dock.grouping.set(Grouping(method=KMeans(clusters=5), map=PCA()))
    dock.open_run(run)
    wait(lambda: idle(dock) and dock.session.clustered is not before)
    assert dock.session.clustered.embeddings is dock.session.embedded.spaces["joint"]
    assert dock.session.clustered.clusters.labels.tolist() == labels
    assert "renamed" in dock.session.clustered.clusters.names.values()
    assert dock.grouping.value.method == KMeans(clusters=3)


def test_what_the_dock_clusters_by_is_that_of_the_run(dock, run, wait):
    embed(dock, run, wait)
    assert read_experiment(run).grouping == Grouping(method=KMeans(clusters=3), map=PCA())
    other = Grouping(method=KMeans(clusters=2), map=PCA(), space="uv", seed=7)
    result(cluster_run(run, other))
    dock.open_run(run)
    wait(lambda: idle(dock) and dock.space.currentText() == "uv")
    assert dock.grouping.value == other
    assert len(dock.session.clustered.clusters.names) == 2
    assert dock.session.parts["grouping"] == other


def test_specimens_of_a_drawer_are_framed_where_they_lie(viewer, dock, drawer, tmp_path, wait):
    numbers = np.zeros((40, 60), np.uint8)
    numbers[5:15, 10:22], numbers[20:32, 30:45] = 1, 2
    tifffile.imwrite(tmp_path / "regions.tif", numbers)
    experiment = Experiment(
        collection=Drawer(path=drawer, regions=tmp_path / "regions.tif"),
        image_size=16,
        method=SimCLRMethod(readout=Plain(), beside="nothing"),  # of two specimens
        schedule=Schedule(steps=1, batch_size=2),
        runtime=Runtime(device="cpu"),
        runs=tmp_path / "runs",
    )
    run = result(train(experiment))
    dock.grouping.set(Grouping(method=KMeans(clusters=2), map=PCA()))
    embed(dock, run, wait)
    assert [layer.name for layer in viewer.layers] == [
        "drawer bands", "drawer UV false colour", "drawer RGB", "clusters (rgb)"
    ]  # fmt: skip
    assert points(viewer).data.tolist() == [[9.5, 15.5], [25.5, 37.0]]
    # napari draws pixel (0, 0) of both layers at the same place
    assert tuple(points(viewer).translate) == (0, 0)
    embed(dock, run, wait, untrained=True)
    assert len(viewer.layers) == 4

    other = show(run)  # as the command line does
    try:
        wait(lambda: len(other.layers) == 4)
        assert points(other).data.tolist() == [[9.5, 15.5], [25.5, 37.0]]
    finally:
        wait(lambda: not session_of(other).busy)
        other.close()


def test_an_embedding_that_fails_leaves_all_with_the_run_before(
    viewer, dock, open_dock, run, wait, tmp_path
):
    embed(dock, run, wait)
    other = Path(shutil.copytree(run, tmp_path / "other"))
    shutil.rmtree(other / "checkpoints")
    (other / "clusters" / "joint.parquet").unlink()
    dock.embedding.set(Embedding(run=other))
    dock.embed_button.click()
    wait(lambda: idle(dock))
    assert dock.session.task(EMBEDDING).state == "failed"
    assert dock.session.embedded.run == run
    dock.legend.item(0, 1).setText("eyespots")
    dock.cluster_button.click()
    wait(lambda: idle(dock))
    assert not (other / "clusters" / "joint.parquet").exists()
    assert "eyespots" in read_clusters(run / "clusters" / "joint.parquet").names.values()
    viewer.window.remove_dock_widget(dock)
    assert open_dock(ClustersDock).legend.item(0, 1).text() == "eyespots"


def test_a_sheet_that_was_removed_comes_back_below_its_frames(viewer, dock, run, wait):
    embed(dock, run, wait)
    viewer.layers.remove(ours(viewer, "clusters")[0])
    dock.cluster_button.click()
    wait(lambda: idle(dock))
    assert [layer.name for layer in viewer.layers] == ["contact sheet", "clusters (joint)"]


def test_a_cluster_keeps_its_name_when_none_is_typed_or_it_cannot_be_written(dock, run, wait):
    embed(dock, run, wait)
    dock.legend.item(0, 1).setText("  ")
    assert "type one" in dock.words.text()
    assert dock.legend.item(0, 1).text() == "cluster 1"
    shutil.rmtree(run / "clusters")
    (run / "clusters").touch()
    dock.legend.item(0, 1).setText("gone")
    assert "cannot be written" in dock.words.text()
    assert dock.legend.item(0, 1).text() == "cluster 1"


def test_a_run_of_another_machine_says_where_to_write_the_path(dock, run, wait):
    file = run / "experiment.yaml"
    experiment = Experiment.read(file)
    source = experiment.collection.model_copy(update={"path": Path("/scratch/moths")})
    file.write_text(experiment.model_copy(update={"collection": source}).to_yaml())
    dock.embedding.set(Embedding(run=run))
    dock.embed_button.click()
    wait(lambda: idle(dock))
    assert "not here. There is no folder at '/scratch/moths'" in dock.words.text()
    assert f"into '{file}'" in dock.words.text()


def test_the_control_is_called_so_on_the_map(dock, run, wait):
    assert not dock.map.isVisible()  # no empty square
    embed(dock, run, wait, untrained=True)
    assert dock.map.getPlotItem().titleLabel.text == "pca of joint, untrained"
