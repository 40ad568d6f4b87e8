"""A linear probe: what a student's frozen features know of labels that it was never taught.

Where a cohort shares no label with a student's training domain, its head says nothing there. A logistic regression on
the class token (Alain and Bengio, arXiv:1610.01644), fitted on the train split of that cohort, shows whether a teacher
of one domain makes features that serve the other.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mmpkd.cohorts.tables import CohortTables
from mmpkd.evaluation.scores import PROBE, Attention, classification_rows, concatenate
from mmpkd.teachers.logistic import MultiLabelLogistic

ROUNDING = 1e-12  # a feature whose standard deviation is below this share of its mean is constant


def probe_scores(
    features: Mapping[str, np.ndarray],
    tested: Mapping[str, Attention],
    cohorts: Mapping[str, CohortTables],
    labels: Mapping[str, Sequence[str]],
    penalty: float,
    **names: str | int,
) -> pd.DataFrame:
    """Rows `probe_logit` and `probe_target` of the long table.

    Args:
        features: cohort, image_id and embedding of the images that the probes are fitted on, see `export_features`.
        tested: for each cohort whose labels are read out image_id N and embedding N x D of its test images.
        cohorts: the four tables of each cohort.
        labels: for each cohort the labels of its domain.
        penalty: inverse strength C of the L2 penalty.
        names: domain, arm and seed.
    """
    parts = []
    for cohort, arrays in tested.items():
        mine = features["cohort"] == cohort
        targets = known_labels(cohorts[cohort], features["image_id"][mine], labels[cohort])
        logits = probe_logits(features["embedding"][mine], targets, arrays["embedding"], penalty)
        known = np.isfinite(logits).all(axis=0)  # a label without a known image in training has no probe
        said = {
            "image_id": arrays["image_id"],
            "labels": np.array(labels[cohort])[known],
            "logits": logits[:, known],
        }
        parts.append(classification_rows(said, cohorts[cohort], {**names, "cohort": cohort}, PROBE))
    return concatenate(parts)


def known_labels(tables: CohortTables, image_ids: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """What a cohort knows of images.

    Args:
        tables: the cohort.
        image_ids: N.
        labels: L.

    Returns:
        N x L, NaN for a label that is unknown of an image, or that the cohort does not know.
    """
    return tables.labels.set_index("image_id").reindex(index=image_ids, columns=list(labels)).to_numpy(np.float64)


def probe_logits(fitted: np.ndarray, targets: np.ndarray, tested: np.ndarray, penalty: float) -> np.ndarray:
    """Logits of one logistic regression per label, on standardised features.

    Args:
        fitted: features that it is fitted on, N x D; they give mean and standard deviation.
        targets: N x L, NaN for unknown.
        tested: features of the images that are asked for, M x D.
        penalty: scikit-learn's C.

    Returns:
        M x L; NaN for a label that no training image knows.
    """
    fitted, tested = fitted.astype(np.float64), tested.astype(np.float64)
    mean, deviation = fitted.mean(axis=0), fitted.std(axis=0)
    deviation[deviation <= ROUNDING * np.abs(mean)] = 1
    fitted, tested = (fitted - mean) / deviation, (tested - mean) / deviation
    return MultiLabelLogistic.fit(fitted, targets, penalty).predict_logits(tested)
