"""Individuals of two invented species, and what a camera or a line scanner records of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.samples import _pigments as pigments
from napari_phenoscape.samples._shapes import Pattern, Plane, Pose, Spot, Wings, material_cover

Species = Literal["Ficta aurea", "Ficta caerulea"]

#: The two morphs of each species differ in the UV only: by a patch that is there or not, and by
#: which of two patches it is.
MORPHS: dict[Species, tuple[str, str]] = {
    "Ficta aurea": ("plain", "patched"),
    "Ficta caerulea": ("forewing", "hindwing"),
}
SEXES = ("F", "M")
LOCALITIES = ("North", "South")

#: Reflectance of the foam under the specimens, at every wavelength.
BACKGROUND = 0.3

#: Standard deviations, in reflectance.
CAMERA_NOISE = 0.012
SCANNER_NOISE = 0.006

#: The drawer: how many specimens down and across, and pixels for each.
DRAWER_ROWS, DRAWER_COLUMNS, DRAWER_TILE = 4, 6, 48

#: The scanner's number for a perfect white.
SCAN_SCALE = 10000


@dataclass(frozen=True)
class Individual:
    """All there is to know about one specimen and its photograph.

    Parameters
    ----------
    number
        From 0. Species, morph and sex alternate, so any eight in a row hold each combination.
    exposure
        Gain of its photograph, common to all bands; 1 = right.
    pigmentation
        Its pigment densities over the usual ones.
    wings, border_width, spot_radius
        Its shape and the visible part of its pattern.
    noise_seed
        Seeds the noise of its pictures.
    """

    number: int
    species: Species
    morph: str
    sex: str
    locality: str
    pose: Pose
    exposure: float
    pigmentation: float
    wings: Wings
    border_width: float
    spot_radius: float
    noise_seed: tuple[int, int]

    @property
    def stem(self) -> str:
        """File name without extension: ``Genus_species_id_SEX_View``."""
        return f"{self.species.replace(' ', '_')}_{self.number:04d}_{self.sex}_Dorsal"


def individual(number: int, seed: int) -> Individual:
    """The specimen of this number; the same one whatever others are drawn."""
    rng = np.random.default_rng((seed, number))
    species: Species = ("Ficta aurea", "Ficta caerulea")[number % 2]
    female = number // 4 % 2 == 0
    aurea = species == "Ficta aurea"
    pose = Pose(
        rotation_deg=float(rng.uniform(-45, 45)),
        row=float(rng.uniform(-0.03, 0.03)),
        column=float(rng.uniform(-0.03, 0.03)),
        wing_length=float(rng.uniform(0.35, 0.44)),
    )
    wings = Wings(
        fore_deg=float(rng.normal(35, 2)),
        fore_width_deg=float(rng.normal(42 if aurea else 36, 1)),
        hind_deg=float(rng.normal(-42, 2)),
        hind_width_deg=float(rng.normal(33 if aurea else 38, 1)),
        hind_length=float(rng.normal(0.78 if aurea else 0.85, 0.02)),
    )
    return Individual(
        number=number,
        species=species,
        morph=MORPHS[species][number // 2 % 2],
        sex=SEXES[0 if female else 1],
        locality=LOCALITIES[int(rng.integers(2))],
        pose=pose,
        exposure=float(rng.uniform(0.8, 1.2)),
        pigmentation=float(np.exp(rng.normal(0, 0.08))),
        wings=wings,
        border_width=float(rng.normal(0.17 if female else 0.14, 0.015)),
        spot_radius=float(rng.normal(0.095 if female else 0.085, 0.006)),
        noise_seed=(seed, number),
    )


def pattern(one: Individual) -> Pattern:
    """What is painted on its wings; the morph changes no material's place, only a spectrum."""
    if one.species == "Ficta aurea":
        return Pattern(
            ground="pterin",
            border="eumelanin",
            body="eumelanin",
            border_width=one.border_width,
            spots=(
                Spot("uv_patch", "pterin with UV scales", 0.37, 0.20, 0.17),
                Spot("eyespot", "eumelanin", 0.56, 0.40, one.spot_radius),
                Spot("patch", "carotenoid", 0.30, -0.27, one.spot_radius),
            ),
        )
    return Pattern(
        ground="pheomelanin",
        border="eumelanin",
        body="eumelanin",
        border_width=one.border_width,
        spots=(
            Spot("uv_patch", "white patch", 0.44, 0.28, 0.17),
            Spot("uv_patch", "blue patch", 0.36, -0.30, 0.17),
            Spot("eyespot", "eumelanin", 0.44, 0.28, 0.6 * one.spot_radius),
            Spot("eyespot", "eumelanin", 0.36, -0.30, 0.6 * one.spot_radius),
        ),
    )


def spectra(one: Individual) -> dict[str, pigments.Spectrum]:
    """Reflectance of each of its materials, (408,) each."""
    density = one.pigmentation
    dark = pigments.eumelanin(3 * density)
    yellow = pigments.pterin(1.5 * density)
    uv = pigments.uv_scales(0.5)
    white = pigments.white(uv_absorption=3)
    blue = dark + pigments.structural(470, 30, 0.45)
    return {
        "eumelanin": dark,
        "pheomelanin": pigments.pheomelanin(0.9 * density),
        "pterin": yellow,
        "carotenoid": pigments.carotenoid(3 * density),
        "pterin with UV scales": yellow + uv if one.morph == "patched" else yellow,
        "white patch": white + uv if one.morph == "forewing" else white,
        "blue patch": blue + uv if one.morph == "hindwing" else blue,
    }


def photograph(one: Individual, size: int) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """(6, size, size) R, G, B, UV_R, UV_G, UV_B as 65535 x exposure x reflectance, and its mask."""
    materials, covers, whole = _drawn(one, size)
    # (6, 408) @ (408, materials): the camera sees each material, then they are mixed
    seen = pigments.white_balanced_cameras() @ materials.T
    picture = one.exposure * (np.tensordot(seen, covers, 1) + BACKGROUND * (1 - whole))
    noise = np.random.default_rng((*one.noise_seed, 1)).normal(0, CAMERA_NOISE, picture.shape)
    return _numbers(picture + noise, 65535), whole > 0.5


def scan(one: Individual) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """(tile, 408, tile) 10000 x reflectance, as BIL orders it, rightly exposed, and its mask."""
    materials, covers, whole = _drawn(one, DRAWER_TILE)
    mixed = np.tensordot(covers, materials.astype(np.float32), (0, 0))  # (rows, columns, bands)
    mixed += BACKGROUND * (1 - whole[..., None])
    lines = np.ascontiguousarray(mixed.transpose(0, 2, 1))
    rng = np.random.default_rng((*one.noise_seed, 2))
    lines += SCANNER_NOISE * rng.standard_normal(lines.shape, dtype=np.float32)
    return _numbers(lines, SCAN_SCALE), whole > 0.5


def _drawn(one: Individual, size: int) -> tuple[NDArray[np.float64], Plane, Plane]:
    """Spectra (M, 408) and covers (M, size, size) of its M materials, and cover of all of it."""
    covers, whole = material_cover(one.wings, pattern(one), one.pose, size)
    known = spectra(one)
    return np.array([known[name] for name in covers]), np.array(list(covers.values())), whole


def _numbers(reflectance: NDArray[np.floating], scale: int) -> NDArray[np.uint16]:
    return np.asarray(np.rint(np.clip(reflectance * scale, 0, 65535)), dtype="<u2")
