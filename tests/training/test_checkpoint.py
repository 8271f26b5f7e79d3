"""Checkpoints and run directories survive a kill at any instant."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from napari_phenoscape._atomic import beside
from napari_phenoscape.errors import CheckpointError
from napari_phenoscape.events import Finished, Progress, Started, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.training import EXPERIMENT, Experiment, last_checkpoint, read_events, train
from napari_phenoscape.training._checkpoint import checkpoints, remove_partial_files
from napari_phenoscape.training._run import new_run
from tests.least import least

#: What Python says before each operation that changes files.
OPERATIONS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"}

_listener: list[object] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event in OPERATIONS and _listener:
        call = _listener.pop()  # what it does itself is not its business
        call(event, arguments)  # type: ignore[operator]
        _listener.append(call)


sys.addaudithook(_hook)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    folder = tmp_path_factory.mktemp("checkpoint") / "samples"
    result(write_samples(folder, specimens=24, size=32, drawer=False))
    given = least(folder)
    given["schedule"] |= {"steps": 2, "batch_size": 4, "checkpoint_every": 1}
    # what a step can keep between steps: momentum, an average, running statistics, all heads
    given["schedule"] |= {"optimizer": "lars", "average": 0.9}
    given["losses"] = [{"kind": "nt_xent"}, {"kind": "local_patches"}]
    given["head"] = {"hidden": 8, "out": 4}
    given["method"] = {"kind": "simclr", "readout": {"kind": "contrast", "views": 2}}
    return Experiment.parse({**given, "image_size": 64, "runs": str(folder.parent / "runs")})


@contextmanager
def every_instant(folder: Path, copies: Path) -> Iterator[list[Path]]:
    """Copies of ``folder`` as a kill before each operation on its files would leave it."""
    found: list[Path] = []
    seen: set[tuple[tuple[str, bytes], ...]] = set()

    def copy(event: str, arguments: tuple[object, ...]) -> None:
        files = sorted(folder.rglob("*"))
        state = tuple(
            (str(path.relative_to(folder)), path.read_bytes() if path.is_file() else b"/")
            for path in files
        )
        if state not in seen:
            seen.add(state)
            found.append(copies / str(len(found)))
            shutil.copytree(folder, found[-1])

    _listener.append(copy)
    try:
        yield found
    finally:
        _listener.clear()


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Of the newest checkpoint, with their average and what the optimiser keeps."""
    return {
        f"{file} {name}": tensor
        for file in ("weights", "average", "optimizer")
        for name, tensor in load_file(last_checkpoint(run) / f"{file}.safetensors").items()
    }


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*.part")]


@pytest.mark.slow
def test_a_kill_between_any_two_file_operations_loses_nothing(
    experiment: Experiment, tmp_path: Path
) -> None:
    experiment.runs.mkdir()
    with every_instant(experiment.runs, tmp_path) as instants:
        whole = result(train(experiment))
    wanted = weights(whole)
    begun = {"nothing": 0, "a run": 0, "a checkpoint": 0, "a part of one": 0}
    for instant in instants:
        runs = [path for path in instant.iterdir() if not path.name.startswith(".")]
        if not runs:
            begun["nothing"] += 1
            continue
        (run,) = runs
        assert (run / EXPERIMENT).is_file()
        if not leftovers(run / "checkpoints"):
            begun["a checkpoint" if checkpoints(run) else "a run"] += 1
        else:
            begun["a part of one"] += 1
        assert result(train(experiment, run)) == run
        found = weights(run)
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted), instant
        assert len(checkpoints(run)) == 1
        assert not leftovers(run)
        assert read_events(run)[-1] == Finished(run)
    assert all(begun.values()), begun
    assert len(instants) > 20


