"""Permutation tests of a paired gain: checks of the crossed p in statistics.py that assume less and say less.

If neither arm is better, the two could trade names, which turns the sign of a gain; so signs are flipped and the
contrast is computed again (Fisher, The Design of Experiments, 1935, section 21; flips of whole blocks: Winkler et al.,
NeuroImage 92, 2014). A unit of chance flips as a whole, never one image, whose gain goes with those of its patient and
its student:

- Patients: all images and seeds of a patient. If each patient's gain, averaged over these students, is symmetric about
  the tested value where there is no effect, the test holds for new patients of these very students. It says nothing of
  students of other seeds: one lucky student makes p small without any merit of the arm.
- Seeds: all images of a student and its partner. The test holds for new students on these very patients, under the same
  symmetry. S seeds of one domain have 2^S patterns, so p is at least 2^(1 - S), 0.0625 with five: a large p may
  mean no more than few seeds.

Neither is for new patients and new seeds at once, as the crossed p is, and flips of single entries of the table of
seeds and patients would be wrong: entries of a row, or of a column, depend on one another.
"""

from collections.abc import Sequence
from math import nan

import numpy as np
import pandas as pd

from mmpkd.evaluation.matrices import Contrast, ScoreMatrix

ROUNDING = 1e-9  # relative: sums in another order that are equal on paper count as ties


def permutation_patients(cells: Contrast, tested: float, resamples: int, rng: np.random.Generator) -> float:
    """Two-sided p of the contrast by flipping patients; cells of one cohort share its patients.

    Args:
        cells: a weight and a matrix of gains each.
        tested: the value that p is against; the gains are shifted by it (see `_shifted`).
        resamples: sign patterns to draw; all patterns are taken instead if there are no more.
        rng: the source of randomness.

    Returns:
        NaN with fewer than two patients in all.
    """
    parts = [
        pd.Series(values.sum(axis=0)).groupby([np.full(len(matrix.patients), matrix.cohort), matrix.patients]).sum()
        for values, matrix in _shifted(cells, tested)
    ]
    return sign_flip(_together(parts), resamples, rng)


def permutation_seeds(cells: Contrast, tested: float, resamples: int, rng: np.random.Generator) -> float:
    """Two-sided p of the contrast by flipping students; cells of one domain share its students. Else as the former.

    Args:
        cells: weights and gains.
        tested: value under the null hypothesis.
        resamples: flips that are drawn where there are too many to try all.
        rng: draws them.
    """
    parts = [
        pd.Series(values.sum(axis=1)).groupby([np.full(len(matrix.seeds), matrix.domain), matrix.seeds]).sum()
        for values, matrix in _shifted(cells, tested)
    ]
    return sign_flip(_together(parts), resamples, rng)


def sign_flip(values: np.ndarray, resamples: int, rng: np.random.Generator) -> float:
    """Two-sided p for the sum of independent values that are symmetric about zero if there is no effect.

    With n values and 2^n no larger than `resamples`, the share of all sign patterns whose sum is as far from zero as
    the one seen. Else that share among random patterns and the one seen, which holds its level and is never zero
    (Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010).

    Args:
        values: n of them.
        resamples: the most sign patterns that are computed.
        rng: draws the random patterns.

    Returns:
        NaN with fewer than two values.
    """
    count = len(values)
    if count < 2:
        return nan
    seen = abs(values.sum()) - ROUNDING * np.abs(values).sum()
    if count <= np.log2(resamples):
        bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        return float(np.mean(np.abs((2 * bits - 1) @ values) >= seen))
    signs = 2.0 * rng.integers(0, 2, size=(resamples, count), dtype=np.int8) - 1
    return float((1 + np.sum(np.abs(signs @ values) >= seen)) / (1 + resamples))


def _shifted(cells: Contrast, tested: float) -> list[tuple[np.ndarray, ScoreMatrix]]:
    """What each seed and image adds to the contrast less `tested`: S x N values per cell, which sum to that difference.

    The tested value is taken from the cells in proportion to their weights. From a plain mean that is the same
    value from every cell; from a difference of means, half from the one and less the other half from the other.
    """
    squares = sum(weight**2 for weight, _ in cells)
    return [
        (weight * (matrix.values - tested * weight / squares) / matrix.values.size, matrix)
        for weight, matrix in cells
        if weight
    ]


def _together(parts: Sequence[pd.Series]) -> np.ndarray:
    """Sums over cells of what belongs to one unit."""
    return pd.concat(parts).groupby(level=[0, 1]).sum().to_numpy() if parts else np.empty(0)
