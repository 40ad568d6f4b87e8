"""The user guides of data, recovery and privacy: a row for every adapter, valid configuration blocks and commands."""

import inspect
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from mmpkd.cli import main
from mmpkd.cohorts.base import find_data_set, read_folders, read_options
from mmpkd.config.cohorts import Cohort
from mmpkd.config.layers import load_study
from tests.cohorts import ADAPTERS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "data.md").read_text()
ROWS = dict(re.findall(r"^\|.*?\| \[`(\w+)`\]\((.*)$", TEXT, re.MULTILINE))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PHANTOMS = (ROOT / "docs" / "phantom.md").read_text()
YAML = re.findall(r"^```yaml\n(.*?)^```$", TEXT + PHANTOMS, re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    """As GitHub makes it: lower case, punctuation dropped, blanks to hyphens."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def module_text(adapter: str) -> str:
    return inspect.getdoc(import_module(f"mmpkd.cohorts.datasets.{adapter}"))


def test_every_data_set_has_a_row_that_leads_to_its_module():
    assert sorted(ROWS) == ADAPTERS
    for adapter, row in ROWS.items():
        path = (ROOT / "docs" / row.split(")")[0]).resolve()
        assert path == Path(inspect.getfile(import_module(f"mmpkd.cohorts.datasets.{adapter}")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_headings(page):
    for link, heading in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text()):
        text = (page.parent / link if link else page).read_text()
        assert heading in map(anchor, re.findall(r"^#+ (.*)$", text, re.MULTILINE)), f"{link}#{heading}"


def test_the_tests_that_records_name_are_there():
    paths = {path for page in PAGES for path in re.findall(r"`(tests/[\w/]+\.py)`", page.read_text())}
    assert paths and [path for path in sorted(paths) if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("block", YAML, ids=lambda block: block.split("\n")[1].strip())
def test_every_configuration_block_is_valid(block, tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(block)
    study = load_study([overlay])
    assert study.cohorts
    for cohort in study.cohorts.values():
        data_set = find_data_set(cohort.adapter)
        read_options(cohort, data_set.OPTIONS)
        read_folders(cohort, data_set.FOLDERS)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_row_says_what_the_licence_asks_for(adapter):
    last = ROWS[adapter].rstrip("| ").rsplit("| ", 1)[1]
    restricted = find_data_set(adapter)(Cohort(adapter=adapter, root=ROOT)).RESTRICTED
    assert last == ("yes" if restricted else "yours" if adapter == "own" else "no")


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_module_describes_its_options_and_folders(adapter):
    data_set, text = find_data_set(adapter), module_text(adapter)
    options = re.search(r"^Options:\n((?:    .*\n)+)", text, re.MULTILINE)[1]
    named = {
        name for names in re.findall(r"^    (\w+(?:, \w+)*): ", options, re.MULTILINE) for name in names.split(", ")
    }
    assert named == set(data_set.OPTIONS)
    assert set(re.findall(r"\(folder `(\w+)`", text)) == set(data_set.FOLDERS)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_module_says_what_a_user_must_know(adapter):
    for part in ("Access", "Licence", "Citation", "Layout", "Yields", "Split", "Traps"):
        if adapter == "own" and part in ("Licence", "Citation", "Yields"):  # the user's
            continue
        if adapter == "mimic_cxr_jpg" and part == "Split":  # that of mimic_cxr
            continue
        assert re.search(rf"^{part}s?\b", module_text(adapter), re.MULTILINE), part


def test_the_check_of_the_guide_answers(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    commands = re.findall(r"^mmpkd (.*)$", TEXT, re.MULTILINE)
    assert commands
    for command in commands:
        assert main(shlex.split(command)) in (0, 1), "0 where the data are"
        assert capsys.readouterr().out.startswith("Study paper")
