"""Every table compiles in a minimal document and fits its page."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmpkd.config.demo import DEMO
from mmpkd.outputs import table_classification, table_cross_domain, table_localization
from mmpkd.outputs.latex import PACKAGES, latex
from mmpkd.outputs.table import Table
from mmpkd.outputs.table_claims import SHOWN
from tests.outputs import make, make_claims
from tests.synthetic import DESIGN, synthetic_scores

pytestmark = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
STUDY = DEMO
NAMES = ("claims", "classification", "cross_domain", "localization", "many_arms", "odd_texts", "small", "empty")
TOLERATED = 1.0  # points
SIGNED = "−0.012 is a sign, in-domain and 2025-08-06 are not"


def make_tables() -> dict[str, tuple[pd.DataFrame, str, tuple[str, ...] | None]]:
    """Table, caption and shown columns by name: those of a study, and what would break a page or a line."""
    scores = synthetic_scores(np.random.default_rng(0), images=20, seeds=2)
    evaluation = STUDY.evaluation
    return {
        "claims": (*make_claims(scores, STUDY.claims, evaluation, DESIGN), SHOWN),
        "classification": (*make(table_classification, scores, evaluation, DESIGN), None),
        "cross_domain": (*make(table_cross_domain, scores, evaluation, DESIGN), None),
        "localization": (*make(table_localization, scores, evaluation, DESIGN), None),
        "many_arms": (many_arms(), "Fourteen arms. " + "A caption with cohort_names_of_a_long_kind. " * 20, None),
        "odd_texts": (odd_texts(), r"Signs: -0.5, 50 %, a_b, $x$, {y}, #1, \cmd, ~, ^, <, >, |, ≤ and ≥.", None),
        "small": (pd.DataFrame({"rule": ["train"], "seconds": [1312.7]}), "Small.", None),
        "empty": (pd.DataFrame({"rule": [], "seconds": []}), "Without rows and columns.", None),
    }


def many_arms() -> pd.DataFrame:
    """Eight cohorts and fourteen arms, each with an interval: wider than any page."""
    columns = {"domain": ["mammography"] * 8, "cohort": [f"mammography_marked_{k}" for k in range(8)]}
    for arm in range(14):
        names = [f"arm_{arm}_gain{suffix}" for suffix in ("", "_low", "_high")]
        columns |= {name: [value] * 8 for name, value in zip(names, (-0.0123, -0.0234, -0.0012), strict=True)}
    return pd.DataFrame(columns)


def odd_texts() -> pd.DataFrame:
    texts = ["[first] & second", "* star", r"a\b", "50 % of $x$ {y} #1 ~ ^ < > |", SIGNED, "ä–ö ≤ ≥", "two\nlines", ""]
    return pd.DataFrame({"name_of_row": texts, "explained": [f"mammography_marked_{k}, " * 9 for k in texts]})


def log_of(source: str, folder: Path, name: str) -> str:
    """The log of a document of one table, run twice for its references."""
    document = rf"\documentclass{{article}}{PACKAGES}\begin{{document}}{source}\end{{document}}"
    (folder / f"{name}.tex").write_text(document)
    for _ in range(2):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
        subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)
    return (folder / f"{name}.log").read_text(errors="replace")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The log of a document of each table, and the tables' sources."""
    folder = tmp_path_factory.mktemp("latex")
    logs, sources = {}, {}
    for name, (table, caption, shown) in make_tables().items():
        paths = [folder / f"{name}_{part}" for part in ("table.csv", "table.md", "table.tex", "caption.txt")]
        Table(table, caption, shown).write(*paths)
        sources[name] = paths[2].read_text()
        logs[name] = log_of(sources[name], folder, name)
    assert set(sources) == set(NAMES)
    return logs, sources


@pytest.mark.parametrize("name", NAMES)
def test_a_table_compiles_and_fits_its_page(compiled, name):
    log = compiled[0][name]
    assert "Output written" in log, "\n".join(line for line in log.splitlines() if line.startswith("!"))
    assert not re.findall(r"^! .*", log, re.MULTILINE)
    assert "undefined" not in log
    too_wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)", log)]
    assert max(too_wide, default=0.0) <= TOLERATED
    assert "Float too large" not in log


def test_the_layout_follows_rows_and_columns(compiled):
    sources = compiled[1]
    assert r"\begin{table}" in sources["small"] and sources["localization"].count(r"\begin{sidewaystable}") > 1
    assert sources["many_arms"].count(r"\begin{sidewaystable}") > 1
    assert sources["many_arms"].count("Fourteen arms") == 1
    for arm in range(14):
        assert len(re.findall(rf"arm {arm} (?:\\\\ )?gain", sources["many_arms"])) == 1


def test_a_wide_table_is_shrunk_to_its_page(tmp_path):
    wide = pd.DataFrame({"name": ["0.123 [0.100, 0.150] m" * 2], **{f"m {k}": ["m" * 30] for k in range(5)}})
    source = latex(wide, "Wide.", "tab:wide")
    assert log_of(source, tmp_path, "shrunk").count("Overfull") == 0
    assert "Overfull" in log_of(re.sub(r"\\ifdim\\wd.*\\fi\n", "", source), tmp_path, "as_it_is")
