"""What the cohorts hold: images and patients by split, labels, and regions of interest."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from mmpkd.cohorts.tables import SPLITS, CohortTables, read_tables
from mmpkd.outputs.figure import DOUBLE_COLUMN, GREY, Drawing, cohort_marks, new_figure, styled, wrap
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.words import cohort_name

ROW_HEIGHT = 0.2
SPLIT_MARKERS = {"train": "o", "validate": "s", "test": "^"}
WHISKERS = (5, 95)  # percentiles


def make(inputs: Inputs) -> Drawing:
    """The figure of `draw`, from the tables of the cohorts and the regions of their image stores."""
    cohorts = {name: read_tables(folder) for name, folder in inputs.keys["cohorts"].items()}
    rois = {
        name: pd.concat([pd.read_parquet(f"{folder}/rois.parquet") for folder in folders])
        for name, folders in inputs.keys["shards"].items()
        if folders
    }
    named = ({cohort_name(name, inputs.design): part for name, part in parts.items()} for parts in (cohorts, rois))
    return Drawing(*draw(*named), inputs.design)


@styled
def draw(cohorts: Mapping[str, CohortTables], rois: Mapping[str, pd.DataFrame]) -> tuple[Figure, str]:
    """Three panels: counts by split, share of positive images by label, and area of ROI by label.

    Args:
        cohorts: the tables of each cohort.
        rois: for each cohort `rois.parquet` of its image store: label, and area as a share of the stored square.

    Raises:
        ValueError: there is no cohort.
    """
    if not cohorts:
        raise ValueError("figure cohorts: there is no cohort to draw")
    prevalence = label_prevalence(cohorts)
    areas = {(name, label): part["area"] for name, table in rois.items() for label, part in table.groupby("label")}
    depths = [len(cohorts), max(prevalence["label"].nunique(), 1), max(len(areas), 1)]
    figure = new_figure(
        DOUBLE_COLUMN, max(depths[0] * 0.42 + depths[1] * ROW_HEIGHT + 1.5, depths[2] * ROW_HEIGHT + 0.8)
    )
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1, 1.05])[0]
    counts_axes, label_axes = left.subplots(2, 1, height_ratios=[depths[0] * 0.42 + 0.3, depths[1] * ROW_HEIGHT + 0.4])
    _draw_counts(counts_axes, cohorts)
    _draw_prevalence(label_axes, prevalence, list(cohorts))
    _draw_areas(right.subplots(), areas, list(cohorts))
    return figure, _caption(cohorts, rois)


def label_prevalence(cohorts: Mapping[str, CohortTables]) -> pd.DataFrame:
    """cohort, label, share of images that are positive among those whose label is known, n known, n positive."""
    rows = []
    for name, tables in cohorts.items():
        for label in tables.label_names:
            known = tables.labels[label].dropna()
            if len(known):
                rows.append((name, label, known.mean(), len(known), int(known.sum())))
    return pd.DataFrame(rows, columns=["cohort", "label", "share", "n_known", "n_positive"])


def _draw_counts(axes: Axes, cohorts: Mapping[str, CohortTables]) -> None:
    """Images (filled) and patients (open) of each split, on a logarithmic axis."""
    marks = cohort_marks(list(cohorts))
    for place, (name, tables) in enumerate(cohorts.items()):
        by_split = tables.images.groupby("split")
        for offset, numbers, filled in (
            (-0.16, by_split.size(), True),
            (0.16, by_split["patient_id"].nunique(), False),
        ):
            colour = marks[name].colour
            present = [split for split in SPLITS if numbers.get(split, 0)]
            axes.plot([numbers[split] for split in present], [place + offset] * len(present), color="#e0e0e0", zorder=1)
            for split in present:
                style: dict[str, Any] = {"color": colour, "markerfacecolor": colour if filled else "white", "zorder": 3}
                axes.plot(numbers[split], place + offset, SPLIT_MARKERS[split], markersize=4.5, **style)
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
    handles = [
        Line2D([], [], color=GREY, marker=marker, linestyle="", label=split) for split, marker in SPLIT_MARKERS.items()
    ]
    handles.append(
        Line2D([], [], color=GREY, marker="o", markerfacecolor="white", linestyle="", label="open: patients")
    )
    axes.legend(
        handles=handles,
        ncols=4,
        loc="upper center",
        bbox_to_anchor=(0.4, -1.2 / max(len(cohorts), 4)),
        handletextpad=0.2,
        columnspacing=0.9,
    )


def _draw_prevalence(axes: Axes, prevalence: pd.DataFrame, names: list[str]) -> None:
    labels = list(dict.fromkeys(prevalence["label"]))
    for name, mark in cohort_marks(names).items():
        part = prevalence[prevalence["cohort"] == name]
        places = [labels.index(label) for label in part["label"]]
        style: dict[str, Any] = {"color": mark.colour, "markeredgecolor": "white", "markeredgewidth": 0.4}
        axes.plot(100 * part["share"], places, mark.marker, label=name, **style)
    axes.set_xlim(0, 105 * prevalence["share"].max() if len(prevalence) else 1)
    axes.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.grid(True)
    axes.set_title("b  Positive images by label")
    axes.set_xlabel("% of images whose label is known")
    axes.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.35, -0.22), handletextpad=0.2, columnspacing=0.9)


def _draw_areas(axes: Axes, areas: Mapping[tuple[str, str], pd.Series], names: list[str]) -> None:
    """Box plots: median, quartiles, and the 5th to the 95th percentile."""
    longest = max((len(f"{name}: {label}") for name, label in areas), default=0)
    letters = 40 if longest <= 28 else 18  # long names leave a narrow panel
    axes.set_title(wrap("c  Regions of interest (ROI)", letters))
    axes.set_xlabel(wrap("area, % of the image (log axis)", letters))
    if not areas:
        axes.text(0.5, 0.5, "no ROI", transform=axes.transAxes, ha="center")
        axes.set_yticks([])
        return
    marks = cohort_marks(names)
    boxes = axes.boxplot(
        [100 * np.maximum(area, 1e-6) for area in areas.values()],
        positions=range(len(areas)),
        orientation="horizontal",
        whis=WHISKERS,
        showfliers=False,
        widths=0.6,
        patch_artist=True,
        medianprops={"color": "black", "linewidth": 1},
    )
    for box, (name, _) in zip(boxes["boxes"], areas, strict=True):
        box.set(facecolor=marks[name].colour, edgecolor=GREY, linewidth=0.5, alpha=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(len(areas) - 0.4, -0.6)
    axes.set_yticks(
        range(len(areas)), [f"{name}: {label} (n = {len(area):,})" for (name, label), area in areas.items()]
    )
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def _caption(cohorts: Mapping[str, CohortTables], rois: Mapping[str, pd.DataFrame]) -> str:
    counted = "; ".join(
        f"{name}: {len(tables.images):,} images of {tables.images['patient_id'].nunique():,} patients, "
        f"{len(rois.get(name, ())):,} ROI, {len(tables.rejected):,} records set aside"
        for name, tables in cohorts.items()
    )
    return (
        f"The cohorts. (a) Images (filled) and patients (open) by split; no patient stands in two splits. (b) Share of "
        f"positive images among those whose label is known, all splits; labels are those that students are trained on, "
        f"which may be noisy. (c) Area of regions of interest (ROI) as a share of the stored square image, padding "
        f"included, all splits: median, quartiles and the 5th to the 95th percentile of ROI; n counts ROI. {counted}. "
        f"Labels and ROI of different cohorts were made by different rules and need not mean the same."
    )
