"""The method as a picture: what is there in training, and what is left at test time."""

from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from mmpkd.config.students import LOSSES, Arm
from mmpkd.design import Design
from mmpkd.outputs.figure import GREY, LETTERS, PAGE, WIDTHS, Drawing, arm_marks, left_out, styled, wrap
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.words import cohort_name, domain_name

# All lengths are inches: the axes fill the figure.
LINE = 0.135
BAND = {"training": "#eef4f9", "test": "#f5f1ea"}
FILL = {"data": "#ffffff", "privileged": "#fdeadd", "model": "#dcebf5", "loss": "#ececec"}
EDGE = {"data": GREY, "privileged": "#D55E00", "model": "#0072B2", "loss": GREY}
STEPS = ("source", "model", "output", "end")  # of teacher and student, from left to right or from top to bottom
LEFTS, STEP_WIDTHS = (0.16, 2.16, 4.0, 5.68), (1.62, 1.46, 1.3, 1.36)  # of the steps side by side
LANES, LANE_WIDTH = (0.14, 1.75), 1.4  # of teacher and student side by side
BOX_LETTERS = {1: {"source": 24, "model": 24}, 2: {"source": 30, "model": 26}}  # that fit a line of a box
ARMS_START, ARMS_ABREAST = {1: 0.0, 2: 1.42}, {1: 2, 2: 4}  # in one column the arms stand below their heading
HEADING = {1: 0.36, 2: 0.0}
AROUND = {1: 0.54, 2: 0.72}  # the boxes and the arms of training
TEST_HEIGHT = {1: 1.85, 2: 1.3}
PRIVILEGED = {"text": "reports", "tabular": "case descriptions"}
TEACHERS = {
    "text": "text encoder",
    "mlp": "network",
    "gradient_boosting": "boosted trees",
    "logistic": "logistic model",
}

DASHED: dict[str, Any] = {"color": GREY, "linewidth": 0.9, "linestyle": (0, (4, 2)), "zorder": 1}
GRADIENT = "gradient, to the student alone"

Box = tuple[float, float, float, float]  # left, bottom, width, height
Row = list[tuple[str, list[str]]]  # arms side by side, and their words


def make(inputs: Inputs) -> Drawing:
    """The figure of `draw`, from the configuration alone: no cohort is in it, fabricated or not."""
    alt = (
        "Schematic. In training a teacher reads the privileged data, and an image-only student learns from the labels "
        f"and the teacher's cached targets, in {len(inputs.study['arms'])} arms. At test time the student sees the "
        "image alone: its attention map is compared with regions of interest, its logits with labels."
    )
    return Drawing(*draw(inputs.study, inputs.columns), alt=alt)


@styled
def draw(study: Mapping[str, Any], columns: int = 2) -> tuple[Figure, str]:
    """The schematic and its caption: steps from left to right or, in one column, from top to bottom.

    Args:
        study: the configuration as plain values: `domains`, `arms` and `design`; `imaging` for an image's size.
        columns: of a page that the figure fits.
    """
    domains, design = study["domains"], Design.of(study)
    arms = {name: Arm.model_validate(arm) for name, arm in study["arms"].items()}
    letters = BOX_LETTERS[columns]
    facts = {
        "source": _lines(domains, lambda teacher: PRIVILEGED[teacher["kind"]], letters["source"]),
        "model": _lines(domains, lambda teacher: TEACHERS[teacher.get("model", teacher["kind"])], letters["model"]),
    }
    tall = (max(map(len, facts.values())) + 1) * LINE + 0.24
    boxes, boxes_height = (_boxes_down if columns == 1 else _boxes_across)(tall)
    width, test_height = WIDTHS[columns], TEST_HEIGHT[columns]
    around = test_height + 0.16 + boxes_height + AROUND[columns]
    rows = _fitting_rows(_arm_rows(arms, design, columns), PAGE - around - HEADING[columns])
    arms_height = max(sum(map(_row_height, rows)) + HEADING[columns], 0.54)
    training_height, height = boxes_height + AROUND[columns] + arms_height, around + arms_height
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    band = (0.05, test_height + 0.11, width - 0.1, training_height)
    _band(axes, band, "Training", BAND["training"])
    top = band[1] + band[3] - 0.34
    places = {name: (x, top - y, across, down) for name, (x, y, across, down) in boxes.items()}
    _draw_training(axes, study, facts, places, columns)
    _draw_arms(axes, rows, design, (LEFTS[0], band[1] + 0.08, _arm_step(len(arms), columns), arms_height), columns)
    _draw_test(axes, (0.05, 0.05, width - 0.1, test_height - 0.02), columns)
    drawn = [arm for row in rows for arm, _ in row]
    return figure, _caption(domains, arms, design) + left_out(drawn, list(arms), None, design)


