"""Whether an image file holds one whole frame of the stated size, which is asked before a decoder reads it.

A decoder takes memory and time by the size that a compressed frame states, so that it is compared before. Decoders of
JPEG, JPEG-LS, JPEG 2000 and PNG make an image of a stream that ends early or goes on in zeros, the rest of it grey or
noise. So the end is looked for: its marker, in JPEG 2000 the tile-parts with their lengths, in PNG the chunks with
their checksums. Decoders of RLE and deflate raise errors themselves.
"""

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO

from pydicom import Dataset
from pydicom.encaps import generate_fragments, parse_basic_offsets

from mmpkd.imaging.image_file import ImageFile, UnreadableImage, has_pixels

MOST_PIXELS = 400_000_000
ITEM = b"\xfe\xff\x00\xe0"  # the tag that encapsulated pixels begin with
START_OF_J2K = b"\xff\x4f\xff\x51"  # start of codestream, then the marker SIZ
START_OF_JP2 = b"\x00\x00\x00\x0cjP  "  # a file format around the codestream, which some writers leave there
START_OF_JPEG = b"\xff\xd8"
START_OF_PNG = b"\x89PNG\r\n\x1a\n"
END = b"\xff\xd9"  # of JPEG, JPEG-LS and JPEG 2000 alike; no scan holds these two bytes
TILE_PART = b"\xff\x90"
WITH_SIZE = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # the frame headers of JPEG, and that of JPEG-LS
START_OF_SCAN = 0xDA
START_OF_RLE = struct.Struct("<2I")  # the number of segments, and where the first begins: after 64 bytes


class CutError(ValueError):
    """A codestream ends before its image does, or is followed by another image."""


def refuse_faulty_frame(image: ImageFile) -> None:
    """Refuses an image without one whole frame.

    Raises:
        UnreadableImage: no pixels, too many, several frames, or one that is cut or of another size.
    """
    rows, columns = image.size
    if rows * columns > MOST_PIXELS:
        raise UnreadableImage(f"{rows} x {columns} pixels are more than {MOST_PIXELS // 1_000_000} million")
    if image.picture is None and not has_pixels(image.header):
        raise UnreadableImage("no pixels")
    if image.frames != 1:
        raise UnreadableImage(f"{image.frames} frames where one is expected")
    if image.picture is not None:
        _refuse_unreadable_cut(image.content)
    elif image.syntax and image.syntax.is_encapsulated:
        _refuse_other_frame(image.header, rows, columns)
    else:
        _refuse_other_encoding(image.header)
        _refuse_surplus(image.header, rows, columns)


def first_frame(fragments: bytes) -> memoryview:
    """What follows the basic offset table and the head of the first fragment of encapsulated pixels."""
    table = int.from_bytes(fragments[4:8], "little")
    return memoryview(fragments)[8 + table + 8 :]


