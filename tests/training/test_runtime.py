"""Runtime: several processes, started by torchrun, by Slurm or by ourselves, make one training."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch._inductor.config
from safetensors.torch import load_file
from typer.testing import CliRunner

from napari_phenoscape import __version__
from napari_phenoscape.cli._console import app
from napari_phenoscape.errors import OptionError, PhenoscapeError
from napari_phenoscape.events import Event, Finished, Progress, Started, Step, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples._experiments import RGB_UV
from napari_phenoscape.specimens import Preparation
from napari_phenoscape.training import (
    Experiment,
    Schedule,
    last_checkpoint,
    launch,
    read_events,
    read_experiment,
    read_state,
    train,
)
from napari_phenoscape.training._checks import check_ranks
from napari_phenoscape.training._experiment import Runtime
from napari_phenoscape.training._run import new_run
from napari_phenoscape.training.parallel import _runtime as runtime
from napari_phenoscape.training.parallel._launch import _free_port
from tests.forked import pythons

TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "RANK": "5"}
SRUN = {"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "5"}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runtime") / "samples"
    return result(write_samples(folder, specimens=24, size=32, drawer=False))


@pytest.fixture(scope="module")
def experiment(samples: Path) -> Experiment:
    given = RGB_UV.anchored(samples).model_dump(mode="json")
    # so slow that float32 rounding stays rounding
    given["schedule"] |= {"steps": 2, "batch_size": 8, "warmup": 0, "learning_rate": 1e-6}
    given |= {"image_size": 32, "runs": str(samples.parent / "runs")}
    return Experiment.parse({**given, "runtime": {"device": "cpu"}})


@pytest.fixture(scope="module")
def alone(experiment: Experiment) -> Path:
    """The run of one process."""
    return result(train(experiment))


def with_runtime(experiment: Experiment, steps: int = 2, **given: object) -> Experiment:
    return experiment.model_copy(
        update={
            "runtime": Runtime(device="cpu", **given),  # type: ignore[arg-type]
            "schedule": experiment.schedule.model_copy(update={"steps": steps}),
        }
    )


def steps(run: Path) -> list[Step]:
    return [event for event in read_events(run) if isinstance(event, Step)]


def losses(run: Path) -> list[float]:
    return [event.loss for event in steps(run)]


def assert_same_training(run: Path, other: Path) -> None:
    """Losses, and the moments of the optimiser, which are means of the gradients of all ranks."""
    assert losses(run) == pytest.approx(losses(other), abs=1e-4)
    mine, theirs = (load_file(last_checkpoint(r) / "optimizer.safetensors") for r in (run, other))
    assert mine.keys() == theirs.keys()
    for name in mine:
        difference = (mine[name] - theirs[name]).norm()
        # float32 rounds a unit over the edge of its ReLU: 2 %; that of half a batch differs by 16 %
        assert difference <= 0.03 * max(float(theirs[name].norm()), 1e-6), name


def test_two_processes_of_torchrun_train_what_one_trains(
    experiment: Experiment, alone: Path, tmp_path: Path
) -> None:
    on_disk = Preparation(memory_share=0)
    run = new_run(experiment.model_copy(update={"runs": tmp_path, "preparation": on_disk}))
    words = ["--standalone", "--nproc-per-node", "2", "-m", "napari_phenoscape.cli", "train", run]
    end = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert end.returncode == 0, end.stderr
    assert end.stdout.split() == ["run", str(run)]  # once: rank 1 is silent
    assert_same_training(run, alone)
    assert len(list(tmp_path.glob(".prepared/*/manifest.json"))) == 1  # both read the same
    assert [type(e).__name__ for e in read_events(run)] == [
        *("Started", "Step", "Step", "Saved", "Finished")
    ]


def test_two_processes_in_chunks_train_what_one_trains_at_once(
    experiment: Experiment, tmp_path: Path
) -> None:
    given = experiment.model_dump(mode="json") | {"image_size": 48, "runs": str(tmp_path)}
    given["encoder"]["backbone"] = "squeezenet1_1"
    given["losses"] = [{"kind": "nt_xent"}, {"kind": "local_patches"}]
    at_once = Experiment.parse(given)
    given["runtime"] |= {"chunk": 2, "devices": 2}
    run = result(train(Experiment.parse(given)))
    assert_same_training(run, result(train(at_once)))
    assert all(event.terms["local_patches"] > 0 for event in steps(run))


def test_more_than_one_device_runs_in_processes_of_its_own_that_a_stop_ends_within_a_batch(
    experiment: Experiment, alone: Path
) -> None:
    verb = train(with_runtime(experiment, steps=5000, devices=2))
    events: list[Event] = []
    while sum(isinstance(event, Step) for event in events) < 2:
        events.append(next(verb))
    verb.close()
    assert isinstance(events[0], Progress)
    here = [event for event in events if not isinstance(event, Progress)]
    assert isinstance(here[0], Started)
    run, logged = here[0].run, read_events(here[0].run)
    assert logged[: len(here)] == here
    assert losses(run)[0] == pytest.approx(losses(alone)[0], abs=1e-4)
    assert logged[-1] == Finished(run, stopped=True)
    assert read_state(last_checkpoint(run)).step == len(losses(run)) < 5000


def test_when_one_process_dies_all_end_and_the_run_goes_on_later(
    experiment: Experiment,
) -> None:
    verb = launch(with_runtime(experiment, steps=5000, devices=2))
    run = next(event.run for event in verb if isinstance(event, Started))
    children = [int(pid) for pid in _children(os.getpid())]
    assert isinstance(next(verb), Step)
    os.kill(children[-1], signal.SIGKILL)
    with pytest.raises(PhenoscapeError, match=r"exit code -9|lost the other") as caught:
        result(verb)
    assert "can be resumed" in str(caught.value)
    assert not set(children) & {int(pid) for pid in _children(os.getpid())}
    assert result(train(with_runtime(experiment, steps=1), run)) == run


def _children(parent: int) -> list[str]:
    """Processes of our own that train."""
    task = Path(f"/proc/{parent}/task/{parent}/children")
    if not task.exists():
        pytest.skip("needs Linux to find the processes")
    found = []
    for thread in task.parents[1].iterdir():
        found += (thread / "children").read_text().split()
    return [p for p in found if b"phenoscape.cli" in Path(f"/proc/{p}/cmdline").read_bytes()]


def test_what_is_wrong_in_a_process_is_said_as_if_it_were_here(experiment: Experiment) -> None:
    schedule = experiment.schedule.model_copy(update={"batch_size": 64})
    with pytest.raises(PhenoscapeError, match=r"^A batch of 64 is larger than .* 24 specimens"):
        result(launch(experiment.model_copy(update={"schedule": schedule})))


def test_a_batch_that_cannot_be_shared_equally_is_refused() -> None:
    with pytest.raises(OptionError, match=r"batch of 9 cannot be shared .* by 2 .*e\.g\. 8"):
        check_ranks(Schedule(batch_size=9), 2)


def test_several_nodes_are_not_started_from_one(experiment: Experiment) -> None:
    with pytest.raises(OptionError, match=r"2 nodes cannot be started from one.*phenoscape slurm"):
        result(train(with_runtime(experiment, devices=4, nodes=2)))


@pytest.mark.parametrize(
    ("environment", "world", "rank"),
    [
        ({}, None, 0),
        (TORCHRUN, (4, 2), 5),
        (SRUN, (4, 2), 5),
        # a batch script before its srun
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_NNODES": "2"}, None, 0),
        (TORCHRUN | {"WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1", "RANK": "0"}, None, 0),
    ],
    ids=["alone", "torchrun", "srun", "sbatch", "torchrun of one"],
)
def test_torchrun_and_slurm_say_how_many_we_are(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    world: tuple[int, int] | None,
    rank: int,
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    for name in (*TORCHRUN, *SRUN):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert runtime.world() == world
    assert runtime.rank() == rank


def step_of(ranks: int, rank: int) -> dict[str, str]:
    """What `srun --ntasks=2` says to a task, in a job of more, on the second of its nodes."""
    return {
        "SLURM_JOB_ID": "1234567", "SLURM_JOB_NAME": "job", "SLURM_STEP_ID": "0",
        "SLURM_NTASKS": f"{ranks}", "SLURM_NNODES": "2", "SLURM_NODELIST": "nowhere[1-2]",
        "SLURM_STEP_NUM_TASKS": f"{ranks}", "SLURM_STEP_NUM_NODES": "1", "SLURM_NODEID": "0",
        "SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_PROCID": f"{rank}", "SLURM_LOCALID": f"{rank}",
    }  # fmt: skip


def test_two_steps_of_a_job_meet_at_ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASTER_PORT", raising=False)
    ports = set()
    for step in ("0", "1"):
        for name, value in {**step_of(2, 0), "SLURM_STEP_ID": step}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("MASTER_ADDR", "")
        ports.add(runtime.environment_of_ranks().main_port)
    assert len(ports) == 2
    assert all(1024 < port < 32_768 for port in ports)
    monkeypatch.setenv("MASTER_PORT", "29500")
    assert runtime.environment_of_ranks().main_port == 29_500


def by_hand(rank: int) -> dict[str, str]:
    """What torchrun says to one of two."""
    return {
        "TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        "RANK": f"{rank}", "LOCAL_RANK": f"{rank}", "GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1",
    }  # fmt: skip


def started(
    words: list[list[str]], environments: list[dict[str, str]]
) -> list[tuple[int, str, str]]:
    """A process of each rank, started by hand: no launcher ends the others when one fails."""
    port = {"MASTER_PORT": str(_free_port()), "OMP_NUM_THREADS": "1"}
    return pythons(words, [port | own for own in environments])


def test_two_tasks_of_a_plain_srun_train_what_one_trains(
    experiment: Experiment, alone: Path, tmp_path: Path
) -> None:
    run = new_run(experiment.model_copy(update={"runs": tmp_path}))
    words = ["-m", "napari_phenoscape.cli", "train", str(run)]
    ends = started([words, words], [step_of(2, rank) for rank in range(2)])
    assert [(code, said.split()) for code, said, _ in ends] == [(0, ["run", str(run)]), (0, [])]
    assert_same_training(run, alone)


def test_one_process_in_a_job_of_slurm_is_one_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In salloc and in a batch script before its srun; Fabric refuses these, or waits."""
    job = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "job"}
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    assert runtime.fabric_of(Runtime(device="cpu")).world_size == 1


