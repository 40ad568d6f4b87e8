"""Does the teacher change what the student says, not only where it looks? AUROC by label."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmpkd.config.evaluation import Evaluation
from mmpkd.evaluation.classification import MACRO, classification_by_seed, classification_table
from mmpkd.plotting.style import (
    DOUBLE_COLUMN,
    GREY,
    PAGE,
    arm_handles,
    arm_marks,
    arm_name,
    count_range,
    draw_estimate,
    fitting_arms,
    interval_words,
    left_out,
    legend_below,
    new_figure,
    numbers,
    order_arms,
    styled,
    wrap,
)

ROW_HEIGHT = 0.3
MARKER_HEIGHT = 0.065
SPREAD = 0.66  # of a row's height, over which its arms stand
DOMAINS_ABREAST = 2
PANEL_MARGIN = 0.4
TITLE_LETTERS = 42
CHANCE = 0.5


@styled
def draw(
    scores: pd.DataFrame, evaluation: Evaluation, domains: Mapping[str, Mapping[str, Any]], reference: str = "baseline"
) -> tuple[Figure, str]:
    """A column a training domain, a row a cohort: the cohort of training first, then others that share labels.

    Args:
        scores: the long table.
        evaluation: confidence.
        domains: for each domain `training`, `cohorts` and `labels`, whose order is kept.
        reference: the arm that comes first and that the caption names.
    """
    table = classification_table(scores, evaluation.confidence, reference)
    table = table[table["metric"] == "auroc"]
    seeds = classification_by_seed(scores)
    seeds = seeds[seeds["metric"] == "auroc"]
    all_arms = order_arms(table["arm"].unique())
    cells = {domain: _cohorts(table, domain, facts) for domain, facts in domains.items()}
    rows = _rows(domains, cells)
    depths = [depth for *_, depth in rows]
    room = PAGE - 0.5 - PANEL_MARGIN * len(rows)
    arms = fitting_arms(all_arms, sum(depths), room, MARKER_HEIGHT / SPREAD)
    row_height = min(max(ROW_HEIGHT, MARKER_HEIGHT / SPREAD * len(arms)), room / sum(depths))
    figure = new_figure(DOUBLE_COLUMN, sum(depths) * row_height + PANEL_MARGIN * len(rows) + 0.5)
    panels = figure.subplots(
        len(rows), min(len(domains), DOMAINS_ABREAST), squeeze=False, sharex=True, height_ratios=depths
    )
    for axes in panels.flat:
        axes.set_axis_off()
    for row, (block, place, _) in zip(panels, rows, strict=True):
        for axes, domain in zip(row, block, strict=False):
            if place < len(cells[domain]):
                labels, last = [*domains[domain]["labels"], MACRO], place == len(cells[domain]) - 1
                _draw_cell(axes, table, seeds, {"domain": domain, "cohort": cells[domain][place]}, labels, arms, last)
    _include_chance(panels)
    legend_below(figure, arm_handles(arms))
    return figure, _caption(table, domains, evaluation, reference) + left_out(arms, all_arms, "classification")


def _rows(domains: Mapping[str, Mapping[str, Any]], cells: Mapping[str, list[str]]) -> list[tuple[list[str], int, int]]:
    """For each row of panels its domains, the place of their cohort, and how many labels stand over one another."""
    names = list(domains)
    blocks = [names[start : start + DOMAINS_ABREAST] for start in range(0, len(names), DOMAINS_ABREAST)]
    return [
        (block, place, max(len(domains[name]["labels"]) + 1 for name in block))
        for block in blocks
        for place in range(max([1, *(len(cells[name]) for name in block)]))
    ]


def _draw_cell(
    axes: Axes,
    table: pd.DataFrame,
    seeds: pd.DataFrame,
    cell: Mapping[str, str],
    labels: list[str],
    arms: list[str],
    last: bool,
) -> None:
    """A domain on a cohort; the last cohort of a domain names the axis."""
    axes.set_axis_on()
    _draw_panel(axes, _of(table, cell), _of(seeds, cell), labels, arms)
    axes.set_title(wrap("{domain} on {cohort}".format(**cell), TITLE_LETTERS))
    if last:
        axes.set_xlabel("AUROC (dashed line: chance)")
        axes.tick_params(axis="x", labelbottom=True)


def _cohorts(table: pd.DataFrame, domain: str, facts: Mapping[str, Any]) -> list[str]:
    """Cohorts with labels of the domain, the one of training first."""
    present = set(table.loc[table["domain"] == domain, "cohort"])
    return [cohort for cohort in (facts["training"], *facts["cohorts"]) if cohort in present]


def _of(table: pd.DataFrame, cell: Mapping[str, str]) -> pd.DataFrame:
    return table[(table[list(cell)] == pd.Series(cell)).all(axis=1)]


def _draw_panel(axes: Axes, table: pd.DataFrame, seeds: pd.DataFrame, labels: list[str], arms: list[str]) -> None:
    offsets = (np.arange(len(arms)) - (len(arms) - 1) / 2) * SPREAD / max(len(arms), 2)
    for offset, (arm, mark) in zip(offsets, arm_marks(arms).items(), strict=True):
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


def _main_contrast(table: pd.DataFrame, domains: Mapping[str, Mapping[str, Any]], reference: str) -> str:
    """The paired gain of the first arm on each cohort of training, as a sentence; "" where there is but one arm."""
    others = [arm for arm in order_arms(table["arm"].unique()) if arm != reference]
    if not others:
        return ""
    macro = table[(table["label"] == MACRO) & (table["arm"] == others[0])].set_index(["domain", "cohort"])
    homes = [(domain, facts["training"]) for domain, facts in domains.items()]
    gains = [
        f"{home[0]} {numbers(*macro.loc[home, ['gain', 'gain_low', 'gain_high']])}"
        for home in homes
        if home in macro.index
    ]
    return f"Paired gain of {arm_name(others[0])} over {arm_name(reference)}, mean of labels: {'; '.join(gains)}. "


def _caption(
    table: pd.DataFrame, domains: Mapping[str, Mapping[str, Any]], evaluation: Evaluation, reference: str
) -> str:
    macro = table[table["label"] == MACRO].drop_duplicates(["domain", "cohort"])
    counted = "; ".join(
        f"{row.domain} on {row.cohort}: {row.n_images:,} images of {row.n_patients:,} patients"
        for row in macro.itertuples()
    )
    arms = ", ".join(arm_name(arm) for arm in order_arms(table["arm"].unique()))
    return (
        f"Classification of test images by label: area under the receiver operating characteristic curve (AUROC) of "
        f"students of each arm ({arms}); top: on the cohort of training; below: on other data sets that share labels. "
        f"Markers: mean over {count_range(table['n_seeds'], 'seed')} with {interval_words(evaluation.confidence)}. "
        f"Ticks: single seeds. Dashed line: chance, 0.5; the axis does not start at zero. Test images: {counted}; "
        f"images whose label is unknown are left out of that label. {_main_contrast(table, domains, reference)}Arms "
        f"are drawn side by side, not paired: whether one differs from {arm_name(reference)} is read from the paired "
        "gains in the table of classification, not from overlap here."
    )
