"""Windows, views and percentiles of DICOM files, with known answers."""

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from mmpkd.imaging.display import equalized
from mmpkd.imaging.reading import read_display, read_image
from tests.dicom_files import ramp, write


def test_the_files_first_window_is_applied_after_the_rescale(tmp_path):
    elements = {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": [1000, 5], "WindowWidth": [2001, 7]}
    values = np.array([[0, 500, 750], [1000, 1250, 2000]], dtype=np.uint16)  # -1000, 0, 500, 1000, 1500, 3000
    shown = read_image(write(tmp_path / "a.dcm", values, bits=12, **elements), "dicom")
    linear = (values * 2.0 - 1000 - 999.5) / 2000 + 0.5
    assert np.allclose(shown, np.clip(linear, 0, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("LINEAR_EXACT", lambda x: np.clip((x - 2000) / 1000 + 0.5, 0, 1)),
        ("SIGMOID", lambda x: 1 / (1 + np.exp(-4 * (x - 2000) / 1000))),
    ],
)
def test_window_functions(tmp_path, function, expected):
    path = write(tmp_path / "a.dcm", ramp(), bits=12, WindowCenter=2000, WindowWidth=1000, VOILUTFunction=function)
    assert np.allclose(read_image(path, "dicom"), expected(ramp().astype(float)), atol=1e-6)


def test_a_window_of_width_one_is_a_threshold(tmp_path):
    path = write(tmp_path / "a.dcm", ramp(), bits=12, WindowCenter=2000, WindowWidth=1)
    assert np.array_equal(read_image(path, "dicom"), ramp() > 1999.5)


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"WindowCenter": 2000, "WindowWidth": 0},
        {"WindowCenter": 2000},
        {"WindowCenter": 60000, "WindowWidth": 10},  # everything black
        {"WindowCenter": 2000, "WindowWidth": 100, "VOILUTFunction": "OTHER"},
    ],
)
def test_a_file_without_a_usable_window_is_shown_by_percentiles(tmp_path, elements):
    path = write(tmp_path / "a.dcm", ramp(), bits=12, **elements)
    assert np.array_equal(read_image(path, "dicom"), read_image(path, "percentile"))


def test_a_voi_lut_comes_before_a_window_and_its_largest_entry_is_white(tmp_path):
    item = Dataset()
    item.LUTDescriptor = [4, 1, 16]  # 4 entries, the first for the value 1; 16 bits stated, 12 used
    item.add_new("LUTData", "US", [0, 4095, 1000, 2000])
    elements = {"VOILUTSequence": [item], "WindowCenter": 2, "WindowWidth": 2}
    values = np.array([[0, 1, 2], [3, 4, 9]], dtype=np.uint16)
    shown = read_image(write(tmp_path / "a.dcm", values, bits=12, **elements), "dicom")
    assert np.allclose(shown, np.array([[0, 0, 4095], [1000, 2000, 2000]]) / 4095, atol=1e-6)


def test_percentiles_cut_a_bright_marker_and_keep_a_rare_object(tmp_path):
    values = np.tile(np.arange(1000, dtype=np.uint16), (10, 1))
    values[0, 0] = 60000
    low, high = np.percentile(values, (0.5, 99.5))
    shown = read_image(write(tmp_path / "a.dcm", values), "percentile")
    assert np.allclose(shown, np.clip((values.astype(float) - low) / (high - low), 0, 1), atol=1e-6)
    rare = np.zeros((100, 100), dtype=np.uint16)
    rare[50, 50] = 7  # both percentiles are 0: the full range is shown instead
    assert np.array_equal(read_image(write(tmp_path / "b.dcm", rare), "percentile"), rare / 7)


@pytest.mark.parametrize("scale", [1, -3])
def test_percentiles_lie_between_values_as_numpy_has_them(tmp_path, scale):
    values = np.random.default_rng(0).choice(4096, 30, replace=False).astype(np.uint16).reshape(5, 6)
    path = write(tmp_path / "a.dcm", values, bits=12, RescaleSlope=scale, RescaleIntercept=5)
    scaled = values.astype(float) * scale + 5
    low, high = np.percentile(scaled, (0.5, 99.5))
    assert np.allclose(read_image(path, "percentile"), np.clip((scaled - low) / (high - low), 0, 1), atol=1e-6)


def test_percentiles_of_a_large_image_are_close_to_those_of_all_pixels(tmp_path):
    values = np.random.default_rng(0).normal(2000, 300, (2500, 2000)).astype(np.uint16)
    low, high = np.percentile(values, (0.5, 99.5))
    shown = read_image(write(tmp_path / "a.dcm", values), "percentile")
    assert np.abs(shown - np.clip((values.astype(float) - low) / (high - low), 0, 1)).max() < 0.01


