"""How the students learnt: validation AUROC and losses by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from mmpkd.design import Design
from mmpkd.imaging.store import stored
from mmpkd.outputs.figure import (
    GREY,
    LETTERS,
    PAGE,
    TITLE_LETTERS,
    WIDTHS,
    Drawing,
    arm_handles,
    arm_marks,
    legend_below,
    legend_height,
    new_figure,
    styled,
    wrap,
)
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.words import cell_name, count, count_range, domain_name

PANEL_HEIGHT = 1.55
DOMAINS_ABREAST = {1: 2, 2: 4}
SHUFFLED_LINE = (0, (3, 1.5))  # lines that coincide stay visible
NOT_LOSSES = ("epoch", "learning_rate", "validation_auroc", "selected")
NAMES = {
    "validation_auroc": "AUROC on validation images",
    "loss": "training loss, sum of terms",
    "label_loss": "label loss",
    "logit_loss": "logit distillation",
    "soft_label_loss": "soft-label loss",
    "embedding_cosine_loss": "embedding, cosine",
    "embedding_mse_loss": "embedding, MSE",
    "embedding_smooth_l1_loss": "embedding, smooth L1",
    "relational_distance_loss": "relational, distance",
    "relational_angle_loss": "relational, angle",
}


def make(inputs: Inputs) -> Drawing:
    """The figure of `draw`, from the history of every student and the image stores of the training cohorts."""
    students = [tuple(student) for student in inputs.keys["students"]]
    histories = dict(zip(students, map(pd.read_csv, inputs.files["histories"]), strict=True))
    images = {
        domain: stored(pd.read_parquet(f"{folder}/images.parquet"), shards)
        for domain, (folder, shards) in inputs.keys["learnt"].items()
    }
    drawn = draw(histories, images, inputs.design, inputs.columns)
    return Drawing(*drawn, inputs.design, alt=_alt(histories, inputs.design))


@styled
def draw(
    histories: Mapping[tuple[str, str, int], pd.DataFrame],
    images: Mapping[str, pd.DataFrame],
    design: Design,
    columns: int = 2,
) -> tuple[Figure, str]:
    """One column per domain, one row per quantity: validation AUROC, then each term of the loss.

    Args:
        histories: content of `history.csv` by domain, arm and seed.
        images: for each domain the stored images of its cohort of training (columns patient_id and split).
        design: the roles of the arms.
        columns: of a page that the figure fits.

    Raises:
        ValueError: there is no history.
    """
    if not histories:
        raise ValueError("figure training: there is no training history to draw")
    table = pd.concat(
        [history.assign(domain=domain, arm=arm, seed=seed) for (domain, arm, seed), history in histories.items()],
        ignore_index=True,
    )
    domains = list(dict.fromkeys(domain for domain, _, _ in histories))
    arms = design.order(table["arm"].unique())
    quantities = ["validation_auroc", *_loss_terms(table)]
    abreast = min(len(domains), DOMAINS_ABREAST[columns])
    blocks = [domains[start : start + abreast] for start in range(0, len(domains), abreast)]
    handles = _handles(arms, design)
    below, depth = legend_height(handles, columns) + 0.4 * len(blocks), len(quantities) * len(blocks)
    height = min(PANEL_HEIGHT, (PAGE - below) / depth)
    figure = new_figure(columns, height * depth + below)
    panels = figure.subplots(depth, abreast, squeeze=False, sharey="row")
    for number, block in enumerate(blocks):
        rows = panels[number * len(quantities) : (number + 1) * len(quantities)]
        for column, domain in zip(rows.T, block, strict=False):
            _draw_domain(column, table[table["domain"] == domain], arms, quantities, design)
            name = cell_name(design.cell(domain, design.home(domain)), design)
            column[0].set_title(wrap(name, int((WIDTHS[columns] / abreast - 0.3) * TITLE_LETTERS)))
        for axes in rows[:, len(block) :].flat:
            axes.set_axis_off()
        for axes, quantity in zip(rows[:, 0], quantities, strict=True):
            axes.set_ylabel(wrap(NAMES.get(quantity, quantity.replace("_", " ")), max(int(height * LETTERS), 8)))
    legend_below(figure, handles)
    return figure, _caption(table, domains, list(map(design.title, arms)), images)


def _handles(arms: list[str], design: Design) -> list[Line2D]:
    selected = Line2D([], [], color=GREY, marker="o", markersize=3, linewidth=0.5, label="one seed, selected epoch")
    handles = arm_handles(arms, design)
    for handle, arm in zip(handles, arms, strict=True):
        handle.set_linestyle(_line(arm, design))
    return [*handles, selected]


def _draw_domain(
    column: Sequence[Axes], table: pd.DataFrame, arms: list[str], quantities: list[str], design: Design
) -> None:
    """The quantities of a domain above one another, over as many epochs as its students were trained."""
    for axes, quantity in zip(column, quantities, strict=True):
        _draw_panel(axes, table, arms, quantity, design)
        axes.tick_params(labelbottom=axes is column[-1])
        axes.set_xlim(0.5, table["epoch"].max() + 0.5)
        axes.locator_params(axis="x", integer=True)
    column[-1].set_xlabel("epoch")


def _loss_terms(table: pd.DataFrame) -> list[str]:
    """The terms of the loss that some arm has; the sum alone where there is no term."""
    known = [name for name in table.columns if name not in (*NOT_LOSSES, "domain", "arm", "seed", "loss")]
    terms = [name for name in known if table[name].notna().any()]
    return terms or ["loss"]


def _draw_panel(axes: Axes, table: pd.DataFrame, arms: list[str], quantity: str, design: Design) -> None:
    """Seeds as thin lines with the selected epoch, their mean as a thick line."""
    for arm, mark in arm_marks(arms, design).items():
        values = table[(table["arm"] == arm) & table[quantity].notna()] if quantity in table else table[:0]
        for _, history in values.groupby("seed"):
            axes.plot(history["epoch"], history[quantity], color=mark.colour, linewidth=0.5, alpha=0.45)
            if quantity == "validation_auroc":
                chosen = history[history["selected"].astype(bool)]
                dots: dict[str, Any] = {"color": mark.colour, "markersize": 3.5, "mew": 0, "alpha": 0.8}
                axes.plot(chosen["epoch"], chosen[quantity], mark.marker, **dots)
        mean = values.groupby("epoch")[quantity].mean()
        style: dict[str, Any] = {"color": mark.colour, "linewidth": 1.5, "linestyle": _line(arm, design), "zorder": 3}
        axes.plot(mean.index, mean, **style)
        if quantity != "validation_auroc" and len(mean):  # distinguishable without colour too
            axes.plot(mean.index[-1], mean.iloc[-1], mark.marker, color=mark.colour, mew=0, clip_on=False, zorder=4)
    axes.grid(axis="y")


def _line(arm: str, design: Design) -> LineStyleType:
    return SHUFFLED_LINE if arm == design.shuffled else "-"


def _caption(table: pd.DataFrame, domains: list[str], titles: list[str], images: Mapping[str, pd.DataFrame]) -> str:
    seeds = table.groupby(["domain", "arm"])["seed"].nunique()
    epochs = table.groupby(["domain", "arm", "seed"])["epoch"].max()
    return (
        f"Training of {count(table.groupby(['domain', 'arm', 'seed']).ngroups, 'student')}: "
        f"{', '.join(map(domain_name, domains))}; arms "
        f"{', '.join(titles)}; {count_range(seeds, 'seed')} each, {count_range(epochs, 'epoch')}. Top: "
        "mean AUROC over labels on the validation images of the cohort of training. Below: terms of the training loss "
        "(natural logarithms, times their weight), mean over the steps of an epoch; an arm without a term has no line. "
        "Thick lines: mean over seeds. Thin lines: single seeds; a marker stands at the epoch whose weights were kept, "
        f"chosen by validation AUROC, never by regions of interest. {' '.join(_counts(images[d], d) for d in domains)} "
        "Axes do not start at zero. Labels of training and validation may be noisy, and a validation AUROC at the "
        "chosen epoch is optimistic: test images are shown in the figure of classification."
    )


def _alt(histories: Mapping[tuple[str, str, int], pd.DataFrame], design: Design) -> str:
    chosen = {
        key: history.loc[history["selected"].astype(bool), "validation_auroc"] for key, history in histories.items()
    }
    of_domain: dict[str, dict[str, list[float]]] = {}
    for (domain, arm, _), values in chosen.items():
        of_domain.setdefault(domain, {}).setdefault(arm, []).extend(values)
    found = "; ".join(
        f"{cell_name(design.cell(domain, design.home(domain)), design)}: "
        + ", ".join(f"{design.title(arm)} {np.mean(of_arm[arm]):.2f}" for arm in design.order(of_arm))
        for domain, of_arm in of_domain.items()
    )
    return f"Line plots by epoch. Validation AUROC at the selected epoch, mean over seeds: {found}."


def _counts(images: pd.DataFrame, domain: str) -> str:
    """`chest radiographs: 1,000 images of 700 patients for training, 110 images of 80 patients for validation.`"""
    parts = {split: images[images["split"] == split] for split in ("train", "validate")}
    learnt, judged = (
        f"{count(len(part), 'image')} of {count(part['patient_id'].nunique(), 'patient')}" for part in parts.values()
    )
    return f"{domain_name(domain)}: {learnt} for training, {judged} for validation."
