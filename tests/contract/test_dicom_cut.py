"""Compressed images that end early, inside of an intact file or with it: none is shown."""

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, dcmwrite
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from mmpkd.imaging.frame import CutError, only_frame, refuse_cut
from mmpkd.imaging.image_file import UnreadableImage
from mmpkd.imaging.reading import read_image
from tests.dicom_files import picture, transcode, write

SYNTAXES = [
    ("JPEGBaselineProcess1", 8),
    ("JPEGExtendedProcess2_4", 8),
    ("JPEGLosslessProcess14", 12),
    ("JPEGLosslessProcess14_1", 16),
    ("JPEGLSLossless", 12),
    ("JPEGLSNearLossless", 12),
    ("JPEG2000Lossless", 16),
    ("JPEG2000", 12),
    ("RLELossless", 12),
]


@pytest.fixture(scope="module", params=SYNTAXES, ids=lambda value: value[0])
def compressed(request, tmp_path_factory):
    name, bits = request.param
    folder = tmp_path_factory.mktemp(name)
    source = write(folder / "a.dcm", picture(bits, 96, 80, noise=0.01), bits=bits)
    return transcode(source, folder / "b.dcm", name)


def frame_of(path):
    return next(generate_frames(dcmread(path).PixelData, number_of_frames=1))


def with_frames(path, target, *frames):
    dataset = dcmread(path)
    dataset.PixelData = encapsulate(list(frames), has_bot=False)
    dcmwrite(target, dataset, enforce_file_format=True)
    return target


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("filled", [False, True])
def test_a_frame_that_ends_early_is_refused(tmp_path, compressed, share, filled):
    """Also if zeros take the place of what is missing, as an interrupted download leaves them."""
    frame = frame_of(compressed)
    assert np.ptp(read_image(with_frames(compressed, tmp_path / "whole.dcm", frame), "minmax")) == 1
    piece = frame[: int(share * len(frame))]
    path = with_frames(compressed, tmp_path / "cut.dcm", piece + bytes(len(frame) - len(piece)) * filled)
    with pytest.raises(UnreadableImage, match="cut|expected amount"):
        read_image(path, "minmax")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_file_that_ends_in_its_compressed_pixels_says_so(tmp_path, compressed, share):
    path = tmp_path / "p10000032.dcm"
    data = compressed.read_bytes()
    start = data.index(frame_of(compressed)[:64])
    path.write_bytes(data[: start + int(share * (len(data) - start))])
    with pytest.raises(UnreadableImage) as caught:
        read_image(path, "minmax")
    assert caught.value.reason == "the file ends within its pixels"


def test_a_second_image_is_refused_whatever_number_of_frames_says(tmp_path, compressed):
    frame = frame_of(compressed)
    with pytest.raises(UnreadableImage, match="where one is expected"):
        read_image(with_frames(compressed, tmp_path / "two.dcm", frame, frame), "minmax")
    dataset = dcmread(compressed)
    dataset.PixelData = encapsulate([frame, frame], has_bot=True)
    dcmwrite(tmp_path / "table.dcm", dataset, enforce_file_format=True)
    with pytest.raises(UnreadableImage, match="2 frames where one is expected"):
        read_image(tmp_path / "table.dcm", "minmax")


@pytest.mark.parametrize("padding", [b"\0", b"\0\0\0\0", b"\xff\xff"])
def test_padding_after_the_end_is_none(tmp_path, compressed, padding):
    frame = frame_of(compressed)
    if b"\xff\xd9" not in frame[-3:]:
        pytest.skip("run lengths have no end marker")
    path = with_frames(compressed, tmp_path / "padded.dcm", frame + padding)
    assert np.array_equal(read_image(path, "minmax"), read_image(compressed, "minmax"))


