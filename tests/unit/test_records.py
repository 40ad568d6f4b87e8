"""Records: one row a privileged record, with the labels that it is learnt from."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmpkd.cohorts.datasets.cbis_ddsm import FIELDS
from mmpkd.cohorts.tables import CohortTables, read_tables
from mmpkd.privileged.records import SECTION_COLUMNS, build
from mmpkd.teachers.text import report_texts


def cohort(privileged: pd.DataFrame, key_name: str) -> CohortTables:
    """Three images: two of study s1, one of study s2."""
    images = pd.DataFrame(
        {
            "image_id": ["i1", "i2", "i3"],
            "patient_id": ["P1", "P1", "P2"],
            "study_id": ["s1", "s1", "s2"],
            "split": ["train", "train", "test"],
            **dict.fromkeys(["path", "view", "laterality"], ""),
            **dict.fromkeys(["rows", "columns"], pd.NA),
        }
    )
    labels = pd.DataFrame({"image_id": images["image_id"], "A": [0.0, 1.0, 0.0], "B": [np.nan, np.nan, 1.0]})
    return CohortTables(Path(), images, labels, privileged=privileged, key_name=key_name, fields=FIELDS)


REPORTS = pd.DataFrame(
    {
        "record_id": ["s1", "s2"],
        "key": ["s1", "s2"],
        "patient_id": ["P1", "P2"],
        "split": ["train", "test"],
        "report": ["\n FINDINGS:  Clear.\n \n UPPER ABDOMEN:  Gas.\n", " FINAL REPORT\n Normal chest.\n"],
    }
)
LESIONS = pd.DataFrame(
    {
        "record_id": ["l1", "l2"],
        "key": ["i1", "i3"],
        "patient_id": ["P1", "P2"],
        "split": ["train", "test"],
        "subset": ["mass", "calc"],
        "official_set": ["train", "test"],
        "mass_shape": ["OVAL", ""],
        "pathology": ["MALIGNANT", "BENIGN"],
        "target_A": [1.0, 0.0],
    }
)


def test_reports_become_sections_and_take_the_labels_of_their_images():
    records = build(cohort(REPORTS, "study_id"), "text", ["A", "B"])
    assert list(records) == [
        *("record_id", "key", "patient_id", "split", "subset"),
        *SECTION_COLUMNS,
        *("target_A", "target_B"),
    ]
    assert list(records["findings"]) == ["Clear.", ""]
    assert list(records["other"]) == ["upper abdomen: Gas.", ""]
    assert list(records["full_report"]) == ["", "FINAL REPORT Normal chest."]
    assert list(records["target_A"]) == [1.0, 0.0]  # of two images the larger
    assert np.isnan(records["target_B"][0]) and records["target_B"][1] == 1


def test_an_exception_is_found_by_the_study():
    """The report of this study, for which the official parser has a rule, says nothing of the images."""
    reports = REPORTS.assign(record_id=["58235663", "s2"])
    records = build(cohort(reports, "study_id"), "text", ["A"])
    assert records["other"][0] == "remainder: FINDINGS: Clear. UPPER ABDOMEN: Gas."
    assert list(report_texts(records, ["findings", "impression"])) == ["", "FINAL REPORT Normal chest."]


def test_a_lesion_keeps_its_own_target_and_falls_back_to_the_image():
    records = build(cohort(LESIONS, "image_id"), "tabular", ["A", "B", "C"])
    assert list(records["target_A"]) == [1.0, 0.0]  # its image's label is 0
    assert np.isnan(records["target_B"][0]) and records["target_B"][1] == 1
    assert records["target_C"].isna().all()
    assert "pathology" not in records
    assert list(records["subset"]) == ["mass", "calc"] and list(records["official_set"]) == ["train", "test"]
    assert list(records["mass_shape"]) == ["OVAL", "NOT_APPLICABLE"]


def test_what_is_declared_of_the_columns_is_kept_with_the_tables(tmp_path):
    tables = cohort(LESIONS, "image_id")
    tables.write(tmp_path)
    records = [build(one, "tabular", ["A"]) for one in (tables, read_tables(tmp_path))]
    pd.testing.assert_frame_equal(*records)


@pytest.mark.parametrize(("table", "kind"), [(REPORTS, "tabular"), (LESIONS, "text")])
def test_the_kind_of_teacher_must_fit_the_records(table, kind):
    key_name = "study_id" if "report" in table else "image_id"
    with pytest.raises(ValueError, match=f"a {kind} teacher cannot read"):
        build(cohort(table, key_name), kind, ["A"])


def test_a_cohort_without_records_is_refused():
    with pytest.raises(ValueError, match="no privileged records"):
        build(cohort(REPORTS.iloc[:0], "study_id"), "text", ["A"])


def test_what_stands_in_for_missing_sections():
    records = build(cohort(REPORTS, "study_id"), "text", ["A"])
    assert list(report_texts(records, ["findings", "impression"])) == ["Clear.", "FINAL REPORT Normal chest."]
    assert list(report_texts(records, ["indication"])) == ["", ""]  # nothing stands in: it would leak the findings
    with pytest.raises(ValueError, match="unknown findngs"):
        report_texts(records, ["findngs"])
