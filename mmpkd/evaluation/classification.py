"""AUROC and average precision of a label, with intervals for new patients and new seeds.

Both scores are functions of all images at once. Each is written as a mean over images of pseudo-values (the score plus
each image's influence on it), so that the crossed layout of `statistics` serves them as it serves localisation.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import nan

import numpy as np
import pandas as pd
from scipy.special import expit, logit, stdtrit

from mmpkd.auroc import average_ranks
from mmpkd.evaluation.matrices import ScoreMatrix, pivot, select
from mmpkd.evaluation.statistics import Estimate, crossed_estimate

MACRO = "macro"


def auroc_pseudo_values(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Values whose mean over images is the AUROC.

    A positive's influence is its placement among the negatives less the AUROC, and the reverse, scaled by its class's
    share (DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988). Ties count one half.

    Args:
        logits: S x N.
        targets: N, 0 or 1.

    Returns:
        S x N; NaN with one class alone, and for a student with a logit that is NaN.
    """
    positive = np.asarray(targets) == 1
    n_positive, n_negative = positive.sum(), (~positive).sum()
    if not n_positive or not n_negative:
        return np.full(np.shape(logits), np.nan)
    ranks = average_ranks(logits.T).T
    placement = np.empty(ranks.shape)
    placement[:, positive] = (ranks[:, positive] - average_ranks(logits[:, positive].T).T) / n_negative
    placement[:, ~positive] = 1 - (ranks[:, ~positive] - average_ranks(logits[:, ~positive].T).T) / n_positive
    placement[np.isnan(logits).any(axis=1)] = np.nan  # a NaN has no rank
    auroc = placement[:, positive].mean(axis=1, keepdims=True)
    return auroc + (placement - auroc) * len(positive) / np.where(positive, n_positive, n_negative)


