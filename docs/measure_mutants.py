"""How many small faults, planted one by one, the tests of a room find (mutation testing).

    python docs/measure_mutants.py [ROOM ...]

mutmut plants them in a copy of the room, `mutants/ROOM`, and runs the tests beside it that reach
the changed function; ``make mutants ONLY=losses`` begins so. Printed are each fault that no test
finds, then a line of the table. Words of messages are left alone; of rooms with thousands of
faults those are planted whose numbers end as the table of rooms says, the same each time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1].resolve()

#: What mutmut's exit statuses mean; any other is that of a test that failed, or never ended.
ALIVE = {0: "survived", 33: "reached by no test"}

#: Lines whose words are not changed: messages, and imports for the type checker.
LEFT = [r'^\s*f?"', r"^\s*raise ", "TYPE_CHECKING", "^#:"]


@dataclass(frozen=True)
class Room:
    """What faults are planted in, and what must find them.

    Parameters
    ----------
    files
        Patterns within ``src/napari_phenoscape``.
    tests
        Files and options of pytest.
    numbers
        How the number of a fault ends that is planted.
    """

    files: tuple[str, ...]
    tests: tuple[str, ...]
    numbers: str = "*"


ROOMS = {
    "losses": Room(("losses/*.py",), ("tests/losses",)),
    "geometry": Room(
        ("views/_geometry.py", "views/_warp.py"),
        (
            "tests/views/test_pipeline_of_views.py",
            "-k",
            "not threads and not another_process and not need_little and not same_time",
        ),
        "*5",
    ),
    "envi": Room(
        ("cubes/readers/_envi*.py",),
        ("tests/cubes/test_envi.py", "tests/cubes/test_stated.py", "tests/cubes/test_bands.py"),
        "*[05]",
    ),
    "resume": Room(
        ("training/_checkpoint.py",),
        ("tests/training/test_checkpoint.py", "tests/training/test_resumed.py", "-m", "not slow"),
        "*5",
    ),
    "readout": Room(
        ("nets/_readout.py", "nets/_linear_readout.py", "nets/_descriptor.py"),
        (
            "tests/nets/test_contrast.py",
            "tests/nets/test_descriptor.py",
            "tests/nets/test_linear_readout.py",
        ),
        "*5",
    ),
    "clustering": Room(
        (
            "embeddings/_clustering.py",
            *(
                f"analysis/evaluation/_{name}.py"
                for name in ("geometry", "interval", "neighbours", "partition", "probes", "score")
            ),
        ),
        ("tests/embeddings/test_clustering.py", "tests/analysis/test_evaluation.py"),
        "*5",
    ),
}


def planted_in(name: str, room: Room) -> Path:
    """A folder where mutmut can work: this tree, and what it is to do."""
    folder = ROOT / "mutants" / name
    # a Python that starts without this folder does not look for modules in it later
    (folder / "mutants" / "src").mkdir(parents=True, exist_ok=True)
    for part in ("src", "tests"):
        shutil.rmtree(folder / part, ignore_errors=True)
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    option = {
        "source_paths": ["src"],
        "only_mutate": [f"src/napari_phenoscape/{file}" for file in room.files],
        "do_not_mutate_patterns": LEFT,
        "pytest_add_cli_args": ["-p", "no:cacheprovider"],
        "pytest_add_cli_args_test_selection": list(room.tests),
    }
    # a JSON array of strings is one of TOML too
    said = "".join(f"{key} = {json.dumps(value)}\n" for key, value in option.items())
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    (folder / "pyproject.toml").write_text(f"{text}\n[tool.mutmut]\n{said}", "utf-8")
    return folder


def found(folder: Path) -> dict[str, int | None]:
    """The exit status of the tests by the name of the fault."""
    files = sorted((folder / "mutants").rglob("*.py.meta"))
    each = [json.loads(file.read_text("utf-8"))["exit_code_by_key"] for file in files]
    return {name: status for of_file in each for name, status in of_file.items()}


def mutmut(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """In the folder, with tests that start a process of their own in the copy too."""
    environment = os.environ | {"PYTHONPATH": str(folder / "mutants" / "src")}
    command = [str(Path(sys.executable).with_name("mutmut")), *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def main() -> None:
    """Plant and count, room by room."""
    for name in sys.argv[1:] or ROOMS:
        folder = planted_in(name, ROOMS[name])
        ended = mutmut(folder, "run", "--max-children", "1", f"*_mutmut_{ROOMS[name].numbers}")
        every = found(folder)
        tried = {key: status for key, status in every.items() if status is not None}
        if not tried:
            sys.exit(ended.stdout + ended.stderr)
        for key, status in tried.items():
            if status in ALIVE:
                print(f"{ALIVE[status]}: {mutmut(folder, 'show', key).stdout}")
        counts = Counter(ALIVE.get(status, "found") for status in tried.values())
        numbers = " | ".join(str(counts[of]) for of in ("found", *ALIVE.values()))
        print(f"| {name} | {len(tried)} of {len(every)} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
