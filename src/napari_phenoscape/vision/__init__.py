"""Vision: what an eye catches of a cube, and true colour for ours."""

from napari_phenoscape.cube import VISUAL_SYSTEMS
from napari_phenoscape.vision.camera import CameraModel, read_camera_model
from napari_phenoscape.vision.catch import Eye, catch_weights, cone_catch, read_eye
from napari_phenoscape.vision.illuminant import ILLUMINANTS, Illuminant, illuminant
from napari_phenoscape.vision.srgb import true_colour
from napari_phenoscape.vision.systems import VisualSystem
from napari_phenoscape.vision.tetrahedron import Tetrahedral, relative_catches, tetrahedral
from napari_phenoscape.vision.widened import widened

__all__ = [
    "ILLUMINANTS", "VISUAL_SYSTEMS", "CameraModel", "Eye", "Illuminant", "Tetrahedral",
    "VisualSystem", "catch_weights", "cone_catch", "illuminant", "read_camera_model",
    "read_eye", "relative_catches", "tetrahedral", "true_colour", "widened",
]  # fmt: skip
