"""Own images: a small tree with every form of labels, regions and privileged data, and every kind of misuse."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from mmpkd.check.cohorts import examine
from mmpkd.check.judge import NO_PATIENT
from mmpkd.cohorts.base import ChoiceError
from mmpkd.cohorts.datasets.own.sheet import rows_text
from mmpkd.cohorts.paths import TableFileError
from mmpkd.cohorts.tables import Fields
from mmpkd.config.cohorts import Cohort
from mmpkd.config.imaging import Imaging
from mmpkd.imaging.shards import write_shard
from mmpkd.imaging.store import roi_masks
from mmpkd.privileged.records import build
from tests import cohorts

LABELS = ["malignant", "mass"]
ROWS, COLUMNS = 40, 60
IMAGES = """Path,Image ID,PATIENT,study,Split,view,laterality,Mass,age,sex,report
f1.png,f1,A,A1,train,cc,L,1,61,F,FINDINGS: A mass.
f2.png,f2,A,A1,,mlo,L,0,61,F,
f3.png,f3,B,B1,validation,cc,R,1,47,M,Nothing to see.
f4.tif,f4,C,C1,test,cc,R,,70,F,
f5.png,f5,,,TEST,,,0.0,,,Quiet.
f6.png,f6,D,D1,,cc,R,1,55,m,Opaque.
"""
REGIONS = """image,label,x0,y0,x1,y1,x,y,width,height,radius,polygon,mask
f1,mass,10,20,30,40,,,,,,,
f1.png,MASS,,,,,10,20,5,6,,,
f3,mass,,,,,30,20,,,8,,
f3,malignant,,,,,,,,,,"[[1, 2], [11, 2], [11, 12]]",
f4,mass,,,,,,,,,,,whole.png
f4,mass,,,,,20,10,,,,,part.png
f2,cyst,1,2,3,4,,,,,,,
"""
RUNS = {"size": [ROWS, COLUMNS], "counts": [0, 40 * 60 // 2, 40 * 60 // 2]}  # the left half
COCO = {
    "images": [{"id": 1, "file_name": "f5.png", "height": ROWS, "width": COLUMNS}, {"id": 2, "file_name": "f6.png"}],
    "categories": [{"id": 7, "name": "Mass"}],
    "annotations": [
        {"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4], "segmentation": []},
        {"image_id": 1, "category_id": 7, "segmentation": [[0, 0, 9, 0, 9, 9], [20, 20, 30, 20, 30, 30]]},
        {"image_id": 2, "category_id": 7, "segmentation": RUNS},
    ],
}


def grey(rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    return np.arange(rows * columns, dtype=np.uint16).reshape(rows, columns).astype(np.uint8)


@pytest.fixture
def tree(tmp_path):
    for name in ("f1.png", "f2.PNG", "f3.png", "f4.tif", "f5.png", "f6.png"):
        Image.fromarray(grey()).save(tmp_path / name)
    whole = np.zeros((ROWS, COLUMNS), np.uint8)
    whole[10:20, 20:40] = np.where(grey(10, 20) % 2, 255, 0)
    Image.fromarray(whole).save(tmp_path / "whole.png")
    Image.fromarray(whole[10:20, 20:40]).save(tmp_path / "part.png")
    (tmp_path / "masks/mass").mkdir(parents=True)
    for name in ("f6.png", "f6_2.png"):
        Image.fromarray(whole).save(tmp_path / "masks/mass" / name)
    (tmp_path / "images.csv").write_text(IMAGES)
    (tmp_path / "labels.csv").write_text("image;Malignant\nf1;1\nf3.png;0\nf6;\n")
    (tmp_path / "rois.csv").write_text(REGIONS)
    (tmp_path / "annotations.json").write_text(json.dumps(COCO))
    (tmp_path / "records.csv").write_text("study,report\nA1,From the table.\nB1,Clear.\n")
    return tmp_path


def read(root, labels=LABELS, survey=False, **further):
    return cohorts.read(Cohort(adapter="own", root=root, **further), labels, survey=survey)


def edit(path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_tables_of_images_and_labels(tree):
    tables = read(tree)
    columns = ["image_id", "patient_id", "study_id", "path", "view", "laterality"]
    assert tables.images[columns].to_numpy().tolist() == [
        ["f1", "A", "A1", "f1.png", "CC", "LEFT"],
        ["f2", "A", "A1", "f2.PNG", "MLO", "LEFT"],
        ["f3", "B", "B1", "f3.png", "CC", "RIGHT"],
        ["f4", "C", "C1", "f4.tif", "CC", "RIGHT"],
        ["f5", "f5", "f5", "f5.png", "", ""],
        ["f6", "D", "D1", "f6.png", "CC", "RIGHT"],
    ]
    assert tables.images["split"].tolist()[:5] == ["train", "train", "validate", "test", "test"]
    assert tables.label_names == LABELS
    assert tables.labels.fillna(-1)[LABELS].to_numpy().T.tolist() == [[1, -1, 0, -1, -1, -1], [1, 0, 1, -1, 0, 1]]
    assert tables.notes == {
        "images_without_a_study_whose_image_counts_as_one": 1,
        "images_without_a_patient_whose_study_counts_as_one": 1,
        "patients_divided_by_a_hash": 1,
        "regions_of_other_labels": 1,
        "studies_without_a_text": 3,
    }
    assert tables.rejected.empty


def test_tables_without_a_row_are_empty(tmp_path):
    for name, header in {
        "images.csv": "path,mass,report",
        "labels.csv": "image,malignant",
        "rois.csv": "image",
    }.items():
        (tmp_path / name).write_text(f"\ufeff{header}\n", encoding="utf-8")
    tables = read(tmp_path)
    assert tables.label_names == LABELS and tables.kept == 0 and tables.rejected.empty


def test_patients_without_a_split_are_divided_by_the_sha256_of_their_identifier(tmp_path):
    Image.fromarray(grey()).save(tmp_path / "1.png")
    for number in range(2, 41):
        shutil.copy(tmp_path / "1.png", tmp_path / f"{number}.png")
    rows = [f"{number}.png,p{number // 2}" for number in range(1, 41)]
    (tmp_path / "images.csv").write_text("\n".join(["path,patient", *rows]))
    images = read(tmp_path, options={"test_share": 0.3, "validation_share": 0.2}).images
    for patient, split in zip(images["patient_id"], images["split"], strict=True):
        place = int(hashlib.sha256(patient.encode()).hexdigest()[:16], 16) / 2**64
        assert split == ("test" if place < 0.3 else "validate" if place < 0.5 else "train")
    assert set(images["split"]) == {"train", "validate", "test"}


def test_every_form_of_region(tree):
    rois = read(tree).rois
    kinds = ["box", "box", "polygon", "polygon", "mask", "mask", "box", "polygon", "polygon", "rle", "mask", "mask"]
    assert rois["kind"].tolist() == kinds
    assert rois["image_id"].tolist() == ["f1", "f1", "f3", "f3", "f4", "f4", "f5", "f5", "f5", "f6", "f6", "f6"]
    assert rois["label"].tolist() == ["mass"] * 3 + ["malignant"] + ["mass"] * 8
    corners = rois[["x0", "y0", "x1", "y1"]].to_numpy()
    assert corners[[0, 1, 6]].tolist() == [[10, 20, 30, 40], [10, 20, 15, 26], [1, 2, 4, 6]]
    assert np.isnan(corners[4]).all() and corners[5, :2].tolist() == [20, 10] and np.isnan(corners[5, 2:]).all()
    circle = np.array(json.loads(rois["polygon"][2]))
    assert np.allclose(circle.mean(axis=0), [30, 20]) and np.allclose(np.hypot(*(circle - [30, 20]).T), 8)
    assert json.loads(rois["polygon"][3]) == [[1, 2], [11, 2], [11, 12]]
    assert json.loads(rois["polygon"][8]) == [[20, 20], [30, 20], [30, 30]]
    assert json.loads(rois["polygon"][9]) == RUNS
    assert rois["mask_path"].tolist()[-2:] == ["masks/mass/f6.png", "masks/mass/f6_2.png"]


def test_regions_lie_where_they_were_drawn(tree):
    """In a store of 30 pixels per side: half of the image's, with 5 pixels of padding above."""
    tables = read(tree)
    write_shard(tables, Imaging(size=30), 0, 1, tree / "store")
    table, masks = roi_masks([tree / "store"])
    assert len(table) == len(tables.rois) == 12
    y, x = np.nonzero(masks[2])
    assert abs(x.mean() + 0.5 - 15) <= 0.5 and abs(y.mean() + 0.5 - 15) <= 0.5, "the circle about (30, 20)"
    assert masks[2].sum() == pytest.approx(np.pi * 4**2, rel=0.1)
    assert masks[4].any() and np.array_equal(masks[4], masks[5]), "a cropped mask is the whole one"
    assert masks[9][5:25, :15].all() and masks[9].sum() == 20 * 15, "run lengths of the left half"


