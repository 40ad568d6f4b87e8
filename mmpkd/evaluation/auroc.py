"""Intervals of an AUROC, and of the difference of two, by resampling patients."""

import numpy as np

CHUNK_ELEMENTS = 4_000_000  # of the matrix resamples x rows that is held at once


def bootstrap_auroc(
    scores: np.ndarray, targets: np.ndarray, patients: np.ndarray, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """AUROC of patients drawn with replacement, each with all their rows.

    A resample gives each row the weight of its patient, and the AUROC is the Mann-Whitney statistic with weights. The
    columns share the resamples, so that their differences are paired.

    Args:
        scores: N x C, NaN where there is no score.
        targets: N or N x C: 1, 0, or NaN for unknown.
        patients: N identifiers.
        resamples: how many.
        rng: draws the patients.

    Returns:
        resamples x C; NaN where a resample holds one class alone.
    """
    scores = np.asarray(scores, np.float64)
    targets = np.broadcast_to(np.asarray(targets, np.float64).reshape(len(scores), -1), scores.shape)
    names, patient = np.unique(patients, return_inverse=True)
    if not len(names):
        return np.full((resamples, scores.shape[1]), np.nan)
    columns = [_Ranked(scores[:, column], targets[:, column]) for column in range(scores.shape[1])]
    chunk = max(1, CHUNK_ELEMENTS // len(scores))
    parts = []
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
        weights = draws[:, patient].astype(np.float64)
        parts.append(np.stack([column.weighted(weights) for column in columns], axis=1))
    return np.concatenate(parts)


class _Ranked:
    """The known rows of one column in order of their score."""

    def __init__(self, scores: np.ndarray, targets: np.ndarray) -> None:
        known = np.flatnonzero(np.isfinite(scores) & np.isfinite(targets))
        self.rows = known[np.argsort(scores[known], kind="stable")]
        ordered = scores[self.rows]
        self.positive = targets[self.rows] == 1
        self.starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.array([], int)

    def weighted(self, weights: np.ndarray) -> np.ndarray:
        """AUROC for each of the R x N weights: rows of one score win one half against each other."""
        if not len(self.rows):
            return np.full(len(weights), np.nan)
        ordered = weights[:, self.rows]
        positive = np.add.reduceat(np.where(self.positive, ordered, 0.0), self.starts, axis=1)
        negative = np.add.reduceat(np.where(self.positive, 0.0, ordered), self.starts, axis=1)
        wins = (positive * (negative.cumsum(axis=1) - negative / 2)).sum(axis=1)
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        return np.divide(wins, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
