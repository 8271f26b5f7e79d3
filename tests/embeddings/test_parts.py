"""Parts: several processes embed and evaluate what one does, and go on after a kill."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen

import numpy as np
import pytest
from PIL import Image

from napari_phenoscape.analysis import evaluate
from napari_phenoscape.embeddings import (
    Embeddings,
    _parts,
    embed,
    read_embeddings,
    some_specimens,
)
from napari_phenoscape.errors import CollectionError, OptionError, RunError
from napari_phenoscape.events import Event, Notice, Progress, result
from napari_phenoscape.training import Experiment, _specimens, last_checkpoint, train
from tests.forked import pythons

SPECIMENS, PART = 30, 8
FILES = ("embeddings/rgb.parquet", "embeddings/rgb.csv")
TABLES = ("evaluation-species.csv",)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures of two species, and an instant run of them that kept no embeddings."""
    folder = tmp_path_factory.mktemp("parts")
    (folder / "pictures").mkdir()
    random = np.random.default_rng(0)
    for number in range(SPECIMENS):
        picture = random.integers(0, 160, (16, 16, 3), np.uint8)
        picture[:, :, number % 2] += 90
        Image.fromarray(picture).save(folder / "pictures" / f"{number}_{'ab'[number % 2]}.png")
    given = {
        "collection": {"kind": "folder", "path": "pictures", "name_pattern": "{number}_{species}"},
        "image_size": 16,
        "method": "instant",
        "runs": "runs",
        "runtime": {"device": "cpu"},
    }
    run = result(train(Experiment.parse(given).anchored(folder)))
    (last_checkpoint(run) / "embeddings.safetensors").unlink()
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of all, of which eight specimens are a part."""
    monkeypatch.setattr(_specimens, "PART", PART)
    monkeypatch.setattr(_specimens, "BATCH", PART)
    made_later = shutil.ignore_patterns("embeddings", "evaluation*")
    shutil.copytree(made, tmp_path / "project", ignore=made_later)
    return next((tmp_path / "project" / "runs").glob("2*"))


@pytest.fixture
def alone(made: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What one process writes."""
    monkeypatch.setattr(_specimens, "PART", PART)
    monkeypatch.setattr(_specimens, "BATCH", PART)
    (run,) = (made / "runs").glob("2*")
    if not (run / FILES[0]).exists():
        result(embed(run))
        result(evaluate([run], "species"))
    return {name: (run / name).read_bytes() for name in (*FILES, *TABLES)}


def as_ranks(monkeypatch: pytest.MonkeyPatch, ranks: int) -> Iterator[int]:
    """One process after the other as each rank, as torchrun would say; the first one last."""
    for rank in reversed(range(ranks)):
        for name, value in {
            "TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks,
            "RANK": rank, "LOCAL_RANK": rank,
        }.items():  # fmt: skip
            monkeypatch.setenv(name, str(value))
        yield rank


def embedded_of(events: list[Event]) -> set[int]:
    """How many were done at each word about it."""
    return {e.done for e in events if isinstance(e, Progress) and e.what == "embedding specimens"}


def until(work: Iterator[Event], done: int) -> None:
    """Let it work until so many are embedded."""
    while next(work) != Progress("embedding specimens", done, SPECIMENS):
        pass


def without_paths(table: bytes, run: Path, made: Path) -> bytes:
    return table.replace(str(run.parents[1]).encode(), str(made).encode())