@pytest.mark.parametrize(("x", "y"), [(-10, 0), (50, 35)])
def test_a_cropped_mask_may_reach_out_of_its_image(tree, x, y):
    (tree / "rois.csv").write_text(f"image,label,x,y,mask\nf4,mass,{x},{y},part.png\n")
    (tree / "annotations.json").unlink()
    shutil.rmtree(tree / "masks")
    write_shard(read(tree), Imaging(size=60), 0, 1, tree / "store")
    _, masks = roi_masks([tree / "store"])
    part = np.zeros((60, 60), bool)
    whole = np.asarray(Image.open(tree / "part.png")) > 0
    seen = whole[:, 10:] if x < 0 else whole[:5, :10]
    top, left = 10 + y, max(x, 0)
    part[top : top + seen.shape[0], left : left + seen.shape[1]] = seen
    assert np.array_equal(masks[0].astype(bool), part)


def test_masks_of_a_column_and_without_a_folder_belong_to_the_only_label(tree):
    (tree / "rois.csv").unlink()
    (tree / "annotations.json").unlink()
    (tree / "images.csv").write_text("path,mask\nf4.tif,whole.png; masks/mass/f6.png\nf6.png,\n")
    (tree / "masks/mass/f6.png").rename(tree / "masks/f6.png")
    (tree / "masks/mass/f6_2.png").rename(tree / "masks/mass/f4_2.png")
    edit(tree / "images.csv", "masks/mass/f6.png", "masks/f6.png")
    tables = read(tree, ["mass"])
    found = sorted(zip(tables.rois["image_id"], tables.rois["mask_path"], strict=True))
    assert found == [("f4", "masks/f6.png"), ("f4", "masks/mass/f4_2.png"), ("f4", "whole.png"), ("f6", "masks/f6.png")]
    several = read(tree)
    assert "column label: is needed, because the study has several" in " ".join(several.rejected["reason"])


