"""What the Clusters dock asks for, and the verbs that it runs beside the window."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape.analysis import (
    CLUSTER,
    LIKENESS,
    MEAN_OF,
    coloured,
    colourings,
    laid_out,
    look,
    report,
)
from napari_phenoscape.embeddings import (
    METADATA,
    Embeddings,
    check_specimens,
    cluster,
    clusters_path,
    embed,
    embedded_collection,
    embedded_specimens,
    pictured,
    pictures,
    read_clusters,
    read_spaces,
    reduce,
    thumbnails,
    write_clusters,
)
from napari_phenoscape.errors import MissingFileError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.layers import sheet_layer
from napari_phenoscape.option import Option
from napari_phenoscape.specimens import Drawer, Source
from napari_phenoscape.spectra import COLOURS, FALSE_COLOUR
from napari_phenoscape.training import (
    EXPERIMENT,
    PCA,
    Grouping,
    Reduction,
    crops_for,
    keep_grouping,
    read_experiment,
)
from napari_phenoscape.widgets._clustered import (
    Appearance,
    Backdrop,
    ClusteredRun,
    EmbeddedSpaces,
    Looked,
    Projection2D,
)
from napari_phenoscape.widgets._mapping import reduce_apart
from napari_phenoscape.widgets._settings import settings

#: Side in pixels of a specimen on the contact sheet.
THUMBNAIL = 64

#: Bytes of specimens that are kept for other pictures; larger ones are read again.
KEPT = 500_000_000

T = TypeVar("T")


class Embedding(Option):
    """Which run embeds which specimens."""

    run: Path = Field(description="run directory", json_schema_extra={"picks": "folder"})
    specimens: Literal["of the run", "collected"] = Field(
        "of the run",
        description="its own, or those that were collected in the dock Specimens, which the run "
        "need not know",
    )
    untrained: bool = Field(
        False, description="the control: the same net with the weights that training began with"
    )


def looked(given: Path | Source, runs: Path) -> Generator[Event, None, Looked]:
    """A first look at specimens, with all that the window shows of it; see `look`."""
    seen = yield from look(given, runs)
    spaces = yield from opened(seen.run)
    grouping, space = seen.experiment.grouping, seen.embeddings.space
    clustered = yield from group(spaces, space, grouping, None, anew=False)
    return Looked(seen, spaces, clustered)


def opened(run: Path) -> Generator[Event, None, EmbeddedSpaces]:
    """The embeddings of a run, and its clusters if it has any."""
    yield Progress("reading the run", 0, 1)
    if not (run / "embeddings").is_dir():
        raise MissingFileError(
            f"'{run}' holds no embeddings yet. Press 'Embed' to make them from its checkpoint."
        )
    spaces = read_spaces(run)
    shown = spaces.get(read_experiment(run).grouping.space, list(spaces.values())[-1])
    path = clusters_path(run, shown)
    return EmbeddedSpaces(run, spaces, read_clusters(path) if path.is_file() else None)


def embedded(chosen: Embedding, collected: Source | None) -> Generator[Event, None, EmbeddedSpaces]:
    """The specimens of a run, or those that were collected, embedded now."""
    source = collected if chosen.specimens == "collected" else None
    spaces = yield from located(chosen.run, embed(chosen.run, source, untrained=chosen.untrained))
    return EmbeddedSpaces(chosen.run, spaces)


def located(run: Path, verb: Generator[Event, None, T]) -> Generator[Event, None, T]:
    """A verb on the specimens of a run; when they are not here, the error says the way out."""
    try:
        return (yield from verb)
    except MissingFileError as error:
        if not (run / EXPERIMENT).is_file() or read_experiment(run).collection.path.exists():
            raise
        raise MissingFileError(
            f"The specimens that '{run}' was trained on are not here. {error} Write where they are "
            f"into '{run / EXPERIMENT}', as the path of its collection."
        ) from None


def group(
    embedded: EmbeddedSpaces,
    space: str,
    grouping: Grouping,
    previous: ClusteredRun | None,
    *,
    anew: bool,
) -> Generator[Event, None, ClusteredRun]:
    """Cluster the embeddings of a run, write the clusters, and draw the first map, by PCA.

    Parameters
    ----------
    grouping
        By what; it becomes that of the run's experiment.
    previous
        Whose numbers, names and colours carry over to the same specimens, and whose picture is
        taken when it is of these embeddings.
    anew
        Else the clusters that the run was opened with are taken, if they are of this space.
    """
    run, embeddings = embedded.run, embedded.spaces[space]
    method, seed = grouping.method, grouping.seed
    yield Progress("clustering", 0, 1)
    ids = embeddings.ids
    clusters = embedded.clusters
    if anew or clusters is None or clusters.specimens != ids or clusters.space not in ("", space):
        if previous is not None and previous.is_of_specimens_of(embeddings):
            clusters = previous.clusters
        clusters = cluster(embeddings.x, ids, method, seed, clusters, space, grouping.palette)
        write_clusters(clusters, clusters_path(run, embeddings))
        is_main = space == list(embedded.spaces)[-1]
        keep_grouping(run, grouping.model_copy(update={"space": "" if is_main else space}))
    if previous is not None and previous.embeddings in embedded.spaces.values():
        backdrop = previous.backdrop
    else:
        backdrop = yield from located(run, backdrop_of(run, embeddings))
    first_map = projection(embeddings, PCA(), reduce(embeddings.x, PCA(), seed))
    seen = ClusteredRun(run, embeddings, clusters, first_map, backdrop)
    # in the light that the embeddings are made of, as the figures of the command line
    first = settings().picture
    if first not in backdrop.ways:
        first = FALSE_COLOUR if FALSE_COLOUR in backdrop.ways else COLOURS
    asked = Appearance(first) if previous is None else previous.appearance
    offered = zip(asked, asked_of(seen), strict=True)
    asked = Appearance(*(one if one in ways else ways[0] for one, ways in offered))
    if previous is not None and backdrop is previous.backdrop:
        seen = replace(seen, appearance=previous.appearance)  # whose pictures these are
    return (yield from dressed(seen, asked))


def reported(clustered: ClusteredRun) -> Generator[Event, None, Path]:
    """The page of a run, of the clusters and the map that are shown; see `report`."""
    embeddings, run = clustered.embeddings, clustered.run
    shown = replace(clustered.clusters, xy=clustered.map.xy, map=clustered.map.method)
    write_clusters(shown, clusters_path(run, embeddings))
    source, untrained = embeddings.source, embeddings.untrained
    return (yield from located(run, report(run, source=source, untrained=untrained)))


def asked_of(clustered: ClusteredRun) -> tuple[tuple[str, ...], ...]:
    """What specimens can be pictured, coloured and laid out by."""
    table, backdrop = clustered.table, clustered.backdrop
    columns = [str(name) for name in table.columns[METADATA:]]
    orders = tuple(dict.fromkeys([CLUSTER, LIKENESS, *columns]))
    return backdrop.ways, colourings(table, backdrop.bands), orders


def dressed(clustered: ClusteredRun, asked: Appearance) -> Generator[Event, None, ClusteredRun]:
    """The same specimens in other pictures, colours, and another order."""
    embeddings, clusters, backdrop = clustered.embeddings, clustered.clusters, clustered.backdrop
    known = replace(embeddings, table=clustered.table)  # with what specimens were named
    repaint = asked.picture != clustered.appearance.picture
    if repaint or asked.colour.startswith(MEAN_OF):
        crops = backdrop.crops
        if crops is None:
            crops = yield from embedded_specimens(clustered.run, embeddings)
        if repaint:
            yield Progress(f"drawing specimens in {asked.picture}", 0, 1)
            side = backdrop.pictures.shape[1]
            backdrop = replace(backdrop, pictures=pictured(crops, side, asked.picture))
    else:
        crops = None
    by_cluster = asked.colour == CLUSTER
    colouring = None
    if not by_cluster:
        yield Progress(f"colouring by {asked.colour}", 0, 1)
        colouring = yield from coloured(asked.colour, known, clusters, crops)
    layout = None if asked.order == CLUSTER else laid_out(asked.order, known, clusters)
    seen = replace(
        clustered,
        backdrop=backdrop,
        appearance=asked,
        coloured=colouring,
        layout=layout,
        so_far=None,
    )
    # here, and not where the window would wait for them
    _ = seen.centres, backdrop.cube is not None or sheet_layer(seen.sheet)
    return seen


def mapped(
    embedded: EmbeddedSpaces, space: str, grouping: Grouping
) -> Generator[Event, None, tuple[Embeddings, Projection2D]]:
    """The map by the method that was asked for, and whose it is."""
    embeddings, method = embedded.spaces[space], grouping.map
    xy = yield from reduce_apart(embeddings.x, method, grouping.seed)
    return embeddings, projection(embeddings, method, xy)


def projection(embeddings: Embeddings, method: Reduction, xy: NDArray[np.float32]) -> Projection2D:
    """A map of some embeddings, that says what it is."""
    control = ", untrained" if embeddings.untrained else ""
    return Projection2D(xy, f"{method.kind} of {embeddings.space}{control}", method)


def backdrop_of(run: Path, embeddings: Embeddings) -> Generator[Event, None, Backdrop]:
    """The picture of the embedded specimens, whatever was added to their folder since."""
    collection = yield from embedded_collection(embeddings)
    boxes = np.array([specimen.box for specimen in collection.specimens])
    sides = np.maximum(boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]).astype(np.float64)
    centres = (boxes[:, [0, 2]] + boxes[:, [1, 3]] - 1) / 2
    crops = yield from crops_for(run, collection)
    check_specimens(embeddings, crops.ids)
    cube = collection.specimens[0].path if isinstance(embeddings.source, Drawer) else None
    return Backdrop(
        thumbnails(crops, thumbnail_side(len(boxes))),
        cube,
        centres,
        sides,
        pictures(crops),
        tuple(crops.bands.names),
        crops if crops.folder is not None or np.prod(crops.images.shape) * 4 <= KEPT else None,
    )


def thumbnail_side(count: int) -> int:
    """Side of so many thumbnails, so that they take 300 MB or so at most."""
    return next((side for side, most in ((64, 20_000), (32, 100_000)) if count <= most), 16)
