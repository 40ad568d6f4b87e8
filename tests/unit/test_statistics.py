from collections import defaultdict
from dataclasses import asdict, replace
from math import isnan, nan, sqrt

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from mmpkd.design import Score
from mmpkd.evaluation.bootstrap import bootstrap
from mmpkd.evaluation.classification import (
    MACRO,
    auroc_pseudo_values,
    average_precision_pseudo_values,
    classification_by_seed,
    classification_table,
)
from mmpkd.evaluation.matrices import MissingScores, ScoreMatrix, score_matrix
from mmpkd.evaluation.statistics import (
    Estimate,
    arm_mean,
    crossed_estimate,
    gain_matrix,
    holm,
    paired_gain,
    sums_by_patient,
)
from tests.synthetic import AWAY, HOME, synthetic_scores

CHOSEN = Score("pixel_auroc", "rollout")


def matrix(values, patients=None, domain="cxr", cohort="mimic_cxr"):
    values = np.asarray(values, dtype=float)
    patients = np.arange(values.shape[1]) if patients is None else patients
    names = np.array([f"p{patient}" for patient in patients], dtype=object)
    return ScoreMatrix(values, np.arange(len(values)), pd.Index(np.arange(values.shape[1])), names, domain, cohort)


def two_way(rng, seeds=4, patients=60, seed_sd=0.02, patient_sd=0.05, residual_sd=0.05):
    return (
        rng.normal(0, seed_sd, (seeds, 1))
        + rng.normal(0, patient_sd, patients)
        + rng.normal(0, residual_sd, (seeds, patients))
    )


def test_variance_is_that_of_the_crossed_analysis_of_variance():
    values = two_way(np.random.default_rng(0))
    seeds, patients = values.shape
    residual = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    ms_seed = patients * values.mean(1).var(ddof=1)
    ms_patient = seeds * values.mean(0).var(ddof=1)
    ms_residual = (residual**2).sum() / ((seeds - 1) * (patients - 1))
    expected = (ms_seed + ms_patient - ms_residual) / (seeds * patients)
    estimate = crossed_estimate([(1.0, matrix(values))])
    assert estimate.estimate == pytest.approx(values.mean())
    assert estimate.standard_error == pytest.approx(sqrt(expected))
    parts = ((ms_seed, seeds - 1), (ms_patient, patients - 1), (ms_residual, (seeds - 1) * (patients - 1)))
    freedom = (ms_seed + ms_patient - ms_residual) ** 2 / sum(ms**2 / df for ms, df in parts)
    assert estimate.degrees_of_freedom == np.floor(freedom)
    half_width = stats.t.ppf(0.975, np.floor(freedom)) * sqrt(expected)
    assert (estimate.low, estimate.high) == pytest.approx((values.mean() - half_width, values.mean() + half_width))


def by_definition(cells):
    """Variance and degrees of freedom of a contrast: the formulas at the head of statistics.py, patient by patient."""
    students, patients, residuals = defaultdict(lambda: defaultdict(float)), defaultdict(lambda: defaultdict(float)), []
    for weight, cell in cells:
        gains = cell.values - cell.values.mean()
        n_seeds, n_images = gains.shape
        for seed, row in zip(cell.seeds, gains, strict=True):
            students[cell.domain][seed] += weight * row.mean()
        names, rest = set(cell.patients), 0.0
        for name in names:
            mine = cell.patients == name
            added = gains[:, mine].sum(axis=1) / n_images
            patients[cell.cohort][name] += weight * added.mean()
            rest += sum((added - added.mean() - mine.mean() * gains.mean(axis=1)) ** 2)
        of_patients = len(names) / (len(names) - 1)
        part = weight**2 * of_patients * rest / (n_seeds * (n_seeds - 1))
        residuals.append((part, (n_seeds - 1) * (len(names) - 1)))
    by_seed, by_patient = ([np.array([*sums.values()]) for sums in parts.values()] for parts in (students, patients))
    seed = [(((m - m.mean()) ** 2).sum() / (len(m) * (len(m) - 1)), len(m) - 1) for m in by_seed]
    patient = [((t**2).sum() * len(t) / (len(t) - 1), len(t) - 1) for t in by_patient]
    v_seed, v_patient, v_residual = (sum(part for part, _ in parts) for parts in (seed, patient, residuals))
    variance = max(v_seed + v_patient - v_residual, v_seed, v_patient)
    freedom = variance**2 / sum(part**2 / free for part, free in seed + patient + residuals)
    return variance, max(np.floor(freedom), min(free for _, free in seed))


