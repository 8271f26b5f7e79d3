"""Visual systems: the receptors of an eye, and how sensitive each is to quanta."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import VISUAL_SYSTEMS
from napari_phenoscape.errors import OptionError
from napari_phenoscape.spectra.vision._curves import (
    Curves,
    as_numbers,
    is_of_curves,
    read_cells,
    read_curves,
    standard_table,
)
from napari_phenoscape.spectra.vision._quadrature import steps_nm
from napari_phenoscape.spectra.vision._templates import oil_droplet, pigment

#: Receptors that see brightness and no colour: double cones, as micaToolbox and pavo name them.
ACHROMATIC = ("dbl", "lum")

#: λmax of the green, blue and ultraviolet receptors of the honeybee in nm [Peitsch et al. 1992].
HONEYBEE_NM = (544.0, 436.0, 344.0)

#: Wavelengths that templates are computed at: those of sunlight, up to where no pigment absorbs.
_TEMPLATE_NM = (300.0, 750.0)


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


def built_in_system(name: str) -> VisualSystem:
    """One of `VISUAL_SYSTEMS`.

    ``human``
        Cone fundamentals of CIE 2006 for 2°, which are those of Stockman & Sharpe 2000 [1]_; the
        standard gives them for energy, here they are for quanta.
    ``bird-uv``, ``bird-v``
        Average bird with an ultraviolet-sensitive (λmax 372 nm) or a violet-sensitive (416 nm)
        cone [2]_, and the double cone of the blue tit [3]_ or the chicken, as in pavo [4]_.
    ``honeybee``
        Templates of the pigments [5]_ with the λmax of the receptors [6]_. They leave out that
        the three share a rhabdom.

    References
    ----------
    .. [1] CIE 170-1:2006, after Stockman & Sharpe 2000.
    .. [2] Endler & Mielke 2005. https://doi.org/10.1111/j.1095-8312.2005.00540.x
    .. [3] Hart et al. 2000. https://doi.org/10.1007/s003590050437
    .. [4] Maia et al. 2019. https://doi.org/10.1111/2041-210X.13174
    .. [5] Govardovskii et al. 2000. https://doi.org/10.1017/S0952523800174036
    .. [6] Peitsch et al. 1992, J. Comp. Physiol. A 170, 23-40.
    """
    match name:
        case "human":
            energy = standard_table("cie_2006_2_degree_cones")
            quanta = energy.values / energy.wavelengths_nm
            quanta /= quanta.max(axis=1, keepdims=True)
            curves = Curves(energy.names, energy.wavelengths_nm, quanta)
            return VisualSystem(name, curves, "CIE 170-1:2006")
        case "bird-uv" | "bird-v":
            curves = standard_table(name.replace("-", "_"))
            return VisualSystem(name, curves, "Endler & Mielke 2005")
        case "honeybee":
            nm = steps_nm(*_TEMPLATE_NM)
            values = np.array([pigment(nm, peak) for peak in HONEYBEE_NM])
            curves = Curves(("lw", "sw", "uv"), nm, values)
            return VisualSystem(name, curves, "Peitsch et al. 1992, Govardovskii et al. 2000")
    raise OptionError(
        f"There is no visual system '{name}'; choose {', '.join(VISUAL_SYSTEMS)}, or give a CSV of "
        "sensitivities, of pigments, or of a camera's model."
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
    header, rows = read_cells(path)
    if is_of_curves(header):
        return VisualSystem(path.name, read_curves(path), path.name)
    if header not in (["receptor", "peak_nm"], ["receptor", "peak_nm", "droplet", "cut_nm"]):
        raise OptionError(
            f"The columns of '{path.name}' are {', '.join(header[:6])}; 'wl' and receptors, or "
            "'receptor,peak_nm', or 'receptor,peak_nm,droplet,cut_nm' were expected."
        )
    nm = steps_nm(*_TEMPLATE_NM)
    curves = []
    for row in rows:
        peak = float(as_numbers([row[1:2]], path)[0, 0])
        if not 300 <= peak <= 700:
            raise OptionError(
                f"The receptor '{row[0]}' in '{path.name}' peaks at {peak:g} nm; the template of "
                "pigments holds from 300 to 700."
            )
        curve = pigment(nm, peak)
        match row[2:]:
            case [] | ["T" | "", _]:
                pass
            case [("C" | "Y" | "R" | "P") as kind, cut]:
                curve = curve * oil_droplet(nm, float(as_numbers([[cut]], path)[0, 0]), kind)
            case [kind, _]:
                raise OptionError(
                    f"The droplet of '{row[0]}' in '{path.name}' is '{kind}'; C, Y, R, P or T was "
                    "expected."
                )
        curves.append(curve / curve.max())
    names = tuple(row[0] for row in rows)
    if not all(names) or len(set(names)) < len(names):
        raise OptionError(
            f"The receptors in '{path.name}' are {', '.join(names)}; a name of its own was "
            "expected for each."
        )
    return VisualSystem(path.name, Curves(names, nm, np.array(curves)), path.name)
