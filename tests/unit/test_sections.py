"""Report sections, by the rules of MIMIC-CXR's section parser."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmpkd.privileged.sections import KNOWN_SECTIONS, MISNAMED, SPANS, SPELLINGS, normalize_header, split_sections

REPORT = "\n \n".join(
    [
        "                                 FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)",
        " INDICATION:  ___ year old woman with cough.",
        " COMPARISON:  Chest radiograph from ___.",
        " FINDINGS: ",
        " The heart is enlarged.  No focal\n consolidation: none.",
        " IMPRESSION: ",
        " Cardiomegaly.\n",
    ]
)


def test_a_report_is_split_at_its_headers():
    assert split_sections(REPORT) == {
        "preamble": "FINAL REPORT",
        "examination": "CHEST (PA AND LAT)",
        "indication": "___ year old woman with cough.",
        "comparison": "Chest radiograph from ___.",
        "findings": "The heart is enlarged. No focal consolidation: none.",
        "impression": "Cardiomegaly.",
    }


def test_windows_line_ends_and_missing_indentation_change_nothing():
    assert split_sections(REPORT.replace("\n", "\r\n")) == split_sections(REPORT)
    assert split_sections("\n".join(line.strip() for line in REPORT.split("\n"))) == split_sections(REPORT)


@pytest.mark.parametrize(
    ("header", "section"),
    [
        ("CONCLUSION", "impression"),
        ("FINDINGS AND IMPRESSION", "impression"),
        ("IMPRESSON", "impression"),
        ("REASON FOR EXAM", "indication"),
        ("NDICATION", "indication"),
        ("CLINICAL HISTORY", "history"),
        ("COMPARISONS", "comparison"),
        ("RECOMMENDATION(S)", "recommendations"),
        ("PRELIMINARY IMPRESSION", "impression"),  # contains a main section
        ("HISTORY AND COMPARISON", "history"),  # the first of the order of precedence
        ("SUPINE PORTABLE VIEW", "findings"),  # a description of the study
        ("PA AND LATERAL", "findings"),
        ("UPPER ABDOMEN", "upper abdomen"),  # unknown: as it is
    ],
)
def test_headers_are_normalised(header, section):
    assert normalize_header(header) == section


def test_every_spelling_leads_to_a_known_section():
    assert set(SPELLINGS.values()) <= set(KNOWN_SECTIONS)
    assert all(spelling == spelling.strip().lower() for spelling in SPELLINGS)


def test_an_empty_findings_header_is_a_title():
    sections = split_sections("\n CHEST, PA LATERAL:\n \n INDICATION:  Cough.\n \n IMPRESSION:  Normal.\n")
    assert sections == {"indication": "Cough.", "impression": "Normal."}


def test_a_report_without_headers_is_whole():
    assert split_sections(" FINAL REPORT\n The lungs are clear.\n") == {
        "full report": "FINAL REPORT The lungs are clear."
    }
    assert split_sections(" FINAL REPORT\n \n The lungs are clear.\n") == {
        "full report": "FINAL REPORT",
        "last_paragraph": "The lungs are clear.",
    }


def test_the_last_paragraph_follows_the_first_blank_line_of_the_last_section():
    text = "\n INDICATION:  Cough.\n \n COMPARISON:  None.\n \n The lungs are clear.\n \n No effusion.\n"
    assert split_sections(text) == {
        "indication": "Cough.",
        "comparison": "None.",
        "last_paragraph": "The lungs are clear. No effusion.",
    }


def test_the_line_after_a_bare_header_is_its_text():
    assert split_sections("\n IMPRESSION:\n PA AND LATERAL: no change.\n") == {
        "impression": "PA AND LATERAL: no change."
    }


def test_a_repeated_header_loses_nothing():
    assert split_sections("\n FINDINGS:  One.\n \n FINDING:  Two.\n")["findings"] == "One. Two."


def test_the_exceptions_are_those_of_the_official_parser():
    """23 studies by section, 31 by offsets, 8 of them without findings."""
    assert len(MISNAMED) == 23 and len(SPANS) == 31 and not set(MISNAMED) & set(SPANS)
    assert sum(span == (0, 0) for span in SPANS.values()) == 8
    assert all(start < end for start, end in SPANS.values() if end)
    assert all(study.isdigit() and len(study) == 8 for study in [*MISNAMED, *SPANS])
    assert set(MISNAMED.values()) - {"note"} <= set(KNOWN_SECTIONS)


def test_a_section_with_a_wrong_header_is_the_impression_of_its_study():
    text = "\n INDICATION:  Cough.\n \n RECOMMENDATION(S):  Small effusion.\n \n NOTIFICATION:  By telephone.\n"
    as_written = {"indication": "Cough.", "recommendations": "Small effusion.", "notification": "By telephone."}
    assert split_sections(text) == split_sections(text, "50000000") == as_written
    renamed = split_sections(text, "50913680")
    assert renamed == {"indication": "Cough.", "impression": "Small effusion.", "notification": "By telephone."}
    assert split_sections(text, "59279892") == as_written  # the section of this study is the technique: there is none


def test_the_last_section_of_a_wrong_name_counts_and_its_last_paragraph_stays_apart():
    text = "\n INDICATION:  Cough.\n \n INDICATION:  Clear lungs.\n \n Dictated twice.\n"
    assert split_sections(text, "57936451") == {
        "indication": "Cough.",
        "impression": "Clear lungs.",
        "last_paragraph": "Dictated twice.",
    }


def test_an_impression_is_cut_out_by_its_offsets():
    text = " FINAL REPORT\n CHEST\n".ljust(59, ".") + "y" * (218 - 59) + "\n FINDINGS: after\n"
    cut = split_sections(text, "56579911")  # characters 59 to 218
    assert cut["impression"] == "y" * 159
    assert cut["preamble"].startswith("FINAL REPORT CHEST ...") and cut["remainder"] == "FINDINGS: after"
    assert list(cut) == ["preamble", "impression", "remainder"]
    assert split_sections(text.replace("\n", "\r\n"), "56579911") == cut  # offsets count a line's end once
    assert split_sections(text[:217], "56579911") == split_sections(text[:217])  # not the report that was measured


def test_a_report_without_findings_has_none():
    text = "\n IMPRESSION:  Images cannot be found.\n"
    assert split_sections(text, "58235663") == {"remainder": "IMPRESSION: Images cannot be found."}


@pytest.mark.parametrize("empty", ["", " \n \n", "\n"])
def test_an_empty_report_has_no_sections(empty):
    assert split_sections(empty) == {}


@settings(deadline=None)
@given(st.text(alphabet="AB:( ab\n-", max_size=80))
def test_no_word_is_lost_or_invented(text):
    """Sections hold the report's words in order; of a header's line only the header itself goes away."""
    kept = " ".join(split_sections(text).values()).split()
    words = iter(text.replace(":", ": ").split())
    for word in " ".join(kept).replace(":", ": ").split():
        assert any(word == other for other in words)


def test_ten_thousand_reports_take_seconds():
    started = time.perf_counter()
    for _ in range(10_000):
        split_sections(REPORT)
    assert time.perf_counter() - started < 5
