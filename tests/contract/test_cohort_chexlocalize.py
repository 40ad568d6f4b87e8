"""CheXlocalize: a small fabricated tree with the dirt of the real one."""

import json

import numpy as np
import pandas as pd
import pytest

from mmpkd.cohorts.base import ChoiceError
from mmpkd.cohorts.paths import TableFileError
from mmpkd.cohorts.rois import RunLengths
from mmpkd.config.cohorts import Cohort
from tests.cohorts import is_restricted, needs, read

LABELS = ["Cardiomegaly", "Lung Opacity", "Pleural Effusion", "Pneumonia", "Support Devices"]
COLUMNS = "Cardiomegaly,Lung Opacity,Pleural Effusion,Pneumonia"  # of val_labels.csv: it lacks Support Devices
TRIANGLE = [[10.5, 5.0], [30.0, 5.0], [10.5, 25.25]]
SQUARE = [[40, 40], [48, 40], [48, 48], [40, 48]]
FRAME = (
    "f9X1d00000000000000000000000000000ROF::FF::FF::FF::FF::FF::FF::FF::FF::FF::d00000000000000000000_O]OIc0h0000000R9"
)
EMPTY = {"size": [60, 50], "counts": "hm2"}  # 3,000 pixels, none inside
TEST = "patient64741_study1_view1_frontal"


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def tree(tmp_path):
    chexpert, outlines = tmp_path / "CheXpert", tmp_path / "CheXlocalize"
    write(
        chexpert / "test_labels.csv",
        f"Path,No Finding,{COLUMNS},Support Devices",
        "test/patient64741/study1/view1_frontal.jpg,0,1,1,0,0,1",
        "test/patient64741/study1/view2_lateral.jpg,0,1,1,0,0,1",
        "test/patient64742/study1/view1_frontal.jpg,0.0,0.0,1.0,1.0,,-1.0",
        "test/patient64743/study2/view1_frontal.jpg,0,1,0,0,0,0",
        "test/patient64743/study2/view1_frontal.jpg,1,0,0,0,0,0",
        "test/patient64744/study1/view1_frontal.jpg,0,0,0,0,0,0",  # no such file
        "test/patient64745/study1/view1_frontal.jpg,0,3,0,0,0,0",
        "../test/patient64746/study1/view1_frontal.jpg,0,0,0,0,0,0",
        "/etc/patient64747/study1/view1_frontal.jpg,0,0,0,0,0,0",
        "test/patient64748/view1_frontal.jpg,0,0,0,0,0,0",
    )
    write(
        chexpert / "val_labels.csv",
        f"Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,{COLUMNS}",
        "CheXpert-v1.0/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,0.0,1.0,0.0,0.0,0.0",
        "CheXpert-v1.0/valid/patient64541/study1/view2_lateral.jpg,Male,73,Lateral,,0.0,1.0,0.0,0.0,0.0",
    )
    images = ["test/patient64741/study1/view1_frontal", "test/patient64741/study1/view2_lateral"]
    images += [f"test/{name}/view1_frontal" for name in ("patient64742/study1", "patient64743/study2")]
    images += ["test/patient64745/study1/view1_frontal", "test/patient64746/study1/view1_frontal"]
    images += ["val/patient64541/study1/view1_frontal", "val/patient64541/study1/view2_lateral"]
    for image in images:
        write(chexpert / f"{image}.jpg", "a picture")
    contours = {
        TEST: {
            "img_size": [60, 50],
            "Cardiomegaly": [TRIANGLE, SQUARE, TRIANGLE],
            "Airspace Opacity": [SQUARE, [[1, 1], [2, 2]], [[60, 1], [70, 1], [70, 9]], [[1, 1], [2]], [[0, 0, 0]]],
            "Pleural Effusion": [SQUARE],  # its label is 0
            "Support Devices": "nothing",
            "Enlarged Cardiomediastinum": [TRIANGLE],
            "Ribs": [TRIANGLE],
        },
        "patient64741_study1_view2_lateral": {"img_size": [60, 50], "Cardiomegaly": [TRIANGLE]},
        "patient64742_study1_view1_frontal": {"Airspace Opacity": [[[-4, -4], [20, 2], [2, 20]]]},
    }
    masks = {
        TEST: {
            "Cardiomegaly": {"size": [60, 50], "counts": FRAME},  # drawn from its contours
            "Support Devices": {"size": [60, 50], "counts": FRAME},
            "Edema": EMPTY,
        },
        "patient64742_study1_view1_frontal": {
            "Pleural Effusion": {"size": [60, 50], "counts": FRAME},
            "Cardiomegaly": {"size": [60, 51], "counts": FRAME},
        },
    }
    write(outlines / "gt_annotations_test.json", json.dumps(contours))
    write(outlines / "gt_segmentations_test.json", json.dumps(masks))
    write(
        outlines / "gt_annotations_val.json",
        json.dumps({"patient64541_study1_view1_frontal": {"img_size": [60, 50], "Cardiomegaly": [SQUARE]}}),
    )
    return tmp_path


