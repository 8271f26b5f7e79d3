"""Specimens are found on a plain background, and what is doubtful about them is said."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from napari_phenoscape.cli import app
from napari_phenoscape.cubes import Band, Bands, Cube, Interpretation, open_cube, read_mask
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import Drawer, Finding, Folder, Found, _at_once, collect, find
from napari_phenoscape.specimens.finding._background import distances, learned


def _script(name: str) -> ModuleType:
    path = Path(__file__).parents[2] / "docs" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


measuring = _script("measure_finding")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """Found masks are kept here."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")
    return tmp_path / "cache" / "found"


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("finding") / "samples"
    return result(write_samples(directory, specimens=24))


def scene(shape: tuple[int, int] = (120, 160), ground: float = 0.6) -> NDArray[np.float32]:
    """(3, H, W) plain paper with noise."""
    noise = np.random.default_rng(0).normal(0, 0.005, (3, *shape))
    return (ground + noise).astype(np.float32)


def disc(shape: tuple[int, int], row: float, column: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.indices(shape)
    return np.asarray(np.hypot(rows - row, columns - column) <= radius)


def cube_of(numbers: NDArray[np.float32]) -> Cube:
    bands = Bands(Band(name, region="vis") for name in "RGB")
    return Cube(numbers, bands, Path("scene.png"))


def found_in(numbers: NDArray[np.float32], finding: Finding | None = None, **more) -> Found:
    return result(find(cube_of(numbers), finding or Finding(), 64, **more))


def words(found: Found) -> list[str]:
    return [piece.word for piece in found.pieces]


@pytest.mark.parametrize("bands", [3, 7, 408])
@pytest.mark.parametrize(("gradient", "noise"), [(0.0, 0.0), (0.3, 0.006)], ids=["plain", "lit"])
def test_the_drawer_without_its_mask_gives_24_of_24(samples, bands, gradient, noise):
    cube = measuring.banded(open_cube(samples / "drawer.bil"), bands)
    truth = read_mask(samples / "drawer_regions.tif")
    found = result(find(measuring.lit(cube, gradient, noise), Finding(), 64))
    assert words(found) == ["clear"] * 24
    assert found.not_plain == ""
    assert measuring.overlaps(truth, found.labels).mean() >= 0.95


def test_regions_are_numbered_as_a_person_does_row_by_row(samples):
    source = Drawer(path=samples / "drawer.bil", regions="auto")
    truth = read_mask(samples / "drawer_regions.tif")
    labels = source.labels(open_cube(samples / "drawer.bil"))
    assert labels is not None
    by_place = [int(np.bincount(labels[truth == number]).argmax()) for number in range(1, 25)]
    assert by_place == list(range(1, 25))


def test_random_drawers_with_a_touching_pair_are_counted():
    exact = 0
    for seed in range(6):
        cube, truth = measuring.drawn_drawer(seed, 7, pairs=1)
        exact += measuring.is_exact(result(find(cube, Finding(), 64)), truth)
    assert exact >= 5


def test_two_discs_that_touch_are_two_and_one_when_they_are_not_to_be_told_apart():
    numbers = scene()
    both = disc((120, 160), 60, 55, 20) | disc((120, 160), 60, 94, 20)
    numbers[:, both] = 0.2
    found = found_in(numbers)
    assert [piece.columns[0] for piece in found.pieces] == [35, 75]
    assert all(abs(piece.area - np.pi * 20**2) < 40 for piece in found.pieces)
    assert len(found_in(numbers, touching=False).pieces) == 1


def test_a_row_of_beads_is_divided_where_its_area_says_so():
    numbers = scene((120, 340))
    for row, column in [(30, 30), (30, 100), (30, 170), (90, 30), (90, 100), (90, 133)]:
        numbers[:, disc((120, 340), row, column, 17)] = 0.2
    assert len(found_in(numbers).pieces) == 6


def test_an_outline_runs_where_half_of_a_pixel_is_specimen():
    numbers, cover = scene(), np.zeros((120, 160), np.float32)
    fine = disc((1200, 1600), 600, 800, 305).reshape(120, 10, 160, 10).mean(axis=(1, 3))
    cover[:] = fine
    numbers = numbers * (1 - cover) + 0.1 * cover
    (piece,) = found_in(numbers).pieces
    assert abs(piece.area - (cover >= 0.5).sum()) <= 8


def test_a_hole_that_shows_the_background_stays_and_a_pale_patch_does_not():
    numbers = scene()
    numbers[:, disc((120, 160), 60, 80, 35)] = 0.2
    numbers[:, disc((120, 160), 60, 65, 8)] = scene()[:, disc((120, 160), 60, 65, 8)]
    numbers[:, disc((120, 160), 60, 97, 8)] = 0.615
    labels = found_in(numbers).labels
    assert labels[60, 65] == 0
    assert labels[60, 97] == 1


def test_light_that_falls_off_is_no_specimen():
    light = np.linspace(0.6, 1.4, 160, dtype=np.float32)
    numbers = scene() * light
    numbers[:, disc((120, 160), 60, 20, 10)] = 0.1
    numbers[:, disc((120, 160), 60, 140, 10)] = 0.3
    assert words(found_in(numbers)) == ["clear", "clear"]


def test_each_piece_has_a_word_and_what_is_doubtful_is_not_used_unless_asked_for():
    numbers = scene((200, 260))
    numbers[:, disc((200, 260), 60, 60, 20)] = 0.2
    numbers[:, disc((200, 260), 150, 0, 20)] = 0.2
    numbers[:, 20:50, 130:190] = 0.3  # a label
    turned = np.abs(
        np.array([[1, 1], [-1, 1]]) @ (np.indices((200, 260)).reshape(2, -1).T - (140, 170)).T
    )
    ruler = ((turned[0] <= 8) & (turned[1] <= 70)).reshape(200, 260)
    numbers[:, ruler] = 0.9
    found = found_in(numbers)
    assert words(found) == ["clear", "rectangle", "touches the edge", "rectangle"]
    by_word = {
        (False, False): {"clear"},
        (True, False): {"clear", "touches the edge"},
        (False, True): {"clear", "rectangle"},
    }
    for (doubtful, cards), expected in by_word.items():
        used = found.used(Finding(doubtful=doubtful, cards=cards))
        assert {piece.word for piece in used} == expected
    assert set(np.unique(found.regions(found.used(Finding())))) == {0, 1}


@pytest.mark.parametrize("roughness", [0.8, 1.2, 1.6])
def test_a_background_that_is_not_plain_is_called_so(roughness):
    cube = measuring.textured(3, roughness)
    numbers = np.array(cube.array)
    numbers[:, disc((240, 320), 120, 160, 40)] = 0.02
    found = result(find(Cube(numbers, cube.bands, cube.path), Finding(), 64))
    assert "not plain" in found.not_plain
    assert found.used(Finding()) == ()
    assert set(words(found)) <= {"background is not plain", "rectangle"}


def test_a_threshold_that_is_said_is_taken():
    numbers = scene()
    numbers[:, disc((120, 160), 60, 40, 20)] = 0.1
    numbers[:, disc((120, 160), 60, 110, 20)] = 0.5
    automatic = found_in(numbers)
    assert len(automatic.pieces) == 2
    (only,) = found_in(numbers, Finding(threshold=60)).pieces
    assert only.columns[0] in (20, 21)


def photograph(path: Path, specimens: list[tuple[int, int]], ground: float = 0.85) -> Path:
    numbers = scene(ground=ground)
    for row, column in specimens:
        numbers[:, disc((120, 160), row, column, 20)] = 0.25
    pixels = np.rint(255 * np.clip(np.moveaxis(numbers, 0, -1), 0, 1)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def test_a_folder_finds_the_specimen_of_each_photograph_and_says_which_it_left_out(tmp_path):
    for name, place in (("a", (60, 60)), ("b", (50, 90)), ("cut", (60, 0))):
        photograph(tmp_path / "in" / f"{name}.png", [place])
    photograph(tmp_path / "in" / "empty.png", [])
    rough = np.moveaxis(np.asarray(measuring.textured(1, 1.2).array), 0, -1)
    Image.fromarray((255 * rough).astype(np.uint8)).save(tmp_path / "in" / "grass.png")
    collection = result(collect(Folder(path=tmp_path / "in", mask="auto")))
    assert [specimen.id for specimen in collection.specimens] == ["a.png", "b.png"]
    assert collection.specimens[0].box == (38, 83, 38, 83)
    _, labels = collection.opened((0,))
    assert abs(int(collection.specimens[0].mask(labels).sum()) - np.pi * 20**2) < 40
    reasons = {skipped.path.name: skipped.reason for skipped in collection.skipped}
    assert set(reasons) == {"cut.png", "empty.png", "grass.png"}
    assert reasons["cut.png"].startswith("It was found at the edge")
    assert "shows nothing of 64 pixels" in reasons["empty.png"]
    also = Folder(path=tmp_path / "in", mask="auto", finding=Finding(doubtful=True))
    assert "cut.png" in [specimen.id for specimen in result(collect(also)).specimens]


def test_what_was_found_is_kept_and_read_again_until_the_file_changes(tmp_path, cache):
    path = photograph(tmp_path / "a.png", [(60, 40), (60, 110)])
    source = Drawer(path=path, regions="auto")
    boxes = [specimen.box for specimen in result(collect(source)).specimens]
    (kept,) = cache.glob("*.tif")
    assert source.outline(path) == kept
    assert kept in list(result(collect(source)).files())
    with tifffile.TiffFile(kept) as file:
        text = file.pages.first.description
        numbers = file.asarray()
    numbers[:60] = 0
    tifffile.imwrite(kept, numbers, description=text, metadata=None)
    halved = result(collect(source)).specimens
    assert [specimen.box[0] for specimen in halved] == [58, 58]
    photograph(path, [(60, 40), (60, 111)])
    assert [specimen.box for specimen in result(collect(source)).specimens] != boxes


def test_regions_that_are_not_used_are_listed_with_the_way_out(tmp_path):
    path = photograph(tmp_path / "drawer.png", [(60, 40), (60, 110), (0, 75)])
    collection = result(collect(Drawer(path=path, regions="auto")))
    assert [specimen.id for specimen in collection.specimens] == ["drawer.png#1", "drawer.png#2"]
    (left,) = collection.skipped
    assert left.path.name == "drawer.png#3"
    assert "finding.doubtful" in left.reason


def test_a_drawer_in_which_nothing_is_used_is_refused_with_what_was_found(tmp_path):
    path = photograph(tmp_path / "drawer.png", [(0, 40), (0, 110)])
    with pytest.raises(CollectionError, match=r"Nothing .* is used \(2 × touches the edge\)"):
        result(collect(Drawer(path=path, regions="auto")))
    photograph(tmp_path / "empty.png", [])
    with pytest.raises(CollectionError, match=r"shows nothing of 64 pixels"):
        result(collect(Drawer(path=tmp_path / "empty.png", regions="auto")))


def test_auto_stays_a_word_in_yaml_and_a_file_of_that_name_is_a_path():
    drawer = Drawer.from_yaml("path: drawer.bil\nregions: auto\n").anchored(Path("/data"))
    assert drawer.regions == "auto"
    assert Drawer.from_yaml(drawer.to_yaml()) == drawer
    other = Drawer(path=Path("drawer.bil"), regions=Path("auto.tif")).anchored(Path("/data"))
    assert other.regions == Path("/data/auto.tif")
    assert Folder.from_yaml("path: moths\nmask: auto\n").mask == "auto"


def test_find_writes_the_regions_that_a_drawer_reads_and_says_each_piece(tmp_path):
    path = photograph(tmp_path / "drawer.png", [(60, 40), (60, 110), (0, 75)])
    output = tmp_path / "regions.tif"
    ran = CliRunner().invoke(app, ["find", str(path), "-o", str(output), "--json"])
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.stdout)
    assert [piece["word"] for piece in said["pieces"]] == ["clear", "clear", "touches the edge"]
    assert [piece["used"] for piece in said["pieces"]] == [True, True, False]
    assert set(np.unique(read_mask(output))) == {0, 1, 2}
    assert len(result(collect(Drawer(path=path, regions=output))).specimens) == 2
    again = CliRunner().invoke(app, ["find", str(path), "-o", str(output)])
    assert again.exit_code == 2
    more = ["find", str(path), "-o", str(output), "--overwrite", "--doubtful"]
    assert "3 specimens of 3 pieces" in CliRunner().invoke(app, more).stdout
    own = CliRunner().invoke(app, ["find", str(path), "-o", str(path), "--overwrite"])
    assert own.exit_code == 2


def test_blocks_give_what_the_whole_gives(monkeypatch):
    cube, _ = measuring.drawn_drawer(0, 7)
    whole = result(find(cube, Finding(), 64)).labels
    monkeypatch.setattr("napari_phenoscape.specimens.finding._background.BLOCK", 7 * 448 * 3)
    np.testing.assert_array_equal(result(find(cube, Finding(), 64)).labels, whole)


def test_the_distance_is_the_root_mean_square_of_the_deviations_from_the_surfaces():
    cube, _ = measuring.drawn_drawer(0, 7)
    background = learned(cube)
    planes = cube.reflectance()
    v, u = np.meshgrid(*(np.linspace(-1, 1, side) for side in planes.shape[1:]), indexing="ij")
    terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v])
    seen = np.tensordot(background.surfaces, terms, 1)
    deviations = (planes - seen) / background.deviation[:, None, None]
    found = result(distances(cube, background))
    np.testing.assert_allclose(found, np.sqrt((deviations**2).mean(axis=0)), rtol=1e-4, atol=1e-4)


