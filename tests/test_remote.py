"""Specimens on a server: the same as on a disk, brought when they are needed, never half."""

from __future__ import annotations

import errno
import hashlib
import http.server
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from napari_phenoscape import _brought, _remote, _server
from napari_phenoscape._remote import address, local, located
from napari_phenoscape.analysis import look
from napari_phenoscape.cli import app
from napari_phenoscape.cubes import (
    Band,
    Bands,
    Cube,
    Modality,
    as_modality,
    open_cube,
    read_mask,
    write_cube,
)
from napari_phenoscape.embeddings import embed
from napari_phenoscape.errors import MissingFileError, OptionError, RemoteError
from napari_phenoscape.events import result
from napari_phenoscape.option import Option, Place
from napari_phenoscape.specimens import (
    Collection,
    Crops,
    Drawer,
    Folder,
    Source,
    collect,
    labels_path,
    prepare,
    source_at,
)
from napari_phenoscape.spectra import open_calibrated
from napari_phenoscape.spectra.registering._mspec import read_mspec
from napari_phenoscape.training import Experiment


@dataclass
class Site:
    """A folder that is served, and how; what was asked for is noted."""

    folder: Path
    url: str = ""
    gives_parts: bool = True
    lists: bool = True
    fails: dict[str, int] = field(default_factory=dict)
    asleep: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    sent: dict[str, int] = field(default_factory=dict)
    methods: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    served = Site(tmp_path / "served")
    served.folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(served.folder))

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            path = Path(self.translate_path(self.path))
            served.methods.append((self.command, path.name))
            if path.name in served.asleep and body:
                time.sleep(3)
            if status := served.fails.get(path.name):
                self.send_error(status)
            elif path.is_dir() and not served.lists:
                self.send_error(403)
            elif path.is_dir():
                super().do_GET() if body else super().do_HEAD()
            elif not path.is_file() or self.path.endswith("/"):
                self.send_error(404)
            else:
                self._send(path, body)

        def _send(self, path: Path, body: bool) -> None:
            whole = path.read_bytes()
            asked = self.headers.get("Range")
            first, last = 0, len(whole) - 1
            if asked and served.gives_parts:
                first, last = map(int, asked.removeprefix("bytes=").split("-"))
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(whole)}")
            else:
                self.send_response(200)
            part = whole[first : last + 1]
            self.send_header("Content-Length", str(len(part)))
            self.send_header("ETag", hashlib.sha256(whole).hexdigest())
            self.end_headers()
            if body:
                sent = part[: len(part) // 2] if path.name in served.cut else part
                served.sent[path.name] = served.sent.get(path.name, 0) + len(sent)
                self.wfile.write(sent)
                if path.name in served.cut:
                    self.close_connection = True

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # whoever asked has gone
    served.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield served
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")
    monkeypatch.setattr(_remote, "_listed", {})
    monkeypatch.setattr(_remote, "_looked", {})
    monkeypatch.setattr(_remote, "FRESH_S", 0.0)
    monkeypatch.setattr(_brought, "_brought", [])


def cube_of(numbers: NDArray[Any]) -> Cube:
    bands = Bands(Band(f"{nm} nm", float(nm)) for nm in range(450, 450 + 50 * len(numbers), 50))
    return Cube(numbers, bands, Path("here"), gain=np.array(0.01, np.float32))


def moths(folder: Path, count: int = 4) -> Path:
    """Pictures in folders with masks and a table; names that a URL cannot hold as they are."""
    random = np.random.default_rng(0)
    rows = ["filename,species"]
    for number in range(count):
        species = ("Arctia caja", "Zygaena 50%")[number % 2]
        path = folder / species / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (12, 12, 3), np.uint8)).save(path)
        mask = np.zeros((12, 12), np.uint8)
        mask[3:9, 2 : 8 + number % 3] = 255
        (folder / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
        rows.append(f"{species}/{number}.png,{species}")
    (folder / "metadata.csv").write_text("\n".join(rows), "utf-8")
    (folder / "notes.txt").write_text("no cube")
    return folder


def source(path: Any) -> Folder:
    return Folder(path=path, pattern="*/*.png", mask="../masks/{stem}.png")


def seen(given: Source) -> tuple[Collection, Crops]:
    collection = result(collect(given))
    return collection, result(prepare(collection, [as_modality("rgb")], 16))


def test_specimens_of_a_server_are_those_of_the_folder_that_it_serves(site: Site):
    folder = moths(site.folder / "moths")
    here, near = seen(source(folder))
    there, far = seen(source(f"{site.url}/moths"))
    assert [one.id for one in there.specimens] == [one.id for one in here.specimens]
    assert [one.box for one in there.specimens] == [one.box for one in here.specimens]
    assert there.metadata.equals(here.metadata)
    assert [one.reason for one in there.skipped] == [one.reason for one in here.skipped]
    np.testing.assert_array_equal(near.images[:], far.images[:])
    np.testing.assert_array_equal(near.masks[:], far.masks[:])


def test_what_lies_beside_is_found_on_a_server_too(site: Site):
    folder = moths(site.folder / "moths", 6)
    here, there = result(source_at(folder)), result(source_at(Path(f"{site.url}/moths")))
    assert isinstance(there, Folder)
    assert there.mask == here.mask == "../masks/{stem}.png"
    assert address(there.path) == f"{site.url}/moths"
    assert address(there.metadata) == f"{site.url}/moths/metadata.csv"


def test_any_server_of_fsspec_is_read():
    memory = fsspec.filesystem("memory")
    for number in range(3):
        with memory.open(f"/bucket/moths/{number}.png", "wb") as file:
            Image.fromarray(np.full((8, 8, 3), 50 * number, np.uint8)).save(file, "PNG")
    collection, crops = seen(Folder(path="memory://bucket/moths"))
    assert [one.id for one in collection.specimens] == ["0.png", "1.png", "2.png"]
    assert len(crops.ids) == 3
    memory.rm("/bucket", recursive=True)


def test_an_experiment_keeps_the_address(tmp_path: Path):
    text = "collection: {kind: folder, path: https://example.org/moths, metadata: s3://b/who.csv}"
    experiment = Experiment.from_yaml(text).anchored(tmp_path)
    assert "path: https://example.org/moths\n" in experiment.to_yaml()
    assert "metadata: s3://b/who.csv\n" in experiment.to_yaml()
    assert Experiment.from_yaml(experiment.to_yaml()) == experiment


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/Arctia%20caja/1.png",
        "https://example.org:8080/50%25/1.png",
        "s3://bucket/Arctia caja/50%/1.png",
        "memory://bucket/1.png",
    ],
)
def test_an_address_is_the_same_after_it_was_a_path(url: str):
    assert address(local(url)) == url
    assert local(Path(url)) == local(url)  # `Path` makes one slash of two


