"""Widened cubes: catches beside a cube's own bands, so that modalities choose among both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari_phenoscape.cubes import Bands, ConcatenatedBands, Cube, Modality, in_reflectance
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.spectra.vision._catch import cone_catch, read_eye


def widened(cube: Cube, modalities: Sequence[Modality]) -> Cube:
    """The cube with the catches that modalities ask for beside its own bands, in D65.

    Without such modalities it is the cube itself. A catch is named by its eye and receptor, e.g.
    ``bird-uv sw``. Of several modalities a cube may lack one, so an eye that it does not suit adds
    nothing.

    Raises
    ------
    BandMismatchError
        There is one modality, and the cube does not suit its eye.
    PhenoscapeError
        The CSV of an eye is none.
    """
    eyes = {name: words for each in modalities for name, words in each.eyes.items()}
    caught = []
    for name, words in eyes.items():
        try:
            seen = cone_catch(cube, read_eye(words))
        except BandMismatchError:
            if len(modalities) == 1:
                raise
            continue
        bands = Bands(replace(b, name=f"{name} {b.name}", eye=name) for b in seen.bands)
        caught.append(replace(seen, bands=bands))
    if not caught:
        return cube
    own = in_reflectance(cube)
    return replace(
        own,
        array=ConcatenatedBands([own, *caught]),
        bands=Bands([*cube.bands, *(band for seen in caught for band in seen.bands)]),
        provenance=tuple(dict.fromkeys(note for seen in caught for note in seen.provenance)),
    )
