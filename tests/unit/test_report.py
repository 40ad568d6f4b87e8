"""The report holds everything, says what the verdicts mean, and gives nothing of the machine away."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.cohorts import Phantom
from mmpkd.config.demo import DEMO
from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.config.outputs import chosen
from mmpkd.evaluation.cases import ranked_gains, showable
from mmpkd.evaluation.claims import claims_table
from mmpkd.evaluation.verdicts import signed
from mmpkd.files import write_text
from mmpkd.outputs.table import Table
from mmpkd.outputs.table_cohorts import count_all
from mmpkd.provenance.record import origin
from mmpkd.report.items import prose_html, read_figure, read_table, table_html
from mmpkd.report.page import build
from mmpkd.report.phantoms import record_words
from mmpkd.report.study import ClaimItem, headline, planted_words, read_claims, read_flows
from mmpkd.report.viewer import LARGEST, evenly_spaced, first_shown, outline, picture, viewer
from mmpkd.results import Results
from tests.report_results import (
    ASSUMPTIONS,
    DOMAINS,
    PNG,
    make_scores,
    make_viewer,
    with_markers,
    write_figure,
    write_results,
)
from tests.synthetic import DESIGN, DOMAIN_OF, synthetic_scores

VOID = {"meta", "img", "br", "link", "hr", "input"}
EVALUATION = Evaluation(resamples=100)


class Page(HTMLParser):
    """Elements with attributes, and whether every element is closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.inline: list[tuple[str, str]] = []  # scripts and styles
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("style", "script"):
            self.inline.append((self.open[-1], data))
        elif self.open:
            self.words.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))


@pytest.fixture(scope="module")
def study():
    return {**DEMO.model_dump(mode="json"), "tables": ["summary", "claims", "strata"], "figures": ["claims"]}


@pytest.fixture(scope="module")
def bare(study):
    """A study without tables and figures."""
    return {**study, "tables": [], "figures": []}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three tables, one of them with odd contents, and a figure, as the pipeline leaves them."""
    results = Results(str(tmp_path_factory.mktemp("results")))
    scores = synthetic_scores(np.random.default_rng(0), images=30, seeds=3)
    claims = {name: claim for name, claim in DEMO.claims.items() if name.startswith("in_domain")}
    odd = pd.DataFrame({"name": ["a|b", "<script>alert(1)</script>"], "value": [0.5, -12.25]})
    claims = claims_table(scores, claims, EVALUATION, DESIGN)
    summary = pd.DataFrame({"arm": ["mmpkd"], "auroc": [0.9]})
    for name, table in (("summary", summary), ("claims", claims), ("strata", odd)):
        Table(table, f"Caption of {name} <b>&</b>.").write(*results.table(name).values())
    write_figure(results, 'A "quoted" first sentence. And a second one.\n')
    return results


@pytest.fixture(scope="module")
def html(study, files):
    return build(study, files, origin(study))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Scores of a small study, and where its pictures and maps lie."""
    scores = make_scores()
    return scores, write_results(tmp_path_factory.mktemp("results"), scores)


@pytest.fixture(scope="module")
def shown(results):
    return make_viewer(*results)


@pytest.fixture(scope="module")
def page(study, files, shown):
    """The report with its viewer and its assumptions."""
    return build(study, files, origin(study), viewer=shown, assumptions=prose_html(ASSUMPTIONS, "Assumptions"))


def test_the_page_is_whole_and_needs_nothing_else(html):
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("script")) == 1 and not page.all("link") and not page.all("iframe"), "no viewer was given"
    assert [image["src"].split(",")[0] for image in page.all("img")] == ["data:image/png;base64"]
    assert base64.b64decode(page.all("img")[0]["src"].split(",")[1]) == PNG
    anchors = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = [link["href"] for link in page.all("a") if "download" not in link]
    assert links and all(link.startswith("#") and link[1:] in anchors for link in links)
    assert "url(" not in html and "@import" not in html
    assert "prefers-color-scheme: dark" in html and "@media print" in html


def test_tables_are_collapsed_but_for_the_summary_which_follows_the_claims(html, files):
    page = Page(html)
    assert [element["class"] for element in page.all("details") if "class" in element] == ["long", "long"]
    places = [html.index(f'id="{name}"') for name in ("table-summary", "contents", "figures", "tables")]
    assert places == sorted(places) and html.index('class="claim ') < places[0]
    assert "Table 2: Localisation by ROI size, prediction and label (2 rows)" in page.text
    downloads = {link["download"]: link["href"] for link in page.all("a") if "download" in link}
    assert list(downloads) == ["summary.csv", "claims.csv", "strata.csv"]
    for name, address in downloads.items():
        kind, _, data = address.partition(";base64,")
        assert kind == "data:text/csv" and base64.b64decode(data) == (Path(files.root) / "tables" / name).read_bytes()


