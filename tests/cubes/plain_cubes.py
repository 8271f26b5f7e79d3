"""A format that another package adds: all that it takes but the entry point.

```toml
[project.entry-points."napari_phenoscape.readers"]
plain = "plain_cubes:READER"
```

A file is one line, ``PLAIN bands rows columns first_nm last_nm``, and float32 reflectance, band by
band.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Band, Bands, Cube, LazyArray, Reader
from napari_phenoscape.errors import CubeError


class Planes(LazyArray):
    """Reads what it is asked for; `LazyArray` makes numpy's indices and pickling of it."""

    def __init__(self, path: Path, shape: tuple[int, int, int], start: int) -> None:
        super().__init__(shape, np.dtype("<f4"))
        self._path, self._start = path, start

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        mapped = np.memmap(self._path, "<f4", "r", self._start, self.shape)
        return np.array(mapped[bands, rows, columns])


def open_plain(path: Path) -> Cube:
    with path.open("rb") as file:
        line = file.readline(100)
    try:
        bands, rows, columns = (int(word) for word in line.split()[1:4])
        first, last = (float(word) for word in line.split()[4:6])
    except ValueError:
        raise CubeError(
            f"'{path.name}' begins with {line!r}; 'PLAIN' and five numbers were expected. Write it "
            "again."
        ) from None
    centres = np.linspace(first, last, bands)
    return Cube(
        array=Planes(path, (bands, rows, columns), len(line)),
        bands=Bands(Band(f"{nm:.7g} nm", float(nm)) for nm in centres),
        path=path,
    )


READER = Reader(
    name="plain",
    patterns=("*.plain",),
    claims=lambda _, head: head.startswith(b"PLAIN "),
    open=open_plain,
)
