import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from mmpkd.config.evaluation import METRICS as CONFIGURABLE
from mmpkd.evaluation import localization, pairs
from mmpkd.evaluation.localization import METRICS, TITLES, score_grids, score_maps, upsample
from mmpkd.evaluation.metrics import TUNED, UNDEFINED_IF_CONSTANT, scores_of
from mmpkd.outputs.words import METRIC_NAMES

HALF = 0.5  # the tuned threshold of these tests


def one(values, mask):
    scores = score_maps(np.asarray(values)[None], np.asarray(mask)[None], threshold=HALF)
    return {metric: score[0] for metric, score in scores.items()}


@pytest.fixture
def quarter():
    mask = np.zeros((8, 8), dtype=np.uint8)
    mask[:4, :4] = 1
    return mask


def test_every_score_has_a_title_a_name_in_figures_and_a_place_in_the_configuration():
    assert set(METRICS) == set(scores_of(threshold=HALF)) == set(TITLES)
    assert METRICS == CONFIGURABLE
    assert set(METRIC_NAMES) - set(CONFIGURABLE) == {"artefact_rate", "sink_mass", "auroc"}  # which are not chosen


def test_a_perfect_map_scores_one(quarter):
    expected = dict.fromkeys(METRICS, 1.0) | {"mass_gain": 0.75, "contrast_to_noise": np.nan}  # regions are constant
    assert one(quarter.astype(float), quarter) == pytest.approx(expected, nan_ok=True)
    assert np.isnan(one(quarter * 0.3 + 0.1, quarter)["contrast_to_noise"])


def test_an_inverted_map_scores_zero_where_zero_is_possible(quarter):
    scores = one(1.0 - quarter, quarter)
    assert scores.pop("average_precision") == pytest.approx(0.25)  # the ROI is one tie at the end
    assert scores.pop("mass_gain") == -0.25
    assert np.isnan(scores.pop("contrast_to_noise"))
    assert scores.pop("pointing_game_tolerant") == 0  # 0.03 of 8 pixels reaches no neighbour
    assert set(scores.values()) == {0}


def test_a_uniform_map_is_chance_and_has_neither_threshold_nor_contrast(quarter):
    hits = 16 * 16 / 64
    expected = dict.fromkeys(METRICS, 0.25) | dict.fromkeys(UNDEFINED_IF_CONSTANT, np.nan)
    expected |= {"pixel_auroc": 0.5, "iou_equal_area": hits / (32 - hits), "mass_gain": 0, "hit_rate": 1}
    assert one(np.full((8, 8), 0.3), quarter) == pytest.approx(expected, nan_ok=True)


def test_one_hot_patch_inside_and_outside(quarter):
    inside, outside = np.zeros((2, 8, 8))
    inside[1, 1] = outside[6, 6] = 1
    hit, miss = one(inside, quarter), one(outside, quarter)
    for metric in ("pointing_game", "pointing_game_tolerant", "hit_rate", "mass_in_roi", "relevance_mass_accuracy"):
        assert (hit[metric], miss[metric]) == (1, 0)
    assert (hit["mass_gain"], miss["mass_gain"]) == (0.75, -0.25)
    assert hit["pixel_auroc"] == pytest.approx((1 + 15 * 0.5) / 16)  # the other 15 tie with all 48 outside
    assert miss["pixel_auroc"] == pytest.approx(0.5 * 47 / 48)
    shared = 1 + 15 * 15 / 63  # 15 places are left to 63 equal pixels, 15 of them inside
    assert hit["iou_equal_area"] == pytest.approx(shared / (32 - shared))
    assert hit["dice_equal_area"] == hit["relevance_rank_accuracy"] == pytest.approx(shared / 16)
    for at in ("otsu", "tuned"):
        assert (hit[f"iou_{at}"], miss[f"iou_{at}"]) == (1 / 16, 0)
        assert (hit[f"dice_{at}"], miss[f"dice_{at}"]) == (2 / 17, 0)
    assert hit["contrast_to_noise"] == pytest.approx((1 / 16) / np.sqrt(15 / 16**2))
    assert miss["contrast_to_noise"] == pytest.approx(-(1 / 48) / np.sqrt(47 / 48**2))


def test_tied_maxima_count_by_their_share(quarter):
    values = np.zeros((8, 8))
    values[0, 0] = values[7, 7] = values[7, 6] = 5
    scores = one(values, quarter)
    assert scores["pointing_game"] == scores["pointing_game_tolerant"] == pytest.approx(1 / 3)
    assert scores["hit_rate"] == 1  # the first of the three
    assert one(values[::-1, ::-1], quarter)["hit_rate"] == 1 and one(values[:, ::-1], quarter)["hit_rate"] == 0


def test_undefined_is_nan_and_never_a_hit(quarter):
    rng = np.random.default_rng(0)
    values = rng.random((5, 8, 8))
    values[2, 3, 3] = np.nan
    values[3, 0, 0] = np.inf
    masks = np.stack([np.zeros_like(quarter), np.ones_like(quarter), quarter, quarter, quarter])
    scores = score_maps(values, masks, threshold=HALF)
    assert set(scores) == set(METRICS)
    for score in scores.values():
        assert np.isnan(score[:4]).all() and np.isfinite(score[4])


