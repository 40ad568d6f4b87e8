"""The outputs on the marker of the phantoms: they say what was planted, and what the formula predicts."""

from dataclasses import replace
from math import isnan, nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmpkd.config.demo import DEMO
from mmpkd.config.evaluation import Evaluation
from mmpkd.config.layers import load_layers
from mmpkd.design import Design
from mmpkd.evaluation.statistics import paired_gain
from mmpkd.outputs import figure_dose, figure_factorial, figure_mechanism, table_dose, table_mechanism
from mmpkd.outputs.figure import DOUBLE_COLUMN, PAGE, SINGLE_COLUMN, Drawing, arm_marks
from mmpkd.outputs.inputs import Inputs
from tests.figures import CROWDED_ARMS, check_texts, markers_of
from tests.synthetic import AREA, DESIGN, STUDY, WITHOUT_MARKER, planted_mass, synthetic_scores, with_reliance

STUDIES = Path(__file__).parents[2] / "studies"
EVALUATION = Evaluation(methods=["rollout", "last_layer"], metric="average_precision")
EFFECTS = {"baseline": 0.5, "mmpkd": 0.2, "shuffled": 0.1}  # planted, in both domains
PREDICTED = {"cxr": {"baseline": 0.6, "mmpkd": 0.1}, "mammography": {"baseline": 0.8, "mmpkd": 0.8 / 6}}  # DEMO: 1 to 5
SLOPES = {"baseline": 0.8, "mmpkd": 0.45, "logit": 0.02}
OF_A_SCORE = {"label": "any", "method": "rollout", "metric": "average_precision"}


def at(table: pd.DataFrame, **values) -> pd.DataFrame:
    return table[np.logical_and.reduce([(table[name] == value).to_numpy() for name, value in values.items()])]


@pytest.fixture(scope="module")
def demo() -> Inputs:
    """The demo, with an effect that neither images nor seeds vary."""
    rng = np.random.default_rng(0)
    effects = {(cell, arm): effect for cell in DESIGN.home_cells for arm, effect in EFFECTS.items()}
    scores = with_reliance(synthetic_scores(rng, images=30, seeds=3), effects, rng)
    return Inputs(scores, EVALUATION, DESIGN, study=STUDY)


@pytest.fixture(scope="module")
def mechanism() -> Inputs:
    """studies/mechanism.yaml: each domain has students, scores and noise of its own."""
    study = load_layers([STUDIES / "mechanism.yaml"]).study
    design, rng = Design.of(study.model_dump(mode="json")), np.random.default_rng(1)
    parts, effects = [], {}
    for cell in design.home_cells:
        habit = study.cohorts[cell.cohort].phantom.habit
        scores = synthetic_scores(rng, images=20, seeds=3, gain=0.1 * habit.errors, controls=False)
        own = at(scores, domain="cxr", cohort="mimic_cxr").astype({"domain": str, "cohort": str, "arm": str})
        own = own.assign(domain=cell.domain, cohort=cell.cohort).replace({"arm": {"shuffled": "logit"}})
        parts.append(own[own["arm"].isin(study.arms_of(cell.domain))])
        follows = habit.errors_follow == "marker"
        effects |= {(cell, arm): SLOPES[arm] * habit.errors * follows for arm in study.arms_of(cell.domain)}
    scores = with_reliance(pd.concat(parts, ignore_index=True), effects, rng, spread=0.02)
    return Inputs(scores, EVALUATION, design, sorted(study.cohorts), study=study.model_dump(mode="json"))


@pytest.fixture(scope="module")
def crowded(demo) -> Inputs:
    """The demo with five more arms."""
    scores = demo.scores.astype({"arm": str})
    more = [scores[scores["arm"] == "mmpkd"].assign(arm=arm) for arm in CROWDED_ARMS]
    arms = dict.fromkeys(CROWDED_ARMS, {**STUDY["arms"]["mmpkd"], "title": None})
    study = {**STUDY, "arms": {**STUDY["arms"], **arms}}
    return Inputs(pd.concat([scores, *more]), EVALUATION, Design.of(study), study=study)


