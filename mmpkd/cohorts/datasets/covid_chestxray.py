"""The COVID-19 image collection of Cohen et al.: chest radiographs with clinical notes, open to all.

Access: https://github.com/ieee8023/covid-chestxray-dataset (images, metadata.csv) and, for the regions,
    https://github.com/GeneralBlockchain/covid-19-chest-xray-segmentations-dataset: two plain git repositories.
Licence: of each image its own, in the column `license`; the table CC BY-NC-SA 4.0; the regions CC BY 4.0. A frontal
    image that states no licence (39 %) or one that forbids changes (6 %) is `restricted`: students learn from it, and
    no report or figure shows it. Cite the sources of pictures that you show.
Citation: Cohen et al., "COVID-19 Image Data Collection: Prospective Predictions Are the Future", arXiv:2006.11988.

Layout below root:
    metadata.csv                                                                              (folder `tables`)
    images/<filename>                           PNG or JPEG of any size, grey, coloured, with a palette
    structure.csv, masks/<name>.png             optional: the regions                         (folder `segmentations`)

Yields about 560 frontal radiographs of 330 patients, a record with the clinical note of each image that has one (three
in four), and the regions of 100 images as run lengths.
Labels are the parts of the column `finding` and what they imply (`IMPLIED`): COVID-19, ARDS, Viral, Bacterial, Fungal,
Pneumonia, No Finding; masked where it is `todo` or Unknown. Regions (`REGIONS`) are no labels of images: name them in
`domains.<domain>.regions`. A teacher finds a note as the section `full_report`, or `other` where it has headers: set
`sections: [full_report, other]`.

Split: none is published. Patients with a region go to test, the others to test, validate or train by a hash of the
identifier.

Options:
    test_share, validation_share: shares of the patients.

Traps, which limit what a study can claim: the notes are case histories that often name the diagnosis, so that a text
teacher reads the label. The images are figures of articles and web pages, in which burnt-in letters, arrows, borders
and the size reveal the source, and the source reveals the diagnosis (DeGrave et al., "AI for radiographic COVID-19
detection selects shortcuts over signal", Nature Machine Intelligence 2021): a good AUROC does not mean that a student
sees disease. Images of one patient share notes. Lateral views and CT stand among the rows.

A mask is a crop, to be pasted at (Left, Top); foreground is what has any colour. `Resolution` is the size of General
Blockchain's own copy of the image, on which its regions were drawn; the collection's copy of a few images has another.
Regions are scaled then, or set aside when images are stored if the aspect differs by 1 % or more; one that reaches out
of its `Resolution` is set aside here. The names in `Image` do not exist, `Filename` does. Some rows have no mask.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from mmpkd.cohorts.base import DataSet, Need
from mmpkd.cohorts.listing import Listing
from mmpkd.cohorts.paths import existing, read_table
from mmpkd.cohorts.rois import MOST_PIXELS, RunLengths
from mmpkd.cohorts.tables import PRIVILEGED_COLUMNS, ROI_COLUMNS, empty, is_among
from mmpkd.files import blame_storage
from mmpkd.logs import progress

LABELS = ("COVID-19", "ARDS", "Viral", "Bacterial", "Fungal", "Pneumonia", "No Finding")
FRONTAL = ("PA", "AP", "AP SUPINE", "AP ERECT", "AP SEMI ERECT")
NO_CHANGES = "-ND"  # in a licence; a picture under a map is a change
UNKNOWN = ("", "TODO", "UNKNOWN")
# A part of `finding` in capitals: what else is true of the image. Later editions of the table nest the parts so
# themselves (`Pneumonia/Viral/COVID-19`), earlier ones have the last part alone.
IMPLIED = {
    **dict.fromkeys(("COVID-19", "SARS", "MERS-COV", "INFLUENZA", "VARICELLA"), ("VIRAL", "PNEUMONIA")),
    **dict.fromkeys(("STREPTOCOCCUS", "KLEBSIELLA", "E.COLI", "LEGIONELLA"), ("BACTERIAL", "PNEUMONIA")),
    **dict.fromkeys(("CHLAMYDOPHILA", "MYCOPLASMA BACTERIAL PNEUMONIA"), ("BACTERIAL", "PNEUMONIA")),
    "PNEUMOCYSTIS": ("FUNGAL", "PNEUMONIA"),
    **dict.fromkeys(("VIRAL", "BACTERIAL", "FUNGAL", "LIPOID"), ("PNEUMONIA",)),
}
# `Template Name` of a region: the label that it has here.
REGIONS = {
    "Ground Glass Opacities": "Lung Opacity",
    "Consolidation": "Consolidation",
    "Pleural Effusion": "Pleural Effusion",
    "Pneumothorax": "Pneumothorax",
    "Left Lung": "Lung",
    "Right Lung": "Lung",
}
SEGMENTATIONS = "https://github.com/GeneralBlockchain/covid-19-chest-xray-segmentations-dataset (open)"
STRUCTURE = ["filename", "template_name", "mask", "resolution", "top", "left"]


class CovidChestXray(DataSet):
    """The collection below the cohort's root; its labels are `LABELS`, and those of its regions in `REGIONS`."""

    RESTRICTED = False
    SOURCE = "the collection is at https://github.com/ieee8023/covid-chestxray-dataset (open)"
    OPTIONS = {"test_share": 0.2, "validation_share": 0.1}
    FOLDERS = ("tables", "segmentations")
    SUFFIXES = (".png", ".jpg", ".jpeg")
    KEY_NAME = "image_id"

    def needs(self) -> list[Need]:
        """The table, the folder of images, and the regions."""
        wanted = [Need(self.folder("tables") / "metadata.csv", "findings, views, licences and notes", self.SOURCE)]
        if self.cohort.images:
            wanted.append(Need(self.root / "images", "radiographs", self.SOURCE))
        return [*wanted, Need(self._structure, "regions of interest", SEGMENTATIONS, required=False)]

    def list_images(self) -> pd.DataFrame:
        """The frontal radiographs of the table, with their findings, notes and licences."""
        columns = ["patientid", "finding", "view", "modality", "folder", "filename", "license", "clinical_notes"]
        images = read_table(self.folder("tables") / "metadata.csv", columns, self.SOURCE)
        images = images.rename(columns={"filename": "image_id", "patientid": "patient_id"})
        view = images["view"].str.upper()
        other = ~view.isin(FRONTAL) | (images["modality"].str.upper() != "X-RAY")
        images = self.set_aside(images.assign(view=view), other, "image_id", "view is not a frontal radiograph")
        nameless = (images["image_id"] == "") | (images["patient_id"] == "")
        images = self.set_aside(images, nameless, "image_id", "row of metadata.csv without filename or patientid")
        images = self.set_aside(images, images.duplicated("image_id"), "image_id", "second row of an image")
        self.regions = self._listed_regions()
        images = images.assign(split=self.split_by_hash(images["patient_id"]))
        drawn = images["patient_id"][is_among(images["image_id"], self.regions["image_id"])]
        self.notes["patients_with_regions_who_go_to_test"] = drawn.nunique()
        split = images["split"].mask(is_among(images["patient_id"], drawn), "test")
        no_picture = (images["license"] == "") | images["license"].str.contains(NO_CHANGES)
        return images.assign(study_id=images["image_id"], split=split, restricted=no_picture)

    def image_folders(self) -> list[Path]:
        """The folder of images."""
        return [self.root / "images"]

    def find_files(self, images: pd.DataFrame, files: Listing) -> pd.DataFrame:
        """Folder and name are those of the table."""
        return self.match(images, files.locate(images["folder"] + "/" + images["image_id"]), files)

    def label_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """1 where a part of the finding is the label or implies it, else 0; masked where there is no finding."""
        parts = images["finding"].map(_parts)
        table = images[["image_id"]].copy()
        for label in (label for label in self.labels if label in LABELS):
            present = parts.map(lambda names, label=label: label.upper() in names).astype("float64")
            table[label] = present.mask(parts.map(len) == 0)
        self.notes["images_without_a_finding"] = int((parts.map(len) == 0).sum())
        self.notes["images_whose_licence_allows_no_picture"] = int(images["restricted"].sum())
        return table

    def roi_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The regions of the labels that are wanted, each a mask of the whole image."""
        regions = self.regions[self.regions["label"].isin(self.labels)]
        orphans = ~is_among(regions["image_id"], images["image_id"])
        regions = self.set_aside(regions, orphans, "image_id", "region on an image that was left out")
        if regions.empty:
            return empty(ROI_COLUMNS)
        folder = self._structure.parent
        path = self.files_below(folder, (".png",)).locate(regions["mask"])
        regions = self.set_aside(regions.assign(path=path), path == "", "image_id", "file of a region is missing")
        rows = progress(regions.itertuples(), "regions", total=len(regions), unit="region")
        drawn = [_drawn(folder / row.path, row) for row in rows]
        regions[["polygon", "fault"]] = pd.DataFrame(drawn, regions.index, ["polygon", "fault"], dtype="str")
        regions = self.set_aside(regions, regions["fault"] != "", "image_id", regions["fault"])
        number = regions.groupby("image_id").cumcount().add(1).astype(str)
        unused = {"x0": None, "y0": None, "x1": None, "y1": None, "mask_path": ""}
        regions = regions.assign(roi_id=regions["image_id"] + "_" + number, kind="rle", **unused)
        return regions[list(ROI_COLUMNS)]

    def privileged_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The clinical note of each image that has one."""
        noted = images[images["clinical_notes"] != ""]
        self.notes["images_without_a_note"] = len(images) - len(noted)
        records = noted.assign(record_id=noted["image_id"], key=noted["image_id"], report=noted["clinical_notes"])
        return records[[*PRIVILEGED_COLUMNS, "report"]]

    @property
    def _structure(self) -> Path:
        return existing(self.folder("segmentations") / "structure.csv")

    def _listed_regions(self) -> pd.DataFrame:
        """One row per region that has a mask and a label here: image_id, label and the columns of its table."""
        if not self._structure.is_file():
            return pd.DataFrame(columns=["image_id", "label", *STRUCTURE], dtype="str")
        table = read_table(self._structure, STRUCTURE, f"the regions are at {SEGMENTATIONS}")
        table = table.assign(image_id=table["filename"], label=table["template_name"].map(REGIONS))
        self.notes["regions_without_a_mask"] = int((table["mask"] == "").sum())
        return table[(table["mask"] != "") & table["label"].notna()]


