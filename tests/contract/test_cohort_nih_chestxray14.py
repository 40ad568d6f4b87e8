"""NIH ChestX-ray14: a small fabricated tree with the dirt of the real one, and the real table of boxes."""

import csv
import gzip
import shutil
from pathlib import Path

import pandas as pd
import pytest

from mmpkd.cohorts.base import ChoiceError
from mmpkd.cohorts.listing import MissingFilesError
from mmpkd.cohorts.paths import TableFileError
from mmpkd.config.cohorts import Cohort
from tests import cohorts

LABELS = ["Atelectasis", "Cardiomegaly", "Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion"]
COLUMNS = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
HEADER = COLUMNS + "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"  # of 2017: a comma more
HEADER_2020 = COLUMNS.replace("Gender", "Sex") + "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
# image: findings, patient column, view
IMAGES = {
    "00000001_000": ("Cardiomegaly|Effusion", "1", "PA"),
    "00000001_001": ("No Finding", "1", "AP"),  # in the official test set
    "00000002_000": ("Infiltration|Mass|Pleural_Thickening", "2", ""),
    "00000003_000": ("Emphysema", "3", "PA"),  # boxed as a nodule
    "00000004_000": ("Atelectasis", "4", "PA"),  # boxed, no file; in the official test set
    "00000005_000": ("Atelectasis|Bones", "5", "PA"),
    "00000006_000": ("Atelectasis", "7", "PA"),
}
BOXES = [
    "00000001_000.png,Cardiomegaly,100.5,-10.25,1000,700.75",  # over two edges
    "00000001_000.png,Cardiomegaly,100.5,-10.25,1000,700.75",
    "00000001_000.png,Effusion,600,800,0,50",  # no area
    "00000002_000.png,Infiltrate,10,20,30,40",
    "00000003_000.png,Nodule,10,20,30,40",
    "00000004_000.png,Atelectasis,10,20,30,40",
    "00000009_000.png,Mass,10,20,30,40",  # no such image
    "00000001_000.png,Bones,10,20,30,40",
]
REAL = Path(__file__).parents[3] / "shared" / "data" / "nih_chestxray14" / "BBox_List_2017.csv.gz"


def entries(images, comma=","):
    return [
        f"{name}.png,{row[0]},0,{row[1]},58,M,{row[2]},2682,2749,0.143,0.143{comma}" for name, row in images.items()
    ]


@pytest.fixture
def tree(tmp_path):
    rows = entries(IMAGES)
    table = [HEADER, *rows, rows[0], "../../1.png,No Finding,0,1,58,M,PA,2682,2749,0.143,0.143,"]
    (tmp_path / "Data_Entry_2017.csv").write_text("\n".join(table) + "\n")
    (tmp_path / "BBox_List_2017.csv").write_text("\n".join(["Image Index,Finding Label,Bbox [x,y,w,h],,,", *BOXES]))
    (tmp_path / "test_list.txt").write_text("00000001_001.png\n00000004_000.png\n")
    for place in ("images_001/images/00000001_000", "images_001/images/00000001_001", "images_012/images/00000002_000"):
        picture = tmp_path / f"{place}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.touch()
    (tmp_path / "images" / "00000003_000.png").parent.mkdir()
    (tmp_path / "images" / "00000003_000.png").touch()
    return tmp_path


def read(root, labels=LABELS, **further):
    return cohorts.read(Cohort(adapter="nih_chestxray14", root=root, **further), labels)


