"""What verbs say and leave when a file cannot grow: as on a full disk, at so many bytes.

Each verb that writes runs in a fork in which no file may be larger than a limit (``RLIMIT_FSIZE``),
for several limits. It must end well or in one sentence, with no half file under a final name, and
leave no part behind. Printed for each verb: tries, those that met the limit, findings.

    python docs/measure_full_disk.py [VERB ...]

Linux or macOS.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from measure_kills import VERBS, half, leftovers, ready, run, words_of

#: Bytes.
LIMITS = (600, 3_000, 20_000)


def main(*names: str) -> None:
    """Print a line for each verb; exit 1 with findings."""
    found = 0
    with ready() as folder:
        print("| verb | tries | met the limit | findings |\n|---|---|---|---|")
        for verb in names or VERBS:
            findings, met = set[str](), 0
            for steps, limit in enumerate(LIMITS, start=3):
                said = run(words_of(verb, steps), largest=limit)
                met += bool(said)
                is_sentence = "cannot be written" in said and "Traceback" not in said
                findings |= {f"{limit}: {said[-200:]}"} if said and not is_sentence else set()
                findings |= {f"half: {path.relative_to(folder)}" for path in half(folder, set())}
                findings |= {f"left: {path.relative_to(folder)}" for path in leftovers(folder)}
                shutil.rmtree("made")
                Path("made").mkdir()
            found += len(findings)
            print(f"| {verb} | {len(LIMITS)} | {met} | {len(findings)} |", flush=True)
            for finding in sorted(findings):
                print(f"    {finding}", flush=True)
    sys.exit(bool(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
