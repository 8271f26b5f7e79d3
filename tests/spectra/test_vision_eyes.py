"""Eyes: the sensitivities are those that were published; one's own are read, or refused."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import pytest

from napari_phenoscape.cubes import Band, Bands, Cube
from napari_phenoscape.errors import BandMismatchError, MissingFileError, OptionError, TableError
from napari_phenoscape.spectra import (
    CameraModel,
    VisualSystem,
    cone_catch,
    illuminant,
    read_camera_model,
    read_eye,
    tetrahedral,
)
from napari_phenoscape.spectra.vision._templates import ocular_media, oil_droplet, pigment

NM = np.arange(300, 701, 1.0)


def eye(path: Path, text: str) -> VisualSystem:
    path.write_text(text, "utf-8")
    found = read_eye(str(path))
    assert isinstance(found, VisualSystem)
    return found


@pytest.mark.parametrize(
    ("name", "peaks"),
    [
        # CIE 170-1:2006 in quanta, to 5 nm
        ("human", {"lw": 565, "mw": 540, "sw": 440}),
        # pigments of 563, 502, 448, 371 and 567, 505, 458, 424 nm, behind droplets and media
        ("bird-uv", {"lw": 606, "mw": 537, "sw": 459, "uv": 374, "dbl": 564}),
        ("bird-v", {"lw": 605, "mw": 537, "sw": 477, "uv": 427, "dbl": 568}),
        # Peitsch et al. 1992: 344, 436, 544; the beta band draws the first one to 342
        ("honeybee", {"lw": 544, "sw": 436, "uv": 342}),
    ],
)
def test_receptors_have_names_and_peaks(name, peaks):
    found = read_eye(name)
    assert isinstance(found, VisualSystem)
    assert found.receptors == tuple(peaks)
    assert found.peaks_nm.tolist() == list(peaks.values())
    np.testing.assert_allclose(found.sensitivities.values.max(axis=1), 1, atol=0.015)
    colours = [found.receptors[i] for i in found.colour_receptors]
    assert colours == [name for name in reversed(peaks) if name != "dbl"]


@pytest.mark.parametrize(
    ("name", "published", "within_nm"),
    [
        # Endler & Mielke 2005, the mean of UV-sensitive birds; a blue tit is one of them
        ("bird-uv", {"lw": 609, "mw": 544, "sw": 456, "uv": 372}, 7),
        # Hart et al. 2000, the blue tit: pigment at 563 nm, and some 40 nm on by the droplet
        ("bird-uv", {"lw": 563 + 40}, 5),
        # Hart 2002, computed with droplets and media that he measured; ours are fitted to the
        # first three, the last is a prediction
        ("bird-v", {"lw": 605, "mw": 537, "sw": 477}, 0),
        ("bird-v", {"uv": 432}, 5),
        ("honeybee", {"lw": 544, "sw": 436, "uv": 344}, 2),
    ],
)
def test_receptors_peak_where_it_is_published(name, published, within_nm):
    found = read_eye(name)
    assert isinstance(found, VisualSystem)
    peaks = dict(zip(found.receptors, found.peaks_nm, strict=True))
    for receptor, nm in published.items():
        assert abs(peaks[receptor] - nm) <= within_nm, (receptor, peaks[receptor])


@pytest.mark.parametrize("peak", [360, 436, 500, 560])
def test_a_pigment_absorbs_most_at_its_peak(peak):
    alpha = pigment(NM, peak, beta=False)
    assert NM[alpha.argmax()] == peak
    assert alpha.max() == pytest.approx(1, abs=0.002)
    # the beta band: 0.26 high, at 189 + 0.315 peak
    beta = pigment(NM, peak) - alpha
    assert beta.max() == pytest.approx(0.26, abs=1e-4)
    assert NM[beta.argmax()] == pytest.approx(189 + 0.315 * peak, abs=0.5)


@pytest.mark.parametrize(
    ("peak", "droplet", "shares"),
    [
        # sensmodel() of pavo 2.10 over its own maximum, at 350, 450, 520 and 600 nm
        (477, None, [0.269889, 0.825812, 0.507911, 0.0020337]),
        (569, None, [0.243348, 0.153723, 0.648495, 0.793532]),
        (400, (450, "Y"), [0, 0.673360, 0.00737035, 6.14707e-6]),
        (500, (550, "R"), [0, 0, 5.47480e-8, 0.278357]),
        (300, (350, "C"), [0.941983, 3.24076e-5, 6.24224e-8, 2.92997e-10]),
    ],
    ids=str,
)
def test_templates_give_the_numbers_of_pavo(peak, droplet, shares):
    curve = pigment(NM, peak)
    if droplet:
        curve = curve * oil_droplet(NM, *droplet)
    found = (curve / curve.max())[np.searchsorted(NM, [350, 450, 520, 600])]
    np.testing.assert_allclose(found, shares, rtol=5e-4, atol=1e-20)


def test_a_droplet_passes_5_per_cent_at_its_cut_and_half_beyond_it():
    assert oil_droplet(np.array([510.0]), 510, "Y")[0] == pytest.approx(0.0526, abs=1e-4)
    # λmid = 0.90 * 510 + 70.03; half of the light passes there
    assert oil_droplet(np.array([529.03]), 510, "Y")[0] == pytest.approx(0.5, abs=0.01)


def by_hand(nm: float, peak: float, cut: float, mid: float, media: float) -> float:
    """Sensitivity of one cone at one wavelength, as the papers print it; not scaled."""
    x = peak / nm
    a = 0.8795 + 0.0459 * math.exp(-((peak - 300) ** 2) / 11940)
    alpha = 1 / (
        math.exp(69.7 * (a - x)) + math.exp(28 * (0.922 - x)) + math.exp(-14.9 * (1.104 - x))
        + 0.674
    )  # fmt: skip
    beta = 0.26 * math.exp(-(((nm - (189 + 0.315 * peak)) / (-40.5 + 0.195 * peak)) ** 2))
    droplet = math.exp(-math.exp(-2.89 * 0.5 / (mid - cut) * (nm - cut) + 1.08)) if cut else 1
    w = nm + 335 - media
    eye = (
        8.928e-13 * w**5 - 2.595e-9 * w**4 + 3.006e-6 * w**3 - 0.001736 * w**2 + 0.5013 * w
        - 55.56
    )  # fmt: skip
    return (alpha + beta) * droplet * math.log(min(max(eye, 1), math.e))


#: λmax, λcut and λmid of lw, mw, sw, uv, dbl; λmid by the regressions of Hart & Vorobyev 2005.
BIRDS = {
    "bird-uv": (
        323,
        [
            (563, 572, 0.99 * 572 + 28.65), (502, 507, 0.9 * 507 + 70.03),
            (448, 413, 0.99 * 413 + 24.38), (371, 0, 0), (563, 439, 0.96 * 439 + 33.57),
        ],
    ),
    "bird-v": (
        358,
        [
            (567, 569, 0.99 * 569 + 28.65), (505, 505, 0.9 * 505 + 70.03),
            (458, 439, 0.99 * 439 + 24.38), (424, 0, 0), (567, 439, 0.96 * 439 + 33.57),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BIRDS)
def test_birds_cones_are_the_published_templates_written_out_by_hand(name):
    media, cones = BIRDS[name]
    curves = np.array([[by_hand(nm, *cone, media) for nm in range(300, 751)] for cone in cones])
    curves /= curves.max(axis=1, keepdims=True)
    found = read_eye(name)
    assert isinstance(found, VisualSystem)
    assert found.receptors == ("lw", "mw", "sw", "uv", "dbl")
    np.testing.assert_allclose(found.sensitivities.values, curves, rtol=1e-9, atol=1e-30)
    # a wing that is ultraviolet and red, in the tetrahedron by the equations of Stoddard & Prum
    wing = np.where(np.arange(300, 751) < 400, 0.6, np.linspace(0, 0.9, 451))
    caught = (curves * wing).sum(axis=1) / curves.sum(axis=1)
    u, s, m, _ = caught[[3, 2, 1, 0]] / caught[:4].sum()
    place = [
        (1 - 2 * s - m - u) / 2 * math.sqrt(3 / 2), (-1 + 3 * m + u) / math.sqrt(8), u - 1 / 4
    ]  # fmt: skip
    bands = Bands(Band(str(nm), float(nm)) for nm in range(300, 751))
    cube = Cube(wing.astype("f4")[:, None, None], bands, Path("wing.bil"))
    seen = cone_catch(cube, found, illuminant("equal-quanta")).reflectance()[[3, 2, 1, 0], 0, 0]
    np.testing.assert_allclose(tetrahedral(seen[None]).xyz[0], place, atol=1e-6)


def test_ocular_media_pass_half_where_it_was_measured():
    for half in (323.0, 358.0):
        found = ocular_media(NM, half)
        assert found[int(half) - 300] == pytest.approx(0.5, abs=1e-3)
        assert (np.diff(found) >= 0).all()
        assert (found[0] >= 0, found[-1]) == (True, 1)


def test_human_cones_are_those_of_the_cie_in_quanta():
    with warnings.catch_warnings(), np.printoptions():  # it changes both
        warnings.simplefilter("ignore")
        import colour
    energy = colour.MSDS_CMFS["Stockman & Sharpe 2 Degree Cone Fundamentals"]
    found = read_eye("human")
    assert isinstance(found, VisualSystem)
    nm = found.sensitivities.wavelengths_nm
    theirs = energy.values[np.isin(energy.wavelengths, nm)].T / nm  # l, m, s
    theirs /= theirs.max(axis=1, keepdims=True)
    np.testing.assert_allclose(found.sensitivities.values, theirs, atol=1e-6)


def test_sensitivities_of_ones_own_are_read_as_pavo_writes_them(tmp_path):
    own = eye(tmp_path / "tit.csv", "# mine\nwl;u;s\n300;0;0\n400;1;0\n500;0;0.5\n600;0;0\n")
    assert (own.name, own.receptors, own.colour_receptors) == ("tit.csv", ("u", "s"), (0, 1))
    assert own.sensitivities.at(np.array([350.0, 450.0, 700.0])).tolist() == [
        [0.5, 0.5, 0],
        [0, 0.25, 0],
    ]


def test_an_eye_is_made_of_pigments_and_droplets(tmp_path):
    own = eye(
        tmp_path / "tit.csv",
        "receptor,peak_nm,droplet,cut_nm\nuv,371,T,\nsw,448,C,413\nmw,502,Y,507\nlw,563,R,572\n",
    )
    lw = pigment(own.sensitivities.wavelengths_nm, 563) * oil_droplet(
        own.sensitivities.wavelengths_nm, 572, "R"
    )
    np.testing.assert_allclose(own.sensitivities.values[3], lw / lw.max())
    # Hart et al. 2000: the droplet moves the peak some 40 nm
    assert own.peaks_nm.tolist() == [370, 459, 537, 605]
    bee = eye(tmp_path / "bee.csv", "receptor,peak_nm\nlw,544\nsw,436\nuv,344\n")
    theirs = read_eye("honeybee")
    assert isinstance(theirs, VisualSystem)
    np.testing.assert_allclose(bee.peaks_nm, theirs.peaks_nm)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "0 lines"),
        ("wl,u\n", "1 lines"),
        ("wl,u,u\n300,1,1\n400,1,1\n", "two columns are called 'u'"),
        ("u,s\n1,2\n3,4\n", "columns of 'eye.csv' are u, s; 'wl' and receptors"),
        ("wl,u\n300,1\n300,2\n", "rising from line to line"),
        ("wl,u\n0.3,1\n0.7,2\n", "wavelengths in nm"),
        ("wl\n300\n400\n", "2 wavelengths and 0 curves"),
        ("wl,u\n300,-1\n400,1\n", "below 0"),
        ("wl,u,s\n300,1,0\n400,1,0\n", "0 everywhere"),
        ("wl,u\n300,1\n400,1,5\n", "line 2 below the header has 3 cells, and 2 were"),
        ("wl,u\n300,1\n400\n", "'' in 'eye.csv', line 2"),
        ("wl,u\n300,1\n400,x\n", "'x' in 'eye.csv', line 2 below the header, is no number"),
        ("wl,u\n300,1\n400,nan\n", "'nan' in 'eye.csv', line 2"),
        ("receptor,peak_nm\nuv,34\n", "'uv' in 'eye.csv' peaks at 34 nm; the template"),
        ("receptor,peak_nm\nuv,344\nuv,436\n", "receptors in 'eye.csv' are uv, uv"),
        ("receptor,peak_nm,droplet,cut_nm\nuv,344,Q,300\n", "droplet of 'uv' in 'eye.csv' is 'Q'"),
        ("receptor,peak_nm,droplet,cut_nm\nuv,344,C,\n", "'' in 'eye.csv'.*is no number"),
    ],
)
def test_a_table_that_is_no_eye_is_refused_in_a_sentence(tmp_path, text, words):
    with pytest.raises((OptionError, TableError), match=words):
        eye(tmp_path / "eye.csv", text)


def test_an_eye_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(OptionError, match="no visual system 'hawk'; choose human, bird-uv"):
        read_eye("hawk")
    with pytest.raises(MissingFileError, match=r"no table at .*hawk\.csv"):
        read_eye(str(tmp_path / "hawk.csv"))
    (tmp_path / "hawk.csv").write_bytes(b"\xff\xfe\x00w")
    with pytest.raises(TableError, match="not UTF-8 text"):
        read_eye(str(tmp_path / "hawk.csv"))


def camera(**bands: list[float]) -> Cube:
    array = np.array(list(bands.values()), "f4")[:, None]
    return Cube(array, Bands(Band(name) for name in bands), Path("moth.tif"))


MODEL = """\
receptor, 1,    R,   UV_B, R*UV_B, R^2
lw,       0.01, 0.9, 0,    0.02,   0.05
uv,       0,    0,   1.5,  0,      0
"""


def test_a_cameras_model_is_a_polynomial_of_its_bands(tmp_path):
    path = tmp_path / "nikon.csv"
    path.write_text(MODEL)
    found = cone_catch(camera(UV_B=[0.5, 1], G=[9, 9], R=[0.2, np.nan]), read_eye(str(path)))
    lw = 0.01 + 0.9 * 0.2 + 0.02 * 0.2 * 0.5 + 0.05 * 0.2**2
    np.testing.assert_allclose(found.reflectance()[:, 0, 0], [lw, 0.75], rtol=1e-6)
    assert np.isnan(found.reflectance()[:, 0, 1]).all()
    assert [(band.name, band.region) for band in found.bands] == [("lw", "vis"), ("uv", "uv")]
    assert found.provenance == ("Catches by the camera's model 'nikon.csv', for reflectance 0-1.",)


def test_a_cameras_model_recovers_the_catches_that_it_was_fitted_to(tmp_path):
    """Fitted as by Stevens et al. 2007: least squares between a camera's bands and catches."""
    rng = np.random.default_rng(0)
    nm = np.arange(300, 705, 5.0)
    centres, widths = np.array([[340, 380, 460, 540, 610], [25, 25, 40, 40, 40]])
    filters = np.exp(-(((nm - centres[:, None]) / widths[:, None]) ** 2))
    waves = rng.uniform(0, 2 * np.pi, (2, 60, 1))
    spectra = 0.5 + 0.4 * np.sin(nm / rng.uniform(60, 120, (60, 1)) + waves[0])  # (60, nm)
    known = cone_catch(
        Cube(spectra.T[:, None].astype("f4"), Bands(Band(f"{n} nm", n) for n in nm), Path("x.bil")),
        read_eye("bird-uv"),
    ).reflectance()[:, 0]
    bands = (filters @ spectra.T) / filters.sum(axis=1, keepdims=True)
    names = ["UV_B", "UV_R", "B", "G", "R"]
    train = np.vstack([np.ones(40), bands[:, :40]])
    fitted = np.linalg.lstsq(train.T, known[:, :40].T, rcond=None)[0].T
    rows = [["receptor", "1", *names]]
    rows += [[name, *map(str, row)] for name, row in zip("abcde", fitted, strict=True)]
    path = tmp_path / "camera.csv"
    path.write_text("\n".join(",".join(row) for row in rows))
    photograph = camera(**{n: b.tolist() for n, b in zip(names, bands[:, 40:], strict=True)})
    found = cone_catch(photograph, read_eye(str(path))).reflectance()[:, 0]
    assert abs(found - known[:, 40:]).mean() < 0.01  # of the spectra that it was not fitted to


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("receptor,R\nuv,1\nuv,1\n", "receptors uv, uv"),
        ("receptor,1\nuv,1\n", "at least one band among them"),
        ("receptor,R*G,G*R\nuv,1,1\n", "each was expected once"),
        ("receptor,R*\nuv,1\n", r"'R\*' is no term"),
        ("receptor,R\nuv,red\n", "'red' in 'm.csv', line 1 below the header, is no number"),
    ],
)
def test_a_model_that_is_none_is_refused(tmp_path, text, words):
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises((OptionError, TableError), match=words):
        read_camera_model(path)


def test_a_model_for_other_bands_or_with_a_light_is_refused():
    model = CameraModel("m.csv", ("uv",), (("UV_B",),), np.ones((1, 1)))
    with pytest.raises(BandMismatchError, match=r"'moth.tif' has no band 'UV_B', .*it has R, G"):
        cone_catch(camera(R=[1.0], G=[1.0]), model)
    with pytest.raises(OptionError, match="light 'd65' was given with the camera's model"):
        cone_catch(camera(UV_B=[1.0]), model, illuminant("d65"))
