"""What the figures show is what the long table says, and nothing in them overlaps."""

from dataclasses import replace
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text
from PIL import Image
from sklearn.metrics import roc_auc_score

from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.config.students import Arm, Roles
from mmpkd.design import Score
from mmpkd.evaluation.claims import claims_table
from mmpkd.evaluation.classification import classification_table
from mmpkd.evaluation.statistics import paired_gain
from mmpkd.outputs import figure as style
from mmpkd.outputs import (
    figure_attention_examples,
    figure_claims,
    figure_classification,
    figure_cohorts,
    figure_cross_domain,
    figure_localization,
    figure_method,
    figure_training,
    words,
)
from mmpkd.outputs.figure import Drawing
from mmpkd.outputs.inputs import Inputs
from tests.outputs import make
from tests.synthetic import AWAY, DESIGN, DOMAIN_OF, HOME, LABELS, design_of, synthetic_scores, with_reliance

EVALUATION = Evaluation()
DOMAINS = {
    "cxr": {"training": "mimic_cxr", "cohorts": ["vindr_cxr"], "labels": LABELS["cxr"]},
    "mammography": {"training": "cbis_ddsm", "cohorts": ["vindr_mammo"], "labels": LABELS["mammography"]},
}
CLAIMS = {
    "in_domain": Claim(title="The text teacher improves localisation in chest radiographs", cells=["cxr@mimic_cxr"]),
    "elsewhere": Claim(title="No gain in the other modality", cells=["cxr@cbis_ddsm"], expect="no_gain"),
    "difference": Claim(title="Larger at home than away", cells=["cxr@mimic_cxr"], minus=["cxr@cbis_ddsm"]),
}
ARMS = {
    "baseline": Arm().model_dump(),
    "mmpkd": Arm(title="MMPKD", teacher="privileged", losses={"label": 1.0, "logit": 1.0}).model_dump(),
    "shuffled": Arm(
        title="shuffled teacher", teacher="shuffled", losses={"label": 1.0, "logit": 1.0, "embedding_mse": 0.5}
    ).model_dump(),
}
TEACHERS = {"cxr": {"kind": "text"}, "mammography": {"kind": "tabular", "model": "gradient_boosting"}}
STUDY = {
    "domains": {name: {**facts, "teacher": TEACHERS[name]} for name, facts in DOMAINS.items()},
    "arms": ARMS,
    "design": Roles().model_dump(),
    "imaging": {"size": 64},
}


@pytest.fixture(scope="module")
def scores():
    return synthetic_scores(np.random.default_rng(0), images=30, seeds=3)


def make_history(rng, distils: bool) -> pd.DataFrame:
    auroc = rng.random(4)
    history = pd.DataFrame({"epoch": range(1, 5), "loss": 1.0, "label_loss": rng.random(4), "learning_rate": 1e-3})
    if distils:
        history["logit_loss"] = rng.random(4)
    return history.assign(validation_auroc=auroc, selected=auroc == auroc.max())


@pytest.fixture(scope="module")
def histories():
    rng = np.random.default_rng(1)
    return {(d, a, k): make_history(rng, a != "baseline") for d in DOMAINS for a in ARMS for k in range(3)}


