import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.demo import DEMO
from mmpkd.design import Score
from mmpkd.evaluation.statistics import paired_gain
from mmpkd.evaluation.verdicts import signed
from mmpkd.imaging.store import NO_BREAST
from mmpkd.outputs import table_classification, table_cross_domain, table_localization, table_summary
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.latex import escape, latex
from mmpkd.outputs.table import Table, markdown, rounded
from mmpkd.outputs.table_claims import SHOWN
from mmpkd.outputs.table_cohorts import count_all
from mmpkd.outputs.words import decimals
from tests.outputs import make, make_claims, parts
from tests.synthetic import DESIGN, HOME, LABELS, METRICS, synthetic_scores

STUDY = DEMO
MASSES = {"none": 0.1, "rollout": 0.3, "last_layer": 0.2}  # on sinks


@pytest.fixture(scope="module")
def scores():
    return synthetic_scores(np.random.default_rng(0), images=60)


def test_rounding_merges_intervals_and_marks_what_is_absent():
    table = pd.DataFrame(
        {
            "arm": ["a|b", ""],
            "estimate": [0.12345, np.nan],
            "low": [-0.00001, np.nan],
            "high": [0.25, np.nan],
            "gain": [0.1, -0.00001],
            "gain_low": [0.05, np.nan],
            "gain_high": [0.15, np.nan],
            "gain_p": [0.0001, 0.04],
            "n_images": [10, 20],
            "credited": [True, False],
            "reason": ["", ""],
        }
    )
    text = rounded(table)
    assert list(text.columns) == ["arm", "estimate", "gain", "gain_p", "n_images", "credited"]
    assert text.iloc[0].tolist() == ["a|b", "0.12 [0.00, 0.25]", "0.100 [0.050, 0.150]", "<0.001", "10", "yes"]
    assert text.iloc[1].tolist() == ["-", "-", "0.000", "0.040", "20", "no"]
    lines = markdown(text, "Caption.").splitlines()
    assert lines[3] == "| --- | ---: | ---: | ---: | ---: | --- |"
    assert lines[4].startswith(r"| a\|b | 0.12 [0.00, 0.25] |")


@pytest.mark.parametrize(
    ("half_width", "places"),
    [(3.2, 2), (0.12, 2), (0.0996, 2), (0.0994, 3), (0.012, 3), (0.0034, 4), (0.00034, 4), (np.nan, 3), (0.0, 3)],
)
def test_the_half_width_of_an_interval_keeps_two_digits(half_width, places):
    assert decimals(0.5 - half_width, 0.5 + half_width) == places


def test_a_column_is_rounded_by_the_median_of_its_intervals():
    lows, highs = [0.0, -0.2, np.nan, -0.1], [0.02, 0.3, 1, 0.3]
    table = pd.DataFrame({"gain": [0.01234, 0.01234, 0.5, -0.001], "gain_low": lows, "gain_high": highs})
    expected = ["0.01 [0.00, 0.02]", "0.01 [-0.20, 0.30]", "0.50", "0.00 [-0.10, 0.30]"]
    assert rounded(table)["gain"].tolist() == expected
    assert rounded(pd.DataFrame({"seconds": [1312.74, 1.26]}))["seconds"].tolist() == ["1312.7", "1.3"]
    assert list(rounded(pd.DataFrame({"rule": [], "seconds": []}))) == ["rule", "seconds"]


def test_signs_become_minus_and_hyphens_stay():
    assert escape("-0.5 [-0.6, -.4]") == "$-$0.5 [$-$0.6, $-$.4]"
    assert escape("in-domain 2025-08-06 f(x)-1 ViT-16 -") == "in-domain 2025-08-06 f(x)-1 ViT-16 -"


