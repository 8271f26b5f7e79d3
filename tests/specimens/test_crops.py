"""Crops: what the network gets of each specimen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_phenoscape.cubes import Band, Bands, Cube, Modality, as_modality
from napari_phenoscape.errors import BandMismatchError, CollectionError
from napari_phenoscape.events import Event, Notice, Progress, result
from napari_phenoscape.specimens import (
    BandStatistics,
    Collection,
    Crops,
    Drawer,
    Folder,
    Specimen,
    collect,
    prepare,
)
from napari_phenoscape.specimens.crops import _prepare as store
from napari_phenoscape.specimens.crops._reading import resampling

BANDS = Bands([Band("R", 640.0), Band("G", 550.0), Band("B", 460.0), Band("UV", 365.0)])


class Held(Collection):
    """Cubes in memory, one specimen in each."""

    def __init__(self, cubes: list[Cube]) -> None:
        specimens = tuple(
            Specimen(f"{i}", cube.path, (0, cube.shape[1], 0, cube.shape[2]))
            for i, cube in enumerate(cubes)
        )
        super().__init__(Folder(path=Path()), specimens, pd.DataFrame(index=range(len(cubes))))
        object.__setattr__(self, "held", cubes)

    def groups(self):
        return ((i,) for i in range(len(self.held)))

    def opened(self, group):
        cube = self.held[group[0]]
        return cube, cube.mask


def cube(pixels: NDArray[np.floating], mask=None, bands=BANDS, name="a.tif", **more) -> Cube:
    array = np.asarray(pixels)
    return Cube(array, bands[: len(array)], Path(name), mask=mask, **more)


def heard(verb: Iterator[Event]) -> tuple[list[Event], Crops]:
    events = []
    while True:
        try:
            events.append(next(verb))
        except StopIteration as end:
            return events, end.value


def crops(*cubes: Cube, modalities=("all",), size=4, **given) -> Crops:
    chosen = [as_modality(each) for each in modalities]
    return result(prepare(Held(list(cubes)), chosen, size, **given))


@pytest.mark.parametrize(
    ("source", "target", "line", "expected"),
    [
        (4, 2, [1, 3, 5, 9], [2, 7]),
        (3, 2, [0, 6, 12], [2, 10]),
        (3, 3, [4, 1, 7], [4, 1, 7]),
        (2, 4, [0, 4], [0, 1, 3, 4]),
        (1, 3, [5], [5, 5, 5]),
    ],
    ids=["half", "two thirds", "same", "double", "one pixel"],
)
def test_lines_of_pixels_are_scaled_as_by_hand(source, target, line, expected):
    weights = resampling(source, target)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(weights @ line, expected, rtol=1e-6)


def test_shrinking_keeps_the_mean_reflectance():
    pixels = np.random.default_rng(0).random((1, 60, 60), dtype=np.float32)
    made = crops(cube(pixels), cube(pixels), size=16)
    assert made.images[0].mean() == pytest.approx(pixels.mean(), rel=1e-5)


def test_numbers_become_reflectance():
    made = crops(*[cube(np.full((1, 4, 4), 50, np.uint8), gain=np.float32(0.01)[...])] * 2)
    assert np.unique(made.images) == np.float32(0.5)


def test_the_longest_side_fills_the_square_and_the_rest_is_the_band_mean_outside_the_mask():
    wide = np.stack([np.full((2, 8), 0.2), np.full((2, 8), 0.6)])
    made = crops(cube(wide), cube(wide + 0.2))
    assert made.images.shape == (2, 2, 4, 4)
    assert made.images.dtype == np.float32
    assert made.masks[0, 0].tolist() == [[False] * 4, [True] * 4, [False] * 4, [False] * 4]
    np.testing.assert_allclose(made.mean, [0.3, 0.7], rtol=1e-6)
    np.testing.assert_allclose(made.std, [0.1, 0.1], rtol=1e-5)
    np.testing.assert_allclose(made.images[0, :, 1], [[0.2] * 4, [0.6] * 4], rtol=1e-6)
    np.testing.assert_allclose(made.images[0, :, 0], [[0.3] * 4, [0.7] * 4], rtol=1e-6)


def test_statistics_are_of_the_masked_pixels_alone():
    pixels = np.array([[[1.0, 2.0], [3.0, 100.0]]])
    mask = np.array([[True, True], [True, False]])
    made = crops(cube(pixels, mask), cube(pixels, mask), size=2)
    assert made.mean.tolist() == [2]
    np.testing.assert_allclose(made.std, [np.sqrt(2 / 3)], rtol=1e-6)
    assert made.images[0, 0, 1, 1] == 100  # the background is kept


def test_a_specimen_weighs_the_same_in_the_statistics_however_large_its_photograph():
    made = crops(cube(np.zeros((1, 40, 40))), cube(np.ones((1, 4, 4))))
    assert made.mean.tolist() == [0.5]


def test_a_band_that_is_constant_is_not_blown_up():
    made = crops(*[cube(np.full((1, 4, 4), 0.1))] * 2)
    assert made.std.tolist() == [1]


def test_pixels_that_were_not_measured_take_no_part_and_read_as_the_mean():
    pixels = np.full((1, 8, 8), 0.5)
    pixels[0, 0, 0] = np.nan
    pixels[0, 4:, 4:] = np.inf
    made = crops(cube(pixels), cube(np.full((1, 8, 8), 0.25)))
    assert made.mean[0] == pytest.approx((12 * 0.5 + 16 * 0.25) / 28)
    np.testing.assert_allclose(made.images[0, 0, :2], 0.5, rtol=1e-6)
    np.testing.assert_allclose(made.images[0, 0, 2:, 2:], made.mean[0], rtol=1e-6)


def test_what_a_run_knows_takes_the_place_of_the_collections_own_statistics():
    pixels = np.full((2, 4, 8), 0.5)
    pixels[0, 0, 0] = np.nan
    known = {"all": BandStatistics(BANDS[:2], (0.25, 0.75), (0.125, 2.0))}
    made = crops(*[cube(pixels)] * 2, size=8, known=known)
    assert made.statistics == known
    assert made.images[0, 0, 2:6, 1:].tolist() == [[0.5] * 7] * 4
    assert made.images[0, :, 2, 0].tolist() == [0.25, 0.5]  # not measured in R
    around = made.images[0][:, [0, 1, 6, 7]]
    assert (around == np.array([0.25, 0.75])[:, None, None]).all()


@pytest.mark.parametrize(
    ("centres", "expected"),
    [
        ((500, 600, 700), (1, 3, 2)),
        ((700, 500), (2, 1)),
        ((525, 650, 675), (1.5, 2.5, 2.25)),
        ((400, 900), (1, 2)),
    ],
    ids=["the same", "some, in another order", "between", "beyond"],
)
def test_a_spectrum_is_told_in_other_bands_by_wavelength(centres, expected):
    def bands(*centres: float) -> Bands:
        return Bands(Band(f"{nm} nm", float(nm)) for nm in centres)

    known = BandStatistics(bands(500, 600, 700), (1, 3, 2), (10, 30, 20))
    there = known.at(bands(*centres))
    assert there.mean == pytest.approx(expected)
    assert there.std == pytest.approx([10 * value for value in expected])
    # two detectors overlap at 600 nm, and share the weight of that wavelength
    overlap = Bands([*bands(500, 600), Band("b", 600.0), *bands(700)])
    twice = BandStatistics(overlap, (1, 2, 4, 2), (0, 0, 0, 0))
    assert twice.at(bands(*centres)).mean == pytest.approx(expected)


def test_bands_without_wavelengths_that_a_run_does_not_know_keep_their_own_statistics():
    named = Bands([Band("u"), Band("v")])
    known = {"all": BandStatistics(BANDS[:2], (0.25, 0.75), (1.0, 1.0))}
    made = crops(*[cube(np.full((2, 4, 4), 0.5), bands=named)] * 2, known=known)
    assert made.mean.tolist() == [0.5, 0.5]


def test_a_band_that_was_measured_nowhere_is_named():
    pixels = np.ones((2, 4, 4))
    pixels[1] = np.nan
    with pytest.raises(CollectionError, match="'G' was not measured on any specimen"):
        crops(cube(pixels), cube(pixels))


def test_a_specimen_of_which_nothing_was_measured_is_left_out_and_told():
    pixels = np.random.default_rng(0).random((2, 4, 4))
    nothing, outside = np.full((2, 4, 4), np.inf), pixels.copy()
    # what lies around it was measured, it was not
    outside[:, :2] = np.nan
    mask = np.arange(4)[:, None] * np.ones(4) < 2
    cubes = [cube(pixels), cube(nothing), cube(pixels), cube(outside, mask=mask)]
    events, made = heard(prepare(Held(cubes), [as_modality("all")], 4))
    assert made.ids == ("0", "2")
    assert "2 of 4 left out" in events[-1].message
    assert "Nothing of it was measured: every pixel is NaN, infinite" in events[-1].message


def test_reading_in_slabs_changes_nothing(monkeypatch):
    pixels = np.random.default_rng(1).random((3, 23, 17), dtype=np.float32)
    pixels[1, 5:9, 3:8] = np.nan
    whole = crops(cube(pixels), cube(pixels), size=7)
    monkeypatch.setattr("napari_phenoscape.cubes._blocks.BLOCK", 3 * 17 * 2)
    slabs = crops(cube(pixels), cube(pixels), size=7)
    np.testing.assert_allclose(slabs.images, whole.images, rtol=1e-5)


def test_a_specimen_thinner_than_a_pixel_of_the_crop_does_not_vanish():
    mask = np.zeros((64, 64), np.bool_)
    mask[:, 21] = True
    made = crops(*[cube(np.ones((1, 64, 64)), mask)] * 2)
    assert made.masks[0, 0].tolist() == [[False, True, False, False]] * 4


def test_each_band_is_kept_once_and_modalities_point_at_theirs():
    pixels = np.arange(4)[:, None, None] * np.ones((4, 5, 5))
    own = Modality(name="mine", bands=("UV", "G"))
    made = crops(cube(pixels), cube(pixels), modalities=("rgb", own))
    assert [band.name for band in made.bands] == ["R", "G", "B", "UV"]
    assert {name: index.tolist() for name, index in made.modalities.items()} == {
        "rgb": [0, 1, 2],
        "mine": [3, 1],
    }
    assert made.statistics["mine"].bands == (BANDS[3], BANDS[1])
    assert made.images[0, :, 2, 2].tolist() == [0, 1, 2, 3]


def test_cubes_that_share_the_chosen_bands_go_together_wherever_they_keep_them():
    one = np.arange(4)[:, None, None] * np.ones((4, 5, 5))
    made = crops(cube(one), cube(one[2::-1], bands=BANDS[2::-1]), modalities=("rgb",))
    assert made.images[:, :, 2, 2].tolist() == [[0, 1, 2], [0, 1, 2]]


def test_cubes_of_other_bands_are_refused_by_name():
    other = Bands([Band("700 nm", 700.0), *BANDS[1:]])
    pixels = np.ones((4, 5, 5))
    with pytest.raises(
        BandMismatchError, match=r"'b\.tif' has other bands \(4 bands: 365-700 nm; 0 is 700 nm"
    ):
        crops(cube(pixels), cube(pixels, bands=other, name="b.tif"))


def without_uv(count: int = 1) -> list[Cube]:
    """Four bands in two cubes, 0, 1, 2, 3 and twice that; then cubes of 30, 31, 32 without UV."""
    full = [cube(k * np.arange(4)[:, None, None] * np.ones((4, 5, 5))) for k in (1, 2)]
    rgb = np.arange(30, 33)[:, None, None] * np.ones((3, 5, 5))
    return [*full, *[cube(rgb, name=f"rgb{i}.tif") for i in range(count)]]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]], ids=["last", "first"])
def test_a_specimen_without_the_bands_of_one_modality_is_taken_and_told(order):
    cubes = without_uv()
    held = Held([cubes[i] for i in order])
    events, made = heard(prepare(held, [as_modality("rgb"), as_modality("uv")], 4))
    bare = order.index(2)
    assert made.present["rgb"].tolist() == [True] * 3
    assert made.present["uv"].tolist() == [i != bare for i in range(3)]
    assert [band.name for band in made.bands] == ["R", "G", "B", "UV"]
    # mean and spread of the UV band are those of 3 and 6
    np.testing.assert_allclose(made.mean, [10, 34 / 3, 38 / 3, 4.5], rtol=1e-6)
    np.testing.assert_allclose(made.std[3], 1.5, rtol=1e-6)
    np.testing.assert_allclose(made.images[bare, :, 2, 2], [30, 31, 32, 4.5], rtol=1e-6)
    words = f"Without the modality 'uv': 1 of 3 specimens, e.g. '{bare}'."
    assert events[-1] == Notice(words)
    assert made.lacking == words


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]], ids=["last", "first"])
def test_a_specimen_without_any_of_the_modalities_is_left_out_and_told(order):
    swir = cube(np.ones((1, 5, 5)), bands=Bands([Band("1200 nm", 1200.0)]), name="swir.bil")
    cubes = [*without_uv(0), swir]
    verb = prepare(Held([cubes[i] for i in order]), [as_modality("rgb"), as_modality("uv")], 4)
    events, made = heard(verb)
    assert made.ids == tuple(str(place) for place, i in enumerate(order) if i != 2)
    assert made.images.shape == (2, 4, 4, 4)
    assert made.present["uv"].tolist() == [True, True]
    assert [event.message for event in events if isinstance(event, Notice)] == [
        "1 of 3 left out ('swir.bil'): it (1 bands: 1200-1200 nm) has the bands of none of the "
        "modalities rgb, uv. Collect it apart by the collection's 'pattern', or choose a modality "
        "for it."
    ]


def test_other_bands_of_a_modality_are_refused_though_none_would_do():
    other = Bands([*BANDS[:3], Band("UV", 380.0)])
    with pytest.raises(BandMismatchError, match=r"'b\.tif' has other bands .*; 0 is 380 nm\)"):
        crops(
            *without_uv(),
            cube(np.ones((4, 5, 5)), bands=other, name="b.tif"),
            modalities=("rgb", "uv"),
        )


def test_a_modality_of_ones_own_is_lacked_as_a_whole_or_not_at_all():
    own = Modality(name="mine", bands=("UV", "deep UV"))
    assert not own.seen_by(without_uv()[2])
    with pytest.raises(BandMismatchError, match="no band 'deep UV'"):
        crops(*without_uv(), modalities=("rgb", own))


def test_a_modality_that_one_specimen_has_is_refused():
    one, _, rgb = without_uv()
    with pytest.raises(CollectionError, match="Only '1' has bands of the modality 'uv'; at least"):
        crops(rgb, one, rgb, modalities=("rgb", "uv"))


def test_a_modality_that_no_specimen_has_is_refused():
    with pytest.raises(BandMismatchError, match="has no bands for the modality 'nir'"):
        crops(*without_uv(), modalities=("rgb", "nir"))


def test_crops_that_do_not_fit_in_memory_are_refused_before_any_is_made():
    pixels = np.ones((1, 4, 4))
    with pytest.raises(
        CollectionError, match=r"2 specimens of 1 bands .* need 400000000.0 GB"
    ) as e:
        crops(cube(pixels), cube(pixels), size=2 * 10**8)
    assert "smaller image_size" in str(e.value)


@pytest.mark.parametrize("side", [3, 5, 11])
def test_a_tree_of_a_few_pixels_in_369_bands_fills_its_crop(tmp_path, side):
    spectrum = np.linspace(100, 4000, 369).astype(np.int16)
    for name in ("1.tif", "2.tif"):
        pixels = np.broadcast_to(spectrum, (side, side, 369))
        tifffile.imwrite(tmp_path / name, pixels, photometric="minisblack", planarconfig="contig")
    collection = result(collect(Folder(path=tmp_path)))
    made = result(prepare(collection, [as_modality("full")], 16))
    assert made.images.shape == (2, 369, 16, 16)
    assert made.masks.all()
    ratio = made.images[0, :, 8, 8] / made.images[0, -1, 8, 8]
    np.testing.assert_allclose(ratio, spectrum / spectrum[-1], rtol=1e-5)


def test_a_drawer_is_opened_once_for_all_its_specimens(tmp_path, monkeypatch):
    pixels = np.zeros((20, 40, 7), np.uint16)
    for i in range(4):
        pixels[2:12, 10 * i + 1 : 10 * i + 9] = 10000 * (i + 1)
        pixels[2:12, 10 * i + 1 : 10 * i + 9, 6] = 255
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig")
    collection = result(collect(Drawer(path=tmp_path / "a.tif")))
    opened = []
    real = store.Collection.opened.__globals__["open_calibrated"]
    monkeypatch.setattr(
        "napari_phenoscape.specimens.collection._specimens.open_calibrated",
        lambda path, *read_as: opened.append(path) or real(path, *read_as),
    )
    reading = prepare(collection, [as_modality("rgb")], 14)
    assert next(reading) == Progress("reading specimens", 1, 4)
    made = result(reading)
    assert opened == [tmp_path / "a.tif"]
    assert made.ids == ("a.tif#1", "a.tif#2", "a.tif#3", "a.tif#4")
    centre = made.images[:, 0, 7, 7]
    np.testing.assert_allclose(centre / centre[0], [1, 2, 3, 4], rtol=1e-5)
    # box 14 x 12 pixels, at scale 1: the mask is the 10 x 8 that were drawn
    assert made.masks.sum(axis=(1, 2, 3)).tolist() == [80, 80, 80, 80]


def test_pictures_that_are_read_at_once_give_what_they_give_one_by_one(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for number in range(12):
        numbers = rng.integers(0, 255, (30, 40 + number, 3), np.uint8)
        Image.fromarray(numbers).save(tmp_path / f"{number}.png")
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    collection = result(collect(Folder(path=tmp_path)))
    (tmp_path / "3.png").write_bytes(b"no picture")
    tifffile.imwrite(tmp_path / "7.png", np.ones((30, 47), np.uint16))  # without colours
    at_once, one_by_one = (
        heard(prepare(collection, [as_modality("rgb")], 16, threads=threads)) for threads in (4, 1)
    )
    assert at_once[0] == one_by_one[0]
    assert len(at_once[0]) > 10
    many, single = at_once[1], one_by_one[1]
    assert many.left_out == single.left_out
    assert [one.path.name for one in many.left_out] == ["3.png", "7.png"]
    assert (many.ids, many.stamps) == (single.ids, single.stamps)
    for name in ("images", "masks", "mean", "std"):
        assert getattr(many, name).tobytes() == getattr(single, name).tobytes()


@pytest.mark.parametrize("threads", [1, 4])
def test_a_specimen_that_ends_the_reading_ends_it_when_it_is_its_turn(
    tmp_path, monkeypatch, threads
):
    for number in range(12):
        bands = 7 if number in (5, 6) else 8
        numbers = np.full((bands, 30, 40), 100 + number, np.uint16)
        tifffile.imwrite(tmp_path / f"{number}.tif", numbers, photometric="minisblack")
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    reading = prepare(
        result(collect(Folder(path=tmp_path))), [as_modality("all")], 8, threads=threads
    )
    said = [next(reading) for _ in range(5)]
    assert said == [Progress("reading specimens", number, 12) for number in range(1, 6)]
    with pytest.raises(BandMismatchError, match=r"5\.tif"):
        next(reading)


def test_colours_spelt_otherwise_are_the_same_bands() -> None:
    """A PNG has R, G and B; a TIFF beside it may say Red, Green and Blue, in any order."""
    spelt = Bands([Band("Blue"), Band("Green"), Band("Red")])
    ours = np.ones((3, 8, 8)) * np.array([1.0, 2.0, 3.0])[:, None, None]
    cubes = [cube(ours, bands=Bands(map(Band, "RGB"))), cube(ours[::-1], bands=spelt)]
    crops = result(prepare(Held(cubes), [as_modality("rgb")], 8))
    assert crops.bands.names == ("R", "G", "B")
    np.testing.assert_array_equal(crops.images[0], crops.images[1])
