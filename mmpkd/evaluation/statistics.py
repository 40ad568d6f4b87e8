"""Means and paired gains with intervals that hold for new patients and new seeds.

Every seed's student scores the same images, and the images of a patient belong together: a crossed layout of seeds and
patients, both random. For one cell with S seeds, P patients and N images let d be the value of a seed and image, m the
mean of all, m_s that of seed s, and t_sp = sum over patient p's images of (d - m) / N what a seed and patient add to m.
Then (two-way random effects without replication; Searle, Casella and McCulloch, Variance Components, 1992, chapter 4):

    V_seed     = sum_s (m_s - m)^2 / (S (S - 1))
    V_patient  = P / (P - 1) * sum_p (mean_s t_sp)^2
    V_residual = P / (P - 1) * sum_sp (t_sp - mean_s t_sp - n_p / N (m_s - m))^2 / (S (S - 1))

V_seed and V_patient each hold the residual once, so the variance of m is V_seed + V_patient - V_residual, and is never
taken below the larger of the first two (a negative component counts as zero). The interval is Student's t with
Satterthwaite's degrees of freedom (Biometrics Bulletin 2, 1946), rounded down and at least S - 1.

A contrast of several cells sums over cells before squaring where they share a source of chance: cells of a domain share
its students, cells of a cohort its patients; students of different domains and patients of different cohorts are
independent.

What checks these intervals lies in bootstrap.py and permutation.py; `benchmarks/coverage.py` measures their coverage.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nan, sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from mmpkd.design import CONTROL, Cell, Score
from mmpkd.evaluation.matrices import Contrast, MissingScores, ScoreMatrix, score_matrix, select

log = logging.getLogger("mmpkd.statistics")
POWER = 0.8


@dataclass(frozen=True)
class Estimate:
    """A mean, gain or contrast of gains. What could not be computed is NaN, and `reason` says why."""

    estimate: float = nan
    low: float = nan
    high: float = nan
    p: float = nan  # two-sided, for the value that was tested (0 unless said otherwise)
    standard_error: float = nan
    degrees_of_freedom: float = nan
    minimum_detectable: float = nan  # true distance from the tested value found with 80 % power at this standard error
    n_images: int = 0  # images of all cohorts; an image that several cells share counts once
    n_patients: int = 0
    n_seeds: int = 0  # of the cell with the fewest
    n_undefined: int = 0  # images left out because a score is missing or NaN
    reason: str = ""


def crossed_estimate(
    cells: Contrast,
    confidence: float = 0.95,
    tested: float = 0.0,
    random_seeds: bool = True,
) -> Estimate:
    """The weighted sum of the cells' means, with the interval of this module's head.

    Args:
        cells: a weight and a matrix each.
        confidence: level of the interval.
        tested: the value that `p` is against.
        random_seeds: false for what has no seed (a control): the interval then holds for new patients alone.
    """
    counts = _counts(cells)
    if any(matrix.values.shape[1] == 0 for _, matrix in cells):
        return Estimate(**counts, reason="no image has a defined score in every seed")
    estimate = sum(weight * matrix.mean for weight, matrix in cells)
    if random_seeds and counts["n_seeds"] < 2:
        return Estimate(estimate, **counts, reason="one seed: the spread among seeds is unknown")
    if any(len(np.unique(matrix.patients)) < 2 for _, matrix in cells):
        return Estimate(estimate, **counts, reason="one patient: the spread among patients is unknown")
    variance, freedom = _variance(cells, random_seeds)
    error = sqrt(variance)
    quantile = float(stdtrit(freedom, (1 + confidence) / 2))
    half_width = quantile * error
    return Estimate(
        estimate=estimate,
        low=estimate - half_width,
        high=estimate + half_width,
        p=_two_sided_p(estimate - tested, error, freedom),
        standard_error=error,
        degrees_of_freedom=freedom,
        minimum_detectable=(quantile + float(stdtrit(freedom, POWER))) * error,
        **counts,
    )


def paired_gain(
    scores: pd.DataFrame,
    cells: Mapping[Cell, float] | Iterable[Cell],
    arm: str,
    reference: str,
    score: Score,
    confidence: float = 0.95,
    tested: float = 0.0,
) -> Estimate:
    """Gain of `arm` over `reference`, image by image and seed by seed, as a contrast of cells.

    Args:
        scores: the long table.
        cells: a weight for each cell, or cells alone for their mean with equal weight.
        arm: the arm.
        reference: the arm that it is compared with; one of domain `control` is found by its name.
        score: which score.
        confidence: see `crossed_estimate`.
        tested: see `crossed_estimate`.

    Returns:
        An Estimate; where a cell has no scores it is NaN with the reason.
    """
    try:
        matrices = gain_cells(scores, cells, arm, reference, score)
    except MissingScores as missing:
        return Estimate(reason=str(missing))
    return crossed_estimate(matrices, confidence, tested)


def arm_mean(
    scores: pd.DataFrame,
    cells: Mapping[Cell, float] | Iterable[Cell],
    arm: str,
    score: Score,
    confidence: float = 0.95,
    tested: float = 0.0,
) -> Estimate:
    """Mean score of `arm` over cells; arguments and result as of `paired_gain`."""
    try:
        matrices = [
            (weight, score_matrix(scores, cell.domain, arm, cell.cohort, **score.columns))
            for cell, weight in _weights(cells).items()
        ]
    except MissingScores as missing:
        return Estimate(reason=str(missing))
    return crossed_estimate(matrices, confidence, tested)


def gain_cells(
    scores: pd.DataFrame, cells: Mapping[Cell, float] | Iterable[Cell], arm: str, reference: str, score: Score
) -> Contrast:
    """The weights and gains that a contrast consists of; arguments as of `paired_gain`.

    Raises:
        MissingScores: a cell has no scores of one of the two.
    """
    return [(weight, gain_matrix(scores, cell, arm, reference, score)) for cell, weight in _weights(cells).items()]


def gain_matrix(scores: pd.DataFrame, cell: Cell, arm: str, reference: str, score: Score) -> ScoreMatrix:
    """`arm` minus `reference` in one cell.

    A control is taken from domain `control`. If it has the arm's seeds, it is paired with them, else its mean over its
    own seeds is subtracted.

    Args:
        scores: the long table.
        cell: training domain and cohort.
        arm: whose gain it is; may be a control.
        reference: what is subtracted; may be a control.
        score: metric, method and label.

    Raises:
        MissingScores: one of the two has no scores there.
    """
    mine = score_matrix(scores, cell.domain, arm, cell.cohort, **score.columns)
    if select(scores, domain=CONTROL, arm=reference).empty:
        return mine.minus(score_matrix(scores, cell.domain, reference, cell.cohort, **score.columns))
    control = control_matrix(scores, reference, cell.cohort, score)
    return mine.minus(control, paired=set(mine.seeds) <= set(control.seeds))


def control_matrix(scores: pd.DataFrame, control: str, cohort: str, score: Score) -> ScoreMatrix:
    """The scores of a control on a cohort. A map that is no model's has the method `none`.

    Args:
        scores: the long table.
        control: one of `mmpkd.design.CONTROLS`.
        cohort: that was scored.
        score: metric, method and label.

    Raises:
        MissingScores: it has no scores there.
    """
    if set(select(scores, domain=CONTROL, arm=control)["method"].unique()) == {"none"}:
        score = replace(score, method="none")
    return score_matrix(scores, CONTROL, control, cohort, **score.columns)


def sums_by_patient(values: np.ndarray, patient: np.ndarray, n_patients: int) -> np.ndarray:
    """Sums of the values of each patient's images.

    Args:
        values: S x N.
        patient: N, the number of each image's patient.
        n_patients: P.

    Returns:
        S x P.
    """
    return np.stack([np.bincount(patient, weights=row, minlength=n_patients) for row in values])


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjusted p of Holm's step-down procedure (Scand. J. Stat. 6, 1979).

    Args:
        p_values: of one family. NaN stays NaN and still counts as a member of it, so that a claim that could not be
            tested buys the others nothing.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)  # NaN last
    factors = len(p) - np.arange(len(p))
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1)
    return adjusted


def equal_weights(cells: Sequence[Cell]) -> dict[Cell, float]:
    """The weight of each cell in the mean over `cells`; one that is named twice counts twice."""
    return {cell: cells.count(cell) / len(cells) for cell in cells}


def _weights(cells: Mapping[Cell, float] | Iterable[Cell]) -> Mapping[Cell, float]:
    return cells if isinstance(cells, Mapping) else equal_weights(list(cells))


def _variance(cells: Contrast, random_seeds: bool) -> tuple[float, float]:
    """Variance of the contrast and its degrees of freedom, by the formulas at this module's head."""
    seed_means: dict[str, pd.Series] = {}
    patient_sums: dict[str, pd.Series] = {}
    residual_parts = []
    for weight, matrix in cells:
        n_seeds, n_images = matrix.values.shape
        patient, names = pd.factorize(matrix.patients)
        share = np.bincount(patient, minlength=len(names)) / n_images
        added = sums_by_patient(matrix.values - matrix.mean, patient, len(names)) / n_images
        by_seed, by_patient = added.sum(axis=1), added.mean(axis=0)
        _add(patient_sums, matrix.cohort, pd.Series(weight * by_patient, index=names))
        if random_seeds:
            rest = added - by_patient - by_seed[:, None] * share
            part = weight**2 * (rest**2).sum() * len(names) / ((len(names) - 1) * n_seeds * (n_seeds - 1))
            residual_parts.append((part, (n_seeds - 1) * (len(names) - 1)))
            _add(seed_means, matrix.domain, pd.Series(weight * by_seed, index=matrix.seeds))
    seed_parts = [(values.var(ddof=1) / len(values), len(values) - 1) for values in seed_means.values()]
    patient_parts = [
        ((values**2).sum() * len(values) / (len(values) - 1), len(values) - 1) for values in patient_sums.values()
    ]
    seed, patient, residual = (sum(part for part, _ in parts) for parts in (seed_parts, patient_parts, residual_parts))
    variance = float(max(seed + patient - residual, seed, patient))
    spread = sum(part**2 / freedom for part, freedom in (*seed_parts, *patient_parts, *residual_parts))
    fewest = float(min(freedom for _, freedom in seed_parts or patient_parts))
    return variance, max(float(np.floor(variance**2 / spread)), fewest) if spread > 0 else fewest