def make_cohort(name: str, images: int = 12) -> CohortTables:
    numbers = np.arange(images)
    table = pd.DataFrame(
        {
            "image_id": [f"{name}-{k}" for k in numbers],
            "patient_id": (numbers // 2).astype(str),
            "study_id": numbers.astype(str),
            "split": np.array(["train", "validate", "test"])[numbers // 2 % 3],
            "path": "image.dcm",
            "view": "PA",
            "laterality": "",
            "rows": 64,
            "columns": 64,
        }
    )
    values = np.where(numbers % 4 == 0, 1.0, 0.0)
    values[-1] = np.nan
    labels = pd.DataFrame({"image_id": table["image_id"], **dict.fromkeys(LABELS[DOMAIN_OF[name]], values)})
    return CohortTables("/nowhere", table, labels)


@pytest.fixture(scope="module")
def tables():
    return {name: make_cohort(name) for name in DOMAIN_OF}


@pytest.fixture(scope="module")
def rois(tables):
    rng = np.random.default_rng(2)
    return {
        name: pd.DataFrame(
            {"label": LABELS[DOMAIN_OF[name]] * 4, "area": rng.uniform(0.01, 0.2, 4 * len(LABELS[DOMAIN_OF[name]]))}
        )
        for name in tables
    }


class Store:
    """Random pictures, in place of an image store."""

    def __init__(self, image_ids):
        self.image_ids = list(image_ids)

    def positions(self, image_ids):
        return np.array([self.image_ids.index(name) for name in image_ids])

    def pixels(self, positions):
        return np.random.default_rng(3).integers(0, 256, (len(positions), 32, 32)).astype(np.uint8)


def make_examples(scores: pd.DataFrame) -> list[figure_attention_examples.Example]:
    chosen = figure_attention_examples.select_examples(scores, EVALUATION, DESIGN)
    rng = np.random.default_rng(4)
    homes = {domain: facts["training"] for domain, facts in DOMAINS.items()}
    ids = {cohort: scores.loc[scores["cohort"] == cohort, "image_id"].unique().astype(str) for cohort in homes.values()}
    masks = np.zeros((100, 32, 32), dtype=np.uint8)
    masks[:, 20:, 20:] = 1  # to the border
    regions = {
        name: (pd.DataFrame({"image_id": names, "label": "mass"}), masks[: len(names)]) for name, names in ids.items()
    }
    exports = {
        (domain, arm, home): [{"image_id": ids[home], "rollout": rng.random((len(ids[home]), 4, 4))} for _ in range(3)]
        for domain, home in homes.items()
        for arm in ("baseline", "mmpkd")
    }
    stores = {name: Store(names) for name, names in ids.items()}
    return figure_attention_examples.assemble(chosen, stores, regions, exports, "rollout")


@pytest.fixture(scope="module")
def examples(scores):
    return make_examples(scores)


@pytest.fixture(scope="module")
def drawn_at(scores, histories, tables, rois, examples):
    """All figures for one and for two columns."""
    images = {d: tables[facts["training"]].images for d, facts in DOMAINS.items()}
    claims = claims_table(scores, CLAIMS, EVALUATION, DESIGN)
    return {
        columns: {
            "method": figure_method.draw(STUDY, columns),
            "cohorts": figure_cohorts.draw(tables, rois, columns),
            "training": figure_training.draw(histories, images, DESIGN, columns),
            "classification": make(figure_classification, scores, EVALUATION, DESIGN, columns=columns),
            "attention_examples": figure_attention_examples.draw(examples, EVALUATION, DESIGN, columns=columns),
            "localization": make(figure_localization, scores, EVALUATION, DESIGN, columns=columns),
            "cross_domain": make(figure_cross_domain, scores, EVALUATION, DESIGN, columns=columns),
            "claims": figure_claims.draw(claims, EVALUATION, DESIGN, columns),
        }
        for columns in style.WIDTHS
    }


@pytest.fixture(scope="module")
def drawn(drawn_at):
    return drawn_at[2]


FIGURES = (
    "method",
    "cohorts",
    "training",
    "classification",
    "attention_examples",
    "localization",
    "cross_domain",
    "claims",
)


MORE_ARMS = (
    *("relational_distance", "relational_angle", "embedding_cosine", "embedding_mse", "soft_labels", "image_teacher"),
    *("without_findings", "without_impression", "in_sample_targets", "half_the_reports", "label_smoothing"),
)
CROWDED_ARMS = MORE_ARMS[:5]  # beside the usual three: more than fit in one line
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


def shown_texts(figure) -> list[tuple[str, object]]:
    """Every visible text with its extent in pixels, as drawn."""
    with mpl.rc_context(style.STYLE):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        texts = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
        # ticks beyond the limits of an axis exist and are not drawn
        hidden = set()
        for axes in figure.findobj(mpl.axes.Axes):
            for axis in (axes.xaxis, axes.yaxis):
                drawn = axis._update_ticks() if axes.axison else []
                ticks = [tick for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()) if tick not in drawn]
                hidden |= {id(label) for tick in ticks for label in (tick.label1, tick.label2)}
        return [(text.get_text(), text.get_window_extent(renderer)) for text in texts if id(text) not in hidden]


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_overlaps_or_leaves_the_figure(drawn_at, name, columns):
    check_texts(drawn_at[columns][name][0])


@pytest.mark.parametrize("name", CROWDED)
def test_a_crowded_study_is_drawn_as_clearly(crowded, name):
    figure, caption = crowded[name]
    check_texts(figure)
    assert figure.get_size_inches()[1] < style.PAGE + 0.01
    named = {CROWDED_DESIGN.title(arm) for arm in CROWDED_ARMS}
    assert name == "cohorts" or all(arm in caption + " ".join(text for text, _ in shown_texts(figure)) for arm in named)


def check_texts(figure) -> None:
    """All text is inside the figure, apart, and at least 6 pt."""
    texts = shown_texts(figure)
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip()) >= 6
    width, height = figure.get_size_inches() * figure.dpi
    assert len(texts) > 3
    for text, box in texts:
        inside = box.x0 > -0.5 and box.y0 > -0.5 and box.x1 < width + 0.5 and box.y1 < height + 0.5
        assert inside, f"{text!r} leaves the figure"
    for (one, first), (other, second) in combinations(texts, 2):
        shared = first.padded(-0.4).overlaps(second.padded(-0.4))
        assert not shared, f"{one!r} overlaps {other!r}"


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


