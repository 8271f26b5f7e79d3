"""mspec: the list in which micaToolbox names the photographs of one specimen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from napari_phenoscape._brought import bring
from napari_phenoscape._remote import list_beside, located
from napari_phenoscape.errors import CubeError, MissingFileError, did_you_mean_file

#: How such a list begins, and what its photographs are called there and here.
_FIRST, _PARTS = "mspec calibrated image", {"visible": "vis", "ir": "nir"}


@dataclass(frozen=True)
class Mspec:
    """What a list says that holds for other programs, too.

    Parameters
    ----------
    paths
        The photographs, which lie beside it; the others are to be laid on the first.
    parts
        What each shows: ``vis``, ``uv``.
    standards
        Reflectances of the grey standards, 0-1. Where they lie is not said.
    is_raw
        Whether the photographs are camera raw, whose numbers are linear.
    """

    paths: tuple[Path, ...]
    parts: tuple[str, ...]
    standards: tuple[float, ...]
    is_raw: bool


def read_mspec(path: Path) -> Mspec:
    """Read a list of micaToolbox 2 (``files=``, ``labels=``, ``refVals=``).

    Raises
    ------
    MissingFileError
        It, or a photograph that it names, is not there.
    CubeError
        It is no such list, or does not say which photograph shows what.
    """
    path = located(path)
    bring(path)
    if not path.is_file():
        raise MissingFileError(
            f"There is no file '{path}'. {did_you_mean_file(path)}Correct its path."
        )
    first, *lines = path.read_text("utf-8-sig", errors="replace").splitlines() or [""]
    said = dict(line.strip().split("=", 1) for line in lines if "=" in line)
    if first.strip() != _FIRST or not {"files", "labels"} <= said.keys():
        raise CubeError(
            f"'{path.name}' is no list of micaToolbox 2, which begins with '{_FIRST}' and has the "
            "lines 'files=' and 'labels='. Join the photographs themselves by naming them."
        )
    names = [name.strip() for name in said["files"].split(",") if name.strip()]
    shown = dict.fromkeys(label.partition(":")[0].strip() for label in said["labels"].split(","))
    parts = tuple(_PARTS.get(part.lower(), part.lower()) for part in shown)
    if len(names) != len(parts) or len(set(parts)) != len(parts):
        raise CubeError(
            f"'{path.name}' names {len(names)} photographs ({', '.join(names)}) and labels of "
            f"{len(parts)} ({', '.join(parts)}); one of each was expected. Join those that show "
            "the specimen by naming them, with --parts."
        )
    alike = {PureWindowsPath(name).name.lower() for name in names}
    list_beside(path, lambda name: name.lower() in alike)
    paths = tuple(_beside(path, name) for name in names)
    if missing := [one.name for one in paths if not one.is_file()]:
        raise MissingFileError(
            f"'{path.name}' names {', '.join(map(repr, missing))}, and no such file lies beside "
            f"it in '{path.parent}'. Put the photographs there, or join them by naming them."
        )
    standards = {
        float(value.partition(":")[0]) / 100
        for of_channel in said.get("refVals", "").split(",")
        for value in of_channel.split("_")
        if _is_number(value.partition(":")[0])
    }
    kind = said.get("imageType", "RAW Photo").strip()
    return Mspec(paths, parts, tuple(sorted(standards - {0.0})), kind == "RAW Photo")


def _beside(path: Path, name: str) -> Path:
    """A photograph in the folder of a list, by its name there; systems differ in capitals."""
    name = PureWindowsPath(name).name
    alike = [one for one in path.parent.iterdir() if one.name.lower() == name.lower()]
    exact = path.parent / name
    return alike[0] if len(alike) == 1 and not exact.is_file() else exact


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