def test_a_run_that_was_killed_as_it_was_made_is_removed_by_the_next(
    experiment: Experiment,
) -> None:
    program = (
        "import os, signal, sys; from napari_phenoscape.training import _run\n"
        "from napari_phenoscape.training import Experiment\n"
        "_run.keep_experiment = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "_run.new_run(Experiment.from_yaml(sys.argv[1]))"
    )
    for _ in range(2):  # the second removes what the first has left
        ended = subprocess.run([sys.executable, "-c", program, experiment.to_yaml()], check=False)
        assert ended.returncode == -signal.SIGKILL
        assert len(leftovers(experiment.runs)) == 1
    assert new_run(experiment).is_dir()
    assert not leftovers(experiment.runs)


def test_what_a_kill_left_in_a_run_is_removed_when_the_next_run_is_made(
    experiment: Experiment,
) -> None:
    run = new_run(experiment)
    living = beside(run / "checkpoints" / "step-00000001")
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    )
    dead = living.with_name(living.name.replace(f"-{os.getpid()}-", f"-{ended.stdout.strip()}-"))
    for part in (living, dead):
        part.mkdir()
        (part / "weights.safetensors").write_bytes(b"half")
    new_run(experiment.model_copy(update={"name": "another"}))
    assert leftovers(run) == [living.name]
    shutil.rmtree(living)


KILLED = """
import os, signal, sys
from pathlib import Path
from napari_phenoscape.events import result
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training import train

def hook(event, arguments):
    if event == "os.rename" and "step-00000002" in str(arguments[0]):
        os.kill(os.getpid(), signal.SIGKILL)

if "killed" in sys.argv:
    sys.addaudithook(hook)
result(train(Experiment.read(Path(sys.argv[1]) / "experiment.yaml"), Path(sys.argv[1])))
"""


def test_a_run_that_was_killed_with_9_goes_on_bit_for_bit(
    experiment: Experiment, tmp_path: Path
) -> None:
    # each in a process of its own, as a user's are: what ran before in this one is no matter
    command = [sys.executable, "-c", KILLED]
    whole = new_run(experiment.model_copy(update={"runs": tmp_path / "whole"}))
    subprocess.run([*command, whole], check=True)
    run = new_run(experiment.model_copy(update={"runs": tmp_path / "killed"}))
    process = subprocess.run([*command, run, "killed"], check=False)
    assert process.returncode == -signal.SIGKILL
    assert [path.name for path in checkpoints(run)] == ["step-00000001"]
    assert leftovers(run)
    subprocess.run([*command, run], check=True)
    wanted = weights(whole)
    found = weights(run)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_of_what_kills_left_the_newest_checkpoint_stays_alone(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    for name in ("step-00000001", "step-00000002", "step-00000003", ".step-00000004.x.part"):
        (folder / name).mkdir(parents=True)
    remove_partial_files(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["step-00000003"]


def test_a_line_that_a_kill_cut_short_does_not_spoil_the_next_one(
    experiment: Experiment, tmp_path: Path
) -> None:
    run = result(train(experiment.model_copy(update={"runs": tmp_path})))
    before = read_events(run)
    with (run / "events.jsonl").open("a") as file:
        file.write('{"event": "St')
    heard = [event for event in train(experiment, run) if not isinstance(event, Progress)]
    assert read_events(run) == [*before, *heard]
    assert isinstance(heard[0], Started)
    assert heard[-1] == Finished(run)


def test_a_run_of_an_earlier_version_is_told_so(experiment: Experiment, tmp_path: Path) -> None:
    run = result(train(experiment.model_copy(update={"runs": tmp_path})))
    file = last_checkpoint(run) / "state.json"
    fields = json.loads(file.read_text("utf-8"))
    of = fields.pop("statistics")
    fields |= {"bands": {n: o["bands"] for n, o in of.items()}, "mean": {}}
    file.write_text(json.dumps(fields), "utf-8")
    with pytest.raises(CheckpointError, match=r"made by an earlier version: .*or train again"):
        result(train(experiment, run))


def test_two_runs_that_begin_on_one_day_have_a_directory_each(
    experiment: Experiment, tmp_path: Path
) -> None:
    given = experiment.model_copy(update={"runs": tmp_path})
    first, second = new_run(given), new_run(given)
    assert second.name == f"{first.name}-2"
    assert sorted(path.name for path in tmp_path.iterdir()) == [first.name, second.name]
