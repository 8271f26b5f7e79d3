"""Embeddings of a collection: one row of D numbers per specimen."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter

from napari_phenoscape._atomic import atomic
from napari_phenoscape.errors import CheckpointError, CollectionError, MissingFileError
from napari_phenoscape.events import Event, Progress, Saved
from napari_phenoscape.nets import SpectralResponse
from napari_phenoscape.specimens import AnySource, BandStatistics, Collection, Crops
from napari_phenoscape.training import (
    Experiment,
    augmenter,
    build_model,
    last_checkpoint,
    load_weights,
    read_experiment,
    read_state,
    specimens_for,
)

if TYPE_CHECKING:
    import torch

    from napari_phenoscape.training import Representations, SimCLR
    from napari_phenoscape.views import Augmenter

#: Specimens in one forward pass.
BATCH = 64

#: From this column on, the table of `Embeddings` holds metadata.
METADATA = 5


@dataclass(frozen=True, eq=False)
class Embeddings:
    """What an encoder makes of every specimen of a collection.

    Parameters
    ----------
    x : (N, D)
        One row per specimen, float32, as the encoder gave it (not unit length); NaN where a
        specimen lacks the modality.
    table
        N rows in the same order. Columns ``specimen`` (unique id), ``filename``, ``path``,
        ``row`` and ``column`` (centre of the specimen in its cube, pixels), then the metadata.
    space
        Whose embedding it is: a modality's name, or ``joint`` for several fused.
    source
        Where the specimens came from, None when they were not collected.
    """

    x: NDArray[np.float32]
    table: pd.DataFrame
    space: str
    source: AnySource | None = None


def embed(
    run: Path, source: AnySource | None = None, *, untrained: bool = False
) -> Generator[Event, None, dict[str, Embeddings]]:
    """Embed every specimen of a collection with the newest checkpoint of a run.

    Writes ``embeddings.parquet`` and ``.csv`` into the run (``embeddings-rgb...`` and so on for
    the single modalities, ``untrained...`` for the control).

    Parameters
    ----------
    run
        A run directory.
    source
        Other specimens than those that the run was trained on.
    untrained
        The control: the same net with the weights that training began with.

    Returns
    -------
    Embeddings by space: each modality, and ``joint`` when there are several.

    Raises
    ------
    CheckpointError
        The specimens do not have the bands that the run was trained on (a run with the stem
        ``spectral_response`` takes any that have wavelengths).
    """
    restored = yield from restore(run, source, untrained=untrained)
    whole = whole_views(restored)
    rows: dict[str, list[NDArray[np.float32]]] = {}
    for batch in batches(restored.crops):
        for space, h in restored.features(restored.images(whole, batch), batch).h.items():
            rows.setdefault(space, []).append(h.float().cpu().numpy())
        yield Progress("embedding specimens", int(batch[-1]) + 1, len(restored.crops.ids))
    table = _table(restored.collection)
    spaces = {
        space: Embeddings(np.concatenate(h), table, space, restored.source)
        for space, h in rows.items()
    }
    for space, embeddings in spaces.items():
        for suffix in (".parquet", ".csv"):
            path = embeddings_path(run, space if len(spaces) > 1 else "", untrained, suffix)
            write_embeddings(embeddings, path)
            yield Saved(path)
    return spaces


class Projections(NamedTuple):
    """Projections of two views of N specimens; NaN where one lacks the modality.

    Parameters
    ----------
    z : (2, N, P) each
        By space.
    cross : (2, N, P) each
        By modality, in the space of the loss ``cross_modal``; empty for a run without it.
    """

    z: dict[str, NDArray[np.float32]]
    cross: dict[str, NDArray[np.float32]]


def project(run: Path, *, untrained: bool = False) -> Generator[Event, None, Projections]:
    """Project two views of every specimen of a run, as the losses do, with its newest checkpoint.

    The views are made by the run's augmentations from random numbers that no training step uses.
    """
    restored = yield from restore(run, None, untrained=untrained)
    views = augmenter(restored.experiment, restored.crops)
    rows: dict[tuple[str, str], list[NDArray[np.float32]]] = {}
    for batch in batches(restored.crops):
        pair = [restored.features(restored.images(views, batch, view), batch) for view in (0, 1)]
        for kind in Projections._fields:
            for space in getattr(pair[0], kind):
                both = np.stack([getattr(one, kind)[space].float().cpu().numpy() for one in pair])
                if space in restored.crops.present:
                    both[:, ~restored.crops.present[space][batch]] = np.nan
                rows.setdefault((kind, space), []).append(both)
        yield Progress("projecting views", int(batch[-1]) + 1, len(restored.crops.ids))
    whole = {key: np.concatenate(parts, axis=1) for key, parts in rows.items()}
    return Projections(
        *({space: z for (of, space), z in whole.items() if of == kind} for kind in ("z", "cross"))
    )


def embedded_specimens(run: Path, embeddings: Embeddings) -> Generator[Event, None, Crops]:
    """The specimens of some embeddings of a run, in the same order.

    Raises
    ------
    CollectionError
        They are no longer the same, as `check_specimens` says.
    """
    _, crops = yield from specimens_for(run, embeddings.source)
    check_specimens(embeddings, crops.ids)
    return crops


def check_specimens(embeddings: Embeddings, ids: Sequence[str]) -> None:
    """Refuse (N,) specimens that are not those of the embeddings, in their order.

    Raises
    ------
    CollectionError
        Files were added, removed or renamed since.
    """
    known = embeddings.table["specimen"].tolist()
    if known != list(ids):
        odd = next(iter({*known} ^ {*ids}), "none, but another order")
        raise CollectionError(
            f"{len(known)} specimens were embedded, and {len(ids)} are there now (not in both: "
            f"{odd}). Embed and cluster them again."
        )


def embeddings_path(
    run: Path, space: str = "", untrained: bool = False, suffix: str = ".parquet"
) -> Path:
    """Where a run keeps its embeddings; the joint or only space has no name in it."""
    stem = "untrained" if untrained else "embeddings"
    return run / (stem + (f"-{space}" if space not in ("", "joint") else "") + suffix)


def write_embeddings(embeddings: Embeddings, path: Path) -> None:
    """Write ``.parquet`` (table, then x1..xD) or ``.csv`` (filename, x1..xD, then the rest)."""
    x = pd.DataFrame(embeddings.x, columns=[f"x{i + 1}" for i in range(embeddings.x.shape[1])])
    with atomic(path) as temporary:
        if path.suffix == ".csv":
            first, rest = embeddings.table[["filename"]], embeddings.table.drop(columns="filename")
            pd.concat([first, x, rest], axis=1).to_csv(temporary, index=False)
        else:
            whole = pd.concat([embeddings.table, x], axis=1)
            source = embeddings.source and embeddings.source.model_dump(mode="json")
            whole.attrs = {"space": embeddings.space, "source": source}
            whole.to_parquet(temporary)


def read_embeddings(path: Path) -> Embeddings:
    """Embeddings from a Parquet file that `write_embeddings` made."""
    if not path.is_file():
        stem = path.stem.partition("-")[0]
        spaces = [
            other.stem.removeprefix(f"{stem}-") for other in path.parent.glob(f"{stem}-*.parquet")
        ]
        way = (
            f"Name one of its spaces: {', '.join(sorted(spaces))}."
            if spaces
            else f"Run `phenoscape embed {path.parent}` first."
        )
        raise MissingFileError(f"There are no embeddings at '{path}'. {way}")
    whole = pd.read_parquet(path)
    columns = [f"x{i + 1}" for i in range(sum(map(_is_dimension, whole)))]
    x = whole[columns].to_numpy(np.float32)
    given = whole.attrs["source"]
    source = given and TypeAdapter(AnySource).validate_python(given)
    table = whole.drop(columns=columns)
    table.attrs = {}
    return Embeddings(x, table, whole.attrs["space"], source)


@dataclass(frozen=True, eq=False)
class Restored:
    """A run's net with the weights of its newest checkpoint, and specimens for it."""

    experiment: Experiment
    source: AnySource
    collection: Collection
    crops: Crops
    model: SimCLR
    device: torch.device

    def images(self, views: Augmenter, batch: NDArray[np.int64], view: int = 0) -> torch.Tensor:
        """(n, C, h, w) one view of some specimens, in reflectance."""
        import torch

        with torch.inference_mode():
            return views(
                torch.from_numpy(self.crops.images[batch]),
                torch.from_numpy(self.crops.masks[batch]),
                seed=self.experiment.seed,
                step=self.experiment.schedule.steps,
                specimens=batch,
                view=view,
            ).image

    def features(self, image: torch.Tensor, batch: NDArray[np.int64]) -> Representations:
        """Features and projections of (n, C, h, w) images of some specimens."""
        import torch

        from napari_phenoscape.training import present

        with torch.inference_mode():
            inputs = {
                name: image[:, torch.from_numpy(index)].to(self.device)
                for name, index in self.crops.modalities.items()
            }
            there = present(self.crops, batch, self.device) or None
            found: Representations = self.model(inputs, present=there)
        return found


