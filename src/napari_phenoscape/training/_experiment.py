"""Experiment: everything that is needed to run a training again; YAML is its printed form."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from napari_phenoscape.cubes import Modality, as_modality
from napari_phenoscape.losses import AnyLoss, NTXent
from napari_phenoscape.nets import AnyFusion, Concatenate, Encoder, ProjectionHead
from napari_phenoscape.option import Here, Option
from napari_phenoscape.specimens import AnySource, Nuisance, Preparation
from napari_phenoscape.training._method import AnyMethod, SimCLRMethod
from napari_phenoscape.training.grouping._clusterings import AnyClustering, KMeans
from napari_phenoscape.training.grouping._maps import UMAP, AnyReduction
from napari_phenoscape.training.grouping._palettes import PALETTE, PaletteName
from napari_phenoscape.views import AnyAugmentation, PresetName


class Schedule(Option):
    """How long and how fast to learn."""

    steps: int = Field(2000, ge=1, description="optimiser steps")
    epochs: int = Field(
        0, ge=0, description="instead of steps: times that every specimen is seen; 0 = steps"
    )
    batch_size: int = Field(64, ge=2, description="specimens in a step; each gives two views")
    learning_rate: float = Field(
        1e-3, gt=0, description="peak rate", json_schema_extra={"step": 1e-4}
    )
    optimizer: Literal["adamw", "sgd", "lars"] = Field(
        "adamw", description="sgd and lars have momentum 0.9; lars is for batches of thousands"
    )
    weight_decay: float = Field(
        1e-4,
        ge=0,
        description="not on norms, biases and response curves",
        json_schema_extra={"step": 1e-5},
    )
    clip: float = Field(
        0.0,
        ge=0,
        description="largest norm of the gradient; 0 = as it is",
        json_schema_extra={"step": 0.1},
    )
    average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the old in a moving average of the weights (EMA), with which "
        "specimens are embedded, e.g. 0.99; 0 = none",
        json_schema_extra={"step": 0.001},
    )
    warmup: float = Field(
        0.05, ge=0, lt=1, description="share of the steps over which the rate rises from 0"
    )
    checkpoint_every: int = Field(200, ge=1, description="steps between checkpoints")


class Runtime(Option):
    """Where and how to compute; changes speed, not meaning."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto",
        description="auto = best present; of several graphics cards the first, and "
        "CUDA_VISIBLE_DEVICES=3 makes another one the first",
    )
    precision: Literal["auto", "float32", "bf16", "fp16"] = Field(
        "float32",
        description="of the network; the loss is always float32. fp16 is for GPUs; bf16 is slow on "
        "processors without it; auto = bf16 where that is faster, measured at the start of a run",
    )
    devices: int = Field(
        1, ge=1, le=64, description="of each node (computer); they share every batch"
    )
    nodes: int = Field(
        1, ge=1, le=1024, description="computers; on a cluster, `phenoscape slurm` starts them"
    )
    chunk: int = Field(
        0,
        ge=0,
        description="specimens in memory at a time, on each device; the gradient stays that of the "
        "whole batch (gradient caching), for backbones without BatchNorm; 0 = all",
    )
    compile: bool = Field(
        False,
        description="compile the encoders (torch.compile): a minute at the start, then faster "
        "steps on a GPU",
    )
    threads: int = Field(
        0,
        ge=0,
        description="CPU threads of torch, and pictures that are read at once, at most; 0 = all "
        "cores, one of torch's left to the window in napari",
    )


class Grouping(Option):
    """How the embeddings are clustered and mapped; may be changed after the training."""

    method: AnyClustering = KMeans()
    map: AnyReduction = UMAP()
    space: str = Field("", description="whose embeddings: a modality, or joint; '' = the joint one")
    palette: PaletteName = Field(
        PALETTE, description="colours of clusters and kinds, told apart by colour-blind people too"
    )
    seed: int = Field(0, ge=0, description="of the random numbers of both")


class Experiment(Option):
    """What to learn from, how, and where to keep it."""

    name: str = Field(
        "phenoscape", description="names the run directory: letters, digits, '_', '-' and '.'"
    )
    collection: AnySource = Field(description="where the specimens come from")
    modalities: tuple[str | Modality, ...] = Field(
        ("rgb",),
        min_length=1,
        description="choices of bands, one encoder each; 'rgb+uv' gives both to one encoder",
    )
    image_size: int = Field(96, ge=16, le=512, description="side of a view in pixels")
    preparation: Preparation = Preparation()
    nuisance: Nuisance = Nuisance()
    background: Literal["remove", "keep"] = Field(
        "remove", description="what lies outside the mask: replaced by the mean, or kept"
    )
    augmentations: PresetName | tuple[AnyAugmentation, ...] = Field(
        "colour-pattern", description="a preset, or a list of operations"
    )
    method: AnyMethod = SimCLRMethod()
    encoder: Encoder = Encoder()
    fusion: AnyFusion = Concatenate()
    head: ProjectionHead = ProjectionHead()
    losses: tuple[AnyLoss, ...] = Field((NTXent(),), min_length=1)
    schedule: Schedule = Schedule()
    runtime: Runtime = Runtime()
    grouping: Grouping = Grouping()
    seed: int = Field(0, ge=0, description="of weights, batches and views")
    runs: Here = Field(Path("runs"), description="folder that holds the run directories")

    @field_validator("name")
    @classmethod
    def _name_is_one_of_a_directory(cls, name: str) -> str:
        if not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(
                "letters, digits, '_', '-' and '.' were expected, since it names the run directory"
            )
        return name

    @model_validator(mode="after")
    def _modalities_fit_each_other_and_the_losses(self) -> Experiment:
        names = [as_modality(given).name for given in self.modalities]
        if len(set(names)) < len(names):
            raise ValueError(f"the modalities {names} are not distinct; name each once.")
        if "joint" in names:
            raise ValueError("'joint' is the space of all modalities; name the modality otherwise.")
        several = next((loss.kind for loss in self.losses if loss.needs_modalities), "")
        if len(names) < 2 and several:
            raise ValueError(
                f"the loss '{several}' compares modalities, and there is only '{names[0]}'; "
                "choose two, e.g. [rgb, uv], or leave it out."
            )
        return self
