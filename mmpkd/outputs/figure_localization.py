"""The main figure: how well attention localises in the domain of training, and what the teacher adds."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import CONTROL, Cell, Design, Score
from mmpkd.evaluation.matrices import MissingScores, ScoreMatrix, score_matrix, select
from mmpkd.evaluation.statistics import Estimate, control_matrix, crossed_estimate, gain_matrix, paired_gain
from mmpkd.outputs.figure import (
    ARMS_ABREAST,
    CONTROL_LINES,
    DOUBLE_COLUMN,
    GREY,
    LETTERS,
    PAGE,
    Drawing,
    Mark,
    arm_handles,
    arm_marks,
    draw_estimate,
    legend_below,
    name_arms,
    new_figure,
    styled,
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

PANEL_HEIGHT = 2.0
DOMAINS_ABREAST = 2
LEGEND_COLUMNS, LEGEND_LINE = 4, 0.14
SEED_SPREAD = 0.16  # half the width over which the seeds of an arm are spread


@styled
def make(inputs: Inputs) -> Drawing:
    """One row of panels per attention method; for each domain the scores by arm, and the gains over the reference."""
    evaluation, design = inputs.evaluation, inputs.design
    rows = select(inputs.scores, metric=evaluation.metric, label="any")
    arms = design.order(select_students(rows)["arm"].unique())
    handles = _handles(rows, arms, design)
    abreast = DOMAINS_ABREAST if len(arms) <= ARMS_ABREAST else 1
    cells = design.home_cells
    blocks = [cells[start : start + abreast] for start in range(0, len(cells), abreast)]
    methods = len(evaluation.methods)
    depth, columns = len(blocks) * methods, min(abreast, len(cells))
    below = 0.6 if len(arms) <= ARMS_ABREAST else 1.2 + LEGEND_LINE * len(handles) / LEGEND_COLUMNS
    height = min(PANEL_HEIGHT, (PAGE - below) / depth)
    figure = new_figure(DOUBLE_COLUMN, height * depth + below)
    panels = figure.subplots(depth, 2 * columns, squeeze=False, width_ratios=[1.35, 1] * columns, sharex="col")
    for axes in panels.flat:
        axes.set_axis_off()
    for number, block in enumerate(blocks):
        rows_of_panels = panels[number * methods : (number + 1) * methods]
        _draw_block(rows_of_panels, rows, arms, block, evaluation, design)
        _name_block(rows_of_panels, block, evaluation, design, int(height * LETTERS))
    for kind in (slice(0, None, 2), slice(1, None, 2)):
        _share_limits([axes for axes in panels[:, kind].flat if axes.axison])
    for column in panels.T:
        [axes for axes in column if axes.axison][-1].tick_params(labelbottom=True)
    legend_below(figure, handles, columns=LEGEND_COLUMNS)
    return Drawing(figure, _caption(rows, arms, evaluation, design), inputs.design)


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
            for control, line in CONTROL_LINES.items():
                level = control_mean(rows, control, cell.cohort, score)
                left.axhline(level, color=GREY, linewidth=1, linestyle=line, zorder=1)
            scores = {arm: partial(score_matrix, rows, cell.domain, arm, cell.cohort, **score.columns) for arm in arms}
            _draw_columns(left, scores, marks, evaluation.confidence)
            right.axhline(0, color=GREY, linewidth=0.8, zorder=1)
            gains = {
                arm: partial(gain_matrix, rows, cell, arm, design.reference, score)
                for arm in arms
                if arm != design.reference
            }
            _draw_columns(right, gains, marks, evaluation.confidence)
            name_arms(left, list(map(design.title, scores)))
            name_arms(right, list(map(design.title, gains)))


def _name_block(
    panels: np.ndarray, cells: Sequence[Cell], evaluation: Evaluation, design: Design, letters: int
) -> None:
    """The cells above the first row, the methods left of each; `letters` fit the height of a panel."""
    for left, cell in zip(panels[0, ::2], cells, strict=False):
        left.set_title(cell_name(cell, design))
    for row, method in zip(panels, evaluation.methods, strict=True):
        for right in row[1 : 2 * len(cells) : 2]:
            right.set_ylabel(wrap(f"gain over {design.title(design.reference)}", letters))
        names = (METHOD_NAMES[method], METRIC_NAMES[evaluation.metric])
        row[0].set_ylabel("\n\n".join(wrap(name, letters) for name in names))


def select_students(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of trained students, without the controls."""
    return rows[(rows["domain"] != CONTROL).to_numpy()]


def control_mean(rows: pd.DataFrame, control: str, cohort: str, score: Score) -> float:
    """Mean score of a control, over seeds and images; NaN where it was not scored."""
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


def _caption(rows: pd.DataFrame, arms: list[str], evaluation: Evaluation, design: Design) -> str:
    counted = "; ".join(
        f"{cell_name(cell, design)}: {sample_size(rows, cell, evaluation)}" for cell in design.home_cells
    )
    reference = design.title(design.reference)
    return (
        f"Localisation on test images of the cohort that the students were trained on. Left of each pair: "
        f"{METRIC_NAMES[evaluation.metric]} of the attention map against the union of an image's regions of interest "
        f"(ROI), mean over images. Right: paired gain over {reference}, same image and same seed. Large "
        f"markers: mean over seeds with {interval_words(evaluation.confidence)}. Small markers: single seeds. Grey "
        f"lines: controls without training on this cohort; the uniform map is chance level. Test images with ROI: "
        f"{counted}. {main_contrast(rows, arms, evaluation, design)}Axes do not start at zero. No student "
        f"was trained on ROI; a gain says that attention lies more on the ROI, not that the decision was made there."
    )


def main_contrast(rows: pd.DataFrame, arms: list[str], evaluation: Evaluation, design: Design) -> str:
    """The gain of the first arm in each domain, with its interval, as a sentence; "" where there is but one arm."""
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
    """Images, patients and seeds of a cell, in words."""
    part = select(select_students(rows), domain=cell.domain, cohort=cell.cohort, method=evaluation.methods[0])
    numbers = (part["image_id"].nunique(), part["patient_id"].nunique(), part["seed"].nunique())
    return ", ".join(count(number, noun) for number, noun in zip(numbers, ("image", "patient", "seed"), strict=True))
