"""Palettes: the colours of clusters and of kinds, wherever they are shown."""

from __future__ import annotations

from typing import Literal, get_args

PaletteName = Literal["okabe-ito", "tol-muted"]

#: 24 colours each, all told apart by normal, protan and deutan eyes (Machado et al. 2009, severity
#: 1), and from the grey of noise: by 0.07 in Oklab at least, and by 0.038; 0.02 is just noticeable.
#: First those of Okabe and Ito [1]_ without black, and of Tol's scheme "muted" [2]_, which is
#: softer; then greedily the sRGB colour furthest from all before it.
#:
#: .. [1] Okabe & Ito 2008, Color universal design. https://jfly.uni-koeln.de/color/
#: .. [2] Tol 2021, Colour schemes, SRON/EPS/TN/09-002. https://sronpersonalpages.nl/~pault/
PALETTES: dict[PaletteName, tuple[str, ...]] = {
    "okabe-ito": (
        "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#443300",
        "#332277", "#0000ff", "#5588ff", "#99ccaa", "#2200bb", "#994400", "#664466", "#ccccff",
        "#552244", "#005599", "#99ee99", "#cc22cc", "#0066ff", "#77bb77", "#883333", "#cccc55",
    ),
    "tol-muted": (
        "#cc6677", "#332288", "#ddcc77", "#117733", "#88ccee", "#882255", "#44aa99", "#999933",
        "#aa4499", "#0077ff", "#0000dd", "#552200", "#88ffee", "#9999ff", "#eeee00", "#550044",
        "#9977cc", "#ccbbaa", "#aabb22", "#dd0011", "#aaffaa", "#1166cc", "#5533aa", "#773311",
    ),
}  # fmt: skip

#: What is taken where nobody says otherwise.
PALETTE: PaletteName = get_args(PaletteName)[0]