@pytest.mark.parametrize("sizes", [{"seed_sd": 0.05}, {"patient_sd": 0.5}, {"patient_sd": 0.0, "seed_sd": 0.0}])
@pytest.mark.parametrize("draw", range(4))
def test_variance_of_a_contrast_is_that_of_its_definition(draw, sizes):
    """Unequal weights, patients of one to three images, and patients and students that not all cells share."""
    rng = np.random.default_rng(draw)
    cells = []
    for weight, seeds, domain, cohort in (
        (0.5, range(3), "cxr", "mimic_cxr"),
        (0.25, range(1, 5), "cxr", "vindr_cxr"),
        (-0.5, range(5), "mammography", "mimic_cxr"),
        (-0.25, range(5), "mammography", "cbis_ddsm"),
    ):
        patients = np.repeat(np.arange(8), rng.integers(0, 4, 8))
        values = two_way(rng, len(seeds), 8, **sizes)[:, patients] + rng.normal(0, 0.01, (len(seeds), len(patients)))
        cells.append((weight, replace(matrix(values, patients, domain, cohort), seeds=np.array(seeds))))
    for chosen in (cells, cells[:1], cells[1:3]):
        estimate = crossed_estimate(chosen)
        variance, freedom = by_definition(chosen)
        assert estimate.standard_error == pytest.approx(sqrt(variance))
        assert estimate.degrees_of_freedom == freedom


@pytest.mark.filterwarnings("error")
def test_without_any_spread_the_freedom_is_that_of_the_seeds():
    estimate = crossed_estimate([(1.0, matrix(np.full((3, 5), 0.5)))])
    assert (estimate.standard_error, estimate.degrees_of_freedom, estimate.p) == (0, 2, 0)


def test_nothing_but_residual_has_no_error():
    values = np.array([[1.0, -1.0], [-1.0, 1.0]])
    exact, apart = (crossed_estimate([(1.0, matrix(values + shift))]) for shift in (0.0, 0.5))
    assert (exact.standard_error, exact.degrees_of_freedom) == (0, 1)
    assert (exact.estimate, exact.p) == (0, 1) and (apart.low, apart.high, apart.p) == (0.5, 0.5, 0)