@pytest.mark.parametrize("name", FIGURES)
def test_files_hold_editable_text_and_no_date(drawn, name, tmp_path):
    paths = [tmp_path / f"{name}.{kind}" for kind in ("pdf", "png", "caption.txt")]
    Drawing(*drawn[name]).write(*paths)
    pdf, png, caption = (path.read_bytes() for path in paths)
    assert pdf.startswith(b"%PDF") and b"/CIDFontType2" in pdf
    assert b"CreationDate" not in pdf and b"/Type3" not in pdf
    assert png.startswith(b"\x89PNG") and b"Software" not in png
    assert caption.decode() == drawn[name][1] + "\n"


def test_the_same_data_give_the_same_bytes(scores, tmp_path):
    contents = []
    for folder in ("one", "two", "two"):  # drawn anew, and saved over
        paths = [tmp_path / folder / f"claims.{kind}" for kind in ("pdf", "png", "caption.txt")]
        table = claims_table(scores, CLAIMS, EVALUATION, DESIGN)
        Drawing(*figure_claims.draw(table, EVALUATION, DESIGN)).write(*paths)
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1] == contents[2]


def test_alternative_texts_hold_the_main_numbers_and_travel_with_the_files(scores, tmp_path):
    gain = paired_gain(scores, [HOME], "mmpkd", "baseline", EVALUATION.score())
    number = words.numbers(gain.estimate, gain.low, gain.high)
    claims_table(scores, CLAIMS, EVALUATION, DESIGN).to_csv(tmp_path / "claims.csv", index=False)
    inputs = Inputs(scores, EVALUATION, DESIGN, files={"claims": tmp_path / "claims.csv"})
    for module in (figure_claims, figure_localization, figure_cross_domain):
        drawing = module.make(inputs)
        assert number in drawing.alt and "nan" not in drawing.alt
        paths = [tmp_path / f"a.{kind}" for kind in ("pdf", "png", "txt")]
        drawing.write(*paths)
        with Image.open(paths[1]) as picture:
            assert picture.info["Description"].startswith(drawing.alt)
            assert "Phantom data, which say nothing about patients: MIMIC-CXR" in picture.info["Description"]
        assert b"/Subject" in paths[0].read_bytes()
    table = classification_table(scores, EVALUATION.confidence, "baseline")
    auroc = table[(table["label"] == "macro") & (table["metric"] == "auroc") & (table["arm"] == "mmpkd")]
    mean = auroc.set_index(["domain", "cohort"]).loc[("cxr", "mimic_cxr"), "estimate"]
    alt = figure_classification.make(inputs).alt
    assert f"MMPKD {mean:.2f}" in alt.partition("mammograms")[0]


def test_phantoms_are_named_in_the_caption_that_is_saved(drawn, tmp_path):
    paths = [tmp_path / name for name in ("a.pdf", "a.png", "a.txt")]
    Drawing(*drawn["method"], replace(DESIGN, phantoms=("mimic_cxr",))).write(*paths)
    assert (tmp_path / "a.txt").read_text().endswith("say nothing about patients: MIMIC-CXR.\n")


