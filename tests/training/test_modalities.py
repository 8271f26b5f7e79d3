"""Runs of several modalities, from training to export: shared encoders, and what is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from napari_phenoscape.analysis import cluster_run, evaluate
from napari_phenoscape.cli._console import app
from napari_phenoscape.embeddings import (
    embed,
    export,
    load_encoder,
    read_embeddings,
)
from napari_phenoscape.errors import CheckpointError, CollectionError
from napari_phenoscape.events import Notice, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples._experiments import RGB_UV
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import (
    PCA,
    Experiment,
    Grouping,
    KMeans,
    build_model,
    last_checkpoint,
    specimens_of,
    train,
)
from napari_phenoscape.views import Augmenter
from tests.least import BACKBONE, least

#: Two clusters, on a map that any number of specimens has.
TWO = Grouping(method=KMeans(clusters=2), map=PCA())

CHANGES = {
    "shared": {"stem": {"kind": "convolution"}},
    "trunk": {"stem": {"kind": "adapter", "planes": 2}},
}
LOSSES = [{"kind": kind} for kind in ("nt_xent", "cross_modal", "local_patches")]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modalities") / "samples"
    return result(write_samples(folder, specimens=24, size=32, drawer=False))


def experiment(samples: Path, sharing: str, steps: int = 4, **encoder: object) -> Experiment:
    given = least(samples)
    given["schedule"] |= {"steps": steps, "batch_size": 8, "warmup": 0, "checkpoint_every": 2}
    given["encoder"] |= {"backbone": "squeezenet1_1", "sharing": sharing} | encoder
    given |= {
        "image_size": 32, "modalities": ["rgb", "uv"], "runs": str(samples.parent / "runs"),
        "fusion": {"kind": "gated", "modality_dropout": 0.4}, "losses": LOSSES[:2],
        "method": {"kind": "simclr", "readout": "plain", "beside": "nothing"},
    }  # fmt: skip
    return Experiment.parse(given)


@pytest.fixture(scope="module", params=CHANGES)
def run(request: pytest.FixtureRequest, samples: Path) -> Path:
    return result(train(experiment(samples, request.param, **CHANGES[request.param])))


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(last_checkpoint(run) / "weights.safetensors")


def test_resume_is_exact_with_modality_dropout(samples: Path) -> None:
    given = experiment(samples, "trunk", **CHANGES["trunk"])
    whole = weights(result(train(given)))
    events = train(given)
    for event in events:
        if getattr(event, "step", 0) == 2 and hasattr(event, "loss"):
            events.close()
    part = sorted((samples.parent / "runs").iterdir(), key=lambda path: path.stat().st_mtime)[-1]
    assert last_checkpoint(part).name == "step-00000002"
    again = weights(result(train(given, part)))
    assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())


def test_every_modality_and_the_joint_are_embedded_and_exported(run: Path, tmp_path: Path) -> None:
    spaces = result(embed(run))
    assert {name: e.x.shape for name, e in spaces.items()} == dict.fromkeys(
        ("rgb", "uv", "joint"), (24, 512)
    )
    assert np.abs(spaces["rgb"].x - spaces["uv"].x).max() > 1e-2
    folder = result(export(run, tmp_path / "encoder"))
    given = Experiment.read(run / "experiment.yaml")
    _, crops = result(specimens_of(given))
    views = Augmenter((), bands=crops.bands, fill=crops.mean, size=32, background="remove")
    images, masks = torch.from_numpy(crops.images), torch.from_numpy(crops.masks)
    whole = views(images, masks, seed=0, step=0, specimens=np.arange(24), view=0).image
    program = torch.export.load(folder / "encoder.pt2").module()
    for encoder in (load_encoder(folder), program):
        with torch.no_grad():
            found = encoder(whole)
        for name, e in spaces.items():
            np.testing.assert_allclose(found[name], e.x, atol=1e-5, rtol=1e-3)


def test_a_run_starts_from_one_that_shares_the_same(run: Path, samples: Path) -> None:
    sharing = Experiment.read(run / "experiment.yaml").encoder.sharing
    start = {**CHANGES[sharing], "weights": str(run), "rate": 0.0}
    frozen = weights(result(train(experiment(samples, sharing, 1, **start))))
    before = weights(run)
    encoders = [name for name in before if name.startswith("encoders.")]
    assert all(torch.equal(frozen[name], before[name]) for name in encoders)
    other = "trunk" if sharing == "shared" else "separate"
    with pytest.raises(CheckpointError, match=f"for sharing '{sharing}', not '{other}'"):
        result(train(experiment(samples, other, 1, **start)))


def test_separate_encoders_cannot_become_one(samples: Path) -> None:
    apart = result(train(experiment(samples, "separate", 1)))
    with pytest.raises(CheckpointError, match="for sharing 'separate', not 'shared'"):
        result(train(experiment(samples, "shared", 1, weights=str(apart))))


@pytest.fixture(scope="module")
def mixed(samples: Path) -> Experiment:
    """24 specimens of RGB and UV, and the first eight of them again as photographs in RGB."""
    folder = samples.parent / "mixed"
    shutil.copytree(samples / "multispectral", folder)
    for number, path in enumerate(sorted(folder.rglob("*.tif"))[:8]):
        stack = tifffile.imread(path)
        tifffile.imwrite(
            path.with_name(f"z{number}.tif"), np.moveaxis(stack[:3], 0, 2), photometric="rgb"
        )
    return experiment(samples, "separate").model_copy(
        update={"collection": Folder(path=folder, pattern="*/*.tif", metadata=None)}
    )


def test_specimens_that_lack_a_modality_train_and_embed(mixed: Experiment) -> None:
    given = mixed.model_dump(mode="json") | {"losses": LOSSES, "image_size": 64}
    run = result(train(Experiment.parse(given)))
    said = CliRunner().invoke(app, ["info", str(run)]).stdout
    assert said.count("Without the modality 'uv': 8 of 32 specimens") == 1
    spaces = result(embed(run))
    lacking = spaces["rgb"].table["filename"].str.startswith("z").to_numpy()
    assert lacking.sum() == 8
    assert np.isfinite(spaces["rgb"].x).all()
    assert np.isfinite(spaces["joint"].x).all()
    assert np.array_equal(np.isnan(spaces["uv"].x).any(1), lacking)
    assert np.isnan(spaces["uv"].x[lacking]).all()
    # gates over one modality are 1
    np.testing.assert_allclose(spaces["joint"].x[lacking], spaces["rgb"].x[lacking], rtol=1e-5)
    again = read_embeddings(run, "uv")
    np.testing.assert_array_equal(again.x, spaces["uv"].x)


def test_photographs_that_all_lack_a_modality_embed_with_a_run_that_has_it(
    mixed: Experiment, tmp_path: Path
) -> None:
    run = result(train(mixed))
    own = result(embed(run))
    assert isinstance(mixed.collection, Folder)
    for path in mixed.collection.path.rglob("z*.tif"):
        shutil.copy(path, tmp_path)
    source = Folder(path=tmp_path, pattern="*.tif", metadata=None)
    notices = [event.message for event in embed(run, source) if isinstance(event, Notice)]
    assert any("Without the modality 'uv': 8 of 8 specimens" in words for words in notices)
    lacking = own["rgb"].table["filename"].str.startswith("z").to_numpy()
    for space in ("rgb", "joint"):
        found = read_embeddings(run, space, source)
        np.testing.assert_allclose(found.x, own[space].x[lacking], atol=1e-5)
    assert np.isnan(read_embeddings(run, "uv", source).x).all()
    assert len(result(cluster_run(run, TWO, source=source)).labels) == 8


def test_photographs_without_any_modality_of_a_run_are_refused(
    mixed: Experiment, tmp_path: Path
) -> None:
    apart = mixed.model_copy(update={"modalities": ("uv",), "losses": RGB_UV.losses})
    assert isinstance(mixed.collection, Folder)
    stacks = Folder(path=mixed.collection.path, pattern="*/F*.tif", metadata=None)
    run = result(train(apart.model_copy(update={"collection": stacks})))
    shutil.copytree(mixed.collection.path, tmp_path / "photographs")
    (tmp_path / "photographs" / "metadata.csv").unlink()
    for path in (tmp_path / "photographs").rglob("F*.tif"):
        path.unlink()
    source = Folder(path=tmp_path / "photographs", pattern="*/*.tif", metadata=None)
    with pytest.raises(CollectionError, match="has no bands for the modality 'uv'"):
        result(embed(run, source))


def test_a_batch_in_chunks_has_the_gradient_of_the_whole_where_modalities_are_missing(
    mixed: Experiment,
) -> None:
    pytest.importorskip("timm")
    given = mixed.model_dump(mode="json") | {"losses": LOSSES, "fusion": {"kind": "mean"}}
    given["encoder"]["backbone"] = "timm:vit_tiny_patch16_224"
    given["schedule"] |= {"steps": 1, "optimizer": "sgd", "learning_rate": 1.0}
    whole, chunks = (
        weights(result(train(Experiment.parse(given | {"runtime": {"chunk": chunk}}))))
        for chunk in (0, 3)
    )
    _, crops = result(specimens_of(mixed))
    start = build_model(Experiment.parse(given), crops.statistics).state_dict()
    for name, tensor in whole.items():
        torch.testing.assert_close(chunks[name], tensor, atol=1e-4, rtol=1e-3, msg=name)
    query = "encoders.1.backbone.net.blocks.5.attn.qkv.weight"
    assert (whole[query] - start[query]).abs().max() > 1e-3


def test_clusters_and_evaluation_say_who_is_missing(mixed: Experiment) -> None:
    run = result(train(mixed))
    result(embed(run))
    result(cluster_run(run, TWO))
    with pytest.raises(CollectionError, match=r"8 of 32 specimens lack the modality.*'joint'"):
        result(cluster_run(run, TWO.model_copy(update={"space": "uv"})))
    scores = {one.embedding: one.scores for one in result(evaluate([run]))[""]}
    assert {"trained, rgb", "trained, uv (24 of 32 specimens)", "trained, joint"} <= set(scores)
    assert "another view found among uv" in scores["untrained, rgb"]
    assert all(np.isfinite(score.value) for each in scores.values() for score in each.values())


def test_export_tells_the_response_curves_of_each_modality(tmp_path: Path) -> None:
    nm = np.arange(340, 701, 10)
    for number in range(4):
        path = tmp_path / f"s{number}.bsq"
        np.random.default_rng(number).integers(1, 9999, (37, 8, 8), "<u2").tofile(path)
        path.with_suffix(".bsq.hdr").write_text(
            "ENVI\nsamples = 8\nlines = 8\nbands = 37\ninterleave = bsq\ndata type = 12\n"
            "byte order = 0\nheader offset = 0\nwavelength units = nm\n"
            f"wavelength = {{{', '.join(map(str, nm))}}}\n"
        )
    given = {
        "collection": {"kind": "folder", "path": str(tmp_path), "pattern": "*.bsq"},
        "modalities": ["vis", "uv"], "image_size": 32, "runs": str(tmp_path / "runs"),
        "encoder": {
            "backbone": BACKBONE, "sharing": "trunk",
            "stem": {"kind": "spectral_response", "curves": 4},
        },
        "schedule": {"steps": 1, "batch_size": 4},
    }  # fmt: skip
    folder = result(export(result(train(Experiment.parse(given))), tmp_path / "encoder"))
    table = pd.read_csv(folder / "response_curves.csv")
    assert list(table) == [
        "wavelength_nm",
        *(f"{m} {k}" for m in ("vis", "uv") for k in range(1, 5)),
    ]
    seen = {name: table["wavelength_nm"][table[name].notna()] for name in ("vis 1", "uv 4")}
    # 10 nm beyond the outermost bands, 400-690 and 340-390 nm
    assert (seen["vis 1"].min(), seen["vis 1"].max()) == (390, 700)
    assert (seen["uv 4"].min(), seen["uv 4"].max()) == (330, 400)
    picture = np.asarray(Image.open(folder / "response_curves.png").convert("RGB"))
    ink = (picture < 250).any(2)
    middle = ink.shape[0] // 2
    assert ink[:middle].mean() > 0.01  # a panel for each modality
    assert ink[middle:].mean() > 0.01
