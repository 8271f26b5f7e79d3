"""Soak: ``python -m tests.soak [SPECIMENS] [KILLS]`` prints what each step took, and what was said.

Linux. The pictures, crops and runs lie in the folder for temporary files and are removed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.soak.stages import EACH, FIXED, fitted, stages
from tests.soak.trouble import changed, digest, killed, twins, vanished, whole, with_clock_backward

#: Specimens of the job that is troubled: some parts, which fewer would not be.
TROUBLED = 4000


def main(count: int = 20_000, kills: int = 6) -> None:
    """Print a line for each step and for each trouble; exit with 1 if one is not as it must be."""
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for stage in stages(folder, count):
            most = FIXED + EACH * count
            missed = " MISSED" if stage.memory > most else ""
            wrong += [stage.name] if missed else []
            print(
                f"{stage.name}: {stage.cpu_s:.1f} s of a processor, {stage.memory / 1e6:.0f} MB "
                f"(at most {most / 1e6:.0f} MB){missed}",
                flush=True,
            )
        run = fitted(folder / "trouble", TROUBLED)
        start = time.perf_counter()
        whole(run)
        once, wanted = time.perf_counter() - start, digest(run)
        print(f"a picture vanishes: {vanished(run)}", flush=True)
        print(f"a picture changes: {changed(run)}", flush=True)
        with_clock_backward(run)
        wrong += ["clock"] if digest(run) != wanted else []
        print("the clock goes backward: the same bytes", flush=True)
        for number, parts in killed(run, kills, once):
            print(f"killed by signal {number}: {parts} parts are kept", flush=True)
        wrong += ["kills"] if digest(run) != wanted else []
        print(f"two at once: {[said or 'done' for said in twins(run)]}", flush=True)
        wrong += ["twins"] if digest(run) != wanted else []
    if wrong:
        sys.exit(f"Not as it must be: {', '.join(wrong)}.")
    print("The embeddings have the same bytes after all of it.")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
