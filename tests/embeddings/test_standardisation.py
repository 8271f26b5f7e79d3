"""What a run makes of a specimen depends on the two alone, not on the specimens beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.embeddings import embed
from napari_phenoscape.errors import CheckpointError
from napari_phenoscape.events import Step, result
from napari_phenoscape.nets import SpectralResponse
from napari_phenoscape.specimens import BandStatistics, Folder
from napari_phenoscape.training import Experiment, read_state, train
from napari_phenoscape.training._checkpoint import checkpoints

#: Nanometres of the bands of three cameras.
CAMERAS = {
    "own": np.linspace(400, 700, 16),
    "other": np.linspace(405, 695, 11),
    "wide": np.linspace(310, 990, 120),
}


def write_stacks(folder: Path, *, holes: bool) -> Path:
    """Twelve stacks of RGB, UV and mask, 20 x 32 pixels, ever brighter; holes are not measured."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for number in range(12):
        pixels = random.random((20, 32, 7), np.float32) * (1 + number) / 12
        pixels[..., 6] = 0
        pixels[3:17, 4:28, 6] = 1
        if holes:
            pixels[6:12, 8:16, (0, 4)] = np.nan
        tifffile.imwrite(
            folder / f"{number:02}.tif", pixels, photometric="minisblack", planarconfig="contig"
        )
    return folder


def write_scans(folder: Path, camera: str) -> Path:
    """Twelve cubes of 16 x 16 pixels as a camera sees them, ever brighter; a quarter is a hole."""
    random = np.random.default_rng(0)
    folder.mkdir()
    nm = CAMERAS[camera]
    curves = np.exp(-0.5 * ((nm - np.array([[450], [550], [650]])) / 30) ** 2)
    for number in range(12):
        planes = random.random((3, 16, 16)) * (1 + number) / 12
        cube = np.tensordot(curves.T, planes, 1)
        cube[:, 8:, 8:] = np.nan
        path = folder / f"{number:02}.bsq"
        cube.astype("<f4").tofile(path)
        path.with_suffix(".bsq.hdr").write_text(
            f"ENVI\nsamples = 16\nlines = 16\nbands = {len(nm)}\ninterleave = bsq\n"
            "data type = 4\nbyte order = 0\nheader offset = 0\nwavelength units = nm\n"
            f"wavelength = {{{', '.join(f'{x:.3f}' for x in nm)}}}\n"
        )
    return folder


def trained(source: Folder, **given: object) -> Path:
    run = {
        "collection": source.model_dump(mode="json"), "modalities": ["rgb", "uv"],
        "image_size": 32, "encoder": {"backbone": "resnet18"},
        "schedule": {"steps": 2, "batch_size": 6}, "runs": str(source.path.parent / "runs"),
    }  # fmt: skip
    return result(train(Experiment.parse(run | given)))


#: A net by itself takes the bands of any camera.
ALONE = {"kind": "simclr", "beside": "nothing"}


def responsive(rate: float = 1.0) -> dict[str, object]:
    stem = {"kind": "spectral_response", "curves": 5}
    return {"backbone": "resnet18", "stem": stem, "rate": rate}


def some_of(source: Folder, number: int = 4) -> Folder:
    """The brightest specimens of a folder, in a folder of their own."""
    apart = source.path.with_name(f"{source.path.name}-some")
    apart.mkdir()
    for path in sorted(source.path.iterdir()):
        if int(path.name[:2]) >= 12 - number:
            shutil.copy(path, apart)
    return source.model_copy(update={"path": apart})


def embedded(run: Path, source: Folder, **given: bool) -> np.ndarray:
    spaces = result(embed(run, source, **given))
    return spaces.get("joint", next(iter(spaces.values()))).x


def apart(x: np.ndarray, y: np.ndarray) -> float:
    """Largest distance between two embeddings of a specimen, over that from y's mean."""
    far = np.linalg.norm(y - y.mean(0), axis=1)
    return float((np.linalg.norm(x - y, axis=1) / far).max())


