"""One look for all figures: sizes, type, colours and markers, and how a figure is written."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox, BboxBase
from matplotlib.typing import LineStyleType, RcKeyType

from mmpkd.design import Design
from mmpkd.files import atomic, write_text
from mmpkd.outputs.words import phantom_words

SINGLE_COLUMN, DOUBLE_COLUMN, PAGE = 3.5, 7.2, 9.3  # inches; a figure is no taller than a page
WIDTHS = {1: SINGLE_COLUMN, 2: DOUBLE_COLUMN}  # by columns of a page
LETTERS = 17  # of 7 pt type that fit an inch
TITLE_LETTERS = 14  # of a title that fit an inch
LEGEND_LINE = 0.15
ARMS_ABREAST = 4  # more arms need the whole width for a domain, and names that stand upright
PNG_DOTS_PER_INCH = 200
INK, GREY, PALE, BAND = "#222222", "#6f6f6f", "#d9d9d9", "#efefef"
# Behind words, so that no line runs through them.
PLAIN: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
STYLE: dict[RcKeyType, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same on every machine
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "axes.grid": False,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "pdf.fonttype": 42,  # text stays text, and can be edited
    "savefig.facecolor": "white",
    "figure.facecolor": "white",
}
styled = mpl.rc_context(STYLE)  # decorates every `draw`, and leaves matplotlib's global state as it was

# Okabe and Ito, Color Universal Design, 2008: distinguishable with any colour vision; markers differ too.
_ROLES = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"))  # reference, primary arm, shuffled control
_FURTHER_ARMS = ("#CC79A7", "#E69F00", "#56B4E9", "#000000")
_FURTHER_MARKERS = ("D", "v", "P", "X", "<", ">", "p", "h", "*", "d", "8")
_COHORTS = ("#7b5ea7", "#E69F00", "#56B4E9", "#444444", "#CC79A7", "#8c6d31")
_COHORT_MARKERS = ("o", "s", "^", *_FURTHER_MARKERS[:2], "P", *_FURTHER_MARKERS[3:])
CONTROL_LINES: dict[str, LineStyleType] = {
    "uniform": "-",
    "centre": (0, (5, 2)),
    "edges": (0, (4, 1.2, 1, 1.2, 1, 3)),
    "untrained": (0, (1, 1.4)),
    "pretrained": (0, (9, 1.5, 1, 1.5)),
}


@dataclass(frozen=True)
class Mark:
    """How a series is drawn, wherever it appears."""

    colour: str
    marker: str


def arm_marks(arms: Iterable[str], design: Design) -> dict[str, Mark]:
    """Colour and marker of each arm in order; those of an arm with a role never change, and markers repeat last.

    Args:
        arms: that are drawn.
        design: knows their roles.
    """
    arms, of_roles = design.order(arms), dict(zip(design.roles, _ROLES, strict=True))
    others = [arm for arm in arms if arm not in of_roles]
    further = {arm: _cycled(_FURTHER_ARMS, _FURTHER_MARKERS, k) for k, arm in enumerate(others)}
    return {arm: Mark(*(further.get(arm) or of_roles[arm])) for arm in arms}


def cohort_marks(cohorts: Sequence[str]) -> dict[str, Mark]:
    """Colour and marker of each cohort, by its place."""
    return {cohort: Mark(*_cycled(_COHORTS, _COHORT_MARKERS, k)) for k, cohort in enumerate(cohorts)}


def _cycled(colours: Sequence[str], markers: Sequence[str], place: int) -> tuple[str, str]:
    """Colours and markers come round at different times, so that their pairs stay different."""
    return colours[place % len(colours)], markers[place % len(markers)]


def new_figure(columns: int, height: float) -> Figure:
    """A figure that is laid out so that nothing overlaps.

    Args:
        columns: of a page, 1 or 2, over which it goes; they give its width.
        height: in inches.
    """
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.03, hspace=0.03)
    return Figure(figsize=(WIDTHS[columns], height), layout=layout)


def words_alone(words: str) -> Figure:
    """What stands in place of a figure that has nothing to draw."""
    figure = new_figure(1, 0.8)
    figure.text(0.5, 0.5, words, ha="center", va="center")
    return figure


def draw_estimate(
    axes: Axes, x: float, y: float, low: float, high: float, mark: Mark, horizontal: bool = True, **kwargs: Any
) -> None:
    """A marker with its interval; without one (NaN) the marker stands alone.

    Args:
        axes: where it is drawn.
        x: of the marker.
        y: of the marker.
        low: of the interval.
        high: of the interval.
        mark: colour and marker.
        horizontal: whether the interval lies along the x axis.
        **kwargs: go to the marker.
    """
    line = ([low, high], [y, y]) if horizontal else ([x, x], [low, high])
    axes.plot(*line, color=mark.colour, linewidth=1.3, solid_capstyle="butt", zorder=3)
    style: dict[str, Any] = {"color": mark.colour, "markeredgecolor": "white", "markeredgewidth": 0.5, "zorder": 4}
    axes.plot(x, y, mark.marker, **style | kwargs)


def arm_handles(arms: Iterable[str], design: Design) -> list[Line2D]:
    """Legend entries of arms.

    Args:
        arms: that are drawn.
        design: knows their titles.
    """
    return [
        Line2D([], [], color=mark.colour, marker=mark.marker, label=design.title(arm))
        for arm, mark in arm_marks(arms, design).items()
    ]


def name_arms(axes: Axes, titles: list[str], narrow: bool = False) -> None:
    """Arms as places along the x axis: their titles stand upright where there are many or the panel is narrow.

    Args:
        axes: of the panel.
        titles: of the arms, from left to right.
        narrow: whether the panel is narrow.
    """
    if len(titles) <= ARMS_ABREAST and not narrow:
        axes.set_xticks(range(len(titles)), [title.replace(" ", "\n") for title in titles])
    else:
        axes.set_xticks(range(len(titles)), titles, rotation=90)
    axes.set_xlim(-0.6, len(titles) - 0.4)
    axes.grid(axis="y")


def name_band(axes: Axes, low: float, high: float) -> None:
    """Room for words between rows, from `low` to `high` of y: lines behind them stop there, all at the same height.

    Args:
        axes: of the panel.
        low: one end.
        high: the other end.
    """
    axes.axhspan(low, high, color="white", linewidth=0, zorder=2)


def title_over(axes: Axes, text: str, letters: int) -> None:
    """A title that may reach over the panels on the right.

    Args:
        axes: of the first panel.
        text: the title.
        letters: after so many it breaks.
    """
    lines = wrap(text, letters)
    axes.set_title("\n".join(" " * (lines.count("\n") + 1)))  # keeps the height free
    above: dict[str, Any] = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, mpl.rcParams["axes.titlepad"])}
    style: dict[str, Any] = {"weight": "bold", "va": "baseline", "in_layout": False}
    size = mpl.rcParams["axes.titlesize"]
    axes.annotate(lines, **above, textcoords="offset points", fontsize=size, **style)


def legend_below(figure: Figure | SubFigure, handles: Sequence[Artist]) -> None:
    """One legend for all panels, below them: in one row where it fits the width, else in columns.

    Args:
        figure: whose legend it is.
        handles: its entries.
    """
    columns = legend_columns([str(handle.get_label()) for handle in handles], figure.bbox.width / figure.dpi)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, columnspacing=1.6)


def legend_columns(names: Sequence[str], width: float) -> int:
    """The most columns of a legend that fit a width; an entry takes 0.48 inches and its name.

    Args:
        names: of the entries.
        width: in inches.
    """
    for columns in range(len(names), 1, -1):
        longest = [max(map(len, part)) for part in np.array_split(names, columns)]  # matplotlib splits them so
        if sum(length / LETTERS + 0.48 for length in longest) <= width:
            return columns
    return 1


def legend_height(handles: Sequence[Artist], columns: int) -> float:
    """Inches that a legend below a figure of that many columns takes.

    Args:
        handles: entries of the legend.
        columns: of a page that the figure takes, 1 or 2.
    """
    abreast = legend_columns([str(handle.get_label()) for handle in handles], WIDTHS[columns])
    return LEGEND_LINE * ceil(len(handles) / abreast) + 0.15


def fitting_arms(arms: Sequence[str], rows: int, inches: float, space: float) -> list[str]:
    """The first of the arms for which `rows` rows of a figure have space, at least one.

    Args:
        arms: in order.
        rows: that hold a marker of every arm, one above the other.
        inches: what all rows may take.
        space: inches between two markers.
    """
    return list(arms)[: max(int(inches / (max(rows, 1) * space)), 1)]


def left_out(drawn: Collection[str], arms: Sequence[str], table: str | None, design: Design) -> str:
    """A sentence for the caption on the arms that are not drawn.

    Args:
        drawn: the arms that are.
        arms: all arms.
        table: that holds the others, too; None where none does.
        design: knows their titles.

    Returns:
        The sentence; "" if all are drawn.
    """
    others = ", ".join(design.title(arm) for arm in arms if arm not in drawn)
    place = f", and in the table of {table}" if table else ""
    return f" Not drawn for lack of space{place}: {others}." if others else ""


def wrap(text: str, width: int) -> str:
    """Breaks `text` into lines of at most `width` characters, between words.

    Args:
        text: without line breaks.
        width: of a line, in characters.
    """
    return fill(text, width, break_long_words=False, break_on_hyphens=False)


def _round_places(figure: Figure) -> None:
    """Rounds the places of panels: the last digit of the solver's depends on where objects lie in memory."""
    for axes in figure.axes:
        axes.set_position(_rounded(axes.get_position()))
    parts: list[SubFigure] = list(figure.subfigs)
    for part in parts:
        part.bbox_relative.set(_rounded(part.bbox_relative))
        parts.extend(part.subfigs)


