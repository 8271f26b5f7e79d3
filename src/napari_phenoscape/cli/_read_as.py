"""What is said of the planes of a file, as options of every verb that opens one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from napari_phenoscape.errors import OptionError

if TYPE_CHECKING:
    from napari_phenoscape.cubes import Interpretation

Names = Annotated[
    str,
    typer.Option(
        help="names of the planes in order, e.g. R,G,B,UV_B,UV_R,mask; '-' leaves one out"
    ),
]
Wavelengths = Annotated[
    str, typer.Option(help="of the bands in nm: FIRST,LAST when evenly spaced, or one for each")
]
Axis = Annotated[
    int | None,
    typer.Option(help="which axis of an array holds the bands, counted from 0", min=0),
]
FullScale = Annotated[float | None, typer.Option(help="the number that is reflectance 1")]
IgnoreValue = Annotated[
    float | None, typer.Option(help="the number that stands for 'not measured', e.g. -9999")
]


def read_as_of(
    names: str,
    wavelengths: str,
    axis: int | None,
    full_scale: float | None,
    *,
    ignore_value: float | None,
    of: str = "",
) -> Interpretation:
    """What is said of the planes of a file, by options whose names begin with ``of``."""
    from napari_phenoscape.cubes import Interpretation

    said = {
        "names": [name.strip() for name in names.split(",") if name.strip()],
        "wavelengths_nm": [text for text in wavelengths.split(",") if text.strip()],
        "axis": axis,
        "full_scale": full_scale,
        "ignore_value": ignore_value,
    }
    try:
        return Interpretation.parse(said)
    except OptionError as error:
        field = str(error.place[0])
        given = {"names": names, "wavelengths_nm": wavelengths}.get(field, said[field])
        option = f"--{of}{field.removesuffix('_nm').replace('_', '-')} {given}"
        words = re.sub(rf"^{field}[.\d]*: ", "", str(error))
        raise OptionError(f"{option}: {words}", error.place) from None
