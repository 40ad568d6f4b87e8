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
    GREY,
    PALE,
    Drawing,
    Mark,
    arm_marks,
    draw_estimate,
    legend_below,
    legend_height,
    name_band,
    new_figure,
    styled,
    wrap,
)
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.words import (
    KNOWN_ANSWERS,
    METHOD_NAMES,
    METRIC_NAMES,
    cell_name,
    count,
    count_range,
    numbers,
    p_text,
    percent,
)

ROW_HEIGHT = 0.56
LINE = 0.12
LETTERS_OF_TITLE = {1: 60, 2: 38}
VERDICTS = {"supported": "#1b6e3c", "contradicted": "#a11d1d", "inconclusive": "#555555"}
OFFSET = 0.17  # of the two contrasts of a claim from the middle of its row


def make(inputs: Inputs) -> Drawing:
    """The figure of `draw`, from the CSV file of the table of claims."""
    claims = pd.read_csv(inputs.files["claims"])
    return Drawing(*draw(claims, inputs.evaluation, inputs.design, inputs.columns), inputs.design, alt=_alt(claims))


@styled
def draw(claims: pd.DataFrame, evaluation: Evaluation, design: Design, columns: int = 2) -> tuple[Figure, str]:
    """One row per claim: the contrast, the same against the shuffled teacher, and the verdict in words.

    In two columns the claim stands left of its row, in one above it.

    Args:
        claims: what `mmpkd.evaluation.claims.claims_table` returned, or its CSV.
        evaluation: primary metric, method and confidence.
        design: the roles of the arms.
        columns: of a page that the figure fits.
    """
    marks = arm_marks(claims["arm"], design)
    titles = [_title(claim, evaluation, design, LETTERS_OF_TITLE[columns]) for claim in claims.itertuples()]
    above = LINE * max(title.count("\n") + 1.5 for title in titles) / ROW_HEIGHT if columns == 1 else 0  # in rows
    places = [row * (1 + above) for row in range(len(claims))]
    handles = _handles(claims, marks, design)
    height = ROW_HEIGHT * (1 + above) * len(claims) + {1: 0.85, 2: 0.7}[columns] + legend_height(handles, columns)
    figure = new_figure(columns, height)
    axes, words = figure.subplots(1, 2, sharey=True, width_ratios={1: [1, 1.1], 2: [1.45, 1]}[columns])
    for place, claim in zip(places, claims.itertuples(), strict=True):
        _draw_claim(axes, place, claim, marks[claim.arm])
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    axes.set_ylim(places[-1] + 0.5, -0.5 - above)
    axes.set_yticks(places, titles)
    if columns == 1:
        _titles_above(axes, above)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    exceptions = ", or as named" if any(_own_score(claim, evaluation) for claim in claims.itertuples()) else ""
    label = f"contrast in {METRIC_NAMES[evaluation.metric]} ({METHOD_NAMES[evaluation.methods[0]]}){exceptions}"
    axes.set_xlabel(wrap(label, {1: 26, 2: 60}[columns]))
    _write_words(words, claims, places, evaluation, columns)
    legend_below(figure, handles)
    return figure, _caption(claims, evaluation, design)


def _titles_above(axes: Axes, height: float) -> None:
    """Moves the titles of rows to above their markers, where `height` rows are free."""
    axes.set_zorder(1)  # titles reach into the words
    for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True):
        name_band(axes, place - 0.5 - height, place - 0.5)
        style: dict[str, Any] = {"va": "bottom", "transform": axes.get_yaxis_transform(), "in_layout": False}
        axes.text(0.02, place - 0.5, label.get_text(), zorder=5, **style)
    axes.set_yticks([])


def _title(claim: Any, evaluation: Evaluation, design: Design, letters: int) -> str:
    """The claim, whether it rests on phantoms, and below it its score where that is not the study's primary one."""
    phantom = any(design.parse(cell).cohort in design.phantoms for cell in claim.cells.split())
    title, score = wrap(claim.title + " (phantom)" * phantom, letters), _own_score(claim, evaluation)
    return f"{title}\n{wrap(f'({score})', letters)}" if score else title


