"""Session: what the docks of one viewer share, and what outlives a closed dock."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QObject, Signal

from napari_phenoscape._atomic import scratch_folder
from napari_phenoscape.embeddings import History
from napari_phenoscape.errors import OptionError
from napari_phenoscape.events import Event, Started
from napari_phenoscape.training import (
    Experiment,
    Runtime,
    SimCLRMethod,
    follow,
    read_experiment,
)
from napari_phenoscape.widgets._crops_at_hand import CropsAtHand
from napari_phenoscape.widgets._last_folder import keep_last_folder, last_folder
from napari_phenoscape.widgets._place import guard_drawing
from napari_phenoscape.widgets._settings import settings
from napari_phenoscape.widgets._worker import Task, Verb

if TYPE_CHECKING:
    import napari

    from napari_phenoscape.embeddings import Embeddings
    from napari_phenoscape.specimens import Collection, Crops
    from napari_phenoscape.training import Example
    from napari_phenoscape.widgets._clustered import (
        ClusteredRun,
        EmbeddedSpaces,
        FoundTwins,
        Looked,
        Projection2D,
    )
    from napari_phenoscape.widgets._labelled import LabelledRun
    from napari_phenoscape.widgets.explain._asking import ExplainedRun

TRAINING, WATCHING = "Training", "Watching"


class Session(QObject):
    """The state of one viewer's docks; a dock shows it, and shows it again when re-opened.

    Attributes
    ----------
    parts
        Fields of the `Experiment` that is being put together, each from the dock that edits it.
    collection
        Specimens of ``parts["collection"]``, or None before they were collected.
    measured
        A collection, and small crops of all its bands, for their statistics.
    crops
        Those of the experiment that was previewed last.
    training
        The training task, at work or ended.
    history
        Events of the training that is shown, oldest first.
    example
        What its net was shown last, as a picture.
    run
        Run directory of that training.
    embedded
        The embeddings that can be clustered.
    clustered
        What the docks, the map and the picture show; older than ``embedded`` until that is
        clustered.
    clusterings
        The clusters of ``clustered``, those before and those that were undone.
    selected
        Ids of the specimens of ``clustered`` that are selected.
    labelled
        What the specimens of ``clustered`` were named.
    twins
        Pairs of its specimens, and of those before, that were found to be alike.
    kept_spectra
        What the list of the dock *Spectrum* shows.
    explained
        Why the clusters are clusters; older than ``clustered`` until that is explained.
    shows_emerging
        Whether the specimens that are shown tell how a net in training parts them.
    drawing
        Whether ``clustered`` is yet to come on the picture, or a part of it.
    """

    experiment_changed = Signal(str)  #: name of the field, or "" when all of it
    collection_changed = Signal()
    training_changed = Signal()
    embedded_changed = Signal()
    clustered_changed = Signal()
    selected_changed = Signal()
    explained_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[str, Any] = settings().parts()
        self._fitting: dict[str, Any] = {}
        self.collection: Collection | None = None
        self.measured: tuple[Collection, Crops] | None = None
        self.crops = CropsAtHand()
        self.training: Task | None = None
        self.history: list[Event] = []
        self.example: Example | None = None
        self.run: Path | None = None
        self.embedded: EmbeddedSpaces | None = None
        self.clustered: ClusteredRun | None = None
        self.clusterings: History | None = None
        self.selected: tuple[str, ...] = ()
        self.labelled: LabelledRun | None = None
        self.twins: FoundTwins | None = None
        self.kept_spectra: tuple[Any, ...] = ()
        self.explained: ExplainedRun | None = None
        self.shows_emerging = True
        self.drawing = False
        self._tasks: dict[str, Task] = {}
        self._scratch: Path | None = None
        self._scratch_files = 0

    @property
    def experiment(self) -> Experiment:
        """The experiment as the docks have it now.

        Raises
        ------
        OptionError
            Something is missing or not allowed.
        """
        if "collection" not in self.parts:
            raise OptionError("No specimens yet: collect them in the Specimens dock.")
        return Experiment.parse(self.parts)

    def set_part(self, name: str, value: Any) -> None:
        """Give one field of the experiment its value."""
        if self.parts.get(name) != value:
            self.parts[name] = value
            if name == "collection":
                self.collection = None
                self.collection_changed.emit()
            self.experiment_changed.emit(name)

    def set_experiment(self, experiment: Experiment) -> None:
        """Take over a whole experiment, e.g. from a YAML file."""
        source = self.parts.get("collection")
        self.parts = {name: getattr(experiment, name) for name in Experiment.model_fields}
        self._fitting = {}
        if source != experiment.collection:
            self.collection = None
            self.collection_changed.emit()
        self.experiment_changed.emit("")

    def set_collection(self, collection: Collection, **fitting: Any) -> None:
        """Keep the specimens that were collected, and what fits them where nobody chose."""
        proposed = self._fitting.items()
        chosen = {name: of for name, of in self.parts.items() if (name, of) not in proposed}
        self._fitting = fitting
        self.parts = {**fitting, **chosen, "collection": collection.source}
        self.collection = collection
        self.crops.forget()
        self.collection_changed.emit()
        self.experiment_changed.emit("" if fitting else "collection")

    def fit(self, **fitting: Any) -> None:
        """Take settings that fit the specimens, until others are chosen, or fit other specimens."""
        self._fitting |= fitting
        self.parts |= fitting
        self.experiment_changed.emit("")

    def set_looked(self, looked: Looked) -> None:
        """Show a first look, and go on from what it chose; how to train is chosen elsewhere."""
        seen = looked.seen
        own = {"method": SimCLRMethod(), "runtime": Runtime()} | self.parts
        kept = {name: own[name] for name in ("method", "runtime")}
        self.run = seen.run
        self.set_experiment(seen.experiment.model_copy(update=kept))
        self.set_collection(seen.collection)
        self.set_clustered(looked.clustered)  # before, or they would be clustered again
        self.set_embedded(looked.embedded)

    def set_embedded(self, embedded: EmbeddedSpaces) -> None:
        """Keep the embeddings of a run."""
        self.embedded = embedded
        self.embedded_changed.emit()

    def set_clustered(self, clustered: ClusteredRun, history: History | None = None) -> None:
        """Show these clusters; specimens that were selected stay so, if they are among them.

        Parameters
        ----------
        history
            When they were undone or redone: where in the history that is. Else they are a step
            on, or, of other embeddings, the first.
        """
        labelled, of = self.labelled, clustered.embeddings
        if labelled is not None and not clustered.is_of_specimens_of(labelled.embeddings):
            self.labelled = labelled = None
        names = None if labelled is None else labelled.columns_for(of)
        if names is not clustered.labels:
            clustered = replace(clustered, labels=names)
        before, self.clustered = self.clustered, clustered
        if before is None or before.embeddings is not clustered.embeddings:
            self.clusterings = History(clustered.clusters)
        elif history is not None:
            self.clusterings = history
        elif self.clusterings is not None and before.clusters is not clustered.clusters:
            self.clusterings = self.clusterings.then(clustered.clusters)
        same = before is not None and before.is_of_specimens_of(clustered.embeddings)
        self.selected = tuple(s for s in self.selected if same and s in clustered.rows)
        self.clustered_changed.emit()

    def set_labelled(self, labelled: LabelledRun) -> None:
        """Keep what specimens were named, if they still are those that are shown."""
        shown = self.clustered
        if shown is not None and shown.is_of_specimens_of(labelled.embeddings):
            self.labelled = labelled
            self.set_clustered(shown)

    def set_map(self, mapped: tuple[Embeddings, Projection2D]) -> None:
        """Show another map of the clusters, if it still is of their embeddings."""
        embeddings, projection = mapped
        if self.clustered is not None and self.clustered.embeddings is embeddings:
            self.set_clustered(replace(self.clustered, map=projection))

    def set_appearance(self, dressed: ClusteredRun) -> None:
        """Show specimens in other pictures and colours, if they still are of these clusters."""
        shown = self.clustered
        if shown is not None and shown.clusters.labels is dressed.clusters.labels:
            asked = ("backdrop", "appearance", "coloured", "layout")
            answer = {name: getattr(dressed, name) for name in asked}
            self.set_clustered(replace(shown, **answer, so_far=None))

    def select(self, ids: Iterable[str], how: str = "only") -> None:
        """Select specimens of ``clustered`` in all docks and on the picture.

        Parameters
        ----------
        how
            ``only`` these, ``add`` them to those that are selected, or ``remove`` them.
        """
        rows = {} if self.clustered is None else self.clustered.rows
        chosen = {rows[one] for one in ids if one in rows}
        if how != "only":
            before = {rows[one] for one in self.selected}
            chosen = before | chosen if how == "add" else before - chosen
        names = () if self.clustered is None else self.clustered.ids
        selected = tuple([names[row] for row in sorted(chosen)])
        if selected != self.selected:
            self.selected = selected
            self.selected_changed.emit()

    def set_explained(self, explained: ExplainedRun) -> None:
        """Keep why clusters are clusters, if they still are what is shown."""
        if self.clustered is not None and explained.explains(self.clustered):
            self.explained = explained
            self.explained_changed.emit()

    @property
    def runs_folder(self) -> Path:
        """The folder of the experiment's runs; before there is one, that of the session before."""
        return Path(self.parts.get("runs") or last_folder() or "runs")

    @property
    def trains(self) -> bool:
        """Whether a net is being trained here; one that is watched is trained elsewhere."""
        return self.training is not None and self.training.busy and self.training.title == TRAINING

    def continue_run(self, run: Path) -> None:
        """Go on with the training of a run directory, with its own experiment.

        Raises
        ------
        PhenoscapeError
            It is none.
        """
        experiment = read_experiment(run)
        self.set_experiment(experiment)
        self.train_experiment(experiment, run)

    def train_experiment(self, experiment: Experiment, run: Path | None = None) -> None:
        """Start a training, or go on with that of a run."""
        watched = self.shows_emerging and self.can_show_emerging(experiment)
        # where its run is looked for, if this program is killed before that has said a word
        keep_last_folder(run.parent if run is not None else experiment.runs)

        def verb() -> Generator[Event, None, Path]:
            # brings torch, which is guarded first
            from napari_phenoscape.training import train, undisturbed
            from napari_phenoscape.widgets._emerging import WATCHED, emerging

            undisturbed()
            if not watched:
                return train(experiment, run, examples=True)
            training = train(experiment, run, snapshots=WATCHED, examples=True)
            return emerging(training, lambda: self.clustered)

        self.train(verb)

    def watch(self, run: Path) -> None:
        """Show a run that another program trains as if it were trained here."""
        self.train(lambda: follow(run), WATCHING)

    def show_run(self, run: Path, experiment: Experiment) -> None:
        """Make a run the one that is shown, with its experiment."""
        self.set_experiment(experiment)
        self.run = run
        if self.training is None or not self.training.busy:
            self.training, self.history, self.example = None, [], None
            self.training_changed.emit()

    def train(self, verb: Verb, title: str = TRAINING) -> Task:
        """Start a training, or watching one, that goes on when its dock is closed."""
        self.history, self.example = [], None
        task = Task(title, verb, torch=title == TRAINING)
        task.event_received.connect(self._remember)
        self.training = task
        self.training_changed.emit()
        task.start()
        return task

    def do(
        self,
        title: str,
        verb: Verb,
        done: Callable[[Any], None] | None = None,
        torch: bool = True,
    ) -> Task:
        """Start a piece of work by its title; one of the same title that still runs is stopped."""
        self.stop(title)
        task = self._tasks[title] = Task(title, verb, torch)
        if done is not None:
            task.succeeded.connect(done)
        task.start()
        return task

    def stop(self, *titles: str) -> None:
        """Stop the work of these titles that is still going on."""
        for title in titles:
            if (task := self._tasks.get(title)) is not None:
                task.stop()

    @property
    def busy(self) -> bool:
        """Whether anything is at work, or specimens are yet to be drawn."""
        tasks = [*self._tasks.values(), self.training]
        return self.drawing or any(task is not None and task.busy for task in tasks)

    def scratch_file(self, name: str) -> Path:
        """A file that is not there yet; it is removed with everything when napari ends."""
        if self._scratch is None:
            self._scratch = scratch_folder()
            weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        self._scratch_files += 1
        return self._scratch / f"{self._scratch_files}-{name}"

    def task(self, title: str) -> Task | None:
        """The latest piece of work of this title."""
        return self._tasks.get(title)

    def can_show_emerging(self, experiment: Experiment) -> bool:
        """Whether specimens are shown that a training of this experiment embeds."""
        shown = self.clustered
        return shown is not None and shown.embeddings.source == experiment.collection

    def _remember(self, event: Event) -> None:
        from napari_phenoscape.training import Example  # bring what a cube needs not
        from napari_phenoscape.widgets._emerging import Emerging

        if isinstance(event, Example):
            self.example = event  # a thousand pictures would be as large as the specimens
            return
        if isinstance(event, Emerging):
            now, shown = event.clustered, self.clustered
            if shown is not None and shown.clusters.labels is now.clusters.labels:
                self.set_clustered(replace(shown, so_far=now.so_far))
            return
        self.history.append(event)
        if isinstance(event, Started):
            self.run = event.run
            keep_last_folder(event.run.parent)


_SESSIONS: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()


def session_of(viewer: napari.Viewer) -> Session:
    """The one session of a viewer."""
    real = getattr(viewer, "__wrapped__", viewer)  # plugins get a proxy, a new one each time
    if real not in _SESSIONS:
        guard_drawing()
        _SESSIONS[real] = Session()
    return _SESSIONS[real]
