"""What contributors and automatic services read: links, commands and the version are those of the project."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/**/*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
TARGET = re.compile(r"^([a-z][a-z_ ]*):(?!=)", re.MULTILINE)
COMMAND = re.compile(r"(?:^|`)make ([a-z_]+)(?![/a-z_])", re.MULTILINE)


def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text()
    return {name for line in TARGET.findall(makefile) for name in line.split()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_make_commands_lead_somewhere(page):
    text = page.read_text()
    links = [link for link in LINK.findall(text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
    assert set(COMMAND.findall(text)) <= targets()


def test_the_workflow_of_github_runs_what_contributors_run():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    job = workflow["jobs"]["test"]
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert any(command.startswith("make lint") for command in commands)
    assert any(command.endswith(".ci/run") for command in commands)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    supported = [line.rsplit(" ", 1)[1] for line in project["classifiers"] if line.startswith("Programming Language")]
    assert job["strategy"]["matrix"]["python"] == supported


def test_the_quick_checks_before_a_commit_are_those_of_make_lint():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    lint = (ROOT / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0]
    for hook in hooks:
        tool = hook["entry"].removeprefix(".venv/bin/")
        assert tool in lint or hook["id"] in ("config", "reference"), hook["id"]


def test_there_is_one_version():
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == known == version("mmpkd")
