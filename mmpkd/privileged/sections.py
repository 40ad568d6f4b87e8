"""Radiology reports to named sections, by the rules of MIMIC-CXR's own section parser.

The rules (https://github.com/MIT-LCP/mimic-cxr, txt/section_parser.py; Johnson et al., Scientific Data 6:317, 2019):

1. A header stands at the start of a line, is written in capitals (with blanks, parentheses, `/`, `,` and `-`) and ends
   in a colon and white space. The line after a header that stands alone is that section's, whatever it looks like.
2. What precedes the first header is the `preamble`. A report without headers is one section, `full report`.
3. Headers are put into lower case and normalised, in this order: the table `SPELLINGS`; a name that contains one of
   `MAIN_SECTIONS` is that section; a name that contains one of `VIEWS` describes the study and so holds `findings`; any
   other name stays as it is.
4. An empty findings or impression section is dropped.
5. Where neither is left, what follows the first blank line of the last section is the `last_paragraph`.

Three things differ. The blank before a header may be missing. A header that stands twice gives one section, both texts
in order, where the official parser returns a list. And the official table reads the misprint `ndication` as an
impression; here it is an indication. The official exceptions for some 60 studies, by identifier, are not repeated.
"""

import re

HEADER = re.compile(r"^ ?([A-Z ()/,-]+):\s", re.MULTILINE)
BLANK_LINE = re.compile(r"\n[ \t]*\n")

# How a header is written -> the section that it opens.
SPELLINGS = {
    spelling: section
    for section, spellings in {
        "findings": "findings; finding; findins; findindgs; findgings; findngs; findnings; finidngs; "
        "reference findings; chest, two views",
        "impression": "impression; conclusion; findings and impression; findings/impression; findings/ impression; "
        "impresson; imprression; imoression; impressoin; imprssion; impresion; imperssion; mpression; impession",
        "indication": "indication; reason for examination; reason for exam; clinical indication; idication; ndication",
        "history": "history; clinical history; clinical information; patient history; pfi",
        "comparison": "comparison; comparisons; reference exam; comparison exam; comparison film; comparision; "
        "comparsion; comparrison; comparisions",
        "examination": "examination; exam; type of examination",
        "technique": "technique",
        "notification": "notification",
        "recommendations": "recommendations; recommendation(s); recommendation",
        "addendum": "addendum",
        "comment": "comment",
        "wet read": "wet read; wetread",
        "date": "date",
    }.items()
    for spelling in spellings.split("; ")
}
MAIN_SECTIONS = ("impression", "findings", "history", "comparison", "addendum")  # in order of precedence
VIEWS = re.compile(
    "chest|portable|pa and lat|lateral and pa|ap and lateral|lateral and ap|frontal and|two views|frontal view|pa view|"
    "ap view|one view|lateral view|bone window|frontal upright|frontal semi-upright|ribs"
)
# Every name that `split_sections` gives besides headers that it does not know.
KNOWN_SECTIONS = (*dict.fromkeys(SPELLINGS.values()), "last_paragraph", "full report", "preamble")


def normalize_header(header: str) -> str:
    """The section that a header opens, by rule 3; an unknown header in lower case."""
    name = header.lower().strip()
    if name in SPELLINGS:
        return SPELLINGS[name]
    for section in MAIN_SECTIONS:
        if section in name:
            return section
    return "findings" if VIEWS.search(name) else name


def split_sections(report: str) -> dict[str, str]:
    """Splits a report into its sections.

    Returns:
        name -> text, in the order of the report; line breaks and repeated blanks have become single blanks. Sections
        without text are left out, so an empty report gives an empty dictionary.
    """
    parts = [
        (name, text)
        for name, text in _raw_sections(report.replace("\r\n", "\n").replace("\r", "\n"))
        if text.strip() or name not in ("findings", "impression")
    ]
    if parts and not {"findings", "impression"} & {name for name, _ in parts}:
        name, text = parts[-1]
        if blank := BLANK_LINE.search(text):
            parts[-1:] = [(name, text[: blank.start()]), ("last_paragraph", text[blank.end() :])]
    sections: dict[str, str] = {}
    for name, text in parts:
        if words := text.split():
            sections[name] = " ".join([sections[name], *words] if name in sections else words)
    return sections


def _raw_sections(report: str) -> list[tuple[str, str]]:
    """Normalised names with their texts as they stand, by rules 1 to 3."""
    header = HEADER.search(report)
    if header is None:
        return [("full report", report)]
    parts = [("preamble", report[: header.start()])]
    while header is not None:
        line_end = report.find("\n", header.end())
        following = HEADER.search(report, line_end) if line_end >= 0 else None
        end = following.start() if following else len(report)
        parts.append((normalize_header(header[1]), report[header.end() : end]))
        header = following
    return parts
