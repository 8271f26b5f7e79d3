"""Form: the fields of an Option, made from its types; what stands in it is that Option again."""

from __future__ import annotations

import types
import typing
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QFormLayout, QLabel, QWidget

from napari_phenoscape.cubes import Modality
from napari_phenoscape.errors import OptionError
from napari_phenoscape.option import Option, Variants, variants_of
from napari_phenoscape.widgets.form._fields import (
    Editor,
    Leaf,
    Line,
    Optional,
    PathLine,
    Span,
    column,
    field_hint,
    field_words,
    words_line,
)
from napari_phenoscape.widgets.form._fold import Fold
from napari_phenoscape.widgets.form._modalities import Modalities
from napari_phenoscape.widgets.form._note import Note, Tone, note
from napari_phenoscape.widgets.form._numbers import RealNumber, whole_number
from napari_phenoscape.widgets.form._variants import Preset, Rows, Variant

O = TypeVar("O", bound=Option)  # noqa: E741


class Form(Editor, Generic[O]):
    """Every field of an Option, with its name, its bounds, and what is wrong beside it.

    Parameters
    ----------
    option_class
        The kind of Option that the form shows.
    hide
        Fields that are edited elsewhere; they keep the value given to `set` or `keep`.
    first
        Fields that are always in sight; the others are in the fold `rest`. None: all are.
    """

    def __init__(
        self,
        option_class: type[O],
        hide: Collection[str] = (),
        first: Collection[str] | None = None,
    ) -> None:
        super().__init__()
        self.option_class = option_class
        self.error = ""
        self.editors: dict[str, Editor] = {}
        self.folds: dict[str, Fold] = {}
        self._errors: dict[str, Note] = {}
        self._kept: dict[str, Any] = {}
        self._layout = _rows_of(self)
        self._first, content = first, QWidget()
        self._rest_layout = _rows_of(content)
        self.rest = Fold("Settings", content)
        self._shared: dict[str, Fold] = {}  # by field
        for name, info in option_class.model_fields.items():
            default = _default(info)
            if name in hide and default is not PydanticUndefined:
                self._kept[name] = default
            if name not in hide and name != "kind":
                self._add(name, info, default)
        if first is not None:
            self._layout.addRow(self.rest)
        self._problem = note(tone="error")
        self._layout.addRow(self._problem)
        self._check()

    @property
    def value(self) -> O:
        """The Option that the form shows.

        Raises
        ------
        OptionError
            The first field that holds none, and why.
        """
        given = dict(self._kept)
        for name, editor in self.editors.items():
            try:
                given[name] = editor.get()
            except OptionError as error:
                raise OptionError(str(error), (name, *error.place)) from None
        return self.option_class.parse(given)

    def get(self) -> O:
        return self.value

    def set(self, value: O) -> None:
        """Show ``value``, its rare fields too where they say something; emits `changed` once."""
        with QSignalBlocker(self):
            for name in type(value).model_fields:
                if name in self.editors:
                    self.editors[name].set(getattr(value, name))
                elif name != "kind":
                    self._kept[name] = getattr(value, name)
        for name, fold in self._shared.items():
            if getattr(value, name) != _default(self.option_class.model_fields[name]):
                fold.opened = True
        self._changed()

    def keep(self, **values: Any) -> None:
        """Give hidden fields a value."""
        self._kept |= values
        self._changed()

    def _add(self, name: str, info: FieldInfo, default: Any) -> None:
        editor = self.editors[name] = editor_of(self.option_class, name)
        words = field_words(name)
        layout = self._layout if self._in_sight(name) else self._rest_layout
        if title := field_hint(info, "fold"):
            layout = self._sharing(name, title)
        tip = info.description or ""
        if isinstance(default, str | int | float | Path):
            tip = f"{tip} (default: {default})".lstrip()
        error = self._errors[name] = note(tone="error")
        if isinstance(editor, Form | Rows | Variant):
            fold = self.folds[name] = Fold(words, editor)
            fold.setToolTip(tip or (type(default).__doc__ or "").partition("\n")[0])
            layout.addRow(fold)
            layout.addRow(error)
        else:
            label = QLabel(words)
            label.setToolTip(tip)
            if not editor.toolTip():
                editor.setToolTip(tip)
            cell = QWidget()
            below = column(cell, spacing=0)
            below.addWidget(editor)
            below.addWidget(error)
            if isinstance(editor, Preset | Modalities):  # too wide to stand beside its name
                layout.addRow(label)
                layout.addRow(cell)
            else:
                layout.addRow(label, cell)
        editor.changed.connect(self._changed)

    def _in_sight(self, name: str) -> bool:
        return self._first is None or name in self._first

    def _sharing(self, name: str, title: str) -> QFormLayout:
        """The rows of a fold that several fields share."""
        fold = next((one for one in self._shared.values() if one.title == title), None)
        if fold is None:
            content = QWidget()
            _rows_of(content)
            fold = Fold(title, content)
            self._layout.addRow(fold)
        self._shared[name] = fold
        rows = fold.content().layout()
        assert isinstance(rows, QFormLayout)
        return rows

    def _changed(self) -> None:
        self._check()
        self.changed.emit()

    def _check(self) -> None:
        self.error = ""
        place: tuple[str | int, ...] = ()
        try:
            _ = self.value
        except OptionError as error:
            self.error, place = str(error), error.place
        first = str(place[0]) if place else ""
        for name, label in self._errors.items():
            # a nested form says it itself
            here = name == first and not isinstance(self.editors[name], Form | Variant)
            tone: Tone = "plain" if self.editors[name].empty else "error"
            label.say(self.error if here else "", tone)
            for folds in (self._shared, self.folds):
                if name == first and name in folds:
                    folds[name].opened = True
            if name == first and not self._in_sight(name):
                self.rest.opened = True
        # of hidden fields without a value, whoever hid them says so
        missing = set(self.option_class.model_fields) - {"kind", *self._kept}
        self._problem.setText("" if first in {*self.editors, *missing} else self.error)


