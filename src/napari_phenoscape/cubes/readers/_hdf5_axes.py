"""The axes of a data set of HDF5: their names, and the lists that HyperSpy keeps for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from napari_phenoscape.cubes.readers._stated import number_of, text_of
from napari_phenoscape.cubes.readers._variable import Variable

#: Attributes that name the axes.
DIMENSION_LABELS, DIMENSION_LIST = "DIMENSION_LABELS", "DIMENSION_LIST"

#: The longest axis that an offset and a step make.
_MOST_BANDS = 10_000


def axes_of(data: Any) -> tuple[str, ...]:
    """Names of the axes, "" of one that has none.

    Read by hand: libhdf5 ends the process (h5py's ``dim.label``) where these attributes are of
    another kind or shape than its own.
    """
    import h5py

    count, labels = len(data.shape or ()), [""]
    if DIMENSION_LABELS in data.attrs:
        labels = [text_of({"": label}, "") for label in np.ravel(data.attrs[DIMENSION_LABELS])]
    if len(labels) != count:
        labels = [""] * count
    if DIMENSION_LIST in data.attrs:
        kind = data.attrs.get_id(DIMENSION_LIST)
        entry = h5py.check_vlen_dtype(kind.dtype)
        if kind.shape == (count,) and entry and h5py.check_ref_dtype(entry) is h5py.Reference:
            for axis, scales in enumerate(data.attrs[DIMENSION_LIST]):
                if not labels[axis] and len(scales) and scales[0]:
                    labels[axis] = _name_of(data.file, scales[0])
    stated = re.split(r"\s*,\s*", text_of(data.attrs, "Dimensions"))  # NEON's
    return tuple(stated) if len(stated) == count and not any(labels) else tuple(labels)


def _name_of(file: Any, reference: Any) -> str:
    """The last word of what is referred to; "" where that was removed since."""
    try:
        return (file[reference].name or "").rpartition("/")[2]
    except (ValueError, KeyError, OSError, RuntimeError):
        return ""


def axis_of_hyperspy(place: str, said: Any) -> Iterator[Variable]:
    """The centres along an axis of HyperSpy's, a group beside the data: offset, scale and size."""
    offset, scale, size = (number_of(said, word) for word in ("offset", "scale", "size"))
    if offset is not None and scale and size and 0 < size <= _MOST_BANDS:
        numbers = (offset + scale * np.arange(int(size))).round(9)
        name = text_of(said, "name")
        yield Variable(
            f"{place.rpartition('/')[0]}/{name}".lstrip("/"), numbers.shape, numbers.dtype, (name,),
            text_of(said, "units"), partial(np.asarray, numbers), is_attribute=True,
        )  # fmt: skip


def uneven_axis_of_hyperspy(listed: Variable, place: str, said: Any) -> Variable:
    """The list ``axis`` in the group of an axis that is not even."""
    name = text_of(said, "name")
    stem = place.rpartition("/")[0].rpartition("/")[0]
    return replace(listed, name=f"{stem}/{name}".lstrip("/"), axes=(name,),
                   unit=text_of(said, "units"), is_attribute=True)  # fmt: skip
