"""A whole step on a device that this machine need not have, and what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from napari_phenoscape import _device
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.embeddings import _restore
from napari_phenoscape.embeddings._embedding import embedded
from napari_phenoscape.embeddings._norms import Norms
from napari_phenoscape.embeddings._restore import Restored
from napari_phenoscape.events import result
from napari_phenoscape.losses import AnyLoss
from napari_phenoscape.nets import AnyFusion, Descriptor, Encoder
from napari_phenoscape.nets._options import Pooling
from napari_phenoscape.nets._stem_options import AnyStem
from napari_phenoscape.option import Option
from napari_phenoscape.specimens import Crops
from napari_phenoscape.specimens.collection._nuisance import Levels
from napari_phenoscape.training import (
    Experiment,
    InstantNet,
    Looks,
    Schedule,
    _inputs as inputs,
    _looks,
    augmenter,
    build_model,
    pictures,
    present,
)
from napari_phenoscape.training._gradient import Gradient
from napari_phenoscape.training._inputs import InputPipeline
from napari_phenoscape.training._reading import Reading
from napari_phenoscape.training._recipe import average_of, optimizer_of
from napari_phenoscape.views import (
    Augmenter,
    Operation,
    PresetName,
    RandomResizedCrop,
    _pipeline,
)
from napari_phenoscape.views._warp import bending
from tests.views.test_contract import MEMBERS, strong

#: Autograd wants a thread of each CUDA device that there is; of the accelerators that torch knows
#: this one needs none. No other line of ours tells the two apart where there is no CUDA.
ACCELERATOR = torch.device("lazy")

SPECIMENS = 6
EVERYBODY = np.arange(SPECIMENS)
VISIBLE = [Band(f"{nm} nm", float(nm)) for nm in range(420, 700, 40)]
INFRARED = [Band(f"{nm} nm", float(nm)) for nm in range(720, 1000, 40)]


def crops(lacking: bool = False, size: int = 40) -> Crops:
    random = np.random.default_rng(0)
    bands = Bands([*VISIBLE, *INFRARED])
    half = len(VISIBLE)
    here = EVERYBODY % 3 > 0 if lacking else np.ones(SPECIMENS, np.bool_)
    return Crops(
        images=random.uniform(size=(SPECIMENS, len(bands), size, size)).astype(np.float32),
        masks=np.ones((SPECIMENS, 1, size, size), np.bool_),
        ids=tuple(f"moth {i}" for i in EVERYBODY),
        bands=bands,
        # not neighbours, so that they are picked by an index
        modalities={"vis": np.arange(half), "nir": np.arange(2 * half)[half:][::-1].copy()},
        present={"vis": np.ones(SPECIMENS, np.bool_), "nir": here},
        mean=np.full(len(bands), 0.5, np.float32),
        std=np.full(len(bands), 0.3, np.float32),
    )


def experiment(**given: Any) -> Experiment:
    return Experiment.parse(
        {
            "collection": {"kind": "folder", "path": str(Path())},
            "modalities": ["vis", "nir"],
            "encoder": {"backbone": "squeezenet1_1"},
            "image_size": 32,
            "head": {"hidden": 8, "out": 4},
            "schedule": {"batch_size": SPECIMENS},
            **given,
        }
    )


def moved(net: nn.Module, device: torch.device) -> None:
    """Weights of a module to a device; `Module.to` cannot where the device is not real."""
    found: dict[int, Tensor] = {}
    for module in net.modules():
        for own in (module._parameters, module._buffers):
            for name, each in own.items():
                if each is not None and id(each) not in found:
                    there = each.detach().to(device)
                    learned = isinstance(each, nn.Parameter)
                    found[id(each)] = nn.Parameter(there, each.requires_grad) if learned else there
                if each is not None:
                    own[name] = found[id(each)]  # type: ignore[assignment]


@contextmanager
def nowhere() -> Iterator[None]:
    """Tensors have shape and device, and no values; operations on a mix of devices raise.

    But for the geometry, which is computed on the processor.
    """
    bending.cache_clear()
    with (
        pytest.MonkeyPatch.context() as patch,
        FakeTensorMode(allow_non_fake_inputs=True),
    ):
        patch.setattr(_pipeline, "composed", with_values(_pipeline.composed))
        patch.setattr(Augmenter, "_bends", with_values(Augmenter._bends))
        # torch knows no half precision of this accelerator
        patch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
        yield
    bending.cache_clear()


def with_values(function: Callable[..., Any]) -> Callable[..., Any]:
    def called(*given: Any) -> Any:
        with _disable_current_modes():
            return function(*given)

    return called


class Waits(TorchDispatchMode):
    """Notes what makes the processor wait for an accelerator."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        there = [each for each in _tensors(args) if each.device.type not in ("cpu", "meta")]
        name = str(func.overloadpacket)
        result = func(*args, **kwargs)
        if name in ("aten._to_copy", "aten.copy_"):
            source = args[0] if name == "aten._to_copy" else args[1]
            target = result
            if source.device != target.device:
                late = kwargs.get("non_blocking") or (len(args) > 2 and args[2])
                back = source.device.type != "cpu"
                if back or not late:
                    self.found.append(f"{name} {source.device} -> {target.device}")
        elif there and name in (
            "aten._local_scalar_dense",
            "aten.item",
            "aten.nonzero",
            "aten.masked_select",
            "aten.is_nonzero",
            "aten.equal",
            "aten._unique2",
            "aten._linalg_check_errors",
            "aten.repeat_interleave",
        ):
            if name != "aten.repeat_interleave" or func._overloadname == "Tensor":
                self.found.append(name)
        elif name in ("aten.index", "aten.index_put_", "aten.index_put"):
            picked = [each for each in args[1] if each is not None]
            if any(each.dtype == torch.bool or each.device != args[0].device for each in picked):
                self.found.append(f"{name} by {[each.dtype for each in picked]}")
        return result


