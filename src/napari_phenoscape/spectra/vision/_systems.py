"""Visual systems: the receptors of an eye, and how sensitive each is to quanta."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._extensions import extensions
from napari_phenoscape._tables import as_numbers, read_cells
from napari_phenoscape.cubes import visual_systems
from napari_phenoscape.errors import OptionError
from napari_phenoscape.spectra.vision._curves import (
    Curves,
    is_of_curves,
    read_curves,
    standard_table,
)
from napari_phenoscape.spectra.vision._templates import Receptor, template_sensitivities

#: Receptors that see brightness and no colour: double cones, as micaToolbox and pavo name them.
ACHROMATIC = ("dbl", "lum")


@dataclass(frozen=True)
class _Animal:
    """Receptors by their templates, where the ocular media pass half of the light, and sources."""

    receptors: tuple[Receptor, ...]
    media_nm: float | None
    source: str


_ANIMALS = {
    # Pigments and droplets of the blue tit: Hart et al. 2000. The pale droplet is that of the
    # blackbird in the same paper, whose droplets they found very similar. Media: UVS, Lind et al.
    "bird-uv": _Animal(
        (
            Receptor("lw", 563, ("R", 572)),
            Receptor("mw", 502, ("Y", 507)),
            Receptor("sw", 448, ("C", 413)),
            Receptor("uv", 371),
            Receptor("dbl", 563, ("P", 439)),
        ),
        323,
        "blue tit, Hart et al. 2000",
    ),
    # Pigments of the peafowl: Hart 2002. λcut are those that put the peaks where he computed them
    # with the droplets that he measured (605, 537, 477 nm). Double cones have the pigment of the
    # lw cone; their droplet is the blackbird's, for want of the peafowl's. Media: VS, Lind et al.
    "bird-v": _Animal(
        (
            Receptor("lw", 567, ("R", 569)),
            Receptor("mw", 505, ("Y", 505)),
            Receptor("sw", 458, ("C", 439)),
            Receptor("uv", 424),
            Receptor("dbl", 567, ("P", 439)),
        ),
        358,
        "peafowl, Hart 2002",
    ),
    "honeybee": _Animal(
        (Receptor("lw", 544), Receptor("sw", 436), Receptor("uv", 344)),
        None,
        "Peitsch et al. 1992, Govardovskii et al. 2000",
    ),
}


@dataclass(frozen=True, eq=False)
class VisualSystem:
    """The receptors of an eye.

    Receptors are named and ordered as in micaToolbox: ``lw``, ``mw``, ``sw``, ``uv`` by the waves
    that they see, and ``dbl`` for double cones.

    Parameters
    ----------
    name
        Built in, or that of the file.
    sensitivities
        K curves: sensitivity to quanta at the cornea (with ocular media and oil droplets).
    source
        Whose numbers they are.
    """

    name: str
    sensitivities: Curves
    source: str

    @property
    def receptors(self) -> tuple[str, ...]:
        """K names."""
        return self.sensitivities.names

    @property
    def peaks_nm(self) -> NDArray[np.float64]:
        """(K,) wavelengths of the highest sensitivity."""
        curves = self.sensitivities
        peaks: NDArray[np.float64] = curves.wavelengths_nm[curves.values.argmax(axis=1)]
        return peaks

    @property
    def colour_receptors(self) -> tuple[int, ...]:
        """Which receptors see colour, from short waves to long."""
        colour = [i for i, name in enumerate(self.receptors) if name not in ACHROMATIC]
        return tuple(sorted(colour, key=lambda i: float(self.peaks_nm[i])))


def visual_system(name: str) -> VisualSystem:
    """One of `visual_systems()`: of other packages, or of ours.

    ``human``
        Cone fundamentals of CIE 2006 for 2°, which are those of Stockman & Sharpe 2000 [1]_; the
        standard gives them for energy, here they are for quanta.
    ``bird-uv``, ``bird-v``
        A bird with an ultraviolet-sensitive cone, the blue tit [2]_, and one with a
        violet-sensitive cone, the peafowl [3]_: templates of pigments [4]_, oil droplets [5]_ and
        ocular media ([5]_, where half passes after [6]_).
    ``honeybee``
        Templates of the pigments [4]_ with the λmax of the receptors [7]_. They leave out that
        the three share a rhabdom.

    References
    ----------
    .. [1] CIE 170-1:2006, after Stockman & Sharpe 2000.
    .. [2] Hart et al. 2000. https://doi.org/10.1007/s003590050437
    .. [3] Hart 2002. https://doi.org/10.1242/jeb.205.24.3925
    .. [4] Govardovskii et al. 2000. https://doi.org/10.1017/S0952523800174036
    .. [5] Hart & Vorobyev 2005. https://doi.org/10.1007/s00359-004-0595-3
    .. [6] Lind et al. 2014. https://doi.org/10.1098/rspb.2013.2209
    .. [7] Peitsch et al. 1992, J. Comp. Physiol. A 170, 23-40.
    """
    if name == "human":
        energy = standard_table("cie_2006_2_degree_cones")
        quanta = energy.values / energy.wavelengths_nm
        quanta /= quanta.max(axis=1, keepdims=True)
        curves = Curves(energy.names, energy.wavelengths_nm, quanta)
        return VisualSystem(name, curves, "CIE 170-1:2006")
    if name in _ANIMALS:
        animal = _ANIMALS[name]
        curves = template_sensitivities(animal.receptors, animal.media_nm)
        return VisualSystem(name, curves, animal.source)
    added = extensions("visual_systems").get(name)
    if isinstance(added, VisualSystem):
        return replace(added, name=name)
    if added is not None:
        raise OptionError(
            f"What another package adds as the visual system '{name}' is a "
            f"{type(added).__name__}; a VisualSystem was expected. Update or remove that package."
        )
    raise OptionError(
        f"There is no visual system '{name}'; choose {', '.join(visual_systems())}, or give a CSV "
        "of sensitivities, of pigments, or of a camera's model."
    )


def read_system(path: Path) -> VisualSystem:
    """The visual system in a CSV: its sensitivities, or what is known of its pigments.

    Sensitivities: a column ``wl`` (nm), then one for each receptor, to quanta, ocular media and
    oil droplets included (`read_curves`). Pigments: a line for each receptor, with the columns
    ``receptor`` (its name) and ``peak_nm`` (λmax of its pigment), and for birds ``droplet`` (C, Y,
    R, P, or T for one that is transparent) and ``cut_nm`` (λcut); ocular media are not in it.

    Raises
    ------
    PhenoscapeError
        No such file, or it is no such table.
    """
    header, rows = read_cells(path, comments=True)
    if is_of_curves(header):
        return VisualSystem(path.name, read_curves(path), path.name)
    if header not in (["receptor", "peak_nm"], ["receptor", "peak_nm", "droplet", "cut_nm"]):
        raise OptionError(
            f"The columns of '{path.name}' are {', '.join(header[:6])}; 'wl' and receptors, or "
            "'receptor,peak_nm', or 'receptor,peak_nm,droplet,cut_nm' were expected."
        )
    receptors = [_receptor(row, path) for row in rows]
    names = [receptor.name for receptor in receptors]
    if not all(names) or len(set(names)) < len(names):
        raise OptionError(
            f"The receptors in '{path.name}' are {', '.join(names)}; a name of its own was "
            "expected for each."
        )
    return VisualSystem(path.name, template_sensitivities(receptors), path.name)


def _receptor(row: list[str], path: Path) -> Receptor:
    """A line of a table of pigments: name, λmax, and for birds droplet and λcut."""
    peak = float(as_numbers([row[1:2]], path)[0, 0])
    if not 300 <= peak <= 700:
        raise OptionError(
            f"The receptor '{row[0]}' in '{path.name}' peaks at {peak:g} nm; the template of "
            "pigments holds from 300 to 700."
        )
    match row[2:]:
        case [] | ["T" | "", _]:
            return Receptor(row[0], peak)
        case [("C" | "Y" | "R" | "P") as kind, cut]:
            return Receptor(row[0], peak, (kind, float(as_numbers([[cut]], path)[0, 0])))
    raise OptionError(
        f"The droplet of '{row[0]}' in '{path.name}' is '{row[2]}'; C, Y, R, P or T was expected."
    )
