"""The text of an ENVI header: ``key = value`` lines, and what the values are."""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from napari_phenoscape._brought import bring
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
    (rb"(\xff\xfe|\xfe\xff)", "text in UTF-16 (save it as UTF-8 or ASCII)"),
    (rb"#\?(RADIANCE|RGBE)", "a Radiance high-dynamic-range picture"),
    (rb"(\x5c\x01\x00\x00|\x00\x00\x01\x5c)", "an ANALYZE or NIfTI-1 header of a volume"),
    (rb"(\x1c\x02\x00\x00|\x00\x00\x02\x1c)", "a NIfTI-2 header of a volume"),
)

_IS_ENVI = re.compile(rb"(?:\xef\xbb\xbf)?\s*ENVI\s", re.IGNORECASE)
_NEWLINE = re.compile(r"\r\n|\r|\n")
_BRACKETS = {"{": re.compile(r"[{}]"), "[": re.compile(r"[\[\]]")}
_BRACKETED = re.compile(r"[(\[](.*?)[)\]]")
_DECIMAL_COMMA = re.compile(r"\s*-?\d+(,\d+)?\s*")
_BETWEEN = re.compile(r"\s*[,;]\s*|\s+")

#: The keys that are read.
KEYS = (
    "samples", "lines", "bands", "header offset", "file type", "data type", "interleave",
    "byte order", "file compression", "major frame offsets", "minor frame offsets", "wavelength",
    "wavelength units", "band names", "bbl", "default bands", "data ignore value", "data units",
    "reflectance scale factor", "data gain values", "data offset values", "bit depth", "ceiling",
    "data reflectance gain values", "data reflectance offset values", "z plot titles", "tint",
)  # fmt: skip

#: Other words for some of them.
SPELT_OTHERWISE = {
    "wavelength": (
        "center wavelength", "centre wavelength", "center wavelengths", "centre wavelengths",
        "wavelength centers", "band centers", "band centres", "wavelength nm",
    ),
    "bbl": ("bad band list", "bad bands list", "bad band multiplier", "good bands",
            "good band list", "good wavelengths"),
    "ceiling": ("saturation", "saturation value", "saturation level"),
    "tint": ("integration time", "exposure time", "exposure", "shutter"),
    "bit depth": ("bits", "data bits", "significant bits"),
}  # fmt: skip

#: Other keys that say something of the numbers or the bands are not left out in silence.
_TELLING = re.compile(
    r"\bscal(e|ing)\b|wave|lambda|\b(bad|good)\b|no ?data|ignore|background|\bbits?\b|saturat"
    r"|reflectance|integration|exposure|shutter"
)

#: From which likeness on (`difflib`) one key is another that is misspelt: ``wavelength_unts`` is,
#: ``data type`` is no ``file type``.
ALIKE = 0.88

#: Of more keys than any program writes, so many are looked at.
MOST_KEYS = 500


#: Bytes in which a header says that it is one.
_HEAD = 64


def is_header(path: Path) -> bool:
    """Whether a file exists and begins as an ENVI header does."""
    # asked of numbers, too, which are brought in pieces
    bring(path, None if path.suffix.lower() == ".hdr" else [(0, _HEAD)])
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return _IS_ENVI.match(file.read(_HEAD) + b"\n") is not None
    except OSError:
        return False


