"""Whole: whether all of a picture's file is there, which decoders may not say."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO

from napari_phenoscape.errors import CubeError

_PNG, _JPEG, _BMP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"BM"

_SCAN, _END = b"\xff\xda", b"\xff\xd9"  # JPEG's markers

#: Bytes that are read at once, and at the end of a JPEG, where its last marker is looked for first.
_PART = 1 << 16


def refuse_damage(path: Path) -> None:
    """An error where a PNG, a JPEG or a BMP stops before its end, or a checksum of a PNG is wrong.

    A decoder gives other colours, or grey, for what is damaged and for what is not there.

    Raises
    ------
    CubeError
        A copy of the file broke off, or a disk has changed it.
    """
    with path.open("rb") as file:
        head = file.read(8)
        if head == _PNG:
            ends = _png_ends(file)
        elif head.startswith(_JPEG):
            ends = _jpeg_ends(file)
        else:
            ends = not head.startswith(_BMP) or _bmp_ends(file)
    if not ends:
        raise CubeError(
            f"'{path.name}' stops before the end of its picture, or has a wrong checksum: it is "
            "cut short or damaged. Copy it again from its source."
        )


def _png_ends(file: BinaryIO) -> bool:
    while True:
        head = file.read(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if len(head) < 8 or not kind.isalpha():
            return False
        checksum = zlib.crc32(kind)
        while length and (part := file.read(min(length, _PART))):
            checksum, length = zlib.crc32(part, checksum), length - len(part)
        # without a part whose name is small the picture is the same
        if checksum.to_bytes(4, "big") != file.read(4) and kind[:1].isupper():
            return False
        if kind == b"IEND":
            return True


def _jpeg_ends(file: BinaryIO) -> bool:
    """Whether the marker of the end follows the first scan; a thumbnail before it has its own."""
    place = 2
    while True:
        file.seek(place)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            return len(head) == 4  # a decoder says better what it is
        if head[:2] == _SCAN:
            break
        place += 1 if head[1] == 0xFF else 2 + int.from_bytes(head[2:], "big")
    size = file.seek(0, 2)
    for start in (max(place, size - _PART), place):
        file.seek(start)
        if _END in file.read():
            return True
    return False


def _bmp_ends(file: BinaryIO) -> bool:
    """Whether all rows are there, of a BMP whose rows have one length."""
    file.seek(0)
    head = file.read(34)
    if int.from_bytes(head[14:18], "little") < 40:
        return len(head) == 34
    start, width = (int.from_bytes(head[at : at + 4], "little") for at in (10, 18))
    rows = abs(int.from_bytes(head[22:26], "little", signed=True))
    bits, compression = (int.from_bytes(head[at : at + 2], "little") for at in (28, 30))
    needed = start + (width * bits + 31) // 32 * 4 * rows
    return compression not in (0, 3) or file.seek(0, 2) >= needed
