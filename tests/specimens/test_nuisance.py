"""Nuisance: who is of which level, what goes together with it, and how levels are made alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from napari_phenoscape.cubes import as_modality
from napari_phenoscape.errors import OptionError
from napari_phenoscape.events import Notice, result
from napari_phenoscape.specimens import (
    Collection,
    Crops,
    Folder,
    Nuisance,
    Preparation,
    association,
    collect,
    levels_of_columns,
    prepare,
)


def table(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_a_list_of_columns_is_a_nuisance_with_its_defaults() -> None:
    assert Nuisance.parse(["lab"]) == Nuisance.parse("lab") == Nuisance(columns=("lab",))
    assert Nuisance.from_yaml(Nuisance(columns=("lab",), bands=False).to_yaml()).bands is False
    assert Nuisance().of(table(lab=["a", "b"])) is None


def test_levels_of_several_columns_count_together_and_years_are_whole_numbers() -> None:
    levels = levels_of_columns(table(year=[2019, 2018.0, np.nan], lab=["a", "a", "a"]), ["year"])
    assert levels.names == ("2018", "2019")
    assert levels.codes.tolist() == [1, 0, -1]
    both = levels_of_columns(table(year=[1, 1, 2, 1], lab=["a", "b", " ", "a"]), ["year", "lab"])
    assert both.names == ("1, a", "1, b")
    assert both.codes.tolist() == [0, 1, -1, 0]


def test_a_level_of_two_specimens_and_who_has_none_stay_and_are_named() -> None:
    levels = levels_of_columns(table(lab=[*"aaabb", None]), ["lab"])
    assert levels.judged == ("a",)
    assert levels.words() == (
        "of 1 specimens it is not known; 'b' has 2, and 3 or more say what a level is"
    )
    assert levels.words(known=["b"]) == "of 1 specimens it is not known"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["labs"], r"the metadata column 'labs'.*they have lab, empty"),
        ({"columns": ["lab"], "keep": ["species"]}, r"the metadata column 'species'"),
        (["empty"], r"Nothing is known of 'empty'"),
        (["lab"], r"All specimens have 'a' in 'lab'.*Leave it out"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(given: object, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        result(Nuisance.parse(given).judged(table(lab=["a", "a"], empty=[None, ""])))


@pytest.mark.parametrize(
    ("labels", "strength"),
    [("xxxxyyyy", 1.0), ("xyxyxyxy", 0.0), ("xxxxxxxx", 0.0)],
    ids=["the same", "independent", "all alike"],
)
def test_association_is_one_for_the_same_and_zero_for_independent(
    labels: str, strength: float
) -> None:
    levels = levels_of_columns(table(lab=[*"aaaabbbb"]), ["lab"])
    assert association(levels, pd.Series([*labels])) == pytest.approx(strength)


def test_association_has_no_bias_of_chance() -> None:
    random, found = np.random.default_rng(0), []
    for _ in range(200):
        levels = levels_of_columns(table(lab=random.integers(0, 4, 40)), ["lab"])
        found.append(association(levels, pd.Series(random.integers(0, 10, 40))) ** 2)
    assert np.mean(found) < 0.03  # it is 0.23 without the correction: 27 / 40 / 3


def test_of_a_nuisance_that_holds_other_species_nothing_is_taken_out() -> None:
    metadata = table(lab=[*"aaaabbbb"], species=[*"xxxxyyyy"], sex=[*"fffmfmmm"])
    verb = Nuisance(columns=("lab",), keep=("species",)).judged(metadata)
    (told,) = verb
    assert told == Notice(
        "'lab' and 'species' go together (Cramér's V 1.00; 0 = independent, 1 = the same), so what "
        "is technical cannot be told from what is asked, and nothing is taken out."
    )
    assert result(Nuisance(columns=("lab",), keep=("species",)).judged(metadata)) is None
    assert result(Nuisance(columns=("lab",), keep=("sex",)).judged(metadata)) is not None


FACTORS = {"a": (1.0, 1.0, 1.0), "b": (0.8, 0.5, 1.25)}


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    """Three specimens in each of two labs, the same ones, and one whose lab nobody knows."""
    random, folder = np.random.default_rng(0), tmp_path / "specimens"
    folder.mkdir()
    pictures = random.uniform(0.1, 0.6, (3, 8, 8, 3))
    rows = []
    for lab, factors in FACTORS.items():
        for i, picture in enumerate(pictures):
            name = f"{lab}{i}.tif"
            tifffile.imwrite(
                folder / name, (picture * factors).astype(np.float32), photometric="rgb"
            )
            rows.append((name, lab))
    tifffile.imwrite(folder / "c.tif", pictures[0].astype(np.float32), photometric="rgb")
    pd.DataFrame([*rows, ("c.tif", None)], columns=["file", "lab"]).to_csv(
        folder / "metadata.csv", index=False
    )
    return result(collect(Folder(path=folder)))


def crops(collection: Collection, folder: Path | None = None, **given: object) -> Crops:
    levels = Nuisance(columns=("lab",)).of(collection.metadata)
    size = 8
    verb = prepare(collection, [as_modality("rgb")], size, folder=folder, levels=levels, **given)
    return result(verb)


def test_a_level_is_multiplied_so_that_its_mean_is_that_of_all(collection: Collection) -> None:
    made, plain = crops(collection), result(prepare(collection, [as_modality("rgb")], 8))
    np.testing.assert_allclose(made.mean, plain.mean)
    for level in ("a", "b"):
        rows = made.levels.rows(level)
        np.testing.assert_allclose(made.images[rows].mean(axis=(0, 2, 3)), plain.mean, rtol=1e-5)
    # the same specimens, so the same pictures whatever the lab
    np.testing.assert_allclose(made.images[:3], made.images[3:6], rtol=1e-5)
    np.testing.assert_allclose(made.factors[0] / made.factors[3], FACTORS["b"], rtol=1e-5)
    # whose lab is not known stays as it is
    assert np.array_equal(made.images[6], plain.images[6])
    np.testing.assert_allclose(
        made.std, made.images.transpose(1, 0, 2, 3).reshape(3, -1).std(axis=1), rtol=1e-4
    )
    assert made.stamps == plain.stamps  # of the pixels as they were read


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_levels_on_disk_are_what_they_are_in_memory(
    collection: Collection, tmp_path: Path, precision: str
) -> None:
    preparation = Preparation(precision=precision)
    memory = crops(collection, preparation=preparation)
    disk = crops(collection, tmp_path / "kept", preparation=preparation, keep=True)
    again = crops(collection, tmp_path / "kept", preparation=preparation)
    for each in (disk, again):
        assert np.array_equal(each.images[:], memory.images)
        assert each.level_statistics == memory.level_statistics
        assert np.array_equal(each.std, memory.std)
    # crops without levels are others
    plain = result(
        prepare(collection, [as_modality("rgb")], 8, preparation, tmp_path / "kept", keep=True)
    )
    assert plain.folder != disk.folder


def test_others_of_a_known_level_are_multiplied_as_the_run_does(collection: Collection) -> None:
    whole = crops(collection)
    two = collection.take(["b0.tif", "b1.tif"])
    known = {"known": whole.statistics, "known_levels": whole.level_statistics}
    made = crops(two, **known)
    assert np.array_equal(made.images, whole.images[3:5])


def test_a_band_without_a_positive_mean_stays(tmp_path: Path) -> None:
    folder = tmp_path / "signed"
    folder.mkdir()
    for i in range(6):
        picture = np.full((4, 4, 3), (0.2 + 0.1 * i, 0, -0.1 * i), np.float32)
        tifffile.imwrite(folder / f"{'ab'[i // 3]}{i}.tif", picture, photometric="rgb")
    names = {"kind": "folder", "path": str(folder), "name_pattern": "{lab}{number}"}
    pd.DataFrame({"file": [f"{'ab'[i // 3]}{i}.tif" for i in range(6)], "lab": [*"aaabbb"]}).to_csv(
        folder / "metadata.csv", index=False
    )
    del names["name_pattern"]
    made = crops(result(collect(Folder.parse(names))))
    assert (made.factors[:, 1:] == 1).all()
    assert (made.factors[:, 0] != 1).all()
