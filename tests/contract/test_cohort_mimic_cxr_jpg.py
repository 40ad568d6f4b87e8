"""MIMIC-CXR-JPG: the tree of the MIMIC-CXR phantom with JPEG names and its reports elsewhere."""

import shutil

import pandas as pd
import pytest

from mmpkd.config.cohorts import Cohort, Phantom
from mmpkd.phantom.write import write_tree
from tests.cohorts import is_restricted, needs, read

LABELS = ["Atelectasis", "Lung Opacity", "Pneumothorax"]


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """The DICOM tree; the JPEG tree, in which a DICOM file does not count; the folder of the reports."""
    dicom, jpeg, reports = (tmp_path_factory.mktemp(name) for name in ("dicom", "jpeg", "reports"))
    write_tree("mimic_cxr", Phantom(patients=60, seed=12), dicom)
    for source in dicom.rglob("*"):
        target = (reports if source.suffix == ".txt" else jpeg) / source.relative_to(dicom)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".dcm":
            target.with_suffix(".jpg").touch()
        elif source.is_file():
            shutil.copy(source, target)
    return dicom, jpeg, reports


def test_the_tables_are_those_of_the_dicom_tree(trees):
    dicom, jpeg, reports = trees
    expected = read(Cohort(adapter="mimic_cxr", root=dicom), LABELS)
    tables = read(Cohort(adapter="mimic_cxr_jpg", root=jpeg, folders={"reports": reports}), LABELS)
    paths = expected.images["path"].str.replace(".dcm", ".jpg")
    pd.testing.assert_frame_equal(tables.images, expected.images.assign(path=paths))
    for name in ("labels", "rois", "privileged", "rejected"):
        pd.testing.assert_frame_equal(getattr(tables, name), getattr(expected, name))
    assert tables.notes == expected.notes and len(tables.rois) and len(tables.privileged)


def test_reports_may_lie_beside_the_images_or_be_left_out(trees, tmp_path):
    _, jpeg, reports = trees
    cohort = Cohort(adapter="mimic_cxr_jpg", root=jpeg)
    with pytest.raises(FileNotFoundError, match=r"holds no report of \d+ studies; unpack mimic-cxr-reports\.zip"):
        read(cohort, LABELS)
    assert read(cohort.model_copy(update={"options": {"reports": False}}), LABELS).privileged.empty
    both = tmp_path / "both"
    shutil.copytree(jpeg, both)
    shutil.copytree(reports, both, dirs_exist_ok=True)
    assert len(read(Cohort(adapter="mimic_cxr_jpg", root=both), LABELS, survey=True).privileged) > 60


def test_a_dicom_tree_is_recognised(trees):
    dicom, jpeg, reports = trees
    with pytest.raises(FileNotFoundError, match=r"holds none of the \d+ images of the tables; MIMIC-CXR-JPG is at"):
        read(Cohort(adapter="mimic_cxr_jpg", root=dicom), LABELS)
    cohort = Cohort(adapter="mimic_cxr_jpg", root=jpeg, folders={"reports": reports})
    wanted = needs(cohort)
    assert all(need.found for need in wanted) and is_restricted(cohort)
    assert "images (.jpg)" in {need.what for need in wanted}
