"""Mammograms: finding the breast, the crop, the side of the chest wall, what is not breast."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mmpkd.config.demo import DEMO
from mmpkd.config.imaging import Breast
from mmpkd.config.study import ConfigError, load
from mmpkd.imaging.breast import find, framing
from mmpkd.imaging.display import to_display
from mmpkd.imaging.geometry import Geometry
from mmpkd.imaging.grey import GreyValues
from tests.inverse import points_to_image

ALL = Breast(crop=True, chest_wall="left", remove_labels=True)


def mammogram(rows=1200, columns=900, side="left", centre=0.5, height=0.35, depth=0.6, noise=0.01, muscle=False):
    """Half an ellipse at one side, with a marker and text beside it and the bright edge of a film: image and breast."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:rows, :columns] + 0.5
    breast = ((y / rows - centre) / height) ** 2 + (x / columns / depth) ** 2 < 1
    image = np.where(breast, 0.35 + 0.2 * np.sin(x / 60) * np.cos(y / 45), 0.02)
    if muscle:
        image[breast & (x / columns + y / rows < 0.45)] = 0.95
    for top, left in ((30, 760), (30, 790), (30, 820), (70, 760)):
        if columns >= 900:
            image[top : top + 22, left : left + 20] = 1.0
    image[:, -6:] = 0.9
    image = np.clip(image + rng.normal(0, noise, image.shape), 0, 1).astype(np.float32)
    return (image, breast) if side == "left" else (image[:, ::-1].copy(), breast[:, ::-1].copy())


def fit(image, size, keep_aspect, wanted):
    """The geometry of a framed image, and the breast."""
    framed = framing(image, wanted)
    return Geometry.fit(*image.shape, size, keep_aspect, framed.crop, framed.flip), framed.found


def in_store(found, geometry):
    """The store pixels that show the breast."""
    return geometry.resampled(*found.mask.shape).mask_to_store(found.mask)


