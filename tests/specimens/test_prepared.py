"""Prepared crops: on disk they are what they are in memory, whole, or not used."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from napari_phenoscape.cli._console import app
from napari_phenoscape.cubes import Interpretation, Modality, as_modality
from napari_phenoscape.embeddings import embed
from napari_phenoscape.errors import BandMismatchError, CollectionError, OptionError, RunError
from napari_phenoscape.events import Event, Notice, Progress, Saved, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import (
    Collection,
    Crops,
    Drawer,
    Folder,
    Preparation,
    collect,
    prepare,
    source_at,
)
from napari_phenoscape.specimens.crops._disk import key_of, read_store
from napari_phenoscape.specimens.crops._request import CropRequest
from napari_phenoscape.training import Experiment, last_checkpoint, train
from tests.least import least

BOTH = [as_modality("rgb"), as_modality("uv")]
SIZE = 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four stacks of RGB, UV and mask, 10 x 14 pixels, and a photograph in RGB."""
    random = np.random.default_rng(0)
    here = tmp_path / "specimens"
    here.mkdir()
    for i in range(4):
        pixels = random.integers(0, 65535, (10, 14, 7)).astype(np.uint16)
        pixels[..., 6] = 0
        pixels[2:8, 3 : 8 + i, 6] = 255
        tifffile.imwrite(here / f"{i}.tif", pixels, photometric="minisblack", planarconfig="contig")
    photograph = random.integers(0, 255, (9, 9, 3)).astype(np.uint8)
    tifffile.imwrite(here / "4.tif", photograph, photometric="rgb")
    (here / "metadata.csv").write_text("file,species\n0.tif,a\n")
    return here


def heard(verb: Iterator[Event]) -> tuple[list[Event], Crops]:
    events = []
    while True:
        try:
            events.append(next(verb))
        except StopIteration as end:
            return events, end.value


def collected(folder: Path) -> Collection:
    return result(collect(Folder(path=folder)))


def kept(folder: Path, at: Path, **given: object) -> tuple[list[Event], Crops]:
    verb = prepare(collected(folder), BOTH, SIZE, Preparation(**given), at, keep=True)
    return heard(verb)


def assert_same(one: Crops, other: Crops) -> None:
    for name in ("images", "masks", "mean", "std"):
        a, b = (np.asarray(getattr(crops, name)[:]) for crops in (one, other))
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes(), name
    assert (one.ids, one.bands) == (other.ids, other.bands)
    for name, index in one.modalities.items():
        assert index.tolist() == other.modalities[name].tolist()
        assert one.present[name].tolist() == other.present[name].tolist()


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_crops_on_disk_are_those_in_memory_bit_for_bit(folder, tmp_path, precision):
    preparation = Preparation(precision=precision)
    memory = result(prepare(collected(folder), BOTH, SIZE, preparation))
    events, disk = kept(folder, tmp_path / "kept", precision=precision)
    assert_same(memory, disk)
    assert memory.folder is None
    assert disk.folder in (tmp_path / "kept").iterdir()
    assert Saved(disk.folder) in events
    stored = np.load(disk.folder / "images.npy", allow_pickle=False)
    assert (stored.shape, stored.dtype) == ((5, 6, SIZE, SIZE), np.dtype(precision))
    batch = np.array([3, 0, 3])
    assert disk.images[batch].tobytes() == memory.images[batch].tobytes()
    assert disk.images[batch].flags.writeable  # new memory: what is done to it stays there
    assert disk.images[2:0:-1, 1, ::2].tobytes() == memory.images[2:0:-1, 1, ::2].tobytes()
    assert disk.images[1].tobytes() == memory.images[1].tobytes()


def test_crops_that_were_prepared_are_found_and_nothing_is_read(folder, tmp_path):
    _, first = kept(folder, tmp_path)
    events, again = heard(prepare(collected(folder), BOTH, SIZE, folder=tmp_path))
    assert_same(first, again)
    assert events == [Notice("Without the modality 'uv': 1 of 5 specimens, e.g. '4.tif'.")]
    again.prefetch(np.array([4, 0]))  # a hint; it changes nothing
    assert_same(first, again)


def test_a_folder_of_prepared_crops_is_said_to_be_one_and_is_no_collection(folder, tmp_path):
    _, crops = kept(folder, tmp_path / "prepared")
    for given in (crops.folder.parent, crops.folder):
        end = CliRunner().invoke(app, ["info", str(given)])
        assert end.stdout.startswith("5 specimens, 6 bands: "), end.output
        with pytest.raises(CollectionError, match=r"specimens.*prepared crops are none"):
            result(source_at(given))
    before = collected(folder)
    shutil.copytree(crops.folder, folder / crops.folder.name)  # among the pictures
    assert collected(folder).skipped == before.skipped
    assert "5 specimens; metadata" in CliRunner().invoke(app, ["info", str(folder)]).stdout


