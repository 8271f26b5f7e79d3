"""Report: what is kept of an error that nobody foresaw, in place of a traceback on the screen."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import traceback

from napari_phenoscape._extensions import author_of
from napari_phenoscape._problem import ISSUES, versions


def refused(error: OSError) -> str:
    """What the system does not allow, in a sentence."""
    named = f"'{os.fsdecode(error.filename)}'" if error.filename is not None else "a file"
    return (
        f"{named} cannot be read or written ({error.strerror or error}). Check that it is there, "
        "that you may read it or write there, and that the disk has room."
    )


def unforeseen(error: Exception) -> str:
    """A sentence that names the file in which all about an error is kept."""
    what = " ".join(f"{type(error).__name__}: {error}".split())
    author = author_of(error)
    sentence = f"{author or 'phenoscape itself'} went wrong ({what[:300]})."
    try:
        number, path = tempfile.mkstemp(prefix="phenoscape-report-", suffix=".txt")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(_report(error))
    except OSError:
        way = "tell its authors of it" if author else f"tell us of it: {ISSUES}"
        return f"{sentence} No report could be kept; {way}."
    if author:
        return f"{sentence} Tell its authors of it, with the report in '{path}'."
    return f"{sentence} Tell us of it, with the report in '{path}': {ISSUES}."


def _report(error: Exception) -> str:
    lines = [f"command: {shlex.join(sys.argv)}", *versions(), ""]
    return "\n".join([*lines, *traceback.format_exception(error)])
