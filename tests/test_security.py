"""What a stranger's files can and cannot do: the lines of docs/security.md."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_phenoscape import Experiment, embed, open_cube, result, train, write_samples
from napari_phenoscape.errors import CheckpointError, PhenoscapeError, RunError
from napari_phenoscape.nets import Encoder
from napari_phenoscape.training import read_experiment, write_batch_script

PAGE = Path(__file__).parents[1] / "docs" / "security.md"


class Harm:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """An instant run on drawn specimens."""
    folder = tmp_path_factory.mktemp("security") / "samples"
    given = Experiment.read(
        result(write_samples(folder, specimens=24, size=32, drawer=False)) / "rgb-uv.yaml"
    )
    return changed(given, method="instant", image_size=32)


def changed(experiment: Experiment, **fields: object) -> Experiment:
    return Experiment.model_validate(experiment.model_dump() | fields)


@pytest.fixture(scope="module")
def run(experiment: Experiment) -> Path:
    return result(train(experiment))


def test_yaml_that_asks_for_python_runs_none(tmp_path: Path) -> None:
    target = tmp_path / "harm"
    (tmp_path / "a.yaml").write_text(
        f"collection: !!python/object/apply:os.mkdir ['{target}']\n", "utf-8"
    )
    with pytest.raises(PhenoscapeError):
        Experiment.read(tmp_path / "a.yaml")
    assert not target.exists()


def test_weights_that_are_a_pickle_of_code_run_none(tmp_path: Path, experiment: Experiment) -> None:
    target = tmp_path / "harm"
    torch.save({"conv1.weight": Harm(target)}, tmp_path / "a.pth")
    encoder = Encoder(weights=tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        result(
            train(changed(experiment, method="simclr", encoder=encoder, schedule={"batch_size": 8}))
        )
    assert not target.exists()


def test_a_checkpoint_that_is_a_pickle_of_code_runs_none(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    target = tmp_path / "harm"
    (weights,) = copy.glob("checkpoints/*/weights.safetensors")
    torch.save({"a": Harm(target)}, weights)
    with pytest.raises(PhenoscapeError):
        result(embed(copy))
    assert not target.exists()


@pytest.mark.parametrize(
    "given",
    [{"runs": "runs\nmkdir harm #"}, {"time": "1:00\nmkdir harm"}, {"more": ["-p a\rb"]}],
    ids=str,
)
def test_a_line_break_puts_no_command_into_a_batch_script(
    experiment: Experiment, tmp_path: Path, given: dict[str, Any]
) -> None:
    runs = tmp_path / given.pop("runs", "runs")
    with pytest.raises(PhenoscapeError, match="has a line break"):
        write_batch_script(changed(experiment, runs=runs), **given)
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
@pytest.mark.parametrize("part", ["events.jsonl", "embeddings", "checkpoints/step-00000001"])
def test_a_run_whose_parts_are_links_out_of_it_is_refused(tmp_path: Path, part: str) -> None:
    run, theirs = tmp_path / "run", tmp_path / "theirs"
    (run / "checkpoints").mkdir(parents=True)
    (run / "experiment.yaml").write_text("{collection: {kind: folder, path: photographs}}")
    read_experiment(run)
    theirs.write_text("of somebody else")
    (run / part).symlink_to(theirs)
    with pytest.raises(RunError, match=f"{Path(part).name}' is a link to '{theirs}', out of"):
        read_experiment(run)
    assert theirs.read_text() == "of somebody else"
    (run / part).unlink()
    (run / "same.yaml").symlink_to(run / "experiment.yaml")  # within it
    read_experiment(run)


def test_nothing_is_asked_of_the_network(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    made = result(train(changed(experiment, runs=tmp_path)))
    assert result(embed(made))
    source = read_experiment(made).collection
    assert open_cube(next(Path(source.path).rglob("*.tif"))).shape[0] == 6


def test_every_claim_of_the_page_names_a_test_that_there_is() -> None:
    named = [
        line.rpartition("`")[0].rpartition("`")[2]
        for line in PAGE.read_text("utf-8").splitlines()
        if line.startswith("|") and "::test" in line
    ]
    assert len(named) > 5
    for where in named:
        path, _, test = where.partition("::")
        assert f"def {test}(" in (PAGE.parents[1] / path).read_text("utf-8"), where
