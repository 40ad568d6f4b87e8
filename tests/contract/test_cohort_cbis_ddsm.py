"""CBIS-DDSM: the real tables and paths, a small fabricated tree with the dirt of the real one, and the phantom."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import SecondaryCaptureImageStorage

from mmpkd.cohorts.base import ChoiceError
from mmpkd.cohorts.datasets.cbis_ddsm import METADATA
from mmpkd.cohorts.datasets.cbis_ddsm.files import (
    Header,
    NotFoundError,
    choose_mammogram,
    choose_mask,
    exported_files,
    files_by_folder,
)
from mmpkd.cohorts.listing import Listing, list_files
from mmpkd.cohorts.paths import TableFileError
from mmpkd.config.cohorts import Cohort, Phantom
from mmpkd.config.imaging import Imaging
from mmpkd.imaging.shards import write_shard
from mmpkd.imaging.store import roi_masks
from mmpkd.phantom.write import write_tree
from tests.cohorts import is_restricted, needs, read
from tests.dicom_files import write

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
LABELS = ["malignant", "mass", "calcification"]
needs_tables = pytest.mark.skipif(not (DATA / "cbis_ddsm").is_dir(), reason="../shared/data/cbis_ddsm is not here")
needs_paths = pytest.mark.skipif(
    not (DATA / "cbis_ddsm_nbia_paths").is_dir(), reason="../shared/data/cbis_ddsm_nbia_paths is not here"
)


def cohort(root, **further):
    return Cohort(adapter="cbis_ddsm", root=root, **further)


@pytest.fixture(scope="module")
def real():
    return read(cohort(DATA / "cbis_ddsm", images=False), LABELS)


@needs_tables
def test_every_row_of_the_real_tables_is_read(real):
    lesions = real.privileged
    assert len(lesions) == lesions["record_id"].nunique() == 3568
    assert lesions["patient_id"].nunique() == 1566
    mammograms = lesions["record_id"].str.rsplit("_", n=1).str[0]
    assert mammograms.nunique() == 3103
    assert len(real.images) == 3032 and real.notes["images_in_mass_and_calcification_tables"] == 71
    assert len(real.rejected) == 0
    counts = lesions.groupby(["subset", "official_set"]).size().to_dict()
    assert counts == {("mass", "train"): 1318, ("mass", "test"): 378, ("calc", "train"): 1546, ("calc", "test"): 326}


@needs_tables
def test_patients_of_both_real_sets_go_to_test(real):
    lesions = real.privileged
    sets = lesions.groupby("patient_id")["official_set"].nunique()
    both = lesions["patient_id"].isin(sets[sets == 2].index)
    assert (sets == 2).sum() == real.notes["patients_in_several_splits"] == 31
    assert set(lesions.loc[both, "split"]) == {"test"}
    assert set(lesions.loc[lesions["official_set"] == "test", "split"]) == {"test"}
    assert ((lesions["official_set"] == "train") & (lesions["split"] == "test")).sum() == real.notes["rows_moved"] == 83
    share = real.notes["patients_validating"] / (1566 - lesions.loc[lesions["split"] == "test", "patient_id"].nunique())
    assert abs(share - 0.15) < 0.03


@needs_tables
def test_labels_and_columns_of_the_real_tables(real):
    lesions = real.privileged
    assert lesions["target_malignant"].sum() == 1457 and lesions["target_mass"].sum() == 1696
    assert [name for name in METADATA if name not in lesions] == []
    assert set(lesions["breast_density"]) == {"0", "1", "2", "3", "4"}
    assert not lesions[METADATA].apply(lambda cells: cells.str.contains("\n")).any(axis=None)
    mixed = lesions.groupby("key")["target_malignant"].nunique() == 2
    labels = real.labels.set_index("image_id")
    assert (labels.loc[mixed[mixed].index, "malignant"] == 1).all()
    assert not labels.isna().any(axis=None)


@needs_tables
@needs_paths
def test_every_real_path_of_the_downloader_is_found():
    listed = pd.concat(
        [pd.read_csv(DATA / "cbis_ddsm_nbia_paths" / f"{name}.csv") for name in ("training", "test")], ignore_index=True
    )
    assert len(listed) == 2860 + 703
    above = "manifest-1/CBIS-DDSM/"
    crops = listed["mask_path"].str.replace("1-2.dcm", "1-1.dcm", regex=False)
    files = files_by_folder(above + pd.concat([listed["image_path"].drop_duplicates(), listed["mask_path"], crops]))
    for image, mask in zip(listed["image_path"], listed["mask_path"], strict=True):
        folder, lesion = image.split("/")[0], mask.split("/")[0]
        assert choose_mammogram(files[folder], quoted="") == above + image
        assert above + mask in files[lesion]
        assert lesion.rsplit("_", 1)[0] == folder
    assert len(files) == 3100 + 3563  # of the tables' 3,103 mammograms and 3,568 lesions


@needs_tables
@needs_paths
def test_the_adapter_finds_every_listed_mammogram_among_empty_files(tmp_path, monkeypatch):
    listed = pd.concat([pd.read_csv(DATA / "cbis_ddsm_nbia_paths" / f"{name}.csv") for name in ("training", "test")])
    monkeypatch.setattr(
        "mmpkd.cohorts.base.list_files",
        lambda *_: Listing(tmp_path, [*listed["image_path"].drop_duplicates(), *listed["mask_path"]]),
    )
    monkeypatch.setattr("mmpkd.cohorts.datasets.cbis_ddsm.try_header", lambda _: Header(4000, 3000, 16))
    monkeypatch.setattr("mmpkd.cohorts.datasets.cbis_ddsm.files.try_header", lambda _: Header(4000, 3000, 8))
    folders = {"tables": DATA / "cbis_ddsm", "images": tmp_path}
    tables = read(cohort(tmp_path, folders=folders), LABELS)
    assert set(tables.images["path"]) <= set(listed["image_path"])
    assert len(tables.images) + (tables.rejected["reason"] == "mammogram is missing").sum() == 3032
    kinds = tables.rois[tables.rois["label"] != "malignant"]
    assert len(kinds) + tables.rejected["reason"].str.startswith(("ROI", "lesion of")).sum() == 3568
    assert len(kinds) == 3563 and set(kinds["mask_path"]) == set(listed["mask_path"])


@needs_tables
def test_the_adapter_finds_every_file_of_the_older_layout(tmp_path, monkeypatch):
    parts = [pd.read_csv(path, dtype=str) for path in sorted((DATA / "cbis_ddsm").glob("*.csv"))]
    quoted = {
        column: pd.concat([part[f"{column} file path"] for part in parts]).str.strip()
        for column in ("image", "ROI mask", "cropped image")
    }
    below = "older/CBIS-DDSM/"  # a folder above, so that the quoted paths are the ends of those on the disk
    monkeypatch.setattr(
        "mmpkd.cohorts.base.list_files",
        lambda *_: Listing(tmp_path, [below + path for path in set(pd.concat(quoted))]),
    )
    tables = read(cohort(tmp_path, folders={"tables": DATA / "cbis_ddsm", "images": tmp_path}), LABELS, survey=True)
    assert len(tables.images) == 3032 and len(tables.rejected) == 0
    assert set(tables.images["path"]) <= set(below + quoted["image"])
    kinds = tables.rois[tables.rois["label"] != "malignant"]
    assert len(kinds) == 3568
    assert set(kinds["mask_path"]) <= set(below + pd.concat([quoted["ROI mask"], quoted["cropped image"]]))


def write_image(path, pixels):
    """Writes grey pixels (uint8 or uint16) as an uncompressed DICOM file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, pixels, sop_class=SecondaryCaptureImageStorage)


