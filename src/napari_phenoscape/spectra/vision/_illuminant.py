"""Illuminants: how many quanta of each wavelength fall on a specimen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from napari_phenoscape.errors import OptionError
from napari_phenoscape.spectra.vision._curves import Curves, read_curves, standard_table

#: Built in, and known by these words.
ILLUMINANTS = ("d65", "equal-energy", "equal-quanta")


@dataclass(frozen=True, eq=False)
class Illuminant:
    """Light, in relative quanta.

    Parameters
    ----------
    name
        For the provenance, e.g. ``"d65"``.
    quanta
        One curve, in relative photons per nm. Where it is 0, nothing is seen.
    """

    name: str
    quanta: Curves


def illuminant(words: str) -> Illuminant:
    """A built-in illuminant by name, or the one in a CSV.

    Photoreceptors count quanta, and a quantum's energy falls with its wavelength: light in units
    of energy is multiplied by the wavelength.

    Parameters
    ----------
    words
        ``d65``: CIE standard daylight, 300-830 nm, given in energy. ``equal-energy``, and
        ``equal-quanta`` (pavo's "ideal"). Or a path: columns ``wl`` (nm) and ``energy`` (such as
        µW cm⁻² nm⁻¹) or ``quanta`` (such as µmol m⁻² s⁻¹ nm⁻¹); its height does not matter.

    Raises
    ------
    PhenoscapeError
        No such name or file, or its second column is neither.
    """
    if words == "d65":
        return _in_quanta(words, standard_table("d65"), "energy")
    if words in ILLUMINANTS:
        everywhere = Curves((words,), np.array([200.0, 2500.0]), np.ones((1, 2)))
        if words == "equal-quanta":
            return Illuminant(words, everywhere)
        return _in_quanta(words, everywhere, "energy")
    path = Path(words)
    if not path.suffix:
        raise OptionError(
            f"There is no illuminant '{words}'; choose {', '.join(ILLUMINANTS)}, or give a CSV."
        )
    curves = read_curves(path)
    match [name.lower() for name in curves.names]:
        case ["energy"]:
            return _in_quanta(path.name, curves, "energy")
        case ["quanta"]:
            return _in_quanta(path.name, curves, "quanta")
    raise OptionError(
        f"The columns of '{path.name}' beside the wavelengths are {', '.join(curves.names)}; one "
        "was expected, named 'energy' (as in W m⁻² nm⁻¹) or 'quanta' (as in µmol m⁻² s⁻¹ nm⁻¹)."
    )


def _in_quanta(name: str, curves: Curves, unit: Literal["energy", "quanta"]) -> Illuminant:
    nm = curves.wavelengths_nm
    values = curves.values * nm if unit == "energy" else curves.values
    return Illuminant(name, Curves(("quanta",), nm, values / values.max()))
