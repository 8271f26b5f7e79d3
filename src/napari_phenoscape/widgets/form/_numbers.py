"""Editors of numbers."""

from __future__ import annotations

import sys
from typing import Any

from qtpy.QtGui import QIntValidator, QValidator
from qtpy.QtWidgets import QAbstractSpinBox, QDoubleSpinBox

from napari_phenoscape.widgets.form._fields import Editor, Leaf

#: Spin boxes need an end; nothing here is counted beyond it, and only fill values are larger.
LARGEST = 1_000_000_000


class FloatBox(QDoubleSpinBox):
    """A spin box that prints ``0.0003`` as it was written, neither 0.00 nor 0.000300000000.

    magicgui's is a plain QDoubleSpinBox, whose decimals are fixed: 1e-7 and 750.5 need both ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setDecimals(12)

    def textFromValue(self, value: float) -> str:
        """The shortest text that names the number."""
        return f"{value:.10g}" if abs(value) < LARGEST else repr(value)

    def valueFromText(self, text: str | None) -> float:
        """The number that a text names."""
        return float((text or "0").replace(",", "."))

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        """Accept what is a number in range; let anything that may become one be typed."""
        written = text or ""
        try:
            inside = self.minimum() <= self.valueFromText(written) <= self.maximum()
        except ValueError:
            inside = False
            if not set(written) <= set("+-.,e0123456789"):
                return QValidator.State.Invalid, written, position
        state = QValidator.State.Acceptable if inside else QValidator.State.Intermediate
        return state, written, position


def limits(metadata: list[Any], largest: float = LARGEST) -> tuple[float, float]:
    """Lowest and highest number that the bounds of a field (``ge``, ``gt``, ...) leave.

    An exclusive bound is let through: the Option refuses it in words.
    """
    found = {
        name: float(getattr(item, name))
        for item in metadata
        for name in ("ge", "gt", "le", "lt")
        if getattr(item, name, None) is not None
    }
    low = found.get("ge", found.get("gt", -largest))
    return low, found.get("le", found.get("lt", largest))


def whole_number(metadata: list[Any], step: float | None) -> Leaf:
    """An integer within its bounds."""
    low, high = map(int, limits(metadata))
    leaf = Leaf(int, min=low, max=high, step=step)
    box = leaf.widget.native
    # superqt's own lets a lone '-' be left behind, and raises then
    box.lineEdit().setValidator(QIntValidator(low, high, box))
    return leaf


class RealNumber(Editor):
    """A real number within its bounds."""

    def __init__(self, metadata: list[Any], step: float | None) -> None:
        super().__init__()
        self.box = FloatBox()
        self.box.setRange(*limits(metadata, sys.float_info.max))
        if step is None:
            self.box.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        else:
            self.box.setSingleStep(step)
        self.box.valueChanged.connect(self.changed)
        self._hold(self.box)

    def get(self) -> float:
        return self.box.value()

    def set(self, value: float) -> None:
        self.box.setValue(value)
