"""How well the students classify."""

import pandas as pd

from mmpkd.evaluation.classification import MACRO, classification_table
from mmpkd.outputs.columns import evaluated_labels, missing, sentence
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table import Table
from mmpkd.outputs.words import cell_name

CELL = ["domain", "cohort"]
KEYS = [*CELL, "label", "arm"]
COUNTS = ["n_images", "n_positive", "n_patients", "n_seeds"]
VALUES = {"estimate": "", "low": "_low", "high": "_high", "gain": "_gain", "gain_low": "_gain_low"}
VALUES |= {"gain_high": "_gain_high", "gain_p": "_gain_p"}


def make(inputs: Inputs) -> Table:
    """One row per training domain, cohort, label and arm.

    Returns:
        domain, cohort, label, arm; for auroc and average_precision the mean over seeds, `_low`, `_high`, `_gain`
        against the reference with `_gain_low`, `_gain_high`, `_gain_p`; n_images, n_positive, n_patients, n_seeds,
        reason; in `macro` rows labels_evaluated, those that the mean is of, and labels_not_known, those of the domain
        that the cohort has no target of.
    """
    scores, confidence, reference = inputs.scores, inputs.evaluation.confidence, inputs.design.reference
    long = classification_table(scores, confidence, reference)
    result = None
    for metric in ("auroc", "average_precision"):
        part = long[long["metric"] == metric]
        part = part.rename(columns={column: metric + suffix for column, suffix in VALUES.items()})
        values = [metric + suffix for suffix in VALUES.values()]
        if result is None:
            result = part[[*KEYS, *values, *COUNTS, "reason"]]
        else:
            result = result.merge(part[[*KEYS, *values]], on=KEYS, validate="one_to_one")
    unknown = _unknown_labels(scores)
    result = _with_labels(result, unknown)
    last = [*COUNTS, "reason", "labels_evaluated", "labels_not_known"]
    result = result[[column for column in result.columns if column not in last] + last]
    caption = (
        "Classification on the test images of every cohort that shares labels with the training domain: area under "
        f"the ROC curve (AUROC) and average precision, mean over seeds, with intervals of {100 * confidence:g} % for "
        f"new patients and new seeds. Gain: against {inputs.design.title(reference)}, paired by image and seed; p is "
        "two-sided and not adjusted. Mean of labels: of those with both classes (n positive sums over labels). Chance "
        "is an AUROC of 0.5, and an average precision of the share of positives. A cohort is evaluated on the labels "
        "that it shares with the training domain, so that the means of labels of cohorts with different labels cannot "
        "be compared."
    )
    design = inputs.design
    names = {cell_name(design.cell(*cell), design): labels for cell, labels in unknown.items()}
    caption += sentence(names, "Labels of the domain that a cohort does not know:")
    return Table(result, caption, design=design)


def _unknown_labels(scores: pd.DataFrame) -> dict[tuple[str, str], str]:
    """For each cell the labels that another cohort of the training domain is evaluated on, and this one is not."""
    known = evaluated_labels(scores)
    of_domain: dict[str, set[str]] = {domain: set() for domain, _ in known}
    for (domain, _), labels in known.items():
        of_domain[domain].update(labels)
    return {cell: missing(of_domain[cell[0]], labels) for cell, labels in known.items()}


def _with_labels(result: pd.DataFrame, unknown: dict[tuple[str, str], str]) -> pd.DataFrame:
    """Adds labels_evaluated and labels_not_known, "" but in macro rows."""
    singles = result[(result["label"] != MACRO) & result["auroc"].notna()]
    evaluated = singles.groupby([*CELL, "arm"])["label"].agg(", ".join).rename("labels_evaluated")
    not_known = pd.DataFrame([(*cell, labels) for cell, labels in unknown.items()], columns=[*CELL, "labels_not_known"])
    macro = result.loc[result["label"] == MACRO, KEYS].merge(evaluated.reset_index()).merge(not_known)
    return result.merge(macro, on=KEYS, how="left").fillna({"labels_evaluated": "", "labels_not_known": ""})
