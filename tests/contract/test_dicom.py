"""DICOM reading: synthetic files with known answers, and every image of pydicom, pydicom-data and shared/data."""

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    generate_uid,
)

from mmpkd.imaging.dicom import UnreadableImage, read_header, read_image, read_mask

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "dicom"
PYDICOM = Path(pydicom.data.__file__).parent / "test_files"
SOURCES = {  # files that pydicom cannot decode either, or whose pixels are cut short, with the reason to be reported
    "JPEG-lossy.dcm": "all available plugins: gdcm",
    "JPEG2000-embedded-sequence-delimiter.dcm": "all available plugins: gdcm",
    "MR_truncated.dcm": "bytes of pixel data is less than expected",
    "badVR.dcm": "invalid literal",
}


def data_files() -> Path:
    return Path(pytest.importorskip("data_store", reason="pydicom-data is not installed").__file__).parent / "data"


def find(name: str) -> Path:
    return next(data_files().rglob(name))


def write(path, pixels, photometric="MONOCHROME2", bits=None, signed=False, syntax=ExplicitVRLittleEndian, **elements):
    """Writes `pixels` (unsigned 8 or 16 bit words, as they lie in the file) as a DICOM file."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["test"])
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.PatientID, dataset.Modality = "secret-7", "CR"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = 8 * pixels.itemsize
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(signed)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    little = syntax != ExplicitVRBigEndian
    data = pixels.astype(pixels.dtype.newbyteorder("<" if little else ">")).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    pydicom.dcmwrite(
        path, dataset, enforce_file_format=True, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=little
    )
    return path


def ramp(bits=12, dtype=np.uint16):
    """The values 0, 1/8, ..., 1 of a range of `bits`, in an array of 3 x 3."""
    return np.rint(np.linspace(0, (1 << bits) - 1, 9)).astype(dtype).reshape(3, 3)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (10, np.uint16), (12, np.uint16), (16, np.uint16)])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_every_kind_of_grey_pixel(tmp_path, photometric, bits, dtype, signed, syntax):
    values = ramp(bits, np.int32) - (1 << (bits - 1) if signed else 0)
    words = (values & ((1 << bits) - 1)).astype(dtype)  # no sign extension: bits above BitsStored are not data
    path = write(tmp_path / "a.dcm", words, photometric, bits, signed, syntax)
    grey = (values - values.min()) / (values.max() - values.min())
    shown = read_image(path, "minmax")
    assert shown.dtype == np.float32
    assert np.allclose(shown, 1 - grey if photometric == "MONOCHROME1" else grey, atol=1e-6)
    assert read_header(path) == (3, 3)


def test_bits_above_the_stored_ones_are_an_overlay_and_stay_out(tmp_path):
    words = ramp(12)
    words[1, 1] |= 1 << 15
    words[0, 0] |= 1 << 12
    shown = read_image(write(tmp_path / "a.dcm", words, bits=12), "minmax")
    assert np.allclose(shown, ramp(12) / 4095, atol=1e-6)


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME1", "INVERSE", True),  # once, not twice
        ("MONOCHROME1", None, True),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME1", "IDENTITY", True),
    ],
)
def test_polarity(tmp_path, photometric, shape, inverted):
    elements = {"PresentationLUTShape": shape} if shape else {}
    shown = read_image(write(tmp_path / "a.dcm", ramp(), photometric, 12, **elements), "minmax")
    assert shown[0, 0] == inverted and shown[2, 2] == (not inverted)


def test_a_negative_slope_and_monochrome1_cancel_out(tmp_path):
    path = write(tmp_path / "a.dcm", ramp(), "MONOCHROME1", 12, RescaleSlope=-0.5, RescaleIntercept=100)
    assert np.allclose(read_image(path, "minmax"), ramp() / 4095, atol=1e-6)


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
    item.LUTData = [0, 4095, 1000, 2000]
    elements = {"VOILUTSequence": [item], "WindowCenter": 2, "WindowWidth": 2}
    values = np.array([[0, 1, 2], [3, 4, 9]], dtype=np.uint16)
    shown = read_image(write(tmp_path / "a.dcm", values, bits=12, **elements), "dicom")
    assert np.allclose(shown, np.array([[0, 0, 4095], [1000, 2000, 2000]]) / 4095, atol=1e-6)


def test_a_modality_lut_is_applied(tmp_path):
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [4, 0, 16], "OD"
    item.LUTData = [500, 300, 100, 200]
    values = np.arange(4, dtype=np.uint16).reshape(2, 2)
    shown = read_image(write(tmp_path / "a.dcm", values, bits=12, ModalityLUTSequence=[item]), "minmax")
    assert np.allclose(shown, [[1, 0.5], [0, 0.25]], atol=1e-6)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_out_of_the_range(tmp_path, photometric):
    values = np.array([[0, 5, 1000], [1100, 1200, 1400]], dtype=np.uint16)
    path = write(tmp_path / "a.dcm", values, photometric, 12, PixelPaddingValue=0, PixelPaddingRangeLimit=5)
    grey = np.array([0, 0.25, 0.5, 1])
    shown = read_image(path, "minmax")
    assert np.allclose(shown.flat[2:], 1 - grey if photometric == "MONOCHROME1" else grey, atol=1e-6)
    assert not shown.flat[:2].any()


def test_signed_padding_is_found_whichever_way_it_is_written(tmp_path):
    values = np.array([[-2000, 0], [50, 100]], dtype=np.int16)
    path = write(tmp_path / "a.dcm", values.view(np.uint16), signed=True, PixelPaddingValue=-2000)
    assert np.allclose(read_image(path, "minmax"), [[0, 0], [0.5, 1]], atol=1e-6)
    dataset = pydicom.dcmread(path)
    dataset.add_new("PixelPaddingValue", "US", 63536)
    dataset.save_as(path)
    assert np.allclose(read_image(path, "minmax"), [[0, 0], [0.5, 1]], atol=1e-6)


def test_percentiles_cut_a_bright_marker_and_keep_a_rare_object(tmp_path):
    values = np.tile(np.arange(1000, dtype=np.uint16), (10, 1))
    values[0, 0] = 60000
    low, high = np.percentile(values, (0.5, 99.5))
    shown = read_image(write(tmp_path / "a.dcm", values), "percentile")
    assert np.allclose(shown, np.clip((values.astype(float) - low) / (high - low), 0, 1), atol=1e-6)
    rare = np.zeros((100, 100), dtype=np.uint16)
    rare[50, 50] = 7  # both percentiles are 0: the full range is shown instead
    assert np.array_equal(read_image(write(tmp_path / "b.dcm", rare), "percentile"), rare / 7)


def test_percentiles_of_a_large_image_are_close_to_those_of_all_pixels(tmp_path):
    values = np.random.default_rng(0).normal(2000, 300, (2500, 2000)).astype(np.uint16)
    low, high = np.percentile(values, (0.5, 99.5))
    shown = read_image(write(tmp_path / "a.dcm", values), "percentile")
    assert np.abs(shown - np.clip((values.astype(float) - low) / (high - low), 0, 1)).max() < 0.01


def test_float_pixels_with_nan_are_shown_black_there(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(np.array([[np.nan, 1.0], [3.0, np.inf]], dtype=np.float32)).save(path)
    assert np.array_equal(read_image(path, "percentile")[1, 0], np.float32(1))
    assert np.array_equal(read_image(path, "minmax"), [[0, 0], [1, 0]])


def test_colour_becomes_luma(tmp_path):
    rgb = np.array([[[0, 0, 0], [255, 0, 0]], [[0, 255, 0], [255, 255, 255]]], dtype=np.uint8)
    path = write(tmp_path / "a.dcm", rgb, "RGB", PlanarConfiguration=0)
    assert np.allclose(read_image(path, "minmax"), [[0, 0.299], [0.587, 1]], atol=1e-5)
    planes = write(tmp_path / "b.dcm", rgb, "RGB", PlanarConfiguration=1)
    dataset = pydicom.dcmread(planes)
    dataset.PixelData = rgb.transpose(2, 0, 1).tobytes()
    dataset.save_as(planes)
    assert np.array_equal(read_image(planes, "minmax"), read_image(path, "minmax"))


def test_a_file_without_preamble_is_read_if_it_is_an_image(tmp_path):
    path = write(tmp_path / "a.dcm", ramp(), bits=12)
    dataset = pydicom.dcmread(path)
    bare = tmp_path / "bare.dcm"
    with bare.open("wb") as file:
        pydicom.filewriter.write_dataset(
            pydicom.filebase.DicomFileLike(file, implicit=True) if False else _implicit(file), dataset
        )
    assert np.array_equal(read_image(bare, "minmax"), read_image(path, "minmax"))
    assert read_header(bare) == (3, 3)


def _implicit(file):
    buffer = pydicom.filebase.DicomFileLike(file)
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    return buffer
