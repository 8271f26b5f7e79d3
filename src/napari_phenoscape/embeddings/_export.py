"""Export: a trained encoder by itself, for other programs; its stem and standardisation inside."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import yaml

from napari_phenoscape._atomic import atomic
from napari_phenoscape._remote import here
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.embeddings._card import CARD, model_card
from napari_phenoscape.embeddings._curves import curves_figure
from napari_phenoscape.embeddings._restore import net_of, read_out_once
from napari_phenoscape.errors import CheckpointError, MissingFileError, OptionError, RunError
from napari_phenoscape.events import Event, Progress, Saved
from napari_phenoscape.specimens import BandStatistics, together
from napari_phenoscape.training import (
    Experiment,
    build_model,
    last_checkpoint,
    read_experiment,
    read_state,
)

if TYPE_CHECKING:
    from napari_phenoscape.training import BandEncoder, MaskedBandEncoder, SimCLR

#: Its name in a run, and what an exported folder holds.
ENCODER = "encoder"
DESCRIPTION, WEIGHTS, PROGRAM = "encoder.yaml", "encoder.safetensors", "encoder.pt2"

#: What it holds where it was asked for.
ONNX = "encoder.onnx"

#: What it holds of a net with response curves.
CURVES = "response_curves"


def export(run: Path, folder: Path, *, onnx: bool = False) -> Generator[Event, None, Path]:
    """Write the encoder of a run's newest checkpoint into a new folder.

    It takes (N, C, h, w) float32 reflectance, the C bands that ``encoder.yaml`` lists, of
    specimens cropped to their mask, their background filled with ``mean``; it gives (N, D)
    embeddings by space: each modality, and ``joint`` if several. That of an instant run, and of a
    net with an instant embedding beside it, takes the (N, 1, h, w) mask too. The rows of `embed`
    are its mean over the views that the readout asks for.

    - ``encoder.yaml``: bands, their mean, image size, spaces, and the experiment;
    - ``encoder.safetensors``: the weights, for `load_encoder`;
    - ``encoder.pt2``: the whole computation, for any program with torch and without this package;
    - ``encoder.onnx``: the same computation where ``onnx`` asks for it, for runtimes of ONNX;
    - ``README.md``: a model card: data, bands, settings, limits, scores, licences;
    - ``response_curves.csv`` and ``.png``: the sensitivities over nm, if the stem has any.

    Parameters
    ----------
    run
        A run directory.
    folder
        A folder that is not there yet.
    onnx
        Whether ``encoder.onnx`` is written too.

    Returns
    -------
    The folder.

    Raises
    ------
    OptionError
        What writes ONNX is not installed.
    RunError
        The folder is there, or cannot be written.
    CheckpointError
        The run has no checkpoint, or its weights are no numbers.
    """
    import torch
    from safetensors.torch import save

    from napari_phenoscape.training import ReadNet

    if here(folder).exists():
        raise RunError(f"'{folder}' is there already; a new folder was expected. Name another.")
    if onnx and not (find_spec("onnx") and find_spec("onnxscript")):
        raise OptionError(
            "ONNX is written by 'onnx' and 'onnxscript', which are not both installed. Install "
            "napari-phenoscape[onnx], or leave ONNX out."
        )
    experiment = read_experiment(run)
    statistics = read_state(last_checkpoint(run)).statistics
    yield from read_out_once(run, experiment)
    net = net_of(run, experiment, statistics)
    bands, positions = together({name: of.bands for name, of in statistics.items()})
    places = {name: index.tolist() for name, index in positions.items()}
    mean = dict(pair for of in statistics.values() for pair in zip(of.bands, of.mean, strict=True))
    encoder = net.alone(places).eval()
    state = encoder.state_dict()
    if dead := [name for name, weight in state.items() if not weight.isfinite().all()]:
        raise CheckpointError(
            f"The net of '{run}' holds numbers that are NaN or infinite, in '{dead[0]}' first, so "
            "it can embed nothing, and nothing is written. Train again with a lower learning rate."
        )
    spaces = net.net.spaces if isinstance(net, ReadNet) else net.spaces
    description = {
        "bands": [dataclasses.asdict(band) for band in bands],
        "mean": [mean[band] for band in bands],
        "image_size": experiment.image_size,
        "modalities": places,
        "spaces": list(spaces),
        "inputs": list(encoder.inputs),
        "experiment": experiment.model_dump(mode="json"),
    }
    yield Progress("exporting the encoder", 0, 1)
    side, number = experiment.image_size, torch.export.Dim("N")
    example = {
        "images": torch.zeros(2, len(bands), side, side),
        "mask": torch.ones(2, 1, side, side, dtype=torch.bool),
    }
    program = torch.export.export(
        encoder,
        tuple(example[name] for name in encoder.inputs),
        dynamic_shapes=tuple({0: number} for _ in encoder.inputs),
        strict=False,
    )
    with atomic(folder) as temporary:
        temporary.mkdir()
        text = yaml.safe_dump(description, sort_keys=False, allow_unicode=True)
        (temporary / DESCRIPTION).write_text(text, "utf-8")
        (temporary / CARD).write_text(model_card(run, experiment, list(spaces)), "utf-8")
        # its own writer names a full disk by no error of the system's
        (temporary / WEIGHTS).write_bytes(
            save({name: tensor.contiguous().clone() for name, tensor in state.items()})
        )
        torch.export.save(program, temporary / PROGRAM)
        if onnx:
            torch.onnx.export(
                program,
                f=temporary / ONNX,
                dynamo=True,
                external_data=False,
                input_names=list(encoder.inputs),
                output_names=list(spaces),
                verbose=False,
            )
        if isinstance(net, ReadNet):
            _write_curves(net.net, temporary)
    yield Progress("exporting the encoder", 1, 1)
    yield Saved(folder)
    return folder


def _write_curves(net: SimCLR, folder: Path) -> None:
    """A column for each curve of each modality, and a panel for each modality."""
    from napari_phenoscape.nets import ResponseCurves

    stems = {name: encoder.stem for name, encoder in zip(net.modalities, net.encoders, strict=True)}
    curves = {
        name: stem.curves() for name, stem in stems.items() if isinstance(stem, ResponseCurves)
    }
    if curves:
        wavelengths_nm = next(iter(curves.values()))[0]
        columns = {
            f"{name} {number}": curve
            for name, (_, values) in curves.items()
            for number, curve in enumerate(values, start=1)
        }
        table = pd.DataFrame({"wavelength_nm": wavelengths_nm, **columns})
        table.to_csv(folder / f"{CURVES}.csv", index=False)
        shown = {name: values for name, (_, values) in curves.items()}
        curves_figure(wavelengths_nm, shown, folder / f"{CURVES}.png")


def load_encoder(folder: Path | str) -> BandEncoder | MaskedBandEncoder:
    """The encoder that `export` wrote, ready to embed.

    Returns
    -------
    A torch module: (N, C, h, w) reflectance -> (N, K) embeddings by space; of an instant run,
    or one with an instant embedding beside its own, from the (N, 1, h, w) mask too.

    Raises
    ------
    MissingFileError, CheckpointError
        The folder is no export, or is damaged.
    OptionError
        A library that builds its net is not installed.
    """
    from safetensors.torch import load_file

    from napari_phenoscape.training import ReadNet, Readouts, SimCLR

    folder = Path(folder)
    if not (folder / DESCRIPTION).is_file():
        raise MissingFileError(
            f"There is no '{DESCRIPTION}' in '{folder}'. Name a folder that `phenoscape export` "
            "has written."
        )
    with _whole(folder):
        given = yaml.safe_load((folder / DESCRIPTION).read_text("utf-8"))
        experiment = Experiment.parse(given["experiment"], str(folder / DESCRIPTION))
        bands = Bands(Band(**band) for band in given["bands"])
        places = given["modalities"]
        # the exported weights hold the statistics
        blank = {
            name: BandStatistics(bands.take(index), (0.0,) * len(index), (1.0,) * len(index))
            for name, index in places.items()
        }
        weights = load_file(folder / WEIGHTS)
    # it says itself what it needs that is not installed
    net = build_model(experiment, blank, pretrained=False)
    encoder = (
        ReadNet(net, Readouts(experiment, net.widths, blank)).alone(places)
        if isinstance(net, SimCLR)
        else net.alone(places)
    )
    with _whole(folder):
        encoder.load_state_dict(weights)
    return encoder.eval()


@contextmanager
def _whole(folder: Path) -> Iterator[None]:
    """Say of what fails inside that an export is damaged."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"'{folder}' is no whole export of an encoder ({reason}). Export it again."
        ) from None
