from dataclasses import asdict
from math import isnan

import numpy as np
import pandas as pd
import pytest

from mmpkd.config.demo import DEMO
from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.design import CONTROLS, Score
from mmpkd.evaluation.claims import claims_table, contrast_weights, judge, recovered
from mmpkd.evaluation.permutation import permutation_patients, permutation_seeds
from mmpkd.evaluation.statistics import Estimate, arm_mean, gain_cells, paired_gain
from mmpkd.evaluation.verdicts import controls, sentence
from tests.synthetic import AWAY, DESIGN, HOME, design_of, synthetic_scores

CLAIMS = {name: claim.model_copy(update={"known": None}) for name, claim in DEMO.claims.items()}
EVALUATION = Evaluation()


@pytest.fixture(scope="module")
def planted():
    scores = synthetic_scores(np.random.default_rng(0), gain=0.06, images=200)
    return scores, claims_table(scores, CLAIMS, EVALUATION, DESIGN).set_index("claim")


def test_planted_effects_get_their_verdicts(planted):
    _, table = planted
    assert table["verdict"].to_dict() == {
        "in_domain_cxr": "supported",
        "in_domain_mammography": "supported",
        "other_data_set": "inconclusive",
        "other_modality": "supported",
        "interaction": "supported",
    }
    assert table["credited"].to_dict() == {name: name.startswith("in") for name in CLAIMS}


def test_nothing_planted_nothing_found():
    scores = synthetic_scores(np.random.default_rng(1), gain=0.0, images=200)
    table = claims_table(scores, CLAIMS, EVALUATION, DESIGN).set_index("claim")
    gains = table[table["expect"] == "gain"]
    assert (gains["verdict"] == "inconclusive").all() and not table["credited"].any()
    assert (gains["p_holm"] >= gains["p"]).all()


def test_a_loss_contradicts_and_a_gain_elsewhere_contradicts_no_gain():
    scores = synthetic_scores(np.random.default_rng(2), gain=-0.06, gain_elsewhere=0.08, images=200)
    verdicts = claims_table(scores, CLAIMS, EVALUATION, DESIGN).set_index("claim")["verdict"]
    assert verdicts["in_domain_cxr"] == verdicts["other_modality"] == verdicts["interaction"] == "contradicted"
    assert verdicts["other_data_set"] == "supported"


def test_a_gain_that_the_shuffled_teacher_surpasses_is_not_credited():
    scores = synthetic_scores(np.random.default_rng(3), gain=0.06, shuffled_gain=0.09, images=200)
    row = claims_table(scores, CLAIMS, EVALUATION, DESIGN).set_index("claim").loc["in_domain_cxr"]
    assert row["verdict"] == "supported" and row["shuffled_gain_low"] < 0 and not row["credited"]


def test_a_gain_that_the_shuffled_teacher_has_to_the_last_digit_is_not_credited():
    values = {"mmpkd": 0.75, "shuffled": 0.75, "baseline": 0.5}
    entries = [(arm, seed, image, value) for arm, value in values.items() for seed in (0, 1) for image in "ab"]
    scores = pd.DataFrame(entries, columns=["arm", "seed", "image_id", "value"])
    scores = scores.assign(patient_id=scores["image_id"], domain="cxr", cohort="mimic_cxr", label="any")
    scores = scores.assign(metric="pixel_auroc", method="rollout")
    row = claims_table(scores, {"one": CLAIMS["in_domain_cxr"]}, EVALUATION, DESIGN).iloc[0]
    assert (row["verdict"], row["shuffled_gain_low"], row["credited"]) == ("supported", 0, False)


def test_columns_are_those_contrasts(planted):
    scores, table = planted
    chosen = Score("pixel_auroc", "rollout")
    cells = [HOME]
    row = table.loc["in_domain_cxr"]
    for name, reference in (("estimate", "baseline"), ("shuffled_gain", "shuffled"), ("over_centre", "centre")):
        assert row[name] == pytest.approx(paired_gain(scores, cells, "mmpkd", reference, chosen).estimate)
    assert row["arm_mean"] == pytest.approx(arm_mean(scores, cells, "mmpkd", chosen).estimate)
    interaction = table.loc["interaction"]
    by_cell, less = (
        [paired_gain(scores, [DESIGN.parse(c)], "mmpkd", "baseline", chosen).estimate for c in interaction[k].split()]
        for k in ("cells", "minus")
    )
    assert interaction["estimate"] == pytest.approx(np.mean(by_cell) - np.mean(less))


