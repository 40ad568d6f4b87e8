"""Candidates that are timed in turn, so that what the machine does meanwhile meets all of them alike."""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any


def measure(
    candidates: dict[str, Callable[[], Any]], rounds: int, units: Callable[[Any], int] = lambda result: 1
) -> dict[str, list[float]]:
    """Seconds of the processor a unit, of each candidate in each round; `units` counts them from what a run gives."""
    names = list(candidates)
    for name in names:  # imports and the allocator's first growth are not what is measured
        candidates[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            start = time.process_time()
            result = candidates[name]()
            seconds[name].append((time.process_time() - start) / units(result))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return seconds


def ratio(seconds: list[float], others: list[float]) -> float:
    """The median of the ratios within a round."""
    return statistics.median(a / b for a, b in zip(seconds, others, strict=True))
