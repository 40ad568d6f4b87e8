"""The main figure: how well attention localises in the domain of training, and what the teacher adds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmpkd.config.evaluation import Evaluation
from mmpkd.evaluation.matrices import MissingScores, ScoreMatrix, score_matrix, select
from mmpkd.evaluation.statistics import Estimate, crossed_estimate, gain_matrix, paired_gain
from mmpkd.plotting.style import (
    CONTROL_LINES,
    CONTROL_NAMES,
    DOUBLE_COLUMN,
    GREY,
    LETTERS,
    METHOD_NAMES,
    METRIC_NAMES,
    PAGE,
    Mark,
    arm_handles,
    arm_marks,
    arm_name,
    count,
    draw_estimate,
    interval_words,
    legend_below,
    new_figure,
    numbers,
    order_arms,
    styled,
    wrap,
)

PANEL_HEIGHT = 2.0
DOMAINS_ABREAST = 2
ARMS_ABREAST = 4  # more arms need the whole width for a domain, and names that stand upright
LEGEND_COLUMNS, LEGEND_LINE = 4, 0.14
SEED_SPREAD = 0.16  # half the width over which the seeds of an arm are spread


@styled
def draw(
    scores: pd.DataFrame, evaluation: Evaluation, domains: Mapping[str, Mapping[str, Any]], reference: str = "baseline"
) -> tuple[Figure, str]:
    """A row of panels an attention method; for each domain the scores by arm, and the gains over `reference`.

    Args:
        scores: the long table.
        evaluation: methods, primary metric and confidence.
        domains: for each domain at least `training`, the cohort that its students learnt from.
        reference: the arm that gains are against.
    """
    rows = select(scores, metric=evaluation.metric, label="any")
    arms = order_arms(select_students(rows)["arm"].unique())
    handles = _handles(rows, arms)
    abreast = DOMAINS_ABREAST if len(arms) <= ARMS_ABREAST else 1
    names = list(domains)
    blocks = [names[start : start + abreast] for start in range(0, len(names), abreast)]
    methods = len(evaluation.methods)
    depth, columns = len(blocks) * methods, min(abreast, len(domains))
    below = 0.6 if len(arms) <= ARMS_ABREAST else 1.2 + LEGEND_LINE * len(handles) / LEGEND_COLUMNS
    height = min(PANEL_HEIGHT, (PAGE - below) / depth)
    figure = new_figure(DOUBLE_COLUMN, height * depth + below)
    panels = figure.subplots(depth, 2 * columns, squeeze=False, width_ratios=[1.35, 1] * columns, sharex="col")
    for axes in panels.flat:
        axes.set_axis_off()
    for number, block in enumerate(blocks):
        rows_of_panels = panels[number * methods : (number + 1) * methods]
        facts = {name: domains[name] for name in block}
        _draw_block(rows_of_panels, rows, arms, facts, evaluation, reference, int(height * LETTERS))
    for kind in (slice(0, None, 2), slice(1, None, 2)):
        _share_limits([axes for axes in panels[:, kind].flat if axes.axison])
    for column in panels.T:
        [axes for axes in column if axes.axison][-1].tick_params(labelbottom=True)
    legend_below(figure, handles, columns=LEGEND_COLUMNS)
    return figure, _caption(rows, arms, domains, evaluation, reference)


def _handles(rows: pd.DataFrame, arms: list[str]) -> list[Line2D]:
    """Legend entries of arms, a seed, and the controls that were scored."""
    controls = [
        Line2D([], [], color=GREY, linewidth=1, linestyle=line, label=CONTROL_NAMES[control])
        for control, line in CONTROL_LINES.items()
        if control in set(select(rows, domain="control")["arm"].unique())
    ]
    seed = Line2D([], [], color=GREY, marker="o", markersize=3, mew=0, linestyle="", label="one seed")
    return [*arm_handles(arms), seed, *controls]


def _draw_block(
    panels: np.ndarray,
    rows: pd.DataFrame,
    arms: list[str],
    domains: Mapping[str, Mapping[str, Any]],
    evaluation: Evaluation,
    reference: str,
    letters: int,
) -> None:
    """Domains side by side, a row a method; `letters` fit the height of a panel."""
    for row, method in zip(panels, evaluation.methods, strict=True):
        for number, (domain, facts) in enumerate(domains.items()):
            left, right = row[2 * number : 2 * number + 2]
            left.set_axis_on()
            right.set_axis_on()
            _draw_scores(left, rows, arms, domain, facts["training"], method, evaluation)
            _draw_gains(right, rows, arms, domain, facts["training"], method, evaluation, reference)
            right.set_ylabel(wrap(f"gain over {arm_name(reference)}", letters))
            if method == evaluation.methods[0]:
                left.set_title(f"{domain} ({facts['training']})")
        names = (METHOD_NAMES[method], METRIC_NAMES[evaluation.metric])
        row[0].set_ylabel("\n\n".join(wrap(name, letters) for name in names))


def select_students(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of trained students, without the controls."""
    return rows[(rows["domain"] != "control").to_numpy()]


def control_mean(rows: pd.DataFrame, control: str, cohort: str, method: str, metric: str) -> float:
    """Mean score of a control, over seeds and images; NaN where it was not scored.

    A map that is no model's goes by method `none`.
    """
    for name in (method, "none"):
        try:
            return score_matrix(rows, "control", control, cohort, metric=metric, method=name, label="any").mean
        except MissingScores:
            continue
    return float("nan")


