"""Words: settings as forms name them, instead of ``--set``."""

from __future__ import annotations

import json

from napari_phenoscape.widgets.form._fields import field_words


def setting_words(name: str) -> str:
    """``schedule.batch_size`` as a form has it: ``schedule › batch size``; places count from 1."""
    parts = [
        str(int(part) + 1) if part.isdigit() else field_words(part)
        for part in name.split(".")
        if part != "kind"
    ]
    return " › ".join(parts)


def value_words(value: str) -> str:
    """A value in JSON, or a word, as a form shows it: ``yes``, ``none``, ``rgb; uv``."""
    try:
        read = json.loads(value)
    except json.JSONDecodeError:
        return value
    match read:
        case True | False:
            return "yes" if read else "no"
        case None:
            return "none"
        case list():
            return "; ".join(map(str, read)) or "none"
    return value
