"""Nothing in a figure overlaps or leaves the page, and arms can be distinguished, in a small and in a crowded study."""

from itertools import combinations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch

from mmpkd.config.evaluation import Evaluation
from mmpkd.outputs import figure as style
from mmpkd.outputs import (
    figure_classification,
    figure_cohorts,
    figure_cross_domain,
    figure_localization,
    figure_method,
    figure_training,
)
from tests.figures import (
    ARMS,
    CROWDED_ARMS,
    DOMAINS,
    EVALUATION,
    FIGURES,
    MORE_ARMS,
    STUDY,
    check_texts,
    make_history,
    shown_texts,
)
from tests.outputs import make
from tests.synthetic import DESIGN, LABELS, design_of, synthetic_scores

CROWD = {  # for each domain of the crowded study: the domain and the cohorts whose scores it gets
    "cxr": ("cxr", {"mimic_cxr": "mimic_cxr", "vindr_cxr": "chexlocalize_external"}),
    "computed_tomography": ("cxr", {"mimic_cxr": "ct_rate_marked", "vindr_cxr": "ct_external_hospital"}),
    "mammography": ("mammography", {"cbis_ddsm": "mammography_marked", "vindr_mammo": "vindr_mammo"}),
    "breast_ultrasound": ("mammography", {"cbis_ddsm": "busi", "vindr_mammo": "breast_us_external"}),
}
CROWDED_COHORTS = {new: old for _, names in CROWD.values() for old, new in names.items()}
CROWDED_DOMAINS = {
    domain: dict(zip(("training", "cohorts"), (cohorts[0], cohorts[1:]), strict=True)) | {"labels": LABELS[source]}
    for domain, (source, names) in CROWD.items()
    for cohorts in [list(names.values())]
}
CROWDED_DESIGN = design_of(CROWDED_DOMAINS)


@pytest.fixture(scope="module")
def crowded_scores():
    """Four domains, eight cohorts, eight arms, long names."""
    scores = synthetic_scores(np.random.default_rng(6), images=4, seeds=2)
    scores = scores[scores["metric"].isin(["pixel_auroc", "logit", "target"])]
    scores = scores.astype({name: str for name in ("domain", "arm", "cohort", "patient_id", "image_id")})
    parts = []
    for domain, (source, _) in CROWD.items():
        students = scores[scores["domain"] == source]
        for names in (CROWD[other][1] for other in CROWD):
            part = students[students["cohort"].isin(list(names))].assign(domain=domain)
            part["cohort"] = part["cohort"].map(names)
            parts += [part, *(part[part["arm"] == "mmpkd"].assign(arm=arm) for arm in CROWDED_ARMS)]
    for _, names in CROWD.values():
        controls = scores[(scores["domain"] == "control") & scores["cohort"].isin(list(names))]
        parts.append(controls.assign(cohort=controls["cohort"].map(names)))
    crowd = pd.concat(parts, ignore_index=True)
    return crowd.astype(dict.fromkeys(("domain", "arm", "cohort", "method", "metric", "label"), "category"))


@pytest.fixture(scope="module", params=[1, 2])
def crowded(request, crowded_scores, tables, rois):
    rng, columns = np.random.default_rng(7), request.param
    arms = {**ARMS, **dict.fromkeys(CROWDED_ARMS, {**ARMS["shuffled"], "title": None})}
    teachers = [{"kind": "text"}, *[{"kind": "tabular", "model": "gradient_boosting"}] * 3]
    domains = {
        name: {**facts, "teacher": teacher}
        for (name, facts), teacher in zip(CROWDED_DOMAINS.items(), teachers, strict=True)
    }
    return {
        "method": figure_method.draw({**STUDY, "domains": domains, "arms": arms, "imaging": {"size": 224}}, columns),
        "cohorts": figure_cohorts.draw(
            {new: tables[old] for new, old in CROWDED_COHORTS.items()},
            {new: rois[old] for new, old in CROWDED_COHORTS.items()},
            columns,
        ),
        "training": figure_training.draw(
            {(d, a, k): make_history(rng, a != "baseline") for d in CROWDED_DOMAINS for a in arms for k in range(2)},
            dict.fromkeys(CROWDED_DOMAINS, tables["mimic_cxr"].images),
            CROWDED_DESIGN,
            columns,
        ),
        **{
            name: make(module, crowded_scores, EVALUATION, CROWDED_DESIGN, columns=columns)
            for name, module in (
                ("localization", figure_localization),
                ("cross_domain", figure_cross_domain),
                ("classification", figure_classification),
            )
        },
    }


