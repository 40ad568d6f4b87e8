"""Text that may be shown: reasons and errors without what could be an identifier or a line of a report.

Reasons for a rejection and messages of errors come from many places, some from files of a restricted data set. What is
quoted, and every long number or hexadecimal word, is replaced. Paths of the configuration are the user's own and stay.
"""

import re
from collections.abc import Iterable
from pathlib import Path

LONGEST = 400  # characters
UNITS = "more|images?|files?|rows?|columns?|pixels?|patients?|studies|records?|bytes|characters"
# Numbers that say what is wrong, and identify nobody: the row of a table, a size, a range, a count of something.
HARMLESS = rf"\brow \d{{1,7}}\b|\b\d{{1,5}} x \d{{1,5}}\b|\b\d{{1,4}} to \d{{1,4}}\b|\b\d{{1,7}} (?:{UNITS})\b"
ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+(?=>)")  # in the name that Python gives to an object
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
DICOM_UID = re.compile(r"\d+(?:\.\d+){3,}")
NUMBER = re.compile(rf"({HARMLESS})|\d{{3,}}")
HEXADECIMAL = re.compile(r"(?<![0-9A-Za-z])(?=[0-9a-f-]*\d)[0-9a-f][0-9a-f-]{6,}[0-9a-f](?![0-9A-Za-z])")


def redact(text: str, known: Iterable[str | Path] = ()) -> str:
    """Text without what may identify, in one line: `#` for long numbers and `...` for what is quoted.

    Args:
        text: such as a message.
        known: paths that stay as they are.
    """
    text = " ".join(text.split())
    paths = sorted({str(path) for path in known} - {"", "."}, key=len, reverse=True)
    if not paths:
        return _shorten(_hide(text))
    # Quotes around a known path are dropped first, so that the path is not taken for a quotation.
    alternatives = "|".join(map(re.escape, paths))
    parts = re.split(f"['\"]?({alternatives})(?:['\"](?=$|\\W))?", text)
    return _shorten("".join(part if index % 2 else _hide(part) for index, part in enumerate(parts)))


def repeatable(text: str) -> str:
    """`text` in one line that is the same in every run: without the memory addresses of decoders' messages."""
    return ADDRESS.sub("", " ".join(text.split()))


def _hide(text: str) -> str:
    text = QUOTED.sub("...", text)
    for identifier in (DICOM_UID, HEXADECIMAL):  # before numbers are looked at: a part of an identifier is not harmless
        text = identifier.sub("#", text)
    return NUMBER.sub(lambda found: found[1] or "#", text)


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
