"""Changes: what ``--set`` makes of an experiment, and of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from napari_phenoscape.errors import OptionError, did_you_mean
from napari_phenoscape.training import ExperimentPresetName

if TYPE_CHECKING:
    from napari_phenoscape.training import Experiment

PRESETS: tuple[ExperimentPresetName, ...] = get_args(ExperimentPresetName)

Set = Annotated[
    list[str],
    typer.Option("--set", help="change one value, e.g. --set schedule.steps=500; repeatable"),
]
SetGrouping = Annotated[
    list[str],
    typer.Option(
        "--set",
        help="change one value of the grouping, e.g. --set grouping.map.neighbours=30, or of the "
        "collection, as where it is now; kept in the run; repeatable",
    ),
]
SetCollection = Annotated[
    list[str],
    typer.Option(
        "--set",
        help="change one value of the collection, e.g. where it is now: --set "
        "collection.path=FOLDER; kept in the run; repeatable",
    ),
]


def changed(experiment: Experiment, change: list[str]) -> Experiment:
    """The experiment with some values changed, each ``name=value``; paths start here.

    Raises
    ------
    OptionError
        One is not of that form, or not allowed.
    """
    import yaml

    from napari_phenoscape.training import Experiment

    if not change:
        return experiment
    given = experiment.model_dump(mode="json")
    for text in change:
        name, equals, value = text.partition("=")
        if not equals:
            raise OptionError(f"--set {text}: 'name=value' was expected, e.g. schedule.steps=500.")
        *parents, last = name.split(".")
        inner: Any = given
        for parent in parents:
            outer, inner = inner, inner.get(parent)
            if isinstance(inner, str):  # a kind alone
                inner = outer[parent] = {"kind": inner}
            if not isinstance(inner, dict):
                meant = "" if parent in outer else did_you_mean(parent, outer)
                raise OptionError(
                    f"--set {text}: the experiment has no '{'.'.join(parents)}'. "
                    f"{meant}There is {', '.join(outer)}."
                )
        try:
            inner[last] = yaml.safe_load(value)
        except (yaml.YAMLError, RecursionError, ValueError):
            raise OptionError(
                f"--set {text}: what stands after '=' is not YAML; a value was expected. Put it "
                f"""into two kinds of quotation marks: --set '{name}="..."'."""
            ) from None
        if name == "schedule.steps":
            inner["epochs"] = 0  # or these would count instead
    return Experiment.parse(given, "--set").anchored(Path.cwd())


def preset_called(word: str) -> ExperimentPresetName:
    """The preset of a word that was typed.

    Raises
    ------
    OptionError
        There is none.
    """
    for preset in PRESETS:
        if preset == word:
            return preset
    raise OptionError(
        f"--preset {word}: there is no such preset. {did_you_mean(word, PRESETS)}"
        f"Choose from {', '.join(PRESETS)}."
    )


def change_run(run: Path, change: list[str], *also: str) -> Experiment:
    """The experiment of a run with values of its collection changed, which is kept in the run.

    Parameters
    ----------
    run, change
        What is changed, and how; see `changed`.
    also
        Parts of the experiment that may be changed too, and are not kept.

    Raises
    ------
    OptionError
        Anything else is to be changed, which is as the run was trained.
    """
    from napari_phenoscape.training import keep_experiment, read_experiment

    before = read_experiment(run)
    after = changed(before, change)
    parts = (*also, "collection")
    if after != before.model_copy(update={part: getattr(after, part) for part in parts}):
        raise OptionError(
            f"--set: of a run that is trained {' and '.join(f'the {part!r}' for part in parts)} "
            "can be changed here, and nothing else, e.g. collection.path=FOLDER."
        )
    if after.collection != before.collection:
        if not after.collection.path.exists():
            raise OptionError(f"--set: there is nothing at '{after.collection.path}'. Correct it.")
        keep_experiment(run, before.model_copy(update={"collection": after.collection}))
    return after
