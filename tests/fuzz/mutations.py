"""Changes that know the structure of a file: it stays one of its format and says something else.

libFuzzer changes bytes, and seldom gets beyond checksums, lengths and tables of offsets. Here an
attribute of HDF5, a tag of TIFF or a key of ENVI gets a value of another kind, count or size, or
one that other programs write.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from random import Random
from typing import Any

import h5py
import numpy as np

#: Attributes that libraries and our readers give a meaning.
ATTRIBUTES = (
    "DIMENSION_LABELS", "DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME", "Dimensions", "units",
    "scale_factor", "add_offset", "Scale_Factor", "_FillValue", "missing_value", "wavelengths",
    "good_wavelengths", "List_Cw_Vnir", "Band_Window_1_Nanometers", "MATLAB_class", "_Netcdf4Dimid",
)  # fmt: skip

#: (name) of tags of TIFF whose values decide how pixels are read, or what they mean.
TAGS = (256, 257, 258, 259, 262, 270, 273, 274, 277, 278, 279, 284, 305, 317, 320, 322, 323, 324,
        338, 339, 340, 700, 42112, 42113, 50838, 50839, 65000)  # fmt: skip

KEYS = (
    "samples", "lines", "bands", "header offset", "data type", "interleave", "byte order",
    "wavelength", "wavelength units", "band names", "bbl", "default bands", "data ignore value",
    "reflectance scale factor", "data gain values", "data offset values", "fwhm", "map info",
    "file type", "file compression", "x start", "bit depth", "ceiling", "classes",
)  # fmt: skip

TEXTS = (
    "", "nm", "Micrometers", "nan", "-1", "1e400", "{", "}", "{}", "{1, 2", "bil", "BSQ", "µm",
    "bands", "y, x, wavelength", "{400, 450, 500, 550, 600, 650}", "\0", "a" * 300,
)  # fmt: skip
NUMBERS = (0, -1, 1, 2, 3, 6, 7, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1)


def mutated(reader: str, content: bytes, random: Random) -> bytes:
    """The file of a format with one to three of its words changed.

    Parameters
    ----------
    reader
        One of `MUTATIONS`.
    content
        A valid file.
    random
        Decides; the same state makes the same file.
    """
    for _ in range(random.randint(1, 3)):
        content = MUTATIONS[reader](content, random)
    return content


def _hdf5(content: bytes, random: Random) -> bytes:
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        owner = random.choice((file, *file.values()))
        name = random.choice(ATTRIBUTES)
        owner.attrs.pop(name, None)
        owner.attrs[name] = _value(random, file)
    return buffer.getvalue()


def _value(random: Random, file: h5py.File) -> Any:
    """Any kind of value that an attribute can have."""
    number, text = random.choice(NUMBERS), random.choice(TEXTS).replace("\0", "0")
    count = random.choice((0, 1, 2, 3, 6))
    reference = file["scene"].ref
    # h5py knows texts and references by what their type bears, which np.array may drop
    texts = np.empty(count, h5py.string_dtype())
    texts[:] = text
    single = np.empty(count, h5py.ref_dtype)
    single[:] = reference
    references = np.empty(count, h5py.vlen_dtype(h5py.ref_dtype))
    for i in range(count):
        references[i] = np.array([reference] * random.randint(0, 2), h5py.ref_dtype)
    return random.choice(
        (
            number, float(number), text, np.bytes_(text.encode()), h5py.Empty("f4"), reference,
            np.full(count, number, "f8"), np.linspace(400, 650, count), np.arange(count) % 2,
            np.full((count, 2), number), texts,
            np.array([text.encode() or b"a"] * count, "S8"), np.array([np.nan] * count),
            single,
            np.array([(1, 2.0)] * count, [("a", "i4"), ("b", "f8")]),
            references,
        )
    )  # fmt: skip


def _tiff(content: bytes, random: Random) -> bytes:
    """One of the 12 bytes of a tag: its number, type, count or value."""
    changed = bytearray(content)
    order = "<" if content[:2] == b"II" else ">"
    (place,) = struct.unpack_from(f"{order}I", content, 4)
    if not 8 <= place <= len(content) - 2:
        return content
    (tags,) = struct.unpack_from(f"{order}H", content, place)
    entry = place + 2 + 12 * random.randrange(max(tags, 1))
    if entry + 12 > len(content):
        return content
    part, number = random.randrange(4), random.choice(NUMBERS) & 0xFFFFFFFF
    if part == 0:
        struct.pack_into(f"{order}H", changed, entry, random.choice(TAGS))
    elif part == 1:
        struct.pack_into(f"{order}H", changed, entry + 2, random.randrange(20))
    else:
        struct.pack_into(f"{order}I", changed, entry + 4 * (part - 1), number)
    return bytes(changed)


def _envi(content: bytes, random: Random) -> bytes:
    key = random.choice(KEYS).encode()
    value = random.choice((*TEXTS, *map(str, NUMBERS))).encode()
    without = re.sub(rb"(?m)^" + re.escape(key) + rb" = .*\n", b"", content)
    line = key + random.choice((b" = ", b"=", b" : ", b"")) + value + b"\n"
    return random.choice((without, without + line, content + line, content.replace(b"\n", b"\r\n")))


#: How the files of a reader are changed.
MUTATIONS: dict[str, Callable[[bytes, Random], bytes]] = {
    "hdf5": _hdf5,
    "tiff": _tiff,
    "envi": _envi,
}
