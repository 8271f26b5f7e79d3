"""How well the grid tells planted elements of the samples apart, with the local loss and without.

Every butterfly has round elements on its wings whose place is known (``patches.csv``). The grid of
an encoder is read at these places, in the whole specimen. Two numbers say what it knows of them:

- silhouette: of the elements by their material, within a species, by cosine distance (-1 to 1);
- found: share of elements whose most similar cell in another specimen of the species, of all
  cells that show specimen, is one that shows an element of that material.

Each way of training sees the same views in the same steps; the untrained net stands beside them.

    python docs/measure_patches.py [STEPS] [SEEDS]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import silhouette_score
from torch import Tensor
from torch.nn.functional import normalize

from napari_phenoscape.augmentations.pipeline import Augmenter
from napari_phenoscape.checkpoint import last_checkpoint, load_weights
from napari_phenoscape.collection import Collection
from napari_phenoscape.events import result
from napari_phenoscape.experiment import Experiment
from napari_phenoscape.losses.patches import _cells
from napari_phenoscape.model import SimCLR
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples.experiments import RGB_UV
from napari_phenoscape.store import Crops
from napari_phenoscape.training import build_model, specimens_of, train

#: Pixels of a view; the grid is 10 × 10, and a wing's large spot is about as wide as a cell.
SIZE, BACKBONE, SPECIMENS, BATCH = 160, "shufflenet_v2_x0_5", 96, 32
WAYS = {
    "nt_xent": [{"kind": "nt_xent"}],
    "nt_xent + local_patches": [{"kind": "nt_xent"}, {"kind": "local_patches"}],
    "the same, local_patches of weight 1": [
        {"kind": "nt_xent"},
        {"kind": "local_patches", "weight": 1.0},
    ],
}


def elements(folder: Path, collection: Collection, crops: Crops) -> pd.DataFrame:
    """Planted elements: number of the specimen; x, y and radius in its crop, pixels; material."""
    table = pd.read_csv(folder / "patches.csv")
    # drawn over the large spots, at the same centres
    table = table[~((table.element == "eyespot") & (table.individual % 2 == 1))]
    number = {int(one.path.stem.split("_")[2]): i for i, one in enumerate(collection.specimens)}
    side = crops.images.shape[-1]
    rows = []
    for spot in table.itertuples():
        i = number[spot.individual]
        row0, row1, column0, column1 = collection.specimens[i].box
        scale = side / max(row1 - row0, column1 - column0)
        x = (spot.column + 0.5 - (column0 + column1) / 2) * scale + side / 2 - 0.5
        y = (spot.row + 0.5 - (row0 + row1) / 2) * scale + side / 2 - 0.5
        rows.append((i, x, y, spot.radius * scale, spot.individual % 2, spot.material))
    return pd.DataFrame(rows, columns=["specimen", "x", "y", "radius", "species", "material"])


class Seen(NamedTuple):
    """The grids of all N specimens, and what they say at the M elements.

    Parameters
    ----------
    grids : (N, K, D)
        Unit vectors, after the mean of the specimen's own cells was taken away.
    inside : (N, K)
        Cells that show specimen.
    shows : (M, K)
        Cells of its specimen whose centre lies on an element.
    cells : (M,)
        The cell nearest to its centre.
    """

    grids: Tensor
    inside: Tensor
    shows: Tensor
    cells: Tensor


def seen(net: SimCLR, experiment: Experiment, crops: Crops, spots: pd.DataFrame) -> Seen:
    """What a net sees in the whole specimens."""
    views = Augmenter((), crops.bands, crops.mean, experiment.image_size, experiment.background)
    everyone = np.arange(len(crops.ids))
    view = views(
        torch.from_numpy(crops.images),
        torch.from_numpy(crops.masks),
        seed=0, step=0, specimens=everyone, view=0,
    )  # fmt: skip
    lattice = net.grid
    with torch.inference_mode():
        net.eval()
        images = view.image[:, torch.from_numpy(crops.modalities["rgb+uv"])]
        grid = torch.cat([net.encoders[0](part).grid for part in images.split(16)])
    vectors = grid.flatten(2).mT
    inside = _cells(view, lattice)[2]
    # what the places of a specimen have in common is not about places
    own = (vectors * inside[..., None]).sum(1, keepdim=True) / inside.sum(1)[:, None, None]
    vectors = normalize(vectors - own, dim=2)
    points = torch.from_numpy(spots[["x", "y"]].assign(one=1.0).to_numpy(np.float32))
    moved = torch.einsum("mij,mj->mi", view.matrix[spots.specimen.to_numpy()], points)[:, :2]
    x, y = (
        lattice.first + lattice.step * torch.arange(number)
        for number in (lattice.columns, lattice.rows)
    )
    centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1)
    away = torch.cdist(moved, centres)
    scale = experiment.image_size / crops.images.shape[-1]
    shows = away <= torch.tensor(spots.radius.to_numpy(np.float32) * scale)[:, None]
    return Seen(vectors, inside, shows, away.argmin(1))


def silhouette(found: Seen, spots: pd.DataFrame) -> float:
    """Mean over the species."""
    vectors = found.grids[spots.specimen.to_numpy(), found.cells].numpy()
    each = [
        silhouette_score(vectors[spots.species == one], spots.material[spots.species == one])
        for one in (0, 1)
    ]
    return float(np.mean(each))


def share_found(found: Seen, spots: pd.DataFrame) -> tuple[float, float]:
    """Share of elements that are found in the other specimens of their species, and by chance."""
    specimen, species = spots.specimen.to_numpy(), spots.species.to_numpy()
    cells, codes = found.cells.numpy(), pd.factorize(spots.material)[0]
    shows = np.zeros((codes.max() + 1, *found.inside.shape), dtype=bool)
    for code, number, cell, own in zip(codes, specimen, cells, found.shows.numpy(), strict=True):
        shows[code, number] |= own
        shows[code, number, cell] = True
    hits, chances = [], []
    for i in range(len(spots)):
        others = np.setdiff1d(specimen[(species == species[i])], specimen[i])
        similarity = found.grids[others] @ found.grids[specimen[i], cells[i]]
        similarity[~found.inside[others]] = -torch.inf
        best = similarity.argmax(1).numpy()
        hits.append(shows[codes[i], others, best].mean())
        showing, all_cells = shows[codes[i], others].sum(1), found.inside[others].sum(1).numpy()
        chances.append((showing / all_cells).mean())
    return float(np.mean(hits)), float(np.mean(chances))


def line(seed: int, way: str, found: Seen, spots: pd.DataFrame) -> str:
    """One row of the table."""
    share, chance = share_found(found, spots)
    return (
        f"seed {seed}, {way}: silhouette {silhouette(found, spots):.3f}, "
        f"found {share:.3f} (chance {chance:.3f})"
    )


def main(steps: int, seeds: int) -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "samples"
        result(write_samples(folder, specimens=SPECIMENS, size=SIZE, drawer=False))
        given = RGB_UV.anchored(folder).model_dump(mode="json")
        given |= {"image_size": SIZE, "runs": str(Path(name) / "runs")}
        given["encoder"] |= {"backbone": BACKBONE, "readout": {"skip": 1}}
        given["schedule"] |= {"steps": steps, "batch_size": BATCH, "checkpoint_every": steps}
        for seed in range(seeds):
            for way, losses in WAYS.items():
                experiment = Experiment.parse({**given, "seed": seed, "losses": losses})
                collection, crops = result(specimens_of(experiment))
                spots = elements(folder, collection, crops)
                net = build_model(experiment, crops)
                if way == "nt_xent":
                    found = seen(net, experiment, crops, spots)
                    print(line(seed, "untrained", found, spots), flush=True)
                load_weights(last_checkpoint(result(train(experiment))), net)
                found = seen(net, experiment, crops, spots)
                print(line(seed, way, found, spots), flush=True)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3]))