def test_a_path_is_no_address():
    for given in ("moths", "/moths/https", "C:/moths", "C:\\moths", "a:b"):
        assert local(given) == given


@pytest.mark.parametrize(
    "url",
    [
        "https://me:secret@example.org/moths",
        "s3://bucket/moths?X-Amz-Signature=secret",
        "https://example.org/moths?token=secret",
    ],
)
def test_what_may_be_a_secret_is_refused_and_not_said_again(url: str):
    class Asked(Option):
        path: Place

    for ask in (lambda: local(url), lambda: Asked.parse({"path": url})):
        with pytest.raises(OptionError, match="would be written into runs") as caught:
            ask()
        assert "secret" not in str(caught.value).replace("(given", "")[:200]


def test_pictures_are_brought_once_and_again_when_they_change(site: Site):
    moths(site.folder / "moths")
    given = source(f"{site.url}/moths")
    _, before = seen(given)
    sent = dict(site.sent)
    assert sent["0.png"] == sum(
        path.stat().st_size for path in site.folder.rglob("0.png")
    )  # the picture and its mask, once each
    seen(given)
    assert site.sent == sent
    path = site.folder / "moths" / "Arctia caja" / "0.png"
    was = path.stat()
    Image.fromarray(np.zeros((12, 12, 3), np.uint8)).save(path)
    os.utime(path, ns=(was.st_mtime_ns, was.st_mtime_ns))  # the ETag alone tells
    _, after = seen(given)
    assert site.sent["0.png"] > sent["0.png"]
    assert before.stamps[0] != after.stamps[0]
    assert before.stamps[1:] == after.stamps[1:]
    np.testing.assert_array_equal(after.images[0][:, 8, 8], after.images[0][:, 7, 7])