# privileged data


def test_texts_of_a_table_and_of_files(tree):
    tables = read(tree)
    assert tables.key_name == "study_id"
    assert tables.privileged[["record_id", "patient_id", "report"]].to_numpy().tolist() == [
        ["A1", "A", "From the table."],
        ["B1", "B", "Clear."],
    ]
    (tree / "records.csv").unlink()
    assert read(tree).privileged["record_id"].tolist() == ["A1", "B1", "f5", "D1"], "the column of images.csv"
    (tree / "reports/a").mkdir(parents=True)
    (tree / "reports/a/C1.TXT").write_bytes("Größe 5 mm".encode("latin-1"))
    (tree / "reports/B1.txt").write_text("Clear.")
    (tree / "reports/other.txt").write_text("Whose?")
    tables = read(tree)
    assert dict(zip(tables.privileged["key"], tables.privileged["report"], strict=True)) == {
        "B1": "Clear.",
        "C1": "Größe 5 mm",
    }
    assert tables.notes["texts_that_are_not_UTF-8_and_were_read_as_Latin-1"] == 1
    assert tables.notes["studies_without_a_text"] == 3 and tables.notes["texts_of_no_study"] == 1
    records = build(tables, "text", LABELS)
    assert records["target_mass"].tolist()[0] == 1


def test_fields_of_the_table_of_images(tree):
    options = {
        "fields": ["Age", "sex"],
        "ordered": {"age": "0 to 65"},
        "applies": {"age": "sex = f"},
    }
    tables = read(tree, options=options)
    assert tables.key_name == "image_id" and tables.privileged["key"].tolist() == ["f1", "f2", "f3", "f4", "f5", "f6"]
    assert tables.fields == Fields({"age": (0.0, 65.0)}, {"age": ("sex", "f")})
    records = build(tables, "tabular", LABELS)
    assert records["age"].fillna(-1).tolist() == [61, 61, 47, -1, -1, 55]
    assert records["sex"].tolist() == ["F", "F", "M", "F", "MISSING", "M"]
    assert records["target_mass"].fillna(-1).tolist() == [1, 0, 1, -1, 0, 1]
    assert "lesions_in_image" not in records


