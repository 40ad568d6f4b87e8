"""Multi-label logistic regression with unknown labels."""

import warnings
from dataclasses import dataclass

import numpy as np


class NotConvergedError(RuntimeError):
    """The optimisation stopped before its end."""


@dataclass(frozen=True)
class MultiLabelLogistic:
    """`logits = x @ weight + bias`; weight F x L, bias L."""

    weight: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, targets: np.ndarray, penalty: float = 1.0) -> "MultiLabelLogistic":
        """One scikit-learn LogisticRegression a label, on the rows where the label is known.

        Args:
            x: N x F.
            targets: N x L; 1, 0, or NaN for unknown. A label of one class alone gets `constant_logits`.
            penalty: inverse strength C of the L2 penalty.

        Raises:
            NotConvergedError: a label's optimisation needs more than 1,000 steps.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        x, targets = np.asarray(x, np.float64), np.asarray(targets, np.float64)
        weight, bias = np.zeros((x.shape[1], targets.shape[1])), constant_logits(targets)
        for label in np.flatnonzero(has_both_classes(targets)):
            known = np.isfinite(targets[:, label])
            with warnings.catch_warnings():
                warnings.simplefilter("error", ConvergenceWarning)
                try:
                    model = LogisticRegression(C=penalty, max_iter=1000).fit(x[known], targets[known, label])
                except ConvergenceWarning as warning:
                    raise NotConvergedError("a logistic regression does not converge; lower its penalty C") from warning
            weight[:, label], bias[label] = model.coef_[0], model.intercept_[0]
        return cls(weight, bias)

    def predict_logits(self, x: np.ndarray) -> np.ndarray:
        """N x L float64."""
        return np.asarray(x, np.float64) @ self.weight + self.bias


def has_both_classes(targets: np.ndarray) -> np.ndarray:
    """Which of the L labels are known to be 1 in a row and 0 in another."""
    return np.any(targets == 1, axis=0) & np.any(targets == 0, axis=0)


def constant_logits(targets: np.ndarray) -> np.ndarray:
    """Logit of each label's share of positives, smoothed by half a row of either class; NaN if no row is known."""
    positive, negative = np.sum(targets == 1, axis=0), np.sum(targets == 0, axis=0)
    logits = np.log((positive + 0.5) / (negative + 0.5))
    return np.where(positive + negative > 0, logits, np.nan)
