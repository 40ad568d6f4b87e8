"""The planted mechanism at work: what the marker does to predictions and to maps, and where the gain comes from."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from mmpkd.outputs.figure import (
    ARMS_ABREAST,
    DOUBLE_COLUMN,
    GREY,
    LETTERS,
    PAGE,
    Drawing,
    Mark,
    arm_marks,
    draw_estimate,
    legend_below,
    name_arms,
    new_figure,
    styled,
    wrap,
)
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.mechanism import reliance
from mmpkd.outputs.words import METHOD_NAMES, METRIC_NAMES, cell_name, count_range, interval_words

PANEL_HEIGHT = 1.7
HALF = 0.28  # half the width of a prediction's line
APART = 0.17  # of the gain in marked images and that in unmarked ones
PREDICTIONS: dict[str, tuple[str, LineStyleType]] = {  # lines of the predicted effect
    "predicted": ("predicted", "-"),
    "predicted_from_unmarked": ("predicted, given p", (0, (2, 1))),
}
AREA_LINE = (0, (1, 1.4))


@styled
def make(inputs: Inputs) -> Drawing:
    """One row per domain, on the cohort that its students learn from: effect, share of the map, gains."""
    table, design = reliance(inputs), inputs.design
    table = table[table["cohort"].isin([cell.cohort for cell in design.home_cells])]
    cells, marks = table.groupby(["domain", "cohort"], sort=False), arm_marks(table["arm"].unique(), design)
    below = 0.7 if len(marks) <= ARMS_ABREAST else 1.6  # the names of arms, and the legend
    height = min(PANEL_HEIGHT, (PAGE - below) / len(cells))
    figure = new_figure(DOUBLE_COLUMN, height * len(cells) + below)
    panels = figure.subplots(len(cells), 3, squeeze=False, sharex="col", sharey="col", width_ratios=[1, 1, 1.2])
    gaining = {arm: mark for arm, mark in marks.items() if arm != design.reference}
    names = ("effect of the marker", "map on the marker", f"gain in {METRIC_NAMES[inputs.evaluation.metric]}")
    for row, ((domain, cohort), rows) in zip(panels, cells, strict=True):
        row[0].set_title(cell_name(design.cell(domain, cohort), design))
        of_arm = rows.set_index("arm").to_dict("index")
        _draw_effects(row[0], of_arm, marks)
        _draw_masses(row[1], of_arm, marks)
        _draw_gains(row[2], of_arm, gaining)
        for axes, name, shown in zip(row, names, (marks, marks, gaining), strict=True):
            name_arms(axes, list(map(design.title, shown)))
            axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
            axes.set_ylabel(wrap(name, int((height - 0.3) * LETTERS)))
    legend_below(figure, _handles())
    return Drawing(figure, _caption(table, inputs), inputs.design)


def _draw_effects(axes: Axes, rows: Mapping[str, Mapping], marks: Mapping[str, Mark]) -> None:
    """The effect, and both predictions as lines."""
    for place, (arm, mark) in enumerate(marks.items()):
        if arm in rows:
            for name, (_, line) in PREDICTIONS.items():
                level = rows[arm][name]
                axes.plot([place - HALF, place + HALF], [level, level], color="black", linewidth=1, linestyle=line)
            _draw(axes, place, rows[arm], "effect", mark)


def _draw_masses(axes: Axes, rows: Mapping[str, Mapping], marks: Mapping[str, Mark]) -> None:
    """The share of the map's mass, and that of a uniform map as a line."""
    axes.axhline(next(iter(rows.values()))["area"], color=GREY, linewidth=1, linestyle=AREA_LINE, zorder=1)
    for place, (arm, mark) in enumerate(marks.items()):
        if arm in rows:
            _draw(axes, place, rows[arm], "mass", mark)


def _draw_gains(axes: Axes, rows: Mapping[str, Mapping], marks: Mapping[str, Mark]) -> None:
    """Gains over the reference in marked images, filled, and in unmarked ones, open."""
    for place, (arm, mark) in enumerate(marks.items()):
        if arm in rows:
            _draw(axes, place - APART, rows[arm], "gain_marked", mark)
            style = {"markerfacecolor": "white", "markeredgecolor": mark.colour, "markeredgewidth": 1}
            _draw(axes, place + APART, rows[arm], "gain_unmarked", mark, **style)


def _draw(axes: Axes, place: float, row: Mapping, name: str, mark: Mark, **style: Any) -> None:
    draw_estimate(axes, place, row[name], row[f"{name}_low"], row[f"{name}_high"], mark, horizontal=False, **style)


def _handles() -> list[Line2D]:
    """Legend entries; arms are named below the panels."""
    lines = PREDICTIONS.values()
    return [
        *(Line2D([], [], color="black", linewidth=1, linestyle=line, label=name) for name, line in lines),
        Line2D([], [], color=GREY, linewidth=1, linestyle=AREA_LINE, label="uniform map"),
        Line2D([], [], color=GREY, marker="o", linestyle="", label="images with marker"),
        Line2D([], [], color=GREY, marker="o", markerfacecolor="white", linestyle="", label="without"),
    ]


def _caption(table: pd.DataFrame, inputs: Inputs) -> str:
    evaluation, design = inputs.evaluation, inputs.design
    reference = design.title(design.reference)
    return (
        "The planted mechanism, on the cohort that each domain's students learn from. A marker lies on a share of all "
        "images, whatever they show; in marked training images some absent findings are labelled present. Unless a "
        "phantom has it otherwise, the privileged data do not tell. Left: change of the predicted probability of "
        "absent findings when the same image is rendered with the marker instead of without. Solid lines: prediction "
        "from the configuration alone, e w_label / (w_label + w_logit), 0 where errors strike by chance; dashed: times "
        "one minus the probability p that the student gives without the marker. Middle: share of the "
        f"{METHOD_NAMES[evaluation.methods[0]]} map on the marker, in the rendering with "
        f"the marker. Right: gain over {reference} in {METRIC_NAMES[evaluation.metric]}, in test images with the "
        "marker (filled) and without (open). Means over images and seeds with "
        f"{interval_words(evaluation.confidence)}. "
        f"n: {count_range(table['n_patients'], 'patient')}, {count_range(table['n_seeds'], 'seed')}. Effect and gain "
        "are planted, so nothing follows for patients."
    )
