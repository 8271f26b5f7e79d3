"""Editors of choices that are Options themselves: one of several, several at once, a preset."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QWidget

from napari_phenoscape.option import Option
from napari_phenoscape.views import operations
from napari_phenoscape.widgets.form._fields import Editor, Leaf, column
from napari_phenoscape.widgets.form._fold import Fold
from napari_phenoscape.widgets.form._note import note

#: Makes the form of an Option; forms and these editors contain each other.
MakeForm = Callable[[type[Option]], Editor]

#: Last entry of a preset combo: the user's own list.
OWN = "my own"


def sentence(cls: type[Option]) -> str:
    """What a variant says about itself: its docstring's first line, and its invariance."""
    first = (cls.__doc__ or "").strip().partition("\n")[0]
    return " ".join(part for part in (first, getattr(cls, "invariance", "")) if part)


def kind_words(cls: type[Option]) -> str:
    """The tag of a variant."""
    return str(cls.model_fields["kind"].default)


class Variant(Editor):
    """One of several kinds of Option: a choice, and the form of the kind it shows."""

    def __init__(self, classes: tuple[type[Option], ...], form: MakeForm) -> None:
        super().__init__()
        self.classes = classes
        self.kind = Leaf(str, choices=[kind_words(cls) for cls in classes])
        self.forms: dict[str, Editor] = {}
        layout = column(self)
        layout.addWidget(self.kind)
        for cls in classes:
            below = self.forms[kind_words(cls)] = form(cls)
            below.changed.connect(self.changed)
            layout.addWidget(below)
        self.kind.changed.connect(self._swap)
        self._show()

    def get(self) -> Any:
        return self.forms[self.kind.get()].get()

    def set(self, value: Option) -> None:
        """Choose the kind of ``value`` and show its fields."""
        kind = kind_words(type(value))
        self.forms[kind].set(value)
        self.kind.set(kind)

    def _swap(self) -> None:
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        for cls, form in zip(self.classes, self.forms.values(), strict=True):
            chosen = kind_words(cls) == self.kind.get()
            form.setVisible(chosen and len(cls.model_fields) > 1)  # its kind is the combo's
            if chosen:
                self.kind.setToolTip(sentence(cls))


class Row(QWidget):
    """A kind of Option that may take part: its switch, and beside it the form, folded."""

    def __init__(self, cls: type[Option], form: Editor) -> None:
        super().__init__()
        self.cls, self.form, self.switch = cls, form, QCheckBox()
        content = QWidget()
        below = column(content)
        below.addWidget(note(sentence(cls)))
        below.addWidget(form)
        fold = Fold(kind_words(cls), content)
        for part in (fold, self.switch):
            part.setToolTip(sentence(cls))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self.switch.setStyleSheet("padding-top: 4px")  # in line with the words of the fold
        layout.addWidget(self.switch, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addWidget(fold, 1)


class Rows(Editor):
    """Several Options in order: a row for each kind."""

    def __init__(self, classes: tuple[type[Option], ...], form: MakeForm) -> None:
        super().__init__()
        self.classes = classes
        self.rows: list[Row] = []
        self._form = form
        self._layout = column(self)
        self.set(())

    def get(self) -> tuple[Option, ...]:
        return tuple(row.form.get() for row in self.rows if row.switch.isChecked())

    def set(self, value: tuple[Option, ...]) -> None:
        """Show ``value`` in its order, then what it leaves out, switched off."""
        left = [cls for cls in self.classes if cls not in {type(one) for one in value}]
        self._arrange([*map(type, value), *left])
        for row, option in zip_longest(self.rows, value):
            if option is not None:
                row.form.set(option)
            row.switch.setChecked(option is not None)

    def _arrange(self, classes: list[type[Option]]) -> None:
        """Rows of these kinds; one that is there already is moved, so that it stays open."""
        free, self.rows = self.rows, []
        for cls in classes:
            row = next((row for row in free if row.cls is cls), None) or self._new_row(cls)
            free = [other for other in free if other is not row]
            self._layout.removeWidget(row)
            self._layout.addWidget(row)
            self.rows.append(row)
        for row in free:
            self._layout.removeWidget(row)
            row.deleteLater()

    def _new_row(self, cls: type[Option]) -> Row:
        row = Row(cls, self._form(cls))
        row.switch.toggled.connect(self.changed)
        row.form.changed.connect(lambda: self.changed.emit() if row.switch.isChecked() else None)
        return row


class Preset(Editor):
    """A named list of operations, or the user's own: the combo first, the rows below."""

    def __init__(
        self, names: tuple[str, ...], classes: tuple[type[Option], ...], form: MakeForm
    ) -> None:
        super().__init__()
        self._names = names
        self.choice = Leaf(str, choices=(*names, OWN))
        self.rows = Rows(classes, form)
        self.fold = Fold("Operations", self.rows)
        self.fold.setToolTip("Every operation, with its switch and its strength")
        layout = column(self)
        layout.addWidget(self.choice)
        layout.addWidget(self.fold)
        self.choice.changed.connect(self._fill)
        self.rows.changed.connect(self._own)
        self.set(names[0])

    def get(self) -> str | tuple[Option, ...]:
        chosen: str = self.choice.get()
        return self.rows.get() if chosen == OWN else chosen

    def set(self, value: Any) -> None:
        """Show a preset or a list, and the operations that it stands for."""
        with QSignalBlocker(self.choice), QSignalBlocker(self.rows):
            self.choice.set(value if isinstance(value, str) else OWN)
            self.rows.set(operations(value) if value in self._names else value)
        self.changed.emit()

    def _fill(self) -> None:
        if self.choice.get() == OWN:
            self.fold.opened = True
            self.changed.emit()
        else:
            self.set(self.choice.get())

    def _own(self) -> None:
        with QSignalBlocker(self.choice):
            self.choice.set(OWN)
        self.changed.emit()
