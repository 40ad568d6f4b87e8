"""The attention viewer: which test images it shows, picked by a rule, and all that the page needs of them."""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from PIL import Image
from skimage.measure import approximate_polygon, find_contours

from mmpkd.cohorts.tables import read_tables
from mmpkd.config.evaluation import Evaluation
from mmpkd.design import IN_DOMAIN, Cell, Design
from mmpkd.evaluation.cases import mean_map, mean_probabilities, mean_scores, ranked_gains, united_roi
from mmpkd.evaluation.matrices import select
from mmpkd.evaluation.reliance import marked_images
from mmpkd.evaluation.verdicts import signed
from mmpkd.files import read_npz
from mmpkd.imaging.store import ImageStore, roi_masks
from mmpkd.outputs.words import METHOD_NAMES, METRIC_NAMES, cell_name
from mmpkd.report.phantoms import record_words
from mmpkd.results import Results

CASES_A_CELL = 8
CASES = 96  # in all: what keeps the page small where there are many cells
LARGEST = 256  # pixels per side of a picture
COLOURS = "magma"  # rises in lightness throughout: reads alike with any colour vision
STEPS = 64
CLIPPED = 99.5  # percentile of a method's patches at which the colours end


@dataclass(frozen=True)
class Sources:
    """Where pictures, ROI and maps are read from."""

    shards: Mapping[str, Sequence[str]]  # cohort -> folders of its image store
    results: Results
    seeds: Sequence[int]


@dataclass(frozen=True)
class Viewer:
    """Names for the controls, and the cases as plain values for the page's script."""

    arms: dict[str, str]
    methods: dict[str, str]
    cells: list[dict[str, Any]]  # name, and the numbers of its cases
    withheld: list[str]  # cohorts whose pictures may not be shown
    rule: str
    data: dict[str, Any]


