"""What guides contributors and their machines agrees with the project."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
WORKFLOW = GITHUB / "workflows" / "ci.yml"
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    return _yaml(WORKFLOW)["jobs"]


@pytest.fixture(scope="module")
def steps(jobs) -> list[dict[str, Any]]:
    return [step for job in jobs.values() for step in job["steps"]]


def test_every_promised_python_is_tested_on_every_system(jobs, project):
    matrix = jobs["test"]["strategy"]["matrix"]
    promised = [
        line.rpartition(" ")[2]
        for line in project["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", line)
    ]
    assert matrix["python"] == promised
    assert {name.partition("-")[0] for name in matrix["system"]} == {"ubuntu", "macos", "windows"}


def test_lowest_versions_are_tested_on_the_lowest_python(jobs, project):
    lowest = project["requires-python"].removeprefix(">=")
    text = yaml.safe_dump(jobs["lowest"])
    assert set(re.findall(r"python-version:? '?([\d.]+)", text)) == {lowest}


@pytest.fixture(scope="module")
def commands(steps) -> str:
    """What the workflow runs, and what contributors are told to."""
    told = [(ROOT / name).read_text("utf-8") for name in (".ci/run", "CONTRIBUTING.md")]
    return "\n".join([*(step["run"] for step in steps if "run" in step), *told])


def test_targets_of_make_that_are_named_exist(commands):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", commands, re.M))
    assert {"lint", "test", "docs"} <= named <= set(targets)


def test_extras_that_are_named_exist(commands, project):
    named = set(re.findall(r"(?:--extra |\.\[)(\w+)", commands))
    assert {"test", "dev"} <= named <= set(project["optional-dependencies"])


def test_actions_are_pinned_by_major_version(steps):
    used = [step["uses"] for step in steps if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w-]+/[\w-]+@v\d+", action)] == []


def test_the_workflow_may_only_read():
    workflow = _yaml(WORKFLOW)
    assert workflow["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in workflow["jobs"].values())


def test_the_workflow_checks_itself_with_the_actionlint_of_pre_commit(steps):
    repositories = _yaml(ROOT / ".pre-commit-config.yaml")["repos"]
    hooks = {hook["id"] for repository in repositories for hook in repository["hooks"]}
    run = [step["run"].split()[-1] for step in steps if "pre-commit run" in step.get("run", "")]
    assert run == ["actionlint"]
    assert set(run) <= hooks


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_is_one_that_github_takes(path):
    """By GitHub's page "Syntax for issue forms"; of its fields, those that we use."""
    form = _yaml(path)
    assert {"name", "description", "body"} <= set(form) <= {"name", "description", "labels", "body"}
    names = [field["id"] for field in form["body"]]
    labels = [field["attributes"]["label"] for field in form["body"]]
    assert len(names) == len(set(names)) == len(set(labels))
    for field in form["body"]:
        assert field["type"] in {"textarea", "dropdown"}
        assert ("options" in field["attributes"]) == (field["type"] == "dropdown")
        # rendered as code, so no Markdown in what is pasted
        assert field["attributes"].get("render") in {None, "text"}


def test_the_project_has_one_address_and_one_author(project):
    home = project["urls"]["Homepage"]
    citation = _yaml(ROOT / "CITATION.cff")
    assert citation["repository-code"] == home
    assert citation["authors"] == project["authors"]
    # the package names those of others' tables too, which a citation's list would offer instead
    assert project["license"].split(" AND ")[0] == citation["license"]
    assert citation["abstract"] == project["description"]
    assert citation["keywords"] == project["keywords"]
    said = "\n".join(
        path.read_text("utf-8")
        for path in [ROOT / "pyproject.toml", ROOT / "CONTRIBUTING.md", *GITHUB.rglob("*.yml")]
    )
    owners = set(re.findall(r"https://github\.com/([\w-]+/napari-phenoscape)", said))
    assert owners == {home.removeprefix("https://github.com/")}
