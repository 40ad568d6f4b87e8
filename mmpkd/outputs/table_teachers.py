"""How well the privileged teachers know the labels, how reliable they are, and whether they beat a plain baseline."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from mmpkd.auroc import auroc
from mmpkd.evaluation.auroc import bootstrap_auroc
from mmpkd.evaluation.reliability import (
    BINS,
    bootstrap_brier,
    brier_score,
    calibrated_errors,
    expected_calibration_error,
)
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table import Table

MAIN = "main"  # the teacher that a domain's `teacher` configures; its other teachers are called as in `variants`
TEACHER = "teacher"  # the variant behind the students' targets
BASELINE = "logistic"
ALL = "all"
TEST_SETS = {"split": "test split", "official": "official test set"}
COLUMNS = [
    *("domain", "teacher", "variant", "label", "subset", "test_set", "n_records", "n_positive", "n_patients"),
    *("auroc", "auroc_low", "auroc_high", "difference", "difference_low", "difference_high"),
    *("ece", "ece_limit", "raw_ece", "brier", "brier_low", "brier_high", "raw_brier"),
]
HIDDEN = {"n_positive", "n_patients", "brier", "brier_low", "brier_high", "raw_brier"}
SHOWN = [name for name in COLUMNS if name not in HIDDEN]


def make(inputs: Inputs) -> Table:
    """One row per domain, teacher, test set, label, subset and variant, without labels of one class alone.

    Returns:
        domain; teacher: main, or the name of a variant of the configuration; variant: teacher, the model behind the
        students' targets, or a model that it is compared with; label; subset: all records, or those of a kind of
        lesion; test_set: test split, or official test set; n_records, n_positive, n_patients; auroc; difference: in
        auroc, against the logistic baseline that reads the same columns, on the same records; ece, ece_limit; brier:
        Brier score; raw_ece, raw_brier: before calibration.
    """
    files = zip(inputs.keys["teachers"], inputs.files["predictions"], strict=True)
    predictions = {tuple(teacher): pd.read_parquet(file) for teacher, file in files}
    evaluation = inputs.evaluation
    table = judge(predictions, evaluation.confidence, evaluation.resamples, evaluation.seed)
    return replace(table, design=inputs.design)


def judge(predictions: dict[tuple[str, str], pd.DataFrame], confidence: float, resamples: int, seed: int) -> Table:
    """The table that `make` describes.

    Args:
        predictions: for each domain and teacher (`main` or a name in `domains.*.variants`) its `predictions.parquet`.
        confidence: of the bootstrap by patient.
        resamples: of the bootstrap by patient.
        seed: of the bootstrap by patient.

    Raises:
        ValueError: predictions without raw logits, which an older version wrote.
    """
    rows = []
    for (domain, teacher), frame in predictions.items():
        if "raw_logit" not in frame:
            raise ValueError(
                f"teachers/{domain}/{teacher}/predictions.parquet has no column raw_logit: delete it and run again"
            )
        tested = frame[frame["split"] == "test"]
        if teacher != MAIN:  # its competitors are those of the main one
            tested = tested[tested["variant"] == TEACHER]
        names = {"domain": domain, "teacher": teacher}
        rows += [{**names, **row} for row in _rows(tested, confidence, resamples, seed)]
    caption = (
        f"The privileged teachers on test records, with {100 * confidence:g} % intervals from {resamples} resamples of "
        "patients. Teacher: main, or the name of a variant of the configuration. Variant teacher: the model behind the "
        "students' targets, on the study's test split, which no patient shares with training. Other variants, named by "
        "model and the withheld columns that they read all the same: fitted on the official training records and "
        "judged on the official test set where the cohort has one, for comparison with published figures. Area under "
        "the ROC curve (AUROC); difference: against the plain one-hot logistic regression that reads the same columns, "
        "on the same resamples. ECE: expected calibration error in "
        f"{BINS} bins of equal mass; its limit: what {100 * confidence:g} % of calibrated predictions of these records "
        "stay below; raw: before calibration. Where a description differs in form between two kinds of lesion, the "
        "label of the kind is read off the form."
    )
    return Table(pd.DataFrame(rows, columns=COLUMNS), caption, SHOWN)


def _rows(predictions: pd.DataFrame, confidence: float, resamples: int, seed: int) -> Iterator[dict]:
    for (protocol, label), of_label in predictions.groupby(["protocol", "label"], sort=False):
        subsets = [name for name in of_label["subset"].unique() if name]
        for subset in [ALL, *subsets]:
            part = of_label if subset == ALL else of_label[of_label["subset"] == subset]
            names = {"label": label, "subset": subset, "test_set": TEST_SETS[protocol]}
            yield from ({**names, **row} for row in _variants(part, confidence, resamples, seed))


def _variants(part: pd.DataFrame, confidence: float, resamples: int, seed: int) -> Iterator[dict]:
    """A row a variant, for the records of one label, subset and test set."""
    part = part[np.isfinite(part["target"])]
    variants = list(part["variant"].unique())
    wide = part.pivot(index="record_id", columns="variant", values=["logit", "raw_logit"])
    logits, raw = (wide[name][variants].to_numpy(np.float64) for name in ("logit", "raw_logit"))
    records = part.drop_duplicates("record_id").set_index("record_id").loc[wide.index]
    targets, patients = records["target"].to_numpy(np.float64), records["patient_id"].to_numpy(str)
    estimates = auroc(logits, np.repeat(targets[:, None], len(variants), axis=1))
    samples = bootstrap_auroc(logits, targets, patients, resamples, np.random.default_rng(seed))
    for column, variant in enumerate(variants):
        if np.isnan(estimates[column]):
            continue
        row = {
            "variant": variant,
            "n_records": len(targets),
            "n_positive": int(targets.sum()),
            "n_patients": len(np.unique(patients)),
            **_interval("auroc", estimates[column], samples[:, column], confidence),
        }
        baseline = _baseline(variant, variants)
        if baseline is not None:
            row |= _interval(
                "difference",
                estimates[column] - estimates[baseline],
                samples[:, column] - samples[:, baseline],
                confidence,
            )
        rng = np.random.default_rng(seed)
        yield row | _reliability(logits[:, column], raw[:, column], targets, patients, confidence, resamples, rng)


def _baseline(variant: str, variants: list[str]) -> int | None:
    """Where the logistic regression stands that reads what `variant` reads; None for itself, or if there is none."""
    model, plus, withheld = variant.partition(" + ")
    name = BASELINE + plus + withheld
    return variants.index(name) if model != BASELINE and name in variants else None


def _interval(name: str, estimate: float, samples: np.ndarray, confidence: float) -> dict[str, float]:
    """Estimate and percentile interval; resamples of one class do not count."""
    samples = samples[np.isfinite(samples)]
    low, high = np.quantile(samples, [(1 - confidence) / 2, (1 + confidence) / 2]) if len(samples) else (np.nan, np.nan)
    return {name: float(estimate), f"{name}_low": float(low), f"{name}_high": float(high)}


def _reliability(
    logits: np.ndarray,
    raw: np.ndarray,
    targets: np.ndarray,
    patients: np.ndarray,
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Brier score of one variant with its interval, ECE with its limit, and both before calibration."""
    briers = bootstrap_brier(logits, targets, patients, resamples, rng)
    errors = calibrated_errors(logits, patients, resamples, rng)
    return {
        "ece": expected_calibration_error(logits, targets),
        "ece_limit": float(np.quantile(errors, confidence)),
        "raw_ece": expected_calibration_error(raw, targets),
        **_interval("brier", brier_score(logits, targets), briers, confidence),
        "raw_brier": brier_score(raw, targets),
    }
