"""MIMIC-CXR: a small fabricated tree with the dirt of the real one, and the phantom."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmpkd.cohorts.base import ChoiceError
from mmpkd.cohorts.datasets.mimic_cxr.ms_cxr import read_boxes
from mmpkd.cohorts.paths import TableFileError
from mmpkd.cohorts.tables import read_tables
from mmpkd.config.cohorts import Cohort, Phantom
from mmpkd.phantom.write import write_tree
from tests.cohorts import is_restricted, needs, read

LABELS = ["Atelectasis", "Pleural Effusion", "Pneumothorax"]
# image: patient, study, split, view position, view code, procedure
IMAGES = {
    "a1": ("10000001", "50000001", "train", "PA", "postero-anterior", "CHEST (PA AND LAT)"),
    "a2": ("10000001", "50000001", "train", "LATERAL", "lateral", "CHEST (PA AND LAT)"),
    "b1": ("10000002", "50000002", "train", "AP", "antero-posterior", "CHEST (PORTABLE AP)"),  # has an MS-CXR box
    "b2": ("10000002", "50000003", "train", "", "antero-posterior", ""),
    "c1": ("10000003", "50000004", "validate", "", "", "CHEST (PORTABLE AP)"),
    "c2": ("10000003", "50000004", "validate", "", "", "CHEST (PA AND LAT)"),
    "d1": ("10000004", "50000005", "test", "PA", "", ""),  # with the radiologists' labels
    "d2": ("10000004", "50000006", "test", "PA", "", ""),  # without them
    "e1": ("10000005", "50000007", "train", "PA", "", ""),  # its study is not in the CheXpert table
    "e2": ("10000005", "50000008", "train", "PA", "", ""),  # no file, empty report
    "e3": ("10000005", "50000009", "train", "PA", "", ""),  # no report
}


def write_gz(path, text):
    path.write_bytes(gzip.compress(text.encode()))


@pytest.fixture
def tree(tmp_path):
    split = ["dicom_id,study_id,subject_id,split"]
    metadata = [
        "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,"
        "ViewCodeSequence_CodeMeaning"
    ]
    for image, (patient, study, name, position, code, procedure) in IMAGES.items():
        split.append(f"{image},{study},{patient},{name}")
        metadata.append(f"{image},{patient},{study},{procedure},{position},200,100,21800101,{code}")
        folder = tmp_path / "files" / f"p{patient[:2]}" / f"p{patient}"
        (folder / f"s{study}").mkdir(parents=True, exist_ok=True)
        if image != "e2":
            (folder / f"s{study}" / f"{image}.dcm").touch()
        if image != "e3":
            (folder / f"s{study}.txt").write_text(f" FINAL REPORT\n of {study}\n")
    (tmp_path / "files/p10/p10000003/s50000004.txt").write_text(" \n")
    split += [split[1], "../../x,50000010,10000006,train", "f1,50000010,10000006,train"]
    write_gz(tmp_path / "mimic-cxr-2.0.0-split.csv.gz", "\n".join(split) + "\n")
    write_gz(tmp_path / "mimic-cxr-2.0.0-metadata.csv.gz", "\n".join(metadata) + "\n")
    chexpert = ["subject_id,study_id,Atelectasis,Pleural Effusion,Pneumothorax"]
    for patient, study, *_ in dict.fromkeys((row[0], row[1]) for row in IMAGES.values()):
        values = {"50000001": "1.0,,-1.0", "50000002": "-1.0,0.0,", "50000009": "2.0,,"}.get(study, "1.0,1.0,1.0")
        if study != "50000007":
            chexpert.append(f"{patient},{study},{values}")
    write_gz(tmp_path / "mimic-cxr-2.0.0-chexpert.csv.gz", "\n".join(chexpert) + "\n")
    expert = "study_id,Airspace Opacity,Atelectasis,Pleural Effusion,Pneumothorax\n50000005,1,0,,-1\n"
    (tmp_path / "mimic-cxr-2.1.0-test-set-labeled.csv").write_text(expert)
    (tmp_path / "ms-cxr").mkdir()
    (tmp_path / "ms-cxr" / "MS_CXR_Local_Alignment_v1.0.0.csv").write_text("an older version\n")
    boxes = [
        "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height",
        "b1,Pleural Effusion,small effusion,,-3,150,50,60,100,200",
        'b1,Pleural Effusion,"effusion, left",,-3,150,50,60,100,200',
        "b1,Edema,edema,,10,10,20,20,100,200",
        "b1,Pneumothorax,none,,10,10,20,20,999,200",
        "b1,Pneumothorax,none,,10,10,0,20,100,200",
        "zz,Pneumothorax,unknown image,,10,10,20,20,100,200",
        "b1,Bones,unknown category,,10,10,20,20,100,200",
    ]
    (tmp_path / "ms-cxr" / "MS_CXR_Local_Alignment_v1.1.0.csv").write_text("\n".join(boxes) + "\n")
    return tmp_path


def cohort(root, **further):
    return Cohort(adapter="mimic_cxr", root=root, **further)


def test_frontal_images_splits_and_paths(tree):
    tables = read(cohort(tree), LABELS)
    images = tables.images.set_index("image_id")
    assert images["view"].to_dict() == {
        "a1": "PA",
        "b1": "AP",
        "b2": "AP",
        "c1": "frontal",
        "d1": "PA",
        "d2": "PA",
    }
    assert images["split"].to_dict() == {  # b has a box, so the patient leaves training with both studies
        "a1": "train",
        "b1": "test",
        "b2": "test",
        "c1": "validate",
        "d1": "test",
        "d2": "test",
    }
    assert images.loc["a1", "path"] == "files/p10/p10000001/s50000001/a1.dcm"
    assert images.loc["a1", ["rows", "columns"]].tolist() == [200, 100]
    assert tables.notes["patients_held_out"] == 1 and tables.notes["rows_moved"] == 2


def test_every_record_left_out_has_its_reason(tree):
    tables = read(cohort(tree), LABELS)
    rejected = {(row.record, row.reason) for row in tables.rejected.itertuples()}
    assert rejected == {
        ("a1", "second row of an image in the split table"),
        ("../../x", "malformed identifier or split in the split table"),
        ("f1", "image is not in the metadata table"),
        ("a2", "view LATERAL is not frontal"),
        ("c2", "view is not stated and lateral by its description"),
        ("e1", "study is not in the CheXpert table"),
        ("50000009", "label in mimic-cxr-2.0.0-chexpert.csv.gz is not 1, 0, -1 or blank"),
        ("e3", "study is not in the CheXpert table"),
        ("e2", "image file is missing"),
        ("b1", "box of a category that is no CheXpert label"),
        ("zz", "box on an image that was left out"),
        ("b1", "box was drawn on an image of another size"),
        ("b1", "box without area inside its image"),
        ("s50000004.txt", "report is empty"),
    }


def test_labels_follow_the_policy_and_the_radiologists_in_test(tree):
    labels = read(cohort(tree), [*LABELS, "malignant"]).labels.set_index("image_id")
    assert list(labels.columns) == LABELS
    assert labels.loc["a1"].tolist() == [1, 0, 0]  # blank and uncertain pneumothorax are zeros
    assert labels.loc["c1"].tolist() == [1, 1, 1]
    assert labels.loc["d1"].tolist()[:2] == [0, 0] and np.isnan(labels.loc["d1", "Pneumothorax"])
    assert labels.loc[["b1", "b2", "d2"]].isna().all(axis=None)


def test_labels_are_chexperts_without_the_radiologists(tree):
    chosen = {"expert_test_labels": False, "uncertain": {"Pneumothorax": "ignore"}, "blank": "ignore"}
    labels = read(cohort(tree, options=chosen), LABELS).labels.set_index("image_id")
    assert labels.loc["b1"].tolist()[:2] == [1, 0] and np.isnan(labels.loc["b1", "Pneumothorax"])
    assert labels.loc["a1", "Atelectasis"] == 1 and labels.loc["a1"].isna().tolist() == [False, True, True]
    assert labels.loc["d1"].tolist() == [1, 1, 1]
    (tree / "mimic-cxr-2.1.0-test-set-labeled.csv").unlink()
    notes = read(cohort(tree), LABELS).notes
    assert notes["test_studies_with_radiologists_labels"] == notes["test_studies_masked"] == 0


def test_boxes_are_clipped_and_counted_once(tree):
    tables = read(cohort(tree), LABELS)
    assert len(tables.rois) == 1
    box = tables.rois.iloc[0]
    assert box[["roi_id", "image_id", "label", "kind"]].tolist() == ["b1_1", "b1", "Pleural Effusion", "box"]
    assert box[["x0", "y0", "x1", "y1"]].tolist() == [0, 150, 47, 200]
    assert tables.notes["boxes_of_other_labels"] == 1
    assert tables.notes["test_studies_with_radiologists_labels"] == 1 and tables.notes["test_studies_masked"] == 3


def test_reports_are_raw_and_one_a_study(tree):
    reports = read(cohort(tree), LABELS).privileged.set_index("record_id")
    assert sorted(reports.index) == ["50000001", "50000002", "50000003", "50000005", "50000006"]
    assert reports.loc["50000002", ["key", "patient_id", "split"]].tolist() == ["50000002", "10000002", "test"]
    assert reports.loc["50000001", "report"] == " FINAL REPORT\n of 50000001\n"


def test_without_images_the_files_are_not_looked_for(tree):
    tables = read(cohort(tree, images=False), LABELS)
    assert "e2" in set(tables.images["image_id"]) and set(tables.images["path"]) == {""}


def test_the_tables_survive_a_round_trip(tree, tmp_path):
    tables = read(cohort(tree), LABELS)
    tables.write(tmp_path / "out")
    again = read_tables(tmp_path / "out")
    for name in ("images", "labels", "rois", "privileged", "rejected"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(tables, name))
    assert again.notes == tables.notes


def test_mistakes_in_the_configuration_are_named(tree):
    with pytest.raises(
        ChoiceError, match="unknown options: experts; known are uncertain, blank, expert_test_labels, reports"
    ):
        read(cohort(tree, options={"experts": True}), LABELS)
    with pytest.raises(ChoiceError, match="unknown folders: boxes; known are tables, reports, ms_cxr"):
        read(cohort(tree, folders={"boxes": tree}), LABELS)
    with pytest.raises(FileNotFoundError, match="ms-cxr"):
        read(cohort(tree, folders={"ms_cxr": tree / "nowhere"}), LABELS)
    with pytest.raises(FileNotFoundError, match=r"no report of 6 studies; unpack mimic-cxr-reports\.zip"):
        read(cohort(tree, folders={"reports": tree / "nowhere"}), LABELS)
    for image in (tree / "files").rglob("*.dcm"):
        image.unlink()
    with pytest.raises(FileNotFoundError, match="holds none of the 7 images"):
        read(cohort(tree), LABELS)
    (tree / "mimic-cxr-2.0.0-split.csv.gz").unlink()
    with pytest.raises(FileNotFoundError, match="split.csv.gz: no such file; MIMIC-CXR's tables are at https"):
        read(cohort(tree), LABELS)


def test_a_label_that_a_table_lacks(tree):
    labels = read(cohort(tree, options={"expert_test_labels": False}), ["Atelectasis"]).labels
    assert labels.columns.tolist() == ["image_id", "Atelectasis"]
    path = tree / "mimic-cxr-2.0.0-chexpert.csv.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    write_gz(path, text.replace("Atelectasis,Pleural Effusion,", "Lung Opacity,No Finding,"))
    labels = read(cohort(tree), ["Lung Opacity", "No Finding"]).labels.set_index("image_id")
    assert labels.loc["d1", "Lung Opacity"] == 1  # Airspace Opacity of the radiologists' table
    assert np.isnan(labels.loc["d1", "No Finding"]) and labels.loc["c1", "No Finding"] == 1
    with pytest.raises(TableFileError, match=r"chexpert\.csv\.gz: column.s. atelectasis, pleural_effusion missing"):
        read(cohort(tree), LABELS)


def test_the_tables_may_lie_elsewhere(tree, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("tables")
    for path in list(tree.glob("mimic-cxr-*")):
        path.rename(elsewhere / path.name)
    tables = read(cohort(tree, folders={"tables": Path(elsewhere)}), LABELS)
    assert len(tables.images) == 6


def test_labels_are_a_studys_and_splits_an_images(tree):
    """A study of two frontal images, one of them published in the test set: both go there, with the same labels."""
    path = tree / "mimic-cxr-2.0.0-split.csv.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    write_gz(path, text.replace("a2,50000001,10000001,train", "a2,50000001,10000001,test"))
    path = tree / "mimic-cxr-2.0.0-metadata.csv.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    write_gz(path, text.replace("LATERAL,200,100,21800101,lateral", "AP,200,100,21800101,"))
    tables = read(cohort(tree, options={"expert_test_labels": False}), LABELS)
    images = tables.images.set_index("image_id")
    assert images.loc[["a1", "a2"], "split"].tolist() == ["test", "test"]
    assert tables.labels.set_index("image_id").loc[["a1", "a2"]].to_numpy().tolist() == [[1, 0, 0]] * 2
    assert tables.notes["patients_in_several_splits"] == 1
    assert (tables.privileged["record_id"] == "50000001").sum() == 1


@pytest.mark.parametrize(
    ("position", "code", "procedure", "view"),
    [
        ("", "", "", "frontal"),
        ("", "", "CHEST (PORTABLE AP)", "frontal"),
        ("", "", "CHEST (PA AND LAT)", ""),
        ("", "", "CHEST (LATERAL DECUB ONLY)", ""),
        ("", "", "ATYPICAL PLATE", "frontal"),  # LAT is a word of its own
        ("", "postero-anterior", "CHEST (PA AND LAT)", "PA"),
        ("", "antero-posterior", "", "AP"),
        ("", "left lateral", "", ""),
        ("", "Left anterior oblique", "", ""),
        ("LL", "postero-anterior", "", ""),
        ("pa", "", "", "PA"),
    ],
)
def test_the_view_of_an_image(tree, position, code, procedure, view):
    path = tree / "mimic-cxr-2.0.0-metadata.csv.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    old = "a1,10000001,50000001,CHEST (PA AND LAT),PA,200,100,21800101,postero-anterior"
    assert old in text
    write_gz(path, text.replace(old, f"a1,10000001,50000001,{procedure},{position},200,100,21800101,{code}"))
    views = read(cohort(tree), LABELS).images.set_index("image_id")["view"]
    assert views.get("a1", "") == view


def test_a_repeated_row_of_metadata_is_dropped_and_one_that_contradicts_is_set_aside(tree):
    path = tree / "mimic-cxr-2.0.0-metadata.csv.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    write_gz(path, "\n".join([*lines, lines[1], lines[1].replace("PA,200", "LATERAL,200")]) + "\n")
    tables = read(cohort(tree), LABELS)
    assert tables.images.set_index("image_id").loc["a1", "view"] == "PA"
    reasons = tables.rejected["reason"].tolist()
    assert reasons.count("second row of an image in the metadata table") == 1


def as_coco(table):
    """The COCO file that MS-CXR's CSV was made from."""
    images = table.drop_duplicates("dicom_id")[["dicom_id", "image_width", "image_height"]].to_dict("records")
    ids = {image["dicom_id"]: number for number, image in enumerate(images, start=7)}
    names = sorted(set(table["category_name"]))
    return {
        "info": {},
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, start=1)],
        "images": [
            {
                "id": ids[image["dicom_id"]],
                "file_name": f"{image['dicom_id']}.jpg",
                "path": f"files/p10/p1/s5/{image['dicom_id']}.jpg",
                "width": int(image["image_width"]),
                "height": int(image["image_height"]),
            }
            for image in images
        ],
        "annotations": [
            {
                "id": number,
                "image_id": ids[row.dicom_id],
                "category_id": names.index(row.category_name) + 1,
                "bbox": [
                    int(row.x) - 0.25 * (int(row.x) < 0) + 0.25 * (int(row.x) > 0),
                    *map(int, (row.y, row.w, row.h)),
                ],
                "label_text": row.label_text,
                "split": "train",
            }
            for number, row in enumerate(table.itertuples())
        ],
    }


