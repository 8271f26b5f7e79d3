"""The house stands: who may import whom, and every list that says the same thing agrees."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import re
import runpy
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

from napari_phenoscape.cubes import READERS
from napari_phenoscape.option import Option, variants_of
from napari_phenoscape.training import Experiment
from tests.fuzz import attempts as fuzzed

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_phenoscape"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

#: The stages of the data's way, in order; then what shows them. An import points to an earlier
#: folder, or to the words, which import each other only.
FOLDERS = (
    "cubes",
    "spectra",
    "specimens",
    "views",
    "nets",
    "losses",
    "training",
    "embeddings",
    "analysis",
    "samples",
    "layers",
    "cli",
    "widgets",
)
WORDS = {
    *("errors", "option", "events", "_atomic", "_device", "_distributed", "_extensions"),
    *("_ahead", "_brought", "_problem", "_remote", "_server", "_tables"),
}
DOORS = {"cli", "widgets"}
GUI = {"napari", "qtpy", "PyQt6", "PyQt5", "PySide6", "magicgui", "superqt", "pyqtgraph", "vispy"}
HEAVY = {"torch", "torchvision", "kornia", "sklearn", "umap", "lightning_fabric"}


def _folder(module: str) -> str:
    """The folder or word of e.g. ``napari_phenoscape.cubes._cube``: ``cubes``; of the top: ""."""
    return module.partition(".")[2].partition(".")[0]


def _modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = _modules()
CORE = [module for module in MODULES if _folder(module) not in {"", *DOORS}]


def _faces() -> dict[str, dict[str, str]]:
    """What each ``__init__.pyi`` makes public: name to the module that holds it."""
    faces = {}
    for stub in PACKAGE.rglob("__init__.pyi"):
        package = ".".join(stub.parent.relative_to(PACKAGE.parent).parts)
        faces[package] = {
            alias.asname or alias.name: f"{package}.{node.module}"
            for node in ast.parse(stub.read_text("utf-8")).body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
    return faces


FACES = _faces()


def _imports(module: str, *, only_when_run: bool = False) -> Iterator[str]:
    """What a module imports, anywhere in it, or but for ``if TYPE_CHECKING``; as written."""
    waiting: list[ast.AST] = [ast.parse(MODULES[module].read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively, line {node.lineno}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif only_when_run and isinstance(node, ast.If) and _is_type_checking(node):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def _is_type_checking(node: ast.If) -> bool:
    return ast.unparse(node.test) == "TYPE_CHECKING"


def _home(imported: str) -> str:
    """The module of ours that an import comes from, through the faces; "" of somebody else's."""
    if not imported.startswith("napari_phenoscape"):
        return ""
    if imported in MODULES:
        return imported
    package, _, name = imported.rpartition(".")
    if name in FACES.get(package, ()):
        return _home(f"{FACES[package][name]}.{name}")
    assert package in MODULES, f"{imported} is not in the face of any folder"
    return package


def test_every_module_has_a_place():
    at_the_top = {_folder(module) for module in MODULES} - {""}
    assert at_the_top == {*FOLDERS, *WORDS}


def test_the_top_level_can_be_held_in_the_head():
    public = {_folder(module) for module in MODULES if not _folder(module).startswith("_")} - {""}
    assert len(public) <= 16


def test_no_module_is_longer_than_400_lines():
    lines = {module: path.read_text("utf-8").count("\n") for module, path in MODULES.items()}
    assert {module: count for module, count in lines.items() if count > 400} == {}


@pytest.mark.parametrize("module", [m for m in MODULES if _folder(m)])
def test_imports_point_to_earlier_folders_and_through_their_faces(module):
    mine = _folder(module)
    for imported in _imports(module):
        home = _home(imported)
        other = _folder(home)
        if not home or other == mine or other in WORDS:
            continue
        assert mine not in WORDS, f"a word imports {imported}"
        if mine in DOORS and other in DOORS:
            raise AssertionError(f"one door opens the other: {imported}")
        if other:
            assert FOLDERS.index(other) < FOLDERS.index(mine), f"{imported} is later"
            assert not imported.removeprefix("napari_phenoscape.").partition(".")[2].count("._")
            assert imported.count(".") == 2, f"{imported} is private to '{other}'"


def test_modules_import_each_other_in_no_circle():
    graph = {
        module: {_home(imported) for imported in _imports(module)} - {"", module}
        for module in MODULES
    }
    assert set(TopologicalSorter(graph).static_order()) == set(graph)


def test_all_but_the_faces_and_the_words_is_private():
    stray = [
        module
        for module, path in MODULES.items()
        if path.name != "__init__.py"
        and not module.rpartition(".")[2].startswith("_")
        and _folder(module) not in WORDS
    ]
    assert not stray


def test_faces_hold_what_they_promise():
    for package in FACES:
        face = importlib.import_module(package)
        assert set(face.__all__) == set(FACES[package])
        for name in face.__all__:
            assert getattr(face, name) is not None