def _boxes_across(tall: float) -> tuple[dict[tuple[str, str], Box], float]:
    """The boxes by lane and step, teacher above student, and the depth of all; the second number is the depth of each.

    Args:
        tall: height of the boxes that name the teachers.
    """
    places = dict(zip(STEPS, zip(LEFTS, STEP_WIDTHS, strict=True), strict=True))
    boxes = {}
    for step, (left, width) in places.items():
        boxes["teacher", step] = (left, tall, width, tall)
        boxes["student", step] = (left, tall + 0.86, width, 0.6)
    return boxes, tall + 0.86


def _boxes_down(tall: float) -> tuple[dict[tuple[str, str], Box], float]:
    """The same with the teacher left of the student."""
    boxes, depth = {}, 0.0
    for step, height in zip(STEPS, (tall, tall, 0.5, 0.6), strict=True):
        depth += height
        for lane, left in zip(("teacher", "student"), LANES, strict=True):
            boxes[lane, step] = (left, depth, LANE_WIDTH, height)
        depth += 0.2
    return boxes, depth - 0.2


def _draw_training(
    axes: Axes, study: Mapping[str, Any], facts: dict[str, list[str]], boxes: dict[tuple[str, str], Box], columns: int
) -> None:
    size = [f"{study['imaging']['size']} x {study['imaging']['size']} pixels"] if "imaging" in study else []
    words = {
        ("teacher", "source"): ("Privileged data", facts["source"], "privileged"),
        ("teacher", "model"): ("Teacher", facts["model"], "privileged"),
        ("teacher", "output"): ("Cached targets", ["logits, embedding"], "privileged"),
        ("teacher", "end"): ("Distillation loss", ["student's output", "to targets"], "loss"),
        ("student", "source"): ("Image", size, "data"),
        ("student", "model"): ("Student", ["vision transformer"], "model"),
        ("student", "output"): ("Student's output", ["logits, embedding"], "model"),
        ("student", "end"): ("Label loss", ["student's logits", "to labels"], "loss"),
    }
    for place, (title, lines, kind) in words.items():
        _box(axes, boxes[place], title, lines, kind)
    for lane, colour in (("teacher", EDGE["privileged"]), ("student", EDGE["model"])):
        for start, end in pairwise(STEPS):
            _connect(axes, boxes[lane, start], boxes[lane, end], colour)
    output, loss = boxes["student", "output"], boxes["teacher", "end"]
    if columns == 1:
        _arrow(axes, (output[0] + 0.2, output[1]), (loss[0] + loss[2] - 0.2, loss[1] + loss[3]), EDGE["model"])
    else:
        _arrow(axes, (output[0] + output[2], output[1] + 0.48), (loss[0], loss[1] + 0.08), EDGE["model"])
    (_gradient_up if columns == 1 else _gradient_back)(axes, boxes["student", "model"], boxes["student", "end"], loss)


