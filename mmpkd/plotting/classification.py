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
    arm_handles,
    arm_marks,
    arm_name,
    count_range,
    draw_estimate,
    interval_words,
    legend_below,
    new_figure,
    order_arms,
    styled,
)

ROW_HEIGHT = 0.3
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
    arms = order_arms(table["arm"].unique())
    cells = {domain: _cohorts(table, domain, facts) for domain, facts in domains.items()}
    labels = {domain: [*facts["labels"], MACRO] for domain, facts in domains.items()}
    depth, rows = max(map(len, labels.values())), max([1, *map(len, cells.values())])
    figure = new_figure(DOUBLE_COLUMN, rows * (depth * ROW_HEIGHT + 0.4) + 0.5)
    panels = figure.subplots(rows, len(domains), squeeze=False, sharex=True)
    for column, (domain, cohorts) in enumerate(cells.items()):
        for row, axes in enumerate(panels[:, column]):
            if row >= len(cohorts):
                axes.set_axis_off()
                continue
            cell = {"domain": domain, "cohort": cohorts[row]}
            _draw_panel(axes, _of(table, cell), _of(seeds, cell), labels[domain], arms)
            axes.set_title(f"{domain} on {cohorts[row]}")
        last = panels[max(len(cohorts) - 1, 0), column]
        last.set_xlabel("AUROC (dashed line: chance)")
        last.tick_params(axis="x", labelbottom=True)
    _include_chance(panels)
    legend_below(figure, arm_handles(arms))
    return figure, _caption(table, evaluation, reference)


def _cohorts(table: pd.DataFrame, domain: str, facts: Mapping[str, Any]) -> list[str]:
    """Cohorts with labels of the domain, the one of training first."""
    present = set(table.loc[table["domain"] == domain, "cohort"])
    return [cohort for cohort in (facts["training"], *facts["cohorts"]) if cohort in present]


def _of(table: pd.DataFrame, cell: Mapping[str, str]) -> pd.DataFrame:
    return table[(table[list(cell)] == pd.Series(cell)).all(axis=1)]


def _draw_panel(axes: Axes, table: pd.DataFrame, seeds: pd.DataFrame, labels: list[str], arms: list[str]) -> None:
    offsets = (np.arange(len(arms)) - (len(arms) - 1) / 2) * 0.66 / max(len(arms), 2)
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


def _caption(table: pd.DataFrame, evaluation: Evaluation, reference: str) -> str:
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
        f"images whose label is unknown are left out of that label. Arms are drawn side by side, not paired: whether "
        f"one differs from {arm_name(reference)} is read from the paired gains in the table of classification, not "
        "from overlap here."
    )