def _draw_scores(
    axes: Axes, rows: pd.DataFrame, arms: list[str], domain: str, cohort: str, method: str, evaluation: Evaluation
) -> None:
    """Mean of each arm with its seeds, and the controls as lines."""
    for control, line in CONTROL_LINES.items():
        level = control_mean(rows, control, cohort, method, evaluation.metric)
        axes.axhline(level, color=GREY, linewidth=1, linestyle=line, zorder=1)
    for place, (arm, mark) in enumerate(arm_marks(arms).items()):
        try:
            matrix = score_matrix(rows, domain, arm, cohort, metric=evaluation.metric, method=method, label="any")
        except MissingScores:
            continue
        _draw_column(axes, place, matrix, crossed_estimate([(1.0, matrix)], evaluation.confidence), mark)
    _name_arms(axes, arms)


def _draw_gains(
    axes: Axes,
    rows: pd.DataFrame,
    arms: list[str],
    domain: str,
    cohort: str,
    method: str,
    evaluation: Evaluation,
    reference: str,
) -> None:
    """Gain of each arm over the reference, image by image, with its seeds."""
    marks = arm_marks(arms)
    others = [arm for arm in arms if arm != reference]
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    for place, arm in enumerate(others):
        try:
            matrix = gain_matrix(
                rows, domain, cohort, arm, reference, method=method, metric=evaluation.metric, label="any"
            )
        except MissingScores:
            continue
        _draw_column(axes, place, matrix, crossed_estimate([(1.0, matrix)], evaluation.confidence), marks[arm])
    _name_arms(axes, others)


def _draw_column(axes: Axes, place: int, matrix: ScoreMatrix, estimate: Estimate, mark: Mark) -> None:
    """The mean with its interval, and the seeds to its right."""
    by_seed = matrix.values.mean(axis=1)
    spread = np.linspace(-SEED_SPREAD, SEED_SPREAD, len(by_seed)) if len(by_seed) > 1 else np.zeros(len(by_seed))
    axes.plot(place + 0.12 + spread, by_seed, mark.marker, color=mark.colour, markersize=3, mew=0, alpha=0.6)
    draw_estimate(axes, place - 0.2, estimate.estimate, estimate.low, estimate.high, mark, horizontal=False)


def _name_arms(axes: Axes, arms: list[str]) -> None:
    if len(arms) <= ARMS_ABREAST:
        axes.set_xticks(range(len(arms)), [arm_name(arm).replace(" ", "\n") for arm in arms])
    else:
        axes.set_xticks(range(len(arms)), map(arm_name, arms), rotation=90)
    axes.set_xlim(-0.6, len(arms) - 0.4)
    axes.grid(axis="y")


def _share_limits(panels: list[Axes]) -> None:
    """The same scale in all panels of a kind, so that they can be compared."""
    limits = np.array([axes.get_ylim() for axes in panels])
    for axes in panels:
        axes.set_ylim(limits[:, 0].min(), limits[:, 1].max())


def _caption(rows: pd.DataFrame, arms: list[str], domains: Mapping, evaluation: Evaluation, reference: str) -> str:
    counted = "; ".join(
        f"{domain} on {facts['training']}: {sample_size(rows, domain, facts['training'], evaluation)}"
        for domain, facts in domains.items()
    )
    return (
        f"Localisation on test images of the cohort that the students were trained on. Left of each pair: "
        f"{METRIC_NAMES[evaluation.metric]} of the attention map against the union of an image's regions of interest "
        f"(ROI), mean over images. Right: paired gain over {arm_name(reference)}, same image and same seed. Large "
        f"markers: mean over seeds with {interval_words(evaluation.confidence)}. Small markers: single seeds. Grey "
        f"lines: controls without training on this cohort; the uniform map is chance level. Test images with ROI: "
        f"{counted}. {main_contrast(rows, arms, domains, evaluation, reference)}Axes do not start at zero. No student "
        f"was trained on ROI; a gain says that attention lies more on the ROI, not that the decision was made there."
    )


def main_contrast(rows: pd.DataFrame, arms: list[str], domains: Mapping, evaluation: Evaluation, reference: str) -> str:
    """The gain of the first arm in each domain, with its interval, as a sentence; "" where there is but one arm."""
    others = [arm for arm in arms if arm != reference]
    if not others:
        return ""
    method, metric = evaluation.methods[0], evaluation.metric
    gains = []
    for domain, facts in domains.items():
        cell = [f"{domain}@{facts['training']}"]
        gain = paired_gain(
            rows, cell, others[0], reference, metric=metric, method=method, confidence=evaluation.confidence
        )
        gains.append(f"{domain} {numbers(gain.estimate, gain.low, gain.high)}")
    return f"Gain of {arm_name(others[0])} over {arm_name(reference)} ({METHOD_NAMES[method]}): {'; '.join(gains)}. "


def sample_size(rows: pd.DataFrame, domain: str, cohort: str, evaluation: Evaluation) -> str:
    """Images, patients and seeds of a cell, in words."""
    part = select(select_students(rows), domain=domain, cohort=cohort, method=evaluation.methods[0])
    numbers = (part["image_id"].nunique(), part["patient_id"].nunique(), part["seed"].nunique())
    return ", ".join(count(number, noun) for number, noun in zip(numbers, ("image", "patient", "seed"), strict=True))
