"""Names, numbers and counts as tables, figures and report write them.

An interval tells how many decimals its estimate deserves, in tables and figures alike.
"""

from collections.abc import Collection
from math import isfinite, isnan

from mmpkd.evaluation.localization import TITLES

CONTROL_NAMES = {
    "uniform": "uniform map",
    "centre": "centred Gaussian",
    "edges": "edge map",
    "untrained": "untrained student",
    "pretrained": "pretrained, not fine-tuned",
}
METHOD_NAMES = {
    "rollout": "attention rollout",
    "last_layer": "last-layer attention",
    "last_layer_max": "last-layer attention, maximum of heads",
    **{f"last_layer_head{head}": f"last-layer attention, head {head}" for head in range(100)},
    "value_norm": "norm-weighted attention",
    "gradient_rollout": "gradient-weighted attention",
    "grad_cam": "Grad-CAM",
}
METRIC_NAMES = TITLES | {  # an axis says more than a caption
    "pointing_game": "pointing game accuracy",
    "mass_in_roi": "attention mass in ROI",
    "pointing_game_tolerant": "pointing game accuracy with tolerance",
    "mass_gain": "attention mass in ROI over its area",
}
KNOWN_ANSWERS = (  # for captions
    "Known: the answer that was planted in the phantoms. It is recovered if the verdict says it (supported where it is "
    "what the claim expects, contradicted where it is the opposite); any other verdict misses it."
)
WITHOUT_INTERVAL = 3
FEWEST, MOST = 2, 4


def decimals(low: float, high: float) -> int:
    """Decimals of an estimate and of both its bounds: the half-width of the interval keeps two significant digits.

    At least two decimals and at most four; three where a bound is missing or the interval has no width.
    """
    half_width = (high - low) / 2
    if not isfinite(half_width) or half_width <= 0:
        return WITHOUT_INTERVAL
    exponent = int(f"{half_width:.1e}".partition("e")[2])  # of the half-width as rounded: 0.0996 counts as 0.10
    return min(max(1 - exponent, FEWEST), MOST)


def fixed(value: float, digits: int) -> str:
    """`value` with that many decimals; zero has no sign."""
    return f"{round(float(value), digits) + 0.0:.{digits}f}"  # adding zero turns -0.000 into 0.000


def numbers(estimate: float, low: float, high: float) -> str:
    """`0.031 [0.012, 0.050]`, rounded as in the tables."""
    digits = decimals(low, high)
    if isnan(estimate):
        return "not estimable"
    mean, *bounds = (fixed(value, digits) for value in (estimate, low, high))
    limits = "(no interval)" if isnan(low) or isnan(high) else f"[{', '.join(bounds)}]"
    return f"{mean} {limits}".replace("-", "\N{MINUS SIGN}")


def p_text(p: float) -> str:
    """`0.012`, `<0.001`, or a dash where there is none."""
    return "–" if isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def count(number: int, noun: str) -> str:
    """`1 image`, `2,000 images`."""
    plural = noun if number == 1 else noun + "s"
    return f"{number:,} {plural}"


def count_range(numbers: Collection[int], noun: str) -> str:
    """`80 images` where all agree, else `60 to 80 images`."""
    low, high = min(numbers), max(numbers)
    return count(high, noun) if low == high else f"{low:,} to {count(high, noun)}"


def percent(confidence: float) -> str:
    """`95 %`."""
    return f"{100 * confidence:g} %"


def interval_words(confidence: float) -> str:
    """What the intervals of all figures are, for captions."""
    return (
        f"{percent(confidence)} intervals for new patients and new seeds (crossed variance components of seeds and "
        "patients, Student's t); they are not adjusted for the number of comparisons"
    )
