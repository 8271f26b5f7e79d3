"""Drawer: many specimens in one cube, each a region of it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape._tables import read_table
from napari_phenoscape.cubes import Cube, Interpretation, read_mask
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Progress, result
from napari_phenoscape.option import Place
from napari_phenoscape.specimens.collection._metadata import join
from napari_phenoscape.specimens.collection._outlines import outline_doubt, refuse_size
from napari_phenoscape.specimens.collection._specimens import (
    Collection,
    Skipped,
    Source,
    Specimen,
    box_around,
    told_of,
)
from napari_phenoscape.specimens.finding._find import REASONS, Found, nothing_used
from napari_phenoscape.specimens.finding._finding import AUTO, OUTLINE, Finding
from napari_phenoscape.specimens.finding._kept import kept, kept_at
from napari_phenoscape.specimens.finding._pieces import Word
from napari_phenoscape.spectra import open_calibrated

#: Columns that may number the regions in a drawer's metadata; the first that is there does.
REGION_COLUMNS = ("region", "specimen")


class Drawer(Source):
    """One cube that shows many specimens, e.g. a scanned museum drawer."""

    kind: Literal["drawer"] = "drawer"
    path: Place = Field(description="the cube, or its address (https://, s3://, ...)")
    regions: Literal["auto"] | Place | None = Field(
        None,
        description="image of the same size that numbers the specimens from 1, 0 between them; "
        "without it, each connected piece of the cube's own mask is a specimen; 'auto': what is "
        "found on its background",
    )
    finding: Finding = Finding()
    min_area: int = Field(64, ge=1, description="pixels; a smaller region is dust, no specimen")
    metadata: Place | None = Field(
        None, description="CSV with one row per specimen, numbered in its column 'region'"
    )
    read_as: Interpretation = Field(
        Interpretation(), description="what the planes of the file are, where it does not say it"
    )

    def labels(self, cube: Cube) -> NDArray[Any]:
        """(H, W) numbers of the regions, 0 between them.

        Pieces of the mask (corners connect) that are large enough are numbered from 1 in reading
        order of their topmost pixel.
        """
        if self.regions == AUTO:
            found = result(self._found(cube))
            return found.regions(found.used(self.finding))
        if isinstance(self.regions, Path):
            labels = read_mask(self.regions)
            refuse_size(labels, f"'{self.regions.name}'", cube)
            return labels
        if cube.mask is None:
            raise CollectionError(
                f"'{cube.path.name}' has no mask of its own, so its specimens cannot be told "
                "apart; give an image that numbers them as 'regions'."
            )
        from scipy import ndimage

        pieces, _ = ndimage.label(cube.mask, structure=np.ones((3, 3), dtype=int))
        area = np.bincount(pieces.ravel())
        large = area >= self.min_area
        large[0] = False
        return np.where(large, np.cumsum(large), 0)[pieces]

    def outline(self, path: Path) -> Path | None:
        """The file that numbers the regions."""
        if self.regions == "auto":
            return kept_at(path, self.read_as, self.finding, self.min_area)
        return self.regions

    def _found(self, cube: Cube) -> Generator[Progress, None, Found]:
        return kept(cube, self.read_as, self.finding, self.min_area)

    def collect(self) -> Generator[Progress, None, Collection]:
        """Find the specimens; see `collect`."""
        from scipy import ndimage

        cube = open_calibrated(self.path.absolute(), self.read_as)
        path = cube.path
        table = None if self.metadata is None else read_table(self.metadata.absolute())
        yield Progress("finding specimens", 0, 1)
        specimens, skipped = [], []
        words: dict[int | None, Word] = {}
        if self.regions == AUTO:
            found = yield from self._found(cube)
            used = found.used(self.finding)
            if not used:
                raise CollectionError(nothing_used(cube, found, self.min_area))
            skipped += [
                Skipped(Path(f"{path}#{piece.number}"), REASONS[piece.word])
                for piece in found.pieces
                if piece not in used
            ]
            words = {piece.number: piece.word for piece in used}
        labels = self.labels(cube)
        of = self.regions if isinstance(self.regions, Path) else None
        if self.regions != AUTO and (doubt := outline_doubt(labels, of, cube)):
            skipped.append(Skipped(path, f"Its regions {doubt}.", only_lacks=True))
        # regions may be numbered with gaps, up to any number
        values, place = np.unique(np.maximum(labels, 0), return_inverse=True)
        place = place.reshape(labels.shape) + int(values[0] > 0)
        numbers = [int(value) for value in values if value > 0]
        area = np.bincount(place.ravel(), minlength=len(numbers) + 1)[1:]
        for number, pixels, bounds in zip(numbers, area, ndimage.find_objects(place), strict=True):
            if pixels < self.min_area:
                reason = f"Region {number} has {pixels} pixels, fewer than {self.min_area}."
                skipped.append(Skipped(path, reason))
                continue
            box = box_around(bounds[0], bounds[1], cube.shape[1:])
            specimens.append(Specimen(f"{path.name}#{number}", path, box, number))
        if not specimens:
            raise CollectionError(
                f"'{path.name}' shows no specimen: {len(numbers)} regions of {self.min_area} "
                "pixels or more were looked for in "
                + (f"'{Path(self.regions).name}'" if self.regions else "its mask")
                + (f", the largest has {area.max()}" if numbers else ", which is empty")
                + ". Lower min_area, or give other regions."
            )
        metadata = pd.DataFrame(index=range(len(specimens)))
        if table is not None and self.metadata is not None:
            column = next((name for name in REGION_COLUMNS if name in table), None)
            if column is None:
                raise CollectionError(
                    f"'{self.metadata.name}' has the columns {', '.join(map(str, table))}; one "
                    "called 'region' that numbers the specimens was expected."
                )
            keys = [str(specimen.region) for specimen in specimens]
            metadata, notes = join(table, self.metadata.absolute(), column, keys)
            skipped += notes
        if self.regions == AUTO and OUTLINE not in metadata:
            metadata[OUTLINE] = [words[specimen.region] for specimen in specimens]
        metadata.index = pd.Index([specimen.id for specimen in specimens], name="specimen")
        yield Progress("finding specimens", 1, 1)
        return Collection(self, tuple(specimens), metadata, tuple(skipped), told_of(cube))
