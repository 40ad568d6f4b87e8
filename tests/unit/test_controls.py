import numpy as np
import pytest

from mmpkd.evaluation.controls import centre_map, uniform_map
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
