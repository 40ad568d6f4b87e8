"""What the figures show and their captions say is what the long table says."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from sklearn.metrics import roc_auc_score

from mmpkd.config.evaluation import Claim
from mmpkd.design import Score
from mmpkd.evaluation.claims import claims_table
from mmpkd.evaluation.classification import classification_table
from mmpkd.evaluation.statistics import paired_gain
from mmpkd.outputs import figure as style
from mmpkd.outputs import (
    figure_attention_examples,
    figure_claims,
    figure_cohorts,
    figure_cross_domain,
    figure_localization,
    figure_method,
    figure_training,
    words,
)
from tests.figures import (
    CLAIMS,
    DOMAINS,
    EVALUATION,
    STUDY,
    check_texts,
    make_examples,
    markers_of,
    pixel_auroc,
    shown_texts,
)
from tests.synthetic import AWAY, DESIGN, HOME, design_of, with_reliance


def test_numbers_are_rounded_as_in_the_tables():
    assert words.numbers(0.0312, 0.0123, 0.0501) == "0.031 [0.012, 0.050]"
    assert words.numbers(-0.0312, -0.2, 0.1) == "\N{MINUS SIGN}0.03 [\N{MINUS SIGN}0.20, 0.10]"
    assert words.numbers(0.5, np.nan, np.nan) == "0.500 (no interval)"
    assert words.numbers(np.nan, np.nan, np.nan) == "not estimable"


@pytest.mark.parametrize("name", ["localization", "cross_domain", "classification"])
def test_captions_name_the_main_contrast_with_its_interval(scores, drawn, name):
    caption = drawn[name][1]
    if name == "classification":
        table = classification_table(scores, EVALUATION.confidence, "baseline")
        table = table[(table["label"] == "macro") & (table["metric"] == "auroc") & (table["arm"] == "mmpkd")]
        gain = table.set_index(["domain", "cohort"]).loc["cxr", "mimic_cxr"][["gain", "gain_low", "gain_high"]]
    else:
        estimate = paired_gain(scores, [HOME], "mmpkd", "baseline", EVALUATION.score())
        gain = (estimate.estimate, estimate.low, estimate.high)
    assert f": chest radiographs {words.numbers(*gain)}; mammograms " in caption


@pytest.mark.parametrize(("number", "text"), [(1, "1 image"), (2000, "2,000 images")])
def test_counts_in_words(number, text):
    assert words.count(number, "image") == text
    assert words.count_range([number, number], "image") == text


def test_localization_shows_means_seeds_and_gains(scores, drawn):
    figure, caption = drawn["localization"]
    left, right = figure.axes[:2]
    mmpkd = pixel_auroc(scores, "cxr", "mmpkd", "mimic_cxr")
    baseline = pixel_auroc(scores, "cxr", "baseline", "mimic_cxr")
    by_seed = mmpkd.groupby("seed")["value"].mean()
    gains = by_seed - baseline.groupby("seed")["value"].mean()
    colour = style.arm_marks(["mmpkd"], DESIGN)["mmpkd"].colour
    np.testing.assert_allclose(sorted(markers_of(left, colour, False)), sorted([*by_seed, by_seed.mean()]), atol=1e-6)
    np.testing.assert_allclose(sorted(markers_of(right, colour, False)), sorted([*gains, gains.mean()]), atol=1e-6)
    assert f"30 images, {mmpkd['patient_id'].nunique()} patients, 3 seeds" in caption


def test_localization_compares_with_the_controls(scores):
    rows = scores[(scores["domain"] == "control") & (scores["cohort"] == "mimic_cxr") & (scores["label"] == "any")]
    rows = rows[rows["metric"] == "pixel_auroc"]
    expected = rows[(rows["arm"] == "centre")]["value"].mean()
    assert figure_localization.control_mean(
        scores, "centre", "mimic_cxr", Score("pixel_auroc", "rollout")
    ) == pytest.approx(expected, abs=1e-6)
    expected = rows[(rows["arm"] == "untrained") & (rows["method"] == "last_layer")]["value"].mean()
    found = figure_localization.control_mean(scores, "untrained", "mimic_cxr", Score("pixel_auroc", "last_layer"))
    assert found == pytest.approx(expected, abs=1e-6)
    assert np.isnan(figure_localization.control_mean(scores, "absent", "mimic_cxr", Score("pixel_auroc", "rollout")))


def test_cells_are_grouped_by_how_far_they_are():
    cells = [(cell.domain, cell.cohort, cell.relation) for cell in figure_cross_domain.nearest_first(DESIGN.cells)]
    assert cells == [
        ("cxr", "mimic_cxr", "in-domain"),
        ("mammography", "cbis_ddsm", "in-domain"),
        ("cxr", "vindr_cxr", "other data set"),
        ("mammography", "vindr_mammo", "other data set"),
        ("cxr", "cbis_ddsm", "other modality"),
        ("cxr", "vindr_mammo", "other modality"),
        ("mammography", "mimic_cxr", "other modality"),
        ("mammography", "vindr_cxr", "other modality"),
    ]


def test_cross_domain_shows_the_gain_of_every_cell(scores, drawn):
    axes = drawn["cross_domain"][0].axes[0]
    expected = []
    for cell in figure_cross_domain.nearest_first(DESIGN.cells):
        arms = [pixel_auroc(scores, cell.domain, arm, cell.cohort) for arm in ("mmpkd", "baseline")]
        mine, theirs = (rows.groupby("seed")["value"].mean() for rows in arms)
        expected += [*(mine - theirs), (mine - theirs).mean()]
    colour = style.arm_marks(["mmpkd"], DESIGN)["mmpkd"].colour
    np.testing.assert_allclose(np.sort(markers_of(axes, colour, True)), np.sort(expected), atol=1e-6)


def test_classification_shows_the_auroc(scores, drawn):
    figure, caption = drawn["classification"]
    rows = scores[(scores["domain"] == "cxr") & (scores["cohort"] == "mimic_cxr") & (scores["arm"] == "mmpkd")]
    rows = rows[(rows["label"] == "Atelectasis") & rows["metric"].isin(["logit", "target"])]
    wide = rows.pivot_table(index=["seed", "image_id"], columns="metric", values="value", observed=True)
    by_seed = [roc_auc_score(part["target"], part["logit"]) for _, part in wide.groupby("seed")]
    colour = style.arm_marks(["mmpkd"], DESIGN)["mmpkd"].colour
    found = markers_of(figure.axes[0], colour, True)
    assert min(abs(found - np.mean(by_seed))) < 1e-6
    for value in by_seed:
        assert min(abs(found - value)) < 1e-6
    assert figure.axes[0].get_xlim()[0] < 0.5 < figure.axes[0].get_xlim()[1]
    assert "60 images" in caption


def test_claims_read_from_csv_look_the_same(scores, tmp_path, drawn):
    path = tmp_path / "claims.csv"
    claims_table(scores, CLAIMS, EVALUATION, DESIGN).to_csv(path, index=False)
    figure, caption = figure_claims.draw(pd.read_csv(path), EVALUATION, DESIGN)
    assert caption == drawn["claims"][1]
    assert [text for text, _ in shown_texts(figure)] == [text for text, _ in shown_texts(drawn["claims"][0])]


def test_claims_say_what_could_not_be_tested(scores):
    one_seed = scores[(scores["seed"] == 0) & (scores["arm"] != "shuffled") & (scores["cohort"] != AWAY.cohort)]
    absent = Claim(title="Absent", cells=[str(AWAY)])
    table = claims_table(one_seed, {**CLAIMS, "absent": absent}, EVALUATION, DESIGN)
    figure, _ = figure_claims.draw(table, EVALUATION, DESIGN)
    places = [line.get_ydata()[0] for line in figure.axes[0].lines if line.get_marker() == "s"]
    assert set(places) <= {0, 1, 2, 3}, "alone, an estimate stands in the middle of its row"
    texts = [text for text, _ in shown_texts(figure)]
    assert "not estimable" in texts
    assert sum(text.endswith("no interval") for text in texts) == 3
    assert texts.count("inconclusive") == 4
    assert "same contrast against the shuffled teacher" not in texts


def test_claims_show_known_answers_in_words(scores, tmp_path, drawn):
    known = dict(zip(CLAIMS, ("gain", "no_gain"), strict=False))
    claims = {name: claim.model_copy(update={"known": known.get(name)}) for name, claim in CLAIMS.items()}
    table = claims_table(scores, claims, EVALUATION, DESIGN)
    table.to_csv(tmp_path / "claims.csv", index=False)
    figure, caption = figure_claims.draw(pd.read_csv(tmp_path / "claims.csv"), EVALUATION, DESIGN)
    texts = [text for text in check_texts(figure) if text.startswith("known")]
    words = ["recovered" if found else "missed" for found in table["recovered"][:2]]
    assert texts == [f"known: gain,\n{words[0]}", f"known: no gain,\n{words[1]}"]
    weights = [text.get_weight() for text in figure.findobj(Text) if text.get_text().startswith("known")]
    assert weights == [{"recovered": "normal", "missed": "bold"}[word] for word in words]
    assert "Known: the answer that was planted" in caption and caption.startswith(drawn["claims"][1])


@pytest.mark.parametrize(("p", "text"), [(0.0001, "<0.001"), (0.0116, "0.012"), (float("nan"), "–")])
def test_p_in_words(p, text):
    assert words.p_text(p) == text


def test_training_marks_the_selected_epoch_and_skips_terms_that_an_arm_lacks(histories, drawn):
    figure, caption = drawn["training"]
    colour = style.arm_marks(["baseline"], DESIGN)["baseline"].colour
    selected = [
        h.loc[h["selected"], "validation_auroc"].item()
        for (d, a, _), h in histories.items()
        if (d, a) == ("cxr", "baseline")
    ]
    np.testing.assert_allclose(sorted(markers_of(figure.axes[0], colour, False)), sorted(selected))
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels.index("logit distillation") == 4
    lines = [
        line for line in figure.axes[4].lines if to_hex(line.get_color()) == colour.lower() and len(line.get_xdata())
    ]
    assert not lines
    assert "3 seeds each, 4 epochs" in caption


def test_training_counts_the_images_that_were_learnt_from(histories):
    rows = [("train", "p1"), ("train", "p1"), ("train", "p2"), ("validate", "p3"), ("test", "p4")]
    images = pd.DataFrame(rows, columns=["split", "patient_id"])
    learnt = {"cxr": images, "mammography": images[images["split"] != "train"]}
    caption = figure_training.draw(histories, learnt, DESIGN)[1]
    assert "chest radiographs: 3 images of 2 patients for training, 1 image of 1 patient for validation." in caption
    assert "mammograms: 0 images of 0 patients for training, 1 image of 1 patient for validation." in caption


def test_training_without_history_is_an_error():
    with pytest.raises(ValueError, match="no training history"):
        figure_training.draw({}, {}, DESIGN)


def test_prevalence_counts_known_labels_only(tables):
    row = figure_cohorts.label_prevalence({"mimic_cxr": tables["mimic_cxr"]}).iloc[0]
    assert (row["n_known"], row["n_positive"], row["share"]) == (11, 3, 3 / 11)


def test_cohorts_without_roi(tables):
    figure, caption = figure_cohorts.draw(tables, {})
    assert "no ROI" in [text for text, _ in shown_texts(figure)]
    assert "mimic_cxr: 12 images of 6 patients, 0 ROI" in caption


def make_scores(gains: list[float]) -> pd.DataFrame:
    """Two seeds whose gains differ by a constant, so that the mean over seeds is what is asked for."""
    rows = [
        (
            "cxr",
            arm,
            seed,
            "home",
            f"p{k}",
            f"i{k}",
            "any",
            "rollout",
            "pixel_auroc",
            0.5 + (gain + shift) * (arm == "mmpkd"),
        )
        for k, gain in enumerate(gains)
        for seed, shift in ((0, -0.1), (1, 0.1))
        for arm in ("baseline", "mmpkd")
    ]
    names = ["domain", "arm", "seed", "cohort", "patient_id", "image_id", "label", "method", "metric", "value"]
    return pd.DataFrame(rows, columns=names)


@pytest.mark.parametrize(
    ("gains", "best", "median", "worst"),
    [([0.1, 0.3, -0.2], "i1", "i0", "i2"), ([0.4, 0.1, 0.2, 0.3], "i0", "i2", "i1"), ([0.2], "i0", "i0", "i0")],
)
def test_examples_are_picked_by_rule(gains, best, median, worst):
    chosen = figure_attention_examples.select_examples(
        make_scores(gains), EVALUATION, design_of({"cxr": {"training": "home"}})
    )
    assert dict(zip(chosen["rule"], chosen["image_id"], strict=True)) == {
        "best": best,
        "median": median,
        "worst": worst,
    }
    np.testing.assert_allclose(chosen["gain"], chosen["mmpkd"] - chosen["baseline"])


def test_examples_come_from_the_first_cohort_of_a_domain_that_has_scores():
    scores = make_scores([0.1, 0.3, -0.2])
    domains = {"cxr": {"training": "reports_alone", "cohorts": ["boxes_later", "home"]}, "mr": {"training": "other"}}
    chosen = figure_attention_examples.select_examples(scores, EVALUATION, design_of(domains))
    assert set(chosen["domain"]) == {"cxr"} and set(chosen["cohort"]) == {"home"}
    nothing = figure_attention_examples.select_examples(scores, EVALUATION, design_of({"mr": {"training": "other"}}))
    assert nothing.empty and {"domain", "cohort", "image_id"} <= set(nothing.columns)


def test_a_phantom_with_a_marker_has_a_fourth_row(scores, examples):
    """Its image is the lower median of those that bear the marker."""
    marked = with_reliance(scores, {(HOME, "mmpkd"): 0.1}, np.random.default_rng(8))
    more = make_examples(marked)
    rules = ["best", "median", "worst"]
    for domain, expected in {"cxr": [*rules, "median\nwith marker"], "mammography": rules}.items():
        assert [example.rule for example in examples if example.domain == domain] == rules
        assert [example.rule for example in more if example.domain == domain] == expected
    wide = pixel_auroc(scores, "cxr", "mmpkd", "mimic_cxr").groupby("image_id", observed=True)["value"].mean()
    wide -= pixel_auroc(scores, "cxr", "baseline", "mimic_cxr").groupby("image_id", observed=True)["value"].mean()
    bearing = marked[(marked["metric"] == "marked") & (marked["value"] == 1)]["image_id"]
    gains = wide[wide.index.isin(bearing)].sort_values()
    assert more[3].gain == pytest.approx(gains.iloc[(len(gains) - 1) // 2], abs=1e-6)
    figure, caption = figure_attention_examples.draw(more, EVALUATION, DESIGN)
    check_texts(figure)
    axes = [axes for axes in figure.findobj(mpl.axes.Axes) if axes.images]
    assert len(axes) == (4 + 3) * 3 + 1  # the image and two arms, and the scale
    tops = [one.get_window_extent().y1 for one in axes]
    np.testing.assert_allclose(tops[:9], tops[12:21], atol=5, err_msg="rows of both domains are level")
    assert "bear the planted marker" in caption
    assert "marker" not in figure_attention_examples.draw(examples, EVALUATION, DESIGN)[1]


def test_maps_of_seeds_are_averaged_as_shares():
    exports = [
        {"image_id": np.array(["a", "b"]), "rollout": np.array([np.eye(2), np.ones((2, 2))])},
        {"image_id": np.array(["b", "a"]), "rollout": np.array([np.ones((2, 2)), 100 * np.ones((2, 2))])},
    ]
    found = figure_attention_examples._mean_map(exports, "a", "rollout", 2)
    np.testing.assert_allclose(found, [[1.5, 0.5], [0.5, 1.5]])  # 1 = uniform; the scale of a seed's map is no weight


def test_pictures_of_withheld_cohorts_are_left_out(examples):
    figure, caption = figure_attention_examples.draw(examples, EVALUATION, DESIGN, withheld=["mimic_cxr"])
    assert not any("CXR" in text for text, _ in shown_texts(figure))
    assert caption.endswith("may not be shown: MIMIC-CXR (phantom).")
    figure, caption = figure_attention_examples.draw(examples, EVALUATION, DESIGN, withheld=["mimic_cxr", "cbis_ddsm"])
    assert not figure.findobj(mpl.image.AxesImage)
    assert caption.endswith("may not be shown: CBIS-DDSM (phantom), MIMIC-CXR (phantom).")


def test_the_schematic_names_domains_where_their_teachers_differ():
    report, cases = {"kind": "text"}, {"kind": "tabular", "model": "mlp"}
    domains = {name: {**DOMAINS["cxr"], "teacher": report} for name in ("cxr", "ultrasound")}
    figure, _ = figure_method.draw({**STUDY, "domains": domains})
    assert {"reports", "text encoder"} <= {text for text, _ in shown_texts(figure)}
    domains["mammography"] = {**DOMAINS["mammography"], "teacher": cases}
    figure, _ = figure_method.draw({**STUDY, "domains": domains})
    assert "mammograms: network" in [text for text, _ in shown_texts(figure)]


def test_the_schematic_says_how_the_constant_teacher_and_a_longer_course_differ():
    plain = {"label": 1.0}
    arms = {"flat": {"teacher": "constant", "losses": {**plain, "logit": 1.0}}, "long": {"course": {"epochs": 28}}}
    figure, _ = figure_method.draw(
        {**STUDY, "arms": {**STUDY["arms"], **{k: {"title": k, **v} for k, v in arms.items()}}}
    )
    words = " ".join(text for text, _ in shown_texts(figure)).replace("\n", " ")
    assert words.count("same for every image") == 1 and words.count("epochs 28") == 1
