"""Specimens for a soak: small pictures in three colours, drawn in no time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

#: Red, green and blue of a kind.
KINDS = np.array([[170, 90, 60], [80, 150, 70], [70, 90, 170]])

SIDE = 16


def draw_specimens(folder: Path, count: int) -> Path:
    """So many PNGs of 16 pixels, of three kinds, with a table that says which; gives the folder."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    rows = ["filename,kind"]
    for number in range(count):
        kind = number % len(KINDS)
        spread = random.integers(-40, 40, (SIDE, SIDE, 3))
        picture = np.clip(KINDS[kind] + spread, 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.png", compress_level=1)
        rows.append(f"{number}.png,{kind}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return folder
