from ._cubes import (
    OUTLINES as OUTLINES,
    cube_layers as cube_layers,
    derived_layer as derived_layer,
    get_reader as get_reader,
    part_layers as part_layers,
    picture_layer as picture_layer,
    plane_layer as plane_layer,
    regions_layer as regions_layer,
)
from ._maps import (
    FRAMES as FRAMES,
    chosen_layer as chosen_layer,
    elements_layer as elements_layer,
    frame_colours as frame_colours,
    points_layer as points_layer,
    sheet_layer as sheet_layer,
    where_layer as where_layer,
)
from ._samples import drawer_layers as drawer_layers, specimen_layers as specimen_layers
from ._save import write_layer as write_layer
from ._views import view_layers as view_layers