def test_a_row_says_what_was_tested_and_what_came_out(planted):
    scores, table = planted
    chosen = Score("pixel_auroc", "rollout")
    claim, row = CLAIMS["other_modality"], table.loc["other_modality"]
    assert claim.expect == "no_gain"
    tested = {
        "title": claim.title,
        "expect": "no_gain",
        "margin": claim.margin,
        "arm": "mmpkd",
        "metric": chosen.metric,
        "method": chosen.method,
    }
    tested |= {"reference": "baseline", "cells": " ".join(claim.cells), "minus": ""}
    assert row[list(tested)].to_dict() == tested
    cells = list(map(DESIGN.parse, claim.cells))
    gain = paired_gain(scores, cells, "mmpkd", "baseline", chosen, tested=claim.margin)
    found = asdict(gain)
    for name in ("standard_error", "degrees_of_freedom"):
        del found[name]
    assert row[list(found)].to_dict() == found
    assert gain.p != paired_gain(scores, cells, "mmpkd", "baseline", chosen).p
    for name, value in (("other_modality", claim.margin), ("other_data_set", 0.0)):
        gains = gain_cells(scores, contrast_weights(CLAIMS[name], DESIGN), "mmpkd", "baseline", chosen)
        rng = np.random.default_rng(EVALUATION.seed)
        expected = permutation_patients(gains, value, EVALUATION.resamples, rng)
        assert table.loc[name, "p_permutation_patients"] == expected
    assert row["sentence"] == sentence(row, 0.95) and row["controls"] == controls(row)
    interaction = table.loc["interaction"]
    assert isnan(interaction["margin"]) and interaction["title"] == CLAIMS["interaction"].title
    assert interaction["cells"].split() == CLAIMS["interaction"].cells
    assert interaction["minus"].split() == CLAIMS["interaction"].minus


def test_intervals_over_controls_and_the_shuffled_teacher_are_of_their_own_contrasts(planted):
    scores, table = planted
    row, chosen = table.loc["interaction"], Score("pixel_auroc", "rollout")
    cells = list(map(DESIGN.parse, CLAIMS["interaction"].cells))
    contrast = contrast_weights(CLAIMS["interaction"], DESIGN)
    expected = {
        f"over_{control}": paired_gain(scores, cells, "mmpkd", control, chosen)
        for control in ("uniform", "centre", "edges", "untrained", "pretrained")
    }
    expected["shuffled_gain"] = paired_gain(scores, contrast, "mmpkd", "shuffled", chosen)
    expected["shuffled_over_reference"] = paired_gain(scores, contrast, "shuffled", "baseline", chosen)
    for name, over in expected.items():
        found = row[[name, f"{name}_low", f"{name}_high"]].to_list()
        assert found == pytest.approx([over.estimate, over.low, over.high], rel=1e-12)


def test_a_claim_about_the_shuffled_teacher_is_not_compared_with_itself(planted):
    scores, _ = planted
    for arm, reference in (("shuffled", "baseline"), ("mmpkd", "shuffled")):
        claim = Claim(title="t", cells=["cxr@mimic_cxr"], arm=arm, reference=reference)
        row = claims_table(scores, {"one": claim}, EVALUATION, DESIGN).iloc[0]
        assert isnan(row["shuffled_gain"]) and isnan(row["shuffled_over_reference"]) and not row["credited"]
        assert row["controls"].startswith("shuffled teacher absent") and np.isfinite(row["low"])


def test_metric_method_and_level_are_those_of_the_configuration(planted):
    scores, table = planted
    evaluation = Evaluation(metric="pointing_game", methods=["last_layer"], confidence=0.99)
    row = claims_table(scores, CLAIMS, evaluation, DESIGN).set_index("claim").loc["in_domain_cxr"]
    expected = paired_gain(scores, [HOME], "mmpkd", "baseline", Score("pointing_game", "last_layer"), confidence=0.99)
    assert (row["estimate"], row["low"]) == (pytest.approx(expected.estimate), pytest.approx(expected.low))
    assert row["estimate"] != pytest.approx(table.loc["in_domain_cxr", "estimate"])


def test_a_claim_may_have_its_own_metric_and_method(planted):
    scores, table = planted
    own = Claim(title="t", cells=["cxr@mimic_cxr"], metric="pointing_game", method="last_layer")
    both = claims_table(scores, {"own": own, "usual": CLAIMS["in_domain_cxr"]}, EVALUATION, DESIGN).set_index("claim")
    chosen = Score("pointing_game", "last_layer")
    expected = paired_gain(scores, [HOME], "mmpkd", "baseline", chosen)
    over = paired_gain(scores, [HOME], "mmpkd", "centre", chosen)
    assert both.loc["own", ["estimate", "over_centre"]].to_list() == pytest.approx([expected.estimate, over.estimate])
    assert both.loc["own", ["metric", "method"]].to_list() == ["pointing_game", "last_layer"]
    assert both.loc["usual", ["metric", "method"]].to_list() == ["pixel_auroc", "rollout"]
    assert both.loc["usual", "estimate"] == table.loc["in_domain_cxr", "estimate"]


