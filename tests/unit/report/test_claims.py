"""What the report says of verdicts, known answers and what is planted, in words."""

import re

import numpy as np
import pandas as pd
import pytest

from mmpkd.config.cohorts import Phantom
from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.evaluation.claims import claims_table
from mmpkd.evaluation.verdicts import signed
from mmpkd.outputs.table import Table
from mmpkd.provenance.record import origin
from mmpkd.report.page import build
from mmpkd.report.study import ClaimItem, headline, planted_words, read_claims
from mmpkd.results import Results
from tests.pages import Page
from tests.synthetic import DESIGN, synthetic_scores

EVALUATION = Evaluation(resamples=100)


def words_of(tmp_path, gain: float, claim: Claim, scores_filter=None, **options) -> ClaimItem:
    scores = synthetic_scores(np.random.default_rng(3), gain=gain, images=60, seed_sd=0.002, **options)
    scores = scores if scores_filter is None else scores[scores_filter(scores)]
    claims_table(scores, {"one": claim}, EVALUATION, DESIGN).to_csv(tmp_path / "claims.csv", index=False)
    (item,) = read_claims(tmp_path / "claims.csv", 0.95, DESIGN)
    return item


GAIN = Claim(title="A gain", cells=["cxr@mimic_cxr"])
NO_GAIN = Claim(title="No gain", cells=["cxr@mimic_cxr"], expect="no_gain", margin=0.03)


@pytest.mark.parametrize(
    ("gain", "claim", "verdict", "meaning"),
    [
        (0.05, GAIN, "supported", "run support"),
        (-0.05, GAIN, "contradicted", "run contradict"),
        (0.0, NO_GAIN, "supported", "run support"),
        (0.08, NO_GAIN, "contradicted", "run contradict"),
    ],
)
def test_verdicts_in_words(tmp_path, gain, claim, verdict, meaning):
    item = words_of(tmp_path, gain, claim)
    assert item.verdict == verdict
    assert meaning in item.evidence[0]
    assert re.match(r"The gain in pixel AUROC \(0 to 1\) is [+−]0\.\d{3} \(95\u00a0% interval ", item.sentence)
    assert ("margin of 0.03" in " ".join(item.evidence)) == (claim is NO_GAIN)


def test_a_gain_that_the_shuffled_teacher_gives_too_is_not_credited(tmp_path):
    assert "is credited" in " ".join(words_of(tmp_path, 0.05, GAIN).evidence)
    assert "not credited" in " ".join(words_of(tmp_path, 0.05, GAIN, shuffled_gain=0.05).evidence)
    without = words_of(tmp_path, 0.05, GAIN, lambda scores: scores["arm"] != "shuffled")
    assert "no shuffled teacher" in " ".join(without.evidence)


def test_the_evidence_shows_what_the_card_does_not(tmp_path):
    words_of(tmp_path, 0.05, GAIN)
    (row,) = pd.read_csv(tmp_path / "claims.csv").to_dict("records")
    (item,) = read_claims(tmp_path / "claims.csv", 0.95, DESIGN)
    evidence = " ".join(item.evidence)
    assert (
        "chest radiographs, MIMIC-CXR (phantom)" in evidence and "pixel AUROC of the attention rollout map" in evidence
    )
    for name in ("shuffled_gain", "over_centre", "over_edges", "over_untrained"):
        assert f"{signed(row[name])} ({signed(row[f'{name}_low'])} to {signed(row[f'{name}_high'])})" in evidence
    assert f"d_z {signed(row['effect_size'], 2)}" in evidence
    assert f"{100 * row['share_improved']:.0f} % of patients improve" in evidence
    assert f"finds a contrast of {row['minimum_detectable']:.3f} with 80 % power, unadjusted." in evidence
    assert signed(row["estimate"]) not in evidence and "The first is small" not in evidence


@pytest.mark.parametrize(
    ("verdict", "p", "explained"),
    [("inconclusive", 0.0004, True), ("inconclusive", 0.2, False), ("supported", 0.0004, False)],
)
def test_a_small_permutation_p_beside_an_inconclusive_verdict_is_explained(tmp_path, verdict, p, explained):
    words_of(tmp_path, 0.05, GAIN)
    table = pd.read_csv(tmp_path / "claims.csv").assign(verdict=verdict, p_permutation_patients=p)
    table.to_csv(tmp_path / "claims.csv", index=False)
    (item,) = read_claims(tmp_path / "claims.csv", 0.95, DESIGN)
    evidence = " ".join(item.evidence)
    assert ("p < 0.001 for new patients and the same seeds" in evidence) == (p < 0.001)
    assert ("although the verdict is inconclusive: it holds for new patients of these very" in evidence) == explained


def test_what_could_not_be_tested_has_its_reason(tmp_path):
    item = words_of(tmp_path, 0.05, GAIN, lambda scores: scores["seed"] == 0)
    assert item.verdict == "inconclusive" and "one seed" in " ".join(item.evidence)
    item = words_of(tmp_path, 0.05, GAIN, lambda scores: scores["cohort"] != "mimic_cxr")
    assert item.verdict == "inconclusive" and "could not be tested" in item.evidence[1]


