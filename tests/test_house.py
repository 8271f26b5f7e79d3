"""The house stands: who may import whom, and every list that says the same thing agrees."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import npe2
import pytest
import typer
import yaml

import napari_phenoscape
from napari_phenoscape.experiment import Experiment
from napari_phenoscape.option import Option

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_phenoscape"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

#: Lowest first. A module may import from its own floor (in no circle) and from those below.
FLOORS = (
    {"errors", "option", "cube", "events", "atomic"},
    {
        "io", "spectral", "derived", "processing", "vision", "augmentations", "encoders",
        "losses", "ranks", "optimizers", "reduction", "clustering",
    },
    {"collection", "store", "experiment", "model"},
    {
        "run", "checkpoint", "runtime", "launch", "slurm", "training", "preview", "embedding",
        "export", "evaluation", "figures", "report", "layers", "samples", "convert", "spectra",
        "picture", "explanation", "classification", "retrieval",
    },
    {"cli", "demo", "widgets"},
)
GUI = {"napari", "qtpy", "PyQt6", "PyQt5", "PySide6", "magicgui", "superqt", "pyqtgraph", "vispy"}
HEAVY = {"torch", "torchvision", "kornia", "sklearn", "umap", "lightning_fabric"}


def _room(module: str) -> str:
    """The room of e.g. ``napari_phenoscape.io.envi``: ``io``; of the package itself: nothing."""
    return module.partition(".")[2].partition(".")[0]


def _modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = _modules()


def _is_type_checking(node: ast.If) -> bool:
    return ast.unparse(node.test) == "TYPE_CHECKING"


def _imports(module: str, *, only_when_run: bool = False) -> Iterator[str]:
    """Modules that a module imports, anywhere in it, or but for ``if TYPE_CHECKING``."""
    waiting: list[ast.AST] = [ast.parse(MODULES[module].read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively, line {node.lineno}"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else str(node.module)
        elif only_when_run and isinstance(node, ast.If) and _is_type_checking(node):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def _floor(room: str) -> int:
    return next(floor for floor, rooms in enumerate(FLOORS) if room in rooms)


def test_every_room_has_a_floor():
    assert {_room(module) for module in MODULES} - {""} == set().union(*FLOORS)


@pytest.mark.parametrize("module", [m for m in MODULES if _room(m)])
def test_imports_point_down(module):
    mine = _floor(_room(module))
    above = {
        other
        for other in _imports(module)
        if other.startswith("napari_phenoscape.") and _floor(_room(other)) > mine
    }
    assert not above


def test_rooms_import_each_other_in_no_circle():
    graph: dict[str, set[str]] = {_room(module): set() for module in MODULES if _room(module)}
    for module in MODULES:
        if _room(module):
            others = _imports(module, only_when_run=True)
            graph[_room(module)] |= {_room(o) for o in others if o in MODULES} - {_room(module)}
    assert set(TopologicalSorter(graph).static_order()) == set(graph)


def test_only_widgets_know_the_window():
    outside = {
        module: sorted({other.partition(".")[0] for other in _imports(module)} & GUI)
        for module in MODULES
        if _room(module) != "widgets"
    }
    # the reader hook tells napari what is wrong with a file through napari's own notification
    assert {module: names for module, names in outside.items() if names} == {
        "napari_phenoscape.layers.cubes": ["napari"]
    }
    assert "napari.utils.notifications" in set(_imports("napari_phenoscape.layers.cubes"))


def test_nothing_imports_widgets():
    guests = {
        module
        for module in MODULES
        if _room(module) != "widgets"
        and any(_room(other) == "widgets" for other in _imports(module) if other in MODULES)
    }
    assert not guests


def test_every_library_that_is_imported_is_required():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    required = [*project["dependencies"], *(line for extra in extras for line in extra)]
    names = {_canonical(re.split(r"[\[<>=]", line)[0]) for line in required}
    given_by = packages_distributions()
    imported = {other.partition(".")[0] for module in MODULES for other in _imports(module)}
    stray = {
        library
        for library in imported - set(sys.stdlib_module_names)
        if not {_canonical(name) for name in given_by.get(library, [library])} & names
    }
    assert stray <= {"triton", "pydantic_core"}  # torch and pydantic bring their own


def _canonical(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


@pytest.mark.parametrize("module", ["", ".io", ".collection", ".experiment", ".layers"])
def test_import_brings_neither_torch_nor_a_window(module):
    code = f"import sys, napari_phenoscape{module}; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    loaded = {name.partition(".")[0] for name in process.stdout.split()}
    assert "napari_phenoscape" in loaded
    assert not loaded & (GUI | HEAVY)


def test_verbs_of_the_package_are_those_its_types_promise():
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    promised = {
        alias.asname: node.module
        for branch in tree.body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    given = {name: getattr(napari_phenoscape, name).__module__ for name in promised}
    assert {name: _room(module) for name, module in given.items()} == {
        name: _room(module) for name, module in promised.items()
    }
    assert set(promised) <= set(dir(napari_phenoscape))


@pytest.fixture(scope="module")
def configuration() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "make_configuration", ROOT / "docs" / "make_configuration.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def options(configuration) -> list[type[Option]]:
    """Every option of the package that a file can hold; a form of a dock may group some of them."""
    for info in pkgutil.walk_packages([str(PACKAGE)], "napari_phenoscape."):
        if _room(info.name) != "widgets":
            importlib.import_module(info.name)

    def leaves(option: type[Option]) -> Iterator[type[Option]]:
        below = option.__subclasses__()
        if not below:
            yield option
        for other in below:
            yield from leaves(other)

    return [
        option
        for option in leaves(Option)
        if option.__module__ in MODULES
        and _room(option.__module__) != "widgets"
        and not option.__name__.startswith("_")
    ]


def test_every_option_can_be_reached(options, configuration):
    offered = {o for root in configuration.ROOTS.values() for o in configuration.reachable(root)}
    assert {o.__name__ for o in options} - {o.__name__ for o in offered} == set()


def test_every_option_and_key_says_what_it_is(options, configuration):
    silent = [o.__name__ for o in options if not o.__dict__.get("__doc__")]
    silent += [
        f"{option.__name__}.{key}"
        for option in options
        for key, field in option.model_fields.items()
        # `kind` is the class; a key that holds an option is described by that option
        if key != "kind"
        and not field.description
        and not list(configuration.options_in(field.annotation))
    ]
    assert not silent


def test_configuration_page_is_up_to_date(configuration):
    written = configuration.PAGE.read_text("utf-8")
    assert written == configuration.page(), "run: python docs/make_configuration.py"


@pytest.fixture(scope="module")
def manifest() -> npe2.PluginManifest:
    return npe2.PluginManifest.from_file(PACKAGE / "napari.yaml")


@pytest.fixture(scope="module")
def verbs() -> dict[str, click.Command]:
    cli = importlib.import_module("napari_phenoscape.cli")
    group = typer.main.get_command(cli.app)
    return dict(group.commands)


def test_manifest_is_valid_and_its_names_exist(manifest):
    manifest.validate_imports()
    assert manifest.name == "napari-phenoscape"


def test_manifest_holds_nothing_that_npe2_drops(manifest):
    given = yaml.safe_load((PACKAGE / "napari.yaml").read_text("utf-8"))["contributions"]
    for kind, entries in given.items():
        kept = getattr(manifest.contributions, kind)
        assert len(kept) == len(entries), kind


def test_every_command_of_the_manifest_is_used_once(manifest):
    found = manifest.contributions
    used = [
        entry.command
        for entries in (found.readers, found.writers, found.widgets, found.sample_data)
        for entry in entries or ()
    ]
    used += [item.command for items in (found.menus or {}).values() for item in items]
    assert {command.id for command in found.commands} == set(used)


def _commands(verbs: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Every `phenoscape ...` line in the pages: its file, and its words."""
    for page in PAGES:
        text = page.read_text("utf-8")
        blocks = re.findall(r"^```(?:bash|sh|console|shell)\n(.*?)^```", text, re.M | re.S)
        lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
        lines += re.findall(r"`(phenoscape [^`]*)`", text)
        for line in lines:
            if line.startswith("phenoscape "):
                yield page.name, line.partition("#")[0].split()[1:]


