"""Clusters that emerge while a net is trained, on the specimens that are shown."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_phenoscape.embeddings import cluster
from napari_phenoscape.events import Event, Step, result
from napari_phenoscape.training import KMeans, Snapshot
from napari_phenoscape.widgets import ClustersDock, TrainDock
from napari_phenoscape.widgets._emerging import Emerging, emerging, turned
from napari_phenoscape.widgets._grouping import looked

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def seen(specimens, tmp_path_factory):
    """A first look at 24 specimens."""
    return result(looked(specimens, tmp_path_factory.mktemp("looked")))


@pytest.fixture
def long(seen, experiment):
    """A training of these specimens that goes on until it is stopped."""
    collection = seen.seen.experiment.collection
    return experiment.model_copy(update={"collection": collection})


@pytest.fixture
def shown(seen):
    return seen.clustered


def snapshot(shown, rows: list[int], x, step: int = 25) -> Snapshot:
    ids = tuple(shown.ids[row] for row in rows)
    return Snapshot("embeddings so far", step, 100, "rgb+uv", ids, np.asarray(x, np.float32))


def told(shown, *events: Event) -> list[Emerging]:
    def training() -> Generator[Event, None, Path]:
        yield from events
        return Path("run")

    return [one for one in emerging(training(), lambda: shown) if isinstance(one, Emerging)]


def test_clusters_keep_the_names_and_colours_of_those_that_are_shown(shown):
    clusters = replace(shown.clusters, names={n: f"morph {n}" for n in shown.clusters.names})
    shown = replace(shown, clusters=clusters)
    rows = list(range(24))
    (one,) = told(shown, snapshot(shown, rows, shown.embeddings.x))
    so_far = one.clustered.so_far
    assert np.array_equal(so_far.colouring.colours, clusters.rgb)
    assert [name for name, _, _ in so_far.colouring.legend] == list(clusters.names.values())
    assert (one.done, one.total) == (25, 100)


def test_a_cluster_keeps_its_colour_from_one_snapshot_to_the_next(shown):
    """Whatever the method calls it: here specimens are known by their number alone."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(len(shown.clusters.names), 8))
    group = np.arange(24) % len(places)
    events = [
        snapshot(shown, list(range(24)), places[group] + rng.normal(0, 0.01, (24, 8)), step)
        for step in (25, 50, 75)
    ]
    colours = [one.clustered.so_far.colouring.colours for one in told(shown, *events)]
    assert len(colours) == 3
    assert np.array_equal(colours[0], colours[1])
    assert np.array_equal(colours[1], colours[2])
    assert len(np.unique(colours[0], axis=0)) == len(places)


def test_clusters_that_were_mixed_up_by_and_by_have_their_own_colours_when_they_are_found(shown):
    """In each step most of a cluster stays; after three it is the other one."""

    def apart(*ones: int):
        places = np.full((24, 2), [0, 1], np.float32)
        places[list(ones)] = [1, 0]
        return places

    first = apart(*range(12))
    shown = replace(shown, clusters=cluster(first, shown.ids, KMeans(clusters=2), 0))
    drift = [first, apart(*range(7), *range(12, 17)), apart(*range(4), *range(12, 20)), first]
    events = [snapshot(shown, list(range(24)), x, step) for step, x in enumerate(drift)]
    *_, last = told(shown, *events)
    assert np.array_equal(last.clustered.so_far.colouring.colours, shown.clusters.rgb)


def test_who_is_not_embedded_is_grey_and_has_no_place(shown):
    rows = list(range(0, 24, 2))
    (one,) = told(shown, snapshot(shown, rows, shown.embeddings.x[rows]))
    so_far = one.clustered.so_far
    others = np.setdiff1d(np.arange(24), rows)
    assert (so_far.colouring.colours[others] == 0x6E).all()
    assert np.isnan(so_far.map.xy[others]).all()
    assert np.isfinite(so_far.map.xy[rows]).all()


def test_what_cannot_be_shown_is_left_out(shown):
    strangers = Snapshot("embeddings so far", 25, 100, "rgb+uv", ("a", "b"), np.eye(2))
    collapsed = snapshot(shown, list(range(24)), np.ones((24, 8)))
    step = Step(1, 100, 1.0, 0.5, 1e-3, 1.0, 1.0)
    assert told(shown, strangers, step, collapsed) == []
    assert told(None, snapshot(shown, list(range(24)), shown.embeddings.x)) == []


def test_a_map_that_was_turned_and_mirrored_is_turned_back():
    xy = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    turn = np.array([[np.cos(2), np.sin(2)], [np.sin(2), -np.cos(2)]])  # a mirror is in it
    back = turned((xy @ turn + 5).astype(np.float32), xy)
    assert np.allclose(back, xy - xy.mean(axis=0), atol=1e-5)


def test_specimens_on_picture_and_map_recolour_while_a_net_is_trained(open_dock, wait, seen, long):
    clusters, train = open_dock(ClustersDock), open_dock(TrainDock)
    session = train.session
    session.set_looked(seen)
    assert train.emerging.isEnabled()
    session.set_experiment(long)
    wait(train.start_button.isEnabled)
    QTest.mouseClick(train.start_button, Qt.MouseButton.LeftButton)
    wait(lambda: session.clustered.so_far is not None)
    assert not train.emerging.isEnabled()
    QTest.mouseClick(train.stop_button, Qt.MouseButton.LeftButton)
    wait(lambda: not session.busy)
    so_far = session.clustered.so_far
    (points,) = (
        layer
        for layer in train.viewer.layers
        if layer.metadata.get("phenoscape", {}).get("role") == "clusters"
    )
    assert np.allclose(points.border_color[:, :3] * 255, so_far.colouring.colours, atol=0.5)
    assert clusters.key.text().startswith("<b>Training, step 0 of 100000:</b>")
    assert np.array_equal(clusters.map.dots.xy, so_far.map.xy)
    assert session.clustered.clusters is seen.clustered.clusters  # which stay as they were
    clusters.colour_by("cluster")
    wait(lambda: session.clustered.so_far is None)
    assert np.array_equal(clusters.map.dots.xy, seen.clustered.map.xy)


def test_nobody_is_watched_unless_it_is_wished(open_dock, wait, seen, long):
    train = open_dock(TrainDock)
    session = train.session
    assert not train.emerging.isEnabled()
    assert "Look now" in train.emerging.toolTip()
    session.set_looked(seen)
    train.emerging.setChecked(False)
    session.set_experiment(long)
    train.start_button.click()
    wait(lambda: any(isinstance(event, Step) for event in session.history))
    train.stop_button.click()
    wait(lambda: not session.busy)
    assert session.clustered.so_far is None