def test_fields_of_a_table_of_patients(tree):
    edit(tree / "images.csv", ",report", ",note")
    (tree / "records.csv").write_text(
        "patient,size,side effects,answer,dose,cycle,mass\n"
        "A,large,X-ray; fever,bad,1.5,,1\nB,small,,good,,yes,0\nD,,none,bad,2,,\n"
    )
    options = {
        "ordered": {"size": "small < medium < large"},
        "applies": {"cycle": "size = small"},
        "withheld": ["answer"],
    }
    tables = read(tree, options=options)
    assert tables.notes["fields_read_as_numbers"] == 2 and tables.notes["fields_read_as_categories"] == 2
    records = build(tables, "tabular", ["mass"])
    assert records["key"].tolist() == ["A1", "B1", "D1"] and tables.key_name == "study_id"
    assert records["size"].fillna(-1).tolist() == [3, 1, -1]
    assert records["side_effects"].tolist() == ["FEVER-X_RAY", "MISSING", "MISSING"]
    assert records["dose"].fillna(-1).tolist() == [1.5, -1, 2]
    assert {"answer", "mass"}.isdisjoint(records), "neither what is withheld nor a label is a field"


# misuse

STOPS = [
    ("images.csv", "Path,", "Pfad,", r"images.csv, row 1: there is no column path among pfad, image, patient"),
    (
        "labels.csv",
        "Malignant",
        "Malignent",
        r"labels.csv, row 1: column malignent is no label of the study, and malig",
    ),
    ("images.csv", "PATIENT", "Patiant", r"images.csv, row 1: column patiant is not read, and there is no column pati"),
    (
        "images.csv",
        "PATIENT",
        "Subject",
        r"column subject is not read, and there is no column patient; rename it to pa",
    ),
    ("images.csv", "Split", "Splitt", r"images.csv, row 1: column splitt is not read, and there is no column split"),
    ("images.csv", "laterality", "Lateralty", r"images.csv, row 1: column lateralty is not read"),
    ("rois.csv", "label,", "lable,", r"rois.csv, row 1: column lable is not read, and there is no column label"),
    ("rois.csv", "polygon", "poligon", r"rois.csv, row 1: column poligon is not read"),
    (
        "records.csv",
        "report",
        "Reprot",
        r"records.csv, row 1: column reprot is not read, and there is no column report",
    ),
    ("labels.csv", "Malignant", "Mass", r"labels.csv, row 1: column mass is in images.csv too"),
    ("images.csv", "sex,report", "age,report", r"images.csv, row 1: column age appears twice"),
    ("images.csv", "f3.png,f3", "f3.png,f1", r"images.csv, row 4, column image: the identifier is in an earlier row"),
    ("images.csv", "f3.png,f3", "f1.png,f3", r"images.csv, row 4, column path: the file is in an earlier row"),
    ("images.csv", "f4.tif,f4", "f3.tif,", r"images.csv, row 5, column path: a file of this name is in an earlier row"),
    ("images.csv", "f3.png,", ",", r"images.csv, row 4, column path: name the file"),
    ("images.csv", "f2,A,A1,,", "f2,A,A1,test,", r"images.csv, row 3, column split: its patient is in another split"),
    ("images.csv", "f4,C,C1,test", "f4,C,C1,later", r"images.csv, row 5, column split: must be train, validate, test"),
    ("images.csv", "f3,B,B1", "f3,B,A1", r"images.csv, row 4, column study: the study has another patient"),
    ("images.csv", "cc,R,1,47", "cc,R,2,47", r"images.csv, row 4, column mass: must be 1, 0 or empty"),
    ("labels.csv", "f6;", "f6;x", r"labels.csv, row 4, column malignant: must be 1, 0 or empty"),
    ("labels.csv", "f6;", "f1;", r"labels.csv, row 4, column image: the image is in an earlier row"),
    ("records.csv", "B1,", "A1,", r"records.csv, row 3, column report: another row has another text of this study"),
    ("annotations.json", "categories", "kinds", r"annotations.json: not a COCO file \(KeyError\)"),
    ("images.csv", "cc,L,1,61,F,", "cc,L,1,61,F,a,", r"images.csv, row 2: more cells than row 1 has columns"),
]


