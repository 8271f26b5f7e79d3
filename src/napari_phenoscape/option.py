"""Option: the frozen, typed, self-describing object that every choice of the user is."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from napari_phenoscape.errors import MissingFileError, OptionError

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
    "tuple_type": "a list was expected",
    "too_short": "at least {min_length} was expected, and there are {actual_length}",
    "too_long": "at most {max_length} were expected, and there are {actual_length}",
    "greater_than": "a number greater than {gt} was expected",
    "greater_than_equal": "{ge} or more was expected",
    "less_than": "a number less than {lt} was expected",
    "less_than_equal": "{le} or less was expected",
    "literal_error": "{expected} was expected",
    "model_type": "'key: value' lines were expected",
    "model_attributes_type": "'key: value' lines were expected",
    "union_tag_not_found": "its 'kind' is missing, which says what it is",
    "union_tag_invalid": "the kind '{tag}' is unknown; one of {expected_tags} was expected",
}


class Option(BaseModel):
    """Base of every option: frozen, bounded by its types, printed as YAML.

    A variant of a room is a subclass with a ``kind: Literal[...]`` tag; the room offers all of its
    variants in one union at the foot of its file. Bounds and a one-sentence description are in
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
                    near = difflib.get_close_matches(str(key), cls.model_fields, n=1)
                    hint = f" Did you mean '{near[0]}'?" if near else ""
                    raise ValueError(
                        f"unknown key '{key}' in {cls.__name__}.{hint} "
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
            first = error.errors()[0]
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
            detail = " ".join(str(error).split())
            raise OptionError(f"{where or 'this text'} is not YAML: {detail}") from None
        if not isinstance(given, dict):
            raise OptionError(
                f"{where or 'this text'} holds {type(given).__name__}, not 'key: value' lines; "
                "`phenoscape samples` writes an example to start from."
            )
        return cls.parse(given, where)

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """The option in a YAML file; its relative paths start at the file's folder."""
        path = Path(path)
        try:
            text = path.read_text("utf-8")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            what = "is a folder, and a YAML file was expected" if path.is_dir() else "is not there"
            raise MissingFileError(
                f"'{path}' {what}. Name an experiment.yaml: 'Save…' of the Train dock writes one, "
                "and `phenoscape samples` some examples."
            ) from None
        except UnicodeDecodeError:
            raise OptionError(f"'{path}' is not a UTF-8 text; a YAML file was expected.") from None
        return cls.from_yaml(text, f"'{path.name}'").anchored(path.absolute().parent)

    def anchored(self, folder: Path) -> Self:
        """This option with every relative path in it made absolute, starting at ``folder``."""
        return type(self).model_validate(_anchored(self, folder))

    def to_yaml(self) -> str:
        """All of the option, defaults too, as a YAML document that `from_yaml` reads back."""
        return yaml.safe_dump(
            self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100
        )


def _anchored(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return Path(os.path.normpath(folder / value))
    if isinstance(value, Option):
        return {name: _anchored(getattr(value, name), folder) for name in type(value).model_fields}
    if isinstance(value, tuple):
        return tuple(_anchored(item, folder) for item in value)
    return value
