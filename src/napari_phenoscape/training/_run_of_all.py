"""The run directory of all ranks, which the first makes and holds."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from napari_phenoscape.errors import RunError
from napari_phenoscape.training._checkpoint import remove_partial_files
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._run import LOCK, drop_partial_line, keep_experiment, new_run

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def run_of_all(experiment: Experiment, run: Path | None, fabric: Fabric, held: ExitStack) -> Path:
    """The run directory, which rank 0 makes, or brings up to date, and locks while ``held``.

    Raises
    ------
    RunError
        It cannot be written, or another program trains it.
    TrainingError
        The first process is gone.
    """
    from napari_phenoscape._distributed import peers

    if fabric.is_global_zero:
        resumed = run is not None
        run = run or new_run(experiment)
        # a generator may be closed by another thread than began it; `is_held` holds it for a moment
        lock = FileLock(run / LOCK, timeout=1, thread_local=False)
        try:
            held.enter_context(lock)
        except Timeout:
            raise RunError(
                f"'{run}' is being trained by another program. Wait until it has ended or stop it "
                "there, or start a new run."
            ) from None
        if resumed:
            remove_partial_files(run)
            drop_partial_line(run)
            keep_experiment(run, experiment)
    with peers():
        shared: Path = fabric.broadcast(run)  # type: ignore[assignment]
    return shared