def test_with_seeds_alone_it_is_the_t_interval_of_the_seed_means():
    means = np.array([0.03, 0.05, 0.01, 0.04])
    values = means[:, None] + np.zeros((4, 30))
    estimate = crossed_estimate([(1.0, matrix(values))])
    expected = stats.ttest_1samp(means, 0)
    interval = expected.confidence_interval(0.95)
    assert (estimate.p, estimate.degrees_of_freedom) == (pytest.approx(expected.pvalue), 3)
    assert (estimate.low, estimate.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_with_patients_alone_it_is_the_t_interval_of_the_patients():
    gains = np.random.default_rng(1).normal(0.02, 0.1, 50)
    estimate = crossed_estimate([(1.0, matrix(np.tile(gains, (4, 1))))])
    assert estimate.p == pytest.approx(stats.ttest_1samp(gains, 0).pvalue)
    fixed = crossed_estimate([(1.0, matrix(gains[None]))], random_seeds=False)
    assert (fixed.low, fixed.high) == (pytest.approx(estimate.low), pytest.approx(estimate.high))
    noisy = gains + np.random.default_rng(2).normal(0, 0.1, (3, 50))  # of given students only the mean counts
    of_patients = crossed_estimate([(1.0, matrix(noisy))], confidence=0.9, tested=0.01, random_seeds=False)
    expected = stats.ttest_1samp(noisy.mean(axis=0), 0.01)
    interval = expected.confidence_interval(0.9)
    assert (of_patients.low, of_patients.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert (of_patients.p, of_patients.degrees_of_freedom) == (pytest.approx(expected.pvalue), 49)


def test_images_of_a_patient_are_one_observation():
    gains = np.random.default_rng(2).normal(0.02, 0.1, (4, 40))
    once = crossed_estimate([(1.0, matrix(gains))])
    tripled = crossed_estimate([(1.0, matrix(np.repeat(gains, 3, axis=1), np.repeat(np.arange(40), 3)))])
    assert tripled.standard_error == pytest.approx(once.standard_error)
    assert (tripled.n_images, tripled.n_patients) == (120, 40)


def test_minimum_detectable_is_found_with_80_percent_power():
    estimate = crossed_estimate([(1.0, matrix(two_way(np.random.default_rng(3))))])
    error, freedom = estimate.standard_error, estimate.degrees_of_freedom
    found = stats.t.sf(stats.t.ppf(0.975, freedom) - estimate.minimum_detectable / error, freedom)
    assert found == pytest.approx(0.8)


def test_cells_of_one_cohort_share_patients_and_of_one_domain_share_students():
    rng = np.random.default_rng(4)
    values = two_way(rng, patient_sd=0.2, seed_sd=0.0, residual_sd=0.01)
    other = values + rng.normal(0, 0.01, values.shape)
    difference = [(1.0, matrix(values, domain="cxr")), (-1.0, matrix(other, domain="mammography"))]
    apart = [difference[0], (-1.0, matrix(other, domain="mammography", cohort="cbis_ddsm"))]
    assert crossed_estimate(difference).standard_error < 0.1 * crossed_estimate(apart).standard_error

    values = two_way(rng, patient_sd=0.0, seed_sd=0.2, residual_sd=0.01)
    same_students = [(1.0, matrix(values)), (-1.0, matrix(values + 0.1, cohort="vindr_cxr"))]
    other_students = [(1.0, matrix(values)), (-1.0, matrix(values, domain="mammography", cohort="vindr_cxr"))]
    assert crossed_estimate(same_students).standard_error < 0.1 * crossed_estimate(other_students).standard_error


def test_a_contrast_of_a_cell_with_itself_is_nothing():
    values = two_way(np.random.default_rng(5))
    estimate = crossed_estimate([(1.0, matrix(values)), (-1.0, matrix(values))])
    assert estimate.estimate == pytest.approx(0) and estimate.n_images == values.shape[1]


@pytest.mark.parametrize("seeds", [3, 4, 5])
def test_coverage_with_few_seeds(seeds):
    rng = np.random.default_rng(seeds)
    truth, held, held_by_bootstrap = 0.02, 0, 0
    for _ in range(300):
        cell = matrix(truth + two_way(rng, seeds, 100, seed_sd=0.03))
        estimate = crossed_estimate([(1.0, cell)])
        low, high = bootstrap([(1.0, cell)], 0.95, 200, rng)
        held += estimate.low <= truth <= estimate.high
        held_by_bootstrap += low <= truth <= high
    assert 0.91 <= held / 300 <= 0.985  # 0.95 give or take three standard errors
    assert held_by_bootstrap < held - 15


def test_two_seeds_and_two_patients_are_enough():
    assert np.isfinite(crossed_estimate([(1.0, matrix([[0.1, 0.2], [0.3, 0.5]]))]).low)
    assert np.isfinite(crossed_estimate([(1.0, matrix([[0.1, 0.2]]))], random_seeds=False).low)


def test_a_sum_for_every_patient_and_for_one_without_images_too():
    sums = sums_by_patient(np.array([[1.0, 2.0, 4.0], [0.5, 0.0, 1.0]]), np.array([2, 0, 2]), 4)
    assert sums.tolist() == [[2, 0, 5, 0], [0, 0, 1.5, 0]]


def test_images_left_out_are_named_once_for_all_cells(caplog):
    whole = matrix(np.ones((3, 4)))
    crossed_estimate([(1.0, whole)])
    assert not caplog.messages
    crossed_estimate([(0.5, replace(whole, n_undefined=2)), (0.5, replace(whole, cohort="vindr_cxr", n_undefined=4))])
    assert caplog.messages == ["6 images left out: a score is missing or undefined"]


def test_an_image_that_cells_share_counts_once():
    few = matrix(np.ones((3, 4)), [0, 0, 1, 2])
    many = matrix(np.ones((5, 6)), [0, 0, 1, 2, 3, 3], domain="mammography")
    other = matrix(np.ones((4, 2)), cohort="vindr_cxr")
    few, other = replace(few, n_undefined=2), replace(other, n_undefined=4)
    estimate = crossed_estimate([(1.0, few), (0.5, many), (0.5, other)])
    assert (estimate.n_images, estimate.n_patients, estimate.n_seeds, estimate.n_undefined) == (8, 6, 3, 6)


def test_undecidable_is_nan_with_a_reason():
    one_seed = crossed_estimate([(1.0, matrix(np.ones((1, 20))))])
    assert one_seed.estimate == 1 and isnan(one_seed.low) and isnan(one_seed.p) and "one seed" in one_seed.reason
    one_patient = crossed_estimate([(1.0, matrix(np.ones((4, 20)), np.zeros(20)))])
    assert isnan(one_patient.low) and "one patient" in one_patient.reason
    nothing = crossed_estimate([(1.0, matrix(np.ones((4, 0))))])
    assert isnan(nothing.estimate) and nothing.reason


def test_reasons_and_counts_of_what_is_undecidable():
    for values, patients, estimate, counts, reason in (
        (np.ones((1, 20)), None, 1.0, (20, 20, 1), "one seed: the spread among seeds is unknown"),
        (np.ones((4, 20)), np.zeros(20), 1.0, (20, 1, 4), "one patient: the spread among patients is unknown"),
        (np.ones((4, 0)), None, nan, (0, 0, 4), "no image has a defined score in every seed"),
    ):
        found = crossed_estimate([(1.0, replace(matrix(values, patients), n_undefined=3))])
        n_images, n_patients, n_seeds = counts
        expected = {"n_images": n_images, "n_patients": n_patients, "n_seeds": n_seeds, "n_undefined": 3}
        assert asdict(found) == asdict(Estimate(estimate)) | expected | {"reason": reason}
    without_cells = crossed_estimate([])
    assert (without_cells.n_images, without_cells.n_seeds, without_cells.n_undefined) == (0, 0, 0)


def test_planted_gain_is_found_and_planted_null_is_not():
    scores = synthetic_scores(np.random.default_rng(6), gain=0.06, images=150)
    planted = paired_gain(scores, [HOME], "mmpkd", "baseline", CHOSEN)
    null = paired_gain(scores, [AWAY], "mmpkd", "baseline", CHOSEN)
    assert planted.low > 0 and planted.low <= 0.06 <= planted.high
    assert null.low <= 0 <= null.high
    weights = {HOME: 1.0, AWAY: -1.0}
    contrast = paired_gain(scores, weights, "mmpkd", "baseline", CHOSEN)
    assert contrast.estimate == pytest.approx(planted.estimate - null.estimate)
    mean = paired_gain(scores, [HOME, AWAY], "mmpkd", "baseline", CHOSEN)
    assert mean.estimate == pytest.approx((planted.estimate + null.estimate) / 2)


def test_a_cell_that_is_named_twice_counts_twice():
    scores = synthetic_scores(np.random.default_rng(19), images=10)
    one, other = (arm_mean(scores, [cell], "mmpkd", CHOSEN) for cell in (HOME, AWAY))
    mean = arm_mean(scores, [HOME, HOME, AWAY], "mmpkd", CHOSEN)
    assert mean.estimate == pytest.approx((2 * one.estimate + other.estimate) / 3)


def test_gain_is_the_difference_of_means_and_ignores_the_order_of_rows():
    scores = synthetic_scores(np.random.default_rng(7), images=30)
    gain = paired_gain(scores, [HOME], "mmpkd", "baseline", CHOSEN)
    means = [arm_mean(scores, [HOME], arm, CHOSEN).estimate for arm in ("mmpkd", "baseline")]
    assert gain.estimate == pytest.approx(means[0] - means[1])
    shuffled = scores.sample(frac=1, random_state=0)
    again = paired_gain(shuffled, [HOME], "mmpkd", "baseline", CHOSEN)
    assert (again.low, again.high, again.p) == pytest.approx((gain.low, gain.high, gain.p))


def test_an_image_without_a_score_in_one_seed_is_left_out_and_counted():
    scores = synthetic_scores(np.random.default_rng(8), images=30)
    row = scores.query("arm == 'mmpkd' and cohort == 'mimic_cxr' and metric == 'pixel_auroc' and label == 'any'").index[
        0
    ]
    scores.loc[row, "value"] = np.nan
    gain = paired_gain(scores, [HOME], "mmpkd", "baseline", CHOSEN)
    assert (gain.n_images, gain.n_undefined) == (29, 1) and np.isfinite(gain.low)


def test_arms_are_paired_on_the_seeds_that_both_have():
    scores = synthetic_scores(np.random.default_rng(9), images=30)
    scores = scores[~((scores["arm"] == "baseline") & (scores["seed"] == 0))]
    assert paired_gain(scores, [HOME], "mmpkd", "baseline", CHOSEN).n_seeds == 3
    without = scores[~((scores["arm"] == "mmpkd") & (scores["seed"] > 0))]
    assert "no seed" in paired_gain(without, [HOME], "mmpkd", "baseline", CHOSEN).reason


def test_controls_are_subtracted_image_by_image():
    scores = synthetic_scores(np.random.default_rng(10), images=30)
    mean = arm_mean(scores, [HOME], "mmpkd", CHOSEN).estimate
    over = paired_gain(scores, [HOME], "mmpkd", "uniform", CHOSEN)
    assert over.estimate == pytest.approx(mean - 0.5, abs=1e-6)
    untrained = score_matrix(scores, "control", "untrained", "mimic_cxr", **CHOSEN.columns)
    over = paired_gain(scores, [HOME], "mmpkd", "untrained", CHOSEN)
    assert over.estimate == pytest.approx(mean - untrained.mean)
    assert over.n_seeds == 4
    mine = score_matrix(scores, "cxr", "mmpkd", "mimic_cxr", **CHOSEN.columns)
    paired = gain_matrix(scores, HOME, "mmpkd", "untrained", CHOSEN)
    np.testing.assert_array_equal(paired.values, mine.values - untrained.values)  # seed by seed
    two = scores[~((scores["arm"] == "untrained") & (scores["seed"] > 1))]  # not the arm's seeds: their mean
    mean_of_two = score_matrix(two, "control", "untrained", "mimic_cxr", **CHOSEN.columns).mean
    over = paired_gain(two, [HOME], "mmpkd", "untrained", CHOSEN)
    assert (over.estimate, over.n_seeds) == (pytest.approx(mean - mean_of_two), 4)


def test_a_label_a_level_and_a_tested_value_of_ones_own():
    scores = synthetic_scores(np.random.default_rng(18), images=30)
    wanted = replace(CHOSEN, label="Atelectasis")
    mine, base = (score_matrix(scores, "cxr", arm, "mimic_cxr", **wanted.columns) for arm in ("mmpkd", "baseline"))
    mean = arm_mean(scores, [HOME], "mmpkd", wanted, 0.9, 0.03)
    assert mean == crossed_estimate([(1.0, mine)], 0.9, 0.03) != crossed_estimate([(1.0, mine)], 0.9)
    gain = paired_gain(scores, {HOME: 2.0}, "mmpkd", "baseline", wanted, 0.9, 0.03)
    assert gain == crossed_estimate([(2.0, mine.minus(base))], 0.9, 0.03)
    usual = arm_mean(scores, [HOME], "mmpkd", CHOSEN)
    any_label = score_matrix(scores, "cxr", "mmpkd", "mimic_cxr", **CHOSEN.columns)
    assert usual == crossed_estimate([(1.0, any_label)], 0.95, 0.0)


def test_missing_and_double_scores():
    scores = synthetic_scores(np.random.default_rng(11), images=10)
    with pytest.raises(MissingScores, match="arm absent"):
        score_matrix(scores, "cxr", "absent", "mimic_cxr")
    with pytest.raises(ValueError, match="several scores"):
        score_matrix(scores, "cxr", "mmpkd", "mimic_cxr")
    assert "absent" in paired_gain(scores, [HOME], "mmpkd", "absent", CHOSEN).reason
    assert "absent" in arm_mean(scores, [HOME], "absent", CHOSEN).reason


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.01, np.nan, 0.6]), [0.03, np.nan, 1.0])
    assert len(holm([])) == 0