def mask(rows, columns):
    pixels = np.zeros((rows, columns), np.uint8)
    pixels[rows // 4 : rows // 2, columns // 4 : columns // 2] = 255
    return pixels


def grey(rows, columns, kind=np.uint16):
    return np.arange(rows * columns).reshape(rows, columns).astype(kind)


MAMMOGRAM = Header(40, 20, 16)


@pytest.mark.parametrize(
    ("images", "chosen"),
    [
        ({"a": grey(8, 8), "b": mask(40, 20)}, "b"),  # as the headers say
        ({"a": mask(40, 20), "b": grey(8, 8)}, "a"),  # swapped
        ({"a": grey(8, 8, np.uint8), "b": mask(41, 20)}, "b"),  # an 8-bit crop; a mask a pixel too high
        ({"a": grey(40, 20, np.uint8), "b": mask(40, 20)}, "b"),  # a crop as large as the mammogram
        ({"a": grey(8, 8), "b": mask(40, 20).astype(np.uint16)}, "b"),  # a mask of 16 bits
        ({"a": mask(8, 8), "b": mask(80, 40)}, "b"),  # a mask at another scale, and one of another shape
        ({"a": mask(10, 5), "b": mask(40, 20), "c": mask(40, 20).astype(np.uint16)}, "b"),
    ],
)
def test_masks_are_distinguished_from_crops_by_content(tmp_path, images, chosen):
    for name, pixels in images.items():
        write_image(tmp_path / f"{name}.dcm", pixels)
    assert choose_mask(tmp_path, [f"{name}.dcm" for name in images], MAMMOGRAM) == f"{chosen}.dcm"


def test_a_lesion_without_a_mask_says_why(tmp_path):
    write_image(tmp_path / "crop.dcm", grey(8, 4))
    write_image(tmp_path / "empty.dcm", np.zeros((40, 20), np.uint16))
    (tmp_path / "broken.dcm").write_bytes(b"no DICOM")
    for files, reason in (
        ([], "no image files"),
        (["broken.dcm"], "readable image"),
        (["crop.dcm", "empty.dcm"], "is a mask"),
    ):
        with pytest.raises(NotFoundError, match=reason):
            choose_mask(tmp_path, files, MAMMOGRAM)


def test_a_mammogram_that_cannot_be_recognised_is_not_guessed():
    assert choose_mammogram(["f/x/1.dcm", "f/1.000000-full mammogram images-1/1.dcm"], "") == (
        "f/1.000000-full mammogram images-1/1.dcm"
    )
    assert choose_mammogram(["f/x/1.dcm", "f/y/000000.dcm"], "f/y/000000.dcm") == "f/y/000000.dcm"
    both = ["above/f/08-DDSM-1/1.000000-full mammogram images-1/1-1.dcm", "above/f/y/z/000000.dcm"]
    assert choose_mammogram(both, "f/y/z/000000.dcm") == both[1]  # both layouts: the one that the table quotes
    assert choose_mammogram(["f/y/z/000000.dcm", "f/y/z/1-1.dcm"], "f/y/z/000000.dcm") == "f/y/z/000000.dcm"
    assert choose_mammogram(["f/y/z/1-1.dcm", "f/v/w/1-1.dcm"], "f/y/z/000000.dcm") == "f/y/z/1-1.dcm"
    for files, reason in (([], "missing"), (["f/x/1.dcm", "f/y/2.dcm"], "2 images")):
        with pytest.raises(NotFoundError, match=reason):
            choose_mammogram(files, "")


COMMON = "left or right breast,image view,abnormality id,abnormality type"
PATHS = "image file path,cropped image file path,ROI mask file path"
HEADERS = {
    "mass": f"patient_id,breast_density,{COMMON},mass shape,mass margins,assessment,pathology,subtlety,{PATHS}",
    "calc": f"patient_id,breast density,{COMMON},calc type,calc distribution,assessment,pathology,subtlety,{PATHS}",
}
LESIONS = [  # kind, set, patient, view, number, pathology
    ("mass", "train", "P_00001", "CC", 1, "MALIGNANT"),
    ("mass", "train", "P_00001", "CC", 2, "BENIGN"),
    ("mass", "train", "P_00002", "CC", 1, "BENIGN"),
    ("mass", "test", "P_00003", "MLO", 1, "BENIGN"),
    ("calc", "train", "P_00003", "MLO", 1, "MALIGNANT"),
    ("calc", "test", "P_00004", "CC", 1, "BENIGN_WITHOUT_CALLBACK"),
    ("calc", "test", "P_00005", "CC", 1, "BENIGN"),  # no file of its mammogram
    ("calc", "test", "P_00006", "CC", 1, "UNPROVEN"),
    ("calc", "test", "P_00004", "CC", 1, "BENIGN"),  # a second row of the lesion
    ("calc", "train", "P_0000x", "CC", 1, "BENIGN"),  # no such folder name
]


@pytest.fixture
def tree(tmp_path):
    tables = {(kind, name): [HEADERS[kind]] for kind in HEADERS for name in ("train", "test")}
    for kind, name, patient, view, number, pathology in LESIONS:
        prefix = f"{kind.title()}-{'Training' if name == 'train' else 'Test'}_{patient}_LEFT_{view}"
        lesion = f"{prefix}_{number}"
        paths = f'{prefix}/1.2/3.4/000000.dcm,"{lesion}/1.2/5.6/000001.dcm\n","{lesion}/1.2/5.6/000000.dcm\n"'
        cells = f"{patient},3,LEFT,{view},{number},{'mass' if kind == 'mass' else 'calcification'},A,B,4,{pathology},5"
        tables[kind, name].append(f"{cells},{paths}")
        if patient in ("P_00001", "P_00003"):  # as the NBIA downloader names it
            write_image(
                tmp_path / "CBIS-DDSM" / prefix / "08-DDSM-1" / "1.000000-full mammogram images-1" / "1-1.dcm",
                grey(40, 20),
            )
            series = tmp_path / "CBIS-DDSM" / lesion / "08-DDSM-2" / "1.000000-ROI mask images-2"
            order = ("1-1.dcm", "1-2.dcm") if number == 1 else ("1-2.dcm", "1-1.dcm")
            write_image(series / order[0], grey(8, 8))
            write_image(series / order[1], mask(40, 20))
        elif patient in ("P_00002", "P_00004"):  # as the tables quote it
            write_image(tmp_path / "CBIS-DDSM" / prefix / "1.2/3.4/000000.dcm", grey(40, 20))
            if patient == "P_00004":
                write_image(tmp_path / "CBIS-DDSM" / lesion / "1.2/5.6/000000.dcm", mask(40, 20))
    for (kind, name), rows in tables.items():
        path = tmp_path / f"{kind}_case_description_{name}_set.csv"
        path.write_bytes("\n".join(rows).replace("\n", "\r\n").encode())
    return tmp_path


def test_the_fabricated_tree_is_read(tree):
    tables = read(cohort(tree, options={"validation_share": 0.0}), LABELS)
    images = tables.images.set_index("image_id")
    assert images["split"].to_dict() == {
        "P_00001_LEFT_CC": "train",
        "P_00002_LEFT_CC": "train",
        "P_00003_LEFT_MLO": "test",  # in the test set of masses and the training set of calcifications
        "P_00004_LEFT_CC": "test",
    }
    assert images.loc["P_00003_LEFT_MLO", "path"].startswith("Mass-Test_P_00003_LEFT_MLO/08-DDSM-1/")
    assert images.loc["P_00002_LEFT_CC", "path"] == "Mass-Training_P_00002_LEFT_CC/1.2/3.4/000000.dcm"
    assert images[["rows", "columns"]].drop_duplicates().to_numpy().tolist() == [[40, 20]]
    assert images.loc["P_00001_LEFT_CC", ["study_id", "view", "laterality"]].tolist() == ["P_00001_LEFT", "CC", "LEFT"]
    assert tables.labels.set_index("image_id").to_dict("index") == {
        "P_00001_LEFT_CC": {"malignant": 1, "mass": 1, "calcification": 0},
        "P_00002_LEFT_CC": {"malignant": 0, "mass": 1, "calcification": 0},
        "P_00003_LEFT_MLO": {"malignant": 1, "mass": 1, "calcification": 1},
        "P_00004_LEFT_CC": {"malignant": 0, "mass": 0, "calcification": 1},
    }
    assert tables.notes["patients_in_several_splits"] == 1 and tables.notes["rows_moved"] == 1


def test_masks_and_reasons_of_the_fabricated_tree(tree):
    tables = read(cohort(tree), LABELS)
    assert sorted(tables.rois["roi_id"]) == [
        "Calc-Test_P_00004_LEFT_CC_1_calcification",
        "Calc-Training_P_00003_LEFT_MLO_1_calcification",
        "Calc-Training_P_00003_LEFT_MLO_1_malignant",
        "Mass-Test_P_00003_LEFT_MLO_1_mass",
        "Mass-Training_P_00001_LEFT_CC_1_malignant",
        "Mass-Training_P_00001_LEFT_CC_1_mass",
        "Mass-Training_P_00001_LEFT_CC_2_mass",
    ]
    for path in tables.rois["mask_path"]:
        assert dcmread(tables.image_root / path).BitsAllocated == 8
    assert {(row.record, row.reason) for row in tables.rejected.itertuples()} == {
        ("P_0000x_LEFT_CC, lesion 1", "its paths name no mammogram or no lesion"),
        ("Calc-Test_P_00006_LEFT_CC_1", "pathology is missing or not known"),
        ("Calc-Test_P_00004_LEFT_CC_1", "second row of a lesion"),
        ("P_00005_LEFT_CC", "mammogram is missing"),
        ("Calc-Test_P_00005_LEFT_CC_1", "lesion of a mammogram that was left out"),
        ("Mass-Training_P_00002_LEFT_CC_1", "ROI: lesion has no image files"),
    }


def test_only_requested_labels_are_yielded(tree):
    tables = read(cohort(tree), ["mass", "Pneumothorax"])
    assert tables.label_names == ["mass"] and set(tables.rois["label"]) == {"mass"}
    none = read(cohort(tree), ["Pneumothorax"])
    assert none.label_names == [] and len(none.rois) == 0 and len(none.images) == 4


def test_mistakes_in_the_configuration_are_named(tree, tmp_path_factory):
    with pytest.raises(ChoiceError, match="unknown options: validation; known are validation_share"):
        read(cohort(tree, options={"validation": 0.1}), LABELS)
    with pytest.raises(ChoiceError, match="validation_share is 1.5"):
        read(cohort(tree, options={"validation_share": 1.5}), LABELS)
    with pytest.raises(
        FileNotFoundError, match="holds no folder of the 6 mammograms of the tables; set folders.images"
    ):
        read(cohort(tree, folders={"images": tmp_path_factory.mktemp("empty")}), LABELS)
    table = tree / "calc_case_description_test_set.csv"
    table.write_text(table.read_text().replace("calc type", "kind"))
    with pytest.raises(TableFileError, match=r"calc_case_description_test_set\.csv: column.s. calc_type missing"):
        read(cohort(tree), LABELS)
    table.unlink()
    with pytest.raises(FileNotFoundError, match="cancerimagingarchive"):
        read(cohort(tree), LABELS)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom")
    truth = write_tree("cbis_ddsm", Phantom(patients=40, seed=11), root)
    return truth, read(cohort(root), LABELS)


def test_the_phantom_is_read_as_it_was_drawn(phantom):
    truth, tables = phantom
    assert set(tables.images["image_id"]) == set(truth["image_id"])
    assert set(tables.images["split"]) == {"train", "validate", "test"}
    drawn = truth.pivot(index="image_id", columns="label", values="present").loc[tables.images["image_id"], LABELS]
    assert (tables.labels[LABELS].to_numpy() == drawn.to_numpy(dtype=float)).all()


def test_the_masks_of_the_phantom_are_where_lesions_were_drawn(phantom):
    truth, tables = phantom
    single = tables.rois[~tables.rois.duplicated(["image_id", "label"], keep=False)]
    lesions = single.drop(columns=["x0", "y0", "x1", "y1"]).merge(truth, on=["image_id", "label"])
    assert len(lesions) == len(single) > 20 and lesions["present"].all()
    for lesion in lesions.itertuples():
        pixels = dcmread(tables.image_root / lesion.mask_path).pixel_array
        assert set(np.unique(pixels)) == {0, 255}
        y, x = np.nonzero(pixels)
        # A few masks differ from their mammogram by a pixel or two, and rasterised edges by half of one.
        drawn = np.array([lesion.x0, lesion.y0, lesion.x1, lesion.y1])
        np.testing.assert_allclose([x.min(), y.min(), x.max() + 1, y.max() + 1], drawn, atol=4)


def test_files_are_found_below_further_folders(tmp_path, tree):
    (tree / "CBIS-DDSM").rename(tree / "manifest")
    (tree / "download").mkdir()
    (tree / "manifest").rename(tree / "download" / "manifest")
    tables = read(cohort(tree, folders={"images": tree / "download"}), LABELS)
    assert len(tables.images) == 4
    assert set(tables.images["path"]) <= set(list_files(tree / "download", (".dcm",)))


def test_a_survey_opens_no_image(tree, monkeypatch):
    full = read(cohort(tree), LABELS)
    for name in ("cbis_ddsm.try_header", "cbis_ddsm.files.try_header", "cbis_ddsm.files.dcmread"):
        monkeypatch.setattr(f"mmpkd.cohorts.datasets.{name}", lambda *_, **__: pytest.fail("a survey opened an image"))
    tables = read(cohort(tree), LABELS, survey=True)
    assert tables.images["image_id"].tolist() == full.images["image_id"].tolist()
    assert tables.images["path"].tolist() == full.images["path"].tolist()
    assert tables.images[["rows", "columns"]].isna().all(axis=None)
    assert sorted(tables.rois["roi_id"]) == sorted(full.rois["roi_id"])
    assert tables.rejected.equals(full.rejected)


def test_paths_that_leave_the_images_are_refused_with_their_row(tree, tmp_path_factory):
    table = tree / "mass_case_description_train_set.csv"
    text = table.read_text()
    for path, column in (
        ("Mass-Training_P_00002_LEFT_CC/../../000000.dcm", "image_file_path"),
        ("/Mass-Training_P_00002_LEFT_CC/1.2/3.4/000000.dcm", "image_file_path"),
        ("Mass-Training_P_00002_LEFT_CC/away/000000.dcm", "image_file_path"),
    ):
        away = tree / "CBIS-DDSM/Mass-Training_P_00002_LEFT_CC/away"
        if not away.exists():
            away.symlink_to(tmp_path_factory.mktemp("away"))
        table.write_text(text.replace("Mass-Training_P_00002_LEFT_CC/1.2/3.4/000000.dcm", path))
        tables = read(cohort(tree), LABELS)
        assert "P_00002_LEFT_CC" not in set(tables.images["image_id"]) and len(tables.images) == 3
        refused = tables.rejected[tables.rejected["reason"] == f"{column} does not stay below the images' folder"]
        assert refused["record"].tolist() == ["P_00002_LEFT_CC, lesion 1"]


def test_masks_unlike_their_mammogram_are_scaled_or_set_aside(tmp_path):
    rows = [HEADERS["mass"]]
    sizes = {1: (400, 200), 2: (402, 200), 3: (200, 100), 4: (412, 200), 5: (200, 200)}
    name = "Mass-Training_P_00001_LEFT_CC"
    write_image(tmp_path / f"CBIS-DDSM/{name}/1.2/3.4/000000.dcm", grey(400, 200))
    for number, size in sizes.items():
        paths = f"{name}/1.2/3.4/000000.dcm,{name}_{number}/1.2/5.6/000000.dcm,{name}_{number}/1.2/5.6/000001.dcm"
        rows.append(f"P_00001,3,LEFT,CC,{number},mass,A,B,4,BENIGN,5,{paths}")
        write_image(tmp_path / f"CBIS-DDSM/{name}_{number}/1.2/5.6/000000.dcm", grey(32, 32))
        write_image(tmp_path / f"CBIS-DDSM/{name}_{number}/1.2/5.6/000001.dcm", mask(*size))
    (tmp_path / "mass_case_description_train_set.csv").write_text("\n".join(rows))
    for kind, part in (("mass", "test"), ("calc", "train"), ("calc", "test")):
        (tmp_path / f"{kind}_case_description_{part}_set.csv").write_text(HEADERS[kind])
    tables = read(cohort(tmp_path), ["mass"])
    assert dict(zip(tables.rejected["record"], tables.rejected["reason"], strict=True)) == {
        f"{name}_5": "ROI: none of the lesion's files is a mask of the mammogram's shape"
    }
    write_shard(tables, Imaging(size=40, window="minmax"), 0, 1, tmp_path / "store")
    rois, masks = roi_masks([tmp_path / "store"])
    assert rois["roi_id"].tolist() == [f"{name}_{number}_mass" for number in (1, 2, 3)]
    box = np.zeros((40, 40), np.uint8)
    box[10:20, 15:20] = 1  # a quarter to a half of 40 rows, and of the 20 columns in the middle
    for stored in masks:
        np.testing.assert_array_equal(stored, box)
    rejected = pd.read_csv(tmp_path / "store" / "rejected.csv")
    assert rejected.to_numpy().tolist() == [
        [f"{name}_4_mass", "ROI: drawn on 412 x 200 pixels, but its image has 400 x 200"]
    ]


def test_what_is_needed(tree):
    assert not is_restricted(cohort(tree))
    wanted = needs(cohort(tree))
    assert [need.path.name for need in wanted[:4]] == [
        f"{kind}_case_description_{part}_set.csv" for kind in ("mass", "calc") for part in ("train", "test")
    ]
    assert wanted[4].path == tree / "CBIS-DDSM" and all(need.found and need.required for need in wanted)
    assert len(needs(cohort(tree, images=False))) == 4
    wanted[1].path.unlink()
    assert [need.found for need in needs(cohort(tree))] == [True, False, True, True, True]


@pytest.fixture
def export(tree, tmp_path_factory):
    """The fabricated tree as the JPEG export has it."""
    root = tmp_path_factory.mktemp("export")
    (root / "csv").mkdir()
    for table in tree.glob("*.csv"):
        table.rename(root / "csv" / table.name)
    rows = ["file_path,image_path,PatientID,SeriesDescription"]
    for number, file in enumerate(sorted((tree / "CBIS-DDSM").rglob("*.dcm"))):
        folder = file.relative_to(tree / "CBIS-DDSM").parts[0]
        pixels = dcmread(file).pixel_array
        picture = root / "jpeg" / f"1.3.6.1.{abs(hash(file.parent))}" / f"1-{number:03d}.jpg"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * (255 / pixels.max())).astype(np.uint8)).save(picture, quality=90)
        rows.append(f"x.dcm,CBIS-DDSM/jpeg/{picture.parent.name}/{picture.name},{folder},")
    rows.append("x.dcm,CBIS-DDSM/jpeg/1.3.6.1.0/1-999.jpg,Calc-Test_P_00005_LEFT_CC,")  # not on the disk
    (root / "csv" / "dicom_info.csv").write_text("\n".join(rows))
    return root


