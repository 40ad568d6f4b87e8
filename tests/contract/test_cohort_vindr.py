"""VinDr-CXR and VinDr-Mammo: small fabricated trees with the dirt of the real ones, and the phantoms."""

import numpy as np
import pytest

from mmpkd.cohorts.base import ChoiceError
from mmpkd.cohorts.paths import TableFileError
from mmpkd.config.cohorts import Cohort, Phantom
from mmpkd.phantom.write import write_tree
from tests import cohorts

CXR_LABELS = ["Cardiomegaly", "Fracture", "Pleural Effusion"]
MAMMO_LABELS = ["malignant", "mass", "calcification"]
CXR_HEADER = "Cardiomegaly,Clavicle fracture,Rib fracture,Pleural effusion,Infiltration,No finding"
BOX_HEADER = "class_name,x_min,y_min,x_max,y_max"


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def chest(tmp_path):
    notes = tmp_path / "annotations"
    write(
        notes / "image_labels_test.csv",
        f"image_id,{CXR_HEADER}",
        "t1,1,0,1,0,1,0",
        "t2,0,0,0,1,0,0",
        "t3,0,0,0,0,0,1",  # no file
        "t4,0,0,,0,0,1",
        "../t5,0,0,0,0,0,1",
    )
    write(
        notes / "annotations_test.csv",
        f"image_id,{BOX_HEADER}",
        "t1,Cardiomegaly,-5,10.5,90,80",
        "t1,Rib fracture,10,10,20,20",
        "t1,Infiltration,10,10,20,20",
        "t2,Pleural effusion,30,30,30,40",  # no area
        "t2,Cardiomegaly,10,10,20,20",  # not a label of the image
        "t3,No finding,,,,",
        "t3,Cardiomegaly,10,10,20,20",
    )
    write(
        notes / "image_labels_train.csv",
        f"image_id,rad_ID,{CXR_HEADER}",
        *(f"r1,R{number},{value},0,0,0,0,0" for number, value in ((1, 1), (2, 1), (3, 0))),
        *(f"r2,R{number},{value},0,0,0,0,0" for number, value in ((1, 1), (2, 0), (3, 0))),
    )
    write(
        notes / "annotations_train.csv",
        f"image_id,rad_id,{BOX_HEADER}",
        "r1,R1,Cardiomegaly,1,2,3,4",
        "r1,R2,Cardiomegaly,2,2,3,4",
        "r2,R1,Cardiomegaly,1,2,3,4",
    )
    for image in ("test/t1", "test/t2", "test/t4", "train/r1", "train/r2"):
        write(tmp_path / f"{image}.dicom")
    return tmp_path


def read_chest(root, **further):
    return cohorts.read(Cohort(adapter="vindr_cxr", root=root, **further), [*CXR_LABELS, "Support Devices"])


def test_the_test_set_of_the_chest_tree(chest):
    tables = read_chest(chest)
    assert tables.images[["image_id", "patient_id", "split", "path"]].to_numpy().tolist() == [
        ["t1", "t1", "test", "test/t1.dicom"],
        ["t2", "t2", "test", "test/t2.dicom"],
    ]
    assert tables.images["rows"].isna().all()
    assert tables.labels.to_numpy().tolist() == [["t1", 1, 1, 0], ["t2", 0, 0, 1]]
    assert tables.label_names == CXR_LABELS and len(tables.privileged) == 0
    assert tables.rois[["roi_id", "label", "x0", "y0", "x1", "y1"]].to_numpy().tolist() == [
        ["t1_1", "Cardiomegaly", 0, 10.5, 90, 80],
        ["t1_2", "Fracture", 10, 10, 20, 20],
    ]
    assert tables.notes == {"boxes_outvoted_by_the_image_label": 1, "images_of_official_train_set_left_out": 2}
    assert {(row.record, row.reason) for row in tables.rejected.itertuples()} == {
        ("../t5", "malformed identifier in image_labels_test.csv"),
        ("t4", "label in image_labels_test.csv is neither 0 nor 1"),
        ("t3", "image file is missing"),
        ("t3", "box on an image that was left out"),
        ("t2", "box without area inside its image"),
    }


def test_the_training_set_of_the_chest_tree_is_read_by_majority(chest):
    tables = read_chest(chest, options={"splits": ["train"]})
    assert set(tables.images["split"]) == {"test"}  # an external cohort is evaluated whole
    assert tables.labels.to_numpy().tolist() == [["r1", 1, 0, 0], ["r2", 0, 0, 0]]
    assert tables.rois["image_id"].tolist() == ["r1", "r1"] and tables.notes["boxes_outvoted_by_the_image_label"] == 1
    assert len(read_chest(chest, options={"splits": ["train", "test"]}).images) == 4


