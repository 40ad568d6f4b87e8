"""The pages of docs/reference/ say what the code says."""

import pytest

from mmpkd.reference import FOLDER, pages

PAGES = pages()


def test_there_is_no_other_page():
    assert sorted(path.name for path in FOLDER.glob("*.md")) == sorted(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_made_from_the_code(name):
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name], "run python -m mmpkd.reference"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("configuration.md", "| `seed` | integer ≥ 0, &lt; 4294967296 | `0` | seed of folds and fitting |"),
        ("configuration.md", "## `cohorts.<name>.phantom.habit`"),
        ("commands.md", "| `--batch-size BATCH_SIZE` | `16` | images per forward pass (16) |"),
        ("commands.md", "| `make smoke` | the whole workflow at its smallest, in minutes |"),
        ("adapters.md", "| `options.validation_share` | `0.15` |"),
        ("tables.md", "| `auroc` | AUROC | area under the ROC curve, 0 to 1; 0.5 is chance |"),
        ("tables.md", "### Claims: `tables/claims` (.csv, .md, .tex)"),
    ],
)
def test_a_page_lists_what_there_is(name, line):
    assert line in PAGES[name].splitlines()
