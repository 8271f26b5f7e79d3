"""The command line: the whole path from samples to clusters, and one sentence when it fails."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner, Result

from napari_phenoscape.cli._changes import changed
from napari_phenoscape.cli._console import app
from napari_phenoscape.embeddings import read_clusters, read_embeddings
from napari_phenoscape.events import Step, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples._experiments import RGB_UV
from napari_phenoscape.training import (
    HDBSCAN,
    TSNE,
    Experiment,
    Grouping,
    KMeans,
    Schedule,
    last_checkpoint,
    read_events,
    read_experiment,
    read_state,
)
from tests.least import least

TINY = ("--set", "schedule.steps=2", "--set", "schedule.batch_size=8", "--set", "image_size=32")


def phenoscape(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def sentence(*words: object) -> str:
    """What a verb that fails says; exit code 2, one line, no traceback."""
    end = phenoscape(*words)
    assert end.exit_code == 2, end.output
    assert "Traceback" not in end.stderr
    lines = [line for line in end.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, end.stderr
    return lines[0]


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "samples"
    result(write_samples(folder, specimens=24, size=32, drawer=False))
    (folder / "e.yaml").write_text(RGB_UV.model_copy(update={"runs": Path("../runs")}).to_yaml())
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    end = phenoscape("train", folder / "e.yaml", *TINY)
    assert end.exit_code == 0, end.output
    return Path("".join(end.stdout.split("run ", 1)[1].splitlines()))


def test_paths_in_a_yaml_file_start_at_its_folder(run: Path, folder: Path) -> None:
    assert run.parent.resolve() == folder.parent / "runs"


def test_train_embed_cluster_evaluate_follow_each_other(run: Path) -> None:
    assert "24 specimens, " in phenoscape("embed", run).stdout
    clustered = phenoscape("cluster", run, "--clusters", 3, "--set", "grouping.map=pca")
    counts = [int(n) for n in re.findall(r": (\d+) specimens", clustered.stdout)]
    assert len(counts) == 3
    assert sum(counts) == 24
    assert sorted(set(read_clusters(run / "clusters" / "rgb+uv.parquet").labels)) == [1, 2, 3]
    assert picture(run / "clusters" / "rgb+uv.png").shape[1] > 500
    evaluated = phenoscape("evaluate", run, "--label", "morph", "--within", "species")
    table = evaluated.stdout
    assert all(line in table for line in ("trained", "untrained", "colour statistics"))
    kept = pd.read_csv(run / "evaluation-morph.csv")
    names = {name.split(",")[0] for name in kept["embedding"]}
    assert names == {
        "trained", "untrained", "trained plain", "untrained plain", "instant", "features alone",
        "colour statistics", "colour quantiles",
    }  # fmt: skip
    (said,) = kept.loc[kept["measure"] == "verdict", "words"]
    assert table.endswith(f"trained, rgb+uv: {said}\n")
    assert said not in evaluated.stderr  # nor a second time
    probes = kept[kept["measure"].str.endswith("accuracy")]
    assert len(probes) == 4 * kept["embedding"].nunique()
    assert ((probes["low"] <= probes["value"]) & (probes["value"] <= probes["high"])).all()
    assert picture(run / "evaluation-morph.png").shape[1] > 500
    assert "2 of 2 steps" in phenoscape("info", run).stdout


def test_clustering_is_by_the_runs_grouping_and_what_is_set_is_kept_there(run: Path) -> None:
    phenoscape("embed", run)
    words = ("--set", "grouping.map=tsne", "--set", "grouping.map.perplexity=7")
    assert phenoscape("cluster", run, "--clusters", 5, *words).exit_code == 0
    kept = read_experiment(run)
    assert kept.grouping == Grouping(method=KMeans(clusters=5), map=TSNE(perplexity=7))
    assert phenoscape("cluster", run).exit_code == 0
    assert set(read_clusters(run / "clusters" / "rgb+uv.parquet").labels) == {1, 2, 3, 4, 5}
    assert phenoscape("cluster", run, "--set", "grouping.method=hdbscan").exit_code == 0
    assert read_clusters(run / "clusters" / "rgb+uv.parquet").method == HDBSCAN()
    assert phenoscape("train", run, "--set", "schedule.steps=2").exit_code == 0  # still its own


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("grouping.method=kmeens", "'gaussian_mixture' was expected. Did you mean 'kmeans"),
        ("grouping.map=atlas", "the kind 'atlas' is unknown; one of 'pca', 'umap', 'tsne'"),
        ("grouping.map={kind: umap, neighbors: 5}", "Did you mean 'neighbours'"),
        ("groupin.map=pca", "has no 'groupin'. Did you mean 'grouping'? There is name, coll"),
        (
            "grouping.map={kind: tsne, perplexity: 90}",
            "t-SNE with perplexity 90 needs more",
        ),
        ("schedule.steps=3", "the 'grouping' and the 'collection' can be changed here, and"),
    ],
    ids=["clustering", "map", "key", "word", "perplexity", "training"],
)
def test_what_is_wrong_in_a_grouping_is_one_sentence_and_not_kept(
    run: Path, change: str, words: str
) -> None:
    phenoscape("embed", run)
    before = (run / "experiment.yaml").read_text()
    assert words in sentence("cluster", run, "--set", change)
    assert (run / "experiment.yaml").read_text() == before


def test_another_collection_is_embedded_clustered_and_explained_beside_the_runs_own(
    run: Path, folder: Path, tmp_path: Path
) -> None:
    for words in (("embed", run), ("cluster", run, "--clusters", 2)):
        assert phenoscape(*words).exit_code == 0
    own = {path: path.read_bytes() for path in run.glob("*/rgb+uv.*")}
    assert len(own) >= 4
    (tmp_path / "some").mkdir()
    for path in sorted((folder / "multispectral").rglob("*.tif"))[::2]:
        shutil.copy(path, tmp_path / "some")
    given = least(folder)
    given["collection"] |= {"path": str(tmp_path / "some"), "metadata": None}
    yaml = tmp_path / "some.yaml"
    yaml.write_text(Experiment.parse(given).to_yaml())
    others = ("--collection", yaml)
    assert "phenoscape embed" in sentence("cluster", run, *others)
    # a folder is what an experiment says of it
    assert "12 specimens, " in phenoscape("embed", run, "--collection", tmp_path / "some").stdout
    assert len(list(run.glob("embeddings/rgb+uv.some-*.parquet"))) == 1
    assert "12 specimens, " in phenoscape("embed", run, *others).stdout
    assert len(list(run.glob("embeddings/rgb+uv.some-*.parquet"))) == 1
    table = tmp_path / "table.csv"
    clustered = phenoscape("cluster", run, *others, "--clusters", 3, "--export", table)
    assert sum(int(n) for n in re.findall(r": (\d+) specimens", clustered.stdout)) == 12
    exported = pd.read_csv(table)
    assert exported["cluster"].nunique() == 3
    end = phenoscape("explain", run, *others, "--no-occlusion")
    assert end.exit_code == 0, end.output
    (explanation,) = (run / "explanations").glob("rgb+uv.some-*")
    specimens = pd.read_csv(explanation / "explanation-specimens.csv")
    assert specimens["specimen"].tolist() == exported["specimen"].tolist()
    end = phenoscape("neighbours", run, exported["specimen"][0], "-k", 20, *others)
    assert end.stdout.count(".tif") == 11
    assert {path: path.read_bytes() for path in own} == own


def test_clusters_are_corrected_by_hand(run: Path, tmp_path: Path) -> None:
    without = shutil.ignore_patterns("clusters")
    run = Path(shutil.copytree(run, tmp_path / "run", ignore=without))
    assert phenoscape("embed", run).exit_code == 0
    assert "phenoscape cluster" in sentence("edit", run, "--split", "cluster 1")
    assert phenoscape("cluster", run, "--clusters", 3).exit_code == 0
    figure = (run / "clusters" / "rgb+uv.png").read_bytes()

    def clusters() -> dict[str, int]:
        legend = json.loads(phenoscape("edit", run, *change, "--json").stdout)["clusters"]
        return {one["cluster"]: one["specimens"] for one in legend}

    change = ["--rename", "cluster 1", "--to", "pale"]
    sizes = clusters()
    assert set(sizes) == {"pale", "cluster 2", "cluster 3"}
    change = ["--merge", "cluster 2", "--merge", "cluster 3"]
    assert clusters() == {"pale": sizes["pale"], "cluster 2": 24 - sizes["pale"]}
    change = ["--split", "cluster 2"]
    assert len(clusters()) == 3
    one, *_ = read_embeddings(run).ids
    change = ["--leave-out", one]
    assert clusters()["noise"] == 1
    assert (run / "clusters" / "rgb+uv.png").read_bytes() != figure
    change = ["--rename", "cluster 2", "--to", "pale"]  # which another one is called, too
    assert len(json.loads(phenoscape("edit", run, *change, "--json").stdout)["clusters"]) == 4
    assert "2 clusters are called 'pale'" in sentence("edit", run, "--split", "pale")
    both = read_clusters(run / "clusters" / "rgb+uv.parquet")
    pale = sum(both.names[number] == "pale" for number in both.labels.tolist())
    label = ("--label", f"tone{tmp_path.name}", "--name", "light", "--cluster", "pale")
    end = phenoscape("label", run, *label, "--json")
    table = json.loads(end.stdout)
    Path(table["table"]).unlink()  # the specimens are those of other tests, too
    assert table["names"] == [{"name": "light", "specimens": pale}]
    change = ["--merge", "pale"]
    assert clusters()["pale"] == pale
    for words, said in (
        ((), "0 are asked for"),
        (("--split", "pale", "--leave-out", one), "2 are asked for"),
        (("--split", "pal"), "Did you mean 'pale'"),
        (("--again", "nobody.tif"), "no specimen 'nobody.tif'"),
        (("--rename", "pale"), "without a name"),
        (("--to", "pale"), "--rename"),
    ):
        assert said in sentence("edit", run, *words)


def test_a_table_that_cannot_be_written_is_said_before_the_work(run: Path, tmp_path: Path) -> None:
    said = sentence("embed", run, "--export", tmp_path / "out.xlsx")
    assert ".csv, .parquet, .h5ad" in said


def test_no_table_goes_over_another_one_or_over_what_is_read(run: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("mine")
    (run / "t.csv").write_text("of the run")
    for verb in ("embed", "cluster"):
        assert "say --overwrite" in sentence(verb, run, "--export", table)
        said = sentence(verb, run, "--export", run / "t.csv", "--overwrite")
        assert "what is read is never overwritten" in said
    (run / "t.csv").unlink()
    assert table.read_text() == "mine"
    assert phenoscape("embed", run, "--export", table, "--overwrite").exit_code == 0
    assert table.read_text().startswith("filename,x1")


def test_a_run_goes_on_with_more_steps(folder: Path) -> None:
    end = phenoscape("train", folder / "e.yaml", *TINY)
    run = "".join(end.stdout.split("run ", 1)[1].splitlines())
    assert phenoscape("train", run, "--set", "schedule.steps=3").exit_code == 0
    assert "3 of 3 steps" in phenoscape("info", run).stdout


def test_a_run_that_has_learned_says_so_and_how_it_would_go_on(run: Path) -> None:
    end = phenoscape("train", run)
    assert "all is learned: 2 of 2 steps were done before; --set schedule.steps=4" in end.stderr
    assert "learning from" not in end.stderr


def test_steps_that_are_set_count_where_a_file_counts_epochs(folder: Path) -> None:
    counted = changed(Experiment.read(folder / "e.yaml"), ["schedule.epochs=5"])
    assert changed(counted, ["schedule.steps=3"]).schedule == Schedule(
        steps=3, epochs=0, checkpoint_every=60
    )
    assert changed(counted, ["schedule.steps=3", "schedule.epochs=2"]).schedule.epochs == 2


def test_preview_writes_the_views_that_training_sees(folder: Path, tmp_path: Path) -> None:
    sheets = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = tmp_path / f"{name}.png"
        assert phenoscape("preview", folder / "e.yaml", "-o", out, "--seed", seed).exit_code == 0
        sheets.append(picture(out))
    np.testing.assert_array_equal(sheets[0], sheets[1])
    assert (sheets[0] != sheets[2]).any()
    out = tmp_path / "d.png"
    asked = ("preview", folder / "e.yaml", "-o", out, "--overwrite", "--show", "UV_G", "--only")
    assert phenoscape(*asked, "RandomRotation").exit_code == 0
    grey = picture(out)
    assert (grey[..., 0] == grey[..., 2]).all()
    assert "is there already" in sentence("preview", folder / "e.yaml", "-o", out)
    for read in (folder / "e.yaml", next(folder.rglob("*.tif"))):
        asked_for = sentence("preview", folder / "e.yaml", "-o", read, "--overwrite")
        assert "what is read is never overwritten" in asked_for
    said = phenoscape(*asked, "RandomRotate").stderr
    assert "is none of the augmentations. Did you mean 'RandomRotation'? Name one of" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("schedule.batch_size=500", "batch of 500 is larger than the collection of 24"),
        ("collection.path=/nowhere", "/nowhere"),
        ("encoder.backbone=resnet19", "resnet19"),
        ("modalities=[nir]", "nir"),
        ("losses=[{kind: cross_modal}]", "there is only 'rgb+uv'"),
        ("schedule.stepz=3", "Did you mean 'steps'"),
        ("nothing", "name=value"),
        ("a.b=1", "no 'a'"),
    ],
)
def test_what_is_wrong_in_an_experiment_is_one_sentence(
    folder: Path, change: str, words: str
) -> None:
    runs = folder.parent / "no-runs"
    assert words in sentence(
        "train", folder / "e.yaml", *TINY, "--set", f"runs={runs}", "--set", change
    )
    assert not runs.exists()


@pytest.mark.parametrize("verb", ["embed", "cluster", "export", "evaluate"])
def test_a_folder_that_is_no_run_is_called_so_by_every_verb(tmp_path: Path, verb: str) -> None:
    assert f"'{tmp_path}' is not a run directory" in sentence(verb, tmp_path)


def test_what_is_wrong_elsewhere_is_one_sentence(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.yaml").write_text("collection: [")
    for words in (
        ("info", tmp_path / "nothing.bil"),
        ("info", tmp_path / "empty"),
        ("train", tmp_path / "broken.yaml"),
        ("train", tmp_path / "empty"),
        ("embed", tmp_path / "empty"),
        ("cluster", tmp_path / "empty"),
        ("evaluate", run, "--label", "colour"),
    ):
        assert len(sentence(*words)) > len("error: ")


def test_a_folder_without_images_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    said = sentence("train", folder / "e.yaml", "--set", f"collection.path={tmp_path}")
    assert "notes.txt" in said


def test_specimens_of_other_bands_do_not_fit_a_run(run: Path, folder: Path, tmp_path: Path) -> None:
    given = RGB_UV.anchored(folder)
    other = given.model_copy(
        update={"collection": given.collection.model_copy(update={"path": folder / "rgb"})}
    )
    (tmp_path / "other.yaml").write_text(other.to_yaml())
    assert "uv" in sentence("embed", run, "--collection", tmp_path / "other.yaml")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "cluster"])
def test_an_interrupted_training_is_saved_and_goes_on(
    folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    words = [*TINY[2:], "--set", "schedule.steps=5000", "--set", f"runs={tmp_path}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_phenoscape.cli", "train", folder / "e.yaml", *words],
        stderr=subprocess.PIPE,
        text=True,
    )
    while (
        not (begun := list(tmp_path.glob("*/events.jsonl"))) or "Step" not in begun[0].read_text()
    ):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    run = begun[0].parent
    assert f"stopped and saved; `phenoscape train {run}` goes on" in said
    step = read_state(last_checkpoint(run)).step
    assert step == [e.step for e in read_events(run) if isinstance(e, Step)][-1]
    end = phenoscape("train", run, "--set", f"schedule.steps={step + 1}")
    assert end.exit_code == 0, end.output


ENVI = """ENVI
samples = 4
lines = 3
bands = 5
data type = 12
interleave = bil
byte order = 0
header offset = 0
"""


def test_a_truncated_cube_says_how_many_bytes_are_missing(tmp_path: Path) -> None:
    (tmp_path / "leaf.bil.hdr").write_text(ENVI)
    (tmp_path / "leaf.bil").write_bytes(bytes(100))  # of 4 * 3 * 5 * 2
    said = sentence("info", tmp_path / "leaf.bil")
    assert "100" in said
    assert "120" in said


def test_a_header_without_data_names_the_file_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "leaf.bil.hdr").write_text(ENVI)
    assert "leaf.bil" in sentence("info", tmp_path / "leaf.bil.hdr")


def test_a_tiff_of_two_channels_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "two.tif",
        np.zeros((16, 16, 2), np.uint16),
        photometric="minisblack",
        planarconfig="contig",
    )
    assert "2" in sentence("info", tmp_path / "two.tif")


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk takes root on Linux"
)
def test_a_full_disk_stops_training_in_words_and_keeps_the_last_checkpoint(
    folder: Path, tmp_path: Path
) -> None:
    """ResNet-18 with its optimiser is 140 MB a checkpoint; this disk holds one, not two."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        said = sentence(
            "train",
            folder / "e.yaml",
            *TINY,
            *("--set", f"runs={disk}", "--set", "schedule.checkpoint_every=1"),
        )
        assert "free" in said
        assert "step-00000002" in said
        checkpoint = last_checkpoint(next(disk.iterdir()))
        assert checkpoint.name == "step-00000001"
        assert len(load_file(checkpoint / "weights.safetensors")) > 100
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_clusters_are_kept_compared_with_the_metadata_and_drawn(run: Path, tmp_path: Path) -> None:
    assert phenoscape("embed", run).exit_code == 0
    kept = phenoscape("cluster", run, "--clusters", 3, "--keep", "three")
    assert (run / "clusters" / "kept" / "three.parquet").is_file(), kept.output
    assert phenoscape("cluster", run, "--clusters", 2).exit_code == 0
    end = phenoscape("associate", run, "--permutations", 19)
    assert end.exit_code == 0, end.output
    assert "species" in end.stdout
    assert "three" in end.stdout
    table = pd.read_csv(run / "clusters" / "rgb+uv.association.csv")
    assert {"column", "mutual_information", "p"} <= set(table)
    for name, colour in (("sex.svg", "sex"), ("uv.png", "mean of UV_R")):
        end = phenoscape("draw", run, "-o", tmp_path / name, "--colour", colour)
        assert end.exit_code == 0, end.output
        assert (tmp_path / name).stat().st_size > 5000
    assert "say --overwrite" in sentence("draw", run, "-o", tmp_path / "sex.svg")
    said = sentence("draw", run, "-o", tmp_path / "a.png", "--colour", "size")
    assert "cannot be coloured by 'size'" in said
    assert "cannot be the name" in sentence("cluster", run, "--keep", "a/b")


@pytest.mark.parametrize("verb", ["spectra", "picture", "convert", "join"])
@pytest.mark.parametrize("folder", [".", "/", ""])
def test_a_folder_in_place_of_a_cube_is_one_sentence(tmp_path, monkeypatch, verb, folder):
    monkeypatch.chdir(tmp_path)
    cubes = [folder] * (1 + (verb == "join"))
    said = sentence(verb, *cubes, "-o", tmp_path / "a.tif")
    assert "itself went wrong" not in said
    assert "folder" in said or "ends in none" in said


@pytest.mark.parametrize("verb", ["spectra", "picture", "convert"])
def test_a_folder_in_place_of_an_output_is_one_sentence(tmp_path, verb):
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(tmp_path / "a.png")
    said = sentence(verb, tmp_path / "a.png", "-o", ".", "--overwrite")
    assert "'.' is a folder" in said or "'.' ends in none" in said
