"""Memory that a step frees is there for the next one, in whatever thread it is made."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

#: Steps of 200 MB in a thread that comes late, as in napari: threads before it left arenas.
STEPS = """
import resource, threading
import numpy as np
from napari_phenoscape.training.parallel._memory import freed_memory_kept

all_there = threading.Barrier(9)

def early():
    bytearray(1000)
    all_there.wait()

threads = [threading.Thread(target=early) for _ in range(8)]
for thread in threads:
    thread.start()
all_there.wait()
for thread in threads:
    thread.join()

def faults():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt

def steps():
    with freed_memory_kept():
        for _ in range(5):
            before = faults()
            parts = [np.ones(1_250_000) for _ in range(20)]
            del parts
            print(faults() - before)

late = threading.Thread(target=steps)
late.start()
late.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep their ways")
def test_a_thread_that_comes_late_is_given_no_page_twice():
    asked = [sys.executable, "-c", STEPS]
    said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    first, *others = map(int, said.split())
    assert first > 100  # 200 MB, in pages of 4 kB or of 2 MB
    assert max(others) < first / 10
