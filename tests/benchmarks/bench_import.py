"""How long a command waits for ``import napari_phenoscape``: a Python without it, and with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable


def _python(code: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)


def cases() -> dict[str, Callable[[], object]]:
    return {
        "python": _python("pass"),
        "import napari_phenoscape": _python("import napari_phenoscape"),
        "import napari_phenoscape.io": _python("import napari_phenoscape.io"),
        "import napari_phenoscape.experiment": _python("import napari_phenoscape.experiment"),
    }
