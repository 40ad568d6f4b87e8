"""Parts of a cell that mean different things: small and large ROI, right and wrong predictions, single labels.

A stratum is a weight of 0 or 1 for each seed and image. Whether a student is right differs among seeds, so that a
stratum may hold an image for one seed and not for another; its mean is a ratio, m = sum(w v) / sum(w). It is written as
a mean of pseudo-values, m + w (v - m) / mean(w), whose mean is m and whose spread is that of the linearised ratio
(Cochran, Sampling Techniques, 1977, chapter 6), so that the crossed layout of `statistics` gives its interval.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from mmpkd.evaluation.matrices import MissingScores, ScoreMatrix, select
from mmpkd.evaluation.regions import ANY
from mmpkd.evaluation.scores import AREA
from mmpkd.evaluation.statistics import Estimate, crossed_estimate

TERCILES = ("small", "medium", "large")
RIGHT, WRONG = "right", "wrong"


def roi_areas(scores: pd.DataFrame, cohort: str) -> pd.DataFrame:
    """Share of the store's square that the ROI of each image cover: images x labels (`any`: their union), NaN for none.

    Args:
        scores: the long table.
        cohort: whose images are meant.

    Raises:
        MissingScores: the long table has no areas of that cohort.
    """
    rows = select(scores, cohort=cohort, metric=AREA)
    if rows.empty:
        raise MissingScores(f"no {AREA} of cohort {cohort}; score the controls again")
    return rows.astype({"image_id": str, "label": str}).pivot(index="image_id", columns="label", values="value")


def terciles(areas: pd.Series) -> pd.Series:
    """For each image small, medium or large: cut at the terciles of the images' areas, equal areas together."""
    bounds = np.quantile(areas, [1 / 3, 2 / 3])
    return pd.Series(np.array(TERCILES, dtype=object)[np.searchsorted(bounds, areas)], index=areas.index)


def right_predictions(scores: pd.DataFrame, domain: str, arm: str, cohort: str) -> pd.DataFrame:
    """Whether a student predicts every label that has an ROI in an image.

    Predicted is a probability of at least 0.5, a logit of at least 0.

    Args:
        scores: the long table.
        domain: of the cell.
        arm: the arm.
        cohort: of the cell.

    Returns:
        Seeds x images, 1, 0 or NaN: the student or the cohort's targets do not know a label that has an ROI. Images
        without ROI are left out.
    """
    known = roi_areas(scores, cohort).drop(columns=ANY, errors="ignore").stack().dropna()
    rows = select(scores, domain=domain, arm=arm, cohort=cohort, metric="logit")
    logits = rows.astype({"image_id": str, "label": str}).pivot(
        index="seed", columns=["image_id", "label"], values="value"
    )
    logits = logits.reindex(columns=pd.MultiIndex.from_tuples(known.index, names=["image_id", "label"]))
    predicted = (logits >= 0).astype(float).where(logits.notna())
    by_image = predicted.T.groupby(level="image_id")
    return by_image.min().where(~predicted.isna().T.groupby(level="image_id").any()).T


def weights_like(matrix: ScoreMatrix, table: pd.DataFrame | pd.Series) -> np.ndarray:
    """Values in the layout of a matrix.

    Args:
        matrix: says which seeds and images, in which order.
        table: seeds x images, or images for every seed.

    Returns:
        S x N, NaN where there is no value.
    """
    if isinstance(table, pd.Series):
        return np.tile(table.reindex(matrix.images.astype(str)).to_numpy(dtype=float), (len(matrix.seeds), 1))
    return table.reindex(index=matrix.seeds, columns=matrix.images.astype(str)).to_numpy(dtype=float)


def stratum_estimate(matrix: ScoreMatrix, weights: np.ndarray, confidence: float = 0.95) -> Estimate:
    """Mean over the seeds and images of weight 1, with its interval.

    Args:
        matrix: S x N scores or gains.
        weights: S x N, 0 or 1; images with a NaN are left out.
        confidence: level of the interval.

    Returns:
        An Estimate; n_images and n_patients count images of weight 1 in at least one seed.
    """
    kept = np.isfinite(weights).all(axis=0) & (np.nan_to_num(weights) > 0).any(axis=0)
    matrix, weights = matrix.restrict(kept), weights[:, kept]
    if not kept.any():
        return Estimate(n_seeds=len(matrix.seeds), reason="no image in this stratum")
    mean = (weights * matrix.values).sum() / weights.sum()
    values = mean + weights * (matrix.values - mean) / weights.mean()
    return crossed_estimate([(1.0, replace(matrix, values=values))], confidence)


def strata(
    scores: pd.DataFrame, matrices: dict[str, ScoreMatrix], domain: str, cohort: str
) -> Iterator[tuple[str, str, dict[str, np.ndarray]]]:
    """The strata of a cell by ROI size and by prediction.

    Args:
        scores: the long table.
        matrices: for each arm its scores in the cell.
        domain: of the cell.
        cohort: of the cell.

    Yields:
        Kind, stratum, and each arm's weights.
    """
    sizes = terciles(roi_areas(scores, cohort)[ANY])
    for size in TERCILES:
        yield "ROI size", size, {arm: weights_like(matrix, sizes == size) for arm, matrix in matrices.items()}
    right = {
        arm: weights_like(matrix, right_predictions(scores, domain, arm, cohort)) for arm, matrix in matrices.items()
    }
    yield "prediction", RIGHT, right
    yield "prediction", WRONG, {arm: 1 - weights for arm, weights in right.items()}
