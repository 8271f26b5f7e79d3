"""What a write leaves behind, whether it ends well or not."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from napari_phenoscape._atomic import atomic, atomic_together, check_outputs, scratch
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


def killed_while_writing(path: Path, *, directory: bool = False) -> None:
    """Another process is killed in the middle of writing ``path``."""
    make = (
        "part.mkdir(); (part / 'x').write_text('half')" if directory else "part.write_text('half')"
    )
    program = (
        "import os, signal; from pathlib import Path\n"
        "from napari_phenoscape._atomic import atomic\n"
        f"with atomic(Path({str(path)!r})) as part:\n"
        f"    {make}; os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -signal.SIGKILL


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


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["a.txt", "é" * 120 + ".txt"], ids=["short", "long"])
@pytest.mark.parametrize("directory", [False, True])
def test_what_a_killed_process_left_is_removed_by_the_next_write_of_the_same_name(
    tmp_path: Path, directory: bool, name: str
) -> None:
    killed_while_writing(tmp_path / name, directory=directory)
    killed_while_writing(tmp_path / "b.txt")
    assert len(names(tmp_path)) == 2
    with pytest.raises(ValueError, match="x"):
        write(tmp_path / name, "half", ValueError("x"))
    (left,) = names(tmp_path)
    assert left.startswith(".b.txt.")
    write(tmp_path / "b.txt", "new")
    assert names(tmp_path) == ["b.txt"]


def test_a_scratch_folder_of_a_killed_process_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from napari_phenoscape._atomic import scratch_folder; print(scratch_folder())"
    environment = {**os.environ, "TMPDIR": str(tmp_path), "TEMP": str(tmp_path)}
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    left = Path(process.stdout.strip())
    assert left.parent == tmp_path
    assert left.is_dir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch() as folder:
        assert not left.exists()
        with scratch() as other:  # that of a process that lives stays
            assert folder.is_dir()
            assert other != folder
    assert names(tmp_path) == []


def test_what_others_are_writing_stays(tmp_path: Path) -> None:
    with atomic(tmp_path / "a.txt") as one:
        one.write_text("one")
        elsewhere = one.with_name(f".a.txt.00000000-{os.getpid()}-00000000.part")
        elsewhere.write_text("on another machine")
        write(tmp_path / "a.txt", "two")
        assert one.exists()
        assert elsewhere.exists()
    assert (tmp_path / "a.txt").read_text() == "one"
    os.utime(elsewhere, (0, 0))
    write(tmp_path / "a.txt", "three")
    assert names(tmp_path) == ["a.txt"]


def test_files_that_belong_together_appear_together(tmp_path: Path) -> None:
    def both(fault: BaseException | None = None) -> None:
        with atomic_together(tmp_path / "a.hdr", tmp_path / "a") as (header, numbers):
            numbers.write_text("numbers")
            assert names(tmp_path) == [numbers.name]
            header.write_text("header")
            if fault:
                raise fault

    with pytest.raises(ValueError, match="x"):
        both(ValueError("x"))
    assert names(tmp_path) == []
    both()
    assert names(tmp_path) == ["a", "a.hdr"]


def test_an_output_is_never_an_input_by_whatever_name(tmp_path: Path) -> None:
    cube, folder = tmp_path / "cube.png", tmp_path / "folder"
    cube.write_text("mine")
    folder.mkdir()
    (folder / "page.tif").write_text("mine")
    (tmp_path / "soft").symlink_to(cube)
    os.link(cube, tmp_path / "hard")
    (tmp_path / "way").symlink_to(folder)
    outputs = (
        cube, folder / ".." / "cube.png", tmp_path / "soft", tmp_path / "hard",
        folder / "page.tif", tmp_path / "way" / "page.tif", folder, tmp_path,
    )  # fmt: skip
    for output in outputs:
        with pytest.raises(RunError, match="what is read is never overwritten"):
            check_outputs([output], [cube, folder], overwrite=True)
    check_outputs([folder / "new.png", tmp_path / "new"], [cube, folder])


def test_what_is_there_is_overwritten_only_when_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("mine")
    with pytest.raises(RunError, match=r"is there already.*say --overwrite"):
        check_outputs([tmp_path / "a.png"])
    check_outputs([tmp_path / "a.png"], overwrite=True)


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/.."])
def test_a_folder_without_a_name_of_its_own_is_no_output(name):
    with pytest.raises(RunError, match="is a folder, and the name of a file was expected"):
        check_outputs([Path(name)], overwrite=True)
