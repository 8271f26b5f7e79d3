"""What a TIFF says of its planes: by ImageJ, OME, the names of pages, XMP, and GDAL's metadata."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import tifffile

from napari_phenoscape.cubes._labels import MASK, band_of_label, wavelength_of, wavelengths_of
from napari_phenoscape.cubes._wavelengths import centres_in_nm
from napari_phenoscape.cubes.readers._centres import (
    BAD_BANDS,
    GOOD_BANDS,
    UNCLEAR,
    unclear_note,
)

_PAGE_NAME, _DESCRIPTION, _XMP = 285, 270, 700
_GDAL_METADATA, _GDAL_NODATA = 42112, 42113

#: GDAL's colours of bands that name none.
_NO_COLOURS = {"Undefined", "Gray", "Palette", "Alpha"}
_SNAP, _MAX_SAMPLE_VALUE = 65000, 281

#: Characters of a description of a page that is a name, and of XMP that are looked at.
_SHORT, _LONG = 80, 1 << 18

#: Domains of GDAL's metadata, the first that says wavelengths is believed; others come last.
_DOMAINS = ("", "ENVI", "IMAGERY")

# keys are in lower case, without blanks and underscores
_WAVELENGTH = re.compile(
    r"(?:cent(?:er|re|ral))?(?:wavelengths?|wvls?|wls?)(?:in)?"
    r"[(\[]?(?P<unit>nm|[uµμ]m|nanomet(?:er|re)s?|micromet(?:er|re)s?|microns?|angstroms?)?[)\]]?"
)
_UNITS = re.compile(r"wavelengthunits?")
_NAMES = re.compile(r"bandnames?|longname")
_SCALE = re.compile(r"scale(?:factor)?|reflectancescalefactor|gains?")
_WITH_UNIT = re.compile(
    r"(?P<number>nan|[-+]?[\d.]+(?:,\d+)?(?:e[-+]?\d+)?)\s*(?P<unit>[^\d\s].*)?", re.I
)
#: Keys that are counted: GDAL's ``Band_1 = 450.0 Nanometers``, others' ``wavelength_1 = 450``.
_CENTRE = re.compile(r"\d+(?:\.\d+)?\s*(?:[nuµμ]m|\w*met(?:er|re)s?|\w*microns?)", re.I)
_COUNTED = re.compile(r"(?P<what>band|(?:band)?wavelength)(?P<plane>[1-9]\d{0,5})")
_IN_A_DESCRIPTION = re.compile(
    r"^\s*(?:cent\w+[ _]?)?wavelength[ _]?\(?(?P<key>nm|[uµμ]m)?\)?\s*[=:]\s*"
    r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>nm|[uµμ]m)?",
    re.IGNORECASE | re.MULTILINE,
)
_IN_A_TEXT = (
    r"wave\s?lengths?[^=:\n\d]{0,20}[=:]\s*[\[({]?\s*"
    r"(?P<numbers>[\d.]+(?:[\s,;]+[\d.]+){%d})(?![\s,;]*[\d.])[\])}\s]*(?P<unit>nm|[uµμ]m)?"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Said:
    """What a file says of its n planes.

    Parameters
    ----------
    names
        n names, empty for a plane that has none; none at all where the file names no plane.
    wavelengths_nm
        n centres, when the file says them; NaN of a plane that has none, e.g. a mask.
    bad
        Planes that the file flags as bad.
    nodata
        The number that stands for "not measured".
    scale
        n gains and n offsets, when the file says them.
    units
        Of what gain and offset give, where the file says it.
    integration_time
        In the unit of the file, where it says one above 0.
    capture
        The shot of which the file is a part, of a camera that writes one file for each band.
    notes
        What was assumed.
    """

    names: tuple[str, ...] = ()
    wavelengths_nm: tuple[float, ...] | None = None
    bad: tuple[int, ...] = ()
    nodata: float | None = None
    scale: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    units: str = ""
    integration_time: float | None = None
    capture: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Item:
    """One of GDAL's metadata; without a plane it is of the whole file."""

    key: str
    text: str
    domain: str
    role: str
    plane: int | None


