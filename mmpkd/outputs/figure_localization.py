"""The main figure: how well attention localises in the domain of training, and what the teacher adds."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import CONTROL, Cell, Design, Score
from mmpkd.evaluation.matrices import MissingScores, ScoreMatrix, score_matrix, select
from mmpkd.evaluation.statistics import Estimate, arm_mean, control_matrix, crossed_estimate, gain_matrix, paired_gain
from mmpkd.outputs.figure import (
    ARMS_ABREAST,
    CONTROL_LINES,
    DOUBLE_COLUMN,
    GREY,
    LETTERS,
    PAGE,
    PLAIN,
    WIDTHS,
    Drawing,
    Mark,
    arm_handles,
    arm_marks,
    draw_estimate,
    legend_below,
    legend_height,
    name_arms,
    new_figure,
    styled,
    title_over,
    wrap,
)
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.words import (
    CONTROL_NAMES,
    METHOD_NAMES,
    METRIC_NAMES,
    cell_name,
    count,
    domain_name,
    interval_words,
    numbers,
)

PANEL_HEIGHT = {1: 1.5, 2: 2.0}
CONTROL_LINE = 0.095  # of the words on controls beyond the scale
PAIR_LETTERS = 44  # of a title that fit above a pair of panels
SEED_SPREAD = 0.16  # half the width over which the seeds of an arm are spread


@styled
def make(inputs: Inputs) -> Drawing:
    """One row of panels per attention method; for each domain the scores by arm, and the gains over the reference."""
    evaluation, design = inputs.evaluation, inputs.design
    rows = select(inputs.scores, metric=evaluation.metric, label="any")
    arms = design.order(select_students(rows)["arm"].unique())
    handles = _handles(rows, arms, design)
    abreast = inputs.columns if len(arms) <= ARMS_ABREAST else 1
    cells = design.home_cells
    blocks = [cells[start : start + abreast] for start in range(0, len(cells), abreast)]
    methods = len(evaluation.methods)
    depth, pairs = len(blocks) * methods, min(abreast, len(cells))
    below = (0.3 if len(arms) <= ARMS_ABREAST and inputs.columns == 2 else 0.9) + legend_height(handles, inputs.columns)
    height = min(PANEL_HEIGHT[inputs.columns], (PAGE - below) / depth)
    figure = new_figure(inputs.columns, height * depth + below)
    panels = figure.subplots(depth, 2 * pairs, squeeze=False, width_ratios=[1.35, 1] * pairs, sharex="col")
    for axes in panels.flat:
        axes.set_axis_off()
    scored = []  # the panels of scores, with the scores of the controls
    for number, block in enumerate(blocks):
        rows_of_panels = panels[number * methods : (number + 1) * methods]
        _draw_block(rows_of_panels, rows, arms, block, evaluation, design)
        _name_block(rows_of_panels, block, evaluation, design, int(height * LETTERS))
        places = zip(rows_of_panels, evaluation.methods, strict=True)
        scored += [
            (left, levels)
            for row, method in places
            for left, cell in zip(row[::2], block, strict=False)
            for levels in [_control_levels(rows, cell.cohort, evaluation.score(method))]
        ]
    for kind in (slice(0, None, 2), slice(1, None, 2)):
        _share_limits([axes for axes in panels[:, kind].flat if axes.axison])
    letters = int((WIDTHS[inputs.columns] / pairs - 1.2) * 0.55 * LETTERS * 7 / 6)
    beyond = _draw_controls(scored, letters, height)
    for column in panels.T:
        [axes for axes in column if axes.axison][-1].tick_params(labelbottom=True)
    legend_below(figure, handles)
    caption, alt = _caption(rows, arms, evaluation, design, beyond), _alt(rows, arms, evaluation, design)
    return Drawing(figure, caption, design, alt)


def _handles(rows: pd.DataFrame, arms: list[str], design: Design) -> list[Line2D]:
    """Legend entries of arms, a seed, and the controls that were scored."""
    controls = [
        Line2D([], [], color=GREY, linewidth=1, linestyle=line, label=CONTROL_NAMES[control])
        for control, line in CONTROL_LINES.items()
        if control in set(select(rows, domain=CONTROL)["arm"].unique())
    ]
    seed = Line2D([], [], color=GREY, marker="o", markersize=3, mew=0, linestyle="", label="one seed")
    return [*arm_handles(arms, design), seed, *controls]


def _draw_block(
    panels: np.ndarray,
    rows: pd.DataFrame,
    arms: list[str],
    cells: Sequence[Cell],
    evaluation: Evaluation,
    design: Design,
) -> None:
    """Domains side by side, one row per method."""
    marks = arm_marks(arms, design)
    for row, method in zip(panels, evaluation.methods, strict=True):
        score = evaluation.score(method)
        for number, cell in enumerate(cells):
            left, right = row[2 * number : 2 * number + 2]
            for axes in (left, right):
                axes.set_axis_on()
            scores = {arm: partial(score_matrix, rows, cell.domain, arm, cell.cohort, **score.columns) for arm in arms}
            _draw_columns(left, scores, marks, evaluation.confidence)
            right.axhline(0, color=GREY, linewidth=0.8, zorder=1)
            gains = {
                arm: partial(gain_matrix, rows, cell, arm, design.reference, score)
                for arm in arms
                if arm != design.reference
            }
            _draw_columns(right, gains, marks, evaluation.confidence)
            narrow = left.figure.get_figwidth() < DOUBLE_COLUMN
            name_arms(left, list(map(design.title, scores)), narrow)
            name_arms(right, list(map(design.title, gains)), narrow)


def _name_block(
    panels: np.ndarray, cells: Sequence[Cell], evaluation: Evaluation, design: Design, letters: int
) -> None:
    """The cells above the first row, the methods left of each; `letters` fit the height of a panel."""
    for left, cell in zip(panels[0, ::2], cells, strict=False):
        title_over(left, cell_name(cell, design), PAIR_LETTERS)
    for row, method in zip(panels, evaluation.methods, strict=True):
        for right in row[1 : 2 * len(cells) : 2]:
            right.set_ylabel(wrap(f"gain over {design.title(design.reference)}", letters))
        names = (METHOD_NAMES[method], METRIC_NAMES[evaluation.metric])
        row[0].set_ylabel(",\n".join(wrap(name, letters) for name in names))


def _control_levels(rows: pd.DataFrame, cohort: str, score: Score) -> dict[str, float]:
    """The mean score of each control that was scored."""
    levels = {control: control_mean(rows, control, cohort, score) for control in CONTROL_LINES}
    return {control: level for control, level in levels.items() if not np.isnan(level)}


def _draw_controls(panels: list[tuple[Axes, dict[str, float]]], letters: int, height: float) -> bool:
    """Lines where controls are within the scale of the students; names and values of those below or above it.

    Args:
        panels: of the same scale, each with the scores of its controls.
        letters: that fit the width of a panel.
        height: inches of a panel.

    Returns:
        Whether any control is beyond the scale.
    """
    low, high = panels[0][0].get_ylim()
    below = [_beyond("↓", {k: level for k, level in levels.items() if level < low}, letters) for _, levels in panels]
    above = [_beyond("↑", {k: level for k, level in levels.items() if level > high}, letters) for _, levels in panels]
    lines = [max(map(len, side)) for side in (below, above)]
    line = (high - low) / max(height / CONTROL_LINE - sum(lines) - 1, 4)
    for (axes, levels), *words in zip(panels, below, above, strict=True):
        axes.set_ylim(low - line * lines[0], high + line * lines[1])
        for control, level in levels.items():
            if low <= level <= high:
                axes.axhline(level, color=GREY, linewidth=1, linestyle=CONTROL_LINES[control], zorder=1)
        for text, place, side in zip(words, (0.01, 0.99), ("bottom", "top"), strict=True):
            style: dict[str, Any] = {"va": side, "fontsize": 6, "linespacing": 1.05, "bbox": PLAIN}
            axes.text(0.02, place, "\n".join(text), transform=axes.transAxes, **style)
    return any(lines)


def _beyond(arrow: str, levels: Mapping[str, float], letters: int) -> list[str]:
    """Lines of type on controls that are beyond the scale."""
    words = ", ".join(f"{CONTROL_NAMES[control]} {level:.2f}" for control, level in levels.items())
    return wrap(f"{arrow} {words}", letters).split("\n") if words else []


def select_students(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of trained students, without the controls."""
    return rows[(rows["domain"] != CONTROL).to_numpy()]


