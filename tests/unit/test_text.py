"""Text of others: every encoding, byte-order mark and line end gives the same content; what is no text is refused."""

import gzip

import pytest

from mmpkd.text import TextError, decode, read_text

CONTENT = "FINDINGS:\n Größe: 3 µm, déjà vu – “clear”.\n\nIMPRESSION: none\n"
PLAIN = "FINDINGS:\n clear lungs\n"
ENCODINGS = {
    "UTF-8": (CONTENT.encode(), "utf-8"),
    "UTF-8 with mark": (CONTENT.encode("utf-8-sig"), "utf-8"),
    "UTF-16": (CONTENT.encode("utf-16"), "utf-16-le"),
    "UTF-16, big end first": (b"\xfe\xff" + CONTENT.encode("utf-16-be"), "utf-16-be"),
    "UTF-32": (CONTENT.encode("utf-32"), "utf-32-le"),
    "Windows": (CONTENT.encode("cp1252"), "latin-1"),
}
REFUSED = {
    "PDF": (b"%PDF-1.7 ...", "a PDF file"),
    "RTF": (b"{\\rtf1 clear}", "an RTF file"),
    "office document": (b"PK\x03\x04" + bytes(50), "a zip archive or an office document"),
    "archive": (gzip.compress(PLAIN.encode()), "a gzip archive"),
    "resource file of a Mac": (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", "a resource file of a Mac"),
    "zero bytes": (bytes(300), "zero bytes"),
    "zero bytes at the end": (PLAIN.encode() + bytes(300), "zero bytes"),
    "binary": (bytes(range(128, 256)), "not text in UTF-8 or Latin-1"),
    "half a UTF-16 character": (b"\xff\xfea", "not text in UTF-16-LE"),
    "half a surrogate": (b"\xff\xfe\x00\xd8", "not text in UTF-16-LE"),
}


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_content_is_the_same(name, end):
    data, encoding = ENCODINGS[name]
    again = CONTENT.replace("\n", end).encode(encoding if encoding != "latin-1" else "cp1252")
    mark = data[: len(data) - len(CONTENT.encode(encoding if encoding != "latin-1" else "cp1252"))]
    assert decode(mark + again) == (CONTENT, encoding)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_recognised_without_a_mark(encoding):
    assert decode(PLAIN.encode(encoding)) == (PLAIN, encoding)


def test_one_foreign_byte_costs_no_other_letter():
    data = "Größe, déjà vu, ".encode() + b"caf\xe9 \x81\n"
    assert decode(data) == ("Größe, déjà vu, café \x81\n", "latin-1")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_text_is_refused_by_what_it_is(name):
    data, words = REFUSED[name]
    with pytest.raises(TextError, match=words):
        decode(data)


def test_nothing_is_text():
    assert decode(b"") == ("", "utf-8") == decode(b"\xef\xbb\xbf")


def test_files_may_be_packed_and_have_a_limit(tmp_path):
    path = tmp_path / "a.txt.GZ"
    path.write_bytes(gzip.compress(CONTENT.encode("utf-16")))
    assert read_text(path).content == CONTENT
    with pytest.raises(TextError, match="larger than 20 bytes"):
        read_text(path, 20)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(TextError, match="a damaged gzip archive"):
        read_text(path)
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "absent.txt")
