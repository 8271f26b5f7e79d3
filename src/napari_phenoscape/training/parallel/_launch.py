"""Launch: a training in processes of its own, one for each device, that says what they say."""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from pathlib import Path

from napari_phenoscape._atomic import scratch
from napari_phenoscape.errors import RESUMABLE, OptionError, PhenoscapeError
from napari_phenoscape.events import Event, Failed, Finished, Started, event_from_line
from napari_phenoscape.training._experiment import Experiment, Runtime
from napari_phenoscape.training.parallel._runtime import LAUNCHED, check_processes

#: Seconds that the others have to end by themselves when one process has failed.
GRACE_S = 10.0

#: What becomes of the work of processes that were killed.
TRAINING = RESUMABLE.capitalize()
SHARES = "What was computed is kept, and the same command goes on with it"
_REPORT = "; if this is no lack of memory, please report it."


def launch(experiment: Experiment, run: Path | None = None) -> Generator[Event, None, Path]:
    """Train in a process for each device of this machine, with the events of `train`.

    Closing the generator lets the processes end after the running batch and save. They live on
    when the program that listens is killed; the run's ``events.jsonl`` holds what they said.

    Parameters
    ----------
    experiment
        What to train; ``runtime.devices`` says in how many processes.
    run
        None: a new run directory. Else the one to go on with.

    Yields
    ------
    Event
        Of rank 0.

    Returns
    -------
    The run directory.

    Raises
    ------
    OptionError
        Several nodes, which one machine cannot start; or more devices than it has.
    PhenoscapeError
        What went wrong in one of the processes; the others are ended.
    """
    devices, nodes = experiment.runtime.devices, experiment.runtime.nodes
    if nodes > 1:
        raise OptionError(
            f"{nodes} nodes cannot be started from one of them: write the batch script of a "
            "cluster with `phenoscape slurm experiment.yaml`, or run `torchrun --nnodes "
            f"{nodes} --nproc-per-node {devices} -m napari_phenoscape.cli train ...` on each."
        )
    with scratch() as folder:
        words = _words(experiment, run, folder)
        running = _processes(words, experiment.runtime, folder, TRAINING)
        while True:
            try:
                event = next(running)
            except StopIteration as end:
                stopped = bool(end.value)
                break
            if isinstance(event, Started | Finished):
                run = event.run if isinstance(event, Started) else event.path
            yield event
    assert run is not None  # no process ends well without one
    if stopped:
        yield Finished(run, stopped=True)
    return run


def launch_shares(words: Sequence[str], runtime: Runtime) -> Generator[Event, None, None]:
    """Let a process for each device compute its share of what a verb computes by specimen.

    Who started them puts the shares together.

    Parameters
    ----------
    words
        The verb and its arguments.
    runtime
        Says how many devices.

    Raises
    ------
    OptionError
        More devices than this machine has.
    PhenoscapeError
        What went wrong in one of the processes. What others have computed is found again.
    """
    with scratch() as folder:
        command = [sys.executable, "-m", "napari_phenoscape.cli", words[0], "--events", *words[1:]]
        if (yield from _processes(command, runtime, folder, SHARES)):
            raise PhenoscapeError(f"One of the {runtime.devices} processes was stopped. {SHARES}.")


def _processes(
    words: list[str], runtime: Runtime, folder: Path, kept: str
) -> Generator[Event, None, bool]:
    """Run a command in a process for each device; the events of rank 0.

    Closing the generator stops them; it returns whether one was stopped otherwise. ``kept`` is said
    when one was killed.
    """
    check_processes(runtime)
    said = queue.Queue[str | tuple[int, int]]()
    port = _free_port()
    processes = []
    failed, stopped = "", False
    try:
        for rank in range(runtime.devices):
            process = _start(rank, runtime.devices, port, words, folder, said)
            processes.append(process)  # one by one: if the second fails, the first is ended
        running = runtime.devices
        while running:
            match said.get():
                case str(line):
                    event = event_from_line(line)
                    if isinstance(event, Failed):
                        failed = failed or event.message
                    else:
                        yield event
                case rank, code:
                    running -= 1
                    stopped |= code == STOPPED
                    if code not in (0, STOPPED):
                        failed = failed or f"{_last_words(folder, rank, code)} {kept}{_REPORT}"
                        _end(processes)
    except GeneratorExit:
        _stop(processes)
        raise
    finally:
        _end(processes)
    if failed:
        raise PhenoscapeError(failed)
    return stopped


#: What `phenoscape train` returns to the system when it was stopped and has saved.
STOPPED = 130


def _words(experiment: Experiment, run: Path | None, folder: Path) -> list[str]:
    """The command that trains the experiment."""
    words = [sys.executable, "-m", "napari_phenoscape.cli", "train", "--events"]
    experiment = experiment.anchored(Path.cwd())
    if run is None:
        (folder / "experiment.yaml").write_text(experiment.to_yaml(), "utf-8")
        return [*words, str(folder / "experiment.yaml")]
    words.append(str(run))
    for name, value in experiment.model_dump(mode="json").items():
        words += ["--set", f"{name}={json.dumps(value)}"]
    return words


def _start(
    rank: int,
    ranks: int,
    port: int,
    words: list[str],
    folder: Path,
    said: queue.Queue[str | tuple[int, int]],
) -> subprocess.Popen[str]:
    """Start a process; its lines, then (rank, exit code), go into ``said``."""
    environment = dict(os.environ)
    if ranks > 1:
        # what torchrun would say
        environment |= {
            "TORCHELASTIC_RUN_ID": LAUNCHED,
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "GROUP_RANK": "0",
            "WORLD_SIZE": str(ranks),
            "LOCAL_WORLD_SIZE": str(ranks),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // ranks)))
    with (folder / f"{rank}.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            env=environment,
            # Ctrl-C is for the listener, which passes it on; and a closed terminal ends nothing
            start_new_session=True,
        )

    def listen() -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                said.put(line)
        said.put((rank, process.wait()))

    threading.Thread(target=listen, name=f"listens to rank {rank}", daemon=True).start()
    return process


def _stop(processes: list[subprocess.Popen[str]]) -> None:
    """Let them end after the running batch and save; returns when they have."""
    for process in processes:
        process.terminate()
    for process in processes:
        if process.wait() not in (0, STOPPED):
            _end(processes)


def _end(processes: list[subprocess.Popen[str]]) -> None:
    """Make sure that none is left: one that waits for a dead one hears no signal."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _last_words(folder: Path, rank: int, code: int) -> str:
    if code < 0:  # what it said before has nothing to do with it
        return f"Process {rank} was killed from outside (exit code {code})."
    lines = (folder / f"{rank}.log").read_text("utf-8", "replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
    return f"Process {rank} ended with exit code {code} ({last.strip()[:300]})."


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
