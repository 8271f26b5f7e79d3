"""Runs the benchmarks: ``python -m tests.benchmarks [BEGINNING OF A NAME]``."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path


def main(beginning: str = "") -> None:
    """Print one line for each comparison whose file's name begins so."""
    here = Path(__file__).parent
    known = sorted(path.stem.removeprefix("bench_") for path in here.glob("bench_*.py"))
    chosen = [name for name in known if name.startswith(beginning)]
    if not chosen:
        sys.exit(f"No benchmark begins with '{beginning}'; there are: {', '.join(known)}.")
    for name in chosen:
        for comparison in import_module(f"tests.benchmarks.bench_{name}").comparisons():
            print(comparison.line(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:2])