@pytest.fixture(scope="module")
def drawn(demo, mechanism, crowded) -> dict[str, Drawing]:
    return {
        "mechanism": figure_mechanism.make(demo),
        "mechanism_of_eight": figure_mechanism.make(mechanism),
        "mechanism_of_many_arms": figure_mechanism.make(crowded),
        "dose": figure_dose.make(mechanism),
        "factorial": figure_factorial.make(mechanism),
        **{
            f"{name}_in_one_column": module.make(replace(inputs, columns=1))
            for name, module, inputs in (
                ("mechanism", figure_mechanism, demo),
                ("mechanism_of_eight", figure_mechanism, mechanism),
                ("mechanism_of_many_arms", figure_mechanism, crowded),
                ("dose", figure_dose, mechanism),
            )
        },
    }


STACKED = ("mechanism", "mechanism_of_eight", "mechanism_of_many_arms", "dose")
DRAWN = (*STACKED, "factorial", *(f"{name}_in_one_column" for name in STACKED))


def drop_arm(inputs: Inputs, domain: str, arm: str) -> Inputs:
    dropped = (inputs.scores["domain"] == domain) & (inputs.scores["arm"] == arm)
    return replace(inputs, scores=inputs.scores[~dropped])


@pytest.mark.parametrize(
    ("study", "marker", "varies"), [("mechanism", True, True), (None, True, False), ("paper", False, False)]
)
def test_what_a_study_makes_follows_from_its_phantoms(study, marker, varies):
    study = load_layers([STUDIES / f"{study}.yaml"]).study if study else DEMO
    assert (study.has_marker, study.varies_habit) == (marker, varies)
    rules = {"table_mechanism", "figure_mechanism", "table_dose", "figure_dose", "figure_factorial"}
    names = {kind: [rule.removeprefix(f"{kind}_") for rule in rules if kind in rule] for kind in ("table", "figure")}
    asked = study.model_copy(update={"tables": names["table"], "figures": names["figure"]})
    expected = {rule for rule in rules if varies or marker and "mechanism" in rule}
    assert {output.rule for output in asked.outputs} == expected


def test_a_modality_each_with_the_same_habit_varies_none():
    phantoms = {name: DEMO.cohorts[name].phantom for name in ("mimic_cxr", "cbis_ddsm")}
    assert phantoms["mimic_cxr"].habit != phantoms["cbis_ddsm"].habit and not DEMO.varies_habit


def test_the_table_says_what_was_planted(demo):
    table = table_mechanism.make(demo).frame
    homes = {"cxr": "mimic_cxr", "mammography": "cbis_ddsm"}
    rows = [(domain, cohort, arm) for domain, cohort in homes.items() for arm in EFFECTS]
    assert list(table[["domain", "cohort", "arm"]].itertuples(index=False, name=None)) == rows
    for row in table.to_dict("records"):
        predicted = PREDICTED[row["domain"]].get(row["arm"], PREDICTED[row["domain"]]["mmpkd"])
        mass = planted_mass(EFFECTS[row["arm"]])
        expected = {"effect": EFFECTS[row["arm"]], "predicted": predicted, "mass": mass, "top_decile": 2 * mass}
        expected |= {"predicted_from_unmarked": predicted * (1 - WITHOUT_MARKER), "unmarked": WITHOUT_MARKER}
        expected |= {"area": AREA, "effect_n_seeds": 3, "mass_n_seeds": 3}
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_gains_are_told_apart_by_the_marker(demo):
    """Against a mean of the long table's own rows."""
    table = table_mechanism.make(demo).frame.set_index(["domain", "arm"])
    for cell in DESIGN.home_cells:
        rows = at(demo.scores, domain=cell.domain, cohort=cell.cohort, **OF_A_SCORE)
        marked = at(demo.scores, domain="control", cohort=cell.cohort, metric="marked").set_index("image_id")["value"]
        present = rows["image_id"].map(marked) == 1
        for name, part in {"gain_marked": rows[present], "gain_unmarked": rows[~present]}.items():
            means = part.groupby("arm", observed=True)["value"].mean()
            for arm in ("mmpkd", "shuffled"):
                found = table.loc[(cell.domain, arm)]
                assert found[name] == pytest.approx(means[arm] - means["baseline"], abs=1e-6)
                assert found[f"{name}_low"] < found[name] < found[f"{name}_high"]
            assert isnan(table.loc[(cell.domain, "baseline"), name])