def average_precision_pseudo_values(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Values whose mean over images is the average precision.

    With A(t) the share of images that are positive and score at least t, R(t) the share that score so at all, and q the
    share of positives, average precision is mean(y A/R) / q, and the influence of an image with target y and score s is

        y / q * (A(s)/R(s) - AP + G(s)) - H(s) / q,   G(s) = sum_{t <= s} y/(N R),   H(s) = sum_{t <= s} y A/(N R^2)

    over the positives' scores t: the derivative of that functional in the direction of the image. Equal scores share a
    threshold.

    Args:
        logits: S x N.
        targets: N, 0 or 1.

    Returns:
        S x N, NaN without positives.
    """
    logits, targets = np.asarray(logits, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if not targets.any():
        return np.full(logits.shape, np.nan)
    return np.stack([_average_precision_pseudo_values(row, targets) for row in logits])


def _average_precision_pseudo_values(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    count = len(logits)
    _, group = np.unique(logits, return_inverse=True)  # equal scores are one group; groups ascend
    members, positives = np.bincount(group), np.bincount(group, weights=targets)
    at_least = np.cumsum(members[::-1])[::-1] / count
    positive_at_least = np.cumsum(positives[::-1])[::-1] / count
    precision = positive_at_least / at_least
    share = targets.mean()
    average = (positives * precision).sum() / targets.sum()
    gained = np.cumsum(positives / at_least) / count
    lost = np.cumsum(positives * precision / at_least) / count
    influence = targets * (precision - average + gained)[group] - lost[group]
    return average + influence / share


PSEUDO_VALUES = {"auroc": auroc_pseudo_values, "average_precision": average_precision_pseudo_values}


def classification_table(scores: pd.DataFrame, confidence: float, reference: str) -> pd.DataFrame:
    """AUROC and average precision of every training domain, arm, cohort and label, and of their macro mean.

    Args:
        scores: the long table.
        confidence: level of the intervals.
        reference: the arm that gains are against.

    Returns:
        domain, cohort, label (`macro`: mean over the labels that have both classes), metric, arm, estimate, low, high
        (the interval is made on the logit scale, so that it stays within 0 and 1), gain, gain_low, gain_high, gain_p
        against `reference` (NaN for itself), n_images, n_positive, n_patients, n_seeds, reason.
    """
    rows = []
    for (domain, cohort), arms in _cells(scores):
        for metric in PSEUDO_VALUES:
            by_arm = {arm: pseudo_matrices(part, domain, cohort, metric) for arm, part in arms.items()}
            for arm, by_label in by_arm.items():
                for label, (matrix, n_positive) in by_label.items():
                    names = {"domain": domain, "cohort": cohort, "label": label, "metric": metric, "arm": arm}
                    against = by_arm.get(reference, {}).get(label) if arm != reference else None
                    gain = crossed_estimate([(1.0, matrix.minus(against[0]))], confidence) if against else Estimate()
                    rows.append({**names, **_columns(matrix, n_positive, gain, confidence)})
    columns = ["domain", "cohort", "label", "metric", "arm", "estimate", "low", "high", "gain", "gain_low", "gain_high"]
    return pd.DataFrame(rows, columns=[*columns, "gain_p", "n_images", "n_positive", "n_patients", "n_seeds", "reason"])


def classification_by_seed(scores: pd.DataFrame) -> pd.DataFrame:
    """One row per domain, cohort, label (and `macro`), metric, arm and seed: `value`."""
    rows = []
    for (domain, cohort), arms in _cells(scores):
        for arm, part in arms.items():
            for metric in PSEUDO_VALUES:
                for label, (matrix, _) in pseudo_matrices(part, domain, cohort, metric).items():
                    values = matrix.values.mean(axis=1) if matrix.values.size else np.full(len(matrix.seeds), nan)
                    names = {"domain": domain, "cohort": cohort, "label": label, "metric": metric, "arm": arm}
                    rows += [
                        {**names, "seed": int(seed), "value": value}
                        for seed, value in zip(matrix.seeds, values, strict=True)
                    ]
    return pd.DataFrame(rows, columns=["domain", "cohort", "label", "metric", "arm", "seed", "value"])


def pseudo_matrices(part: pd.DataFrame, domain: str, cohort: str, metric: str) -> dict[str, tuple[ScoreMatrix, int]]:
    """The pseudo-values of one arm in one cell.

    Args:
        part: that arm's and cell's rows of metrics `logit` and `target`.
        domain: of the cell.
        cohort: of the cell.
        metric: of classification, a key of `PSEUDO_VALUES`.

    Returns:
        For each label, and `macro`, the pseudo-values and the count of positives.
    """
    matrices = {}
    for label in sorted(part["label"].unique()):
        rows = select(part, label=label)
        logits = pivot(select(rows, metric="logit"), domain, cohort)
        target_rows = select(rows, metric="target").drop_duplicates("image_id").set_index("image_id")["value"]
        targets = target_rows.reindex(logits.images).to_numpy(dtype=np.float64)
        known = logits.restrict(np.isfinite(targets))
        targets = targets[np.isfinite(targets)]
        values = PSEUDO_VALUES[metric](known.values, targets)
        if np.isfinite(values).all() and values.size and not targets.all():
            matrices[label] = (replace(known, values=values), int(targets.sum()))
        else:  # one class alone: nothing to tell apart
            matrices[label] = (known.restrict(np.zeros(len(targets), dtype=bool)), int(targets.sum()))
    usable = {label: entry for label, entry in matrices.items() if entry[0].values.size}
    if usable:
        matrices[MACRO] = (_macro([matrix for matrix, _ in usable.values()]), sum(n for _, n in usable.values()))
    return matrices


def _macro(matrices: list[ScoreMatrix]) -> ScoreMatrix:
    """Mean over labels: an image that a label does not know has no influence on that label's score."""
    images = matrices[0].images
    for matrix in matrices[1:]:
        images = images.union(matrix.images, sort=False)
    seeds = matrices[0].seeds
    values = np.zeros((len(seeds), len(images)))
    patients = np.empty(len(images), dtype=object)
    for matrix in matrices:
        at = images.get_indexer(matrix.images)
        mean = matrix.values.mean(axis=1, keepdims=True)
        values += mean
        values[:, at] += (matrix.values - mean) * len(images) / len(at)
        patients[at] = matrix.patients
    return replace(matrices[0], values=values / len(matrices), images=images, patients=patients)


def _cells(scores: pd.DataFrame) -> Iterator[tuple[tuple[str, str], dict[str, pd.DataFrame]]]:
    """Every training domain and cohort that has classification rows, with the rows of each arm."""
    rows = scores[scores["metric"].isin(["logit", "target"]).to_numpy() & (scores["domain"] != "control").to_numpy()]
    for cell, of_cell in rows.groupby(["domain", "cohort"], observed=True, sort=False):
        yield cell, dict(iter(of_cell.groupby("arm", observed=True, sort=False)))


def _columns(matrix: ScoreMatrix, n_positive: int, gain: Estimate, confidence: float) -> dict:
    estimate = crossed_estimate([(1.0, matrix)], confidence)
    low, high = _logit_interval(estimate, confidence)
    return {
        "estimate": estimate.estimate,
        "low": low,
        "high": high,
        "gain": gain.estimate,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "gain_p": gain.p,
        "n_images": estimate.n_images,
        "n_positive": n_positive,
        "n_patients": estimate.n_patients,
        "n_seeds": estimate.n_seeds,
        "reason": "one class alone" if not matrix.values.size else estimate.reason,
    }


def _logit_interval(estimate: Estimate, confidence: float) -> tuple[float, float]:
    """The interval on the logit scale, by the delta method; at 0 or 1 that scale ends, and so does the interval."""
    mean = estimate.estimate
    if not 0 < mean < 1:
        return estimate.low, estimate.high
    quantile = stdtrit(estimate.degrees_of_freedom, (1 + confidence) / 2)
    half_width = quantile * estimate.standard_error / (mean * (1 - mean))
    return float(expit(logit(mean) - half_width)), float(expit(logit(mean) + half_width))
