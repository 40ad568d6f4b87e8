"""How many decimals an estimate deserves: its interval says so, in tables and in figures alike."""

from math import isfinite

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
