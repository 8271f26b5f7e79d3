"""Another package adds one of each kind: that of docs/extending.md, and some that are broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text("utf-8")

#: What packages may get wrong, and what is said of it.
BROKEN = {
    "gone": ("moth_tools:Gone", "AttributeError"),
    "no_loss": ("moth_tools:hawkmoth", "it is no subclass of Loss"),
    "misnamed": ("moth_tools:Attraction", "its kind is 'attraction', and its entry point is named"),
    "nt_xent": ("napari_phenoscape.losses:NTXent", "there is a kind of this name already"),
    "attraction": ("moth_tools:Attraction", "another package adds one of this name"),
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the path in which the package is installed; its last block uses it."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "moth_tools.py").write_text("\n".join(blocks("python")[:-1]), "utf-8")
    project = tomllib.loads("\n".join(blocks("toml")))["project"]
    broken = {name: place for name, (place, _) in BROKEN.items()}
    install(folder, "moth-tools", project["entry-points"])
    install(folder, "worn-tools", {"napari_phenoscape.losses": broken})
    return folder


def install(folder: Path, package: str, groups: dict[str, dict[str, str]]) -> None:
    """Write what pip would write about a package."""
    metadata = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = []
    for group, points in groups.items():
        lines += [f"[{group}]", *(f"{name} = {place}" for name, place in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines))


def run(packages: Path, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(packages), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_page_adds_one_of_each_kind() -> None:
    from typing import get_args

    from napari_phenoscape._extensions import Group

    for group in get_args(Group):
        assert f'[project.entry-points."napari_phenoscape.{group}"]' in PAGE


def test_what_is_added_is_used_as_the_page_says(packages: Path, tmp_path: Path) -> None:
    done = run(packages, blocks("python")[-1], tmp_path)
    assert "kind='attraction' weight=0.1" in done.stdout


def test_an_experiment_of_ours_alone_asks_for_nothing_of_others(
    packages: Path, tmp_path: Path
) -> None:
    code = """
from importlib import metadata
asked = []
metadata.entry_points = lambda **of: asked.append(of["group"]) or ()
from napari_phenoscape import Experiment
given = {"collection": {"kind": "folder", "path": "x"}, "losses": ["nt_xent"]}
experiment = Experiment.parse(given)
assert Experiment.from_yaml(experiment.to_yaml()) == experiment
assert not [group for group in asked if "phenoscape" in group]
"""
    run(packages, code, tmp_path)


def test_an_unknown_kind_names_those_of_others_too_and_a_broken_one_is_left_out(
    packages: Path, tmp_path: Path
) -> None:
    code = """
from napari_phenoscape import Experiment
for _ in range(2):
    try:
        Experiment.parse({"collection": {"kind": "folder", "path": "x"}, "losses": ["atraction"]})
    except ValueError as error:
        print(error)
"""
    done = run(packages, code, tmp_path)
    assert done.stdout.splitlines()[0] == done.stdout.splitlines()[1]
    assert "'local_patches', 'attraction' was expected. Did you mean 'attraction'?" in done.stdout
    for name, (place, reason) in BROKEN.items():
        warned = f"'{name}' ({place}), which "
        assert done.stderr.count(warned) == 1  # once, however often it is asked for
        assert reason in done.stderr.partition(warned)[2].partition("is left out")[0]
    assert done.stderr.count("ExtensionWarning") == len(BROKEN)


def test_others_are_trained_clustered_and_mapped_with_from_yaml_and_command_line(
    packages: Path, tmp_path: Path
) -> None:
    code = """
import sys
from pathlib import Path
import yaml
from napari_phenoscape.cli._console import app
from napari_phenoscape.embeddings import read_clusters
from napari_phenoscape.events import Step, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.training import last_checkpoint, read_events, read_experiment
from safetensors import safe_open

folder = result(write_samples("samples", specimens=24, size=32, drawer=False))
given = yaml.safe_load((folder / "rgb-uv.yaml").read_text()) | {
    "augmentations": [{"kind": "RandomGamma"}, {"kind": "RandomHorizontalFlip"}],
    "encoder": {"stem": {"kind": "first_bands", "planes": 2}},
    "losses": [{"kind": "nt_xent"}, {"kind": "attraction", "weight": 0.5}],
    "schedule": {"steps": 2, "batch_size": 8},
    "image_size": 32,
    "runtime": {"device": "cpu"},
}
(folder / "e.yaml").write_text(yaml.safe_dump(given))
def phenoscape(*words):
    assert app([str(word) for word in words], standalone_mode=False) in (None, 0)
