"""Figures and numbers of the pages, made anew by the commands that stand beside them.

    PHENOSCAPE_DATA=data python docs/make_figures.py [NAME ...]

``make figures`` makes all, ``make figures ONLY=finding`` those whose names begin so. Figures go
into ``docs/images``; what a command prints, with every seed, goes into ``figures/NAME.txt``, to be
held against the page. Screenshots are made by ``make screenshots``, and times by ``make bench``.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples

DOCS = Path(__file__).parent.resolve()
IMAGES = DOCS / "images"

#: The most pixels that a figure is wide.
WIDEST = 1200

#: Where the commands find what their pages call so, within PHENOSCAPE_DATA.
DATA = {
    "Dataset 1": "wbc-zheng/Dataset 1",
    "Class Labels of Dataset 1.csv": "wbc-zheng/Class Labels of Dataset 1.csv",
    "110ac77ae89043898f618466359c2a2e": "neon-trees-hsi/110ac77ae89043898f618466359c2a2e",
}


@dataclass(frozen=True)
class Made:
    """What a command makes.

    Parameters
    ----------
    page
        Where command and figure stand.
    commands
        Run one after another in a folder that has the samples, the experiments of ``experiments``
        and what is linked by ``DATA``. RUN is the run that was made there.
    figures
        Names in ``docs/images``, by the pattern of the file that they come from.
    experiments
        Names of files, by the page whose first YAML block they are.
    """

    page: str
    commands: tuple[str, ...]
    figures: dict[str, str] = field(default_factory=dict)
    experiments: dict[str, str] = field(default_factory=dict)


def _measured(page: str, *commands: str) -> Made:
    return Made(page, tuple(f"python docs/{command}" for command in commands))


MADE: dict[str, Made] = {
    "augmentations": _measured("operations.md", "make_augmentation_pictures.py"),
    "batch-effects": Made(
        "batch-effects.md",
        ("python docs/measure_nuisance.py neon.yaml taxonID tile_year -o batch-effects.png",),
        {"batch-effects.png": "batch-effects.png"},
        {"neon.yaml": "batch-effects.md"},
    ),
    "cross-modal": _measured(
        "cross-modal.md", "measure_cross_modal.py samples/rgb-uv.yaml morph species"
    ),
    "demo": Made(
        "../README.md",
        tuple(f"phenoscape demo demo{seed} --seed {seed} --no-viewer" for seed in (0, 1, 2)),
        {"demo2/demo.png": "demo.png"},
    ),
    "finding": _measured(
        "finding.md",
        *(
            f"measure_finding.py {part}"
            for part in ("drawers", "bands", "paper", "ground", "memory")
        ),
    ),
    "field-photographs": _measured(
        "field-photographs.md",
        "measure_ground.py masks --number 40",
        "measure_ground.py embeddings --number 32",
    ),
    "full-disk": _measured("reliability.md", "measure_full_disk.py"),
    "how-much": _measured("how-much.md", "measure_how_much.py samples/multispectral"),
    "intervals": _measured("intervals.md", "measure_intervals.py 300 2 silhouette"),
    "kills": _measured("reliability.md", "measure_kills.py 30"),
    "memory": _measured("performance.md", "measure_memory.py"),
    "mutants": _measured("mutation-testing.md", "measure_mutants.py"),
    "patches": _measured("patches.md", "measure_patches.py 100 3"),
    "presets": Made(
        "augmentation.md",
        ("python docs/measure_presets.py wbc.yaml 'class label'",),
        experiments={"wbc.yaml": "real-data.md"},
    ),
    "pretrained": Made(
        "pretrained.md",
        ("python docs/measure_pretrained.py wbc.yaml 'class label' -o pretrained.png",),
        {"pretrained.png": "pretrained.png"},
        {"wbc.yaml": "see-at-once.md"},
    ),
    "real-data": _measured("real-data.md", "make_real_data.py"),
    "registration": _measured(
        "photographs.md",
        "measure_registration.py --tries 200",
        "measure_registration.py --first 10000 --tries 200",
        "measure_registration.py --size 1600 --tries 3",
    ),
    "response-curves": Made(
        "hyperspectral.md",
        ("phenoscape train samples/drawer.yaml", "phenoscape export samples/runs/RUN"),
        {"samples/runs/*/encoder/response_curves.png": "response-curves.png"},
    ),
    "see-at-once": Made(
        "see-at-once.md",
        ("phenoscape look samples",),
        {"runs/*/clusters/*.png": "see-at-once.png"},
    ),
    "recipes": Made(
        "real-data.md",
        ("python -m tests.benchmarks.quality wbc.yaml --label 'class label' --seeds 3",),
        experiments={"wbc.yaml": "real-data.md"},
    ),
    "specimens": _measured("scale.md", "measure_specimens.py --number 1000000"),
    "standards": _measured("standards.md", "measure_standard.py --first 20000 --tries 20"),
    "twins": _measured("labelling.md", "measure_twins.py"),
    "verdict": _measured("intervals.md", "measure_verdict.py"),
    "window-kills": _measured("reliability.md", "measure_window_kills.py 20"),
}


def first_yaml(page: str) -> str:
    """The first YAML block of a page."""
    found = re.search(r"^```yaml\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.M | re.S)
    assert found is not None, f"{page} has no YAML block"
    return found[1]


def words(command: str, folder: Path) -> list[str]:
    """A command as it is started: with this Python and this clone, and the name of the run."""
    program, *rest = shlex.split(command)
    if program == "python":
        return [sys.executable, *(re.sub("^docs/", f"{DOCS}/", each) for each in rest)]
    run = next((path.name for path in folder.glob("samples/runs/*")), "RUN")
    own = str(Path(sys.executable).with_name(program))
    return [own, *(each.replace("RUN", run) for each in rest)]


def make(name: str, made: Made, data: str | None) -> None:
    """Run the commands in a folder of their own; keep what they print and draw."""
    environment = os.environ | {"PYTHONPATH": str(DOCS.parent)}  # where tests.benchmarks is
    printed = Path("figures", f"{name}.txt").absolute()
    printed.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="phenoscape-") as made_in, printed.open("w") as output:
        folder = Path(made_in)
        result(write_samples(folder / "samples"))
        for file, page in made.experiments.items():
            (folder / file).write_text(first_yaml(page), "utf-8")
        for link, place in DATA.items():
            if data and Path(data, place).exists():
                (folder / link).symlink_to(Path(data, place).resolve())
        for command in made.commands:
            print(f"$ {command}", file=output, flush=True)
            subprocess.run(
                words(command, folder), cwd=folder, env=environment, stdout=output, check=True
            )
        for pattern, image in made.figures.items():
            (drawn,) = folder.glob(pattern)
            with Image.open(drawn) as picture:
                small = picture.convert("RGB")
                small.thumbnail((WIDEST, 10 * WIDEST))
                small.quantize(128).save(IMAGES / image, optimize=True)
    print(f"{name}: {printed}, for {made.page}")


def main() -> None:
    """Make what is asked for by the beginnings of names, or everything."""
    asked = tuple(sys.argv[1:]) or ("",)
    for name, made in MADE.items():
        if name.startswith(asked):
            make(name, made, os.environ.get("PHENOSCAPE_DATA"))


if __name__ == "__main__":
    main()
