"""An exported encoder gives what `embed` gives, with this package and without."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from napari_phenoscape.embeddings import embed, export, load_encoder
from napari_phenoscape.embeddings._card import model_card
from napari_phenoscape.errors import CheckpointError, MissingFileError, OptionError, RunError
from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.training import (
    Experiment,
    last_checkpoint,
    read_experiment,
    specimens_of,
    train,
)
from napari_phenoscape.views import Augmenter
from tests.least import least


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    samples = result(write_samples(folder / "samples", specimens=24, size=32, drawer=False))
    given = least(samples)
    given["encoder"]["backbone"] = "squeezenet1_1"  # half as many nodes in a graph
    given["schedule"] |= {"steps": 2, "batch_size": 8}
    given |= {"image_size": 32, "modalities": ["rgb", "uv"], "runs": str(folder / "runs")}
    given["method"] = {"kind": "simclr", "readout": "plain", "beside": "nothing"}
    return result(train(Experiment.parse(given)))


@pytest.fixture(scope="module")
def exported(run: Path) -> Path:
    return result(export(run, run / "encoder"))


@pytest.fixture(scope="module")
def images(run: Path) -> torch.Tensor:
    """(24, 6, 32, 32) whole specimens on the mean."""
    experiment = Experiment.read(run / "experiment.yaml")
    _, crops = result(specimens_of(experiment))
    whole = Augmenter((), bands=crops.bands, fill=crops.mean, size=32, background="remove")
    numbers = np.arange(len(crops.ids))
    pixels, masks = torch.from_numpy(crops.images), torch.from_numpy(crops.masks)
    return whole(pixels, masks, seed=0, step=0, specimens=numbers, view=0).image


def test_the_loaded_encoder_gives_the_embeddings(
    run: Path, exported: Path, images: torch.Tensor
) -> None:
    with torch.inference_mode():
        found = load_encoder(exported)(images)
    embeddings = result(embed(run))
    assert list(found) == list(embeddings) == ["rgb", "uv", "joint"]
    for space, h in found.items():
        np.testing.assert_allclose(h.numpy(), embeddings[space].x, rtol=1e-4, atol=1e-5)


def test_torch_alone_gives_the_embeddings(
    run: Path, exported: Path, images: torch.Tensor, tmp_path: Path
) -> None:
    np.save(tmp_path / "images.npy", images.numpy())
    code = (
        "import sys, numpy as np, torch\n"
        f"images = torch.from_numpy(np.load({str(tmp_path / 'images.npy')!r}))\n"
        f"encoder = torch.export.load({str(exported / 'encoder.pt2')!r}).module()\n"
        "h = {space: rows.detach() for space, rows in encoder(images).items()}\n"
        "alone = encoder(images[:1])\n"
        "assert all(torch.allclose(alone[s], h[s][:1], rtol=1e-4, atol=1e-5) for s in h)\n"
        f"np.savez({str(tmp_path / 'h.npz')!r}, **h)\n"
        "assert 'napari_phenoscape' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    found = np.load(tmp_path / "h.npz")
    for space, embeddings in result(embed(run)).items():
        np.testing.assert_allclose(found[space], embeddings.x, rtol=1e-4, atol=1e-5)


def test_the_description_says_what_goes_in_and_comes_out(exported: Path) -> None:
    given = yaml.safe_load((exported / "encoder.yaml").read_text("utf-8"))
    assert [band["name"] for band in given["bands"]] == ["R", "G", "B", "UV_R", "UV_G", "UV_B"]
    assert given["modalities"] == {"rgb": [0, 1, 2], "uv": [3, 4, 5]}
    assert (len(given["mean"]), given["image_size"]) == (6, 32)
    assert given["spaces"] == ["rgb", "uv", "joint"]


def test_the_card_says_of_what_it_was_made_how_good_it_is_and_what_it_began_with(
    run: Path, exported: Path, tmp_path: Path
) -> None:
    _, head, text = (exported / "README.md").read_text("utf-8").split("---\n", 2)
    assert yaml.safe_load(head)["library_name"] == "napari-phenoscape"
    assert "24 specimens, by modality" in text
    assert "- `rgb`: 3 bands: R, G, B\n- `uv`: 3 bands: UV_R, UV_G, UV_B" in text
    assert "was trained for 2 steps of 8 specimens" in text
    assert "It was not evaluated" in text
    assert "began" not in text
    scored = shutil.copytree(run, tmp_path / "run")
    (scored / "evaluation-morph.csv").write_text(
        "embedding,measure,value,low,high,p,words\n"
        '"trained, joint",5-NN accuracy,0.875,0.75,1.0,,\n'
        '"trained, joint",effective dimensions,3.5,,,,\n'
        '"trained, joint",verdict,,,,,Not better than plain colour.\n'
    )
    experiment = read_experiment(run)
    encoder = experiment.encoder.model_copy(update={"backbone": "pretrained:efficientnet_lite0"})
    text = model_card(scored, experiment.model_copy(update={"encoder": encoder}), ["joint"])
    assert "| embedding | 5-NN accuracy | effective dimensions |" in text
    assert "| trained, joint | 0.88 [0.75, 1.00] | 3.50 |" in text
    assert "Not better than plain colour." in text
    assert "began with `efficientnet_lite0`: ImageNet-1k" in text
    assert "Apache-2.0" in text


def test_the_specimens_are_not_needed(run: Path, exported: Path, tmp_path: Path) -> None:
    source = Experiment.read(run / "experiment.yaml").collection.path
    elsewhere = source.rename(tmp_path / "elsewhere")
    try:
        folder = result(export(run, tmp_path / "encoder"))
    finally:
        elsewhere.rename(source)
    assert (folder / "encoder.yaml").read_bytes() == (exported / "encoder.yaml").read_bytes()


def test_a_net_whose_weights_are_no_numbers_is_not_exported(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    path = last_checkpoint(copy) / "weights.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if name.endswith("bias"))
    weights[name][3] = float("nan")
    save_file(weights, path)
    with pytest.raises(CheckpointError, match=rf"NaN or infinite, in '.*{re.escape(name)}' first"):
        result(export(copy, tmp_path / "encoder"))
    assert not (tmp_path / "encoder").exists()


def test_nothing_is_written_over_and_damage_is_told(
    exported: Path, run: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="is there already"):
        result(export(run, exported))
    with pytest.raises(MissingFileError, match="phenoscape export"):
        load_encoder(tmp_path)
    (tmp_path / "encoder.yaml").write_bytes((exported / "encoder.yaml").read_bytes())
    (tmp_path / "encoder.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="no whole export"):
        load_encoder(tmp_path)


def test_onnx_gives_what_torch_gives_of_a_net_with_an_instant_embedding_beside(
    run: Path, tmp_path: Path, images: torch.Tensor
) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    given = read_experiment(run).model_dump(mode="json")
    beside = result(train(Experiment.parse({**given, "method": "simclr", "runs": str(tmp_path)})))
    folder = result(export(beside, tmp_path / "encoder", onnx=True))
    session = runtime.InferenceSession(folder / "encoder.onnx")
    assert [one.name for one in session.get_inputs()] == ["images", "mask"]
    assert [one.name for one in session.get_outputs()] == ["rgb", "uv", "joint"]
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    masks = ((rows - 15.5) ** 2 + (columns - 15.5) ** 2 < 144).expand(24, 1, 32, 32)
    encoder = load_encoder(folder)
    for number in (24, 3):
        some = images[:number], masks[:number]
        found = session.run(None, {"images": some[0].numpy(), "mask": some[1].numpy()})
        with torch.inference_mode():
            wanted = encoder(*some)
        for one, other in zip(found, wanted.values(), strict=True):
            off = np.linalg.norm(one - other.numpy(), axis=1) / np.linalg.norm(other, axis=1)
            # the readout divides by small numbers, and so magnifies what float32 rounds
            assert np.median(off) < 1e-5
            assert off.max() < 1e-4


def test_without_what_writes_onnx_the_way_out_is_said(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OptionError, match=r"napari-phenoscape\[onnx\]"):
        result(export(run, tmp_path / "encoder", onnx=True))
    assert not (tmp_path / "encoder").exists()
