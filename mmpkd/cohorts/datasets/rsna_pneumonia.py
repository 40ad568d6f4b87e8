"""RSNA Pneumonia Detection Challenge: frontal chest radiographs with boxes of lung opacities, for evaluation alone.

Access: Kaggle, after its rules are accepted. https://www.kaggle.com/c/rsna-pneumonia-detection-challenge
    The table of NIH images: https://www.rsna.org/rsnai/ai-image-challenge/rsna-pneumonia-detection-challenge-2018
Licence: the rules of the competition; the images are those of the NIH Clinical Center, to be named as their provider.
Citation: Shih et al., "Augmenting the National Institutes of Health Chest Radiograph Dataset with Expert Annotations of
    Possible Pneumonia", Radiology: Artificial Intelligence 1(1):e180041 (2019), doi:10.1148/ryai.2019180041; and
    Wang et al., CVPR 2017, for the images.

Layout below root:
    stage_2_train_labels.csv                            patientId, x, y, width, height, Target: a row a box
    stage_2_detailed_class_info.csv                     patientId, class                                     (optional)
    pneumonia-challenge-dataset-mappings_2018.json      which image of ChestX-ray14 each one is              (optional)
    stage_2_train_images/<patientId>.dcm                                                          (folder `images`)
Labels of the stage-2 test images were not published: they are not read.

Yields 26,684 images, the label Lung Opacity (`Target`) and its boxes; with the table of classes also No Finding (class
`Normal`). There are no reports, so there is no privileged table.

Why Lung Opacity: the readers boxed opacities that may be pneumonia and called the class `Lung Opacity`; whether an
opacity is pneumonia takes more than the image. A negative has no such opacity, but the class `No Lung Opacity / Not
Normal` holds other findings, some of which CheXpert would call an opacity.

Split: an external cohort is evaluated whole, so every image that is taken has the split `test`.

Options:
    sets: which images are taken: `boxed` (those with an opacity), `unboxed`, or both. Default: both.
    target_labels: what `Target` and its boxes are called: Lung Opacity, Pneumonia, or both. Default: Lung Opacity.

Traps: every image is one of NIH ChestX-ray14 (`nih_chestxray14`): the two cohorts are no independent evidence.
`patientId` names an image, not a patient. With the table of NIH images, the patient is the NIH's; without it each image
counts as a patient of its own, and intervals by patient are intervals by image. An image with several opacities has
several rows, in the table of classes too. Images and boxes are on 1024 x 1024 pixels. The view (PA, AP) stands in the
headers alone, which are not opened.

The columns and classes are as public code reads them (microsoft/InnerEye-DeepLearning, mlmed/torchxrayvision); the
licence text and the original files were not seen.
"""

from pathlib import Path

import pandas as pd

from mmpkd.cohorts.base import Need, among, declared_folders, read_folders, read_options
from mmpkd.cohorts.listing import list_files, with_files
from mmpkd.cohorts.paths import TableFileError, existing, read_json, read_table, require_folder
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.rois import box_rois
from mmpkd.cohorts.tables import IMAGE_COLUMNS, CohortTables, is_among
from mmpkd.config.cohorts import Cohort

RESTRICTED = False
OPTIONS = {"sets": ["boxed", "unboxed"], "target_labels": ["Lung Opacity"]}
FOLDERS = ("images",)
SETS = ("boxed", "unboxed")
TARGET_LABELS = ("Lung Opacity", "Pneumonia")
SIDE = 1024  # pixels of every image of the challenge
SOURCE = "RSNA's challenge is at https://www.kaggle.com/c/rsna-pneumonia-detection-challenge (Kaggle account)"
MAPPING_SOURCE = (
    "the table of NIH images is at "
    "https://www.rsna.org/rsnai/ai-image-challenge/rsna-pneumonia-detection-challenge-2018 (open)"
)
LABEL_TABLE, CLASS_TABLE = "stage_2_train_labels.csv", "stage_2_detailed_class_info.csv"
MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"
NO_FINDING = {"normal": 1.0, "no lung opacity / not normal": 0.0, "lung opacity": 0.0}  # by class


def needs(cohort: Cohort) -> list[Need]:
    """The table of boxes, the folder of images, and the two tables that add to them."""
    wanted = [Need(cohort.root / LABEL_TABLE, "targets and boxes", SOURCE)]
    if cohort.images:
        wanted.append(Need(_image_root(cohort), "images", SOURCE))
    return [
        *wanted,
        Need(cohort.root / CLASS_TABLE, "classes, for the label No Finding", SOURCE, required=False),
        Need(cohort.root / MAPPING, "images of ChestX-ray14, for patients", MAPPING_SOURCE, required=False),
    ]


