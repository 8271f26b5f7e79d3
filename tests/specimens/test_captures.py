"""Folders as scanners write them: references are found by their names, the scan alone is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from napari_phenoscape.cli import app
from napari_phenoscape.cubes import open_cube
from napari_phenoscape.errors import CollectionError, CubeError
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Collection, Folder, collect
from napari_phenoscape.spectra import open_calibrated


def scan(
    path: Path, numbers: int | np.ndarray, *, lines: int = 6, more: str = "", hdr: str = ""
) -> Path:
    """A line scan of two bands and five columns, with its header: NAME.hdr, or as `hdr` says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    planes = np.broadcast_to(np.asarray(numbers), (lines, 2, 5))
    kind = {"u": 12, "f": 4}["f" if planes.dtype.kind == "f" else "u"]
    planes.astype({12: "<u2", 4: "<f4"}[kind]).tofile(path)
    header = path.with_name(hdr) if hdr else path.with_suffix(".hdr")
    header.write_text(
        f"ENVI\nsamples = 5\nlines = {lines}\nbands = 2\ndata type = {kind}\ninterleave = bil\n"
        f"byte order = 0\nheader offset = 0\nwavelength = {{450, 550}}\n{more}"
    )
    return path


def iq(folder: Path, number: int = 600) -> Path:
    """A capture of a Specim IQ: scan, references, what the camera made of them, previews."""
    name = folder.name
    inside = folder / "capture"
    scan(inside / f"{name}.raw", number, more="tint = 20\n")
    scan(inside / f"WHITEREF_{name}.raw", 1100, lines=2, more="tint = 10\n")
    scan(inside / f"DARKREF_{name}.raw", 100, lines=3, more="tint = 20\n")
    scan(inside / f"WHITEDARKREF_{name}.raw", 100, lines=3, more="tint = 10\n")
    scan(folder / "results" / f"REFLECTANCE_{name}.dat", np.full((6, 2, 5), 0.5))
    for picture in (f"{name}.png", f"results/RGBSCENE_{name}.png", f"capture/{name}.png"):
        Image.fromarray(np.full((6, 5, 3), 90, np.uint8)).save(folder / picture)
    (folder / "metadata").mkdir()
    (folder / "metadata" / f"{name}.xml").write_text("<properties/>")
    return folder


def opened(collection: Collection) -> dict[str, float]:
    """The first number of each specimen, by its id."""
    cubes = [collection.opened(group)[0] for group in collection.groups()]
    ids = [one.id for one in collection.specimens]
    return {
        one: round(float(cube.reflectance()[0, 0, 0]), 4)
        for one, cube in zip(ids, cubes, strict=True)
    }


def test_of_the_folders_of_a_specim_iq_the_scans_alone_are_specimens(tmp_path):
    for name, number in (("185", 600), ("186", 1100)):
        iq(tmp_path / name, number)
    collection = result(collect(Folder(path=tmp_path)))
    # (600 - 100) / (1100 - 100), white exposed half as long
    assert opened(collection) == {"185/capture/185.raw": 0.25, "186/capture/186.raw": 0.5}
    reasons = {one.path.name: one.reason for one in collection.skipped}
    assert reasons.keys() == {"185", "186"}
    assert reasons["185"].startswith("6 files of the capture beside its scan")
    assert reasons["185"].endswith("are no specimens.")


def test_the_folder_of_a_capture_opens_as_its_scan(tmp_path):
    folder = iq(tmp_path / "185")
    assert open_cube(folder).path == folder / "capture" / "185.raw"
    np.testing.assert_allclose(open_calibrated(folder).reflectance(), 0.25)
    done = CliRunner().invoke(app, ["info", str(folder)])
    assert done.exit_code == 0, done.output
    assert "185.raw" in done.output


