"""DICOM reading: grey values, faults and decoders, by synthetic files with known answers."""

import warnings

import numpy as np
import pydicom
import pydicom.data
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from mmpkd.imaging.decoding import UNSAFE
from mmpkd.imaging.image_file import UnreadableImage
from mmpkd.imaging.reading import read_header, read_image
from tests.dicom_files import find, ramp, transcode, write


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


@pytest.mark.parametrize("window", ["minmax", "percentile"])
def test_values_that_fall_where_words_rise_and_padding_between_them(tmp_path, window):
    """A modality LUT that is not monotone, with padding inside the range of words: the range is of what is left."""
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [5, 0, 16], "OD"
    item.add_new("LUTData", "US", [100, 300, 9999, 0, 200])
    words = np.array([[0, 1, 2], [3, 4, 4]], dtype=np.uint16)
    elements = {"ModalityLUTSequence": [item], "PixelPaddingValue": 2}
    path = write(tmp_path / "a.dcm", words, bits=12, **elements)
    shown = read_image(path, window)
    values = np.array([100, 300, 0, 200, 200], dtype=float)
    low, high = (0, 300) if window == "minmax" else np.percentile(values, (0.5, 99.5))
    assert np.allclose(shown.ravel()[[0, 1, 3, 4, 5]], np.clip((values - low) / (high - low), 0, 1), atol=1e-6)
    assert shown[0, 2] == 0


def test_a_negative_slope_and_monochrome1_cancel_out(tmp_path):
    path = write(tmp_path / "a.dcm", ramp(), "MONOCHROME1", 12, RescaleSlope=-0.5, RescaleIntercept=100)
    assert np.allclose(read_image(path, "minmax"), ramp() / 4095, atol=1e-6)


def test_a_modality_lut_is_applied(tmp_path):
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [4, 0, 16], "OD"
    item.add_new("LUTData", "US", [500, 300, 100, 200])
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


@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_without_preamble_is_read_if_it_is_an_image(tmp_path, implicit):
    path = write(tmp_path / "a.dcm", ramp(), bits=12)
    dataset = pydicom.dcmread(path)
    del dataset.file_meta
    dataset.preamble = None
    bare = tmp_path / "bare.dcm"
    dataset.save_as(bare, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    assert bare.read_bytes()[128:132] != b"DICM"
    assert np.array_equal(read_image(bare, "minmax"), read_image(path, "minmax"))
    assert read_header(bare) == (3, 3)


def _without(path, keyword):
    dataset = pydicom.dcmread(path)
    del dataset[keyword]
    dataset.save_as(path)
    return path


def _text(path):
    path.write_text("the impression is of no DICOM file\n" * 100)
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path, "No such file"),
        (_text, "not a DICOM file"),
        (lambda path: _text(path.with_suffix(".png")), "cannot identify image file"),
        (lambda path: _without(write(path, ramp()), "PixelData"), "no pixels"),
        (lambda path: _without(write(path, ramp()), "Rows"), "Rows or Columns is missing"),
        (lambda path: write(path, ramp(), Rows=30000, Columns=30000), "more than 400 million"),
        (lambda path: write(path, ramp(), Rows=4), "less than expected"),
        (lambda path: write(path, np.full((4, 4), 7, np.uint16)), "constant image"),
        (lambda path: write(path, np.full((4, 4), 7, np.uint16), PixelPaddingValue=7), "without a valid pixel"),
        (lambda path: write(path, np.tile(ramp(), (2, 1)), Rows=3, NumberOfFrames=2), "2 frames where one is expected"),
    ],
)
def test_what_cannot_be_read_says_why_and_names_no_file_or_patient(tmp_path, make, reason):
    path = make(tmp_path / "p10000032.dcm")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnreadableImage, match=reason) as caught:
            read_image(path, "minmax")
    assert caught.value.reason in str(caught.value)
    assert "p10000032" not in str(caught.value) and "secret" not in str(caught.value)


def test_a_failed_decoding_names_the_transfer_syntax_and_every_decoder(tmp_path):
    path = find("RG3_J2KR.dcm")
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pydicom.encaps.encapsulate([b"\0" * 200])  # without markers, of which the end could be missed
    dataset.save_as(tmp_path / "a.dcm")
    with pytest.raises(UnreadableImage) as caught:
        read_image(tmp_path / "a.dcm", "dicom")
    assert caught.value.transfer_syntax == JPEG2000Lossless.name
    for decoder in {*pydicom.pixels.get_decoder(JPEG2000Lossless).available_plugins} - {*UNSAFE}:
        assert f"{decoder}:" in caught.value.reason


