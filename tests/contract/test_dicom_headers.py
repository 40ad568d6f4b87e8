"""Headers that disagree with their pixels: the picture is that of the right header, and the disagreement is noted."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from mmpkd.imaging.display import CLIPPED_NOTE
from mmpkd.imaging.image_file import UnreadableImage
from mmpkd.imaging.reading import read_display, read_image, read_mask
from mmpkd.imaging.stored import BITS_NOTE, BYTES_NOTE, SIGN_NOTE, Reading, roughness
from tests.dicom_files import picture, write

FAULTS = Path(__file__).parents[2].parent / "shared" / "data" / "faults"
GREY = picture(12).astype(np.float32) / 4095


@pytest.mark.parametrize("name", ["high_bit_15.dcm", "voi_lut_8_bit.dcm"])
def test_a_ramp_is_shown_as_a_ramp(name):
    path = FAULTS / name
    if not path.is_file():
        pytest.skip("shared/data/faults is not here")
    display = read_display(path, "dicom")
    steps = display[:].ravel()
    assert (np.diff(steps) >= -1e-6).all() and steps[0] < 0.02 and steps[-1] > 0.98
    assert np.corrcoef(steps, np.arange(steps.size))[0, 1] > 0.999 and display.notes == ()


def shown(path, words, notes=(), window="minmax", **elements):
    """The display of `words` under a header, which must lead to just these notes."""
    for keyword, value in {"bits": 12, **elements}.items():
        elements[keyword] = value
    high = elements.pop("high", elements["bits"] - 1)
    display = read_display(write(path, words, HighBit=high, **elements), window)
    assert display.notes == tuple(notes)
    return display[:]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_numbers_are_where_high_bit_says(tmp_path, syntax):
    overlay = np.random.default_rng(1).integers(0, 16, GREY.shape).astype(np.uint16)
    for low in (0, overlay):
        words = picture(12) << 4 | low
        assert np.allclose(shown(tmp_path / "a.dcm", words, high=15, syntax=syntax), GREY, atol=1e-6)
    middle = picture(12) << 2 | overlay & 3 | (overlay & 1) << 15
    assert np.allclose(shown(tmp_path / "a.dcm", middle, high=13, syntax=syntax), GREY, atol=1e-6)


@pytest.mark.parametrize("high", [3, 31, 255])
def test_an_impossible_high_bit_counts_as_the_usual_one(tmp_path, high):
    assert np.allclose(shown(tmp_path / "a.dcm", picture(12), high=high), GREY, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "header"),
    [
        (picture(12), {"high": 15}),  # says that the numbers are in the upper bits
        (picture(12) << 4, {}),  # does not say it
        (picture(12), {"bits": 10}),
        (picture(12), {"bits": 8}),
        (picture(16), {"bits": 12}),
        (picture(8).astype(np.uint16) << 8, {"bits": 8}),  # the stated bits are all 0
    ],
)
def test_pixels_of_other_bits_than_stated_are_shown_as_they_are(tmp_path, words, header):
    grey = words / words.max()
    assert np.allclose(shown(tmp_path / "a.dcm", words, [BITS_NOTE], **header), grey, atol=1e-6)


def test_a_drawing_above_the_stored_bits_is_an_overlay_and_stays_out(tmp_path):
    drawing = np.zeros(GREY.shape, dtype=np.uint16)
    drawing[20:30, 10:30] = drawing[40, :] = 1
    for bit in (12, 14, 15):
        assert np.allclose(shown(tmp_path / "a.dcm", picture(12) | drawing << bit), GREY, atol=1e-6)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_unsigned_pixels_that_are_called_signed(tmp_path, bits):
    grey = picture(bits) / ((1 << bits) - 1)
    assert np.allclose(shown(tmp_path / "a.dcm", picture(bits), [SIGN_NOTE], bits=bits, signed=True), grey, atol=1e-6)


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("extended", [True, False])
def test_signed_pixels_that_are_called_unsigned(tmp_path, bits, extended):
    """Numbers of -1/2 to 1/2 of the range, the sign in the bits above the stored ones or not."""
    numbers = picture(bits).astype(np.int32) - (1 << (bits - 1))
    words = (numbers & (0xFFFF if extended else (1 << bits) - 1)).astype(np.uint16)
    grey = (numbers - numbers.min()) / np.ptp(numbers)
    assert np.allclose(shown(tmp_path / "a.dcm", words, [SIGN_NOTE], bits=bits), grey, atol=1e-6)
    assert np.allclose(shown(tmp_path / "a.dcm", words, bits=bits, signed=True), grey, atol=1e-6)


def test_the_sign_is_that_of_padding_and_window_too(tmp_path):
    words = np.minimum(picture(12), 4000)
    words[:10, :10] = 4095
    elements = {"signed": True, "PixelPaddingValue": 4095, "WindowCenter": 2048, "WindowWidth": 4096}
    elements |= {"syntax": ImplicitVRLittleEndian}
    grey = shown(tmp_path / "a.dcm", words, [SIGN_NOTE], window="dicom", **elements)
    assert not grey[:10, :10].any() and np.allclose(grey[20:], (words[20:] / 4095).clip(0, 1), atol=1e-3)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("edge", ["plain", "collimated", "saturated", "dark and bright"])
@pytest.mark.parametrize("signed", [False, True])
def test_a_right_header_is_believed(tmp_path, photometric, bits, edge, signed):
    """Large steps between neighbours are no wrong sign: a bright field beside a dark one, letters, a white border."""
    words, top = picture(bits), (1 << bits) - 1
    if edge == "collimated":
        words[:, :12] = top
        words[:, -12:] = 0
    elif edge == "saturated":
        words = np.minimum(words.astype(np.int64) * 3, top).astype(np.uint16)
        words[5:15, 5:15] = 0
    elif edge == "dark and bright":
        noise = np.random.default_rng(2).integers(0, top // 200, words.shape)
        words = np.where(words > top // 2, top - words // 8, noise).astype(np.uint16)
    numbers = words.astype(np.int32) - (top // 2 + 1 if signed else 0)
    grey = (numbers - numbers.min()) / np.ptp(numbers)
    seen = shown(
        tmp_path / "a.dcm", (numbers & top).astype(np.uint16), photometric=photometric, bits=bits, signed=signed
    )
    assert np.allclose(seen, 1 - grey if photometric == "MONOCHROME1" else grey, atol=1e-5)


def test_noise_and_drawings_are_shown_by_their_header(tmp_path):
    noise = np.random.default_rng(3).integers(0, 1 << 16, (50, 40)).astype(np.uint16)
    for bits in (10, 12, 16):
        for signed in (False, True):
            shown(tmp_path / "a.dcm", noise, bits=bits, signed=signed)
    mask = np.zeros((50, 40), dtype=np.uint8)
    mask[10:30, 10:30] = 255
    assert np.array_equal(read_mask(write(tmp_path / "m.dcm", mask, signed=True)), mask == 0)  # -1 is below 0
    assert np.array_equal(read_mask(write(tmp_path / "m.dcm", mask)), mask > 0)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("bits", [12, 16])
def test_bytes_in_the_other_order(tmp_path, syntax, bits):
    grey = picture(bits) / ((1 << bits) - 1)
    seen = shown(tmp_path / "a.dcm", picture(bits).byteswap(), [BYTES_NOTE], bits=bits, syntax=syntax)
    assert np.allclose(seen, grey, atol=1e-6)


@pytest.mark.parametrize("shape", [(60, 48), (48, 60)])
def test_exchanged_rows_and_columns_are_refused(tmp_path, shape):
    words = picture(12, *shape)
    path = write(tmp_path / "a.dcm", words, bits=12, Rows=shape[1], Columns=shape[0])
    with pytest.raises(UnreadableImage, match="Rows and Columns are exchanged"):
        read_image(path, "minmax")
    path = write(tmp_path / "b.dcm", words, bits=12, Columns=shape[1] - 1)
    with pytest.raises(UnreadableImage, match="more pixels than"):
        read_image(path, "minmax")


@pytest.mark.parametrize("configuration", [0, 1])
@pytest.mark.parametrize("right", [True, False])
def test_grey_colour_lies_as_its_samples_say(tmp_path, configuration, right):
    grey = picture(8)
    colour = np.repeat(grey[..., None], 3, axis=2)
    lies = configuration == int(right)
    path = write(tmp_path / "a.dcm", colour, "RGB", PlanarConfiguration=configuration)
    dataset = dcmread(path)
    dataset.PixelData = (colour.transpose(2, 0, 1) if lies else colour).tobytes()
    dataset.save_as(path)
    display = read_display(path, "minmax")
    assert np.allclose(display[:], (grey - grey.min()) / np.ptp(grey), atol=1e-5)
    assert len(display.notes) == (not right)


def table(entries, first=0, bits=16, kind="VOI", words=None):
    """An item of a LUT sequence; `words` are the data where they are not the entries."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries) % 65536, first, bits])
    if kind == "modality":
        item.ModalityLUTType = "OD"
    data = entries if words is None else words
    item.add_new(
        "LUTData",
        "OW" if isinstance(data, bytes) else "US",
        data if isinstance(data, bytes) else [int(n) for n in data],
    )
    return item