def test_tables_and_figures_say_what_made_them(html):
    text = Page(html).text
    for rule, reads in (
        (
            "figure_claims",
            "evaluation.metric, evaluation.methods, evaluation.confidence, figure_columns, domains, arms",
        ),
        ("table_strata", "evaluation.metric, evaluation.methods, evaluation.confidence, domains, arms"),
    ):
        assert (
            f"Made by the rule {rule}: mmpkd/outputs/{rule}.py, run by workflow_scripts/output.py. It reads {reads}, "
            f"design, cohorts of the configuration. Alone: snakemake --cores 1 {rule}, with"
        ) in text
        assert Path(f"mmpkd/outputs/{rule}.py").exists()
    assert Path("workflow_scripts/output.py").exists()


def test_heads_are_explained(html):
    heads = {head["title"] for head in Page(html).all("th") if "title" in head}
    assert "area under the ROC curve, 0 to 1; 0.5 is chance" in heads
    assert [word for word in heads if "p_holm" in word or "_" in word.replace("d_z", "")] == []


def test_it_can_be_read_without_eyes(html):
    page = Page(html)
    assert page.all("img")[0]["alt"] == 'A "quoted" first sentence.'
    assert page.all("th") and all(header.get("scope") in ("row", "col") for header in page.all("th"))
    labels = [attributes["aria-labelledby"] for attributes in page.all("section")]
    anchors = {attributes.get("id") for _, attributes in page.elements}
    assert set(labels) <= anchors


def test_content_is_shown_and_never_run(html):
    page = Page(html)
    assert "<script>alert(1)</script>" in page.text
    assert "Caption of strata <b>&</b>." in page.text
    assert "a|b" in page.text
    assert "And a second one." in page.text
    assert "tables/strata.csv" in page.text and "figures/claims.pdf" in page.text


def test_numbers_are_aligned_to_the_right(files):
    (strata,) = chosen(["strata"], [])
    assert read_table(strata, files).title == "Localisation by ROI size, prediction and label"
    table = read_table(strata, files)
    assert table.rows == 2
    lines = table.html.splitlines()
    assert '<th scope="col">name</th>' in lines and '<th scope="col" class="number">value</th>' in lines
    assert '<th scope="row">a|b</th>' in lines and '<td class="number">0.500</td>' in lines
    assert '<td class="number">\N{MINUS SIGN}12.250</td>' in lines
    assert '<th scope="row">&lt;script&gt;alert(1)&lt;/script&gt;</th>' in lines


def test_nothing_in_a_cell_of_a_table_is_mark_up():
    cells = "| a_b_c | *x* | `y` | [z](w) | a\\|b | &lt; |"
    html = table_html(f"Caption.\n\n{cells}\n|---|---|---|---|---|---|\n{cells}\n", 'a "name"')
    text = "a_b_c *x* `y` [z](w) a|b &amp;lt;"
    assert re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip() == f"{text} {text}"
    assert 'aria-label="a &quot;name&quot;"' in html


def test_negative_bounds_have_a_minus_sign_and_names_keep_their_hyphens():
    html = table_html("| MIMIC-CXR | a-1 | -0.045 [-0.101, -0.011] | - |\n|---|---|---:|---|\n", "")
    cells = re.findall(r">([^<>\n]+)</th>", html)
    assert cells == ["MIMIC-CXR", "a-1", "\u22120.045 [\u22120.101, \u22120.011]", "-"]


def test_a_document_has_no_explanation_of_heads():
    table = "| reason |\n|---|\n| x |\n"
    assert "title=" in table_html(table, "") and "title=" not in prose_html(table, "Document")


def test_the_claims_come_first_and_in_words(html):
    text = Page(html).text
    assert text.index("The text teacher improves localisation in chest radiographs") < text.index("Contents")
    assert "Of 2 claims, 1 is supported, none is contradicted and 1 is inconclusive." in text
    assert "The data of this run speak for the claim." in text
    assert "none is meant to reproduce one of its numbers" in text


def test_phantoms_are_named(html, study, files):
    note = "they say nothing about patients"
    assert (
        note in Page(html).text
        and "drew MIMIC-CXR, VinDr-CXR, CBIS-DDSM, VinDr-Mammo in the layouts" in Page(html).text
    )
    real = {name: {**cohort, "phantom": None, "root": "/data/x"} for name, cohort in study["cohorts"].items()}
    for cohorts, words, phantom in (
        ({**real, "vindr_cxr": study["cohorts"]["vindr_cxr"]}, "Real data: MIMIC-CXR", True),
        (real, "Real data: MIMIC-CXR", False),
    ):
        changed = {**study, "cohorts": cohorts}
        text = Page(build(changed, files, origin(changed))).text
        assert (note in text) == phantom and words in text