def test_maps_that_do_not_beat_a_control_are_pointed_out(tmp_path):
    assert "Note:" not in " ".join(words_of(tmp_path, 0.05, GAIN).evidence)
    away = GAIN.model_copy(update={"cells": ["cxr@cbis_ddsm"]})
    assert "not shown to be better than the centred Gaussian." in " ".join(words_of(tmp_path, 0.05, away).evidence)
    words_of(tmp_path, 0.05, GAIN)
    table = pd.read_csv(tmp_path / "claims.csv")
    table.assign(over_centre_low=-0.2, over_centre_high=-0.1).to_csv(tmp_path / "claims.csv", index=False)
    (item,) = read_claims(tmp_path / "claims.csv", 0.95, DESIGN)
    assert "Note: the maps of MMPKD are worse than the centred Gaussian." in item.evidence


def test_the_gains_of_a_claim_on_several_cells_are_shown_one_by_one(tmp_path):
    several = GAIN.model_copy(update={"cells": ["cxr@mimic_cxr", "mammography@cbis_ddsm"]})
    evidence = words_of(tmp_path, 0.05, several).evidence
    alone = [words_of(tmp_path, 0.05, GAIN.model_copy(update={"cells": [cell]})).sentence for cell in several.cells]
    first, second = (re.search(r"is (\S+) \(95\s% interval (.*?)\)", sentence).groups() for sentence in alone)
    assert (
        f"Gain in each cell: chest radiographs, MIMIC-CXR (phantom) {first[0]} ({first[1]}); "
        f"mammograms, CBIS-DDSM (phantom) {second[0]} ({second[1]})."
    ) in evidence
    assert not any("each cell" in sentence for sentence in words_of(tmp_path, 0.05, GAIN).evidence)


def test_the_headline_counts_verdicts():
    def items(*verdicts):
        return [ClaimItem("", verdict, "", []) for verdict in verdicts]

    assert headline(items("supported")) == "Of 1 claim, 1 is supported, none is contradicted and none is inconclusive."
    mixed = items("contradicted", "inconclusive", "inconclusive")
    assert headline(mixed) == "Of 3 claims, none is supported, 1 is contradicted and 2 are inconclusive."


def test_the_headline_begins_with_the_known_answers():
    def items(*answers):
        return [ClaimItem(f"T{n}", "inconclusive", "", [], "gain", found) for n, found in enumerate(answers)]

    rest = [ClaimItem("", "supported", "", [])]
    for answers, words in (
        ((True, True), "Known answers: 2 of 2 were recovered. Of 3 claims, "),
        ((True, False), "Known answers: 1 of 2 was recovered; missed: T1. Of 3 claims, "),
        ((False, False), "Known answers: 0 of 2 were recovered; missed: T0; T1. Of 3 claims, "),
        ((), "Of 1 claim, "),
    ):
        assert headline([*items(*answers), *rest]).startswith(words)


@pytest.mark.parametrize(
    ("known", "line", "badges"),
    [
        (("gain", None), "Known answers: 1 of 1 was recovered. Of 2 claims, ", ["Recovered"]),
        (
            ("gain", "no_gain"),
            "Known answers: 1 of 2 was recovered; missed: B <i>. Of 2 claims, ",
            ["Recovered", "Missed"],
        ),
        ((None, None), "Phantom data with a planted marker. ", []),
    ],
)
def test_the_first_line_of_the_report_says_whether_known_answers_were_recovered(study, tmp_path, known, line, badges):
    scores = synthetic_scores(np.random.default_rng(3), gain=0.05, images=60, seed_sd=0.002)
    claims = {"a": GAIN.model_copy(update={"known": known[0]})}
    claims["b"] = GAIN.model_copy(update={"title": "B <i>", "known": known[1]})
    results = Results(str(tmp_path))
    Table(claims_table(scores, claims, EVALUATION, DESIGN), "Claims.").write(*results.table("claims").values())
    html = build({**study, "tables": ["claims"], "figures": []}, results, origin(study))
    page = Page(html)
    assert page.text.partition("right place? ")[2].startswith(line)
    assert re.findall(r'<p class="answer">(\w+)</p>', html) == badges
    assert page.text.count("Of 2 claims, ") == 1
    sentences = re.findall(r"Known answer: (.*?)\.", page.text)
    assert sentences == ["gain (planted), recovered", "no gain (planted), missed"][: len(badges)]
    cards = [element["class"] for element in page.all("article")]
    assert [card.removeprefix("claim supported").strip() for card in cards] == [*map(str.lower, badges), "", ""][:2]


@pytest.mark.parametrize(
    ("habit", "expected"),
    [
        ({"marked": 0.5}, "whatever they show; no label errs with it, so no gain is planted."),
        ({"marked": 0.5, "errors": 0.5}, "where ward are learnt from, labels err with it. A gain shows"),
        (
            {"marked": 0.5, "errors": 0.5, "errors_follow": "chance"},
            "labels of ward err, on images drawn at random; no label errs with it, so no gain is planted.",
        ),
        (
            {"marked": 0.5, "errors": 0.5, "mentioned": True},
            "the teacher reads of it in ward; the teacher can learn the errors, so no gain is planted.",
        ),
    ],
)
def test_the_report_says_what_is_planted(habit, expected):
    phantom = Phantom(patients=4, seed=1, habit=habit).model_dump()
    words = planted_words({"domains": {"chest": {"training": "ward"}}, "cohorts": {"ward": {"phantom": phantom}}})
    assert words.startswith("A marker lies on many images of ward") and expected in words


def test_the_report_says_nothing_of_a_marker_that_is_off():
    phantom = Phantom(patients=4, seed=1).model_dump()
    assert planted_words({"domains": {"a": {"training": "b"}}, "cohorts": {"b": {"phantom": phantom}}}) == ""