def _rows_of(widget: QWidget) -> QFormLayout:
    rows = QFormLayout(widget)
    rows.setContentsMargins(0, 0, 0, 0)
    rows.setVerticalSpacing(4)
    rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
    rows.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
    return rows


def editor_for(annotation: Any, info: FieldInfo) -> Editor:
    """The editor of one field.

    Raises
    ------
    TypeError
        No editor shows this type; Options are to be made of types that have one.
    """
    annotation, metadata = _bare(annotation, info.metadata)
    if any(isinstance(item, Variants) for item in metadata):
        return Variant(variants_of(Annotated[annotation, *metadata]), Form)
    step, picks = field_hint(info, "step"), field_hint(info, "picks") or "any"
    members = _members(annotation)
    kinds = tuple(member for member in members if member is not type(None))
    if optional := type(None) in members:
        annotation = typing.Union[kinds]  # noqa: UP007  a tuple of types
    if Path in kinds:  # or a word in its place
        words = [word for kind in kinds if kind is not Path for word in typing.get_args(kind)]
        return PathLine(optional, picks, words)
    if annotation is str:
        return Line(optional=optional)
    if optional:
        return Optional(editor_for(annotation, info))
    if len(kinds) == 2 and typing.get_origin(kinds[0]) is Literal:
        return Preset(typing.get_args(kinds[0]), variants_of(kinds[1]), Form)
    origin = typing.get_origin(annotation)
    if origin is tuple:
        return _tuple_editor(annotation, info)
    if isinstance(annotation, type) and issubclass(annotation, Option):
        return Form(annotation)
    if origin is Literal or annotation is bool:
        return Leaf(annotation)
    if annotation is int:
        return whole_number(metadata, step)
    if annotation is float:
        return RealNumber(metadata, step)
    raise TypeError(f"no form field shows {annotation!r}")


def editor_of(option_class: type[Option], name: str) -> Editor:
    """The editor of a single field, showing the default if there is one."""
    info = option_class.model_fields[name]
    editor = editor_for(info.annotation, info)
    if (default := _default(info)) is not PydanticUndefined:
        editor.set(default)
    return editor


def _default(info: FieldInfo) -> Any:
    return info.get_default(call_default_factory=True, validated_data={})


def _tuple_editor(annotation: Any, info: FieldInfo) -> Editor:
    arguments = typing.get_args(annotation)
    if Ellipsis not in arguments:
        return Span([editor_for(argument, info) for argument in arguments])
    members = _members(arguments[0])
    if Modality in members:
        return Modalities()
    if options := variants_of(annotation):
        return Rows(options, Form)
    return words_line(members)


def _bare(annotation: Any, metadata: list[Any]) -> tuple[Any, list[Any]]:
    """The type inside ``Annotated``, and the bounds collected on the way."""
    found = list(metadata)
    while typing.get_origin(annotation) is Annotated:
        annotation, *more = typing.get_args(annotation)
        for item in more:
            found += item.metadata if isinstance(item, FieldInfo) else [item]
    return annotation, found


def _members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a union; the type itself when it is none."""
    annotation, _ = _bare(annotation, [])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(inner for member in typing.get_args(annotation) for inner in _members(member))
    return (annotation,)