def test_a_table_is_laid_out_by_its_rows_and_columns():
    cell = "0.123 [0.100, 0.150]"

    def columns(count):
        return pd.DataFrame({"arm": ["a"], **{f"gain {k}": [cell] for k in range(count)}})

    small, wide, wider = (latex(columns(count), "Caption.", "tab:x") for count in (2, 7, 12))
    assert small.count(r"\begin{table}") == 1 and "sideways" not in small
    assert wide.count(r"\begin{sidewaystable}") == 1 and wide.count(cell) == 7
    assert wider.count(r"\begin{sidewaystable}") == 2 and wider.count(cell) == 12
    assert wider.count("\na &") == 2, "the arm is named again"
    assert wider.count("Caption.") == wider.count(r"\label{") == wider.count(r"\ContinuedFloat") == 1
    long = latex(pd.concat([columns(1)] * 60), "Caption.", "tab:x")
    assert long.count(r"\begin{table}") == 2 and long.count("Caption.") == 1 and long.count(cell) == 60


def test_latex_is_escaped_and_balanced():
    assert escape("50 % of a_b & {c} <0.001 \\") == (
        r"50 \% of a\_\allowbreak{}b \& \{c\} \textless{}0.001 \textbackslash{}"
    )
    text = latex(pd.DataFrame({"a_b": ["1.0"], "c": ["x&y"]}), "100 %", "tab:x")
    assert r"\begin{tabular}{rl}" in text and r"a\_\allowbreak{}b & c \\" in text and r"1.0 & x\&y \\" in text
    assert text.count(r"\begin{") == text.count(r"\end{") and text.count("rule") == 3


def test_write_makes_four_files_and_csv_keeps_six_digits(tmp_path):
    paths = [tmp_path / name for name in ("t.csv", "t.md", "t.tex", "t.caption.txt")]
    table = pd.DataFrame({"name": ["x"], "value": [0.123456789], "hidden": [3]})
    Table(table, "What it shows.", shown=["name", "value", "absent"]).write(*paths)
    assert paths[0].read_text() == "name,value,hidden\nx,0.123457,3\n"
    assert "hidden" not in paths[1].read_text() and "0.123" in paths[1].read_text()
    assert paths[3].read_text() == "What it shows.\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)


def test_names_are_shown_and_the_csv_keeps_keys_and_names_phantoms(tmp_path):
    row = {"domain": "cxr", "arm": "mmpkd", "metric": "pixel_auroc", "method": "rollout", "p_holm": 0.0004}
    rows = [{**row, "cohort": cohort, "gain": -1e-9} for cohort in ("mimic_cxr", "vindr_cxr")]
    rows.append({**row, "domain": "mammography", "cohort": "vindr_mammo", "arm": "edges", "gain": 0.25})
    files = {kind: tmp_path / f"t.{kind}" for kind in ("csv", "md", "tex", "txt")}
    design = replace(DESIGN, phantoms=("mimic_cxr", "vindr_mammo"))
    Table(pd.DataFrame(rows), "Caption.", design=design, heads={"gain": "gain in x"}).write(*files.values())
    csv = pd.read_csv(files["csv"])
    assert csv.columns.tolist() == ["domain", "arm", "metric", "method", "p_holm", "cohort", "phantom", "gain"]
    assert csv["phantom"].tolist() == [True, True, True], "students of a phantom, or images of one"
    assert csv["cohort"].tolist() == ["mimic_cxr", "vindr_cxr", "vindr_mammo"] and set(csv["arm"]) == {"mmpkd", "edges"}
    lines = files["md"].read_text().splitlines()
    assert lines[2] == "| training domain | arm | score | map | p (Holm-adjusted) | cohort | gain in x |"
    names = "chest radiographs | MMPKD | pixel AUROC | attention rollout | <0.001"
    assert lines[4] == f"| {names} | MIMIC-CXR (phantom) | 0.000 |" and lines[5] == f"| {names} | VinDr-CXR | 0.000 |"
    assert lines[6].startswith("| mammograms | edge map |") and lines[6].endswith("| VinDr-Mammo (phantom) | 0.250 |")
    assert "MIMIC-CXR (phantom)" in files["tex"].read_text() and "-0.000" not in files["tex"].read_text()
    assert files["txt"].read_text().endswith("say nothing about patients: MIMIC-CXR, VinDr-Mammo.\n")


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"cohort": ["vindr_cxr", "cbis_ddsm"]}, [False, True]),
        ({"domain": ["cxr", "mammography"]}, [False, True]),
        ({"cells": ["cxr@mimic_cxr", "cxr@mimic_cxr cxr@vindr_cxr"], "minus": ["", "cxr@cbis_ddsm"]}, [False, True]),
        ({"rule": ["train"]}, None),
    ],
)
def test_a_row_is_of_a_phantom_if_any_of_its_data_is(frame, expected, tmp_path):
    files = [tmp_path / name for name in ("a.csv", "a.md", "a.tex", "a.txt")]
    Table(pd.DataFrame(frame), "Caption.", design=replace(DESIGN, phantoms=("cbis_ddsm",))).write(*files)
    csv = pd.read_csv(files[0])
    assert (csv["phantom"].tolist() if "phantom" in csv else None) == expected


