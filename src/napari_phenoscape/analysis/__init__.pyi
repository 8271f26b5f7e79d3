from ._association import (
    associate as associate,
    association as association,
    results_agreement as results_agreement,
    results_beside as results_beside,
)
from ._classification import (
    VOTERS as VOTERS,
    Classification as Classification,
    Named as Named,
    classified as classified,
    classify as classify,
    judgement as judgement,
    voters_of as voters_of,
)
from ._cluster_run import cluster_panel as cluster_panel, cluster_run as cluster_run
from ._editing import edit_clusters as edit_clusters, renamed as renamed
from ._figures import cluster_figure as cluster_figure
from ._look import Look as Look, look as look, proposed as proposed
from ._masks import (
    MASKS as MASKS,
    Things as Things,
    find_masks as find_masks,
    sheet_of as sheet_of,
    tell_things as tell_things,
    tile as tile,
    write_masks as write_masks,
)
from ._naming import label as label
from ._retrieval import neighbours_of as neighbours_of
from ._twins import LEAST as LEAST, Twins as Twins, twins as twins, twins_among as twins_among
from .evaluation._comparison import KNN as KNN, RAND as RAND, compare as compare
from .evaluation._evaluate import (
    VIEW_FOUND as VIEW_FOUND,
    Comparison as Comparison,
    as_table as as_table,
    evaluate as evaluate,
    evaluation_path as evaluation_path,
)
from .evaluation._neighbours import nearest as nearest
from .evaluation._score import Score as Score
from .explanation._colours import colour_distances as colour_distances, eyes_of as eyes_of
from .explanation._elements import Elements as Elements, elements as elements
from .explanation._explain import explain as explain, write_explanation as write_explanation
from .explanation._explanation import (
    Explanation as Explanation,
    explained as explained,
    told_from as told_from,
    typical_rows as typical_rows,
)
from .explanation._figure import FEW as FEW
from .explanation._membership import BORDERLINE as BORDERLINE
from .explanation._occlusion import SINGLE as SINGLE, WINDOW_NM as WINDOW_NM, occlude as occlude
from .explanation._spectra import (
    Moments as Moments,
    SpecimenSpectra as SpecimenSpectra,
    specimen_spectra as specimen_spectra,
)
from .explanation._weights import looked_at as looked_at, weights_of as weights_of
from .explanation._where import Where as Where, speaking as speaking, where as where
from .explanation._words import (
    NAMED as NAMED,
    borderline as borderline,
    differences as differences,
    missed as missed,
)
from .places._appearance import (
    CLUSTER as CLUSTER,
    LIKENESS as LIKENESS,
    MEAN_OF as MEAN_OF,
    Layout as Layout,
    agreement as agreement,
    coloured as coloured,
    colourings as colourings,
    laid_out as laid_out,
)
from .places._colouring import (
    Colouring as Colouring,
    by_cluster as by_cluster,
    by_values as by_values,
)
from .places._density import density as density
from .places._figure import MAPS as MAPS, map_figure as map_figure, run_map as run_map
from .places._polygon import inside as inside
from .places._seriation import seriation as seriation
from .report._report import report as report