def control_mean(rows: pd.DataFrame, control: str, cohort: str, score: Score) -> float:
    """Mean score of a control, over seeds and images; NaN where it was not scored.

    Args:
        rows: of the long table, of one metric and label.
        control: one of `mmpkd.design.CONTROLS`.
        cohort: that was scored.
        score: metric, method and label.
    """
    try:
        return control_matrix(rows, control, cohort, score).mean
    except MissingScores:
        return float("nan")


def _draw_columns(
    axes: Axes, matrices: Mapping[str, Callable[[], ScoreMatrix]], marks: Mapping[str, Mark], confidence: float
) -> None:
    """A column an arm; one without scores stays empty."""
    for place, (arm, matrix_of) in enumerate(matrices.items()):
        try:
            matrix = matrix_of()
        except MissingScores:
            continue
        _draw_column(axes, place, matrix, crossed_estimate([(1.0, matrix)], confidence), marks[arm])


def _draw_column(axes: Axes, place: int, matrix: ScoreMatrix, estimate: Estimate, mark: Mark) -> None:
    """The mean with its interval, and the seeds to its right."""
    by_seed = matrix.values.mean(axis=1)
    spread = np.linspace(-SEED_SPREAD, SEED_SPREAD, len(by_seed)) if len(by_seed) > 1 else np.zeros(len(by_seed))
    axes.plot(place + 0.12 + spread, by_seed, mark.marker, color=mark.colour, markersize=3, mew=0, alpha=0.6)
    draw_estimate(axes, place - 0.2, estimate.estimate, estimate.low, estimate.high, mark, horizontal=False)


