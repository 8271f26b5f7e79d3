from ._augmentations import (
    AnyAugmentation as AnyAugmentation,
    operations as operations,
    warnings as warnings,
)
from ._colour import BandContext as BandContext
from ._filters import (
    Filter as Filter,
    RandomGaussianBlur as RandomGaussianBlur,
    RandomGaussianNoise as RandomGaussianNoise,
    RandomSharpness as RandomSharpness,
)
from ._geometry import (
    Geometric as Geometric,
    RandomAffine as RandomAffine,
    RandomErasing as RandomErasing,
    RandomHorizontalFlip as RandomHorizontalFlip,
    RandomPerspective as RandomPerspective,
    RandomResizedCrop as RandomResizedCrop,
    RandomRotation as RandomRotation,
    RandomThinPlateSpline as RandomThinPlateSpline,
    RandomVerticalFlip as RandomVerticalFlip,
)
from ._kornia_module import KorniaModule as KorniaModule
from ._operation import Operation as Operation
from ._photometric import (
    ColorJitter as ColorJitter,
    Photometric as Photometric,
    RandomGrayscale as RandomGrayscale,
    RandomPosterize as RandomPosterize,
)
from ._pipeline import Augmenter as Augmenter
from ._presets import PRESETS as PRESETS, PresetName as PresetName
from ._sheet import pictures as pictures, view_sheet as view_sheet
from ._spectral import (
    RandomBandDropout as RandomBandDropout,
    RandomBandShift as RandomBandShift,
    RandomExposure as RandomExposure,
    RandomIlluminantTilt as RandomIlluminantTilt,
    RandomSensorNoise as RandomSensorNoise,
    RandomVignetting as RandomVignetting,
)
from ._views import Views as Views
