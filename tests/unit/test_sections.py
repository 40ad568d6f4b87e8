"""Report sections, by the rules of MIMIC-CXR's section parser."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmpkd.privileged.sections import KNOWN_SECTIONS, SPELLINGS, normalize_header, split_sections

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


@pytest.mark.parametrize("empty", ["", " \n \n", "\n"])
def test_an_empty_report_has_no_sections(empty):
    assert split_sections(empty) == {}


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