def box_of(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("muscle", [False, True])
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.05])
def test_the_breast_is_found_and_nothing_else(side, muscle, noise):
    image, breast = mammogram(side=side, muscle=muscle, noise=noise)
    found = find(image)
    assert found.chest_wall == side
    crop = np.array(found.crop(margin=0))
    pixel = max(image.shape) / 256
    outwards = (crop - box_of(breast)) * (-1, -1, 1, 1)
    assert (outwards >= 0).all() and (outwards <= 8 * pixel).all()
    full = np.kron(found.mask, np.ones((5, 5), dtype=bool))[: image.shape[0], : image.shape[1]]
    assert found.mask.shape == (256, 192)
    near = full[: breast.shape[0], : breast.shape[1]]
    scaled = breast[np.ix_(np.arange(near.shape[0]) * 1200 // 1280, np.arange(near.shape[1]) * 900 // 960)]
    assert near[scaled].mean() > 0.999 and near[~scaled].mean() < 0.12


@pytest.mark.parametrize("window", ["minmax", "percentile"])
@pytest.mark.parametrize("largest", [4095, 16383, 65535])
@pytest.mark.parametrize("inverted", [False, True])
def test_the_breast_is_found_behind_a_linear_window(window, largest, inverted):
    """An image of more than one block is averaged on the window's line, where rounding makes black less than 0."""
    image, breast = mammogram()
    image[-300:, 450:] = 0.0  # a mask of one value, as detectors put around the breast
    words = np.rint(117 + (1 - image if inverted else image) * (largest - 117)).astype(np.uint16)
    display = to_display(GreyValues(words, np.arange(1 << 16, dtype=np.float32), inverted), window)
    assert display.line is not None
    found = find(display)
    assert found.chest_wall == "left"
    inside = np.array(found.crop(margin=0)) * (1, 1, -1, -1) <= box_of(breast) * (1, 1, -1, -1)
    assert inside.all() and found.crop(margin=0)[2] < 640


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("share", [0.003, 0.01, 0.02])
def test_the_frame_of_a_scanned_film_is_no_breast(side, share):
    image, breast = mammogram(side=side)
    width = round(share * max(image.shape))
    frame = np.ones(image.shape, dtype=bool)
    frame[width:-width, width:-width] = False
    image[frame] = 1.0
    whole, found = fit(image, 96, True, Breast(remove_labels=True))
    assert found.chest_wall == side
    outwards = (np.array(found.crop(margin=0)) - box_of(breast)) * (-1, -1, 1, 1)
    assert (outwards <= 8 * max(image.shape) / 256).all()
    assert in_store(found, whole)[whole.mask_to_store(breast & ~frame)].mean() > 0.99


def test_the_margin_is_a_share_of_the_longer_side_and_ends_at_the_image():
    image, _ = mammogram()
    found = find(image)
    tight, wide = np.array(found.crop(0)), np.array(found.crop(0.1))
    assert np.allclose(wide[1:3] - tight[1:3], [-120, 120], atol=1.01) and wide[0] == 0
    assert list(found.crop(0.5)) == [0, 0, 900, 1200]


@pytest.mark.parametrize("image", [np.zeros((300, 200)), np.full((300, 200), 0.7), np.eye(300)])
def test_an_image_without_a_breast_is_left_as_it_is(image):
    image = image.astype(np.float32)
    geometry, found = fit(image, 64, True, ALL)
    assert found is None and not geometry.flip
    assert (geometry.crop_x0, geometry.crop_y0, geometry.crop_x1, geometry.crop_y1) == (0, 0, *image.shape[::-1])


def test_a_breast_that_fills_the_image_is_kept():
    image, _ = mammogram(height=2.0, depth=2.0)
    image[:, -6:] = image[:, -12:-6]
    geometry, found = fit(image, 64, True, ALL)
    if found is not None:
        assert (geometry.crop_x1 - geometry.crop_x0) * (geometry.crop_y1 - geometry.crop_y0) > 0.9 * image.size


@pytest.mark.parametrize("side", ["left", "right"])
def test_each_switch_does_its_own_part(side):
    image, breast = mammogram(side=side)
    cropped, _ = fit(image, 64, True, Breast(crop=True))
    assert not cropped.flip and cropped.crop_x1 - cropped.crop_x0 < 700
    turned, _ = fit(image, 64, True, Breast(chest_wall="right"))
    assert turned.flip == (side == "left") and turned.crop_x1 - turned.crop_x0 == 900
    labels, found = fit(image, 64, True, Breast(remove_labels=True))
    assert not labels.flip and labels.crop_x1 == 900
    store, kept = labels.image_to_store(image), in_store(found, labels)
    assert store[:12].max() > 100 and not np.where(kept, store, 0)[:5].any()
    assert kept[labels.mask_to_store(breast)].all()


@settings(max_examples=25, deadline=None)
@given(
    side=st.sampled_from(["left", "right"]),
    centre=st.floats(0.4, 0.6),
    height=st.floats(0.2, 0.38),
    depth=st.floats(0.3, 0.8),
    keep_aspect=st.booleans(),
    wall=st.sampled_from(["as_is", "left", "right"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_points_of_the_breast_go_through_crop_flip_pad_and_scale_and_back(
    side, centre, height, depth, keep_aspect, wall, seed
):
    image, breast = mammogram(300, 240, side, centre, height, depth)
    geometry, found = fit(image, 96, keep_aspect, Breast(crop=True, chest_wall=wall, remove_labels=True))
    assert found.chest_wall == side
    assert geometry.flip == (wall not in ("as_is", side))
    y, x = np.nonzero(breast)
    chosen = np.random.default_rng(seed).integers(0, len(x), 20)
    points = np.stack([x[chosen], y[chosen]], axis=1) + 0.5
    store = geometry.points_to_store(points)
    rows, columns = geometry.content
    assert (store >= [columns.start, rows.start]).all() and (store <= [columns.stop, rows.stop]).all()
    whole = np.floor(store) + 0.5  # the middle of the store pixel that the point fell into
    back = points_to_image(geometry, whole)
    assert (np.abs(back - points) <= 0.5 / np.array([geometry.scale_x, geometry.scale_y]) + 1e-9).all()
    assert np.allclose(points_to_image(geometry, store), points, atol=0.5)
    mirrored = store[:, 0] if not geometry.flip else geometry.size - store[:, 0]
    assert np.corrcoef(mirrored, points[:, 0])[0, 1] > 0.999


def test_the_configuration_of_a_domain():
    assert all(domain.breast is None for domain in DEMO.domains.values())
    demo = DEMO.model_dump(mode="json")
    domains = {name: domain.model_dump() for name, domain in DEMO.domains.items()}
    domains["mammography"]["breast"] = {"crop": True, "chest_wall": "left"}
    breast = load({**demo, "domains": domains}).domains["mammography"].breast
    assert breast == Breast(crop=True, chest_wall="left") and breast.active
    domains["mammography"]["breast"] = {"chest_wall": "up"}
    with pytest.raises(ConfigError, match="chest_wall"):
        load({**demo, "domains": domains})
    with pytest.raises(ConfigError, match="counted from 0"):
        load({**demo, "imaging": {"view": -1}})
    with pytest.raises(ValidationError):
        Breast(margin=0.6)