@pytest.mark.parametrize(("name", "old", "new", "message"), STOPS, ids=[case[-1][:40] for case in STOPS])
def test_a_contradiction_stops_with_file_row_column_and_cure(tree, name, old, new, message):
    edit(tree / name, old, new)
    with pytest.raises(TableFileError, match=message):
        read(tree)


SETS_ASIDE = [
    ("images.csv", "f6.png,", "f7.png,", "images.csv, row 7, column path: there is no such file; correct the path"),
    ("images.csv", "f3.png,", "f7.png,", "records.csv, row 3, column study: the image was set aside, and its record"),
    ("labels.csv", "f6;", "f9;", "labels.csv, row 4, column image: images.csv has no such image"),
    ("records.csv", "B1,", "B9,", "records.csv, row 3, column study: images.csv has no such study"),
    ("rois.csv", "f1,mass,10", "f9,mass,10", "ROI: rois.csv, row 2, column image: images.csv has no such image"),
    ("rois.csv", "f1,mass,10", "f1,mass,ten", "ROI: rois.csv, row 2, column x0: must be a number"),
    ("rois.csv", "10,20,30,40", "30,20,10,40", "ROI: rois.csv, row 2, column x1: the box has no area"),
    ("rois.csv", "30,20,,,8", "30,20,,,0", "ROI: rois.csv, row 4, column radius: must be larger than 0"),
    ("rois.csv", "[11, 2], ", "", "ROI: rois.csv, row 5, column polygon: must be at least three points"),
    ("rois.csv", "10,20,30,40,", "10,20,30,40,1,1,1,1", "column polygon, mask, radius, width, x0: fill exactly one"),
    (
        "rois.csv",
        "f1,mass,10",
        "f1,maass,10",
        "row 2, column label: maass is no label of the study; write mass if that",
    ),
    ("rois.csv", "10,20,30,40", "60,20,70,40", "ROI: rois.csv, row 2: it lies outside its image; pixels count from"),
    ("rois.csv", "10,20,30,40", "-9,20,0,40", "ROI: rois.csv, row 2: it lies outside its image; pixels count from"),
    ("rois.csv", "2], [11, 2], [11, 12]", "42], [11, 42], [11, 52]", "ROI: rois.csv, row 5: it lies outside its image"),
    ("rois.csv", "whole.png", "hole.png", "ROI: rois.csv, row 6, column mask: there is no such file"),
    (
        "rois.csv",
        "20,10,,,,,part",
        ",,,,,,part",
        "row 7, column mask: drawn on 10 x 20 pixels (rows x columns), but its",
    ),
    (
        "annotations.json",
        '"height": 40',
        '"height": 80',
        "annotations.json, row 1, row 2, column size: drawn on 80 x 60",
    ),
    ("annotations.json", "1200, 1200]", "1200, 9]", "ROI: annotations.json, row 3, column annotations: it lacks"),
]


@pytest.mark.parametrize(("name", "old", "new", "reason"), SETS_ASIDE, ids=[case[-1][:50] for case in SETS_ASIDE])
@pytest.mark.parametrize("survey", [False, True])
def test_a_row_that_cannot_be_used_is_set_aside_and_named(tree, name, old, new, reason, survey):
    edit(tree / name, old, new)
    assert reason in " | ".join(read(tree, survey=survey).rejected["reason"])


def test_a_region_that_reaches_out_of_its_image_is_kept_and_counted(tree):
    edit(tree / "rois.csv", "10,20,30,40", "50,20,70,40")
    tables = read(tree)
    assert tables.rejected.empty and len(tables.rois) == len(read(tree).rois)
    assert tables.notes["regions_that_reach_out_of_their_image_and_are_cut_off"] == 1


def test_masks_of_a_folder_are_set_aside_by_their_files(tree):
    for name in ("f9.png", "f8_1.png"):
        shutil.copy(tree / "whole.png", tree / "masks/mass" / name)
    rejected = read(tree).rejected
    assert set(rejected["record"]) == {"masks, file masks/mass/f8_1.png", "masks, file masks/mass/f9.png"}
    assert set(rejected["reason"]) == {"ROI: masks, 2 files: images.csv has no such image; correct the name"}


