"""Ranks: two processes that share every batch compute what one computes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from safetensors.torch import load_file, save_file
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torchvision.ops import StochasticDepth

from napari_phenoscape import _distributed as ranks
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.losses import CrossModal, Loss, NTXent, Projections, total_loss
from napari_phenoscape.nets import of_present
from napari_phenoscape.specimens import Crops
from napari_phenoscape.training import Experiment, augmenter, build_model
from napari_phenoscape.training._gradient import Gradient
from napari_phenoscape.training._inputs import InputPipeline

#: Name of the case -> the terms of its loss.
CASES: dict[str, tuple[Loss, ...]] = {
    "nt_xent": (NTXent(),),
    "decoupled": (NTXent(temperature=0.5, decoupled=True),),
    "cross_modal": (CrossModal(),),
    "supervised": (NTXent(positives="species"), CrossModal(positives="species")),
    "relatives ignored": (NTXent(ignore="species"), CrossModal(ignore="species")),
    "sum": (NTXent(weight=0.7), CrossModal(temperature=0.1)),
    "missing": (NTXent(), CrossModal()),
}
SPECIES = torch.tensor([0, 1, 0, 2, -1, 1, 2, 0])  # of 8 specimens; of one it is unknown
SPACES = ("rgb", "uv", "joint")

#: Of 8 specimens, of which rank 0 has the first four: who has what, in the case "missing".
PRESENT = {
    "rgb": torch.tensor([1, 0, 1, 1, 1, 1, 1, 1]).bool(),
    "uv": torch.tensor([1, 1, 0, 1, 0, 0, 0, 0]).bool(),
}


class Net(nn.Module):
    """Batch norms in 2-D and 1-D, stochastic depth; heads per space, some maybe unused."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 6)
        )
        self.depth = StochasticDepth(0.4, "row")
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 5))
                for name in (*SPACES, *(f"cross {name}" for name in PRESENT))
            }
        )

    def forward(
        self, images: torch.Tensor, present: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        h = 1 + self.depth(self.trunk(images))
        z = {}
        for name, head in self.heads.items():
            everyone = torch.ones(len(h), dtype=torch.bool)
            there = present.get(name.removeprefix("cross "), everyone)
            (z[name],) = of_present(lambda rows, head=head: [head(rows)], h, there, [(5,)])
        return z


def after_backward(case: str) -> dict[str, torch.Tensor]:
    """Loss, gradients and running statistics of one batch of 8 specimens in float64."""
    present = PRESENT if case == "missing" else {}
    torch.manual_seed(0)
    net, device = Net().double(), torch.device("cpu")
    views = torch.randn(2, 8, 2, 6, 6, dtype=torch.float64)
    mine = torch.from_numpy(ranks.local_batch(np.arange(8)))
    model = ranks.synced(net, device)
    if ranks.world_size() > 1:
        model = DistributedDataParallel(model, find_unused_parameters=True)
    torch.manual_seed(1)
    draws = ranks.gathered(ranks.uniform(2 * len(mine), 2))
    here = {name: there[mine].repeat(2) for name, there in present.items()}
    found_z = model(views[:, mine].flatten(0, 1), here)
    rows = {name: ranks.gathered(own) for name, own in found_z.items()}
    z = {name: rows[name] for name in SPACES}
    cross = {name: rows[f"cross {name}"] for name in PRESENT}
    batch = Projections(z, {"species": SPECIES}, present=present, cross=cross)
    loss, _ = total_loss(CASES[case], batch)
    loss.backward()  # type: ignore[no-untyped-call]
    found = {"loss": loss.detach(), "draws": draws}
    found |= {f"z {name}": own.detach() for name, own in rows.items()}
    found |= {f"d {n}": p.grad for n, p in net.named_parameters() if p.grad is not None}
    return found | {n: b.detach().clone() for n, b in net.named_buffers()}


#: Name of the case -> specimens in memory at a time (0: all), and who lacks UV.
CHUNKS = {"local": (0, []), "cached": (2, []), "cached, missing": (2, [0, 1, 5, 6])}


def after_gradient(case: str) -> dict[str, torch.Tensor]:
    """The same of a whole net with every term, by the function that trains it."""
    chunk, lacking = CHUNKS[case]
    sides, names = 64, ("rgb", "uv")
    experiment = Experiment.parse(
        {
            "collection": {"kind": "folder", "path": "."},
            "modalities": list(names),
            "encoder": {"backbone": "squeezenet1_1"},
            "image_size": sides,
            "head": {"hidden": 8, "out": 4},
            "losses": [{"kind": "nt_xent"}, {"kind": "cross_modal"}, {"kind": "local_patches"}],
            # alone, all at once: the gradient that caching must not change
            "runtime": {"chunk": chunk if ranks.world_size() > 1 else 0},
        }
    )
    coarse = np.random.default_rng(0).uniform(size=(8, 6, 8, 8)).astype(np.float32)
    crops = Crops(
        images=coarse.repeat(8, 2).repeat(8, 3),
        masks=np.ones((8, 1, sides, sides), dtype=np.bool_),
        ids=tuple("abcdefgh"),
        bands=Bands(Band(f"{name}{i}") for name in names for i in range(3)),
        modalities={"rgb": np.arange(3), "uv": np.arange(3, 6)},
        present={"rgb": np.ones(8, np.bool_), "uv": ~np.isin(np.arange(8), lacking)},
        mean=np.full(6, 0.5, np.float32),
        std=np.full(6, 0.3, np.float32),
    )
    net = build_model(experiment, crops.statistics).double().train()
    fabric = Fabric(accelerator="cpu", devices=1, plugins=[LightningEnvironment()])
    ranks.synced(net, fabric.device)
    model: nn.Module = net
    if ranks.world_size() > 1:
        model = DistributedDataParallel(net, find_unused_parameters=True)
    pipeline = InputPipeline(crops, augmenter(experiment, crops), net, 0, fabric.device)
    torch.manual_seed(1)
    objective = Gradient(experiment, crops, {}, pipeline, net, model, fabric)(np.arange(8), 3)
    found = {"loss": objective.loss.detach()}
    found |= {name: term.detach() for name, term in objective.terms.items()}
    found |= {f"d {n}": p.grad for n, p in net.named_parameters() if p.grad is not None}
    return found | {n: b.detach().clone() for n, b in net.named_buffers()}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each of two gloo ranks has after a backward pass, for every case."""
    folder = tmp_path_factory.mktemp("ranks")
    meeting = f"file://{folder / 'meeting'}"
    processes = [
        subprocess.Popen([sys.executable, __file__, folder, meeting, str(rank)]) for rank in (0, 1)
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    return folder


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_have_the_loss_and_the_gradients_of_one_process(shared: Path, case: str) -> None:
    alone = after_backward(case)
    assert any(name.startswith("d trunk.0") for name in alone)
    for rank in (0, 1):
        found = load_file(shared / f"{case}-{rank}.safetensors")
        used = {n for n in found if not n.startswith("d ") or found[n].abs().max() > 0}
        assert used <= alone.keys() <= found.keys()
        for name, value in alone.items():
            torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-10, msg=name)


@pytest.mark.parametrize("case", CHUNKS)
def test_two_ranks_have_every_term_and_gradient_of_one_process_whatever_is_in_memory(
    shared: Path, case: str
) -> None:
    alone = after_gradient(case)
    assert {"nt_xent", "cross_modal", "local_patches", "d patch_heads.1.2.weight"} <= alone.keys()
    assert "d cross_heads.1.3.weight" in alone
    assert float(alone["local_patches"]) > 0
    for rank in (0, 1):
        found = load_file(shared / f"{case}-{rank}.safetensors")
        assert found.keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-10, msg=name)


def test_alone_everything_is_what_it_was() -> None:
    rows = torch.randn(4, 3)
    net = Net()
    assert ranks.gathered(rows) is rows
    assert ranks.synced(net, torch.device("cpu")) is net
    assert not any(isinstance(module, ranks._SyncedBatchNorm) for module in net.modules())
    assert ranks.local_batch(np.arange(4)).tolist() == [0, 1, 2, 3]
    assert [ranks.any_rank(wish, torch.device("cpu")) for wish in (False, True)] == [False, True]


def main(folder: Path, meeting: str, rank: int) -> None:
    """What a rank does."""
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    for case in CASES:
        found = {n: value.contiguous() for n, value in after_backward(case).items()}
        save_file(found, folder / f"{case}-{ranks.rank()}.safetensors")
    for case in CHUNKS:
        found = {n: value.contiguous() for n, value in after_gradient(case).items()}
        save_file(found, folder / f"{case}-{ranks.rank()}.safetensors")
    wish = ranks.rank() == 1
    assert ranks.any_rank(wish, torch.device("cpu"))
    assert not ranks.any_rank(False, torch.device("cpu"))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
