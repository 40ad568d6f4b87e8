"""Whether the reference's maps find anything: a gain between maps that find nothing means nothing."""

from collections.abc import Iterator
from math import isnan

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import Cell, Design, Score
from mmpkd.evaluation.statistics import paired_gain
from mmpkd.outputs.words import CONTROL_NAMES, cell_name, numbers

YARDSTICKS = ("centre", "untrained")


def control_words(scores: pd.DataFrame, evaluation: Evaluation, design: Design) -> list[str]:
    """Whether the baseline's maps beat the controls.

    Returns:
        A sentence per training domain, on the cohort that it learns from; none where no image has a score.
        `chest radiographs, MIMIC-CXR: the maps of baseline beat the untrained student (0.12 [0.08, 0.16]); they are not
        shown to beat the centred Gaussian (-0.03 [-0.06, 0.01]).`
    """
    score = Score(evaluation.metric, evaluation.methods[0])
    sentences = []
    for cell in design.home_cells:
        gains = dict(_gains(scores, cell, evaluation, design, score))
        beaten = [text for text, low in gains.items() if low > 0]
        others = [text for text, low in gains.items() if not low > 0]
        parts = [f"beat {' and '.join(beaten)}"] * bool(beaten)
        parts += [f"are not shown to beat {' or '.join(others)}"] * bool(others)
        if parts:
            name = cell_name(cell, design)
            subject = f"{name[0].upper()}{name[1:]}: the maps of {design.title(design.reference)}"
            sentences.append(f"{subject} {' and '.join(parts)}.")
    return sentences


def _gains(
    scores: pd.DataFrame, cell: Cell, evaluation: Evaluation, design: Design, score: Score
) -> Iterator[tuple[str, float]]:
    """The gain over each control in words, and the lower end of its interval."""
    for control in YARDSTICKS:
        gain = paired_gain(scores, [cell], design.reference, control, score, evaluation.confidence)
        if not isnan(gain.low):
            yield f"the {CONTROL_NAMES[control]} ({numbers(gain.estimate, gain.low, gain.high)})", gain.low