def test_bootstrap_is_repeatable_and_fixed_seeds_make_it_narrower():
    cell = matrix(two_way(np.random.default_rng(12), seed_sd=0.1))
    intervals = [bootstrap([(1.0, cell)], 0.95, 500, np.random.default_rng(0)) for _ in range(2)]
    assert intervals[0] == intervals[1]
    low, high = bootstrap([(1.0, cell)], 0.95, 500, np.random.default_rng(0), seeds=False)
    assert intervals[0][0] < low < cell.mean < high < intervals[0][1]


def test_bootstrap_of_patients_has_the_spread_of_their_mean():
    gains = np.random.default_rng(16).normal(0.02, 0.1, 200)
    low, high = bootstrap([(1.0, matrix(gains[None]))], 0.95, 4000, np.random.default_rng(0), seeds=False)
    expected = stats.norm.ppf(0.975) * gains.std() / sqrt(200)
    assert (low, high) == (
        pytest.approx(gains.mean() - expected, abs=0.002),
        pytest.approx(gains.mean() + expected, abs=0.002),
    )


def test_cells_of_a_contrast_share_the_draws_of_patients_and_seeds():
    values = two_way(np.random.default_rng(17), seed_sd=0.1)
    same = [(1.0, matrix(values)), (-1.0, matrix(values))]
    assert bootstrap(same, 0.95, 200, np.random.default_rng(0)) == (pytest.approx(0), pytest.approx(0))
    for other in ({"domain": "mammography"}, {"cohort": "cbis_ddsm"}):
        low, high = bootstrap(
            [(1.0, matrix(values)), (-1.0, matrix(values, **other))], 0.95, 200, np.random.default_rng(0)
        )
        assert low < -0.01 and high > 0.01


