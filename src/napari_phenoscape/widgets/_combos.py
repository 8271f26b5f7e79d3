"""Combo boxes that offer columns and names, and take others."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtWidgets import QComboBox

from napari_phenoscape.widgets._dock import short_combo

#: Instead of a column: every specimen counts by itself.
EACH = "each specimen"


def typed_combo(hint: str) -> QComboBox:
    """A combo box into which something else can be typed."""
    combo = short_combo()
    combo.setEditable(True)
    combo.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
    line = combo.lineEdit()
    assert line is not None  # it is editable
    line.setPlaceholderText(hint)
    return combo


def groups_combo() -> QComboBox:
    """A combo box for the column of what is never compared with itself."""
    combo = short_combo()
    combo.setToolTip(
        "Specimens that are alike for another reason, e.g. photographs of one individual, do "
        "not vote for each other"
    )
    return combo


def group_of(combo: QComboBox) -> str:
    """The column that is chosen there, or ``""``."""
    return "" if combo.currentText() == EACH else combo.currentText()


def offer(combo: QComboBox, names: Iterable[str]) -> None:
    """Offer these; what stands in the box stays."""
    typed, names = combo.currentText(), list(names)
    combo.blockSignals(True)
    combo.clear()
    combo.addItems(names)
    if combo.isEditable() or typed in names:
        combo.setCurrentText(typed)
    combo.blockSignals(False)