def _tensors(args: Any) -> Iterator[Tensor]:
    for each in args:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, list | tuple):
            yield from _tensors(each)


OPTIMIZERS = {"optimizer": "adamw", "clip": 1.0, "average": 0.9, "batch_size": SPECIMENS}


def step(asked: Experiment, pictures_: Crops, known: dict[str, Any], waits: Waits) -> Reading:
    """One step of `train`, on an accelerator; what it waits for is noted."""
    net = build_model(asked, pictures_.statistics)
    schedule = asked.schedule
    fabric: Any = SimpleNamespace(
        device=ACCELERATOR, backward=lambda loss: loss.backward(), autocast=nullcontext
    )
    average = average_of(net, schedule, None)
    with nowhere():
        moved(net, ACCELERATOR)
        net.train()
        optimizer = optimizer_of(net, schedule, 1.0, fused=False)
        views = augmenter(asked, pictures_)
        pipeline = InputPipeline(pictures_, views, net, 0, ACCELERATOR)
        gradient = Gradient(asked, pictures_, known, pipeline, net, net, fabric)
        if average is not None:
            moved(average.module, ACCELERATOR)
            average.update(net)
        pipeline.resident  # noqa: B018  brought there before the first step
        with waits:
            objective = gradient(EVERYBODY, 3)
            if schedule.clip:
                nn.utils.clip_grad_norm_(net.parameters(), schedule.clip)
            optimizer.step()
            optimizer.zero_grad()
            if average is not None:
                average.update(net)
            seen = objective.batch
            joint = seen.z[net.space].detach()[seen.rows(net.space)]
            reading = Reading(4, 0.1, objective, EVERYBODY, joint)
        assert objective.loss.device.type == ACCELERATOR.type
        for weight in net.parameters():
            assert isinstance(weight, FakeTensor)
            assert weight.device.type == ACCELERATOR.type
    return reading


CNN, VIT = "squeezenet1_1", "timm:test_vit"

#: What makes a variant small, or do more than its default does, by its kind.
GIVEN: dict[str, dict[str, Any]] = {
    "adapter": {"planes": 3},
    "spectral_response": {"curves": 4},
    **{kind: {"modality_dropout": 0.3} for kind in ("concatenate", "mean", "gated", "attention")},
    "nt_xent": {"positives": "species", "decoupled": True},
    "cross_modal": {"ignore": "species"},
}