def test_mass_needs_positive_values(quarter):
    scores = one(np.full((8, 8), -1.0), quarter)
    assert all(np.isnan(scores[metric]) for metric in ("mass_in_roi", "mass_gain", "relevance_mass_accuracy"))
    assert scores["pixel_auroc"] == 0.5
    mixed = np.where(quarter, 1.0, -100.0)
    assert one(mixed, quarter)["mass_in_roi"] == 1.0


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(2, 40))
def test_ranks_agree_with_scikit_learn_under_ties(seed, levels):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, levels, (6, 5, 5)) / levels
    masks = rng.random((6, 5, 5)) < rng.uniform(0.1, 0.9)
    scores = score_maps(values, masks)
    for image, mask in enumerate(masks):
        if 0 < mask.sum() < mask.size:
            truth, guess = mask.ravel(), values[image].ravel()
            assert scores["pixel_auroc"][image] == pytest.approx(roc_auc_score(truth, guess))
            assert scores["average_precision"][image] == pytest.approx(average_precision_score(truth, guess))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_rank_scores_ignore_monotone_maps_and_transposition(seed):
    rng = np.random.default_rng(seed)
    values, mask = rng.normal(size=(6, 6)), rng.random((6, 6)) < 0.3
    mask[0, 0], mask[0, 1] = True, False
    original = one(values, mask)
    for other in (one(np.exp(values), mask), one(values.T, mask.T)):
        for metric in ("pixel_auroc", "average_precision", "pointing_game", "iou_equal_area"):
            assert other[metric] == pytest.approx(original[metric])


def test_expected_hits_equal_the_mean_over_random_tie_breaks():
    rng = np.random.default_rng(1)
    values, mask = rng.integers(0, 3, (6, 6)).astype(float), rng.random((6, 6)) < 0.4
    area = mask.sum()
    hits = []
    for _ in range(4000):
        broken = values + rng.random(values.shape) * 1e-6
        hits.append(mask.ravel()[np.argsort(-broken.ravel())[:area]].sum())
    iou = one(values, mask)["iou_equal_area"]
    assert 2 * area * iou / (1 + iou) == pytest.approx(np.mean(hits), abs=0.1)


def test_several_rois_share_a_map_across_chunks(monkeypatch):
    rng = np.random.default_rng(2)
    maps, masks = rng.random((7, 6, 6)), rng.random((20, 6, 6)) < 0.3
    map_of_mask = rng.integers(0, 7, 20)
    expected = score_maps(maps[map_of_mask], masks, threshold=HALF)
    monkeypatch.setattr(pairs, "CHUNK_PIXELS", 100)
    found = score_maps(maps, masks, map_of_mask, threshold=HALF)
    for metric in METRICS:
        np.testing.assert_array_equal(found[metric], expected[metric])


def test_maps_on_the_patch_grid_score_as_they_do_upsampled(monkeypatch):
    rng = np.random.default_rng(6)
    grids, masks = rng.random((7, 3, 3)).astype(np.float16), rng.random((20, 12, 12)) < 0.3
    map_of_mask = rng.integers(0, 6, 20)  # no mask goes with the last map
    expected = score_maps(upsample(grids, 12), masks, map_of_mask)
    monkeypatch.setattr(localization, "HELD_PIXELS", 2 * 12 * 12)
    found = score_grids(grids, masks, map_of_mask)
    assert list(found) == list(expected)
    for metric in expected:
        np.testing.assert_array_equal(found[metric], expected[metric])
    assert all(len(score) == 0 for score in score_grids(grids[:0], masks[:0], map_of_mask[:0]).values())


def test_integer_and_half_precision_maps_are_scored():
    rng = np.random.default_rng(3)
    values, mask = rng.integers(0, 255, (6, 6)), rng.random((6, 6)) < 0.3
    for kind in (np.uint8, np.float16, np.float32):
        assert one(values.astype(kind), mask) == pytest.approx(one(values.astype(float), mask))


def test_only_the_scores_asked_for_are_computed_in_their_usual_order(quarter):
    scores = score_maps(np.ones((1, 8, 8)), quarter[None], metrics=["mass_gain", "pixel_auroc"])
    assert list(scores) == ["pixel_auroc", "mass_gain"]
    assert not set(score_maps(np.ones((1, 8, 8)), quarter[None])) & set(TUNED)


@pytest.mark.parametrize(
    ("metric", "message"), [("iou_tuned", "give the tuned threshold"), ("iou", "known are pixel_auroc")]
)
def test_a_score_that_cannot_be_computed_is_refused(quarter, metric, message):
    with pytest.raises(ValueError, match=message):
        score_maps(np.ones((1, 8, 8)), quarter[None], metrics=[metric])


@pytest.mark.parametrize(
    ("masks", "map_of_mask", "message"),
    [
        (np.ones((3, 4, 4)), None, "which map"),
        (np.ones((2, 5, 5)), None, "do not go together"),
        (np.ones((2, 4, 4)), [0, 2], "outside"),
    ],
)
def test_shapes_that_do_not_go_together_are_refused(masks, map_of_mask, message):
    with pytest.raises(ValueError, match=message):
        score_maps(np.ones((2, 4, 4)), masks, map_of_mask)


def test_no_map_and_no_mask():
    assert all(len(score) == 0 for score in score_maps(np.ones((0, 4, 4)), np.ones((0, 4, 4))).values())


@pytest.mark.parametrize(("grid", "size"), [((8, 8), 64), ((14, 14), 224), ((3, 5), 17), ((1, 1), 9), ((16, 16), 10)])
def test_upsample_equals_torch(grid, size):
    maps = np.random.default_rng(4).random((3, *grid)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(maps)[:, None], (size, size), mode="bilinear")[:, 0]
    np.testing.assert_allclose(upsample(maps, size), expected.numpy(), atol=1e-6)


def test_upsample_keeps_ties_exact():
    assert len(np.unique(upsample(np.full((1, 7, 7), 1 / 49, dtype=np.float16), 64))) == 1
