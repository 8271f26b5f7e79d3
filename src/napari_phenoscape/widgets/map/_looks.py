"""Looks: what specimens are pictured, coloured and laid out by, and what the colours mean."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from napari_phenoscape.analysis import Colouring
from napari_phenoscape.widgets._clustered import Appearance
from napari_phenoscape.widgets._dock import short_combo

_NAMES = {
    "Picture": "In which light the specimens are shown: on the sheet, on the map, when hovering",
    "Colour by": "The colour of dots and frames",
    "Order": "How the contact sheet is laid out: a line for each cluster or word, numbers and "
    "likeness running on",
}

#: Kinds that are named below the map.
NAMED = 12


class Looks(QWidget):
    """Three choices above the map."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(4)
        layout.setVerticalSpacing(0)
        self.boxes = [short_combo() for _ in _NAMES]
        for column, ((name, tip), box) in enumerate(zip(_NAMES.items(), self.boxes, strict=True)):
            box.setToolTip(tip)
            box.setAccessibleName(name)
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            layout.addWidget(QLabel(name), 0, column)
            layout.addWidget(box, 1, column)
            layout.setColumnStretch(column, 3 if name == "Picture" else 2)  # has the longest names
            box.activated.connect(lambda _: self.changed.emit())  # by the user only

    @property
    def value(self) -> Appearance:
        """What is chosen."""
        return Appearance(*(box.currentText() for box in self.boxes))

    def show_appearance(self, offered: tuple[tuple[str, ...], ...], shown: Appearance) -> None:
        """Offer these, with what is shown now chosen."""
        for box, names, chosen in zip(self.boxes, offered, shown, strict=True):
            if [box.itemText(i) for i in range(box.count())] != list(names):
                box.clear()
                box.addItems(names)
            box.setCurrentText(chosen)


class ColourKey(QLabel):
    """What the colours mean, when they are not those of the clusters."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setWordWrap(True)

    def show_colouring(self, colouring: Colouring | None) -> None:
        """Kinds with their numbers, or a scale; None hides it."""
        self.setVisible(colouring is not None)
        if colouring is None:
            return
        words = f"<b>{escape(colouring.title)}</b> "
        if colouring.scale is not None:
            low, high = colouring.scale
            words += f"{low:.3g} {_ramp()} {high:.3g}"
        else:
            words += "&nbsp; ".join(
                f'<span style="color:{_hex(colour)}">■</span>&nbsp;{_unbroken(name)}&nbsp;({count})'
                for name, colour, count in colouring.legend[:NAMED]
            )
            if len(colouring.legend) > NAMED:
                words += f" and {len(colouring.legend) - NAMED} more"
        self.setText(words)


def _unbroken(name: str) -> str:
    return escape(name).replace(" ", "&nbsp;")


def _ramp() -> str:
    import matplotlib

    colours = matplotlib.colormaps["viridis"].resampled(16)(range(16))[:, :3]
    tones = [_hex(tuple(int(255 * part) for part in colour)) for colour in colours]
    return "".join(f'<span style="color:{tone}">█</span>' for tone in tones)


def _hex(colour: tuple[int, ...]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
