"""Vision: what an animal's eye catches of a cube, and true colour for ours."""

from napari_phenoscape.vision.srgb import true_colour

__all__ = ["true_colour"]
