"""The claims: named contrasts of gains, tested together.

The tested value is 0 for a claim that expects a gain and the claim's margin for one that expects none. With p two-sided
and Holm-adjusted over all claims of the study, and alpha = 1 - confidence:

    expect     supported                            contradicted
    gain       p_holm < alpha and estimate > 0      p_holm < alpha and estimate < 0
    no_gain    p_holm < alpha and estimate < margin p_holm < alpha and estimate > margin

All else is inconclusive: absence of evidence is not evidence of absence, and `minimum_detectable` says what the run
could have seen. A supported gain is credited to the privileged content only if the same contrast against the shuffled
teacher, which has the same soft targets for the wrong patients, is above zero too. Bootstrap, permutation tests and
effect sizes stand beside the verdict and do not enter it.

A claim on phantoms may have a known answer, the one that was planted. It is recovered if the verdict says it: supported
where `known` equals `expect`, contradicted where they differ. Any other verdict misses it, inconclusive included.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isnan, nan

import numpy as np
import pandas as pd

from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.design import CONTROLS, Cell, Design, Score
from mmpkd.evaluation.bootstrap import bootstrap
from mmpkd.evaluation.effect_sizes import share_improved, standardised_gain
from mmpkd.evaluation.matrices import Contrast, MissingScores, select
from mmpkd.evaluation.permutation import permutation_patients, permutation_seeds
from mmpkd.evaluation.statistics import (
    Estimate,
    arm_mean,
    crossed_estimate,
    equal_weights,
    gain_cells,
    holm,
    paired_gain,
)
from mmpkd.evaluation.verdicts import controls, sentence, signed


@dataclass(frozen=True)
class TestedClaim:
    """A claim, what it is tested on, and what came out."""

    claim: Claim
    arm: str  # the claim's, or the study's primary one
    reference: str
    design: Design
    scores: pd.DataFrame  # the rows of the claim's metric and method
    score: Score
    confidence: float
    cells: Contrast  # empty where a cell lacks scores
    estimate: Estimate


def claims_table(
    scores: pd.DataFrame, claims: Mapping[str, Claim], evaluation: Evaluation, design: Design
) -> pd.DataFrame:
    """Tests every claim on its metric and method, by default the primary metric and the first attention method.

    Args:
        scores: the long table.
        claims: by key.
        evaluation: metric, methods, confidence and resampling.
        design: cells, and the roles of the arms.

    Returns:
        One row per claim:
        claim, title, expect, margin (NaN unless expect is no_gain), metric, method, arm, reference, cells, minus;
        estimate, low, high, p, p_holm, minimum_detectable, verdict, reason (why a value is missing);
        known (gain, no_gain or "") and recovered (true, false, or None where nothing is known);
        bootstrap_low, _high: see bootstrap.py; p_permutation_patients, p_permutation_seeds: see permutation.py;
        effect_size, share_improved: see effect_sizes.py, NaN for a claim with `minus`;
        shuffled_gain, _low, _high: the same contrast of the arm against the shuffled teacher's;
        shuffled_over_reference, _low, _high: the same contrast of the shuffled teacher's arm against the reference;
        credited: supported, expects a gain, and shuffled_gain_low > 0 (false where there is no shuffled arm);
        arm_mean: the arm's mean score over `cells`, and over_<control>, _low, _high: less the control's;
        by_cell: the gain in each cell of a claim on several, in words;
        n_images, n_patients, n_seeds, n_undefined; controls and sentence: the verdict in words, see verdicts.py.
        Columns of controls and of the shuffled arm are NaN where absent.
    """
    tests = {name: _test(scores, claim, evaluation, design) for name, claim in claims.items()}
    adjusted = holm([test.estimate.p for test in tests.values()])
    rows = []
    for (name, test), p_holm in zip(tests.items(), adjusted, strict=True):
        verdict = judge(test.claim, test.estimate, float(p_holm), 1 - evaluation.confidence)
        row = {
            **_statement(name, test),
            **_result(test.estimate, float(p_holm), verdict),
            "known": test.claim.known or "",
            "recovered": recovered(test.claim, verdict),
            **_checks(test, evaluation),
            **_credit(test, verdict),
            **_against_controls(test),
            "by_cell": _by_cell(test),
            **{key: value for key, value in asdict(test.estimate).items() if key.startswith("n_")},
        }
        rows.append({**row, "controls": controls(row), "sentence": sentence(row, evaluation.confidence)})
    return pd.DataFrame(rows)


def contrast_weights(claim: Claim, design: Design) -> dict[Cell, float]:
    """The weight of each cell: the mean over `cells` less the mean over `minus`.

    Args:
        claim: whose cells are weighed.
        design: knows the cells.
    """
    added, subtracted = (equal_weights(list(map(design.parse, cells))) for cells in (claim.cells, claim.minus))
    return {cell: added.get(cell, 0.0) - subtracted.get(cell, 0.0) for cell in added | subtracted}


def tested(claim: Claim) -> float:
    """The value that the claim is tested against."""
    return claim.margin if claim.expect == "no_gain" else 0.0


def judge(claim: Claim, estimate: Estimate, p_holm: float, alpha: float) -> str:
    """The verdict on a claim, by the rules at this module's head.

    Args:
        claim: says what is expected.
        estimate: of its contrast.
        p_holm: its adjusted p, or NaN.
        alpha: the level of significance.

    Returns:
        supported, contradicted or inconclusive.
    """
    if isnan(p_holm) or p_holm >= alpha or estimate.estimate == tested(claim):
        return "inconclusive"
    above = estimate.estimate > tested(claim)
    return "supported" if above == (claim.expect == "gain") else "contradicted"


def recovered(claim: Claim, verdict: str) -> bool | None:
    """Whether the verdict says the known answer; None where there is none.

    Args:
        claim: with or without a known answer.
        verdict: supported, contradicted or inconclusive.
    """
    if claim.known is None:
        return None
    return verdict == ("supported" if claim.known == claim.expect else "contradicted")


def _test(scores: pd.DataFrame, claim: Claim, evaluation: Evaluation, design: Design) -> TestedClaim:
    arm, reference = claim.arm or design.primary, claim.reference or design.reference
    assert arm is not None  # a study refuses a claim without
    score = Score(claim.metric or evaluation.metric, claim.method or evaluation.methods[0])
    relevant = select(scores, metric=score.metric, label=score.label)
    relevant = relevant[relevant["method"].isin([score.method, "none"]).to_numpy()]
    try:
        cells = gain_cells(relevant, contrast_weights(claim, design), arm, reference, score)
        estimate = crossed_estimate(cells, evaluation.confidence, tested(claim))
    except MissingScores as missing:
        cells, estimate = [], Estimate(reason=str(missing))
    return TestedClaim(claim, arm, reference, design, relevant, score, evaluation.confidence, cells, estimate)


def _statement(name: str, test: TestedClaim) -> dict:
    claim = test.claim
    return {
        "claim": name,
        "title": claim.title,
        "expect": claim.expect,
        "margin": claim.margin if claim.expect == "no_gain" else nan,
        "metric": test.score.metric,
        "method": test.score.method,
        "arm": test.arm,
        "reference": test.reference,
        "cells": " ".join(claim.cells),
        "minus": " ".join(claim.minus),
    }


def _result(estimate: Estimate, p_holm: float, verdict: str) -> dict:
    return {
        "estimate": estimate.estimate,
        "low": estimate.low,
        "high": estimate.high,
        "p": estimate.p,
        "p_holm": p_holm,
        "minimum_detectable": estimate.minimum_detectable,
        "verdict": verdict,
        "reason": estimate.reason,
    }


def _checks(test: TestedClaim, evaluation: Evaluation) -> dict:
    """Each from its own generator, so that a claim's numbers do not depend on the claims before it."""
    names = ("bootstrap_low", "bootstrap_high", "p_permutation_patients", "p_permutation_seeds")
    if isnan(test.estimate.estimate):
        return dict.fromkeys((*names, "effect_size", "share_improved"), nan)
    resamples, seed, value = evaluation.resamples, evaluation.seed, tested(test.claim)
    low, high = bootstrap(test.cells, evaluation.confidence, resamples, np.random.default_rng(seed))
    return {
        "bootstrap_low": low,
        "bootstrap_high": high,
        "p_permutation_patients": permutation_patients(test.cells, value, resamples, np.random.default_rng(seed)),
        "p_permutation_seeds": permutation_seeds(test.cells, value, resamples, np.random.default_rng(seed)),
        "effect_size": standardised_gain(test.cells),
        "share_improved": share_improved(test.cells),
    }