def test_the_same_run_gives_the_same_report(html, study, files):
    assert build(study, files, origin(study)) == html


def test_a_study_without_claims_says_so(bare, files):
    text = Page(build(bare, files, origin(bare))).text
    assert "no verdict is given" in text


def test_a_broken_file_is_named(tmp_path):
    results, (table, figure) = Results(str(tmp_path)), chosen(["strata"], ["method"])
    for path in (results.table("strata")["md"], results.figure("method")["png"]):
        write_text("no table, no picture\n", path)
    with pytest.raises(ValueError, match=r"tables/strata\.md holds no table; make table_strata again"):
        read_table(table, results)
    with pytest.raises(ValueError, match=r"figures/method\.png is no PNG file; make figure_method again"):
        read_figure(figure, results)
    Path(results.figure("method")["png"]).unlink()
    with pytest.raises(FileNotFoundError):
        read_figure(figure, results)


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
        (0.05, GAIN, "supported", "speak for"),
        (-0.05, GAIN, "contradicted", "speak against"),
        (0.0, NO_GAIN, "supported", "speak for"),
        (0.08, NO_GAIN, "contradicted", "speak against"),
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


def test_the_evidence_tells_what_the_card_does_not(tmp_path):
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
    assert "not shown to be better than a centred Gaussian" in " ".join(words_of(tmp_path, 0.05, away).evidence)


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


def test_the_configuration_gives_no_folder_away(study, files, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    cohort = {**study["cohorts"]["mimic_cxr"], "root": "/home/someone/secret/mimic-cxr", "phantom": None}
    changed = {**study, "cohorts": {**study["cohorts"], "mimic_cxr": cohort}}
    text = build(changed, files, origin(changed))
    assert "someone" not in text and "secret" not in text and ".../mimic-cxr" in text


def test_nothing_can_be_fetched_and_only_this_script_can_run(page):
    parsed = Page(page)
    (policy,) = [meta["content"] for meta in parsed.all("meta") if "http-equiv" in meta]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:" and "connect-src" not in rules
    style, data, *scripts = parsed.inline
    for texts, rule in (([style], "style-src"), (scripts, "script-src")):
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for _, text in texts]
        assert rules[rule] == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert json.loads(data[1])["cases"]
    assert parsed.all("script")[0]["type"] == "application/json", "data, which no browser runs"
    assert not [attributes for _, attributes in parsed.elements if "style" in attributes or "onclick" in attributes]
    assert not re.search(
        r"https?:|url\(|@import|fetch\(|XMLHttpRequest|WebSocket|import\(",
        "".join(text for _, text in (*scripts, style)),
    )


def test_every_control_has_a_label_and_every_anchor_is_there(page):
    parsed = Page(page)
    anchors = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(set(anchors)) == len(anchors)
    assert {link["href"][1:] for link in parsed.all("a") if "download" not in link} <= set(anchors)
    labelled = {label.get("for") for label in parsed.all("label")}
    assert {select["id"] for select in parsed.all("select")} <= labelled
    inputs = {field["id"] for field in parsed.all("input") if field["type"] == "range"}
    assert inputs == {"viewer-opacity"} <= labelled
    wrapped = re.findall(r'<label>(?:Filter rows )?<input type="(\w+)"', page)
    assert sorted(wrapped) == ["checkbox", "checkbox", "search", "search"]


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
    assert case["title"] == f"rank {rank + 1} of 12, gain {signed(gains.iloc[rank], 2)}, with marker"
    (points,) = corners(case["marker"])
    assert points.min(axis=0).tolist() == [0, 8] and points.max(axis=0).tolist() == [4, 20]
    assert case["findings"] == ["Consolidation"]
    assert case["record"] == "There is a consolidation on the left. Consolidation."
    assert all(bool(one["marker"]) == one["title"].endswith("with marker") for one in seen.data["cases"])
    median = shown.data["cases"][shown.data["start"]]
    assert median["title"].startswith("rank 7 of 12") and median["cell"] == "chest radiographs, MIMIC-CXR (phantom)"


