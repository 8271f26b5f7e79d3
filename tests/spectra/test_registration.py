"""Photographs in other light lie on each other after `registration`, or are refused."""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

from napari_phenoscape.cli import app
from napari_phenoscape.cubes import Band, Bands, Cube, Interpretation, joined, open_cube
from napari_phenoscape.errors import CubeError, OptionError
from napari_phenoscape.events import result
from napari_phenoscape.samples._specimens import individual, photograph
from napari_phenoscape.spectra import MOST_PX, join, open_joined, registration
from napari_phenoscape.spectra.registering._affine import Tile
from napari_phenoscape.spectra.registering._residual import coherence, misfit


def measuring() -> ModuleType:
    """docs/measure_registration.py, which plants what is found here."""
    name = "measure_registration"
    path = Path(__file__).parents[2] / "docs" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


PLANTED = measuring()

#: Of pairs whose UV has so many channels.
SEEDS = {len(PLANTED.planted(seed).ultraviolet.bands): seed for seed in range(6)}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")


def saved(folder: Path, pair, name: str = "moth") -> tuple[Path, Path]:
    """Both photographs of a pair, as camera pictures would be."""
    paths = folder / f"{name}_vis.tif", folder / f"{name}_uv.tif"
    for path, cube in zip(paths, (pair.visible, pair.ultraviolet), strict=True):
        numbers = np.clip(np.asarray(cube.array) / 2 * 65535, 0, 65535).astype(np.uint16)
        if len(numbers) == 1:
            tifffile.imwrite(path, numbers[0], photometric="minisblack")
        else:
            how = {"planarconfig": "contig"} if len(numbers) == 3 else {"planarconfig": "separate"}
            kind = "rgb" if len(numbers) == 3 else "minisblack"
            layout = np.moveaxis(numbers, 0, -1) if len(numbers) == 3 else numbers
            tifffile.imwrite(path, layout, photometric=kind, metadata=None, **how)
    return paths


def test_planted_turns_scales_and_shifts_are_found_to_half_a_pixel_and_not_said_too_well():
    errors = []
    for seed in range(5):
        pair = PLANTED.planted(seed)
        found = registration(pair.visible, pair.ultraviolet)
        errors.append(pair.error_px(found.matrix))
        assert errors[-1] < found.residual_px < MOST_PX
    assert np.median(errors) < 0.5


def large() -> tuple[Cube, Cube, np.ndarray]:
    """A blob with rays of 1600 pixels, another turned by 5.7° in opposite light, and the map."""
    matrix = np.array([[0.985, -0.098, 70], [0.098, 0.985, -50], [0, 0, 1.0]])
    back, rng = np.linalg.inv(matrix), np.random.default_rng(0)
    rows, columns = np.mgrid[:1200, :1600].astype(float)
    made = []
    for light, noise, by in ((1, 0.005, np.eye(3)), (-0.6, 0.015, back)):
        x, y = (by[i, 0] * columns + by[i, 1] * rows + by[i, 2] for i in (0, 1))
        angle = np.arctan2(y - 600, x - 800)
        inside = np.hypot(x - 800, y - 600) < 420 + 60 * np.sin(5 * angle) + 40 * np.cos(angle)
        seen = 0.5 + light * np.where(inside, 0.2 + 0.1 * np.sin(x / 19) * np.cos(y / 23), 0)
        planes = (seen + rng.normal(0, noise, seen.shape))[None].astype(np.float32)
        made.append(Cube(planes, Bands([Band(f"grey {light}")]), Path(f"{light}")))
    return made[0], made[1], matrix


@pytest.mark.slow
def test_larger_photographs_lie_on_each_other_to_half_a_pixel_of_their_own():
    first, other, matrix = large()
    found = registration(first, other)
    corners = np.array([[400, 200, 1], [1200, 200, 1], [400, 1000, 1], [1200, 1000, 1]]).T
    apart = (np.linalg.inv(matrix) @ found.matrix @ corners - corners)[:2]
    assert np.hypot(*apart).max() < 0.5
    assert np.hypot(*apart).max() < found.residual_px < MOST_PX


def test_a_small_specimen_on_much_plain_paper_is_found():
    planes, mask = photograph(individual(0, 0), 150)
    rng, seen = np.random.default_rng(0), np.full((2, 3, 400, 600), 0.35)
    seen[:, :, 120:270, 90:240][:, :, mask] = planes.reshape(2, 3, 150, 150)[:, :, mask] / 65535
    seen[1] = np.roll(seen[1], (4, -7), axis=(1, 2))
    seen += rng.normal(0, 0.005, seen.shape)
    assert mask.sum() < 0.02 * 400 * 600
    cubes = [Cube(one.astype("f4"), Bands(map(Band, "RGB")), Path(str(one.mean()))) for one in seen]
    found = registration(*cubes)
    assert found.residual_px < 2 * MOST_PX  # infinite, when most structure is noise of the paper
    rows, columns = np.nonzero(mask)
    wings = np.stack([columns + 90, rows + 120, np.ones(len(rows))])
    apart = (found.matrix @ wings - wings)[:2] - [[-7], [4]]
    assert np.sqrt((apart**2).sum(axis=0).mean()) < 0.5