def test_the_check_warns_where_no_patient_is_named(tree):
    facts = examine(Cohort(adapter="own", root=tree), "breast", LABELS, True, 32, False)
    assert facts.notes[NO_PATIENT] == 1, "that of f5"


def test_the_check_shows_the_sizes_of_a_mask_and_its_image(tree):
    Image.fromarray(grey(1024, 1000)).save(tree / "whole.png")
    facts = examine(Cohort(adapter="own", root=tree), "breast", LABELS, True, 32, False)
    [reason] = [reason for reason in facts.rejected if "drawn on" in reason]
    assert reason.startswith("ROI: rois.csv, row 6, column mask: drawn on 1024 x 1000 pixels (rows x columns), but its")
    assert "image has 40 x 60; export it at that size" in reason


def test_a_file_that_is_no_text_is_named_with_what_to_do(tree):
    (tree / "labels.csv").write_bytes(b"PK\x03\x04 a workbook")
    with pytest.raises(TableFileError, match=r"labels.csv: not a readable table \(a zip archive or an office document"):
        read(tree)
    (tree / "labels.csv").write_bytes("image;Malignant;Größe\nf1;1;5\n".encode("latin-1"))
    assert read(tree).notes["labels.csv_is_not_UTF-8_and_was_read_as_Latin-1"] == 1
    (tree / "reports").mkdir()
    (tree / "reports/A1.txt").write_bytes(bytes(range(128, 256)) * 9)
    (tree / "reports/B1.txt").write_text("Clear.")
    rejected = read(tree).rejected.to_dict("list")
    assert rejected["record"] == ["A1.txt"]
    assert "(not text in UTF-8 or Latin-1); save it as plain text in UTF-8" in rejected["reason"][0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fields": ["weight"]}, "options.fields: images.csv has no column weight"),
        ({"fields": ["mass"]}, "options.fields: mass is a label"),
        ({"fields": ["age"], "ordered": {"age": "old"}}, "options.ordered.age is 'old'; write it as 0 to 120"),
        ({"fields": ["age"], "applies": {"age": "F"}}, "options.applies.age is 'F'; write it as column = value"),
        ({"fields": ["age"], "ordered": "age"}, "options.ordered is 'age'; write it as"),
        ({"test_share": 0.9}, "they must not be negative, and together below 1"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(tree, options, message):
    (tree / "records.csv").unlink()
    with pytest.raises(ChoiceError, match=message):
        read(tree, options=options)


def test_a_cell_off_its_order_is_refused(tree):
    (tree / "records.csv").unlink()
    for order, fix in (("0 to 9", "must be a number or empty"), ("F < X", "must be empty or one of F, X")):
        with pytest.raises(TableFileError, match=f"column sex: {fix}"):
            read(tree, options={"fields": ["sex"], "ordered": {"sex": order}})


def test_rows_are_named_up_to_five():
    assert rows_text([3, 3, 8]) == "row 3, row 8"
    assert rows_text(range(2, 10)) == "row 2, row 3, row 4, row 5, row 6 and 3 more"


def test_the_check_shows_what_was_understood(tree):
    edit(tree / "images.csv", "f6.png,", "f7.png,")
    (tree / "images.csv").write_text((tree / "images.csv").read_text() + "\n" * 1200 + "f8.png,,,,,,,,,,\n")
    facts = examine(Cohort(adapter="own", root=tree), "breast", LABELS, True, 32, False)
    assert facts.error is None and facts.counts["images"]["all"] == 5 and facts.counts["patients"]["all"] == 4
    assert facts.labels["mass"]["positive"]["all"] == 2 and facts.counts["rois"]["all"] == 9
    assert facts.privileged_kind == "text" and facts.counts["records"]["all"] == 2
    assert facts.notes["images_without_a_patient_whose_study_counts_as_one"] == 2
    [missing] = [reason for reason in facts.rejected if "no such file" in reason]
    assert missing.startswith("images.csv, row 7, row 1208, column path"), "the row of a large table is not hidden"
    (tree / "images.csv").unlink()
    assert examine(Cohort(adapter="own", root=tree), "b", LABELS, True, 32, False).error == "missing: images.csv"
