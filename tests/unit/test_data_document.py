"""Documents: a section of docs/data.md for every adapter, valid configuration blocks, and links that lead to files."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from mmpkd.cli import _parser
from mmpkd.cohorts.base import find_data_set
from mmpkd.config.cohorts import Cohort
from mmpkd.config.layers import load_study
from tests.cohorts import ADAPTERS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "data.md").read_text()
HEADINGS = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
SECTIONS = dict(re.findall(r"^### [^\n]*\(`(\w+)`\)\n(.*?)(?=^### |\Z)", TEXT, re.MULTILINE | re.DOTALL))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PHANTOMS = (ROOT / "docs" / "phantom.md").read_text()
YAML = re.findall(r"^```yaml\n(.*?)^```$", TEXT + PHANTOMS, re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    """As GitHub makes it: lower case, punctuation dropped, blanks to hyphens."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_data_set_has_a_section_and_a_row():
    assert sorted(SECTIONS) == ADAPTERS
    rows = re.findall(r"^\| \[.*?\]\(#(\S+)\).*?\| `(\w+)` \|", TEXT, re.MULTILINE)
    assert sorted(adapter for _, adapter in rows) == ADAPTERS
    assert {link for link, _ in rows} <= set(map(anchor, HEADINGS))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files(path):
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", path.read_text()):
        assert (path.parent / link).is_file(), link


@pytest.mark.parametrize("block", YAML, ids=lambda block: block.split("\n")[1].strip())
def test_every_configuration_block_is_valid(block, tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(block)
    assert load_study([overlay]).cohorts


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_section_says_what_the_licence_asks_for(adapter):
    restricted = find_data_set(adapter)(Cohort(adapter=adapter, root=ROOT)).RESTRICTED
    block = re.search(r"^```yaml\n(.*?)^```$", SECTIONS[adapter], re.MULTILINE | re.DOTALL)[1]
    assert ("restricted: true" in block) == restricted


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_options_and_folders_are_the_adapters(adapter):
    """Those that a block shows, in a comment too."""
    data_set = find_data_set(adapter)(Cohort(adapter=adapter, root=ROOT))
    block = re.search(r"^```yaml\n(.*?)^```$", SECTIONS[adapter], re.MULTILINE | re.DOTALL)[1]
    for name, known in (("options", data_set.OPTIONS), ("folders", data_set.FOLDERS)):
        for shown in re.findall(rf"{name}: (\{{(?:[^{{}}]|\{{[^{{}}]*\}})*\}})", block):
            assert set(yaml.safe_load(shown)) <= set(known), f"{name} of {adapter}"


def test_commands_are_those_of_the_program():
    commands = [line for line in TEXT.splitlines() if line.startswith(".venv/bin/mmpkd")]
    assert commands
    for command in commands:
        options = _parser().parse_args(shlex.split(command)[1:])
        assert all((ROOT / overlay).is_file() for overlay in options.overlays)