def test_crops_that_a_run_was_trained_on_are_found_by_what_it_knows_of_them(folder, tmp_path):
    _, own = kept(folder, tmp_path)
    events, found = heard(
        prepare(collected(folder), BOTH, SIZE, folder=tmp_path, known=own.statistics)
    )
    assert found.folder == own.folder
    assert [type(event) for event in events] == [Notice]  # that one has no UV; nothing is read


def test_crops_for_a_run_of_other_specimens_are_others(folder, tmp_path):
    _, own = kept(folder, tmp_path)
    known = {
        name: replace(of, mean=tuple(mean / 2 for mean in of.mean))
        for name, of in own.statistics.items()
    }
    verb = prepare(collected(folder), BOTH, SIZE, folder=tmp_path, known=known, keep=True)
    _, theirs = heard(verb)
    assert theirs.folder != own.folder
    assert theirs.statistics == known
    # the photograph has no UV
    np.testing.assert_allclose(theirs.images[4, 3:, 0, 0], own.mean[3:] / 2, rtol=1e-6)
    memory = result(prepare(collected(folder), BOTH, SIZE, known=known))
    assert_same(memory, theirs)
    again = result(prepare(collected(folder), BOTH, SIZE, folder=tmp_path, known=known))
    assert again.folder == theirs.folder


@pytest.mark.parametrize(
    ("share", "on_disk"), [(0.0, True), (1e-12, True), (0.8, False)], ids=["none", "little", "much"]
)
def test_crops_are_kept_on_disk_when_they_take_more_of_the_memory_than_they_may(
    folder, tmp_path, share, on_disk
):
    preparation = Preparation(memory_share=share)
    crops = result(prepare(collected(folder), BOTH, SIZE, preparation, tmp_path / "kept"))
    assert (crops.folder is not None) == on_disk == (tmp_path / "kept").exists()


def touch(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def test_the_key_follows_the_sources_and_the_settings_and_nothing_else(folder, tmp_path):
    mask = np.zeros((9, 9), np.uint8)
    mask[2:7, 3:6] = 1
    drawer = tmp_path / "drawer"
    drawer.mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.full((9, 9, 3), 99, np.uint8)).save(drawer / f"{name}.bmp")
        Image.fromarray(mask).save(drawer / f"{name}.png")
    source = Folder(path=drawer, pattern="*.bmp", mask="{stem}.png")

    def key(modalities=("rgb",), size=8, **given: object) -> str:
        chosen = [as_modality(each) for each in modalities]
        return key_of(CropRequest(result(collect(source)), chosen, size, Preparation(**given)))

    first = key()
    assert key() == first
    assert key(memory_share=0.1, folder=tmp_path) == first
    (drawer / "metadata.csv").write_text("file,species\na,x\n")
    assert key() == first
    own = Modality(name="rgb", bands=("R",))
    others = [key(("vis",)), key((own,)), key(size=9), key(bin_bands=2), key(precision="float16")]
    for changed in ("a.bmp", "b.png"):
        touch(drawer / changed)
        others.append(key())
    source = source.model_copy(update={"read_as": Interpretation(full_scale=200)})
    others.append(key())
    Image.fromarray(mask).save(drawer / "c.png")
    Image.fromarray(np.full((9, 9, 3), 99, np.uint8)).save(drawer / "c.bmp")
    others.append(key())
    assert len({first, *others}) == 1 + len(others)


def test_the_key_follows_an_envi_header_and_the_regions_of_a_drawer(tmp_path):
    path = write_envi(tmp_path / "drawer.bil")
    regions = tmp_path / "regions.tif"
    labels = np.zeros((8, 9), np.uint8)
    labels[1:4, 1:4], labels[5:8, 5:8] = 1, 2
    tifffile.imwrite(regions, labels)
    source = Drawer(path=path, regions=regions, min_area=4)
    keys = set()
    for changed in (path, tmp_path / "drawer.bil.hdr", regions):
        keys.add(key_of(CropRequest(result(collect(source)), [as_modality("full")], 8)))
        touch(changed)
    keys.add(key_of(CropRequest(result(collect(source)), [as_modality("full")], 8)))
    assert len(keys) == 4


def truncate(store: Path) -> None:
    os.truncate(store / "images.npy", (store / "images.npy").stat().st_size - 1)


def alter(store: Path) -> None:
    with (store / "images.npy").open("rb+") as file:
        file.seek(2000)
        file.write(b"\x07")


