"""Writes configuration.md, the reference of every option, from the options themselves."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

from napari_phenoscape.option import Option, variants_of
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import Experiment
from napari_phenoscape.views import PRESETS

PAGE = Path(__file__).with_name("configuration.md")

INTRODUCTION = """\
# Configuration

<!-- Written by make_configuration.py from the options themselves; edit those. -->

Everything that a run needs stands in one file, `experiment.yaml`. The docks save and load it, and
the command line runs it: `phenoscape train experiment.yaml`. Every key that is not marked
*required* may be left out and has the default shown here; a key that does not exist is an error
that names those that do. Where there are several variants, `kind` chooses; the kind alone, as in
`stem: adapter`, is the variant with its defaults. Relative paths start at the folder of the file.

A file with every default, for a folder of specimens named `moths`:
"""


def reachable(option: type[Option]) -> list[type[Option]]:
    """An option, those that its fields offer, those that theirs offer, and so on."""
    found: list[type[Option]] = []
    waiting = [option]
    while waiting:
        option = waiting.pop(0)
        if option not in found:
            found.append(option)
            for field in option.model_fields.values():
                waiting += variants_of(field.rebuild_annotation())
    return found


def legal(schema: dict[str, Any]) -> str:
    """What a JSON schema allows, in words, e.g. ``integer, ≥ 1``."""
    if "$ref" in schema or schema.get("type") == "object":
        name = schema.get("title") or schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(legal(variant) for variant in schema[several])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "prefixItems" in schema:
        return "[" + ", ".join(legal(item) for item in schema["prefixItems"]) + "]"
    if "items" in schema:
        return "list of " + legal(schema["items"])
    if schema.get("type") == "null":
        return "nothing"
    words = "path" if schema.get("format") == "path" else schema.get("type", "anything")
    bounds = {
        "minimum": "≥",
        "exclusiveMinimum": ">",
        "maximum": "≤",
        "exclusiveMaximum": "<",
    }
    limits = [f"{sign} {schema[key]}" for key, sign in bounds.items() if key in schema]
    if "pattern" in schema:
        limits.append(f"matching `{schema['pattern']}`")
    return ", ".join([words, *limits])


def default(field: dict[str, Any], required: bool) -> str:
    """A default as YAML would have it on one line; the variant's kind stands for a whole option."""
    if required:
        return "*required*"
    value = field.get("default")
    if isinstance(value, dict):
        return f"`{value['kind']}`" if "kind" in value else "its defaults"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return ", ".join(f"`{item.get('kind', item)}`" for item in value)
    return "nothing" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def markdown(docstring: str) -> str:
    """A numpydoc docstring with its references and literals as Markdown has them."""
    text = re.sub(r"^References\n-+\n", "", docstring, flags=re.M)
    text = re.sub(r"^\.\. (\[\d+\]) (.*(?:\n   .*)*)", r"\n\1 \2", text, flags=re.M)
    return re.sub(r"(\[\d+\])_", r"\1", text).replace("``", "`")


def section(option: type[Option]) -> str:
    """One option: what it is, and a table of its fields."""
    schema = option.model_json_schema()
    lines = [f"### {option.__name__}", "", markdown(inspect.getdoc(option) or ""), ""]
    invariance = getattr(option, "invariance", None)
    if invariance:
        lines += [f"*Teaches:* {invariance}", ""]
    fields = schema.get("properties", {})
    if fields:
        lines += ["| key | value | default | what |", "|---|---|---|---|"]
    for key, field in fields.items():
        cells = (
            f"`{key}`",
            legal(field),
            default(field, key in schema.get("required", ())),
            "chooses this variant" if key == "kind" else field.get("description", "see there"),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


def presets() -> str:
    """The augmentation presets and what each is made of."""
    lines = ["### Presets of augmentations", "", "| preset | operations |", "|---|---|"]
    for name, operations in PRESETS.items():
        shown = ", ".join(f"[{type(o).__name__}](#{type(o).__name__.lower()})" for o in operations)
        lines.append(f"| `{name}` | {shown or 'none'} |")
    return "\n".join([*lines, ""])


def page() -> str:
    """The whole page, Markdown."""
    example = Experiment(collection=Folder(path=Path("moths"))).to_yaml()
    parts = [INTRODUCTION, f"```yaml\n{example}```\n"]
    parts += ["## The keys\n", *(section(option) for option in reachable(Experiment))]
    return "\n".join([*parts, presets()])


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
