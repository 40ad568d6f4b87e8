"""The planted mechanism at work: what the marker does to predictions and to maps, and where the gain comes from."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from mmpkd.design import Design
from mmpkd.outputs.figure import (
    ARMS_ABREAST,
    GREY,
    LETTERS,
    PAGE,
    Drawing,
    Mark,
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
from mmpkd.outputs.mechanism import quantity_words, reliance
from mmpkd.outputs.words import METHOD_NAMES, METRIC_NAMES, cell_name, fixed, interval_words

PANEL_HEIGHT = {1: 1.2, 2: 1.7}
HALF = 0.28  # half the width of a prediction's line
APART = 0.17  # of the gain in marked images and that in unmarked ones
PREDICTIONS: dict[str, tuple[str, LineStyleType]] = {  # lines of the predicted effect
    "predicted": ("predicted", "-"),
    "predicted_from_unmarked": ("predicted, given p", (0, (2, 1))),
}
TITLE = 44  # letters that fit one column
QUANTITIES = 3  # effect of the marker, share of the map, gain
STACKED = 4  # domains whose quantities stand above one another in one column
AREA_LINE = (0, (1, 1.4))


@styled
def make(inputs: Inputs) -> Drawing:
    """One row per domain, on the cohort that its students learn from: effect, share of the map, gains."""
    table, design = reliance(inputs), inputs.design
    table = table[table["cohort"].isin([cell.cohort for cell in design.home_cells])]
    cells, marks = table.groupby(["domain", "cohort"], sort=False), arm_marks(table["arm"].unique(), design)
    abreast = QUANTITIES if inputs.columns == 2 or len(cells) > STACKED else 1
    narrow = inputs.columns == 1 and abreast > 1
    # The names of arms, and the legend.
    below = (1.6 if narrow or len(marks) > ARMS_ABREAST else 0.4) + legend_height(_handles(), inputs.columns)
    depth = len(cells) * QUANTITIES // abreast
    height = min(PANEL_HEIGHT[inputs.columns], (PAGE - below) / depth)
    figure = new_figure(inputs.columns, height * depth + below)
    panels = figure.subplots(depth, abreast, squeeze=False, sharex=True).reshape(len(cells), QUANTITIES)
    names = ("effect of the marker", "map on the marker", f"gain in {METRIC_NAMES[inputs.evaluation.metric]}")
    for quantity in panels.T:
        for axes in quantity[1:]:
            axes.sharey(quantity[0])
    for row, ((domain, cohort), rows) in zip(panels, cells, strict=True):
        title_over(row[0], cell_name(design.cell(domain, cohort), design), TITLE)
        of_arm = rows.set_index("arm").to_dict("index")
        _draw_effects(row[0], of_arm, marks)
        _draw_masses(row[1], of_arm, marks)
        _draw_gains(row[2], of_arm, marks, design.reference)
        for axes, name in zip(row, names, strict=True):
            name_arms(axes, list(map(design.title, marks)), narrow)
            axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
            if not narrow:
                axes.set_ylabel(wrap(name, int((height - 0.3) * LETTERS)))
    for axes, name in zip(panels[-1] if narrow else (), names, strict=False):
        axes.set_xlabel(wrap(name, 14))
    legend_below(figure, _handles())
    return Drawing(figure, _caption(table, inputs), inputs.design, alt=_alt(table, inputs.design))


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


def _draw_gains(axes: Axes, rows: Mapping[str, Mapping], marks: Mapping[str, Mark], reference: str) -> None:
    """Gains over the reference in marked images, filled, and in unmarked ones, open."""
    for place, (arm, mark) in enumerate(marks.items()):
        if arm in rows and arm != reference:
            _draw(axes, place - APART, rows[arm], "gain_marked", mark)
            style: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": mark.colour, "markeredgewidth": 1}
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


def _alt(table: pd.DataFrame, design: Design) -> str:
    found = "; ".join(
        f"{cell_name(design.cell(domain, cohort), design)}: "
        + ", ".join(f"{design.title(row.arm)} {fixed(row.effect, 2)} (predicted {row.predicted:.2f})" for row in rows)
        for (domain, cohort), part in table.groupby(["domain", "cohort"], sort=False)
        for rows in [list(part.itertuples())]
    )
    return (
        "Dot plots of the effect of the planted marker on predictions, of the share of the map on it, and of gains. "
        f"Effect, as a change of probability: {found}."
    )


def _caption(table: pd.DataFrame, inputs: Inputs) -> str:
    evaluation, design = inputs.evaluation, inputs.design
    reference = design.title(design.reference)
    return (
        "The planted mechanism, on the cohort that each domain's students learn from. A marker lies on a share of all "
        "images, whatever they show; in marked training images some absent findings are labelled present. Unless a "
        "phantom says otherwise, the privileged data do not show it. Effect of the marker: change of the predicted "
        "probability of absent findings when the same image is rendered with the marker instead of without. Solid "
        "lines: prediction from the configuration alone, e w_label / (w_label + w_logit), 0 where errors strike by "
        "chance; dashed: times one minus the probability p that the student gives without the marker. Map on the "
        f"marker: share of the {METHOD_NAMES[evaluation.methods[0]]} map, in the rendering with the marker. Gain: over "
        f"{reference} (none over itself) in {METRIC_NAMES[evaluation.metric]}, in test images with the marker (filled) "
        "and without (open). Means over images and seeds with "
        f"{interval_words(evaluation.confidence)}. "
        f"{quantity_words(table)}. Effect and gain are planted, so nothing follows for patients."
    )
