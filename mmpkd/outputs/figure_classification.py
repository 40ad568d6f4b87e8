"""Does the teacher change what the student says, not only where it looks? AUROC by label."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mmpkd.design import Cell, Design, TrainingDomain
from mmpkd.evaluation.classification import MACRO, classification_by_seed, classification_table
from mmpkd.outputs.figure import (
    DOUBLE_COLUMN,
    GREY,
    PAGE,
    Drawing,
    Mark,
    arm_handles,
    arm_marks,
    draw_estimate,
    fitting_arms,
    left_out,
    legend_below,
    new_figure,
    styled,
    wrap,
)
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.words import cell_name, count_range, domain_name, interval_words, numbers

ROW_HEIGHT = 0.3
MARKER_HEIGHT = 0.065
SPREAD = 0.66  # of a row's height, over which its arms stand
DOMAINS_ABREAST = 2
PANEL_MARGIN = 0.4
TITLE_LETTERS = 42
CHANCE = 0.5


@styled
def make(inputs: Inputs) -> Drawing:
    """One column per training domain, one row per cohort: that of training, then others that share labels."""
    confidence, design = inputs.evaluation.confidence, inputs.design
    table = classification_table(inputs.scores, confidence, design.reference)
    table = table[table["metric"] == "auroc"]
    seeds = classification_by_seed(inputs.scores)
    seeds = seeds[seeds["metric"] == "auroc"]
    all_arms = design.order(table["arm"].unique())
    cells = _cells(table, design)
    rows = _rows(design, cells)
    depths = [depth for *_, depth in rows]
    room = PAGE - 0.5 - PANEL_MARGIN * len(rows)
    arms = fitting_arms(all_arms, sum(depths), room, MARKER_HEIGHT / SPREAD)
    row_height = min(max(ROW_HEIGHT, MARKER_HEIGHT / SPREAD * len(arms)), room / sum(depths))
    figure = new_figure(DOUBLE_COLUMN, sum(depths) * row_height + PANEL_MARGIN * len(rows) + 0.5)
    panels = figure.subplots(
        len(rows), min(len(cells), DOMAINS_ABREAST), squeeze=False, sharex=True, height_ratios=depths
    )
    for axes in panels.flat:
        axes.set_axis_off()
    for row, (block, place, _) in zip(panels, rows, strict=True):
        for axes, domain in zip(row, block, strict=False):
            if place < len(cells[domain.name]):
                cell = cells[domain.name][place]
                _draw_panel(axes, _of(table, cell), _of(seeds, cell), [*domain.labels, MACRO], arm_marks(arms, design))
                _name_panel(axes, cell, place == len(cells[domain.name]) - 1, design)
    _include_chance(panels)
    legend_below(figure, arm_handles(arms, design))
    caption = _caption(table, design, confidence) + left_out(arms, all_arms, "classification", design)
    return Drawing(figure, caption, inputs.design)


def _cells(table: pd.DataFrame, design: Design) -> dict[str, list[Cell]]:
    """For each domain the cells with labels of the domain, the cohort of training first."""
    present = set(zip(table["domain"], table["cohort"], strict=True))
    return {
        domain.name: [design.cell(domain.name, cohort) for cohort in domain.cohorts if (domain.name, cohort) in present]
        for domain in design.domains
    }


def _rows(design: Design, cells: dict[str, list[Cell]]) -> list[tuple[tuple[TrainingDomain, ...], int, int]]:
    """For each row of panels its domains, the place of their cohort, and how many labels stand over one another."""
    starts = range(0, len(design.domains), DOMAINS_ABREAST)
    blocks = [design.domains[start : start + DOMAINS_ABREAST] for start in starts]
    return [
        (block, place, max(len(domain.labels) + 1 for domain in block))
        for block in blocks
        for place in range(max([1, *(len(cells[domain.name]) for domain in block)]))
    ]


def _of(table: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    return table[((table["domain"] == cell.domain) & (table["cohort"] == cell.cohort)).to_numpy()]


def _name_panel(axes: Axes, cell: Cell, last: bool, design: Design) -> None:
    """The cell as its title; the last cohort of a domain names the axis."""
    axes.set_title(wrap(cell_name(cell, design), TITLE_LETTERS))
    if last:
        axes.set_xlabel("AUROC (dashed line: chance)")
        axes.tick_params(axis="x", labelbottom=True)


def _draw_panel(
    axes: Axes, table: pd.DataFrame, seeds: pd.DataFrame, labels: list[str], marks: dict[str, Mark]
) -> None:
    axes.set_axis_on()
    offsets = (np.arange(len(marks)) - (len(marks) - 1) / 2) * SPREAD / max(len(marks), 2)
    for offset, (arm, mark) in zip(offsets, marks.items(), strict=True):
        for row in table[table["arm"] == arm].itertuples():
            place = labels.index(row.label) + offset
            values = seeds.loc[(seeds["arm"] == arm) & (seeds["label"] == row.label), "value"]
            axes.plot(values, np.full(len(values), place), "|", color=mark.colour, markersize=4, alpha=0.7)
            draw_estimate(axes, row.estimate, place, row.low, row.high, mark, markersize=3.8)
    axes.axvline(CHANCE, color=GREY, linewidth=0.8, linestyle=(0, (5, 2)), zorder=1)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks(range(len(labels)), [_label_name(label, set(table["label"])) for label in labels])
    axes.get_yticklabels()[-1].set_fontweight("bold")
    axes.axhline(len(labels) - 1.5, color=GREY, linewidth=0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def _label_name(label: str, known: set[str]) -> str:
    name = "mean of labels" if label == MACRO else label
    return name if label in known else f"{name} (not known)"


def _include_chance(panels: np.ndarray) -> None:
    low, high = panels.flat[0].get_xlim()
    panels.flat[0].set_xlim(min(low, CHANCE - 0.02), min(max(high, 0.8), 1.005))


def _main_contrast(table: pd.DataFrame, design: Design) -> str:
    """The paired gain of the first arm on each cohort of training, as a sentence; "" where there is but one arm."""
    others = [arm for arm in design.order(table["arm"].unique()) if arm != design.reference]
    if not others:
        return ""
    macro = table[(table["label"] == MACRO) & (table["arm"] == others[0])].set_index(["domain", "cohort"])
    gains = [
        f"{domain_name(domain)} {numbers(*macro.loc[(domain, cohort), ['gain', 'gain_low', 'gain_high']])}"
        for domain, cohort in ((cell.domain, cell.cohort) for cell in design.home_cells)
        if (domain, cohort) in macro.index
    ]
    arm, reference = design.title(others[0]), design.title(design.reference)
    return f"Paired gain of {arm} over {reference}, mean of labels: {'; '.join(gains)}. "


def _caption(table: pd.DataFrame, design: Design, confidence: float) -> str:
    macro = table[table["label"] == MACRO].drop_duplicates(["domain", "cohort"])
    counted = "; ".join(
        f"{cell_name(design.cell(row.domain, row.cohort), design)}: "
        f"{row.n_images:,} images of {row.n_patients:,} patients"
        for row in macro.itertuples()
    )
    reference = design.title(design.reference)
    arms = ", ".join(map(design.title, design.order(table["arm"].unique())))
    return (
        f"Classification of test images by label: area under the receiver operating characteristic curve (AUROC) of "
        f"students of each arm ({arms}); top: on the cohort of training; below: on other data sets that share labels. "
        f"Markers: mean over {count_range(table['n_seeds'], 'seed')} with {interval_words(confidence)}. "
        f"Ticks: single seeds. Dashed line: chance, 0.5; the axis does not start at zero. Test images: {counted}; "
        f"images whose label is unknown are left out of that label. {_main_contrast(table, design)}Arms "
        f"are drawn side by side, not paired: whether one differs from {reference} is read from the paired "
        "gains in the table of classification, not from overlap here."
    )
