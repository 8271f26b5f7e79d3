"""Embeddings: one row per specimen, in files that others read, and only of the same bands."""

from __future__ import annotations

import errno
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
from safetensors.numpy import load_file, save_file

from napari_phenoscape.embeddings import (
    METADATA,
    embed,
    embed_all,
    embedded_collection,
    embedded_specimens,
    embeddings_path,
    labelled_today,
    read_clusters,
    read_embeddings,
    read_spaces,
    restore,
)
from napari_phenoscape.embeddings._table import table_of
from napari_phenoscape.errors import CheckpointError, CollectionError, MissingFileError, RunError
from napari_phenoscape.events import Notice, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import Collection, Folder, Specimen
from napari_phenoscape.training import Experiment, read_experiment, train
from tests.least import least


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embed") / "samples"
    return result(write_samples(folder, specimens=24, size=32, drawer=False))


@pytest.fixture(scope="module")
def run(samples: Path) -> Path:
    given = least(samples)
    given["schedule"] |= {"steps": 2, "batch_size": 8}
    given |= {"image_size": 32, "modalities": ["rgb", "uv"], "runs": str(samples.parent / "runs")}
    given["method"] = {"kind": "simclr", "readout": "plain", "beside": "nothing"}
    return result(train(Experiment.parse(given)))


def test_each_modality_and_both_together_are_exported(run: Path) -> None:
    spaces = result(embed(run))
    assert {name: e.x.shape for name, e in spaces.items()} == {
        "rgb": (24, 1024),
        "uv": (24, 1024),
        "joint": (24, 2048),
    }
    np.testing.assert_array_equal(spaces["joint"].x[:, :1024], spaces["rgb"].x)
    table = pd.read_csv(embeddings_path(run).with_suffix(".csv"))
    assert list(table.columns[:2]) == ["filename", "x1"]
    assert {"x2048", "species", "morph", "sex"} <= set(table.columns)


def test_parquet_gives_back_what_was_written(run: Path) -> None:
    written = result(embed(run))["uv"]
    read = read_embeddings(run, "uv")
    np.testing.assert_array_equal(read.x, written.x)
    pd.testing.assert_frame_equal(read.table, written.table, check_dtype=False)
    assert (read.space, read.source) == ("uv", written.source)


