"""Samples: seeded, physical, and with the answer that they claim."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from napari_phenoscape.cubes import as_modality, open_cube
from napari_phenoscape.errors import CollectionError, RunError
from napari_phenoscape.events import result
from napari_phenoscape.samples import _pigments as pigments, write_samples
from napari_phenoscape.samples._pigments import WAVELENGTHS_NM
from napari_phenoscape.samples._shapes import Pose
from napari_phenoscape.samples._specimens import (
    CAMERA_NOISE,
    DRAWER_TILE,
    MORPHS,
    individual,
    pattern,
    photograph,
    spectra,
)
from napari_phenoscape.specimens import collect
from napari_phenoscape.training import Experiment

HEADER = "drawer.bil.hdr"


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 specimens, photographed as large as the drawer shows them."""
    directory = tmp_path_factory.mktemp("samples") / "new"
    return result(write_samples(directory, seed=3, specimens=32, size=DRAWER_TILE))


@pytest.fixture(scope="module")
def drawer(samples: Path) -> np.ndarray:
    """(192, 408, 288) reflectance, read as the header says."""
    header = dict(line.split(" = ", 1) for line in (samples / HEADER).read_text().splitlines()[1:])
    assert (header["data type"], header["byte order"], header["interleave"]) == ("12", "0", "bil")
    shape = [int(header[key]) for key in ("lines", "bands", "samples")]
    numbers = np.fromfile(samples / "drawer.bil", "<u2").reshape(shape)
    centres = [float(part) for part in header["wavelength"].strip("{}").split(",")]
    np.testing.assert_allclose(centres, WAVELENGTHS_NM, atol=1e-4)
    return numbers / float(header["reflectance scale factor"])


