"""A file that is lost under a read ends in a sentence; the process lives on."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from napari_phenoscape.cubes import Mapping, open_cube
from napari_phenoscape.errors import CubeError

C, H, W = 20, 100, 500
PAGE = 4096

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="Windows refuses to shrink")


def ones(folder: Path) -> Path:
    """A BIL cube of 2 MB, every number of which is 257."""
    (folder / "a.bil.hdr").write_text(
        f"ENVI\nsamples = {W}\nlines = {H}\nbands = {C}\ndata type = 12\ninterleave = bil\n"
    )
    (folder / "a.bil").write_bytes(b"\1" * 2 * C * H * W)
    return folder / "a.bil"


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_reads_of_a_file_that_another_process_shortens_end_in_a_sentence(tmp_path):
    # every read gives all numbers right, or the error; with the default answer to SIGBUS, this
    # process dies in one of the first rounds
    code = """
        import os, sys, threading, time
        from pathlib import Path
        from napari_phenoscape.errors import CubeError
        from napari_phenoscape.cubes._open import open_cube
        path = Path(sys.argv[1])
        whole = path.read_bytes()
        said, lost = set(), 0
        indices = (..., (slice(None), 99), (slice(None), slice(None), 7), ([3, 19], slice(None)))
        def read(cube, index):
            try:
                while True:
                    assert (cube.array[index] == 257).all(), "a wrong number"
            except CubeError as error:
                said.add(str(error).partition(" to ")[0])
        for turn in range(60):
            path.write_bytes(whole)
            cube = open_cube(path)
            threads = [threading.Thread(target=read, args=(cube, index)) for index in indices]
            other = os.fork()
            if not other:
                time.sleep(turn % 10 / 1000)
                os.truncate(path, turn * 7919 % len(whole))
                os._exit(0)
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            os.waitpid(other, 0)
            lost += cube.array._mapping.is_lost
        print(lost, *said, sep="\\n")
    """
    end = run(code, ones(tmp_path))
    assert end.returncode == 0, end
    assert "wrong" not in end.stderr
    lost, *said = end.stdout.splitlines()
    assert int(lost) > 10, "hardly any read was hit; the claim is not tested"
    assert said == ["'a.bil' has changed from 2000000"]


def test_what_was_lost_stays_lost_and_a_new_opening_is_right(tmp_path):
    path = ones(tmp_path)
    cube = open_cube(path)
    whole = path.read_bytes()
    os.truncate(path, 10 * PAGE)
    for _ in range(2):
        with pytest.raises(CubeError, match="from 2000000 to 40960 bytes"):
            cube.array[...]
    path.write_bytes(whole)
    with pytest.raises(CubeError, match="has been written anew"):
        cube.array[...]
    assert (open_cube(path).array[...] == 257).all()


def test_zeros_behind_the_new_end_of_a_page_are_no_numbers(tmp_path):
    cube = open_cube(ones(tmp_path))
    assert cube.array[0, 0, 0] == 257
    os.truncate(tmp_path / "a.bil", 2)  # no signal: the first page is still there
    with pytest.raises(CubeError, match="from 2000000 to 2 bytes"):
        cube.array[0, 0, 1]


def test_numbers_that_are_written_anew_are_told(tmp_path):
    path = ones(tmp_path)
    cube = open_cube(path)
    os.utime(path, ns=(0, 0))
    with pytest.raises(CubeError, match="written anew since it was opened"):
        cube.array[0]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_any_more_is_told(tmp_path):
    path = ones(tmp_path)
    cube = open_cube(path)
    path.chmod(0)
    with pytest.raises(CubeError, match=r"cannot be read any more \(Permission denied\)"):
        cube.array[0]


def test_a_file_of_other_rights_and_names_is_the_same_file(tmp_path):
    path = ones(tmp_path)
    cube = open_cube(path)
    path.chmod(0o400)
    (tmp_path / "backup.bil").hardlink_to(path)
    assert (cube.array[0] == 257).all()


def test_a_disk_that_gives_no_data_is_told(tmp_path):
    cube = open_cube(ones(tmp_path))
    cube.array._mapping.replace_by_zeros()  # as after a signal while the file stands unchanged
    with pytest.raises(CubeError, match=r"cannot be read any more \(Input/output error\)"):
        cube.array[0]


def test_bus_errors_of_others_still_end_the_process(tmp_path):
    code = """
        import os, sys
        import numpy as np
        from napari_phenoscape.cubes._open import open_cube
        cube = open_cube(sys.argv[1])
        assert cube.array[0, 0, 0] == 257
        theirs = np.memmap(sys.argv[1], "u1", "r")
        os.truncate(sys.argv[1], 0)
        theirs.sum()
    """
    assert run(code, ones(tmp_path)).returncode == -signal.SIGBUS


def test_the_signal_is_taken_back_with_the_next_cube(tmp_path):
    code = """
        import faulthandler, os, sys
        from napari_phenoscape.cubes._open import open_cube
        open_cube(sys.argv[1])
        faulthandler.enable()
        cube = open_cube(sys.argv[1])
        os.truncate(sys.argv[1], 0)
        cube.array[0]
    """
    end = run(code, ones(tmp_path))
    assert end.returncode == 1
    assert "CubeError: 'a.bil' has changed from 2000000 to 0 bytes" in end.stderr


def test_zeros_in_the_place_of_a_file_are_its_length(tmp_path):
    with ones(tmp_path).open("rb") as file:
        mapping = Mapping(file.fileno())
    mapping.replace_by_zeros()
    assert np.frombuffer(mapping.bytes, "u1").sum() == 0
    assert len(mapping.bytes) == 2 * C * H * W


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are not listed here")
@pytest.mark.parametrize("again", [copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_files_are_closed_with_their_cubes(tmp_path, again):
    path = ones(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    array = again(open_cube(path).array)
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 2  # one is the mapping's own
    del array
    assert len(list(Path("/proc/self/fd").iterdir())) == before
