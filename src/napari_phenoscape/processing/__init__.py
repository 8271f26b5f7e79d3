"""Processing of spectra: a cube becomes another cube, computed block by block when it is read."""

from napari_phenoscape.processing.angle import spectral_angle
from napari_phenoscape.processing.blocks import planes_of
from napari_phenoscape.processing.calibration import calibrated, region_reference
from napari_phenoscape.processing.continuum import without_continuum
from napari_phenoscape.processing.index import band_index
from napari_phenoscape.processing.smoothing import smoothed

__all__ = [
    "band_index",
    "calibrated",
    "planes_of",
    "region_reference",
    "smoothed",
    "spectral_angle",
    "without_continuum",
]
