"""How far predicted probabilities can be taken at their word: Brier score and expected calibration error (ECE).

Both are of one column of logits, read as sigmoid(logit); 0 is perfect. An ECE is never 0 in a sample, and resampling
adds its bias once more, so that no bootstrap interval of it holds its level (for calibrated predictions a percentile
interval never, a basic one in half of the samples). What stands beside it instead is the ECE that calibrated
predictions of the same rows would show.
"""

import numpy as np

from mmpkd.auroc import average_ranks

BINS = 10
CHUNK_ELEMENTS = 4_000_000  # of the matrix resamples x rows that is held at once


def probabilities(logits: np.ndarray) -> np.ndarray:
    """sigmoid(logits) in float64; nothing overflows."""
    return np.exp(-np.logaddexp(0, -np.asarray(logits, np.float64)))


def brier_score(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean of (p - y)^2 over N rows (Brier 1950).

    Args:
        logits: N, finite.
        targets: N, 1 or 0.
    """
    return float(np.mean((probabilities(logits) - targets) ** 2))


def bootstrap_brier(
    logits: np.ndarray, targets: np.ndarray, patients: np.ndarray, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """Brier scores of patients drawn with replacement, each with all their rows.

    Args:
        logits: N.
        targets: N, 0 or 1.
        patients: N, whose row it is.
        resamples: how many draws.
        rng: the source of randomness.

    Returns:
        `resamples` Brier scores.
    """
    names, patient = np.unique(patients, return_inverse=True)
    rows = np.bincount(patient)
    losses = np.bincount(patient, (probabilities(logits) - targets) ** 2)

    def draw(count: int) -> np.ndarray:
        weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
        return (weights @ losses) / (weights @ rows)

    return np.concatenate([draw(count) for count in _chunks(resamples, len(names))])


def expected_calibration_error(logits: np.ndarray, targets: np.ndarray, bins: int = BINS) -> float:
    """ECE = sum over bins of n_b / N * |mean p - mean y|, in bins of equal mass.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", eq. 3, there in bins of equal width; those of equal
    mass leave none almost empty (Nixon et al. 2019, "Measuring Calibration in Deep Learning").

    Args:
        logits: N, finite.
        targets: N, 1 or 0.
        bins: how many.
    """
    residuals = probabilities(logits) - targets
    return float(np.abs(np.bincount(equal_mass_bins(logits, bins), residuals)).sum() / len(logits))


def calibrated_errors(
    logits: np.ndarray, patients: np.ndarray, resamples: int, rng: np.random.Generator, bins: int = BINS
) -> np.ndarray:
    """ECE (`resamples`) of these predictions if they were calibrated: of targets drawn from the predictions themselves.

    Consistency resampling (Bröcker and Smith 2007, "Increasing the Reliability of Reliability Diagrams"), with one
    uniform number per patient: rows of a patient agree as much as their probabilities allow, for two views of a lesion
    have one answer. Rows that agree less have smaller errors.

    Args:
        logits: N, finite.
        patients: N identifiers.
        resamples: how many.
        rng: draws the targets.
        bins: how many.
    """
    names, patient = np.unique(patients, return_inverse=True)
    p = probabilities(logits)
    members = equal_mass_bins(logits, bins)[:, None] == np.arange(bins)

    def draw(count: int) -> np.ndarray:
        targets = rng.random((count, len(names)))[:, patient] < p
        return np.abs((p - targets) @ members).sum(axis=1) / len(p)

    return np.concatenate([draw(count) for count in _chunks(resamples, len(p))])


def equal_mass_bins(scores: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Bins that hold equally many rows as far as ties allow.

    Equal scores share the bin of their mean rank, so that the order of the rows does not matter.

    Args:
        scores: N.
        bins: how many.

    Returns:
        For each score its bin, 0 to bins - 1.
    """
    ranks = average_ranks(np.asarray(scores, np.float64)[:, None])[:, 0]
    return np.floor((ranks - 0.5) * bins / len(ranks)).astype(int)


def _chunks(resamples: int, columns: int) -> list[int]:
    """Sizes that add up to `resamples`, each within `CHUNK_ELEMENTS`."""
    size = max(1, CHUNK_ELEMENTS // max(columns, 1))
    return [min(size, resamples - start) for start in range(0, resamples, size)]
