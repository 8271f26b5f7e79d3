"""Gradient caching: the gradient of the whole batch, a few specimens in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from torch import Tensor, nn

from napari_phenoscape import _device
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.errors import OptionError, TrainingError
from napari_phenoscape.losses import Projections, total_loss
from napari_phenoscape.specimens import Crops
from napari_phenoscape.training import Experiment, SimCLR, augmenter, build_model
from napari_phenoscape.training._gradient import Gradient, _joined, check_caching, known_columns
from napari_phenoscape.training._health import advice, check_finite
from napari_phenoscape.training._inputs import InputPipeline

SPECIMENS, STEP = 7, 4
EVERYBODY = np.arange(SPECIMENS)


def crops(
    bands: Bands,
    modalities: dict[str, list[int]],
    lacking: dict[str, list[int]] = {},  # noqa: B006  read only
    size: int = 64,
) -> Crops:
    """Coarse random pictures; some specimens lack a modality."""
    random = np.random.default_rng(0)
    coarse = random.uniform(size=(SPECIMENS, len(bands), 8, 8)).astype(np.float32)
    images = coarse.repeat(size // 8, 2).repeat(size // 8, 3)
    return Crops(
        images=images,
        masks=np.ones((SPECIMENS, 1, size, size), dtype=np.bool_),
        ids=tuple(f"moth {i}" for i in range(SPECIMENS)),
        bands=bands,
        modalities={name: np.array(index) for name, index in modalities.items()},
        present={
            name: ~np.isin(np.arange(SPECIMENS), lacking.get(name, [])) for name in modalities
        },
        mean=np.full(len(bands), 0.5, np.float32),
        std=np.full(len(bands), 0.3, np.float32),
    )


BANDS = Bands(Band(f"{name}{i}") for name in ("rgb", "uv") for i in range(3))
BOTH = {"rgb": [0, 1, 2], "uv": [3, 4, 5]}
COLOURS = crops(BANDS, BOTH)
SPECTRA = crops(
    Bands(Band(f"{nm} nm", float(nm)) for nm in range(400, 800, 40)), {"full": [*range(10)]}
)


def experiment(backbone: str, chunk: int = 0, **given: Any) -> Experiment:
    return Experiment.parse(
        {
            "collection": {"kind": "folder", "path": str(Path())},
            "modalities": ["rgb", "uv"],
            "encoder": {"backbone": backbone},
            "image_size": 64,
            "head": {"hidden": 16, "out": 8},
            "losses": [{"kind": "nt_xent"}, {"kind": "cross_modal"}, {"kind": "local_patches"}],
            "schedule": {"batch_size": SPECIMENS},
            "runtime": {"chunk": chunk},
            **given,
        }
    )


def built(
    asked: Experiment, pictures: Crops, dtype: torch.dtype = torch.float64
) -> tuple[Gradient, SimCLR]:
    net = build_model(asked, pictures.statistics).to(dtype).train()
    fabric = Fabric(accelerator="cpu", devices=1, plugins=[LightningEnvironment()])
    pipeline = InputPipeline(pictures, augmenter(asked, pictures), net, asked.seed, fabric.device)
    return Gradient(asked, pictures, {}, pipeline, net, net, fabric), net


def gradients(net: nn.Module) -> dict[str, Tensor]:
    return {n: w.grad for n, w in net.named_parameters() if w.grad is not None}


def found(
    asked: Experiment, pictures: Crops, dtype: torch.dtype = torch.float64
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Loss and terms, and every gradient."""
    gradient, net = built(asked, pictures, dtype)
    torch.manual_seed(1)
    objective = gradient(EVERYBODY, STEP)
    terms = {name: term.detach() for name, term in objective.terms.items()}
    return terms | {"loss": objective.loss.detach()}, gradients(net)


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-10, atol=1e-10, msg=name)


@pytest.mark.parametrize("chunk", [1, 3])
@pytest.mark.parametrize("backbone", ["squeezenet1_1", "timm:test_vit", "timm:test_convnext"])
def test_the_gradient_of_a_batch_in_chunks_is_that_of_the_whole(backbone: str, chunk: int) -> None:
    if backbone.startswith("timm:"):
        pytest.importorskip("timm")
    fusion = {"kind": "attention" if backbone == "timm:test_vit" else "concatenate"}
    whole = found(experiment(backbone, fusion=fusion), COLOURS)
    parts = found(experiment(backbone, chunk, fusion=fusion), COLOURS)
    for one, other in zip(whole, parts, strict=True):
        assert_same(one, other)
    assert float(parts[0]["local_patches"]) > 0
    assert all(float(grad.abs().max()) > 0 for grad in parts[1].values())


