"""How well the privileged teachers know the labels, and whether they beat a plain baseline."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mmpkd.auroc import auroc
from mmpkd.evaluation.auroc import bootstrap_auroc

BASELINE = "logistic"
ALL = "all"
TEST_SETS = {"split": "test split", "official": "official test set"}
COLUMNS = [
    *("domain", "variant", "label", "subset", "test_set", "n_records", "n_positive", "n_patients"),
    *("auroc", "auroc_low", "auroc_high", "difference", "difference_low", "difference_high"),
]


def table(
    predictions: dict[str, pd.DataFrame], confidence: float, resamples: int, seed: int
) -> tuple[pd.DataFrame, str]:
    """One row a domain, test set, label, subset and variant.

    Args:
        predictions: for each domain its teacher's `predictions.parquet`.
        confidence, resamples, seed: of the bootstrap by patient.

    Returns:
        The columns `COLUMNS`, and the caption. `difference` is against the logistic baseline that reads the same
        columns and is judged on the same records. Rows with one class alone are left out.
    """
    rows = [
        {"domain": domain, **row}
        for domain, rows in predictions.items()
        for row in _rows(rows[rows["split"] == "test"], confidence, resamples, seed)
    ]
    caption = (
        "Area under the ROC curve of the privileged teachers on test records, with "
        f"{100 * confidence:g} % intervals from {resamples} resamples of patients. Variant teacher: the model behind "
        "the students' targets, on the study's test split, which no patient shares with training. Other variants, "
        "named by model and the withheld columns that they read all the same: fitted on the official training records "
        "and judged on the official test set where the cohort has one, for comparison with published figures. "
        "Difference: against the plain one-hot logistic regression that reads the same columns, on the same resamples. "
        "Where a description differs in form between two kinds of lesion, the label of the kind is read off the form."
    )
    return pd.DataFrame(rows, columns=COLUMNS), caption


def _rows(predictions: pd.DataFrame, confidence: float, resamples: int, seed: int) -> Iterator[dict]:
    for (protocol, label), of_label in predictions.groupby(["protocol", "label"], sort=False):
        subsets = [name for name in of_label["subset"].unique() if name]
        for subset in [ALL, *subsets]:
            part = of_label if subset == ALL else of_label[of_label["subset"] == subset]
            names = {"label": label, "subset": subset, "test_set": TEST_SETS[protocol]}
            yield from ({**names, **row} for row in _variants(part, confidence, resamples, seed))


def _variants(part: pd.DataFrame, confidence: float, resamples: int, seed: int) -> Iterator[dict]:
    """A row a variant, for the records of one label, subset and test set."""
    variants = list(part["variant"].unique())
    logits = part.pivot(index="record_id", columns="variant", values="logit")[variants]
    records = part.drop_duplicates("record_id").set_index("record_id").loc[logits.index]
    targets = records["target"].to_numpy(np.float64)
    known = np.isfinite(targets)
    logits, targets = logits.to_numpy(np.float64)[known], targets[known]
    patients = records["patient_id"].to_numpy(str)[known]
    estimates = auroc(logits, np.repeat(targets[:, None], len(variants), axis=1))
    rng = np.random.default_rng(seed)
    samples = bootstrap_auroc(logits, targets, patients, resamples, rng)
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
        yield row


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
