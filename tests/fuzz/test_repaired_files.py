"""What fuzzing found, each with the least input that shows it."""

import io
import struct
import time
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import JPEG2000, UID, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless

from mmpkd.cohorts.rois import RunLengths
from mmpkd.imaging.decoding import UNSAFE
from mmpkd.imaging.display import WINDOWS
from mmpkd.imaging.frame import first_frame, stated_size
from mmpkd.imaging.image_file import UnreadableImage
from mmpkd.imaging.reading import read_display, read_header, read_image
from tests.fuzz import seeds

MIB = 1 << 20


def write(path, syntax="explicit", bits=8, **elements):
    size = (32, 33) if syntax == "jpeg2000" else (9, 8)
    seeds._write(path, seeds.pixels(bits, *size), bits, syntax, elements)
    return path


def changed_frame(path, change):
    """The file with other bytes in its one frame."""
    dataset = dcmread(path)
    frame = bytearray(first_frame(dataset.PixelData))
    change(frame)
    dataset.PixelData = encapsulate([bytes(frame)])
    dcmwrite(path, dataset, enforce_file_format=True)


def jpeg(path):
    write(path)
    seeds._transcode(path, JPEGBaseline8Bit)


# A VOI LUT was looked up outside of what turns errors into reasons.


@pytest.mark.parametrize("entries", [None, [1, 2]])
def test_a_broken_voi_lut_sets_the_image_aside(tmp_path, entries):
    item = Dataset()
    item.LUTDescriptor = [16, 0, 16]
    if entries:
        item.add_new("LUTData", "US", entries)
    path = write(tmp_path / "a.dcm", VOILUTSequence=[item])
    with pytest.raises(UnreadableImage):
        read_display(path, "dicom")
    assert read_image(path, "minmax").shape == (9, 8)


def test_an_unknown_window_is_no_fault_of_the_image(tmp_path):
    with pytest.raises(ValueError, match="window 'best' is unknown") as caught:
        read_display(write(tmp_path / "a.dcm"), "best")
    assert not isinstance(caught.value, UnreadableImage)


# Memory was taken for the length that an element or a chunk states, not for what the file has.


def test_a_length_of_gigabytes_takes_no_memory(tmp_path):
    path = write(tmp_path / "a.dcm")
    data = path.read_bytes()
    place = data.index(b"OB", data.index(b"\xe0\x7f\x10\x00")) + 4
    path.write_bytes(data[:place] + (0xFFFFFFFE).to_bytes(4, "little") + data[place + 4 :])
    assert _peak(lambda: read_image(path, "minmax")) < 10 * MIB


def test_a_chunk_of_gigabytes_takes_no_memory(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(seeds.pixels(8)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:33] + struct.pack(">I", 0x7FFFFFFF) + b"zTXt" + data[33:])
    assert _peak(lambda: read_image(path, "minmax")) < 10 * MIB
    assert _peak(lambda: read_header(path)) < 10 * MIB


def _peak(read):
    tracemalloc.start()
    try:
        with suppress(UnreadableImage):
            read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# GDCM ends the process where a frame is shorter than the image that is stated.


def test_an_unsafe_decoder_is_never_asked(tmp_path, monkeypatch):
    asked = []
    for syntax in (JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000, JPEG2000Lossless):
        decoder = get_decoder(syntax)
        for name in UNSAFE:
            monkeypatch.setitem(decoder._available, name, lambda *_: asked.append("gdcm"))
        assert set(decoder.available_plugins) - {*UNSAFE}, "another decoder reads it"
        path = tmp_path / "a.dcm"
        write(path)
        seeds._transcode(path, JPEGBaseline8Bit)
        dataset = dcmread(path)
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
        dataset.PixelData = encapsulate([b"\xff\xd8" + bytes(100)])
        dcmwrite(path, dataset, enforce_file_format=True)
        with pytest.raises(UnreadableImage):
            read_image(path, "minmax")
    assert not asked


# Decoders take memory and minutes for the size that a frame states, however short it is.


@pytest.mark.parametrize("syntax", ["jpeg", "jpegls", "jpeg2000"])
def test_a_frame_that_states_another_size_is_refused_before_it_is_decoded(tmp_path, syntax):
    path = tmp_path / "a.dcm"
    jpeg(path) if syntax == "jpeg" else write(path, syntax)
    size = read_header(path)
    assert stated_size(first_frame(dcmread(path).PixelData)) == size

    def enlarge(frame):
        if syntax == "jpeg2000":
            struct.pack_into(">II", frame, 8, 60_000, 50_000)
            return
        marker = b"\xff\xc0" if syntax == "jpeg" else b"\xff\xf7"
        struct.pack_into(">HH", frame, frame.index(marker) + 5, 50_000, 60_000)

    changed_frame(path, enlarge)
    with pytest.raises(UnreadableImage, match=f"a frame of 50000 x 60000 where Rows and Columns say {size[0]} x"):
        read_image(path, "minmax")


@pytest.mark.parametrize(
    "frame",
    [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xff\xff", b"\xff\xd8" + b"\xff\xc4\0\0" * 9, b"\xff\x4f\xff\x51\0"],
)
def test_a_frame_without_a_size_is_left_to_the_decoders(frame):
    assert stated_size(frame) is None


def test_markers_before_the_size_are_passed_over():
    stream = io.BytesIO()
    Image.fromarray(seeds.pixels(8)).save(stream, "JPEG", comment=b"\xff\xc0" * 99, progressive=True)
    assert stated_size(stream.getvalue()) == (9, 8)


# Words that are apart may stand for one grey value, which is none to tell apart.


@pytest.mark.parametrize("window", sorted({*WINDOWS} - {"mimic_jpg"}))  # which knows no rescaling
def test_words_of_one_grey_value_are_a_constant_image(tmp_path, window):
    path = tmp_path / "a.dcm"
    write(path)
    dataset = dcmread(path)
    dataset.RescaleSlope, dataset.RescaleIntercept = "2.0", "99999999999999999999"
    dataset.save_as(path)
    with pytest.raises(UnreadableImage, match="constant image"):
        read_image(path, window)


# The sum of long runs wraps round, and a number of many characters takes time in their square.


def test_runs_longer_than_the_mask_are_refused():
    wrapped = [2**63 - 1, 2**63 - 1, 2 + 6]
    assert np.array(wrapped, dtype=np.int64).sum() == 6
    with pytest.raises(ValueError, match="do not fit"):
        RunLengths.from_coco({"size": [2, 3], "counts": wrapped})


def test_a_number_without_end_is_refused_at_once():
    started = time.process_time()
    with pytest.raises(ValueError, match="number that is none"):
        RunLengths.from_coco({"size": [2, 3], "counts": "o" * 1_000_000})
    assert time.process_time() - started < 1