@pytest.mark.parametrize(
    ("value", "text"), [(-0.0004, "+0.000"), (0.0, "+0.000"), (-0.0006, "−0.001"), (0.5, "+0.500")]
)
def test_nothing_is_below_zero_once_it_is_rounded(value, text):
    assert signed(value) == text


def test_localization_holds_every_arm_control_method_and_metric(scores):
    table, caption = make(table_localization, scores, STUDY.evaluation, DESIGN)
    of_any = table[table["label"] == "any"]
    assert len(of_any) == 2 * 2 * len(METRICS) * 8
    assert "average precision of the attention rollout map" in caption
    row = of_any.query("domain == 'cxr' and arm == 'mmpkd' and metric == 'mass_in_roi' and method == 'last_layer'")
    gain = paired_gain(scores, [HOME], "mmpkd", "baseline", Score("mass_in_roi", "last_layer"))
    assert row["gain"].item() == pytest.approx(gain.estimate) and row["gain_low"].item() == pytest.approx(gain.low)
    assert table.query("arm in ('baseline', 'uniform', 'centre', 'edges', 'untrained')")["gain"].isna().all()
    assert table["mean_low"].notna().all()
    assert set(table["label"]) == {"any", *(label for labels in LABELS.values() for label in labels)}


def test_localization_has_the_mass_on_sinks_of_each_method_and_of_a_uniform_map(scores):
    some = scores[(scores["metric"] == "pixel_auroc") & (scores["label"] == "any") & (scores["method"] == "rollout")]
    some = some[some["arm"].isin(["baseline", "mmpkd", "untrained"])].astype({"metric": str, "method": str, "arm": str})
    sinks = [some.assign(metric="sink_mass", method=method, value=value) for method, value in MASSES.items()]
    table, _ = make(table_localization, pd.concat([scores, *sinks]), STUDY.evaluation, DESIGN)
    table = table[table["metric"] == "sink_mass"]
    assert set(table["arm"]) == {"baseline", "mmpkd", "untrained"} and set(table["method"]) == {*MASSES}
    assert not table.duplicated(["domain", "cohort", "method", "arm"]).any()
    assert table["mean"].tolist() == pytest.approx(table["method"].map(MASSES).tolist())


def test_cross_domain_is_a_row_a_cell(scores):
    table, _ = make(table_cross_domain, scores, STUDY.evaluation, DESIGN)
    relations = table.set_index(["domain", "cohort"])["relation"]
    assert len(table) == 8
    assert relations["cxr", "mimic_cxr"] == "in-domain" and relations["cxr", "vindr_cxr"] == "other data set"
    assert (relations == "other modality").sum() == 4
    np.testing.assert_allclose(table["mmpkd_gain"], table["mmpkd"] - table["baseline"])
    assert {"shuffled_gain_low", "centre", "edges", "untrained", "n_seeds"} <= set(table.columns)


def test_classification_is_a_row_a_label_and_arm(scores):
    table, _ = make(table_classification, scores, STUDY.evaluation, DESIGN)
    assert len(table) == 2 * 3 * (6 + 4)
    assert not table.duplicated(["domain", "cohort", "label", "arm"]).any()
    np.testing.assert_array_less(table["auroc_low"], table["auroc_high"])


