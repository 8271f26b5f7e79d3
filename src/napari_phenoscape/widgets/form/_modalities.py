"""Editor of modalities: which bands, for which encoder."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QGridLayout

from napari_phenoscape.cubes import Modality, known_modalities
from napari_phenoscape.widgets.form._fields import Line

#: What the built-in modalities are.
WORDS = {
    "rgb": "red, green, blue",
    "uv": "ultraviolet",
    "vis": "visible",
    "nir": "near infrared",
    "swir": "short-wave IR",
    "full": "all good bands",
    "all": "all, bad ones too",
    "human": "human eye",
    "bird-uv": "bird's eye, UV",
    "bird-v": "bird's eye, V",
    "honeybee": "bee's eye",
}

#: Boxes beside each other.
COLUMNS = 2


class Modalities(Line):
    """Names of modalities; the boxes add and remove those that are known by name, or their sums.

    The text is the value: ``rgb; rgb+uv; red edge: 680-750; mine: 0, 3, UV_R``. After a colon
    stand a range in nm, bands by index and name, or the CSV of an eye.
    """

    def __init__(self) -> None:
        super().__init__(
            lambda text: tuple(map(_modality, _entries(text))),
            lambda modalities: "; ".join(map(_modality_words, modalities)),
        )
        self.line.tooltip = (
            "One encoder for each modality. Several are separated by ';', bands for one encoder "
            "are joined by '+': 'rgb; uv' or 'rgb+uv'. Your own: 'red edge: 680-750' (nm), "
            "'mine: 0, 3, UV_R' (bands), or 'tit: tit.csv' (what an eye catches)."
        )
        self.boxes: dict[str, QCheckBox] = {}
        for name in known_modalities():
            self._add(name, f"{WORDS[name]} ({name})" if name in WORDS else name)
        self._grid = QGridLayout()
        self.column.addLayout(self._grid)
        self._offered: Collection[str] = ()
        self.offer(())
        self.line.changed.connect(self._tick)

    def offer(self, names: Collection[str]) -> None:
        """Show the boxes of these modalities and of those that are chosen; of none, all."""
        self._offered = names
        offered = names or self.boxes
        shown = [name for name, box in self.boxes.items() if name in offered or box.isChecked()]
        for name, box in self.boxes.items():
            box.setVisible(name in shown)
            self._grid.removeWidget(box)
        for place, name in enumerate(shown):
            self._grid.addWidget(self.boxes[name], *divmod(place, COLUMNS))

    def _add(self, name: str, words: str) -> None:
        self.boxes[name] = box = QCheckBox(words, self)
        box.toggled.connect(partial(self._toggle, name))

    def _toggle(self, name: str, on: bool) -> None:
        entries = [entry for entry in _entries(self.line.value) if entry != name]
        self.line.value = "; ".join([*entries, name] if on else entries)

    def _tick(self) -> None:
        entries, known = _entries(self.line.value), known_modalities()
        sums = [one for one in entries if "+" in one and one not in self.boxes]
        sums = [one for one in sums if {part.strip() for part in one.split("+")} <= {*known}]
        for name in sums:
            self._add(name, f"{name}, one encoder")
        for name, box in self.boxes.items():
            with QSignalBlocker(box):
                box.setChecked(name in entries)
        if sums:
            self.offer(self._offered)


def _entries(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _modality(entry: str) -> str | Modality:
    name, colon, rest = entry.partition(":")
    if not colon:
        return entry
    low, dash, high = rest.removesuffix("nm").strip().partition("-")
    try:
        ends = (float(low), float(high)) if dash else None
    except ValueError:
        ends = None
    if ends is not None:
        return Modality.parse({"name": name.strip(), "range_nm": ends})
    if rest.strip().lower().endswith(".csv"):
        return Modality.parse({"name": name.strip(), "eye": rest.strip()})
    return Modality.parse(
        {
            "name": name.strip(),
            "bands": tuple(
                int(band) if band.isdigit() else band
                for band in (part.strip() for part in rest.split(","))
                if band
            ),
        }
    )


def _modality_words(modality: str | Modality) -> str:
    if isinstance(modality, str):
        return modality
    if modality.range_nm is not None:
        low, high = modality.range_nm
        return f"{modality.name}: {low:g}-{high:g}"
    if modality.eye is not None:
        return f"{modality.name}: {modality.eye}"
    return f"{modality.name}: {', '.join(str(band) for band in modality.bands)}"