def test_boxes_from_the_coco_file_are_those_of_the_csv(tree):
    folder = tree / "ms-cxr"
    expected = read(cohort(tree), LABELS)
    table = pd.read_csv(folder / "MS_CXR_Local_Alignment_v1.1.0.csv", dtype=str, keep_default_na=False)
    (folder / "MS_CXR_Local_Alignment_v1.1.0.csv").unlink()
    # The size of an image stands once in the COCO file, so the box of another size is one there as well.
    same_size = table["image_width"] != "999"
    (folder / "MS_CXR_Local_Alignment_v1.1.0.json").write_text(json.dumps(as_coco(table[same_size])))
    tables = read(cohort(tree), LABELS)
    for name in ("images", "labels", "rois", "privileged"):
        pd.testing.assert_frame_equal(getattr(tables, name), getattr(expected, name))
    assert tables.notes == expected.notes
    without = expected.rejected[expected.rejected["reason"] != "box was drawn on an image of another size"]
    pd.testing.assert_frame_equal(tables.rejected, without.reset_index(drop=True))
    assert tables.images.set_index("image_id").loc["b1", "split"] == "test"


def test_rows_of_the_coco_file_are_grouped_by_image(tmp_path):
    images = [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 200}]
    images += [{"id": 2, "file_name": "b.jpg", "width": 300, "height": 400}]
    boxes = [(2, [1.9, 2, 3, 4]), (1, [-0.9, 0, 1, 1]), (2, [5, 6, 7, 8])]
    annotations = [{"image_id": image, "category_id": 3, "bbox": box} for image, box in boxes]
    release = {"images": images, "categories": [{"id": 3, "name": "Edema"}], "annotations": annotations}
    (tmp_path / "MS_CXR_Local_Alignment_v1.0.0.json").write_text(json.dumps(release))
    assert read_boxes(tmp_path).to_numpy().tolist() == [
        ["b", "Edema", "1", "2", "3", "4", "300", "400"],
        ["b", "Edema", "5", "6", "7", "8", "300", "400"],
        ["a", "Edema", "0", "0", "1", "1", "100", "200"],
    ]


