"""Ranks: two processes that share every batch compute what one computes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torchvision.ops import StochasticDepth

from napari_phenoscape import ranks
from napari_phenoscape.encoders.encoder import of_present
from napari_phenoscape.losses import CrossModal, Loss, NTXent, Projected, total_loss

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
    """Batch norms in 2-D and 1-D, stochastic depth; a head per space, one maybe unused."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 6)
        )
        self.depth = StochasticDepth(0.4, "row")
        self.heads = nn.ModuleDict(
            {name: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 5)) for name in SPACES}
        )

    def forward(
        self, images: torch.Tensor, present: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        h = 1 + self.depth(self.trunk(images))
        z = {}
        for name, head in self.heads.items():
            there = present.get(name, torch.ones(len(h), dtype=torch.bool))
            (z[name],) = of_present(lambda rows, head=head: [head(rows)], h, there, [(5,)])
        return z


def after_backward(case: str) -> dict[str, torch.Tensor]:
    """Loss, gradients and running statistics of one batch of 8 specimens in float64."""
    present = PRESENT if case == "missing" else {}
    torch.manual_seed(0)
    net, device = Net().double(), torch.device("cpu")
    views = torch.randn(2, 8, 2, 6, 6, dtype=torch.float64)
    mine = torch.from_numpy(ranks.share(np.arange(8)))
    model = ranks.synced(net, device)
    if ranks.number() > 1:
        model = DistributedDataParallel(model, find_unused_parameters=True)
    torch.manual_seed(1)
    draws = ranks.gathered(ranks.uniform(2 * len(mine), 2))
    here = {name: there[mine].repeat(2) for name, there in present.items()}
    found_z = model(views[:, mine].flatten(0, 1), here)
    z = {name: ranks.gathered(rows) for name, rows in found_z.items()}
    loss, _ = total_loss(CASES[case], Projected(z, {"species": SPECIES}, present))
    loss.backward()  # type: ignore[no-untyped-call]
    found = {"loss": loss.detach(), "draws": draws}
    found |= {f"z {name}": rows.detach() for name, rows in z.items()}
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


def test_alone_everything_is_what_it_was() -> None:
    rows = torch.randn(4, 3)
    net = Net()
    assert ranks.gathered(rows) is rows
    assert ranks.synced(net, torch.device("cpu")) is net
    assert not any(isinstance(module, ranks._SyncedBatchNorm) for module in net.modules())
    assert ranks.share(np.arange(4)).tolist() == [0, 1, 2, 3]
    assert [ranks.any_rank(wish, torch.device("cpu")) for wish in (False, True)] == [False, True]


def main(folder: Path, meeting: str, rank: int) -> None:
    """What a rank does."""
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    for case in CASES:
        found = {n: value.contiguous() for n, value in after_backward(case).items()}
        save_file(found, folder / f"{case}-{ranks.rank()}.safetensors")
    wish = ranks.rank() == 1
    assert ranks.any_rank(wish, torch.device("cpu"))
    assert not ranks.any_rank(False, torch.device("cpu"))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