CROWDED = ("method", "cohorts", "training", "localization", "cross_domain", "classification")


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_overlaps_or_leaves_the_figure(drawn_at, name, columns):
    check_texts(drawn_at[columns][name][0])


@pytest.mark.parametrize("name", CROWDED)
def test_a_crowded_study_is_drawn_as_clearly(crowded, name):
    figure, caption = crowded[name]
    texts = check_texts(figure)
    assert figure.get_size_inches()[1] < style.PAGE + 0.01
    named = {CROWDED_DESIGN.title(arm) for arm in CROWDED_ARMS}
    assert name == "cohorts" or all(arm in caption + " ".join(texts) for arm in named)


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_fits_a_journal_page_and_its_caption_stands_alone(drawn_at, name, columns):
    figure, caption = drawn_at[columns][name]
    width, height = figure.get_size_inches()
    assert width == style.WIDTHS[columns]
    assert height < 9.5
    assert caption.endswith(".")
    assert "nan" not in caption
    assert "  " not in caption


def test_arms_keep_order_and_colour():
    assert DESIGN.order(["embedding", "shuffled", "mmpkd", "baseline"]) == [
        "baseline",
        "mmpkd",
        "shuffled",
        "embedding",
    ]
    alone, together = style.arm_marks(["mmpkd"], DESIGN), style.arm_marks(["baseline", "mmpkd", "a", "b"], DESIGN)
    assert alone["mmpkd"] == together["mmpkd"]
    assert len({mark.colour for mark in together.values()}) == len({mark.marker for mark in together.values()}) == 4


def test_fourteen_arms_and_eight_cohorts_are_told_apart_without_colour():
    for marks in (style.arm_marks([*ARMS, *MORE_ARMS], DESIGN), style.cohort_marks(range(8))):
        assert len({mark.marker for mark in marks.values()}) == len(marks)


def test_the_main_arms_keep_apart_for_deuteranopes():
    """Machado, Oliveira and Fernandes, IEEE TVCG 15, 2009: linear RGB as full deuteranopia sees it."""
    seen = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])
    colours = [mpl.colors.to_rgb(mark.colour) for mark in style.arm_marks(ARMS, DESIGN).values()]
    apart = [np.linalg.norm(seen @ (np.array(one) - other)) for one, other in combinations(np.power(colours, 2.2), 2)]
    assert min(apart) > 0.15


def test_arms_without_space_are_named_in_the_caption():
    assert style.fitting_arms("abc", rows=10, inches=2.0, space=0.1) == ["a", "b"]
    assert style.fitting_arms("abc", rows=100, inches=2.0, space=0.1) == ["a"]
    assert style.left_out("ab", "abc", "claims", DESIGN).endswith("in the table of claims: c.")
    assert style.left_out("abc", "abc", "claims", DESIGN) == ""


def test_controls_do_not_stretch_the_scale_of_the_students(scores):
    """One far below stands at the lower end by name and value; one within is a line."""
    far = (scores["domain"] == "control") & (scores["arm"] == "uniform") & (scores["metric"] == "pixel_auroc")
    scores = scores.assign(value=scores["value"].mask(far, -40.0))
    figure, _ = make(figure_localization, scores, EVALUATION, DESIGN)
    words = " ".join(check_texts(figure)).replace("\n", " ")
    assert figure.axes[0].get_ylim()[0] > -1
    assert words.count("\u2193 uniform map -40.00") == words.count("\u2193") == 4  # two domains, two methods