def test_the_last_version_of_ms_cxr_counts_and_of_one_version_the_csv(tree):
    folder = tree / "ms-cxr"
    (folder / "MS_CXR_Local_Alignment_v1.1.0.json").write_text("not read")
    (folder / "MS_CXR_Local_Alignment_with_reports.csv").write_text("not read")
    assert len(read(cohort(tree), LABELS).rois) == 1
    (folder / "MS_CXR_Local_Alignment_v1.2.0.json").write_text("no JSON")
    with pytest.raises(TableFileError, match=r"v1\.2\.0\.json: not the COCO file of MS-CXR"):
        read(cohort(tree), LABELS)
    for faulty in ({"images": []}, {"images": [], "categories": [], "annotations": [{"image_id": 1}]}, []):
        (folder / "MS_CXR_Local_Alignment_v1.2.0.json").write_text(json.dumps(faulty))
        with pytest.raises(TableFileError, match="not the COCO file of MS-CXR"):
            read(cohort(tree), LABELS)


def test_a_survey_lists_the_reports(tree):
    tables, surveyed = read(cohort(tree), LABELS), read(cohort(tree), LABELS, survey=True)
    for name in ("images", "labels", "rois"):
        pd.testing.assert_frame_equal(getattr(tables, name), getattr(surveyed, name))
    assert set(surveyed.privileged["report"]) == {""}
    listed = set(surveyed.privileged["record_id"])
    assert listed == set(tables.privileged["record_id"])  # all are in the sample, so that the empty one is seen
    assert surveyed.notes["reports_that_the_check_opened"] == 6
    for report in (tree / "files").rglob("*.txt"):
        report.unlink()
    with pytest.raises(FileNotFoundError, match="no report of 6 studies"):
        read(cohort(tree), LABELS, survey=True)
    assert read(cohort(tree, options={"reports": False}), LABELS).privileged.empty


