"""A row of the table of claims, put into words."""

from collections.abc import Mapping
from math import isnan
from typing import Any

from mmpkd.evaluation.localization import TITLES
from mmpkd.evaluation.statistics import POWER

UNITS = {"mass_gain": "multiples of chance", "contrast_to_noise": "standard deviations"}  # others: from 0 to 1
COMPARISONS = {  # the columns that hold the arm's gain over each, and what it is called
    "shuffled_gain": "shuffled teacher",
    "over_centre": "centred Gaussian",
    "over_edges": "edge map",
    "over_untrained": "untrained student",
}


def controls(row: Mapping[str, Any]) -> str:
    """Which controls the arm beat, by one rule for all: the interval of its gain over the control lies above zero.

    The gain over the shuffled teacher is the claim's own contrast, that over the others the mean over its cells.

    Returns:
        `shuffled teacher beaten; centred Gaussian not beaten; untrained student absent`: absent controls have no
        scores, or are themselves an arm of the claim.
    """
    return "; ".join(f"{title} {_outcome(row, column)}" for column, title in COMPARISONS.items())


def sentence(row: Mapping[str, Any], confidence: float) -> str:
    """The verdict, the estimate with its interval, and what hinders a plain reading of them, in one sentence.

    Args:
        row: of the table of claims.
        confidence: level of its interval.
    """
    verdict = row["verdict"].capitalize()
    if isnan(row["estimate"]):
        return f"{verdict}: not tested, {row['reason']}."
    subject = "the difference of gains" if row["minus"] else "the gain"
    subject += f" in {TITLES[row['metric']]} ({UNITS.get(row['metric'], '0 to 1')})"
    if isnan(row["low"]):
        return f"{verdict}: {subject} is {signed(row['estimate'])}, without an interval ({row['reason']})."
    limits = f"{100 * confidence:g} % interval {signed(row['low'])} to {signed(row['high'])}"
    return f"{verdict}: {subject} is {signed(row['estimate'])} ({limits}){_remark(row)}."


def signed(value: float, digits: int = 3) -> str:
    """With that many decimals and a sign, the minus a true one; what is rounded to zero is no less than zero.

    Args:
        value: the number.
        digits: decimals.
    """
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−")


def _outcome(row: Mapping[str, Any], column: str) -> str:
    if isnan(row[column]):
        return "absent"
    if isnan(row[f"{column}_low"]):
        return "not tested"
    return "beaten" if row[f"{column}_low"] > 0 else "not beaten"


def _remark(row: Mapping[str, Any]) -> str:
    if row["verdict"] == "inconclusive":
        return _adjusted(row) + _detectable(row)
    if row["expect"] == "no_gain":
        return f", {'below' if row['verdict'] == 'supported' else 'above'} the margin of {row['margin']:.3f}"
    return _credit(row) + _unbeaten(row) if row["verdict"] == "supported" else ", below zero"


def _adjusted(row: Mapping[str, Any]) -> str:
    """Said where the interval alone would have decided."""
    tested = 0.0 if isnan(row["margin"]) else row["margin"]
    if row["low"] <= tested <= row["high"]:
        return ""
    return f", but p is {row['p_holm']:.3f} once adjusted for all claims"


def _detectable(row: Mapping[str, Any]) -> str:
    origin = "" if isnan(row["margin"]) else f" from the margin of {row['margin']:.3f}"
    found = f"{row['minimum_detectable']:.3f}{origin} with {100 * POWER:g} % power, unadjusted"
    return f"; a run of this precision would have found {found}"


def _credit(row: Mapping[str, Any]) -> str:
    """What the shuffled teacher, with the same soft targets for the wrong patients, leaves of a supported gain."""
    outcome = _outcome(row, "shuffled_gain")
    if outcome == "absent":
        return ", not credited to the privileged data: there is no shuffled teacher to compare with"
    over = f"{signed(row['shuffled_gain'])} over the shuffled teacher"
    if row["credited"]:
        return f", and {over}, so it is credited to the privileged data"
    if outcome == "not tested":
        return f", not credited to the privileged data: {over} has no interval"
    shows = "shows" if row["shuffled_over_reference_low"] > 0 else "may show"
    limits = f"{signed(row['shuffled_gain_low'])} to {signed(row['shuffled_gain_high'])}"
    return f", not credited to the privileged data: the shuffled teacher {shows} it too ({over}, {limits})"


def _unbeaten(row: Mapping[str, Any]) -> str:
    """Better attention than the reference's is worth little where it is no better than no model at all."""
    columns = [column for column in COMPARISONS if column != "shuffled_gain" and _outcome(row, column) == "not beaten"]
    names = " or the ".join(COMPARISONS[column] for column in columns)
    return f"; the arm's maps are not shown to beat the {names}" if names else ""
