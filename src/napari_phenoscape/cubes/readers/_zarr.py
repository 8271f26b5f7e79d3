"""Zarr, versions 2 and 3: folders ``NAME.zarr`` and their zip files; through zarr (an extra).

What a store says of itself is read in `zarr_store`; its numbers, guarded, in `zarr_numbers`.
Nothing outside the store is opened, and no codec runs that is not known to be harmless.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import ignorable, unique
from napari_phenoscape.cubes._bands import Band, Bands
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._labels import band_of_label
from napari_phenoscape.cubes.readers._chunked import ChunkedArray
from napari_phenoscape.cubes.readers._variables import (
    Variable,
    bands_of,
    choose,
    mask_among,
    number_of,
    spectral_axis,
    stated_scale,
    text_of,
    wavelengths_of,
)
from napari_phenoscape.cubes.readers._zarr_files import contents_of
from napari_phenoscape.cubes.readers._zarr_store import (
    DAMAGED,
    Node,
    Store,
    damaged,
    is_store,
    is_zipped,
    read_store,
    root_of,
)
from napari_phenoscape.errors import CubeError, PhenoscapeError

__all__ = ["ZIP", "is_store", "is_zipped", "open_zarr", "recognise", "root_of"]

ZIP = b"PK\x03\x04"

#: From so many channels on, a picture of OME-Zarr is a spectrum; below, it is a microscope's.
SPECTRAL = 17

#: Of these, reading an array runs nothing but arithmetic and decompression (``pickle`` is one
#: that would run the file's own program).
HARMLESS = {
    "bytes", "endian", "transpose", "crc32c", "sharding_indexed", "blosc", "zstd", "gzip", "zlib",
    "bz2", "lz4", "shuffle", "delta", "bitround", "fletcher32", "fixedscaleoffset",
}  # fmt: skip


def recognise(path: Path) -> bool:
    """Whether a store holds numbers with three axes and their wavelengths, or OME's spectra."""
    with contents_of(path) as contents:
        store = read_store(path, contents)
    variables = store.variables

    def is_spectral(node: Node) -> bool:
        if not node.variable.is_cube:
            return False
        if node.channels is not None:
            return dict(zip(node.axes, node.shape, strict=True)).get("channel", 0) >= SPECTRAL
        return "band_names" in node.attributes or bool(wavelengths_of(node.variable, variables))

    return any(map(is_spectral, store.nodes.values()))


def open_zarr(path: Path, inside: str) -> Cube:
    """The cube of a Zarr store; its numbers are read when they are indexed.

    Parameters
    ----------
    path
        The folder or the zip file.
    inside
        Path of the array in it; empty: the only one that can be a cube.

    Raises
    ------
    CubeError
        zarr is not installed; the store is damaged, holds no cube or several, or its numbers are
        not in it.
    """
    with contents_of(path) as contents:
        store = read_store(path, contents)
        variables = store.variables
        chosen = choose(path, inside, variables)
        notes = [f"'{chosen.name}' of {len(variables)} variables is taken."] * (
            not inside and len(store.nodes) > 1
        )
        node = store.nodes[chosen.name]
        if gaps := _numbers(path, node.name).gaps:
            notes.append(gaps)
        try:
            return _cube(store, inside, node, notes)
        except PhenoscapeError:
            raise
        except DAMAGED as error:
            raise damaged(path, node.name, error) from None


def _cube(store: Store, inside: str, node: Node, notes: list[str]) -> Cube:
    variables, chosen = store.variables, node.variable
    wavelengths = wavelengths_of(chosen, variables)
    axis = spectral_axis(chosen, wavelengths, notes)
    order = (axis, *(i for i in range(3) if i != axis))
    count, rows, columns = (chosen.shape[i] for i in order)
    centres, unit = _centres(store, wavelengths, node)
    gain, offset = stated_scale(store.path.name, node.attributes, chosen.dtype, count, notes)
    mask_variable = mask_among(variables, (rows, columns), notes)
    mask: NDArray[np.bool_] | None = None
    if mask_variable is not None:
        mask = np.asarray(_numbers(store.path, mask_variable.name)[...]) > 0
    ignored = _ignored(node.attributes)
    return Cube(
        array=ChunkedArray(open_numbers, store.path, node.name, (order[0], order[1], order[2])),
        bands=_bands(node, count, centres, unit, notes).proposing(_shown(node.attributes, count)),
        path=store.path / inside,
        gain=gain,
        offset=offset,
        mask=mask,
        ignore_value=None if ignored is None else ignorable(ignored, chosen.dtype),
        provenance=tuple(notes),
    )


