"""Does the gain travel? Every training domain on every cohort."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmpkd.config.evaluation import Evaluation
from mmpkd.evaluation.matrices import MissingScores, select
from mmpkd.evaluation.statistics import crossed_estimate, gain_matrix
from mmpkd.plotting.localization import main_contrast, sample_size, select_students
from mmpkd.plotting.style import (
    DOUBLE_COLUMN,
    GREY,
    METHOD_NAMES,
    METRIC_NAMES,
    PAGE,
    arm_handles,
    arm_marks,
    arm_name,
    draw_estimate,
    fitting_arms,
    interval_words,
    left_out,
    legend_below,
    new_figure,
    order_arms,
    styled,
    wrap,
)

RELATIONS = {
    "training": "cohort of training",
    "data_set": "other data set, same modality",
    "modality": "other modality",
}
ROW_HEIGHT = 0.3
MARKER_HEIGHT = 0.07
ROOM = PAGE - 0.85  # for the rows
SPREAD = 0.6  # of a row's height, over which its arms stand
LETTERS_OF_ALL = 76  # that fit the panels side by side
BAND = "#efefef"
HEADING = 0.8  # rows that a heading takes


@dataclass(frozen=True)
class Cell:
    """A training domain on a cohort, and how the two are related."""

    domain: str
    cohort: str
    relation: str


@styled
def draw(
    scores: pd.DataFrame, evaluation: Evaluation, domains: Mapping[str, Mapping[str, Any]], reference: str = "baseline"
) -> tuple[Figure, str]:
    """A forest of gains over `reference`, one row a cell and one panel an attention method.

    Args:
        scores: the long table.
        evaluation: methods, primary metric and confidence.
        domains: for each domain `training` and `cohorts`.
        reference: the arm that gains are against.
    """
    rows = select(scores, metric=evaluation.metric, label="any")
    students = select_students(rows)
    all_arms = [arm for arm in order_arms(students["arm"].unique()) if arm != reference]
    present = set(students["cohort"].unique())
    cells = [cell for cell in list_cells(domains) if cell.cohort in present]
    places, headings, depth = _places(cells)
    arms = fitting_arms(all_arms, len(cells), ROOM - HEADING * ROW_HEIGHT * len(headings), MARKER_HEIGHT / SPREAD)
    methods = list(evaluation.methods)
    row_height = min(max(ROW_HEIGHT, MARKER_HEIGHT / SPREAD * len(arms)), ROOM / max(depth, 1))
    figure = new_figure(DOUBLE_COLUMN, row_height * depth + 0.85)
    letters = LETTERS_OF_ALL // len(methods)
    panels = figure.subplots(1, len(methods), squeeze=False, sharex=True, sharey=True)[0]
    for axes, method in zip(panels, methods, strict=True):
        _draw_panel(axes, rows, cells, places, arms, method, evaluation, reference)
        axes.set_title(wrap(METHOD_NAMES[method], letters))
        axes.set_xlabel(wrap(f"gain over {arm_name(reference)} in {METRIC_NAMES[evaluation.metric]}", letters))
    _name_rows(panels, cells, places, headings)
    seed = Line2D([], [], color=GREY, marker="|", markersize=5, linestyle="", label="one seed")
    legend_below(figure, [*arm_handles(arms), seed])
    contrast = main_contrast(rows, arms, domains, evaluation, reference)
    return figure, _caption(rows, cells, evaluation, reference, contrast) + left_out(arms, all_arms, "cross-domain")


def list_cells(domains: Mapping[str, Mapping[str, Any]]) -> list[Cell]:
    """All cells: the cohorts of training first, then other data sets of the modality, then other modalities."""
    cells = []
    for domain in domains:
        for other, facts in domains.items():
            for cohort in (facts["training"], *facts["cohorts"]):
                relation = "modality" if other != domain else "training" if cohort == facts["training"] else "data_set"
                cells.append(Cell(domain, cohort, relation))
    return sorted(cells, key=lambda cell: list(RELATIONS).index(cell.relation))


def _places(cells: list[Cell]) -> tuple[list[float], dict[str, float], float]:
    """Where each cell and each heading stands, from the top, and the depth of all."""
    places, headings, at = [], {}, 0.0
    for cell in cells:
        if cell.relation not in headings:
            headings[cell.relation] = at + HEADING / 2
            at += HEADING
        places.append(at + 0.5)
        at += 1
    return places, headings, at


def _draw_panel(
    axes: Axes,
    rows: pd.DataFrame,
    cells: list[Cell],
    places: list[float],
    arms: list[str],
    method: str,
    evaluation: Evaluation,
    reference: str,
) -> None:
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    offsets = (np.arange(len(arms)) - (len(arms) - 1) / 2) * SPREAD / max(len(arms), 2)
    for cell, place in zip(cells, places, strict=True):
        for offset, (arm, mark) in zip(offsets, arm_marks(arms).items(), strict=True):
            try:
                matrix = gain_matrix(
                    rows, cell.domain, cell.cohort, arm, reference, method=method, metric=evaluation.metric, label="any"
                )
            except MissingScores:
                continue
            estimate = crossed_estimate([(1.0, matrix)], evaluation.confidence)
            seeds = matrix.values.mean(axis=1)
            axes.plot(seeds, np.full(len(seeds), place + offset), "|", color=mark.colour, markersize=6, alpha=0.7)
            draw_estimate(axes, estimate.estimate, place + offset, estimate.low, estimate.high, mark)
    axes.grid(axis="x")


def _name_rows(panels: Sequence[Axes], cells: list[Cell], places: list[float], headings: Mapping[str, float]) -> None:
    """Names of cells as tick labels of the first panel, and headings among them, in bold on a band."""
    panels[0].set_ylim(places[-1] + 0.6, -0.1)
    names = [f"{cell.domain} on {cell.cohort}" for cell in cells] + [RELATIONS[name] for name in headings]
    panels[0].set_yticks([*places, *headings.values()], names)
    for label in panels[0].get_yticklabels()[len(cells) :]:
        label.set_fontweight("bold")
    for axes in panels:
        axes.tick_params(axis="y", length=0)
        for middle in headings.values():
            axes.axhspan(middle - HEADING / 2, middle + HEADING / 2, color=BAND, linewidth=0, zorder=0)


def _caption(rows: pd.DataFrame, cells: list[Cell], evaluation: Evaluation, reference: str, contrast: str) -> str:
    sizes = {cell.cohort: sample_size(rows, cell.domain, cell.cohort, evaluation) for cell in cells}
    counted = "; ".join(f"{cohort}: {size}" for cohort, size in sizes.items())
    return (
        f"Gain in localisation over {arm_name(reference)} when students of one training domain (named first) are "
        f"tested on a cohort (named second), in {METRIC_NAMES[evaluation.metric]}, paired by image and seed. Markers: "
        f"mean over seeds and images with {interval_words(evaluation.confidence)}. Ticks: single seeds. Right of zero "
        f"attention lies more on the regions of interest (ROI) than that of {arm_name(reference)} does. Test images "
        f"with ROI, their patients, and seeds a training domain: {counted}. {contrast}An interval that holds zero does "
        f"not show that there is no gain, and a gain does not show that attention is good: see the controls."
    )
