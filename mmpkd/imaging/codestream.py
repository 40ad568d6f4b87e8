"""The size that a compressed frame states itself, from its first markers: a decoder takes memory and time by it."""

import struct

START_OF_J2K = b"\xff\x4f\xff\x51"  # start of codestream, then the marker SIZ
START_OF_JPEG = b"\xff\xd8"
WITH_SIZE = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # the frame headers of JPEG, and that of JPEG-LS
START_OF_SCAN = 0xDA


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
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF and frame[at + 1] != START_OF_SCAN:
        if frame[at + 1] in WITH_SIZE:
            rows, columns = struct.unpack_from(">2H", frame, at + 5)
            return (rows, columns) if rows else None  # 0: a later marker states them
        at += 1 if frame[at + 1] == 0xFF else 2 + max(2, int.from_bytes(frame[at + 2 : at + 4], "big"))
    return None