@pytest.fixture(scope="module")
def partial(scores):
    """vindr_mammo does not know `malignant` and has no ROI of it; its targets of `mass` are all 0."""
    there = (scores["cohort"] == "vindr_mammo").to_numpy()
    rest = scores[~(there & (scores["label"] == "malignant").to_numpy())].copy()
    mass = ((rest["cohort"] == "vindr_mammo") & (rest["label"] == "mass") & (rest["metric"] == "target")).to_numpy()
    rest.loc[mass, "value"] = 0.0
    return rest


def test_classification_names_the_labels_of_each_cohort(scores, partial):
    table, caption = make(table_classification, partial, STUDY.evaluation, DESIGN)
    macro = table[(table["label"] == "macro") & (table["arm"] == "mmpkd")].set_index("cohort")
    assert macro.loc["cbis_ddsm", ["labels_evaluated", "labels_not_known"]].tolist() == [
        "calcification, malignant, mass",
        "",
    ]
    assert macro.loc["vindr_mammo", ["labels_evaluated", "labels_not_known"]].tolist() == ["calcification", "malignant"]
    assert (table.loc[table["label"] != "macro", ["labels_evaluated", "labels_not_known"]] == "").all(axis=None)
    one_class = table[(table["cohort"] == "vindr_mammo") & (table["label"] == "mass")]
    assert set(one_class["reason"]) == {"one class alone"}
    assert caption.endswith(
        "Labels of the domain that a cohort does not know: mammograms on VinDr-Mammo (phantom) (malignant)."
    )
    assert "does not know" not in make(table_classification, scores, STUDY.evaluation, DESIGN)[1]


def test_cross_domain_names_the_labels_of_each_cohorts_regions(scores, partial):
    table, caption = make(table_cross_domain, partial, STUDY.evaluation, DESIGN)
    regions = table.set_index(["domain", "cohort"])[["roi_labels", "labels_without_roi"]]
    for domain in ("cxr", "mammography"):
        assert regions.loc[domain, "vindr_mammo"].tolist() == ["calcification, mass", "malignant"]
        assert regions.loc[domain, "cbis_ddsm"].tolist() == ["calcification, malignant, mass", ""]
    assert caption.endswith("Labels of the domain that a cohort has no ROI of: VinDr-Mammo (phantom) (malignant).")
    assert "has no ROI of" not in make(table_cross_domain, scores, STUDY.evaluation, DESIGN)[1]


def test_the_summary_has_the_arms_and_then_the_controls_of_each_domain_at_home(scores, tmp_path):
    table = table_summary.make(Inputs(scores, STUDY.evaluation, DESIGN))
    rows = table.frame.set_index(["domain", "arm"])
    arms = ["baseline", "mmpkd", "shuffled", "centre", "edges", "untrained"]
    assert list(rows.index) == [(domain, arm) for domain in ("cxr", "mammography") for arm in arms]
    gain = paired_gain(scores, [HOME], "mmpkd", "baseline", STUDY.evaluation.score())
    found = rows.loc[("cxr", "mmpkd"), ["gain", "gain_low", "gain_high", "gain_p", "n_images"]].tolist()
    assert found == [gain.estimate, gain.low, gain.high, gain.p, gain.n_images]
    classified = make(table_classification, scores, STUDY.evaluation, DESIGN)[0]
    classified = classified[classified["label"] == "macro"].set_index(["domain", "cohort", "arm"])
    assert rows.loc[("cxr", "mmpkd"), "auroc"] == classified.loc[("cxr", "mimic_cxr", "mmpkd"), "auroc"]
    localized = make(table_localization, scores, STUDY.evaluation, DESIGN)[0]
    localized = localized.query("label == 'any' and metric == 'average_precision' and method in ('rollout', 'none')")
    localized = localized.set_index(["domain", "arm"]).reindex(rows.index)
    for bound in ("", "_low", "_high"):
        np.testing.assert_array_equal(rows[f"score{bound}"], localized[f"mean{bound}"])
    assert rows.loc[("cxr", ["baseline", "centre"]), "gain"].isna().all()
    files = {kind: tmp_path / f"t.{kind}" for kind in ("csv", "md", "tex", "txt")}
    table.write(*files.values())
    head = "training domain | cohort | arm | AUROC | average precision | gain in average precision"
    text = files["md"].read_text()
    assert f"| {head} |" in text
    [student] = [line.split(" | ") for line in text.splitlines() if "MIMIC-CXR (phantom) | MMPKD" in line]
    assert all(re.fullmatch(r"-?\d\.\d+ \[-?\d\.\d+, -?\d\.\d+\]( \|)?", cell) for cell in student[3:]), student
    assert len(re.findall(r"\\begin\{(?:sideways)?table\}", files["tex"].read_text())) == 1, "one page"