CURVE = np.rint(255 * np.sqrt(np.arange(4096) / 4095)).astype(int)


@pytest.mark.parametrize("kind", ["VOI", "modality"])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("packing", ["numbers", "words", "pairs"])
def test_a_lookup_table_of_eight_bits(tmp_path, kind, syntax, packing):
    order = "<u2" if syntax == ImplicitVRLittleEndian else ">u2"
    words = {
        "numbers": None,
        "words": CURVE.astype(order).tobytes(),
        "pairs": (CURVE[::2] | CURVE[1::2] << 8).astype(order).tobytes(),
    }[packing]
    item = table(CURVE, bits=8, kind=kind, words=words)
    elements = {"VOILUTSequence" if kind == "VOI" else "ModalityLUTSequence": [item], "syntax": syntax}
    seen = shown(tmp_path / "a.dcm", picture(12), window="dicom" if kind == "VOI" else "minmax", **elements)
    assert np.allclose(seen, CURVE[picture(12)] / 255, atol=1e-6)


def test_the_first_number_of_a_table_may_be_negative_and_written_as_unsigned(tmp_path):
    numbers = picture(12).astype(np.int16) - 2048
    item = table(CURVE, first=65536 - 2048)
    seen = shown(tmp_path / "a.dcm", numbers.view(np.uint16), window="dicom", signed=True, VOILUTSequence=[item])
    assert np.allclose(seen, CURVE[picture(12)] / 255, atol=1e-6)


