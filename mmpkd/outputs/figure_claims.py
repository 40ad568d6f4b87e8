"""The claims of the study, their estimates and their verdicts: a forest plot."""

from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import Design
from mmpkd.evaluation.verdicts import signed
from mmpkd.outputs.figure import (
    DOUBLE_COLUMN,
    GREY,
    PALE,
    Drawing,
    Mark,
    arm_marks,
    draw_estimate,
    new_figure,
    styled,
    wrap,
)
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.words import KNOWN_ANSWERS, METHOD_NAMES, METRIC_NAMES, cell_name, count_range, p_text, percent

ROW_HEIGHT = 0.56
LETTERS_OF_TITLE = 38
VERDICTS = {"supported": "#1b6e3c", "contradicted": "#a11d1d", "inconclusive": "#555555"}
OFFSET = 0.17  # of the two contrasts of a claim from the middle of its row


def make(inputs: Inputs) -> Drawing:
    """The figure of `draw`, from the CSV file of the table of claims."""
    return Drawing(*draw(pd.read_csv(inputs.files["claims"]), inputs.evaluation, inputs.design), inputs.design)


@styled
def draw(claims: pd.DataFrame, evaluation: Evaluation, design: Design) -> tuple[Figure, str]:
    """One row per claim: the contrast, the same against the shuffled teacher, and the verdict in words.

    Args:
        claims: what `mmpkd.evaluation.claims.claims_table` returned, or its CSV.
        evaluation: primary metric, method and confidence.
        design: the roles of the arms.
    """
    figure = new_figure(DOUBLE_COLUMN, ROW_HEIGHT * len(claims) + 1.0)
    axes, columns = figure.subplots(1, 2, sharey=True, width_ratios=[1.45, 1])
    marks = arm_marks(claims["arm"], design)
    for row, claim in enumerate(claims.itertuples()):
        _draw_claim(axes, row, claim, marks[claim.arm])
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    axes.set_ylim(len(claims) - 0.5, -0.5)
    axes.set_yticks(range(len(claims)), [_title(claim, evaluation) for claim in claims.itertuples()])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    exceptions = ", or as named" if any(_own_score(claim, evaluation) for claim in claims.itertuples()) else ""
    axes.set_xlabel(
        f"contrast in {METRIC_NAMES[evaluation.metric]} ({METHOD_NAMES[evaluation.methods[0]]}){exceptions}"
    )
    _write_columns(columns, claims, evaluation)
    figure.legend(handles=_handles(claims, marks, design), loc="outside lower center", ncols=2, columnspacing=1.6)
    return figure, _caption(claims, evaluation, design)


def _title(claim: Any, evaluation: Evaluation) -> str:
    """The claim, and below it its score where that is not the study's primary one."""
    title, score = wrap(claim.title, LETTERS_OF_TITLE), _own_score(claim, evaluation)
    return f"{title}\n{wrap(f'({score})', LETTERS_OF_TITLE)}" if score else title


def _own_score(claim: Any, evaluation: Evaluation) -> str:
    """Metric and map of a claim that is not tested on the study's primary score, else nothing."""
    if (claim.metric, claim.method) == (evaluation.metric, evaluation.methods[0]):
        return ""
    return f"{METRIC_NAMES[claim.metric]}, {METHOD_NAMES[claim.method]}"


def _draw_claim(axes: Axes, row: int, claim: Any, mark: Mark) -> None:
    centre = 0.0 if pd.isna(claim.margin) else claim.margin
    if pd.notna(claim.minimum_detectable):
        left, width = centre - claim.minimum_detectable, 2 * claim.minimum_detectable
        axes.broken_barh([(left, width)], (row - 0.4, 0.8), color=PALE, linewidth=0, zorder=0)
    if pd.notna(claim.margin):
        axes.plot([centre, centre], [row - 0.4, row + 0.4], color="black", linewidth=1, linestyle=(0, (2, 1.5)))
    draw_estimate(axes, claim.estimate, row - OFFSET, claim.low, claim.high, mark)
    against = Mark(GREY, mark.marker)
    draw_estimate(
        axes,
        claim.shuffled_gain,
        row + OFFSET,
        claim.shuffled_gain_low,
        claim.shuffled_gain_high,
        against,
        markerfacecolor="white",
        markeredgecolor=GREY,
        markeredgewidth=1,
    )


