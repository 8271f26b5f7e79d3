"""Option: the frozen, typed, self-describing object that every choice of the user is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, Self, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from napari_phenoscape._extensions import Group, extensions
from napari_phenoscape._remote import address, here, local
from napari_phenoscape.errors import MissingFileError, OptionError, did_you_mean, did_you_mean_file

#: A path or a URL; a URL is printed as one again.
Place = Annotated[
    Path, BeforeValidator(local), PlainSerializer(address, return_type=str, when_used="json")
]

#: The way out where a kind is not nearly a known one.
INSTALL = "If another package adds it, install that."

#: A path to write to, which is none of a server.
Here = Annotated[Path, AfterValidator(here)]

#: What was expected, by pydantic's name of what went wrong; of others its own words are shown.
EXPECTED = {
    "missing": "it is missing; it has no default",
    "int_parsing": "a whole number was expected",
    "int_type": "a whole number was expected",
    "int_from_float": "a whole number was expected",
    "float_parsing": "a number was expected",
    "float_type": "a number was expected",
    "finite_number": "a finite number was expected",
    "bool_parsing": "true or false was expected",
    "bool_type": "true or false was expected",
    "string_type": "text was expected",
    "path_type": "a path was expected",
    "tuple_type": "a list was expected, e.g. [a] or [a, b]",
    "too_short": "at least {min_length} was expected, and there are {actual_length}",
    "too_long": "at most {max_length} were expected, and there are {actual_length}",
    "greater_than": "a number greater than {gt} was expected",
    "greater_than_equal": "{ge} or more was expected",
    "less_than": "a number less than {lt} was expected",
    "less_than_equal": "{le} or less was expected",
    "literal_error": "{expected} was expected",
    "model_type": "'key: value' lines were expected",
    "model_attributes_type": "'key: value' lines were expected",
}

#: Ways out of what is no YAML, by words of its fault; the first that fits, and of all others.
_WAYS = {
    "\\t": "Indent lines by blanks, not by tabs.",
    "escape": "Write a path of Windows without quotation marks, or with / in place of \\.",
    "alias": "Put what begins with * or & in quotation marks, e.g. '*.png'.",
    "cannot start any token": "Put what begins with such a character in quotation marks.",
    "<block end>": "Begin the lines of one level in the same column.",
    "mapping values": "Put a value that holds a colon in quotation marks.",
    "expected ','": "Close each bracket, and put a comma between two values in it.",
    "end of stream": "Close each quotation mark.",
    "expected ':'": "Write 'key: value', with a colon and a blank between the two.",
}
_WAY = "Write 'key: value' lines; `phenoscape samples` writes an example to start from."


class Option(BaseModel):
    """Base of every option: frozen, bounded by its types, printed as YAML.

    A variant of a room is a subclass with a ``kind: Literal[...]`` tag; the room offers all of its
    variants by `Variants` at the foot of its file. Bounds and a one-sentence description are in
    ``Field(...)``; forms, the command line and the documentation are made from them.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _name_the_legal_keys(cls, given: Any) -> Any:
        if isinstance(given, dict):
            for key in given:
                if key not in cls.model_fields:
                    raise ValueError(
                        f"unknown key '{key}' in {cls.__name__}. "
                        f"{did_you_mean(key, cls.model_fields)}"
                        f"Legal keys: {', '.join(cls.model_fields)}."
                    )
        return given

    @classmethod
    def parse(cls, given: Any, where: str = "") -> Self:
        """The option that plain values (of a form, a YAML file, ...) describe.

        Parameters
        ----------
        given
            Nested dictionaries, lists and scalars.
        where
            Named in the error, e.g. the file that ``given`` comes from.

        Raises
        ------
        OptionError
            The first value that is not allowed, where it stands, and what is.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            errors = error.errors()
            # of alternatives the one that got furthest is meant, e.g. a list instead of a preset
            alike = [one for one in errors if one["loc"][:1] == errors[0]["loc"][:1]]
            first = max(alike, key=lambda one: len(one["loc"]))
            # of a union, pydantic names the member too: literal['a','b']
            place = ".".join(str(part) for part in first["loc"] if "[" not in str(part))
            prefix = " ".join(part for part in (where, place) if part)
            message = first["msg"].removeprefix("Value error, ")
            if first["type"] in EXPECTED:
                message = EXPECTED[first["type"]].format(**first.get("ctx", {}))
            value = first.get("input")
            shown = f" (given: {value!r})" if isinstance(value, str | int | float | bool) else ""
            raise OptionError(
                f"{prefix + ': ' if prefix else ''}{message}{shown}", first["loc"]
            ) from None

    @classmethod
    def from_yaml(cls, text: str, where: str = "") -> Self:
        """The option that a YAML document prints; keys that are left out have their defaults."""
        try:
            given = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise OptionError(
                f"{where or 'this text'} is not YAML: {_fault(error, text)}"
            ) from None
        except (RecursionError, ValueError) as error:  # of brackets without end, or digits
            raise OptionError(
                f"{where or 'this text'} cannot be read as YAML ({error}); lines 'key: value' with "
                "short values were expected. Correct it."
            ) from None
        if not isinstance(given, dict):
            raise OptionError(
                f"{where or 'this text'} holds {type(given).__name__}, not 'key: value' lines; "
                "`phenoscape samples` writes an example to start from."
            )
        return cls.parse(given, where)

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """The option in a YAML file; its relative paths start at the file's folder."""
        path = here(Path(path))
        try:
            text = path.read_text("utf-8")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            what = "is a folder, and a YAML file was expected" if path.is_dir() else "is not there"
            meant = "" if path.is_dir() else did_you_mean_file(path)
            raise MissingFileError(
                f"'{path}' {what}. {meant}Name an experiment.yaml: 'Save…' of the Train dock "
                "writes one, and `phenoscape samples` some examples."
            ) from None
        except OSError as error:
            raise OptionError(
                f"'{path}' cannot be read ({error.strerror}). Correct its path or its permissions."
            ) from None
        except UnicodeDecodeError:
            raise OptionError(f"'{path}' is not a UTF-8 text; a YAML file was expected.") from None
        return cls.from_yaml(text, f"'{path.name}'").anchored(path.absolute().parent)

    def anchored(self, folder: Path) -> Self:
        """This option with every path in it made absolute.

        A relative one starts at ``folder``, ``~`` is the home of the user, ``$NAME`` a variable of
        the system. A path of Windows stays what it is elsewhere.
        """

        def absolute(path: Path) -> Path:
            # Path.expanduser raises where there is no such user
            full = os.path.expanduser(os.path.expandvars(path))  # noqa: PTH111
            if "\0" in full:
                raise OptionError(f"the path {full!r} holds a character that no path has; name it.")
            return Path(full if PureWindowsPath(full).drive else os.path.normpath(folder / full))

        return self.with_paths(absolute)

    def with_paths(self, change: Callable[[Path], Path]) -> Self:
        """This option with every path in it changed."""
        return type(self).model_validate(_with_paths(self, change))

    def to_yaml(self) -> str:
        """All of the option, defaults too, as a YAML document that `from_yaml` reads back."""
        return yaml.safe_dump(
            self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100
        )