@pytest.mark.filterwarnings("error")
def test_bootstrap_by_hand():
    """One image of 0 and three of 1, by two patients or by two students, drawn twice: three means are possible."""
    values, patients = [[0.0, 1.0, 1.0, 1.0]], [0, 1, 1, 1]

    def interval(cells, confidence, seeds=True):
        return bootstrap(cells, confidence, 2000, np.random.default_rng(0), seeds)

    of_patients = [(2.0, matrix(values, patients))]
    assert interval(of_patients, 0.4, seeds=False) == (1.5, 1.5)  # half of the draws: one of each
    assert interval(of_patients, 0.9, seeds=False) == (0, 2)  # a quarter: one patient twice
    of_seeds = [(2.0, matrix([[0.0] * 4, [1.0] * 4], patients))]
    assert (interval(of_seeds, 0.4), interval(of_seeds, 0.9)) == ((1, 1), (0, 2))
    apart = [(0.5, matrix(np.ones((2, 2)), [0, 1])), (0.25, matrix(np.ones((2, 2)), [2, 3]))]
    assert interval(apart, 0.95) == (0.75, 0.75)  # a draw without a patient of one of the cells is left out
    assert all(map(isnan, interval([], 0.95)))


def test_bootstrap_needs_two_patients_and_two_seeds():
    rng = np.random.default_rng(0)
    assert all(map(isnan, bootstrap([(1.0, matrix(np.ones((1, 20))))], 0.95, 100, rng)))
    assert all(map(isnan, bootstrap([(1.0, matrix(np.ones((3, 20)), np.zeros(20)))], 0.95, 100, rng)))
    assert bootstrap([(1.0, matrix(np.ones((1, 20))))], 0.95, 100, rng, seeds=False) == (1, 1)