def digests(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(samples, tmp_path):
    again = result(write_samples(tmp_path / "again", seed=3, specimens=32, size=DRAWER_TILE))
    other = result(write_samples(tmp_path / "other", seed=4, specimens=32, size=DRAWER_TILE))
    assert digests(again) == digests(samples)
    assert digests(other)["drawer.bil"] != digests(samples)["drawer.bil"]


def test_more_specimens_do_not_change_the_first_ones():
    first, more = individual(5, seed=0), individual(6, seed=0)
    assert first == individual(5, seed=0)
    assert first.pose != more.pose


def test_wavelengths_are_the_hyperspectral_cameras():
    assert (WAVELENGTHS_NM[0], round(WAVELENGTHS_NM[-1], 2)) == (348.39, 809.60)
    assert len(WAVELENGTHS_NM) == 408


@pytest.mark.parametrize("number", [0, 1], ids=["aurea", "caerulea"])
def test_morphs_are_the_same_picture_in_rgb_and_not_in_uv(number):
    one = individual(number, seed=0)
    first, second = (
        photograph(dataclasses.replace(one, morph=morph), 64)[0] for morph in MORPHS[one.species]
    )
    np.testing.assert_array_equal(first[:3], second[:3])
    patch = next(spot for spot in pattern(one).spots if spot.element == "uv_patch")
    row, column = (round(place) for place in one.pose.pixel(patch.x, patch.y - 0.1, 64))
    contrast = abs(first[3:, row, column] / 65535 - second[3:, row, column] / 65535)
    assert contrast.min() > 0.1
    assert contrast.max() > 0.3


@pytest.mark.parametrize("number", [0, 1], ids=["aurea", "caerulea"])
def test_morphs_have_the_same_spectra_from_400_nm_on(number):
    one = individual(number, seed=0)
    first, second = (
        np.array(list(spectra(dataclasses.replace(one, morph=morph)).values()))
        for morph in MORPHS[one.species]
    )
    visible = WAVELENGTHS_NM >= 400
    np.testing.assert_array_equal(first[:, visible], second[:, visible])
    assert abs(first - second).max() == pytest.approx(0.5)


def test_the_uv_camera_is_blind_to_the_visible_and_the_rgb_camera_to_the_uv():
    cameras = pigments.white_balanced_cameras()
    assert not cameras[:3, WAVELENGTHS_NM < 400].any()
    assert not cameras[3:, WAVELENGTHS_NM >= 400].any()
    np.testing.assert_allclose(cameras.sum(axis=1), 1)
    centres = cameras @ WAVELENGTHS_NM
    assert list(centres) == sorted(centres, reverse=True)  # R, G, B, UV_R, UV_G, UV_B


@pytest.mark.parametrize(
    ("spectrum", "brighter", "darker"),
    [
        (pigments.eumelanin(3), 800, 350),
        (pigments.pheomelanin(1), 700, 450),
        (pigments.carotenoid(3), 550, 450),
        (pigments.carotenoid(3), 375, 450),
        (pigments.pterin(1.5), 550, 375),
        (pigments.white(0), 350, 349),
        (pigments.white(3), 450, 355),
        (pigments.structural(470, 30, 0.4), 470, 600),
        (pigments.uv_scales(0.5), 355, 390),
    ],
    ids=[
        "eumelanin rises",
        "pheomelanin rises",
        "carotenoid edge",
        "carotenoid UV window",
        "pterin absorbs UV",
        "white is flat",
        "white may hide UV",
        "structural blue",
        "UV scales",
    ],
)
def test_each_material_has_its_own_spectrum(spectrum, brighter, darker):
    assert spectrum.min() >= 0
    assert spectrum.max() <= 1
    bright, dark = (spectrum[abs(WAVELENGTHS_NM - nm).argmin()] for nm in (brighter, darker))
    assert bright >= dark
    if brighter - darker != 1:
        assert bright > 1.4 * dark


def test_kubelka_munk_of_equal_absorption_and_scattering_is_2_minus_root_3():
    assert pigments.eumelanin(1)[abs(WAVELENGTHS_NM - 550).argmin()] == pytest.approx(
        2 - 3**0.5, abs=1e-3
    )


def test_pose_turns_counter_clockwise_and_rows_run_down():
    upright = Pose(rotation_deg=0, row=0, column=0, wing_length=0.5)
    turned = Pose(rotation_deg=90, row=0, column=0.1, wing_length=0.5)
    assert upright.pixel(0, 1, 101) == pytest.approx((50 - 50.5, 50))
    assert turned.pixel(0, 1, 101) == pytest.approx((50, 50 + 10.1 - 50.5))


def test_tiffs_are_one_image_of_seven_16_bit_channels_whose_last_is_the_mask(samples):
    paths = sorted((samples / "multispectral").glob("*/*.tif"))
    assert len(paths) == 32
    assert {path.parent.name for path in paths} == {"Ficta_aurea", "Ficta_caerulea"}
    for path in paths:
        with tifffile.TiffFile(path) as file:
            assert len(file.pages) == 1
            assert file.byteorder == "<"
        image = tifffile.imread(path)
        assert (image.shape, image.dtype) == ((DRAWER_TILE, DRAWER_TILE, 7), np.uint16)
        assert set(np.unique(image[..., 6])) == {0, 65535}
        mask = image[..., 6] > 0
        assert 0.1 < mask.mean() < 0.5
        assert ndimage.label(mask)[1] == 1
        edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert not edge.any()
        assert image[..., :6][mask].max() < 65535  # nothing is overexposed


def test_pictures_are_the_srgb_of_the_tiffs(samples):
    tiff = tifffile.imread(samples / "multispectral/Ficta_aurea/Ficta_aurea_0000_F_Dorsal.tif")
    with Image.open(samples / "rgb/Ficta_aurea_0000_F_Dorsal.png") as picture:
        assert picture.mode == "RGB"
        encoded = np.asarray(picture) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    assert abs(linear - tiff[..., :3] / 65535).max() < 0.005  # half of the steepest 8-bit step


@pytest.mark.parametrize(("kind", "extension"), [("multispectral", "tif"), ("rgb", "png")])
def test_metadata_describes_every_file_and_the_kinds_are_balanced(samples, kind, extension):
    table = pd.read_csv(samples / kind / "metadata.csv")
    files = {path.name for path in (samples / kind).rglob(f"*.{extension}")}
    assert set(table["filename"]) == files
    assert not table.isna().any(axis=None)
    for row in table.itertuples():
        parts = [*row.species.split(), f"{row.individual:04d}", row.sex, row.view]
        assert row.filename == "_".join(parts) + "." + extension
    counts = table.groupby(["species", "morph", "sex"]).size()
    assert list(counts) == [4] * 8


def test_patches_lie_where_the_table_says(samples):
    table = pd.read_csv(samples / "patches.csv")
    patches = table[(table["individual"] == 2) & (table["element"] == "uv_patch")]
    image = tifffile.imread(samples / "multispectral/Ficta_aurea/Ficta_aurea_0002_F_Dorsal.tif")
    assert len(patches) == 2
    for patch in patches.itertuples():
        assert image[round(patch.row), round(patch.column), 5] > 2 * np.median(
            image[..., 5][image[..., 6] > 0]
        )


def test_regions_of_the_drawer_are_its_connected_components(samples):
    regions = tifffile.imread(samples / "drawer_regions.tif")
    table = pd.read_csv(samples / "drawer_metadata.csv")
    components, count = ndimage.label(regions > 0)
    assert count == 24
    assert list(table["region"]) == list(range(1, 25))
    assert np.array_equal(np.unique(regions), np.arange(25))
    pairs = {*zip(components[regions > 0], regions[regions > 0], strict=True)}
    assert len(pairs) == 24
    assert list(table.groupby(["species", "morph", "sex"]).size()) == [3] * 8


def test_the_drawer_seen_through_the_cameras_is_the_photograph(samples, drawer):
    """One tile is drawn as large as the photograph, so they agree pixel by pixel."""
    table = pd.read_csv(samples / "multispectral/metadata.csv").set_index("individual")
    cameras = pigments.white_balanced_cameras()
    for number in (0, 7, 23):
        one = table.loc[number]
        species = one["species"].replace(" ", "_")
        tiff = tifffile.imread(samples / "multispectral" / species / one["filename"])
        row, column = (DRAWER_TILE * place for place in divmod(number, 6))
        tile = drawer[row : row + DRAWER_TILE, :, column : column + DRAWER_TILE]
        seen = np.einsum("bc,rck->rkb", cameras, tile)
        difference = tiff[..., :6] / 65535 - one["exposure"] * seen
        # left: the camera's noise, and what is left of the scanner's after averaging over bands
        assert abs(difference.mean(axis=(0, 1))).max() < 0.002
        assert difference.std() == pytest.approx(CAMERA_NOISE, rel=0.1)
        regions = tifffile.imread(samples / "drawer_regions.tif")
        region = regions[row : row + DRAWER_TILE, column : column + DRAWER_TILE]
        np.testing.assert_array_equal(region == number + 1, tiff[..., 6] > 0)


def test_the_scanned_uv_patch_has_the_spectrum_of_its_scales(samples, drawer):
    one = individual(2, seed=3)
    patch = pattern(one).spots[0]
    row, column = (round(place) for place in one.pose.pixel(patch.x, patch.y, DRAWER_TILE))
    spectrum = drawer[row, :, column + 2 * DRAWER_TILE]
    expected = spectra(one)["pterin with UV scales"]
    assert np.sqrt(np.mean((spectrum - expected) ** 2)) == pytest.approx(0.006, rel=0.15)


def test_the_same_samples_are_found_again_and_not_written_again(samples):
    before = (samples / "drawer.bil").stat().st_mtime_ns
    events = list(write_samples(samples, seed=3, specimens=32, size=DRAWER_TILE))
    assert events == []
    assert (samples / "drawer.bil").stat().st_mtime_ns == before


def test_an_empty_directory_is_filled_and_progress_reaches_its_end(tmp_path):
    events = list(write_samples(tmp_path, specimens=40, size=32, drawer=False))
    assert [(event.done, event.total) for event in events] == [(20, 40), (40, 40)]
    assert (tmp_path / "multispectral/metadata.csv").is_file()
    assert not list(tmp_path.glob("drawer*"))


def test_another_peoples_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="new or an empty folder was expected"):
        result(write_samples(tmp_path, specimens=24, size=32, drawer=False))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_other_samples_are_not_overwritten(tmp_path):
    result(write_samples(tmp_path, specimens=24, size=32, drawer=False))
    with pytest.raises(RunError, match=r"other samples \(seed 0\)"):
        result(write_samples(tmp_path, seed=1, specimens=24, size=32, drawer=False))


