"""Studies and results, and the report on them, made once."""

import numpy as np
import pandas as pd
import pytest

from mmpkd.config.demo import DEMO
from mmpkd.config.evaluation import Evaluation
from mmpkd.evaluation.claims import claims_table
from mmpkd.outputs.table import Table
from mmpkd.provenance.record import origin
from mmpkd.report.items import prose_html
from mmpkd.report.page import build
from mmpkd.results import Results
from tests.report_results import ASSUMPTIONS, make_scores, make_viewer, write_figure, write_results
from tests.synthetic import DESIGN, synthetic_scores


@pytest.fixture(scope="session")
def study():
    return {**DEMO.model_dump(mode="json"), "tables": ["summary", "claims", "strata"], "figures": ["claims"]}


@pytest.fixture(scope="session")
def bare(study):
    """A study without tables and figures."""
    return {**study, "tables": [], "figures": []}


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Three tables, one of them with odd contents, and a figure, as the pipeline leaves them."""
    results = Results(str(tmp_path_factory.mktemp("results")))
    scores = synthetic_scores(np.random.default_rng(0), images=30, seeds=3)
    claims = {name: claim for name, claim in DEMO.claims.items() if name.startswith("in_domain")}
    odd = pd.DataFrame({"name": ["a|b", "<script>alert(1)</script>"], "value": [0.5, -12.25]})
    claims = claims_table(scores, claims, Evaluation(resamples=100), DESIGN)
    summary = pd.DataFrame({"arm": ["mmpkd"], "auroc": [0.9]})
    for name, table in (("summary", summary), ("claims", claims), ("strata", odd)):
        Table(table, f"Caption of {name} <b>&</b>.").write(*results.table(name).values())
    write_figure(results, 'A "quoted" first sentence. And a second one.\n')
    return results


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """Scores of a small study, and where its pictures and maps lie."""
    scores = make_scores()
    return scores, write_results(tmp_path_factory.mktemp("results"), scores)


@pytest.fixture(scope="session")
def shown(results):
    return make_viewer(*results)


@pytest.fixture(scope="session")
def page(study, files, shown):
    """The report with its viewer and its assumptions."""
    return build(study, files, origin(study), viewer=shown, assumptions=prose_html(ASSUMPTIONS, "Assumptions"))
