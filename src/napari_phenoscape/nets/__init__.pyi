from ._encoder import Encoders as Encoders, of_present as of_present
from ._fusion import joined as joined
from ._fusion_options import (
    AnyFusion as AnyFusion,
    Concatenate as Concatenate,
)
from ._grid import Grid as Grid
from ._heads import patch_head as patch_head, projection_head as projection_head
from ._options import (
    Encoder as Encoder,
    ProjectionHead as ProjectionHead,
)
from ._response import ResponseCurves as ResponseCurves
from ._stem import Mix as Mix, Stem as Stem
from ._stem_options import SpectralResponse as SpectralResponse, StemOption as StemOption