def _add(sums: dict[str, pd.Series], name: str, values: pd.Series) -> None:
    """Adds to the sum of that name; seeds or patients that one of the two lacks count as zero there."""
    sums[name] = values if name not in sums else sums[name].add(values, fill_value=0.0)


def _two_sided_p(distance: float, error: float, freedom: float) -> float:
    if error == 0:
        return 1.0 if distance == 0 else 0.0
    return float(2 * stdtr(freedom, -min(abs(distance) / error, inf)))


def _counts(cells: Contrast) -> dict[str, Any]:
    by_cohort: dict[str, tuple[set, set, int]] = {}
    for _, matrix in cells:
        images, patients, undefined = by_cohort.get(matrix.cohort, (set(), set(), 0))
        merged = (images | set(matrix.images), patients | set(matrix.patients), max(undefined, matrix.n_undefined))
        by_cohort[matrix.cohort] = merged
    left_out = sum(undefined for _, _, undefined in by_cohort.values())
    if left_out:
        log.warning("%d images left out: a score is missing or undefined", left_out)
    return {
        "n_images": sum(len(images) for images, _, _ in by_cohort.values()),
        "n_patients": sum(len(patients) for _, patients, _ in by_cohort.values()),
        "n_seeds": min((len(matrix.seeds) for _, matrix in cells), default=0),
        "n_undefined": left_out,
    }
