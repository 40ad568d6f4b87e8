"""Does the teacher change what the student says, not only where it looks? AUROC by label."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mmpkd.design import Cell, Design
from mmpkd.evaluation.classification import MACRO, classification_by_seed, classification_table
from mmpkd.outputs.figure import (
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
    legend_height,
    new_figure,
    styled,
    title_over,
)
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.words import cell_name, count_range, domain_name, interval_words, numbers

ROW_HEIGHT = 0.3
MARKER_HEIGHT = 0.065
SPREAD = 0.66  # of a row's height, over which its arms stand
PANEL_MARGIN = 0.4
TITLE = {1: 46, 2: 44}  # letters that fit above a pair of panels
CHANCE = 0.5
FEWEST_ARMS = 2


@styled
def make(inputs: Inputs) -> Drawing:
    """A pair of panels per cell: AUROC by label and, beside it, the gain over the reference."""
    confidence, design = inputs.evaluation.confidence, inputs.design
    table = classification_table(inputs.scores, confidence, design.reference)
    table = table[table["metric"] == "auroc"]
    seeds = classification_by_seed(inputs.scores)
    seeds = _with_gains(seeds[seeds["metric"] == "auroc"], design.reference)
    all_arms = design.order(table["arm"].unique())
    rows = _rows(table, design, 1)
    if inputs.columns == 2 and len(_fitting(all_arms, rows, design)) < len(all_arms):
        rows = _rows(table, design, 2)
    arms = _fitting(all_arms, rows, design)
    depths = [_depth(row, design) for row in rows]
    row_height = min(max(ROW_HEIGHT, MARKER_HEIGHT / SPREAD * len(arms)), _room(rows) / sum(depths))
    handles = [*arm_handles(arms, design), Line2D([], [], color=GREY, marker="|", linestyle="", label="one seed")]
    below = 0.35 + legend_height(handles, inputs.columns)
    figure = new_figure(inputs.columns, sum(depths) * row_height + PANEL_MARGIN * len(rows) + below)
    abreast = max(map(len, rows))
    panels = figure.subplots(len(rows), 2 * abreast, squeeze=False, height_ratios=depths)
    for line, cells in zip(panels, rows, strict=True):
        for axes in line[2 * len(cells) :]:
            axes.set_axis_off()
        for number, cell in enumerate(cells):
            pair = line[2 * number : 2 * number + 2]
            _draw_pair(pair, _of(table, cell), _of(seeds, cell), _labels(cell, design), arm_marks(arms, design))
            title_over(pair[0], cell_name(cell, design), TITLE[inputs.columns])
            if number:
                pair[0].set_yticklabels([])
    _share_axes(panels, rows, f"gain over {design.title(design.reference)}")
    legend_below(figure, handles)
    caption = _caption(table, design, confidence) + left_out(arms, all_arms, "classification", design)
    return Drawing(figure, caption, inputs.design, alt=_alt(table, design))


def _with_gains(seeds: pd.DataFrame, reference: str) -> pd.DataFrame:
    """The scores of single seeds, and their gain over the reference of the same seed."""
    keys = ["domain", "cohort", "label", "seed"]
    against = seeds.loc[seeds["arm"] == reference, [*keys, "value"]].rename(columns={"value": "against"})
    seeds = seeds.merge(against, how="left", on=keys)
    return seeds.assign(gain=seeds["value"] - seeds["against"])


def _rows(table: pd.DataFrame, design: Design, abreast: int) -> list[list[Cell]]:
    """The cells with labels of their domain, so many abreast; the cohort of training first."""
    present = set(zip(table["domain"], table["cohort"], strict=True))
    rows = []
    for domain in design.domains:
        cells = [design.cell(domain.name, name) for name in domain.cohorts if (domain.name, name) in present]
        rows += [cells[start : start + abreast] for start in range(0, len(cells), abreast)]
    return rows


def _labels(cell: Cell, design: Design) -> list[str]:
    """The labels of a cell's domain, and their mean where there are several."""
    labels = next(domain.labels for domain in design.domains if domain.name == cell.domain)
    return [*labels, MACRO] if len(labels) > 1 else list(labels)


def _depth(cells: list[Cell], design: Design) -> int:
    """How many labels stand over one another."""
    return max(len(_labels(cell, design)) for cell in cells)


def _room(rows: list[list[Cell]]) -> float:
    """Inches of a page that are left for labels."""
    return PAGE - 0.8 - PANEL_MARGIN * len(rows)