def read(cohort: Cohort, labels: list[str], *, survey: bool = False) -> CohortTables:
    """Reads the challenge's training set below `cohort.root`; it knows the `target_labels` and No Finding.

    No file is opened a record, so that `survey` changes nothing.

    Raises:
        FileNotFoundError: if the table of boxes, or every image, is missing.
        TableFileError: if a table cannot be read.
        ChoiceError: for an unknown option, folder, set or label.
    """
    options = read_options(cohort, OPTIONS)
    sets = among("sets", options["sets"], SETS)
    meant = among("target_labels", options["target_labels"], TARGET_LABELS)
    rejections = Rejections()
    rows = _rows(cohort.root, rejections)
    listed = rows.groupby("image_id", sort=False, as_index=False)["target"].first()
    taken = listed["target"].map({1.0: "boxed", 0.0: "unboxed"}).isin(sets)
    images = _with_files(listed[taken], cohort, rejections)
    images, mapped = _with_patients(images, cohort.root)
    classes = _classes(cohort.root)
    names = [*meant, *([] if classes is None else ["No Finding"])]
    table = images[["image_id"]].copy()
    for label in [label for label in labels if label in names]:
        table[label] = images["target"] if label in meant else images["image_id"].map(classes).astype("float64")
    boxes = rows[~is_among(rows["image_id"], listed.loc[~taken, "image_id"])]
    return CohortTables(
        image_root=_image_root(cohort),
        images=images[list(IMAGE_COLUMNS)],
        labels=table,
        rois=_rois(boxes, images, [label for label in labels if label in meant], rejections),
        rejected=rejections.table,
        notes={
            "images_not_in_the_chosen_sets": int((~taken).sum()),
            "images_with_a_patient_of_the_nih": mapped,
            **rejections.notes,
        },
    )


def _image_root(cohort: Cohort) -> Path:
    return read_folders(cohort, FOLDERS).get("images", cohort.root / "stage_2_train_images")


def _rows(root: Path, rejections: Rejections) -> pd.DataFrame:
    """One row a box, or an image without one: image_id, target and the corners."""
    rows = read_table(root / LABEL_TABLE, ["patientid", "x", "y", "width", "height", "target"], SOURCE)
    rows = rows.rename(columns={"patientid": "image_id"})
    # Identifiers become names of files, so they may hold nothing but what the challenge's hold.
    malformed = ~rows["image_id"].str.fullmatch(r"[\w-]+")
    rows = rejections.split_off(rows, malformed, "image_id", "malformed identifier")
    rows = rows.assign(target=pd.to_numeric(rows["target"], errors="coerce"))
    unread = ~rows["target"].isin([0, 1])
    rows = rejections.split_off(rows, unread, "image_id", "Target is neither 0 nor 1")
    mixed = rows.groupby("image_id")["target"].transform("nunique") > 1
    rows = rejections.split_off(rows, mixed, "image_id", "Target is 1 in one row of the image and 0 in another")
    numbers = rows[["x", "y", "width", "height"]].apply(pd.to_numeric, errors="coerce")
    return rows.assign(
        x0=numbers["x"], y0=numbers["y"], x1=numbers["x"] + numbers["width"], y1=numbers["y"] + numbers["height"]
    )


def _with_files(images: pd.DataFrame, cohort: Cohort, rejections: Rejections) -> pd.DataFrame:
    """Adds the further columns of images; sets those aside that are not on the disk."""
    images = images.assign(
        study_id=images["image_id"], split="test", path="", view="frontal", laterality="", rows=SIDE, columns=SIDE
    )
    if cohort.images:
        folder = require_folder(_image_root(cohort), SOURCE)
        files = list_files(folder, (".dcm",), declared_folders(cohort))
        images = with_files(images, images["image_id"] + ".dcm", files, "table", SOURCE, rejections)
    return images.reset_index(drop=True)


def _with_patients(images: pd.DataFrame, root: Path) -> tuple[pd.DataFrame, int]:
    """Adds `patient_id`: the NIH's where it is known, else the image; and of how many images it is known.

    Raises:
        TableFileError: if the table of NIH images is not what it should be.
    """
    path = existing(root / MAPPING)
    if not path.is_file():
        return images.assign(patient_id=images["image_id"]), 0
    try:
        names = {str(entry["subset_img_id"]): str(entry["img_id"]) for entry in read_json(path)}
    except (ValueError, TypeError, KeyError) as error:
        raise TableFileError(f"{path}: no list of subset_img_id and img_id; {MAPPING_SOURCE}") from error
    patient = images["image_id"].map(names).astype("str").str.extract(r"^(\d{8})_\d{3}\.png$", expand=False)
    return images.assign(patient_id=patient.fillna(images["image_id"])), int(patient.notna().sum())


def _classes(root: Path) -> pd.Series | None:
    """No Finding by image: 1, 0, or NaN where the classes contradict each other; None without the table."""
    path = existing(root / CLASS_TABLE)
    if not path.is_file():
        return None
    table = read_table(path, ["patientid", "class"], SOURCE)
    values = table["class"].str.lower().map(NO_FINDING).groupby(table["patientid"])
    return values.first().where((values.nunique() == 1) & (values.count() == values.size()))


def _rois(boxes: pd.DataFrame, images: pd.DataFrame, labels: list[str], rejections: Rejections) -> pd.DataFrame:
    """The boxes on `images`, once for each of `labels`."""
    drawn = (boxes["target"] == 1) | boxes[["x0", "y0", "x1", "y1"]].notna().any(axis=1)
    boxes = boxes[drawn].merge(images[["image_id", "rows", "columns"]], on="image_id", how="left", indicator=True)
    boxes = rejections.split_off(boxes, boxes["_merge"] != "both", "image_id", "box on an image that was left out")
    boxes = rejections.split_off(boxes, boxes["target"] != 1, "image_id", "box on an image whose Target is 0")
    parts = [boxes.assign(label=label) for label in labels]
    return box_rois(pd.concat(parts) if parts else boxes.iloc[:0].assign(label=""), rejections)
