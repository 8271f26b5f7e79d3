"""Cells: a specimen cut into pieces that follow its own pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Bands
from napari_phenoscape.embeddings import Restored
from napari_phenoscape.training import Looks

if TYPE_CHECKING:
    from napari_phenoscape.views import Views

#: Cells that a specimen is cut into, about.
CELLS = 40

#: Weight of nearness in the picture over likeness; small, so that cells follow edges.
COMPACTNESS = 0.1

#: More bands than so many are cut by the means of so many groups of neighbours.
GROUPS = 16

#: Standard deviations of the collection beyond which a pixel is not more unlike.
FAR = 3.0


def as_it_is(net: Restored) -> Looks:
    """One view of each specimen: all of it, nothing at random."""
    return Looks(net.experiment, net.crops, 0, net.device)


def numbers_of(view: Views) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(n, C, S, S) reflectance and (n, S, S) masks of views; an empty mask is the whole picture."""
    masks = view.mask[:, 0].cpu().numpy()
    masks |= ~masks.any(axis=(1, 2), keepdims=True)
    return view.image.float().cpu().numpy(), masks


def cells_of(
    image: NDArray[np.floating[Any]],
    mask: NDArray[np.bool_],
    bands: Bands,
    mean: NDArray[np.floating[Any]],
    std: NDArray[np.floating[Any]],
    number: int = CELLS,
) -> NDArray[np.int64]:
    """(S, S) cells from 1 on, 0 outside the mask: superpixels [1]_ of standardised bands.

    Parameters
    ----------
    image, mask : (C, S, S), (S, S)
        Reflectance, and True on the specimen.
    bands, mean, std : (C,) each
        Of the collection.
    number
        Of cells, about.

    References
    ----------
    .. [1] Achanta et al. 2012, SLIC superpixels. https://doi.org/10.1109/TPAMI.2012.120
    """
    from skimage.segmentation import slic

    standard = ((image - mean[:, None, None]) / std[:, None, None]).clip(-FAR, FAR)
    found: NDArray[np.int64] = slic(
        np.ascontiguousarray(grouped(standard, bands).transpose(1, 2, 0), dtype=np.float64),
        n_segments=number,
        compactness=COMPACTNESS,
        mask=mask,
        channel_axis=-1,
        start_label=1,
        convert2lab=False,
    )
    return np.where(mask, found, 0)


def grouped(values: NDArray[np.floating[Any]], bands: Bands) -> NDArray[np.floating[Any]]:
    """(C, ...) numbers as they are; of many bands the means of groups of neighbours, by nm."""
    if len(bands) <= GROUPS:
        return values
    by_nm = np.array_split(np.argsort(bands.x, kind="stable"), GROUPS)
    return np.stack([values[group].mean(axis=0) for group in by_nm])
