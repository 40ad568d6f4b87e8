"""Where students of the reference and of the primary arm look, on images that a rule picks and no hand."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.patheffects import Normal, Stroke

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import Design
from mmpkd.evaluation.cases import mean_map, mean_scores, ranked_gains, showable, united_roi
from mmpkd.evaluation.localization import upsample
from mmpkd.evaluation.matrices import select
from mmpkd.evaluation.reliance import marked_images
from mmpkd.evaluation.verdicts import signed
from mmpkd.files import read_npz
from mmpkd.imaging.store import ImageStore, roi_masks
from mmpkd.outputs.figure import PAGE, Drawing, new_figure, styled, words_alone, wrap
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.words import METHOD_NAMES, METRIC_NAMES, cell_name, cohort_name

COLOURS = "magma"
OPACITY = 0.6
CLIPPED = 99.5  # percentile of all maps at which the colour scale ends
PANEL = 1.0  # inches
PANEL_LETTERS = 18
MARKED_RULE = "median\nwith marker"


@dataclass(frozen=True)
class Example:
    """One image with its ROI and the arms' maps, S x S each."""

    domain: str
    cohort: str
    rule: str
    gain: float
    finding: str  # labels of the regions
    pixels: np.ndarray  # uint8
    roi: np.ndarray  # bool
    maps: Mapping[str, np.ndarray]  # arm -> attention, mean over seeds, 1 = a uniform map
    map_scores: Mapping[str, float]  # arm -> primary score, mean over seeds


def make(inputs: Inputs) -> Drawing:
    """The figure of `draw`, with examples from the image stores and the maps of all seeds."""
    evaluation, keys = inputs.evaluation, inputs.keys
    chosen = select_examples(showable(inputs.scores, keys["hidden"]), evaluation, inputs.design)
    folders = {cohort: [Path(folder) for folder in keys["pictures"][cohort]] for cohort in chosen["cohort"].unique()}
    attention = defaultdict(list)
    for (domain, arm, _, cohort), file in zip(keys["maps"], inputs.files["maps"], strict=True):
        if cohort in folders:
            attention[domain, arm, cohort].append(read_npz(file))
    stores = {cohort: ImageStore(paths) for cohort, paths in folders.items()}
    rois = {cohort: roi_masks(paths) for cohort, paths in folders.items()}
    examples = assemble(chosen, stores, rois, attention, evaluation.methods[0])
    drawn = draw(examples, evaluation, inputs.design, keys["withheld"], inputs.columns)
    return Drawing(*drawn, inputs.design, alt=_alt(examples, keys["withheld"], evaluation, inputs.design))


def select_examples(scores: pd.DataFrame, evaluation: Evaluation, design: Design) -> pd.DataFrame:
    """The test images with the highest, the median and the lowest gain, mean over seeds, of one cohort per domain.

    Where a phantom has a marker, also the image with the median gain among those that bear it.

    That cohort is the domain's training cohort or, if this has no ROI that were scored, the first of its further
    cohorts that has; a domain without any is left out. The median image is the lower of the middle two where the number
    is even; equal gains are ordered by image_id.

    Args:
        scores: the long table.
        evaluation: the primary score.
        design: cells, and the roles of the arms.

    Returns:
        domain, cohort, rule, image_id, gain, and the mean scores of the primary arm and the reference on that image, by
        the names of the arms; no row where the study has no primary arm.

    Raises:
        mmpkd.evaluation.matrices.MissingScores: the reference has no scores where the arm has.
    """
    score = evaluation.score()
    arms, rows = [arm for arm in (design.primary, design.reference) if arm], []
    for domain in design.domains:
        if design.primary is None:
            break
        scored = set(select(scores, domain=domain.name, arm=design.primary, **score.columns)["cohort"])
        cohort = next((name for name in domain.cohorts if name in scored), None)
        if cohort is None:
            continue
        cell = design.cell(domain.name, cohort)
        gains = ranked_gains(scores, cell, design.primary, design.reference, score)
        means = {arm: mean_scores(scores, cell, arm, score) for arm in arms}
        picked = {"best": gains.index[-1], "median": _middle(gains), "worst": gains.index[0]}
        marked = gains[gains.index.isin(marked_images(scores, cohort))]
        if len(marked):
            picked[MARKED_RULE] = _middle(marked)
        for rule, image in picked.items():
            of_arms = {name: mean[image] for name, mean in means.items()}
            names = {"domain": cell.domain, "cohort": cohort, "rule": rule, "image_id": image}
            rows.append({**names, "gain": gains[image], **of_arms})
    return pd.DataFrame(rows, columns=["domain", "cohort", "rule", "image_id", "gain", *arms])