phenoscape("train", folder / "e.yaml")
run, = (path.parent for path in Path(folder / given["runs"]).resolve().glob("2*/experiment.yaml"))
steps = [event for event in read_events(run) if isinstance(event, Step)]
assert set(steps[-1].terms) == {"nt_xent", "attraction"}, steps
assert read_experiment(run).encoder.stem.planes == 2
with safe_open(last_checkpoint(run) / "weights.safetensors", "pt") as weights:
    first = next(k for k in weights.keys() if k.endswith("conv1.weight"))
    assert weights.get_tensor(first).shape[1] == 2
phenoscape("embed", run)
phenoscape("cluster", run, "--set", "grouping.method={kind: agglomerative, clusters: 3}",
           "--set", "grouping.map=classical_mds")
clusters, = (run / "clusters").glob("*.parquet")
assert read_clusters(clusters).method.kind == "agglomerative"
assert set(read_clusters(clusters).labels) == {1, 2, 3}
assert read_experiment(run).grouping.map.kind == "classical_mds"
"""
    run(packages, code, tmp_path)


def test_the_eye_of_another_package_is_a_modality_and_catches(
    packages: Path, tmp_path: Path
) -> None:
    code = """
from napari_phenoscape.cubes import as_modality
from napari_phenoscape.spectra import read_eye
assert as_modality("hawkmoth").eyes == {"hawkmoth": "hawkmoth"}
assert max(abs(read_eye("hawkmoth").peaks_nm - [525, 440, 350])) <= 2
try:
    as_modality("hawk")
except ValueError as error:
    assert "honeybee, hawkmoth" in str(error)
"""
    run(packages, code, tmp_path)


def test_a_file_of_a_format_that_is_added_opens(packages: Path, tmp_path: Path) -> None:
    numbers = np.arange(24, dtype="<f4").tobytes()
    (tmp_path / "scan.flat").write_bytes(b"FLAT 2 3 4\n" + numbers)
    code = """
from napari_phenoscape.cubes import open_cube
cube = open_cube("scan.flat")
assert cube.shape == (2, 3, 4), cube.shape
assert float(cube.array[1, 2, 3]) == 23
"""
    run(packages, code, tmp_path)


def test_a_damaged_file_of_a_format_that_is_added_is_left_out_by_the_name_of_the_package(
    packages: Path, tmp_path: Path
) -> None:
    for name in ("one.flat", "two.flat"):
        (tmp_path / name).write_bytes(b"FLAT 2 3 4\n" + np.ones(24, "<f4").tobytes())
    (tmp_path / "short.flat").write_bytes(b"FLAT 2 3 4\n" + np.ones(5, "<f4").tobytes())
    code = """
from napari_phenoscape import Folder, collect, result
collection = result(collect(Folder(path=".")))
assert [specimen.id for specimen in collection.specimens] == ["one.flat", "two.flat"]
(left,) = collection.skipped
print(left)
"""
    said = run(packages, code, tmp_path).stdout
    assert "'short.flat' cannot be read by moth-tools (ValueError: mmap length is greater" in said


def test_what_goes_wrong_in_another_package_is_told_its_authors_and_not_us(
    packages: Path, tmp_path: Path
) -> None:
    code = """
import numpy as np
from moth_tools import Agglomerative
from napari_phenoscape.cli._report import unforeseen
def said(verb):
    try:
        verb()
    except ValueError as error:
        print(unforeseen(error))
said(lambda: Agglomerative(clusters=30).labels(np.eye(4), 0))
said(lambda: int("x"))
"""
    theirs, ours = run(packages, code, tmp_path).stdout.splitlines()
    assert theirs.startswith("moth-tools went wrong (ValueError: Cannot extract more clusters")
    assert "Tell its authors of it, with the report in '" in theirs
    assert "github.com/napari-phenoscape" not in theirs
    assert ours.startswith("phenoscape itself went wrong (ValueError: invalid literal")


@pytest.mark.gui
def test_the_docks_offer_what_is_added(packages: Path, tmp_path: Path) -> None:
    code = """
from qtpy.QtWidgets import QApplication
from napari_phenoscape.training import Experiment, Grouping
from napari_phenoscape.widgets import Form
app = QApplication([])
form = Form(Experiment)
def kinds(editor):
    return [option.model_fields["kind"].default for option in editor.classes]
assert kinds(form.editors["losses"])[-1] == "attraction"
assert kinds(form.editors["augmentations"].rows)[-1] == "RandomGamma"
assert kinds(form.editors["encoder"].editors["stem"])[-1] == "first_bands"
assert "hawkmoth" in form.editors["modalities"].boxes
grouping = Form(Grouping)
grouping.editors["method"].kind.set("agglomerative")
grouping.editors["map"].kind.set("classical_mds")
assert (grouping.value.method.clusters, grouping.value.map.kind) == (4, "classical_mds")
"""
    run(packages, code, tmp_path)