def restore(
    run: Path, source: AnySource | None = None, *, untrained: bool = False
) -> Generator[Event, None, Restored]:
    """A run's net, and its specimens or those of another source. Raises as `embed` does."""
    from napari_phenoscape.training import fabric_of

    experiment = read_experiment(run)
    checkpoint = last_checkpoint(run)
    source = source or experiment.collection
    collection, crops = yield from specimens_for(run, source)
    known = read_state(checkpoint).statistics
    if not isinstance(experiment.encoder.stem, SpectralResponse):
        _check_bands(crops, known, run)
    net = build_model(experiment, crops.statistics, pretrained=False)
    if untrained:
        # built for the bands that training began with: curves begin where these lie
        net.load_state_dict(build_model(experiment, known).state_dict())
    else:
        load_weights(checkpoint, net, averaged=True)
    fabric = fabric_of(experiment.runtime)
    model = fabric.setup(net)
    net.eval()
    return Restored(experiment, source, collection, crops, model, fabric.device)


def whole_views(restored: Restored) -> Augmenter:
    """Whole specimens, as they are."""
    return augmenter(
        restored.experiment.model_copy(update={"augmentations": "none"}), restored.crops
    )


def batches(crops: Crops) -> Iterator[NDArray[np.int64]]:
    """Numbers of specimens that go through a net together."""
    number = len(crops.ids)
    for start in range(0, number, BATCH):
        yield np.arange(start, min(start + BATCH, number))