def _gradient_back(axes: Axes, student: Box, labels: Box, distillation: Box) -> None:
    """A dashed way from both losses back to the student, below the boxes."""
    start, end = labels[0] + labels[2] / 2, student[0] + student[2] / 2
    top, bottom, losses_meet = labels[1] + labels[3], labels[1], distillation[1]
    level = bottom - 0.14
    axes.plot([start, start], [top, losses_meet], **DASHED)
    axes.text(start + 0.07, (top + losses_meet) / 2, "+", color=GREY, fontsize=9, va="center")
    axes.plot([start, start, end, end], [bottom, level, level, bottom - 0.09], **DASHED)
    _arrow(axes, (end, bottom - 0.1), (end, bottom), GREY)
    axes.text((start + end) / 2, level - 0.03, GRADIENT, color=GREY, fontsize=6.5, ha="center", va="top")


def _gradient_up(axes: Axes, student: Box, labels: Box, distillation: Box) -> None:
    """The same, right of the boxes."""
    right, left = student[0] + student[2], distillation[0] + distillation[2]
    start, end = labels[1] + labels[3] / 2, student[1] + student[3] / 2
    axes.plot([left, labels[0]], [start, start], **DASHED)
    axes.text((left + labels[0]) / 2, start + 0.03, "+", color=GREY, fontsize=9, ha="center", va="bottom")
    axes.plot([right, right + 0.1, right + 0.1], [start, start, end], **DASHED)
    _arrow(axes, (right + 0.1, end), (right, end), GREY)
    axes.text(right + 0.13, (start + end) / 2, GRADIENT, color=GREY, fontsize=6.5, va="center", rotation=270)


def _draw_arms(axes: Axes, rows: list[Row], design: Design, box: Box, columns: int) -> None:
    """What distinguishes the arms, a few in a row; the width of `box` is that of one arm."""
    left, bottom, step, height = box
    axes.text(left, bottom + height - 0.1, "Arms", weight="bold", va="center")
    same = "same seed, first weights and data order"
    for number, line in enumerate((same if columns == 1 else wrap(same, 24)).split("\n")):
        axes.text(left, bottom + height - 0.26 - 0.13 * number, line, color=GREY, fontsize=6.5, va="center")
    marks = arm_marks([arm for row in rows for arm, _ in row], design)
    top = bottom + height - HEADING[columns]
    for row in rows:
        for place, (arm, lines) in enumerate(row):
            x = left + ARMS_START[columns] + place * step + 0.05
            axes.plot(x, top - 0.1, marks[arm].marker, color=marks[arm].colour)
            axes.text(x + 0.1, top - 0.1, design.title(arm), weight="bold", va="center")
            for number, line in enumerate(lines):
                axes.text(x + 0.1, top - 0.26 - 0.13 * number, line, fontsize=6.5, va="center")
        top -= _row_height(row)


def _arm_step(arms: int, columns: int) -> float:
    return (WIDTHS[columns] - 0.32 - ARMS_START[columns]) / min(arms, ARMS_ABREAST[columns])


def _arm_rows(arms: Mapping[str, Arm], design: Design, columns: int) -> list[Row]:
    letters, abreast = int(_arm_step(len(arms), columns) * LETTERS), ARMS_ABREAST[columns]
    words = [(arm, _arm_lines(arms[arm], letters)) for arm in design.order(arms)]
    return [words[start : start + abreast] for start in range(0, len(words), abreast)]


def _row_height(row: Row) -> float:
    return 0.2 + 0.13 * max(len(lines) for _, lines in row)


def _fitting_rows(rows: list[Row], inches: float) -> list[Row]:
    """The first of the rows that fit that height, at least one."""
    ends = accumulate(map(_row_height, rows))
    return rows[: max(sum(end <= inches for end in ends), 1)]