def test_the_chest_tree_without_images(chest):
    tables = read_chest(chest, images=False)
    assert tables.images["image_id"].tolist() == ["t1", "t2", "t3"] and set(tables.images["path"]) == {""}


def test_needs_of_the_chest_tree_name_what_is_missing(chest):
    wanted = cohorts.needs(Cohort(adapter="vindr_cxr", root=chest, options={"splits": ["train", "test"]}))
    assert [need.path.relative_to(chest).as_posix() for need in wanted] == [
        "annotations/image_labels_train.csv",
        "annotations/annotations_train.csv",
        "train",
        "annotations/image_labels_test.csv",
        "annotations/annotations_test.csv",
        "test",
    ]
    assert all(need.found and need.required for need in wanted)
    elsewhere = Cohort(adapter="vindr_cxr", root=chest / "none", images=False)
    assert cohorts.is_restricted(elsewhere)
    elsewhere = cohorts.needs(elsewhere)
    assert len(elsewhere) == 2 and not any(need.found for need in elsewhere)


def test_mistakes_about_the_chest_tree_are_named(chest):
    with pytest.raises(ChoiceError, match=r"options\.splits: validate; known are train, test"):
        read_chest(chest, options={"splits": ["validate"]})
    with pytest.raises(ChoiceError, match="unknown folders: tables; known are annotations"):
        read_chest(chest, folders={"tables": chest})
    for image in (chest / "test").iterdir():
        image.unlink()
    with pytest.raises(FileNotFoundError, match="holds none of the 3 images of the tables; VinDr-CXR is at https"):
        read_chest(chest)
    labels = chest / "annotations" / "image_labels_test.csv"
    labels.write_text(labels.read_text().replace("Pleural effusion", "Effusion"))
    with pytest.raises(TableFileError, match=r"image_labels_test\.csv: column.s. pleural_effusion missing"):
        read_chest(chest)


@pytest.fixture
def breast(tmp_path):
    start = "study_id,series_id,image_id,laterality,view_position,height,width,breast_birads,breast_density"
    common = {
        "i1": "s1,x,i1,L,CC,300,200,BI-RADS 4,DENSITY C",
        "i2": "s1,x,i2,R,MLO,300,200,BI-RADS 1,DENSITY C",
        "i3": "s2,x,i3,L,CC,300,200,BI-RADS 4,DENSITY B",
        "i4": "s2,x,i4,L,MLO,300,200,BI-RADS 4,DENSITY B",  # no file
        "i5": "s3,x,i5,L,CC,300,200,BI-RADS 4,DENSITY B",  # training
        "i6": "s4,x,i6,L,CC,300,200,BI-RADS 4,DENSITY B",  # no such split
    }
    split = {image: "test" for image in common} | {"i5": "training", "i6": "validation"}
    images = [f"{row},{split[image]}" for image, row in common.items()]
    write(tmp_path / "breast-level_annotations.csv", f"{start},split", *images, f"{common['i1']},test")
    findings = [
        ("i1", "\"['Mass', 'Suspicious Calcification']\",BI-RADS 4,-10,20,50.5,60"),
        ("i1", "\"['Mass']\",BI-RADS 3,190,290,210,310"),
        ("i1", "\"['Skin Thickening']\",BI-RADS 3,10,10,20,20"),
        ("i2", "\"['No Finding']\",,,,,"),
        ("i3", "Mass,BI-RADS 3,10,10,20,20"),  # no list
        ("i4", "\"['Mass']\",BI-RADS 3,10,10,20,20"),
        ("i5", "\"['Mass']\",BI-RADS 3,10,10,20,20"),
    ]
    write(
        tmp_path / "finding_annotations.csv",
        f"{start},finding_categories,finding_birads,xmin,ymin,xmax,ymax,split",
        *(f"{common[image]},{rest},{split[image]}" for image, rest in findings),
    )
    for image in ("s1/i1", "s1/i2", "s2/i3", "s3/i5"):
        write(tmp_path / "images" / f"{image}.dicom")
    return tmp_path


def read_breast(root, **further):
    return cohorts.read(Cohort(adapter="vindr_mammo", root=root, **further), MAMMO_LABELS)