def said_by(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, count: int) -> Said:
    """What the first image of a file says of its ``count`` planes, the last of which may be alpha.

    Of several that name a plane GDAL's metadata are believed, then XMP, then the names of ImageJ,
    OME and the pages.
    """
    notes: list[str] = []
    names, numbers, unit = _of_pages(tif, series, count)
    tags = series.keyframe.tags
    xmp = tags.get(_XMP)
    seen = b"" if xmp is None else xmp.value
    text = (seen.decode("utf-8", "replace") if isinstance(seen, bytes) else str(seen))[:_LONG]
    if len(centres := _in_xmp(text, "CentralWavelength")) == count:
        numbers, unit = dict(enumerate(centres)), "nm"
    if len(labels := _in_xmp(text, "BandName")) == count:
        names = dict(enumerate(labels))
    said = Said(capture="".join(_in_xmp(text, "Capture(?:Id|UUID)")[:1]))
    if nodata := tags.get(_GDAL_NODATA):
        said = replace(said, nodata=_number(str(nodata.value).strip(" \0")))
    items = [*_of_python(tif), *_of_snap(str(tags.valueof(_SNAP, ""))[:_LONG])]
    if metadata := tags.get(_GDAL_METADATA):
        items += _counted_from_0(list(_items(str(metadata.value))), count)
    if items:
        names |= _listed(items, _NAMES, count)
        colours = {
            i.plane: i.text for i in items if i.role == "colorinterp" and i.plane is not None
        }
        if len(colours) == count and not _NO_COLOURS & {*colours.values()}:
            names = colours | names
        names |= {i.plane: i.text for i in items if i.role == "description" and i.plane is not None}
        if found := _wavelengths(items, count):
            numbers, unit = found
        units = dict.fromkeys(item.text for item in items if item.role == "unittype" and item.text)
        unmeasured = {_number(item.text) for item in items if item.role == "nodata"}
        times = [_number(item.text) for item in items if item.key == "integrationtime"]
        said = replace(
            said,
            bad=_bad(items, count, notes),
            nodata=unmeasured.pop() if len(unmeasured) == 1 else said.nodata,
            scale=_scale(items, count, notes),
            units="".join(units) if len(units) == 1 else "",
            integration_time=next((time for time in times if time and 0 < time < math.inf), None),
        )
    return _with_centres(said, names, numbers, unit, count, notes)


def bits_of(tif: tifffile.TiffFile, page: tifffile.TiffPage) -> int:
    """Bits that are used of each number: those it has, unless OME or MaxSampleValue say fewer."""
    said = re.search(r'<Pixels\b[^>]*?\bSignificantBits="(\d{1,2})"', tif.ome_metadata or "")
    bits = [int(said[1])] if said else []
    largest = page.tags.valueof(_MAX_SAMPLE_VALUE, 0)
    largest = max(largest, default=0) if isinstance(largest, tuple) else largest
    # the largest number of so many bits; another one is the largest of these pixels
    if isinstance(largest, int) and (largest + 1).bit_count() == 1:
        bits.append(largest.bit_length())
    return min((few for few in bits if few >= 8), default=page.bitspersample)


def _with_centres(
    said: Said, names: dict[int, str], numbers: dict[int, str], unit: str, count: int,
    notes: list[str],
) -> Said:  # fmt: skip
    """The centres in nm; as names where they are no light; from the names where there are none."""
    centres = {plane: _number(text) for plane, text in numbers.items() if plane < count}
    known = {plane: nm for plane, nm in sorted(centres.items()) if nm is not None}
    nm = [math.nan] * count
    if known:
        found, unit = centres_in_nm(list(known.values()), unit, notes)
        for plane, centre in zip(known, found, strict=True):
            if unit == "nm":
                nm[plane] = centre
            names.setdefault(plane, f"{centre:.7g} {unit}".strip())
    elif not numbers:
        labels = {p: n for p, n in names.items() if p < count and band_of_label(n) != MASK}
        for plane, centre in zip(labels, wavelengths_of(list(labels.values())) or (), strict=False):
            nm[plane] = centre
            if wavelength_of(names[plane]) is None and plane == next(iter(labels)):
                notes.append("The numbers in the names are taken as wavelengths in nm.")
    return replace(
        said,
        names=tuple(names.get(i, "") for i in range(count)) if names else (),
        wavelengths_nm=None if all(map(math.isnan, nm)) else tuple(nm),
        notes=tuple(notes),
    )