def _draw_test(axes: Axes, band: Box, columns: int) -> None:
    _band(axes, band, "Test: the image alone", BAND["test"])
    bottom = band[1]
    if columns == 1:
        (left, right), width = LANES, LANE_WIDTH
        image, student = (left, bottom + 1.15, width, 0.42), (right, bottom + 1.15, width, 0.42)
        attention, logits = (left, bottom + 0.62, width, 0.36), (right, bottom + 0.62, width, 0.36)
        ends = [(left, bottom + 0.06, width, 0.42), (right, bottom + 0.06, width, 0.42)]
    else:
        image, student = ((LEFTS[k], bottom + 0.32, STEP_WIDTHS[k], 0.5) for k in (0, 1))
        attention, logits = ((LEFTS[2], bottom + y, STEP_WIDTHS[2], 0.42) for y in (0.6, 0.1))
        ends = [(LEFTS[3], bottom + y, STEP_WIDTHS[3], 0.42) for y in (0.6, 0.1)]
    _box(axes, image, "Image", [], "data")
    _box(axes, student, "Student", ["no teacher, no text"], "model")
    _connect(axes, image, student, EDGE["model"])
    words = (("Attention map", "Localisation", "against ROI"), ("Logits", "Classification", "against labels"))
    for output, end, (title, score, against) in zip((attention, logits), ends, words, strict=True):
        _box(axes, output, title, [], "model")
        _box(axes, end, score, [against], "loss")
        _connect(axes, student, output, EDGE["model"])
        _connect(axes, output, end, EDGE["model"])


def _band(axes: Axes, box: Box, title: str, colour: str) -> None:
    axes.add_patch(Rectangle(box[:2], *box[2:], facecolor=colour, edgecolor="none", zorder=0))
    axes.text(box[0] + 0.11, box[1] + box[3] - 0.13, title, weight="bold", fontsize=8, va="center")


def _box(axes: Axes, box: Box, title: str, lines: list[str], kind: str) -> None:
    """A box with a bold title and further lines, centred."""
    left, bottom, width, height = box
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


def _connect(axes: Axes, start: Box, end: Box, colour: str) -> None:
    """An arrow to a box on the right, or to one further down."""
    if end[0] >= start[0] + start[2]:
        _arrow(axes, (start[0] + start[2], start[1] + start[3] / 2), (end[0], end[1] + end[3] / 2), colour)
    else:
        _arrow(axes, (start[0] + start[2] / 2, start[1]), (end[0] + end[2] / 2, end[1] + end[3]), colour)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 7, "shrinkA": 0.5, "shrinkB": 0.5, "linewidth": 1.0}
    axes.add_patch(FancyArrowPatch(start, end, color=colour, zorder=3, **style))


def _lines(domains: Mapping[str, Any], describe: Callable[[Mapping[str, Any]], str], letters: int) -> list[str]:
    """`domains: what their teacher is or reads`, without names where all are alike; broken to fit a box."""
    alike: dict[str, list[str]] = {}
    for name, domain in domains.items():
        alike.setdefault(describe(domain["teacher"]), []).append(domain_name(name))
    sentences = [f"{', '.join(names)}: {what}" if len(alike) > 1 else what for what, names in alike.items()]
    return [line for sentence in sentences for line in wrap(sentence, letters).split("\n")]


def _arm_lines(arm: Arm, letters: int) -> list[str]:
    """How an arm is taught, in a few short lines."""
    smoothed = " smoothed" if arm.smoothing else ""
    sentences = [f"labels{smoothed}" if "label" in arm.weights else "no labels"]
    parts = dict.fromkeys(LOSSES[name] for name in arm.weights if LOSSES[name])
    if parts:
        sentences.append(f"+ teacher's {' and '.join(parts)}{' of other patients' if arm.permuted else ''}")
    if arm.teacher == "image":
        sentences.append("a student of another seed")
    if arm.teacher == "constant":
        sentences.append("same for every image")
    if arm.course:
        sentences.append(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in arm.course.items()))
    if arm.variant:
        sentences.append(f"({arm.variant.replace('_', ' ')})")
    return [line for sentence in sentences for line in wrap(sentence, letters).split("\n")]


def _caption(domains: Mapping[str, Any], arms: Mapping[str, Arm], design: Design) -> str:
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
        f"{', '.join(map(design.title, design.order(arms)))}. A schematic; it shows no data."
    )
