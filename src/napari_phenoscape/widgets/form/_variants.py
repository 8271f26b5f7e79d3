"""Editors of choices that are Options themselves: one of several, several at once, a preset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_phenoscape.option import Option
from napari_phenoscape.views import operations
from napari_phenoscape.widgets.form._fields import Choice, Editor
from napari_phenoscape.widgets.form._fold import Fold, without_wheel
from napari_phenoscape.widgets.form._note import note

if TYPE_CHECKING:
    from napari_phenoscape.widgets.form._form import Form

#: Last entry of a preset combo: the user's own list.
OWN = "my own"


def _form(cls: type[Option]) -> Form[Any]:
    from napari_phenoscape.widgets.form._form import (
        Form,  # Form and its editors contain each other
    )

    return Form(cls)


def sentence(cls: type[Option]) -> str:
    """What a variant says about itself: its docstring's first line, and its invariance."""
    first = (cls.__doc__ or "").strip().partition("\n")[0]
    return " ".join(part for part in (first, getattr(cls, "invariance", "")) if part)


def kind_words(cls: type[Option]) -> str:
    """The tag of a variant."""
    return str(cls.model_fields["kind"].default)


def _column(widget: QWidget) -> QVBoxLayout:
    layout = QVBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(2)
    return layout


class Variant(Editor):
    """One of several kinds of Option: a combo box, and the form of the kind it shows."""

    def __init__(self, classes: tuple[type[Option], ...]) -> None:
        super().__init__()
        self.classes = classes
        self.combo = QComboBox()
        self.forms: dict[type[Option], Form[Any]] = {}
        layout = _column(self)
        layout.addWidget(self.combo)
        without_wheel(self.combo)
        for cls in self.classes:
            self.combo.addItem(kind_words(cls))
            form = self.forms[cls] = _form(cls)
            form.changed.connect(self.changed)
            layout.addWidget(form)
        self.combo.currentIndexChanged.connect(self._swap)
        self._show()

    def get(self) -> Option:
        """The Option of the kind that is chosen."""
        option: Option = self.forms[self.classes[self.combo.currentIndex()]].value
        return option

    def set(self, value: Option) -> None:
        """Choose the kind of ``value`` and show its fields."""
        self.forms[type(value)].set(value)
        self.combo.setCurrentIndex(self.classes.index(type(value)))

    def _swap(self) -> None:
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        chosen = self.classes[self.combo.currentIndex()]
        for cls, form in self.forms.items():
            form.setVisible(cls is chosen and form.has_fields)
        self.combo.setToolTip(sentence(chosen))


class Rows(Editor):
    """Several Options in order: one foldable row for each kind, with a switch."""

    def __init__(self, classes: tuple[type[Option], ...]) -> None:
        super().__init__()
        self.classes = classes
        self.rows: list[tuple[Fold, Form[Any]]] = []
        self._layout = _column(self)
        self.set(())

    def get(self) -> tuple[Option, ...]:
        """The Options whose switch is on."""
        return tuple(form.value for fold, form in self.rows if fold.on)

    def set(self, value: tuple[Option, ...]) -> None:
        """Show ``value`` in its order, then what it leaves out, switched off."""
        given: list[tuple[type[Option], Option | None]] = [(type(one), one) for one in value]
        given += [(cls, None) for cls in self.classes if cls not in {type(one) for one in value}]
        if [type_ for type_, _ in given] != [form.option_class for _, form in self.rows]:
            self._rebuild([cls for cls, _ in given])
        for (_, option), (fold, form) in zip(given, self.rows, strict=True):
            if option is not None:
                form.set(option)
            fold.on = option is not None

    def _rebuild(self, classes: list[type[Option]]) -> None:
        free = list(self.rows)
        self.rows = []
        for cls in classes:  # a row that is there already is moved, so that it stays open
            row = next((row for row in free if row[1].option_class is cls), None)
            if row is None:
                row = self._new_row(cls)
            else:
                free.remove(row)
            self._layout.removeWidget(row[0])
            self._layout.addWidget(row[0])
            self.rows.append(row)
        for fold, _ in free:
            self._layout.removeWidget(fold)
            fold.deleteLater()

    def _new_row(self, cls: type[Option]) -> tuple[Fold, Form[Any]]:
        form = _form(cls)
        content = QWidget()
        layout = _column(content)
        layout.addWidget(note(sentence(cls)))
        layout.addWidget(form)
        fold = Fold(kind_words(cls), content, switch=True)
        fold.setToolTip(sentence(cls))
        fold.switched.connect(self.changed)
        form.changed.connect(lambda: self.changed.emit() if fold.on else None)
        return fold, form


class Preset(Editor):
    """A named list of operations, or the user's own: the combo first, the rows below."""

    def __init__(self, names: tuple[str, ...], classes: tuple[type[Option], ...]) -> None:
        super().__init__()
        self._names = names
        self.choice = Choice((*names, OWN))
        self.rows = Rows(classes)
        self.fold = Fold("Operations", self.rows)
        self.fold.setToolTip("Every operation, with its switch and its strength")
        layout = _column(self)
        layout.addWidget(self.choice)
        layout.addWidget(self.fold)
        self.choice.changed.connect(self._fill)
        self.rows.changed.connect(self._own)
        self.set(names[0])

    def get(self) -> str | tuple[Option, ...]:
        """The preset's name, or the operations."""
        chosen: str = self.choice.get()
        return self.rows.get() if chosen == OWN else chosen

    def set(self, value: Any) -> None:
        """Show a preset or a list, and the operations that it stands for."""
        blocked = self.choice.blockSignals(True), self.rows.blockSignals(True)
        self.choice.set(value if isinstance(value, str) else OWN)
        self.rows.set(operations(value) if value in self._names else value)
        self.choice.blockSignals(blocked[0])
        self.rows.blockSignals(blocked[1])
        self.changed.emit()

    def _fill(self) -> None:
        if self.choice.get() == OWN:
            self.fold.opened = True
            self.changed.emit()
        else:
            self.set(self.choice.get())

    def _own(self) -> None:
        blocked = self.choice.blockSignals(True)
        self.choice.set(OWN)
        self.choice.blockSignals(blocked)
        self.changed.emit()
