"""How well the grid tells planted elements of the samples apart, with the local loss and without.

Every butterfly has round elements on its wings whose place is known (``patches.csv``). The grid of
an encoder is read in the whole specimen; what a cell shows is the element that its centre lies on,
or none. Four numbers say what the grid knows of them, each within a species (mean of both):

- silhouette: of the cells nearest to the elements' centres, by material (-1 to 1);
- found: share of elements whose most similar cell in another specimen that has such an element, of
  all its cells, shows one;
- 5-NN and linear probe: balanced accuracy of telling what a cell shows by the nearest cells of
  other specimens, and by a logistic regression (5 folds of specimens).

Similarity is by cosine, after the mean of the specimen's own cells was taken away. Each way of
training sees the same views in the same steps; the untrained net stands beside them.

    python docs/measure_patches.py [STEPS] [SEEDS] [STAGES THAT ARE SKIPPED]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, silhouette_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import normalize

from napari_phenoscape.events import result
from napari_phenoscape.losses._patches import _cells
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples._experiments import RGB_UV
from napari_phenoscape.specimens import Collection, Crops
from napari_phenoscape.training import (
    Experiment,
    SimCLR,
    build_model,
    last_checkpoint,
    load_weights,
    specimens_of,
    train,
)
from napari_phenoscape.views import Augmenter

#: Pixels of a view, in which eyespots are about 16 wide.
SIZE, BACKBONE, SPECIMENS, BATCH = 160, "shufflenet_v2_x0_5", 96, 32
WAYS = {
    "nt_xent": [{"kind": "nt_xent"}],
    "nt_xent + local_patches": [{"kind": "nt_xent"}, {"kind": "local_patches"}],
    "nt_xent + local_patches of weight 4": [
        {"kind": "nt_xent"},
        {"kind": "local_patches", "weight": 4.0},
    ],
    "local_patches": [{"kind": "local_patches"}],
}


def elements(folder: Path, collection: Collection, crops: Crops) -> pd.DataFrame:
    """Planted elements: number of the specimen; x, y and radius in its crop, pixels; material.

    Not ``visible`` are the UV patches without UV scales: they are like the wing around them.
    """
    table = pd.read_csv(folder / "patches.csv")
    # drawn over the large spots, at the same centres
    table = table[~((table.element == "eyespot") & (table.individual % 2 == 1))]
    number = {one: i for i, one in enumerate(collection.metadata["individual"])}
    morphs, side = collection.metadata["morph"].to_numpy(), crops.images.shape[-1]
    rows = []
    for spot in table.itertuples():
        i = number[spot.individual]
        row0, row1, column0, column1 = collection.specimens[i].box
        scale = side / max(row1 - row0, column1 - column0)
        x = (spot.column + 0.5 - (column0 + column1) / 2) * scale + side / 2 - 0.5
        y = (spot.row + 0.5 - (row0 + row1) / 2) * scale + side / 2 - 0.5
        plain = morphs[i] == "plain" and spot.element == "uv_patch"
        rows.append((i, x, y, spot.radius * scale, spot.material, not plain))
    return pd.DataFrame(rows, columns=["specimen", "x", "y", "radius", "material", "visible"])


class Seen(NamedTuple):
    """The grids of N specimens, and what they show.

    Parameters
    ----------
    grids : (N, K, D)
        As the encoder has them.
    units : (N, K, D)
        The same as unit vectors, after the mean of the specimen's own cells was taken away.
    shown : (N, K)
        Number of the material that a cell shows, from 1; 0: no element; -1: no specimen, or an
        element that is not visible.
    cells : (M,)
        The cell nearest to the centre of each element.
    """

    grids: NDArray[np.float32]
    units: NDArray[np.float32]
    shown: NDArray[np.int64]
    cells: NDArray[np.int64]


def seen(net: SimCLR, experiment: Experiment, crops: Crops, spots: pd.DataFrame) -> Seen:
    """What a net sees in the whole specimens."""
    views = Augmenter((), crops.bands, crops.mean, experiment.image_size, experiment.background)
    view = views(
        torch.from_numpy(crops.images),
        torch.from_numpy(crops.masks),
        seed=0, step=0, specimens=np.arange(len(crops.ids)), view=0,
    )  # fmt: skip
    with torch.inference_mode():
        net.eval()
        images = view.image[:, torch.from_numpy(crops.modalities["rgb+uv"])]
        grids = torch.cat([net.encoders[0](part).grid for part in images.split(16)])
    grids = grids.flatten(2).mT
    places, _, inside = _cells(view, net.grid)
    # what the places of a specimen have in common is not about places
    own = (grids * inside[..., None]).sum(1, keepdim=True) / inside.sum(1)[:, None, None]
    centres = torch.from_numpy(spots[["x", "y"]].to_numpy())
    specimen = spots.specimen.to_numpy()
    away = torch.cdist(centres[:, None], places[specimen])[:, 0].numpy()  # (M, K) pixels
    cells = away.argmin(1)
    shown = inside.numpy().astype(np.int64) - 1
    number = np.where(spots.visible, pd.factorize(spots.material)[0] + 1, -1)
    for i, each in enumerate(specimen):
        shown[each, away[i] <= max(spots.radius[i], away[i, cells[i]])] = number[i]
    return Seen(grids.numpy(), normalize(grids - own, dim=2).numpy(), shown, cells)


def share_found(found: Seen, spots: pd.DataFrame) -> tuple[float, float]:
    """Share of elements that are found in the other specimens that have them, and by chance."""
    hits, chances = [], []
    for spot, cell in zip(spots.itertuples(), found.cells, strict=True):
        number = found.shown[spot.specimen, cell]
        if number < 0:
            continue
        others = np.flatnonzero((found.shown == number).any(1))
        others = others[others != spot.specimen]
        similarity = found.units[others] @ found.units[spot.specimen, cell]
        shown = found.shown[others]
        best = np.where(shown < 0, -np.inf, similarity).argmax(1)
        hits.append((shown[np.arange(len(others)), best] == number).mean())
        chances.append(((shown == number).sum(1) / (shown >= 0).sum(1)).mean())
    return float(np.mean(hits)), float(np.mean(chances))


def accuracies(found: Seen, specimens: NDArray[np.int64]) -> tuple[float, float]:
    """Balanced accuracy of 5-NN and of the linear probe on the cells of some specimens."""
    specimen, cell = np.nonzero(found.shown[specimens] >= 0)
    specimen = specimens[specimen]
    shown, units = found.shown[specimen, cell], found.units[specimen, cell]
    nearest = np.empty_like(shown)
    kinds = np.unique(shown)
    for one in specimens:
        mine = specimen == one
        similarity = units[mine] @ units[~mine].T
        near = np.argpartition(-similarity, 5, axis=1)[:, :5]
        # the more similar ones decide between equally many
        weight = 1 + 1e-3 * np.take_along_axis(similarity, near, 1)
        votes = (shown[~mine][near][..., None] == kinds) * weight[..., None]
        nearest[mine] = kinds[votes.sum(1).argmax(1)]
    line = LogisticRegression(class_weight="balanced", max_iter=300, tol=1e-3)
    probed = cross_val_predict(
        make_pipeline(StandardScaler(), line),
        found.grids[specimen, cell], shown, groups=specimen, cv=GroupKFold(5),
    )  # fmt: skip
    return balanced_accuracy_score(shown, nearest), balanced_accuracy_score(shown, probed)


def line(seed: int, way: str, found: Seen, spots: pd.DataFrame, species: NDArray[np.str_]) -> str:
    """One row of the table."""
    each = []
    for one in np.unique(species):
        of_it = spots.visible.to_numpy() & (species[spots.specimen] == one)
        vectors = found.units[spots.specimen[of_it], found.cells[of_it]]
        silhouette = silhouette_score(vectors, spots.material[of_it], metric="cosine")
        each.append((silhouette, *accuracies(found, np.flatnonzero(species == one))))
    silhouette, nearest, probe = np.mean(each, axis=0)
    share, chance = share_found(found, spots)
    return (
        f"seed {seed}, {way}: silhouette {silhouette:.2f}, found {share:.2f} "
        f"(chance {chance:.2f}), 5-NN {nearest:.2f}, linear probe {probe:.2f}"
    )


def main(steps: int = 100, seeds: int = 3, skip: int = 2) -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "samples"
        result(write_samples(folder, specimens=SPECIMENS, size=SIZE, drawer=False))
        given = RGB_UV.anchored(folder).model_dump(mode="json")
        given |= {"image_size": SIZE, "runs": str(Path(name) / "runs")}
        given["encoder"] |= {"backbone": BACKBONE, "pooling": {"skip": skip}}
        given["schedule"] |= {"steps": steps, "batch_size": BATCH, "checkpoint_every": steps}
        for seed in range(seeds):
            for way, losses in WAYS.items():
                experiment = Experiment.parse({**given, "seed": seed, "losses": losses})
                collection, crops = result(specimens_of(experiment))
                species = collection.metadata["species"].to_numpy(dtype=str)
                spots = elements(folder, collection, crops)
                net = build_model(experiment, crops.statistics)
                if way == "nt_xent":
                    found = seen(net, experiment, crops, spots)
                    print(line(seed, "untrained", found, spots, species), flush=True)
                load_weights(last_checkpoint(result(train(experiment))), net)
                found = seen(net, experiment, crops, spots)
                print(line(seed, way, found, spots, species), flush=True)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:4]))
