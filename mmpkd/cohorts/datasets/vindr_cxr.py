"""VinDr-CXR: chest radiographs of two hospitals in Hanoi with radiologists' labels and boxes, for evaluation alone.

Access: PhysioNet, credentialed account with training and a signed data use agreement.
    https://physionet.org/content/vindr-cxr/
Licence: PhysioNet Credentialed Health Data License 1.5.0.
Citation: Nguyen et al., "VinDr-CXR: An open dataset of chest X-rays with radiologist's annotations", Scientific Data
    9:429 (2022).

Layout below root:
    {train,test}/<image_id>.dicom
    annotations/image_labels_{train,test}.csv, annotations/annotations_{train,test}.csv   (folder `annotations`)

Yields PA radiographs, image labels and boxes under CheXpert's names (`SOURCES` tells which). The test set's are a
consensus of five radiologists. Each training image was read by three: a label is that of the majority, and the boxes
are those of the radiologists who agree with it. There are no reports, so there is no privileged table.

Split: an external cohort is evaluated whole, so every image that is taken has the split `test`.

Options:
    splits: the published sets that are taken, train or test; images of the others are left out and counted.

Traps: no patient identifier is published, so each image counts as a patient of its own, and intervals by patient are
intervals by image. The tables do not tell the size of an image. Infiltration, ILD and the like have no CheXpert name
and are left out, their boxes too. Kaggle's VinBigData competition distributes the same images, also as .dicom, but with
other tables (train.csv for its training images, no labels for the others): that download is not read.
"""

from pathlib import Path

import pandas as pd

from mmpkd.cohorts.base import Need, among, declared_folders, read_folders, read_options
from mmpkd.cohorts.listing import Listing, list_files, with_files
from mmpkd.cohorts.paths import existing, read_table, require_folder, snake_case
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.rois import box_rois
from mmpkd.cohorts.tables import IMAGE_COLUMNS, CohortTables, is_among
from mmpkd.config.cohorts import Cohort

RESTRICTED = True
OPTIONS = {"splits": ["test"]}
FOLDERS = ("annotations",)
OFFICIAL = ("train", "test")
SOURCE = "VinDr-CXR is at https://physionet.org/content/vindr-cxr/ (credentialed)"
# CheXpert's name: the names of VinDr-CXR that mean it; several are united.
SOURCES = {
    "Atelectasis": ["Atelectasis"],
    "Cardiomegaly": ["Cardiomegaly"],
    "Consolidation": ["Consolidation"],
    "Edema": ["Edema"],
    "Fracture": ["Rib fracture", "Clavicle fracture"],
    "Lung Lesion": ["Nodule/Mass"],
    "Lung Opacity": ["Lung Opacity"],
    "No Finding": ["No finding"],
    "Pleural Effusion": ["Pleural effusion"],
    "Pleural Other": ["Pleural thickening"],
    "Pneumonia": ["Pneumonia"],
    "Pneumothorax": ["Pneumothorax"],
}


def needs(cohort: Cohort) -> list[Need]:
    """The two tables of each set that is taken, and its folder of images."""
    folder, wanted = _annotations(cohort), []
    for split in read_options(cohort, OPTIONS)["splits"]:
        wanted.append(Need(folder / f"image_labels_{split}.csv", f"labels of the {split} set", SOURCE))
        wanted.append(Need(folder / f"annotations_{split}.csv", f"boxes of the {split} set", SOURCE))
        if cohort.images:
            wanted.append(Need(cohort.root / split, f"images of the {split} set", SOURCE))
    return wanted


def read(cohort: Cohort, labels: list[str], *, survey: bool = False) -> CohortTables:
    """Reads VinDr-CXR below `cohort.root`; `labels` are CheXpert names, those of `SOURCES` are known to it.

    No file is opened a record, so that `survey` changes nothing.

    Raises:
        FileNotFoundError: if a table, or every image, is missing.
        TableFileError: if a table cannot be read.
        ChoiceError: for an unknown option, folder or split.
    """
    splits = among("splits", read_options(cohort, OPTIONS)["splits"], OFFICIAL)
    folder = _annotations(cohort)
    known = [label for label in labels if label in SOURCES]
    rejections = Rejections()
    parts = [_image_labels(folder, split, known, rejections) for split in splits]
    images = _with_files(pd.concat(parts, ignore_index=True), cohort, splits, rejections)
    rois, notes = _rois(folder, splits, images, known, rejections)
    for split in sorted(set(OFFICIAL) - set(splits)):
        path = existing(folder / f"image_labels_{split}.csv")
        left_out = read_table(path, ["image_id"], SOURCE)["image_id"].nunique() if path.is_file() else 0
        notes[f"images_of_official_{split}_set_left_out"] = left_out
    return CohortTables(
        image_root=cohort.root,
        images=images[list(IMAGE_COLUMNS)],
        labels=images[["image_id", *known]],
        rois=rois,
        rejected=rejections.table,
        notes={**notes, **rejections.notes},
    )


