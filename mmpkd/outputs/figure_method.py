"""The method as a picture: what is there in training, and what is left at test time."""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from mmpkd.config.students import LOSSES, Arm
from mmpkd.design import Design
from mmpkd.outputs.figure import DOUBLE_COLUMN, GREY, LETTERS, Drawing, arm_marks, styled, wrap
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.words import cohort_name, domain_name

# All lengths are inches: the axes fill the figure.
LINE = 0.135
ARMS_START, ARMS_ABREAST = 1.42, 4
BAND = {"training": "#eef4f9", "test": "#f5f1ea"}
FILL = {"data": "#ffffff", "privileged": "#fdeadd", "model": "#dcebf5", "loss": "#ececec"}
EDGE = {"data": GREY, "privileged": "#D55E00", "model": "#0072B2", "loss": GREY}
COLUMNS = {"source": 0.16, "model": 2.16, "output": 4.0, "end": 5.68}
WIDTHS = {"source": 1.62, "model": 1.46, "output": 1.3, "end": 1.36}
BOX_LETTERS = {"source": 30, "model": 26}  # that fit a line of a box
PRIVILEGED = {"text": "reports", "tabular": "case descriptions"}
TEACHERS = {
    "text": "text encoder",
    "mlp": "network",
    "gradient_boosting": "boosted trees",
    "logistic": "logistic model",
}

Box = tuple[float, float, float, float]  # left, bottom, width, height


def make(inputs: Inputs) -> Drawing:
    """The figure of `draw`, from the configuration alone: no cohort is in it, fabricated or not."""
    return Drawing(*draw(inputs.study))


@styled
def draw(study: Mapping[str, Any]) -> tuple[Figure, str]:
    """The schematic and its caption.

    Args:
        study: the configuration as plain values: `domains`, `arms` and `design`; `imaging` for an image's size.
    """
    domains, design = study["domains"], Design.of(study)
    arms = {name: Arm.model_validate(arm) for name, arm in study["arms"].items()}
    facts = {
        "source": _lines(domains, lambda teacher: PRIVILEGED[teacher["kind"]], BOX_LETTERS["source"]),
        "model": _lines(domains, lambda teacher: TEACHERS[teacher.get("model", teacher["kind"])], BOX_LETTERS["model"]),
    }
    privileged_height = (max(map(len, facts.values())) + 1) * LINE + 0.24
    test_height, training_height = 1.3, privileged_height + 1.58 + _arms_height(arms)
    height = test_height + training_height + 0.16
    figure = Figure(figsize=(DOUBLE_COLUMN, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, DOUBLE_COLUMN), ylim=(0, height))
    axes.set_axis_off()
    band = (0.05, test_height + 0.11, DOUBLE_COLUMN - 0.1, training_height)
    _draw_training(axes, study, facts, band, privileged_height)
    arms_box = (COLUMNS["source"], band[1] + 0.08, band[2] - 0.22, _arms_height(arms))
    _draw_arms(axes, arms, design, arms_box)
    _draw_test(axes, (0.05, 0.05, DOUBLE_COLUMN - 0.1, test_height - 0.02))
    return figure, _caption(domains, list(map(design.title, design.order(arms))))


def _draw_training(axes: Axes, study: Mapping[str, Any], facts: dict[str, list[str]], band: Box, height: float) -> None:
    """Above the teacher's way, below the student's; `height` is that of the teacher's boxes."""
    _band(axes, band, "Training", BAND["training"])
    upper = band[1] + band[3] - height - 0.34
    lower = upper - 0.86
    size = [f"{study['imaging']['size']} x {study['imaging']['size']} pixels"] if "imaging" in study else []
    privileged = _box(axes, "source", upper, height, "Privileged data", facts["source"], "privileged")
    teacher = _box(axes, "model", upper, height, "Teacher", facts["model"], "privileged")
    targets = _box(axes, "output", upper, height, "Cached targets", ["logits, embedding"], "privileged")
    distillation = _box(axes, "end", upper, height, "Distillation loss", ["student's output", "to targets"], "loss")
    image = _box(axes, "source", lower, 0.6, "Image", size, "data")
    student = _box(axes, "model", lower, 0.6, "Student", ["vision transformer"], "model")
    output = _box(axes, "output", lower, 0.6, "Student's output", ["logits, embedding"], "model")
    labels = _box(axes, "end", lower, 0.6, "Label loss", ["student's logits", "to labels"], "loss")
    for start, end in ((privileged, teacher), (teacher, targets), (targets, distillation)):
        _across(axes, start, end, EDGE["privileged"])
    for start, end in ((image, student), (student, output), (output, labels)):
        _across(axes, start, end, EDGE["model"])
    _arrow(axes, (output[0] + output[2], lower + 0.48), (distillation[0], upper + 0.08), EDGE["model"])
    _gradient(axes, student, labels, upper)


