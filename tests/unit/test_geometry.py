"""The way between image and store: exact inverses, area resampling, ROI masks."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation

from mmpkd.imaging import geometry as geometry_module
from mmpkd.imaging.display import PERCENTILES, SAMPLE, to_display
from mmpkd.imaging.geometry import Geometry, area_average, area_weights
from mmpkd.imaging.grey import GreyValues
from tests.inverse import points_to_image


@st.composite
def geometries(draw, largest=6000):
    rows, columns = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    size = draw(st.integers(16, 512))
    crop = None
    if draw(st.booleans()):
        x0, y0 = draw(st.integers(0, columns - 1)), draw(st.integers(0, rows - 1))
        crop = x0, y0, draw(st.integers(x0 + 1, columns)), draw(st.integers(y0 + 1, rows))
    return Geometry.fit(rows, columns, size, draw(st.booleans()), crop=crop, flip=draw(st.booleans()))


def brute_force_average(image, y_span, x_span, shape):
    """Averages by definition: cell by cell, pixel by pixel, the area of their overlap."""

    def overlap(low, high, pixel):
        return max(0.0, min(high, pixel + 1) - max(low, pixel))

    out = np.zeros(shape)
    y_edges, x_edges = np.linspace(*y_span, shape[0] + 1), np.linspace(*x_span, shape[1] + 1)
    for i, j in np.ndindex(shape):
        y = np.array([overlap(y_edges[i], y_edges[i + 1], k) for k in range(image.shape[0])])
        x = np.array([overlap(x_edges[j], x_edges[j + 1], k) for k in range(image.shape[1])])
        out[i, j] = y @ image @ x / (y.sum() * x.sum())
    return out


@settings(max_examples=150, deadline=None)
@given(geometry=geometries(), seed=st.integers(0, 2**32 - 1))
def test_points_go_to_the_store_and_back(geometry, seed):
    points = np.random.default_rng(seed).uniform(-0.5, 1.5, (20, 2)) * (geometry.columns, geometry.rows)
    assert np.allclose(points_to_image(geometry, geometry.points_to_store(points)), points, rtol=0, atol=1e-6)
    store = np.random.default_rng(seed).uniform(0, geometry.size, (20, 2))
    assert np.allclose(geometry.points_to_store(points_to_image(geometry, store)), store, rtol=0, atol=1e-6)


@settings(max_examples=150, deadline=None)
@given(geometry=geometries())
def test_the_crop_fills_the_content_and_the_content_lies_in_the_square(geometry):
    corners = np.array([(geometry.crop_x0, geometry.crop_y0), (geometry.crop_x1, geometry.crop_y1)])
    (left, top), (right, bottom) = np.sort(geometry.points_to_store(corners), axis=0)
    rows, columns = geometry.content
    assert np.allclose([left, top, right, bottom], [columns.start, rows.start, columns.stop, rows.stop], atol=1e-6)
    assert 0 <= rows.start < rows.stop <= geometry.size
    assert 0 <= columns.start < columns.stop <= geometry.size


@settings(max_examples=100, deadline=None)
@given(geometry=geometries())
def test_kept_aspects_fill_one_side_and_are_exact_to_half_a_pixel(geometry):
    crop = geometry.crop_x0, geometry.crop_y0, geometry.crop_x1, geometry.crop_y1
    kept = Geometry.fit(geometry.rows, geometry.columns, geometry.size, True, crop=crop)
    width, height = crop[2] - crop[0], crop[3] - crop[1]
    rows, columns = kept.content
    shown = columns.stop - columns.start, rows.stop - rows.start
    assert max(shown) == kept.size
    scale = kept.size / max(width, height)
    assert abs(shown[0] - max(1, width * scale)) <= 0.5 + 1e-9
    assert abs(shown[1] - max(1, height * scale)) <= 0.5 + 1e-9
    assert abs(columns.start - (kept.size - columns.stop)) <= 1  # centred


@settings(max_examples=60, deadline=None)
@given(geometry=geometries())
def test_a_geometry_survives_its_row_in_parquet_types(geometry):
    row = pd.DataFrame([geometry.to_row()]).astype({"rows": "int32", "scale_x": "float64"}).iloc[0]
    assert Geometry.from_row(row) == geometry


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    trim=st.tuples(*[st.floats(0, 0.4)] * 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_area_average_is_the_average_by_definition(rows, columns, shape, trim, seed):
    image = np.random.default_rng(seed).random((rows, columns))
    y_span = trim[0] * rows, rows - trim[1] * rows
    x_span = trim[2] * columns, columns - trim[3] * columns
    averaged = area_average(image, y_span, x_span, shape)
    assert averaged.dtype == np.float32
    assert np.allclose(averaged, brute_force_average(image, y_span, x_span, shape), atol=2e-5)


@settings(max_examples=60, deadline=None)
@given(geometry=geometries(largest=250), seed=st.integers(0, 2**32 - 1))
def test_a_dot_is_drawn_where_its_point_goes_and_found_back_within_half_a_pixel(geometry, seed):
    """Through the pixels, not the formulas: crop, flip, pad and scale of an image that is dark but for one dot."""
    rng = np.random.default_rng(seed)
    x = int(rng.integers(geometry.crop_x0, geometry.crop_x1))
    y = int(rng.integers(geometry.crop_y0, geometry.crop_y1))
    image = np.zeros((geometry.rows, geometry.columns), dtype=np.float32)
    image[y, x] = 1 / min(geometry.scale_x * geometry.scale_y, 1)  # bright enough to fill a store pixel
    store = geometry.image_to_store(image).astype(float)
    row, column = np.unravel_index(store.argmax(), store.shape)
    if max(geometry.scale_x, geometry.scale_y) > 1:  # a dot larger than a store pixel: its middle
        rows, columns = np.nonzero(store > store.max() / 2)
        row, column = rows.mean(), columns.mean()
    [[found_x, found_y]] = points_to_image(geometry, np.array([[column + 0.5, row + 0.5]]))
    half_x, half_y = (0.5 * max(1 / scale, 1) + 1e-6 for scale in (geometry.scale_x, geometry.scale_y))
    assert abs(found_x - (x + 0.5)) <= half_x + 0.5 and abs(found_y - (y + 0.5)) <= half_y + 0.5


@settings(max_examples=40, deadline=None)
@given(geometry=geometries(largest=400), seed=st.integers(0, 2**32 - 1))
def test_blocks_of_rows_give_the_bits_of_the_whole(geometry, seed):
    image = np.random.default_rng(seed).random((geometry.rows, geometry.columns)).astype(np.float32)
    whole = geometry.image_to_store(image)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geometry_module, "BLOCK", 700)
        assert np.array_equal(geometry.image_to_store(image), whole)


def exact_store(image, geometry):
    """`image_to_store` by dense matrices in float64."""
    height, width = (part.stop - part.start for part in geometry.content)

    def weights(span, length, count):
        edges = np.linspace(*span, count + 1)
        overlap = np.minimum(edges[1:, None], np.arange(1, length + 1)) - np.maximum(
            edges[:-1, None], np.arange(length)
        )
        overlap = np.clip(overlap, 0, None)
        return overlap / overlap.sum(axis=1, keepdims=True)

    y = weights((geometry.crop_y0, geometry.crop_y1), geometry.rows, height)
    x = weights((geometry.crop_x0, geometry.crop_x1), geometry.columns, width)
    store = np.zeros((geometry.size, geometry.size))
    content = y @ image @ x.T
    store[geometry.content] = content[:, ::-1] if geometry.flip else content
    return np.rint(np.clip(store, 0, 1) * 255)


@pytest.mark.parametrize("crop", [None, (17, 33, 1200, 1499)])
@pytest.mark.parametrize(("bits", "window"), [(12, "percentile"), (16, "percentile"), (16, "minmax"), (8, "minmax")])
def test_the_store_is_that_of_the_same_filter_in_float64(bits, window, crop):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:1528, :1272]
    values = ((np.sin(x / 90) * np.cos(y / 70) + 1.2) / 2.4 + rng.normal(0, 0.02, y.shape)) * ((1 << bits) - 1)
    words = np.clip(values, 0, (1 << bits) - 1).astype(np.uint8 if bits == 8 else np.uint16)
    levels = np.arange(1 << (8 * words.itemsize), dtype=np.float32)
    step = max(1, int((words.size / SAMPLE) ** 0.5))
    span = (0.0, 100.0) if window == "minmax" else PERCENTILES
    low, high = np.percentile(words if window == "minmax" else words[::step, ::step], span)
    exact = 1 - np.clip((words - low) / (high - low), 0, 1)
    geometry = Geometry.fit(*words.shape, 224, True, crop=crop, flip=crop is not None)
    store = geometry.image_to_store(to_display(GreyValues(words, levels, inverted=True), window)).astype(float)
    difference = np.abs(store - exact_store(exact, geometry))
    assert (difference <= 1).mean() >= 0.999 and difference.max() <= 1
    assert (difference == 0).mean() > 0.999


def squared(values):
    return np.clip(values / 4095, 0, 1) ** 2


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize(
    ("grey", "window"),
    [
        ({}, "percentile"),  # a line between two words, for 12 of 16 bits
        ({"window": squared}, "dicom"),  # no line
        ({"padding": 2000}, "minmax"),  # black in the middle of a line
        ({}, "mimic_jpg"),
    ],
)
def test_a_large_picture_is_stored_as_it_is_displayed_whether_on_a_line_or_not(grey, window, inverted):
    y, x = np.mgrid[:900, :700]
    words = ((np.sin(x / 50) * np.cos(y / 40) + 1.3) / 2.6 * 3500).astype(np.uint16) + 500
    words[::7] |= 0xA000  # bits that are not stored
    levels = (np.arange(1 << 16) & 0xFFF).astype(np.float32)
    if "padding" in grey:
        levels[levels == grey["padding"]] = np.nan
    display = to_display(GreyValues(words, levels, inverted, grey.get("window")), window)
    clean = to_display(GreyValues(words & 0xFFF, levels, inverted, grey.get("window")), window)
    assert np.array_equal(display[:], clean[:])
    assert words.size > geometry_module.BLOCK and (clean.line is None) == (grey != {} or window == "mimic_jpg")
    geometry = Geometry.fit(900, 700, 64, True)
    exact = exact_store(display[:].astype(float), geometry)
    for picture in (display, clean):
        assert np.abs(geometry.image_to_store(picture) - exact).max() <= 1
        assert (geometry.image_to_store(picture) == exact).mean() > 0.999


def test_a_tie_of_coverage_is_not_decided_by_rounding():
    geometry = Geometry.fit(18, 187, 16, False)
    mask = np.zeros((18, 187), dtype=bool)
    mask[4:5, 119:159] = True
    assert np.array_equal(geometry.mask_to_store(mask), geometry.box_to_store_mask(119, 4, 159, 5))


def test_weights_refuse_a_span_outside_the_line():
    for span in ((0.0, 10.5), (-0.1, 5.0), (5.0, 5.0)):
        with pytest.raises(ValueError, match="empty or reaches out"):
            area_weights(10, span, 4)


def test_shrinking_by_a_whole_factor_averages_blocks():
    image = np.arange(16 * 32, dtype=np.float32).reshape(16, 32) / 512
    store = Geometry.fit(16, 32, 16, True).image_to_store(image)
    blocks = image.reshape(8, 2, 16, 2).mean(axis=(1, 3))
    assert store.dtype == np.uint8
    assert np.array_equal(store[4:12], np.rint(blocks * 255))
    assert not store[:4].any() and not store[12:].any()


def test_a_square_of_the_store_size_is_kept_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (24, 24))
    assert np.array_equal(Geometry.fit(24, 24, 24, True).image_to_store(image / 255), image)


def test_values_beyond_black_and_white_are_black_and_white():
    store = Geometry.fit(2, 2, 2, True).image_to_store(np.array([[-0.5, 0.2], [1.0, 1.5]]))
    assert store.tolist() == [[0, 51], [255, 255]]


def test_a_mask_may_hold_any_number_inside():
    geometry = Geometry.fit(8, 8, 4, True)
    mask = np.zeros((8, 8), dtype=np.uint8)
    mask[:4, :3] = 255  # half of a column of store pixels
    mask[7, 7] = 255  # a quarter of a store pixel
    expected = np.zeros((4, 4), dtype=bool)
    expected[:2, :2] = True
    assert np.array_equal(geometry.mask_to_store(mask), expected)


def test_a_fine_grating_becomes_grey_instead_of_moire():
    image = np.zeros((1000, 1000), dtype=np.float32)
    image[:, ::2] = 1
    store = Geometry.fit(1000, 1000, 64, True).image_to_store(image).astype(int)
    assert np.abs(store - 127.5).max() <= 5  # 15.6 columns per pixel: at most half a column too many or too few


def test_a_flip_mirrors_image_masks_and_points_alike():
    rng = np.random.default_rng(1)
    image = rng.random((50, 31)).astype(np.float32)
    plain, flipped = (Geometry.fit(50, 31, 32, True, flip=flip) for flip in (False, True))
    box = 3, 5, 20, 40
    triangle = np.array([[2.0, 3.0], [28.0, 10.0], [5.0, 45.0]])
    assert np.array_equal(flipped.image_to_store(image), plain.image_to_store(image)[:, ::-1])
    assert np.array_equal(flipped.box_to_store_mask(*box), plain.box_to_store_mask(*box)[:, ::-1])
    assert np.array_equal(flipped.mask_to_store(image > 0.5), plain.mask_to_store(image > 0.5)[:, ::-1])
    differing = flipped.polygon_to_store_mask(triangle) ^ plain.polygon_to_store_mask(triangle)[:, ::-1]
    assert differing.sum() <= 1  # a sub-pixel centre on an edge may fall either way


@settings(max_examples=80, deadline=None)
@given(geometry=geometries(largest=300), seed=st.integers(0, 2**32 - 1))
def test_a_box_a_polygon_and_a_mask_of_the_same_region_agree(geometry, seed):
    rng = np.random.default_rng(seed)
    x0, x1 = np.sort(rng.choice(geometry.columns + 1, 2, replace=False))
    y0, y1 = np.sort(rng.choice(geometry.rows + 1, 2, replace=False))
    mask = np.zeros((geometry.rows, geometry.columns), dtype=bool)
    mask[y0:y1, x0:x1] = True
    box = geometry.box_to_store_mask(x0, y0, x1, y1)
    assert np.array_equal(box, geometry.mask_to_store(mask))
    polygon = geometry.polygon_to_store_mask(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))
    ys, xs = np.nonzero(box ^ polygon)
    assert box.any() == polygon.any()
    if len(ys) and box.sum() > 1:  # they may differ along the box's edge, where half a pixel decides
        assert binary_dilation(box, np.ones((3, 3)))[ys, xs].all()
        assert len(ys) <= 2 * (np.ptp(np.argwhere(box), axis=0) + 2).sum()


def test_box_masks_in_closed_form():
    geometry = Geometry.fit(100, 100, 50, True)  # a store pixel is two image pixels
    mask = geometry.box_to_store_mask(10, 20, 30, 50)
    assert np.array_equal(np.argwhere(mask).min(axis=0), [10, 5]) and mask.sum() == 15 * 10
    half = geometry.box_to_store_mask(11, 20, 30, 50)  # half of a column of store pixels counts
    assert np.array_equal(half, mask)
    less = geometry.box_to_store_mask(11.01, 20, 30, 50)
    assert less.sum() == 15 * 9


def test_a_small_region_keeps_its_most_covered_pixel():
    geometry = Geometry.fit(1000, 1000, 20, True)  # a store pixel is 50 image pixels
    mask = np.zeros((1000, 1000), dtype=bool)
    mask[148:153, 510:514] = True  # 2 rows above store row 3, 3 rows in it
    for small in (
        geometry.mask_to_store(mask),
        geometry.box_to_store_mask(510, 148, 514, 153),
        geometry.polygon_to_store_mask(np.array([(510, 151), (514, 151), (512, 153)])),
    ):
        assert np.array_equal(np.argwhere(small), [[3, 10]])


def test_regions_outside_the_image_never_reach_the_padding():
    geometry = Geometry.fit(100, 50, 20, True)  # content: columns 5 to 14
    overlapping = geometry.box_to_store_mask(-200, -200, 25, 400)
    assert overlapping[:, 5:10].all() and overlapping.sum() == 20 * 5
    polygon = geometry.polygon_to_store_mask(np.array([(-200, -200), (25, -200), (25, 400), (-200, 400)]))
    assert np.array_equal(polygon, overlapping)
    wide = Geometry.fit(50, 100, 20, True)  # content: rows 5 to 14
    assert wide.box_to_store_mask(-200, -200, 400, 25).sum() == 5 * 20
    assert wide.box_to_store_mask(-200, 25, 400, 200).sum() == 5 * 20
    assert not geometry.box_to_store_mask(50, 0, 80, 10).any()
    assert not geometry.polygon_to_store_mask(np.array([(60, 0), (80, 0), (70, 10)])).any()


def test_a_polygon_has_its_area_and_follows_the_even_odd_rule():
    geometry = Geometry.fit(400, 400, 100, True)
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    circle = 200 + 120 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    mask = geometry.polygon_to_store_mask(circle)
    assert mask.sum() == pytest.approx(np.pi * 30**2, rel=0.01)
    assert np.array_equal(mask, mask[::-1]) and np.array_equal(mask, mask.T)
    bow_tie = geometry.polygon_to_store_mask(np.array([(100, 100), (300, 300), (300, 100), (100, 300)]))
    assert bow_tie.sum() == pytest.approx(50 * 50 / 2, rel=0.05)
    assert not bow_tie[30, 50] and bow_tie[50, 30]


@pytest.mark.parametrize("resampled", [(500, 400), (2001, 1599)])
def test_another_sampling_of_the_picture_lands_in_the_same_place(resampled):
    geometry = Geometry.fit(1000, 800, 64, True, crop=(10, 20, 790, 1000), flip=True)
    other = geometry.resampled(*resampled)
    factor = np.array([resampled[1] / 800, resampled[0] / 1000])
    points = np.random.default_rng(0).uniform(0, 800, (10, 2))
    assert np.allclose(other.points_to_store(points * factor), geometry.points_to_store(points), atol=1e-9)
    assert other.content == geometry.content
    assert other.image_to_store(np.ones(resampled))[other.content].min() == 255


def test_bad_input_is_refused():
    geometry = Geometry.fit(10, 20, 16, True)
    for shape in ((0, 20, 16), (10, 0, 16), (10, 20, 0)):
        with pytest.raises(ValueError, match="cannot be fitted"):
            Geometry.fit(*shape, True)
    for crop in ((0, 0, 21, 10), (0, 0, 20, 11), (-1, 0, 20, 10), (0, -1, 20, 10), (5, 0, 5, 10), (0, 5, 20, 5)):
        with pytest.raises(ValueError, match="empty or reaches out of an image"):
            Geometry.fit(10, 20, 16, True, crop=crop)
    with pytest.raises(ValueError, match="does not fit a geometry of 10 x 20"):
        geometry.image_to_store(np.zeros((20, 10)))
    with pytest.raises(ValueError, match="does not fit"):
        geometry.mask_to_store(np.zeros((10, 19), dtype=bool))
    for box in ((5, 5, 5, 8), (5, 5, 8, 5), (5, 5, 8, 4), (np.nan, 0, 1, 1), (0, 0, np.inf, 1)):
        with pytest.raises(ValueError, match="box is empty"):
            geometry.box_to_store_mask(*box)
    for points in ([(0, 0), (1, 1)], [(0, 0), (1, 1), (np.nan, 2)]):
        with pytest.raises(ValueError, match="polygon has fewer"):
            geometry.polygon_to_store_mask(np.array(points))
    with pytest.raises(ValueError, match="N x 2"):
        geometry.points_to_store(np.zeros(4))
