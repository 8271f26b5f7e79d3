from ._clusters import ClustersDock as ClustersDock
from ._commands import (
    open_spectral_cube as open_spectral_cube,
    open_spectral_folder as open_spectral_folder,
)
from ._preview import PreviewDock as PreviewDock
from ._runs import RunsDock as RunsDock
from ._samples import (
    open_drawer as open_drawer,
    open_drawer_to_find as open_drawer_to_find,
    open_specimen as open_specimen,
)
from ._specimens import SpecimensDock as SpecimensDock
from ._training import TrainDock as TrainDock
from .explain._dock import ExplainDock as ExplainDock
from .form._fields import Editor as Editor
from .form._fold import Fold as Fold, heading as heading, without_wheel as without_wheel
from .form._form import Form as Form, editor_of as editor_of
from .form._note import Note as Note, note as note
from .spectrum._dock import SpectrumDock as SpectrumDock
