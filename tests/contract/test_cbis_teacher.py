"""The tabular teacher on the real case descriptions of CBIS-DDSM."""

from pathlib import Path

import pytest

from mmpkd.cohorts.datasets.cbis_ddsm import FIELDS
from mmpkd.config.cohorts import Cohort
from mmpkd.config.teachers import TabularTeacher
from mmpkd.outputs.table_teachers import judge
from mmpkd.privileged.records import build
from mmpkd.teachers.fitting import fit_tabular
from tests import cohorts

ROOT = Path(__file__).parents[2] / ".." / "shared" / "data" / "cbis_ddsm"
LABELS = ["malignant", "mass", "calcification"]

pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason=f"the CBIS-DDSM tables are not in {ROOT}")


@pytest.fixture(scope="module")
def records():
    cohort = Cohort(adapter="cbis_ddsm", root=ROOT, images=False)
    return build(cohorts.read(cohort, LABELS), "tabular", LABELS)


def test_every_row_is_a_record(records):
    assert len(records) == 3568
    assert records["subset"].value_counts().to_dict() == {"calc": 1872, "mass": 1696}
    assert (records["official_set"] == "test").sum() == 704
    assert records[[f"target_{label}" for label in LABELS]].notna().all(axis=None)


def test_spellings_are_one(records):
    for name, (_, subset) in FIELDS.applies.items():
        assert ((records[name] == "NOT_APPLICABLE") == (records["subset"] != subset)).all()
        cells = records[name].unique()
        assert all(cell == "-".join(sorted(set(cell.split("-")))) for cell in cells)
        assert not any(
            other.split("-") == cell.split("-")[::-1] != cell.split("-") for cell in cells for other in cells
        )
    assert not records["calc_type"].str.contains("LUCENT_CENTERED").any()
    assert {name: int(records[name].isna().sum()) for name, scale in FIELDS.numbers.items() if scale} == {
        "breast_density": 2,
        "subtlety": 2,
        "assessment": 238,
    }
    assert "pathology" not in records


def test_the_teacher_beats_the_plain_baseline(records):
    result = fit_tabular(records, TabularTeacher(folds=2), LABELS)
    rows = judge({("mammography", "main"): result.predictions}, 0.95, 200, 0).frame
    whole = rows.query("label == 'malignant' and subset == 'all'").set_index("variant")
    assert whole.loc["logistic", "auroc"] == pytest.approx(0.800, abs=0.006)
    assert whole.loc["logistic + assessment", "auroc"] == pytest.approx(0.851, abs=0.006)
    assert (whole.loc[["mlp", "mlp + assessment"], "difference"] > 0).all()
    assert whole.loc[["mlp", "mlp + assessment"], ["difference_low", "difference_high"]].notna().all(axis=None)
    assert whole.loc["mlp", "n_records"] == 704 and whole.loc["mlp", "n_patients"] == 349
    for key, fold in zip(result.targets["key"], result.targets["fold"], strict=True):
        assert key.startswith("P_") and fold in (-1, 0, 1)