@pytest.fixture
def classified():
    rng = np.random.default_rng(13)
    targets = (rng.random(80) < 0.3).astype(float)
    return np.round(rng.normal(size=(3, 80)) + targets, 1), targets


def test_pseudo_values_average_to_the_score(classified):
    logits, targets = classified
    auroc = [roc_auc_score(targets, row) for row in logits]
    precision = [average_precision_score(targets, row) for row in logits]
    np.testing.assert_allclose(auroc_pseudo_values(logits, targets).mean(axis=1), auroc)
    np.testing.assert_allclose(average_precision_pseudo_values(logits, targets).mean(axis=1), precision)


@pytest.mark.parametrize(
    ("pseudo_values", "score"),
    [(auroc_pseudo_values, roc_auc_score), (average_precision_pseudo_values, average_precision_score)],
)
def test_pseudo_values_are_the_influence_of_each_image(classified, pseudo_values, score):
    logits, targets = classified
    weight = np.ones(80)
    whole = score(targets, logits[0])
    values = pseudo_values(logits, targets)[0]
    for image in (np.argmax(targets), np.argmin(targets), 40):
        weight[image] = 1 + 1e-5
        slope = (score(targets, logits[0], sample_weight=weight) - whole) / 1e-5
        weight[image] = 1
        assert values[image] - whole == pytest.approx(80 * slope, abs=2e-3)