def test_a_summary_without_classification_or_gain_has_the_scores_that_there_are(scores):
    alone = scores[(scores["arm"].isin(["baseline", "uniform"]) & (scores["metric"] != "logit")).to_numpy()]
    frame = table_summary.make(Inputs(alone, STUDY.evaluation, DESIGN)).frame
    assert frame["arm"].tolist() == ["baseline"] * 2 and frame["score"].notna().all()
    assert frame[["auroc", "gain"]].isna().all(axis=None)


def test_scores_without_classification_give_an_empty_table(scores):
    table, _ = make(table_classification, scores[scores["method"] != "none"], STUDY.evaluation, DESIGN)
    assert table.empty and "auroc_gain_p" in table.columns


def test_claims_table_shows_known_columns(scores):
    table, caption = make_claims(scores, STUDY.claims, STUDY.evaluation, DESIGN)
    assert set(SHOWN) <= set(table.columns) and "95 %" in caption


def test_claims_table_shows_known_answers_where_there_are_any(scores, tmp_path):
    def written(folder: str, claims: dict) -> dict[str, str]:
        table, caption = make_claims(scores, claims, STUDY.evaluation, DESIGN)
        paths = {kind: tmp_path / f"{folder}.{kind}" for kind in ("csv", "md", "tex", "caption.txt")}
        Table(table, caption, SHOWN).write(*paths.values())
        return {kind: path.read_text() for kind, path in paths.items()}

    claim = STUDY.claims["in_domain_cxr"]
    answers = {"one": None, "two": "gain", "three": "no_gain"}
    claims = {name: claim.model_copy(update={"known": known}) for name, known in answers.items()}
    files = written("known", claims)
    cells = pd.read_csv(tmp_path / "known.csv", dtype=str, keep_default_na=False)[["known", "recovered"]]
    assert cells.to_numpy().tolist() == [["", ""], ["gain", "True"], ["no_gain", "False"]]
    assert all(f"| supported | {shown} |" in files["md"] for shown in ("- | -", "gain | yes", "no gain | no"))
    shown = ("- & -", "gain & yes", "no gain & no")
    assert all(f"supported & {cells} &" in files["tex"] for cells in shown)
    assert "Known: the answer that was planted" in files["caption.txt"]
    files = written("unknown", {"one": claims["one"]})
    assert ",known,recovered," in files.pop("csv")
    assert not any(word in text for text in files.values() for word in (" known ", "Known", "recovered"))


def test_every_table_is_written(scores, tmp_path):
    made = {
        "claims": make_claims(scores, STUDY.claims, STUDY.evaluation, DESIGN),
        "localization": make(table_localization, scores, STUDY.evaluation, DESIGN),
        "cross_domain": make(table_cross_domain, scores, STUDY.evaluation, DESIGN),
        "classification": make(table_classification, scores, STUDY.evaluation, DESIGN),
    }
    for name, (table, caption) in made.items():
        csv, *others = (tmp_path / f"{name}.{suffix}" for suffix in ("csv", "md", "tex", "caption.txt"))
        Table(table, caption).write(csv, *others)
        read = pd.read_csv(csv)
        assert list(read.columns) == list(table.columns) and len(read) == len(table)
        assert len(caption) > 100 and "nan" not in others[0].read_text().lower().split()


