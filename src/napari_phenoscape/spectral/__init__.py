"""Pure maths on cubes: pictures for the eye, mean spectra; in blocks, never a whole cube."""

from napari_phenoscape.spectral.components import Components, principal_components
from napari_phenoscape.spectral.composites import (
    composite,
    false_colour,
    false_colour_bands,
    infrared_bands,
    rgb_bands,
    rgb_composite,
    yellow_blue_bands,
)
from napari_phenoscape.spectral.pictures import (
    COLOURS,
    COMPONENTS,
    FALSE_COLOUR,
    INFRARED,
    TRUE_COLOUR,
    YELLOW_BLUE,
    named_bands,
    picture,
    shown_bands,
    ways,
)
from napari_phenoscape.spectral.regions import mean_spectrum

__all__ = [
    "COLOURS",
    "COMPONENTS",
    "FALSE_COLOUR",
    "INFRARED",
    "TRUE_COLOUR",
    "YELLOW_BLUE",
    "Components",
    "composite",
    "false_colour",
    "false_colour_bands",
    "infrared_bands",
    "mean_spectrum",
    "named_bands",
    "picture",
    "principal_components",
    "rgb_bands",
    "rgb_composite",
    "shown_bands",
    "ways",
    "yellow_blue_bands",
]
