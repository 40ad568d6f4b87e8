"""VinDr-Mammo: full-field digital mammograms with boxes of findings, for evaluation alone.

Access: PhysioNet, credentialed account with training and a signed data use agreement.
    https://physionet.org/content/vindr-mammo/
Licence: PhysioNet Credentialed Health Data License 1.5.0.
Citation: Nguyen et al., "VinDr-Mammo: A large-scale benchmark dataset for computer-aided diagnosis in full-field
    digital mammography", Scientific Data 10:277 (2023).

Layout below root:
    images/<study_id>/<image_id>.dicom
    breast-level_annotations.csv, finding_annotations.csv                                             (folder `tables`)
    metadata.csv                                                                                      (not read)
Names of files, folders and columns are those of the release's page and of public code that reads it. Categories are
the text of a list of names (`['Mass', 'Skin Retraction']`), boxes are in pixels and empty where there is no finding.

Yields four views a study, the labels mass and calcification from the findings' categories, and their boxes.
`malignant` is not known to it: BI-RADS is an assessment and no pathology. There is no privileged table.

Split: an external cohort is evaluated whole, so every image that is taken has the split `test`. A study counts as a
patient.

Options:
    splits: the published sets that are taken, training or test; images of the others are left out and counted.

Traps: only suspicious calcifications are annotated, so an image without the label may hold benign ones. A finding may
have several categories; its box then counts for each. Asymmetry, distortion and other findings are left out. Some boxes
reach out of their image, with negative corners among them, and are clipped. With `survey` nothing is different: no
image is opened either way.
"""

import ast
from pathlib import Path

import pandas as pd

from mmpkd.cohorts.base import Need, among, declared_folders, read_folders, read_options
from mmpkd.cohorts.listing import list_files, with_files
from mmpkd.cohorts.paths import read_table, require_folder
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.rois import box_rois
from mmpkd.cohorts.tables import IMAGE_COLUMNS, CohortTables
from mmpkd.config.cohorts import Cohort

RESTRICTED = True
OPTIONS = {"splits": ["test"]}
FOLDERS = ("tables",)
OFFICIAL = ("training", "test")
SOURCE = "VinDr-Mammo is at https://physionet.org/content/vindr-mammo/ (credentialed)"
CATEGORIES = {"mass": "mass", "suspicious calcification": "calcification"}
SIDES = {"L": "LEFT", "R": "RIGHT"}


def needs(cohort: Cohort) -> list[Need]:
    """The two tables and the folder of images."""
    breasts, findings = _tables(cohort)
    tables = [
        Need(breasts, "the images, their sizes and sets", SOURCE),
        Need(findings, "findings and their boxes", SOURCE),
    ]
    return [*tables, Need(cohort.root / "images", "mammograms, a folder a study", SOURCE)] if cohort.images else tables


def read(cohort: Cohort, labels: list[str], *, survey: bool = False) -> CohortTables:
    """Reads VinDr-Mammo below `cohort.root`; it knows the labels mass and calcification.

    `survey` is accepted for the sake of the other adapters.

    Raises:
        FileNotFoundError: if a table, or every image, is missing.
        TableFileError: if a table cannot be read.
        ChoiceError: for an unknown option, folder or split.
    """
    splits = among("splits", read_options(cohort, OPTIONS)["splits"], OFFICIAL)
    breast_table, finding_table = _tables(cohort)
    known = [label for label in labels if label in CATEGORIES.values()]
    rejections = Rejections()
    listed = read_table(
        breast_table,
        ["study_id", "image_id", "laterality", "view_position", "height", "width", "split"],
        SOURCE,
    )
    images = _with_files(_images(listed, splits, rejections), cohort, rejections)
    findings = read_table(
        finding_table,
        ["image_id", "finding_categories", "xmin", "ymin", "xmax", "ymax"],
        SOURCE,
    )
    findings = findings[~findings["image_id"].isin(listed.loc[~listed["split"].isin(splits), "image_id"])]
    findings, unread = _labelled(findings, images, rejections)
    boxes = findings[findings["label"].isin(known)].merge(images[["image_id", "rows", "columns"]], on="image_id")
    boxes = boxes.rename(columns={"xmin": "x0", "ymin": "y0", "xmax": "x1", "ymax": "y1"})
    left_out = {name: int((listed["split"] == name).sum()) for name in OFFICIAL if name not in splits}
    return CohortTables(
        image_root=cohort.root,
        images=images[list(IMAGE_COLUMNS)],
        labels=_labels(images, findings, unread, known),
        rois=box_rois(boxes, rejections),
        rejected=rejections.table,
        notes={f"images_of_official_{name}_set_left_out": count for name, count in left_out.items()} | rejections.notes,
    )


