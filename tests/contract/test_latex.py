"""Every table compiles in a minimal document and fits its page."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from mmpkd.config.study import Study
from mmpkd.tables import claims, classification, cross_domain, localization
from mmpkd.tables.latex import PACKAGES
from mmpkd.tables.write import write
from tests.synthetic import DESIGN, synthetic_scores

pytestmark = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
STUDY = Study()
NAMES = ("claims", "classification", "cross_domain", "localization", "many_arms", "odd_texts", "small", "empty")
TOLERATED = 1.0  # points
SIGNED = "−0.012 is a sign, in-domain and 2025-08-06 are not"


def make_tables() -> dict[str, tuple[pd.DataFrame, str, tuple[str, ...] | None]]:
    """Table, caption and shown columns by name: those of a study, and what would break a page or a line."""
    scores = synthetic_scores(np.random.default_rng(0), images=20, seeds=2)
    evaluation = STUDY.evaluation
    return {
        "claims": (*claims.table(scores, STUDY.claims, evaluation, DESIGN), claims.SHOWN),
        "classification": (*classification.table(scores, evaluation, DESIGN), None),
        "cross_domain": (*cross_domain.table(scores, evaluation, DESIGN), None),
        "localization": (*localization.table(scores, evaluation, DESIGN), None),
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


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The log of a document of each table, run twice for its references, and the tables' sources."""
    folder = tmp_path_factory.mktemp("latex")
    logs, sources = {}, {}
    for name, (table, caption, shown) in make_tables().items():
        paths = [folder / f"{name}_{part}" for part in ("table.csv", "table.md", "table.tex", "caption.txt")]
        write(table, caption, *paths, shown=shown)
        sources[name] = paths[2].read_text()
        document = rf"\documentclass{{article}}{PACKAGES}\begin{{document}}\input{{{paths[2].name}}}\end{{document}}"
        (folder / f"{name}.tex").write_text(document)
        for _ in range(2):
            command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
            subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)
        logs[name] = (folder / f"{name}.log").read_text(errors="replace")
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
    assert r"\begin{table}" in sources["small"] and r"\normalsize" in sources["small"]
    assert r"\begin{longtable}" in sources["classification"]
    assert sources["many_arms"].count(r"\begin{longtable}") > 1 and r"\begin{landscape}" in sources["many_arms"]
    assert sources["many_arms"].count(r"\caption{") == 1
    for arm in range(14):
        heads = re.findall(rf"arm(?: \\\\)? {arm}(?: \\\\)? gain", sources["many_arms"])
        assert len(heads) == 2  # the first head, and that of later pages


def test_the_check_sees_a_table_that_is_too_wide(tmp_path):
    row = " & ".join(["0.123 [0.100, 0.150]"] * 8)
    table = rf"\begin{{longtable}}{{{'r' * 8}}}{row}\\\end{{longtable}}"
    document = rf"\documentclass{{article}}{PACKAGES}\begin{{document}}{table}\end{{document}}"
    (tmp_path / "wide.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "wide.tex"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert re.search(r"Overfull \\hbox \(\d{3}\.", (tmp_path / "wide.log").read_text(errors="replace"))
