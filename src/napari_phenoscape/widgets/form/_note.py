"""Note: words in a form or a dock, in colours that can be read on a dark and on a light ground."""

from __future__ import annotations

import re
from html import escape
from typing import Literal

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QPalette, QShowEvent
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

Tone = Literal["plain", "warning", "error"]

#: Colour of each tone on a dark and on a light ground; plain words have the window's own.
TONES: dict[Tone, tuple[str, str]] = {
    "plain": ("", ""),
    "warning": ("#ffb74d", "#8a5000"),
    "error": ("#ff6b6b", "#b3261e"),
}

#: Where a line may end, though nothing is seen there.
_BREAK = "\u200b"

#: More characters without a blank or a slash than a line of a dock has.
_LONG = re.compile(r"[^\s/]{36,}")


class Note(QLabel):
    """Wrapping plain words that can be selected, and that do not ask for width.

    Without words it takes no room. A long file name goes on in the next line.

    Parameters
    ----------
    words
        Shown at once.
    tone
        Of these words, and of those that are set later.
    """

    def __init__(self, words: str = "", tone: Tone = "plain") -> None:
        super().__init__()
        self._tone: Tone = tone
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setText(words)
        self._colour()

    @property
    def tone(self) -> Tone:
        """How the words are meant."""
        return self._tone

    def say(self, words: str, tone: Tone = "plain") -> None:
        """Show words in a tone."""
        self._tone = tone
        self._colour()
        self.setText(words)

    def text(self) -> str:
        """The words as they were given."""
        return super().text().replace(_BREAK, "")

    def setText(self, words: str | None) -> None:
        """Show words in the tone of those before."""
        super().setText(
            _LONG.sub(lambda long: re.sub(r"([_.])", rf"\1{_BREAK}", long[0]), words or "")
        )
        if not words or self.parentWidget() is not None:  # else it would be a window of its own
            self.setVisible(bool(words))

    def changeEvent(self, event: QEvent | None) -> None:
        """Follow the theme of the window."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange:
            self._colour()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Know the ground, which is not that of the window before."""
        super().showEvent(event)
        self._colour()

    def _colour(self) -> None:
        colour = TONES[self._tone][light(self)]
        style = f"color: {colour};" if colour else ""
        if style != self.styleSheet():  # each is a change of style again
            self.setStyleSheet(style)


def note(words: str = "", tone: Tone = "plain") -> Note:
    """A line of a form or a dock, `heading`'s plain sister."""
    return Note(words, tone)


def light(widget: QWidget) -> bool:
    """Whether the ground of a widget is light, as in napari's theme of that name."""
    return widget.palette().color(QPalette.ColorRole.Window).lightness() > 127


def as_it_is(words: str) -> str:
    """Words for a tooltip or a box that asks, where Qt would take ``<b>`` in a name for bold."""
    return f"<span>{escape(words)}</span>".replace("\n", "<br>") if "<" in words else words