@pytest.mark.parametrize(
    ("background", "holes", "untrained"),
    [("keep", False, False), ("remove", True, False), ("remove", False, True)],
    ids=["around the box", "not measured", "untrained"],
)
def test_an_embedding_does_not_depend_on_what_is_embedded_beside_it(
    tmp_path: Path, background: str, holes: bool, untrained: bool
) -> None:
    source = Folder(path=write_stacks(tmp_path / "stacks", holes=holes))
    run = trained(source, background=background)
    every = embedded(run, source, untrained=untrained)
    some = embedded(run, some_of(source), untrained=untrained)
    assert apart(some, every[-4:]) < 1e-4


@pytest.mark.parametrize("untrained", [False, True], ids=["trained", "untrained"])
def test_nor_in_the_bands_of_another_camera(tmp_path: Path, untrained: bool) -> None:
    own = Folder(path=write_scans(tmp_path / "own", "own"), pattern="*.bsq")
    run = trained(own, modalities=["full"], encoder=responsive(), method=ALONE)
    other = Folder(path=write_scans(tmp_path / "other", "other"), pattern="*.bsq")
    every = embedded(run, other, untrained=untrained)
    some = embedded(run, some_of(other), untrained=untrained)
    assert apart(some, every[-4:]) < 1e-4


def test_a_runs_spectrum_is_nothing_to_its_curves_in_the_bands_of_another_camera() -> None:
    """Planes of what stands where nothing was measured; 1 is their spread in training."""
    mine, others = (
        Bands(Band(f"{x:.1f} nm", float(x)) for x in np.linspace(*ends))
        for ends in ((348, 810, 408), (340, 700, 30))
    )
    nm = np.array([band.wavelength_nm for band in mine])
    known = BandStatistics(mine, tuple(0.3 + 0.2 * np.sin(nm / 40)), (0.05,) * 408)
    stem = SpectralResponse().build(mine, known.mean, known.std)
    there = known.at(others)
    assert there is not None
    other = SpectralResponse().build(others, there.mean, there.std)
    other.load_state_dict(stem.state_dict())
    spectrum = torch.tensor(there.mean)[None, :, None, None]
    assert other(spectrum).abs().max() < 0.1
    assert other(1.2 * spectrum).abs().max() > 1  # that of a brighter collection


def test_the_control_of_another_camera_is_the_net_that_training_began_with(tmp_path: Path) -> None:
    own = Folder(path=write_scans(tmp_path / "own", "own"), pattern="*.bsq")
    frozen = trained(own, modalities=["full"], encoder=responsive(rate=0), method=ALONE)
    wide = Folder(path=write_scans(tmp_path / "wide", "wide"), pattern="*.bsq")
    control, same = (embedded(frozen, wide, untrained=untrained) for untrained in (True, False))
    assert apart(control, same) < 1e-4


def test_specimens_that_come_into_a_runs_folder_later_change_nothing(tmp_path: Path) -> None:
    every = Folder(path=write_stacks(tmp_path / "stacks", holes=True))
    later = some_of(every)
    for path in later.path.iterdir():
        (every.path / path.name).unlink()
    run = trained(every, background="keep", schedule={"steps": 1, "batch_size": 6})
    before = embedded(run, every)
    for path in later.path.iterdir():
        shutil.copy(path, every.path)
    after = embedded(run, every)
    assert (len(before), len(after)) == (8, 12)
    assert apart(after[:8], before) < 1e-4
    known = read_state(checkpoints(run)[-1])
    again = Experiment.read(run / "experiment.yaml").model_dump(mode="json")
    again["schedule"]["steps"] = 2
    with pytest.raises(
        CheckpointError, match="trained on 8 specimens, and these are 12: 4 are new"
    ):
        result(train(Experiment.parse(again), run))
    for path in later.path.iterdir():
        (every.path / path.name).unlink()
    events = list(train(Experiment.parse(again), run))
    assert [event.step for event in events if isinstance(event, Step)] == [2]
    assert read_state(checkpoints(run)[-1]).statistics == known.statistics