def views(path, **more):
    """A file with two VOI LUTs and two windows, of four different outcomes."""
    items = []
    for name, data in (("Harder", [0, 1, 2, 4]), ("SOFTER", [0, 3, 4, 4])):
        item = Dataset()
        item.LUTDescriptor, item.LUTExplanation = [4, 0, 16], name
        item.add_new("LUTData", "US", data)
        items.append(item)
    windows = {"WindowCenter": [2, 1], "WindowWidth": [4, 2], "WindowCenterWidthExplanation": ["WIDE", "NARROW "]}
    elements = {"VOILUTSequence": items, "VOILUTFunction": "LINEAR_EXACT", **windows, **more}
    values = np.arange(4, dtype=np.uint16).reshape(2, 2)
    return write(path, values, bits=12, **{key: value for key, value in elements.items() if value is not None})


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (0, [0, 1 / 4, 2 / 4, 1]),
        (1, [0, 3 / 4, 1, 1]),
        (2, [0, 1 / 4, 2 / 4, 3 / 4]),
        (3, [0, 1 / 2, 1, 1]),
        ("softer", [0, 3 / 4, 1, 1]),
        ("Wide", [0, 1 / 4, 2 / 4, 3 / 4]),
        ("narrow", [0, 1 / 2, 1, 1]),
    ],
)
def test_the_view_is_chosen_by_number_or_explanation(tmp_path, view, expected):
    display = read_display(views(tmp_path / "a.dcm"), "dicom", view)
    assert np.allclose(display[:].ravel(), expected, atol=1e-6) and display.note == ""
    assert np.array_equal(display[1:2, :1], display[:][1:2, :1])


@pytest.mark.parametrize("view", [4, "lung"])
def test_a_file_without_the_wanted_view_is_shown_by_its_first_and_says_so(tmp_path, view):
    path = views(tmp_path / "a.dcm")
    display = read_display(path, "dicom", view)
    assert np.array_equal(display[:], read_image(path, "dicom", 0)) and "has not the wanted view" in display.note


@pytest.mark.parametrize(
    ("elements", "note"),
    [
        ({"WindowCenter": None}, "the file has no window"),
        ({"WindowCenter": 2, "WindowWidth": 0}, "the file's window is not usable"),
        ({"WindowCenter": 60000, "WindowWidth": 10}, "the file's window leaves one grey value"),
    ],
)
def test_a_file_that_is_shown_by_percentiles_says_why(tmp_path, elements, note):
    path = views(tmp_path / "a.dcm", VOILUTSequence=None, WindowCenterWidthExplanation=None, **elements)
    assert read_display(path, "dicom").note == note
    assert read_display(path, "percentile").note == ""


def equalize_hist(image):
    """OpenCV's equalizeHist in plain Python."""
    histogram = np.bincount(image.ravel(), minlength=256)
    first = next(level for level in range(256) if histogram[level])
    scale, total, table = np.float32(255) / np.float32(image.size - histogram[first]), 0, [0] * 256
    for level in range(first + 1, 256):
        total += histogram[level]
        table[level] = int(np.rint(np.float32(total) * scale))
    return np.array(table, dtype=np.uint8)[image]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True])
def test_mimic_jpg_is_the_published_recipe(tmp_path, photometric, signed):
    raw = np.random.default_rng(0).gamma(2, 150, (60, 50)).astype(np.int16) - (300 if signed else 0)
    share = (raw.astype(float) - raw.min()) / (raw.max() - float(raw.min()))
    eight = (share * 255).astype(np.uint8)
    expected = equalize_hist(255 - eight if photometric == "MONOCHROME1" else eight)
    # It looked at none of these.
    elements = {"RescaleSlope": -2, "RescaleIntercept": 7, "WindowCenter": 9, "WindowWidth": 3, "PixelPaddingValue": 0}
    path = write(
        tmp_path / "a.dcm", raw.view(np.uint16), photometric, 16, signed, PresentationLUTShape="INVERSE", **elements
    )
    assert np.array_equal(np.rint(read_image(path, "mimic_jpg") * 255), expected)


def test_mimic_jpg_of_colour_and_of_pictures(tmp_path):
    grey = np.random.default_rng(0).normal(100, 20, (40, 30)).astype(np.uint8)
    eight = ((grey - grey.min()) / (grey.max() - grey.min()) * 255).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert np.array_equal(np.rint(read_image(tmp_path / "a.png", "mimic_jpg") * 255), equalize_hist(eight))
    Image.fromarray(grey).convert("RGBA").save(tmp_path / "b.png")
    close = np.abs(read_image(tmp_path / "b.png", "mimic_jpg") * 255 - equalize_hist(eight))
    assert (close > 1).mean() < 0.2  # luma is not a whole number, and the recipe cuts off


def test_equalisation_in_closed_form():
    histogram = np.zeros(256, dtype=int)
    histogram[[10, 20, 30]] = 5, 1, 2
    table = equalized(histogram)
    assert list(table[[0, 10, 20, 29, 30, 255]]) == [0, 0, 85, 85, 255, 255]


def test_an_unknown_window_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'lung' is unknown; known are dicom, minmax, percentile, mimic_jpg"):
        read_image(write(tmp_path / "a.dcm", ramp()), "lung")