@pytest.mark.parametrize("wrong", PLANTED.WRONG)
def test_what_is_no_pair_is_told(wrong):
    pair = PLANTED.planted(3, wrong)
    assert registration(pair.visible, pair.ultraviolet).residual_px > MOST_PX


def test_what_is_stretched_more_than_by_a_tilted_camera_is_another_thing():
    pair = PLANTED.planted(1)
    found = registration(pair.visible, pair.ultraviolet)
    assert not found.doubt(MOST_PX)
    narrow = replace(found, matrix=found.matrix @ np.diag([0.9, 1, 1]))
    assert re.search(r"stretched by 1\d% in one direction, and at most 6%", narrow.doubt(MOST_PX))


def test_noise_is_nothing_that_two_pictures_of_a_disc_tell_in_common():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[-60:60, -60:60]
    discs, marked = [], []
    for _ in range(2):
        seen = (np.hypot(rows, columns) < 40) + rng.normal(0, 0.3, rows.shape)
        discs.append(ndimage.gaussian_filter(seen, 1.5))
        mark = (np.abs(rows) < 4) & (columns > 20) & (columns < 55)
        marked.append(ndimage.gaussian_filter(seen + mark, 1.5))
    assert abs(coherence(*discs)) < 0.1 < coherence(*marked)


def test_noise_that_both_halves_of_a_block_have_by_themselves_is_not_left():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:160, :160]
    seen = np.sin(rows / 5) * np.cos(columns / 6)
    shift = np.array([[1, 0, 0.8], [0, 1, 0], [0, 0, 1]])
    noisy = [seen + rng.normal(0, 0.2, seen.shape) for _ in range(2)]
    exact, off = (misfit([Tile(*noisy)], by, 40, 0.1) for by in (np.eye(3), shift))
    assert exact is not None
    assert off is not None
    assert exact[0] < 0.2
    assert 0.6 < off[0] < 1.0


def test_the_residual_is_in_pixels_of_the_first():
    pair = PLANTED.planted(1)
    fine = Cube(
        ndimage.zoom(np.asarray(pair.visible.array), (1, 4, 4), order=1),
        pair.visible.bands,
        Path("fine"),
    )
    coarse = registration(pair.visible, pair.ultraviolet).residual_px
    assert 2 * coarse < registration(fine, pair.ultraviolet).residual_px < 8 * coarse


def test_a_picture_without_structure_is_infinitely_far_off():
    flat = Cube(np.full((3, 90, 90), 0.5, np.float32), Bands(map(Band, "RGB")), Path("flat"))
    assert registration(flat, flat).residual_px == np.inf


def test_a_cube_that_is_laid_on_another_has_its_bands_there():
    first = Cube(np.zeros((1, 4, 5), np.float32), Bands([Band("grey")]), Path("a"))
    numbers = np.arange(20, dtype=np.float32).reshape(1, 4, 5)
    other = Cube(numbers, Bands([Band("grey")]), Path("b"))
    matrix = np.array([[1, 0, 1], [0, 1, -0.5], [0, 0, 1]])  # one to the right, half a row up
    cube = joined(first, [other], ["vis", "uv"], [matrix])
    assert cube.bands.names == ("grey", "UV")
    assert cube.bands[1].region == "uv"
    expected = np.full((4, 5), np.nan, np.float32)
    expected[1:, :4] = (numbers[0, :3, 1:] + numbers[0, 1:, 1:]) / 2
    np.testing.assert_array_equal(cube.array[1], expected)
    np.testing.assert_array_equal(cube.array[1, 1:3, 2:4], expected[1:3, 2:4])


def test_a_finer_photograph_is_averaged_where_it_is_laid_on_a_coarser_one():
    first = Cube(np.zeros((1, 2, 2), np.float32), Bands([Band("grey")]), Path("a"))
    fine = np.array([[[0, 2, 4, 4], [2, 0, 4, 4], [1, 1, 0, 9], [1, 1, 9, 0]]], np.float32)
    other = Cube(fine, Bands([Band("grey")]), Path("b"))
    cube = joined(
        first, [other], ["vis", "nir"], [np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1.0]])]
    )
    np.testing.assert_allclose(cube.array[1], [[1, 4], [1, 4.5]])


@pytest.mark.parametrize(
    ("count", "names"), [(1, ["UV"]), (2, ["UV_B", "UV_R"]), (3, ["UV_R", "UV_G", "UV_B"])]
)
def test_uv_of_one_two_or_three_channels_becomes_bands(tmp_path, count, names):
    paths = saved(tmp_path, PLANTED.planted(SEEDS[count]))
    said = Interpretation(names=("UV_B", "UV_R")) if count == 2 else None
    cube, (found,) = open_joined(paths, ("vis", "uv"), others_read_as=said)
    assert list(cube.bands.names) == ["R", "G", "B", *names]
    assert {band.region for band in cube.bands[3:]} == {"uv"}
    assert found.residual_px < MOST_PX
    result(join(paths, tmp_path / "joined.tif", others_read_as=said))
    again = open_cube(tmp_path / "joined.tif")
    assert again.bands == cube.bands
    np.testing.assert_array_equal(again.array, np.asarray(cube.array))


