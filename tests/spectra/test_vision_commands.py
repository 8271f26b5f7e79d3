"""Catches from the command line: as a cube that is a collection like any other, and as a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from typer.testing import CliRunner

from napari_phenoscape.cli._console import app
from napari_phenoscape.cubes import Band, Bands, Cube, Modality, as_modality, open_cube, write_cube
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Folder, collect, prepare
from napari_phenoscape.spectra import colours_table, cone_catch, illuminant, read_eye

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
    cube = Cube(array, Bands(Band(f"{nm:g} nm", nm) for nm in NM), path)
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
    assert f"'bird-uv' (blue tit, Hart et al. 2000) in the light '{light}'" in said
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
    assert [band.name for band in crops.bands] == ["uv", "lw", "mw", "sw", "dbl"]
    assert crops.modalities["uv"].tolist() == [0]
    # of the red half, the ultraviolet differs between the specimens and the rest does not
    spread = crops.images[:, :, 3, 6].std(axis=0)
    assert spread[0] > 0.03
    assert spread[1:3].max() < 0.01


def test_catches_are_modalities_by_name_beside_the_bands(tmp_path):
    for seed in range(3):
        scan(tmp_path, f"wing{seed}", seed=seed)
    tit = tmp_path / "tit.csv"
    tit.write_text("receptor,peak_nm\nuv,371\nlw,563\n")
    collection = result(collect(Folder(path=tmp_path, pattern="*.bil")))
    names = ("full", "bird-uv+uv", Modality(name="tit", eye=tit))
    crops = result(prepare(collection, [as_modality(name) for name in names], 8))
    assert len(crops.modalities["full"]) == len(NM)  # and no catch among them
    own, tits = (crops.modalities[name] for name in ("bird-uv+uv", "tit"))
    assert [crops.bands[i].name for i in own[:5]] == [
        "bird-uv lw", "bird-uv mw", "bird-uv sw", "bird-uv uv", "bird-uv dbl",
    ]  # fmt: skip
    assert [crops.bands[i].name for i in own[5:]] == [f"{nm:g} nm" for nm in NM if nm < 400]
    assert [crops.bands[i].name for i in tits] == ["tit uv", "tit lw"]
    first = open_cube(tmp_path / "wing0.bil")
    for index, eye in ((own[:5], read_eye("bird-uv")), (tits, read_eye(str(tit)))):
        expected = cone_catch(first, eye).reflectance()[:, 3, 6]
        np.testing.assert_allclose(crops.images[0, index, 3, 6], expected, rtol=1e-5)


def test_kept_crops_are_made_again_when_the_eye_has_changed(tmp_path):
    for seed in range(2):
        scan(tmp_path, f"wing{seed}", seed=seed)
    collection = result(collect(Folder(path=tmp_path, pattern="*.bil")))
    eye = tmp_path / "eye.csv"
    uv = []
    for peak in (371, 371, 500):
        eye.write_text(f"receptor,peak_nm\none,{peak}\n")
        modality = Modality(name="mine", eye=eye)
        crops = result(prepare(collection, [modality], 8, folder=tmp_path / "kept", keep=True))
        uv.append(crops.images[0][0, 3, 6])
    assert uv[0] == uv[1] != uv[2]


def test_an_eye_alone_that_the_cubes_do_not_suit_is_refused(tmp_path):
    for seed in range(2):
        scan(tmp_path, f"wing{seed}")
    collection = result(collect(Folder(path=tmp_path, pattern="*.bil")))
    with pytest.raises(BandMismatchError, match="sees 68% of what the receptor uv of 'honeybee'"):
        result(prepare(collection, [as_modality("honeybee")], 8))
    with pytest.raises(BandMismatchError, match="no catches for the modality 'honeybee'"):
        result(prepare(collection, [as_modality(name) for name in ("vis", "honeybee")], 8))
    # nor are the bands beside it taken for all that was asked for
    with pytest.raises(BandMismatchError, match=r"no catches for the modality 'vis\+honeybee'"):
        result(prepare(collection, [as_modality(name) for name in ("uv", "vis+honeybee")], 8))


def test_a_net_learns_from_catches_by_name(tmp_path):
    for seed in range(4):
        scan(tmp_path, f"wing{seed}", seed=seed)
    yaml = tmp_path / "birds.yaml"
    yaml.write_text(
        "collection: {kind: folder, path: ., pattern: '*.bil'}\n"
        "modalities: [bird-uv]\nimage_size: 32\n"
        "schedule: {steps: 1, batch_size: 4}\n"
    )
    run("train", str(yaml))
    (directory,) = (tmp_path / "runs").iterdir()
    run("embed", str(directory))
    assert len(pd.read_parquet(directory / "embeddings" / "bird-uv.parquet")) == 4


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
        "name", "lw", "mw", "sw", "uv", "dbl", "uv_share", "sw_share", "mw_share", "lw_share",
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
    table = colours_table(read_eye("human"), [("leaf", np.array([0.2, 0.3, 0.0]))])
    assert table.columns.tolist() == [
        "name", "lw", "mw", "sw", "sw_share", "mw_share", "lw_share",
    ]  # fmt: skip
    assert table.loc[0, "mw_share"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--vision", "hawk"], "no visual system 'hawk'"),
        (["--illuminant", "d65"], "--illuminant d65 was given without --vision"),
        (["--vision", "bird-v", "--index", "R550"], "More than one of --index"),
        (["--vision", "honeybee", "--modality", "vis"], "receptor uv of 'honeybee'"),
        (["--modality", "bird-uv"], "no catches for the modality 'bird-uv'"),
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
