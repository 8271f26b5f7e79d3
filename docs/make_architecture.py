"""Writes architecture.md: the house, drawn from the folders, faces and imports of the code."""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE / "architecture.md"
DRAWING = HERE / "images" / "architecture.svg"
PACKAGE = HERE.parent / "src" / "napari_phenoscape"

#: The stages of the data's way, in order, and what each gives; then what shows them.
STAGES = {
    "cubes": "Cube",
    "spectra": "spectra, pictures, cubes",
    "specimens": "Collection, Crops",
    "views": "two views",
    "nets": "features",
    "losses": "a number",
    "training": "a run",
    "embeddings": "rows, map, clusters",
    "analysis": "why, how well",
}
SHOWN = ("samples", "layers", "cli", "widgets")
WORDS = ("errors", "option", "events")

INTRODUCTION = """\
# Architecture

<!-- Written by make_architecture.py from the code itself; edit that, or the code. -->

The folders of `src/napari_phenoscape` are the stages of the data's way, in this order. An import
points to an earlier folder, or to the words (`errors`, `option`, `events`), never to a later one,
and no module imports itself in a circle. Each folder has a face, `__init__.pyi`, which lists what
is public; all other modules begin with `_` and are private to the folder. A face loads what is
asked for when it is asked for: `import napari_phenoscape` brings neither torch nor Qt.
"""

HABITS = """\
## Who owns what

- **Which bands there are, and their nanometres**: `Bands`, in `cubes`. Which three are a picture,
  and how it is stretched: `rgb_bands` and `stretch`, in `spectra`.
- **What a file of a format says**: one `Reader` each, in the table `READERS` of `cubes`.
- **What can be chosen**: an `Option` with its own method (`KMeans.labels`, `Loss.value`). YAML, the
  command line, the forms and [the reference](configuration.md) are made from it.
  [Other packages add to them](extending.md).
- **Which specimens belong to embeddings**: their `source` and ids, never row numbers.
- **What the window shows**: one frozen `ClusteredRun` in the session of the docks.
- **Whether a file is whole**: everything is written beside its place and renamed (`_atomic`).

Long work is a generator of small frozen events ([`events`](training.md)): the command line prints
them, a notebook loops over them, a dock runs the generator in a thread. Closing it stops it, saved.

`tests/test_house.py` holds all of this; `tests/` mirrors the folders.
"""


def imports_of(folder: str) -> set[str]:
    """Folders that a folder imports, anywhere in its modules."""
    found = set()
    for path in (PACKAGE / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                parts = node.module.split(".")
                if parts[0] == "napari_phenoscape" and len(parts) > 1:
                    found.add(parts[1])
    return (found & {*STAGES, *SHOWN}) - {folder}


def arrows() -> dict[str, list[str]]:
    """What each folder imports, without what follows from the others."""
    direct = {folder: imports_of(folder) for folder in (*STAGES, *SHOWN)}

    def reached(folder: str) -> set[str]:
        return direct[folder].union(*(reached(other) for other in direct[folder]))

    return {
        folder: sorted(others - set().union(*(reached(other) for other in others)))
        for folder, others in direct.items()
    }


def drawing() -> str:
    """The folders and their imports, SVG: a row for each step away from the first, upwards."""
    others_of = arrows()
    place: dict[str, tuple[float, int]] = {}  # column, row
    while len(place) < len(others_of):
        row = 1 + max((y for _, y in place.values()), default=-1)
        wanted = {
            name: sum(place[one][0] for one in others) / max(1, len(others))
            for name, others in others_of.items()
            if name not in place and place.keys() >= {*others}
        }
        middle = sum(wanted.values()) / len(wanted)
        for i, name in enumerate(sorted(wanted, key=wanted.__getitem__)):
            place[name] = (middle + i - (len(wanted) - 1) / 2, row)
    left = min(x for x, _ in place.values())
    across, up, wide, high = 190, 74, 170, 46
    rows = 1 + max(y for _, y in place.values())
    width = round(across * (max(x for x, _ in place.values()) - left) + wide + 20)

    def centre(name: str) -> tuple[int, int]:
        x, y = place[name]
        return round(across * (x - left) + wide / 2 + 10), round(up * (rows - y) - high / 2)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {up * rows + 10}" '
        f'width="{width}" font-family="sans-serif" font-size="14" text-anchor="middle">',
        '<marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="#808080"/></marker>',
    ]
    for name, others in others_of.items():
        for other in others:
            (x0, y0), (x1, y1) = centre(name), centre(other)
            lines.append(
                f'<path d="M{x0} {y0 + high // 2} {x1} {y1 - high // 2}" stroke="#808080" '
                'stroke-width="1.5" marker-end="url(#head)"/>'
            )
    for name in others_of:
        x, y = centre(name)
        gives = STAGES.get(name, "")
        lines.append(
            f'<rect x="{x - wide // 2}" y="{y - high // 2}" width="{wide}" height="{high}" rx="6" '
            'fill="#eef2fa" stroke="#5470b0"/>'
        )
        lines.append(
            f'<text x="{x}" y="{y - 3 if gives else y + 5}" font-weight="bold">{name}</text>'
        )
        if gives:
            lines.append(f'<text x="{x}" y="{y + 15}" font-size="12">{gives}</text>')
    return "\n".join([*lines, "</svg>", ""])


def sentence(path: Path) -> str:
    """The first line of a module's docstring, without its leading word."""
    said = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n")[0]
    return said.partition(": ")[2] or said


def face(folder: str) -> list[str]:
    """What a folder makes public, in alphabetical order."""
    stub = PACKAGE / folder / "__init__.pyi"
    if not stub.exists():
        return []
    nodes = ast.parse(stub.read_text("utf-8")).body
    names = [a.asname or a.name for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names]
    return sorted(names, key=lambda name: (name.lower(), name))


def table() -> str:
    """A line for each folder and word: what it is, and its verbs and nouns."""
    lines = ["## The folders", "", "| folder | is | public, among others |", "|---|---|---|"]
    for folder in (*STAGES, *SHOWN):
        nouns = [name for name in face(folder) if name[0].isupper() and not name.isupper()]
        names = ", ".join(f"`{name}`" for name in nouns[:6])
        lines.append(f"| `{folder}` | {sentence(PACKAGE / folder / '__init__.py')} | {names} |")
    lines += [f"| `{word}.py` | {sentence(PACKAGE / f'{word}.py')} | |" for word in WORDS]
    return "\n".join([*lines, ""])


def page() -> str:
    """The whole page, Markdown."""
    picture = f"![The folders, each with an arrow to those it imports](images/{DRAWING.name})\n"
    return "\n".join([INTRODUCTION, picture, table(), HABITS])


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    DRAWING.write_text(drawing(), "utf-8")