def test_only_widgets_know_the_window():
    outside = {
        module: sorted({other.partition(".")[0] for other in _imports(module)} & GUI)
        for module in MODULES
        if _folder(module) != "widgets"
    }
    # the reader hook tells napari what is wrong with a file through napari's own notification
    assert {module: names for module, names in outside.items() if names} == {
        "napari_phenoscape.layers._cubes": ["napari"]
    }
    assert "napari.utils.notifications.show_error" in set(
        _imports("napari_phenoscape.layers._cubes")
    )


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


def test_the_conda_package_asks_for_what_the_wheel_does():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    recipe = yaml.safe_load((ROOT / ".github" / "conda" / "recipe.yaml").read_text("utf-8"))
    called = {
        "torch": "pytorch",
        "lightning-fabric": "pytorch-lightning",  # which holds it
        "matplotlib": "matplotlib-base",  # without a window
    }
    wanted = {f"python {project['requires-python']}"}
    for line in project["dependencies"]:
        name, version = re.fullmatch(r"([\w-]+)(.*)", line).groups()
        wanted.add(f"{_canonical(called.get(name, name))} {version}")
    asked = [_canonical(line) for line in recipe["requirements"]["run"]]
    python_min = recipe["context"]["python_min"]
    assert {line.replace("${{ python-min }}", python_min) for line in asked} == wanted
    assert recipe["context"]["version"] == importlib.import_module("napari_phenoscape").__version__


def _canonical(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


@pytest.mark.parametrize(
    "module",
    [
        "",
        ".cubes._open",
        ".specimens.collection._collect",
        ".training._experiment",
        ".layers._cubes",
    ],
)
def test_import_brings_neither_torch_nor_a_window(module):
    code = f"import sys, napari_phenoscape{module}; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    loaded = {name.partition(".")[0] for name in process.stdout.split()}
    assert "napari_phenoscape" in loaded
    assert not loaded & (GUI | HEAVY)


def _script(name: str) -> ModuleType:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def configuration() -> ModuleType:
    return _script("make_configuration")


@pytest.fixture(scope="module")
def options(configuration) -> list[type[Option]]:
    """Every option of the package that a file can hold; a form of a dock may group some of them."""
    for info in pkgutil.walk_packages([str(PACKAGE)], "napari_phenoscape."):
        if _folder(info.name) != "widgets":
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
        and _folder(option.__module__) != "widgets"
        and not option.__name__.startswith("_")
    ]


def test_every_option_can_be_reached(options, configuration):
    offered = configuration.reachable(Experiment)
    assert {o.__name__ for o in options} - {o.__name__ for o in offered} == set()


def test_every_option_and_key_says_what_it_is(options):
    silent = [o.__name__ for o in options if not o.__dict__.get("__doc__")]
    silent += [
        f"{option.__name__}.{key}"
        for option in options
        for key, field in option.model_fields.items()
        # `kind` is the class; a key that holds an option is described by that option
        if key != "kind" and not field.description and not variants_of(field.rebuild_annotation())
    ]
    assert not silent


#: Operations that the one warp, the one crop and the mixed bands must find among all, whatever
#: else acts; and the sources whose specimens lie in one picture, and one in each.
FOUND_BY_CLASS = {
    "Drawer",
    "Folder",
    "RandomErasing",
    "RandomGaussianNoise",
    "RandomPerspective",
    "RandomResizedCrop",
    "RandomThinPlateSpline",
}


def test_variants_are_not_told_by_their_class(options):
    """Each does its own by a method, so that those of other packages do too."""
    variants = {option.__name__ for option in options if "kind" in option.model_fields}
    told = {
        (module, name.id)
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for tested in (
            [node.args[1]]
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass")
            else [node.cls]
            if isinstance(node, ast.MatchClass)
            else []
        )
        for name in ast.walk(tested)
        if isinstance(name, ast.Name) and name.id in variants
    }
    assert {(module, name) for module, name in told if name not in FOUND_BY_CLASS} == set()


def test_configuration_page_is_up_to_date(configuration):
    written = configuration.PAGE.read_text("utf-8")
    assert written == configuration.page(), "run: python docs/make_configuration.py"


def test_architecture_page_is_up_to_date():
    script = _script("make_architecture")
    assert script.PAGE.read_text("utf-8") == script.page(), "run: python docs/make_architecture.py"
    assert script.DRAWING.read_text("utf-8") == script.drawing()
    assert (*script.STAGES, *script.SHOWN) == FOLDERS


def test_command_line_page_is_up_to_date():
    script = _script("make_command_line")
    assert script.PAGE.read_text("utf-8") == script.page(), "run: python docs/make_command_line.py"


def test_python_page_has_every_public_name():
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    events = (ROOT / "docs" / "files.md").read_text("utf-8")
    named = set(re.findall(r"^::: napari_phenoscape\.(\w+)$", page, re.M))
    assert named | set(re.findall(r"\w+", re.findall(r"members: \[(.*)\]", events)[0])) == set(
        importlib.import_module("napari_phenoscape").__all__
    ) - {"__version__"}


