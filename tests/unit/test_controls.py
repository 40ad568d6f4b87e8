import numpy as np
import pytest

from mmpkd.evaluation.controls import centre_map, edge_maps, uniform_map
from mmpkd.evaluation.localization import score_maps


def test_both_maps_have_mass_one():
    assert uniform_map(64).sum() == pytest.approx(1) and centre_map(64, 0.25).sum() == pytest.approx(1)


def test_the_uniform_map_is_chance_for_any_roi():
    masks = np.random.default_rng(0).random((5, 16, 16)) < 0.2
    scores = score_maps(uniform_map(16)[None], masks, np.zeros(5, dtype=int))
    np.testing.assert_allclose(scores["pixel_auroc"], 0.5)
    np.testing.assert_allclose(scores["mass_in_roi"], masks.mean(axis=(1, 2)), rtol=1e-6)


@pytest.mark.parametrize("size", [15, 16])
def test_the_centre_map_is_symmetric_and_highest_in_the_middle(size):
    centred = centre_map(size, 0.25)
    np.testing.assert_allclose(centred, centred[::-1, ::-1])
    np.testing.assert_allclose(centred, centred.T)
    assert centred.max() == centred[size // 2, size // 2]


def test_sigma_is_in_image_sides():
    profile = centre_map(400, 0.25)[200]
    assert profile[300] / profile[200] == pytest.approx(np.exp(-0.5), rel=0.01)


def test_sigma_must_be_positive():
    with pytest.raises(ValueError, match="sigma"):
        centre_map(8, 0)


def test_the_edge_map_of_a_vertical_step_lies_on_the_step():
    images = np.zeros((2, 8, 8), dtype=np.uint8)
    images[0, :, 4:], images[1, :, 4:] = 255, 51
    maps = edge_maps(images)
    assert maps.shape == (2, 8, 8) and maps.dtype == np.float32
    expected = np.zeros((8, 8))
    expected[:, 3:5] = 1 / np.sqrt(2)  # root mean square of both directions: 1 across the step, 0 along it
    np.testing.assert_allclose(maps, [expected, expected / 5], atol=1e-6)
    masks = np.zeros((2, 8, 8), dtype=bool)
    masks[0, :, 3:5] = masks[1, :, 3] = True
    scores = score_maps(maps[:1], masks, np.zeros(2, dtype=int))
    np.testing.assert_allclose(scores["mass_in_roi"], [1, 0.5], rtol=1e-6)
    np.testing.assert_allclose(scores["pixel_auroc"], [1, (48 + 8 / 2) / 56])  # 48 pixels below, 8 equal


def test_no_image_has_no_edge_map():
    assert edge_maps(np.zeros((0, 8, 8), dtype=np.uint8)).shape == (0, 8, 8)