def viewer(
    scores: pd.DataFrame,
    evaluation: Evaluation,
    design: Design,
    sources: Sources,
    withheld: Collection[str] = (),
) -> Viewer:
    """Everything that the viewer shows.

    Args:
        scores: the long table.
        evaluation: primary metric and attention methods.
        design: the cells, and the roles of the arms: cases are ranked by the primary arm's gain over the reference.
        sources: where pictures, ROI and maps lie.
        withheld: cohorts of which no picture may be shown; none of their cases is in the page.
    """
    cells = scored_cells(scores, evaluation, design)
    shown = [cell for cell in cells if cell.cohort not in withheld]
    a_cell = min(CASES_A_CELL, max(CASES // max(len(shown), 1), 2))
    listed: list[dict[str, Any]] = []
    cases: list[dict[str, Any]] = []
    for cell in shown:
        found = _cases(scores, evaluation, cell, a_cell, sources, design)
        listed.append({"name": cell_name(cell, design), "cases": [len(cases) + k for k in range(len(found))]})
        cases += found
    listed = [cell for cell in listed if cell["cases"]]  # no image of a cell may have a score from every seed
    arms = design.order({arm for case in cases for of_method in case["maps"].values() for arm in of_method})
    data = {
        "reference": design.reference,
        "arms": {arm: design.title(arm) for arm in arms},
        "methods": {method: METHOD_NAMES[method] for method in evaluation.methods},
        "metric": METRIC_NAMES[evaluation.metric],
        "colours": np.round(255 * colormaps[COLOURS](np.linspace(0, 1, STEPS))[:, :3]).astype(int).tolist(),
        "tops": {method: _top(cases, method) for method in evaluation.methods},
        "cells": listed,
        "start": first_shown(cases),
        "cases": cases,
    }
    missing = sorted({cell.cohort for cell in cells} & set(withheld))
    return Viewer(data["arms"], data["methods"], listed, missing, _rule_words(evaluation, a_cell, design), data)


def scored_cells(scores: pd.DataFrame, evaluation: Evaluation, design: Design) -> list[Cell]:
    """Every cell in which the primary arm and the reference were scored, a domain's own modality first.

    Args:
        scores: the long table.
        evaluation: the primary score.
        design: cells, and the roles of the arms.
    """
    rows = select(scores, **evaluation.score().columns)
    scored = set(zip(rows["domain"], rows["cohort"], rows["arm"], strict=True))
    arms = (design.primary, design.reference)
    return [cell for cell in design.cells if all((cell.domain, cell.cohort, arm) in scored for arm in arms)]


def first_shown(cases: Sequence[Mapping[str, Any]]) -> int:
    """The number of the case that shows the study's point.

    That is the marked image with the largest gain among those of the cohorts of training, if there is one, else the
    case of the median rank in the first cell.
    """
    marked = [number for number, case in enumerate(cases) if case["marked"] and case["home"]]
    if marked:
        return max(marked, key=lambda number: cases[number]["gain"])
    return next((number for number, case in enumerate(cases) if case["median"]), 0)


def evenly_spaced(number: int, count: int) -> list[int]:
    """At most `count` of the ranks 0 to number - 1, the first and the last among them, evenly spaced.

    Args:
        number: of all ranks.
        count: that are kept.
    """
    return np.unique(np.round(np.linspace(0, number - 1, min(count, number)))).astype(int).tolist()


def outline(roi: np.ndarray) -> str:
    """The border of an ROI (S x S bool) as an SVG path in pixels; the image's border closes an ROI that reaches it."""
    parts = []
    for contour in find_contours(np.pad(roi, 1).astype(float), 0.5):
        points = approximate_polygon(contour, 0.05)[:-1, ::-1] - 0.5  # less the padding, plus half a pixel
        parts.append("M" + "L".join(f"{x:.4g} {y:.4g}" for x, y in points) + "Z")
    return "".join(parts)


def picture(pixels: np.ndarray) -> str:
    """S x S uint8 as a PNG of at most LARGEST pixels per side, base64."""
    image = Image.fromarray(pixels)
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _cases(
    scores: pd.DataFrame, evaluation: Evaluation, cell: Cell, count: int, sources: Sources, design: Design
) -> list[dict[str, Any]]:
    """The cases of one cell, the highest gain first: evenly spaced ranks, the median, and the best that is marked."""
    assert design.primary is not None  # or no cell had its scores
    marked = marked_images(scores, cell.cohort)
    scores = select(scores, domain=cell.domain, cohort=cell.cohort)
    lead = select(scores, metric=evaluation.metric, label="any")
    gains = ranked_gains(lead, cell, design.primary, design.reference, evaluation.score())[::-1]
    middle, bears = len(gains) // 2, gains.index.isin(marked)
    further = {middle, *np.flatnonzero(bears)[:1].tolist()} if len(gains) else set()
    ranks = sorted({*evenly_spaced(len(gains), count), *further})
    images = gains.index[ranks]
    pictures = _pictures(sources, cell.cohort, images, images[bears[ranks]], cell.cohort in design.phantoms)
    looks = _looks(lead, evaluation, cell, design.order(lead["arm"].unique()), images, sources)
    ranked_by = METHOD_NAMES[evaluation.methods[0]]  # whatever map is looked at
    cases = []
    for rank, seen, look in zip(ranks, pictures, looks, strict=True):
        title = f"rank {rank + 1:,} of {len(gains):,}, gain {signed(gains.iloc[rank], 2)} ({ranked_by})"
        title += ", with marker" if bears[rank] else ""
        facts = {"gain": round(float(gains.iloc[rank]), 6), "marked": bool(bears[rank]), "median": rank == middle}
        facts["home"] = cell.relation == IN_DOMAIN
        cases.append({"cell": cell_name(cell, design), "title": title, **facts, **seen, **look})
    return cases


def _pictures(
    sources: Sources, cohort: str, image_ids: pd.Index, marked: pd.Index, fabricated: bool
) -> list[dict[str, Any]]:
    """Picture, its size in the store, the borders of its ROI and marker, its findings and, of a phantom, its record."""
    folders = sources.shards[cohort]
    store, rois = ImageStore(folders), roi_masks(folders)
    markers = roi_masks([sources.results.twin_folder(cohort)]) if len(marked) else None
    tables = read_tables(sources.results.cohort_folder(cohort)) if fabricated else None
    pictures = []
    for image_id, pixels in zip(image_ids, store.pixels(store.positions(image_ids)), strict=True):
        findings = sorted(rois[0].loc[rois[0]["image_id"] == image_id, "label"].unique())
        pictures.append(
            {
                "image": picture(pixels),
                "size": len(pixels),
                "outline": outline(united_roi(rois, image_id)),
                "marker": outline(united_roi(markers, image_id)) if markers and image_id in marked else "",
                "findings": findings,
                "record": record_words(tables, image_id, findings) if tables else "",
            }
        )
    return pictures


def _looks(
    scores: pd.DataFrame,
    evaluation: Evaluation,
    cell: Cell,
    arms: Sequence[str],
    image_ids: pd.Index,
    sources: Sources,
) -> list[dict[str, Any]]:
    """For each image what the arms see: maps and scores of each method, and the probability of each label.

    A map has its rows from the top, in multiples of a uniform map.
    """
    looks: list[dict[str, dict[str, Any]]] = [
        {"chances": {}, **{kind: {method: {} for method in evaluation.methods} for kind in ("maps", "scores")}}
        for _ in image_ids
    ]
    for arm in arms:
        files = [sources.results.attention(cell.domain, arm, seed, cell.cohort) for seed in sources.seeds]
        exports = [read_npz(file) for file in files]
        for image_id, look in zip(image_ids, looks, strict=True):
            look["chances"][arm] = mean_probabilities(exports, image_id)
        for method in evaluation.methods:
            of_images = mean_scores(scores, cell, arm, evaluation.score(method))
            for image_id, look in zip(image_ids, looks, strict=True):
                score = of_images.get(image_id, np.nan)
                # A patch that is not finite has no score either, and JSON has no word for it.
                shares = np.nan_to_num(mean_map(exports, image_id, method), posinf=0, neginf=0)
                look["maps"][method][arm] = np.round(shares, 2).tolist()
                look["scores"][method][arm] = None if np.isnan(score) else round(float(score), 4)
    return looks


def _top(cases: Sequence[Mapping[str, Any]], method: str) -> float:
    """Where the colours end, for all cases and arms alike."""
    patches = [np.ravel(one) for case in cases for one in case["maps"][method].values()]
    return round(max(float(np.percentile(np.concatenate(patches), CLIPPED)), 1.5), 2) if patches else 1.5


def _rule_words(evaluation: Evaluation, count: int, design: Design) -> str:
    if design.primary is None:
        return "Cases are ranked by the gain of the primary arm, and this study has none."
    arm, reference = design.title(design.primary), design.title(design.reference)
    return (
        f"The test images of a cell (training domain and cohort) that may be shown are ranked by the gain of {arm} "
        f"over {reference} in {METRIC_NAMES[evaluation.metric]} of the {METHOD_NAMES[evaluation.methods[0]]} map, "
        f"mean over seeds; rank 1 is the best. Up to {count} evenly spaced ranks are shown, the best and the worst "
        "among them, the median, and the best of the images with a marker. Maps are means over seeds, in multiples of "
        "a uniform map, interpolated from the patch grid. Scores and probabilities are means over seeds, not of the "
        "mean map. A single case shows no effect; the claims test it."
    )
