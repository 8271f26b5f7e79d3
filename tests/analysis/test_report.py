"""The report: one page, whole, honest about what it shows, and no stranger's script in it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_phenoscape.analysis import _figures, report
from napari_phenoscape.cli import app
from napari_phenoscape.embeddings import (
    clusters_path,
    read_clusters,
    read_embeddings,
    regrouped,
    write_clusters,
)
from napari_phenoscape.errors import MissingFileError, OptionError, RunError
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import Experiment, KMeans, train

HOSTILE = "<script>alert(1)</script>&'\".tif"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two kinds of discs, one with a name that is no name; and a file that is left out."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "discs").mkdir()
    rng = np.random.default_rng(0)
    inside = np.hypot(*(np.mgrid[:32, :32] - 15.5)) < 12
    for number in range(12):
        colour = [(0.7, 0.2, 0.1), (0.1, 0.3, 0.8)][number % 2]
        picture = rng.normal(0, 0.03, (32, 32, 3)) + colour
        whole = np.dstack([np.clip(picture, 0, 1) * 255, inside * 255]).astype(np.uint8)
        name = HOSTILE if number == 0 else f"disc{number:02}.tif"
        tifffile.imwrite(folder / "discs" / name.replace("/", "∕"), whole, photometric="rgb")
    (folder / "discs" / "torn.tif").write_bytes(b"II*\0")
    return result(train(experiment(folder)))


def experiment(folder: Path) -> Experiment:
    source = Folder(path=folder / "discs")
    return Experiment(
        collection=source,
        image_size=32,
        method="instant",
        grouping={"map": "pca"},
        runs=folder / "runs",
    )


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    """Of a run that was neither embedded nor clustered before."""
    path = result(report(run))
    assert path == run / "report.html"
    return path.read_text("utf-8")


def test_it_is_one_file_that_asks_for_no_other(page: str) -> None:
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", page)
    assert not re.findall(r"@import|url\(|<link|<iframe", page)


def test_each_specimen_is_a_picture_and_a_dot_in_the_colour_of_its_cluster(
    page: str, run: Path
) -> None:
    clusters = read_clusters(clusters_path(run, read_embeddings(run)))
    colours = [clusters.colours[label] for label in clusters.labels.tolist()]
    dots = re.findall(r'<circle [^>]*fill="(#\w+)" data-row="(\d+)"', page)
    assert [colours[int(row)] for _, row in dots] == [colour for colour, _ in dots]
    pictures = re.findall(r'data-row="(\d+)" style="border-color: (#\w+)"', page.replace("\n", ""))
    assert (
        sorted(int(row) for row, _ in pictures)
        == list(range(12))
        == sorted(int(r) for _, r in dots)
    )
    assert all(colours[int(row)] == colour for row, colour in pictures)


def test_names_cannot_put_a_script_into_the_page(page: str) -> None:
    assert "alert(1)" in page
    assert page.count("<script>") == 1
    assert "<script>alert" not in page


@pytest.mark.parametrize(
    "name", ["<script>alert(2)</script>", "</pre><img src=x onerror=alert(2)>"]
)
def test_names_of_a_strangers_clusters_cannot_either(run: Path, tmp_path: Path, name: str) -> None:
    run = Path(shutil.copytree(run, tmp_path / "run"))
    result(report(run))
    path = clusters_path(run, read_embeddings(run))
    clusters = read_clusters(path)
    write_clusters(replace(clusters, names=dict.fromkeys(clusters.names, name)), path)
    result(report(run, tmp_path / "page.html"))
    text = (tmp_path / "page.html").read_text("utf-8")
    assert name.replace("<", "&lt;").replace(">", "&gt;") in text
    assert name not in text


def test_colours_of_a_strangers_clusters_ask_for_nothing(run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(run, tmp_path / "run"))
    result(report(run))
    path = clusters_path(run, read_embeddings(run))
    clusters = read_clusters(path)
    colour = "#ff0000; background: url(https://example.org/seen.png)"
    write_clusters(replace(clusters, colours=dict.fromkeys(clusters.colours, colour)), path)
    with pytest.raises(RunError, match=r"'#ff0000; background.*' is no colour"):
        result(report(run, tmp_path / "page.html"))


def test_a_page_of_html_has_no_other_ending(run: Path, tmp_path: Path) -> None:
    with pytest.raises(
        OptionError, match=r"'a\.pdf' ends in '\.pdf'; a report is written as \.html"
    ):
        result(report(run, tmp_path / "a.pdf"))
    assert not list(tmp_path.iterdir())


def test_it_says_what_was_left_out_and_how_it_was_made(page: str, run: Path) -> None:
    assert "torn.tif" in page
    assert "12 specimens were cropped" in page
    assert re.search(
        r"kmeans \(clusters \d+\), their number chosen by silhouette and stability", page
    )
    assert "Fisher 1936" in page
    assert "Chen et al. 2020, SimCLR" not in page  # nothing was trained
    assert str(Path.home()) not in page


def test_clusters_that_were_changed_by_hand_stay(run: Path, tmp_path: Path, page: str) -> None:
    run = Path(shutil.copytree(run, tmp_path / "run"))
    embeddings = read_embeddings(run)
    path = clusters_path(run, embeddings)
    clusters = read_clusters(path)
    one = regrouped(clusters, embeddings.ids, embeddings.x, KMeans(clusters=3))
    write_clusters(replace(one, xy=None, map=None), path)
    result(report(run, tmp_path / "page.html"))
    assert read_clusters(path).labels.tolist() == one.labels.tolist()
    assert len(one.names) == 3
    text = (tmp_path / "page.html").read_text("utf-8")
    assert all(f"{name}</" in text for name in one.names.values())


def test_a_page_is_made_anew_and_elsewhere(run: Path, tmp_path: Path, page: str) -> None:
    first = result(report(run, tmp_path / "a.html")).read_bytes()
    assert result(report(run, tmp_path / "b.html")).read_bytes() == first


def test_a_kill_leaves_nothing_among_the_temporary_files(
    run: Path, tmp_path: Path, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> str:
        raise AssertionError("a folder was made that a kill would leave")

    monkeypatch.setattr(tempfile, "mkdtemp", refused)
    assert result(report(run, tmp_path / "page.html")).is_file()


def test_of_many_specimens_some_are_shown_and_the_page_says_so(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.setattr(_figures, "SHOWN", 6)
    few = result(report(run, tmp_path / "few.html")).read_text("utf-8")
    shown = few.count("<circle")
    assert 6 <= shown < 12
    assert f"{shown} of 12 are shown" in few


def test_what_is_no_run_is_refused_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="not a run directory"):
        result(report(tmp_path, tmp_path / "a.html"))
    assert not list(tmp_path.iterdir())


def test_from_the_command_line_no_file_is_replaced_unasked(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.html"
    target.write_text("mine")
    refused = CliRunner().invoke(app, ["report", str(run), "-o", str(target)])
    assert refused.exit_code == 2
    assert target.read_text() == "mine"
    assert (
        not CliRunner()
        .invoke(app, ["report", str(run), "-o", str(target), "--overwrite"])
        .exit_code
    )
    assert target.read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_in_a_browser_the_first_specimen_has_its_card(run: Path, page: str) -> None:
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    dom = subprocess.run(
        [*command, (run / "report.html").as_uri()], capture_output=True, text=True, timeout=60
    ).stdout
    card = dom[dom.index('<div id="card">') :]
    assert card.startswith('<div id="card"><img')
    assert len(re.findall(r'class="on"', dom)) == 2