def cohort(root, **further):
    return Cohort(adapter="chexlocalize", root=root, **further)


def test_frontal_images_of_the_test_set(tree):
    tables = read(cohort(tree), LABELS)
    images = tables.images.set_index("image_id")
    assert list(images.index) == [
        TEST,
        "patient64742_study1_view1_frontal",
        "patient64743_study2_view1_frontal",
    ]
    assert images.loc[TEST, ["patient_id", "study_id", "split", "view"]].tolist() == [
        "patient64741",
        "patient64741_study1",
        "test",
        "frontal",
    ]
    assert tables.image_root == tree / "CheXpert"
    assert all((tables.image_root / path).is_file() for path in images["path"])
    assert images.loc[TEST, ["rows", "columns"]].tolist() == [60, 50]
    assert images.loc["patient64742_study1_view1_frontal", ["rows", "columns"]].tolist() == [60, 50]  # by its mask
    assert images.loc["patient64743_study2_view1_frontal", ["rows", "columns"]].isna().all()
    assert tables.privileged.empty


def test_labels_and_what_is_masked(tree):
    tables = read(cohort(tree), [*LABELS, "malignant"])
    labels = tables.labels.set_index("image_id")
    assert list(labels.columns) == LABELS
    assert labels.loc[TEST].tolist() == [1, 1, 0, 0, 1]
    masked = labels.loc["patient64742_study1_view1_frontal"]
    assert masked.tolist()[:3] == [0, 1, 1] and masked[["Pneumonia", "Support Devices"]].isna().all()
    assert labels.loc["patient64743_study2_view1_frontal"].tolist() == [1, 0, 0, 0, 0]  # its first row
    assert tables.notes["labels_masked_as_uncertain_or_blank"] == 2


def test_each_contour_is_an_roi_and_a_mask_stands_in(tree):
    rois = read(cohort(tree), LABELS).rois
    assert rois[["roi_id", "label", "kind"]].to_numpy().tolist() == [
        [f"{TEST}_1", "Cardiomegaly", "polygon"],
        [f"{TEST}_2", "Cardiomegaly", "polygon"],
        [f"{TEST}_3", "Lung Opacity", "polygon"],
        ["patient64742_study1_view1_frontal_1", "Lung Opacity", "polygon"],
        [f"{TEST}_4", "Support Devices", "rle"],
        ["patient64742_study1_view1_frontal_2", "Pleural Effusion", "rle"],
    ]
    assert json.loads(rois["polygon"][0]) == TRIANGLE and json.loads(rois["polygon"][2]) == SQUARE
    mask = RunLengths.from_coco(json.loads(rois["polygon"][4])).mask()
    assert mask.shape == (60, 50) and mask.sum() == 1499 and not mask[25, 25] and mask[15, 25]


def test_every_record_left_out_has_its_reason(tree):
    tables = read(cohort(tree), LABELS)
    rejected = sorted((row.record, row.reason) for row in tables.rejected.itertuples())
    lateral = "patient64741_study1_view2_lateral"
    assert rejected == sorted(
        [
            ("../test/patient64746/study1/view1_frontal.jpg", "path in test_labels.csv is refused"),
            ("/etc/patient64747/study1/view1_frontal.jpg", "path in test_labels.csv is refused"),
            ("test/patient64748/view1_frontal.jpg", "path in test_labels.csv is not CheXpert's"),
            ("patient64743_study2_view1_frontal", "second row of an image"),
            (lateral, "view is not one of options.views"),
            ("patient64744_study1_view1_frontal", "image file is missing"),
            ("patient64745_study1_view1_frontal", "label is not 1, 0, -1 or blank"),
            (TEST, "outline of a finding that is no CheXpert label"),
            (lateral, "outline on an image that was left out"),
            (TEST, "outline of fewer than three points"),
            (TEST, "outline outside its image"),
            (TEST, "outline that is no list of points"),
            (TEST, "outline that is no list of points"),
            (TEST, "outline that is no list of contours"),
            ("patient64742_study1_view1_frontal", "outline: run lengths do not fit the size of their mask"),
            (TEST, "outline of a finding that its image's label denies"),
        ]
    )
    assert tables.notes["outlines_of_other_labels"] == 1
    # Cardiomegaly of 64743; nobody outlined pneumonia, so it does not count.
    assert tables.notes["positive_labels_without_outline"] == 1


def test_lateral_images_and_the_validation_set_may_be_taken(tree):
    chosen = {"sets": ["val", "test"], "views": ["frontal", "lateral"]}
    tables = read(cohort(tree, options=chosen), LABELS)
    views = tables.images.set_index("image_id")["view"]
    assert (
        views["patient64541_study1_view1_frontal"] == "AP" and views["patient64541_study1_view2_lateral"] == "lateral"
    )
    paths = tables.images.set_index("image_id")["path"]
    assert paths["patient64541_study1_view1_frontal"] == "val/patient64541/study1/view1_frontal.jpg"
    assert set(tables.images["split"]) == {"test"} and len(tables.images) == 6
    labels = tables.labels.set_index("image_id")["Support Devices"]
    assert np.isnan(labels["patient64541_study1_view1_frontal"]) and labels[TEST] == 1
    assert "patient64741_study1_view2_lateral_1" in set(tables.rois["roi_id"])