def _of_pages(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, count: int
) -> tuple[dict[int, str], dict[int, str], str]:
    """Names, centres and their unit, where the file says them of every plane."""
    names: Sequence[str] = ()
    if tif.is_imagej:
        labels = (tif.imagej_metadata or {}).get("Labels", ())
        labels = [labels] if isinstance(labels, str) else labels
        names = [label.strip().partition("\n")[0] for label in labels]
    elif tif.is_ome:
        said = tif.ome_metadata or ""
        found, centres, units = (
            re.findall(rf'<Channel\b[^>]*?\b{word}="([^"]*)"', said)
            for word in ("Name", "EmissionWavelength", "EmissionWavelengthUnit")
        )
        names = [html.unescape(name) for name in found]
        if len(centres) == count == len(set(centres)):
            unit = html.unescape(units[0]) if len(set(units)) == 1 else "nm"
            named = dict(enumerate(names)) if len(names) == count else {}
            return named, dict(enumerate(centres)), unit
    elif len(series.pages) == count > 1:
        for tag in (tag for tag in (_PAGE_NAME, _DESCRIPTION) if tag in series.keyframe.tags):
            # of pages that are like the first, tifffile reads no tags before it is asked to
            tags = [page.aspage().tags for page in series.pages if page is not None]
            texts = [str(own.valueof(tag, "")).strip(" \0\n") for own in tags]
            centres = [match for text in texts if (match := _IN_A_DESCRIPTION.search(text))]
            if len(centres) == count:
                unit = centres[0]["unit"] or centres[0]["key"] or ""
                return {}, {i: match["number"] for i, match in enumerate(centres)}, unit
            if len(set(texts)) == count and all(0 < len(text) <= _SHORT for text in texts):
                names = texts
                break
    named = dict(enumerate(names)) if len(names) == count and any(names) else {}
    texts = [tif.pages.first.description, str((tif.imagej_metadata or {}).get("Info", ""))]
    listed = re.compile(_IN_A_TEXT % (count - 1), re.IGNORECASE)
    if count > 1 and (match := listed.search("\n".join(texts)[:_LONG])):
        return named, dict(enumerate(re.split(r"[\s,;]+", match["numbers"]))), match["unit"] or ""
    return named, {}, ""


def _of_python(tif: tifffile.TiffFile) -> Iterator[_Item]:
    """Lists and words of the metadata that are given to tifffile."""
    for said in tif.shaped_metadata or () if tif.is_shaped else ():
        for key, value in said.items():
            if isinstance(value, str | list):
                text = value if isinstance(value, str) else ", ".join(map(str, value))
                yield _Item(re.sub(r"[\s_]", "", key.lower()), text, "", "", None)


def _of_snap(xml: str) -> Iterator[_Item]:
    """What ESA's SNAP says of each band."""
    for block in re.findall(r"<Spectral_Band_Info>(.*?)</Spectral_Band_Info>", xml, re.DOTALL):
        said = {key: html.unescape(text) for key, text in re.findall(r"<(\w+)>([^<]*)</", block)}
        plane = said.get("BAND_INDEX", "")
        if not re.fullmatch(r"[0-9]{1,6}", plane):
            continue
        own = {"description": said.get("BAND_NAME", ""), "unittype": said.get("PHYSICAL_UNIT", "")}
        factor, offset = said.get("SCALING_FACTOR", "1"), said.get("SCALING_OFFSET", "0")
        if (_number(factor), _number(offset)) != (1, 0):  # which it writes where there is none
            own |= {"scale": factor, "offset": offset}
        for role, text in own.items():
            yield _Item(role, text.strip(), "", role, int(plane))
        if _number(said.get("BAND_WAVELEN", "")):  # 0 of what is no light
            yield _Item("wavelength", f"{said['BAND_WAVELEN']} nm", "", "", int(plane))
        if said.get("NO_DATA_VALUE_USED") == "true":
            yield _Item("nodata", said.get("NO_DATA_VALUE", ""), "", "nodata", int(plane))


def _in_xmp(xmp: str, name: str) -> list[str]:
    """The texts of an element, or of an attribute, of this name; some have a list of them."""
    if element := re.search(rf"<(?:\w+:)?{name}\b[^>]*>(.*?)</(?:\w+:)?{name}>", xmp, re.DOTALL):
        listed = re.findall(r"<rdf:li\b[^>]*>([^<]*)</rdf:li>", element[1])
        return [html.unescape(text).strip() for text in listed or [element[1]]]
    return [html.unescape(text).strip() for text in re.findall(rf'\b\w+:{name}="([^"]*)"', xmp)]