def _parts(finding: str) -> set[str]:
    """The parts of `COVID-19, ARDS` or `Pneumonia/Viral/COVID-19`, in capitals, and what they imply."""
    parts = {part.strip() for part in finding.upper().replace("/", ",").split(",")} - set(UNKNOWN)
    return parts | {implied for part in parts for implied in IMPLIED.get(part, ())}


def _drawn(path: Path, region: Any) -> tuple[str, str]:
    """The region on its whole image as run lengths in JSON, and ""; or "" and why there is none."""
    try:
        columns, rows = (int(side) for side in region.resolution.lower().split("x"))
        top, left = int(region.top), int(region.left)
    except ValueError:
        return "", "region whose Resolution, Top or Left in structure.csv is no number"
    if min(rows, columns) < 1 or rows * columns > MOST_PIXELS:
        return "", "region whose Resolution in structure.csv is no size of an image"
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            mask = np.asarray(picture.convert("RGB")).any(axis=2)
    except Exception as error:  # decoders raise every kind
        blame_storage(error)
        return "", f"file of a region cannot be read ({type(error).__name__})"
    if min(top, left) < 0 or top + mask.shape[0] > rows or left + mask.shape[1] > columns:
        return "", "region that reaches out of its Resolution in structure.csv"
    if not mask.any():
        return "", "region without a pixel"
    canvas = np.zeros((rows, columns), dtype=bool)
    canvas[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return json.dumps(RunLengths.from_mask(canvas).to_coco()), ""


DATA_SET = CovidChestXray
