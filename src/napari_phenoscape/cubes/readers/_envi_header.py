"""The text of an ENVI header: ``key = value`` lines, and what the values are."""

from __future__ import annotations

import math
import re
from pathlib import Path

from napari_phenoscape.errors import CubeError

#: Larger is no header: 10 000 bands with every list that ENVI knows are a tenth of it.
LARGEST_HEADER = 16 << 20

#: Other formats whose headers have the same ending, by how they begin.
OTHER_FORMATS = (
    (rb"\s*(BYTEORDER|NROWS|NCOLS|NBANDS|LAYOUT|NODATA|ULXMAP)\b", "an ESRI header"),
    (rb"\s*IMAGE_FILE_FORMAT\s*=\s*MFF", "a Vexcel MFF header"),
    (rb"\s*BANDS:", "a header of generic binary (GenBin)"),
    (rb"\s*number_lines", "a CPG header"),
    (rb"IMAGINE_RAW_FILE", "an ERDAS Imagine raw header"),
    (rb"Format version: ", "a SNODAS header"),
    (rb"#\?(RADIANCE|RGBE)", "a Radiance high-dynamic-range picture"),
    (rb"(\x5c\x01\x00\x00|\x00\x00\x01\x5c)", "an ANALYZE or NIfTI-1 header of a volume"),
    (rb"(\x1c\x02\x00\x00|\x00\x00\x02\x1c)", "a NIfTI-2 header of a volume"),
)

_IS_ENVI = re.compile(rb"(?:\xef\xbb\xbf)?\s*ENVI\s", re.IGNORECASE)
_NEWLINE = re.compile(r"\r\n|\r|\n")


def is_header(path: Path) -> bool:
    """Whether a file exists and begins as an ENVI header does."""
    try:
        with path.open("rb") as file:
            return _IS_ENVI.match(file.read(64) + b"\n") is not None
    except OSError:
        return False


class Header:
    """The fields of an ENVI header, keys in lower case with single spaces.

    Comments (lines that begin with ``;``) are left out; braces may span lines and be nested.

    Raises
    ------
    CubeError
        The file is not an ENVI header, or a list in it never ends.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        with path.open("rb") as file:
            is_large = path.stat().st_size > LARGEST_HEADER
            raw = file.read(64 if is_large else -1)
        if not _IS_ENVI.match(raw[:64] + b"\n"):
            others = (what for pattern, what in OTHER_FORMATS if re.match(pattern, raw[:64]))
            what = next(others, "a file of another kind")
            raise CubeError(
                f"'{self.name}' is {what}, not an ENVI header, whose first line is 'ENVI'. "
                "Open it with a program for its format, or export the cube as ENVI."
            )
        if is_large:
            raise CubeError(
                f"'{self.name}' is larger than {LARGEST_HEADER} bytes; an ENVI header was "
                "expected. Is it the data file, renamed?"
            )
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        self.fields: dict[str, str] = {}
        self.repeated: set[str] = set()
        self._parse(_NEWLINE.split(text)[1:])

    def _parse(self, lines: list[str]) -> None:
        waiting = iter(lines)
        for line in waiting:
            key, equals, value = line.partition("=")
            if not equals or line.lstrip().startswith(";"):
                continue
            key = " ".join(key.lower().split())
            value = value.strip()
            if value.startswith("{"):
                value = self._braces(key, value, waiting)
            else:
                value = value.partition(";")[0].strip()
            if self.fields.setdefault(key, value) != value:
                self.repeated.add(key)

    def _braces(self, key: str, first: str, waiting: object) -> str:
        parts, depth = [], 0
        line: str | None = first
        while line is not None:
            if not line.lstrip().startswith(";"):
                for brace in re.finditer(r"[{}]", line):
                    depth += 1 if brace[0] == "{" else -1
                    if depth == 0:
                        parts.append(line[: brace.start()])
                        return "\n".join(parts).strip()[1:].strip()
                parts.append(line)
            line = next(waiting, None)  # type: ignore[call-overload]
        raise CubeError(
            f"'{self.name}' opens a brace at '{key}' that is never closed. Add the missing '}}', "
            "or copy the header again from its source."
        )

    def text(self, key: str, default: str = "") -> str:
        """The value of a key; an error when it is given twice, differently."""
        if key in self.repeated:
            raise CubeError(
                f"'{self.name}' gives '{key}' twice with different values. Delete the wrong line."
            )
        return self.fields.get(key, default)

    def integer(self, key: str, least: int, default: int | None = None) -> int:
        """A whole number that must be given unless there is a default."""
        text = self.text(key)
        if not text and default is not None:
            return default
        if not re.fullmatch(r"\+?\d{1,18}(\.0*)?", text) or int(text.partition(".")[0]) < least:
            given = f"'{key} = {text[:40]}'" if text else f"no '{key}'"
            raise CubeError(
                f"'{self.name}' has {given}; a whole number of at least {least} was expected. "
                "Correct it in a text editor."
            )
        return int(text.partition(".")[0])

    def words(self, key: str) -> tuple[str, ...]:
        """A list of words, without its empty ones at the ends."""
        text = self.text(key)
        return tuple(word.strip() for word in text.strip(" ,\n\t").split(",")) if text else ()

    def numbers(self, key: str) -> tuple[float, ...] | None:
        """A list of finite numbers, empty when it is not given, None when it holds others."""
        try:
            found = tuple(float(word) for word in self.words(key))
        except ValueError:
            return None
        return found if all(math.isfinite(number) for number in found) else None
