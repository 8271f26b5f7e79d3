"""What sessions begin with is kept by napari's Preferences, and used."""

from __future__ import annotations

from pathlib import Path

import npe2
import pytest
import torch
from napari import settings as napari_settings
from napari.settings import get_plugin_settings
from pydantic import ValidationError

import napari_phenoscape
from napari_phenoscape.training import Grouping, Runtime
from napari_phenoscape.widgets import ClustersDock, TrainDock
from napari_phenoscape.widgets._settings import PAGE, PLUGIN, Settings, settings
from napari_phenoscape.widgets._worker import guard_torch

pytestmark = pytest.mark.gui


@pytest.fixture
def page(plugin_settings, npe2pm):
    """The page of Preferences, in a folder of this test's own."""
    manifest = Path(napari_phenoscape.__file__).with_name("napari.yaml")
    npe2pm.register(npe2.PluginManifest.from_file(manifest))
    return getattr(get_plugin_settings(PLUGIN), PAGE)


def test_the_manifest_offers_what_is_used_with_the_same_defaults(page):
    assert set(type(page).model_fields) == set(Settings._fields)
    assert settings() == Settings()
    assert Settings().parts() == {}
    with pytest.raises(ValidationError):
        page.device = "gpu"


def test_a_session_begins_with_what_was_chosen_in_one_before(page, open_dock, tmp_path):
    page.device, page.threads, page.runs = "cpu", 1, str(tmp_path / "runs")
    page.palette = "tol-muted"
    napari_settings._clear_plugin_settings_cache()  # as when napari is started again
    dock = open_dock(TrainDock)
    assert dock.form.editors["runtime"].get() == Runtime(device="cpu", threads=1)
    assert dock.session.runs_folder == tmp_path / "runs"
    assert open_dock(ClustersDock).grouping.value == Grouping(palette="tol-muted")
    torch.set_num_threads(2)
    guard_torch()
    assert torch.get_num_threads() == 1
