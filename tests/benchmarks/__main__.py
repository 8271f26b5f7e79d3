"""Runs the benchmarks: ``python -m tests.benchmarks [NAME ...]``."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

#: Each alternative runs at least so often, and rounds go on for about so many seconds.
ROUNDS, SECONDS = 5, 10.0


def interleaved(cases: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of every call of every case; one call of each comes first and is not counted."""
    for call in cases.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    end = time.perf_counter() + SECONDS
    done = 0
    while done < ROUNDS or time.perf_counter() < end:
        for name, call in cases.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
        done += 1
    return seconds


def main(names: list[str]) -> None:
    here = Path(__file__).parent
    known = sorted(path.stem.removeprefix("bench_") for path in here.glob("bench_*.py"))
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(unknown)}; there are: {', '.join(known)}.")
    for name in names or known:
        seconds = interleaved(import_module(f"tests.benchmarks.bench_{name}").cases())
        first = statistics.median(next(iter(seconds.values())))
        print(f"\n{name}")
        for case, taken in seconds.items():
            low, middle, high = statistics.quantiles(taken, n=4)
            print(
                f"  {case:<48} {1e3 * middle:10.2f} ms  ({1e3 * low:.2f}-{1e3 * high:.2f},"
                f" {len(taken)} rounds)  {middle / first:7.2f}x"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
