"""Case descriptions: spellings, missing values, what other rows say, and the design matrix."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmpkd.cohorts.datasets.cbis_ddsm import FIELDS
from mmpkd.cohorts.tables import Fields
from mmpkd.privileged.metadata import Design, describe_case, fields_of, normalize, normalize_terms

RAW = pd.DataFrame(
    {
        "record_id": ["a", "b", "c", "d"],
        "key": ["i", "i", "j", "k"],
        "patient_id": ["P1", "P1", "P1", "P2"],
        "split": "train",
        "official_set": "train",
        "subset": ["mass", "calc", "mass", "mass"],
        "laterality": ["LEFT", "LEFT", "RIGHT", "LEFT"],
        "breast_density": ["3", "3", "0", "2"],
        "mass_shape": ["OVAL-LYMPH_NODE", "", "LYMPH_NODE-OVAL", "NA"],
        "calc_type": ["", "ROUND_AND_REGULAR-LUCENT_CENTERED", "", ""],
        "assessment": ["0", "4", "5", "2"],
        "pathology": ["MALIGNANT", "BENIGN", "MALIGNANT", "BENIGN"],
        "target_malignant": [1.0, 0.0, 1.0, 0.0],
    }
)


@pytest.mark.parametrize(
    ("cell", "terms"),
    [
        ("OBSCURED-CIRCUMSCRIBED", "CIRCUMSCRIBED-OBSCURED"),
        ("PLEOMORPHIC-PLEOMORPHIC", "PLEOMORPHIC"),
        (" lucent_centered ", "LUCENT_CENTER"),
        ("milk of calcium", "MILK_OF_CALCIUM"),
        ("N/A", "MISSING"),
        ("", "MISSING"),
        (None, "MISSING"),
        (float("nan"), "MISSING"),
    ],
)
def test_terms_have_one_spelling(cell, terms):
    assert normalize_terms(cell, FIELDS.spellings) == terms


@settings(deadline=None)
@given(st.lists(st.sampled_from(["OVAL", "ROUND", "IRREGULAR", "LOBULATED"]), min_size=1, max_size=4), st.randoms())
def test_the_order_of_terms_does_not_matter(terms, random):
    shuffled = random.sample(terms, len(terms))
    assert normalize_terms("-".join(shuffled)) == normalize_terms("-".join(terms))


def test_missing_and_not_applicable_are_categories():
    table = normalize(RAW, FIELDS)
    assert list(table["mass_shape"]) == ["LYMPH_NODE-OVAL", "NOT_APPLICABLE", "LYMPH_NODE-OVAL", "MISSING"]
    assert list(table["calc_type"]) == ["NOT_APPLICABLE", "LUCENT_CENTER-ROUND_AND_REGULAR"] + ["NOT_APPLICABLE"] * 2


def test_a_value_off_its_scale_is_missing():
    table = normalize(RAW, FIELDS)
    assert table["breast_density"].tolist()[:2] == [3.0, 3.0] and np.isnan(table["breast_density"][2])
    assert np.isnan(table["assessment"][0]) and table["assessment"][2] == 5


def test_neither_answer_nor_identity_nor_target_is_a_description():
    table = normalize(RAW, FIELDS)
    assert set(table) == {"subset", "laterality", "breast_density", "mass_shape", "calc_type", "assessment"}
    fields = fields_of(table, exclude=["assessment"])
    assert fields == ["subset", "laterality", "breast_density", "mass_shape", "calc_type"]
    with pytest.raises(ValueError, match="exclude"):
        fields_of(RAW[["record_id", "target_malignant"]])


def test_a_data_set_declares_its_columns():
    """Numbers with a scale and without one, a column that applies to some rows, and one that no teacher sees."""
    raw = pd.DataFrame(
        {
            "age": ["60", "-5", "old", ""],
            "weight": ["1e3", "70", "", "x"],
            "sex": ["F", "m", "f ", ""],
            "menopause": ["yes", "", "", ""],
            "verdict": ["bad", "good", "bad", "good"],
        }
    )
    declared = Fields(
        numbers={"age": (0, 120), "weight": None}, applies={"menopause": ("sex", "F")}, withheld=("verdict",)
    )
    table = normalize(raw, declared)
    assert table.fillna(-1).to_dict("list") == {
        "age": [60, -1, -1, -1],
        "weight": [1000, 70, -1, -1],
        "sex": ["F", "M", "F", "MISSING"],
        "menopause": ["YES", "NOT_APPLICABLE", "MISSING", "NOT_APPLICABLE"],
    }


def test_a_case_is_described_by_its_other_rows_and_never_by_a_label():
    case = describe_case(RAW, FIELDS)
    assert list(case["lesions_in_image"]) == [2, 2, 1, 1]
    assert list(case["lesions_in_case"]) == [3, 3, 3, 1]
    assert list(case["breasts_in_case"]) == [2, 2, 2, 1]
    assert list(case["same_breast"]) == ["LUCENT_CENTER-ROUND_AND_REGULAR", "LYMPH_NODE-OVAL", "NONE", "NONE"]
    flipped = RAW.assign(pathology=RAW["pathology"][::-1].to_numpy(), target_malignant=1.0, assessment="1")
    pd.testing.assert_frame_equal(describe_case(flipped, FIELDS), case)


def test_the_design_matrix_has_named_columns():
    records = pd.DataFrame({"shape": ["A-B", "B", "MISSING"], "subtlety": [1.0, 3.0, np.nan]})
    design = Design.fit(records, ["shape", "subtlety"])
    assert design.columns == [
        *("shape=A", "shape=B", "shape=MISSING", "subtlety=1", "subtlety=3", "subtlety=MISSING", "subtlety"),
    ]
    x = design.transform(records)
    assert x.dtype == np.float32
    assert x[:, :6].tolist() == [[1, 1, 0, 1, 0, 0], [0, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1]]
    assert x[:, 6] == pytest.approx([-np.sqrt(1.5), np.sqrt(1.5), 0])  # median 2 for the missing one
    assert design.field_sizes == [3, 3]


def test_a_term_unknown_to_training_sets_no_column_and_is_counted():
    design = Design.fit(pd.DataFrame({"shape": ["A", "B"]}), ["shape"])
    test = pd.DataFrame({"shape": ["A-C", "C", "B"]})
    assert design.transform(test).tolist() == [[1, 0], [0, 0], [0, 1]]
    assert design.count_unknown(test) == 2


def test_a_plain_matrix_keeps_cells_whole():
    records = pd.DataFrame({"shape": ["A-B", "B"], "subtlety": [1.0, 2.0]})
    design = Design.fit(records, ["shape", "subtlety"], whole=True)
    assert design.columns == ["shape=A-B", "shape=B", "subtlety=1", "subtlety=2"]
    assert design.transform(records).sum(axis=1).tolist() == [2, 2]


def test_a_constant_number_is_no_column():
    design = Design.fit(pd.DataFrame({"age": [5.0, 5.0], "empty": [np.nan, np.nan]}), ["age", "empty"])
    assert design.columns == ["age=5", "empty=MISSING"]
