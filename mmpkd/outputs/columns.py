"""What several tables have in common: means with gains, and the labels that were evaluated or that a cohort lacks.

A data set knows some of a study's labels. Each cohort is evaluated on those that it shares with the study, so that
scores over labels (`macro`) and over regions (`any`) of two cohorts can mean different things; the tables say so.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from mmpkd.evaluation.localization import METRICS
from mmpkd.evaluation.matrices import select
from mmpkd.evaluation.regions import ANY
from mmpkd.evaluation.statistics import Estimate

LabelSets = dict[str, list[str]]


def mean_and_gain(arm: str, mean: Estimate, gain: Estimate) -> dict[str, Any]:
    """An arm's mean and its gain with their intervals, what they rest on, and why one of them is missing.

    Args:
        arm: its key.
        mean: of its score.
        gain: over the reference.
    """
    return {
        "arm": arm,
        "mean": mean.estimate,
        "mean_low": mean.low,
        "mean_high": mean.high,
        "gain": gain.estimate,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "gain_p": gain.p,
        "n_images": mean.n_images,
        "n_patients": mean.n_patients,
        "n_seeds": mean.n_seeds,
        "n_undefined": mean.n_undefined,
        "reason": mean.reason or gain.reason,
    }


def evaluated_labels(scores: pd.DataFrame) -> dict[tuple[str, str], list[str]]:
    """For each training domain and cohort the labels with a known target on some test image."""
    rows = select(scores, metric="target")
    pairs = rows[["domain", "cohort", "label"]].drop_duplicates()
    return {cell: sorted(part["label"].astype(str)) for cell, part in _groups(pairs, ["domain", "cohort"])}


def region_labels(scores: pd.DataFrame) -> LabelSets:
    """For each cohort the labels that some test image has a region of interest of."""
    rows = scores[scores["metric"].isin(METRICS).to_numpy() & (scores["label"] != ANY).to_numpy()]
    pairs = rows[["cohort", "label"]].drop_duplicates()
    return {cohort: sorted(part["label"].astype(str)) for (cohort,), part in _groups(pairs, ["cohort"])}


def domain_labels(scores: pd.DataFrame, domain_of: Mapping[str, str]) -> LabelSets:
    """For each domain the labels that any of its cohorts was evaluated on, in classification or localisation.

    Args:
        scores: the long table.
        domain_of: the domain of each cohort.
    """
    found: dict[str, set[str]] = {}
    for (domain, _), labels in evaluated_labels(scores).items():
        found.setdefault(domain, set()).update(labels)
    for cohort, labels in region_labels(scores).items():
        found.setdefault(domain_of[cohort], set()).update(labels)
    return {domain: sorted(labels) for domain, labels in found.items()}


def missing(labels: Iterable[str], known: Iterable[str]) -> str:
    """The `labels` that are not among `known`, as a table's cell has them.

    Args:
        labels: that were expected.
        known: that are there.
    """
    return ", ".join(sorted(set(labels) - set(known)))


def sentence(missing_of: Mapping[str, str], start: str) -> str:
    """`start` and what each cohort misses, as a sentence of a caption; "" if none misses anything.

    Args:
        missing_of: labels that each cohort misses, "" for none.
        start: of the sentence.
    """
    parts = [f"{name} ({labels})" for name, labels in missing_of.items() if labels]
    return f" {start} {'; '.join(parts)}." if parts else ""


def _groups(pairs: pd.DataFrame, columns: list[str]) -> "pd.api.typing.DataFrameGroupBy":
    return pairs.groupby(columns, observed=True, sort=False)
