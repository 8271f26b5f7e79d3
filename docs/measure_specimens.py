"""What the objects of a collection and their table take, and how long.

    python docs/measure_specimens.py --number 1000000

No file is read: names, paths, boxes and two columns of text alone are made, listed by cube, looked
up by id, and divided into parts of 256, as `embed` does. In memory that the process has more, and
in seconds of a processor.
"""

from __future__ import annotations

import argparse
import gc
import time
from pathlib import Path

import pandas as pd
import psutil

from napari_phenoscape.specimens import Collection, Folder, Specimen


def main(number: int) -> None:
    """Make so many, use them, and print."""
    process, root = psutil.Process(), Path("/photographs/of/somebody").absolute()
    before, start = process.memory_info().rss, time.process_time()
    paths = [root / f"genus_{i % 1000:04d}" / f"specimen_{i:07d}.png" for i in range(number)]
    ids = [path.relative_to(root).as_posix() for path in paths]
    specimens = tuple(Specimen(*own, (0, 256, 0, 256)) for own in zip(ids, paths, strict=True))
    genus = [path.parent.name for path in paths]
    species = [f"species_{i % 5000}" for i in range(number)]
    index = pd.Index(ids, name="specimen")
    table = pd.DataFrame({"genus": genus, "species": species}, index=index)
    collection = Collection(Folder(kind="folder", path=root), specimens, table)
    del paths, ids, specimens, genus, species, index, table
    print(f"made: {time.process_time() - start:.1f} s")
    start = time.process_time()
    list(collection.groups())
    collection.take([one.id for one in collection.specimens])
    for first in range(0, number, 256):
        collection.rows(slice(first, first + 256))
    gc.collect()
    print(f"grouped, taken, divided: {time.process_time() - start:.1f} s")
    print(f"each: {(process.memory_info().rss - before) / number:.0f} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=200_000)
    main(parser.parse_args().number)