def test_a_terminal_that_is_one_of_several_tasks_does_not_wait_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in step_of(4, 0).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(OptionError, match=r"one of 4 tasks of srun.*srun --ntasks=1 --pty bash"):
        runtime.world()


def test_tasks_that_do_not_spread_evenly_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (SRUN | {"SLURM_STEP_NUM_TASKS": "7"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OptionError, match="7 processes do not spread evenly over 2 nodes"):
        runtime.world()


@pytest.mark.parametrize(
    ("device", "gpus", "words"),
    [("cuda", 2, "4 × 'cuda' .* has 2 of them"), ("mps", 0, "4 × 'mps' .* has one device")],
)
def test_devices_that_are_not_there_are_refused(device: str, gpus: int, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        runtime._check_devices(device, 4, gpus)


def test_a_card_that_does_not_compute_in_bf16_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "devices", lambda: ("cuda", "cpu"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    asked = Runtime(device="cuda", precision="bf16")
    with pytest.raises(OptionError, match=r"bf16 needs a newer GPU, .* float32 or fp16"):
        runtime.fabric_of(asked)
    assert runtime.runtime_here(asked)[0].precision == "float32"


def test_more_processes_than_processors_are_refused_before_the_first(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.os, "cpu_count", lambda: 2)
    started = []
    monkeypatch.setattr("subprocess.Popen", lambda *words, **_: started.append(words))
    asked = experiment.model_copy(
        update={"runtime": Runtime(device="cpu", devices=64), "runs": tmp_path / "runs"}
    )
    with pytest.raises(OptionError, match="64 processes on this machine, which has 2 processors"):
        result(train(asked))
    assert not started
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("given", "device", "precision"),
    [
        (Runtime(device="cuda", precision="fp16"), "cpu", "float32"),
        (Runtime(device="mps", precision="bf16"), "cpu", "bf16"),
        (Runtime(precision="fp16"), "cpu", "float32"),
    ],
    ids=str,
)
def test_a_net_of_another_machine_is_used_on_what_is_here_and_that_is_said(
    given: Runtime, device: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "devices", lambda: ("cpu",))
    here, note = runtime.runtime_here(given)
    assert (here.device, here.precision) == (device, precision)
    assert f"trained on '{given.device}' in {given.precision}" in note
    assert runtime.runtime_here(Runtime(precision="bf16")) == (Runtime(precision="bf16"), "")


def test_the_batch_script_asks_for_what_the_experiment_needs(
    experiment: Experiment, samples: Path, tmp_path: Path
) -> None:
    (samples / "e.yaml").write_text(
        experiment.model_copy(update={"runs": tmp_path, "runtime": Runtime(threads=8)}).to_yaml()
    )
    words = ["--devices", "4", "--nodes", "2", "--time", "1-00:00:00", "--sbatch=--partition=gpu"]
    end = CliRunner().invoke(app, ["slurm", str(samples / "e.yaml"), *words])
    assert end.exit_code == 0, end.output
    sbatch, script = end.stdout.strip().split(" ", 1)
    assert sbatch == "sbatch"
    text = Path(script).read_text()
    run = Path(script).parent
    for line in (
        "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=4",
        "#SBATCH --gpus-per-node=4",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --time=1-00:00:00",
        "#SBATCH --signal=TERM@120",
        "#SBATCH --requeue",
        "#SBATCH --partition=gpu",
        # with 130 of one task srun would kill the one that saves, and the job would not queue again
        "srun --kill-on-bad-exit=0 --wait=120 "
        '--cpus-per-task="$SLURM_CPUS_PER_TASK" '
        f"{sys.executable} -m napari_phenoscape.cli train {run}",
    ):
        assert line in text.splitlines()
    kept = read_experiment(run).runtime
    assert (kept.devices, kept.nodes) == (4, 2)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    again = CliRunner().invoke(app, ["slurm", str(samples / "e.yaml"), *words])
    assert again.stdout == end.stdout  # asked twice, it is one run
    other = CliRunner().invoke(app, ["slurm", str(samples / "e.yaml"), *words, "--set", "seed=1"])
    assert other.stdout != end.stdout


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("2", 120), ("4:59", 299), ("0:04:00", 240), ("0-0:4", 240), ("5", 0), ("0-1", 0), ("0", 0),
     ("24:00", 0), ("1-0", 0), ("UNLIMITED", 0)],
)  # fmt: skip
def test_a_job_that_would_be_asked_to_save_while_it_begins_is_refused(
    experiment: Experiment, tmp_path: Path, time: str, seconds: int
) -> None:
    from napari_phenoscape.training import write_batch_script

    asked = experiment.model_copy(update={"runs": tmp_path})
    if not seconds:
        assert f"--time={time}" in write_batch_script(asked, time).read_text()
        return
    with pytest.raises(OptionError, match=f"--time {time} is {seconds} seconds.*--time 1:00:00"):
        write_batch_script(asked, time)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("code", "queued"), [(0, False), (130, True), (1, False)])
