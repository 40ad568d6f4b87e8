"""How well the students classify."""

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.evaluation.classification import MACRO, classification_table

KEYS = ["domain", "cohort", "label", "arm"]
COUNTS = ["n_images", "n_positive", "n_patients", "n_seeds"]
VALUES = {"estimate": "", "low": "_low", "high": "_high", "gain": "_gain", "gain_low": "_gain_low"}
VALUES |= {"gain_high": "_gain_high", "gain_p": "_gain_p"}


def table(scores: pd.DataFrame, evaluation: Evaluation, reference: str = "baseline") -> tuple[pd.DataFrame, str]:
    """One row a training domain, cohort, label and arm.

    Returns:
        domain, cohort, label, arm; for auroc and average_precision the mean over seeds, `_low`, `_high`, `_gain`
        against `reference` with `_gain_low`, `_gain_high`, `_gain_p`; n_images, n_positive, n_patients, n_seeds,
        reason; and the caption.
    """
    long = classification_table(scores, evaluation.confidence, reference)
    result = None
    for metric in ("auroc", "average_precision"):
        part = long[long["metric"] == metric]
        part = part.rename(columns={column: metric + suffix for column, suffix in VALUES.items()})
        values = [metric + suffix for suffix in VALUES.values()]
        if result is None:
            result = part[[*KEYS, *values, *COUNTS, "reason"]]
        else:
            result = result.merge(part[[*KEYS, *values]], on=KEYS, validate="one_to_one")
    last = [*COUNTS, "reason"]
    result = result[[column for column in result.columns if column not in last] + last]
    caption = (
        "Classification on the test images of every cohort that shares labels with the training domain: area under the "
        "ROC curve (AUROC) and average precision, mean over seeds, with intervals of "
        f"{100 * evaluation.confidence:g} % for new patients and new seeds. Gain: against {reference}, paired by image "
        f"and seed; p is two-sided and not adjusted. {MACRO}: mean over the labels with both classes (n positive sums "
        "over labels). Chance is an AUROC of 0.5, and an average precision of the share of positives."
    )
    return result, caption