def test_how_photographs_lie_is_found_once_and_anew_when_they_change(tmp_path, monkeypatch):
    paths = saved(tmp_path, PLANTED.planted(SEEDS[3]))
    asked = []
    kept = "napari_phenoscape.spectra.registering._join.registration"
    monkeypatch.setattr(kept, lambda *cubes: asked.append(cubes) or registration(*cubes))
    _, first = open_joined(paths, ("vis", "uv"))
    _, second = open_joined(paths, ("vis", "uv"))
    assert len(asked) == 1
    np.testing.assert_array_equal(first[0].matrix, second[0].matrix)
    saved(tmp_path, PLANTED.planted(SEEDS[1]))
    open_joined(paths, ("vis", "uv"))
    assert len(asked) == 2


def test_a_standard_in_the_picture_makes_both_parts_reflectance(tmp_path):
    pair = PLANTED.planted(SEEDS[3])
    for cube in (pair.visible, pair.ultraviolet):  # light and exposure of each
        cube.array[...] = np.maximum(cube.array, 0) * (0.9 if cube is pair.visible else 0.3)
    centre = pair.visible.shape[1] // 2  # which both show
    low, high = centre - 16, centre + 16
    np.asarray(pair.visible.array)[:, low:high, low:high] = 0.8 * 0.9
    rows, columns = np.mgrid[: pair.ultraviolet.shape[1], : pair.ultraviolet.shape[2]]
    back = np.linalg.inv(pair.matrix)
    x, y = (back[i, 0] * columns + back[i, 1] * rows + back[i, 2] for i in (0, 1))
    inside = (np.minimum(x, y) > low) & (np.maximum(x, y) < high - 1)
    np.asarray(pair.ultraviolet.array)[:, inside] = 0.8 * 0.3
    paths = saved(tmp_path, pair)
    output = tmp_path / "moth.tif"
    done = CliRunner().invoke(
        app,
        [
            *("join", *map(str, paths), "-o", str(output)),
            *("--white-region", f"{low + 6}:{centre},{low + 6}:{high - 6}", "--panel", "0.8"),
        ],
    )
    assert done.exit_code == 0, done.output
    lower = slice(centre, high - 6), slice(low + 6, high - 6)  # of the same grey, not asked for
    patch = open_cube(output).reflectance(rows=lower[0], columns=lower[1])
    np.testing.assert_allclose(patch, 0.8, atol=0.01)


def test_numbers_that_end_before_their_type_does_are_said_to(tmp_path):
    paths = saved(tmp_path, PLANTED.planted(SEEDS[3]))
    made = []
    for more in ([], ["--full-scale", "4095"], ["--full-scale", "4095", "--other-full-scale", "1"]):
        output = tmp_path / f"moth{len(made)}.tif"
        words = ["join", *map(str, paths), "-o", str(output), *more]
        assert CliRunner().invoke(app, words).exit_code == 0
        cube = open_cube(output)
        middle = cube.shape[1] // 2
        made.append(cube.reflectance()[:, middle, middle])
    np.testing.assert_allclose(made[1] / made[0], 65535 / 4095, rtol=1e-4)
    np.testing.assert_allclose(made[2][:3], made[1][:3])
    np.testing.assert_allclose(made[2][3:], 4095 * made[1][3:], rtol=1e-4)


def test_the_command_refuses_what_does_not_lie_on_it_in_a_sentence(tmp_path):
    paths = saved(tmp_path, PLANTED.planted(3, "another specimen"))
    done = CliRunner().invoke(app, ["join", *map(str, paths), "-o", str(tmp_path / "moth.tif")])
    assert done.exit_code == 2
    assert "'moth_uv.tif' does not lie on 'moth_vis.tif'" in " ".join(done.output.split())
    assert not (tmp_path / "moth.tif").exists()


def test_the_limit_is_the_users(tmp_path):
    paths = saved(tmp_path, PLANTED.planted(SEEDS[3]))
    with pytest.raises(CubeError, match=r"pixels of the first are left, and at most 0.01"):
        open_joined(paths, ("vis", "uv"), most_residual_px=0.01)


def test_as_many_photographs_as_parts_are_expected(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(OptionError, match=r"1 photographs and 2 names .* \(vis, uv\)"):
        result(join([tmp_path / "a.png"], tmp_path / "b.tif"))


def test_a_part_that_is_nearly_one_of_the_spectrum_is_asked_about(tmp_path):
    words = ["join", "a.png", "b.png", "-o", str(tmp_path / "c.tif"), "--parts"]
    done = CliRunner().invoke(app, [*words, "vis,uvv"])
    assert done.exit_code == 2
    assert "'uvv' names no part of the spectrum (--parts). Did you mean 'uv'?" in done.stderr
    assert "(--parts)" not in CliRunner().invoke(app, [*words, "vis,fluorescence"]).stderr