def _middle(gains: pd.Series) -> str:
    return gains.index[(len(gains) - 1) // 2]


def assemble(
    chosen: pd.DataFrame,
    stores: Mapping[str, ImageStore],
    rois: Mapping[str, tuple[pd.DataFrame, np.ndarray]],
    attention: Mapping[tuple[str, str, str], Sequence[Mapping[str, np.ndarray]]],
    method: str,
) -> list[Example]:
    """Fetches what is drawn of the chosen images.

    Args:
        chosen: what `select_examples` returned.
        stores: the image store of each cohort.
        rois: for each cohort the rows of `rois.parquet` and the masks, M x S x S.
        attention: for each (domain, arm, cohort) the arrays of every seed's export.
        method: which of their maps.
    """
    examples = []
    for row in chosen.to_dict("records"):
        store = stores[row["cohort"]]
        pixels = store.pixels(store.positions([row["image_id"]]))[0]
        regions, _ = rois[row["cohort"]]
        roi = united_roi(rois[row["cohort"]], row["image_id"])
        finding = ", ".join(sorted(set(regions.loc[regions["image_id"] == row["image_id"], "label"])))
        arms = [arm for domain, arm, cohort in attention if (domain, cohort) == (row["domain"], row["cohort"])]
        exports = {arm: attention[row["domain"], arm, row["cohort"]] for arm in arms}
        maps = {arm: _mean_map(exports[arm], row["image_id"], method, len(pixels)) for arm in arms}
        scores = {arm: row[arm] for arm in arms}
        of_row = row["domain"], row["cohort"], row["rule"], row["gain"]
        examples.append(Example(*of_row, finding, pixels, roi, maps, scores))
    return examples


def _mean_map(exports: Sequence[Mapping[str, np.ndarray]], image_id: str, method: str, size: int) -> np.ndarray:
    """Mean over seeds, in multiples of a uniform map, at the size of the image."""
    return upsample(mean_map(exports, image_id, method)[None], size)[0]


@styled
def draw(
    examples: Sequence[Example],
    evaluation: Evaluation,
    design: Design,
    withheld: Collection[str] = (),
    columns: int = 2,
) -> tuple[Figure, str]:
    """One block per domain; a row per rule, columns the image with its ROI, then the arms' maps.

    Args:
        examples: what `assemble` returned.
        evaluation: primary metric and first method, for the words.
        design: the titles of the arms.
        withheld: cohorts of which no picture may be shown: their examples are left out, and the caption says so.
        columns: of a page that the figure fits.
    """
    shown = [example for example in examples if example.cohort not in withheld]
    missing = sorted({example.cohort for example in examples} & set(withheld))
    if not shown:
        return _nothing_to_show(missing, design)
    domains = list(dict.fromkeys(example.domain for example in shown))
    words = max(text.count("\n") for example in shown for text in _below(example, evaluation, design)) + 1
    across = min(len(domains), columns)
    # Rows of blocks side by side are level.
    below = partial(_below, evaluation=evaluation, design=design, lines=words if across > 1 else 0)
    lines = ceil(len(domains) / across)
    depth = max(sum(example.domain == domain for example in shown) for domain in domains)
    height = lines * min(depth * (PANEL + 0.12 * words + 0.12) + 0.4, (PAGE - 0.5) / lines)
    figure = new_figure(across, height + 0.5)
    top = max(np.percentile([values for example in shown for values in example.maps.values()], CLIPPED), 1.0)
    scale = ScalarMappable(Normalize(0, top), COLOURS)
    (pictures,), (bar,) = figure.subfigures(2, 1, squeeze=False, height_ratios=[height, 0.5])
    blocks = np.atleast_1d(pictures.subfigures(lines, across)).ravel()
    for block, domain in zip(blocks, domains, strict=False):
        of_domain = [example for example in shown if example.domain == domain]
        _draw_block(block, of_domain, depth, scale, below, design)
    _draw_scale(bar, top)
    return figure, _caption(shown, missing, evaluation, design)


def _draw_block(
    block: SubFigure,
    examples: Sequence[Example],
    depth: int,
    scale: ScalarMappable,
    below: Callable[[Example], list[str]],
    design: Design,
) -> None:
    """The rows of one domain, above as many empty ones as make `depth`; `below`: the words below the panels."""
    arms = design.order(examples[0].maps)
    panels = block.subplots(depth, 1 + len(arms), squeeze=False)
    for axes in panels[len(examples) :].flat:
        axes.set_axis_off()
    block.suptitle(cell_name(design.cell(examples[0].domain, examples[0].cohort), design), fontsize=7.5, weight="bold")
    for row, example in zip(panels, examples, strict=False):
        for axes in row:
            axes.imshow(example.pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(f"{example.rule}\ngain {signed(example.gain, 2)}")
        for axes, arm in zip(row[1:], arms, strict=True):
            axes.imshow(example.maps[arm], cmap=scale.cmap, norm=scale.norm, alpha=OPACITY, interpolation="nearest")
        for axes, words in zip(row, below(example), strict=True):
            _outline(axes, example.roi)
            axes.set_xlabel(words, labelpad=2)
    for axes, title in zip(panels[0], ["image", *map(design.title, arms)], strict=True):
        axes.set_title(title, weight="normal", loc="center", fontsize=7)


def _below(example: Example, evaluation: Evaluation, design: Design, lines: int = 0) -> list[str]:
    """The finding, then the score of each arm, for the words below the panels; all of as many lines, at least."""
    metric = METRIC_NAMES[evaluation.metric]
    scores = [f"{metric} {example.map_scores[arm]:.2f}" for arm in design.order(example.maps)]
    texts = [wrap(text, PANEL_LETTERS) for text in (example.finding, *scores)]
    return [text + "\n" * (lines - text.count("\n") - 1) for text in texts]


def _outline(axes: Axes, roi: np.ndarray) -> None:
    """White on black, so that it shows on dark and on light; the border of the image is no border of the ROI."""
    padded = np.pad(roi.astype(float), 1)
    places = np.arange(-1, len(roi) + 1)
    effects = [Stroke(linewidth=2.0, foreground="black"), Normal()]
    axes.contour(places, places, padded, levels=[0.5], colors="white", linewidths=0.9).set_path_effects(effects)
    axes.set(xlim=(-0.5, len(roi) - 0.5), ylim=(len(roi) - 0.5, -0.5))


def _draw_scale(figure: SubFigure, top: float) -> None:
    """The colours as they look over mid-grey, which is what the maps lie on."""
    axes = figure.add_axes((0.3, 0.72, 0.4, 0.18), facecolor="#808080")
    values = np.linspace(0, top, 256)
    axes.imshow(values[None], cmap=COLOURS, vmin=0, vmax=top, alpha=OPACITY, aspect="auto", extent=(0, top, 0, 1))
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_xlabel("attention, multiples of a uniform map", labelpad=1)


def _caption(shown: Sequence[Example], missing: Sequence[str], evaluation: Evaluation, design: Design) -> str:
    assert design.primary is not None  # whose gains chose the images
    metric = METRIC_NAMES[evaluation.metric]
    arms = ", ".join(map(design.title, design.order(shown[0].maps)))
    reference, arm = design.title(design.reference), design.title(design.primary)
    marked = (
        ", and the median one of those that bear the planted marker" if MARKED_RULE in {e.rule for e in shown} else ""
    )
    return (
        f"Attention maps on test images of one cohort a domain (that of training, if it has regions of interest, ROI), "
        f"picked by rule: of all images with ROI that may be shown those with the best, the median and the worst gain "
        f"of {arm} over {reference} in {metric}, mean over seeds{marked}. Columns: the image; then, over it, the "
        f"{METHOD_NAMES[evaluation.methods[0]]} map of each arm ({arms}), mean over seeds, interpolated from the patch "
        f"grid, in multiples of a uniform map; one colour scale for all, ending at the {CLIPPED}th percentile. "
        f"Outline: ROI, with its finding below the image. Left of a row: its gain in {metric}; below a map: {metric} "
        f"of that arm's students on the image, mean over seeds (not the score of the mean map). n: {len(shown)} "
        "images. Extremes are not typical, and a few images show no effect: see the figure of localisation."
        + _withheld_words(missing, design)
    )


def _alt(examples: Sequence[Example], withheld: Collection[str], evaluation: Evaluation, design: Design) -> str:
    assert design.primary is not None  # whose gains chose the images
    of_cell: dict[str, list[str]] = {}
    for example in examples:
        if example.cohort not in withheld:
            name = cell_name(design.cell(example.domain, example.cohort), design)
            of_cell.setdefault(name, []).append(f"{example.rule} {signed(example.gain, 2)}".replace("\n", " "))
    found = "; ".join(f"{name}: {', '.join(gains)}" for name, gains in of_cell.items())
    what = f"gain of {design.title(design.primary)} over {design.title(design.reference)}"
    return (
        f"Images under attention maps, picked by their {what} in {METRIC_NAMES[evaluation.metric]}. {found or 'None'}."
    )


def _nothing_to_show(missing: Sequence[str], design: Design) -> tuple[Figure, str]:
    return words_alone("No picture is shown."), "Attention maps on test images." + _withheld_words(missing, design)


def _withheld_words(missing: Sequence[str], design: Design) -> str:
    if not missing:
        return ""
    names = ", ".join(cohort_name(name, design) for name in missing)
    return f" Left out, because pictures of the cohort may not be shown: {names}."
