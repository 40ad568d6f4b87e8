"""The claims: named contrasts of gains, tested together.

The tested value is 0 for a claim that expects a gain and the claim's margin for one that expects none. With p two-sided
and Holm-adjusted over all claims of the study, and alpha = 1 - confidence:

    expect     supported                            contradicted
    gain       p_holm < alpha and estimate > 0      p_holm < alpha and estimate < 0
    no_gain    p_holm < alpha and estimate < margin p_holm < alpha and estimate > margin

All else is inconclusive: absence of evidence is not evidence of absence, and `minimum_detectable` tells what the run
could have seen. A supported gain is credited to the privileged content only if the same contrast against the shuffled
teacher, which has the same soft targets for the wrong patients, is above zero too.
"""

from collections.abc import Mapping
from dataclasses import asdict
from math import isnan, nan

import pandas as pd

from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.evaluation.matrices import select
from mmpkd.evaluation.statistics import Estimate, arm_mean, holm, paired_gain

SHUFFLED = "shuffled"
CONTROLS = ("uniform", "centre", "untrained", "pretrained")


def claims_table(scores: pd.DataFrame, claims: Mapping[str, Claim], evaluation: Evaluation) -> pd.DataFrame:
    """Tests every claim on the primary metric and the first attention method.

    Returns:
        One row a claim:
        claim, title, expect, margin (NaN unless expect is no_gain), arm, reference, cells, minus;
        estimate, low, high, p, p_holm, minimum_detectable, verdict, reason (why a value is missing);
        shuffled_gain, _low, _high: the same contrast of the arm against the shuffled teacher's;
        credited: supported, expects a gain, and shuffled_low > 0 (false where there is no shuffled arm);
        arm_mean: the arm's mean score over `cells`, and over_<control>, _low, _high: less the control's;
        n_images, n_patients, n_seeds, n_undefined. Columns of controls and of the shuffled arm are NaN where absent.
    """
    chosen = {"metric": evaluation.metric, "method": evaluation.methods[0], "confidence": evaluation.confidence}
    relevant = select(scores, metric=evaluation.metric, label="any")
    relevant = relevant[relevant["method"].isin([evaluation.methods[0], "none"]).to_numpy()]
    estimates = {
        name: paired_gain(relevant, contrast_weights(claim), claim.arm, claim.reference, tested=tested(claim), **chosen)
        for name, claim in claims.items()
    }
    adjusted = holm([estimate.p for estimate in estimates.values()])
    rows = []
    for (name, claim), p_holm in zip(claims.items(), adjusted, strict=True):
        estimate = estimates[name]
        verdict = judge(claim, estimate, float(p_holm), 1 - evaluation.confidence)
        rows.append(
            {
                **_statement(name, claim),
                **_result(estimate, float(p_holm), verdict),
                **_credit(relevant, claim, verdict, chosen),
                **_against_controls(relevant, claim, chosen),
                **{key: value for key, value in asdict(estimate).items() if key.startswith("n_")},
            }
        )
    return pd.DataFrame(rows)


def contrast_weights(claim: Claim) -> dict[str, float]:
    """The weight of each cell: the mean over `cells` less the mean over `minus`."""
    weights: dict[str, float] = dict.fromkeys(claim.cells, 0.0) | dict.fromkeys(claim.minus, 0.0)
    for cell in claim.cells:
        weights[cell] += 1 / len(claim.cells)
    for cell in claim.minus:
        weights[cell] -= 1 / len(claim.minus)
    return weights


def tested(claim: Claim) -> float:
    """The value that the claim is tested against."""
    return claim.margin if claim.expect == "no_gain" else 0.0


def judge(claim: Claim, estimate: Estimate, p_holm: float, alpha: float) -> str:
    """supported, contradicted or inconclusive, by the rules at this module's head."""
    if isnan(p_holm) or p_holm >= alpha or estimate.estimate == tested(claim):
        return "inconclusive"
    above = estimate.estimate > tested(claim)
    return "supported" if above == (claim.expect == "gain") else "contradicted"


def _statement(name: str, claim: Claim) -> dict:
    return {
        "claim": name,
        "title": claim.title,
        "expect": claim.expect,
        "margin": claim.margin if claim.expect == "no_gain" else nan,
        "arm": claim.arm,
        "reference": claim.reference,
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


def _credit(scores: pd.DataFrame, claim: Claim, verdict: str, chosen: dict) -> dict:
    if SHUFFLED in (claim.arm, claim.reference):
        against = Estimate()
    else:
        against = paired_gain(scores, contrast_weights(claim), claim.arm, SHUFFLED, **chosen)
    credited = verdict == "supported" and claim.expect == "gain" and against.low > 0
    return {**_interval("shuffled_gain", against), "credited": bool(credited)}


def _against_controls(scores: pd.DataFrame, claim: Claim, chosen: dict) -> dict:
    columns = {"arm_mean": arm_mean(scores, claim.cells, claim.arm, **chosen).estimate}
    for control in CONTROLS:
        columns |= _interval(f"over_{control}", paired_gain(scores, claim.cells, claim.arm, control, **chosen))
    return columns


def _interval(name: str, estimate: Estimate) -> dict:
    return {name: estimate.estimate, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