def test_one_class_alone_is_undefined():
    logits = np.random.default_rng(0).random((2, 5))
    assert np.isnan(auroc_pseudo_values(logits, np.zeros(5))).all()
    assert np.isnan(auroc_pseudo_values(logits, np.ones(5))).all()
    assert np.isnan(average_precision_pseudo_values(logits, np.zeros(5))).all()


def test_a_student_with_a_nan_has_no_auroc_and_the_others_have_theirs(classified):
    logits, targets = classified
    expected = auroc_pseudo_values(logits, targets)
    logits[1, 40] = np.nan
    values = auroc_pseudo_values(logits, targets)
    assert np.isnan(values[1]).all()
    np.testing.assert_array_equal(values[[0, 2]], expected[[0, 2]])


def test_classification_table_agrees_with_scikit_learn_and_macro_is_the_mean():
    scores = synthetic_scores(np.random.default_rng(14), images=60)
    table = classification_table(scores, 0.95, "baseline")
    cell = table.query("domain == 'cxr' and cohort == 'mimic_cxr' and arm == 'mmpkd' and metric == 'auroc'")
    rows = scores.query("domain == 'cxr' and cohort == 'mimic_cxr' and arm == 'mmpkd' and label == 'Atelectasis'")
    rows = rows[rows["method"] == "none"]
    wide = rows.pivot(index=["seed", "image_id"], columns="metric", values="value")
    expected = np.mean([roc_auc_score(part["target"], part["logit"]) for _, part in wide.groupby("seed")])
    by_label = cell.set_index("label")["estimate"]
    assert by_label["Atelectasis"] == pytest.approx(expected)
    assert by_label[MACRO] == pytest.approx(by_label.drop(MACRO).mean())
    assert ((table["low"] < table["estimate"]) & (table["estimate"] < table["high"])).all()
    assert table["low"].min() > 0 and table["high"].max() < 1
    assert table.query("arm == 'baseline'")["gain"].isna().all()
    by_seed = classification_by_seed(scores)
    names = ["domain", "cohort", "label", "metric", "arm"]
    means = by_seed.groupby(names)["value"].mean()
    np.testing.assert_allclose(table.set_index(names)["estimate"].sort_index(), means.sort_index())


def test_a_label_of_one_class_has_a_reason_and_stays_out_of_the_macro_mean():
    scores = synthetic_scores(np.random.default_rng(15), images=40)
    rare = (scores["label"] == "Pneumothorax") & (scores["metric"] == "target")
    scores.loc[rare, "value"] = 0.0
    table = classification_table(scores, 0.95, "baseline").query(
        "domain == 'cxr' and metric == 'auroc' and arm == 'baseline'"
    )
    rows = table[table["label"] == "Pneumothorax"]
    assert rows["estimate"].isna().all() and (rows["reason"] == "one class alone").all()
    assert table[table["label"] == MACRO]["estimate"].notna().all()
