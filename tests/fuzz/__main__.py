"""Coverage-guided fuzzing of the readers: ``python -m tests.fuzz SECONDS [READER]``.

Each reader runs in a process of its own under libFuzzer (through atheris, which has wheels for
Linux). An input that breaks one is kept as ``fuzz/READER/crash-...`` or ``timeout-...``. Where the
structure of a format is known (`MUTATIONS`), its words are changed too, for as long, and what opens
must hold what other libraries read (`ORACLES`); the input that breaks it is the file in
``fuzz/READER``.
"""

from __future__ import annotations

import faulthandler
import subprocess
import sys
import warnings
from pathlib import Path
from random import Random
from time import monotonic

#: Files beyond this size are not tried.
LARGEST = 16384

#: Seconds after which a try has no end.
LONGEST = 60


def fuzz(reader: str, seconds: int, folder: Path) -> None:
    """Try inputs for so long, beginning with valid files; ends the process."""
    import atheris

    with atheris.instrument_imports(include=["napari_phenoscape.cubes", "tifffile"]):
        from tests.fuzz.attempts import attempt, seeds

    warnings.simplefilter("ignore")
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(seeds()[reader]):
        (corpus / f"seed-{number}").write_bytes(content)
    atheris.Setup(
        [
            sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-max_len={LARGEST}",
            f"-timeout={LONGEST}", "-rss_limit_mb=4096", "-verbosity=0", "-print_final_stats=1",
            f"-artifact_prefix={folder}/",
        ],
        lambda content: attempt(folder, reader, content),
    )  # fmt: skip
    atheris.Fuzz()


def change(reader: str, seconds: int, folder: Path) -> None:
    """Try files whose words are changed for so long; the last one stays where it lies."""
    from tests.fuzz.attempts import NAMES, attempt, seeds
    from tests.fuzz.mutations import mutated
    from tests.fuzz.oracles import check_numbers

    warnings.simplefilter("ignore")
    folder.mkdir(parents=True, exist_ok=True)
    contents, end, tries, opened = seeds()[reader], monotonic() + seconds, 0, 0
    while monotonic() < end:
        faulthandler.dump_traceback_later(LONGEST, exit=True)
        random = Random(tries)
        if attempt(folder, reader, mutated(reader, random.choice(contents), random)):
            check_numbers(reader, folder / NAMES[reader])
            opened += 1
        tries += 1
    faulthandler.cancel_dump_traceback_later()
    sys.stdout.write(f"{reader}: {tries} files with other words, of which {opened} open\n")


def main(seconds: str, *readers: str) -> None:
    """Fuzz one reader after the other; exit 1 when one of them broke."""
    from napari_phenoscape.cubes import READERS
    from tests.fuzz.mutations import MUTATIONS

    broken = [
        reader
        for reader in readers or [reader.name for reader in READERS]
        for how in ("bytes", "words")[: 1 + (reader in MUTATIONS)]
        if subprocess.run([sys.executable, "-m", "tests.fuzz", seconds, reader, how]).returncode
    ]
    sys.exit(f"broken: {', '.join(broken)}; the inputs are in fuzz/" if broken else 0)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [seconds, reader, "bytes"]:
            fuzz(reader, int(seconds), Path("fuzz") / reader)
        case [seconds, reader, "words"]:
            change(reader, int(seconds), Path("fuzz") / reader)
        case given:
            main(*given)