@pytest.fixture
def tables():
    images = pd.DataFrame(
        {
            "image_id": list("abcd"),
            "patient_id": ["p1", "p1", "p2", "p3"],
            "study_id": ["s1", "s1", "s2", "s3"],
            "split": ["train", "train", "validate", "test"],
            "path": "x",
            "view": "",
            "laterality": "",
            "rows": 1,
            "columns": 1,
        }
    )
    labels = pd.DataFrame({"image_id": list("abcd"), "mass": [1.0, 0.0, np.nan, 1.0]})
    rois = pd.DataFrame(
        {
            "roi_id": ["1", "2", "3"],
            "image_id": ["a", "d", "d"],
            "label": "mass",
            "kind": "box",
            **dict.fromkeys(("x0", "y0", "x1", "y1"), 0.0),
            "polygon": "",
            "mask_path": "",
        }
    )
    rejected = pd.DataFrame({"record": ["e", "f"], "reason": ["12 rows, image has 13", "3 rows, image has 4"]})
    return CohortTables(Path("."), images, labels, rois, rejected=rejected, notes={"patients_moved": 2})


def test_cohorts_counts_splits_labels_and_what_was_set_aside(tables):
    stored = {"x": pd.DataFrame({"record": ["b"], "reason": ["no pixels"]})}
    table = count_all({"x": tables}, stored).frame
    rows = table.set_index(["quantity", "item"])
    splits = ["train", "validate", "test", "total"]
    assert rows.loc[("images", ""), splits].tolist() == [2, 1, 1, 4]
    assert rows.loc[("patients", ""), splits].tolist() == [1, 1, 1, 3]
    assert rows.loc[("images with ROI", ""), splits].tolist() == [1, 0, 1, 2]
    assert rows.loc[("ROI", "mass"), splits].tolist() == [1, 0, 2, 3]
    assert rows.loc[("positive", "mass"), splits].tolist() == [1, 0, 1, 2]
    assert rows.loc[("unknown", "mass"), splits].tolist() == [0, 1, 0, 1]
    assert rows.loc[("rejected when read", "# rows, image has #"), "total"] == 2
    assert rows.loc[("rejected when stored", "no pixels"), "total"] == 1
    assert rows.loc[("decision", "patients moved"), "total"] == 2
    assert "rejected when stored" not in count_all({"x": tables}).frame["quantity"].tolist()


def test_cohorts_counts_what_was_noted_and_warns_of_images_without_a_breast(tables, caplog):
    images = tables.images["image_id"].tolist()
    notes = [(images[0], NO_BREAST), (images[0], "another side"), (images[3], NO_BREAST), ("unknown", NO_BREAST)]
    noted = {"x": pd.DataFrame(notes, columns=["image_id", "note"])}
    table, caption = parts(count_all({"x": tables}, notes=noted))
    rows = table[table["quantity"] == "noted when stored"].set_index("item")
    splits = tables.images["split"].iloc[[0, 3]].tolist()
    expected = [splits.count(split) for split in ("train", "validate", "test")]
    assert rows.loc[NO_BREAST, ["train", "validate", "test", "total"]].tolist() == [*expected, 2]
    assert rows.loc["another side", "total"] == 1
    assert "Warning: in 2 of 4 images of x no breast was found" in caption and "2 of 4" in caplog.text
    many = {"x": pd.DataFrame({"image_id": images, "note": "another side"})}
    assert "Warning" not in count_all({"x": tables}, notes=many).caption


def test_cohorts_names_labels_that_a_data_set_does_not_know(tables):
    table = count_all({"x": tables}, labels={"x": ["mass", "malignant"]}).frame
    rows = table.set_index(["quantity", "item"])
    assert rows.loc[("unknown", "malignant"), ["train", "validate", "test", "total"]].tolist() == [2, 1, 1, 4]
    assert ("positive", "malignant") not in rows.index and rows.index.is_unique
    assert ("unknown", "malignant") not in count_all({"x": tables}).frame.set_index(["quantity", "item"]).index
