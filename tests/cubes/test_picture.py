"""Pictures: colours are bands, transparency is the mask; masks keep their numbers."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from napari_phenoscape.cubes import as_modality, open_cube, read_mask, recognise
from napari_phenoscape.errors import CubeError, MissingFileError

#: (2, 3, 3): red 10, 20, ...; green and blue shifted by 1 and 2.
PIXELS = (10 * np.arange(1, 7, dtype="u1").reshape(2, 3, 1) + np.arange(3, dtype="u1")).astype("u1")


def saved(path: Path, pixels: np.ndarray, **how: object) -> Path:
    Image.fromarray(pixels).save(path, **how)
    return path


@pytest.mark.parametrize("ending", [".png", ".bmp", ".PNG", ".webp"])
def test_a_picture_has_the_bands_r_g_b(tmp_path, ending):
    path = saved(
        tmp_path / f"a{ending}", PIXELS, **({"lossless": True} if "webp" in ending else {})
    )
    cube = open_cube(path)
    assert [(band.name, band.region) for band in cube.bands] == [(c, "vis") for c in "RGB"]
    assert cube.shape == (3, 2, 3)
    np.testing.assert_array_equal(np.asarray(cube.array), PIXELS.transpose(2, 0, 1))
    assert cube.reflectance()[2, 1, 0] == pytest.approx(42 / 255)
    assert cube.mask is None
    assert recognise(path) is None  # napari shows pictures itself


def test_a_jpeg_is_a_picture(tmp_path):
    cube = open_cube(saved(tmp_path / "a.jpg", np.full((8, 8, 3), 100, "u1")))
    assert abs(int(cube.array[0, 4, 4]) - 100) <= 2


@pytest.mark.parametrize("ending", [".png", ".bmp", ".jpg"])
def test_pillow_decodes_into_the_memory_that_it_is_given(tmp_path, monkeypatch, ending):
    """A canary for the setting of ``Image.im``, which Pillow promises to nobody.

    Where this fails, Pillow makes memory of its own again when it loads a file: pictures are still
    right, and opening one takes more than twice its numbers, against what docs/opening-cubes.md
    promises. `_picture._decode` is where it is done.
    """

    def copied(*_: object) -> None:
        pytest.fail("Pillow no longer decodes into the memory that Image.im is set to")

    cube = open_cube(saved(tmp_path / f"a{ending}", PIXELS))
    monkeypatch.setattr(Image.Image, "crop", copied)
    assert cube.array[0].shape == PIXELS.shape[:2]


@pytest.mark.parametrize("top", [1, 255])
def test_sixteen_bits_are_kept(tmp_path, top):
    pixels = PIXELS.astype("u2") * top + 7
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(pixels))
    cube = open_cube(path)
    np.testing.assert_array_equal(np.asarray(cube.array), pixels.transpose(2, 0, 1))
    assert cube.reflectance()[0, 0, 0] == pytest.approx((10 * top + 7) / 65535)


def test_sixteen_bits_without_imagecodecs_name_the_way_out(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(PIXELS.astype("u2")))
    code = (
        "import sys; sys.modules['imagecodecs'] = None\n"
        f"from napari_phenoscape.cubes._open import open_cube; open_cube({str(path)!r}).array[0]"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'needs imagecodecs: pip install "napari-phenoscape[formats]"' in process.stderr


def test_a_fault_that_the_decoder_cannot_put_into_words_is_damage_too(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(PIXELS.astype("u2")))
    # as libpng's words came out once, of a file with two headers
    monkeypatch.setattr(imagecodecs, "png_decode", lambda _: b"\xb0".decode())
    with pytest.raises(CubeError, match=r"'a.png' cannot be decoded"):
        open_cube(path).array[0]


@pytest.mark.parametrize("deep", [False, True], ids=["8 bit", "16 bit"])
def test_half_opaque_and_more_is_the_specimen(tmp_path, deep):
    alpha = np.array([[0, 127, 128], [255, 1, 200]], "u1")
    pixels = np.dstack([PIXELS, alpha])
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(pixels * np.uint16(257) if deep else pixels))
    cube = open_cube(path)
    assert cube.shape == (3, 2, 3)
    assert cube.mask.tolist() == [[False, False, True], [True, False, True]]
    assert cube.reflectance()[1, 0, 2] == pytest.approx(31 / 255)


def test_a_picture_that_is_opaque_all_over_has_no_mask(tmp_path):
    path = saved(tmp_path / "a.png", np.dstack([PIXELS, np.full((2, 3), 255, "u1")]))
    assert open_cube(path).mask is None


def test_a_palette_is_opened_in_its_colours(tmp_path):
    picture = Image.fromarray(np.array([[0, 1]], "u1"), mode=None)
    picture = picture.convert("P")
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.save(tmp_path / "a.png")
    assert np.asarray(open_cube(tmp_path / "a.png").array)[:, 0].T.tolist() == [
        [255, 0, 0],
        [0, 0, 255],
    ]


def test_a_photograph_is_turned_as_its_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its right side
    path = saved(tmp_path / "a.png", PIXELS, exif=exif)
    cube = open_cube(path)
    assert cube.shape == (3, 3, 2)
    np.testing.assert_array_equal(cube.array[0], np.rot90(PIXELS[..., 0], -1))
    assert "EXIF" in " ".join(cube.provenance)


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("channels", [3, 4])
def test_every_orientation_is_that_of_pillow(tmp_path, turned, channels):
    exif = Image.Exif()
    exif[0x0112] = turned
    path = saved(tmp_path / "a.png", np.dstack([PIXELS, PIXELS[..., :1]])[..., :channels],
                 exif=exif)  # fmt: skip
    upright = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    np.testing.assert_array_equal(
        np.asarray(open_cube(path).array), upright[..., :3].T.swapaxes(1, 2)
    )


def test_a_mask_is_turned_as_its_file_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "a.png", np.array([[0, 7]], "u1"), exif=exif)
    assert read_mask(path).tolist() == [[0], [7]]


@pytest.mark.parametrize("turned", [0, 9])
def test_an_orientation_that_is_none_turns_nothing_and_says_nothing(tmp_path, turned):
    exif = Image.Exif()
    exif[0x0112] = turned
    cube = open_cube(saved(tmp_path / "a.png", PIXELS, exif=exif))
    assert cube.shape == (3, *PIXELS.shape[:2])
    assert "EXIF" not in " ".join(cube.provenance)


def test_sixteen_bits_are_turned_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    orientation = exif.tobytes()[6:]  # behind "Exif", as PNG has it
    chunk = b"eXIf" + orientation
    whole = imagecodecs.png_encode(PIXELS.astype("u2") * 257)
    head, rest = whole[:33], whole[33:]  # the signature and IHDR
    path = tmp_path / "a.png"
    path.write_bytes(
        head
        + struct.pack(">I", len(orientation)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        + rest
    )  # fmt: skip
    cube = open_cube(path)
    assert cube.shape == (3, 3, 2)
    np.testing.assert_array_equal(cube.array[0], np.rot90(PIXELS[..., 0].astype("u2") * 257, -1))


@pytest.mark.parametrize(
    ("name", "grey", "white"),
    [("a.png", PIXELS[..., 0] > 30, 1), ("a.bmp", PIXELS[..., 0] > 30, 1),
     ("a.png", PIXELS[..., 0], 255), ("a.bmp", PIXELS[..., 0], 255),
     ("a.png", PIXELS[..., 0] * np.uint16(257) + 1, 65535)],
)  # fmt: skip
def test_a_grey_picture_has_one_band_called_grey(tmp_path, name, grey, white):
    cube = open_cube(saved(tmp_path / name, grey))
    assert [(band.name, band.region) for band in cube.bands] == [("grey", None)]
    np.testing.assert_allclose(cube.reflectance()[0], grey / white, rtol=1e-6)
    assert as_modality("grey").indices(cube).tolist() == [0]
    assert recognise(cube.path) is None


@pytest.mark.parametrize("deep", [False, True], ids=["8 bit", "16 bit"])
def test_the_transparency_of_grey_is_its_mask(tmp_path, deep):
    alpha = np.array([[0, 127, 128], [255, 1, 200]], "u1")
    pixels = np.dstack([PIXELS[..., 0], alpha])
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(pixels * np.uint16(257) if deep else pixels))
    cube = open_cube(path)
    assert cube.shape == (1, 2, 3)
    assert cube.mask.tolist() == [[False, False, True], [True, False, True]]
    assert cube.reflectance()[0, 1, 2] == pytest.approx(60 / 255)


@pytest.mark.parametrize("cut", ["header alone", "header, then the end", "second start"])
def test_a_jpeg_without_its_scan_is_refused(tmp_path, cut):
    """Pillow fills no pixel of it; what lay in the memory before would be shown."""
    whole = saved(tmp_path / "a.jpg", np.full((24, 21, 3), 100, "u1")).read_bytes()
    header = whole[: whole.index(b"\xff\xda")]
    end = {"header alone": b"", "header, then the end": b"\xff\xd9",
           "second start": b"\xff\xd9" + whole}[cut]  # fmt: skip
    (tmp_path / "a.jpg").write_bytes(header + end)
    with pytest.raises(CubeError, match=r"'a.jpg' (is|has|cannot|ends|stops)"):
        open_cube(tmp_path / "a.jpg").array[0]


def test_the_recipe_of_micatoolbox_names_the_way_to_its_pixels(tmp_path):
    (tmp_path / "moth.mspec").write_text("mspec calibrated image\nfiles=moth_vis.NEF,moth_uv.NEF\n")
    with pytest.raises(
        CubeError, match=r"recipe for raw photographs.* in ImageJ, save it as a TIFF"
    ):
        open_cube(tmp_path / "moth.mspec")


@pytest.mark.parametrize("head", [b"IIRO", b"IIU\0", b"FUJIFILMCCD-RAW ", b"\0\0\0\x18ftypcrx "])
def test_raw_photographs_are_named_and_stay_linear(tmp_path, head):
    (tmp_path / "a.raw").write_bytes(head + bytes(60))
    with pytest.raises(CubeError, match=r"'a.raw' is a camera's raw file.* linear 16-bit TIFF"):
        open_cube(tmp_path / "a.raw")


def test_cmyk_is_no_cube(tmp_path):
    Image.new("CMYK", (4, 4)).save(tmp_path / "a.jpg")
    with pytest.raises(CubeError, match="the colours CMYK"):
        open_cube(tmp_path / "a.jpg")


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp"])
def test_a_picture_that_is_cut_short_is_refused(tmp_path, ending):
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), "u1")
    path = saved(tmp_path / f"a{ending}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CubeError, match=f"'a{ending}' stops before the end of its picture"):
        _ = open_cube(path).array[0]


@pytest.mark.parametrize(
    ("name", "text"), [("a.csv", "x,y\n1,2"), ("a.png", "<html>"), ("a.bmp", "BM no picture")]
)
def test_other_files_are_no_cubes(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert recognise(tmp_path / name) is None
    with pytest.raises(CubeError, match=f"'{name}'"):
        open_cube(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "start", "words"),
    [("a.bil.gz", b"\x1f\x8b\x08", "compressed by gzip; decompress it"),
     ("a.nc", b"CDF\x01", "NetCDF 3; make it NetCDF 4")],
)  # fmt: skip
def test_files_that_are_one_step_away_name_that_step(tmp_path, name, start, words):
    (tmp_path / name).write_bytes(start + bytes(60))
    with pytest.raises(CubeError, match=words):
        open_cube(tmp_path / name)


def test_folders_and_missing_files_say_so(tmp_path):
    assert recognise(tmp_path) is None
    with pytest.raises(CubeError, match=r"is a folder; a file, a Zarr store, or"):
        open_cube(tmp_path)
    with pytest.raises(MissingFileError, match=r"There is no file at"):
        open_cube(tmp_path / "a.png")


def test_the_ending_does_not_matter(tmp_path):
    saved(tmp_path / "a.png", PIXELS).rename(tmp_path / "a.tif")
    assert open_cube(tmp_path / "a.tif").array[0, 0, 0] == 10


@pytest.mark.parametrize("dtype", ["u1", "u2", "?"])
def test_masks_keep_their_numbers(tmp_path, dtype):
    labels = np.array([[0, 1, 1], [3, 0, 200]]).astype(dtype)
    mask = read_mask(saved(tmp_path / "a.png", labels))
    assert mask.dtype.kind in "ui"
    np.testing.assert_array_equal(mask, labels)


@pytest.mark.parametrize(
    ("name", "pixels", "sentence"),
    [
        ("a.png", PIXELS, r"has the bands R\+G\+B; a mask of one band"),
        ("a.jpg", PIXELS[..., 0], "is a JPEG, which blurs"),
    ],
)
def test_what_is_no_mask_is_refused(tmp_path, name, pixels, sentence):
    with pytest.raises(CubeError, match=sentence):
        read_mask(saved(tmp_path / name, pixels))


def test_text_is_no_mask(tmp_path):
    (tmp_path / "a.csv").write_text("0,1")
    with pytest.raises(CubeError, match="is no mask"):
        read_mask(tmp_path / "a.csv")


def test_white_blood_cells_are_pictures_and_masks(phenoscape_data):
    folder = phenoscape_data / "wbc-zheng" / "Dataset 1"
    cube = open_cube(folder / "001.bmp")
    assert cube.shape == (3, 120, 120)
    assert read_mask(folder / "001.png").shape == (120, 120)


def test_cut_out_beetles_have_their_outline_as_mask(phenoscape_data):
    for path in sorted((phenoscape_data / "specimens-recolorize").glob("*.png")):
        cube = open_cube(path)
        alpha = np.asarray(Image.open(path))[..., 3]
        np.testing.assert_array_equal(cube.mask, alpha >= 128)


def test_sixteen_bit_pictures_of_others_are_read_in_full(phenoscape_data):
    path = phenoscape_data / "specimens-pavo" / "formats" / "pnggrad16rgb_uppercase.PNG"
    expected = imagecodecs.png_decode(path.read_bytes())
    assert expected.dtype == np.uint16
    np.testing.assert_array_equal(np.asarray(open_cube(path).array), expected.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), []),
        (ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes(),
         ["Its colour profile 'XYZ identity built-in' is not applied."]),
        (b"profile" * 30, ["Its colour profile 'damaged' is not applied."]),
    ],
    ids=["sRGB", "another", "damaged"],
)  # fmt: skip
def test_a_colour_profile_that_is_not_applied_is_said(tmp_path, profile, said):
    numbers = np.arange(72 * 3, dtype=np.uint8).reshape(8, 9, 3)
    Image.fromarray(numbers).save(tmp_path / "a.png", icc_profile=profile)
    cube = open_cube(tmp_path / "a.png")
    assert [note for note in cube.provenance if "profile" in note] == said
    np.testing.assert_array_equal(cube.array[...], np.moveaxis(numbers, -1, 0))


@pytest.mark.parametrize("ending", [".png", ".webp"])
def test_that_an_animation_is_read_by_its_first_frame_alone_is_said(tmp_path, ending):
    frames = [Image.fromarray(PIXELS + add) for add in (0, 50, 100)]
    path = tmp_path / f"a{ending}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    cube = open_cube(path)
    np.testing.assert_array_equal(np.asarray(cube.array), PIXELS.transpose(2, 0, 1))
    assert "The first of its 3 frames is read, and no other." in cube.provenance
    frames[0].save(path, lossless=True)
    assert "frames" not in " ".join(open_cube(path).provenance)


def test_of_a_jpeg_views_of_one_scene_are_frames_and_a_preview_is_none(tmp_path):
    frames = [Image.fromarray(np.full((8, 8, 3), level, "u1")) for level in (50, 200)]
    path = tmp_path / "a.jpg"
    frames[0].save(path, "MPO", save_all=True, append_images=frames[1:])
    assert "frames" not in " ".join(open_cube(path).provenance)
    held = bytearray(path.read_bytes())
    # CIPA DC-007: the kind of the main picture, which begins its 16 bytes in the list of pictures
    first = held.rindex(struct.pack("<L", 0x030000), 0, held.index(b"\xff\xdb"))
    for at in (first, first + 16):
        held[at : at + 4] = struct.pack("<L", 0x020003)  # from several angles
    path.write_bytes(held)
    assert "The first of its 2 frames is read, and no other." in open_cube(path).provenance
