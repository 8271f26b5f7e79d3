"""The map and the contact sheet of many specimens, in a real window.

Each is a quantity of ours with the most that it should be; they are named ``map-...``. The
embeddings are drawn: 512 numbers for each specimen, ten groups.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import napari
import numpy as np
import pandas as pd
from qtpy.QtWidgets import QApplication

from napari_phenoscape.analysis import Colouring, by_cluster, by_values, inside, nearest
from napari_phenoscape.analysis.evaluation._neighbours import knn_correct
from napari_phenoscape.embeddings import Clusters, Embeddings, cluster, unit_length
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import PALETTE, PALETTES, Grouping, KMeans
from napari_phenoscape.widgets import ClustersDock
from napari_phenoscape.widgets._clustered import Backdrop, ClusteredRun, Projection2D, SoFar
from napari_phenoscape.widgets._mapping import begin_early, reduce_apart
from napari_phenoscape.widgets._overlay import overlay_of
from napari_phenoscape.widgets._session import Session, session_of
from napari_phenoscape.widgets._worker import guard_torch
from napari_phenoscape.widgets.map._scatter import Scatter
from tests.benchmarks import Figure

GROUPS = 10

#: Seconds that clusters and a map are waited for at most.
PATIENCE = 600


def comparisons() -> Iterator[Figure]:
    """Seconds, as a user waits for them."""
    for count, most in ((10_000, 10), (100_000, 120)):
        yield Figure(f"map-clusters-of-{count}", lambda count=count: clustered(count), "s", most)
    guard_torch()
    viewer = napari.Viewer()
    viewer.window.set_geometry(0, 0, 1600, 1000)
    viewer.add_image(np.zeros((64, 64, 3), np.uint8))  # what napari loads for its first layer
    settle()
    yield from _map(100_000, 0.3)
    yield from _map(1_000_000, 3)
    yield from _emerging(viewer)
    for count, opened in ((10_000, 2), (100_000, 10)):
        yield from _sheet(count, opened, viewer)
    viewer.close()
    unit = unit_length(np.random.default_rng(0).normal(size=(1_000_000, 64)).astype(np.float32))
    yield Figure(
        "map-neighbours-of-one-in-1000000", lambda: median(lambda: nearest(unit, 7, 10)), "s", 0.1
    )
    few, codes = unit[:20_000], np.arange(20_000) % GROUPS
    yield Figure(
        "map-neighbours-of-all-20000", lambda: seconds(lambda: knn_correct(few, codes)), "s", 10
    )


def clustered(count: int) -> float:
    """Seconds to clusters and a map, in a process of their own; infinite after `PATIENCE`."""
    asked = [sys.executable, "-m", "tests.benchmarks.bench_map", str(count)]
    try:
        done = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return math.inf
    return float(done.stdout.splitlines()[-1])


def grouped(count: int) -> None:
    """Print the seconds to clusters and a map of so many specimens, as the dock makes them."""
    random, grouping = np.random.default_rng(0), Grouping()
    labels = random.integers(0, GROUPS, count)
    x = random.normal(size=(GROUPS, 512))[labels] + random.normal(size=(count, 512))
    x = x.astype(np.float32)
    start = time.perf_counter()
    begin_early(grouping.map)
    found = cluster(x, [str(number) for number in range(count)], grouping.method, grouping.seed)
    result(reduce_apart(x, grouping.map, grouping.seed))
    print(time.perf_counter() - start)
    assert len(found.names) == GROUPS


def drawn(count: int, side: int = 32, dimensions: int = 8) -> ClusteredRun:
    """Specimens in ten groups, on a map and in pictures."""
    random = np.random.default_rng(0)
    labels = random.integers(1, GROUPS + 1, count)
    ids = tuple([f"{number}.png" for number in range(count)])
    table = pd.DataFrame({"specimen": ids, "filename": ids, "path": ids, "row": 0, "column": 0})
    table = table.assign(mass=random.normal(size=count))
    x = random.normal(size=(count, dimensions)).astype(np.float32)
    names = {number: f"cluster {number}" for number in range(1, GROUPS + 1)}
    colours = {number: PALETTES[PALETTE][number] for number in names}
    clusters = Clusters(labels, ids, names, colours, KMeans(clusters=GROUPS))
    xy = (random.normal(size=(count, 2)) + 4 * random.normal(size=(GROUPS + 1, 2))[labels]).astype(
        np.float32
    )
    pictures = random.integers(0, 255, (count, side, side, 3), np.uint8)
    backdrop = Backdrop(pictures, None, np.zeros((count, 2)), np.ones(count))
    embeddings = Embeddings(x, table, "joint", Folder(path=Path(f"drawn-{count}")))
    return ClusteredRun(Path("run"), embeddings, clusters, Projection2D(xy, "drawn"), backdrop)


def _map(count: int, goal: float) -> Iterator[Figure]:
    """A lasso around a third of the map, and another colour for every specimen."""
    run, scatter = drawn(count, side=4), Scatter()
    scatter.resize(600, 700)
    scatter.show()
    scatter.draw(run, ())
    settle()
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    line = run.map.xy.mean(axis=0) + 3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    if count == 100_000:
        held: list[int] = []

        def lasso() -> None:
            held[:] = np.flatnonzero(inside(run.map.xy, line)).tolist()
            scatter.chosen.emit(tuple([run.ids[row] for row in held]), "only")

        yield Figure(f"map-lasso-of-{count}", lambda: median(lasso), "s", 0.1)

    def recolour() -> None:
        by = by_values("mass", run.embeddings.table["mass"])
        scatter.dots.show_specimens(run.map.xy, by.colours, None, np.zeros(0, np.intp))
        settle()

    yield Figure(f"map-recolour-{count}", lambda: median(recolour, 3), "s", goal)
    scatter.close()
    scatter.deleteLater()


def _emerging(viewer: napari.Viewer) -> Iterator[Figure]:
    """Other colours and places for each of 1000 specimens, as a net in training gives them."""
    session, run = session_of(viewer), drawn(1000)
    dock, random = ClustersDock(viewer), np.random.default_rng(0)
    viewer.window.add_dock_widget(dock, area="right")
    session.set_clustered(run)
    settle(session)

    def emerges() -> None:
        order = random.permutation(len(run.ids))
        colouring = Colouring("step", run.colours[order], by_cluster(run.clusters).legend)
        so_far = SoFar(colouring, Projection2D(run.map.xy[order], "so far"))
        session.set_clustered(replace(run, so_far=so_far))
        settle(session)

    yield Figure("map-emerges-1000", lambda: median(emerges), "s", 0.1)
    viewer.window.remove_dock_widget(dock)


def _sheet(count: int, goal: float, viewer: napari.Viewer) -> Iterator[Figure]:
    """From clusters to the sheet on the screen; then looks at a part and all, and a selection."""
    viewer.layers.clear()
    session, run = session_of(viewer), drawn(count)
    _ = run.centres, run.sheet.levels  # as the thread that clusters leaves them
    overlay_of(viewer)

    def opened() -> None:
        session.set_clustered(run)
        settle(session)

    def selected() -> None:
        session.select([run.ids[next(rows)]])
        settle(session)

    yield Figure(f"map-sheet-of-{count}-opens", lambda: seconds(opened), "s", goal)

    # what software draws on a screen takes as long for any picture: ours alone
    levels, rows = run.sheet.painted(run.colours, None).levels, iter(range(1000))
    yield Figure(
        f"map-sheet-of-{count}-close", lambda: median(lambda: levels[0][:1200, :1600]), "s", 0.1
    )
    yield Figure(f"map-sheet-of-{count}-whole", lambda: median(lambda: levels[3][:, :]), "s", 0.3)
    yield Figure(
        f"map-sheet-of-{count}-selects",
        lambda: median(selected),
        "s",
        0.3,
    )


def seconds(act: Callable[[], object]) -> float:
    """How long something takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def median(act: Callable[[], object], rounds: int = 5) -> float:
    """Of some rounds, after one that does not count."""
    act()
    return float(np.median([seconds(act) for _ in range(rounds)]))


def settle(session: Session | None = None) -> None:
    """Let the window draw what is waiting to be drawn, and a session's layers, one in each turn."""
    for _ in range(3):
        QApplication.processEvents()
    while session is not None and session.drawing:
        QApplication.processEvents()


if __name__ == "__main__":
    grouped(int(sys.argv[1]))