@pytest.mark.parametrize("uv", [[], [1, 4], [0, 1, 2, 3, 4, 6]], ids=["all", "some", "one"])
def test_a_batch_made_all_at_once_as_on_an_accelerator_has_the_same_gradient(
    uv: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = crops(BANDS, BOTH, {"uv": uv})
    few = found(experiment("squeezenet1_1"), pictures)
    monkeypatch.setattr(_device, "FEW_AT_A_TIME", {"mps"})
    monkeypatch.setattr("napari_phenoscape.training._inputs.room", lambda _: 0 if uv else 2**40)
    every = found(experiment("squeezenet1_1"), pictures)
    for one, other in zip(few, every, strict=True):
        # what no term looks at has no gradient, or one of 0
        assert one.keys() <= other.keys()
        assert not any(other[name].any() for name in other.keys() - one.keys())
        for name, value in one.items():
            # views are float32
            scale = float(value.abs().max())
            torch.testing.assert_close(other[name], value, rtol=0, atol=1e-4 * max(scale, 1e-3))
    assert float(every[0]["local_patches"]) > 0


def test_specimens_that_lack_a_modality_do_so_in_chunks_too() -> None:
    pictures = crops(BANDS, BOTH, lacking={"uv": [0, 1, 2, 5], "rgb": [3]})
    whole, parts = (found(experiment("squeezenet1_1", chunk), pictures) for chunk in (0, 3))
    assert_same(whole[0], parts[0])
    assert_same(whole[1], parts[1])


def test_bands_that_are_mixed_before_the_warp_learn_in_chunks_too() -> None:
    given = {
        "modalities": ["full"],
        "encoder": {
            "backbone": "squeezenet1_1",
            "stem": {"kind": "spectral_response", "curves": 4, "range_nm": [350, 850]},
        },
        "augmentations": [{"kind": "RandomResizedCrop"}, {"kind": "RandomHorizontalFlip"}],
        "losses": [{"kind": "nt_xent"}],
    }
    whole, parts = (
        found(experiment("squeezenet1_1", chunk, **given), SPECTRA, torch.float32)
        for chunk in (0, 2)
    )
    assert float(parts[1]["encoders.0.stem.coefficients"].abs().max()) > 0
    for name, value in whole[1].items():
        # in float32, which the batch norm of a head enlarges; half a batch would differ by a fifth
        assert (parts[1][name] - value).norm() <= 0.01 * value.norm(), name


def test_dropout_is_the_same_in_both_passes() -> None:
    """Against one graph of the same chunks, which no second pass replays."""
    asked = experiment("squeezenet1_1", 3)
    gradient, net = built(asked, COLOURS)
    for encoder in net.encoders:
        encoder.backbone.trunk.append(nn.Dropout2d(0.5))
    torch.manual_seed(1)
    gradient(EVERYBODY, STEP)
    cached = {name: grad.clone() for name, grad in gradients(net).items()}

    net.zero_grad()
    torch.manual_seed(1)
    rows, places = [], []
    for chunk in np.split(EVERYBODY, [3, 6]):
        inputs = gradient.pipeline(chunk, STEP)
        rows.append(net.features(inputs.images, inputs.mixed, inputs.matches.cell))
        places.append(inputs.matches.position)
    whole = [
        {name: _joined([each[part][name] for each in rows]) for name in rows[0][part]}
        for part in (0, 1)
    ]
    z, patches, cross = net.project(*whole)
    total, _ = total_loss(asked.losses, Projections(z, {}, patches, _joined(places), {}, cross))
    total.backward()
    assert_same(gradients(net), cached)


def test_no_more_specimens_than_a_chunk_are_ever_in_the_encoders() -> None:
    gradient, net = built(experiment("squeezenet1_1", 3), COLOURS)
    seen: list[tuple[int, bool]] = []
    net.encoders[0].backbone.register_forward_hook(
        lambda _, images, features: seen.append((len(images[0]) // 2, torch.is_grad_enabled()))
    )
    gradient(EVERYBODY, STEP)
    assert seen == [(3, False), (3, False), (1, False), (3, True), (3, True), (1, True)]


def test_a_chunk_as_large_as_the_batch_is_one_pass() -> None:
    gradient, net = built(experiment("squeezenet1_1", SPECIMENS), COLOURS)
    seen: list[bool] = []
    net.encoders[0].backbone.register_forward_hook(lambda *_: seen.append(torch.is_grad_enabled()))
    gradient(EVERYBODY, STEP)
    assert seen == [True]


def test_frozen_encoders_may_have_batch_norm_and_teach_their_heads_in_chunks() -> None:
    given = {"encoder": {"backbone": "shufflenet_v2_x0_5", "rate": 0.0}}
    whole, parts = (found(experiment("", chunk, **given), COLOURS) for chunk in (0, 3))
    assert_same(whole[1], parts[1])
    assert {name.split(".")[0] for name in parts[1]} == {"heads", "patch_heads", "cross_heads"}
    asked = experiment("", 3, **given)
    check_caching(asked, build_model(asked, COLOURS.statistics))


def test_batch_norm_is_refused_in_words() -> None:
    asked = experiment("shufflenet_v2_x0_5", 3)
    with pytest.raises(
        OptionError, match=r"'shufflenet_v2_x0_5' has BatchNorm in \d+ places.*convnext_tiny.*to 0"
    ):
        check_caching(asked, build_model(asked, COLOURS.statistics))


def projected(sick: Iterator[int]) -> Projections:
    z = torch.ones(2 * SPECIMENS, 4)
    z[list(sick)] = torch.nan
    return Projections({"rgb": torch.ones(2 * SPECIMENS, 4), "joint": z})


@pytest.mark.parametrize(
    ("sick", "words"),
    [
        ((3, SPECIMENS + 5), r"the projections of moth 2, moth 4\. Look at these"),
        (range(2 * SPECIMENS), r"all projections; farthest .* are moth 1 \(3\.33e\+30\), moth 6"),
        ((), r"similarities; farthest from the mean, .* moth 1 \(3\.33e\+30\)"),
    ],
    ids=["some", "all", "none"],
)
def test_a_loss_that_is_no_number_names_the_specimens_to_look_at(sick, words: str) -> None:
    pictures = crops(BANDS, {"rgb": [0, 1, 2]})
    pictures.images[1, 2, 5, 5] = 1e30
    pictures.images[6, 0, 0, 0] = 80.0
    order = np.array([0, 1, 3, 2, 6, 4, 5])  # of the batch
    with pytest.raises(TrainingError, match=words) as caught:
        check_finite(float("nan"), projected(iter(sick)), order, pictures, 11)
    assert str(caught.value).startswith("The loss of step 12 is not a number: not finite are")
    assert str(caught.value).endswith("from its newest checkpoint if it has one.")


@pytest.mark.parametrize(
    ("chunk", "share", "words"),
    [
        (0, 7, r"with 7 of 7 specimens .* 64 px\. Set runtime\.chunk to 3 \(gradient caching"),
        (4, 7, r"with 4 of 7 specimens .* Lower runtime\.chunk to 2"),
    ],
)
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
        MemoryError(),
    ],
)
def test_lack_of_memory_becomes_advice(chunk: int, share: int, words: str, error) -> None:
    advised = advice(experiment("squeezenet1_1", chunk), share)
    words += r".*batch_size or image_size;.*resumed"
    with pytest.raises(TrainingError, match=words), advised:
        raise error


@pytest.mark.parametrize("words", ["shapes differ", "CUDA error: an illegal memory access"])
def test_other_errors_stay_what_they_are(words: str) -> None:
    with pytest.raises(RuntimeError, match=words), advice(experiment(""), 7):
        raise RuntimeError(words)


def test_specimens_of_unknown_individuals_are_no_positives_of_each_other():
    experiment: Any = SimpleNamespace(losses=[SimpleNamespace(columns=("individual",))])
    metadata = pd.DataFrame({"individual": ["b", "?", None, "unknown", "a", "b", ""]})
    known = known_columns(experiment, SimpleNamespace(metadata=metadata))  # type: ignore[arg-type]
    assert known["individual"].tolist() == [1, -1, -1, -1, 0, 1, -1]
