from ._encoder import Encoders as Encoders, of_present as of_present
from ._fusion import fusion as fusion, joined as joined
from ._grid import Grid as Grid
from ._heads import patch_head as patch_head, projection_head as projection_head
from ._options import (
    AnyFusion as AnyFusion,
    Concatenate as Concatenate,
    Encoder as Encoder,
    Joint as Joint,
    ProjectionHead as ProjectionHead,
    SpectralResponse as SpectralResponse,
)
from ._response import ResponseCurves as ResponseCurves
from ._stem import Mix as Mix
