"""Broken reports, as the section parser meets them. What an adapter does with a file that is none: test_tables.py."""

import time

from mmpkd.privileged.sections import split_sections
from tests.bad_input.catalogue import Outcome, accepted, hold, over

MEGABYTE = 1_000_000
SECONDS = 5.0  # of processor time, for a report of a megabyte
GERMAN = "BEFUND:\n Kein Nachweis eines Pneumothorax.\n\nBEURTEILUNG:\n Kein Infiltrat."


def whole(text):
    """The report is one section that holds all its words."""
    return lambda sections: sections == {"full report": " ".join(text.split())}


CASES = [
    accepted("empty", "", lambda sections: sections == {}),
    accepted("white space", " \n\t\r\n ", lambda sections: sections == {}),
    accepted("no sections", "Heart size is normal.\nNo effusion.", whole("Heart size is normal. No effusion.")),
    # The line after a bare header is that section's, whatever it looks like: rule 1 of the official parser.
    accepted("headers alone", "FINDINGS:\nIMPRESSION:\n", lambda sections: sections == {"findings": "IMPRESSION:"}),
    accepted("headers without text", "FINDINGS:\n\nIMPRESSION:\n\n", lambda sections: sections == {}),
    accepted("binary", bytes(range(256)).decode("latin-1"), lambda sections: len(sections) == 1),
    accepted("NUL characters", "FINDINGS: a\0b", lambda sections: sections == {"findings": "a\0b"}),
    accepted(
        "German",
        GERMAN,
        lambda sections: (
            sections["befund"] == "Kein Nachweis eines Pneumothorax." and sections["beurteilung"] == "Kein Infiltrat."
        ),
    ),
    accepted("Chinese", "检查所见:心影不大。\n诊断:未见异常。", whole("检查所见:心影不大。\n诊断:未见异常。")),
    accepted("lower case", "findings: clear lungs", whole("findings: clear lungs")),
    accepted("CRLF", "FINDINGS: clear\r\n lungs\r\n", lambda sections: sections == {"findings": "clear lungs"}),
    accepted("HTML", "<html><body>500</body></html>", whole("<html><body>500</body></html>")),
    accepted("1 MB of prose", "clear lungs " * (MEGABYTE // 12), lambda sections: list(sections) == ["full report"]),
    accepted("1 MB in one word", "x" * MEGABYTE, lambda sections: len(sections["full report"]) == MEGABYTE),
    accepted("1 MB of capitals", "A " * (MEGABYTE // 2), lambda sections: list(sections) == ["full report"]),
    accepted("1 MB of line breaks", "\n" * MEGABYTE, lambda sections: sections == {}),
    accepted("1 MB of blanks between", "a\n" + " " * MEGABYTE + "b", whole("a b")),
    accepted(
        "1 MB of one header",
        "FINDINGS: x\n" * (MEGABYTE // 12),
        lambda sections: sections == {"findings": " ".join("x" * (MEGABYTE // 12))},
    ),
    accepted("1 MB of headers", "ZED:\n\n" * (MEGABYTE // 6), lambda sections: "findings" not in sections),
]


@over(CASES)
def test_report(case):
    started = time.process_time()
    hold(case, lambda: Outcome(split_sections(case.breaks)))
    assert time.process_time() - started < SECONDS