def test_the_boxed_images(tree):
    tables = read(tree)
    columns = ["image_id", "patient_id", "study_id", "split", "path", "view", "rows", "columns"]
    assert tables.images[columns].to_numpy().tolist() == [
        [name, name[:8], name, "test", f"{place}/{name}.png", view, 1024, 1024]
        for name, place, view in (
            ("00000001_000", "images_001/images", "PA"),
            ("00000002_000", "images_012/images", "frontal"),
            ("00000003_000", "images", "PA"),
        )
    ]
    assert tables.label_names == ["Atelectasis", "Cardiomegaly", "Lung Lesion", "No Finding", "Pleural Effusion"]
    assert tables.labels.drop(columns="image_id").to_numpy().tolist() == [
        [0, 1, 0, 0, 1],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 0, 0],  # by its box
    ]
    assert tables.rois[["roi_id", "label", "x0", "y0", "x1", "y1"]].to_numpy().tolist() == [
        ["00000001_000_1", "Cardiomegaly", 100.5, 0, 1024, 690.5],
        ["00000003_000_1", "Lung Lesion", 10, 20, 40, 60],
    ]
    assert len(tables.privileged) == 0
    assert tables.notes == {
        "images_not_in_the_chosen_sets": 1,
        "boxed_images_in_the_official_test_set": 1,
        "labels_present_by_a_box_alone": 1,
        "boxes_of_other_labels": 1,
    }
    assert {(row.record, row.reason) for row in tables.rejected.itertuples()} == {
        ("../../1.png", "malformed name of an image in the table of images"),
        ("00000001_000", "second row of an image"),
        ("00000006_000", "patient is not that of its name"),
        ("00000005_000", "finding that ChestX-ray14 does not know"),
        ("00000001_000.png", "box of a finding that ChestX-ray14 does not know"),
        ("00000009_000", "box on an image that the table lacks"),
        ("00000004_000", "image file is missing"),
        ("00000004_000", "box on an image that was left out"),
        ("00000001_000", "box without area inside its image"),
    }


def test_the_official_test_set_and_the_union(tree):
    tables = read(tree, options={"sets": ["test"]})
    assert tables.images["image_id"].tolist() == ["00000001_001"] and len(tables.rois) == 0
    assert tables.labels.drop(columns="image_id").to_numpy().tolist() == [[0, 0, 0, 1, 0]]
    assert tables.images["view"].tolist() == ["AP"]
    assert len(read(tree, options={"sets": ["boxed", "test"]}).images) == 4
    assert len(read(tree, options={"sets": ["boxed", "test"]}, images=False).images) == 5


def test_a_part_of_the_images_is_enough_if_the_options_say_so(tree):
    """Missing images are then like those of other sets: counted, with their boxes, and no fault."""
    faults = {"image file is missing", "box on an image that was left out"}
    assert faults < set(read(tree).rejected["reason"])
    tables = read(tree, options={"partial_download": True})
    assert tables.images["image_id"].tolist() == ["00000001_000", "00000002_000", "00000003_000"]
    assert not faults & set(tables.rejected["reason"]) and tables.notes["images_not_downloaded"] == 1
    shutil.rmtree(tree / "images_001")
    shutil.rmtree(tree / "images_012")
    (tree / "images" / "00000003_000.png").unlink()
    with pytest.raises(MissingFilesError, match="holds none of the 4 images of the tables"):
        read(tree, options={"partial_download": True})


def test_infiltration_as_lung_opacity_is_a_choice(tree):
    tables = read(tree, options={"infiltration_is_lung_opacity": True})
    assert tables.labels["Lung Opacity"].tolist() == [0, 1, 0]
    assert tables.rois.set_index("label").loc["Lung Opacity", ["image_id", "x0", "y1"]].tolist() == [
        "00000002_000",
        10,
        60,
    ]


@pytest.mark.parametrize("header", [HEADER, HEADER_2020, COLUMNS + '"OriginalImage[Width,Height]",x'])
def test_the_headers_of_the_table_of_images(tree, header):
    comma = "," if header.endswith(",") else ""
    (tree / "Data_Entry_2017_v2020.csv").write_text("\n".join([header, *entries(IMAGES, comma)]) + "\n")
    (tree / "Data_Entry_2017.csv").write_text("the later table is read\n")
    assert read(tree).images["image_id"].tolist() == ["00000001_000", "00000002_000", "00000003_000"]


