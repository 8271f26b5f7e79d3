from ._classification import VOTERS as VOTERS, classify as classify
from ._figures import cluster_figure as cluster_figure
from ._report import cluster_panel as cluster_panel, cluster_run as cluster_run
from ._retrieval import neighbours_of as neighbours_of
from .evaluation._neighbours import nearest as nearest
from .evaluation._worth import KNN as KNN, RAND as RAND, Worth as Worth, evaluate as evaluate
from .explanation._explain import (
    Explanation as Explanation,
    explain as explain,
    explained as explained,
    write_explanation as write_explanation,
)
from .explanation._figure import FEW as FEW
from .explanation._likeness import DOUBTFUL as DOUBTFUL
from .explanation._occlusion import SINGLE as SINGLE, WINDOW_NM as WINDOW_NM, occlude as occlude
from .explanation._spectra import (
    Moments as Moments,
    SpecimenSpectra as SpecimenSpectra,
    specimen_spectra as specimen_spectra,
)
from .explanation._words import (
    NAMED as NAMED,
    differences as differences,
    doubts as doubts,
    missed as missed,
)