def test_a_chexpert_download_does_for_the_validation_set(tree, tmp_path_factory):
    small = tmp_path_factory.mktemp("download") / "CheXpert-v1.0-small"
    (tree / "CheXpert").rename(small)
    (small / "val_labels.csv").rename(small / "valid.csv")
    (small / "val").rename(small / "valid")
    chosen = {"folders": {"chexpert": small}, "options": {"sets": ["val"]}}
    tables = read(cohort(tree, **chosen), LABELS)
    assert tables.images["path"].tolist() == ["valid/patient64541/study1/view1_frontal.jpg"]
    assert tables.image_root == small and len(tables.rois) == 1
    assert all(need.found for need in needs(cohort(tree, **chosen)))


def test_masks_alone_or_contours_alone_will_do(tree):
    folder = tree / "CheXlocalize"
    (folder / "gt_segmentations_test.json").unlink()
    assert set(read(cohort(tree), LABELS).rois["kind"]) == {"polygon"}
    (folder / "gt_annotations_test.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"neither gt_annotations_test\.json nor gt_segmentations_test\.json"):
        read(cohort(tree), LABELS)
    masks = {TEST: {"Lung Opacity": {"size": [60, 50], "counts": FRAME}, "Cardiomegaly": EMPTY}}
    write(folder / "gt_segmentations_test.json", json.dumps(masks))
    rois = read(cohort(tree), LABELS).rois
    assert rois[["label", "kind"]].to_numpy().tolist() == [["Lung Opacity", "rle"]]


def test_a_linked_image_that_leaves_the_root_is_refused(tree, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "picture.jpg"
    outside.touch()
    for image in ("test/patient64743/study2/view1_frontal.jpg", "val/patient64541/study1/view1_frontal.jpg"):
        (tree / "CheXpert" / image).unlink()
        (tree / "CheXpert" / image).symlink_to(outside)
    rejected = read(cohort(tree, options={"sets": ["val", "test"]}), LABELS).rejected
    reasons = rejected.set_index("record")["reason"]
    assert set(reasons["test/patient64743/study2/view1_frontal.jpg"]) == {"path in test_labels.csv is refused"}
    # The path of the validation set's table is not that of its image, which is found out when the files are listed.
    assert reasons["patient64541_study1_view1_frontal"].tolist()[0] == "image file is missing"


def test_a_survey_reads_the_same(tree):
    tables, surveyed = read(cohort(tree), LABELS), read(cohort(tree), LABELS, survey=True)
    for name in ("images", "labels", "rois", "rejected"):
        pd.testing.assert_frame_equal(getattr(tables, name), getattr(surveyed, name))


def test_without_images_the_files_are_not_looked_for(tree):
    images = read(cohort(tree, images=False), LABELS).images
    assert set(images["path"]) == {""} and "patient64744_study1_view1_frontal" in set(images["image_id"])


def test_what_is_needed(tree):
    assert is_restricted(cohort(tree))
    found = {need.path.name: need.found for need in needs(cohort(tree))}
    assert found == {"test_labels.csv": True, "test": True, "gt_*_test.json": True}
    empty = cohort(tree / "nowhere", options={"sets": ["val", "test"]})
    assert len(needs(empty)) == 6 and not any(need.found for need in needs(empty))
    assert all("aimi.stanford.edu" in need.source for need in needs(empty))


def test_mistakes_are_named(tree):
    with pytest.raises(ChoiceError, match="options.sets: train; known are val, test"):
        read(cohort(tree, options={"sets": ["train"]}), LABELS)
    with pytest.raises(ChoiceError, match="options.views: oblique; known are frontal, lateral"):
        read(cohort(tree, options={"views": ["oblique"]}), LABELS)
    with pytest.raises(ChoiceError, match="unknown folders: masks; known are chexpert, outlines"):
        read(cohort(tree, folders={"masks": tree}), LABELS)
    write(tree / "CheXlocalize/gt_annotations_test.json", "{")
    with pytest.raises(TableFileError, match=r"gt_annotations_test\.json: not a readable JSON file"):
        read(cohort(tree), LABELS)
    write(tree / "CheXlocalize/gt_annotations_test.json", "[1]")
    with pytest.raises(TableFileError, match="not a file of CheXlocalize"):
        read(cohort(tree), LABELS)
    for image in (tree / "CheXpert/test").rglob("*.jpg"):
        image.unlink()
    with pytest.raises(FileNotFoundError, match="holds none of the 5 images"):
        read(cohort(tree), LABELS)
    (tree / "CheXpert/test_labels.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"test_labels\.csv: no such file; CheXlocalize is at https"):
        read(cohort(tree), LABELS)
