"""Temperature scaling: one divisor a label that makes a model's logits mean what they say.

Guo et al. 2017 (arXiv:1706.04599) divide all logits of a network by one temperature that minimises the negative
log-likelihood of rows that the network was not fitted on. Here a label has a temperature of its own, for each label is
a logistic model of its own, and labels differ in how well they are separated; a prior guards against few rows, see
`fit_temperatures`.
"""

import logging

import numpy as np

log = logging.getLogger("mmpkd.calibration")

COLDEST, HOTTEST = 0.1, 10.0
PRIOR_DEVIATION = 0.25  # of the slope 1 / T about 1: weighs as much as some sixty rows


def fit_temperatures(logits: np.ndarray, targets: np.ndarray, labels: list[str]) -> np.ndarray:
    """The temperature T of each label, from logits of rows that the model was not fitted on.

    With slope a = 1 / T, logits z and targets y it minimises the strictly convex

        sum_i [log(1 + exp(a z_i)) - a y_i z_i] + (a - 1)^2 / (2 s^2),   s = `PRIOR_DEVIATION`,

    the negative log-likelihood of Guo et al. (2017, section 4.2, for one logit) with a Gaussian prior on the slope,
    within `COLDEST` <= T <= `HOTTEST`. Few rows leave T near 1, and a label that the model separates, whose likelihood
    alone would send T to zero, stays finite. T is positive: the order of rows, and with it the AUROC, stays.

    Args:
        logits: N x L.
        targets: N x L; 1, 0, or NaN for unknown.
        labels: L names, for the warning.

    Returns:
        L float64; 1, with a warning, for a label whose rows are not known in both classes or whose logits are constant.
    """
    logits, targets = np.asarray(logits, np.float64), np.asarray(targets, np.float64)
    temperatures, skipped = np.ones(len(labels)), []
    for column, label in enumerate(labels):
        known = np.isfinite(targets[:, column]) & np.isfinite(logits[:, column])
        z, y = logits[known, column], targets[known, column]
        if len(np.unique(y)) < 2 or np.ptp(z) == 0:
            skipped.append(label)
        else:
            temperatures[column] = _temperature(z, y)
    if skipped:
        log.warning(
            "not calibrated, for the held-out rows lack a class or their logits are constant: %s",
            ", ".join(skipped),
        )
    return temperatures


def _temperature(z: np.ndarray, y: np.ndarray) -> float:
    from scipy.optimize import brentq
    from scipy.special import expit

    def derivative(slope: float) -> float:
        return float(((expit(slope * z) - y) * z).sum() + (slope - 1) / PRIOR_DEVIATION**2)

    low, high = 1 / HOTTEST, 1 / COLDEST
    if derivative(low) >= 0:
        return HOTTEST
    if derivative(high) <= 0:
        return COLDEST
    return 1 / brentq(derivative, low, high, xtol=1e-12)