def test_needs_name_what_is_missing(tree, tmp_path):
    cohort = Cohort(adapter="nih_chestxray14", root=tree, options={"sets": ["boxed", "test"]})
    wanted = cohorts.needs(cohort)
    assert [need.path.name for need in wanted] == [
        "Data_Entry_2017*.csv*",
        "BBox_List_2017*.csv*",
        "test_list.txt",
        tree.name,
    ]
    assert all(need.found and need.required for need in wanted) and not cohorts.is_restricted(cohort)
    elsewhere = cohorts.needs(Cohort(adapter="nih_chestxray14", root=tmp_path / "none", images=False))
    assert len(elsewhere) == 2 and not any(need.found for need in elsewhere)


def test_mistakes_are_named(tree):
    with pytest.raises(ChoiceError, match=r"options\.sets: train; known are boxed, test"):
        read(tree, options={"sets": ["train"]})
    with pytest.raises(FileNotFoundError, match=r"images: holds none of the 4 images of the tables"):
        shutil.rmtree(tree / "images")
        (tree / "images").mkdir()
        read(tree, folders={"images": tree / "images"})
    (tree / "test_list.txt").write_text("<html>")
    with pytest.raises(TableFileError, match=r"test_list\.txt: not a list of image names"):
        read(tree)
    (tree / "test_list.txt").unlink()
    assert read(tree).notes["boxed_images_in_the_official_test_set"] == 0
    with pytest.raises(FileNotFoundError, match=r"test_list\.txt: no such file; ChestX-ray14 is at https"):
        read(tree, options={"sets": ["test"]})
    (tree / "BBox_List_2017.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"BBox_List_2017\.csv: no such file"):
        read(tree)


@pytest.mark.skipif(not REAL.is_file(), reason=f"{REAL} is absent")
def test_every_row_of_the_real_table_of_boxes(tmp_path):
    """Each of the 984 rows becomes the box that it states, on the image that it names; 123 mean no CheXpert label."""
    with gzip.open(REAL, "rt", newline="") as stream:
        rows = list(csv.reader(stream))[1:]
    assert len(rows) == 984
    shutil.copy(REAL, tmp_path)
    findings = {}
    for name, finding, *_ in rows:
        findings.setdefault(name.removesuffix(".png"), []).append(finding.replace("Infiltrate", "Infiltration"))
    images = {name: ("|".join(there), str(int(name[:8])), "PA") for name, there in findings.items()}
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text("\n".join([HEADER_2020, *entries(images, "")]) + "\n")
    expected = {
        "Atelectasis": "Atelectasis",
        "Cardiomegaly": "Cardiomegaly",
        "Effusion": "Pleural Effusion",
        "Infiltrate": "Lung Opacity",
        "Mass": "Lung Lesion",
        "Nodule": "Lung Lesion",
        "Pneumonia": "Pneumonia",
        "Pneumothorax": "Pneumothorax",
    }
    labels = sorted(set(expected.values()))
    tables = read(tmp_path, labels, images=False, options={"infiltration_is_lung_opacity": True})
    assert len(tables.images) == 880 and tables.images["patient_id"].nunique() == 726 and len(tables.rejected) == 0
    drawn = pd.DataFrame(
        [
            (name.removesuffix(".png"), expected[finding], float(x), float(y), float(x) + float(w), float(y) + float(h))
            for name, finding, x, y, w, h in rows
        ],
        columns=["image_id", "label", "x0", "y0", "x1", "y1"],
    )
    pd.testing.assert_frame_equal(tables.rois[list(drawn)], drawn, check_dtype=False)
    assert tables.notes["labels_present_by_a_box_alone"] == 0
    default = read(tmp_path, labels, images=False)
    assert len(default.rois) == 861 and default.notes["boxes_of_other_labels"] == 123
