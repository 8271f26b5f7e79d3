"""Cone catch: how much light each receptor of an eye catches of every pixel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._tables import read_cells
from napari_phenoscape.cubes import (
    VISUAL_SYSTEMS,
    Band,
    Bands,
    Cube,
    LazyArray,
    Region,
    spectral_region,
)
from napari_phenoscape.errors import BandMismatchError, OptionError
from napari_phenoscape.spectra._blocks import OfSpectra, as_reflectance
from napari_phenoscape.spectra.vision._camera import CameraModel, is_of_a_camera, read_camera_model
from napari_phenoscape.spectra.vision._illuminant import Illuminant, illuminant
from napari_phenoscape.spectra.vision._quadrature import quadrature, steps_nm
from napari_phenoscape.spectra.vision._systems import VisualSystem, read_system, visual_system

#: An eye, or a camera that was taught to see like one.
Eye: TypeAlias = VisualSystem | CameraModel

#: A receptor of whose catch of white a cube sees less is refused.
SHARE = 0.75

#: From here on nothing is said about what was not seen.
WHOLE = 0.99


def read_eye(words: str) -> Eye:
    """A visual system by name, or what a CSV describes.

    Parameters
    ----------
    words
        One of `visual_systems()`; or the path of a CSV of sensitivities or pigments
        (`read_system`), or of a camera's model (`read_camera_model`).

    Raises
    ------
    PhenoscapeError
        No such name or file, or it is none of them.
    """
    if words in VISUAL_SYSTEMS or not Path(words).suffix:
        return visual_system(words)
    path = Path(words)
    return (
        read_camera_model(path)
        if is_of_a_camera(read_cells(path, comments=True)[0])
        else read_system(path)
    )


def cone_catch(cube: Cube, eye: Eye, light: Illuminant | None = None) -> Cube:
    """A cube of quantum catches: a band for each receptor, 1 for a perfect white.

    ``∫ S R I dλ / ∫ S I dλ`` with the receptor's sensitivity S to quanta, the reflectance R and
    the light I in quanta. Dividing by the catch of white is adaptation after von Kries: each
    receptor's gain is set by itself, to the light [1]_. A pixel that was not measured in a band
    that counts has no catch (NaN).

    Parameters
    ----------
    eye
        A visual system; or a camera's model, whose light is in its coefficients.
    light
        None: D65.

    Returns
    -------
    Computed as it is read. Its bands are named as the receptors and have no wavelengths; what the
    cube did not see of a receptor's sensitivity is in its provenance.

    Raises
    ------
    BandMismatchError
        The cube sees less than 75 % of a receptor's catch of white, or lacks a band of the model.
    OptionError
        A camera's model was given a light, or the light is not known where a receptor is sensitive.

    References
    ----------
    .. [1] Vorobyev & Osorio 1998. https://doi.org/10.1098/rspb.1998.0302
    """
    if isinstance(eye, CameraModel):
        if light is not None:
            raise OptionError(
                f"The light '{light.name}' was given with the camera's model '{eye.name}', which "
                "holds for the light that it was fitted to. Leave the light out."
            )
        array = OfSpectra(cube, len(eye.receptors), eye.catches, eye.bands_in(cube))
        regions: list[Region | None] = [_region(name) for name in eye.receptors]
        notes = [f"Catches by the camera's model '{eye.name}', for reflectance 0-1."]
        return _caught(cube, array, eye, regions, notes)
    light = light or illuminant("d65")
    weights, share = catch_weights(cube, eye, light)
    by = "" if eye.source == eye.name else f" ({eye.source})"  # a table is its own source
    notes = [f"Catches of '{eye.name}'{by} in the light '{light.name}'; 1 is a perfect white."]
    notes += [
        f"{part:.0%} of what the receptor {name} would catch of white is seen; the rest is taken "
        "to be like it."
        for name, part in zip(eye.receptors, share, strict=True)
        if part < WHOLE
    ]
    used = np.flatnonzero(weights.any(axis=0))
    own = weights[:, used]
    array = OfSpectra(cube, len(own), lambda values: np.tensordot(own, values, axes=1), used)
    regions = [
        _region(name) or spectral_region(peak)
        for name, peak in zip(eye.receptors, eye.peaks_nm, strict=True)
    ]
    return _caught(cube, array, eye, regions, notes)


def catch_weights(
    cube: Cube, eye: VisualSystem, light: Illuminant
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights of the bands of a cube in the catch of each receptor, and how much of it they see.

    Returns
    -------
    weights : (K, C)
        Each row adds up to 1.
    share : (K,)
        Of the catch of a perfect white, 0-1.

    Raises
    ------
    BandMismatchError
        The bands have no wavelengths, or a share is below 75 %.
    OptionError
        The light is not known where a receptor is sensitive.
    """
    curves = eye.sensitivities
    nm = steps_nm(curves.wavelengths_nm[0], curves.wavelengths_nm[-1])
    sensitivities = curves.at(nm)
    lit = light.quanta.wavelengths_nm
    dark = sensitivities[:, (nm < lit[0]) | (nm > lit[-1])].sum(axis=1) / sensitivities.sum(axis=1)
    if dark.max() > 1 - SHARE:
        raise OptionError(
            f"The light '{light.name}' is known from {lit[0]:.0f} to {lit[-1]:.0f} nm, where only "
            f"{1 - dark.max():.0%} of the sensitivity of the receptor "
            f"{eye.receptors[int(dark.argmax())]} of '{eye.name}' lies; at least {SHARE:.0%} was "
            "expected. Measure the light over the whole spectrum of the eye."
        )
    integrals = quadrature(cube, nm, sensitivities * light.quanta.at(nm))
    share = integrals.share
    if not (share >= SHARE).all():
        worst = int(np.nan_to_num(share).argmin())
        raise BandMismatchError(
            f"'{cube.path.name}' ({cube.bands.span}) sees "
            f"{np.nan_to_num(share)[worst]:.0%} of what the receptor {eye.receptors[worst]} of "
            f"'{eye.name}' (peak {eye.peaks_nm[worst]:.0f} nm) would catch of white in the light "
            f"'{light.name}'; at least {SHARE:.0%} was expected, with bands no more than 30 nm "
            "apart. Choose a visual system that the cube covers, or record the rest of the "
            "spectrum."
        )
    return integrals.weights / integrals.seen[:, None], share


def _caught(
    cube: Cube, array: LazyArray, eye: Eye, regions: list[Region | None], notes: list[str]
) -> Cube:
    bands = Bands(
        Band(name, region=region) for name, region in zip(eye.receptors, regions, strict=True)
    )
    # red, green and blue stand for long, middle and short waves
    colour = eye.colour_receptors
    shown = (colour[-1], colour[-2], colour[-3]) if len(colour) >= 3 else None
    return replace(
        as_reflectance(cube, array),
        bands=bands.proposing(shown),
        provenance=(*cube.provenance, *notes),
    )


def _region(receptor: str) -> Region | None:
    """Where a receptor is known to be sensitive by its name, as in micaToolbox."""
    known: dict[str, Region] = {"uv": "uv", "sw": "vis", "mw": "vis", "lw": "vis", "dbl": "vis"}
    return known.get(receptor)