def _write_columns(axes: Axes, claims: pd.DataFrame, evaluation: Evaluation) -> None:
    """Numbers and verdict at the right of each row."""
    axes.set_axis_off()
    columns = {0.0: f"estimate\n[{percent(evaluation.confidence)} interval]", 0.47: "p\n(Holm)", 0.7: "verdict"}
    for x, title in columns.items():
        axes.text(x, 1.02, title, transform=axes.transAxes, va="bottom", weight="bold")
    for row, claim in enumerate(claims.itertuples()):
        axes.text(0.0, row, interval_text(claim.estimate, claim.low, claim.high), va="center")
        axes.text(0.47, row, p_text(claim.p_holm), va="center")
        verdict, known = claim.verdict + credit_text(claim), known_text(claim)
        place = "bottom" if known else "center"
        axes.text(0.7, row, verdict, va=place, weight="bold", color=VERDICTS[claim.verdict])
        axes.text(0.7, row, known, va="top", weight="normal" if claim.recovered else "bold")


def interval_text(estimate: float, low: float, high: float) -> str:
    """`+0.040\\n[+0.021, +0.059]`; what is missing is said."""
    if pd.isna(estimate):
        return "not estimable"
    interval = "no interval" if pd.isna(low) else f"[{signed(low)}, {signed(high)}]"
    return f"{signed(estimate)}\n{interval}"


def credit_text(claim: Any) -> str:
    """Whether a supported gain is more than the shuffled teacher's."""
    if claim.verdict != "supported" or claim.expect != "gain":
        return ""
    return "\n(credited)" if claim.credited else "\n(not credited)"


def known_text(claim: Any) -> str:
    """The planted answer and whether the verdict says it; "" where none is known."""
    if not _given(claim.known):
        return ""
    return f"known: {claim.known.replace('_', ' ')},\n{'recovered' if claim.recovered else 'missed'}"


def _handles(claims: pd.DataFrame, marks: dict[str, Mark], design: Design) -> list[Artist]:
    comparisons = dict.fromkeys(zip(claims["arm"], claims["reference"], strict=True))
    handles: list[Artist] = [
        Line2D(
            [],
            [],
            color=marks[arm].colour,
            marker=marks[arm].marker,
            label=f"{design.title(arm)} − {design.title(reference)}",
        )
        for arm, reference in comparisons
    ]
    against: dict[str, Any] = {"color": GREY, "marker": marks[claims["arm"].iloc[0]].marker, "markerfacecolor": "white"}
    if claims["shuffled_gain"].notna().any():
        handles.append(Line2D([], [], **against, label="same contrast against the shuffled teacher"))
    handles.append(Patch(color=PALE, linewidth=0, label="smaller than what this run detects (80 % power, unadjusted)"))
    if claims["margin"].notna().any():
        handles.append(
            Line2D([], [], color="black", linewidth=1, linestyle=(0, (2, 1.5)), label="margin of a claim of no gain")
        )
    return handles


def _caption(claims: pd.DataFrame, evaluation: Evaluation, design: Design) -> str:
    def named(cells: str) -> str:
        return ", ".join(cell_name(design.parse(cell), design) for cell in cells.split())

    cells = "; ".join(
        f"“{claim.title}”: {named(claim.cells)}"
        + (f" minus {named(claim.minus)}" if _given(claim.minus) else "")
        + (f" (on {score})" if (score := _own_score(claim, evaluation)) else "")
        for claim in claims.itertuples()
    )
    return (
        f"The claims of the study, tested on the paired gain in {METRIC_NAMES[evaluation.metric]} of the "
        f"{METHOD_NAMES[evaluation.methods[0]]} map, mean over cells (training domain and cohort): {cells}. Intervals: "
        f"{percent(evaluation.confidence)}, for new patients and new seeds, not adjusted; p: two-sided, Holm-adjusted "
        "over all claims. Grey band: contrasts that a run of this size would find with less than 80 % power, "
        "unadjusted, about the tested value (zero, or the margin of a claim of no gain). Supported and contradicted: "
        f"adjusted p below {1 - evaluation.confidence:g}, with the estimate on the claimed or on the other side of the "
        "tested value; inconclusive: neither, which is not evidence of absence. Credited: the gain exceeds that of a "
        f"teacher whose rows were permuted among patients. n: {count_range(claims['n_images'], 'image')}, "
        f"{count_range(claims['n_patients'], 'patient')} and {count_range(claims['n_seeds'], 'seed')} a "
        f"claim.{f' {KNOWN_ANSWERS}' if any(map(_given, claims['known'])) else ''}"
    )


def _given(cells: object) -> bool:
    """An empty cell of a CSV is read as NaN."""
    return isinstance(cells, str) and bool(cells)