def _annotations(cohort: Cohort) -> Path:
    return read_folders(cohort, FOLDERS).get("annotations", cohort.root / "annotations")


def _image_labels(folder: Path, split: str, labels: list[str], rejections: Rejections) -> pd.DataFrame:
    """One row an image of a published set: image_id, official_set and the labels, by majority of its readers."""
    path = folder / f"image_labels_{split}.csv"
    names = {label: [snake_case(name) for name in SOURCES[label]] for label in labels}
    columns = [name for sources in names.values() for name in sources]
    table = read_table(path, ["image_id", *columns], SOURCE)
    malformed = ~table["image_id"].str.fullmatch(r"[\w-]+")
    table = rejections.split_off(table, malformed, "image_id", f"malformed identifier in {path.name}")
    values = table[columns].apply(pd.to_numeric, errors="coerce")
    wrong = ~values.isin([0, 1]).all(axis=1)
    table = rejections.split_off(table, wrong, "image_id", f"label in {path.name} is neither 0 nor 1")
    reading = pd.DataFrame({label: values.loc[table.index, names[label]].max(axis=1) for label in labels})
    reading = reading.reindex(table.index)
    share = reading.groupby(table["image_id"]).mean().reindex(table["image_id"].unique())
    return (share > 0.5).astype("float64").rename_axis("image_id").reset_index().assign(official_set=split)


def _with_files(images: pd.DataFrame, cohort: Cohort, splits: list[str], rejections: Rejections) -> pd.DataFrame:
    """Adds the further columns of images; sets those aside that are not on the disk, or named by two sets."""
    twice = images.duplicated("image_id")
    images = rejections.split_off(images, twice, "image_id", "image stands in two published sets")
    size = pd.Series(pd.NA, index=images.index, dtype="Int32")
    images = images.assign(
        patient_id=images["image_id"],
        study_id=images["image_id"],
        split="test",
        path="",
        view="PA",
        laterality="",
        rows=size,
        columns=size,
    )
    if not cohort.images:
        return images
    wanted = images["official_set"] + "/" + images["image_id"] + ".dicom"
    files = sum((_listing(cohort, split) for split in splits), start=Listing(cohort.root))
    return with_files(images, wanted, files, "tables", SOURCE, rejections)


def _listing(cohort: Cohort, split: str) -> Listing:
    folder = require_folder(cohort.root / split, SOURCE)
    return list_files(folder, (".dicom",), declared_folders(cohort)).under(cohort.root, split)


def _rois(
    folder: Path, splits: list[str], images: pd.DataFrame, labels: list[str], rejections: Rejections
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The boxes of `labels` on `images` that agree with the image's label, and the count of those that do not."""
    columns = ["image_id", "class_name", "x_min", "y_min", "x_max", "y_max"]
    boxes = pd.concat(
        [read_table(folder / f"annotations_{split}.csv", columns, SOURCE) for split in splits], ignore_index=True
    )
    names = {snake_case(name): label for label in labels for name in SOURCES[label] if label != "No Finding"}
    boxes["label"] = boxes["class_name"].map(lambda text: names.get(snake_case(text)))
    boxes = boxes.dropna(subset="label").rename(columns={"x_min": "x0", "y_min": "y0", "x_max": "x1", "y_max": "y1"})
    boxes = rejections.split_off(
        boxes, ~is_among(boxes["image_id"], images["image_id"]), "image_id", "box on an image that was left out"
    )
    agreed = images[["image_id", "rows", "columns", *labels]].melt(["image_id", "rows", "columns"], var_name="label")
    boxes = boxes.merge(agreed, on=["image_id", "label"], how="left")
    outvoted = boxes["value"] != 1
    return box_rois(boxes[~outvoted], rejections), {"boxes_outvoted_by_the_image_label": int(outvoted.sum())}