def stated_size(frame: bytes | memoryview) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG 2000, JPEG or JPEG-LS frame; None where it states none that can be found."""
    if frame[:4] == START_OF_J2K and len(frame) >= 24:
        right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
        return (bottom - top, right - left) if bottom > top and right > left else None
    if frame[:2] != START_OF_JPEG:
        return None
    at = _jpeg_marker(frame, WITH_SIZE)
    if at is None or at + 9 > len(frame):
        return None
    rows, columns = struct.unpack_from(">2H", frame, at + 5)
    return (rows, columns) if rows else None  # 0: a later marker states them


def only_frame(pixel_data: bytes) -> bytes:
    """The one frame of encapsulated pixels.

    Raises:
        CutError: there are several, whatever NumberOfFrames says.
    """
    stream = BytesIO(pixel_data)
    offsets = parse_basic_offsets(stream)
    fragments = list(generate_fragments(stream))
    if len(offsets) > 1 or _several_rle(fragments):
        raise CutError(f"{max(len(offsets), len(fragments))} frames where one is expected")
    return b"".join(fragments)


def refuse_cut(frame: bytes) -> None:
    """Refuses a JPEG, JPEG-LS, JPEG 2000 or PNG that is not whole; others pass.

    Raises:
        CutError: it ends early, or a second image follows.
    """
    if frame[:2] == START_OF_JPEG:
        _refuse_cut_jpeg(frame)
    if frame[:8] == START_OF_PNG:
        _refuse_cut_png(memoryview(frame))
    start = frame.find(START_OF_J2K) if frame[: len(START_OF_JP2)] == START_OF_JP2 else 0
    if start >= 0 and frame[start : start + 4] == START_OF_J2K:
        _refuse_cut_j2k(memoryview(frame)[start:])


def _refuse_other_encoding(dataset: Dataset) -> None:
    """Refuses compressed pixels under a transfer syntax of uncompressed ones: they would be shown as noise."""
    if dataset.get("PixelData", b"")[:4] == ITEM:
        raise UnreadableImage("compressed pixels where the transfer syntax says that they are not")


def _refuse_surplus(dataset: Dataset, rows: int, columns: int) -> None:
    """Refuses native grey pixels that are more than Rows x Columns: a part of the image, or a sheared one, would show.

    Less than a row and less than a column too much, or zeros, are padding.
    """
    bits = int(dataset.get("BitsAllocated") or 0)
    if dataset.get("SamplesPerPixel", 1) != 1 or bits % 8 or "PixelData" not in dataset:
        return
    row, column = columns * bits // 8, rows * bits // 8
    surplus = dataset.PixelData[rows * row :]
    if len(surplus) >= min(row, column) > 0 and any(surplus):
        raise UnreadableImage(f"more pixels than the {rows} x {columns} that its Rows and Columns say")


def _refuse_other_frame(dataset: Dataset, rows: int, columns: int) -> None:
    """Refuses a compressed frame of another size, or one that is cut."""
    if "PixelData" not in dataset:
        return
    size = stated_size(first_frame(dataset.PixelData))
    if size not in (None, (rows, columns)):
        raise UnreadableImage(f"a frame of {size[0]} x {size[1]} where Rows and Columns say {rows} x {columns}")
    _refuse_unreadable_cut(only_frame(dataset.PixelData))


def _refuse_unreadable_cut(frame: bytes) -> None:
    try:
        refuse_cut(frame)
    except CutError as error:
        raise UnreadableImage(str(error)) from None


def _jpeg_marker(frame: bytes | memoryview, wanted: set[int]) -> int | None:
    """Where the first of the markers is in the head of a JPEG; None if it is not there."""
    at = 2
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        if frame[at + 1] in wanted:
            return at
        if frame[at + 1] == START_OF_SCAN:
            return None
        at += 1 if frame[at + 1] == 0xFF else 2 + max(2, int.from_bytes(frame[at + 2 : at + 4], "big"))
    return None


def _refuse_cut_jpeg(frame: bytes) -> None:
    scan = _jpeg_marker(frame, {START_OF_SCAN})
    end = -1 if scan is None else frame.find(END, scan)
    if end < 0:
        raise CutError("the compressed frame is cut: it has no end marker")
    if frame[end + 2 :].lstrip(b"\0\xff")[:1] == b"\xd8":
        raise CutError("several compressed images where one is expected")


def _refuse_cut_png(frame: memoryview) -> None:
    """Follows the chunks, by length, name, data and checksum, to the last one."""
    at = len(START_OF_PNG)
    while at + 12 <= len(frame):
        length, kind = struct.unpack_from(">I4s", frame, at)
        end = at + 8 + length
        if frame[end : end + 4] != zlib.crc32(frame[at + 4 : end]).to_bytes(4, "big"):
            break
        if kind == b"IEND":
            return
        at = end + 4
    raise CutError("the picture is cut or damaged: a chunk of it does not fit its checksum")


def _refuse_cut_j2k(frame: memoryview) -> None:
    """Follows the tile-parts by their lengths (ISO/IEC 15444-1, A.4.2) to the end of the codestream."""
    tiles = _tiles(frame)
    at = _first_tile_part(frame)
    wanted: dict[int, int] = {}
    parts: dict[int, int] = {}
    while at + 12 <= len(frame) and frame[at : at + 2] == TILE_PART:
        tile, length, _, count = struct.unpack_from(">HIBB", frame, at + 4)
        parts[tile] = parts.get(tile, 0) + 1
        wanted[tile] = max(count, wanted.get(tile, 0))  # 0: not stated here
        if length == 0:  # the last one, up to the end marker
            at = bytes(frame).rfind(END, at)
            break
        at += max(length, 12)
    missing = len(parts) < tiles or any(parts[tile] < count for tile, count in wanted.items())
    # A stream that ends with its last tile-part is whole; zeros in place of the end marker are no part of it.
    ended = frame[at : at + 2] == END if at >= 0 and len(frame) - at >= 2 else 0 <= len(frame) - at < 2
    if at < 0 or missing or not ended:
        raise CutError("the compressed frame is cut: it ends before its tiles do")
    if bytes(frame[at + 2 :]).lstrip(b"\0\xff")[:1] == b"\x4f":
        raise CutError("several compressed images where one is expected")


def _first_tile_part(frame: memoryview) -> int:
    """Where the main header ends; the frame's length if it does not."""
    at = 2
    while at + 4 <= len(frame) and frame[at : at + 2] != TILE_PART:
        at += 2 + max(2, int.from_bytes(frame[at + 2 : at + 4], "big"))
    return at


def _tiles(frame: memoryview) -> int:
    """How many tiles the marker SIZ states."""
    if len(frame) < 40:
        raise CutError("the compressed frame is cut: it ends in its header")
    right, bottom, _, _, width, height, left, top = struct.unpack_from(">8I", frame, 8)
    return -(-max(right - left, 0) // max(width, 1)) * -(-max(bottom - top, 0) // max(height, 1))


def _several_rle(fragments: Sequence[bytes]) -> bool:
    """Whether two fragments both begin as a run-length encoded frame, which is one fragment by the standard."""
    heads = [START_OF_RLE.unpack_from(fragment) for fragment in fragments if len(fragment) >= 64]
    return len(heads) > 1 and all(1 <= segments <= 15 and first == 64 for segments, first in heads)