class Variants:
    """The options that a value may be, told apart by their ``kind``.

    It stands in an annotation beside the base of all of them, with its own method of each::

        AnyLoss = Annotated[Loss, Variants(NTXent, CrossModal, group="losses")]

    A value is an option; or the keys of one, its kind among them; or the kind alone, which then has
    its defaults.

    Parameters
    ----------
    ours
        In the order in which forms and documents list them.
    group
        Of the entry points by which other packages add to them, each named as its kind. These are
        loaded when the variants are listed, or a kind is asked for that is none of ours. None:
        nobody adds to them.
    """

    def __init__(self, *ours: type[Option], group: Group | None = None) -> None:
        self.ours = {_kind(option): option for option in ours}
        self.group = group
        self.base: type[Any] = next(
            c for c in ours[0].__mro__ if all(issubclass(o, c) for o in ours)
        )

    def offered(self) -> dict[str, type[Option]]:
        """Ours, then those of other packages, by kind."""
        others = extensions(self.group, self._check) if self.group else {}
        return {**self.ours, **others}

    def _check(self, name: str, found: Any) -> None:
        if not (isinstance(found, type) and issubclass(found, self.base)):
            raise TypeError(f"it is no subclass of {self.base.__name__}")
        kind = _kind(found)
        if kind != name:
            raise ValueError(f"its kind is {kind!r}, and its entry point is named otherwise")
        if kind in self.ours:
            raise ValueError("there is a kind of this name already")

    def _validated(self, given: Any) -> Any:
        if isinstance(given, self.base):
            return given
        keys = {"kind": given} if isinstance(given, str) else given
        if not isinstance(keys, Mapping):
            raise PydanticKnownError("model_type", {"class_name": self.base.__name__})
        kind = str(keys.get("kind", ""))
        option = self.ours.get(kind) or self.offered().get(kind)
        if option is None:
            fact = (
                f"the kind '{kind}' is unknown"
                if kind
                else "its 'kind' is missing, which says what it is"
            )
            kinds = ", ".join(f"'{each}'" for each in self.offered())
            meant = did_you_mean(kind, self.offered()) or (kind and INSTALL)
            words = f"{fact}; one of {kinds} was expected. {meant}".rstrip()
            raise PydanticCustomError("kind", "{words}", {"words": words})
        return option.model_validate(keys)

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        # what it prints is what the class of the value prints
        return core_schema.no_info_plain_validator_function(self._validated)

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        members = self.offered().values()
        return {"oneOf": [handler(option.__pydantic_core_schema__) for option in members]}


def variants_of(annotation: Any) -> tuple[type[Option], ...]:
    """The options that a type offers, other packages' too; e.g. all losses of ``tuple[AnyLoss]``.

    Of the field of an option, give ``field.rebuild_annotation()``.
    """
    if isinstance(annotation, type) and issubclass(annotation, Option):
        return (annotation,)
    arguments = get_args(annotation)
    for argument in arguments:
        if isinstance(argument, Variants):
            return tuple(argument.offered().values())
    return tuple(option for argument in arguments for option in variants_of(argument))


def _kind(option: type[Option]) -> str:
    return str(option.model_fields["kind"].default)


def _fault(error: yaml.YAMLError, text: str) -> str:
    """The line that is no YAML, what is wrong with it, and the way out."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"{' '.join(str(error).split())}. {_WAY}"
    begun = error.context_mark if (error.context or "").startswith("while scanning") else None
    line = (begun or error.problem_mark).line
    shown = "".join(text.splitlines()[line : line + 1]).strip()
    way = next(
        (way for words, way in _WAYS.items() if words in f"{error.context} {error.problem}"), _WAY
    )
    return f"line {line + 1}{f' ({shown})' if shown else ''}, {error.problem}. {way}"


def _with_paths(value: Any, change: Callable[[Path], Path]) -> Any:
    if isinstance(value, Path):
        return change(value)
    if isinstance(value, Option):
        return {n: _with_paths(getattr(value, n), change) for n in type(value).model_fields}
    if isinstance(value, tuple):
        return tuple(_with_paths(item, change) for item in value)
    return value