def test_a_picture_that_is_removed_from_the_server_is_no_specimen_any_more(site: Site):
    folder = moths(site.folder / "moths")
    given = source(f"{site.url}/moths")
    assert len(result(collect(given)).specimens) == 4
    (folder / "Arctia caja" / "0.png").unlink()
    assert len(result(collect(given)).specimens) == 3


def test_a_picture_that_changes_between_list_and_read_ends_the_verb(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    folder = moths(site.folder / "moths")
    monkeypatch.setattr(_remote, "FRESH_S", 60.0)
    given = source(f"{site.url}/moths")
    given.files()
    Image.fromarray(np.zeros((12, 12, 3), np.uint8)).save(folder / "Arctia caja" / "2.png")
    with pytest.raises(RemoteError, match=r"2\.png' has changed on its server since") as caught:
        result(collect(given))
    assert "Run the same again" in str(caught.value)
    assert len(result(collect(given)).specimens) == 4


def test_a_picture_that_vanishes_between_list_and_read_ends_the_verb(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    folder = moths(site.folder / "moths")
    monkeypatch.setattr(_remote, "FRESH_S", 60.0)
    given = source(f"{site.url}/moths")
    given.files()
    (folder / "Arctia caja" / "2.png").unlink()
    with pytest.raises(RemoteError, match=r"2\.png' is gone from its server since"):
        result(collect(given))
    assert len(result(collect(given)).specimens) == 3


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_server_that_fails_leaves_out_no_specimen(site: Site, status: int):
    moths(site.folder / "moths")
    site.fails["2.png"] = status
    with pytest.raises(RemoteError, match=f"it answers {status}.*no specimen is left out"):
        result(collect(source(f"{site.url}/moths")))
    site.fails.clear()
    assert len(result(collect(source(f"{site.url}/moths"))).specimens) == 4


def test_a_server_that_stops_while_specimens_are_read_leaves_out_none(site: Site):
    moths(site.folder / "moths")
    collection = result(collect(source(f"{site.url}/moths")))
    for specimen in collection.specimens:  # as if the cache had been too small for them
        there = specimen.path.stat()
        _remote.leave_empty(specimen.path, there.st_size, there.st_mtime_ns)
    site.fails["2.png"] = 500
    with pytest.raises(RemoteError, match="no specimen is left out"):
        result(prepare(collection, [as_modality("rgb")], 16))


def test_half_a_picture_is_no_picture(site: Site):
    moths(site.folder / "moths")
    site.cut.add("1.png")
    with pytest.raises(RemoteError, match=r"1\.png"):
        result(collect(source(f"{site.url}/moths")))


def test_a_server_that_is_silent_is_not_waited_for_for_ever(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    moths(site.folder / "moths")
    monkeypatch.setattr(_server, "PATIENCE_S", 0.3)
    site.asleep.add("3.png")
    with pytest.raises(RemoteError, match=r"3\.png' could not be read just now"):
        result(collect(source(f"{site.url}/moths")))


def test_no_server_is_one_sentence():
    with pytest.raises(RemoteError, match=r"could not be read just now.*Cannot connect"):
        result(collect(Folder(path="http://127.0.0.1:9/moths")))
    with pytest.raises(RemoteError, match=r"pip install 'napari-phenoscape\[remote\]'"):
        open_cube("nosuch://host/moth.png")


def test_nothing_at_an_address_is_a_missing_file(site: Site):
    with pytest.raises(MissingFileError, match=r"There is nothing at 'http.*nowhere'"):
        result(collect(Folder(path=f"{site.url}/nowhere")))


def scan(folder: Path, interleave: str = "bil") -> Path:
    """5 MB of 5 bands."""
    cube = cube_of(np.arange(5 * 1000 * 500, dtype=np.uint16).reshape(5, 1000, 500))
    path, *_ = result(write_cube(cube, folder / f"scan.{interleave}"))
    return path


@pytest.mark.parametrize("interleave", ["bil", "bsq", "bip"])
def test_of_plain_numbers_the_pieces_that_are_read_are_brought(
    site: Site, interleave: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_brought, "PIECE", 1 << 16)
    path = scan(site.folder, interleave)
    near, far = open_cube(path), open_cube(f"{site.url}/{path.name}")
    assert far.shape == near.shape
    assert list(far.bands) == list(near.bands)
    most = 2 * _brought.PIECE  # the first, by which other files are known, and the last
    assert site.sent[path.name] <= most
    part = (slice(1, 3), slice(400, 420), slice(10, 20))
    np.testing.assert_array_equal(far.array[part], near.array[part])
    assert site.sent[path.name] <= most + 4 * _brought.PIECE < path.stat().st_size / 10
    chosen = ([4, 0], slice(0, 5), slice(None))
    np.testing.assert_array_equal(far.array[chosen], near.array[chosen])
    np.testing.assert_array_equal(far.array[:, ::-7, 3], near.array[:, ::-7, 3])
    np.testing.assert_array_equal(far.array[...], near.array[...])
    assert site.sent[path.name] == path.stat().st_size  # nothing twice
    header = next(site.folder.glob("*.hdr"))
    far = open_cube(f"{site.url}/{header.name}")
    np.testing.assert_array_equal(far.array[2], near.array[2])
    assert site.sent[path.name] == path.stat().st_size


def test_whether_references_lie_beside_a_scan_is_asked_without_bringing_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_brought, "PIECE", 1 << 16)
    path = scan(site.folder)
    far = open_calibrated(f"{site.url}/{path.name}")
    np.testing.assert_array_equal(far.array[:, 7, 3], open_cube(path).array[:, 7, 3])
    assert site.sent[path.name] <= 4 * _brought.PIECE < path.stat().st_size / 10


def test_a_pixel_of_a_cube_on_a_server_is_that_of_the_cube(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_brought, "PIECE", 1 << 16)
    path = scan(site.folder)
    for index in ((slice(None), 700, 3), (2, 500, 499)):
        far = open_cube(f"{site.url}/{path.name}").array[index]
        np.testing.assert_array_equal(far, open_cube(path).array[index])
    assert site.sent[path.name] < path.stat().st_size


def test_a_server_that_gives_no_pieces_gives_the_file(site: Site):
    path = scan(site.folder)
    site.gives_parts = False
    np.testing.assert_array_equal(
        open_cube(f"{site.url}/{path.name}").array[...], open_cube(path).array[...]
    )


def test_numbers_that_change_on_the_server_are_not_mixed(site: Site):
    path = scan(site.folder)
    far = open_cube(f"{site.url}/{path.name}")
    with path.open("rb+") as file:
        file.seek(3 << 20)
        file.write(b"\xff" * 8)
    with pytest.raises(RemoteError, match="has changed on its server"):
        far.array[...]
    np.testing.assert_array_equal(
        open_cube(f"{site.url}/{path.name}").array[...], open_cube(path).array[...]
    )


def test_a_server_that_lists_no_folders_gives_a_file_that_is_named(site: Site):
    moths(site.folder / "moths")
    site.lists = False
    url = f"{site.url}/moths/Arctia%20caja/0.png"
    near = open_cube(site.folder / "moths" / "Arctia caja" / "0.png")
    np.testing.assert_array_equal(open_cube(url).array[...], near.array[...])
    assert read_mask(f"{site.url}/moths/masks/0.png").shape == (12, 12)
    with pytest.raises(RemoteError, match="answers 403"):
        result(collect(Folder(path=f"{site.url}/moths")))


@pytest.mark.parametrize("asleep", ["moths", "served"])
def test_a_folder_that_a_server_does_not_list_just_now_is_taken_for_no_file(
    site: Site, asleep: str
):
    moths(site.folder / "moths")
    site.fails[asleep] = 503
    with pytest.raises(RemoteError, match="answers 503"):
        located(f"{site.url}/moths")
    site.fails.clear()
    assert len(result(collect(Folder(path=f"{site.url}/moths"))).specimens) > 2


def test_what_was_a_file_may_be_a_folder_later(site: Site):
    site.lists = False
    (site.folder / "moths").write_bytes(b"no pictures yet")
    assert located(f"{site.url}/moths").is_file()
    (site.folder / "moths").unlink()
    moths(site.folder / "moths")
    site.lists = True
    assert len(result(collect(Folder(path=f"{site.url}/moths"))).specimens) > 2


@pytest.mark.parametrize("version", [2, 3])
def test_of_a_zarr_store_the_blocks_that_are_read_are_brought(site: Site, version: int):
    numbers = np.arange(6 * 40 * 40, dtype=np.uint16).reshape(6, 40, 40)
    group = zarr.open_group(site.folder / "scan.zarr", mode="w", zarr_format=version)
    array = group.create_array("cube", data=numbers, chunks=(6, 10, 10))
    array.attrs["wavelength"] = [400.0, 450.0, 500.0, 550.0, 600.0, 650.0]
    far = open_cube(f"{site.url}/scan.zarr")
    assert far.bands.wavelengths_nm is not None
    before = sum(site.sent.values())
    np.testing.assert_array_equal(far.array[2:4, 0:10, 10:20], numbers[2:4, 0:10, 10:20])
    blocks = [name for method, name in site.methods if method == "GET" and name in site.sent]
    assert sum(site.sent.values()) - before > 0
    assert len(set(blocks)) < 10  # of 16 blocks one, and what the store says of itself
    np.testing.assert_array_equal(far.array[...], numbers)


def test_a_drawer_on_a_server_is_the_drawer(site: Site):
    cube = cube_of(np.random.default_rng(0).integers(1, 99, (5, 60, 60)).astype(np.uint16))
    result(write_cube(cube, site.folder / "drawer.bil"))
    regions = np.zeros((60, 60), np.uint8)
    regions[5:20, 5:20], regions[30:55, 30:50] = 1, 2
    Image.fromarray(regions).save(site.folder / "regions.png")
    (site.folder / "who.csv").write_text("region,species\n1,caja\n2,villica\n")

    def drawer(at: str) -> Drawer:
        given = {"path": "drawer.bil", "regions": "regions.png", "metadata": "who.csv"}
        return Drawer.parse({key: f"{at}/{name}" for key, name in given.items()})

    near, far = (result(collect(drawer(at))) for at in (str(site.folder), site.url))
    assert [one.box for one in near.specimens] == [one.box for one in far.specimens]
    assert far.metadata["species"].tolist() == ["caja", "villica"]


def test_the_cache_is_bounded_and_what_was_dropped_is_brought_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    random = np.random.default_rng(0)
    for number in range(12):
        pixels = random.integers(0, 256, (200, 200, 3), np.uint8)  # 120 kB each
        Image.fromarray(pixels).save(site.folder / f"{number}.png")
    monkeypatch.setenv(_brought.LIMIT_GB, "0.0005")
    monkeypatch.setattr(_brought, "AHEAD", 1)
    near, far = seen(Folder(path=site.folder))[1], seen(Folder(path=site.url))[1]
    np.testing.assert_array_equal(near.images[:], far.images[:])
    held = sum(512 * path.stat().st_blocks for path in _remote.root().rglob("*.png"))
    assert 0 < held < 750_000  # of 1.4 MB; a few are on their way
    assert sum(site.sent.values()) > 1.5 * sum(p.stat().st_size for p in site.folder.iterdir())


def test_a_file_larger_than_the_cache_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch):
    moths(site.folder / "moths")
    monkeypatch.setenv(_brought.LIMIT_GB, "0.0000001")
    with pytest.raises(RemoteError, match=r"the cache holds at most 100.*Set the variable"):
        result(collect(source(f"{site.url}/moths")))


def test_a_file_that_waits_for_its_bytes_cannot_be_read_by_others(site: Site):
    moths(site.folder / "moths")
    given = source(f"{site.url}/moths")
    path = given.files()[0]
    assert path.stat().st_size == next(site.folder.rglob(path.name)).stat().st_size
    assert path.stat().st_mode & 0o777 == 0o200
    if os.geteuid():
        with pytest.raises(OSError, match=os.strerror(errno.EACCES)):
            path.read_bytes()


def test_names_of_specimens_on_a_server_have_no_place(site: Site):
    moths(site.folder / "moths")
    with pytest.raises(OptionError, match="is on a server, and the names"):
        labels_path(source(f"{site.url}/moths"), "morph")


def test_names_that_a_server_makes_up_stay_in_their_folder(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    moths(site.folder / "moths")
    listed = _server.inside
    evil = {"name": f"{site.url}/moths/..%2F..%2Fevil.png", "size": 3, "type": "file", "ETag": "x"}

    class Server:
        protocol = "http"

        def _strip_protocol(self, url: str) -> str:
            return url

        def ls(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
            return [evil, evil | {"name": f"{site.url}/moths/.."}]

    assert listed(Server(), f"{site.url}/moths") == {}


def test_a_folder_on_a_server_is_looked_at_and_embedded_by_its_address(site: Site, tmp_path: Path):
    moths(site.folder / "moths", 8)
    seen = result(look(Path(f"{site.url}/moths"), tmp_path / "runs"))
    assert len(seen.embeddings.table) == 8
    written = (seen.run / "experiment.yaml").read_text()
    assert f"path: {site.url}/moths\n" in written
    assert "mask: ../masks/{stem}.png" in written
    assert str(tmp_path / "cache") not in written
    again = list(result(embed(seen.run)).values())[-1]
    assert again.table.equals(seen.embeddings.table)
    command = ["info", f"{site.url}/moths"]
    said = CliRunner().invoke(app, command)
    assert said.exit_code == 0
    assert f"{site.url}/moths: 8 specimens" in said.output.replace("\n", " ")


def test_verbs_read_cubes_label_images_and_tables_at_addresses(site: Site, tmp_path: Path):
    numbers = np.zeros((8, 60, 60), np.uint16)
    numbers += np.random.default_rng(0).integers(20, 24, numbers.shape, np.uint16)
    numbers[:, 10:25, 10:25], numbers[:, 35:55, 30:50] = 80, 90
    bands = Bands(Band(f"{nm} nm", float(nm)) for nm in range(450, 650, 25))
    result(write_cube(replace(cube_of(numbers), bands=bands), site.folder / "scan.bil"))
    regions = np.zeros((60, 60), np.uint8)
    regions[12:20, 12:20], regions[40:50, 35:45] = 1, 2
    Image.fromarray(regions).save(site.folder / "regions.png")
    (site.folder / "eye.csv").write_text("wl,s,l\n460,0,0\n510,1,0\n560,0,0\n610,0,1\n620,0,0\n")
    (site.folder / "known.csv").write_text(
        "wl,known\n" + "".join(f"{nm},{nm}\n" for nm in range(450, 650, 25))
    )

    def asked(at: str, *words: str) -> bytes:
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}{'.csv' * ('spectra' in words)}"
        file = file if file.suffix else file.with_suffix(".png" if "picture" in words else ".tif")
        command = [word.replace("AT", at) for word in words]
        said = CliRunner().invoke(app, [*command, "-o", str(file)])
        assert said.exit_code == 0, said.output
        return file.read_bytes()

    for words in (
        ("convert", "AT/scan.bil", "--white-region", "AT/regions.png,2"),
        ("convert", "AT/scan.bil", "--vision", "AT/eye.csv"),
        ("convert", "AT/scan.bil", "--angle", "AT/known.csv"),
        ("spectra", "AT/scan.bil", "--regions", "AT/regions.png"),
        ("picture", "AT/scan.bil"),
        ("find", "AT/scan.bil", "--cards"),
    ):
        far, near = asked(site.url, *words), asked(str(site.folder), *words)
        assert far.replace(site.url.encode(), b"") == near.replace(str(site.folder).encode(), b"")


def test_a_list_of_micatoolbox_names_photographs_beside_it_on_a_server(site: Site):
    for name in ("a vis.tif", "A UV.TIF", "b.tif"):
        (site.folder / name).write_bytes(b"later")
    lines = "mspec calibrated image\nfiles=C:\\moths\\a vis.tif,C:\\moths\\a uv.tif\n"
    (site.folder / "a.mspec").write_text(f"{lines}labels=visible:R,uv:B\n")
    listed = read_mspec(Path(f"{site.url}/a.mspec"))
    assert [one.name for one in listed.paths] == ["a vis.tif", "A UV.TIF"]
    assert "b.tif" not in {one.name for one in listed.paths[0].parent.iterdir()}


def test_a_scan_at_an_address_is_calibrated_by_the_references_of_its_folder(site: Site):
    for name, level in (("leaf", 400), ("WhiteReference", 1000), ("moss", 100)):
        numbers = np.full((5, 6, 4), level, np.uint16)
        *_, header = result(write_cube(cube_of(numbers), site.folder / f"{name}.bil"))
        lines = header.read_text().splitlines(keepends=True)
        header.write_text("".join(line for line in lines if "scale factor" not in line))
    far = open_calibrated(f"{site.url}/leaf.bil")
    np.testing.assert_allclose(far.array[...], 0.4, rtol=1e-6)
    assert "moss.bil" not in {one.name for one in far.path.parent.iterdir()}


@pytest.mark.parametrize(
    "words",
    [
        ("convert", "scan.bil", "-o", "s3://bucket/scan.tif"),
        ("spectra", "scan.bil", "-o", "s3://bucket/spectra.csv"),
        ("picture", "scan.bil", "-o", "s3://bucket/scan.png"),
        ("find", "scan.bil", "-o", "s3://bucket/found.tif"),
        ("samples", "s3://bucket/samples"),
        ("look", "moths", "--runs", "s3://bucket/runs"),
        ("preview", "s3://bucket/experiment.yaml"),
        ("train", "experiment.yaml"),
    ],
    ids=lambda words: f"{words[0]} {words[-1]}",
)
def test_nothing_is_written_on_a_server(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    result(write_cube(cube_of(np.ones((3, 9, 9), np.uint16)), tmp_path / "scan.bil"))
    moths(tmp_path / "moths", 6)
    asked = "collection: {kind: folder, path: moths}\nruns: s3://bucket/runs\n"
    (tmp_path / "experiment.yaml").write_text(asked)
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 2, said.output
    assert "is on a server" in " ".join(said.output.split())
    assert set(tmp_path.iterdir()) == before


def test_masks_are_not_written_beside_photographs_of_a_server(site: Site, tmp_path: Path):
    moths(site.folder / "moths")
    command = ["find", f"{site.url}/moths", "-o", str(tmp_path / "sheet.png")]
    said = CliRunner().invoke(app, command)
    assert said.exit_code == 2
    assert "masks are written beside the photographs" in " ".join(said.output.split())


def test_an_eye_at_an_address_is_kept_as_one():
    modality = Modality.parse({"name": "finch", "eye": "https://example.org/finch.csv"})
    assert modality.eyes == {"finch": "https://example.org/finch.csv"}
    assert "eye: https://example.org/finch.csv\n" in modality.to_yaml()