def test_reports_that_cannot_be_read_or_are_not_there(tree):
    folder = tree / "files/p10/p10000002"
    (folder / "s50000002.txt").write_bytes(bytes(range(128, 256)))
    (folder / "s50000003.txt").unlink()
    tables = read(cohort(tree), LABELS)
    rejected = set(tables.rejected.itertuples(index=False, name=None))
    assert ("s50000002.txt", "report cannot be read: not text in UTF-8 or Latin-1") in rejected
    assert ("s50000003.txt", "report is missing") in rejected
    assert "50000002" not in set(tables.privileged["record_id"]) and "b1" in set(tables.images["image_id"])


def test_tables_may_be_unpacked(tree):
    expected = read(cohort(tree), LABELS)
    for path in tree.glob("*.csv.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    tables = read(cohort(tree), LABELS)
    pd.testing.assert_frame_equal(tables.images, expected.images)
    pd.testing.assert_frame_equal(tables.labels, expected.labels)
    assert all(need.found for need in needs(cohort(tree)))


def test_what_is_needed(tree):
    assert is_restricted(cohort(tree))
    assert all(need.found for need in needs(cohort(tree)))
    wanted = needs(cohort(tree / "nowhere"))
    assert not any(need.found for need in wanted)
    assert [need.path.name for need in wanted if need.required] == [
        *(f"mimic-cxr-2.0.0-{name}.csv.gz" for name in ("split", "metadata", "chexpert")),
        "files",
        "files",
    ]
    assert all("physionet.org" in need.source for need in wanted)
    options = {"expert_test_labels": False, "reports": False}
    fewer = needs(cohort(tree, images=False, options=options, folders={"ms_cxr": tree / "nowhere"}))
    assert len(fewer) == 4 and fewer[-1].required and not fewer[-1].found


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom")
    truth = write_tree("mimic_cxr", Phantom(patients=60, seed=11), root)
    return truth, read(cohort(root), LABELS), root


def test_the_phantom_is_read_as_it_was_drawn(phantom):
    truth, tables, root = phantom
    assert set(tables.images["image_id"]) <= set(truth["image_id"])
    assert tables.images["path"].map(lambda path: (root / path).is_file()).all()
    assert len(tables.images) > 60 and set(tables.images["split"]) == {"train", "validate", "test"}
    drawn = truth.pivot(index="image_id", columns="label", values="present")
    labels = tables.labels.set_index("image_id")
    judged = labels.dropna()
    in_test = tables.images.set_index("image_id").loc[judged.index, "split"] == "test"
    expected = drawn.loc[judged.index, LABELS].astype(float)
    assert in_test.sum() > 0 and (judged[in_test] == expected[in_test]).all(axis=None)
    assert 0.7 < (judged[~in_test] == expected[~in_test]).to_numpy().mean() < 1  # labels read off reports err


def test_the_boxes_of_the_phantom_are_where_lesions_were_drawn(phantom):
    truth, tables, _ = phantom
    boxes = tables.rois.merge(truth, on=["image_id", "label"], suffixes=("", "_drawn"))
    assert len(boxes) == len(tables.rois) > 0 and boxes["present"].all()
    test = set(tables.images.loc[tables.images["split"] == "test", "image_id"])
    assert set(tables.rois["image_id"]) <= test
    middle = (boxes["x0"] + boxes["x1"]) / 2, (boxes["y0"] + boxes["y1"]) / 2
    assert middle[0].between(boxes["x0_drawn"] - 2, boxes["x1_drawn"] + 2).all()
    assert middle[1].between(boxes["y0_drawn"] - 2, boxes["y1_drawn"] + 2).all()


def test_the_reports_of_the_phantom_belong_to_its_studies(phantom):
    _, tables, root = phantom
    reports = tables.privileged
    assert set(reports["key"]) <= set(tables.images["study_id"]) and reports["report"].str.len().min() > 0
    missing = tables.rejected["reason"].str.startswith("report is").sum()
    assert len(reports) + missing == tables.images["study_id"].nunique()
