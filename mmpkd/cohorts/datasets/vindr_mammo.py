"""VinDr-Mammo: full-field digital mammograms with boxes of findings, for evaluation alone.

Access: PhysioNet, credentialed account with training and a signed data use agreement.
    https://physionet.org/content/vindr-mammo/
Licence: PhysioNet Credentialed Health Data License 1.5.0. Neither the data nor pictures of them may be passed on.
Citation: Nguyen et al., "VinDr-Mammo: A large-scale benchmark dataset for computer-aided diagnosis in full-field
    digital mammography", Scientific Data 10:277 (2023).

Layout below root:
    images/<study_id>/<image_id>.dicom
    breast-level_annotations.csv, finding_annotations.csv                                             (folder `tables`)
    metadata.csv                                                                                      (not read)
Names of files, folders and columns are those of the release's page and of public code that reads it. Categories are
the text of a list of names (`['Mass', 'Skin Retraction']`), boxes are in pixels and empty where there is no finding.

Yields four views per study, the labels mass and calcification (`Suspicious Calcification`) from the findings'
categories, and their boxes. `malignant` is not known to it: BI-RADS is an assessment and no pathology. There is no
privileged table.

Split: an external cohort is evaluated whole, so every image that is taken has the split `test`. A study counts as a
patient.

Options:
    splits: the published sets that are taken, training or test; images of the others are left out and counted.

Traps: only suspicious calcifications are annotated, so an image without the label may hold benign ones. A finding may
have several categories; its box then counts for each. Asymmetry, distortion and other findings are left out. Some boxes
reach out of their image, with negative corners among them, and are clipped.
"""

import ast
from pathlib import Path

import pandas as pd

from mmpkd.cohorts.base import DataSet, Need
from mmpkd.cohorts.listing import Listing
from mmpkd.cohorts.paths import read_table
from mmpkd.cohorts.rois import box_rois

OFFICIAL = ("training", "test")
CATEGORIES = {"mass": "mass", "suspicious calcification": "calcification"}
SIDES = {"L": "LEFT", "R": "RIGHT"}


class VindrMammo(DataSet):
    """VinDr-Mammo below the cohort's root; its labels are mass and calcification."""

    RESTRICTED = True
    SOURCE = "VinDr-Mammo is at https://physionet.org/content/vindr-mammo/ (credentialed)"
    OPTIONS = {"splits": ["test"]}
    FOLDERS = ("tables",)
    SUFFIXES = (".dicom",)

    def needs(self) -> list[Need]:
        """The two tables and the folder of images."""
        tables = [
            Need(self._breast_table, "the images, their sizes and sets", self.SOURCE),
            Need(self._finding_table, "findings and their boxes", self.SOURCE),
        ]
        images = Need(self.root / "images", "mammograms, a folder a study", self.SOURCE)
        return [*tables, images] if self.cohort.images else tables

    def list_images(self) -> pd.DataFrame:
        """The images of the published sets that are taken."""
        splits = self.choices("splits", OFFICIAL)
        columns = ["study_id", "image_id", "laterality", "view_position", "height", "width", "split"]
        listed = read_table(self._breast_table, columns, self.SOURCE)
        self.not_taken = listed.loc[~listed["split"].isin(splits), "image_id"]
        for name in OFFICIAL:
            if name not in splits:
                self.notes[f"images_of_official_{name}_set_left_out"] = int((listed["split"] == name).sum())
        unknown = ~listed["split"].isin(OFFICIAL)
        listed = self.set_aside(listed, unknown, "image_id", "split is neither training nor test")
        images = listed[listed["split"].isin(splits)]
        # Identifiers become parts of paths, so they may hold nothing but what VinDr-Mammo's hold.
        malformed = ~(images["image_id"].str.fullmatch(r"[\w-]+") & images["study_id"].str.fullmatch(r"[\w-]+"))
        images = self.set_aside(images, malformed, "image_id", "malformed identifier")
        images = self.set_aside(images, images.duplicated("image_id"), "image_id", "second row of an image")
        size = images[["height", "width"]].apply(pd.to_numeric, errors="coerce")
        size = size.astype("Float64").round().astype("Int32")
        return images.assign(
            patient_id=images["study_id"],
            split="test",
            view=images["view_position"].str.upper(),
            laterality=images["laterality"].str.upper().replace(SIDES),
            rows=size["height"],
            columns=size["width"],
        )

    def image_folders(self) -> list[Path]:
        """The folder with a folder per study."""
        return [self.root / "images"]

    def find_files(self, images: pd.DataFrame, files: Listing) -> pd.DataFrame:
        """The identifiers are names of folder and file."""
        path = "images/" + images["study_id"] + "/" + images["image_id"] + ".dicom"
        return self.match(images, files.locate(path), files)

    def label_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """1 where an image has a finding of the label, 0 where not, masked where a finding could not be read."""
        self.findings, unread = self._labelled(images)
        labels = images[["image_id"]].copy()
        for label in self._known:
            present = labels["image_id"].isin(self.findings.loc[self.findings["label"] == label, "image_id"])
            labels[label] = present.astype("float64").mask(~present & labels["image_id"].isin(unread))
        return labels

    def roi_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The boxes of findings."""
        findings = self.findings[self.findings["label"].isin(self._known)]
        boxes = findings.merge(images[["image_id", "rows", "columns"]], on="image_id")
        boxes = boxes.rename(columns={"xmin": "x0", "ymin": "y0", "xmax": "x1", "ymax": "y1"})
        return box_rois(boxes, self.rejections)

    @property
    def _breast_table(self) -> Path:
        return self.folder("tables") / "breast-level_annotations.csv"

    @property
    def _finding_table(self) -> Path:
        return self.folder("tables") / "finding_annotations.csv"

    @property
    def _known(self) -> list[str]:
        return [label for label in self.labels if label in CATEGORIES.values()]

    def _labelled(self, images: pd.DataFrame) -> tuple[pd.DataFrame, set[str]]:
        """One row a finding on `images` and label that its categories mean; and images with unreadable findings."""
        columns = ["image_id", "finding_categories", "xmin", "ymin", "xmax", "ymax"]
        findings = read_table(self._finding_table, columns, self.SOURCE)
        findings = findings[~findings["image_id"].isin(self.not_taken)]
        cells = findings["finding_categories"]
        findings = findings.assign(category=cells.map({cell: _parse(cell) for cell in cells.unique()}))
        broken = findings["category"].isna()
        unread = set(findings.loc[broken, "image_id"])
        findings = self.set_aside(findings, broken, "image_id", "finding_categories is no list of names")
        findings = findings.explode("category").assign(label=lambda rows: rows["category"].map(CATEGORIES))
        findings = findings.dropna(subset="label")
        orphans = ~findings["image_id"].isin(images["image_id"])
        return self.set_aside(findings, orphans, "image_id", "finding on an image that was left out"), unread


def _parse(text: str) -> list[str] | None:
    """The categories of a cell such as "['Mass', 'Asymmetry']" in lower case, None if it is no list of names."""
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return [name.strip().lower() for name in names]


DATA_SET = VindrMammo