def test_a_figure_that_cannot_be_written_leaves_nothing(tmp_path):
    class Broken:
        axes = ()

        def draw_without_rendering(self):
            pass

        def set_layout_engine(self, _):
            pass

        def savefig(self, path, **_):
            path.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Drawing(Broken(), "caption").write(tmp_path / "a.pdf", tmp_path / "a.png", tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())


def test_matplotlib_stays_as_it_was(scores):
    before = dict(mpl.rcParams)
    make(figure_localization, scores, EVALUATION, DESIGN)
    assert dict(mpl.rcParams) == before


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


def test_arms_without_space_are_named_in_the_caption():
    assert style.fitting_arms("abc", rows=10, inches=2.0, space=0.1) == ["a", "b"]
    assert style.fitting_arms("abc", rows=100, inches=2.0, space=0.1) == ["a"]
    assert style.left_out("ab", "abc", "claims", DESIGN).endswith("in the table of claims: c.")
    assert style.left_out("abc", "abc", "claims", DESIGN) == ""


@pytest.mark.parametrize(("number", "text"), [(1, "1 image"), (2000, "2,000 images")])
def test_counts_in_words(number, text):
    assert words.count(number, "image") == text
    assert words.count_range([number, number], "image") == text


def markers_of(axes, colour: str, horizontal: bool) -> np.ndarray:
    """Positions of all markers of a colour, along the axis of values."""
    lines = [
        line
        for line in axes.lines
        if line.get_marker() not in ("None", "") and to_hex(line.get_color()) == colour.lower()
    ]
    return np.concatenate([line.get_xdata() if horizontal else line.get_ydata() for line in lines]).astype(float)


def pixel_auroc(scores, domain, arm, cohort, method="rollout"):
    rows = scores[(scores["metric"] == "pixel_auroc") & (scores["label"] == "any") & (scores["method"] == method)]
    return rows[(rows["domain"] == domain) & (rows["arm"] == arm) & (rows["cohort"] == cohort)]


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


def test_controls_do_not_stretch_the_scale_of_the_students(scores):
    """One far below stands at the lower end by name and value; one within is a line."""
    far = (scores["domain"] == "control") & (scores["arm"] == "uniform") & (scores["metric"] == "pixel_auroc")
    scores = scores.assign(value=scores["value"].mask(far, -40.0))
    figure, _ = make(figure_localization, scores, EVALUATION, DESIGN)
    check_texts(figure)
    assert figure.axes[0].get_ylim()[0] > -1
    words = " ".join(text for text, _ in shown_texts(figure)).replace("\n", " ")
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
    check_texts(figure)
    texts = [text for text, _ in shown_texts(figure) if text.startswith("known")]
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


def test_the_schematic_fits_a_page_and_names_the_arms_that_do_not():
    shuffled = {**ARMS["shuffled"], "title": None}
    study = {**STUDY, "arms": {**ARMS, **dict.fromkeys(MORE_ARMS, shuffled)}}
    figure, caption = figure_method.draw(study, columns=1)
    check_texts(figure)
    assert figure.get_size_inches()[1] <= style.PAGE
    words = [text for text, _ in shown_texts(figure)]
    left_out = caption.partition("Not drawn for want of space: ")[2].removesuffix(".").split(", ")
    drawn = [arm for arm in MORE_ARMS if arm.replace("_", " ") in words]
    assert left_out == [arm.replace("_", " ") for arm in MORE_ARMS if arm not in drawn]
    assert drawn and len(drawn) < len(MORE_ARMS)


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


def test_a_small_study_is_drawn_too():
    """One domain, one seed, one method, no controls, no shuffled arm."""
    scores = synthetic_scores(np.random.default_rng(5), images=10, seeds=1, controls=False)
    scores = scores[(scores["domain"] == "cxr") & (scores["arm"] != "shuffled")]
    evaluation, design = Evaluation(methods=["last_layer"]), design_of({"cxr": DOMAINS["cxr"]})
    for module in (figure_localization, figure_cross_domain, figure_classification):
        figure, caption = make(module, scores, evaluation, design)
        assert "1 seed" in caption
        assert shown_texts(figure)
