"""The scores against independent implementations: scikit-image, and slow loops written from the papers' text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from skimage.filters import threshold_otsu

from mmpkd.evaluation.localization import THRESHOLDS, score_maps, tuned_threshold
from mmpkd.evaluation.metrics import dilate

SEEDS = st.integers(0, 2**32 - 1)


def random_case(seed, levels=None):
    """A map, with few levels if wanted, and an ROI that is neither empty nor the whole image."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(3, 12, 2)
    values = rng.normal(size=(height, width)) if levels is None else rng.integers(0, levels, (height, width))
    mask = rng.random((height, width)) < rng.uniform(0.1, 0.9)
    mask[0, 0], mask[-1, -1] = True, False
    return values, mask


def one(values, mask, **settings):
    return {name: score[0] for name, score in score_maps(values[None], mask[None], **settings).items()}


def overlap(mask, chosen):
    shared = sum(1 for a, b in zip(mask.flat, chosen.flat, strict=True) if a and b)
    return shared / (mask.sum() + chosen.sum() - shared), 2 * shared / (mask.sum() + chosen.sum())


@settings(max_examples=80, deadline=None)
@given(seed=SEEDS, levels=st.integers(2, 60))
def test_otsu_agrees_with_scikit_image(seed, levels):
    values, mask = random_case(seed, levels)
    scores = one(values, mask)
    if values.min() < values.max():
        iou, dice = overlap(mask, values > threshold_otsu(values))  # for integers its histogram has a bin a value
        assert (scores["iou_otsu"], scores["dice_otsu"]) == (pytest.approx(iou), pytest.approx(dice))
    else:
        assert np.isnan(scores["iou_otsu"])


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_otsu_is_the_cut_with_the_largest_variance_between_classes(seed):
    values, mask = random_case(seed)
    best = max(
        np.unique(values)[1:],
        key=lambda cut: (
            (values >= cut).mean()
            * (values < cut).mean()
            * (values[values >= cut].mean() - values[values < cut].mean()) ** 2
        ),
    )
    iou, dice = overlap(mask, values >= best)
    scores = one(values, mask)
    assert (scores["iou_otsu"], scores["dice_otsu"]) == (pytest.approx(iou), pytest.approx(dice))


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, threshold=st.floats(0.01, 0.99), levels=st.sampled_from([None, 5]))
def test_tuned_scores_threshold_the_map_scaled_to_one(seed, threshold, levels):
    values, mask = random_case(seed, levels)
    scaled = (values - values.min()) / (values.max() - values.min())
    if np.abs(scaled - threshold).min() > 1e-9:
        iou, dice = overlap(mask, scaled >= threshold)
        scores = one(values, mask, threshold=threshold)
        assert (scores["iou_tuned"], scores["dice_tuned"]) == (pytest.approx(iou), pytest.approx(dice))


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_contrast_to_noise_is_the_difference_of_means_over_the_joint_spread(seed):
    values, mask = random_case(seed)
    inside = [value for value, hit in zip(values.flat, mask.flat, strict=True) if hit]
    outside = [value for value, hit in zip(values.flat, mask.flat, strict=True) if not hit]
    expected = (np.mean(inside) - np.mean(outside)) / np.sqrt(np.var(inside) + np.var(outside))
    assert one(values, mask)["contrast_to_noise"] == pytest.approx(expected)
    assert one(1000 + values, mask)["contrast_to_noise"] == pytest.approx(expected)
    assert one(1e-14 * values, mask)["contrast_to_noise"] == pytest.approx(expected)
    assert one(-values, mask)["contrast_to_noise"] == pytest.approx(-expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, level=st.floats(-60_000, 60_000), other=st.floats(-60_000, 60_000))
def test_contrast_to_noise_of_constant_regions_is_undefined(dtype, seed, level, other):
    _, mask = random_case(seed)
    assert np.isnan(one(np.full(mask.shape, level, dtype), mask)["contrast_to_noise"])
    assert np.isnan(one(np.where(mask, level, other).astype(dtype), mask)["contrast_to_noise"])


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_relevance_accuracies_follow_the_paper(seed):
    values, mask = random_case(seed)
    relevance = np.abs(values)
    top = sorted(range(relevance.size), key=lambda pixel: -relevance.flat[pixel])[: mask.sum()]
    scores = one(relevance, mask)
    assert scores["relevance_rank_accuracy"] == pytest.approx(sum(mask.flat[pixel] for pixel in top) / mask.sum())
    mass = sum(value for value, hit in zip(relevance.flat, mask.flat, strict=True) if hit) / relevance.sum()
    assert scores["relevance_mass_accuracy"] == pytest.approx(mass)
    assert scores["mass_gain"] == pytest.approx(mass - mask.mean())
    iou, dice = scores["iou_equal_area"], scores["dice_equal_area"]
    assert dice == pytest.approx(2 * iou / (1 + iou)) == pytest.approx(scores["relevance_rank_accuracy"])


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, tolerance=st.floats(0, 0.49), levels=st.sampled_from([None, 3]))
def test_the_tolerant_pointing_game_accepts_maxima_near_the_roi(seed, tolerance, levels):
    values, mask = random_case(seed, levels)
    radius = tolerance * max(mask.shape)
    accepted = []
    for y, x in np.argwhere(values == values.max()):
        accepted.append(any(np.hypot(y - row, x - column) <= radius for row, column in np.argwhere(mask)))
    scores = one(values, mask, tolerance=tolerance)
    assert scores["pointing_game_tolerant"] == pytest.approx(np.mean(accepted))
    assert scores["pointing_game_tolerant"] >= scores["pointing_game"]
    assert one(values, mask, tolerance=0)["pointing_game_tolerant"] == scores["pointing_game"]


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, radius=st.floats(0, 15))
def test_dilation_equals_the_distance_transform(seed, radius):
    _, mask = random_case(seed)
    np.testing.assert_array_equal(dilate(mask[None], radius)[0], distance_transform_edt(~mask) <= radius)


def test_tolerance_is_a_share_of_the_side_at_every_resolution():
    for size in (60, 100, 200):
        values, mask = np.zeros((size, size)), np.zeros((size, size), dtype=bool)
        values[size // 2, size // 2] = 1
        mask[:, : size // 2 - size // 20] = True  # the nearest column is 0.05 sides and one pixel away
        margin = 0.05 + 1 / size
        assert one(values, mask, tolerance=margin + 1e-9)["pointing_game_tolerant"] == 1
        assert one(values, mask, tolerance=margin - 1e-3)["pointing_game_tolerant"] == 0


def test_the_tuned_threshold_has_the_best_mean_iou():
    rng = np.random.default_rng(5)
    maps, masks = rng.random((30, 9, 9)), rng.random((30, 9, 9)) < 0.3
    maps[masks] += 0.4
    masks[4] = False  # an empty ROI, a broken map and a constant one have no say
    maps[5, 0, 0], maps[6] = np.nan, 0.5
    means = [np.nanmean(score_maps(maps, masks, threshold=value)["iou_tuned"]) for value in THRESHOLDS]
    found = tuned_threshold(maps, masks)
    assert found == THRESHOLDS[int(np.argmax(means))] and 0.2 < found < 0.8


def test_a_threshold_needs_a_map_with_an_roi():
    with pytest.raises(ValueError, match="no threshold can be tuned"):
        tuned_threshold(np.ones((2, 4, 4)), np.eye(4)[None].repeat(2, axis=0))
