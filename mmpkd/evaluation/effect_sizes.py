"""How large a gain is beside the spread among patients, and how many patients it reaches.

Both describe these students: a patient's gain is averaged over seeds and images, and more seeds leave less noise in it,
so that values of runs with different numbers of seeds do not compare.
"""

from collections.abc import Callable
from math import isclose, nan

import numpy as np
import pandas as pd

from mmpkd.evaluation.matrices import Contrast, ScoreMatrix

ROUNDING = 1e-12  # a spread below this share of the largest gain is none


def standardised_gain(cells: Contrast) -> float:
    """Cohen's d_z: the mean of the patients' gains over their standard deviation, averaged over cells by weight.

    Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd edition 1988, section 2.3.5; Lakens, Front.
    Psychol. 4:863, 2013.

    Returns:
        NaN for a contrast that subtracts cells, whose patients are not the same, and for a cell with fewer than two
        patients or without spread among them.
    """
    return _average(cells, _standardised)


def share_improved(cells: Contrast) -> float:
    """The share of patients with a gain above zero, ties counted half, averaged over cells by weight.

    The probability of superiority for paired observations (Grissom and Kim, Effect Sizes for Research, 2nd edition
    2012, chapter 5).

    Returns:
        0 to 1; 0.5 where neither arm is better. NaN for a contrast that subtracts cells.
    """
    return _average(cells, lambda gains: float(np.mean((np.sign(gains) + 1) / 2)) if len(gains) else nan)


def patient_gains(matrix: ScoreMatrix) -> np.ndarray:
    """P means over a patient's images and over seeds."""
    return pd.Series(matrix.values.mean(axis=0)).groupby(matrix.patients).mean().to_numpy()


def _standardised(gains: np.ndarray) -> float:
    spread = float(np.std(gains, ddof=1)) if len(gains) > 1 else 0.0
    return float(np.mean(gains)) / spread if spread > ROUNDING * np.abs(gains).max(initial=0.0) else nan


def _average(cells: Contrast, measure: Callable[[np.ndarray], float]) -> float:
    if not isclose(sum(weight for weight, _ in cells), 1):
        return nan
    return sum(weight * measure(patient_gains(matrix)) for weight, matrix in cells)
