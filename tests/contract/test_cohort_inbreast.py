"""INbreast: a small fabricated release with the dirt of the real one."""

import json
import plistlib

import numpy as np
import pandas as pd
import pytest
from pydicom.uid import generate_uid

from mmpkd.cohorts.base import ChoiceError
from mmpkd.cohorts.datasets.inbreast import ContourFileError, read_contours, read_sheet
from mmpkd.cohorts.paths import TableFileError
from mmpkd.config.cohorts import Cohort
from mmpkd.config.imaging import Imaging
from mmpkd.imaging.shards import write_shard
from mmpkd.imaging.store import roi_masks
from mmpkd.phantom.write import write_dicom
from tests.cohorts import is_restricted, needs, read
from tests.spreadsheet import write_xls

LABELS = ["malignant", "mass", "calcification"]
HEADER = [
    *("Patient ID", "Patient age", "Laterality", "View", "Acquisition date", "File Name", "ACR", "Bi-Rads", "Mass "),
    *("Micros", "Distortion", "Asymmetry", "Findings Notes (in Portuguese)", "Lesion Annotation Status"),
]
SQUARE = [(10.0, 20.0), (30.0, 20.0), (30.0, 60.0), (10.0, 60.0)]
POINT = [(50.5, 70.25)]
ROWS = [  # side, view, file name, BI-RADS, X under Mass, X under Micros, note
    ("L", "CC", 20000001, "4a ", "X", "", ""),
    ("L", "MLO", 20000002, 2.0, "", "", "nódulo"),
    ("R", "CC", 20000003, 1.0, "", "", ""),
    ("R", "MLO", 20000004, 3.0, "", "", ""),
    ("L", "FB", 20000005, "4c", "", "X", ""),
    ("L", "CC", 20000006, "6", "", "", ""),
    ("L", "CC", 20000007, "", "", "", ""),
    ("R", "CC", 20000008, 5.0, "", "", ""),  # no file
    ("L", "CC", 20000001, "4a", "X", "", ""),
    ("L", "CC", "2000x", 2.0, "", "", ""),
    ("", "", "", "", 2.0, 1.0, ""),  # sums
    ("", "", "", "", "Total", "", ""),
]
CONTOURS = {
    20000001: [("Mass", SQUARE), ("Espiculated Region", SQUARE[:3]), ("Assymetry", SQUARE)],
    20000002: [("Calcification", POINT), ("Cluster", SQUARE), ("Cluster", SQUARE), ("Calcifications ", POINT * 2)],
    20000004: [("Point 3", POINT), ("Calcification", [("a", "b")])],
    20000006: "broken",
}
VIEW_IN_NAME = {"MLO": "ML"}


def cells(row):
    side, view, file_name, birads, mass, micros, note = row
    return ["removed", "removed", side, view, 200801.0, file_name, 2.0, birads, mass, micros, "", "", note, ""]


def write_csv(path, separator=";", encoding="utf-8", header=HEADER):
    kept = [HEADER.index(name) for name in header]
    lines = [header, *([cells(row)[at] for at in kept] for row in ROWS)]
    as_text = [[str(int(cell)) if isinstance(cell, float) else str(cell) for cell in line] for line in lines]
    path.write_bytes("\r\n".join(separator.join(line) for line in as_text).encode(encoding))


def write_contours(path, marks):
    if marks == "broken":
        path.write_text("<plist><dict><key>Images</key>")
        return
    rois = [
        {
            "Name": name,
            "NumberOfPoints": len(points),
            "Point_px": [f"({x}, {y})" for x, y in points],
            "IndexInImage": index,
        }
        for index, (name, points) in enumerate(marks)
    ]
    with path.open("wb") as stream:
        plistlib.dump({"Images": [{"ImageIndex": 0, "NumberOfROIs": len(rois), "ROIs": rois}]}, stream)


@pytest.fixture
def release(tmp_path):
    root = tmp_path / "INbreast Release 1.0"
    (root / "AllDICOMs").mkdir(parents=True)
    (root / "AllXML").mkdir()
    write_xls(root / "INbreast.xls", [HEADER, *map(cells, ROWS)])
    for number, row in enumerate(ROWS[:7]):
        token = f"{number // 2:016x}"  # two images per patient
        name = f"{row[2]}_{token}_MG_{row[0]}_{VIEW_IN_NAME.get(row[1], row[1])}_ANON.dcm"
        (root / "AllDICOMs" / name).touch()
    (root / "AllDICOMs" / f"._20000001_{0:016x}_MG_L_CC_ANON.dcm").touch()
    for image, marks in CONTOURS.items():
        write_contours(root / "AllXML" / f"{image}.xml", marks)
    return tmp_path