def test_no_marker_of_the_cohorts_hides_another(drawn_at):
    """Counts and shares that are equal stand apart, and each panel names a cohort once."""
    for figure, _ in (drawn_at[columns]["cohorts"] for columns in style.WIDTHS):
        FigureCanvasAgg(figure).draw()
        for axes in figure.axes[:2]:
            lines = [line for line in axes.lines if len(line.get_xdata())]
            centres = np.array([axes.transData.transform(line.get_xydata()[0]) for line in lines])
            apart = [np.linalg.norm(one - other) for one, other in combinations(centres, 2)]
            assert min(apart) > 4 / 72 * figure.dpi  # of a marker's 4 pt
        assert [text for text, _ in shown_texts(figure)].count("vindr_cxr") == 3


def test_the_schematic_keeps_its_words_in_their_boxes():
    study = {
        **STUDY,
        "domains": {"computed_tomography": STUDY["domains"]["mammography"], **STUDY["domains"]},
    }
    figure, _ = figure_method.draw(study)
    texts = shown_texts(figure)
    boxes = [patch.get_window_extent() for patch in figure.findobj(FancyBboxPatch)]
    assert len(boxes) == 14
    for text, extent in texts:
        centre = ((extent.x0 + extent.x1) / 2, (extent.y0 + extent.y1) / 2)
        for box in boxes:
            if box.contains(*centre):
                held = box.x0 < extent.x0 and extent.x1 < box.x1 and box.y0 < extent.y0 and extent.y1 < box.y1
                assert held, f"{text!r} leaves its box"
    for (one, first), (other, second) in combinations(texts, 2):
        assert not first.overlaps(second), f"{one!r} overlaps {other!r}"


def test_a_small_study_is_drawn_too():
    """One domain, one seed, one method, no controls, no shuffled arm."""
    scores = synthetic_scores(np.random.default_rng(5), images=10, seeds=1, controls=False)
    scores = scores[(scores["domain"] == "cxr") & (scores["arm"] != "shuffled")]
    evaluation, design = Evaluation(methods=["last_layer"]), design_of({"cxr": DOMAINS["cxr"]})
    for module in (figure_localization, figure_cross_domain, figure_classification):
        figure, caption = make(module, scores, evaluation, design)
        assert "1 seed" in caption
        assert shown_texts(figure)


def test_eight_cohorts_in_one_column_have_a_box_each_and_markers_apart(tables, rois):
    named = {new: tables[old] for new, old in CROWDED_COHORTS.items()}
    figure, caption = figure_cohorts.draw(named, {new: rois[old] for new, old in CROWDED_COHORTS.items()}, 1)
    check_texts(figure)
    labels = [text for text, _ in shown_texts(figure) if "(n = " in text]
    assert labels == [f"{new} (n = {len(rois[old])})" for new, old in CROWDED_COHORTS.items()]
    assert "all splits and labels: median" in caption
    for axes in figure.axes[:2]:
        lines = [line for line in axes.lines if len(line.get_xdata())]
        centres = np.array([axes.transData.transform(line.get_xydata()[0]) for line in lines])
        apart = min(np.linalg.norm(one - other) for one, other in combinations(centres, 2))
        assert apart > lines[0].get_markersize() / 72 * figure.dpi


def test_the_schematic_fits_a_page_and_names_the_arms_that_do_not():
    shuffled = {**ARMS["shuffled"], "title": None}
    study = {**STUDY, "arms": {**ARMS, **dict.fromkeys(MORE_ARMS, shuffled)}}
    figure, caption = figure_method.draw(study, columns=1)
    check_texts(figure)
    assert figure.get_size_inches()[1] <= style.PAGE
    words = [text for text, _ in shown_texts(figure)]
    left_out = caption.partition("Not drawn for lack of space: ")[2].removesuffix(".").split(", ")
    drawn = [arm for arm in MORE_ARMS if arm.replace("_", " ") in words]
    assert left_out == [arm.replace("_", " ") for arm in MORE_ARMS if arm not in drawn]
    assert drawn and len(drawn) < len(MORE_ARMS)