def test_checks_stand_beside_the_verdict(planted):
    scores, table = planted
    row = table.loc["in_domain_cxr"]
    assert row["low"] < row["bootstrap_low"] < row["estimate"] < row["bootstrap_high"] < row["high"]
    assert row["p_permutation_patients"] < 0.01 and row["p_permutation_seeds"] == pytest.approx(2 / 2**4)
    assert row["effect_size"] > 0.5 and row["share_improved"] > 0.6
    interaction = table.loc["interaction"]
    assert interaction["p_permutation_seeds"] == pytest.approx(2 / 2**8)  # two domains of four seeds
    assert isnan(interaction["effect_size"]) and isnan(interaction["share_improved"])
    alone = claims_table(scores, {"interaction": CLAIMS["interaction"]}, EVALUATION, DESIGN).iloc[0]
    checks = ["bootstrap_low", "bootstrap_high", "p_permutation_patients", "p_permutation_seeds"]
    assert alone[checks].to_list() == interaction[checks].to_list()


def test_number_and_seed_of_resamples_are_those_of_the_configuration(planted):
    scores, _ = planted
    claims = {"one": CLAIMS["in_domain_cxr"]}
    few, again, other = (
        claims_table(scores, claims, Evaluation(resamples=100, seed=seed), DESIGN).iloc[0] for seed in (0, 0, 1)
    )
    assert few["bootstrap_low"] == again["bootstrap_low"] != other["bootstrap_low"]
    assert few["p_permutation_patients"] == pytest.approx(1 / 101)


def test_signs_of_many_students_are_drawn_by_the_seed_of_the_configuration():
    scores = synthetic_scores(np.random.default_rng(6), gain=0.0, seeds=7, images=4)
    values = {"other_modality": CLAIMS["other_modality"].margin, "interaction": 0.0}
    table = claims_table(scores, {name: CLAIMS[name] for name in values}, EVALUATION, DESIGN).set_index("claim")
    assert EVALUATION.resamples < 2**14  # of seven students per domain
    for name, value in values.items():
        chosen = Score("pixel_auroc", "rollout")
        gains = gain_cells(scores, contrast_weights(CLAIMS[name], DESIGN), "mmpkd", "baseline", chosen)
        expected = permutation_seeds(gains, value, EVALUATION.resamples, np.random.default_rng(EVALUATION.seed))
        assert table.loc[name, "p_permutation_seeds"] == expected


def test_one_seed_is_inconclusive_and_says_why():
    table = claims_table(synthetic_scores(np.random.default_rng(4), seeds=1, images=20), CLAIMS, EVALUATION, DESIGN)
    assert (table["verdict"] == "inconclusive").all() and not table["credited"].any()
    assert table["bootstrap_low"].isna().all() and table["p_permutation_patients"].notna().all()
    assert table["low"].isna().all() and table["p_holm"].isna().all() and table["estimate"].notna().all()
    assert table["reason"].str.contains("one seed").all()


def test_a_missing_cell_leaves_the_other_claims_and_still_counts_in_the_family(planted):
    scores, whole = planted
    scores = scores[~((scores["domain"] == "cxr") & (scores["cohort"] == "vindr_cxr"))]
    table = claims_table(scores, CLAIMS, EVALUATION, DESIGN).set_index("claim")
    row = table.loc["other_data_set"]
    assert list(table.columns) == list(whole.columns)
    assert isnan(row["estimate"]) and "vindr_cxr" in row["reason"]
    checks = ["bootstrap_low", "bootstrap_high", "p_permutation_patients", "p_permutation_seeds"]
    assert row[[*checks, "effect_size", "share_improved"]].isna().all()
    assert table.loc["in_domain_cxr", "verdict"] == "supported"
    assert table.loc["in_domain_cxr", "p_holm"] >= whole.loc["in_domain_cxr", "p_holm"] * 0.99


