"""Text of others, read by one function: whatever its encoding, byte-order mark and line ends are.

Files come from many systems: a report is UTF-8 except for one letter, a table was saved by a spreadsheet as UTF-16 or
with the line ends of another system. What is no text at all is refused by what it is.
"""

import codecs
import gzip
import re
import zlib
from pathlib import Path
from typing import NamedTuple

MARKS = {  # the longer ones first: that of UTF-32 begins like that of UTF-16
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
KINDS = {
    b"%PDF": "a PDF file",
    b"{\\rtf": "an RTF file",
    b"PK\x03\x04": "a zip archive or an office document",
    b"\x1f\x8b": "a gzip archive",
    b"\xd0\xcf\x11\xe0": "an old office document",
    b"\x00\x05\x16\x07": "a resource file of a Mac",
}
MOST_FOREIGN = 0.3  # share of bytes that are no UTF-8, above which a file is no text
MOST_WIDE = 0.6  # half of an English text in UTF-16 are zero bytes, all in odd or all in even places
MOST_ZEROS = 0.1  # share of characters
LINE_END = re.compile(r"\r\n?")
FALLBACK = "mmpkd.latin"


class TextError(ValueError):
    """A file is no text; the message says what it is, and nothing of its content."""


class Text(NamedTuple):
    """The content of a file with `\\n` between its lines, and the encoding that it was in (`utf-8`, `latin-1`, ...)."""

    content: str
    encoding: str


def read_text(path: Path, most: int | None = None) -> Text:
    """Reads a file of text, gzipped if it ends in .gz.

    Args:
        path: the file.
        most: bytes that it may have at most.

    Raises:
        OSError: it cannot be read.
        TextError: it is no text, too long, or a damaged archive.
    """
    packed = path.suffix.lower() == ".gz"
    try:
        with gzip.open(path, "rb") if packed else path.open("rb") as stream:
            data = stream.read() if most is None else stream.read(most + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TextError(f"a damaged gzip archive ({type(error).__name__})") from error
    if most is not None and len(data) > most:
        raise TextError(f"larger than {most} bytes")
    return decode(data)


def decode(data: bytes) -> Text:
    """The text that bytes stand for.

    A byte-order mark decides; else it is UTF-8, and bytes that are none are letters of Windows' Latin alphabet.

    Raises:
        TextError: they are no text.
    """
    for start, kind in KINDS.items():
        if data.startswith(start):
            raise TextError(f"{kind}, not text")
    encoding, data = _encoding(data)
    try:
        content = data.decode(encoding, FALLBACK if encoding == "utf-8" else "strict")
    except UnicodeDecodeError:
        raise TextError(f"not text in {encoding.upper()}, as its first bytes say") from None
    if foreign := _foreign_bytes(data) if encoding == "utf-8" else 0:
        if foreign > MOST_FOREIGN * len(data):
            raise TextError("not text in UTF-8 or Latin-1")
        encoding = "latin-1"
    if content.count("\0") > MOST_ZEROS * len(content):
        raise TextError("mostly zero bytes, as an interrupted copy leaves them")
    return Text(LINE_END.sub("\n", content), encoding)


def _encoding(data: bytes) -> tuple[str, bytes]:
    """The encoding by the byte-order mark or the places of zero bytes, and the bytes without the mark."""
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            return encoding, data.removeprefix(mark)
    start = data[:4096]
    for odd, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        places, others = start[odd::2], start[1 - odd :: 2]
        if places and places.count(0) > MOST_WIDE * len(places) and not others.count(0):
            return encoding, data
    return "utf-8", data


def _foreign_bytes(data: bytes) -> int:
    """How many bytes are no UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return len(data) - len(data.decode("utf-8", "ignore").encode())
    return 0


def _latin(error: UnicodeError) -> tuple[str, int]:
    """Letters for bytes that are no UTF-8: those of Windows, and of Latin-1 where Windows has none."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    letters = [bytes([byte]).decode("cp1252", "replace") for byte in wrong]
    return "".join(
        chr(byte) if letter == "\ufffd" else letter for byte, letter in zip(wrong, letters, strict=True)
    ), error.end


codecs.register_error(FALLBACK, _latin)
