"""What the cohorts hold: images and patients by split, labels, and regions of interest."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from mmpkd.cohorts.tables import SPLITS, CohortTables, read_tables
from mmpkd.outputs.figure import (
    BAND,
    GREY,
    PAGE,
    Drawing,
    cohort_marks,
    legend_below,
    legend_height,
    new_figure,
    styled,
)
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.words import cohort_name

ROW_HEIGHT = 0.2
COUNTS_HEIGHT = 0.46  # of a cohort's row, with a place of its own for every marker
MARKER_HEIGHT, MARKER_SIZE = 0.07, 4
SPLIT_MARKERS = {"train": "o", "validate": "s", "test": "^"}
WHISKERS = (5, 95)  # percentiles
SQUEEZED = 0.83  # of their height: narrower rows give way to one box for all regions of a cohort

AreaRow = tuple[str, str, pd.Series | None]  # cohort, name of the row, areas in percent; a heading has none


def make(inputs: Inputs) -> Drawing:
    """The figure of `draw`, from the tables of the cohorts and the regions of their image stores."""
    cohorts = {name: read_tables(folder) for name, folder in inputs.keys["cohorts"].items()}
    rois = {
        name: pd.concat([pd.read_parquet(f"{folder}/rois.parquet") for folder in folders])
        for name, folders in inputs.keys["shards"].items()
        if folders
    }
    named = {cohort_name(name, inputs.design): part for name, part in cohorts.items()}
    named_rois = {cohort_name(name, inputs.design): part for name, part in rois.items()}
    return Drawing(*draw(named, named_rois, inputs.columns), inputs.design, alt=_alt(named, named_rois))


@styled
def draw(cohorts: Mapping[str, CohortTables], rois: Mapping[str, pd.DataFrame], columns: int = 2) -> tuple[Figure, str]:
    """Three panels: counts by split, share of positive images by label, and area of ROI by label.

    Args:
        cohorts: the tables of each cohort.
        rois: for each cohort `rois.parquet` of its image store: label, and area as a share of the stored square.
        columns: of a page that the figure fits.

    Raises:
        ValueError: there is no cohort.
    """
    if not cohorts:
        raise ValueError("figure cohorts: there is no cohort to draw")
    prevalence = label_prevalence(cohorts)
    handles = _split_handles(), _cohort_handles(list(cohorts))
    label_height = max(ROW_HEIGHT, MARKER_HEIGHT * prevalence.groupby("label").size().max())
    areas = _area_rows(rois)
    rows = [len(cohorts) * COUNTS_HEIGHT, prevalence["label"].nunique() * label_height, len(areas) * ROW_HEIGHT]
    around = [*(legend_height(part, 1) + 0.7 for part in handles), 0.7]  # legend, title and name of the axis
    by_label = columns == 2 or _scale(rows, around) >= SQUEEZED
    if not by_label:
        areas = _area_rows(rois, by_label)
        rows[2] = len(areas) * ROW_HEIGHT
    stacked = 3 if columns == 1 else 2  # panels one above the other
    scale = _scale(rows[:stacked], around[:stacked])
    heights = [row * scale + more for row, more in zip(rows, around, strict=True)]
    if columns == 1:
        figure = new_figure(1, sum(heights))
        counts, labels, regions = figure.subfigures(3, 1, squeeze=False, height_ratios=heights)[:, 0]
    else:
        figure = new_figure(2, min(max(sum(heights[:2]), rows[2] + around[2]), PAGE))
        left, regions = figure.subfigures(1, 2, squeeze=False)[0]
        counts, labels = left.subfigures(2, 1, squeeze=False, height_ratios=heights[:2])[:, 0]
    _draw_counts(counts.subplots(), cohorts, MARKER_SIZE * scale)
    _draw_prevalence(labels.subplots(), prevalence, list(cohorts), MARKER_SIZE * scale)
    for panel, part in zip((counts, labels), handles, strict=True):
        legend_below(panel, part)
    _draw_areas(regions.subplots(), areas, list(cohorts))
    return counts.figure, _caption(cohorts, rois, by_label)


def _scale(rows: Sequence[float], around: Sequence[float]) -> float:
    """What share of the height of rows fits a page, with what is around them."""
    return min((PAGE - sum(around)) / sum(rows), 1)


def label_prevalence(cohorts: Mapping[str, CohortTables]) -> pd.DataFrame:
    """cohort, label, share of images that are positive among those whose label is known, n known, n positive."""
    rows = []
    for name, tables in cohorts.items():
        for label in tables.label_names:
            known = tables.labels[label].dropna()
            if len(known):
                rows.append((name, label, known.mean(), len(known), int(known.sum())))
    return pd.DataFrame(rows, columns=["cohort", "label", "share", "n_known", "n_positive"])


def _draw_counts(axes: Axes, cohorts: Mapping[str, CohortTables], size: float) -> None:
    """Images (filled) and patients (open) of each split, on a logarithmic axis; no marker hides another."""
    marks = cohort_marks(list(cohorts))
    for place, (name, tables) in enumerate(cohorts.items()):
        by_split = tables.images.groupby("split")
        numbers = ((by_split.size(), marks[name].colour), (by_split["patient_id"].nunique(), "white"))
        shown = [(split, of_split[split], face) for split in SPLITS for of_split, face in numbers if split in of_split]
        for row, (split, number, face) in enumerate(shown):
            offset = (row - (len(shown) - 1) / 2) * MARKER_HEIGHT / COUNTS_HEIGHT
            style: dict[str, Any] = {"color": marks[name].colour, "markerfacecolor": face, "zorder": 3}
            axes.plot(number, place + offset, SPLIT_MARKERS[split], markersize=size, **style)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_xlim()
    axes.set_xlim(10 ** np.floor(np.log10(low)), 10 ** np.ceil(np.log10(high)))
    axes.set_ylim(len(cohorts) - 0.5, -0.5)
    axes.set_yticks(range(len(cohorts)), list(cohorts))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_title("a  Images and patients by split")
    axes.set_xlabel("number (log axis)")


def _split_handles() -> list[Line2D]:
    filled = [Line2D([], [], color=GREY, marker=mark, linestyle="", label=name) for name, mark in SPLIT_MARKERS.items()]
    style: dict[str, Any] = {"color": GREY, "marker": "o", "markerfacecolor": "white", "linestyle": ""}
    return [*filled, Line2D([], [], label="patients", **style)]


def _cohort_handles(names: list[str]) -> list[Line2D]:
    marks = cohort_marks(names)
    return [Line2D([], [], color=m.colour, marker=m.marker, linestyle="", label=name) for name, m in marks.items()]


def _draw_prevalence(axes: Axes, prevalence: pd.DataFrame, names: list[str], size: float) -> None:
    """A row per label, in which the cohorts that know it stand one above the other."""
    marks, labels = cohort_marks(names), list(dict.fromkeys(prevalence["label"]))
    most = max(prevalence.groupby("label").size().max(), 2)
    for place, label in enumerate(labels):
        rows = prevalence[prevalence["label"] == label]
        for number, row in enumerate(rows.itertuples()):
            offset = (number - (len(rows) - 1) / 2) * min(1 / most, MARKER_HEIGHT / ROW_HEIGHT)
            mark = marks[row.cohort]
            axes.plot(100 * row.share, place + offset, mark.marker, color=mark.colour, markersize=size, mew=0)
    axes.set_xlim(0, 105 * prevalence["share"].max() if len(prevalence) else 1)
    axes.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.grid(True)
    axes.set_title("b  Positive images by label")
    axes.set_xlabel("% of images whose label is known")


def _area_rows(rois: Mapping[str, pd.DataFrame], by_label: bool = True) -> list[AreaRow]:
    """A heading and a row per label, or a row, for each cohort that has ROI."""
    rows: list[AreaRow] = []
    for name, table in rois.items():
        if by_label and len(table):
            rows.append((name, name, None))
            parts = table.groupby("label")["area"]
            rows += [(name, f"{label} (n = {len(area):,})", 100 * area) for label, area in parts]
        elif len(table):
            rows.append((name, f"{name} (n = {len(table):,})", 100 * table["area"]))
    return rows


def _draw_areas(axes: Axes, rows: list[AreaRow], names: list[str]) -> None:
    """Box plots below the name of their cohort: median, quartiles, and the 5th to the 95th percentile."""
    axes.set_title("c  Regions of interest (ROI)")
    axes.set_xlabel("area, % of the image (log axis)")
    if not rows:
        axes.text(0.5, 0.5, "no ROI", transform=axes.transAxes, ha="center")
        axes.set_yticks([])
        return
    marks = cohort_marks(names)
    style: dict[str, Any] = {"orientation": "horizontal", "whis": WHISKERS, "showfliers": False, "widths": 0.6}
    style |= {"patch_artist": True, "medianprops": {"color": "black", "linewidth": 1}}
    for place, (name, _, areas) in enumerate(rows):
        if areas is None:
            axes.axhspan(place - 0.5, place + 0.5, color=BAND, linewidth=0, zorder=0)
            continue
        box = axes.boxplot([np.maximum(areas, 1e-4)], positions=[place], **style)["boxes"][0]
        box.set(facecolor=marks[name].colour, edgecolor=GREY, linewidth=0.5, alpha=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [words for _, words, _ in rows])
    for text, (_, _, areas) in zip(axes.get_yticklabels(), rows, strict=True):
        text.set_fontweight("bold" if areas is None else "normal")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def _alt(cohorts: Mapping[str, CohortTables], rois: Mapping[str, pd.DataFrame]) -> str:
    areas = "; ".join(f"{name} {100 * part['area'].median():.1f} %" for name, part in rois.items() if len(part))
    medians = f" Median area of ROI, as a share of the image: {areas}." if areas else ""
    return f"Dot plots and box plots of the cohorts. {_counted(cohorts, rois)}.{medians}"


def _counted(cohorts: Mapping[str, CohortTables], rois: Mapping[str, pd.DataFrame]) -> str:
    return "; ".join(
        f"{name}: {len(tables.images):,} images of {tables.images['patient_id'].nunique():,} patients, "
        f"{len(rois.get(name, ())):,} ROI, {len(tables.rejected):,} records set aside"
        for name, tables in cohorts.items()
    )


def _caption(cohorts: Mapping[str, CohortTables], rois: Mapping[str, pd.DataFrame], by_label: bool) -> str:
    return (
        f"The cohorts. (a) Images (filled) and patients (open) by split; no patient stands in two splits. (b) Share of "
        f"positive images among those whose label is known, all splits; labels are those that students are trained on, "
        f"which may be noisy. (c) Area of regions of interest (ROI) as a share of the stored square image, padding "
        f"included, all splits{'' if by_label else ' and labels'}: median, quartiles and the 5th to the 95th "
        f"percentile of ROI; n counts ROI. "
        f"{_counted(cohorts, rois)}. "
        f"Labels and ROI of different cohorts were made by different rules and need not mean the same."
    )