def _gradient(axes: Axes, student: Box, labels: Box, losses_meet: float) -> None:
    """A dashed way from both losses back to the student."""
    start, end = labels[0] + labels[2] / 2, student[0] + student[2] / 2
    top, bottom = labels[1] + labels[3], labels[1]
    level = bottom - 0.14
    dashed: dict[str, Any] = {"color": GREY, "linewidth": 0.9, "linestyle": (0, (4, 2)), "zorder": 1}
    axes.plot([start, start], [top, losses_meet], **dashed)
    axes.text(start + 0.07, (top + losses_meet) / 2, "+", color=GREY, fontsize=9, va="center")
    axes.plot([start, start, end, end], [bottom, level, level, bottom - 0.09], **dashed)
    _arrow(axes, (end, bottom - 0.1), (end, bottom), GREY)
    axes.text(
        (start + end) / 2,
        level - 0.03,
        "gradient, to the student alone",
        color=GREY,
        fontsize=6.5,
        ha="center",
        va="top",
    )


def _draw_arms(axes: Axes, arms: Mapping[str, Arm], design: Design, box: Box) -> None:
    """What distinguishes the arms, a few in a row."""
    left, bottom, width, height = box
    axes.text(left, bottom + height - 0.1, "Arms", weight="bold", va="center")
    axes.text(left, bottom + height - 0.26, "same seed, first", color=GREY, fontsize=6.5, va="center")
    axes.text(left, bottom + height - 0.39, "weights and data order", color=GREY, fontsize=6.5, va="center")
    marks = arm_marks(arms, design)
    step = _arm_step(arms, width)
    row_height = height / _arm_rows(arms)
    for number, (arm, mark) in enumerate(marks.items()):
        x = left + ARMS_START + number % ARMS_ABREAST * step
        top = bottom + height - number // ARMS_ABREAST * row_height
        axes.plot(x, top - 0.1, mark.marker, color=mark.colour)
        axes.text(x + 0.1, top - 0.1, design.title(arm), weight="bold", va="center")
        for row, line in enumerate(_arm_lines(arms[arm], int(step * LETTERS))):
            axes.text(x + 0.1, top - 0.26 - 0.13 * row, line, fontsize=6.5, va="center")


def _arm_rows(arms: Mapping[str, Arm]) -> int:
    return ceil(len(arms) / ARMS_ABREAST)


def _arm_step(arms: Mapping[str, Arm], width: float) -> float:
    return (width - ARMS_START) / min(len(arms), ARMS_ABREAST)


def _arms_height(arms: Mapping[str, Arm]) -> float:
    """Inches that the arms take."""
    letters = int(_arm_step(arms, DOUBLE_COLUMN - 0.32) * LETTERS)
    lines = max(len(_arm_lines(arm, letters)) for arm in arms.values())
    return max(0.54, 0.2 + 0.13 * lines) * _arm_rows(arms)


def _draw_test(axes: Axes, band: Box) -> None:
    _band(axes, band, "Test: the image alone", BAND["test"])
    upper, lower = band[1] + 0.6, band[1] + 0.1
    image = _box(axes, "source", band[1] + 0.32, 0.5, "Image", [], "data")
    student = _box(axes, "model", band[1] + 0.32, 0.5, "Student", ["no teacher, no text"], "model")
    attention = _box(axes, "output", upper, 0.42, "Attention map", [], "model")
    logits = _box(axes, "output", lower, 0.42, "Logits", [], "model")
    localization = _box(axes, "end", upper, 0.42, "Localisation", ["against ROI"], "loss")
    classification = _box(axes, "end", lower, 0.42, "Classification", ["against labels"], "loss")
    _across(axes, image, student, EDGE["model"])
    for output in (attention, logits):
        _arrow(
            axes,
            (student[0] + student[2], student[1] + student[3] / 2),
            (output[0], output[1] + output[3] / 2),
            EDGE["model"],
        )
    _across(axes, attention, localization, EDGE["model"])
    _across(axes, logits, classification, EDGE["model"])