def load(root, labels=LABELS, **further):
    return read(Cohort(adapter="inbreast", root=root, **further), labels)


def test_images_and_patients(release):
    tables = load(release)
    columns = ["image_id", "patient_id", "study_id", "split", "path", "view", "laterality"]
    token = [f"{number:016x}" for number in range(4)]
    images = tables.images[columns]
    assert images.iloc[0].tolist() == [
        *("20000001", token[0], f"{token[0]}_200801", "test"),
        *(f"AllDICOMs/20000001_{token[0]}_MG_L_CC_ANON.dcm", "CC", "LEFT"),
    ]
    assert images["image_id"].tolist() == [str(row[2]) for row in ROWS[:7]]
    assert images["patient_id"].tolist() == [token[number // 2] for number in range(7)]
    assert images["view"].tolist() == ["CC", "MLO", "CC", "MLO", "FB", "CC", "CC"]
    assert set(images["split"]) == {"test"} and len(tables.privileged) == 0
    assert tables.notes == {
        "rows_without_file_name": 2,
        "images_without_birads": 1,
        "images_whose_name_states_another_side_or_view": 0,
        "contours_of_other_findings": 1,
        "images_without_contours_though_birads_is_not_1": 2,
    }


def test_labels(release):
    labels = load(release).labels.set_index("image_id")
    nan = np.nan
    expected = {  # malignant, mass, calcification
        "20000001": [1, 1, 0],
        "20000002": [0, 0, 1],
        "20000003": [0, 0, 0],  # nothing to mark
        "20000004": [nan, nan, 1],  # BI-RADS 3; one finding is nameless, and one's points cannot be read
        "20000005": [1, nan, 1],  # no contours, but the table has an X
        "20000006": [1, nan, nan],  # unreadable contours
        "20000007": [nan, nan, nan],
    }
    np.testing.assert_array_equal(labels.to_numpy(), np.array(list(expected.values()), dtype=float))
    assert labels.index.tolist() == list(expected)


def test_contours_become_polygons(release):
    rois = load(release).rois
    assert set(rois["kind"]) == {"polygon"}
    found = [(row.roi_id, row.label, json.loads(row.polygon)) for row in rois.itertuples()]
    box = [[47.0, 66.75], [54.0, 66.75], [54.0, 73.75], [47.0, 73.75]]  # 7 pixels about the point
    square = [list(point) for point in SQUARE]
    assert found == [
        ("20000001_1", "mass", square),
        ("20000001_2", "mass", square[:3]),
        ("20000002_1", "calcification", box),
        ("20000002_2", "calcification", square),  # the second and the fourth are the same once more
    ]


def test_what_is_set_aside(release):
    assert {(row.record, row.reason) for row in load(release).rejected.itertuples()} == {
        ("2000x", "malformed File Name"),
        ("20000001", "second row of an image"),
        ("20000008", "image file is missing"),
        ("20000006", "ROI: file of contours cannot be read"),
        ("20000004_1", "ROI: its name does not say which kind of finding it is"),
        ("20000004_2", "ROI: its points cannot be read"),
    }


def test_the_table_is_the_same_in_every_format(release):
    root = release / "INbreast Release 1.0"
    of_xls = load(release)
    (root / "INbreast.xls").unlink()
    for separator, encoding in ((";", "utf-8-sig"), (",", "utf-8"), (";", "latin-1")):
        write_csv(root / "INbreast.csv", separator, encoding)
        tables = load(release)
        for name in ("images", "labels", "rois", "rejected"):
            pd.testing.assert_frame_equal(getattr(tables, name), getattr(of_xls, name))


def test_a_table_without_findings_leaves_them_to_the_contours(release):
    root = release / "INbreast Release 1.0"
    (root / "INbreast.xls").unlink()
    write_csv(root / "INbreast.csv", header=HEADER[:8])  # as one release has it
    labels = load(release).labels.set_index("image_id")
    assert labels.loc["20000001"].tolist() == [1, 1, 0]
    assert labels.loc["20000005", ["mass", "calcification"]].isna().all()


def test_options(release):
    assert load(release, options={"birads_3": "ones"}).labels["malignant"].tolist()[3] == 1
    assert load(release, options={"birads_3": "zeros"}).labels["malignant"].tolist()[3] == 0
    assert load(release, options={"malignant_from_birads": False}).label_names == ["mass", "calcification"]
    assert load(release, ["calcification", "Edema"]).label_names == ["calcification"]
    assert set(load(release, ["calcification"]).rois["label"]) == {"calcification"}
    polygons = load(release, options={"point_side": 2}).rois.set_index("roi_id")["polygon"]
    assert json.loads(polygons["20000002_1"]) == [[49.5, 69.25], [51.5, 69.25], [51.5, 71.25], [49.5, 71.25]]


def test_without_images_each_image_is_a_patient(release):
    tables = load(release, images=False)
    assert tables.images["patient_id"].tolist() == tables.images["image_id"].tolist()
    assert len(tables.images) == 8 and set(tables.images["path"]) == {""}
    assert [need.what for need in needs(Cohort(adapter="inbreast", root=release, images=False))] == [
        "the table, INbreast.xls or .csv",
        "contours of the findings",
    ]


def test_mistakes_are_named(release):
    for options, message in (
        ({"birads_3": "maybe"}, "birads_3 is 'maybe'; known are ones, zeros, ignore"),
        ({"point_side": 0.0}, "point_side is 0.0; it must be positive"),
        ({"birads": "ones"}, "unknown options: birads; known are malignant_from_birads"),
    ):
        with pytest.raises(ChoiceError, match=message):
            load(release, options=options)
    with pytest.raises(FileNotFoundError, match="AllXML: no such folder; INbreast is available from its authors"):
        load(release, folders={"contours": release / "AllXML"})
    with pytest.raises(FileNotFoundError, match="holds none of the 8 images of the table"):
        load(release, folders={"images": release / "INbreast Release 1.0" / "AllXML"})
    with pytest.raises(FileNotFoundError, match=r"INbreast\.xls: no such file"):
        load(release, folders={"tables": release})


def test_what_is_needed(release):
    cohort = Cohort(adapter="inbreast", root=release)
    assert is_restricted(cohort)
    wanted = needs(cohort)
    assert [need.path.name for need in wanted] == ["INbreast.xls", "AllXML", "INbreast Release 1.0"]
    assert all(need.found for need in wanted)


def test_tables_that_cannot_be_read_say_why(tmp_path):
    (tmp_path / "INbreast.xls").write_bytes(b"no spreadsheet")
    with pytest.raises(TableFileError, match="not a readable table"):
        read_sheet(tmp_path / "INbreast.xls", ["file_name"], "ask", [])
    (tmp_path / "INbreast.csv").write_text("File Name;ACR\n1;2")
    with pytest.raises(TableFileError, match="column.s. bi-rads missing"):
        read_sheet(tmp_path / "INbreast.csv", ["file_name", "bi-rads"], "ask", [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<plist version='1.0'><dict><key>Images</key><string>a</string></dict></plist>",
        "<plist version='1.0'><array/></plist>",
        "<!DOCTYPE plist [<!ENTITY x SYSTEM 'file:///etc/hostname'>]>"
        "<plist version='1.0'><dict><key>Images</key><string>&x;</string></dict></plist>",
    ],
)
def test_files_of_contours_that_are_none_are_refused(tmp_path, text):
    (tmp_path / "1.xml").write_text(text)
    with pytest.raises(ContourFileError, match="cannot be read"):
        read_contours(tmp_path / "1.xml")


def test_contours_are_where_they_were_drawn(release):
    folder = release / "INbreast Release 1.0" / "AllDICOMs"
    ramp = np.arange(128 * 128, dtype=np.uint16).reshape(128, 128)
    for file in folder.glob("2*.dcm"):
        uids = {"SOPInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid(), "PatientID": ""}
        write_dicom(
            file,
            ramp,
            modality="MG",
            photometric="MONOCHROME2",
            bits_stored=14,
            transfer_syntax="explicit",
            elements=uids,
        )
    write_shard(load(release), Imaging(size=128, window="minmax"), 0, 1, release / "store")
    rois, masks = roi_masks([release / "store"])
    by_id = dict(zip(rois["roi_id"], masks, strict=True))
    square = np.zeros((128, 128), np.uint8)
    square[20:60, 10:30] = 1
    np.testing.assert_array_equal(by_id["20000001_1"], square)
    y, x = np.nonzero(by_id["20000002_1"])
    assert (x.min(), x.max(), y.min(), y.max()) == (47, 53, 67, 73)


def test_contours_whose_suffix_is_in_capitals_or_that_have_a_resource_file_are_read(release):
    whole = read(Cohort(adapter="inbreast", root=release), LABELS)
    for path in sorted((release / "AllXML").glob("*.xml")):
        path.rename(path.with_suffix(".XML"))
        (path.parent / f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")
    tables = read(Cohort(adapter="inbreast", root=release), LABELS)
    pd.testing.assert_frame_equal(tables.labels, whole.labels)
    pd.testing.assert_frame_equal(tables.rois, whole.rois)
    assert len(tables.rois) > 0
