"""The study on one page: how well each arm classifies and localises at home, its gain, and the controls."""

from collections.abc import Iterator
from math import nan
from typing import Any

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import TO_BEAT, Cell, Design
from mmpkd.evaluation.classification import MACRO, classification_table
from mmpkd.evaluation.matrices import MissingScores, select
from mmpkd.evaluation.statistics import Estimate, arm_mean, control_matrix, crossed_estimate, paired_gain
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table import Table
from mmpkd.outputs.words import METHOD_NAMES, METRIC_NAMES, count_range, percent

COLUMNS = ["domain", "cohort", "arm", "metric", "method"]
COLUMNS += [f"{name}{bound}" for name in ("auroc", "score", "gain") for bound in ("", "_low", "_high")]
SAMPLE = ("images", "patients", "seeds")
COLUMNS += ["gain_p", *(f"n_{noun}" for noun in SAMPLE), *(f"auroc_n_{noun}" for noun in SAMPLE), "reason"]
HIDDEN = ("metric", "method", "gain_p", *(f"{of}n_{noun}" for of in ("", "auroc_") for noun in SAMPLE))
SHOWN = [name for name in COLUMNS if name not in HIDDEN]


def make(inputs: Inputs) -> Table:
    """One row per training domain and arm or control, on the cohort that the students learnt from.

    Returns:
        domain, cohort, arm, metric, method; auroc: mean over labels; score: the primary one; gain: in it over the
        reference; gain_p; n_images, n_patients, n_seeds of the score, and of the AUROC (auroc_n_images, ...); reason.
        Estimates have columns _low and _high.
    """
    evaluation, design = inputs.evaluation, inputs.design
    score = evaluation.score()
    rows = select(inputs.scores, metric=score.metric, label=score.label)
    classified = classification_table(inputs.scores, evaluation.confidence, design.reference)
    classified = select(classified, metric="auroc", label=MACRO)
    frame = pd.DataFrame(
        [row for cell in design.home_cells for row in _rows(rows, classified, cell, evaluation, design)],
        columns=COLUMNS,
    )
    caption = (
        "The study in brief, on test images of the cohort that the students of each domain learnt from. AUROC: of "
        f"classification, mean over labels; {METRIC_NAMES[score.metric]}: of the {METHOD_NAMES[score.method]} map "
        f"against the regions of interest, its gain: over {design.title(design.reference)}, paired by image and seed. "
        f"Means with {percent(evaluation.confidence)} intervals for new patients and new seeds, not adjusted; the "
        "claims are adjusted. Below the arms: maps that owe nothing to the training, which any attention has to beat. "
        f"n of the AUROC: {_sample_words(frame, 'auroc_n')}; of the {METRIC_NAMES[score.metric]}: "
        f"{_sample_words(frame, 'n')}."
    )
    return Table(
        frame,
        caption,
        SHOWN,
        design,
        {"score": METRIC_NAMES[score.metric], "gain": f"gain in {METRIC_NAMES[score.metric]}"},
    )


def _sample_words(frame: pd.DataFrame, start: str) -> str:
    """`134 to 446 images, 96 to 207 patients, 5 seeds` per row."""
    counts = [frame[f"{start}_{noun}"].dropna().astype(int) for noun in SAMPLE]
    if not len(counts[0]):
        return "none"
    return ", ".join(count_range(of_noun, noun.rstrip("s")) for of_noun, noun in zip(counts, SAMPLE, strict=True))


def _rows(
    rows: pd.DataFrame, classified: pd.DataFrame, cell: Cell, evaluation: Evaluation, design: Design
) -> Iterator[dict[str, Any]]:
    """The arms in order, then the controls that were scored."""
    score, confidence = evaluation.score(), evaluation.confidence
    names = {"domain": cell.domain, "cohort": cell.cohort, "metric": score.metric, "method": score.method}
    here = select(rows, cohort=cell.cohort)
    for arm in design.order(select(here, domain=cell.domain, method=score.method)["arm"].unique()):
        gain = Estimate()
        if arm != design.reference:
            gain = paired_gain(rows, [cell], arm, design.reference, score, confidence)
        auroc = select(classified, domain=cell.domain, cohort=cell.cohort, arm=arm).to_dict("records")
        auroc = auroc[0] if auroc else {}
        found = {
            f"auroc{end}": auroc.get(key, nan) for end, key in (("", "estimate"), ("_low", "low"), ("_high", "high"))
        }
        found |= {f"auroc_n_{noun}": auroc.get(f"n_{noun}", nan) for noun in SAMPLE}
        yield {**names, "arm": arm, **found, **_values(arm_mean(rows, [cell], arm, score, confidence), gain)}
    for control in TO_BEAT:
        try:
            matrix = control_matrix(here, control, cell.cohort, score)
        except MissingScores:
            continue
        mean = crossed_estimate([(1.0, matrix)], confidence, random_seeds=len(matrix.seeds) > 1)
        yield {**names, "arm": control, **_values(mean, Estimate())}


def _values(mean: Estimate, gain: Estimate) -> dict[str, Any]:
    values = {"gain_p": gain.p, "reason": mean.reason or gain.reason}
    values |= {f"n_{noun}s": getattr(mean, f"n_{noun}s") for noun in ("image", "patient", "seed")}
    for name, estimate in (("score", mean), ("gain", gain)):
        values |= {name: estimate.estimate, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return values
