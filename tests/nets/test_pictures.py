"""Which bands are red, green and blue in the pictures that a pretrained net sees."""

import numpy as np
import pytest

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.nets._pictures import pictures_of, planes_at


def named(*names: str) -> Bands:
    regions = {"U": "uv", "N": "nir"}
    return Bands(Band(name, region=regions.get(name[0], "vis")) for name in names)


def cube(number: int, first: float = 348.0, last: float = 810.0) -> Bands:
    return Bands(Band(f"{nm:.1f} nm", float(nm)) for nm in np.linspace(first, last, number))


def shown(bands: Bands) -> list[tuple[str, ...]]:
    """Names of the bands that are red, green and blue, by picture."""
    pictures = pictures_of(bands)
    assert set(np.unique(pictures)) <= {0.0, 1.0}
    return [tuple(bands[int(row.argmax())].name for row in picture) for picture in pictures]


@pytest.mark.parametrize(
    ("bands", "expected"),
    [
        (named("grey"), [("grey",) * 3]),
        (named("R", "G", "B"), [("R", "G", "B")]),
        (named("B", "G", "R"), [("R", "G", "B")]),
        (named("R", "G", "B", "UV"), [("R", "G", "B"), ("G", "B", "UV")]),
        (named("R", "G", "B", "NIR"), [("R", "G", "B"), ("NIR", "R", "G")]),
        (
            named("R", "G", "B", "UV_R", "UV_G", "UV_B"),
            [("R", "G", "B"), ("G", "B", "UV_R"), ("UV_G", "UV_B", "UV_B")],
        ),
        (
            named("R", "G", "B", "UV_R", "UV_G", "UV_B", "NIR"),
            [("R", "G", "B"), ("G", "B", "UV_R"), ("NIR", "R", "G"), ("UV_G", "UV_B", "UV_B")],
        ),
        (named("UV_R", "UV_G", "UV_B"), [("UV_R", "UV_G", "UV_B")]),
    ],
    ids=["1", "3", "3 reversed", "4 with UV", "4 with NIR", "6", "7", "UV alone"],
)
def test_few_bands_are_shown_as_people_show_them(bands, expected):
    assert shown(bands) == expected


def test_bands_of_which_nothing_is_known_are_three_to_a_picture():
    bands = Bands(Band(f"b{i}") for i in range(4))
    assert shown(bands) == [("b3", "b2", "b1"), ("b0", "b0", "b0")]


@pytest.mark.parametrize("number", [1, 2, 3, 4, 7, 16, 17, 100, 408])
def test_every_band_is_shown_and_a_plane_is_a_mean(number):
    pictures = pictures_of(cube(number))
    assert pictures.shape[1:] == (3, number)
    np.testing.assert_allclose(pictures.sum(-1), 1)
    assert (pictures.sum((0, 1)) > 0).all()


@pytest.mark.parametrize("number", [100, 408])
def test_many_bands_are_nine_windows_of_which_each_picture_spans_the_spectrum(number):
    bands = cube(number)
    pictures = pictures_of(bands[::-1])[..., ::-1]  # in whichever order the file has them
    centres_nm = pictures @ bands.wavelengths_nm
    # windows of 51 nm, the third to the last red, the first three blue
    expected = 348 + 462 * (np.arange(9)[::-1].reshape(3, 3).T + 0.5) / 9
    np.testing.assert_allclose(centres_nm, expected, atol=2 * 462 / number)
    assert ((pictures > 0).sum(-1) >= number // 9).all()


def test_planes_of_another_camera_are_means_over_their_width_and_zero_where_nobody_looks():
    bands = cube(31, 400, 700)  # every 10 nm
    planes = planes_at(bands, (490.0, 665.0, 1614.0), (60.0, 10.0, 90.0))
    assert np.flatnonzero(planes[0]).tolist() == [6, 7, 8, 9, 10, 11, 12]  # 460-520 nm
    assert np.flatnonzero(planes[1]).tolist() == [25, 26, 27, 28]  # 650-680 nm: within 15
    assert planes.sum(1).tolist() == pytest.approx([1, 1, 0])


def test_colours_that_have_only_names_lie_where_cameras_see_them():
    planes = planes_at(named("R", "G", "B", "UV"), (460.0, 550.0, 640.0), (20.0,) * 3)
    assert planes.tolist() == [[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