def test_a_frame_in_several_fragments_is_one_image(tmp_path, compressed):
    dataset = dcmread(compressed)
    dataset.PixelData = encapsulate([frame_of(compressed)], fragments_per_frame=3, has_bot=False)
    dcmwrite(tmp_path / "parts.dcm", dataset, enforce_file_format=True)
    assert np.array_equal(read_image(tmp_path / "parts.dcm", "minmax"), read_image(compressed, "minmax"))


@pytest.fixture(scope="module")
def tiled(tmp_path_factory):
    """A JPEG 2000 codestream of four tiles, and where each tile-part starts."""
    path = tmp_path_factory.mktemp("tiled") / "a.j2k"
    Image.fromarray(picture(8, 96, 80)).save(path, "JPEG2000", tile_size=(40, 48), no_jp2=True)
    frame = path.read_bytes()
    starts, at = [], frame.index(b"\xff\x90\x00\x0a")
    while frame[at : at + 2] == b"\xff\x90":
        starts.append(at)
        at += int.from_bytes(frame[at + 6 : at + 10], "big")
    assert len(starts) == 4 and frame[at:] == b"\xff\xd9"
    return frame, starts


def test_every_tile_must_be_there(tiled):
    frame, starts = tiled
    refuse_cut(frame)
    refuse_cut(frame[:-2])  # without its end marker it is whole
    for start in starts:
        for end in (b"", b"\xff\xd9"):
            with pytest.raises(CutError, match="before its tiles do"):
                refuse_cut(frame[:start] + end)


def test_a_codestream_in_a_file_format_is_followed_too(tmp_path):
    Image.fromarray(picture(8, 96, 80)).save(tmp_path / "a.jp2", "JPEG2000")
    frame = (tmp_path / "a.jp2").read_bytes()
    refuse_cut(frame)
    with pytest.raises(CutError):
        refuse_cut(frame[: len(frame) // 2])


def test_what_is_none_of_these_passes():
    for frame in (b"", b"\xff", b"\0" * 200, b"<html>"):
        refuse_cut(frame)
    with pytest.raises(CutError, match="ends in its header"):
        refuse_cut(b"\xff\x4f\xff\x51\0\0")
    with pytest.raises(CutError, match="no end marker"):
        refuse_cut(b"\xff\xd8")
    assert only_frame(encapsulate([b"ab"])) == b"ab"


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_uncompressed_and_deflated_files_that_end_early_are_refused(tmp_path, syntax, share):
    path = tmp_path / "a.dcm"
    dataset = dcmread(write(path, picture(12, 96, 80), bits=12))
    dataset.file_meta.TransferSyntaxUID = syntax
    dcmwrite(path, dataset, enforce_file_format=True)
    assert np.ptp(read_image(path, "minmax")) == 1
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UnreadableImage, match="less than expected|incomplete or truncated stream|invalid"):
        read_image(path, "minmax")


def test_compressed_pixels_under_an_uncompressed_syntax_are_refused(tmp_path):
    path = write(tmp_path / "a.dcm", picture(12, 96, 80), bits=12)
    dataset = dcmread(path)
    dataset.PixelData = encapsulate([bytes(2 * 96 * 80)])
    dcmwrite(path, dataset, enforce_file_format=True)
    with pytest.raises(UnreadableImage, match="compressed pixels where the transfer syntax"):
        read_image(path, "minmax")
    dataset.file_meta.TransferSyntaxUID = JPEG2000
    assert dataset.file_meta.TransferSyntaxUID.is_encapsulated


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("filled", [False, True])
def test_pictures_that_end_early_are_refused(tmp_path, kind, share, filled):
    path = tmp_path / "a.png"
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    Image.fromarray(picture(8, 96, 80, noise=0.02)).save(path, kind, **options)
    assert np.ptp(read_image(path, "minmax")) == 1
    data = path.read_bytes()
    piece = data[: int(share * len(data))]
    path.write_bytes(piece + bytes(len(data) - len(piece)) * filled)
    with pytest.raises(UnreadableImage):
        read_image(path, "minmax")