@pytest.mark.parametrize("failure", ["raises", "too short"])
def test_broken_decoders_are_passed_over_for_the_next(monkeypatch, failure):
    path, expected = find("RG3_J2KR.dcm"), read_image(find("RG3_UNCR.dcm"), "dicom")
    decoder = pydicom.pixels.get_decoder(JPEG2000Lossless)
    names = {*decoder.available_plugins} - {*UNSAFE}
    assert len(names) >= 2

    def broken(source, runner):
        if failure == "raises":
            raise RuntimeError("broken")
        return bytes(100)

    for sound in names:
        with monkeypatch.context() as patch:
            for name in names - {sound}:
                patch.setitem(decoder._available, name, broken)
            assert np.array_equal(read_image(path, "dicom"), expected), sound


GDCM_SYNTAXES = [  # its name of the syntax, bits, and the largest difference in grey levels of those bits
    ("JPEGBaselineProcess1", 8, 4),
    ("JPEGExtendedProcess2_4", 8, 4),
    ("JPEGLosslessProcess14", 12, 0),
    ("JPEGLosslessProcess14_1", 12, 0),
    ("JPEGLosslessProcess14_1", 16, 0),
    ("JPEGLSLossless", 12, 0),
    ("JPEGLSNearLossless", 12, 4),
    ("JPEG2000Lossless", 16, 0),
    ("JPEG2000", 12, 4),
    ("RLELossless", 12, 0),
    ("DeflatedExplicitVRLittleEndian", 12, 0),
]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("name", "bits", "tolerance"), GDCM_SYNTAXES)
def test_compressed_files_are_read_as_their_originals(tmp_path, name, bits, tolerance, photometric):
    y, x = np.mgrid[:96, :80]
    values = ((x + y) / 174 * ((1 << bits) - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    path = write(tmp_path / "a.dcm", values, photometric, bits)
    compressed = transcode(path, tmp_path / "b.dcm", name)
    assert pydicom.dcmread(compressed).file_meta.TransferSyntaxUID != ExplicitVRLittleEndian
    difference = np.abs(read_image(compressed, "minmax") - read_image(path, "minmax"))
    assert difference.max() <= tolerance / ((1 << bits) - 1) + 1e-6
    assert read_header(compressed) == (96, 80)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_the_stored_ones_stay_out_of_compressed_files_too(tmp_path, signed):
    values = ramp(12, np.int32) - (1 << 11 if signed else 0)
    words = (values & 0xFFF).astype(np.uint16)
    words[::2] |= 0xA000
    path = write(tmp_path / "a.dcm", words, bits=12, signed=signed)
    expected = read_image(path, "minmax")
    assert np.allclose(expected, ramp(12) / 4095, atol=1e-6)
    dataset = pydicom.dcmread(path)
    dataset.compress(RLELossless, encoding_plugin="pydicom")
    dataset.save_as(path)
    assert np.array_equal(read_image(path, "minmax"), expected)


def test_overlays_and_burned_in_bits_are_not_drawn(tmp_path):
    path = write(tmp_path / "a.dcm", ramp(), bits=12)
    expected = read_image(path, "minmax")
    dataset = pydicom.dcmread(path)
    dataset.add_new(0x60000010, "US", 3)  # rows, columns, kind, origin, one bit a pixel, all set
    dataset.add_new(0x60000011, "US", 3)
    dataset.add_new(0x60000040, "CS", "G")
    dataset.add_new(0x60000050, "SS", [1, 1])
    dataset.add_new(0x60000100, "US", 1)
    dataset.add_new(0x60000102, "US", 0)
    dataset.add_new(0x60003000, "OW", b"\xff\xff")
    dataset.save_as(path)
    assert pydicom.dcmread(path).overlay_array(0x6000).all()
    assert np.array_equal(read_image(path, "minmax"), expected)


def test_one_frame_of_a_multi_frame_object_is_an_image(tmp_path):
    path = write(tmp_path / "a.dcm", ramp(), bits=12, NumberOfFrames=1)
    assert np.allclose(read_image(path, "minmax"), ramp() / 4095, atol=1e-6)