def remove(store: Path) -> None:
    (store / "masks.npy").unlink()


def edit(store: Path) -> None:
    path = store / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["contents"]["mean"][0] += 0.25
    path.write_text(json.dumps(manifest))


def cut(store: Path) -> None:
    os.truncate(store / "manifest.json", 0)


def empty(store: Path) -> None:
    (store / "manifest.json").write_text("[]")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate, "images.npy has 17407 bytes, not 17408"),
        (alter, "images.npy was altered after it was written"),
        (remove, "No such file"),
        (edit, "manifest.json was altered"),
        (cut, "Expecting value"),
        (empty, "list indices"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_damaged_crops_are_told_and_prepared_again(
    folder: Path, tmp_path: Path, damage: Callable[[Path], None], reason: str
):
    _, first = kept(folder, tmp_path)
    whole = first.images[:]
    damage(first.folder)
    with pytest.raises(CollectionError, match=reason):
        read_store(first.folder)
    events, again = heard(prepare(collected(folder), BOTH, SIZE, folder=tmp_path))
    assert isinstance(events[0], Notice)
    assert reason in events[0].message
    assert events[1] == Progress("reading specimens", 1, 5)
    assert again.images[:].tobytes() == whole.tobytes()
    assert_same(again, read_store(first.folder))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a mapped file as it is")
def test_crops_that_are_shortened_while_they_are_used_end_in_words(folder, tmp_path):
    _, crops = kept(folder, tmp_path)
    os.truncate(crops.folder / "images.npy", 128)
    with pytest.raises(CollectionError, match=r"images.npy' was shortened.*goes on"):
        crops.images[np.array([3])]


def test_a_stop_between_specimens_leaves_nothing(folder, tmp_path):
    verb = prepare(collected(folder), BOTH, SIZE, folder=tmp_path / "kept", keep=True)
    assert next(verb) == Progress("reading specimens", 1, 5)
    verb.close()
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".lock"]


def test_of_two_that_prepare_the_same_one_reads_and_the_other_waits(folder, tmp_path):
    collection = collected(folder)
    one, other = (prepare(collection, BOTH, SIZE, folder=tmp_path, keep=True) for _ in range(2))
    next(one)
    waiting = Progress("waiting for another process that prepares them", 0, 5)
    assert [next(other), next(other)] == [waiting, waiting]
    first = result(one)
    events, second = heard(other)
    assert not [event for event in events if isinstance(event, Progress)]
    assert_same(first, second)


def test_when_the_one_that_prepares_is_stopped_the_other_takes_over(folder, tmp_path):
    collection = collected(folder)
    one, other = (prepare(collection, BOTH, SIZE, folder=tmp_path, keep=True) for _ in range(2))
    next(one)
    next(other)
    one.close()
    assert next(other) == Progress("reading specimens", 1, 5)
    assert result(other).images.shape == (5, 6, SIZE, SIZE)


