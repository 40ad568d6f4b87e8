"""The report holds everything, says what the verdicts mean, and gives nothing of the machine away."""

import base64
import json
import re
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import yaml

from mmpkd import report
from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.config.study import Study, load
from mmpkd.evaluation.claims import claims_table
from mmpkd.tables.write import write
from tests.synthetic import synthetic_scores

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Elements with attributes, and whether every element is closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.words: list[str] = []
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
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))


@pytest.fixture(scope="module")
def study():
    return Study().model_dump(mode="json")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two tables and a figure, as the pipeline leaves them."""
    folder = tmp_path_factory.mktemp("results")
    scores = synthetic_scores(np.random.default_rng(0), images=30, seeds=3)
    scores.to_parquet(folder / "scores.parquet")
    claims = {name: claim for name, claim in Study().claims.items() if name.startswith("in_domain")}
    odd = pd.DataFrame({"name": ["a|b", "<script>alert(1)</script>"], "value": [0.5, 12.25]})
    paths = {}
    for name, table in (("claims", claims_table(scores, claims, Evaluation())), ("odd", odd)):
        csv, md, tex, caption = (folder / f"{name}.{kind}" for kind in ("csv", "md", "tex", "caption.txt"))
        write(table, f"Caption of {name} <b>&</b>.", csv, md, tex, caption)
        paths[name] = (csv, md, caption)
    (folder / "claims.png").write_bytes(PNG)
    (folder / "claims.png.txt").write_text('A "quoted" first sentence. And a second one.\n')
    figures = {"claims": (folder / "claims.png", folder / "claims.png.txt")}
    return paths, figures, folder / "scores.parquet"


@pytest.fixture(scope="module")
def html(study, files):
    tables, figures, scores = files
    return report.build(study, tables, figures, report.provenance(study, scores))


def test_the_page_is_whole_and_needs_nothing_else(html):
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    assert page.all("html") == [{"lang": "en"}]
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    assert [image["src"].split(",")[0] for image in page.all("img")] == ["data:image/png;base64"]
    assert base64.b64decode(page.all("img")[0]["src"].split(",")[1]) == PNG
    anchors = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = [link["href"] for link in page.all("a")]
    assert links and all(link.startswith("#") and link[1:] in anchors for link in links)
    assert "url(" not in html and "@import" not in html
    assert "prefers-color-scheme: dark" in html and "@media print" in html


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
    assert "Caption of odd <b>&</b>." in page.text
    assert "a|b" in page.text
    assert "And a second one." in page.text
    assert "tables/odd.csv" in page.text and "figures/claims.pdf" in page.text


def test_numbers_are_aligned_to_the_right(files):
    item = report.read_table("odd", *files[0]["odd"])
    assert item.columns == ["name", "value"]
    assert item.right == [False, True]
    assert item.rows == [["a|b", "0.500"], ["<script>alert(1)</script>", "12.250"]]


def test_the_claims_come_first_and_in_words(html):
    text = Page(html).text
    assert text.index("The text teacher improves localisation in chest radiographs") < text.index("Contents")
    assert "Supported. The data of this run speak for the claim." in text
    assert "none is meant to reproduce one of its numbers" in text


def test_phantoms_are_named(html, study, files):
    note = "they say nothing about patients"
    assert report.phantoms(study) == ["mimic_cxr", "vindr_cxr", "cbis_ddsm", "vindr_mammo"]
    assert note in Page(html).text
    real = {name: {**cohort, "phantom": None, "root": "/data/x"} for name, cohort in study["cohorts"].items()}
    tables, figures, scores = files
    for cohorts, words in (
        ({**real, "vindr_cxr": study["cohorts"]["vindr_cxr"]}, "Real data: mimic_cxr"),
        (real, None),
    ):
        changed = {**study, "cohorts": cohorts}
        text = Page(report.build(changed, tables, figures, report.provenance(changed, scores))).text
        assert (note in text) == (words is not None)
        assert words is None or words in text


def test_the_same_run_gives_the_same_report(html, study, files):
    tables, figures, scores = files
    assert report.build(study, tables, figures, report.provenance(study, scores)) == html


def test_a_study_without_claims_says_so(study, files):
    text = Page(report.build(study, {}, {}, report.provenance(study, files[2]))).text
    assert "no verdict is given" in text


def test_a_broken_file_is_named(study, files, tmp_path):
    tables, figures, _ = files
    (tmp_path / "empty.md").write_text("no table\n")
    with pytest.raises(ValueError, match=r"empty\.md holds no table"):
        report.read_table("odd", tables["odd"][0], tmp_path / "empty.md", tables["odd"][2])
    with pytest.raises(ValueError, match=r"empty\.md is no PNG"):
        report.read_figure("odd", tmp_path / "empty.md", figures["claims"][1])
    with pytest.raises(FileNotFoundError):
        report.read_figure("odd", tmp_path / "absent.png", figures["claims"][1])


def words_of(tmp_path, gain: float, claim: Claim, scores_filter=None, **options) -> report.ClaimItem:
    scores = synthetic_scores(np.random.default_rng(3), gain=gain, images=60, seed_sd=0.002, **options)
    scores = scores if scores_filter is None else scores[scores_filter(scores)]
    claims_table(scores, {"one": claim}, Evaluation()).to_csv(tmp_path / "claims.csv", index=False)
    (item,) = report.read_claims(tmp_path / "claims.csv", Evaluation().model_dump(mode="json"))
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
    assert meaning in item.meaning
    assert ("margin of 0.03" in " ".join(item.evidence)) == (claim is NO_GAIN)


def test_a_gain_that_the_shuffled_teacher_gives_too_is_not_credited(tmp_path):
    assert "is credited" in " ".join(words_of(tmp_path, 0.05, GAIN).evidence)
    assert "not credited" in " ".join(words_of(tmp_path, 0.05, GAIN, shuffled_gain=0.05).evidence)
    without = words_of(tmp_path, 0.05, GAIN, lambda scores: scores["arm"] != "shuffled")
    assert "no shuffled teacher" in " ".join(without.evidence)


def test_what_could_not_be_tested_has_its_reason(tmp_path):
    item = words_of(tmp_path, 0.05, GAIN, lambda scores: scores["seed"] == 0)
    assert item.verdict == "inconclusive" and "one seed" in " ".join(item.evidence)
    item = words_of(tmp_path, 0.05, GAIN, lambda scores: scores["cohort"] != "mimic_cxr")
    assert item.verdict == "inconclusive" and "could not be tested" in item.evidence[0]


def test_maps_that_do_not_beat_a_control_are_pointed_out(tmp_path):
    assert "Note:" not in " ".join(words_of(tmp_path, 0.05, GAIN).evidence)
    away = GAIN.model_copy(update={"cells": ["cxr@cbis_ddsm"]})
    assert "not shown to be better than a centred Gaussian" in " ".join(words_of(tmp_path, 0.05, away).evidence)


def test_provenance_names_code_data_and_packages(study, files):
    origin = report.provenance(study, files[2])
    assert (
        origin["scores_sha256"]
        == subprocess.run(["sha256sum", files[2]], capture_output=True, text=True, check=True).stdout.split()[0]
    )
    assert origin["seeds"] == Study().seeds
    assert origin["packages"]["numpy"] == np.__version__
    assert load(yaml.safe_load(yaml.safe_dump(origin["configuration"]))) == Study()
    assert json.loads(json.dumps(origin)) == origin


def test_provenance_gives_no_folder_away(study, files, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    roots = {"mimic_cxr": "/home/someone/secret/mimic-cxr", "cbis_ddsm": "~/secret/cbis", "vindr_cxr": "/home/someone"}
    cohorts = {
        name: {**cohort, "root": roots[name], "phantom": None} if name in roots else cohort
        for name, cohort in study["cohorts"].items()
    }
    student = {**study["student"], "backbone": {"path": "/mnt/someone/weights.safetensors"}}
    text = json.dumps(report.provenance({**study, "cohorts": cohorts, "student": student}, files[2]))
    assert "someone" not in text and "secret" not in text
    assert ".../mimic-cxr" in text and ".../cbis" in text and ".../weights.safetensors" in text


def test_git_state(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True)

    assert report.git_state(tmp_path) is None
    git("init")
    assert report.git_state(tmp_path) is None  # no commit yet
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    state = report.git_state(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", state["commit"]) and not state["dirty"]
    (tmp_path / "result").write_text("untracked files do not count")
    assert not report.git_state(tmp_path)["dirty"]
    (tmp_path / "file").write_text("two")
    assert report.git_state(tmp_path)["dirty"]
    (tmp_path / "inner").mkdir()
    assert report.git_state(tmp_path / "inner") is None  # a folder of another project's checkout