def open_numbers(path: Path, inside: str) -> Any:
    """The array of this name, with three axes, for `ChunkedArray`."""
    return _numbers(path, inside)


def _numbers(path: Path, inside: str) -> Any:
    with contents_of(path) as contents:
        node = read_store(path, contents).nodes[inside]
        unknown = [name for name in node.codecs if name not in HARMLESS]
        if unknown:
            raise CubeError(
                f"'{inside}' in '{path.name}' is coded by '{unknown[0][:40]}', which may run a "
                f"program and is not used; {', '.join(sorted(HARMLESS))} were expected. Write it "
                "again with one of these."
            )
        try:
            from napari_phenoscape.cubes.readers._zarr_numbers import Numbers
        except ImportError:
            raise CubeError(
                f"'{path.name}' is Zarr, which needs zarr: "
                'pip install "napari-phenoscape[formats]", or export it as ENVI or TIFF.'
            ) from None
        return Numbers(path, contents, node)


def _bands(node: Node, count: int, centres: Sequence[float], unit: str, notes: list[str]) -> Bands:
    said = node.attributes
    names = said.get("band_names")
    in_nm = not len(centres) or unit == "nm"
    if isinstance(names, list) and len(names) == count and all(map(_is_text, names)) and in_nm:
        regions = said.get("regions")
        regions = regions if isinstance(regions, list) and len(regions) == count else [None] * count
        flagged = said.get("bad_bands")
        known = list(centres) or [math.nan] * count
        return Bands(
            Band(
                name,
                None if math.isnan(centre) else centre,
                region if region in ("uv", "vis", "nir", "swir") else None,
                bad=isinstance(flagged, list) and i in flagged,
            )
            for i, (name, centre, region) in enumerate(
                zip(unique(names), known, regions, strict=True)
            )
        )
    if len(centres) or node.channels is None or len(node.channels) != count:
        return bands_of(count, centres, unit, notes)
    labelled = [(name, band_of_label(name)) for name in node.channels]
    bands = [band if isinstance(band, Band) else Band(name) for name, band in labelled]
    own = unique([band.name for band in bands])
    return Bands(replace(band, name=name) for band, name in zip(bands, own, strict=True))


def _centres(store: Store, wavelengths: Variable | None, cube: Node) -> tuple[list[float], str]:
    """Band centres and the unit that they are in, empty when nobody says it."""
    if wavelengths is None:
        return [], ""
    if wavelengths.name in store.lists:
        return store.lists[wavelengths.name], text_of(cube.attributes, "wavelength_units")
    node = store.nodes[wavelengths.name]
    numbers = np.asarray(_numbers(store.path, node.name)[...]).ravel()
    return numbers.astype(float).tolist(), text_of(node.attributes, "units", "Units", "unit")


def _ignored(said: dict[str, Any]) -> float | None:
    fill = said.get("_FillValue")
    if isinstance(fill, str):  # as xarray writes the one of a float
        try:
            return float(struct.unpack("<d", base64.standard_b64decode(fill))[0])
        except (ValueError, struct.error):
            return None
    return number_of(said, "_FillValue", "Data_Ignore_Value", "missing_value")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _shown(said: dict[str, Any], count: int) -> tuple[int, int, int] | None:
    given = said.get("rgb_bands")
    if not isinstance(given, list) or len(given) != 3:
        return None
    if not all(isinstance(band, int) and 0 <= band < count for band in given):
        return None
    return given[0], given[1], given[2]