def test_what_a_killed_process_left_is_not_used_and_removed(folder, tmp_path):
    script = """
        import os, signal, sys
        from pathlib import Path
        from napari_phenoscape.specimens.collection._collect import Folder, collect
        from napari_phenoscape.cubes._modality import as_modality
        from napari_phenoscape.events import result
        from napari_phenoscape.specimens.crops._prepare import prepare
        folder, at = map(Path, sys.argv[1:])
        both = [as_modality("rgb"), as_modality("uv")]
        verb = prepare(result(collect(Folder(path=folder))), both, 12, folder=at, keep=True)
        for _ in range(8):  # all are read, and three of five filled
            next(verb)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    at = tmp_path / "kept"
    end = subprocess.run([sys.executable, "-c", textwrap.dedent(script), folder, at])
    assert end.returncode == -signal.SIGKILL
    assert sorted(path.suffix for path in at.iterdir()) == [".lock", ".part"]
    events, crops = kept(folder, at)
    assert events[0] == Progress("reading specimens", 1, 5)
    assert_same(crops, result(prepare(collected(folder), BOTH, SIZE)))
    assert sorted(path.suffix for path in at.iterdir()) == ["", ".lock"]


def test_another_process_is_given_the_path_and_not_the_numbers(folder, tmp_path):
    _, crops = kept(folder, tmp_path)
    sent = pickle.dumps(crops.images)
    assert len(sent) < 300 + len(str(tmp_path))
    assert pickle.loads(sent)[:].tobytes() == crops.images[:].tobytes()


def test_a_disk_without_room_is_refused_before_anything_is_read(folder, tmp_path):
    verb = prepare(collected(folder), BOTH, 10**8, folder=tmp_path)
    with pytest.raises(CollectionError, match=r"need 1250000000\.0 GB in .* are free there"):
        next(verb)


def test_a_folder_that_cannot_be_written_is_refused_in_words(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot be written .* another preparation\.folder"):
        kept(folder, tmp_path / "file" / "kept")


def write_envi(path: Path, scale: float = 1.0) -> Path:
    """9 bands, 400 to 720 nm in another order, 8 x 9 pixels, band k is 10 k; band 3 is bad."""
    centres = [720, *range(400, 720, 40)]
    header = "ENVI\nsamples = 9\nlines = 8\nbands = 9\ndata type = 4\ninterleave = bsq\n"
    header += "byte order = 0\nheader offset = 0\nwavelength units = nm\n"
    header += f"wavelength = {{{', '.join(map(str, centres))}}}\n"
    header += "bbl = {1, 1, 1, 0, 1, 1, 1, 1, 1}\n"
    numbers: NDArray[np.float32] = scale * np.arange(0, 90, 10, dtype="<f4")[:, None, None]
    np.broadcast_to(numbers, (9, 8, 9)).astype("<f4").tofile(path)
    Path(f"{path}.hdr").write_text(header)
    return path


@pytest.fixture
def spectra(tmp_path: Path) -> Collection:
    folder = tmp_path / "spectra"
    folder.mkdir()
    for name in ("a.img", "b.img"):
        write_envi(folder / name)
    return result(collect(Folder(path=folder, pattern="*.img")))


def test_neighbouring_bands_are_averaged_in_order_of_wavelength_without_bad_ones(spectra):
    binned = Preparation(bin_bands=3)
    crops = result(prepare(spectra, [as_modality("full")], 8, binned))
    # 400 440 520 | 560 600 640 | 680 720 nm are the bands 1 2 4 | 5 6 7 | 8 0
    assert [band.wavelength_nm for band in crops.bands] == [pytest.approx(1360 / 3), 600, 700]
    np.testing.assert_allclose(crops.mean, [70 / 3, 60, 40], rtol=1e-6)
    whole = result(prepare(spectra, [as_modality("full")], 8))
    assert whole.images.shape[1] == 8


def test_modalities_choose_among_the_means(spectra):
    red = Modality(name="red", range_nm=(650, 750))
    crops = result(prepare(spectra, [red], 8, Preparation(bin_bands=3)))
    assert [band.wavelength_nm for band in crops.bands] == [700]


def test_bands_without_wavelengths_have_no_neighbours(folder):
    with pytest.raises(BandMismatchError, match="without wavelengths, which have no neighbours"):
        result(prepare(collected(folder), BOTH, 8, Preparation(bin_bands=2)))


def test_float16_rounds_by_at_most_1_part_in_2048(folder):
    exact = result(prepare(collected(folder), BOTH, SIZE)).images
    rounded = result(prepare(collected(folder), BOTH, SIZE, Preparation(precision="float16")))
    error = np.abs(rounded.images - exact) / np.maximum(exact, 2**-14)
    assert 1e-4 < error.max() <= 1 / 2048


def test_numbers_that_float16_does_not_hold_are_refused(tmp_path):
    for name in ("a.img", "b.img"):
        write_envi(tmp_path / name, scale=1024)
    collection = result(collect(Folder(path=tmp_path, pattern="*.img")))
    modalities = [as_modality("full")]
    with pytest.raises(CollectionError, match=r"'a.img' holds numbers up to 81920, and float16"):
        result(prepare(collection, modalities, 8, Preparation(precision="float16")))
    assert result(prepare(collection, modalities, 8)).images.max() == 81920


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    home = tmp_path_factory.mktemp("prepared")
    samples = result(write_samples(home / "samples", specimens=24, size=32, drawer=False))
    given = least(samples)
    given["schedule"] |= {"steps": 4, "batch_size": 8, "checkpoint_every": 2}
    return Experiment.parse({**given, "image_size": 32, "runs": str(home / "runs")})


def with_preparation(experiment: Experiment, steps: int = 4, **given: object) -> Experiment:
    schedule = experiment.schedule.model_copy(update={"steps": steps})
    update = {"preparation": Preparation(**given), "schedule": schedule}
    return experiment.model_copy(update=update)


@pytest.fixture(scope="module")
def in_memory(experiment: Experiment) -> Path:
    return result(train(experiment))


def test_training_and_embedding_from_disk_give_the_bits_of_memory(
    experiment: Experiment, in_memory: Path
):
    streamed = with_preparation(experiment, memory_share=0)
    run = result(train(streamed))
    assert len(list((experiment.runs / ".prepared").glob("*/manifest.json"))) == 1
    ours, theirs = (load_file(last_checkpoint(r) / "weights.safetensors") for r in (run, in_memory))
    assert all(ours[name].equal(theirs[name]) for name in theirs)
    x, y = (result(embed(r))["rgb+uv"].x for r in (run, in_memory))
    assert x.tobytes() == y.tobytes()


def test_a_run_begun_in_memory_and_resumed_from_disk_is_the_same_run(
    experiment: Experiment, in_memory: Path
):
    run = result(train(with_preparation(experiment, steps=2)))
    result(train(with_preparation(experiment, memory_share=0), run))
    ours, theirs = (load_file(last_checkpoint(r) / "weights.safetensors") for r in (run, in_memory))
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def test_a_run_does_not_go_on_in_another_precision(experiment: Experiment, in_memory: Path):
    with pytest.raises(OptionError, match="was trained with precision float32, not float16"):
        result(train(with_preparation(experiment, precision="float16"), in_memory))


def test_the_memory_of_training_does_not_grow_with_a_collection_on_disk(tmp_path):
    """96 specimens of 101 bands at 80 px are 248 MB; anonymous memory of the process is read."""
    script = """
        import re, sys
        from pathlib import Path
        import kornia, lightning_fabric, torchvision  # programs are no part of the collection
        import napari_phenoscape.views._pipeline, napari_phenoscape.training._model
        from napari_phenoscape.training._experiment import Experiment
        from napari_phenoscape.training import train
        own = []
        for _ in train(Experiment.read(Path(sys.argv[1]))):
            status = Path("/proc/self/status").read_text()
            own.append(int(re.search(r"RssAnon:\\s+(\\d+)", status)[1]) / 1024)
        print(max(own) - own[0])
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("needs Linux to tell memory of its own from that of files")
    header = "ENVI\nsamples = 48\nlines = 32\nbands = 101\ndata type = 1\ninterleave = bil\n"
    header += "byte order = 0\nheader offset = 0\nwavelength units = nm\n"
    header += f"wavelength = {{{', '.join(str(400 + 4 * i) for i in range(101))}}}\n"
    random = np.random.default_rng(0)
    random.integers(1, 255, (32, 101, 48)).astype(np.uint8).tofile(tmp_path / "drawer.bil")
    (tmp_path / "drawer.bil.hdr").write_text(header)
    regions = np.kron(np.arange(1, 97, dtype=np.uint8).reshape(8, 12), np.ones((4, 4), np.uint8))
    tifffile.imwrite(tmp_path / "regions.tif", regions)
    drawer = {"kind": "drawer", "path": "drawer.bil", "regions": "regions.tif", "min_area": 4}
    experiment = Experiment.parse(
        {
            "collection": drawer,
            "modalities": ["full"],
            "image_size": 64,
            "encoder": {"backbone": "mobilenet_v3_small", "stem": {"kind": "spectral_response"}},
            "method": {"kind": "simclr", "readout": "plain", "beside": "nothing"},
            "schedule": {"steps": 2, "batch_size": 2},
            "runtime": {"device": "cpu"},
            "preparation": {"memory_share": 0},
        }
    )
    (tmp_path / "e.yaml").write_text(experiment.to_yaml())
    words = [sys.executable, "-c", textwrap.dedent(script), tmp_path / "e.yaml"]
    end = subprocess.run(words, capture_output=True, text=True)
    assert end.returncode == 0, end.stderr
    assert float(end.stdout) < 248 / 2


def test_the_verb_says_what_it_keeps_and_info_too(experiment: Experiment, tmp_path: Path):
    path = tmp_path / "e.yaml"
    path.write_text(experiment.to_yaml())
    at = ["--set", f"preparation.folder={tmp_path / 'kept'}"]
    words = ["prepare", str(path), *at, "--set", "preparation.precision=float16"]
    end = CliRunner().invoke(app, words)
    assert end.exit_code == 0, end.output
    (folder,) = (p for p in (tmp_path / "kept").iterdir() if p.is_dir())
    words = "24 specimens, 6 bands: R, G, B, UV_R, UV_G, UV_B, 40 × 40 pixels, float16, 0.5 MB"
    assert f"{words} in {folder}" in end.stdout
    assert "specimens with each modality: rgb+uv 24" in end.stdout
    assert CliRunner().invoke(app, ["info", str(folder)]).stdout == end.stdout
    alter(folder)
    end = CliRunner().invoke(app, ["info", str(folder)])
    assert end.exit_code == 2
    assert "damaged: images.npy was altered" in " ".join(end.output.split())
