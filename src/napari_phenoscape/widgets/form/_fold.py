"""Fold: a titled part of a form that opens and closes, with a switch if it may be left out."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)


class Fold(QWidget):
    """A header that shows or hides what is below it.

    Parameters
    ----------
    title
        In words; always visible.
    content
        What is shown when the fold is open.
    switch
        Whether the header holds a check box that says if this part takes part.
    """

    switched = Signal(bool)

    def __init__(
        self, title: str, content: QWidget, *, switch: bool = False, opened: bool = False
    ) -> None:
        super().__init__()
        self.content = content
        self._arrow = QToolButton()
        self._arrow.setText(title)
        self._arrow.setAutoRaise(True)
        self._arrow.setCheckable(True)
        self._arrow.setStyleSheet("QToolButton { border: none; background: transparent; }")
        self._arrow.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._arrow.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._arrow.toggled.connect(self._show_content)
        self._switch = QCheckBox()
        self._switch.setVisible(switch)
        self._switch.toggled.connect(self.switched)
        header = QHBoxLayout()
        header.setContentsMargins(0, 0, 0, 0)
        header.setSpacing(2)
        header.addWidget(self._switch)
        header.addWidget(self._arrow)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(header)
        layout.addWidget(content)
        content.setContentsMargins(12, 0, 0, 4)
        self._arrow.setChecked(opened)
        self._show_content(opened)

    @property
    def opened(self) -> bool:
        """Whether the content is shown."""
        return self._arrow.isChecked()

    @opened.setter
    def opened(self, opened: bool) -> None:
        self._arrow.setChecked(opened)

    @property
    def on(self) -> bool:
        """Whether the switch is on."""
        return self._switch.isChecked()

    @on.setter
    def on(self, on: bool) -> None:
        self._switch.setChecked(on)

    @property
    def title(self) -> str:
        """The words of the header."""
        return self._arrow.text()

    def setToolTip(self, text: str | None) -> None:
        """Explain the header, not everything inside."""
        self._arrow.setToolTip(text)
        self._switch.setToolTip(text)

    def _show_content(self, opened: bool) -> None:
        self.content.setVisible(opened)
        arrow = Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow
        self._arrow.setArrowType(arrow)


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
