"""One editor for each kind of value that a field of an Option can have."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from magicgui.widgets import FileEdit, LineEdit, create_widget
from magicgui.widgets.bases import BaseValueWidget
from pydantic.fields import FieldInfo
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QMenu,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_phenoscape._remote import address
from napari_phenoscape.errors import OptionError
from napari_phenoscape.widgets.form._fold import without_wheel


class Editor(QWidget):
    """Shows one value and lets the user change it."""

    changed = Signal()

    @property
    def empty(self) -> bool:
        """Whether nothing was filled in yet: that is no error to be told of in red."""
        return False

    def get(self) -> Any:
        """The value as it stands; OptionError when what stands there is none."""
        raise NotImplementedError

    def set(self, value: Any) -> None:
        """Show ``value``."""
        raise NotImplementedError

    def _hold(self, native: QWidget) -> None:
        """Fill this editor with a box or a line that a dock may make narrow."""
        native.setMinimumWidth(96 if isinstance(native, QAbstractSpinBox) else 60)
        native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        if isinstance(native, QComboBox):
            native.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            native.setMinimumContentsLength(8)
        if isinstance(native, QAbstractSpinBox):
            native.setKeyboardTracking(False)  # 64 is not told as 6 before
        if isinstance(native, QComboBox | QAbstractSpinBox):
            without_wheel(native)
        self.column = column(self)
        self.column.addWidget(native)

    def _row(self, *widgets: QWidget) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in widgets:
            layout.addWidget(widget)


class Leaf(Editor):
    """A value in the widget that magicgui has for its type.

    Parameters
    ----------
    annotation
        Of the field.
    **options
        Of magicgui's widget, e.g. ``choices``.
    """

    def __init__(self, annotation: Any, **options: Any) -> None:
        super().__init__()
        widget = create_widget(annotation=annotation, options=options)
        assert isinstance(widget, BaseValueWidget)  # what has a type has a value
        self.widget: BaseValueWidget[Any] = widget
        self._hold(widget.native)
        widget.changed.connect(self._tell)

    def get(self) -> Any:
        return self.widget.value

    def set(self, value: Any) -> None:
        self.widget.value = value

    def _tell(self) -> None:
        self.changed.emit()


class Line(Leaf):
    """A value that is written in a line of text.

    Parameters
    ----------
    read, write
        From text to value, and back.
    optional
        Whether an empty line is None.
    annotation
        Of magicgui's widget, which is a line or has one.
    """

    def __init__(
        self,
        read: Callable[[str], Any] = str,
        write: Callable[[Any], str] = str,
        *,
        optional: bool = False,
        annotation: Any = str,
    ) -> None:
        super().__init__(annotation)
        self._read, self._write, self._optional = read, write, optional
        line = getattr(self.widget, "line_edit", self.widget)
        assert isinstance(line, LineEdit)
        self.line: LineEdit = line

    @property
    def empty(self) -> bool:
        return not self.line.value.strip()

    def get(self) -> Any:
        return None if self._optional and self.empty else self._read(self.line.value)

    def set(self, value: Any) -> None:
        self.line.value = "" if value is None else self._write(value)
        self.line.native.home(False)  # its beginning is in sight


class PathLine(Line):
    """A path or an address as it was written, with a dialog for those who like to point.

    The line is read and not the value of magicgui's `FileEdit`, which makes paths absolute.

    Parameters
    ----------
    optional
        Whether an empty line is None.
    picks
        What the path names: ``file``, ``folder``, or ``any`` of both.
    words
        What may stand in its place.
    """

    def __init__(self, optional: bool, picks: str, words: Collection[str] = ()) -> None:
        def read(text: str) -> Any:
            return text.strip() if text.strip() in words else _path(text)

        def write(value: Any) -> str:
            return address(value) if isinstance(value, Path) else str(value)

        super().__init__(read, write, optional=optional, annotation=Path)
        assert isinstance(self.widget, FileEdit)
        self.edit = self.widget
        self.edit.mode = "d" if picks == "folder" else "r"
        button = self.edit.choose_btn
        button.text = "…"
        button.tooltip = "Choose with a dialog"
        button.native.setFixedWidth(30)
        button.native.setStyleSheet("QPushButton::menu-indicator { image: none; width: 0; }")
        if picks == "any":
            menu = QMenu(button.native)
            for label, mode in (("File…", "r"), ("Folder…", "d")):
                menu.addAction(label, partial(self._ask, mode))
            button.native.setMenu(menu)

    def set(self, value: Any) -> None:
        super().set(value)
        self.line.native.end(False)  # its name is in sight

    def _ask(self, mode: str) -> None:
        self.edit.mode = mode
        self.edit.choose_btn.text = "…"  # a mode brings words of its own
        self.edit.choose_btn.changed.emit(True)


class Span(Editor):
    """A fixed number of values side by side, e.g. the two ends of a range."""

    def __init__(self, parts: list[Editor]) -> None:
        super().__init__()
        self.parts = parts
        for part in parts:
            part.changed.connect(self.changed)
        self._row(*parts)

    def get(self) -> tuple[Any, ...]:
        return tuple(part.get() for part in self.parts)

    def set(self, value: tuple[Any, ...]) -> None:
        for part, one in zip(self.parts, value, strict=True):
            part.set(one)


class Optional(Editor):
    """A value, or none while its box is clear: no number stands for none."""

    def __init__(self, inner: Editor) -> None:
        super().__init__()
        self.box = QCheckBox()
        self.box.setToolTip("Tick to set a value")
        self.inner = inner
        inner.setEnabled(False)
        inner.setToolTip("Tick the box to set a value")
        self.box.toggled.connect(inner.setEnabled)
        self.box.toggled.connect(self.changed)
        inner.changed.connect(self.changed)
        self._row(self.box, inner)

    def get(self) -> Any:
        return self.inner.get() if self.box.isChecked() else None

    def set(self, value: Any) -> None:
        self.box.setChecked(value is not None)
        if value is not None:
            self.inner.set(value)


def words_line(types: tuple[type, ...]) -> Line:
    """Several short values in one line; magicgui's list has a widget for each, all of one type."""

    def read(text: str) -> tuple[Any, ...]:
        return tuple(_word(word.strip(), types) for word in text.split(",") if word.strip())

    line = Line(read, lambda words: ", ".join(map(str, words)))
    line.line.native.setPlaceholderText("a, b, c")
    return line


def _word(word: str, types: tuple[type, ...]) -> Any:
    """A number where it looks like one and numbers are allowed, else text."""
    for number in (int, float):
        if number in types:
            try:
                return number(word)
            except ValueError:
                continue
    if str in types:
        return word
    raise OptionError(f"'{word}' is not a number; write numbers with commas between them.")


def _path(text: str) -> Path:
    if not text.strip():
        raise OptionError("No path is given; type one, or choose it with the '…' button.")
    return Path(text.strip())


def column(widget: QWidget, spacing: int = 2) -> QVBoxLayout:
    """A layout without margins that fills a widget from above."""
    layout = QVBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    return layout


def field_words(name: str) -> str:
    """``range_nm`` as a person writes it: ``range (nm)``."""
    words, _, unit = name.rpartition("_")
    return f"{words} ({unit})".replace("_", " ") if unit in ("nm", "px") else name.replace("_", " ")


def field_hint(info: FieldInfo, name: str) -> Any:
    """What a field says for forms alone: its ``step``, what its path ``picks``, its ``fold``."""
    extra = info.json_schema_extra
    return extra.get(name) if isinstance(extra, dict) else None