def _share_limits(panels: list[Axes]) -> None:
    """The same scale in all panels of a kind, so that they can be compared."""
    limits = np.array([axes.get_ylim() for axes in panels])
    for axes in panels:
        axes.set_ylim(limits[:, 0].min(), limits[:, 1].max())


def _alt(rows: pd.DataFrame, arms: list[str], evaluation: Evaluation, design: Design) -> str:
    means = []
    for cell in design.home_cells:
        estimates = {arm: arm_mean(rows, [cell], arm, evaluation.score(), evaluation.confidence) for arm in arms}
        of_arms = [f"{design.title(arm)} {found.estimate:.2f}" for arm, found in estimates.items() if not found.reason]
        of_controls = [
            f"{CONTROL_NAMES[control]} {level:.2f}"
            for control, level in _control_levels(rows, cell.cohort, evaluation.score()).items()
        ]
        means.append(f"{cell_name(cell, design)}: {', '.join(of_arms + of_controls)}")
    return (
        f"Dot plots of scores by arm, and of gains over {design.title(design.reference)}. "
        f"{main_contrast(rows, arms, evaluation, design)}Mean {METRIC_NAMES[evaluation.metric]} of the "
        f"{METHOD_NAMES[evaluation.methods[0]]} map: {'; '.join(means)}."
    )


def _caption(rows: pd.DataFrame, arms: list[str], evaluation: Evaluation, design: Design, beyond: bool) -> str:
    counted = "; ".join(
        f"{cell_name(cell, design)}: {sample_size(rows, cell, evaluation)}" for cell in design.home_cells
    )
    reference = design.title(design.reference)
    at_ends = "; those beyond the scale of the students stand at its ends by name (arrows)" if beyond else ""
    return (
        f"Localisation on test images of the cohort that the students were trained on. Left of each pair: "
        f"{METRIC_NAMES[evaluation.metric]} of the attention map against the union of an image's regions of interest "
        f"(ROI), mean over images. Right: paired gain over {reference}, same image and same seed. Large "
        f"markers: mean over seeds with {interval_words(evaluation.confidence)}. Small markers: single seeds. Grey "
        f"lines: controls without training on this cohort{at_ends}; the uniform map is chance level. "
        f"Test images with ROI: {counted}. {main_contrast(rows, arms, evaluation, design)}Axes do not start at zero. "
        "No student was trained on ROI; a gain says that attention lies more on the ROI, not that the decision was "
        "made there."
    )


def main_contrast(rows: pd.DataFrame, arms: list[str], evaluation: Evaluation, design: Design) -> str:
    """The gain of the first arm in each domain, with its interval, as a sentence; "" where there is but one arm.

    Args:
        rows: of the long table.
        arms: in order.
        evaluation: the primary score.
        design: domains, and the roles of the arms.
    """
    others = [arm for arm in arms if arm != design.reference]
    if not others:
        return ""
    gains = []
    for cell in design.home_cells:
        gain = paired_gain(rows, [cell], others[0], design.reference, evaluation.score(), evaluation.confidence)
        gains.append(f"{domain_name(cell.domain)} {numbers(gain.estimate, gain.low, gain.high)}")
    arm, reference = design.title(others[0]), design.title(design.reference)
    return f"Gain of {arm} over {reference} ({METHOD_NAMES[evaluation.methods[0]]}): {'; '.join(gains)}. "


def sample_size(rows: pd.DataFrame, cell: Cell, evaluation: Evaluation) -> str:
    """Images, patients and seeds of a cell, in words.

    Args:
        rows: of the long table.
        cell: training domain and cohort.
        evaluation: the primary score.
    """
    part = select(select_students(rows), domain=cell.domain, cohort=cell.cohort, method=evaluation.methods[0])
    numbers = (part["image_id"].nunique(), part["patient_id"].nunique(), part["seed"].nunique())
    return ", ".join(count(number, noun) for number, noun in zip(numbers, ("image", "patient", "seed"), strict=True))