def test_a_job_whose_time_is_up_queues_again(
    experiment: Experiment, samples: Path, tmp_path: Path, code: int, queued: bool
) -> None:
    """The script itself, with a srun that ends as the training would."""
    from napari_phenoscape.training import write_batch_script

    script = write_batch_script(experiment.model_copy(update={"runs": tmp_path}), "1:00:00")
    for name, line in (("srun", f"exit {code}"), ("scontrol", f"echo $@ >> {tmp_path}/said")):
        (tmp_path / name).write_text(f"#!/bin/bash\n{line}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "4"}
    assert subprocess.run(["bash", script], env=environment, check=False).returncode == code
    assert (tmp_path / "said").exists() == queued


def test_a_listener_that_is_killed_does_not_end_the_training(
    experiment: Experiment, tmp_path: Path
) -> None:
    run = new_run(with_runtime(experiment, steps=4).model_copy(update={"runs": tmp_path}))
    words = [sys.executable, "-m", "napari_phenoscape.cli", "train", "--events", str(run)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "Progress"
    process.stdout.close()
    assert process.wait(60) == 0
    assert read_events(run)[-1] == Finished(run)


@pytest.mark.parametrize(
    ("kind", "processes", "tools", "words"),
    [
        ("cpu", 1, None, r"needs a C\+\+ compiler \(g\+\+ or clang\+\+\), and none is on the PATH"),
        ("cpu", 2, "/usr/bin", "does not work on 'cpu' in 2 processes"),
        ("mps", 1, "/usr/bin", "does not work on 'mps'"),
    ],
)
def test_encoders_that_cannot_be_compiled_say_why(
    monkeypatch: pytest.MonkeyPatch, kind: str, processes: int, tools: str | None, words: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: tools)
    home = SimpleNamespace(device=torch.device(kind), world_size=processes)
    with pytest.raises(OptionError, match=rf"^runtime\.compile {words}\. Set .* to false\.$"):
        runtime.compile_encoders(Runtime(compile=True), [], home)  # type: ignore[arg-type]
    runtime.compile_encoders(Runtime(), [], home)  # type: ignore[arg-type]


def test_compiled_encoders_give_the_same_numbers_and_keep_the_names_of_their_weights() -> None:
    if not any(shutil.which(name) for name in ("g++", "clang++")):
        pytest.skip("torch.compile needs a C++ compiler, and none is on the PATH")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Dropout(0.5), torch.nn.Tanh())
    rows, names = torch.randn(4, 6), list(net.state_dict())

    def seen() -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(1)
        net.zero_grad()
        found = net(rows)
        found.sum().backward()
        return found.detach(), net[0].weight.grad.clone()

    plain = seen()
    home = SimpleNamespace(device=torch.device("cpu"), world_size=1)
    with torch._inductor.config.patch(fallback_random=False):
        runtime.compile_encoders(Runtime(compile=True), [net], home)  # type: ignore[arg-type]
        assert net._compiled_call_impl is not None
        for one, other in zip(plain, seen(), strict=True):
            torch.testing.assert_close(other, one)
    assert list(net.state_dict()) == names


def test_bf16_and_float32_are_what_fabric_is_asked_for() -> None:
    for precision, wanted in (("bf16", torch.bfloat16), ("float32", torch.float32)):
        fabric = runtime.fabric_of(Runtime(device="cpu", precision=precision))  # type: ignore[arg-type]
        with fabric.autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == wanted


#: A process of `train`, which is as different from the others as it is told.
AS_PEER = """
import os
import sys
from pathlib import Path
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import result
from napari_phenoscape.training import Experiment, _loop, train
from napari_phenoscape.training.parallel import _peers
experiment, differs = Experiment.read(Path(sys.argv[1])), sys.argv[2]
if differs == "device":
    _peers.device_of = lambda _: "cuda"
if differs == "version":
    _peers.__version__ = "0.0.1"
if differs == "experiment":
    experiment = experiment.model_copy(update={"seed": 7})
if differs == "killed while it reads":
    _loop.check_views = lambda _: os.kill(os.getpid(), 9)
if differs == "damaged":
    _loop.check_views = lambda _: experiment.read(Path("nowhere.yaml"))
_peers.LOST_S = 5.0
if differs == "files":
    fewer = Path(sys.argv[1]).parent / "fewer"
    source = experiment.collection.model_copy(update={"path": fewer})
    experiment = experiment.model_copy(update={"collection": source})
try:
    result(train(experiment))
except PhenoscapeError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize(
    ("differs", "words"),
    [
        ("device", "Process 1 computes on 'cuda' and process 0 on 'cpu'"),
        ("version", f"Process 1 is napari-phenoscape 0.0.1 and process 0 {__version__}"),
        ("experiment", "Process 1 has other specimens, weights or settings than process 0"),
        ("files", "Process 1 has other specimens, weights or settings than process 0"),
    ],
)
def test_processes_that_differ_end_with_a_sentence_each_and_make_no_run(
    experiment: Experiment, tmp_path: Path, differs: str, words: str
) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(experiment.model_copy(update={"runs": tmp_path / "runs"}).to_yaml())
    fewer = shutil.copytree(experiment.collection.path, tmp_path / "fewer")
    next(Path(fewer).rglob("*.tif")).unlink()
    asked = [["-c", AS_PEER, str(path), differs * rank] for rank in range(2)]
    ends = started(asked, [by_hand(rank) for rank in range(2)])
    assert [code for code, _, _ in ends] == [1, 1]
    said = [wrong for _, _, wrong in ends]
    assert words in said[0]
    assert "Process 0" in said[1]
    assert "Traceback" not in "".join(said)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize(
    ("differs", "words"),
    [
        ("damaged", "Process {} ended, and with it the others: 'nowhere.yaml' is not there"),
        ("killed while it reads", "Process {} (is gone|ended, .* not heard of for 5 seconds)"),
    ],
)
def test_when_a_process_fails_before_they_are_joined_the_others_say_so_and_do_not_wait(
    experiment: Experiment, tmp_path: Path, failing: int, differs: str, words: str
) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(experiment.model_copy(update={"runs": tmp_path / "runs"}).to_yaml())
    asked = [["-c", AS_PEER, str(path), differs * (rank == failing)] for rank in range(2)]
    ends = started(asked, [by_hand(rank) for rank in range(2)])
    code, _, said = ends[1 - failing]
    assert code == 1
    assert re.search(words.format(failing), said)
    assert not (tmp_path / "runs").exists()
