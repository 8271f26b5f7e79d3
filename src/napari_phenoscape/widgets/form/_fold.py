"""Fold: a titled part of a form that opens and closes."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QSizePolicy,
    QWidget,
)
from superqt import QCollapsible

#: The header is a line of text, in the window's colour; it is underlined when keys go to it.
HEADER = """
QPushButton { text-align: left; border: none; background: transparent; padding: 3px 0; }
QPushButton:focus { text-decoration: underline; }
"""

#: Qt's own: as high as it likes.
FREE = 16_777_215


class Fold(QCollapsible):
    """A header that shows or hides what is below it.

    Parameters
    ----------
    title
        In words; always visible.
    content
        What is shown when the fold is open.
    """

    def __init__(self, title: str, content: QWidget, *, opened: bool = False) -> None:
        # superqt draws its arrows once, in the colours of that moment; ours are letters
        super().__init__(title, None, QIcon(), QIcon())
        self.title = title
        self.toggleButton().setStyleSheet(HEADER)
        self.toggleButton().setAccessibleName(title)
        layout = self.layout()
        assert layout is not None  # superqt's column
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self.content().hide()
        self.setContent(content)
        content.setContentsMargins(12, 0, 0, 4)
        # words that wrap in a narrow dock need more than the height of the hint
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.setDuration(0)
        self.toggled.connect(self._show_content)
        self.opened = opened

    @property
    def opened(self) -> bool:
        """Whether the content is shown."""
        return bool(self.isExpanded())

    @opened.setter
    def opened(self, opened: bool) -> None:
        (self.expand if opened else self.collapse)(animate=False)

    def setToolTip(self, text: str | None) -> None:
        """Explain the header, not everything inside."""
        self.toggleButton().setToolTip(text)

    def _show_content(self, opened: bool) -> None:
        # superqt only squeezes it: Tab would walk through what nobody sees
        self.content().setVisible(opened)
        self.content().setMaximumHeight(FREE)  # it may grow while it is open
        self.setText(f"{'▾' if opened else '▸'} {self.title}")


def heading(text: str) -> QLabel:
    """A line that names what follows."""
    label = QLabel(f"<b>{text}</b>")
    label.setTextFormat(Qt.TextFormat.RichText)
    return label


class WheelGuard(QObject):
    """Lets the wheel scroll the form, instead of changing the value under the cursor."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Ignore the wheel unless the box was clicked into."""
        if (
            isinstance(watched, QComboBox | QAbstractSpinBox)
            and event is not None
            and event.type() == QEvent.Type.Wheel
            and not watched.hasFocus()
        ):
            event.ignore()
            return True
        return False


_GUARD = WheelGuard()


def without_wheel(box: QWidget) -> None:
    """Guard a combo or spin box against an accidental wheel."""
    box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    box.installEventFilter(_GUARD)
