"""How the students learnt: validation AUROC and losses by epoch."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from mmpkd.design import Design
from mmpkd.imaging.store import stored
from mmpkd.outputs.figure import (
    DOUBLE_COLUMN,
    GREY,
    LETTERS,
    PAGE,
    Drawing,
    arm_handles,
    arm_marks,
    legend_below,
    new_figure,
    styled,
    wrap,
)
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.words import cell_name, count, count_range, domain_name

PANEL_HEIGHT = 1.55
SHUFFLED_LINE = (0, (3, 1.5))  # lines that coincide stay visible
NOT_LOSSES = ("epoch", "learning_rate", "validation_auroc", "selected")
NAMES = {
    "validation_auroc": "AUROC on\nvalidation images",
    "loss": "training loss,\nsum of terms",
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
    return Drawing(*draw(histories, images, inputs.design), inputs.design)


@styled
def draw(
    histories: Mapping[tuple[str, str, int], pd.DataFrame], images: Mapping[str, pd.DataFrame], design: Design
) -> tuple[Figure, str]:
    """One column per domain, one row per quantity: validation AUROC, then each term of the loss.

    Args:
        histories: content of `history.csv` by domain, arm and seed.
        images: for each domain the stored images of its cohort of training (columns patient_id and split).
        design: the roles of the arms.

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
    height = min(PANEL_HEIGHT, (PAGE - 1.2) / len(quantities))
    figure = new_figure(DOUBLE_COLUMN, height * len(quantities) + 0.55)
    panels = figure.subplots(len(quantities), len(domains), squeeze=False, sharex=True, sharey="row")
    for row, quantity in zip(panels, quantities, strict=True):
        for axes, domain in zip(row, domains, strict=True):
            _draw_panel(axes, table[table["domain"] == domain], arms, quantity, design)
        row[0].set_ylabel(NAMES.get(quantity, quantity.replace("_", " ")))
    for axes, domain in zip(panels[0], domains, strict=True):
        axes.set_title(
            wrap(cell_name(design.cell(domain, design.home(domain)), design), int(5 / len(domains) * LETTERS))
        )
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
    selected = Line2D([], [], color=GREY, marker="o", markersize=3, linewidth=0.5, label="one seed, selected epoch")
    handles = arm_handles(arms, design)
    for handle, arm in zip(handles, arms, strict=True):
        handle.set_linestyle(_line(arm, design))
    legend_below(figure, [*handles, selected])
    return figure, _caption(table, domains, list(map(design.title, arms)), images)


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


def _counts(images: pd.DataFrame, domain: str) -> str:
    """`chest radiographs: 1,000 images of 700 patients for training, 110 images of 80 patients for validation.`"""
    parts = {split: images[images["split"] == split] for split in ("train", "validate")}
    learnt, judged = (
        f"{count(len(part), 'image')} of {count(part['patient_id'].nunique(), 'patient')}" for part in parts.values()
    )
    return f"{domain_name(domain)}: {learnt} for training, {judged} for validation."