def test_references_of_headwall_calibrate_every_raw_piece_of_their_folder(tmp_path):
    for name in ("raw_0", "raw_2000"):
        scan(tmp_path / name, 600, hdr=f"{name}.hdr")
    scan(tmp_path / "raw_0_rd_rf", np.full((6, 2, 5), 0.7), hdr="raw_0_rd_rf.hdr")
    scan(tmp_path / "whiteReference", 1100, lines=1, hdr="whiteReference.hdr")
    scan(tmp_path / "darkReference", 100, lines=1, hdr="darkReference.hdr")
    (tmp_path / "frameIndex_0.txt").write_text("Frame# Timestamp\n0 1\n")
    collection = result(collect(Folder(path=tmp_path)))
    assert opened(collection) == {"raw_0": 0.5, "raw_0_rd_rf": 0.7, "raw_2000": 0.5}
    said = " ".join(collection.assumed)
    assert "Calibrated with the references beside it (dark, white)" in said
    with pytest.raises(CubeError, match=r"is a capture of 3 scans: 'raw_0', 'raw_0_rd"):
        open_cube(tmp_path)


@pytest.mark.parametrize(
    ("white", "dark"),
    [
        ("White_Reference.bil", "Dark Current.bil"),
        ("white-ref.bil", "dark_correction.bil"),
        ("whitePanel.bil", "DarkFrame.bil"),
        ("leaf_white_ref.bil", "leaf_dark_ref.bil"),
        ("WhiteReference_leaf.bil", "DarkReference_leaf.bil"),
        ("white_panel.hyspex", "dark_current.hyspex"),
    ],
)
def test_references_are_known_by_their_names(tmp_path, white, dark):
    """As people, and Resonon's and HySpex' programs, call them."""
    ending = Path(white).suffix
    for name, number in ((f"leaf{ending}", 600), (white, 1100), (dark, 100)):
        scan(tmp_path / name, number, hdr=f"{name}.hdr" if ending == ".bil" else "")
    assert opened(result(Folder(path=tmp_path).collect())) == {f"leaf{ending}": 0.5}


def test_a_name_alone_makes_no_reference(tmp_path):
    """White and dark morphs, a photograph, and a reference of a scan that is not there."""
    for name in ("white", "dark", "white-tailed", "whiteref_fern"):
        scan(tmp_path / f"{name}.bil", 600)
    Image.fromarray(np.full((6, 5, 3), 90, np.uint8)).save(tmp_path / "white reference.png")
    collection = result(collect(Folder(path=tmp_path)))
    assert len(collection.specimens) == 5
    assert "alibrated" not in " ".join(collection.assumed)


def test_two_white_references_of_one_scan_are_refused(tmp_path):
    for name in ("leaf", "whiteReference", "white_panel"):
        scan(tmp_path / f"{name}.bil", 600)
    with pytest.raises(
        CollectionError, match=r"two white references, 'whiteReference\.hdr' and 'w"
    ):
        result(Folder(path=tmp_path).collect())


def test_a_white_reference_that_the_camera_was_too_full_for_is_refused(tmp_path):
    """At 4095 of 12 bits, in a file of 16."""
    scan(tmp_path / "leaf.bil", 600)
    white = np.random.default_rng(0).integers(3000, 3500, (6, 2, 5))
    white[:, 1] = 4095
    scan(tmp_path / "whiteReference.bil", white)
    with pytest.raises(CollectionError, match=r"overexposed \(in 550 nm\)"):
        result(Folder(path=tmp_path).collect())


def test_places_of_the_detector_that_see_nothing_are_counted_and_not_measured(tmp_path):
    scan(tmp_path / "leaf.bil", 600)
    white = np.full((6, 2, 5), 1100)
    white[:, 1, 3] = 100
    scan(tmp_path / "whiteReference.bil", white)
    scan(tmp_path / "darkReference.bil", 100)
    cube = open_calibrated(tmp_path / "leaf.bil")
    assert np.isnan(cube.reflectance()[1, :, 3]).all()
    assert np.isfinite(cube.reflectance()).sum() == 6 * 9
    assert any(words.startswith("1 of 10 places of the detector") for words in cube.provenance)
