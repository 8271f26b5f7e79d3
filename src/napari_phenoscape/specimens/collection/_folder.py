"""Folder: one specimen in every picture or cube of a folder."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator
from pydantic.config import JsonDict

from napari_phenoscape._remote import address
from napari_phenoscape._tables import read_table
from napari_phenoscape.cubes import (
    Cube,
    Interpretation,
    as_shots,
    is_drawn,
    is_reference,
    natural,
    read_mask,
)
from napari_phenoscape.errors import CollectionError, MissingFileError, PhenoscapeError
from napari_phenoscape.events import Progress, result
from napari_phenoscape.option import Place
from napari_phenoscape.specimens.collection._metadata import (
    add_what_names_say,
    braces,
    join_by_file,
    name_regex,
    spelt,
)
from napari_phenoscape.specimens.collection._moment import refuse_moment
from napari_phenoscape.specimens.collection._outlines import (
    doubtful_outlines,
    outline_doubt,
    refuse_size,
)
from napari_phenoscape.specimens.collection._specimens import (
    Box,
    Collection,
    Opened,
    Skipped,
    Source,
    Specimen,
    assumptions,
    box_around,
    told_of,
    unequal_scales,
)
from napari_phenoscape.specimens.collection._together import firsts, parts_of, set_of
from napari_phenoscape.specimens.collection._walk import brought, matching, scans_alone, walked
from napari_phenoscape.specimens.finding._finding import AUTO, OUTLINE, Finding
from napari_phenoscape.specimens.finding._kept import found_ahead, kept_at, kept_largest
from napari_phenoscape.spectra import (
    MOST_PX,
    References,
    by_references,
    files_with_references,
    open_calibrated,
    open_joined,
    references_of,
    region_file,
)

#: Under what the fields of few folders stand in a form.
_SET: JsonDict = {"fold": "several files of a specimen"}
_STANDARD: JsonDict = {"fold": "a standard in the picture"}

#: Pixels of a specimen that is found, at least.
SPECIMEN = 64


class Folder(Source):
    """A folder of pictures or cubes, one specimen in each."""

    kind: Literal["folder"] = "folder"
    path: Place = Field(description="the folder, or its address (https://, s3://, ...)")
    pattern: str = Field(
        "**/*", description="which files, e.g. '*.bmp'; '**/' = in folders inside it too"
    )
    mask: str | None = Field(
        None,
        description="the file that holds a picture's mask, seen from the picture, e.g. "
        "'{stem}.png' or 'masks/{stem}_mask.tif'; such files are no specimens; 'auto': the largest "
        "thing on the picture's background",
    )
    finding: Finding = Finding()
    metadata: Place | None = Field(
        None, description="CSV with one row per file; metadata.csv in the folder when there is one"
    )
    name_pattern: str | None = Field(
        None,
        description="labels that the file names spell, e.g. '{genus}_{species}_{id}_{sex}_{view}'",
    )
    read_as: Interpretation = Field(
        Interpretation(), description="what the planes of the files are, where they do not say it"
    )
    together: str | None = Field(
        None,
        description="photographs of one specimen in several files, e.g. '{id}_{vis|uv}': names "
        "without their endings, seen from the folder; the others are laid on the first and are "
        "more bands of it",
        json_schema_extra=_SET,
    )
    others_read_as: Interpretation = Field(
        Interpretation(), description="what the planes of those others are", json_schema_extra=_SET
    )
    most_residual_px: float = Field(
        MOST_PX,
        gt=0,
        description="residual that may be left between photographs that belong together, in "
        "pixels of the first",
        json_schema_extra=_SET,
    )
    white_region: str | None = Field(
        None,
        description="a white or grey standard that each photograph shows (of those that belong "
        "together the first): ROW:ROW,COLUMN:COLUMN where it is at the same place; a label image, "
        "seen from the photograph, e.g. 'standards/{stem}.png'; 'auto': it is found in each",
        json_schema_extra=_STANDARD,
    )
    panel: float = Field(
        1.0, gt=0, le=1, description="reflectance of the standard", json_schema_extra=_STANDARD
    )

    @field_validator("together")
    @classmethod
    def _together_has_parts(cls, together: str | None) -> str | None:
        if together is not None:
            parts_of(together)
        return together

    @field_validator("pattern")
    @classmethod
    def _pattern_stays_inside(cls, pattern: str) -> str:
        parts = PurePosixPath(pattern).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise ValueError(
                f"'{pattern}' is no pattern for files inside the folder; give e.g. '*.png' or "
                "'**/*'."
            )
        if any("**" in part and part != "**" for part in parts):
            raise ValueError(f"'**' stands for whole folders: write '**/*.png', not '{pattern}'.")
        return pattern

    @field_validator("mask")
    @classmethod
    def _mask_has_stem_alone(cls, mask: str | None) -> str | None:
        if mask not in (None, AUTO) and braces(mask) != {"stem"}:
            raise ValueError(
                f"'{mask}' does not say which mask belongs to which picture; put {{stem}} where "
                "the picture's name without its ending stands, e.g. '{stem}.png'."
            )
        return mask

    @field_validator("white_region")
    @classmethod
    def _white_region_has_stem_alone(cls, region: str | None) -> str | None:
        if region is not None and braces(region) - {"stem"}:
            raise ValueError(
                f"'{region}' holds other braces than {{stem}}, which is the photograph's name "
                "without its ending, e.g. 'standards/{stem}.png'."
            )
        return region

    @field_validator("panel")
    @classmethod
    def _panel_has_a_standard(cls, panel: float, info: ValidationInfo) -> float:
        references_of(info.data.get("white_region"), panel=panel)
        return panel

    @field_validator("name_pattern")
    @classmethod
    def _name_pattern_has_fields(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            name_regex(pattern)
        return pattern

    @property
    def with_table(self) -> Self:
        """With the folder's own ``metadata.csv`` named, where there is one and no other is."""
        own = self.path / "metadata.csv"
        named = self.metadata is not None or not own.is_file()
        return self if named else self.model_copy(update={"metadata": own})

    @property
    def to_outline(self) -> dict[str, Any]:
        """The largest thing on the picture's background, where no mask is named."""
        return {} if self.mask else {"mask": AUTO}

    def labels(self, cube: Cube) -> NDArray[Any] | None:
        """(H, W) above 0 on the specimen; None when nothing outlines it."""
        if self.mask == AUTO:
            return self._found(cube)[0]
        path = self.outline(cube.path)
        if path is None:
            return cube.mask
        if not path.is_file() or path == cube.path:
            raise MissingFileError(
                f"There is no mask '{self._called(cube)}' where the mask pattern '{self.mask}' "
                "asks for it."
                if path != cube.path
                else f"It is itself what the mask pattern '{self.mask}' asks for."
            )
        try:
            labels = read_mask(path)
        except PhenoscapeError as error:
            raise CollectionError(f"Its mask '{self._called(cube)}': {error}") from error
        refuse_size(labels, f"Its mask '{self._called(cube)}'", cube)
        return labels

    def _called(self, cube: Cube) -> str:
        """The mask of a cube as the pattern names it, which may be called as its picture is."""
        return (self.mask or "").format(stem=cube.path.stem)

    def ready(self, files: Sequence[Path]) -> Iterator[Path]:
        """Files one by one, while those behind are brought, or what is found in them is kept."""
        if self.mask == AUTO:
            return found_ahead(files, self.read_as, self.finding, SPECIMEN)
        return brought(files)

    def collect(self) -> Generator[Progress, None, Collection]:
        """Find the specimens; see `collect`."""
        root = self.path.absolute()
        files, table_path, skipped = yield from self._files(root)
        table = None if table_path is None else read_table(table_path)
        if self.together is not None:
            files, strays = firsts(files, root, self.together)
            skipped += strays
        found: dict[str, Opened] = {}
        for done, path in enumerate(self.ready(files), 1):
            try:
                if is_drawn(path):
                    raise CollectionError(
                        "It was drawn by phenoscape, of specimens that are elsewhere. Should it be "
                        "one, save it with another program."
                    )
                cube, residual_px = self._joined(path)
                name = cube.path.relative_to(root).as_posix()
                if name not in found:  # a header and its data file are one cube
                    fields, labels = self._spelt(cube.path), self.labels(cube)
                    specimen = Specimen(name, cube.path, self._box(cube, labels))
                    word = self._found(cube)[1] if self.mask == AUTO else ""
                    doubt = "" if word else outline_doubt(labels, self.outline(cube.path), cube)
                    found[name] = Opened(specimen, fields, told_of(cube), residual_px, word, doubt)
            except PhenoscapeError as error:
                refuse_moment(error, path)
                skipped.append(Skipped(path, str(error)))
            except OSError as error:
                refuse_moment(error, path)
                skipped.append(Skipped(path, f"It cannot be read ({error.strerror})."))
            yield Progress("finding specimens", done, len(files))
        if not found:
            raise CollectionError(
                f"None of the {len(files)} files in '{address(self.path)}' that match "
                f"'{self.pattern}' is a specimen: '{skipped[0].path.name}' was left out, since: "
                f"{skipped[0].reason}"
            )
        ordered = [found[name] for name in sorted(found, key=natural)]
        ids = [one.specimen.id for one in ordered]
        metadata = pd.DataFrame(index=range(len(ids)))
        if table is not None and table_path is not None:
            metadata, notes = join_by_file(table, table_path, ids)
            skipped += notes
        spelt = {column: [one.fields[column] for one in ordered] for column in self._fields()}
        add_what_names_say(metadata, ids, spelt, self.name_pattern)
        skipped += doubtful_outlines([(self.outline(o.specimen.path), o) for o in ordered])
        said = [one.provenance for one in found.values()]
        skipped += unequal_scales(root, said)
        assumed = assumptions(said)
        if self.together is not None:
            left = [one.residual_px for one in ordered]
            metadata["residual_px"] = [f"{residual_px:.2f}" for residual_px in left]
            assumed = (
                *assumed,
                f"What is left between photographs that were laid on each other is "
                f"{np.median(left):.2f} pixels (median) and at most {max(left):.2f}.",
            )
        if self.mask == AUTO and OUTLINE not in metadata:
            metadata[OUTLINE] = [one.outline for one in ordered]
        metadata.index = pd.Index(ids, name="specimen")
        specimens = tuple(one.specimen for one in ordered)
        return Collection(self, specimens, metadata, tuple(skipped), assumed)

    def cube(self, path: Path) -> Cube:
        """The cube of a file; with the bands of those that belong to it, laid on it."""
        return self._joined(path)[0]

    def reads(self, path: Path) -> tuple[Path, ...]:
        """The files of a cube, of its references, and of what belongs to it."""
        standard = self._standard(path)
        own = tuple(file for one in self._set(path) for file in files_with_references(one))
        return own if standard is None else (*own, *standard.files)

    def _joined(self, path: Path) -> tuple[Cube, float]:
        """The cube, and the largest residual in pixels of what is laid on it."""
        if self.together is None:
            cube, residual_px = open_calibrated(path, self.read_as), 0.0
        else:
            cube, found = open_joined(
                self._set(path),
                parts_of(self.together),
                self.read_as,
                others_read_as=self.others_read_as,
                most_residual_px=self.most_residual_px,
            )
            residual_px = max(one.residual_px for one in found)
        standard = self._standard(path)
        return cube if standard is None else by_references(cube, standard), residual_px

    def _standard(self, path: Path) -> References | None:
        """The standard that a photograph shows."""
        if self.white_region is None:
            return None
        words = self.white_region.format(stem=path.stem)
        beside = region_file(words) is not None
        return References(str(path.parent / words) if beside else words, panel=self.panel)

    def _set(self, path: Path) -> list[Path]:
        """The files of one specimen, the one first on which the others are laid."""
        return (
            [path] if self.together is None else set_of(path, self.path.absolute(), self.together)
        )

    def files(self) -> list[Path]:
        """Every file that may be a specimen, or a table, in natural order.

        Raises
        ------
        MissingFileError, CollectionError
            As `collect` does.
        """
        files, table, _ = result(self._files(self.path.absolute()))
        return files if table is None else [*files, table]

    def _files(
        self, root: Path
    ) -> Generator[Progress, None, tuple[list[Path], Path | None, list[Skipped]]]:
        """Files that may be specimens, in natural order: no masks, not the table; see `walked`.

        And the table, and what could not be reached.
        """
        reached = yield from walked(root)
        skipped = [one for one in reached if isinstance(one, Skipped)]
        there = [one for one in reached if isinstance(one, Path)]
        default = root / "metadata.csv" if self.metadata is None else self.metadata.absolute()
        table = default if self.metadata is not None or default in there else None
        files = matching(there, root, self.pattern, table)
        outlines = {} if self.mask == AUTO else {path: self.outline(path) for path in files}
        masks = {outline for path, outline in outlines.items() if outline != path}
        masks.update(f for path in files if (own := self._standard(path)) for f in own.files)
        files = [path for path in files if path not in masks and not is_reference(path)]
        files, beside = scans_alone(files)
        return as_shots(files), table, skipped + beside

    def _box(self, cube: Cube, labels: NDArray[Any] | None) -> Box:
        if labels is None:
            return 0, cube.shape[1], 0, cube.shape[2]
        mask = labels > 0
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        if not len(rows):
            name = "" if self.mask in (None, AUTO) else f" '{self._called(cube)}'"
            raise CollectionError(f"Its mask{name} is empty: no pixel is above 0.")
        return box_around(
            slice(int(rows[0]), int(rows[-1]) + 1),
            slice(int(columns[0]), int(columns[-1]) + 1),
            cube.shape[1:],
        )

    def outline(self, path: Path) -> Path | None:
        """The mask file of a cube."""
        if self.mask == AUTO:
            return kept_at(path, self.read_as, self.finding, SPECIMEN, touching=False)
        if self.mask is None:
            return None
        return Path(os.path.normpath(path.parent / self.mask.format(stem=path.stem)))

    def _found(self, cube: Cube) -> tuple[NDArray[Any], str]:
        if self.together or self.white_region:  # found in the file itself, once
            cube = open_calibrated(cube.path, self.read_as)
        return kept_largest(cube, self.read_as, self.finding, SPECIMEN)

    def _fields(self) -> tuple[str, ...]:
        return () if self.name_pattern is None else tuple(name_regex(self.name_pattern).groupindex)

    def _spelt(self, path: Path) -> dict[str, str]:
        """Labels that the file's name spells."""
        if self.name_pattern is None:
            return {}
        return spelt(self.name_pattern, path)