def test_the_jpeg_export_is_read_like_the_dicom_files(export):
    tables = read(cohort(export), LABELS)
    assert tables.images["image_id"].tolist() == [
        f"P_0000{n}_LEFT_{v}" for n, v in ((1, "CC"), (2, "CC"), (3, "MLO"), (4, "CC"))
    ]
    assert tables.images[["rows", "columns"]].drop_duplicates().to_numpy().tolist() == [[40, 20]]
    assert len(tables.rois) == 7
    for path in tables.rois["mask_path"]:
        assert Image.open(export / path).size == (20, 40)
    assert ("P_00005_LEFT_CC", "mammogram is missing") in set(tables.rejected.itertuples(index=False, name=None))
    assert [need.path.name for need in needs(cohort(export))][4:] == ["dicom_info.csv"]


def test_a_jpeg_mask_is_distinguished_from_a_crop_of_the_same_size(tmp_path):
    Image.fromarray(mask(404, 204)).save(tmp_path / "a.jpg", quality=5)
    Image.fromarray(grey(404, 204, np.uint8)).save(tmp_path / "b.jpg", quality=90)
    stored = np.asarray(Image.open(tmp_path / "a.jpg"))
    assert 0 < ((stored > 63) & (stored < 192)).mean() < 0.01  # compression leaves grey at the edges
    assert choose_mask(tmp_path, ["a.jpg", "b.jpg"], Header(404, 204, 16)) == "a.jpg"
    contents = pd.DataFrame({"patientid": ["M", "M"], "image_path": ["x/jpeg/1/a.jpg", "../jpeg/../a.jpg"]})
    assert exported_files(contents, Listing(tmp_path, ["jpeg/1/a.jpg"])) == {"M": ["jpeg/1/a.jpg"]}