@pytest.mark.parametrize("kind", ["VOI", "modality"])
@pytest.mark.parametrize("words", [range(100), range(5000), [7]])
def test_a_table_that_does_not_fit_its_descriptor_is_refused(tmp_path, kind, words):
    elements = {"VOILUTSequence" if kind == "VOI" else "ModalityLUTSequence": [table(CURVE, kind=kind, words=words)]}
    path = write(tmp_path / "a.dcm", picture(12), bits=12, **elements)
    with pytest.raises(UnreadableImage, match=f"a lookup table of {len(words)} entries whose descriptor says 4096"):
        read_image(path, "dicom")


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_of_more_entries_than_eight_bits_count(tmp_path, bits):
    path = write(tmp_path / "a.dcm", picture(12), "PALETTE COLOR", bits=12)
    dataset = dcmread(path)
    entries = CURVE if bits == 8 else CURVE * 257
    for colour in ("Red", "Green", "Blue"):
        dataset.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [4096, 0, bits])
        packed = entries[::2] | entries[1::2] << 8 if bits == 8 else entries
        setattr(dataset, f"{colour}PaletteColorLookupTableData", packed.astype("<u2").tobytes())
    dataset.save_as(path)
    assert np.allclose(read_image(path, "minmax"), CURVE[picture(12)] / 255, atol=1e-5)


def test_a_window_that_hides_the_image_is_noted(tmp_path):
    elements = {"WindowCenter": 2000, "WindowWidth": 5}
    shown(tmp_path / "a.dcm", picture(12), [CLIPPED_NOTE], window="dicom", **elements)
    shown(tmp_path / "a.dcm", picture(12), window="percentile", **elements)
    shown(tmp_path / "a.dcm", picture(12), window="dicom", **{**elements, "WindowWidth": 500})


def test_a_compressed_image_is_compared_with_its_header_too(tmp_path):
    path = write(tmp_path / "a.dcm", picture(12), bits=12, signed=True)
    dataset = dcmread(path)
    dataset.compress(RLELossless, encoding_plugin="pydicom")
    dataset.save_as(path)
    display = read_display(path, "minmax")
    assert display.notes == (SIGN_NOTE,) and np.allclose(display[:], GREY, atol=1e-6)


def test_roughness_of_noise_is_one_and_of_a_picture_small():
    noise = np.random.default_rng(0).normal(size=(300, 200))
    assert roughness(noise) == pytest.approx(1, abs=0.02)
    assert roughness(picture(12)) < 0.1 and roughness(np.ones((5, 5))) == 1


def test_the_numbers_of_a_reading():
    assert Reading(4, 4, True).numbers(8)[[0x70, 0x7F, 0x80, 0xF3]].tolist() == [7, 7, -8, -1]
    assert Reading.stated(16, 12, None, False) == Reading(0, 12, False)
    assert Reading.stated(16, None, 15, True) == Reading(0, 16, True)
    assert Reading(0, 4, True).whole(8)[[0x07, 0x08, 0xF8, 0xF7]].tolist() == [True, True, True, False]
