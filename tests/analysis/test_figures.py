"""The figure of clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from napari_phenoscape.analysis import cluster_figure
from napari_phenoscape.analysis._figures import SHOWN, Panel, shown_specimens
from napari_phenoscape.embeddings import Clusters
from napari_phenoscape.errors import RunError
from napari_phenoscape.training import KMeans

RED, GREEN, BLUE = "#ff0000", "#00ff00", "#0000ff"


def panel(labels: list[int], colours: dict[int, str], names: dict[int, str] | None = None) -> Panel:
    """Grey specimens on a line, in clusters of these colours."""
    count = len(labels)
    clusters = Clusters(
        labels=np.array(labels),
        specimens=tuple(f"s{i}" for i in range(count)),
        names=names or {number: f"cluster {number}" for number in colours},
        colours=colours,
        method=KMeans(clusters=2),
    )
    xy = np.stack([np.arange(count), np.zeros(count)], axis=1).astype(np.float32)
    return Panel("title", np.full((count, 32, 32, 3), 128, np.uint8), xy, clusters, "note")


def drawn(path: Path, *panels: Panel) -> NDArray[np.uint8]:
    cluster_figure(panels, path)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def pixels(picture: NDArray[np.uint8], colour: str) -> int:
    wanted = list(bytes.fromhex(colour[1:]))
    return int((picture == wanted).all(axis=-1).sum())


def test_each_panel_is_100_mm_wide_and_shows_its_own_clusters(tmp_path: Path) -> None:
    left, right = panel([1, 1, 2], {1: RED, 2: GREEN}), panel([1, 1, 1], {1: BLUE})
    picture = drawn(tmp_path / "a.png", left, right)
    half = picture.shape[1] // 2
    assert half == round(100 / 25.4 * 200)  # at 200 dots per inch
    shown = [
        [pixels(side, colour) > 0 for colour in (RED, GREEN, BLUE)]
        for side in (picture[:, :half], picture[:, half:])
    ]
    assert shown == [[True, True, False], [False, False, True]]


def test_a_cluster_of_twice_the_specimens_has_twice_the_frames(tmp_path: Path) -> None:
    picture = drawn(tmp_path / "a.png", panel([1, 1, 1, 1, 2, 2], {1: RED, 2: GREEN}))
    sheet = picture[: -round((66 + 12) / 25.4 * 200)]  # above the map and the legend
    assert pixels(sheet, RED) == pytest.approx(2 * pixels(sheet, GREEN), rel=0.05)


def test_names_are_printed_as_they_are(tmp_path: Path) -> None:
    # matplotlib would read the one as a formula, and leave the other out of its legend
    names = {1: r"$\alpha$ & _b", 2: "_hidden"}
    colours = {1: RED, 2: GREEN}
    named = drawn(tmp_path / "a.png", panel([1, 2], colours, names))
    blank = drawn(tmp_path / "b.png", panel([1, 2], colours, {1: " ", 2: " "}))
    legend = slice(-100, None)
    ink = [(picture[legend] < 60).all(axis=-1).sum() for picture in (named, blank)]
    assert ink[0] > ink[1] + 300


def test_all_specimens_are_shown_while_they_can_be_seen() -> None:
    assert shown_specimens(np.ones(SHOWN, int)).tolist() == list(range(SHOWN))


def test_of_many_specimens_each_cluster_shows_its_share_and_at_least_one() -> None:
    labels = np.array([1, 1, 1, 2] * 1000 + [3])
    shown = labels[shown_specimens(labels)]
    assert (shown == 1).sum() == pytest.approx(0.75 * SHOWN, abs=2)
    assert (shown == 2).sum() == pytest.approx(0.25 * SHOWN, abs=2)
    assert (shown == 3).sum() == 1


def test_a_figure_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"nowhere.*cannot be written"):
        cluster_figure([panel([1, 1], {1: RED})], tmp_path / "nowhere" / "a.png")
