"""Maps in the original image's pixels, and how far scores there are from scores in the store's pixels."""

import numpy as np
import pytest

from mmpkd.evaluation.localization import score_maps, upsample
from mmpkd.imaging.geometry import Geometry
from tests.inverse import points_to_image, to_original

# How far scores may be apart in one view, and by the root mean square over all. Largest over 1,000 (64 px) and 120
# (224 px) views: 0.012 and 0.007, 0.003 and 0.001. They come from ROI edges that cut store pixels: one of 1 % of the
# square is a disc of eight, so where the map is steep one view in 3,000 reaches 0.02. Root mean squares: 0.0022 and
# 0.0012, 0.0006 and 0.0003; with a map off by half a store pixel 0.0094 and 0.0029, 0.0031 and 0.0008.
TOLERANCE = {64: {"pixel_auroc": 0.02, "mass_in_roi": 0.01}, 224: {"pixel_auroc": 0.005, "mass_in_roi": 0.002}}
RMS = {
    64: {"pixel_auroc": 0.004, "mass_in_roi": 0.002},
    224: {"pixel_auroc": 0.0012, "mass_in_roi": 0.0006},
}


def grid_map(rng, patches):
    values = np.exp(rng.normal(size=(patches, patches)))
    return (values / values.sum()).astype(np.float16)


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("flip", [False, True])
def test_an_enlarged_image_shows_the_map_upsampled_to_its_size(factor, flip):
    grid = grid_map(np.random.default_rng(0), 4)
    shown = to_original(grid, Geometry.fit(32 * factor, 32 * factor, 32, keep_aspect=True, flip=flip))
    expected = upsample(grid[None], 32 * factor)[0]
    np.testing.assert_allclose(shown, expected[:, ::-1] if flip else expected, rtol=1e-6)


def test_padding_is_left_out_and_what_the_crop_cut_off_is_nan():
    grid = grid_map(np.random.default_rng(1), 4)
    geometry = Geometry.fit(40, 100, 32, keep_aspect=True, crop=(20.0, 0.0, 84.0, 32.0))
    shown = to_original(grid, geometry)
    assert shown.shape == (40, 100) and geometry.content == (slice(8, 24), slice(0, 32))
    expected = upsample(grid[None], 64)[0][16:48]  # a store pixel is two image pixels wide
    np.testing.assert_allclose(shown[:32, 20:84], expected, rtol=1e-6)
    assert np.isnan(shown[32:]).all() and np.isnan(shown[:, :20]).all() and np.isnan(shown[:, 84:]).all()


def random_view(rng, size):
    """A geometry, and an elliptic ROI of 1 % to 30 % of the square within its crop, in image pixels."""
    rows, columns = (int(length) for length in rng.integers(int(1.5 * size), 5 * size, 2))
    crop = None
    if rng.random() < 0.5:
        (x0, y0), (x1, y1) = rng.uniform(0, 0.25, 2), rng.uniform(0.75, 1, 2)
        crop = tuple(
            float(round(share * side)) for share, side in zip((x0, y0, x1, y1), (columns, rows) * 2, strict=True)
        )
    geometry = Geometry.fit(rows, columns, size, bool(rng.random() < 0.7), crop, bool(rng.random() < 0.5))
    radius = size * np.sqrt(rng.uniform(0.01, 0.3) / np.pi)
    centre = []
    for part in reversed(geometry.content):
        half = (part.stop - part.start) / 2
        reach = max(half - radius, 0)
        centre.append(part.start + half + rng.uniform(-reach, reach))
    x, y = points_to_image(geometry, np.array([centre]))[0]
    down, across = (np.arange(rows) + 0.5 - y) * geometry.scale_y, (np.arange(columns) + 0.5 - x) * geometry.scale_x
    return geometry, down[:, None] ** 2 + across**2 <= radius**2


def differences(seed, size):
    """Scores in the store's pixels less those in the image's, of one random view."""
    rng = np.random.default_rng(seed)
    geometry, mask = random_view(rng, size)
    grid = grid_map(rng, 8 if size == 64 else 14)
    original, store = to_original(grid, geometry), upsample(grid[None], size)[0]
    seen = np.isfinite(original)
    crop = np.ix_(seen.any(axis=1), seen.any(axis=0))
    metrics = list(TOLERANCE[size])
    there = score_maps(original[crop][None], mask[crop][None], metrics=metrics)
    content, stored = geometry.content, geometry.mask_to_store(mask)
    here = score_maps(store[content][None], stored[content][None], metrics=metrics)
    return [here[metric][0] - there[metric][0] for metric in metrics]


@pytest.mark.parametrize(("size", "views"), [(64, 250), (224, 15)])
def test_scores_in_original_and_in_store_pixels_agree(size, views):
    found = np.array([differences(seed, size) for seed in range(views)])
    assert (np.abs(found).max(axis=0) <= list(TOLERANCE[size].values())).all()
    assert (np.sqrt((found**2).mean(axis=0)) < list(RMS[size].values())).all()
