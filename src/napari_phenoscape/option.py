"""Option: the frozen, typed, self-describing object that every choice of the user is."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from napari_phenoscape.errors import MissingFileError, OptionError


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
            place = ".".join(str(part) for part in first["loc"])
            prefix = " ".join(part for part in (where, place) if part)
            message = first["msg"].removeprefix("Value error, ")
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
        except (FileNotFoundError, IsADirectoryError):
            raise MissingFileError(f"There is no YAML file at '{path}'.") from None
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
