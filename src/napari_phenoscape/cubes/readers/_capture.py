"""Captures: what a scanner's program writes beside a scan, known by the names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from napari_phenoscape._remote import list_beside
from napari_phenoscape.cubes.readers._envi import header_of
from napari_phenoscape.cubes.readers._envi_data import ENDINGS, Layout, data_of
from napari_phenoscape.cubes.readers._envi_header import Header, is_header
from napari_phenoscape.errors import CubeError

#: What is recorded to calibrate a scan: white, dark, and dark at the time of the white one.
WHITE, DARK, WHITE_DARK = "white", "dark", "white dark"

#: How references are called, whatever stands between the words: ``WHITEREF_leaf`` (Specim),
#: ``whiteReference`` (Headwall, of all scans of its folder), ``leaf_dark_current``.
_WORDS = (
    r"(?P<kind>white[ _-]?dark|white|dark)[ _-]?"
    r"(?:ref|reference|panel|standard|tile|current|frame|cal|calibration|correction)"
)
_NAMED = re.compile(
    rf"(?:(?P<before>.+)[ _.-])?(?:{_WORDS})(?:[ _.-](?P<after>.+))?", re.IGNORECASE
)

#: The folder of a capture in which Specim's programs put the scan and its references.
_INSIDE = "capture"


def reference_of(path: Path) -> tuple[str, str] | None:
    """What a file is called to be a reference of, and of which scan: ``(WHITE, "leaf")``.

    Of all scans in its folder: ``(WHITE, "")``. By its name alone, without its endings.
    """
    if not _may_be(path.name):
        return None
    named = _NAMED.fullmatch(_stem(path))
    if named is None or (named["before"] and named["after"]):
        return None
    kind = " ".join(re.findall("white|dark", named["kind"].lower()))
    return kind, (named["before"] or named["after"] or "").lower()


def is_reference(path: Path) -> bool:
    """Whether a file is a reference of an ENVI scan that lies beside it."""
    named = reference_of(path)
    if named is None or (not is_header(path) and header_of(path) is None):
        return False
    scans = [one for one in _headers(path.parent) if reference_of(one) is None]
    return any(named[1] in ("", _stem(one).lower()) for one in scans)


def references_beside(path: Path) -> dict[str, Path]:
    """The references beside a scan, by `WHITE`, `DARK` and `WHITE_DARK`.

    Its own before those of all scans of its folder.

    Raises
    ------
    CubeError
        There are two of a kind.
    """
    if reference_of(path) is not None or (not is_header(path) and header_of(path) is None):
        return {}
    list_beside(path, _may_be)
    scan = _stem(path).lower()
    found: dict[tuple[str, str], Path] = {}
    for header in _headers(path.parent, _may_be):
        named = reference_of(header)
        if named is None or named[1] not in ("", scan):
            continue
        if named in found:
            raise CubeError(
                f"Beside '{path.name}' lie two {named[0]} references, '{found[named].name}' and "
                f"'{header.name}'; one was expected. Move the other away."
            )
        found[named] = header
    # "" is before every name
    return {kind: _numbers_of(found[kind, of]) for kind, of in sorted(found)}


def scans_of(folder: Path) -> list[Path]:
    """The scans in the folder of a capture; of any other folder, none.

    Its scans lie in ``capture`` inside of it, or beside references.
    """
    inside = folder / _INSIDE
    headers = _headers(inside if inside.is_dir() else folder)
    scans = [one for one in headers if reference_of(one) is None]
    is_one = inside.is_dir() or len(scans) < len(headers)
    return [_numbers_of(one) for one in scans] if is_one else []


def capture_around(path: Path) -> Path | None:
    """The folder of a capture whose scan a header is: the one around ``capture``."""
    if path.parent.name.lower() != _INSIDE or not is_header(path):
        return None
    return path.parent.parent if references_beside(path) else None


def _may_be(name: str) -> bool:
    """Whether a name may be that of a reference; asked of every file."""
    return WHITE in name.lower() or DARK in name.lower()


def _headers(folder: Path, wanted: Callable[[str], bool] = bool) -> list[Path]:
    named = (one for one in folder.iterdir() if one.suffix.lower() == ".hdr" and wanted(one.name))
    return sorted(one for one in named if is_header(one))


def _numbers_of(header: Path) -> Path:
    return data_of(header, Layout.of(Header(header), []))


def _stem(path: Path) -> str:
    """What a cube is called: its header without its ending, and that of the data."""
    header = path if path.suffix.lower() == ".hdr" else header_of(path) or path
    name = Path(header.stem)
    return name.stem if name.suffix.lower() in (*ENDINGS, ".hyspex") else name.name
