"""A readout as the module that is kept with the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_phenoscape.nets import LinearReadout
from napari_phenoscape.nets._readout import Affine


def fitted() -> tuple[LinearReadout, Affine]:
    """Of three features, two numbers."""
    affine = Affine(
        np.array([1.0, 2, 3]), np.array([1.0, 2, 4]), np.array([[1.0, 0], [0, 3], [5, 7]])
    )
    readout = LinearReadout(3)
    readout.take(affine)
    return readout, affine


def test_at_first_it_changes_nothing() -> None:
    rows = torch.tensor([[1.0, -2, 3]])
    assert torch.equal(LinearReadout(3)(rows), rows)


def test_it_gives_what_was_fitted() -> None:
    readout, affine = fitted()
    rows = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_allclose(readout(torch.from_numpy(rows)), affine(rows), rtol=1e-5)


def test_a_feature_that_lacks_counts_as_the_centre_and_without_any_there_is_no_embedding() -> None:
    readout, _ = fitted()
    nan = torch.nan
    found = readout(torch.tensor([[2.0, nan, 7], [2, 2, 7], [nan, nan, nan]]))
    assert found[0].tolist() == found[1].tolist() == [6, 7]
    assert found[2].isnan().all()


def test_of_kinds_whose_features_vary_alike_all_count_as_much_as_the_first() -> None:
    readout = LinearReadout(10)
    readout.divide_nothing_out([2, 8])
    rows = readout(torch.eye(10))
    assert (rows[:2] ** 2).sum() == pytest.approx(2)
    assert float((rows[2:] ** 2).sum()) == pytest.approx(2)
    assert torch.equal(rows, rows.diag().diag())


def test_what_is_kept_is_read_whatever_number_of_dimensions_it_has() -> None:
    readout, _ = fitted()
    other = LinearReadout(3)
    other.load_state_dict(readout.state_dict())
    rows = torch.tensor([[4.0, 5, 6]])
    assert torch.equal(other(rows), readout(rows))
    with pytest.raises(RuntimeError, match="size mismatch"):
        LinearReadout(2).load_state_dict(readout.state_dict())
