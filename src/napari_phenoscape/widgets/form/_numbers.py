"""Editors of numbers."""

from __future__ import annotations

from typing import Any

from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QSizePolicy, QSpinBox

from napari_phenoscape.widgets.form._fields import Editor
from napari_phenoscape.widgets.form._fold import without_wheel

#: Qt's spin boxes need an end; nothing here is counted beyond it.
LARGEST = 1_000_000_000.0


class FloatBox(QDoubleSpinBox):
    """A spin box that prints ``0.0003`` as it was written, neither 0.00 nor 0.000300000000."""

    def __init__(self) -> None:
        super().__init__()
        self.setDecimals(12)

    def textFromValue(self, value: float) -> str:
        """The shortest text that names the number."""
        return f"{value:.10g}"

    def valueFromText(self, text: str | None) -> float:
        """The number that a text names."""
        return float((text or "0").replace(",", "."))

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        """Accept what is a number in range; let anything that may become one be typed."""
        written = text or ""
        try:
            value = self.valueFromText(written)
        except ValueError:
            typing = set(written) <= set("+-.,e0123456789")
            state = QValidator.State.Intermediate if typing else QValidator.State.Invalid
            return state, written, position
        inside = self.minimum() <= value <= self.maximum()
        state = QValidator.State.Acceptable if inside else QValidator.State.Intermediate
        return state, written, position


def limits(metadata: list[Any]) -> tuple[float, float]:
    """Lowest and highest number that the bounds of a field (``ge``, ``gt``, ...) leave.

    An exclusive bound is let through: the Option refuses it in words.
    """
    found = {
        name: float(getattr(item, name))
        for item in metadata
        for name in ("ge", "gt", "le", "lt")
        if getattr(item, name, None) is not None
    }
    low = found.get("ge", found.get("gt", -LARGEST))
    return low, found.get("le", found.get("lt", LARGEST))


class Number(Editor):
    """An integer or a real number within its bounds."""

    def __init__(self, whole: bool, metadata: list[Any], step: float | None) -> None:
        super().__init__()
        self.box: QSpinBox | FloatBox = QSpinBox() if whole else FloatBox()
        low, high = limits(metadata)
        if isinstance(self.box, QSpinBox):
            self.box.setRange(int(low), int(high))
        else:
            self.box.setRange(low, high)
        if step is None:
            self.box.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        elif isinstance(self.box, QSpinBox):
            self.box.setSingleStep(int(step))
        else:
            self.box.setSingleStep(step)
        self.box.setKeyboardTracking(False)
        self.box.setMinimumWidth(96)
        self.box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        without_wheel(self.box)
        self.box.valueChanged.connect(self.changed)
        self._row(self.box)

    def get(self) -> float:
        """The number."""
        return self.box.value()

    def set(self, value: float) -> None:
        """Show ``value``; ValueError-free, because an Option holds only numbers in range."""
        if isinstance(self.box, QSpinBox):
            self.box.setValue(int(value))
        else:
            self.box.setValue(value)
