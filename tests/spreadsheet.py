"""Writes one sheet as an .xls file: Excel 97's records (BIFF8) in the compound file that holds them, and no more."""

import struct
from collections.abc import Sequence
from pathlib import Path

SECTOR = 512
END, FREE, TABLE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD  # of a chain, an unused sector, the sector of the table itself
MINI_STREAM = 4096  # shorter streams would be kept in another way


def write_xls(path: Path, lines: Sequence[Sequence[str | float]]) -> None:
    """Writes rows of text and numbers; "" is an empty cell. Room for 126 sectors, some 60,000 bytes."""
    path.write_bytes(_compound(_workbook(lines)))


def _workbook(lines: Sequence[Sequence[str | float]]) -> bytes:
    cells = b""
    for row, line in enumerate(lines):
        for column, cell in enumerate(line):
            place = struct.pack("<HHH", row, column, 0)
            if isinstance(cell, str):
                text = struct.pack("<HB", len(cell), 0) + cell.encode("latin-1")
                cells += _record(0x0204, place + text) if cell else b""
            else:
                cells += _record(0x0203, place + struct.pack("<d", cell))
    name = struct.pack("<BB", 6, 0) + b"Sheet1"
    start = len(_begin(0x0005)) + len(_record(0x0085, bytes(6) + name)) + len(_record(0x000A))
    sheet = _begin(0x0010) + cells + _record(0x000A)
    return _begin(0x0005) + _record(0x0085, struct.pack("<IH", start, 0) + name) + _record(0x000A) + sheet


def _record(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def _begin(kind: int) -> bytes:
    return _record(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0, 0, 0, 6))


def _compound(stream: bytes) -> bytes:
    """A compound file of the one stream `Workbook`: header, table of sectors, directory, stream."""
    count = max(MINI_STREAM, len(stream) + SECTOR - 1) // SECTOR
    table = [TABLE, END, *range(3, count + 2), END]
    table += [FREE] * (SECTOR // 4 - len(table))
    versions = struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    chains = struct.pack("<IIIIIIIII", 0, 1, 1, 0, MINI_STREAM, END, 0, END, 0)
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + versions + chains
    header += struct.pack("<109I", 0, *[FREE] * 108)
    entries = _entry("Root Entry", 5, 1, END, 0) + _entry("Workbook", 2, FREE, 2, count * SECTOR)
    directory = entries + _entry("", 0, FREE, 0, 0) * 2
    return header + struct.pack(f"<{len(table)}I", *table) + directory + stream.ljust(count * SECTOR, b"\0")


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    text = (name + "\0").encode("utf-16-le") if name else b""
    links = struct.pack("<HBBIII", len(text), kind, 1, FREE, FREE, child)
    return text.ljust(64, b"\0") + links + bytes(36) + struct.pack("<IQ", start, size)
