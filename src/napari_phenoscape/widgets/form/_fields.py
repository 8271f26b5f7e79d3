"""One editor for each kind of value that a field of an Option can have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QSizePolicy,
    QToolButton,
    QWidget,
)

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

    def _row(self, *widgets: QWidget) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in widgets:
            layout.addWidget(widget)


class Choice(Editor):
    """One of a few words."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        super().__init__()
        self.combo = QComboBox()
        for value in values:
            self.combo.addItem(str(value), value)
        self.combo.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.combo.setMinimumContentsLength(8)
        self.combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        without_wheel(self.combo)
        self.combo.currentIndexChanged.connect(self.changed)
        self._row(self.combo)

    def get(self) -> Any:
        """The chosen value."""
        return self.combo.currentData()

    def set(self, value: Any) -> None:
        """Choose ``value``."""
        self.combo.setCurrentIndex(self.combo.findData(value))


class Check(Editor):
    """Yes or no."""

    def __init__(self) -> None:
        super().__init__()
        self.box = QCheckBox()
        self.box.toggled.connect(self.changed)
        self._row(self.box)

    def get(self) -> bool:
        """Whether the box is ticked."""
        return self.box.isChecked()

    def set(self, value: bool) -> None:
        """Tick or clear the box."""
        self.box.setChecked(value)


class Text(Editor):
    """A line of text; empty means None where None is allowed."""

    def __init__(self, optional: bool = False) -> None:
        super().__init__()
        self._optional = optional
        self.line = QLineEdit()
        self.line.setMinimumWidth(60)
        self.line.textChanged.connect(self.changed)
        self._arrange()

    def _arrange(self) -> None:
        self._row(self.line)

    @property
    def empty(self) -> bool:
        """Whether the line is blank."""
        return not self.line.text().strip()

    def get(self) -> Any:
        """The text, or None."""
        text = self.line.text()
        return None if self._optional and not text.strip() else text

    def set(self, value: Any) -> None:
        """Show ``value``."""
        self.line.setText("" if value is None else str(value))
        self.line.setCursorPosition(0)


class PathEditor(Text):
    """A path as it was written, relative ones too, with a dialog for those who like to point."""

    def __init__(self, optional: bool, picks: str) -> None:
        self._button = button = QToolButton()
        super().__init__(optional)
        button.setText("…")
        button.setToolTip("Choose with a dialog")
        button.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        acts = {"file": ("File…", self._file), "folder": ("Folder…", self._folder)}
        if picks in acts:
            button.clicked.connect(acts[picks][1])
        else:
            menu = QMenu(button)
            for words, act in acts.values():
                menu.addAction(words, act)
            button.setMenu(menu)
            button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)

    def _arrange(self) -> None:
        self._row(self.line, self._button)

    def set(self, value: Any) -> None:
        """Show ``value``, its end first."""
        super().set(value)
        self.line.setCursorPosition(len(self.line.text()))

    def get(self) -> Path | None:
        """The path, exactly as given."""
        text = self.line.text().strip()
        if not text:
            if self._optional:
                return None
            raise OptionError("No path is given; type one, or choose it with the '…' button.")
        return Path(text)

    def _file(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Choose a file", self.line.text())
        if chosen:
            self.line.setText(chosen)

    def _folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Choose a folder", self.line.text())
        if chosen:
            self.line.setText(chosen)


class Span(Editor):
    """A fixed number of values side by side, e.g. the two ends of a range."""

    def __init__(self, parts: list[Editor]) -> None:
        super().__init__()
        self.parts = parts
        for part in parts:
            part.changed.connect(self.changed)
        self._row(*parts)

    def get(self) -> tuple[Any, ...]:
        """The values from left to right."""
        return tuple(part.get() for part in self.parts)

    def set(self, value: tuple[Any, ...]) -> None:
        """Show the values."""
        for part, one in zip(self.parts, value, strict=True):
            part.set(one)


class Optional(Editor):
    """A value, or none while its box is clear."""

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
        """The value, or None."""
        return self.inner.get() if self.box.isChecked() else None

    def set(self, value: Any) -> None:
        """Show ``value``, or that there is none."""
        self.box.setChecked(value is not None)
        if value is not None:
            self.inner.set(value)


class Words(Text):
    """Several short values in one line, with commas between."""

    def __init__(self, types: tuple[type, ...]) -> None:
        super().__init__()
        self._types = types
        self.line.setPlaceholderText("a, b, c")

    def get(self) -> tuple[Any, ...]:
        """The values; those that look like numbers are numbers where numbers are allowed."""
        return tuple(
            self._read(word.strip()) for word in self.line.text().split(",") if word.strip()
        )

    def set(self, value: tuple[Any, ...]) -> None:
        """Show the values."""
        super().set(", ".join(str(word) for word in value))

    def _read(self, word: str) -> Any:
        for number in (int, float):
            if number in self._types:
                try:
                    return number(word)
                except ValueError:
                    continue
        if str in self._types:
            return word
        raise OptionError(f"'{word}' is not a number; write numbers with commas between them.")


def field_words(name: str) -> str:
    """``range_nm`` as a person writes it: ``range (nm)``."""
    words, unit = (name[:-3], " (nm)") if name.endswith("_nm") else (name, "")
    return words.replace("_", " ") + unit


def field_step(info: FieldInfo) -> float | None:
    """Step that the field asks its spin box to take."""
    extra = info.json_schema_extra
    step = extra.get("step") if isinstance(extra, dict) else None
    return float(step) if isinstance(step, int | float) else None


def field_picks(info: FieldInfo) -> str:
    """What a path names: ``file``, ``folder``, or ``any`` when the field does not say."""
    extra = info.json_schema_extra
    return str(extra.get("picks", "any")) if isinstance(extra, dict) else "any"
