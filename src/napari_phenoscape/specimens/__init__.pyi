from .collection._beside import source_at as source_at
from .collection._collect import AnySource as AnySource, collect as collect
from .collection._drawer import Drawer as Drawer
from .collection._folder import Folder as Folder
from .collection._labels import (
    LABELS as LABELS,
    Labels as Labels,
    label_names as label_names,
    labels_path as labels_path,
    read_labels as read_labels,
    write_labels as write_labels,
)
from .collection._nuisance import (
    FEWEST_OF_LEVEL as FEWEST_OF_LEVEL,
    SMALL as SMALL,
    Levels as Levels,
    Nuisance as Nuisance,
    association as association,
    levels_of_columns as levels_of_columns,
)
from .collection._specimens import (
    Collection as Collection,
    Skipped as Skipped,
    Source as Source,
    Specimen as Specimen,
    left_out as left_out,
)
from .crops._colour import (
    colour_quantiles as colour_quantiles,
    colour_statistics as colour_statistics,
    standardised as standardised,
)
from .crops._crops import Crops as Crops, without as without
from .crops._disk import key_of as key_of, store_words as store_words, stores_at as stores_at
from .crops._layout import together as together
from .crops._preparation import Preparation as Preparation
from .crops._prepare import kept as kept, prepare as prepare
from .crops._reading import TooFewError as TooFewError, check_measured as check_measured
from .crops._request import CropRequest as CropRequest
from .crops._statistics import BandStatistics as BandStatistics
from .finding._find import (
    Distances as Distances,
    Found as Found,
    find as find,
    find_regions as find_regions,
    found_at as found_at,
    measured as measured,
)
from .finding._finding import AUTO as AUTO, Finding as Finding, tallied as tallied
from .finding._ground import MASK_PX as MASK_PX, largest_piece as largest_piece, told as told
from .finding._pieces import Piece as Piece
