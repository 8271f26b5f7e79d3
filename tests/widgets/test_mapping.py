from __future__ import annotations

import time

import numpy as np
import pytest

from napari_phenoscape.embeddings import reduce
from napari_phenoscape.errors import OptionError, PhenoscapeError
from napari_phenoscape.events import Progress, result
from napari_phenoscape.training import PCA, TSNE, UMAP
from napari_phenoscape.widgets import _mapping
from napari_phenoscape.widgets._mapping import begin_early, reduce_apart

X = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
MAP = TSNE(perplexity=5)


@pytest.fixture(autouse=True)
def _none_before():
    _mapping._end_all()
    yield
    _mapping._end_all()


def test_a_map_of_the_other_process_is_that_of_this_one_and_the_process_stays():
    np.testing.assert_array_equal(result(reduce_apart(X, MAP, 3)), reduce(X, MAP, 3))
    (process,) = _mapping._idle
    np.testing.assert_array_equal(result(reduce_apart(X, PCA(), 0)), reduce(X, PCA(), 0))
    assert _mapping._idle == [process]


def test_what_is_wrong_there_is_said_here_with_its_place():
    with pytest.raises(OptionError, match="perplexity 50") as raised:
        result(reduce_apart(X, TSNE(perplexity=50), 0))
    assert "_maps.py" in str(raised.value.__cause__)


def test_a_map_that_is_stopped_ends_its_process():
    drawing = reduce_apart(X, MAP, 0)
    assert next(drawing) == Progress("drawing the map (tsne)", 0, 1)
    process = drawing.gi_frame.f_locals["process"]
    drawing.close()
    assert process.returncode is not None
    assert not _mapping._idle


def test_a_process_that_dies_is_told_of_and_the_next_map_has_another():
    drawing = reduce_apart(X, MAP, 0)
    next(drawing)
    drawing.gi_frame.f_locals["process"].kill()
    with pytest.raises(PhenoscapeError, match="ended with exit code -9"):
        result(drawing)
    result(reduce_apart(X, PCA(), 0))
    (idle,) = _mapping._idle
    idle.kill()
    end = time.monotonic() + 30
    while idle.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert len(result(reduce_apart(X, PCA(), 0))) == 40


def test_a_process_that_was_begun_early_draws_the_first_map():
    begin_early(UMAP())
    begin_early(UMAP())  # there is one
    (process,) = _mapping._idle
    np.testing.assert_array_equal(result(reduce_apart(X, UMAP(), 0)), reduce(X, UMAP(), 0))
    assert _mapping._idle == [process]
