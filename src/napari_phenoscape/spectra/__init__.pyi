from ._angle import spectral_angle as spectral_angle
from ._blocks import planes_of as planes_of
from ._calibration import calibrated as calibrated, region_reference as region_reference
from ._components import Components as Components, principal_components as principal_components
from ._composites import (
    composite as composite,
    false_colour_bands as false_colour_bands,
    infrared_bands as infrared_bands,
    rgb_bands as rgb_bands,
    stretch as stretch,
    stretched as stretched,
    yellow_blue_bands as yellow_blue_bands,
)
from ._continuum import without_continuum as without_continuum
from ._convert import (
    Angles as Angles,
    Catches as Catches,
    Index as Index,
    Measure as Measure,
    Part as Part,
    convert as convert,
)
from ._index import band_index as band_index
from ._patches import standard_box as standard_box
from ._picture_file import write_picture as write_picture
from ._pictures import (
    COLOURS as COLOURS,
    COMPONENTS as COMPONENTS,
    FALSE_COLOUR as FALSE_COLOUR,
    INFRARED as INFRARED,
    TRUE_COLOUR as TRUE_COLOUR,
    YELLOW_BLUE as YELLOW_BLUE,
    named_bands as named_bands,
    picture as picture,
    shown_bands as shown_bands,
    ways as ways,
)
from ._references import (
    files_with_references as files_with_references,
    open_calibrated as open_calibrated,
)
from ._regions import mean_spectrum as mean_spectrum
from ._shapes import smallest_box as smallest_box
from ._smoothing import smoothed as smoothed
from ._spectra import (
    Spectrum as Spectrum,
    angles_to as angles_to,
    mean_of as mean_of,
    pixel_spectrum as pixel_spectrum,
    region_spectrum as region_spectrum,
    spectra as spectra,
    write_spectra as write_spectra,
)
from ._standard import (
    References as References,
    by_references as by_references,
    references_of as references_of,
    region_file as region_file,
)
from .registering._join import MOST_PX as MOST_PX, join as join, open_joined as open_joined
from .registering._registration import (
    Registration as Registration,
    registration as registration,
)
from .vision._camera import CameraModel as CameraModel, read_camera_model as read_camera_model
from .vision._catch import (
    Eye as Eye,
    catch_weights as catch_weights,
    cone_catch as cone_catch,
    read_eye as read_eye,
)
from .vision._colours import colours_table as colours_table
from .vision._curves import standard_table as standard_table
from .vision._discrimination import (
    densities_from as densities_from,
    densities_of as densities_of,
    discrimination as discrimination,
    told as told,
    weber_fractions as weber_fractions,
    weber_of as weber_of,
)
from .vision._illuminant import (
    ILLUMINANTS as ILLUMINANTS,
    Illuminant as Illuminant,
    illuminant as illuminant,
)
from .vision._srgb import srgb_encoded as srgb_encoded, true_colour as true_colour
from .vision._systems import VisualSystem as VisualSystem, visual_system as visual_system
from .vision._templates import (
    Receptor as Receptor,
    template_sensitivities as template_sensitivities,
)
from .vision._tetrahedron import (
    Tetrahedral as Tetrahedral,
    relative_catches as relative_catches,
    tetrahedral as tetrahedral,
)
from .vision._widened import widened as widened