def _own_score(claim: Any, evaluation: Evaluation) -> str:
    """Metric and map of a claim that is not tested on the study's primary score, else nothing."""
    if (claim.metric, claim.method) == (evaluation.metric, evaluation.methods[0]):
        return ""
    return f"{METRIC_NAMES[claim.metric]}, {METHOD_NAMES[claim.method]}"


def _draw_claim(axes: Axes, row: float, claim: Any, mark: Mark) -> None:
    centre = 0.0 if pd.isna(claim.margin) else claim.margin
    if pd.notna(claim.minimum_detectable):
        left, width = centre - claim.minimum_detectable, 2 * claim.minimum_detectable
        axes.broken_barh([(left, width)], (row - 0.4, 0.8), color=PALE, linewidth=0, zorder=0)
    if pd.notna(claim.margin):
        axes.plot([centre, centre], [row - 0.4, row + 0.4], color="black", linewidth=1, linestyle=(0, (2, 1.5)))
    offset = OFFSET if pd.notna(claim.shuffled_gain) else 0
    draw_estimate(axes, claim.estimate, row - offset, claim.low, claim.high, mark)
    against = Mark(GREY, mark.marker)
    draw_estimate(
        axes,
        claim.shuffled_gain,
        row + offset,
        claim.shuffled_gain_low,
        claim.shuffled_gain_high,
        against,
        markerfacecolor="white",
        markeredgecolor=GREY,
        markeredgewidth=1,
    )


def _write_words(axes: Axes, claims: pd.DataFrame, places: list[float], evaluation: Evaluation, columns: int) -> None:
    """Numbers and verdict at the right of each row; in one column p stands below the interval."""
    axes.set_axis_off()
    interval = f"estimate\n[{percent(evaluation.confidence)} interval]"
    if columns == 1:
        heads = {0.0: f"{interval}\np (Holm)", 0.58: "verdict"}
    else:
        heads = {0.0: interval, 0.47: "p\n(Holm)", 0.7: "verdict"}
    for x, head in heads.items():
        axes.text(x, 1.02, head, transform=axes.transAxes, va="bottom", weight="bold")
    for place, claim in zip(places, claims.itertuples(), strict=True):
        estimate, p = interval_text(claim.estimate, claim.low, claim.high), p_text(claim.p_holm)
        for x, text in zip(heads, [f"{estimate}\np {p}"] if columns == 1 else [estimate, p], strict=False):
            axes.text(x, place, text, va="center")
        verdict, known, x = claim.verdict + credit_text(claim), known_text(claim), max(heads)
        axes.text(
            x,
            place,
            verdict,
            va="bottom" if known else "center",
            weight="bold",
            color=VERDICTS[claim.verdict],
        )
        axes.text(x, place, known, va="top", weight="normal" if claim.recovered else "bold")


def interval_text(estimate: float, low: float, high: float) -> str:
    """`+0.040\\n[+0.021, +0.059]`; what is missing is said.

    Args:
        estimate: of a contrast; NaN if there is none.
        low: end of its interval; NaN if there is none.
        high: end of its interval.
    """
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


def _alt(claims: pd.DataFrame) -> str:
    verdicts = ", ".join(f"{(claims['verdict'] == verdict).sum()} {verdict}" for verdict in VERDICTS)
    each = "; ".join(
        f"“{claim.title}” {numbers(claim.estimate, claim.low, claim.high)}, {claim.verdict}"
        for claim in claims.itertuples()
    )
    return f"Forest plot of {count(len(claims), 'claim')}: {verdicts}. {each}."


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
        f"{count_range(claims['n_patients'], 'patient')} and {count_range(claims['n_seeds'], 'seed')} per "
        f"claim.{f' {KNOWN_ANSWERS}' if any(map(_given, claims['known'])) else ''}"
    )


def _given(cells: object) -> bool:
    """An empty cell of a CSV is read as NaN."""
    return isinstance(cells, str) and bool(cells)