def test_an_arm_without_a_formula_has_no_prediction(demo):
    warm = {**STUDY["arms"]["mmpkd"], "temperature": 2.0}
    study = {**STUDY, "arms": {**STUDY["arms"], "mmpkd": warm}}
    table = table_mechanism.make(replace(demo, study=study)).frame
    rows = table[table["arm"] == "mmpkd"]
    assert rows[["predicted", "predicted_from_unmarked"]].isna().all(axis=None) and rows["effect"].notna().all()


def test_a_planted_slope_is_recovered(mechanism):
    table = table_dose.make(mechanism).frame.set_index("arm")
    assert table["predicted"].to_dict() == pytest.approx({"baseline": 1.0, "mmpkd": 0.5, "logit": 0.0})
    assert (table["doses"] == 4).all() and (table["n_seeds"] == 3).all() and (table["reason"] == "").all()
    for arm, slope in SLOPES.items():
        row = table.loc[arm]
        assert row["slope_low"] < slope < row["slope_high"] < row["slope_low"] + 0.25
    doses = {0.125: "dose_125", 0.25: "dose_250", 0.375: "dose_375", 0.5: "dose_500"}
    rows = at(mechanism.scores, arm="mmpkd", metric="marker_effect", label="any")
    means = [at(rows, domain=domain)["value"].mean() for domain in doses.values()]
    least_squares = np.linalg.lstsq(np.array([*doses])[:, None], np.array(means), rcond=None)[0][0]
    assert table.loc["mmpkd", "slope"] == pytest.approx(least_squares, abs=1e-6)


def test_an_arm_that_lacks_a_dose_has_no_slope(mechanism):
    lacking = drop_arm(mechanism, "dose_250", "logit")
    table = table_dose.make(lacking).frame.set_index("arm")
    assert isnan(table.loc["logit", "slope"]) and "dose_250" in table.loc["logit", "reason"]
    assert table.loc["mmpkd", "slope"] > 0
    colour = arm_marks(["baseline", "mmpkd", "logit"], mechanism.design)["logit"].colour
    assert colour.lower() not in {line.get_color().lower() for line in figure_dose.make(lacking).figure.axes[0].lines}


def test_without_errors_there_is_no_slope(mechanism):
    cohorts = {
        name: {**cohort, "phantom": {**cohort["phantom"], "habit": {"marked": 0.5}}}
        for name, cohort in mechanism.study["cohorts"].items()
    }
    study = {**mechanism.study, "cohorts": cohorts}
    table = table_dose.make(replace(mechanism, study=study)).frame
    assert table["slope"].isna().all() and set(table["reason"]) == {"no rate of label errors is above 0"}


def levels(axes, style: str) -> list[float]:
    """The heights of horizontal black lines."""
    return [line.get_ydata()[0] for line in axes.lines if line.get_color() == "black" and line.get_linestyle() == style]


def test_the_figure_of_the_mechanism_shows_the_table(demo, drawn):
    table, axes = table_mechanism.make(demo).frame, np.reshape(drawn["mechanism"].figure.axes, (2, 3))
    for row, (_, rows) in zip(axes, table.groupby("domain", sort=False), strict=True):
        np.testing.assert_allclose(levels(row[0], "-"), rows["predicted"])
        np.testing.assert_allclose(levels(row[0], "--"), rows["predicted_from_unmarked"])
        for arm, mark in arm_marks(EFFECTS, DESIGN).items():
            values = rows.set_index("arm").loc[arm]
            np.testing.assert_allclose(markers_of(row[0], mark.colour, False), [values["effect"]])
            np.testing.assert_allclose(markers_of(row[1], mark.colour, False), [values["mass"]])
            gains = [] if arm == "baseline" else [values["gain_marked"], values["gain_unmarked"]]
            lines = [line for line in row[2].lines if line.get_marker() == mark.marker]
            np.testing.assert_allclose([line.get_ydata()[0] for line in lines], gains)
            assert [line.get_markerfacecolor() == "white" for line in lines] == [False, True][: len(lines)]
        assert AREA in [pytest.approx(line.get_ydata()[0], abs=1e-6) for line in row[1].lines]


