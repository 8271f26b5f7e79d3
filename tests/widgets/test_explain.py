"""The Explain dock beside the Clusters dock, on a run of a few steps, in a real window."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from qtpy.QtGui import QPalette

from napari_phenoscape.analysis import (
    SpecimenSpectra,
    colour_distances,
    explained as explanation_of,
    nearest,
)
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.embeddings import NOISE, embed, unit_length
from napari_phenoscape.embeddings._clustering import NOISE_COLOUR
from napari_phenoscape.events import result
from napari_phenoscape.spectra import read_eye
from napari_phenoscape.training import PCA, Grouping, KMeans
from napari_phenoscape.widgets import ClustersDock, ExplainDock
from napari_phenoscape.widgets._grouping import Embedding
from napari_phenoscape.widgets._place import ours
from napari_phenoscape.widgets.explain._asking import Cutting, OwnEye
from napari_phenoscape.widgets.explain._dock import HIDING, PLACES

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def embedded(trained, tmp_path_factory) -> Path:
    """A run with its embeddings."""
    run = Path(shutil.copytree(trained, tmp_path_factory.mktemp("embedded") / "run"))
    result(embed(run))
    return run


@pytest.fixture
def run(embedded, tmp_path) -> Path:
    # whoever writes a file of a run puts a new one in its place: links are copies that cost nothing
    return Path(shutil.copytree(embedded, tmp_path / "run", copy_function=os.link))


@pytest.fixture
def clusters(open_dock) -> ClustersDock:
    dock = open_dock(ClustersDock)
    dock.grouping.set(Grouping(method=KMeans(clusters=3), map=PCA()))
    return dock


@pytest.fixture
def dock(clusters, open_dock, run, wait) -> ExplainDock:
    """Beside a run in three clusters."""
    dock = open_dock(ExplainDock)
    clusters.open_run(run)
    wait(lambda: explained(dock))
    return dock


def explained(dock: ExplainDock) -> bool:
    return dock.explanation is not None and not dock.session.busy


def points(viewer):
    return ours(viewer, "clusters")[-1]


def rows(strip, dock) -> list[int]:
    """Of the specimens in a strip, in the embeddings."""
    places = dock.session.clustered.rows
    return [places[tile.property("specimen")] for tile in strip.tiles]


def curve(plot, index: int) -> np.ndarray:
    return plot.getPlotItem().listDataItems()[index].getData()[1]


def test_before_there_are_clusters_it_says_what_to_do(open_dock):
    dock = open_dock(ExplainDock)
    assert not dock.first.isHidden()
    assert "embed and cluster" in dock.first.text()
    assert dock.content.isHidden()


def test_clusters_are_explained_as_soon_as_they_are_there(dock):
    found = dock.explanation
    assert not dock.first.isVisible()
    assert [dock.cluster.itemText(i) for i in range(4)] == [
        "all clusters", *(found.clusters.names[n] for n in found.numbers)
    ]  # fmt: skip
    assert len(dock.curves.spectra.getPlotItem().listDataItems()) == 3
    np.testing.assert_allclose(curve(dock.curves.spectra, 0), found.moments[0].mean)
    np.testing.assert_allclose(curve(dock.curves.effect, 1), found.effect(found.numbers[1]))
    assert not dock.curves.lost.isVisible()
    firsts = [int(found.membership.typical(number)[0]) for number in found.nearest]
    assert rows(dock.typical, dock)[:3] == firsts
    assert dock.session.explained.facts.pictures.shape == (24, 64, 64, 3)


def test_one_cluster_is_compared_with_another(dock):
    found = dock.explanation
    dock.cluster.setCurrentIndex(2)
    assert "Differs from all others (grey) by" in dock.answer.text()
    assert dock.against.isEnabled()
    dock.against.setCurrentIndex(1)
    one, other = found.numbers[1], found.numbers[0]
    assert (dock.cluster.currentData(), dock.against.currentData()) == (one, other)
    np.testing.assert_allclose(curve(dock.curves.spectra, 0), found.moments[0].mean)
    np.testing.assert_allclose(curve(dock.curves.spectra, 1), found.moments[1].mean)
    np.testing.assert_allclose(curve(dock.curves.effect, 0), found.effect(one, other))
    assert rows(dock.typical, dock) == found.membership.typical(one)[:6].tolist()
    borderline = found.membership.silhouette[rows(dock.borderline, dock)]
    assert (np.diff(borderline) >= 0).all()
    assert (borderline < 0.25).all()


def test_a_thumbnail_selects_its_specimen_everywhere(viewer, dock, clusters):
    viewer.scene.camera.center = (1e4, 1e4)
    dock.typical.tiles[1].click()
    chosen = rows(dock.typical, dock)[1]
    assert set(points(viewer).selected_data) == {chosen}
    place = points(viewer).data_to_world(points(viewer).data[chosen])
    assert tuple(viewer.scene.camera.center)[-2:] == pytest.approx(tuple(place))
    assert clusters.map.dots.marked.tolist() == [chosen]
    assert (
        rows(dock.like, dock)
        == nearest(unit_length(dock.session.clustered.embeddings.x), chosen, 6)[0].tolist()
    )
    ink = dock.palette().color(QPalette.ColorRole.WindowText).name()
    framed = [ink in tile.styleSheet() for tile in dock.typical.tiles]
    assert framed == [False, True, *[False] * (len(framed) - 2)]


def test_what_is_selected_on_the_picture_shows_its_neighbours(viewer, dock):
    assert "Click a specimen" in dock.like.words.text()
    points(viewer).selected_data = {7}
    assert dock.explanation.table["specimen"][7] in dock.like.words.text()
    assert len(dock.like.tiles) == 6
    points(viewer).selected_data = set()
    assert not dock.like.tiles
    viewer.layers.remove(points(viewer))
    dock.choose(dock.session.clustered.ids[4])
    assert dock.explanation.table["specimen"][4] in dock.like.words.text()


def test_hidden_bands_are_shown_until_the_clusters_are_others(dock, clusters, wait):
    dock.hide_button.click()
    assert not dock.hide_button.isEnabled()
    wait(lambda: explained(dock))
    assert dock.curves.lost.isVisible()
    np.testing.assert_allclose(curve(dock.curves.lost, 0), dock.explanation.lost[0].mean)
    dock.cluster.setCurrentIndex(1)
    assert "Margin lost when hidden" in dock.answer.text()
    clusters.legend.item(0, 1).setText("pale morph")
    assert dock.cluster.currentText() == "pale morph"
    assert dock.explanation.occlusion is not None
    clusters.grouping.set(Grouping(method=KMeans(clusters=4), map=PCA()))
    clusters.cluster_button.click()
    wait(lambda: explained(dock) and len(dock.explanation.numbers) == 4)
    assert dock.explanation.occlusion is None
    assert not dock.curves.lost.isVisible()
    assert dock.cluster.currentText() == "pale morph"


def test_hiding_can_be_stopped(dock, wait):
    dock.hide_button.click()
    dock.stop_button.click()
    wait(lambda: not dock.session.busy)
    assert dock.session.task(HIDING).state == "stopped"
    assert dock.explanation.occlusion is None
    assert dock.hide_button.isEnabled()


def test_places_are_laid_over_the_specimens_that_were_asked_for(viewer, dock, clusters, wait):
    dock.cluster.setCurrentIndex(1)
    asked = dock.explanation.membership.typical(dock.cluster.currentData())[:6]
    dock.where_button.click()
    wait(lambda: explained(dock))
    found = dock.explanation.where
    assert found.rows.tolist() == asked.tolist()
    (layer,) = ours(viewer, "maps")
    frames = points(viewer)
    for lost, row in zip(found.lost, found.rows, strict=True):
        # the middle of the thumbnail, and what lies half a side beyond it
        at = layer.world_to_data(frames.data_to_world(frames.data[row]))
        top = np.rint(at).astype(int) - dock.overlay._sheet.tile // 2
        tile = layer.data[top[0] : top[0] + 64, top[1] : top[1] + 64]
        assert np.nanmax(tile) == np.nanmax(lost)
        assert np.isfinite(tile).mean() == pytest.approx(np.isfinite(lost).mean(), abs=0.02)
    assert "Over 6 specimens" in dock.words.text()
    layers = list(viewer.layers)
    assert layers.index(layer) < layers.index(frames)
    clusters.grouping.set(Grouping(method=KMeans(clusters=4), map=PCA()))
    clusters.cluster_button.click()
    wait(lambda: explained(dock) and len(dock.explanation.numbers) == 4)
    assert not ours(viewer, "maps")
    dock.session.select([dock.session.clustered.ids[3]])
    dock.where_button.click()
    dock.stop_button.click()
    wait(lambda: not dock.session.busy)
    assert dock.session.task(PLACES).state in ("stopped", "done")


def test_elements_are_laid_over_all_specimens_and_exported(viewer, dock, wait, tmp_path):
    assert dock.apart.isHidden()  # photographs have no wavelengths
    assert dock.eye_fold.isHidden()
    dock.cutting.set(Cutting(elements=5))
    dock.session.select([dock.session.clustered.ids[0]])
    dock.elements_button.click()
    wait(lambda: explained(dock))
    found = dock.explanation.elements
    (chosen,) = ours(viewer, "chosen")
    assert viewer.layers.index(chosen) > viewer.layers.index(points(viewer))
    (layer,) = ours(viewer, "maps")
    assert layer._type_string == "labels"
    assert set(np.unique(layer.data)) == set(range(6))
    at = layer.world_to_data(points(viewer).data_to_world(points(viewer).data[7]))
    middle = found.labels.shape[1] // 2
    around = found.labels[7, middle - 1 : middle + 2, middle - 1 : middle + 2]
    assert layer.data[tuple(np.rint(at).astype(int))] in around
    dock.export(tmp_path)
    wait(lambda: not dock.session.busy)
    assert len(pd.read_csv(tmp_path / "explanation-elements.csv")) == 5 * 6


def test_an_eye_of_ones_own_is_compared_by_its_numbers_as_on_the_command_line(dock, wait):
    asked = dock.session.explained
    table, numbers = asked.explanation.table, asked.explanation.nearest
    nm = np.arange(300.0, 701.0, 10.0)
    values = np.random.default_rng(0).uniform(0.2, 0.8, (len(table), len(nm)))
    spectra = SpecimenSpectra(
        tuple(table["specimen"]), Bands(Band(f"{x:g}", x) for x in nm), values
    )
    clustered = asked.clustered
    with_nm = explanation_of(clustered.embeddings, clustered.clusters, spectra)
    dock.session.set_explained(replace(asked, explanation=with_nm))
    assert dock.eye_fold.isVisible()
    dock.own_eye.set(OwnEye(eye="honeybee", densities="1:1:1"))
    dock.see_button.click()
    wait(lambda: explained(dock) and dock.explanation.colours is not None)
    known = colour_distances(dock.explanation, read_eye("honeybee"), (1, 1, 1))
    assert dock.apart.eye.currentText() == "honeybee"
    assert dock.apart.isVisibleTo(dock)
    cells = [dock.apart.table.item(row, 2).text() for row in range(dock.apart.table.rowCount())]
    assert cells == [f"{jnd:.2f}" for jnd in known["jnd"]]
    assert len(cells) == len(numbers) * (len(numbers) - 1) / 2
    dock.own_eye.set(OwnEye(eye="honeybee", densities="1:many"))
    dock.see_button.click()
    wait(lambda: not dock.session.busy)
    assert "The densities '1:many' are no numbers" in dock.words.text()
    assert len(dock.explanation.colours) == len(cells)


def test_the_control_is_asked_with_the_weights_that_made_its_embeddings(dock, clusters, wait):
    clusters.embedding.set(Embedding(run=dock.session.embedded.run, untrained=True))
    before = dock.session.clustered
    clusters.embed_button.click()
    wait(lambda: dock.session.clustered is not before and explained(dock))
    dock.hide_button.click()
    wait(lambda: not dock.session.busy)
    assert dock.explanation.occlusion is not None


def test_one_cluster_and_noise_are_answered_in_a_sentence(dock, wait):
    def relabel(labels: list[int]) -> None:
        clustered = dock.session.clustered
        names, colours = {1: "one", 2: "two", NOISE: "noise"}, dict.fromkeys((1, 2), "#0072b2")
        clusters = replace(
            clustered.clusters,
            labels=np.array(labels),
            names=names,
            colours=colours | {NOISE: NOISE_COLOUR},
        )
        dock.session.set_clustered(replace(clustered, clusters=clusters))
        wait(lambda: not dock.session.busy)

    relabel([1] * 20 + [NOISE] * 4)
    assert dock.content.isHidden()
    assert "there is only 'one'" in dock.words.text()
    relabel([1] * 12 + [2] * 8 + [NOISE] * 4)
    assert dock.content.isVisible()
    dock.cluster.setCurrentIndex(3)
    assert dock.answer.text() == "4 specimens in no cluster."
    assert not dock.typical.tiles
    assert not dock.curves.effect.getPlotItem().listDataItems()


def test_the_export_is_that_of_the_command_line(dock, wait, tmp_path):
    dock.export(tmp_path)
    wait(lambda: not dock.session.busy)
    assert "Exported" in dock.words.text()
    assert len(pd.read_csv(tmp_path / "explanation-bands.csv")) == 3 * 6
    assert (tmp_path / "explanation.png").is_file()
    dock.export(tmp_path / "missing")
    wait(lambda: not dock.session.busy)
    assert "cannot be written" in dock.words.text()


def test_a_new_dock_shows_the_explanation_of_the_closed_one(viewer, dock, open_dock, wait):
    dock.hide_button.click()
    wait(lambda: explained(dock))
    found = dock.explanation
    viewer.window.remove_dock_widget(dock)
    again = open_dock(ExplainDock)
    assert again.explanation.occlusion is found.occlusion
    assert not again.curves.lost.isHidden()
    points(viewer).selected_data = {2}
    assert len(again.like.tiles) == 6
