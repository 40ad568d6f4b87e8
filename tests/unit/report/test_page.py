"""The page of the report is whole, needs nothing else, and gives nothing of the machine away."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.outputs import chosen
from mmpkd.files import write_text
from mmpkd.outputs.table_cohorts import count_all
from mmpkd.outputs.words import column_meaning
from mmpkd.provenance.record import origin
from mmpkd.report.items import prose_html, read_figure, read_table, table_html
from mmpkd.report.page import build
from mmpkd.report.study import read_flows
from mmpkd.results import Results
from tests.pages import Page
from tests.report_results import ASSUMPTIONS, PNG
from tests.synthetic import DESIGN


@pytest.fixture(scope="module")
def html(study, files):
    return build(study, files, origin(study))


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
    assert [element["class"] for element in page.all("details") if "class" in element] == [
        "columns",  # of the summary
        *("long", "columns"),  # of the claims
        "long",  # whose heads are unknown
    ]
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
    assert read_table(strata, files, DESIGN).title == "Localisation by ROI size, prediction and label"
    table = read_table(strata, files, DESIGN)
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


def test_columns_are_explained_below_the_table(page):
    """In words that a touch or a key reaches, not on hovering alone."""
    assert "title=" not in page
    text = Page(page).text
    assert page.count('<details class="columns">') == 2, "of the summary and of the claims"
    assert "verdict supported, contradicted or inconclusive, by the Holm-adjusted p" in " ".join(text.split())


@pytest.mark.parametrize(
    ("head", "start"),
    [
        ("reason", "why a value is missing"),
        ("gain of MMPKD", "less the reference"),
        ("p of MMPKD (unadjusted)", "two-sided p"),
        ("edge map", "mean of the primary score of this control"),
        ("MMPKD", "mean of the primary score of this arm"),
        ("pixel AUROC", "the primary score"),
        ("something else", ""),
    ],
)
def test_the_meaning_of_a_column(head, start):
    assert column_meaning(head, DESIGN).startswith(start) and bool(column_meaning(head, DESIGN)) == bool(start)


def test_the_claims_come_first_and_in_words(html):
    text = Page(html).text
    assert text.index("The text teacher improves localisation in chest radiographs") < text.index("Contents")
    assert "Of 2 claims, 1 is supported, none is contradicted and 1 is inconclusive." in text
    assert "The data of this run support the claim." in text
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
        read_table(table, results, DESIGN)
    with pytest.raises(ValueError, match=r"figures/method\.png is no PNG file; make figure_method again"):
        read_figure(figure, results)
    Path(results.figure("method")["png"]).unlink()
    with pytest.raises(FileNotFoundError):
        read_figure(figure, results)


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
    rows = [("i4", "roi_area"), ("i4", "pixel_auroc"), ("i5", "marker_mass")]  # the last image has a marker, and no ROI
    scores = pd.DataFrame([{**names, "image_id": image, "metric": metric} for image, metric in rows])
    (flow,) = read_flows(tmp_path / "cohorts.csv", scores, "pixel_auroc")
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