def _tables(cohort: Cohort) -> tuple[Path, Path]:
    folder = read_folders(cohort, FOLDERS).get("tables", cohort.root)
    return folder / "breast-level_annotations.csv", folder / "finding_annotations.csv"


def _images(listed: pd.DataFrame, splits: list[str], rejections: Rejections) -> pd.DataFrame:
    """The rows of images of the published sets `splits`, without files."""
    unknown = ~listed["split"].isin(OFFICIAL)
    listed = rejections.split_off(listed, unknown, "image_id", "split is neither training nor test")
    images = listed[listed["split"].isin(splits)]
    # Identifiers become parts of paths, so they may hold nothing but what VinDr-Mammo's hold.
    malformed = ~(images["image_id"].str.fullmatch(r"[\w-]+") & images["study_id"].str.fullmatch(r"[\w-]+"))
    images = rejections.split_off(images, malformed, "image_id", "malformed identifier")
    images = rejections.split_off(images, images.duplicated("image_id"), "image_id", "second row of an image")
    size = images[["height", "width"]].apply(pd.to_numeric, errors="coerce").astype("Float64").round().astype("Int32")
    return images.assign(
        patient_id=images["study_id"],
        split="test",
        view=images["view_position"].str.upper(),
        laterality=images["laterality"].str.upper().replace(SIDES),
        rows=size["height"],
        columns=size["width"],
        path="",
    )


def _with_files(images: pd.DataFrame, cohort: Cohort, rejections: Rejections) -> pd.DataFrame:
    """Adds `path`; sets images aside that are not on the disk."""
    if not cohort.images:
        return images
    path = "images/" + images["study_id"] + "/" + images["image_id"] + ".dicom"
    folder = require_folder(cohort.root / "images", SOURCE)
    files = list_files(folder, (".dicom",), declared_folders(cohort)).under(cohort.root, "images")
    return with_files(images, path, files, "tables", SOURCE, rejections)


def _labelled(findings: pd.DataFrame, images: pd.DataFrame, rejections: Rejections) -> tuple[pd.DataFrame, set[str]]:
    """One row a finding on `images` and label that its categories mean; and the images with unreadable findings."""
    cells = findings["finding_categories"]
    findings = findings.assign(category=cells.map({cell: _parse(cell) for cell in cells.unique()}))
    broken = findings["category"].isna()
    unread = set(findings.loc[broken, "image_id"])
    findings = rejections.split_off(findings, broken, "image_id", "finding_categories is no list of names")
    findings = findings.explode("category").assign(label=lambda rows: rows["category"].map(CATEGORIES))
    findings = findings.dropna(subset="label")
    orphans = ~findings["image_id"].isin(images["image_id"])
    return rejections.split_off(findings, orphans, "image_id", "finding on an image that was left out"), unread


def _labels(images: pd.DataFrame, findings: pd.DataFrame, unread: set[str], known: list[str]) -> pd.DataFrame:
    """1 where an image has a finding of the label, 0 where not, masked where one of its findings could not be read."""
    labels = images[["image_id"]].copy()
    for label in known:
        present = labels["image_id"].isin(findings.loc[findings["label"] == label, "image_id"])
        labels[label] = present.astype("float64").mask(~present & labels["image_id"].isin(unread))
    return labels


def _parse(text: str) -> list[str] | None:
    """The categories of a cell such as "['Mass', 'Asymmetry']" in lower case, None if it is no list of names."""
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return [name.strip().lower() for name in names]
