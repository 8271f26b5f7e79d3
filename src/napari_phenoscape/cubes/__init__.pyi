from ._arrays import FileArray as FileArray, full_scale as full_scale
from ._bands import (
    REGION_ENDS_NM as REGION_ENDS_NM,
    RGB_NM as RGB_NM,
    Band as Band,
    Bands as Bands,
    Region as Region,
    spectral_region as spectral_region,
)
from ._blocks import row_blocks as row_blocks
from ._cube import Cube as Cube, describe as describe
from ._derived import (
    binned as binned,
    cropped as cropped,
    in_reflectance as in_reflectance,
)
from ._drawn import (
    figure_bytes as figure_bytes,
    is_drawn as is_drawn,
    refuse_no_png as refuse_no_png,
    save_drawn as save_drawn,
    save_figure as save_figure,
)
from ._interpretation import (
    Interpretation as Interpretation,
    scale_words as scale_words,
    without_scale as without_scale,
)
from ._joined import ConcatenatedBands as ConcatenatedBands, joined as joined
from ._labels import natural as natural
from ._lazy import IS_TURNED as IS_TURNED, LazyArray as LazyArray
from ._mapping import Mapping as Mapping, reading as reading
from ._modality import (
    BUILT_IN_MODALITIES as BUILT_IN_MODALITIES,
    VISUAL_SYSTEMS as VISUAL_SYSTEMS,
    Modality as Modality,
    as_modality as as_modality,
    known_modalities as known_modalities,
    visual_systems as visual_systems,
)
from ._open import (
    doubts as doubts,
    files_of as files_of,
    is_whole as is_whole,
    open_cube as open_cube,
    orientation_of as orientation_of,
    read_mask as read_mask,
    recognise as recognise,
)
from ._unmeasured import unmeasured_doubts as unmeasured_doubts, watched as watched
from ._write import ENVI_ENDINGS as ENVI_ENDINGS, write_cube as write_cube
from .readers._capture import (
    DARK as DARK,
    WHITE as WHITE,
    WHITE_DARK as WHITE_DARK,
    capture_around as capture_around,
    is_reference as is_reference,
    reference_of as reference_of,
    references_beside as references_beside,
)
from .readers._folder import as_shots as as_shots
from .readers._reader import CODED as CODED, Reader as Reader
from .readers._table import READERS as READERS, all_readers as all_readers
from .readers._zarr import is_store as is_store