def each(union: Any) -> list[dict[str, Any]]:
    """The variants of a union that are ours, by its registry: a new one is not forgotten."""
    return [{"kind": kind, **GIVEN.get(kind, {})} for kind in get_args(union)[1].ours]


def choices(option: type[Option], field: str) -> tuple[Any, ...]:
    return get_args(option.model_fields[field].annotation)


CASES: dict[str, dict[str, Any]] = {
    **{
        f"stem {stem['kind']}": {"encoder": {"backbone": "resnet18", "stem": stem}}
        for stem in each(AnyStem)
    },
    **{
        f"{sharing} encoders": {
            "encoder": {
                "backbone": "squeezenet1_1",
                "stem": {"kind": "adapter", "planes": 3},
                "sharing": sharing,
            }
        }
        for sharing in choices(Encoder, "sharing")
    },
    **{
        f"pooling {by}": {
            "encoder": {"backbone": VIT if by in ("cls", "both") else CNN, "pooling": {"by": by}}
        }
        for by in choices(Pooling, "by")
    },
    "two stages": {"encoder": {"backbone": CNN, "pooling": {"by": "mean", "last": 2}}},
    "frozen": {"encoder": {"backbone": CNN, "rate": 0}},
    **{f"fusion {fusion['kind']}": {"fusion": fusion} for fusion in each(AnyFusion)},
    **{f"loss {loss['kind']}": {"losses": [loss], "image_size": 64} for loss in each(AnyLoss)},
    "losses": {"losses": each(AnyLoss), "image_size": 64},
    **{
        f"optimizer {name}": {"schedule": {**OPTIMIZERS, "optimizer": name}}
        for name in choices(Schedule, "optimizer")
    },
    **{f"preset {name}": {"augmentations": name} for name in get_args(PresetName)},
    **{f"background {name}": {"background": name} for name in choices(Experiment, "background")},
    "chunks": {"losses": each(AnyLoss), "image_size": 64, "runtime": {"chunk": 2}},
}


@pytest.mark.parametrize("lacking", [False, True], ids=["whole", "lacking"])
@pytest.mark.parametrize("given", CASES.values(), ids=CASES)
def test_a_step_is_made_on_the_device_and_waits_for_nothing(
    given: dict[str, Any], lacking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "room", lambda _: 0 if lacking else 2**40)
    waits = Waits()
    species = {"species": np.array([0, 0, 1, 1, -1, -1])}
    step(experiment(**given), crops(lacking), species, waits)
    assert waits.found == []


@pytest.mark.parametrize("mixed", [False, True], ids=["bands", "mixed"])
@pytest.mark.parametrize("kind", MEMBERS)
def test_every_operation_is_made_on_the_device_and_waits_for_nothing(
    kind: type[Operation], mixed: bool
) -> None:
    if not kind.__module__.startswith("napari_phenoscape."):
        pytest.skip("somebody else's")
    own = crops(size=70)
    make = Augmenter(
        (RandomResizedCrop(p=0.5), strong(kind, p=0.5))[-2 + (kind is RandomResizedCrop) :],
        own.bands,
        own.mean,
        32,
        "remove",
    )
    with nowhere():
        images = torch.from_numpy(own.images).to(ACCELERATOR)
        mix = torch.ones(3, len(own.bands), device=ACCELERATOR, requires_grad=True)
        waits = Waits()
        with waits:
            views = make(
                images,
                own.masks,
                seed=0,
                step=1,
                specimens=EVERYBODY,
                view=(0, 1),
                mix=mix if mixed else None,
                rows=EVERYBODY[::-1].copy(),
            )
            if mixed:
                (gradient,) = torch.autograd.grad(views.image.sum(), mix)
                assert gradient.device == mix.device
    assert waits.found == []
    assert {each.device.type for each in views if each is not None} == {ACCELERATOR.type}


