"""Columns that tables of localisation share."""

from typing import Any

from mmpkd.evaluation.statistics import Estimate


def mean_and_gain(arm: str, mean: Estimate, gain: Estimate) -> dict[str, Any]:
    """An arm's mean and its gain with their intervals, what they rest on, and why one of them is missing."""
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
