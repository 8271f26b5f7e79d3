"""Every lazy array is indexed as numpy indexes, and is pickled without its numbers."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings, strategies as st

from napari_phenoscape.cubes import LazyArray, binned, cropped, in_reflectance, open_cube
from napari_phenoscape.cubes._lazy import as_slice

C, H, W = 7, 11, 13
NUMBERS = np.random.default_rng(0).integers(0, 999, (C, H, W)).astype("u2")


def kinds(folder: Path) -> dict[str, LazyArray]:
    """One array of each kind, from files where it is from files."""
    (folder / "a.bil").write_bytes(NUMBERS.transpose(1, 0, 2).astype(">u2").tobytes())
    (folder / "a.bil.hdr").write_text(
        f"ENVI\nsamples = {W}\nlines = {H}\nbands = {C}\ndata type = 12\ninterleave = bil\n"
        "byte order = 1\n"
    )
    how = {"photometric": "minisblack", "compression": "zlib", "metadata": None}
    tifffile.imwrite(folder / "a.tif", np.concatenate([NUMBERS, NUMBERS[:1]]), **how)
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("a", data=NUMBERS, chunks=(2, 5, 4), compression="gzip")
        file["wavelength"] = np.arange(500, 500.0 + C)
    (folder / "bands").mkdir()
    for nm, plane in zip(range(500, 500 + C), NUMBERS, strict=True):
        tifffile.imwrite(folder / "bands" / f"{nm}nm.tif", plane, photometric="minisblack")
    mapped, blocks = open_cube(folder / "a.bil"), open_cube(folder / "a.h5")
    return {
        "mapped": mapped.array,
        "decoded": open_cube(folder / "a.tif").array,
        "in blocks": blocks.array,
        "a folder of bands": open_cube(folder / "bands").array,
        "a window": cropped(blocks, [6, 0, 1, 2, 4], slice(2, 9), slice(1, 13)).array,
        "reflectance": in_reflectance(mapped).array,
        "binned": binned(mapped, 2, 3).array,
    }


KINDS = ("mapped", "decoded", "in blocks", "a folder of bands", "a window", "reflectance", "binned")


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    return kinds(tmp_path_factory.mktemp("kinds"))


def axis(side: int) -> st.SearchStrategy[object]:
    within = st.integers(-side, side - 1)
    return st.one_of(
        within,
        st.slices(side),
        st.lists(within, max_size=4),
        st.lists(within, min_size=2, max_size=2).map(lambda pair: np.array(pair)[:, None]),
        st.lists(st.booleans(), min_size=side, max_size=side).map(np.array),
    )


@st.composite
def indices(draw: st.DrawFn, shape: tuple[int, int, int]) -> tuple[object, ...]:
    index = [draw(axis(side)) for side in shape[: draw(st.integers(1, 3))]]
    for odd in (None, ...):
        if draw(st.integers(0, 4)) == 0 and len(index) <= 3:
            index.insert(draw(st.integers(0, len(index))), odd)
    return tuple(index)


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_means_what_numpy_means_by_it(arrays, kind):
    array = arrays[kind]
    whole = np.asarray(array)
    assert (array.shape, array.dtype, array.ndim) == (whole.shape, whole.dtype, 3)
    assert whole.dtype.isnative

    @settings(max_examples=150, deadline=None)
    @given(indices(array.shape))
    def indexed(index):
        try:
            expected = whole[index]
        except IndexError:  # lists that do not fit to each other, or one axis too many
            with pytest.raises(IndexError):
                array[index]
        else:
            np.testing.assert_array_equal(array[index], expected, strict=bool(np.ndim(expected)))

    indexed()


@pytest.mark.parametrize("kind", KINDS)
def test_masks_of_several_axes_and_odd_numbers_are_indices_too(arrays, kind):
    array, whole = arrays[kind], np.asarray(arrays[kind])
    threshold = np.nanmedian(whole)
    for index in (
        ..., (), whole > threshold, whole[0] > whole[1], (slice(None), whole[0] > whole[1]),
        np.int64(2), np.array(-1), (np.uint8(1), np.array(2)), [],
    ):  # fmt: skip
        if isinstance(index, np.ndarray) and index.ndim == 2:
            index = (2, index)
        np.testing.assert_array_equal(array[index], whole[index])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_index_is_refused(arrays, kind):
    for index in (99, -99, (0, 0, 0, 0), 1.5, "a", (..., ...), np.ones(99, bool), [0, 99]):
        with pytest.raises(IndexError):
            arrays[kind][index]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pickled_array_reads_the_same_and_takes_no_numbers_along(arrays, kind):
    array = arrays[kind]
    pickled = pickle.dumps(array)
    assert len(pickled) < 1500 + 200 * C
    np.testing.assert_array_equal(np.asarray(pickle.loads(pickled)), np.asarray(array))
    np.testing.assert_array_equal(copy.deepcopy(array)[1], array[1])


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_read_is_not_the_array(arrays, kind):
    array = arrays[kind]
    before = np.asarray(array)
    array[1][:] = 0
    np.asarray(array)[:] = 0
    np.testing.assert_array_equal(np.asarray(array), before)
    with pytest.raises(ValueError, match="cannot be had without a copy"):
        np.array(array, copy=False)


@pytest.mark.parametrize(
    ("indices", "expected"),
    [([], slice(0, 0, 1)), ([4], slice(4, 5, 1)), ([1, 2, 3], slice(1, 4, 1)),
     ([0, 3, 6], slice(0, 7, 3)), ([1, 2, 4], None), ([2, 1, 0], None), ([1, 1], None)],
)  # fmt: skip
def test_only_indices_that_rise_evenly_are_a_slice(indices, expected):
    found = as_slice(np.array(indices, np.intp))
    assert found == expected if expected else found.tolist() == indices
