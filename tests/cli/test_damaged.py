"""Runs that a stranger made, or a disk has damaged: sentences, and nothing written elsewhere."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from napari_phenoscape.cli._console import app
from napari_phenoscape.events import Notice, Step, event_line, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.training import Experiment, read_log

WORDS = {
    "info": ("info", "RUN"),
    "embed": ("embed", "RUN"),
    "cluster": ("cluster", "RUN", "--clusters", "2", "--set", "grouping.map=pca"),
    "neighbours": ("neighbours", "RUN", "Ficta_aurea_0000_F_Dorsal.tif"),
}

#: What becomes of a file, and who reads it then.
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "noise": lambda content: bytes(range(256)) * 8,
    "other": lambda content: b'{"a": [1, null, "x"]}\n',
    "deep": lambda content: b"[" * 100_000,
}
READ = {
    "experiment.yaml": ("info", "cluster"),
    "events.jsonl": ("info",),
    "checkpoints/*/state.json": ("embed",),
    "checkpoints/*/weights.safetensors": ("embed",),
    "checkpoints/*/embeddings.safetensors": ("embed",),  # which makes them anew
    "embeddings/*.parquet": ("neighbours", "cluster"),
    "clusters/*.parquet": ("cluster",),
}


def phenoscape(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damaged")
    result(write_samples(folder / "samples", specimens=24, size=32, drawer=False))
    tiny = ("schedule.steps=1", "schedule.batch_size=8", "image_size=32", f"runs={folder / 'runs'}")
    changes = [word for change in tiny for word in ("--set", change)]
    end = phenoscape("train", folder / "samples" / "rgb-uv.yaml", *changes, "--json")
    run = Path(json.loads(end.stdout)["run"])
    for verb in ("embed", "cluster"):
        end = phenoscape(*[str(run) if word == "RUN" else word for word in WORDS[verb]])
        assert end.exit_code == 0, end.output
    return run


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("name", READ)
def test_a_damaged_file_of_a_run_is_a_sentence_or_harmless(
    whole: Path, name: str, how: str, tmp_path: Path
) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    (path,) = run.glob(name)
    path.write_bytes(DAMAGE[how](path.read_bytes()))
    for verb in READ[name]:
        end = phenoscape(*[run if word == "RUN" else word for word in WORDS[verb]])
        # the first half of an experiment may be one, with defaults for the rest
        harmless = name in ("events.jsonl", "checkpoints/*/embeddings.safetensors")
        allowed = {0} if harmless else {0, 2} if name == "experiment.yaml" else {2}
        assert end.exit_code in allowed, end.output
        assert end.stderr.count("error: ") == (end.exit_code == 2), end.stderr
    assert {each.name for each in tmp_path.iterdir()} == {"run"}


def test_a_run_without_its_experiment_is_told_as_a_run(whole: Path, tmp_path: Path) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "experiment.yaml").unlink()
    assert "is not a run directory: it does not hold experiment.yaml" in (
        phenoscape("info", run).stderr
    )


@pytest.mark.parametrize("name", ["../../evil", "/evil", "..", "a\0b", "a\\b"])
def test_nothing_is_named_out_of_its_folder(whole: Path, name: str, tmp_path: Path) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    given = Experiment.read(run / "experiment.yaml").model_dump(mode="json")
    modality = {"name": name, "bands": ["R", "G"]}
    for change in ({"name": f"{name}/x"}, {"modalities": [modality]}):
        (run / "experiment.yaml").write_text(json.dumps(given | change))
        assert phenoscape("embed", run).exit_code == 2
    assert {each.name for each in tmp_path.iterdir()} == {"run"}


def test_a_label_names_files_in_the_run_only(whole: Path, tmp_path: Path) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    table = tmp_path / "moths.csv"
    known = (whole.parents[1] / "samples" / "multispectral" / "metadata.csv").read_text("utf-8")
    table.write_text(known.replace("morph", "../../morph", 1), "utf-8")
    words = ("classify", run, "--label", "../../morph", "--set", f"collection.metadata={table}")
    assert phenoscape(*words).exit_code == 0
    assert {each.name for each in tmp_path.iterdir()} == {"run", "moths.csv"}
    assert len(list((run / "classifications").iterdir())) == 1


def test_a_log_of_many_events_is_read_in_the_memory_of_one(tmp_path: Path) -> None:
    lines = [event_line(Step(n, 30_000, 0.5, 0.25, 1e-3, 10.0, 1.0)) for n in range(1, 30_001)]
    noted = [event_line(Notice(f"note {n % 3}")) for n in range(3000)]
    content = "\n".join([*noted, *lines, "x" * 3_000_000, '{"event": "Step", "st'])
    (tmp_path / "events.jsonl").write_text(content)
    read_log(tmp_path)
    tracemalloc.start()
    log = read_log(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (log.steps, log.last.step, log.notices) == (
        30_000,
        30_000,
        ("note 0", "note 1", "note 2"),
    )
    assert peak < 10 << 20 < len(content) + (8 << 20)
