"""Naming: what specimens of a run are, said of whole clusters or of some specimens."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from napari_phenoscape.embeddings import (
    METADATA,
    Clusters,
    Embeddings,
    clusters_path,
    labelled_today,
    labels_of,
    read_clusters,
    read_embeddings,
)
from napari_phenoscape.errors import OptionError, did_you_mean
from napari_phenoscape.events import Event, Saved
from napari_phenoscape.specimens import Labels, Source, read_labels, write_labels


def label(
    run: Path,
    label: str,
    name: str,
    *,
    clusters: Sequence[str] = (),
    specimens: Sequence[str] = (),
    space: str = "",
    source: Source | None = None,
) -> Generator[Event, None, Labels]:
    """Name specimens in the table beside the photographs, as the dock does; see `Labels`.

    Where there is no such table, what the metadata say of them goes into it too.

    Parameters
    ----------
    run
        With embeddings.
    label
        In which respect, e.g. ``morph``.
    name
        What they are; empty takes their names away.
    clusters, specimens
        Who: whole clusters, by name, and ids.
    space
        Whose embeddings and clusters: a modality, or the joint or only one.
    source
        Where the specimens came from, if not from the run's own collection.

    Raises
    ------
    OptionError
        Nobody is named, or there is no such cluster or specimen.
    MissingFileError
        The run has no embeddings, or no clusters, of this space.
    TableError, RunError
        The table is none of labels, or cannot be written.
    """
    embeddings, _ = yield from labelled_today(read_embeddings(run, space, source))
    table = embeddings.table
    chosen = [*_members(run, embeddings, clusters), *known_specimens(embeddings, specimens)]
    if not chosen:
        raise OptionError("Nobody is chosen; name a cluster, or the ids of specimens.")
    known = table[label].set_axis(table["specimen"]) if label in table.columns[METADATA:] else None
    labels = read_labels(embeddings.source, label, known).given(chosen, name)
    written = write_labels(labels, embeddings.source, table)
    yield Saved(written.path)
    return written


def _members(run: Path, embeddings: Embeddings, names: Sequence[str]) -> list[str]:
    """Ids of the specimens in the clusters of these names."""
    if not names:
        return []
    clusters = read_clusters(clusters_path(run, embeddings))
    numbers = numbers_of(clusters, names)
    of = zip(embeddings.ids, labels_of(embeddings.ids, clusters), strict=True)
    return [one for one, number in of if number in numbers]


def numbers_of(clusters: Clusters, names: Sequence[str]) -> list[int]:
    """Of all clusters of these names, which several may have; `OptionError` where none has one."""
    there = list(clusters.names.values())
    for name in names:
        if name not in there:
            raise OptionError(
                f"There is no cluster '{name}'. {did_you_mean(name, there)}Choose from "
                f"{', '.join(there)}."
            )
    return [number for number, name in clusters.names.items() if name in names]


def known_specimens(embeddings: Embeddings, ids: Sequence[str]) -> Sequence[str]:
    """These ids; `OptionError` where one is none."""
    there = set(embeddings.ids)
    for one in ids:
        if one not in there:
            raise OptionError(
                f"There is no specimen '{one}'. {did_you_mean(one, embeddings.ids)}The column "
                "'specimen' of the embeddings has their ids."
            )
    return ids