def _rounded(place: BboxBase) -> Bbox:
    return Bbox(place.get_points().round(9) + 0.0)  # + 0.0, because a zero with a sign is drawn as "-0"


@dataclass(frozen=True)
class Drawing:
    """What a `make` of a figure returns.

    Attributes:
        figure: the figure.
        caption: what it shows; it stands alone.
        design: of the study; the caption says which of its cohorts are fabricated, wherever the figure goes.
        alt: what it shows in words and its main numbers, for who cannot see it; kept in the PNG and in the PDF.
    """

    figure: Figure
    caption: str
    design: Design | None = None
    alt: str = ""

    @styled
    def write(self, pdf: str | Path, png: str | Path, caption: str | Path) -> None:
        """Writes PDF, PNG, and the caption as text. The same figure gives the same bytes each time.

        Args:
            pdf: path of the vector graphic.
            png: path of the picture.
            caption: path of the text.
        """
        text, alt = (words + phantom_words(self.design) for words in (self.caption, self.alt))
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")  # the layout found now holds for both files, and for the next time
        _round_places(self.figure)
        no_date = {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None, "Subject": alt}
        with atomic(pdf) as temporary:
            self.figure.savefig(temporary, metadata=no_date)
        with atomic(png) as temporary:
            self.figure.savefig(temporary, dpi=PNG_DOTS_PER_INCH, metadata={"Software": None, "Description": alt})
        write_text(text.strip() + "\n", caption)
