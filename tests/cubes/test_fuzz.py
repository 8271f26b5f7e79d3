"""Damaged and made-up files end in a cube or in our own sentence, in little memory."""

from __future__ import annotations

import struct
import zlib
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from napari_phenoscape.cubes import open_cube
from napari_phenoscape.errors import CubeError
from tests.fuzz.attempts import ENVI, NAMES, attempt, seeds
from tests.fuzz.mutations import MUTATIONS, mutated

SEEDS = seeds()

some = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

#: Bytes that matter more often than others: ends of numbers, large sizes, words.
ODD = st.one_of(
    st.binary(min_size=1, max_size=8),
    st.sampled_from([b"\0" * 4, b"\xff" * 4, b"\x7f" + b"\xff" * 7, b"\0\0\0\x80", b"9999999999"]),
)

VALUES = st.one_of(
    st.sampled_from(["", "0", "1", "-1", "4", "5", "6", "12", "1e9", "nan", "{", "}", "{1, 2}"]),
    st.integers(-(10**20), 10**20).map(str),
    st.text(max_size=20),
    st.lists(st.floats(), max_size=8).map(lambda numbers: "{" + ", ".join(map(str, numbers)) + "}"),
)


def test_every_seed_opens(tmp_path):
    for reader, contents in SEEDS.items():
        for content in contents:
            assert attempt(tmp_path, reader, content), reader


@pytest.mark.parametrize("reader", NAMES)
def test_damage_is_a_sentence(tmp_path, reader):
    @some
    @given(
        seed=st.sampled_from(SEEDS[reader]),
        changes=st.lists(st.tuples(st.floats(0, 1), ODD), max_size=4),
        cut=st.one_of(st.just(1.0), st.floats(0, 1)),
    )
    def damaged(seed, changes, cut):
        content = bytearray(seed)
        for place, odd in changes:
            start = int(place * (len(content) - 1))
            content[start : start + len(odd)] = odd
        attempt(tmp_path, reader, bytes(content[: max(16, int(cut * len(content)))]))

    damaged()


@pytest.mark.parametrize("reader", MUTATIONS)
def test_other_words_of_a_format_are_a_cube_or_a_sentence(tmp_path, reader):
    opened = 0
    for number in range(200):
        random = Random(number)
        content = mutated(reader, random.choice(SEEDS[reader]), random)
        opened += attempt(tmp_path, reader, content)
    assert 0 < opened < 200


@some
@given(
    st.dictionaries(
        st.sampled_from([line.split(b" =")[0].decode() for line in ENVI.splitlines()[1:]]),
        VALUES,
        max_size=5,
    )
)
def test_any_value_of_any_key_is_a_cube_or_a_sentence(tmp_path, changes):
    lines = ENVI.decode().splitlines()
    text = [f"{key} = {changes.pop(key)}" if key in changes else line
            for line in lines for key in [line.split(" =")[0]]]  # fmt: skip
    attempt(tmp_path, "envi", "\n".join(text).encode())


def test_a_part_of_a_matlab_file_that_declares_gigabytes_is_refused(tmp_path):
    whole = SEEDS["matlab"][0]
    place = whole.index(b"scene\0\0\0") + 8 + 4
    for size in (0xFFFFFF00, 481, 479):
        changed = whole[:place] + struct.pack("<I", size) + whole[place + 4 :]
        assert not attempt(tmp_path, "matlab", changed)
        with pytest.raises(CubeError, match=rf"{size} bytes"):
            open_cube(tmp_path / "any.mat")


def test_a_part_of_a_matlab_file_of_an_unknown_type_is_refused(tmp_path):
    whole = SEEDS["matlab"][0]
    place = whole.index(b"scene\0\0\0") + 8
    assert not attempt(tmp_path, "matlab", whole[:place] + b"\x65" + whole[place + 1 :])
    with pytest.raises(CubeError, match="of an unknown type, 101"):
        open_cube(tmp_path / "any.mat")


def test_a_matlab_variable_that_inflates_beyond_reason_is_refused(tmp_path):
    head = SEEDS["matlab"][0][:128]
    bomb = zlib.compress(struct.pack("<II", 14, 1 << 31) + bytes(64))
    content = head + struct.pack("<II", 15, len(bomb)) + bomb
    assert not attempt(tmp_path, "matlab", content)
    with pytest.raises(CubeError, match="a variable of 2147483648 bytes is declared in"):
        open_cube(tmp_path / "any.mat")


def test_a_chunk_of_a_png_that_declares_gigabytes_makes_no_room_for_them(tmp_path):
    whole = next(content for content in SEEDS["picture"] if content[24] == 8)
    place = whole.index(b"IDAT") - 4
    # all pixels are there, so it may open; `attempt` looks at the memory
    attempt(tmp_path, "picture", whole[:place] + struct.pack(">I", 1 << 30) + whole[place + 4 :])
    assert (tmp_path / "any.png").stat().st_size == len(whole)


@pytest.mark.parametrize("reader", ["tiff", "picture"])
def test_a_small_file_that_declares_a_huge_picture_is_refused_before_it_is_decoded(
    tmp_path, reader
):
    if reader == "picture":
        png = next(content for content in SEEDS["picture"] if content[24:26] == b"\x08\x02")
        head = b"IHDR" + struct.pack(">II", 9000, 9000) + png[24:29]
        content = png[:12] + head + struct.pack(">I", zlib.crc32(head)) + png[33:]
    else:
        rgb = SEEDS["tiff"][4]
        content = _with_tags(rgb, {256: 30_000, 257: 30_000, 278: 30_000})
    assert not attempt(tmp_path, reader, content)
    with pytest.raises(CubeError, match=r"declares \d+ bytes and is \d+; its numbers cannot"):
        open_cube(tmp_path / NAMES[reader])


def test_a_tile_that_is_larger_than_memory_is_refused_before_it_is_decoded(tmp_path):
    content = _with_tags(SEEDS["tiff"][5], {322: 16 * 20_000_000})
    assert not attempt(tmp_path, "tiff", content)
    with pytest.raises(CubeError, match=r"declares 15360000000 bytes and is|that expand to 1536"):
        open_cube(tmp_path / "any.tif")


def _with_tags(content: bytes, numbers: dict[int, int]) -> bytes:
    """A little-endian TIFF, some tags of its first page changed."""
    changed = bytearray(content)
    (page,) = struct.unpack_from("<I", content, 4)
    for entry in range(struct.unpack_from("<H", content, page)[0]):
        place = page + 2 + 12 * entry
        (tag,) = struct.unpack_from("<H", content, place)
        if tag in numbers:
            struct.pack_into("<HII", changed, place + 2, 4, 1, numbers[tag])
    return bytes(changed)