def _credit(test: TestedClaim, verdict: str) -> dict:
    claim, shuffled, weights = test.claim, test.design.shuffled, contrast_weights(test.claim, test.design)
    against = of_shuffled = Estimate()
    if shuffled is not None and shuffled not in (test.arm, test.reference):
        against = paired_gain(test.scores, weights, test.arm, shuffled, test.score, test.confidence)
        of_shuffled = paired_gain(test.scores, weights, shuffled, test.reference, test.score, test.confidence)
    credited = verdict == "supported" and claim.expect == "gain" and against.low > 0
    return {
        **_interval("shuffled_gain", against),
        **_interval("shuffled_over_reference", of_shuffled),
        "credited": bool(credited),
    }


def _against_controls(test: TestedClaim) -> dict:
    cells, arm = list(map(test.design.parse, test.claim.cells)), test.arm
    columns = {"arm_mean": arm_mean(test.scores, cells, arm, test.score, test.confidence).estimate}
    for control in CONTROLS:
        gain = paired_gain(test.scores, cells, arm, control, test.score, test.confidence)
        columns |= _interval(f"over_{control}", gain)
    return columns


def _by_cell(test: TestedClaim) -> str:
    """`cxr@vindr_cxr: +0.241 (+0.132 to +0.350); ...`; "" for a claim on one cell."""
    cells = contrast_weights(test.claim, test.design)
    if len(cells) == 1:
        return ""
    gains = {
        cell: paired_gain(test.scores, [cell], test.arm, test.reference, test.score, test.confidence) for cell in cells
    }
    return "; ".join(
        f"{cell}: {signed(gain.estimate)} ({signed(gain.low)} to {signed(gain.high)})"
        for cell, gain in gains.items()
        if not isnan(gain.low)
    )


def _interval(name: str, estimate: Estimate) -> dict:
    return {name: estimate.estimate, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
