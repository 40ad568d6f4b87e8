"""The cases of the report's viewer: which are shown, their pictures, outlines and maps, and what is withheld."""

import base64
import json
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mmpkd.config.evaluation import Evaluation
from mmpkd.evaluation.cases import ranked_gains, showable
from mmpkd.evaluation.verdicts import signed
from mmpkd.provenance.record import origin
from mmpkd.report.page import build
from mmpkd.report.phantoms import record_words
from mmpkd.report.viewer import LARGEST, evenly_spaced, first_shown, outline, picture, viewer
from tests.pages import Page
from tests.report_results import DOMAINS, make_viewer, with_markers
from tests.synthetic import DESIGN, DOMAIN_OF


def test_cases_are_evenly_spaced_ranks(shown, results):
    assert evenly_spaced(11, 3) == [0, 5, 10]
    assert evenly_spaced(2, 8) == [0, 1] and evenly_spaced(1, 8) == [0]
    assert len(shown.cells) == len(DOMAINS) * len(DOMAIN_OF) and len(shown.data["cases"]) == 8 * 8
    assert [cell["name"] for cell in shown.cells[:2]] == [
        "chest radiographs, MIMIC-CXR (phantom)",
        "chest radiographs on VinDr-CXR (phantom)",
    ]
    first = shown.data["cases"][:8]
    ranks = [int(re.search(r"rank (\d+) of 12", case["title"])[1]) for case in first]
    assert ranks[0] == 1 and ranks[-1] == 12 and ranks == sorted(set(ranks))
    scores = [case["scores"]["rollout"] for case in first]
    gains = [score["mmpkd"] - score["baseline"] for score in scores]
    assert gains == sorted(gains, reverse=True), "rank 1 is the best"
    for case, gain in zip(first, gains, strict=True):
        assert f"gain {gain:+.2f}".replace("-", "−") in case["title"]


def case_of(marked: bool, home: bool, gain: float, median: bool = False) -> dict:
    return {"marked": marked, "home": home, "gain": gain, "median": median}


@pytest.mark.parametrize(
    ("cases", "first"),
    [
        ([case_of(True, True, 0.1), case_of(True, True, 0.3), case_of(True, False, 0.5), case_of(False, True, 0.9)], 1),
        ([case_of(False, True, 0.9), case_of(False, True, 0.2, median=True), case_of(True, False, 0.5)], 1),
        ([], 0),
    ],
)
def test_the_viewer_opens_on_the_marked_image_that_gains_most_else_on_the_median(cases, first):
    assert first_shown(cases) == first


def test_a_marked_case_is_shown_with_its_marker_and_its_report(results, shown):
    """A marked image of a rank that is not among the evenly spaced ones is shown, and first."""
    scores, sources = results
    cell = DESIGN.parse("cxr@mimic_cxr")
    gains = ranked_gains(scores, cell, "mmpkd", "baseline", Evaluation().score())[::-1]
    spaced = evenly_spaced(len(gains), 8)
    rank = next(rank for rank in range(len(gains)) if rank not in spaced)
    seen = make_viewer(with_markers(scores, list(gains.index[[rank, len(gains) - 1]])), sources)
    case = seen.data["cases"][seen.data["start"]]
    gain = signed(gains.iloc[rank], 2)
    assert case["title"] == f"rank {rank + 1} of 12, gain {gain} (attention rollout), with marker"
    (points,) = corners(case["marker"])
    assert points.min(axis=0).tolist() == [0, 8] and points.max(axis=0).tolist() == [4, 20]
    assert case["findings"] == ["Consolidation"]
    assert case["record"] == "There is a consolidation on the left. Consolidation."
    assert all(bool(one["marker"]) == one["title"].endswith("with marker") for one in seen.data["cases"])
    median = shown.data["cases"][shown.data["start"]]
    assert median["title"].startswith("rank 7 of 12") and median["cell"] == "chest radiographs, MIMIC-CXR (phantom)"


@pytest.mark.parametrize(("cell", "number"), [("cxr@mimic_cxr", 0), ("cxr@cbis_ddsm", 16)])
def test_probabilities_are_means_over_seeds_in_every_cell(results, shown, cell, number):
    """Also of labels that the cohort does not know."""
    (scores, sources), cell = results, DESIGN.parse(cell)
    best = ranked_gains(scores, cell, "mmpkd", "baseline", Evaluation().score()).index[-1]
    files = [sources.results.attention("cxr", "mmpkd", seed, cell.cohort) for seed in sources.seeds]
    exports = [np.load(file) for file in files]
    odds = np.array([export["logits"][export["image_id"] == best][0] for export in exports])
    case = shown.data["cases"][number]
    assert case["cell"].endswith("MIMIC-CXR (phantom)" if number == 0 else "on CBIS-DDSM (phantom)")
    assert set(case["chances"]) == {"baseline", "mmpkd", "shuffled"}
    assert list(case["chances"]["mmpkd"]) == DOMAINS["cxr"]["labels"]
    expected = (1 / (1 + np.exp(-odds))).mean(axis=0)
    np.testing.assert_allclose(list(case["chances"]["mmpkd"].values()), expected, atol=0.0006)


