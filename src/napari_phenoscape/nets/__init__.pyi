from ._beside import side_by_side as side_by_side
from ._descriptor import Descriptor as Descriptor
from ._encoder import Encoders as Encoders, of_present as of_present
from ._features_options import (
    AnyFeatures as AnyFeatures,
    DescriptorFeatures as DescriptorFeatures,
    PretrainedNetFeatures as PretrainedNetFeatures,
    pretrained_start as pretrained_start,
)
from ._fusion import joined as joined
from ._fusion_options import (
    AnyFusion as AnyFusion,
    Concatenate as Concatenate,
)
from ._grid import Grid as Grid
from ._heads import patch_head as patch_head, projection_head as projection_head
from ._linear_readout import LinearReadout as LinearReadout
from ._nets import check_backbone as check_backbone
from ._options import (
    PRETRAINED_PREFIX as PRETRAINED_PREFIX,
    Encoder as Encoder,
    ProjectionHead as ProjectionHead,
)
from ._places import PLACES_PX as PLACES_PX, PlacesNet as PlacesNet
from ._pretrained import (
    PRETRAINED as PRETRAINED,
    NetName as NetName,
    offline_net as offline_net,
)
from ._readout import (
    Affine as Affine,
    AnyReadout as AnyReadout,
    Contrast as Contrast,
    Plain as Plain,
)
from ._response import ResponseCurves as ResponseCurves
from ._stem import Mix as Mix, Stem as Stem
from ._stem_options import SpectralResponse as SpectralResponse, StemOption as StemOption
from ._weights import check_weights as check_weights
