"""Does the gain hold beyond the cohort that the students were trained on?"""

from dataclasses import asdict
from typing import Any

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import CONTROL, IN_DOMAIN, OTHER_DATA_SET, OTHER_MODALITY, TO_BEAT, Cell, Design
from mmpkd.evaluation.matrices import select
from mmpkd.evaluation.regions import ANY
from mmpkd.evaluation.statistics import arm_mean, paired_gain
from mmpkd.outputs.columns import domain_labels, missing, region_labels, sentence
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table import Table
from mmpkd.outputs.words import CONTROL_NAMES, METHOD_NAMES, METRIC_NAMES, cohort_name


def make(inputs: Inputs) -> Table:
    """One row per cell: training domain x evaluation cohort.

    Returns:
        domain, cohort, relation; `<arm>`, `<arm>_low`, `<arm>_high`: each arm's mean of the primary score; for each arm
        but the reference `<arm>_gain`, `_gain_low`, `_gain_high`, `_gain_p`; `centre`, `edges`, `untrained`: means of
        the controls; n_images, n_patients, n_seeds; roi_labels, the labels of the cohort's ROI, and labels_without_roi,
        the other labels of the cohort's domain.
    """
    scores, evaluation, design = inputs.scores, inputs.evaluation, inputs.design
    relevant = select(scores, metric=evaluation.metric, label=ANY)
    relevant = relevant[relevant["method"].isin([evaluation.methods[0], "none"]).to_numpy()]
    regions, of_domains = region_labels(scores), domain_labels(scores, design.domain_of)
    without = {cohort: missing(of_domains[design.domain_of[cohort]], labels) for cohort, labels in regions.items()}
    rows = []
    for domain in design.domains:
        of_domain = select(relevant, domain=domain.name)
        arms = list(of_domain["arm"].unique())
        for cohort in of_domain["cohort"].unique():
            cell = design.cell(domain.name, cohort)
            row = asdict(cell) | _arm_columns(relevant, cell, arms, design.reference, evaluation)
            row |= {"roi_labels": ", ".join(regions.get(cohort, [])), "labels_without_roi": without.get(cohort, "")}
            rows.append(row)
    reference, frame = design.reference, pd.DataFrame(rows)
    caption = (
        f"Localisation in every cell, training domain x evaluation cohort: {METRIC_NAMES[evaluation.metric]} of the "
        f"{METHOD_NAMES[evaluation.methods[0]]} map, mean over seeds and images with ROI, and gains against "
        f"{design.title(reference)} paired by image and seed, with {100 * evaluation.confidence:g} % intervals for new "
        f"patients and new seeds; p is two-sided and not adjusted. {IN_DOMAIN}: the cohort of training; "
        f"{OTHER_DATA_SET}: of the same modality; {OTHER_MODALITY}: the other domain's cohorts. Where an arm does not "
        "beat centre, edges and untrained, its map points at nothing, and a gain there means little. ROI are of the "
        "labels that the cohort shares with its domain; their union in an image is scored."
    )
    named = {cohort_name(cohort, design): labels for cohort, labels in without.items()}
    caption += sentence(named, "Labels of the domain that a cohort has no ROI of:")
    return Table(frame, caption, design=design, heads=_heads(frame, design))


def _heads(frame: pd.DataFrame, design: Design) -> dict[str, str]:
    """The names of the columns that belong to an arm or a control."""
    heads = {control: CONTROL_NAMES[control] for control in TO_BEAT}
    for arm in (name for name in frame.columns if f"{name}_high" in frame and f"{name}_low" in frame):
        title = design.title(arm.removesuffix("_gain"))
        heads |= (
            {arm: f"gain of {title}", f"{arm}_p": f"p of {title} (unadjusted)"} if f"{arm}_p" in frame else {arm: title}
        )
    return heads


def _arm_columns(
    relevant: pd.DataFrame, cell: Cell, arms: list[str], reference: str, evaluation: Evaluation
) -> dict[str, Any]:
    """The means and gains of the arms in one cell, the means of the controls, and the counts."""
    score, confidence = evaluation.score(), evaluation.confidence
    means = {arm: arm_mean(relevant, [cell], arm, score, confidence) for arm in arms}
    row: dict[str, Any] = {}
    for arm, mean in means.items():
        row |= {arm: mean.estimate, f"{arm}_low": mean.low, f"{arm}_high": mean.high}
    for arm in arms:
        if arm != reference and reference in arms:
            gain = paired_gain(relevant, [cell], arm, reference, score, confidence)
            row |= {f"{arm}_gain": gain.estimate, f"{arm}_gain_low": gain.low}
            row |= {f"{arm}_gain_high": gain.high, f"{arm}_gain_p": gain.p}
    last = means[arms[-1]]
    counts = {"n_images": last.n_images, "n_patients": last.n_patients, "n_seeds": last.n_seeds}
    return row | _control_means(relevant, cell.cohort) | counts


def _control_means(relevant: pd.DataFrame, cohort: str) -> dict[str, float]:
    controls = select(relevant, domain=CONTROL, cohort=cohort)
    return {arm: float(select(controls, arm=arm)["value"].mean()) for arm in TO_BEAT}