def _band(axes: Axes, box: Box, title: str, colour: str) -> None:
    axes.add_patch(Rectangle(box[:2], *box[2:], facecolor=colour, edgecolor="none", zorder=0))
    axes.text(box[0] + 0.11, box[1] + box[3] - 0.13, title, weight="bold", fontsize=8, va="center")


def _box(axes: Axes, column: str, bottom: float, height: float, title: str, lines: list[str], kind: str) -> Box:
    """A box with a bold title and further lines, centred."""
    left, width = COLUMNS[column], WIDTHS[column]
    pad = 0.04
    patch = FancyBboxPatch(
        (left + pad, bottom + pad),
        width - 2 * pad,
        height - 2 * pad,
        boxstyle=f"round,pad={pad}",
        facecolor=FILL[kind],
        edgecolor=EDGE[kind],
        linewidth=0.8,
        zorder=2,
        gid=f"box {title}",
    )
    axes.add_patch(patch)
    top = bottom + height / 2 + len(lines) * LINE / 2
    axes.text(left + width / 2, top, title, weight="bold", ha="center", va="center", zorder=3)
    for number, line in enumerate(lines, start=1):
        axes.text(left + width / 2, top - number * LINE, line, fontsize=6.5, ha="center", va="center", zorder=3)
    return left, bottom, width, height


def _across(axes: Axes, start: Box, end: Box, colour: str) -> None:
    level = start[1] + start[3] / 2
    _arrow(axes, (start[0] + start[2], level), (end[0], level), colour)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 7, "shrinkA": 0.5, "shrinkB": 0.5, "linewidth": 1.0}
    axes.add_patch(FancyArrowPatch(start, end, color=colour, zorder=3, **style))


def _lines(domains: Mapping[str, Any], describe: Callable[[Mapping[str, Any]], str], letters: int) -> list[str]:
    """`domain: what its teacher is or reads`, broken where it is too long for its box."""
    sentences = [f"{domain_name(name)}: {describe(domain['teacher'])}" for name, domain in domains.items()]
    return [line for sentence in sentences for line in wrap(sentence, letters).split("\n")]


def _arm_lines(arm: Arm, letters: int) -> list[str]:
    """How an arm is taught, in a few short lines."""
    smoothed = " smoothed" if arm.smoothing else ""
    sentences = [f"labels{smoothed}" if "label" in arm.weights else "no labels"]
    parts = dict.fromkeys(LOSSES[name] for name in arm.weights if LOSSES[name])
    if parts:
        sentences.append(f"+ teacher's {' and '.join(parts)}")
    if arm.permuted:
        sentences.append("of other patients")
    if arm.teacher == "image":
        sentences.append("a student of another seed")
    if arm.teacher == "constant":
        sentences.append("same for every image")
    if arm.course:
        sentences.append(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in arm.course.items()))
    if arm.variant:
        sentences.append(f"({arm.variant.replace('_', ' ')})")
    return [line for sentence in sentences for line in wrap(sentence, letters).split("\n")]


def _caption(domains: Mapping[str, Any], titles: list[str]) -> str:
    sources = "; ".join(
        f"{domain_name(name)}: {PRIVILEGED[domain['teacher']['kind']]} of {cohort_name(domain['training'])}"
        for name, domain in domains.items()
    )
    out_of_fold = {domain["teacher"].get("targets", "out_of_fold") for domain in domains.values()} == {"out_of_fold"}
    folds = (
        " Its targets for a training patient come from a fold that did not hold that patient." if out_of_fold else ""
    )
    return (
        "Multimodal privileged knowledge distillation as run here. In training a teacher reads the privileged data "
        f"({sources}) and never an image; its logits and embedding are computed once and cached.{folds} The student is "
        "an image-only vision transformer; distillation moves its output towards the teacher's, and regions of "
        "interest (ROI) play no part. At test time the image alone is given: the student's attention map is compared "
        "with the ROI, and its logits with the labels. Arms: "
        f"{', '.join(titles)}. A schematic; it shows no data."
    )
