"""A number that stands for "not measured" is declared, stated, or refused: never averaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_phenoscape.cli._console import app
from napari_phenoscape.cubes import (
    Band,
    Bands,
    Cube,
    Interpretation,
    as_modality,
    binned,
    cropped,
    doubts,
    in_reflectance,
    open_cube,
    watched,
    write_cube,
)
from napari_phenoscape.errors import CollectionError, CubeError
from napari_phenoscape.events import Notice, result
from napari_phenoscape.specimens import Folder, collect, prepare
from napari_phenoscape.spectra import convert, open_calibrated, spectra

NM = (450.0, 500.0, 550.0, 600.0, 650.0, 700.0)
WORDS = "which programs write where nothing was measured"

#: What is written, and the type of the numbers.
MARKERS = [
    (-9999, "f4"), (-999, "f8"), (-9999, "i2"), (-32768, "i2"), (-2147483648, "i4"), (1e30, "f4"),
    (-1e32, "f8"), (9.96921e36, "f4"), (3.4028235e38, "f4"), (-3.4028234663852886e38, "f8"),
]  # fmt: skip


def numbers_of(seed: int, dtype: str = "f4") -> np.ndarray:
    """(6, 12, 16) reflectance near 0.3; in whole numbers, 10000 times that."""
    x = np.random.default_rng(seed).normal(0.3, 0.05, (6, 12, 16))
    return (x * 10_000 if dtype[0] == "i" else x).astype(dtype)


def written(path: Path, numbers: np.ndarray, declared: float | None = None) -> Path:
    bands = Bands(Band(f"{nm:g} nm", nm) for nm in NM)
    result(write_cube(Cube(numbers, bands, Path("a"), ignore_value=declared), path))
    return path


def folder(root: Path, marker: float | None, dtype: str = "f4", declared=None) -> Folder:
    root.mkdir()
    for seed in range(4):
        numbers = numbers_of(seed, dtype)
        if marker is not None:
            numbers[:, :3] = marker
        written(root / f"s{seed}.bil", numbers, declared)
    return Folder(path=root)


def crops(source: Folder):
    return result(prepare(result(collect(source)), [as_modality("full")], 16))


@pytest.mark.parametrize(("marker", "dtype"), MARKERS)
def test_what_is_not_declared_is_said_refused_and_can_be_stated(tmp_path, marker, dtype):
    source = folder(tmp_path / "a", marker, dtype)
    path = tmp_path / "a" / "s0.bil"
    (doubt,) = doubts(open_cube(path))
    assert WORDS in doubt
    with pytest.raises(CubeError, match=r"declares no such number\. Say 'ignore_value: "):
        open_calibrated(path).reflectance()
    with pytest.raises(CollectionError, match=r"4 of 4 specimens cannot be used.*--ignore-value"):
        crops(source)
    # with what the sentence says it is as if the files had declared it
    number = float(doubt.split("--ignore-value ")[1].split(")")[0])
    said = Interpretation(ignore_value=number)
    cube = open_cube(path, said)
    assert doubts(cube) == ()
    assert np.isnan(cube.reflectance()).sum() == 6 * 3 * 16
    stated = crops(source.model_copy(update={"read_as": said}))
    declared = crops(folder(tmp_path / "b", marker, dtype, declared=marker))
    np.testing.assert_array_equal(stated.images, declared.images)
    assert ((stated.mean > 0.2) & (stated.mean < 4000)).all()


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param(np.full((6, 12, 16), 65535, "u2"), id="a camera that saw too much light"),
        pytest.param(
            np.linspace(-32768, 32767, 6 * 12 * 16).astype("i2").reshape(6, 12, 16),
            id="numbers all the way down to the end of the type",
        ),
        pytest.param(np.arange(-1152.0, 0).reshape(6, 12, 16), id="-999 among others"),
        pytest.param(numbers_of(0, "f8") * 5e21, id="photons"),
        pytest.param(np.full((6, 12, 16), np.nan, "f4"), id="nan"),
        pytest.param(np.where(numbers_of(0) > 0.3, np.inf, -np.inf), id="infinite"),
        pytest.param(np.full((6, 12, 16), -1.0), id="-1"),
        pytest.param(np.zeros((6, 12, 16), bool), id="yes and no"),
    ],
)
def test_numbers_that_may_be_measured_are_let_alone(numbers):
    bands = Bands(Band(f"{nm:g} nm", nm) for nm in NM)
    cube = Cube(numbers, bands, Path("a.npy"))
    assert doubts(cube) == ()
    np.testing.assert_array_equal(np.asarray(watched(cube).array[...]), numbers)


def test_one_pixel_is_enough_and_what_is_computed_refuses_too(tmp_path):
    numbers = numbers_of(0)
    numbers[4, 7, 9] = -9999
    cube = open_calibrated(written(tmp_path / "a.bil", numbers))
    for derived in (binned(cube, 2, 2), in_reflectance(cube), cropped(cube, [4], slice(7, 8),
                                                                      slice(None))):  # fmt: skip
        with pytest.raises(CubeError, match=r"'a\.bil' holds -9999, which"):
            derived.reflectance()
    # bands that are not asked for are not in the way
    np.testing.assert_array_equal(cube.reflectance(np.arange(4)), numbers[:4])


def test_some_files_are_left_out_and_collecting_says_it_before(tmp_path):
    source = folder(tmp_path / "a", None)
    numbers = numbers_of(9)
    numbers[:, 2:4] = -9999
    written(tmp_path / "a" / "s9.bil", numbers)
    collection = result(collect(source))
    assert any(WORDS in one and "(1 of 5 files)" in one for one in collection.assumed)
    told = prepare(collection, [as_modality("full")], 16)
    notices = [event.message for event in told if isinstance(event, Notice)]
    assert len(notices) == 1
    assert notices[0].startswith("1 of 5 left out ('s9.bil'): it holds -9999,")


def test_a_stated_number_that_no_pixel_can_be_is_said(tmp_path):
    path = written(tmp_path / "a.bil", (numbers_of(0) * 1e4).astype("u2"))
    cube = open_cube(path, Interpretation(ignore_value=-9999))
    assert cube.ignore_value is None
    assert cube.provenance[-1] == (
        "As stated, -9999 stands for 'not measured'; no uint16 can be it, so that no pixel is "
        "left out."
    )


def test_a_statement_goes_before_what_the_file_declares(tmp_path):
    numbers = numbers_of(0)
    numbers[0, 0] = -1
    path = written(tmp_path / "a.bil", numbers, declared=-9999)
    assert open_cube(path, Interpretation(ignore_value=-1)).ignore_value == -1
    assert open_cube(path).ignore_value == -9999


def test_spectra_refuse_and_a_conversion_says_it(tmp_path):
    numbers = numbers_of(0)
    numbers[:, :3] = -9999
    path = written(tmp_path / "a.bil", numbers)
    with pytest.raises(CubeError, match=WORDS):
        result(spectra([path], tmp_path / "a.csv"))
    told = list(convert(path, tmp_path / "b.bil"))
    assert any(isinstance(one, Notice) and WORDS in one.message for one in told)
    said = Interpretation(ignore_value=-9999)
    assert not any(isinstance(one, Notice) for one in convert(path, tmp_path / "c.bil",
                                                              read_as=said))  # fmt: skip
    assert open_cube(tmp_path / "c.bil").ignore_value == -9999


def test_the_command_line_says_it_and_takes_it(tmp_path):
    folder(tmp_path / "a", -9999)
    run = CliRunner().invoke
    path = str(tmp_path / "a" / "s0.bil")
    assert WORDS in " ".join(run(app, ["info", path]).stdout.split())
    said = run(app, ["info", path, "--ignore-value", "-9999"]).stdout
    assert WORDS not in said
    assert "As stated, -9999 stands for 'not measured'." in said
    looked = ["look", str(tmp_path / "a"), "--runs", str(tmp_path / "runs")]
    refused = run(app, looked)
    assert refused.exit_code == 2
    assert "Say 'ignore_value: -9999'" in " ".join(refused.stderr.split())
    assert run(app, [*looked, "--ignore-value", "-9999"]).exit_code == 0
