"""A picture whose file is not all there is refused, at the latest when its pixels are asked for."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_phenoscape.cubes import open_cube
from napari_phenoscape.errors import CubeError

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)


def written(path: Path, **how: object) -> bytes:
    Image.fromarray(PIXELS).save(path, **how)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.png", {}),
        ("a.jpg", {}),
        ("a.jpg", {"progressive": True}),
        ("a.bmp", {}),
        ("a.webp", {}),
    ],
    ids=["png", "jpeg", "progressive", "bmp", "webp"],
)
@pytest.mark.parametrize("share", [0.4, 0.6, 0.99])
def test_a_picture_that_is_cut_short_is_not_opened(tmp_path, name, how, share):
    path = tmp_path / name
    whole = written(path, **how)
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CubeError, match=r"'a\.\w+' .*Copy it again from its source"):
        open_cube(path)


def test_zeros_in_place_of_the_rest_are_no_end_either(tmp_path):
    for name in ("a.png", "a.jpg"):
        path = tmp_path / name
        whole = written(path)
        path.write_bytes(whole[:900] + bytes(len(whole) - 900))
        with pytest.raises(CubeError, match="cut short"):
            open_cube(path)


def test_the_end_of_a_thumbnail_is_not_that_of_its_picture(tmp_path):
    small = BytesIO()
    Image.fromarray(PIXELS[:8, :8]).save(small, format="JPEG")
    whole = written(tmp_path / "a.jpg")
    length = (len(small.getvalue()) + 2).to_bytes(2, "big")
    with_thumbnail = whole[:2] + b"\xff\xe5" + length + small.getvalue() + whole[2:]
    (tmp_path / "a.jpg").write_bytes(with_thumbnail)
    assert open_cube(tmp_path / "a.jpg").shape == (3, 40, 50)
    (tmp_path / "a.jpg").write_bytes(with_thumbnail[:-300])
    with pytest.raises(CubeError, match="cut short"):
        open_cube(tmp_path / "a.jpg")


def test_what_follows_the_end_is_nobodys_business(tmp_path):
    for name in ("a.png", "a.jpg", "a.bmp"):
        path = tmp_path / name
        path.write_bytes(written(path) + b"a film of what happened" * 9000)
        assert open_cube(path).array[:].shape == (3, 40, 50)


@pytest.mark.parametrize("level", [0, 6])
def test_a_png_whose_checksum_is_wrong_is_not_opened(tmp_path, level):
    # of one colour: decoders stumble over neither
    path = tmp_path / "a.png"
    Image.new("RGB", (400, 300), (70, 70, 70)).save(path, compress_level=level)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    with pytest.raises(CubeError, match="wrong checksum"):
        open_cube(path)