def test_photographs_that_are_looked_at_at_once_give_what_they_give_one_by_one(
    tmp_path, monkeypatch
):
    for number in range(9):
        photograph(tmp_path / "in" / f"{number}.png", [(60, 40 + 8 * number)])
    photograph(tmp_path / "in" / "cut.png", [(60, 0)])
    (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
    source = Folder(path=tmp_path / "in", mask="auto")
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    at_once = result(collect(source))
    shutil.rmtree(tmp_path / "cache")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one_by_one = result(collect(source))
    assert at_once.specimens == one_by_one.specimens
    assert at_once.skipped == one_by_one.skipped
    assert len(at_once.specimens) == 9


def test_fewer_are_looked_at_at_once_where_any_is_large_not_only_the_first(tmp_path, monkeypatch):
    small = [photograph(tmp_path / f"{number}.png", [(60, 60)]) for number in range(4)]
    large = tmp_path / "large.png"
    Image.new("RGB", (640, 480)).save(large)
    monkeypatch.setattr(_at_once, "PIXELS", 640 * 480)
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    monkeypatch.delenv("OMP_NUM_THREADS")
    sets = small, [*small, large], [large, *small]
    asked = [_at_once.at_once(paths, Interpretation()) for paths in sets]
    assert asked == [_at_once.MOST_THREADS, 2, 2]
    # of six bands, beside a mask, a pixel counts twice
    Image.new("RGB", (320, 160)).save(large)
    assert _at_once.at_once([*small, large], Interpretation()) == 7
    tifffile.imwrite(large.with_suffix(".tif"), np.ones((7, 160, 320), np.uint16))
    assert _at_once.at_once([*small, large.with_suffix(".tif")], Interpretation()) == 4


def test_as_many_are_read_at_once_as_threads_are_asked_for_or_omp_num_threads_says(
    tmp_path, monkeypatch
):
    paths = [photograph(tmp_path / f"{number}.png", [(60, 60)]) for number in range(4)]
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    asked = [_at_once.at_once(paths, Interpretation(), threads) for threads in (0, 1, 2, 99)]
    assert asked == [3, 1, 2, 6]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert _at_once.at_once(paths, Interpretation()) == 1
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert _at_once.at_once(paths, Interpretation()) == 6
    monkeypatch.setattr(_at_once, "BYTES", 1e9)  # as if little memory were free
    assert _at_once.at_once(paths, Interpretation()) == 1


@pytest.mark.parametrize("level", [0.0, 1e-6, 0.35, 4000.0])
def test_a_picture_of_one_colour_shows_nothing_and_a_number_far_from_all_is_found(level):
    numbers = np.full((3, 120, 160), level, np.float32)
    assert found_in(numbers).pieces == ()
    numbers[:, disc((120, 160), 60, 60, 20)] = 1e30
    assert words(found_in(numbers)) == ["clear"]


def test_pixels_that_were_not_measured_are_no_specimen():
    numbers = scene()
    numbers[:, disc((120, 160), 60, 60, 20)] = 0.2
    numbers[:, disc((120, 160), 60, 120, 20)] = np.nan
    (piece,) = found_in(numbers).pieces
    assert piece.columns[0] == 40
    with pytest.raises(CollectionError, match="holds no pixel that was measured"):
        found_in(np.full((3, 20, 20), np.nan, np.float32))
