"""What a write leaves behind, whether it ends well or not."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest

from napari_phenoscape._atomic import atomic
from napari_phenoscape.errors import CheckpointError, RunError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(path: Path, text: str, fault: BaseException | None = None) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text)
        if fault:
            raise fault


def write_on_a_full_disk(path: Path) -> None:
    with atomic(path) as temporary:
        temporary.symlink_to("/dev/full")
        temporary.write_text("new")


def write_directory(path: Path, text: str, fault: BaseException | None = None) -> None:
    with atomic(path) as temporary:
        temporary.mkdir()
        (temporary / f"{text}.txt").write_text(text)
        if fault:
            raise fault


def test_the_file_appears_at_the_end_of_the_block_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == tmp_path  # same disk
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("fault", [ValueError("x"), KeyboardInterrupt(), CheckpointError("x")])
def test_a_fault_in_the_block_passes_through_and_the_old_file_stays(
    tmp_path: Path, fault: BaseException
) -> None:
    path = tmp_path / "a.txt"
    write(path, "old")
    with pytest.raises(type(fault)):
        write(path, "half", fault)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_sentence_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write(path, "old")
    with pytest.raises(RunError, match=r"No space left on device.* MB free.*make room") as caught:
        write_on_a_full_disk(path)
    assert str(path) in str(caught.value)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"nowhere.*No such file or directory.*Choose a folder"):
        write(tmp_path / "nowhere" / "a.txt", "new")


def test_a_directory_replaces_a_directory(tmp_path: Path) -> None:
    write_directory(tmp_path / "step", "old")
    write_directory(tmp_path / "step", "new")
    assert names(tmp_path) == ["step"]
    assert names(tmp_path / "step") == ["new.txt"]


def test_a_directory_that_fails_half_way_is_removed_and_the_old_one_stays(tmp_path: Path) -> None:
    write_directory(tmp_path / "step", "old")
    with pytest.raises(ValueError, match="stop"):
        write_directory(tmp_path / "step", "half", ValueError("stop"))
    assert names(tmp_path) == ["step"]
    assert names(tmp_path / "step") == ["old.txt"]


def test_a_file_in_the_place_of_a_folder_is_said_so(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="Not a directory"), atomic(tmp_path / "file" / "x") as new:
        new.mkdir(parents=True)
    assert (tmp_path / "file").read_text() == "mine"


def test_numpy_on_a_full_disk_is_told_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(RunError, match=r"No space left on device \(0 MB free there\)"):
        write(tmp_path / "a.npy", "half", OSError("64512 requested and 18320 written"))
