"""Editing: clusters of a run changed by hand, as the dock does."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from napari_phenoscape.analysis._cluster_run import cluster_panel
from napari_phenoscape.analysis._figures import cluster_figure
from napari_phenoscape.analysis._naming import known_specimens, numbers_of
from napari_phenoscape.embeddings import (
    Clusters,
    clusters_path,
    excluded,
    labels_of,
    merged,
    read_clusters,
    read_embeddings,
    regrouped,
    split,
    write_clusters,
)
from napari_phenoscape.errors import OptionError
from napari_phenoscape.events import Event, Progress, Saved
from napari_phenoscape.specimens import Source
from napari_phenoscape.training import Clustering, read_experiment


def edit_clusters(
    run: Path,
    *,
    merge: Sequence[str] = (),
    split_up: str = "",
    leave_out: Sequence[str] = (),
    again: Sequence[str] = (),
    rename: tuple[str, str] | None = None,
    space: str = "",
    source: Source | None = None,
) -> Generator[Event, None, Clusters]:
    """Change the clusters of a run in one way; they, and their figure, are written anew.

    Parameters
    ----------
    run
        With clusters.
    merge
        Names of clusters that become one.
    split_up
        The name of one that becomes two.
    leave_out, again
        Ids of specimens that are in no cluster any more; that are clustered by themselves, by the
        method of the run's grouping.
    rename
        The name of a cluster, and its new one.
    space
        Whose clusters: a modality, or the joint or only one.
    source
        Where the specimens came from, if not from the run's own collection.

    Raises
    ------
    OptionError
        None of these is asked for, or several; there is no such cluster or specimen, or there are
        several to split or rename; the new name is empty.
    MissingFileError
        The run has no embeddings, or no clusters, of this space.
    CollectionError
        The clusters are of other specimens.
    """
    asked = [one for one in (merge, split_up, leave_out, again, rename) if one]
    if len(asked) != 1:
        raise OptionError(
            f"Clusters are changed in one way at a time, and {len(asked)} are asked for. Choose to "
            "merge or to split clusters, to leave specimens out, to cluster some again, or to "
            "rename a cluster."
        )
    embeddings = read_embeddings(run, space, source)
    path = clusters_path(run, embeddings)
    before = read_clusters(path)
    labels_of(embeddings.ids, before)  # or they are of others
    rows = {one: row for row, one in enumerate(embeddings.ids)}
    x = embeddings.x[[rows[one] for one in before.specimens]]
    if merge:
        after = merged(before, numbers_of(before, merge))
    elif split_up:
        after = split(before, _only(before, split_up), x)
    elif leave_out:
        after = excluded(before, known_specimens(embeddings, leave_out))
    elif again:
        method: Clustering = read_experiment(run).grouping.method
        after = regrouped(before, known_specimens(embeddings, again), x, method)
    else:
        assert rename is not None  # or nothing was asked for
        after = renamed(before, _only(before, rename[0]), rename[1])
    write_clusters(after, path)
    yield Saved(path)
    if after.xy is not None:
        yield Progress("drawing the figure", 0, 1)
        panel = yield from cluster_panel(run, embeddings, after)
        cluster_figure([panel], path.with_suffix(".png"))
        yield Saved(path.with_suffix(".png"))
    return after


def _only(clusters: Clusters, name: str) -> int:
    numbers = numbers_of(clusters, [name])
    if len(numbers) > 1:
        raise OptionError(
            f"{len(numbers)} clusters are called '{name}', and one was expected. Merge them, or "
            "give one another name in the dock Clusters."
        )
    return numbers[0]


def renamed(clusters: Clusters, number: int, name: str) -> Clusters:
    """The same with another name for one.

    Raises
    ------
    OptionError
        The name is empty.
    """
    if not name.strip():
        raise OptionError("A cluster without a name could not be found again; type one.")
    return replace(clusters, names={**clusters.names, number: name.strip()})
