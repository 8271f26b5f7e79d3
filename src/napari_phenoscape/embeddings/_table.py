"""Embeddings: one row of D numbers per specimen, and the files of a run that hold them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic
from napari_phenoscape.cubes import as_modality
from napari_phenoscape.errors import MissingFileError, RunError, did_you_mean
from napari_phenoscape.events import Event, Notice
from napari_phenoscape.specimens import Collection, Source, collect
from napari_phenoscape.training import Experiment, read_experiment

#: The first columns of the table of `Embeddings`; those after them are metadata.
OWN = ("specimen", "filename", "path", "row", "column")
METADATA = len(OWN)

#: Columns that tables with clusters, neighbours or votes add.
LATER = ("cluster", "cluster_name", "similarity", "vote", "share")


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
        Where the specimens came from, and where their pictures are.
    untrained
        Of the control: the net with the weights that training began with.
    """

    x: NDArray[np.float32]
    table: pd.DataFrame
    space: str
    source: Source
    untrained: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """N specimen ids."""
        return tuple(self.table["specimen"])

    def take(self, rows: NDArray[np.intp]) -> Embeddings:
        """Those of (n,) of the specimens."""
        return replace(self, x=self.x[rows], table=self.table.iloc[rows].reset_index(drop=True))


def embeddings_path(
    run: Path, space: str = "", source: Source | None = None, *, untrained: bool = False
) -> Path:
    """Where a run keeps the embeddings of one space and collection.

    ``RUN/embeddings/joint.parquet``; those of another collection than the run's own are in
    ``joint.others-1f2e3d4c.parquet``, those of the control in ``joint.untrained.parquet``.

    Parameters
    ----------
    space
        A modality, or ``joint``; empty for the joint or only one.
    source
        None for the run's own collection.
    """
    experiment = read_experiment(run)
    parts = [space or _first_space(experiment)]
    if source is not None:
        # a folder says the same whether it names the table that lies in it or not
        source = source.anchored(Path.cwd()).with_table
        if source != experiment.collection.with_table:
            key = hashlib.sha256(source.model_dump_json().encode()).hexdigest()[:8]
            parts.append(f"{source.path.stem}-{key}")
    if untrained:
        parts.append("untrained")
    return run / "embeddings" / f"{'.'.join(parts)}.parquet"


def _modalities(experiment: Experiment) -> list[str]:
    return [as_modality(modality).name for modality in experiment.modalities]


def _first_space(experiment: Experiment) -> str:
    names = _modalities(experiment)
    return names[0] if len(names) == 1 else "joint"


def clusters_path(run: Path, embeddings: Embeddings) -> Path:
    """Where a run keeps the clusters of some embeddings: ``RUN/clusters/joint.parquet``."""
    of = embeddings_path(run, embeddings.space, embeddings.source, untrained=embeddings.untrained)
    return run / "clusters" / of.name


def write_embeddings(embeddings: Embeddings, run: Path) -> list[Path]:
    """Write the embeddings into their files in a run, Parquet and beside it CSV.

    Raises
    ------
    RunError
        The disk is full or cannot be written; a file that was there stays.
    """
    path = embeddings_path(run, embeddings.space, embeddings.source, untrained=embeddings.untrained)
    columns = in_columns(embeddings.x)
    table = pd.concat([embeddings.table, columns], axis=1)
    with atomic(path) as temporary:
        temporary.parent.mkdir(exist_ok=True)
        table.to_parquet(temporary)
    with atomic(path.with_suffix(".csv")) as temporary:
        for_reading(embeddings.table, columns).to_csv(temporary, index=False)
    return [path, path.with_suffix(".csv")]


def read_embeddings(
    run: Path, space: str = "", source: Source | None = None, *, untrained: bool = False
) -> Embeddings:
    """The embeddings that `write_embeddings` wrote; parameters as in `embeddings_path`.

    Columns that other programs have added are metadata.

    Raises
    ------
    MissingFileError
        There are none of this space and collection.
    RunError
        The file is cut short, lacks what `write_embeddings` wrote, or cannot be read.
    """
    path = embeddings_path(run, space, source, untrained=untrained)
    if not path.is_file():
        modalities = _modalities(read_experiment(run))
        # of these specimens: files of others are no spaces
        there = [
            name
            for name in ("joint", *modalities)
            if embeddings_path(run, name, source, untrained=untrained).is_file()
        ]
        others = (" --collection …" if source else "") + (" --untrained" if untrained else "")
        way = f"embed the specimens first: `phenoscape embed {run}{others}`."
        if space not in ("", "joint", *modalities):
            way = f"train a run with '{space}' among its modalities."
        if there:
            way = f"name one that it has ({', '.join(there)}), or {way}"
        raise MissingFileError(
            f"The run '{run}' has no embeddings '{path.stem}'. "
            f"{did_you_mean(space, there)}{way[0].upper()}{way[1:]}"
        )
    x, table = _read(path)
    experiment = read_experiment(run)
    # a run that was moved says in its experiment where its specimens are now
    return Embeddings(
        x, table, space or _first_space(experiment), source or experiment.collection, untrained
    )


