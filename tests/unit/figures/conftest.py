"""Made-up scores, histories and cohorts, and all figures of them, drawn once."""

import numpy as np
import pandas as pd
import pytest

from mmpkd.evaluation.claims import claims_table
from mmpkd.outputs import figure as style
from mmpkd.outputs import (
    figure_attention_examples,
    figure_claims,
    figure_classification,
    figure_cohorts,
    figure_cross_domain,
    figure_localization,
    figure_method,
    figure_training,
)
from tests.figures import ARMS, CLAIMS, DOMAINS, EVALUATION, STUDY, make_cohort, make_examples, make_history
from tests.outputs import make
from tests.synthetic import DESIGN, DOMAIN_OF, LABELS, synthetic_scores


@pytest.fixture(scope="session")
def scores():
    return synthetic_scores(np.random.default_rng(0), images=30, seeds=3)


@pytest.fixture(scope="session")
def histories():
    rng = np.random.default_rng(1)
    return {(d, a, k): make_history(rng, a != "baseline") for d in DOMAINS for a in ARMS for k in range(3)}


@pytest.fixture(scope="session")
def tables():
    return {name: make_cohort(name) for name in DOMAIN_OF}


@pytest.fixture(scope="session")
def rois(tables):
    rng = np.random.default_rng(2)
    return {
        name: pd.DataFrame(
            {"label": LABELS[DOMAIN_OF[name]] * 4, "area": rng.uniform(0.01, 0.2, 4 * len(LABELS[DOMAIN_OF[name]]))}
        )
        for name in tables
    }


@pytest.fixture(scope="session")
def examples(scores):
    return make_examples(scores)


@pytest.fixture(scope="session")
def drawn_at(scores, histories, tables, rois, examples):
    """All figures for one and for two columns."""
    images = {d: tables[facts["training"]].images for d, facts in DOMAINS.items()}
    claims = claims_table(scores, CLAIMS, EVALUATION, DESIGN)
    return {
        columns: {
            "method": figure_method.draw(STUDY, columns),
            "cohorts": figure_cohorts.draw(tables, rois, columns),
            "training": figure_training.draw(histories, images, DESIGN, columns),
            "classification": make(figure_classification, scores, EVALUATION, DESIGN, columns=columns),
            "attention_examples": figure_attention_examples.draw(examples, EVALUATION, DESIGN, columns=columns),
            "localization": make(figure_localization, scores, EVALUATION, DESIGN, columns=columns),
            "cross_domain": make(figure_cross_domain, scores, EVALUATION, DESIGN, columns=columns),
            "claims": figure_claims.draw(claims, EVALUATION, DESIGN, columns),
        }
        for columns in style.WIDTHS
    }


@pytest.fixture(scope="session")
def drawn(drawn_at):
    return drawn_at[2]
