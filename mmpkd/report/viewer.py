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

from mmpkd.config.evaluation import Evaluation
from mmpkd.evaluation.cases import mean_map, mean_scores, ranked_gains, united_roi
from mmpkd.evaluation.matrices import select
from mmpkd.files import read_npz
from mmpkd.imaging.store import ImageStore, roi_masks
from mmpkd.plotting.style import METHOD_NAMES, METRIC_NAMES, arm_name, order_arms
from mmpkd.results import Results

ARM, REFERENCE = "mmpkd", "baseline"  # the cases are ranked by the gain of the first over the second
CASES_A_CELL = 8
CASES = 96  # in all: what keeps the page small where there are many cells
LARGEST = 256  # pixels a side of a picture
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
    cells: list[dict[str, Any]]  # name, and its cases: title and number
    withheld: list[str]  # cohorts whose pictures may not be shown
    rule: str
    data: dict[str, Any]


def viewer(
    scores: pd.DataFrame,
    evaluation: Evaluation,
    domains: Mapping[str, Mapping[str, Any]],
    sources: Sources,
    withheld: Collection[str] = (),
) -> Viewer:
    """Everything that the viewer shows.

    Args:
        scores: the long table.
        evaluation: primary metric and attention methods.
        domains: for each domain `training` and `cohorts`.
        sources: where pictures, ROI and maps lie.
        withheld: cohorts of which no picture may be shown; none of their cases is in the page.
    """
    cells = scored_cells(scores, evaluation, domains)
    shown = [cell for cell in cells if cell[1] not in withheld]
    a_cell = min(CASES_A_CELL, max(CASES // max(len(shown), 1), 2))
    listed, cases = [], []
    for domain, cohort in shown:
        found = _cell(scores, evaluation, domain, cohort, a_cell, sources)
        numbered = [{"title": case["title"], "number": len(cases) + k} for k, case in enumerate(found)]
        listed.append({"name": _cell_name(domain, cohort), "cases": numbered})
        cases += found
    arms = order_arms({arm for case in cases for of_method in case["maps"].values() for arm in of_method})
    data = {
        "arm": ARM,
        "reference": REFERENCE,
        "arms": {arm: arm_name(arm) for arm in arms},
        "methods": {method: METHOD_NAMES[method] for method in evaluation.methods},
        "metric": METRIC_NAMES[evaluation.metric],
        "colours": np.round(255 * colormaps[COLOURS](np.linspace(0, 1, STEPS))[:, :3]).astype(int).tolist(),
        "tops": {method: _top(cases, method) for method in evaluation.methods},
        "cases": cases,
    }
    missing = sorted({cohort for _, cohort in cells} & set(withheld))
    listed = [cell for cell in listed if cell["cases"]]  # no image of a cell may have a score from every seed
    return Viewer(data["arms"], data["methods"], listed, missing, _rule_words(evaluation, a_cell), data)


def scored_cells(
    scores: pd.DataFrame, evaluation: Evaluation, domains: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, str]]:
    """Training domain and cohort of every cell in which both arms were scored, a domain's own modality first."""
    chosen = _chosen(evaluation, evaluation.methods[0])
    by_domain = {domain: [facts["training"], *facts.get("cohorts", ())] for domain, facts in domains.items()}
    cells = []
    for domain, own in by_domain.items():
        others = [cohort for name, cohorts in by_domain.items() if name != domain for cohort in cohorts]
        pair = [set(select(scores, domain=domain, arm=arm, **chosen)["cohort"]) for arm in (ARM, REFERENCE)]
        cells += [(domain, cohort) for cohort in (*own, *others) if cohort in pair[0] & pair[1]]
    return cells


def evenly_spaced(number: int, count: int) -> list[int]:
    """At most `count` of the ranks 0 to number - 1, the first and the last among them, evenly spaced."""
    return np.unique(np.round(np.linspace(0, number - 1, min(count, number)))).astype(int).tolist()


def outline(roi: np.ndarray) -> str:
    """The border of an ROI (S x S bool) as an SVG path in pixels; the image's border closes an ROI that reaches it."""
    parts = []
    for contour in find_contours(np.pad(roi, 1).astype(float), 0.5):
        points = approximate_polygon(contour, 0.05)[:-1, ::-1] - 0.5  # less the padding, plus half a pixel
        parts.append("M" + "L".join(f"{x:.4g} {y:.4g}" for x, y in points) + "Z")
    return "".join(parts)


def picture(pixels: np.ndarray) -> str:
    """S x S uint8 as a PNG of at most LARGEST pixels a side, base64."""
    image = Image.fromarray(pixels)
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _cell(
    scores: pd.DataFrame, evaluation: Evaluation, domain: str, cohort: str, count: int, sources: Sources
) -> list[dict[str, Any]]:
    """The cases of one cell, the lowest gain first."""
    scores = select(scores, domain=domain, cohort=cohort, metric=evaluation.metric, label="any")
    gains = ranked_gains(scores, domain, cohort, ARM, REFERENCE, _chosen(evaluation, evaluation.methods[0]))
    ranks = evenly_spaced(len(gains), count)
    pictures = _pictures(sources.shards[cohort], gains.index[ranks])
    looks = _looks(scores, evaluation, domain, cohort, gains.index[ranks], sources)
    cases = []
    for number, (rank, seen, look) in enumerate(zip(ranks, pictures, looks, strict=True), start=1):
        gain = f"{gains.iloc[rank]:+.2f}".replace("-", "−")
        title = f"case {number}: rank {rank + 1:,} of {len(gains):,}, gain {gain}"
        cases.append({"cell": _cell_name(domain, cohort), "title": title, **seen, **look})
    return cases


def _cell_name(domain: str, cohort: str) -> str:
    return f"{domain} students on {cohort}"


def _pictures(folders: Sequence[str], image_ids: pd.Index) -> list[dict[str, Any]]:
    """Picture, its size in the store, and the border of its ROI."""
    store, rois = ImageStore(folders), roi_masks(folders)
    return [
        {"image": picture(pixels), "size": len(pixels), "outline": outline(united_roi(rois, image_id))}
        for image_id, pixels in zip(image_ids, store.pixels(store.positions(image_ids)), strict=True)
    ]


def _looks(
    scores: pd.DataFrame, evaluation: Evaluation, domain: str, cohort: str, image_ids: pd.Index, sources: Sources
) -> list[dict[str, Any]]:
    """For each image the map (rows from the top, in multiples of a uniform map) and score of each method and arm."""
    looks = [{kind: {method: {} for method in evaluation.methods} for kind in ("maps", "scores")} for _ in image_ids]
    for arm in order_arms(scores["arm"].unique()):
        files = [sources.results.attention(domain, arm, seed, cohort) for seed in sources.seeds]
        exports = [read_npz(file) for file in files]
        for method in evaluation.methods:
            of_images = mean_scores(scores, domain, cohort, arm, _chosen(evaluation, method))
            for image_id, look in zip(image_ids, looks, strict=True):
                score = of_images.get(image_id, np.nan)
                # A patch that is not finite has no score either, and JSON has no word for it.
                shares = np.nan_to_num(mean_map(exports, image_id, method), posinf=0, neginf=0)
                look["maps"][method][arm] = np.round(shares, 2).tolist()
                look["scores"][method][arm] = None if np.isnan(score) else round(float(score), 4)
    return looks


def _chosen(evaluation: Evaluation, method: str) -> dict[str, str]:
    return {"metric": evaluation.metric, "method": method, "label": "any"}


def _top(cases: Sequence[Mapping[str, Any]], method: str) -> float:
    """Where the colours end, for all cases and arms alike."""
    patches = [np.ravel(one) for case in cases for one in case["maps"][method].values()]
    return round(max(float(np.percentile(np.concatenate(patches), CLIPPED)), 1.5), 2) if patches else 1.5


def _rule_words(evaluation: Evaluation, count: int) -> str:
    return (
        f"The test images of a cell (training domain and cohort) are ranked by the gain of {arm_name(ARM)} over "
        f"{arm_name(REFERENCE)} in {METRIC_NAMES[evaluation.metric]} of the {METHOD_NAMES[evaluation.methods[0]]} map, "
        f"mean over seeds, and up to {count} evenly spaced ranks are shown, the lowest and the highest among them. "
        "Maps are means over seeds, in multiples of a uniform map, interpolated from the patch grid. Scores are means "
        "over seeds, not scores of the mean map. A single case shows no effect; the claims test it."
    )
