"""How a run was made, in the words of a paper's methods section."""

from __future__ import annotations

from importlib.metadata import version

from napari_phenoscape.cubes import as_modality
from napari_phenoscape.training._experiment import Experiment

#: Of which the versions are said.
PACKAGES = ("napari-phenoscape", "torch", "torchvision", "kornia", "scikit-learn", "numpy")


def described(experiment: Experiment, specimens: int) -> str:
    """Sentences: how so many specimens were prepared, and how their features were learned."""
    bands = ", ".join(as_modality(given).name for given in experiment.modalities)
    views = experiment.augmentations
    views_words = f"preset '{views}'" if isinstance(views, str) else f"{len(views)} operations"
    outside = {"remove": "was replaced by the mean of each band", "keep": "was kept"}
    prepared = (
        f"{specimens} specimens were cropped to their masks and averaged to "
        f"{experiment.image_size} pixels (modalities: {bands}); bands were standardised by their "
        f"mean and standard deviation over the collection, and what lay outside the masks "
        f"{outside[experiment.background]}."
    )
    if not experiment.method.trains:
        return (
            f"{prepared} Features of {experiment.method.readout.views or 1} views of each specimen "
            f"({views_words}; seed {experiment.seed}) were reduced by the readout "
            f"'{experiment.method.readout.kind}', without training."
        )
    schedule = experiment.schedule
    losses = ", ".join(loss.kind for loss in experiment.losses)
    length = f"{schedule.epochs} epochs" if schedule.epochs else f"{schedule.steps} steps"
    return (
        f"{prepared} {experiment.encoder.backbone} (stem {experiment.encoder.stem.kind}) was "
        f"trained for {length} of {schedule.batch_size} specimens, two views each ({views_words}), "
        f"with the loss {losses}, {schedule.optimizer} and a peak learning rate of "
        f"{schedule.learning_rate:g} (seed {experiment.seed})."
    )


def versions() -> str:
    """Of the packages that are at work, e.g. ``torch 2.9.0``, with commas."""
    return ", ".join(f"{name} {version(name)}" for name in PACKAGES)
