"""Problem: what is told of an error, so that others can mend it, without what is personal."""

from __future__ import annotations

import getpass
import platform
import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

#: What an error may come from.
_LIBRARIES = (
    "napari-phenoscape", "napari", "npe2", "PyQt6", "PySide6", "numpy", "torch", "torchvision",
    "kornia", "tifffile",
    "pillow", "h5py", "zarr", "pandas", "pyarrow", "scikit-learn", "umap-learn",
    "lightning-fabric", "pydantic", "typer", "rich",
)  # fmt: skip

ISSUES = "https://github.com/napari-phenoscape/napari-phenoscape/issues"


def versions() -> list[str]:
    """Lines that say with which programs, on what machine."""
    lines = [
        f"Python {sys.version}".replace("\n", " "),
        platform.platform(),
    ]
    for library in _LIBRARIES:
        try:
            lines.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            lines.append(f"{library} is not installed")
    return lines


def device_words() -> str:
    """What there is to compute on; a library that nobody has loaded yet is not loaded for it."""
    torch = sys.modules.get("torch")
    if torch is None:
        return "torch is not loaded"
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, {torch.get_num_threads()} threads"
    return f"processor, {torch.get_num_threads()} threads"


def problem_report(
    what: str, *, experiment: str, events: Iterable[str], traceback: str, personal: bool = False
) -> str:
    """All that is known of an error, as text.

    Parameters
    ----------
    what
        The sentence that the user read.
    experiment
        As YAML, or why there is none.
    events
        The last ones, oldest first.
    personal
        Whether the home folder and the user's name stay in it.
    """
    parts = {
        "Device": device_words(),
        "Experiment": experiment,
        "Last events": "\n".join(events) or "none",
        "Traceback": traceback or "none: it was foreseen",
    }
    sections = [f"## {name}\n\n{text.strip()}" for name, text in parts.items()]
    text = "\n\n".join(["\n".join([what, "", *versions()]), *sections]) + "\n"
    return text if personal else impersonal(text)


def impersonal(text: str) -> str:
    """A text with ``~`` for the home folder, and USER for the user's name elsewhere."""
    home = str(Path.home())
    for folder in {home, home.replace("\\", "/"), home.replace("\\", "\\\\")} - {"/"}:
        text = re.sub(re.escape(folder) + r"(?![\w.-])", "~", text)
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a system that knows none
        return text
    return re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", "USER", text)
