import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from mmpkd.evaluation import localization
from mmpkd.evaluation.localization import METRICS, score_maps, upsample


def one(values, mask):
    scores = score_maps(np.asarray(values)[None], np.asarray(mask)[None])
    return {metric: score[0] for metric, score in scores.items()}


@pytest.fixture
def quarter():
    mask = np.zeros((8, 8), dtype=np.uint8)
    mask[:4, :4] = 1
    return mask


def test_a_perfect_map_scores_one(quarter):
    assert one(quarter.astype(float), quarter) == pytest.approx(dict.fromkeys(METRICS, 1.0))


def test_an_inverted_map_scores_zero_where_zero_is_possible(quarter):
    scores = one(1.0 - quarter, quarter)
    assert scores["pixel_auroc"] == scores["pointing_game"] == scores["mass_in_roi"] == scores["iou_equal_area"] == 0
    assert scores["average_precision"] == pytest.approx(0.25)  # the ROI is one tie at the end


def test_a_uniform_map_is_chance(quarter):
    scores = one(np.full((8, 8), 0.3), quarter)
    expected_hits = 16 * 16 / 64
    assert scores == pytest.approx(
        {
            "pixel_auroc": 0.5,
            "average_precision": 0.25,
            "pointing_game": 0.25,
            "mass_in_roi": 0.25,
            "iou_equal_area": expected_hits / (32 - expected_hits),
        }
    )


def test_one_hot_patch_inside_and_outside(quarter):
    inside, outside = np.zeros((2, 8, 8))
    inside[1, 1] = outside[6, 6] = 1
    hit, miss = one(inside, quarter), one(outside, quarter)
    assert (hit["pointing_game"], miss["pointing_game"]) == (1, 0)
    assert (hit["mass_in_roi"], miss["mass_in_roi"]) == (1, 0)
    assert hit["pixel_auroc"] == pytest.approx((1 + 15 * 0.5) / 16)  # the other 15 tie with all 48 outside
    assert miss["pixel_auroc"] == pytest.approx(0.5 * 47 / 48)
    shared = 1 + 15 * 15 / 63  # 15 places are left to 63 equal pixels, 15 of them inside
    assert hit["iou_equal_area"] == pytest.approx(shared / (32 - shared))


def test_tied_maxima_count_by_their_share(quarter):
    values = np.zeros((8, 8))
    values[0, 0] = values[7, 7] = values[7, 6] = 5
    assert one(values, quarter)["pointing_game"] == pytest.approx(1 / 3)


def test_undefined_is_nan_and_never_a_hit(quarter):
    rng = np.random.default_rng(0)
    values = rng.random((5, 8, 8))
    values[2, 3, 3] = np.nan
    values[3, 0, 0] = np.inf
    masks = np.stack([np.zeros_like(quarter), np.ones_like(quarter), quarter, quarter, quarter])
    for score in score_maps(values, masks).values():
        assert np.isnan(score[:4]).all() and np.isfinite(score[4])


def test_mass_needs_positive_values(quarter):
    scores = one(np.full((8, 8), -1.0), quarter)
    assert np.isnan(scores["mass_in_roi"]) and scores["pixel_auroc"] == 0.5
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
    expected = score_maps(maps[map_of_mask], masks)
    monkeypatch.setattr(localization, "CHUNK_PIXELS", 100)
    found = score_maps(maps, masks, map_of_mask)
    for metric in METRICS:
        np.testing.assert_array_equal(found[metric], expected[metric])


def test_integer_and_half_precision_maps_are_scored():
    rng = np.random.default_rng(3)
    values, mask = rng.integers(0, 255, (6, 6)), rng.random((6, 6)) < 0.3
    for kind in (np.uint8, np.float16, np.float32):
        assert one(values.astype(kind), mask) == pytest.approx(one(values.astype(float), mask))


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