def test_embedding_twice_gives_the_same_numbers_and_untrained_others(run: Path) -> None:
    first, again = (result(embed(run))["joint"].x for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(result(embed(run, untrained=True))["joint"].x - first).max() > 1e-3


def test_specimens_of_other_bands_are_refused(run: Path, samples: Path, tmp_path: Path) -> None:
    for path in sorted((samples / "multispectral").rglob("*.tif"))[:2]:
        # a UV camera of two bands
        tifffile.imwrite(tmp_path / path.name, tifffile.imread(path)[[0, 1, 2, 3, 5]])
    with pytest.raises(CheckpointError, match=r"2 bands: .* modality 'uv' .* trained on \(3 bands"):
        result(embed(run, Folder(path=tmp_path, metadata=None)))


def test_what_was_not_embedded_is_not_read(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "experiment.yaml", tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(MissingFileError, match="phenoscape embed"):
        read_embeddings(tmp_path)


@pytest.fixture
def some(samples: Path, tmp_path: Path) -> Folder:
    """Every third specimen of the samples."""
    folder = tmp_path / "some"
    folder.mkdir()
    for path in sorted((samples / "multispectral").rglob("*.tif"))[::3]:
        shutil.copy(path, folder)
    return Folder(path=folder, metadata=None)


def test_another_collection_has_files_of_its_own(run: Path, some: Folder) -> None:
    own = result(embed(run))["uv"]
    files = {path: path.read_bytes() for path in (run / "embeddings").iterdir()}
    other = result(embed(run, some))["uv"]
    control = result(embed(run, some, untrained=True))["uv"]
    assert {path: path.read_bytes() for path in files} == files
    assert (len(own.ids), len(other.ids)) == (24, 8)
    for written in (other, control):
        read = read_embeddings(run, "uv", some, untrained=written.untrained)
        assert (read.ids, read.source) == (written.ids, some)
        np.testing.assert_array_equal(read.x, written.x)
    assert set(read_spaces(run, some)) == {"rgb", "uv", "joint"}
    # the name says of which folder, the hash of which of that name
    assert re.fullmatch(r"uv\.some-[0-9a-f]{8}\.parquet", embeddings_path(run, "uv", some).name)
    # the run's own collection is no other, however it is named
    own_source = read_experiment(run).collection
    table = own_source.path / "metadata.csv"
    assert table.is_file()
    for metadata in (None, table):
        same = own_source.model_copy(update={"metadata": metadata})
        assert embeddings_path(run, "uv", same).name == "uv.parquet"


def test_the_pictures_of_another_collection_come_from_it(run: Path, some: Folder) -> None:
    other = result(embed(run, some))["joint"]
    crops = result(embedded_specimens(run, other))
    assert crops.ids == other.ids
    net = result(restore(run, result(embedded_collection(other))))
    whole = net.embedding(net.looks()(np.arange(8)), np.arange(8))["joint"]
    np.testing.assert_allclose(whole, other.x, atol=1e-5)


def test_an_added_photograph_moves_no_picture_and_a_removed_one_is_missed(
    run: Path, some: Folder
) -> None:
    embeddings = result(embed(run, some))["joint"]
    before = result(embedded_specimens(run, embeddings))
    first, last = (some.path / embeddings.ids[i] for i in (0, -1))
    shutil.copy(last, some.path / "A_first_of_all.tif")
    after = result(embedded_specimens(run, embeddings))
    assert after.ids == before.ids == embeddings.ids
    np.testing.assert_array_equal(after.images, before.images)
    first.unlink()
    with pytest.raises(CollectionError, match=f"1 of 8 specimens are not in .*'{first.name}'"):
        result(embedded_specimens(run, embeddings))


def test_a_run_that_was_moved_finds_its_specimens_where_its_experiment_says(
    run: Path, samples: Path, tmp_path: Path
) -> None:
    result(embed(run))
    moved = Path(shutil.copytree(run, tmp_path / "run"))
    shutil.copytree(samples / "multispectral", tmp_path / "here")
    experiment = read_experiment(moved)
    source = experiment.collection.model_copy(update={"path": tmp_path / "here"})
    (moved / "experiment.yaml").write_text(
        experiment.model_copy(update={"collection": source}).to_yaml()
    )
    embeddings = read_embeddings(moved)
    assert embeddings.source == source
    assert result(embedded_specimens(moved, embeddings)).ids == embeddings.ids


def test_embedding_all_gives_what_embedding_each_gives_and_writes_nothing(
    run: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    shutil.rmtree(copy / "embeddings", ignore_errors=True)
    made = result(embed_all(copy, tmp_path / "parts"))
    assert made is not None
    assert not (copy / "embeddings").exists()
    for untrained, output in ((False, made.trained), (True, made.untrained)):
        for space, each in result(embed(copy, untrained=untrained)).items():
            np.testing.assert_array_equal(output.spaces[space].x, each.x)
        assert {z.shape[:2] for z in output.projections.z.values()} == {(2, 24)}


def test_damaged_weights_are_said_to_be_damaged(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    file = next(copy.glob("checkpoints/*/weights.safetensors"))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged"):
        result(embed(copy))


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve specimens, scanned by a camera of 408 bands and by one of 100."""
    folder = tmp_path_factory.mktemp("scans")
    rng = np.random.default_rng(0)
    shape = rng.random((12, 4, 16, 16))
    for name, bands in (("fine", 408), ("coarse", 100)):
        (folder / name).mkdir()
        nm = np.linspace(348.39, 809.61, bands)
        curves = np.exp(-0.5 * ((nm - np.array([[450], [550], [650], [750]])) / 60) ** 2)
        for number, planes in enumerate(shape):
            counts = np.tensordot(curves.T, planes, 1) * 10_000
            path = folder / name / f"s{number}.bsq"
            counts.astype("<u2").tofile(path)
            path.with_suffix(".bsq.hdr").write_text(
                f"ENVI\nsamples = 16\nlines = 16\nbands = {bands}\ninterleave = bsq\n"
                "data type = 12\nbyte order = 0\nheader offset = 0\nwavelength units = nm\n"
                f"wavelength = {{{', '.join(f'{x:.3f}' for x in nm)}}}\n"
            )
    return folder


def scanned(scans: Path, camera: str, stem: dict[str, object]) -> Path:
    """A run on what a camera has scanned."""
    given = {
        "collection": {"kind": "folder", "path": str(scans / camera), "pattern": "*.bsq"},
        "modalities": ["full"],
        "image_size": 32,
        "encoder": {"stem": stem},
        "method": {"kind": "simclr", "readout": "plain", "beside": "nothing"},
        "schedule": {"steps": 2, "batch_size": 6},
        "runs": str(scans / "runs"),
    }
    return result(train(Experiment.parse(given)))


def test_a_response_stem_embeds_a_camera_of_other_wavelengths(scans: Path) -> None:
    """The same specimens in 408 and in 100 bands lie in nearly the same place."""
    run = scanned(scans, "fine", {"kind": "spectral_response", "curves": 6})
    fine = result(embed(run))["full"].x
    coarse = result(embed(run, Folder(path=scans / "coarse", pattern="*.bsq")))["full"].x
    centre = fine.mean(0)
    a, b = fine - centre, coarse - centre
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine.min() > 0.99


@pytest.mark.parametrize("kind", ["adapter", "spectral_attention"])
def test_other_stems_refuse_a_camera_of_other_wavelengths(scans: Path, kind: str) -> None:
    run = scanned(scans, "coarse", {"kind": kind})
    with pytest.raises(
        CheckpointError, match=r"\(408 bands: 348-810 nm\) .*trained on \(100 bands: 348-"
    ):
        result(embed(run, Folder(path=scans / "fine", pattern="*.bsq")))


def test_of_a_space_that_is_not_there_the_others_are_named(run: Path, some: Folder) -> None:
    result(embed(run))
    result(embed(run, some))  # whose files are no spaces of the run's own specimens
    with pytest.raises(MissingFileError, match=r"no embeddings 'vu'\. .*has \(joint, rgb, uv\)"):
        read_embeddings(run, "vu")
    with pytest.raises(MissingFileError, match="train a run with 'rgb\\+uv' among its modalities"):
        read_embeddings(run, "rgb+uv")


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    result(embed(run))
    return Path(shutil.copytree(run, tmp_path / "run"))


def test_a_table_that_another_program_wrote_anew_is_read(copy: Path) -> None:
    path = embeddings_path(copy, "uv")
    before = read_embeddings(copy, "uv")
    table = pq.read_table(path).append_column("glued", pa.array(["a", "b"] * 12))
    shuffled = table.select(sorted(table.column_names, reverse=True))
    pq.write_table(shuffled.replace_schema_metadata(None), path)
    after = read_embeddings(copy, "uv")
    np.testing.assert_array_equal(after.x, before.x)
    assert (after.space, after.ids) == ("uv", before.ids)
    assert list(after.table)[:METADATA] == list(before.table)[:METADATA]
    assert after.table["glued"].tolist() == ["a", "b"] * 12


def test_a_file_that_the_system_refuses_is_not_called_damaged(copy, monkeypatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(pd, "read_parquet", refused)
    monkeypatch.setattr(pq, "read_table", refused)
    refusal = r"uv.parquet' cannot be read \(Permission denied\)"
    with pytest.raises(RunError, match=refusal):
        read_embeddings(copy, "uv")
    with pytest.raises(RunError, match=refusal):
        read_clusters(embeddings_path(copy, "uv"))


def test_a_folder_in_the_place_of_embeddings_is_not_offered(copy: Path) -> None:
    path = embeddings_path(copy, "uv")
    path.unlink()
    path.mkdir()
    with pytest.raises(MissingFileError, match=r"no embeddings 'uv'\. Name one .*, rgb[,)]"):
        read_embeddings(copy, "uv")


def test_what_does_not_hold_embeddings_is_one_sentence(copy: Path) -> None:
    path = embeddings_path(copy, "uv")
    whole, table = path.read_bytes(), pd.read_parquet(path)
    path.write_bytes(whole[:3000])
    with pytest.raises(RunError, match="does not hold embeddings"):
        read_embeddings(copy, "uv")
    rows = pd.DataFrame({"filename": ["a", "b"], "embedding": [[1.0], [2.0]]})
    for damaged, words in (
        (rows, "no column 'specimen'"),
        (table.drop(columns="x7"), "no column 'x7'"),
        (table.assign(x7="much"), "could not convert"),
        (table.assign(specimen="same"), "told apart"),
        (table.iloc[:0], "no specimens"),
    ):
        damaged.to_parquet(path)
        with pytest.raises(RunError, match=words):
            read_embeddings(copy, "uv")


def test_weights_that_are_no_numbers_are_said(copy: Path) -> None:
    file = next(copy.glob("checkpoints/*/weights.safetensors"))
    weights = load_file(file)
    save_file(
        {name: one * np.float32("nan") for name, one in weights.items() if one.dtype == np.float32}
        | {name: one for name, one in weights.items() if one.dtype != np.float32},
        file,
    )
    with pytest.raises(CheckpointError, match="NaN or infinite numbers for 24 of 24 specimens"):
        result(embed(copy))


def test_labels_are_those_of_today(copy: Path, samples: Path, tmp_path: Path) -> None:
    here = Path(shutil.copytree(samples / "multispectral", tmp_path / "here"))
    table = here / "metadata.csv"
    ids = sorted(path.relative_to(here).as_posix() for path in here.rglob("*.tif"))
    own = read_experiment(copy)
    folder = Folder(path=here, pattern=own.collection.pattern)
    (copy / "experiment.yaml").write_text(own.model_copy(update={"collection": folder}).to_yaml())
    table.write_text("file,sex,size\n" + "".join(f"{name},f,1\n" for name in ids))
    result(embed(copy))
    embeddings = read_embeddings(copy)
    assert [e for e in labelled_today(embeddings) if isinstance(e, Notice)] == []
    marked = replace(embeddings, table=embeddings.table.assign(glued="x"))
    lines = [f"{name},{'m' if i < 5 else 'f'},1,k{i}\n" for i, name in enumerate(ids)]
    table.write_text("file,sex,size,kind\n" + "".join(reversed(lines)))
    (notice,) = [e for e in labelled_today(marked) if isinstance(e, Notice)]
    assert "'sex' of 5 specimens changed; 'kind' is new; 'glued' stays" in notice.message
    today, collection = result(labelled_today(marked))
    assert today.ids == embeddings.ids == tuple(one.id for one in collection.specimens)
    place = {name: i for i, name in enumerate(ids)}
    assert today.table["kind"].tolist() == [f"k{place[one]}" for one in today.ids]
    assert (today.table["sex"] == "m").sum() == 5
    assert today.x is embeddings.x


def test_columns_of_our_own_names_stay_beside_ours(tmp_path: Path) -> None:
    names = ("specimen", "similarity", "cluster", "vote", "x1", "species")
    metadata = pd.DataFrame({name: ["theirs"] for name in names}, index=["a.png"])
    specimen = Specimen("a.png", tmp_path / "a.png", (0, 2, 0, 2))
    table = table_of(Collection(Folder(path=tmp_path), (specimen,), metadata))
    assert table.loc[0, "specimen"] == "a.png"
    assert list(table)[METADATA:] == [f"metadata.{name}" for name in names[:-1]] + ["species"]