class Header:
    """The fields of an ENVI header, keys in lower case with single spaces, also for ``_``.

    Comments (lines that begin with ``;``) are left out; brackets may span lines and be nested.
    A key that is read for another one is added to ``notes``.

    Raises
    ------
    CubeError
        The file is not an ENVI header, or a list in it never ends.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        bring(path)
        with path.open("rb") as file:
            is_large = path.stat().st_size > LARGEST_HEADER
            raw = file.read(_HEAD if is_large else -1)
        if not _IS_ENVI.match(raw[:_HEAD] + b"\n"):
            others = (what for pattern, what in OTHER_FORMATS if re.match(pattern, raw[:_HEAD]))
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
        self.notes: list[str] = []
        self._parse(_NEWLINE.split(text)[1:])
        self._read_what_is_meant()

    def _parse(self, lines: list[str]) -> None:
        at = 0
        while at < len(lines):
            line = lines[at]
            at += 1
            key, equals, value = line.partition("=")
            if not equals or line.lstrip().startswith(";"):
                continue
            key, value = " ".join(key.lower().replace("_", " ").split()), value.strip()
            if (listed := _bracketed(value, lines, at)) is not None:
                value, at = listed
            elif value.startswith("{"):
                raise CubeError(
                    f"'{self.name}' opens a brace at '{key}' that is never closed. Add the missing "
                    "'}', or copy the header again from its source."
                )
            else:
                value = value.partition(";")[0].strip()
                value = re.sub(r"""^(["'])(.*)\1$""", r"\2", value)
            if self.fields.setdefault(key, value) != value:
                self.repeated.add(key)

    def _read_what_is_meant(self) -> None:
        """A key that is misspelt, or in the plural, is the one of ours that is not there."""
        for key in KEYS:
            if key in self.fields:
                continue
            others = [other for other in islice(self.fields, MOST_KEYS) if other not in KEYS]
            named = {_bare(other): other for other in reversed(others)}
            spelt = [named[_bare(word)] for word in SPELT_OTHERWISE.get(key, ())
                     if _bare(word) in named]  # fmt: skip
            for other in (spelt or get_close_matches(key, others, 1, ALIKE))[:1]:
                self.fields[key] = self.fields.pop(other)
                self.notes.append(f"The key '{other}' is read as '{key}'.")
                if (unit := _BRACKETED.search(other)) and key == "tint":
                    self.fields[key] += f" {unit[1]}"
        unread = (key for key in islice(self.fields, MOST_KEYS) if key not in KEYS)
        for key in filter(_TELLING.search, unread):
            if "tint" not in self.fields or not any(map(key.startswith, SPELT_OTHERWISE["tint"])):
                self.notes.append(
                    f"The key '{key} = {self.fields[key][:40]}' is none of ENVI's and is not used."
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
        text = self.text(key).strip(" ,\n\t")
        return tuple(word.strip() for word in text.split(",")) if text else ()

    def numbers(self, key: str) -> tuple[float, ...] | None:
        """A list of finite numbers, empty when it is not given, None when it holds others.

        Between them are commas, semicolons or blanks; where semicolons are, commas are decimal
        marks.
        """
        text = self.text(key).strip(" ,;\n\t")
        if ";" in text and all(map(_DECIMAL_COMMA.fullmatch, text.split(";"))):
            text = text.replace(",", ".")
        try:
            found = tuple(float(word) for word in _BETWEEN.split(text)) if text else ()
        except ValueError:
            return None
        return found if all(math.isfinite(number) for number in found) else None


def _bare(key: str) -> str:
    """A key without blanks, and without what stands in brackets: ``integration time (ms)``."""
    return _BRACKETED.sub("", key).replace(" ", "")


def _bracketed(value: str, lines: list[str], at: int) -> tuple[str, int] | None:
    """What stands in ``{}`` or ``[]``, nested or not, and the line after it.

    None when the value does not begin with a bracket, or it is never closed.
    """
    if not value.startswith(("{", "[")):
        return None
    opening, depth, parts = value[0], 0, []
    for after in range(at, len(lines) + 1):
        line = value if after == at else lines[after - 1]
        if line.lstrip().startswith(";"):
            continue
        if opening == "[" and after > at and "=" in line:
            return None  # it was a word that begins so
        for bracket in _BRACKETS[opening].finditer(line):
            depth += 1 if bracket[0] == opening else -1
            if depth == 0:
                parts.append(line[: bracket.start()])
                return "\n".join(parts).strip()[1:].strip(), after
        parts.append(line)
    return None