def _items(xml: str) -> Iterator[_Item]:
    for attributes, text in re.findall(r"<Item\b([^>]*)>([^<]*)</Item>", xml):
        pairs = re.findall(r"""(\w+)=(?:"([^"]*)"|'([^']*)')""", attributes)
        fields = {name: double or single for name, double, single in pairs}
        plane, key = (
            fields.get("sample", ""),
            re.sub(r"[\s_]", "", html.unescape(fields.get("name", "")).lower()),
        )
        counted = None if plane else _COUNTED.fullmatch(key)
        if counted:
            has_centre = counted["what"] != "band" or _CENTRE.fullmatch(html.unescape(text).strip())
            key = "wavelength" if has_centre else "bandname"
            plane = str(int(counted["plane"]) - 1)
        yield _Item(
            key=key,
            text=html.unescape(text).strip(),
            domain=fields.get("domain", ""),
            role=fields.get("role", ""),
            plane=int(plane) if re.fullmatch(r"[0-9]{1,6}", plane) else None,
        )


def _counted_from_0(items: list[_Item], count: int) -> list[_Item]:
    """Items of programs that count planes from 1, and so name one that is not there."""
    counts = {key: [i.plane for i in items if i.key == key] for key in {i.key for i in items}}
    ones = {key for key, planes in counts.items() if set(planes) == {*range(1, count + 1)}}
    return [
        replace(item, plane=item.plane - 1) if item.key in ones and item.plane else item
        for item in items
    ]


def _listed(items: list[_Item], key: re.Pattern[str], count: int) -> dict[int, str]:
    """The text for each plane that has one: an item each, or one list for all of them."""
    found: dict[int, str] = {}
    for item in items:
        if not key.fullmatch(item.key):
            continue
        if item.plane is not None:
            found[item.plane] = item.text
            continue
        listed = item.text.strip("{}[]() \n")
        mark = next((mark for mark in ";," if mark in listed), None)
        words = [word.strip() for word in listed.split(mark)]
        # the last plane may be transparency, of which nothing is said
        if len(words) in (count, count - 1):
            found |= dict(enumerate(words))
    return found


def _wavelengths(items: list[_Item], count: int) -> tuple[dict[int, str], str] | None:
    """Numbers of planes and their unit, of the first domain that says them."""
    domains = dict.fromkeys((*_DOMAINS, *(item.domain for item in items)))
    for own in ([item for item in items if item.domain == domain] for domain in domains):
        keys = [match for item in own if (match := _WAVELENGTH.fullmatch(item.key))]
        texts = {
            plane: match
            for plane, text in _listed(own, _WAVELENGTH, count).items()
            if (match := _WITH_UNIT.fullmatch(text))
        }
        if texts:
            units = [match["unit"] for match in texts.values() if match["unit"]]
            units += [key["unit"] for key in keys if key["unit"]]
            units += [item.text for item in own if _UNITS.fullmatch(item.key)]
            unit = " and ".join(dict.fromkeys(units))
            return {
                plane: match["number"].replace(",", ".") for plane, match in texts.items()
            }, unit
    return None


def _bad(items: list[_Item], count: int, notes: list[str]) -> tuple[int, ...]:
    """Planes that are 0 in a list of good ones, or each called bad."""
    good = _listed(items, GOOD_BANDS, count)
    flagged = {plane for plane, flag in good.items() if _number(flag) == 0}
    for item in items:
        is_bad = BAD_BANDS.fullmatch(item.key)
        if item.plane is not None:
            flagged |= {item.plane} if is_bad and _number(item.text) not in (0, None) else set()
        elif is_bad:
            notes.append(unclear_note(item.key, UNCLEAR))
        elif not good and GOOD_BANDS.fullmatch(item.key):
            notes.append(unclear_note(item.key, "does not fit to the bands"))
    return tuple(sorted(flagged))


def _scale(
    items: list[_Item], count: int, notes: list[str]
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Gains and offsets of planes: items with that role, not those that are only called so."""
    found: dict[str, dict[int, float]] = {"scale": {}, "offset": {}}
    for item in items:
        if item.role in found and item.plane is not None:
            number = _number(item.text)
            if number is not None:
                found[item.role][item.plane] = number
    if any(found.values()):
        gains = tuple(found["scale"].get(plane, 1.0) for plane in range(count))
        return gains, tuple(found["offset"].get(plane, 0.0) for plane in range(count))
    for item in items:
        factor = _number(item.text)
        if not item.role and _SCALE.fullmatch(item.key):
            if item.domain == "ENVI" and item.key.startswith("refl") and factor:
                return (1 / factor,) * count, (0.0,) * count
            notes.append(
                f"'{item.key} = {item.text[:20]}'"
                + (f" (domain {item.domain[:20]})" if item.domain else "")
                + " is no scale of GDAL's and is not used; --full-scale says it."
            )
            break
    return None


def _number(text: str) -> float | None:
    """The number that a text is, else None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number
