"""Catches: exact on any bands, in quanta, 1 for white; refused where the cube does not see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_phenoscape.cubes import VISUAL_SYSTEMS, Band, Bands, Cube
from napari_phenoscape.errors import BandMismatchError, OptionError
from napari_phenoscape.spectra import (
    ILLUMINANTS,
    VisualSystem,
    catch_weights,
    cone_catch,
    illuminant,
    read_eye,
)
from napari_phenoscape.spectra.vision._curves import Curves

WIDE = np.arange(300, 835, 5.0)


def cube(spectra: object, nm: object = WIDE, **more: object) -> Cube:
    """One row of pixels: (C, n) spectra."""
    array = np.asarray(spectra, "f4")[:, None]
    return Cube(array, Bands(Band(f"{n} nm", n) for n in nm), Path("wing.bil"), **more)


def eye_of(nm: object, *curves: object) -> VisualSystem:
    names = ("uv", "sw", "mw", "lw")[: len(curves)]
    return VisualSystem("made", Curves(names, np.asarray(nm, float), np.array(curves)), "here")


@pytest.mark.parametrize("light", ILLUMINANTS)
@pytest.mark.parametrize("name", VISUAL_SYSTEMS)
def test_every_receptor_catches_half_of_a_grey_of_half(name, light):
    found = cone_catch(cube(np.full((len(WIDE), 1), 0.5)), read_eye(name), illuminant(light))
    np.testing.assert_allclose(found.reflectance(), 0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("light", "half"),
    # of 400-600 nm, what lies below 500: of energy E, E nm photons
    [("equal-quanta", 0.5), ("equal-energy", (500**2 - 400**2) / (600**2 - 400**2))],
)
def test_receptors_count_quanta_and_light_is_made_of_them(light, half):
    nm = np.arange(400, 601, 1.0)
    step = np.where(nm < 500, 1.0, np.where(nm > 500, 0.0, 0.5))[:, None]
    found = cone_catch(cube(step, nm), eye_of([400, 600], [1, 1]), illuminant(light))
    assert found.reflectance()[0, 0, 0] == pytest.approx(half, abs=1e-3)


def test_a_spectrum_that_is_straight_between_uneven_bands_is_caught_exactly():
    rng = np.random.default_rng(3)
    nm = np.unique(np.r_[300, 830, np.arange(300, 830, 25), rng.uniform(300, 830, 30)])
    eye = read_eye("bird-uv")
    sloped = ((nm - 300) / 500)[:, None]
    found = cone_catch(cube(sloped, nm), eye, illuminant("equal-quanta")).reflectance()[:, 0, 0]
    # the catch of a slope is the slope at the middle of the sensitivity
    fine = np.arange(300, 751, 1.0)
    curves = eye.sensitivities.at(fine)
    middle = (curves * fine).sum(axis=1) / curves.sum(axis=1)
    np.testing.assert_allclose(found, (middle - 300) / 500, rtol=1e-5)


def test_repeated_and_unordered_wavelengths_count_once():
    nm = np.r_[WIDE[::-1], WIDE[20:40]]
    values = np.sin(nm / 50)[:, None] / 3 + 0.5
    once = np.sin(WIDE / 50)[:, None] / 3 + 0.5
    eye = read_eye("bird-v")
    np.testing.assert_allclose(
        cone_catch(cube(values, nm), eye).reflectance(),
        cone_catch(cube(once), eye).reflectance(),
        rtol=1e-5,
    )


def test_bands_flagged_as_bad_and_bands_the_eye_does_not_see_do_not_count():
    nm = np.r_[WIDE, 900.0]
    spectra = np.full((len(nm), 1), 0.25)
    spectra[30], spectra[-1] = 99, np.nan
    bands = Bands(Band(f"{n} nm", n, bad=i == 30) for i, n in enumerate(nm))
    found = cone_catch(
        Cube(spectra[:, None].astype("f4"), bands, Path("wing.bil")), read_eye("bird-uv")
    )
    np.testing.assert_allclose(found.reflectance(), 0.25, rtol=1e-6)


def test_what_was_not_measured_is_not_caught():
    spectra = np.full((len(WIDE), 2), 50, "u2")
    spectra[WIDE == 600, 0] = 9
    raw = Cube(
        spectra[:, None], cube(spectra).bands, Path("wing.bil"), np.array(0.01, "f4"),
        ignore_value=9,
    )  # fmt: skip
    found = cone_catch(raw, read_eye("bird-uv")).reflectance()
    # a pixel has all catches or none
    assert np.isnan(found[:, 0, 0]).tolist() == [True] * 5
    np.testing.assert_allclose(found[:, 0, 1], 0.5, rtol=1e-6)


def test_a_cone_catch_cube_is_lazy_and_reads_like_any_other(monkeypatch):
    array = np.random.default_rng(0).uniform(0, 1, (len(WIDE), 9, 7)).astype("f4")
    mask = np.eye(9, 7, dtype=bool)
    scan = Cube(array, cube(array[:, 0]).bands, Path("wing.bil"), mask=mask)
    found = cone_catch(scan, read_eye("bird-uv"))
    assert [band.name for band in found.bands] == ["lw", "mw", "sw", "uv", "dbl"]
    assert [band.region for band in found.bands] == ["vis", "vis", "vis", "uv", "vis"]
    assert found.bands.wavelengths_nm is None
    assert (found.shape, found.array.dtype, found.bands.proposed) == (
        (5, 9, 7),
        np.float32,
        (0, 1, 2),
    )
    assert found.mask is mask
    whole = found.array[...]
    weights, _ = catch_weights(scan, read_eye("bird-uv"), illuminant("d65"))
    np.testing.assert_allclose(whole, np.einsum("kc,chw->khw", weights, array), rtol=1e-5)
    monkeypatch.setattr("napari_phenoscape.cubes._blocks.BLOCK", 1)
    np.testing.assert_allclose(found.array[...], whole, rtol=1e-6)
    for part in ([3, 0], slice(1, None, 3), slice(None, None, -2)), (1, 4, 5):
        np.testing.assert_allclose(found.array[part], whole[part], rtol=1e-6)


def test_what_the_cube_does_not_see_is_told_or_refused():
    visible = np.arange(400, 1001, 5.0)
    spectra = np.full((len(visible), 1), 0.5)
    with pytest.raises(
        BandMismatchError,
        match=r"'wing.bil' \(400-1000 nm\) sees 20% of what the receptor uv of 'bird-uv' \(peak",
    ):
        cone_catch(cube(spectra, visible), read_eye("bird-uv"))
    found = cone_catch(cube(spectra, visible), read_eye("bird-v"))
    assert found.provenance[1:] == (
        "85% of what the receptor uv would catch of white is seen; the rest is taken to be like "
        "it.",
    )
    assert found.provenance[0].startswith("Catches of 'bird-v' (peafowl, Hart 2002)")
    named = replace(read_eye("bird-v"), name="a.csv", source="a.csv")
    assert (
        cone_catch(cube(spectra, visible), named).provenance[0].startswith("Catches of 'a.csv' in")
    )
    np.testing.assert_allclose(found.reflectance(), 0.5, rtol=1e-6)  # white is still 1
    # the ultraviolet of a camera from 348 nm on is enough for birds, not for bees
    from_348 = np.arange(348, 810, 1.13)
    spectra = np.full((len(from_348), 1), 0.5)
    found = cone_catch(cube(spectra, from_348), read_eye("bird-uv"))
    assert found.provenance[1].startswith("86% of what the receptor uv")
    with pytest.raises(BandMismatchError, match="sees 53% of what the receptor uv of 'honeybee'"):
        cone_catch(cube(spectra, from_348), read_eye("honeybee"))
    assert len(cone_catch(cube(spectra, from_348), read_eye("human")).provenance) == 1


@pytest.mark.parametrize(
    ("nm", "words"),
    [
        ([365.0, 450, 550, 640], "sees 0%.*no more than 30 nm apart"),
        (np.arange(900, 1700, 5.0), r"\(900-1695 nm\) sees 0%"),
        ([550.0], "sees 0%"),
    ],
    ids=["four filters", "infrared", "one band"],
)
def test_gaps_between_bands_are_not_seen(nm, words):
    with pytest.raises(BandMismatchError, match=words):
        cone_catch(cube(np.ones((len(nm), 1)), nm), read_eye("human"))


def test_a_picture_has_no_wavelengths_to_catch():
    picture = Cube(np.zeros((3, 2, 2), "f4"), Bands(Band(n) for n in "RGB"), Path("moth.png"))
    with pytest.raises(BandMismatchError, match=r"'moth.png' have no wavelengths.*of the camera"):
        cone_catch(picture, read_eye("bird-v"))


def test_a_light_of_ones_own_says_energy_or_quanta(tmp_path):
    daylight = illuminant("d65").quanta
    nm, quanta = daylight.wavelengths_nm, daylight.values[0]
    spectra = np.sin(WIDE / 40)[:, None] / 3 + 0.5
    expected = cone_catch(cube(spectra), read_eye("bird-uv")).reflectance()
    for name, values in (("quanta", quanta * 7), ("energy", quanta / nm * 4)):
        rows = [f"wl,{name}", *(f"{a},{b!r}" for a, b in zip(nm, values.tolist(), strict=True))]
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join(rows))
        light = illuminant(str(path))
        assert light.name == f"{name}.csv"
        found = cone_catch(cube(spectra), read_eye("bird-uv"), light).reflectance()
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    # the same numbers in the other unit are another light
    path.write_text(path.read_text().replace("energy", "quanta"))
    other = cone_catch(cube(spectra), read_eye("bird-uv"), illuminant(str(path))).reflectance()
    assert abs(other - expected).max() > 0.005


def test_a_light_that_is_not_one_is_refused(tmp_path):
    with pytest.raises(OptionError, match="no illuminant 'sun'; choose d65, equal-energy"):
        illuminant("sun")
    path = tmp_path / "lamp.csv"
    path.write_text("wl,lamp\n300,1\n700,1\n")
    with pytest.raises(OptionError, match="are lamp; one was expected, named 'energy'"):
        illuminant(str(path))
    path.write_text("wl,quanta\n400,1\n700,1\n")
    with pytest.raises(OptionError, match=r"known from 400 to 700 nm, where only 11%.*receptor uv"):
        cone_catch(cube(np.ones((len(WIDE), 1))), read_eye("bird-uv"), illuminant(str(path)))