def test_samples_that_were_changed_are_not_passed_off_as_the_same(tmp_path):
    result(write_samples(tmp_path, specimens=24, size=32, drawer=False))
    (tmp_path / "patches.csv").write_text("")
    with pytest.raises(RunError, match=r"'.*patches\.csv' is missing or was changed"):
        result(write_samples(tmp_path, specimens=24, size=32, drawer=False))


def test_stopping_in_the_middle_leaves_nothing_behind(tmp_path):
    writing = write_samples(tmp_path / "new", specimens=40, size=32, drawer=False)
    next(writing)
    writing.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("specimens", "size"), [(23, 96), (240, 31)])
def test_too_few_or_too_small_specimens_are_refused(tmp_path, specimens, size):
    with pytest.raises(CollectionError, match=f"{specimens} specimens of {size} pixels"):
        result(write_samples(tmp_path / "new", specimens=specimens, size=size))


def test_experiments_are_read_back_with_their_files_found(samples):
    read = {path.name: Experiment.read(path) for path in samples.glob("*.yaml")}
    assert set(read) == {"rgb-uv.yaml", "rgb.yaml", "drawer.yaml"}
    assert read["rgb-uv.yaml"].collection.path == samples / "multispectral"
    drawer = read["drawer.yaml"].collection
    assert all(path.is_file() for path in (drawer.path, drawer.regions, drawer.metadata))


def test_rgb_and_rgb_uv_experiments_differ_in_their_bands_only(samples):
    with_uv, without = (
        Experiment.read(samples / name).model_dump(exclude={"name", "modalities"})
        for name in ("rgb-uv.yaml", "rgb.yaml")
    )
    assert with_uv == without


def test_all_experiments_collect_every_specimen_with_its_metadata(samples):
    found = {
        name: result(collect(Experiment.read(samples / f"{name}.yaml").collection))
        for name in ("rgb-uv", "rgb", "drawer")
    }
    assert {name: len(each.specimens) for name, each in found.items()} == {
        "rgb-uv": 32,
        "rgb": 32,
        "drawer": 24,
    }
    for collection in found.values():
        assert not collection.metadata["morph"].isna().any()
        assert not collection.skipped


def test_modalities_of_the_samples_are_found_by_the_readers(samples):
    photograph_path = samples / "multispectral/Ficta_aurea/Ficta_aurea_0000_F_Dorsal.tif"
    photographed, scanned = open_cube(photograph_path), open_cube(samples / "drawer.bil")
    assert list(as_modality("rgb+uv").indices(photographed)) == [0, 1, 2, 3, 4, 5]
    assert photographed.mask is not None
    assert len(as_modality("full").indices(scanned)) == 408
    foam = scanned.reflectance(rows=slice(0, 1), columns=slice(0, 1))
    assert foam.mean() == pytest.approx(0.3, abs=0.002)