def _read(path: Path) -> tuple[NDArray[np.float32], pd.DataFrame]:
    """(N, D) numbers of a file, and its table with the columns in their order."""
    import pyarrow as pa

    try:
        whole = pd.read_parquet(path)
        dimensions = [f"x{i + 1}" for i in range(sum(map(is_dimension, whole)))]
        lacking = [name for name in (*OWN, *(dimensions or ["x1"])) if name not in whole]
        if lacking:
            raise ValueError(f"it has no column '{lacking[0]}'")
        if whole.empty:
            raise ValueError("it holds no specimens")
        if whole["specimen"].duplicated().any() or whole["specimen"].isna().any():
            raise ValueError("its specimens are not told apart by their ids")
        with np.errstate(over="ignore"):  # becomes infinite, which is refused where it matters
            x = whole[dimensions].to_numpy(np.float32)
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        refuse_unreadable(path, error)
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"'{path}' does not hold embeddings ({reason}); the columns {', '.join(OWN)}, x1, x2, "
            "... were expected. Embed the specimens again, or put a whole file there."
        ) from None
    rest = [name for name in whole if name not in {*OWN, *dimensions}]
    table = whole[[*OWN, *rest]].reset_index(drop=True)
    table.attrs = {}
    return x, table


def refuse_unreadable(path: Path, error: Exception) -> None:
    """Raise where it is the system that refuses a file of a run, which may be whole.

    Raises
    ------
    RunError
        The error has a number of the system's; of a damaged file, Arrow's have none.
    """
    if isinstance(error, OSError) and error.errno is not None:
        raise RunError(
            f"'{path}' cannot be read ({error.strerror}). Check its permissions and its disk, and "
            "try again."
        ) from None


def read_spaces(
    run: Path, source: Source | None = None, *, untrained: bool = False
) -> dict[str, Embeddings]:
    """The embeddings of every space that a run has of a collection, the joint one last.

    Raises
    ------
    MissingFileError
        There are none.
    """
    names = [as_modality(modality).name for modality in read_experiment(run).modalities]
    spaces = [
        space
        for space in [*names, *(["joint"] if len(names) > 1 else [])]
        if embeddings_path(run, space, source, untrained=untrained).is_file()
    ]
    return {
        space: read_embeddings(run, space, source, untrained=untrained) for space in spaces or [""]
    }


def embedded_collection(embeddings: Embeddings) -> Generator[Event, None, Collection]:
    """The specimens of some embeddings, in their order, from where they came.

    Others that are there by now are left out.

    Raises
    ------
    MissingFileError, CollectionError
        The source is gone, or some of the specimens are.
    """
    collection = yield from collect(embeddings.source)
    return collection.take(embeddings.ids)


def labelled_today(
    embeddings: Embeddings,
) -> Generator[Event, None, tuple[Embeddings, Collection]]:
    """Embeddings with the metadata of today, which may have been corrected since, and specimens.

    What changed is said. A column that only the file of the embeddings has stays.

    Raises
    ------
    MissingFileError, CollectionError
        As `embedded_collection`.
    """
    collection = yield from embedded_collection(embeddings)
    then, now = embeddings.table, table_of(collection)
    news = []
    for name in now.columns[METADATA:]:
        if name not in then:
            news.append(f"'{name}' is new")
        elif changed := int(
            (~(then[name].eq(now[name]) | (then[name].isna() & now[name].isna()))).sum()
        ):
            news.append(f"'{name}' of {changed} specimens changed")
    stay = [name for name in then.columns[METADATA:] if name not in now]
    if stay:
        news.append(f"{', '.join(map(repr, stay))} stays as embedded, for the metadata lacks it")
    if news:
        yield Notice(
            f"Since the specimens were embedded, {'; '.join(news)}. Today's metadata are used."
        )
    table = pd.concat([then[list(OWN)], now[now.columns[METADATA:]], then[stay]], axis=1)
    return replace(embeddings, table=table), collection


def table_of(collection: Collection) -> pd.DataFrame:
    """What is known of each specimen: the table of `Embeddings`.

    A column of the metadata that bears the name of one of ours becomes ``metadata.NAME``.
    """
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
    taken = {*own, *LATER}
    clash = [name for name in metadata if name in taken or is_dimension(name)]
    return pd.concat([own, metadata.rename(columns={n: f"metadata.{n}" for n in clash})], axis=1)


def in_columns(x: NDArray[np.float32]) -> pd.DataFrame:
    """(N, D) as columns x1, ..., xD."""
    return pd.DataFrame(x, columns=[f"x{i + 1}" for i in range(x.shape[1])])


def for_reading(table: pd.DataFrame, columns: pd.DataFrame) -> pd.DataFrame:
    """File name, x1..xD, then the rest: the order that other programs expect of a CSV."""
    rest = table.drop(columns="filename")
    return pd.concat([table[["filename"]], columns, rest], axis=1)


def is_dimension(column: object) -> bool:
    """Whether a column's name is x1, x2, ..."""
    return re.fullmatch(r"x\d+", str(column)) is not None
