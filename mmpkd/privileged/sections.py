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
6. For 54 studies, named in `MISNAMED` and `SPANS`, it was determined by hand where the impression is. A section with a
   wrong header becomes the impression, or is added to it. Where no header can be trusted the impression is a span of
   characters, what stands before it is the preamble, and what follows it the `remainder`, which no teacher reads as
   findings; an empty span means that there is nothing to be read.

Three things differ. The blank before a header may be missing. A header that stands twice gives one section, both texts
in order, where the official parser returns a list. And the official table reads the misprint `ndication` as an
impression; here it is an indication.
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
# Every name that `split_sections` gives besides the `remainder` and headers that it does not know.
KNOWN_SECTIONS = (*dict.fromkeys(SPELLINGS.values()), "last_paragraph", "full report", "preamble")
# The studies of MIMIC-CXR whose reports cannot be split by their headers, and what to read of them. The facts are those
# of the official parser, `custom_mimic_cxr_rules` in txt/section_parser.py, applied in txt/create_section_files.py of
# https://github.com/MIT-LCP/mimic-cxr (archived; now in MIT-LCP/mimic-code; MIT licence, Copyright (c) 2019 MIT
# Laboratory for Computational Physiology). Keys are study identifiers. They were determined by hand on the released
# reports, which are not at hand here.
#
# Of a study in MISNAMED, the text that is labelled there is the last section of the name given here, because the
# impression stands under a wrong header.
MISNAMED = {
    study: section
    for section, studies in {
        "examination": "59363654 53356173 50743547 59215320 55157853",
        "history": "51491012",
        "indication": "57936451 50058765 51966317 55124749 54365831 54654948",
        "note": "56451190",
        "recommendations": "50913680 59768032 59067458 59087630 58157373 56482935 58375018",
        "technique": "59279892 53202765 50808053",
    }.items()
    for study in studies.split()
}
# Of a study in SPANS it is the characters from the first offset up to the second of the report as it stands in the
# file, because its headers look like its text. Both are 0 where the report says nothing of the images.
SPANS = {
    "50525523": (201, 349),
    "57564132": (233, 554),
    "59982525": (313, 717),
    "53488209": (149, 475),
    "54875119": (234, 988),
    "50196495": (59, 399),
    "56579911": (59, 218),
    "52648681": (292, 631),
    "59889364": (172, 453),
    "53514462": (73, 377),
    "59505494": (59, 450),
    "53182247": (59, 412),
    "51410602": (47, 320),
    "56412866": (522, 822),
    "54986978": (59, 306),
    "59003148": (262, 505),
    "57150433": (61, 394),
    "56760320": (219, 457),
    "59562049": (158, 348),
    "52674888": (145, 296),
    "55258338": (192, 568),
    "59330497": (140, 655),
    "52119491": (179, 454),
    "58235663": (0, 0),
    "50798377": (0, 0),
    "54168089": (0, 0),
    "53071062": (0, 0),
    "56724958": (0, 0),
    "54231141": (0, 0),
    "53607029": (0, 0),
    "52035334": (0, 0),
}


def normalize_header(header: str) -> str:
    """The section that a header opens, by rule 3; an unknown header in lower case."""
    name = header.lower().strip()
    if name in SPELLINGS:
        return SPELLINGS[name]
    for section in MAIN_SECTIONS:
        if section in name:
            return section
    return "findings" if VIEWS.search(name) else name


def split_sections(report: str, study: str | None = None) -> dict[str, str]:
    """Splits a report into its sections.

    Args:
        report: its text, as it stands in the file.
        study: the identifier of its study, by which an exception of rule 6 is found; None: there is none.

    Returns:
        name -> text, in the order of the report; line breaks and repeated blanks have become single blanks. Sections
        without text are left out, so an empty report gives an empty dictionary.
    """
    report = report.replace("\r\n", "\n").replace("\r", "\n")
    span = SPANS.get(study or "")
    if span and span[1] <= len(report):
        parts = _cut(report, *span)
    else:
        parts = _with_last_paragraph(_with_findings(_raw_sections(report)))
        parts = _with_impression(parts, MISNAMED.get(study or ""))
    sections: dict[str, list[str]] = {}
    for name, text in parts:
        if words := text.split():
            sections.setdefault(name, []).extend(words)
    return {name: " ".join(words) for name, words in sections.items()}


def _cut(report: str, start: int, end: int) -> list[tuple[str, str]]:
    """The impression by its offsets, and what stands around it."""
    return [("preamble", report[:start]), ("impression", report[start:end]), ("remainder", report[end:])]


def _with_findings(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Rule 4: without empty findings or impressions."""
    return [(name, text) for name, text in parts if text.strip() or name not in ("findings", "impression")]


def _with_last_paragraph(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Rule 5."""
    if {"findings", "impression"} & {name for name, _ in parts}:
        return parts
    name, text = parts[-1]
    blank = BLANK_LINE.search(text)
    if blank is None:
        return parts
    return [*parts[:-1], (name, text[: blank.start()]), ("last_paragraph", text[blank.end() :])]


def _with_impression(parts: list[tuple[str, str]], misnamed: str | None) -> list[tuple[str, str]]:
    """Rule 6: the last section that is called `misnamed` is the impression; as it is where there is none."""
    found = [position for position, (name, _) in enumerate(parts) if name == misnamed]
    if not found:
        return parts
    last = found[-1]
    return [*parts[:last], ("impression", parts[last][1]), *parts[last + 1 :]]


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
