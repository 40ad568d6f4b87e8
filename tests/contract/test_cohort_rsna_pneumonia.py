"""RSNA Pneumonia Detection Challenge: a small fabricated tree with the dirt of the real one."""

import json

import numpy as np
import pytest

from mmpkd.cohorts.base import ChoiceError
from mmpkd.cohorts.paths import TableFileError
from mmpkd.config.cohorts import Cohort
from tests import cohorts

LABELS = ["Lung Opacity", "No Finding", "Pneumonia"]
ROWS = [
    "p1,264.0,152.0,213.0,379.0,1",
    "p1,562.0,152.0,256.0,453.0,1",
    "p2,,,,,0",
    "p3,,,,,0",
    "p4,900,900,200,200,1",  # over two edges
    "p5,10,10,20,20,1",  # no file
    "p6,10,10,20,20,0",  # a box where there is no opacity
    "p7,,,,,1",  # an opacity without a box
    "p8,10,10,20,20,1",
    "p8,,,,,0",
    "p9,,,,,",
    "../p,,,,,0",
]
CLASSES = [
    "p1,Lung Opacity",
    "p1,Lung Opacity",
    "p2,Normal",
    "p3,No Lung Opacity / Not Normal",
    "p4,Normal",
    "p4,Lung Opacity",
]


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "stage_2_train_labels.csv").write_text("\n".join(["patientId,x,y,width,height,Target", *ROWS]) + "\n")
    (tmp_path / "stage_2_detailed_class_info.csv").write_text("\n".join(["patientId,class", *CLASSES]) + "\n")
    (tmp_path / "stage_2_train_images").mkdir()
    for name in ("p1", "p2", "p3", "p4", "p6", "p7", "p8", "p9"):
        (tmp_path / "stage_2_train_images" / f"{name}.dcm").touch()
    return tmp_path


def read(root, **further):
    return cohorts.read(Cohort(adapter="rsna_pneumonia", root=root, **further), LABELS)


def test_the_tree(tree):
    tables = read(tree)
    assert tables.images[["image_id", "patient_id", "split", "path", "rows"]].to_numpy().tolist() == [
        [name, name, "test", f"{name}.dcm", 1024] for name in ("p1", "p2", "p3", "p4", "p6", "p7")
    ]
    assert tables.image_root == tree / "stage_2_train_images"
    assert tables.label_names == ["Lung Opacity", "No Finding"]
    assert tables.labels["Lung Opacity"].tolist() == [1, 0, 0, 1, 0, 1]
    normal = tables.labels["No Finding"].to_numpy()
    assert normal[:3].tolist() == [0, 1, 0] and np.isnan(normal[3:]).all()  # two classes, or none
    assert tables.rois[["roi_id", "label", "x0", "y0", "x1", "y1"]].to_numpy().tolist() == [
        ["p1_1", "Lung Opacity", 264, 152, 477, 531],
        ["p1_2", "Lung Opacity", 562, 152, 818, 605],
        ["p4_1", "Lung Opacity", 900, 900, 1024, 1024],
    ]
    assert tables.notes == {"images_not_in_the_chosen_sets": 0, "images_with_a_patient_of_the_nih": 0}
    assert sorted((row.record, row.reason) for row in tables.rejected.itertuples()) == [
        ("../p", "malformed identifier"),
        ("p5", "box on an image that was left out"),
        ("p5", "image file is missing"),
        ("p6", "box on an image whose Target is 0"),
        ("p7", "box whose corners are not numbers"),
        ("p8", "Target is 1 in one row of the image and 0 in another"),
        ("p8", "Target is 1 in one row of the image and 0 in another"),
        ("p9", "Target is neither 0 nor 1"),
    ]


def test_patients_of_the_nih(tree):
    mapping = [
        {"subset_img_id": "p1", "img_id": "00000123_000.png", "orig_labels": ["Pneumonia"], "StudyInstanceUID": "1.2"},
        {"subset_img_id": "p2", "img_id": "00000123_004.png", "orig_labels": [], "StudyInstanceUID": "1.3"},
        {"subset_img_id": "p3", "img_id": "odd", "orig_labels": [], "StudyInstanceUID": "1.4"},
    ]
    path = tree / "pneumonia-challenge-dataset-mappings_2018.json"
    path.write_text(json.dumps(mapping))
    tables = read(tree)
    assert tables.images["patient_id"].tolist() == ["00000123", "00000123", "p3", "p4", "p6", "p7"]
    assert tables.notes["images_with_a_patient_of_the_nih"] == 2
    for text in ("{", '{"a": 1}', '[{"img_id": "x"}]'):
        path.write_text(text)
        with pytest.raises(TableFileError, match="no list of subset_img_id and img_id"):
            read(tree)


def test_the_sets_and_the_name_of_the_target_are_choices(tree):
    boxed = read(tree, options={"sets": ["boxed"], "target_labels": ["Pneumonia", "Lung Opacity"]})
    assert boxed.images["image_id"].tolist() == ["p1", "p4", "p7"]
    assert boxed.label_names == LABELS and boxed.labels["Pneumonia"].tolist() == [1, 1, 1]
    assert boxed.rois["label"].value_counts().to_dict() == {"Lung Opacity": 3, "Pneumonia": 3}
    assert boxed.notes["images_not_in_the_chosen_sets"] == 3
    unboxed = read(tree, options={"sets": ["unboxed"]})
    assert unboxed.images["image_id"].tolist() == ["p2", "p3", "p6"] and len(unboxed.rois) == 0


def test_without_images_and_without_classes(tree):
    (tree / "stage_2_detailed_class_info.csv").unlink()
    tables = read(tree, images=False)
    assert len(tables.images) == 7 and set(tables.images["path"]) == {""} and tables.label_names == ["Lung Opacity"]


def test_needs_name_what_is_missing(tree):
    wanted = cohorts.needs(Cohort(adapter="rsna_pneumonia", root=tree))
    assert [(need.path.name, need.required, need.found) for need in wanted] == [
        ("stage_2_train_labels.csv", True, True),
        ("stage_2_train_images", True, True),
        ("stage_2_detailed_class_info.csv", False, True),
        ("pneumonia-challenge-dataset-mappings_2018.json", False, False),
    ]
    assert not cohorts.is_restricted(Cohort(adapter="rsna_pneumonia", root=tree))


def test_mistakes_are_named(tree, tmp_path):
    with pytest.raises(ChoiceError, match=r"options\.target_labels: Edema; known are Lung Opacity, Pneumonia"):
        read(tree, options={"target_labels": ["Edema"]})
    with pytest.raises(
        FileNotFoundError, match="holds none of the 7 images of the table; RSNA's challenge is at https"
    ):
        (tmp_path / "empty").mkdir()
        read(tree, folders={"images": tmp_path / "empty"})
    (tree / "stage_2_train_labels.csv").write_text("patientId,Target\np1,1\n")
    with pytest.raises(TableFileError, match=r"column.s. x, y, width, height missing"):
        read(tree)