def test_records_of_real_data_are_not_shown(results):
    scores, sources = results
    seen = viewer(scores, Evaluation(methods=["rollout"]), replace(DESIGN, phantoms=()), sources)
    assert seen.data["cases"] and not any(case["record"] for case in seen.data["cases"])


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ({"report": [" FINDINGS: Small left effusion. The\n heart is normal."]}, "Small left effusion."),
        ({"report": [" FINDINGS: Nothing.\n \n IMPRESSION: No acute\n process."]}, "No acute process."),
        (
            {"mass_shape": ["OVAL", ""], "density": [2, 3], "subset": "mass", "target_mass": 1.0},
            "mass shape oval, density 2; density 3",
        ),
        ({}, ""),
    ],
)
def test_the_words_of_a_record(records, words):
    images = pd.DataFrame({"image_id": ["i"], "study_id": ["s"]})
    names = {"record_id": "r", "key": "s" if records else "other", "patient_id": "p", "split": "test"}
    privileged = pd.DataFrame(records, index=range(len(next(iter(records.values()), [0])))).assign(**names)
    tables = SimpleNamespace(images=images, privileged=privileged, key_name="study_id")
    assert record_words(tables, "i", ["Pleural Effusion"]) == words


def test_the_maps_are_means_in_multiples_of_uniform(shown, results):
    """Against the files themselves, by way of the picture, which tells the image."""
    scores, sources = results
    pixels = np.load(Path(sources.shards["mimic_cxr"][0]) / "pixels.npy")
    case = shown.data["cases"][0]
    seen = np.asarray(Image.open(BytesIO(base64.b64decode(case["image"]))))
    (row,) = np.flatnonzero((pixels == seen).all(axis=(1, 2)))
    files = [sources.results.attention("cxr", "mmpkd", seed, "mimic_cxr") for seed in sources.seeds]
    maps = [np.load(file)["last_layer"][row].astype(float) for file in files]
    expected = np.mean([one / one.mean() for one in maps], axis=0)
    np.testing.assert_allclose(case["maps"]["last_layer"]["mmpkd"], expected, atol=0.0051)


def test_a_withheld_cohort_leaves_no_trace_but_its_name(results, study, bare, files):
    scores, sources = results
    seen = make_viewer(scores, sources, withheld=["mimic_cxr", "not_in_the_study"])
    assert seen.withheld == ["mimic_cxr"] and len(seen.cells) == 6
    text = build(study, files, origin(study), viewer=seen)
    assert "No picture is shown of MIMIC-CXR (phantom)" in Page(text).text
    assert "MIMIC" not in json.dumps(seen.data)
    every = make_viewer(scores, sources, withheld=list(DOMAIN_OF))
    parsed = Page(build(bare, files, origin(bare), viewer=every))
    assert "No case can be shown." in parsed.text and not parsed.all("script") and not parsed.all("img")


def test_a_restricted_image_is_no_case(results, tmp_path):
    """What its licence lets nobody show is not ranked; other images and cohorts stay."""
    scores, sources = results
    names = scores.loc[scores["cohort"] == "mimic_cxr", "image_id"].unique()
    hidden = dict.fromkeys(names[1:])
    for cohort in ("mimic_cxr", "vindr_cxr"):
        (tmp_path / cohort).mkdir()
        table = pd.DataFrame({"image_id": names, "restricted": [cohort == "mimic_cxr" and n in hidden for n in names]})
        table.to_parquet(tmp_path / cohort / "images.parquet")
    shown = showable(scores, {cohort: str(tmp_path / cohort) for cohort in ("mimic_cxr", "vindr_cxr")})
    gone = scores.drop(shown.index)
    assert set(gone["cohort"]) == {"mimic_cxr"} and set(gone["image_id"]) == set(hidden)
    counts = {cell["name"]: len(cell["cases"]) for cell in make_viewer(shown, sources).cells}
    before = {cell["name"]: len(cell["cases"]) for cell in make_viewer(scores, sources).cells}
    assert counts == {name: 1 if "MIMIC-CXR" in name else count for name, count in before.items()}


def test_the_viewer_names_no_patient_and_no_image(page, results):
    scores, _ = results
    assert not [name for name in {*scores["patient_id"], *scores["image_id"]} if name in page]


def test_a_study_without_the_two_arms_has_no_case(results):
    scores, sources = results
    seen = make_viewer(scores[scores["arm"] != "mmpkd"], sources)
    assert seen.cells == [] and seen.arms == {}


def corners(path: str) -> list[np.ndarray]:
    return [
        np.array([point.split() for point in part.removesuffix("Z").split("L")], dtype=float)
        for part in path.split("M")[1:]
    ]


def area(points: np.ndarray) -> float:
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def test_the_outline_runs_along_the_pixels():
    roi = np.zeros((16, 16), dtype=bool)
    roi[2:6, 3:13] = True
    (points,) = corners(outline(roi))
    assert points.min(axis=0).tolist() == [3, 2] and points.max(axis=0).tolist() == [13, 6], "x, y of pixel borders"
    assert area(points) == pytest.approx(4 * 10 - 4 / 8), "four corners of half a pixel are cut"
    roi[3:5, 5:9] = False
    assert [area(part) for part in corners(outline(roi))] == pytest.approx([39.5, 4 * 2 - 4 / 8])
    whole = corners(outline(np.ones((16, 16), dtype=bool)))
    assert whole[0].min() == 0 and whole[0].max() == 16
    assert outline(np.zeros((16, 16), dtype=bool)) == ""


def test_pictures_are_as_stored_or_smaller():
    pixels = np.random.default_rng(2).integers(0, 256, (64, 64), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(base64.b64decode(picture(pixels))))), pixels)
    large = Image.open(BytesIO(base64.b64decode(picture(np.tile(pixels, (8, 8))))))
    assert large.size == (LARGEST, LARGEST)


def test_a_cell_without_one_whole_image_is_left_out(results):
    scores, sources = results
    wrong = (scores["cohort"] == "vindr_cxr") & (scores["seed"] == 0)
    seen = make_viewer(scores.assign(value=scores["value"].where(~wrong)), sources)
    assert len(seen.cells) == 6 and not [cell for cell in seen.cells if "VinDr-CXR" in cell["name"]]
