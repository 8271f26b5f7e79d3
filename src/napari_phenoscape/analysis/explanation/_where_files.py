"""Where, as files: a picture beside its maps for each specimen, the maps as TIFF, a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic
from napari_phenoscape.analysis._paper import INK
from napari_phenoscape.analysis.explanation._explanation import Explanation
from napari_phenoscape.analysis.explanation._where import Where, where_table
from napari_phenoscape.cubes import save_figure
from napari_phenoscape.spectra import FALSE_COLOUR, named_bands, rgb_bands, stretch, stretched

_TILE = 26 / 25.4
#: Pairs of a picture and its map side by side.
_ACROSS = 4


def write_where(explanation: Explanation, found: Where, folder: Path) -> list[Path]:
    """Write ``explanation-where.csv``, ``.png`` and ``.tif``; ``-where-exact.tif`` if there is one.

    The table is `where_table`. The TIFFs hold a plane of 32-bit numbers for each of its rows, NaN
    outside the specimen, which lies as in its crop: its longest side scaled to the whole plane.

    Raises
    ------
    RunError
        The disk is full or cannot be written.
    """
    table = where_table(found, explanation.table, explanation.clusters.names)
    written = [folder / "explanation-where.csv"]
    with atomic(written[0].absolute()) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    names = table["specimen"].tolist()
    for end, maps in (("", found.lost), ("-exact", found.exact)):
        path = folder / f"explanation-where{end}.tif"
        if maps is None:
            path.unlink(missing_ok=True)  # of other clusters
        else:
            write_planes(maps, names, path)
            written.append(path)
    written.append(folder / "explanation-where.png")
    where_figure(explanation, found, written[-1])
    return written


def write_planes(maps: NDArray[Any], names: Sequence[str], path: Path) -> None:
    """(n, S, S) as a TIFF of n planes, whose names ImageJ shows."""
    import tifffile

    with atomic(path.absolute()) as temporary:
        tifffile.imwrite(
            temporary,
            maps,
            imagej=True,
            metadata={
                "axes": "ZYX",
                "Labels": [name.encode("ascii", "replace").decode() for name in names],
            },
        )


def where_figure(explanation: Explanation, found: Where, path: Path) -> None:
    """Each specimen beside its map, cluster by cluster; maps of a cluster share their colours.

    Raises
    ------
    RunError
        The disk is full or cannot be written; a file that was there stays.
    """
    from matplotlib.figure import Figure

    bands = explanation.spectra.bands
    triple = list(named_bands(bands).get(FALSE_COLOUR) or rgb_bands(bands))
    shown = found.pictures[:, triple]
    limits = stretch(shown.swapaxes(0, 1)[:, found.masks])
    groups = [np.flatnonzero(found.own == number) for number in np.unique(found.own)]
    rows = sum(-(-len(group) // _ACROSS) for group in groups)
    figure = Figure(figsize=(2 * _ACROSS * _TILE, rows * _TILE + 0.8), layout="constrained")
    panels = figure.subplots(rows, 2 * _ACROSS, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    top = 0
    for group in groups:
        most = max(float(np.nanmax(found.lost[group])), 1e-6)
        for place, k in enumerate(group.tolist()):
            down, across = divmod(place, _ACROSS)
            left, right = panels[top + down, 2 * across : 2 * across + 2]
            picture = stretched(shown[k], limits)
            left.imshow(np.where(found.masks[k][..., None], picture, 255))
            drawn = right.imshow(found.lost[k], cmap="magma", vmin=0, vmax=most)
            name = str(explanation.table["specimen"].iloc[found.rows[k]])
            left.set_title(_end_of(name), size=5, color=INK, loc="left", parse_math=False)
        names = explanation.clusters.names
        own, other = (names[int(of[group[0]])] for of in (found.own, found.against))
        _scale(
            figure,
            drawn,
            panels[top : top + -(-len(group) // _ACROSS), -1],
            f"{own}\nagainst {other}",
        )
        top += -(-len(group) // _ACROSS)
    figure.suptitle("margin lost when the place is hidden", size=8, color=INK, x=0.01, ha="left")
    save_figure(figure, path)


def _scale(figure: Any, drawn: Any, beside: NDArray[Any], words: str) -> None:
    bar = figure.colorbar(drawn, ax=beside.tolist(), fraction=0.12, pad=0.05)
    bar.ax.tick_params(labelsize=6, length=2)
    bar.set_label(words, size=6, color=INK, parse_math=False)
    bar.outline.set_visible(False)


def _end_of(name: str, most: int = 26) -> str:
    return name if len(name) <= most else f"…{name[1 - most :]}"