def test_probabilities_are_means_over_seeds_where_labels_are_shared(results, shown):
    scores, _ = results
    gains = ranked_gains(scores, DESIGN.parse("cxr@mimic_cxr"), "mmpkd", "baseline", Evaluation().score())
    rows = scores[(scores["metric"] == "logit") & (scores["image_id"] == gains.index[-1]) & (scores["domain"] == "cxr")]
    rows = rows[(rows["arm"] == "mmpkd") & (rows["label"] == "Consolidation")]
    expected = (1 / (1 + np.exp(-rows["value"]))).mean()
    assert shown.data["cases"][0]["chances"]["mmpkd"]["Consolidation"] == pytest.approx(expected, abs=0.0006)
    away = [case for case in shown.data["cases"] if case["cell"] == "chest radiographs on CBIS-DDSM (phantom)"]
    assert away and not any(case["chances"] for case in away)


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


def test_the_flow_counts_from_reading_to_scoring(tmp_path, study, files):
    images = pd.DataFrame({"image_id": [f"i{k}" for k in range(6)], "patient_id": ["p0", "p0", "p1", "p2", "p3", "p4"]})
    images = images.assign(study_id=images["image_id"], path="x.dcm", view="PA", laterality="", rows=8, columns=8)
    images["split"] = ["train", "train", "validate", "test", "test", "test"]
    roi = {"label": "mass", "kind": "box", "x0": 1.0, "y0": 1.0, "x1": 4.0, "y1": 4.0, "polygon": "", "mask_path": ""}
    rois = pd.DataFrame([{"roi_id": f"r{k}", "image_id": f"i{k}", **roi} for k in (3, 4)])
    reasons = ["view is lateral", "view is lateral", "image file is missing"]
    rejected = pd.DataFrame({"record": ["secret1", "secret2", "secret3"], "reason": reasons})
    tables = CohortTables(tmp_path, images, images[["image_id"]].assign(mass=1.0), rois=rois, rejected=rejected)
    stored = pd.DataFrame({"record": ["r3"], "reason": ["ROI: drawn on 7 x 8 pixels, but its image has 8 x 8"]})
    count_all({"home": tables}, {"home": stored}).frame.to_csv(tmp_path / "cohorts.csv", index=False)
    names = {"domain": "control", "arm": "uniform", "cohort": "home", "label": "any"}
    scores = pd.DataFrame([{**names, "image_id": "i4", "metric": metric} for metric in ("roi_area", "pixel_auroc")])
    (flow,) = read_flows(tmp_path / "cohorts.csv", scores)
    assert (flow.records, flow.images, flow.patients, flow.scored) == (9, 6, 5, 1)
    assert flow.not_read == {"view is lateral": 2, "image file is missing": 1}
    assert flow.splits == {"train": 2, "validate": 1, "test": 3} and flow.with_roi["test"] == 2
    assert flow.not_stored == {"ROI: drawn on # x # pixels, but its image has # x #": 1}
    text = Page(build(study, files, origin(study), flows=[flow])).text
    assert "9 entries read" in text and "3 entries set aside while reading" in text and "1 entry set aside" in text
    assert "test: 3, 2 of them with ROI" in text and "secret" not in text


def test_assumptions_are_read_from_their_document(page):
    prose = prose_html("# Title\n\nOne `a` **b** [c](d.md)\ntwo <i>.\n\n| a | b |\n|---|---|\n| `1` | 2 |\n", "Words")
    assert prose.startswith("<p>One <code>a</code> <strong>b</strong> c\ntwo &lt;i&gt;.</p>\n<div")
    assert '<th scope="row" class="prose"><code>1</code></th>\n<td class="prose">2</td>' in prose
    with pytest.raises(ValueError, match="document of words is empty"):
        prose_html("# Title alone\n", "Words")
    rows = [line for line in ASSUMPTIONS.splitlines() if line.startswith("|")]
    assert page.count('<th scope="row" class="prose">') == len(rows) - 2
    assert "**" not in page and "](" not in Page(page).text


def test_a_cell_without_one_whole_image_is_left_out(results):
    scores, sources = results
    wrong = (scores["cohort"] == "vindr_cxr") & (scores["seed"] == 0)
    seen = make_viewer(scores.assign(value=scores["value"].where(~wrong)), sources)
    assert len(seen.cells) == 6 and not [cell for cell in seen.cells if "VinDr-CXR" in cell["name"]]


@pytest.mark.parametrize(
    ("habit", "told"),
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
def test_the_report_says_what_is_planted(habit, told):
    phantom = Phantom(patients=4, seed=1, habit=habit).model_dump()
    words = planted_words({"domains": {"chest": {"training": "ward"}}, "cohorts": {"ward": {"phantom": phantom}}})
    assert words.startswith("A marker lies on many images of ward") and told in words


def test_the_report_says_nothing_of_a_marker_that_is_off():
    phantom = Phantom(patients=4, seed=1).model_dump()
    assert planted_words({"domains": {"a": {"training": "b"}}, "cohorts": {"b": {"phantom": phantom}}}) == ""