def test_four_ranks_embed_and_evaluate_to_the_bytes_of_one_process(
    made: Path, run: Path, alone: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = []
    for rank in as_ranks(monkeypatch, 4):
        shares.append(embedded_of(list(embed(run))))
        assert (run / FILES[0]).exists() == (rank == 0)
    assert shares == [{30}, {24}, {16}, {8}]  # of ranks 3, 2, 1, 0
    for _ in as_ranks(monkeypatch, 4):
        result(evaluate([run], "species"))
    for name in (FILES[1], *TABLES):
        assert without_paths((run / name).read_bytes(), run, made) == alone[name]
    found, wanted = read_embeddings(run), read_embeddings(next((made / "runs").glob("2*")))
    assert found.x.tobytes() == wanted.x.tobytes()
    assert not list(run.rglob("*.parts"))


def test_what_was_written_before_a_kill_is_not_computed_again(
    made: Path, run: Path, alone: dict[str, bytes]
) -> None:
    work = embed(run)
    until(work, 24)
    work.close()  # in the third part, which is not written yet
    events = list(embed(run))
    assert embedded_of(events) == {24, 30}
    assert without_paths((run / FILES[1]).read_bytes(), run, made) == alone[FILES[1]]


def test_one_table_holds_no_parts_of_two_kinds_of_device(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = embed(run)
    until(work, 24)
    work.close()
    monkeypatch.setattr(_parts, "device_of", lambda _: "cuda")
    assert embedded_of(list(embed(run))) == {8, 16, 24, 30}


#: A process of `embed`, which says that it computes on the kind of device that it is told.
AS_DEVICE = """
import sys
from pathlib import Path
from napari_phenoscape.embeddings import _parts, embed
from napari_phenoscape.errors import RunError
from napari_phenoscape.events import result
from napari_phenoscape.training import _specimens
_specimens.PART = _specimens.BATCH = 8
_parts.device_of = lambda _: sys.argv[2]
try:
    result(embed(Path(sys.argv[1])))
except RunError as error:
    sys.exit(str(error))
"""


def test_processes_on_two_kinds_of_device_end_with_a_sentence(run: Path) -> None:
    asked = [["-c", AS_DEVICE, str(run), device] for device in ("cpu", "cuda")]
    as_rank = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    environments = [as_rank | {"RANK": f"{rank}", "LOCAL_RANK": f"{rank}"} for rank in range(2)]
    (_, _, said), _ = pythons(asked, environments)
    assert "Process 1 computes on 'cuda' and process 0 on 'cpu'; the numbers of one" in said


def test_the_first_does_not_wait_for_one_that_failed(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object) -> None:
        raise RunError("The disk is full.")

    ranks = as_ranks(monkeypatch, 2)
    assert next(ranks) == 1
    with monkeypatch.context() as patch:
        patch.setattr(_parts, "_write", write)
        with pytest.raises(RunError, match=r"^The disk is full"):
            result(embed(run))
    assert next(ranks) == 0
    with pytest.raises(RunError, match=r"Process 1 ended, and with it this one: The disk is full"):
        result(embed(run))


SLOWLY = """
import sys, time
from pathlib import Path

from napari_phenoscape.embeddings import _parts, embed
from napari_phenoscape.training import _specimens

_parts.BEAT_S = 0.05
_specimens.PART = _specimens.BATCH = 8
for event in embed(Path(sys.argv[1])):
    if getattr(event, "what", "") == "embedding specimens":
        print(flush=True)
        time.sleep(100)
"""


def test_the_first_waits_for_one_that_lives_and_not_for_one_that_was_killed(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(as_ranks(monkeypatch, 2))[-1] == 0  # and so is this process
    other = os.environ | {"RANK": "1", "LOCAL_RANK": "1", "OMP_NUM_THREADS": "1"}
    monkeypatch.setattr("os.getppid", os.getpid)  # both have one parent, so that they are one job
    monkeypatch.setattr(_parts, "LOST_S", 1.0)
    monkeypatch.setattr(_parts, "WAIT_S", 0.05)
    process = Popen([sys.executable, "-c", SLOWLY, str(run)], env=other, stdout=PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        waits = embed(run)
        while next(waits) != Progress("waiting for the other processes", 2, 4):
            pass
        for _ in range(40):  # twice as long
            assert next(waits) == Progress("waiting for the other processes", 2, 4)
    finally:
        process.kill()
        process.communicate()
    with pytest.raises(RunError, match=r"^Process 1 was not heard of for 1 seconds.*is kept"):
        result(waits)


def test_the_first_does_not_wait_for_one_that_was_stopped(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = as_ranks(monkeypatch, 2)
    assert next(ranks) == 1
    work = embed(run)
    until(work, 16)
    work.close()
    assert next(ranks) == 0
    with pytest.raises(RunError, match=r"Process 1 ended, and with it this one: it was stopped"):
        result(embed(run))


def test_what_a_process_of_an_earlier_command_said_is_not_believed(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = as_ranks(monkeypatch, 2)
    monkeypatch.setattr(_parts, "device_of", lambda _: "cuda")
    monkeypatch.setenv("MASTER_PORT", "1")
    assert next(ranks) == 1
    result(embed(run))
    monkeypatch.setattr(_parts, "device_of", lambda _: "cpu")
    monkeypatch.setenv("MASTER_PORT", "2")
    assert next(ranks) == 0
    waits = embed(run)
    while next(waits) != Progress("waiting for the other processes", 2, 4):
        pass
    monkeypatch.setenv("RANK", "1")
    result(embed(run))
    monkeypatch.setenv("RANK", "0")
    assert list(result(waits)) == ["rgb"]


def test_the_first_waits_for_one_that_is_late_and_nothing_is_left_behind(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in as_ranks(monkeypatch, 1):  # all parts are there, of a command that was killed
        work = embed(run)
        until(work, SPECIMENS)
        work.close()
    ranks = as_ranks(monkeypatch, 2)
    late = next(ranks)
    assert (late, next(ranks)) == (1, 0)
    first = embed(run)
    while not isinstance(event := next(first), Progress) or "waiting" not in event.what:
        pass
    monkeypatch.setenv("RANK", "1")
    made = list(embed(run))
    assert not embedded_of(made) - {SPECIMENS}
    monkeypatch.setenv("RANK", "0")
    assert list(result(first)) == ["rgb"]
    assert not list(run.rglob("*.parts"))


def test_parts_of_another_version_are_not_taken(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = embed(run)
    until(work, 24)
    work.close()
    monkeypatch.setattr(_parts, "__version__", "0.0.1")
    assert embedded_of(list(embed(run))) == {8, 16, 24, 30}


def test_a_file_that_changed_since_is_computed_again_and_no_other(run: Path) -> None:
    work = embed(run)
    until(work, 24)
    work.close()
    pictures = run.parents[1] / "pictures"
    Image.new("RGB", (16, 16), (200, 30, 60)).save(pictures / "9_b.png")
    events = list(embed(run))
    assert embedded_of(events) == {16, 24, 30}
    found = read_embeddings(run)
    result(embed(run))
    assert found.x.tobytes() == read_embeddings(run).x.tobytes()


def test_a_file_that_changes_while_it_is_read_is_never_guessed_at(run: Path) -> None:
    picture = run.parents[1] / "pictures" / "0_a.png"
    work = embed(run)
    until(work, 8)
    Image.new("RGB", (16, 16), (200, 30, 60)).save(picture)
    with pytest.raises(CollectionError, match=r"specimens 0_a\.png to 7_b\.png changed while"):
        result(work)
    assert not (run / FILES[0]).exists()
    assert result(embed(run))["rgb"].ids[0] == "0_a.png"


def test_specimens_that_cannot_be_read_are_told_once_wherever_they_are(run: Path) -> None:
    pictures = run.parents[1] / "pictures"
    for number in (*range(8, 16), 29):  # all of the second part, and the last of all
        file = pictures / f"{number}_{'ab'[number % 2]}.png"
        file.write_bytes(file.read_bytes()[:-300])
    work, notices = embed(run), []
    while True:
        try:
            event = next(work)
        except StopIteration as end:
            spaces: dict[str, Embeddings] = end.value
            break
        notices += [event.message] if isinstance(event, Notice) else []
    assert len(spaces["rgb"].ids) == SPECIMENS - 9
    assert [notice for notice in notices if "9 of 30 left out" in notice] == notices[-1:]


def test_of_specimens_that_are_shown_the_others_are_not_read(
    run: Path,
) -> None:
    result(embed(run))
    work = some_specimens(run, read_embeddings(run), np.array([20, 3]))
    read = set()
    while True:
        try:
            event = next(work)
        except StopIteration as end:
            crops = end.value
            break
        if isinstance(event, Progress) and event.what == "reading specimens":
            read.add(event.total)
    assert crops.ids == ("20_a.png", "3_b.png")
    assert read == {2}


def test_two_programs_do_not_embed_the_same_at_once(run: Path) -> None:
    work = embed(run)
    until(work, 8)
    with pytest.raises(RunError, match="Another program computes the same"):
        result(embed(run))
    assert list(result(work)) == ["rgb"]


def test_processes_of_this_machine_share_the_work_and_one_joins_it(
    made: Path, run: Path, alone: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.undo()  # in other processes parts are of the usual size: one
    events: list[Event] = []
    work = embed(run, devices=2)
    while True:
        try:
            events.append(next(work))
        except StopIteration as end:
            (embeddings,) = end.value.values()
            break
    assert embedded_of(events) == {SPECIMENS}
    wanted = read_embeddings(next((made / "runs").glob("2*")))
    np.testing.assert_allclose(embeddings.x, wanted.x, atol=1e-5)


def test_more_processes_than_processors_are_refused(run: Path) -> None:
    with pytest.raises(OptionError, match=f"has {os.cpu_count()} processors"):
        result(embed(run, devices=64))
