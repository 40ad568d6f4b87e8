"""The planted mechanism at work: what the marker does to predictions and to maps, and where the gain comes from."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mmpkd.design import Design
from mmpkd.outputs.figure import (
    DOUBLE_COLUMN,
    GREY,
    LETTERS,
    Drawing,
    Mark,
    arm_handles,
    arm_marks,
    draw_estimate,
    legend_below,
    new_figure,
    styled,
    wrap,
)
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table_mechanism import reliance
from mmpkd.outputs.words import METHOD_NAMES, METRIC_NAMES, count_range, interval_words

PANEL_HEIGHT = 1.7
HALF = 0.28  # half the width of a prediction's line
APART = 0.17  # of the gain in marked images and that in unmarked ones


@styled
def make(inputs: Inputs) -> Drawing:
    """One row per domain, on the cohort that its students learn from: effect, share of the map, gains."""
    table, design = reliance(inputs), inputs.design
    homes = {cell.domain: cell.cohort for cell in design.home_cells}
    table = table[[homes[row.domain] == row.cohort for row in table.itertuples()]]
    domains = list(dict.fromkeys(table["domain"]))
    figure = new_figure(DOUBLE_COLUMN, PANEL_HEIGHT * len(domains) + 0.7)
    panels = figure.subplots(len(domains), 3, squeeze=False, width_ratios=[1, 1, 1.2])
    marks = arm_marks(table["arm"].unique(), design)
    for row, domain in zip(panels, domains, strict=True):
        rows = table[table["domain"] == domain].set_index("arm")
        row[0].set_title(f"{domain} ({homes[domain]})")
        for axes, draw in zip(row, (_effects, _masses, partial(_gains, reference=design.reference)), strict=True):
            _draw_panel(axes, rows, marks, design, draw)
    names = ("marker effect on absent findings\n(change of probability)", "share of the map on the marker")
    names += (f"gain in {METRIC_NAMES[inputs.evaluation.metric]}",)
    for row in panels:
        for axes, name in zip(row, names, strict=True):
            axes.set_ylabel(wrap(name, int(PANEL_HEIGHT * LETTERS)))
    legend_below(figure, _handles(table["arm"].unique(), design))
    return Drawing(figure, _caption(table, inputs), inputs.phantoms)


def _draw_panel(
    axes: Axes,
    rows: pd.DataFrame,
    marks: Mapping[str, Mark],
    design: Design,
    draw: Callable[[Axes, pd.DataFrame, Mapping[str, Mark]], list[str]],
) -> None:
    """Arms side by side, in the order of the table, with zero as a line."""
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    arms = draw(axes, rows, marks)
    axes.set_xticks(range(len(arms)), [wrap(design.title(arm), 10) for arm in arms])
    axes.set_xlim(-0.6, len(arms) - 0.4)


def _effects(axes: Axes, rows: pd.DataFrame, marks: Mapping[str, Mark]) -> list[str]:
    """The effect, the prediction as a solid line, and the prediction from the unmarked probability as a dashed one."""
    for place, (arm, row) in enumerate(rows.iterrows()):
        for name, line in {"predicted": "-", "predicted_from_unmarked": (0, (2, 1))}.items():
            axes.plot([place - HALF, place + HALF], [row[name]] * 2, color="black", linewidth=1, linestyle=line)
        draw_estimate(axes, place, row["effect"], row["effect_low"], row["effect_high"], marks[arm], horizontal=False)
    return list(rows.index)


def _masses(axes: Axes, rows: pd.DataFrame, marks: Mapping[str, Mark]) -> list[str]:
    """The share of the map's mass, and that of a uniform map as a dotted line."""
    axes.axhline(rows["area"].iloc[0], color=GREY, linewidth=1, linestyle=(0, (1, 1.4)), zorder=1)
    for place, (arm, row) in enumerate(rows.iterrows()):
        draw_estimate(axes, place, row["mass"], row["mass_low"], row["mass_high"], marks[arm], horizontal=False)
    return list(rows.index)


def _gains(axes: Axes, rows: pd.DataFrame, marks: Mapping[str, Mark], reference: str) -> list[str]:
    """Gains over the reference in marked images, filled, and in unmarked ones, open."""
    rows = rows.drop(index=reference)
    for place, (arm, row) in enumerate(rows.iterrows()):
        for side, name, face in ((-APART, "gain_marked", marks[arm].colour), (APART, "gain_unmarked", "white")):
            style = {"markerfacecolor": face, "markeredgecolor": marks[arm].colour, "markeredgewidth": 1}
            estimate = row[name], row[f"{name}_low"], row[f"{name}_high"]
            draw_estimate(axes, place + side, *estimate, marks[arm], horizontal=False, **style)
    return list(rows.index)


def _handles(arms: np.ndarray, design: Design) -> list[Line2D]:
    lines = {"predicted": "-", "predicted, given p without marker": (0, (2, 1))}
    return [
        *arm_handles(arms, design),
        *(Line2D([], [], color="black", linewidth=1, linestyle=line, label=name) for name, line in lines.items()),
        Line2D([], [], color=GREY, linewidth=1, linestyle=(0, (1, 1.4)), label="uniform map"),
        Line2D([], [], color=GREY, marker="o", linestyle="", label="images with marker"),
        Line2D([], [], color=GREY, marker="o", markerfacecolor="white", linestyle="", label="without marker"),
    ]


def _caption(table: pd.DataFrame, inputs: Inputs) -> str:
    evaluation, design = inputs.evaluation, inputs.design
    reference = design.title(design.reference)
    return (
        "The planted mechanism, on the cohort that each domain's students learn from. A marker lies on a share of all "
        "images, whatever they show; in marked training images some absent findings are labelled present, and the "
        "privileged data do not tell. Left: change of the predicted probability of absent findings when the same image "
        "is rendered with the marker instead of without. Solid lines: prediction from the configuration alone, "
        "e w_label / (w_label + w_logit); dashed: times one minus the probability that the student gives without the "
        f"marker. Middle: share of the {METHOD_NAMES[evaluation.methods[0]]} map on the marker, in the rendering with "
        f"the marker. Right: gain over {reference} in {METRIC_NAMES[evaluation.metric]}, in test images with the "
        "marker (filled) and without (open). Means over images and seeds with "
        f"{interval_words(evaluation.confidence)}. "
        f"n: {count_range(table['n_patients'], 'patient')}, {count_range(table['n_seeds'], 'seed')}. Effect and gain "
        "are planted, so nothing follows for patients."
    )