def _table(collection: Collection) -> pd.DataFrame:
    specimens = collection.specimens
    boxes = np.array([specimen.box for specimen in specimens])
    own = pd.DataFrame(
        {
            "specimen": [specimen.id for specimen in specimens],
            "filename": [specimen.path.name for specimen in specimens],
            "path": [str(specimen.path) for specimen in specimens],
            "row": (boxes[:, 0] + boxes[:, 1] - 1) / 2,
            "column": (boxes[:, 2] + boxes[:, 3] - 1) / 2,
        }
    )
    metadata = collection.metadata.reset_index(drop=True)
    clash = [name for name in metadata if name in own or _is_dimension(name)]
    return pd.concat([own, metadata.rename(columns={n: f"metadata.{n}" for n in clash})], axis=1)


def _check_bands(crops: Crops, known: Mapping[str, BandStatistics], run: Path) -> None:
    for name, own in crops.statistics.items():
        if own.bands != known[name].bands:
            raise CheckpointError(
                f"The specimens have other bands ({own.bands.words}) of the modality '{name}' than "
                f"run '{run.name}' was trained on ({known[name].bands.words}). Embed specimens of "
                "the same camera, or train a run on these."
            )


def _is_dimension(column: object) -> bool:
    """Whether a column's name is x1, x2, ..."""
    return re.fullmatch(r"x\d+", str(column)) is not None
