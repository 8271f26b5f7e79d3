"""Slurm: the batch script that trains a run on a cluster."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from napari_phenoscape._atomic import atomic
from napari_phenoscape.errors import OptionError
from napari_phenoscape.events import result
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._run import new_run
from napari_phenoscape.training._runs import runs_in

#: Name of the script in the run.
SCRIPT = "train.sbatch"

#: Seconds before the end of the time at which the training is asked to save.
WARNING_S = 120


def write_batch_script(
    experiment: Experiment,
    time: str = "24:00:00",
    more: Sequence[str] = (),
    run: Path | None = None,
) -> Path:
    """Make the run directory and ``train.sbatch`` in it; returns the script.

    Parameters
    ----------
    experiment
        What to train; ``runtime`` says on how many nodes and devices.
    time
        Longest time of a job in Slurm's words, e.g. ``"24:00:00"``; a training that needs more
        asks for its turn again.
    more
        Other options of sbatch, e.g. ``"--partition=gpu"``; they win over those of the script.
    run
        The run to go on with. When it is None, the one of this very experiment that has a script
        already and did not end; else a new one.

    Raises
    ------
    OptionError
        A path or an option has a line break: the rest of it would be a command of the script.
    """
    _refuse_breaks(str(run or experiment.runs), time, *more)
    run = run or _begun(experiment) or new_run(experiment)
    script = run / SCRIPT
    with atomic(script) as temporary:
        temporary.write_text(batch_script(experiment, run, time, more), "utf-8")
    return script


def _refuse_breaks(*words: str) -> None:
    for word in words:
        if word.splitlines() not in ([], [word]):
            raise OptionError(
                f"{word!r} has a line break, and what follows it would be run as a command of the "
                "script. Write it in one line; a folder of such a name, rename."
            )


def _begun(experiment: Experiment) -> Path | None:
    """The newest run of an experiment for which a script was written, unless it has ended."""
    if not experiment.runs.is_dir():
        return None
    asked = experiment.anchored(Path.cwd())
    for run in result(runs_in(asked.runs)):
        open_still = run.goes_on or run.state == "training"
        if open_still and run.experiment == asked and (run.path / SCRIPT).is_file():
            return run.path
    return None


def batch_script(experiment: Experiment, run: Path, time: str, more: Sequence[str] = ()) -> str:
    """Text of the script: one task for each device; begins the run, or goes on with it."""
    runtime = experiment.runtime
    options = [
        f"--job-name={experiment.name}",
        f"--nodes={runtime.nodes}",
        f"--ntasks-per-node={runtime.devices}",
        *([] if runtime.device == "cpu" else [f"--gpus-per-node={runtime.devices}"]),
        f"--cpus-per-task={runtime.threads or 4}",
        f"--time={time}",
        f"--signal=TERM@{WARNING_S}",
        "--requeue",
        "--open-mode=append",
        f"--output={run / 'slurm.log'}",
        *more,
    ]
    lines = "\n".join(f"#SBATCH {shlex.quote(option)}" for option in options)
    command = shlex.join([sys.executable, "-m", "napari_phenoscape.cli", "train", str(run)])
    return f"""\
#!/bin/bash
{lines}

# {WARNING_S} s before the time is up, every task gets SIGTERM: the training ends after its batch,
# saves, and exits with 130; the job then queues again, and goes on from its checkpoint.
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK
srun --kill-on-bad-exit=1 {command}
code=$?
if [ $code -eq 130 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
"""
