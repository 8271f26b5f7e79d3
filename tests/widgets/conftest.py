"""Real widgets in a real window: run under a display, e.g. ``xvfb-run``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.settings import NapariSettings, get_settings
from npe2 import PluginManifest
from qtpy.QtWidgets import QWidget

from napari_phenoscape.events import result
from napari_phenoscape.nets import Encoder
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import Experiment, Schedule, train
from napari_phenoscape.training._experiment import Runtime
from napari_phenoscape.widgets._worker import guard_torch
from tests.least import BACKBONE

guard_torch()  # before any window is made


@pytest.fixture(scope="session", autouse=True)
def _napari_reads_and_writes_once() -> Iterator[None]:
    """Every viewer reads all manifests and saves all settings: half of the time that it takes."""
    found = list(PluginManifest.discover())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "discover", lambda *_, **__: iter(found))
        patch.setattr(NapariSettings, "save", lambda *_, **__: None)
        yield


@pytest.fixture(autouse=True)
def _no_session_before(tmp_path, monkeypatch) -> None:
    """No test begins with the runs of another, or of the user."""
    state = tmp_path / "state"
    monkeypatch.setattr("platformdirs.user_state_path", lambda *_, **__: state)


@pytest.fixture
def wait(qtbot) -> Callable[[Callable[[], bool]], None]:
    """Lets the window live until a claim is true; gives up (and fails) after a minute."""

    def until(claim: Callable[[], bool]) -> None:
        qtbot.waitUntil(claim, timeout=60_000)

    return until


@pytest.fixture(scope="session")
def specimens(tmp_path_factory) -> Path:
    """24 butterflies in 7 channels, a folder for each species."""
    directory = tmp_path_factory.mktemp("samples") / "samples"
    result(write_samples(directory, specimens=24, size=32, drawer=False))
    return directory / "multispectral"


@pytest.fixture(scope="session")
def drawer(tmp_path_factory) -> Path:
    """An ENVI cube of 4 bands, 40 x 60 pixels: two bright rectangles on black."""
    path = tmp_path_factory.mktemp("drawer") / "drawer.bil"
    cube = np.zeros((40, 4, 60), "<u2")  # row, band, column: interleaved by line
    cube[5:15, :, 10:22] = np.array([100, 200, 300, 400])[None, :, None]
    cube[20:32, :, 30:45] = np.array([400, 300, 200, 100])[None, :, None]
    path.write_bytes(cube.tobytes())
    path.with_name("drawer.bil.hdr").write_text(
        "ENVI\nsamples = 60\nlines = 40\nbands = 4\ndata type = 12\ninterleave = bil\n"
        "byte order = 0\nheader offset = 0\nwavelength units = nm\n"
        "wavelength = {370, 460, 550, 640}\nreflectance scale factor = 1000\n"
    )
    return path


@pytest.fixture(scope="session")
def trained(specimens, tmp_path_factory) -> Path:
    """A run of two steps; who changes it works on a copy."""
    experiment = Experiment(
        collection=Folder(path=specimens),
        modalities=("rgb", "uv"),
        image_size=32,
        encoder=Encoder(backbone=BACKBONE),
        schedule=Schedule(steps=2, batch_size=8),
        runtime=Runtime(device="cpu"),
        runs=tmp_path_factory.mktemp("trained"),
    )
    return result(train(experiment))


@pytest.fixture
def choose_theme() -> Iterator[Callable[[str], None]]:
    """Gives napari's window another theme, for this test."""
    appearance = get_settings().appearance
    before = appearance.theme
    yield lambda name: setattr(appearance, "theme", name)
    appearance.theme = before


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    """A viewer as plugins get it, in a window on the screen."""
    return make_napari_viewer_proxy(show=True)


@pytest.fixture
def open_dock(viewer) -> Callable[[type], QWidget]:
    """Puts a dock into the viewer's window."""

    def put(dock_class: type) -> QWidget:
        dock = dock_class(viewer)
        viewer.window.add_dock_widget(dock, name=dock_class.__name__, area="right")
        return dock

    return put


@pytest.fixture
def experiment(specimens, tmp_path) -> Experiment:
    """A training that goes on until it is stopped."""
    return Experiment(
        collection=Folder(path=specimens),
        image_size=32,
        encoder=Encoder(backbone=BACKBONE),
        schedule=Schedule(steps=100_000, batch_size=4, checkpoint_every=50_000),
        runtime=Runtime(device="cpu"),
        runs=tmp_path / "runs",
    )