def test_an_arm_that_a_domain_lacks_leaves_its_place_empty(mechanism, drawn):
    axes = np.reshape(drawn["mechanism_of_eight"].figure.axes, (8, 3))
    colour = arm_marks(SLOPES, mechanism.design)["logit"].colour.lower()
    there = [colour in {line.get_color().lower() for line in row[0].lines} for row in axes]
    assert there == [True] * 5 + [False] * 3
    assert [label.get_text() for label in axes[-1][0].get_xticklabels()] == ["baseline", "MMPKD", "logit\nalone"]


def test_the_figure_of_the_dose_shows_effects_gains_and_predictions(mechanism, drawn):
    left, right = drawn["dose"].figure.axes
    doses = [0.0, 0.125, 0.25, 0.375, 0.5]
    table = table_mechanism.make(mechanism).frame
    table = table[table["domain"].str.startswith("dose_")]
    cells = [cell for cell in mechanism.design.home_cells if cell.domain.startswith("dose_")]
    for arm, mark in arm_marks(SLOPES, mechanism.design).items():
        np.testing.assert_allclose(markers_of(left, mark.colour, False), table.loc[table["arm"] == arm, "effect"])
        np.testing.assert_allclose(markers_of(left, mark.colour, True), doses, atol=0.01)
        lines = [line for line in left.lines if line.get_color() == mark.colour and line.get_linestyle() == "--"]
        slope = {"baseline": 1.0, "mmpkd": 0.5, "logit": 0.0}[arm]
        np.testing.assert_allclose([line.get_ydata() for line in lines], [np.multiply(slope, doses)], atol=1e-9)
        if arm != "baseline":
            gains = [paired_gain(mechanism.scores, [c], arm, "baseline", EVALUATION.score()).estimate for c in cells]
            np.testing.assert_allclose(markers_of(right, mark.colour, False), gains)


@pytest.mark.parametrize("order", [1, -1])
def test_the_factorial_shows_the_gain_of_each_cell(mechanism, order):
    """Whatever the order of the domains, those with the most errors."""
    design = replace(mechanism.design, domains=mechanism.design.domains[::order])
    drawing = figure_factorial.make(replace(mechanism, design=design))
    axes = drawing.figure.axes[0]
    domains = ("dose_500", "when_mentioned", "when_chance", "when_chance_mentioned")
    cells = [mechanism.design.cell(name, mechanism.design.home(name)) for name in domains]
    gains = [paired_gain(mechanism.scores, [cell], "mmpkd", "baseline", EVALUATION.score()).estimate for cell in cells]
    colour = arm_marks(["mmpkd"], mechanism.design)["mmpkd"].colour
    np.testing.assert_allclose(markers_of(axes, colour, True), gains)
    names = [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()]
    assert names[0] == "errors follow the marker, not mentioned" and names[3] == "errors by chance, mentioned"
    assert "e = 0.5" in drawing.caption


def test_the_factorial_of_a_study_without_a_primary_arm_says_so(mechanism):
    drawing = figure_factorial.make(replace(mechanism, design=replace(mechanism.design, primary=None)))
    assert "no primary arm" in drawing.caption and drawing.figure.axes == []


@pytest.mark.parametrize("name", DRAWN)
def test_the_figures_are_clear_and_their_captions_stand_alone(drawn, name, tmp_path):
    figure, caption = drawn[name].figure, drawn[name].caption
    check_texts(figure)
    width, height = figure.get_size_inches()
    narrow = name == "factorial" or name.endswith("one_column")
    assert width == (SINGLE_COLUMN if narrow else DOUBLE_COLUMN) and height <= PAGE + 0.01
    assert caption.endswith(".") and str(nan) not in caption and "  " not in caption and "3 seeds" in caption
    paths = [tmp_path / f"{name}.{kind}" for kind in ("pdf", "png", "txt")]
    drawn[name].write(*paths)
    demo = name.removesuffix("_in_one_column") in ("mechanism", "mechanism_of_many_arms")
    cohort = "MIMIC-CXR" if demo else "errors 500"
    assert cohort in paths[2].read_text().rpartition("say nothing about patients: ")[2]