@pytest.mark.parametrize("background", ["remove", "keep"])
def test_an_instant_net_sees_views_that_are_made_on_the_device(background: str) -> None:
    asked = experiment(method={"kind": "instant"}, background=background)
    own = crops(lacking=True)
    net = build_model(asked, own.statistics)
    assert isinstance(net, InstantNet)
    with nowhere():
        moved(net, ACCELERATOR)
        looks, waits = Looks(asked, own, 2, ACCELERATOR), Waits()
        with waits, torch.no_grad():
            for view in looks(EVERYBODY):
                seen = net(*pictures(own, view, ACCELERATOR), present(own, EVERYBODY))
                scatter = net.sources[0]["vis"].pixel_scatter(view.image[:, :7], view.mask)
    assert waits.found == []
    assert {h.device.type for h in seen.h.values()} == {scatter.device.type} == {ACCELERATOR.type}


@pytest.mark.parametrize("levels", [False, True], ids=["one norm", "norms of levels"])
@pytest.mark.parametrize("method", ["instant", "simclr"])
def test_embeddings_are_waited_for_when_the_next_batch_is_begun(
    method: str, levels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = experiment(method={"kind": method})
    own, views = crops(lacking=True), asked.method.readout.views
    if levels:
        codes = np.array([0, 1, 0, 1, -1, 0])
        own = replace(own, levels=Levels(("a", "b"), codes))
    net = build_model(asked, own.statistics).eval()
    said: list[str] = []

    def fetching(numbers: Tensor) -> Callable[[], Any]:
        assert numbers.device.type == ACCELERATOR.type
        said.append("begun")

        def wait() -> Any:
            said.append("waited for")
            return SimpleNamespace(numpy=partial(np.zeros, tuple(numbers.shape), np.float32))

        return wait

    monkeypatch.setattr(_restore, "fetched", fetching)
    monkeypatch.setattr(_looks, "BATCH", 2)
    # tensors without values cannot be brought there in inference mode
    inference = torch.inference_mode
    monkeypatch.setattr(
        torch, "inference_mode", lambda mode=True: torch.no_grad() if mode else inference(mode)
    )
    with nowhere():
        moved(net, ACCELERATOR)
        norms = {"a": Norms(), "b": Norms()} if levels else {}
        restored = Restored(
            asked, None, own, net, ACCELERATOR, nullcontext, untrained=False, norms=norms
        )  # type: ignore[arg-type]  # of a collection nothing is asked
        waits = Waits()
        with waits:
            spaces = result(embedded(restored, 0, SPECIMENS))
    assert waits.found == []
    assert list(spaces) == ["vis", "nir", "joint"]
    each = views * len(spaces)
    assert [(word, len(list(of))) for word, of in groupby(said)] == [
        ("begun", 2 * each), ("waited for", each), ("begun", each), ("waited for", 2 * each)
    ]  # fmt: skip


def test_a_processor_begins_nothing_before_it_is_asked() -> None:
    begun: list[int] = []
    items = _device.one_late((begun.append(i) or i for i in range(3)), torch.device("cpu"))  # type: ignore[func-returns-value]
    assert next(items) == 0
    assert begun == [0]
    assert list(items) == [1, 2]


def test_planes_are_led_by_the_same_pixels_however_they_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = crops()
    net = Descriptor(own.bands, own.mean, own.std)
    images, masks = torch.from_numpy(own.images), torch.from_numpy(own.masks.copy())
    masks[0] = False  # stands for the whole picture
    masks[1, :, 3:, 5:] = False
    one_by_one = net.pixel_scatter(images, masks)
    monkeypatch.setattr(_device, "FEW_AT_A_TIME", {"mps"})
    torch.testing.assert_close(net.pixel_scatter(images, masks), one_by_one, rtol=1e-4, atol=1e-4)


def test_what_waits_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with nowhere():
        rows = torch.ones(4, 3, device=ACCELERATOR)
        for wait in (
            lambda: rows.cpu(),
            lambda: torch.ones(3).to(ACCELERATOR),
            lambda: rows[torch.tensor([0, 1])],
            lambda: torch.linalg.inv(rows[:3]),
        ):
            waits = Waits()
            with waits:
                wait()
            assert waits.found, wait
        with pytest.raises(RuntimeError, match="device"):
            rows + torch.ones(4, 3)
        with pytest.raises(RuntimeError), Waits() as waits:
            float(rows.sum())