def test_documents_speak_of_every_verb_and_of_no_other(verbs):
    spoken = {words[0] for _, words in _commands(verbs)} - {"--help", "--version"}
    assert spoken == set(verbs)


def test_documents_give_options_that_exist(verbs):
    unknown = [
        (page, *words)
        for page, words in _commands(verbs)
        if words[0] in verbs
        for word in words[1:]
        if word.startswith("--")
        and word.partition("=")[0] != "--help"
        and word.partition("=")[0]
        not in {o for p in verbs[words[0]].params for o in (*p.opts, *p.secondary_opts)}
    ]
    assert not unknown


def test_documents_speak_of_every_dock(manifest):
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    docks = [widget.display_name for widget in manifest.contributions.widgets]
    assert docks
    assert [name for name in docks if name not in text] == []


def test_documents_name_targets_of_make_that_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.M))
    assert {"demo", "test"} <= named <= targets


def test_documents_name_extras_that_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    named = {
        extra.strip()
        for extras in re.findall(r"napari-phenoscape\[([^\]]*)\]", text)
        for extra in extras.split(",")
    }
    assert "all" in named
    assert named <= set(project["optional-dependencies"])


def test_yaml_in_the_documents_is_what_a_file_may_hold():
    """Each block, with some folder of specimens where it names none."""
    number = 0
    for page in PAGES:
        blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
        for block in blocks:
            given = {"collection": {"kind": "folder", "path": "moths"}} | yaml.safe_load(block)
            Experiment.parse(given, f"{page.name}, block '{block[:40]}'")
            number += 1
    assert number > 10


def test_python_in_the_readme_runs(tmp_path):
    text = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert blocks
    process = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)], cwd=tmp_path, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a git clone, or no git: what belongs to the project cannot be told")
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    return [Path(name) for name in listed.split("\0") if name]


def test_top_level_holds_what_it_should(tracked):
    top = {path.parts[0] for path in tracked if not path.parts[0].startswith(".")}
    assert top == {
        "src", "tests", "docs", "napari.yaml", "pyproject.toml", "README.md", "LICENSE",
        "Makefile", "CHANGELOG.md",
    }  # fmt: skip


def test_no_file_is_over_a_megabyte(tracked):
    large = [p for p in tracked if (ROOT / p).exists() and (ROOT / p).stat().st_size > 2**20]
    assert not large


def test_manifest_at_the_top_is_the_one_in_the_package():
    assert (ROOT / "napari.yaml").resolve() == (PACKAGE / "napari.yaml").resolve()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_has_a_place_that_was_to_be_filled(page: Path) -> None:
    assert not re.findall(r"^[A-Z]+(?:_[A-Z]+)+$", page.read_text("utf-8"), re.MULTILINE)
