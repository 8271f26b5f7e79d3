"""A nuisance in runs: batches of one level, what is taken out, and what others get of it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from safetensors.torch import load_file

from napari_phenoscape.analysis import evaluate
from napari_phenoscape.embeddings import embed, embed_all, restore
from napari_phenoscape.errors import OptionError
from napari_phenoscape.events import Event, Notice, Progress, Step, result
from napari_phenoscape.specimens import Folder, Levels
from napari_phenoscape.training import (
    Experiment,
    InstantMethod,
    last_checkpoint,
    read_state,
    train,
)
from napari_phenoscape.training._levels import centred, same_level
from napari_phenoscape.training._recipe import Batches

BANDS = 12
#: What a lab makes of every band.
LABS = {"a": np.ones(BANDS), "b": np.linspace(0.5, 1.1, BANDS), "c": np.linspace(1.2, 0.7, BANDS)}


def collect_into(folder: Path, labs: str, trees: int = 10, seed: int = 0) -> Path:
    """The same trees in each of some labs, 6 px, with noise of their own."""
    random, noise = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    folder.mkdir()
    spectra = 0.3 + 0.05 * random.normal(size=(trees, BANDS)).cumsum(axis=1) / 2
    rows = []
    for tree, spectrum in enumerate(spectra):
        for lab in labs:
            crown = (spectrum * LABS[lab]).clip(0.02)[:, None, None]
            crown = crown + noise.normal(0, 0.002, (BANDS, 6, 6))
            name = f"{tree:02}_{lab}.tif"
            tifffile.imwrite(folder / name, crown.astype(np.float32), photometric="minisblack")
            rows.append((name, f"t{tree}", lab))
    pd.DataFrame(rows, columns=["file", "tree", "lab"]).to_csv(folder / "metadata.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collect_into(tmp_path_factory.mktemp("nuisance") / "trees", "ab")


def experiment(trees: Path, runs: Path, **given: Any) -> Experiment:
    option = {
        "name": "trees", "collection": {"kind": "folder", "path": str(trees)},
        "modalities": ["full"], "image_size": 16, "method": "instant", "nuisance": ["lab"],
        "runs": str(runs), "runtime": {"device": "cpu"},
    }  # fmt: skip
    return Experiment.parse(option | given)


def simclr(trees: Path, runs: Path, steps: int = 4, **given: Any) -> Experiment:
    option = {
        "method": "simclr", "schedule": {"steps": steps, "batch_size": 6, "checkpoint_every": 2},
        "encoder": {"backbone": "mobilenet_v3_small"}, "image_size": 32,
    }  # fmt: skip
    return experiment(trees, runs, **(option | given))


@pytest.fixture(scope="module")
def run(trees: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result(train(experiment(trees, tmp_path_factory.mktemp("runs"))))


def told(verb: Generator[Event, None, Any]) -> list[str]:
    return [event.message for event in verb if isinstance(event, Notice)]


def nearest_are_the_same_tree(run: Path) -> tuple[float, float]:
    """Share of specimens whose nearest is the same tree, and is of the same lab."""
    embeddings = next(iter(result(embed(run)).values()))
    tree = embeddings.table["tree"].to_numpy()
    codes = np.unique(embeddings.table["lab"], return_inverse=True)[1]
    unit = embeddings.x / np.linalg.norm(embeddings.x, axis=1, keepdims=True)
    near = (unit @ unit.T - 2 * np.eye(len(unit))).argmax(axis=1)
    mixed = same_level(embeddings.x, Levels(("a", "b"), codes))
    return float((tree[near] == tree).mean()), float(mixed.mean())


def test_a_batch_is_of_one_level_and_an_epoch_shows_everyone() -> None:
    levels = Levels(("a", "b", "c"), np.array([0] * 8 + [1] * 5 + [2] * 2 + [-1] * 2))
    batches = Batches(17, 4, seed=0, levels=levels)
    # two levels too small or unknown are one; of a level's rest, as of an epoch's, none is seen
    assert sorted(batches.sizes.tolist()) == [4, 4, 4]
    assert batches.epoch == 2 + 1 + 1
    seen = [batches(step) for step in range(batches.epoch)]
    assert all(len(set(levels.codes[batch]) - {2, -1}) <= 1 for batch in seen)
    assert len(set(np.concatenate(seen))) == 16
    assert np.array_equal(batches(5), Batches(17, 4, seed=0, levels=levels)(5))
    assert not np.array_equal(
        np.concatenate(seen), np.concatenate([batches(s + 4) for s in range(4)])
    )


def test_a_level_smaller_than_a_batch_is_one_and_without_levels_nothing_changes() -> None:
    levels = Levels(("a", "b"), np.array([0] * 20 + [1] * 5))
    assert Batches(25, 8, 0, levels).sizes.tolist()[1:] == [8, 5]
    assert Batches(25, 8, 0, levels, ranks=2).sizes.tolist()[1:] == [8, 4]
    one = Levels(("a",), np.zeros(24, np.int64))
    for step in range(7):
        assert np.array_equal(Batches(24, 8, 3)(step), Batches(24, 8, 3, one)(step))


def test_centred_features_have_one_mean_in_every_level() -> None:
    x = np.random.default_rng(0).normal(size=(9, 2, 3)) + np.repeat([0, 5, 9], 3)[:, None, None]
    levels = Levels(("a", "b", "c"), np.array([0, 0, 0, 1, 1, 1, 2, 2, -1]))
    made = centred(x, levels)
    everywhere = x.mean(axis=(0, 1))
    for rows in (slice(0, 3), slice(3, 6)):
        np.testing.assert_allclose(made[rows].mean(axis=(0, 1)), everywhere)
    assert np.array_equal(made[6:], x[6:])


def test_trees_are_found_across_labs_with_the_lab_named_and_not_without(
    trees: Path, run: Path, tmp_path: Path
) -> None:
    same_tree, same_lab = nearest_are_the_same_tree(run)
    without = result(train(experiment(trees, tmp_path, nuisance=[])))
    same_tree_without, same_lab_without = nearest_are_the_same_tree(without)
    assert same_tree > 0.8 > 0.4 > same_tree_without
    assert same_lab < 0.3 < 0.8 < same_lab_without


@pytest.mark.parametrize("part", ["bands", "centre"])
def test_each_part_alone_helps(trees: Path, tmp_path: Path, part: str) -> None:
    parts = {"columns": ["lab"], "bands": part == "bands", "centre": part == "centre"}
    same_tree, _ = nearest_are_the_same_tree(
        result(train(experiment(trees, tmp_path, nuisance=parts)))
    )
    assert same_tree > 0.5  # without, it is below 0.4: see above


def test_how_far_levels_mix_is_said_at_the_end_of_a_run_and_in_evaluate(
    trees: Path, run: Path, tmp_path: Path
) -> None:
    *_, last, _ = (e for e in train(experiment(trees, tmp_path)) if not isinstance(e, Progress))
    assert isinstance(last, Notice)
    assert "nearest neighbours are of the same 'lab' by plain colour" in last.message
    assert "47% if it did not matter" in last.message
    words = told(evaluate([run], "tree"))
    assert any("by 'instant, full'" in each for each in words)
    (compared,) = result(evaluate([run], "tree")).values()
    assert compared[0].scores["1-NN accuracy across lab"].value > 0.8
    assert all(name.endswith(", across lab") for name in compared[0].against)
    # the column may be named for a run that does not name one, and what is asked may be the column
    asked = result(evaluate([run], "lab"))["lab"][0]
    assert "1-NN accuracy across lab" not in asked.scores
    assert asked.verdict == (
        "Not judged: 'lab' differs for technical reasons, so that to tell it is no gain."
    )


def test_one_specimen_of_a_known_level_is_embedded_as_in_the_run(
    trees: Path, run: Path, tmp_path: Path
) -> None:
    two = tmp_path / "two"
    two.mkdir()
    # the first ones: views are drawn by the number of a specimen
    for name in ("00_a.tif", "00_b.tif"):
        (two / name).write_bytes((trees / name).read_bytes())
    pd.DataFrame({"file": ["00_a.tif", "00_b.tif"], "lab": ["a", "b"]}).to_csv(
        two / "metadata.csv", index=False
    )
    assert result(restore(run)).offsets["full"].keys() == {"a", "b"}
    own = next(iter(result(embed(run)).values()))
    other = next(iter(result(embed(run, Folder(path=two))).values()))
    assert own.ids[:2] == other.ids
    np.testing.assert_allclose(other.x, own.x[:2], rtol=1e-3, atol=1e-3)


def test_a_level_that_the_run_does_not_know_is_known_from_its_own_collection(
    run: Path, tmp_path: Path
) -> None:
    source = Folder(path=collect_into(tmp_path / "new", "c"))
    verb = embed(run, source)
    assert any("does not know 'c' of 'lab'" in words for words in told(verb))
    new = next(iter(result(embed(run, source)).values()))
    np.testing.assert_allclose(new.x.mean(axis=0), 0, atol=1e-3)
    own = next(iter(result(embed(run)).values()))
    mine, theirs = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (own.x, new.x))
    found = own.table["tree"].to_numpy()[(theirs @ mine.T).argmax(axis=1)]
    assert (found == new.table["tree"].to_numpy()).mean() > 0.6


def test_others_without_the_column_are_refused(trees: Path, run: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in list(trees.glob("*.tif"))[:3]:
        (bare / path.name).write_bytes(path.read_bytes())
    with pytest.raises(OptionError, match="'nuisance' names the metadata column 'lab'"):
        result(embed(run, Folder(path=bare)))


def test_a_column_that_is_not_there_is_refused_before_a_pixel_is_read(
    trees: Path, tmp_path: Path
) -> None:
    events: list[Event] = []
    with pytest.raises(OptionError, match=r"'camera'.*they have tree, lab"):
        events += train(experiment(trees, tmp_path, nuisance=["camera"]))
    assert not list(tmp_path.iterdir())
    assert not [event for event in events if getattr(event, "what", "") == "reading specimens"]


def test_a_nuisance_that_goes_together_with_what_is_kept_is_left(
    trees: Path, tmp_path: Path
) -> None:
    nuisance = {"columns": ["tree"], "keep": ["tree"]}
    verb = train(experiment(trees, tmp_path, nuisance=nuisance))
    assert any("nothing is taken out" in words for words in told(verb))
    (run,) = tmp_path.glob("*_trees")
    state = read_state(last_checkpoint(run))
    assert not state.alike
    assert not state.levels
    assert not any("does not know" in words for words in told(embed(run)))


def test_a_training_with_levels_goes_on_exactly(trees: Path, tmp_path: Path) -> None:
    whole = result(train(simclr(trees, tmp_path)))
    stopped = train(simclr(trees, tmp_path))
    for event in stopped:
        if isinstance(event, Step) and event.step == 3:
            break
    stopped.close()
    part = tmp_path / f"{whole.name}-2"
    result(train(simclr(trees, tmp_path), part))
    one, two = (load_file(last_checkpoint(run) / "weights.safetensors") for run in (whole, part))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert read_state(last_checkpoint(part)) == read_state(last_checkpoint(whole))


def test_beside_a_training_stands_what_an_instant_run_gives(trees: Path, tmp_path: Path) -> None:
    trained = simclr(trees, tmp_path, steps=2)
    made = result(embed_all(result(train(trained)), tmp_path / "parts"))
    assert made is not None
    instant = result(train(trained.model_copy(update={"method": InstantMethod()})))
    wanted = next(iter(result(embed(instant)).values())).x
    np.testing.assert_allclose(made.others["instant, full"], wanted, atol=1e-4)


def test_batches_smaller_than_asked_for_are_told(trees: Path, tmp_path: Path) -> None:
    schedule = {"steps": 1, "batch_size": 16}
    verb = train(simclr(trees, tmp_path, schedule=schedule))
    assert any("batches have 10 to 10 specimens, not 16" in words for words in told(verb))


def test_each_level_is_embedded_with_norms_of_its_own(trees: Path, tmp_path: Path) -> None:
    method = {"kind": "simclr", "readout": "plain", "beside": "nothing"}
    run = result(train(simclr(trees, tmp_path, steps=2, method=method)))
    net = result(restore(run))
    assert net.norms.keys() == {"a", "b"}
    before = {name: each.clone() for name, each in net.model.state_dict().items()}
    numbers = np.array([3, 0, 2, 1])
    (view,) = net.looks()(numbers)
    together = net.embedding([view], numbers)["full"]
    # a specimen is what it is, whoever is in the batch beside it
    for place in range(4):
        (alone,) = net.looks()(numbers[[place]])
        np.testing.assert_allclose(
            net.embedding([alone], numbers[[place]])["full"][0],
            together[place],
            rtol=1e-3,
            atol=1e-4,
        )
    after = net.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    other = simclr(trees, tmp_path, steps=2, nuisance={"columns": ["lab"], "norms": False})
    assert not result(restore(result(train(other)))).norms
    first, second = (next(iter(result(embed(run)).values())).x for _ in range(2))
    assert np.array_equal(first, second)