def test_the_breast_tree(breast):
    tables = read_breast(breast)
    columns = ["image_id", "patient_id", "split", "path", "view", "laterality", "rows", "columns"]
    assert tables.images[columns].to_numpy().tolist() == [
        ["i1", "s1", "test", "images/s1/i1.dicom", "CC", "LEFT", 300, 200],
        ["i2", "s1", "test", "images/s1/i2.dicom", "MLO", "RIGHT", 300, 200],
        ["i3", "s2", "test", "images/s2/i3.dicom", "CC", "LEFT", 300, 200],
    ]
    assert tables.label_names == ["mass", "calcification"]
    labels = tables.labels.set_index("image_id")
    assert labels.loc[["i1", "i2"]].to_numpy().tolist() == [[1, 1], [0, 0]]
    assert np.isnan(labels.loc["i3"]).all()  # its finding cannot be read, so nothing is known of it
    assert tables.rois[["image_id", "label", "x0", "y0", "x1", "y1"]].to_numpy().tolist() == [
        ["i1", "mass", 0, 20, 50.5, 60],
        ["i1", "calcification", 0, 20, 50.5, 60],
        ["i1", "mass", 190, 290, 200, 300],
    ]
    assert tables.notes == {"images_of_official_training_set_left_out": 1}
    assert {(row.record, row.reason) for row in tables.rejected.itertuples()} == {
        ("i6", "split is neither training nor test"),
        ("i1", "second row of an image"),
        ("i4", "image file is missing"),
        ("i3", "finding_categories is no list of names"),
        ("i4", "finding on an image that was left out"),
    }


def test_both_sets_of_the_breast_tree(breast):
    tables = read_breast(breast, options={"splits": ["training", "test"]})
    assert tables.images["image_id"].tolist() == ["i1", "i2", "i3", "i5"] and tables.notes == {}
    assert len(read_breast(breast, images=False).images) == 4


def test_mistakes_about_the_breast_tree_are_named(breast):
    with pytest.raises(ChoiceError, match=r"options\.splits: train; known are training, test"):
        read_breast(breast, options={"splits": ["train"]})
    with pytest.raises(ChoiceError, match="unknown options: split; known are splits"):
        read_breast(breast, options={"split": ["test"]})
    (breast / "finding_annotations.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"finding_annotations\.csv: no such file; VinDr-Mammo is at https"):
        read_breast(breast)


def test_what_the_breast_tree_needs(breast):
    cohort = Cohort(adapter="vindr_mammo", root=breast)
    names = ["breast-level_annotations.csv", "finding_annotations.csv", "images"]
    assert cohorts.is_restricted(cohort) and [need.path.name for need in cohorts.needs(cohort)] == names
    assert all(need.found and need.required for need in cohorts.needs(cohort))
    elsewhere = Cohort(adapter="vindr_mammo", root=breast, folders={"tables": breast / "other"}, images=False)
    assert [need.found for need in cohorts.needs(elsewhere)] == [False, False]
    surveyed = cohorts.read(cohort, MAMMO_LABELS, survey=True)
    assert surveyed.images.equals(read_breast(breast).images) and surveyed.rois.equals(read_breast(breast).rois)


@pytest.mark.parametrize(
    ("adapter", "labels"), [("vindr_cxr", ["Atelectasis", *CXR_LABELS]), ("vindr_mammo", MAMMO_LABELS)]
)
def test_the_phantoms_are_read_as_they_were_drawn(tmp_path, adapter, labels):
    truth = write_tree(adapter, Phantom(patients=25, seed=11), tmp_path)
    tables = cohorts.read(Cohort(adapter=adapter, root=tmp_path), labels)
    assert set(tables.images["image_id"]) < set(truth["image_id"])  # the training set is left out
    assert tables.images["path"].map(lambda path: (tmp_path / path).is_file()).all() and len(tables.rejected) == 0
    drawn = truth.pivot(index="image_id", columns="label", values="present").loc[tables.images["image_id"]]
    both = [label for label in tables.label_names if label in drawn]
    assert len(both) >= 2
    assert (tables.labels[both].to_numpy() == drawn[both].to_numpy(dtype=float)).all()
    boxes = tables.rois.merge(truth, on=["image_id", "label"], suffixes=("", "_drawn"))
    assert len(boxes) == len(tables.rois) > 5 and boxes["present"].all()
    for low, high in (("x0", "x1"), ("y0", "y1")):
        middle = (boxes[low] + boxes[high]) / 2
        assert middle.between(boxes[f"{low}_drawn"] - 2, boxes[f"{high}_drawn"] + 2).all()
