"""Catches from the command line: as a cube that is a collection like any other, and as a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from typer.testing import CliRunner

from napari_phenoscape.cli import app
from napari_phenoscape.collection import Folder, collect
from napari_phenoscape.cube import Band, Cube, as_modality
from napari_phenoscape.events import result
from napari_phenoscape.io import open_cube
from napari_phenoscape.io.write import write_cube
from napari_phenoscape.store import prepare
from napari_phenoscape.vision import cone_catch, illuminant, read_eye
from napari_phenoscape.vision.colours import colours_table

NM = np.arange(340, 721, 5.0)


def run(*words: str) -> str:
    found = CliRunner().invoke(app, list(words))
    assert found.exit_code == 0, found.output
    return found.output


def scan(folder: Path, name: str = "wing", *, seed: int = 0) -> Path:
    """A cube of 6 × 8 pixels: left half a grey of 0.5, right half red feathers; UV differs."""
    uv = np.random.default_rng(seed).uniform(0.1, 0.5)
    red = np.where(NM < 400, uv, 0.1 + 0.6 / (1 + np.exp((580 - NM) / 10)))
    array = np.full((len(NM), 6, 8), 0.5, "f4")
    array[:, :, 4:] = red[:, None, None]
    path = folder / f"{name}.bil"
    cube = Cube(array, tuple(Band(f"{nm:g} nm", nm) for nm in NM), path)
    result(write_cube(cube, path))
    return path


@pytest.mark.parametrize("ending", ["bil", "tif"])
@pytest.mark.parametrize("light", ["d65", "equal-quanta"])
def test_a_cube_of_catches_is_written_and_reads_back(tmp_path, ending, light):
    path = scan(tmp_path)
    said = run(
        "convert", str(path), "-o", str(tmp_path / f"b.{ending}"),
        "--vision", "bird-uv", "--illuminant", light,
    )  # fmt: skip
    assert f"'bird-uv' (Endler & Mielke 2005) in the light '{light}'" in said
    assert "of what the receptor uv would catch of white is seen" in said
    after = open_cube(tmp_path / f"b.{ending}")
    expected = cone_catch(open_cube(path), read_eye("bird-uv"), illuminant(light))
    assert after.bands == expected.bands
    np.testing.assert_array_equal(after.reflectance(), expected.reflectance())
    np.testing.assert_allclose(after.reflectance()[:, :, :4], 0.5, rtol=1e-6)


def test_catches_are_a_collection_like_any_other(tmp_path):
    scans, seen = tmp_path / "scans", tmp_path / "seen"
    scans.mkdir()
    seen.mkdir()
    for seed in range(3):
        path = scan(scans, f"wing{seed}", seed=seed)
        run("convert", str(path), "-o", str(seen / f"wing{seed}.tif"), "--vision", "bird-uv")
    collection = result(collect(Folder(path=seen)))
    crops = result(prepare(collection, [as_modality(name) for name in ("uv", "full")], 8))
    assert [band.name for band in crops.bands] == ["uv", "sw", "mw", "lw", "dbl"]
    assert crops.modalities["uv"].tolist() == [0]
    # of the red half, the ultraviolet differs between the specimens and the rest does not
    spread = crops.images[:, :, 3, 6].std(axis=0)
    assert spread[0] > 0.03
    assert spread[2:].max() < 0.01


def test_the_colours_of_regions_are_a_table(tmp_path):
    path = scan(tmp_path)
    regions = np.ones((6, 8), "u1")
    regions[:, 4:] = 2
    tifffile.imwrite(tmp_path / "regions.tif", regions)
    said = run(
        "spectra", str(path), "-o", str(tmp_path / "s.csv"),
        "--regions", str(tmp_path / "regions.tif"), "--vision", "bird-uv",
    )  # fmt: skip
    assert "s-bird-uv.csv" in said
    table = pd.read_csv(tmp_path / "s-bird-uv.csv")
    assert table.columns.tolist() == [
        "name", "uv", "sw", "mw", "lw", "dbl", "uv_share", "sw_share", "mw_share", "lw_share",
        "x", "y", "z", "theta", "phi", "r", "r_max", "r_achieved",
    ]  # fmt: skip
    grey, red = table.to_dict("records")
    assert grey["name"] == "wing 1"
    assert [grey[cone] for cone in ("uv", "sw", "mw", "lw", "dbl")] == pytest.approx([0.5] * 5)
    assert grey["r"] == pytest.approx(0, abs=1e-5)
    # the long-waved cone catches most of red feathers, so they lie towards its corner
    assert red["lw"] > red["uv"] > red["mw"] > red["sw"]
    assert red["x"] > 0.1
    assert 0 < red["r_achieved"] < 1
    assert len(pd.read_csv(tmp_path / "s.csv").columns) == 3  # wl, two regions


def test_three_cones_have_shares_and_no_tetrahedron():
    table = colours_table(read_eye("human"), [("leaf", np.array([0.1, 0.3, 0.1]))])
    assert table.columns.tolist() == [
        "name", "sw", "mw", "lw", "sw_share", "mw_share", "lw_share",
    ]  # fmt: skip
    assert table.loc[0, "mw_share"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--vision", "hawk"], "no visual system 'hawk'"),
        (["--illuminant", "d65"], "--illuminant d65 was given without --vision"),
        (["--vision", "bird-v", "--index", "R550"], "More than one of a band index"),
        (["--vision", "honeybee", "--modality", "vis"], "receptor uv of 'honeybee'"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, words, said):
    path = scan(tmp_path)
    found = CliRunner().invoke(app, ["convert", str(path), "-o", str(tmp_path / "b.tif"), *words])
    assert found.exit_code == 2
    assert said in found.output
    assert not (tmp_path / "b.tif").exists()


def test_a_table_for_an_eye_that_the_cube_does_not_suit_is_refused(tmp_path):
    path = scan(tmp_path)
    words = ["spectra", str(path), "-o", str(tmp_path / "s.csv")]
    for more, said in (
        (["--vision", "honeybee"], "sees 68% of what the receptor uv of 'honeybee'"),
        (["--illuminant", "d65"], "--illuminant d65 was given without --vision"),
    ):
        found = CliRunner().invoke(app, [*words, *more])
        assert (found.exit_code, said in found.output) == (2, True)
    assert not (tmp_path / "s.csv").exists()
