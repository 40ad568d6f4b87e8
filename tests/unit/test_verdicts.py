from math import nan

import pytest

from mmpkd.evaluation.verdicts import controls, sentence

ROW = {
    "verdict": "supported",
    "expect": "gain",
    "margin": nan,
    "metric": "pixel_auroc",
    "minus": "",
    "reason": "",
    "estimate": 0.05,
    "low": 0.03,
    "high": 0.07,
    "p_holm": 0.001,
    "minimum_detectable": 0.0287,
    "shuffled_gain": 0.04,
    "shuffled_gain_low": 0.01,
    "shuffled_gain_high": 0.07,
    "shuffled_over_reference_low": -0.01,
    "credited": True,
    "over_centre": 0.1,
    "over_centre_low": 0.08,
    "over_edges": 0.15,
    "over_edges_low": 0.1,
    "over_untrained": 0.2,
    "over_untrained_low": 0.15,
}
UNCREDITED = {"shuffled_gain": 0.003, "shuffled_gain_low": -0.02, "shuffled_gain_high": 0.026, "credited": False}
GAIN = "the gain is +0.050 (95 % interval +0.030 to +0.070)"
INCONCLUSIVE = {"verdict": "inconclusive", "estimate": 0.029, "low": -0.007, "high": 0.066, "minimum_detectable": 0.049}
NO_GAIN = {"expect": "no_gain", "margin": 0.02}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, f"Supported: {GAIN}, and +0.040 over the shuffled teacher, so it is credited to the privileged data."),
        (
            UNCREDITED,
            f"Supported: {GAIN}, not credited to the privileged data: the shuffled teacher may show it too "
            "(+0.003 over the shuffled teacher, −0.020 to +0.026).",
        ),
        (
            UNCREDITED | {"shuffled_over_reference_low": 0.02},
            f"Supported: {GAIN}, not credited to the privileged data: the shuffled teacher shows it too "
            "(+0.003 over the shuffled teacher, −0.020 to +0.026).",
        ),
        (
            UNCREDITED | {"shuffled_over_reference_low": 0.0},
            f"Supported: {GAIN}, not credited to the privileged data: the shuffled teacher may show it too "
            "(+0.003 over the shuffled teacher, −0.020 to +0.026).",
        ),
        (
            {"shuffled_gain_low": nan, "shuffled_gain_high": nan, "credited": False},
            f"Supported: {GAIN}, not credited to the privileged data: +0.040 over the shuffled teacher has no "
            "interval.",
        ),
        (
            {"shuffled_gain": nan, "credited": False},
            f"Supported: {GAIN}, not credited to the privileged data: there is no shuffled teacher to compare with.",
        ),
        (
            {"over_centre_low": -0.01, "over_edges_low": -0.02, "over_untrained_low": 0.0},
            f"Supported: {GAIN}, and +0.040 over the shuffled teacher, so it is credited to the privileged data; "
            "the arm's maps are not shown to beat the centred Gaussian or the edge map or the untrained "
            "student.",
        ),
        (
            INCONCLUSIVE,
            "Inconclusive: the gain is +0.029 (95 % interval −0.007 to +0.066); a run of this precision would have "
            "found 0.049 with 80 % power, unadjusted.",
        ),
        (
            INCONCLUSIVE | {"minus": "cxr@x", "low": 0.002, "p_holm": 0.081},
            "Inconclusive: the difference of gains is +0.029 (95 % interval +0.002 to +0.066), but p is 0.081 once "
            "adjusted for all claims; a run of this precision would have found 0.049 with 80 % power, unadjusted.",
        ),
        (
            INCONCLUSIVE | {"low": 0.0},
            "Inconclusive: the gain is +0.029 (95 % interval +0.000 to +0.066); a run of this precision would have "
            "found 0.049 with 80 % power, unadjusted.",
        ),
        (
            INCONCLUSIVE | {"estimate": -0.029, "low": -0.058, "high": 0.0},
            "Inconclusive: the gain is −0.029 (95 % interval −0.058 to +0.000); a run of this precision would have "
            "found 0.049 with 80 % power, unadjusted.",
        ),
        (
            INCONCLUSIVE | NO_GAIN,
            "Inconclusive: the gain is +0.029 (95 % interval −0.007 to +0.066); a run of this precision would have "
            "found 0.049 from the margin of 0.020 with 80 % power, "
            "unadjusted.",
        ),
        (
            INCONCLUSIVE | NO_GAIN | {"low": 0.002},  # holds the margin, which was tested, if not zero
            "Inconclusive: the gain is +0.029 (95 % interval +0.002 to +0.066); a run of this precision would have "
            "found 0.049 from the margin of 0.020 with 80 % power, "
            "unadjusted.",
        ),
        (
            INCONCLUSIVE | NO_GAIN | {"estimate": 0.001, "high": 0.009, "p_holm": 0.081},
            "Inconclusive: the gain is +0.001 (95 % interval −0.007 to +0.009), but p is 0.081 once adjusted for all "
            "claims; a run of this precision would have found 0.049 from the margin of 0.020 with 80 % power, "
            "unadjusted.",
        ),
        (
            NO_GAIN | {"estimate": 0.001, "low": -0.01, "high": 0.012},
            "Supported: the gain is +0.001 (95 % interval −0.010 to +0.012), below the margin of 0.020.",
        ),
        (NO_GAIN | {"verdict": "contradicted"}, f"Contradicted: {GAIN}, above the margin of 0.020."),
        (
            {"verdict": "contradicted", "estimate": -0.05, "low": -0.07, "high": -0.03},
            "Contradicted: the gain is −0.050 (95 % interval −0.070 to −0.030), below zero.",
        ),
        (
            {"verdict": "inconclusive", "low": nan, "high": nan, "reason": "one seed: the spread is unknown"},
            "Inconclusive: the gain is +0.050, without an interval (one seed: the spread is unknown).",
        ),
        (
            {"verdict": "inconclusive", "estimate": nan, "low": nan, "reason": "no scores of arm mmpkd"},
            "Inconclusive: not tested, no scores of arm mmpkd.",
        ),
    ],
)
def test_sentences(changes, expected):
    assert sentence(ROW | changes, 0.95) == expected.replace(" is ", " in pixel AUROC (0 to 1) is ", 1)


def test_a_score_that_has_a_unit_is_named_with_it():
    said = sentence(ROW | {"metric": "contrast_to_noise", "low": -0.0001}, 0.95)
    assert said.startswith(
        "Supported: the gain in contrast-to-noise ratio (standard deviations) is +0.050 (95 % interval +0.000 to "
    )


def test_one_rule_for_all_controls():
    beaten = "shuffled teacher beaten; centred Gaussian beaten; edge map beaten; untrained student beaten"
    assert controls(ROW) == beaten
    mixed = {"shuffled_gain_low": 0.0, "over_centre": nan, "over_centre_low": nan, "over_edges_low": -0.1}
    mixed |= {"over_untrained_low": nan}
    assert controls(ROW | mixed) == (
        "shuffled teacher not beaten; centred Gaussian absent; edge map not beaten; untrained student not tested"
    )
