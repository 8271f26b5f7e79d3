"""Slurm: the batch script that trains a run on a cluster."""

from __future__ import annotations

import re
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

#: Seconds without which a job does little but start: Slurm may ask up to a minute earlier.
SHORTEST_S = 300

#: Options of srun. It ends all at once where one has exited with 130, unless it is told not to, and
#: since Slurm 22.05 it does not know what sbatch was told of processors.
_STEP = (
    "--kill-on-bad-exit=0",
    f"--wait={WARNING_S}",
    '--cpus-per-task="$SLURM_CPUS_PER_TASK"',
)


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
        A path or an option has a line break: the rest of it would be a command of the script. Or
        the time is up before the training has begun.
    """
    _refuse_breaks(str(run or experiment.runs), time, *more)
    _refuse_short(time)
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


def _refuse_short(time: str) -> None:
    words = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", time)
    if words is None:
        return  # "UNLIMITED", or what sbatch refuses
    days, *rest = (int(word or 0) for word in words.groups())
    # after days come hours; three numbers begin with hours, too, and others with minutes
    hours = words[1] or words[4]
    units = (3600, 60, 1) if hours else (60, 1, 0)
    asked = 86400 * days + sum(n * unit for n, unit in zip(rest, units, strict=True))
    if 0 < asked < SHORTEST_S:  # 0 is no limit
        raise OptionError(
            f"--time {time} is {asked} seconds, and a training is asked to save {WARNING_S} to "
            f"{WARNING_S + 60} seconds before its time is up. Ask for more, e.g. --time 1:00:00 "
            "for an hour."
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
# A task that ends before the one that saves does not end it; one that failed ends all by --wait.
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK
srun {" ".join(_STEP)} {command}
code=$?
if [ $code -eq 130 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
"""
