"""Documents stay short: a limit of words, counted as `wc -w` does, for every page that people are meant to read."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LIMITS = {
    "README.md": 600,
    "architecture.md": 700,
    "assumptions.md": 1500,
    "benchmarks.md": 1500,
    "cluster.md": 1200,
    "data.md": 1200,
    "explain.md": 500,
    "glossary.md": 300,
    "method.md": 1500,
    "phantom.md": 1500,
    "privacy.md": 500,
    "recovery.md": 700,
    "results.md": 500,
    "studies.md": 1200,
    "tutorial.md": 1000,
}
RESULTS = 1500
ALL = 12_000  # without docs/reference, which is made from the code, and docs/records, which is tables


def words(page: Path) -> int:
    return len(page.read_text(encoding="utf-8").split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_no_longer_than_its_limit(page):
    assert page.name in LIMITS, "give the page a limit, or move it to docs/records if it holds measurements alone"
    assert words(page) <= LIMITS[page.name]


def test_the_results_together_are_short():
    """They stand on three pages: those on phantoms follow what is planted."""
    phantoms = re.search(
        r"^## Results$.*?(?=^## )", (ROOT / "docs/phantom.md").read_text(encoding="utf-8"), re.M | re.S
    )
    pages = words(ROOT / "docs/results.md") + words(ROOT / "docs/benchmarks.md")
    assert len(phantoms[0].split()) + pages <= RESULTS


def test_all_pages_together_are_short():
    assert sum(map(words, PAGES)) <= ALL


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_a_source_line_holds_one_sentence(page):
    """So that a change shows as the sentence that changed."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    lines = [re.sub(r"`[^`]*`|\$[^$]*\$|\*\*.*?\*\*|^[# ]*\d+\. ", "x", line) for line in text.splitlines()]
    assert [
        line for line in lines if not line.startswith("|") and re.search(r"(?<!et al)[.?!][)*]* +[A-Zx]", line)
    ] == []