def test_the_readme_of_a_release_has_whole_addresses():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    text = (ROOT / "README.md").read_text("utf-8")
    for change in project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"][
        "substitutions"
    ]:
        text = re.sub(change["pattern"], change["replacement"], text)
    links = re.findall(r"\]\(([^)]*)\)", text)
    assert len(links) > 10
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_every_page_has_a_place_on_the_site():
    site = tomllib.loads((ROOT / "docs" / "zensical.toml").read_text("utf-8"))
    placed = set(re.findall(r"[\w-]+\.md", str(site["project"]["nav"])))
    assert placed == {page.name for page in PAGES if page.parent.name == "docs"}


def test_the_site_asks_no_server_of_others():
    site = (ROOT / "docs" / "zensical.toml").read_text("utf-8")
    assert "font = false" in site
    assert "glightbox" not in site  # the theme fetches this and Mermaid where a page has them
    own = [*PAGES[1:], *(ROOT / "docs" / "theme").rglob("*.html"), *(ROOT / "docs").glob("*.js")]
    fetched = re.compile(
        r'```mermaid|!\[[^\]]*\]\(https?:|(?:src|component)="|\b(?:fetch|import)\("'
    )
    assert [path.name for path in own if fetched.search(_without_code(path))] == []


def _without_code(path: Path) -> str:
    return re.sub(r"^```(?!mermaid).*?^```", "", path.read_text("utf-8"), flags=re.M | re.S)


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


def _endings(text: str) -> set[str]:
    """``.bil`` and ``.zarr.zip``, wherever a text in backticks says so."""
    return {
        ending
        for quoted in re.findall(r"`([^`]*)`", text)
        for word in quoted.split()
        for ending in re.findall(r"^[A-Z*]*((?:\.[a-z0-9]+)+)$", word)
    }


def test_manifest_offers_the_files_of_every_reader_that_knows_a_cube_when_it_sees_one(manifest):
    offered = [p for entry in manifest.contributions.readers for p in entry.filename_patterns]
    known = [p for reader in READERS if reader.recognise for p in reader.patterns]
    assert sorted(offered) == sorted(known)


def test_documents_list_the_files_of_every_reader_and_no_others():
    page = (ROOT / "docs" / "formats.md").read_text("utf-8")
    table = page.partition("\n## ")[0]
    firsts = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    listed = set().union(*map(_endings, firsts))
    assert listed == {p.removeprefix("*") for reader in READERS for p in reader.patterns}


def test_every_reader_is_fuzzed():
    assert set(fuzzed.NAMES) == {reader.name for reader in READERS}
    assert set(fuzzed.seeds()) == set(fuzzed.NAMES)


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
    spoken = {words[0] for _, words in _commands(verbs)} - {
        "--help",
        "--version",
        "--install-completion",
    }
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


def test_every_figure_is_drawn_and_every_measurement_repeated_by_a_command():
    made = runpy.run_path(str(ROOT / "docs" / "make_figures.py"))["MADE"]
    commands = "\n".join(command for each in made.values() for command in each.commands)
    measuring = {path.name for path in (ROOT / "docs").glob("measure_*.py")}
    assert measuring <= set(re.findall(r"docs/(\w+\.py)", commands))
    scripts = "\n".join(path.read_text("utf-8") for path in (ROOT / "docs").glob("make_*.py"))
    for image in (ROOT / "docs" / "images").iterdir():
        name = image.stem.removeprefix("walk-").partition("augment-")[0]
        assert name in scripts, f"nothing draws {image.name}"


@pytest.mark.parametrize("name", ["batch-effects", "demo", "pretrained", "see-at-once"])
def test_a_page_shows_the_command_that_draws_its_figure(name):
    made = runpy.run_path(str(ROOT / "docs" / "make_figures.py"))["MADE"][name]
    page = (ROOT / "docs" / made.page).read_text("utf-8")
    assert all(re.sub(r" samples$", "", command) in page for command in made.commands)
    assert all(f"images/{figure}" in page for figure in made.figures.values())


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


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a git clone, or no git: what belongs to the project cannot be told")
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [Path(name) for name in listed.split("\0") if name]


def test_top_level_holds_what_it_should(tracked):
    top = {path.parts[0] for path in tracked if not path.parts[0].startswith(".")}
    assert top == {
        "src", "tests", "docs", "napari.yaml", "pyproject.toml", "README.md", "LICENSE",
        "Makefile", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md",
    }  # fmt: skip


def test_no_file_is_over_a_megabyte(tracked):
    large = [p for p in tracked if (ROOT / p).exists() and (ROOT / p).stat().st_size > 2**20]
    assert not large


def test_manifest_at_the_top_is_the_one_in_the_package():
    assert (ROOT / "napari.yaml").resolve() == (PACKAGE / "napari.yaml").resolve()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_has_a_place_that_was_to_be_filled(page: Path) -> None:
    assert not re.findall(r"^[A-Z]+(?:_[A-Z]+)+$", page.read_text("utf-8"), re.MULTILINE)
