"""The smoke study with all arms renamed gives every table, figure and claim of the smoke study."""

import shutil

import pandas as pd
import pytest
import yaml

from mmpkd.config.demo import DEMO
from tests.checkout import SMOKE
from tests.renaming import NAMES, OVERLAY, rename, usual_names

TABLES, FIGURES = ([item.name for item in DEMO.outputs if item.kind == kind] for kind in ("table", "figure"))

RENAMED = ("--configfile", "studies/smoke.yaml", "renamed.yaml")


@pytest.fixture(scope="module")
def renamed(smoke):
    """Students, maps and scores of the smoke study under the new names; what is made of them is made anew."""
    usual, folder = (smoke.folder / "results" / name for name in ("smoke", "renamed"))
    shutil.copytree(usual, folder, ignore=shutil.ignore_patterns("tables", "figures", "report.html", "receipts"))
    for path in sorted(folder.glob("**/*"), reverse=True):
        if path.stem in NAMES and path.relative_to(folder).parts[0] in ("students", "attention", "evaluation"):
            path.rename(path.with_stem(NAMES[path.stem]))
    scores = folder / "evaluation/scores.parquet"
    rename(pd.read_parquet(scores)).to_parquet(scores)
    (smoke.folder / "renamed.yaml").write_text(yaml.safe_dump(OVERLAY, sort_keys=False))
    rules = [*(output.rule for output in DEMO.outputs), "report"]
    # the rules before them would make the same students again: their configuration has a new name
    process = smoke.run(*rules, "--allowed-rules", *rules, *RENAMED)
    assert process.returncode == 0, process.stdout[-8000:]
    return usual, folder


def test_the_whole_study_is_planned_under_other_names(smoke, renamed):
    plans = [smoke.planned("all", "--forceall", *options) for options in (SMOKE, RENAMED)]
    assert plans[0] == plans[1]


@pytest.mark.parametrize("name", sorted(set(TABLES) - {"runtime"}))
def test_a_table_is_the_same(renamed, name):
    for kind in ("csv", "caption.txt"):
        usual, other = ((folder / f"tables/{name}.{kind}").read_text() for folder in renamed)
        assert usual_names(other) == usual


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_same(renamed, name):
    for kind in ("png", "caption.txt"):
        usual, other = ((folder / f"figures/{name}.{kind}").read_bytes() for folder in renamed)
        assert other == usual


def test_the_report_has_every_case(renamed):
    usual, other = ((folder / "report.html").read_text() for folder in renamed)
    assert usual.count('"title":"rank ') == other.count('"title":"rank ') > 0
