"""The verb that makes one cube of photographs that belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_phenoscape.cli._answer import Made, wrote
from napari_phenoscape.cli._console import Overwrite, command, listen
from napari_phenoscape.cli._read_as import (
    FullScale,
    IgnoreValue,
    Names,
    read_as_of,
)


@command
def join(
    photographs: Annotated[
        list[Path],
        typer.Argument(
            help="two or more of one specimen; the others are aligned with the first; or a list of "
            "micaToolbox (.mspec) that names them"
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="NAME.bil, .bip, .bsq (ENVI), .tif or .zarr")
    ],
    parts: Annotated[
        str, typer.Option(help="what each shows, in order: uv, vis, nir, swir or another word")
    ] = "vis,uv",
    white_region: Annotated[
        str,
        typer.Option(
            help="a white or grey standard in the first: ROW:ROW,COLUMN:COLUMN; or a label image,"
            " with ,NUMBER for one of its regions; or auto: it is found"
        ),
    ] = "",
    dark_region: Annotated[str, typer.Option(help="the same for a dark reference")] = "",
    panel: Annotated[float, typer.Option(help="reflectance of the standard, 0-1")] = 1.0,
    most_residual_px: Annotated[
        float,
        typer.Option(help="largest residual that counts as aligned, in pixels of the first", min=0),
    ] = 2.0,
    names: Names = "",
    full_scale: FullScale = None,
    other_names: Annotated[str, typer.Option(help="names of the other photographs' planes")] = "",
    other_full_scale: Annotated[
        float | None,
        typer.Option(help="full scale of the other photographs [default: that of the first]"),
    ] = None,
    ignore_value: IgnoreValue = None,
    overwrite: Overwrite = False,
) -> Made:
    """Align photographs of one specimen taken in different light, and write one cube."""
    from napari_phenoscape.spectra import join as verb, references_of

    written = listen(
        verb(
            photographs,
            output,
            [part.strip() for part in parts.split(",")],
            references=references_of(white_region, dark_region, panel),
            read_as=read_as_of(names, "", None, full_scale, ignore_value=ignore_value),
            others_read_as=read_as_of(
                other_names,
                "",
                None,
                full_scale if other_full_scale is None else other_full_scale,
                ignore_value=ignore_value,
                of="other-",
            ),
            most_residual_px=most_residual_px,
            overwrite=overwrite,
        )
    )
    return wrote(written)
