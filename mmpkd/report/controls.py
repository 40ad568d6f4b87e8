"""Whether the reference's maps find anything: a gain between maps that find nothing means nothing."""

from collections.abc import Iterator
from math import isnan

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import TO_BEAT, Cell, Design, Score
from mmpkd.evaluation.statistics import paired_gain
from mmpkd.outputs.words import CONTROL_NAMES, cell_name, numbers


def control_words(scores: pd.DataFrame, evaluation: Evaluation, design: Design) -> list[str]:
    """Whether the reference's maps beat the controls.

    Args:
        scores: the long table.
        evaluation: the primary score, and the level of the intervals.
        design: the reference, and the domains.

    Returns:
        A sentence per training domain, on the cohort that it learns from; none where no image has a score.
        `Chest radiographs, MIMIC-CXR: better than the untrained student (0.12 [0.08, 0.16]); not shown to beat the edge
        map (-0.03 [-0.06, 0.01]); worse than the centred Gaussian (-0.13 [-0.24, -0.03]).`
    """
    score = Score(evaluation.metric, evaluation.methods[0])
    sentences = []
    for cell in design.home_cells:
        found = list(_outcomes(scores, cell, evaluation, design, score))
        parts = [
            f"{outcome} {' and '.join(name for one, name in found if one == outcome)}"
            for outcome in dict.fromkeys(outcome for outcome, _ in found)
        ]
        if parts:
            name = cell_name(cell, design)
            sentences.append(f"{name[0].upper()}{name[1:]}: {'; '.join(parts)}.")
    return sentences


def _outcomes(
    scores: pd.DataFrame, cell: Cell, evaluation: Evaluation, design: Design, score: Score
) -> Iterator[tuple[str, str]]:
    """What became of each control, and its name with the gain over it."""
    for control in TO_BEAT:
        gain = paired_gain(scores, [cell], design.reference, control, score, evaluation.confidence)
        if isnan(gain.low):
            continue
        outcome = "better than" if gain.low > 0 else "worse than" if gain.high < 0 else "not shown to beat"
        yield outcome, f"the {CONTROL_NAMES[control]} ({numbers(gain.estimate, gain.low, gain.high)})"
