"""The design of a study: cells and roles; and that no table, figure or claim knows an arm by its name."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from mmpkd.config.demo import DEMO
from mmpkd.config.evaluation import Evaluation
from mmpkd.design import IN_DOMAIN, OTHER_DATA_SET, OTHER_MODALITY, Cell, Design
from mmpkd.outputs import (
    figure_attention_examples,
    figure_claims,
    figure_classification,
    figure_cross_domain,
    figure_localization,
    figure_method,
    figure_training,
    table_classification,
    table_cross_domain,
    table_localization,
    table_probe,
    table_strata,
)
from mmpkd.outputs.figure import Drawing, arm_marks
from mmpkd.report.study import read_claims, size_words
from mmpkd.report.viewer import scored_cells
from tests.outputs import make, make_claims
from tests.renaming import NAMES, OVERLAY, rename, usual_names
from tests.synthetic import DESIGN, STUDY, design_of, synthetic_scores

EVALUATION, CLAIMS = Evaluation(resamples=100), DEMO.claims
RENAMED_STUDY = {
    **STUDY,
    "arms": {name: arm for name, arm in OVERLAY["arms"].items() if arm},
    "design": OVERLAY["design"],
}
RENAMED = Design.of(RENAMED_STUDY)


def test_a_cell_is_read_and_related_in_one_place():
    assert DESIGN.parse("cxr@mimic_cxr") == Cell("cxr", "mimic_cxr", IN_DOMAIN)
    assert DESIGN.parse("cxr@vindr_cxr").relation == OTHER_DATA_SET
    assert str(DESIGN.cell("mammography", "vindr_cxr")) == "mammography@vindr_cxr"
    with pytest.raises(KeyError, match="elsewhere"):
        DESIGN.parse("cxr@elsewhere")
    assert [str(cell) for cell in DESIGN.cells[4:]] == [
        f"mammography@{cohort}" for cohort in ("cbis_ddsm", "vindr_mammo", "mimic_cxr", "vindr_cxr")
    ]
    assert [cell.relation for cell in DESIGN.cells].count(OTHER_MODALITY) == 4
    assert [cell.cohort for cell in DESIGN.home_cells] == ["mimic_cxr", "cbis_ddsm"]


def test_arms_with_a_role_come_first_and_keep_their_marks():
    assert RENAMED.order(["zeta", "alpha", *NAMES.values()]) == [*NAMES.values(), "alpha", "zeta"]
    marks = arm_marks(NAMES, DESIGN)
    assert list(arm_marks(NAMES.values(), RENAMED).values()) == list(marks.values())
    assert [DESIGN.title(arm) for arm in ("baseline", "mmpkd", "my_arm")] == ["baseline", "MMPKD", "my arm"]


@pytest.fixture(scope="module")
def scores():
    return with_areas(with_probes(synthetic_scores(np.random.default_rng(0), images=20, seeds=2)))


def with_probes(scores: pd.DataFrame) -> pd.DataFrame:
    """The logits again as those of a linear probe."""
    heads = scores[scores["metric"].isin(["logit", "target"])]
    heads = heads.assign(metric="probe_" + heads["metric"].astype(str))
    return pd.concat([scores.astype({"metric": str}), heads]).astype({"metric": "category"})


def with_areas(scores: pd.DataFrame) -> pd.DataFrame:
    """The areas of the ROI, which the strata are cut at."""
    uniform = scores[(scores["arm"] == "uniform") & (scores["metric"] == "pixel_auroc")]
    areas = uniform.assign(metric="roi_area", value=np.linspace(0.01, 0.3, len(uniform)))
    return pd.concat([scores.astype({"metric": str}), areas]).astype({"metric": "category"})


TABLES = {
    "classification": partial(make, table_classification),
    "probe": partial(make, table_probe),
    "localization": partial(make, table_localization),
    "strata": partial(make, table_strata),
    "cross_domain": partial(make, table_cross_domain),
    "claims": lambda scores, evaluation, design: make_claims(scores, CLAIMS, evaluation, design),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_the_same_under_other_names(scores, name):
    usual, usual_caption = TABLES[name](scores, EVALUATION, DESIGN)
    table, caption = TABLES[name](rename(scores), EVALUATION, RENAMED)
    gains = [column for column in usual if "gain" in str(column)]
    assert usual[gains].notna().any(axis=None), "a gain is there to be lost"
    assert usual_names(table.to_csv()) == usual.to_csv() != table.to_csv()
    assert usual_names(caption) == usual_caption


def examples_figure(scores, evaluation, design):
    chosen = figure_attention_examples.select_examples(scores, evaluation, design)
    rng = np.random.default_rng(1)
    examples = []
    for row in chosen.to_dict("records"):
        arms = [design.reference, design.primary]
        roi = np.pad(np.ones((8, 8), dtype=bool), 4)
        maps, values = {arm: rng.random((16, 16)) for arm in arms}, {arm: row[arm] for arm in arms}
        pixels = rng.integers(0, 256, (16, 16), dtype=np.uint8)
        example = figure_attention_examples.Example(
            row["domain"], row["cohort"], row["rule"], row["gain"], "a finding", pixels, roi, maps, values
        )
        examples.append(example)
    assert len(examples) == 6
    return figure_attention_examples.draw(examples, evaluation, design)


def training_figure(scores, evaluation, design):
    history = pd.DataFrame({"epoch": [1, 2], "validation_auroc": [0.6, 0.7], "selected": [False, True], "loss": 1.0})
    students = {(domain.name, arm, 0): history for domain in design.domains for arm in design.roles}
    images = pd.DataFrame({"patient_id": ["a", "b"], "split": ["train", "validate"]})
    return figure_training.draw(students, {domain.name: images for domain in design.domains}, design)


FIGURES = {
    "method": lambda scores, evaluation, design: figure_method.draw(STUDY if design is DESIGN else RENAMED_STUDY),
    "training": training_figure,
    "classification": partial(make, figure_classification),
    "localization": partial(make, figure_localization),
    "cross_domain": partial(make, figure_cross_domain),
    "attention_examples": examples_figure,
    "claims": lambda scores, evaluation, design: figure_claims.draw(
        make_claims(scores, CLAIMS, evaluation, design)[0], evaluation, design
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_same_under_other_names_and_the_same_titles(scores, name, tmp_path):
    files = []
    for folder, rows, design in (("usual", scores, DESIGN), ("renamed", rename(scores), RENAMED)):
        paths = [tmp_path / folder / f"{name}.{kind}" for kind in ("pdf", "png", "caption.txt")]
        Drawing(*FIGURES[name](rows, EVALUATION, design)).write(*paths)
        files.append([path.read_bytes() for path in paths])
    assert files[1] == files[0]


def test_a_figure_says_the_names_of_arms_without_titles(scores):
    design = design_of(STUDY["domains"], {name: {"title": None} for name in NAMES.values()}, **OVERLAY["design"])
    caption = make(figure_localization, rename(scores), EVALUATION, design)[1]
    assert "Gain of taught arm over plain arm" in caption


def test_claims_size_and_cells_of_the_report_are_the_same_under_other_names(scores, tmp_path):
    items = []
    for rows, design in ((scores, DESIGN), (rename(scores), RENAMED)):
        make_claims(rows, CLAIMS, EVALUATION, design)[0].to_csv(tmp_path / "claims.csv", index=False)
        items.append(read_claims(tmp_path / "claims.csv", 0.95, design))
    assert items[0] == items[1]
    assert size_words(RENAMED_STUDY) == size_words(STUDY)
    assert scored_cells(rename(scores), EVALUATION, RENAMED) == list(DESIGN.cells)


def test_a_study_without_a_primary_arm_shows_no_case(scores):
    design = design_of(STUDY["domains"], primary=None)
    assert figure_attention_examples.select_examples(scores, EVALUATION, design).empty
    assert scored_cells(scores, EVALUATION, design) == []