def test_where_nothing_was_scored_the_reason_names_it_and_the_columns_are_still_numbers():
    scores = synthetic_scores(np.random.default_rng(5), images=4)
    scores = scores[scores["cohort"] != AWAY.cohort]
    table = claims_table(scores, {"one": Claim(title="t", cells=[str(AWAY)])}, EVALUATION, DESIGN)
    names = "domain cxr, arm mmpkd, cohort vindr_cxr, method rollout, metric pixel_auroc, label any"
    assert table["reason"].tolist() == [f"no scores of {names}"]
    checks = ["bootstrap_low", "bootstrap_high", "p_permutation_patients", "p_permutation_seeds"]
    numbers = table[["estimate", "low", "high", "p", "p_holm", *checks, "effect_size", "share_improved", "arm_mean"]]
    assert numbers.dtypes.eq(float).all() and numbers.isna().all(axis=None)


def test_without_shuffled_arm_or_controls_their_columns_are_empty(planted):
    scores, _ = planted
    scores = scores[~scores["arm"].isin(["shuffled", *CONTROLS])]
    row = claims_table(scores, CLAIMS, EVALUATION, DESIGN).set_index("claim").loc["in_domain_cxr"]
    assert row["verdict"] == "supported" and not row["credited"]
    assert isnan(row["shuffled_gain"]) and isnan(row["over_centre"]) and isnan(row["over_edges"])


@pytest.mark.parametrize(
    ("expect", "estimate", "p_holm", "verdict"),
    [
        ("gain", 0.03, 0.01, "supported"),
        ("gain", -0.03, 0.01, "contradicted"),
        ("gain", 0.03, 0.05, "inconclusive"),
        ("gain", 0.03, float("nan"), "inconclusive"),
        ("no_gain", 0.01, 0.01, "supported"),
        ("no_gain", 0.03, 0.01, "contradicted"),
        ("no_gain", 0.01, 0.20, "inconclusive"),
        ("gain", 0.0, 0.01, "inconclusive"),
        ("no_gain", 0.02, 0.01, "inconclusive"),
    ],
)
def test_rules_of_the_verdict(expect, estimate, p_holm, verdict):
    claim = Claim(title="t", cells=["a@b"], expect=expect, margin=0.02)
    assert judge(claim, Estimate(estimate), p_holm, 0.05) == verdict


@pytest.mark.parametrize(
    ("expect", "known", "verdict", "found"),
    [
        ("gain", "gain", "supported", True),
        ("gain", "gain", "contradicted", False),
        ("gain", "gain", "inconclusive", False),
        ("no_gain", "no_gain", "supported", True),
        ("no_gain", "no_gain", "contradicted", False),
        ("no_gain", "no_gain", "inconclusive", False),
        ("gain", "no_gain", "contradicted", True),
        ("gain", "no_gain", "supported", False),
        ("no_gain", "gain", "contradicted", True),
        ("no_gain", "gain", "inconclusive", False),
        ("gain", None, "supported", None),
    ],
)
def test_a_known_answer_is_recovered_if_the_verdict_says_it(expect, known, verdict, found):
    assert recovered(Claim(title="t", cells=["a@b"], expect=expect, known=known), verdict) is found


def test_known_answers_add_two_columns_and_change_no_other(planted):
    scores, table = planted
    assert table["known"].eq("").all() and table["recovered"].isna().all()
    known = {"in_domain_cxr": "gain", "other_data_set": "gain", "other_modality": "no_gain", "interaction": "no_gain"}
    claims = {name: claim.model_copy(update={"known": known.get(name)}) for name, claim in CLAIMS.items()}
    answered = claims_table(scores, claims, EVALUATION, DESIGN).set_index("claim")
    found = {"in_domain_cxr": True, "other_data_set": False, "other_modality": True, "interaction": False}
    assert answered["known"].to_dict() == {name: known.get(name, "") for name in CLAIMS}
    assert answered["recovered"].to_dict() == {name: found.get(name) for name in CLAIMS}
    pd.testing.assert_frame_equal(*(one.drop(columns=["known", "recovered"]) for one in (answered, table)))


def test_weights_of_a_contrast():
    design = design_of({name: {"training": cohort} for name, cohort in zip("abcd", "xyzw", strict=True)})

    def weights(cells: list[str], minus: list[str]) -> dict[str, float]:
        claim = Claim(title="t", cells=cells, minus=minus)
        return {str(cell): weight for cell, weight in contrast_weights(claim, design).items()}

    assert weights(["a@x", "b@y"], ["a@y", "b@x"]) == {"a@x": 0.5, "b@y": 0.5, "a@y": -0.5, "b@x": -0.5}
    assert weights(["a@x", "b@y"], ["a@x"]) == {"a@x": -0.5, "b@y": 0.5}
    twice = weights(["a@x", "a@x", "b@y", "c@y"], ["d@x", "d@x"])
    assert twice == {"a@x": 0.5, "b@y": 0.25, "c@y": 0.25, "d@x": -1.0}