def _fitting(arms: list[str], rows: list[list[Cell]], design: Design) -> list[str]:
    """The reference, the first arm, and as many others as there is space for."""
    labels = sum(_depth(row, design) for row in rows)
    return arms[: max(len(fitting_arms(arms, labels, _room(rows), MARKER_HEIGHT / SPREAD)), FEWEST_ARMS)]


def _of(table: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    return table[((table["domain"] == cell.domain) & (table["cohort"] == cell.cohort)).to_numpy()]


def _draw_pair(
    pair: Sequence[Axes], table: pd.DataFrame, seeds: pd.DataFrame, labels: list[str], marks: dict[str, Mark]
) -> None:
    """AUROC at the left, the paired gain at the right."""
    offsets = (np.arange(len(marks)) - (len(marks) - 1) / 2) * SPREAD / max(len(marks), 2)
    for offset, (arm, mark) in zip(offsets, marks.items(), strict=True):
        for row in table[(table["arm"] == arm) & table["label"].isin(labels)].itertuples():
            place = labels.index(row.label) + offset
            of_seeds = seeds[(seeds["arm"] == arm) & (seeds["label"] == row.label)]
            _draw(pair[0], place, of_seeds["value"], (row.estimate, row.low, row.high), mark)
            if pd.notna(row.gain):
                _draw(pair[1], place, of_seeds["gain"], (row.gain, row.gain_low, row.gain_high), mark)
    pair[0].axvline(CHANCE, color=GREY, linewidth=0.8, linestyle=(0, (5, 2)), zorder=1)
    pair[1].axvline(0, color=GREY, linewidth=0.8, zorder=1)
    for axes in pair:
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_yticks(range(len(labels)), [""] * len(labels))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
    pair[0].set_yticklabels([_label_name(label, set(table["label"])) for label in labels])
    if labels[-1] == MACRO:
        pair[0].get_yticklabels()[-1].set_fontweight("bold")
        for axes in pair:
            axes.axhline(len(labels) - 1.5, color=GREY, linewidth=0.5)


def _draw(axes: Axes, place: float, seeds: pd.Series, estimate: tuple[float, float, float], mark: Mark) -> None:
    axes.plot(seeds, np.full(len(seeds), place), "|", color=mark.colour, markersize=4, alpha=0.7)
    draw_estimate(axes, estimate[0], place, *estimate[1:], mark, markersize=3.8)


def _label_name(label: str, known: set[str]) -> str:
    name = "mean of labels" if label == MACRO else label
    return name if label in known else f"{name} (not known)"


def _share_axes(panels: np.ndarray, rows: list[list[Cell]], gain: str) -> None:
    """The same scales in all panels of a kind; the lowest panel of a column names its scale."""
    for kind, name in enumerate(("AUROC", gain)):
        shown = [axes for axes in panels[:, kind::2].flat if axes.axison]
        low, high = (limit([axes.get_xlim()[end] for axes in shown]) for end, limit in enumerate((min, max)))
        if kind == 0:
            low, high = min(low, CHANCE - 0.02), min(max(high, 0.8), 1.01)
        for column in panels[:, kind::2].T:
            column = [axes for axes in column if axes.axison]
            for axes in column:
                axes.set_xlim(low, high)
                axes.locator_params(axis="x", nbins=5)
                axes.tick_params(labelbottom=axes is column[-1])
            column[-1].set_xlabel(name)


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


def _alt(table: pd.DataFrame, design: Design) -> str:
    macro = table[table["label"] == MACRO].set_index(["domain", "cohort", "arm"])["estimate"].sort_index()
    found = [
        f"{cell_name(cell, design)}: "
        + ", ".join(f"{design.title(arm)} {of_arm[arm]:.2f}" for arm in design.order(of_arm.index))
        for cell in design.home_cells
        if (cell.domain, cell.cohort) in macro.index
        for of_arm in [macro.loc[cell.domain, cell.cohort]]
    ]
    reference = design.title(design.reference)
    return (
        f"Dot plots of AUROC by label, and of the gain over {reference}. AUROC, mean of labels: {'; '.join(found)}. "
        f"{_main_contrast(table, design)}"
    ).strip()


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
        f"students of each arm ({arms}), on the cohort of training and on other data sets that share labels. Left: "
        f"AUROC; dashed line: chance, 0.5; the axis does not start at zero. Right: paired gain over {reference}, same "
        f"images and same seed. Markers: mean over {count_range(table['n_seeds'], 'seed')} with "
        f"{interval_words(confidence)}. Ticks: single seeds. Test images: {counted}; "
        "images whose label is unknown are left out of that label. "
        f"{_main_contrast(table, design)}Whether an arm differs from {reference} is read from the gains, not from "
        "overlap at the left."
    )
