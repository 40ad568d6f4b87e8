"""Percentile intervals by resampling: a check of the crossed interval in statistics.py, never a verdict.

Patients, with all their images, and seeds are resampled with replacement and independently of one another: the
pigeonhole bootstrap (Owen, Ann. Appl. Stat. 1, 2007). Cells of a cohort share the draw of its patients, cells of a
domain that of its students. Among S seeds the spread of a resampled mean is sqrt((S - 1) / S) of what it should be, and
percentiles know no Student's t: with three to five seeds the interval is far too narrow (`benchmarks/coverage.py`
measures it).
"""

from collections.abc import Iterable
from math import nan

import numpy as np
import pandas as pd

from mmpkd.evaluation.matrices import Contrast
from mmpkd.evaluation.statistics import sums_by_patient


def bootstrap(
    cells: Contrast,
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
    seeds: bool = True,
) -> tuple[float, float]:
    """The percentile interval of the weighted sum of the cells' means.

    Args:
        cells: a weight and a matrix each.
        confidence: level of the interval.
        resamples: how many are drawn; one that leaves a cell without patients or seeds is left out.
        rng: the source of randomness.
        seeds: false keeps the seeds: the interval is then for new patients of these very students.

    Returns:
        Lower and upper bound; NaN where a cell has fewer than two patients, or two seeds that are to be resampled.
    """
    matrices = [matrix for _, matrix in cells]
    few = [matrix for matrix in matrices if len(set(matrix.patients)) < 2 or (seeds and len(matrix.seeds) < 2)]
    if few or not matrices:
        return nan, nan
    drawn_patients = _draws(((matrix.cohort, matrix.patients) for matrix in matrices), resamples, rng)
    drawn_seeds = _draws(((matrix.domain, matrix.seeds) for matrix in matrices), resamples, rng) if seeds else {}
    totals = np.zeros(resamples)
    for weight, matrix in cells:
        patient, names = pd.factorize(matrix.patients)
        sums = sums_by_patient(matrix.values, patient, len(names))
        of_patients = drawn_patients[matrix.cohort][names].to_numpy()
        of_seeds = drawn_seeds[matrix.domain][matrix.seeds].to_numpy() if seeds else np.ones((1, len(matrix.seeds)))
        counts = of_seeds.sum(axis=1) * (of_patients @ np.bincount(patient))
        with np.errstate(invalid="ignore"):
            totals += weight * ((of_patients @ sums.T) * of_seeds).sum(axis=1) / counts
    low, high = np.nanquantile(totals, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _draws(
    units: Iterable[tuple[str, np.ndarray]], resamples: int, rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """How often each resample holds each unit: for every cohort or domain a column a unit and a row a resample."""
    known: dict[str, dict] = {}
    for group, names in units:
        known.setdefault(group, {}).update(dict.fromkeys(names))
    return {
        group: pd.DataFrame(
            rng.multinomial(len(names), np.full(len(names), 1 / len(names)), resamples), columns=[*names]
        )
        for group, names in known.items()
    }
