"""MIMIC-CXR: chest radiographs as DICOM with reports, CheXpert labels and, by MS-CXR, boxes.

Access: PhysioNet, credentialed account with training and a signed data use agreement. None of it may be passed on.
    https://physionet.org/content/mimic-cxr/ (DICOM, and mimic-cxr-reports.zip, to be unpacked), mimic-cxr-jpg (tables),
    ms-cxr (boxes).
Licence: PhysioNet Credentialed Health Data License 1.5.0. Publish the code of what you publish.
Citation: Johnson et al., "MIMIC-CXR, a de-identified publicly available database of chest radiographs with free-text
    reports", Scientific Data 6:317 (2019); Johnson et al., "MIMIC-CXR-JPG", arXiv:1901.07042; Boecking et al., "Making
    the Most of Text Semantics to Improve Biomedical Vision-Language Processing", ECCV 2022 (MS-CXR).

Layout below root:
    files/p10/p10000032/s50414267/<dicom_id>.dcm      images
    files/p10/p10000032/s50414267.txt                 reports                                       (folder `reports`)
    mimic-cxr-2.0.0-{split,metadata,chexpert}.csv.gz  tables; mimic-cxr-2.1.0-test-set-labeled.csv  (folder `tables`)
    ms-cxr/MS_CXR_Local_Alignment_v*.{csv,json}       boxes, if there; see `ms_cxr`                 (folder `ms_cxr`)

Yields frontal images (PA, AP), one report per study, and boxes of the requested labels on these images. The download
has 377,110 images of 227,835 studies.

View: ViewPosition where it is given. Where it is empty (15,769 images), the view code, and failing that the image is
taken for frontal unless the procedure's description names a lateral view.

Split: the published one, but patients with an MS-CXR box go to test with all their images, for no image that is scored
for localisation may have a patient in training. So does any patient who stands in several splits (`tables.resolve`).

Labels are a study's, the split is an image's: each image has the labels of its study.

Options:
    uncertain, blank: what CheXpert's -1 and blank count as: ones, zeros or ignore, for all labels or a table of labels
        (see `label_policy`). By default, an uncertain label is 1 for Atelectasis, Edema and Pleural Effusion and 0 for
        others, and a blank label is 0.
    expert_test_labels: where the radiologists' labels of the test set are there, test images have these alone: a test
        study without them has its labels masked, MS-CXR patients included. False: CheXpert labels everywhere.
    reports: false: no reports are looked for, as an evaluation needs none.

Traps: CheXpert labels are read off the very reports that a text teacher reads. 54 reports cannot be split by their
headers and follow the exceptions of the official parser (`mmpkd.privileged.sections`). The radiologist's table calls
Lung Opacity `Airspace Opacity`. MS-CXR's own split column is not that of MIMIC-CXR and is ignored. MS-CXR repeats a box
for each sentence on it: it counts once. Boxes of labels that are not requested are left out, but hold their patients
out.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from mmpkd.cohorts.base import DataSet, Need
from mmpkd.cohorts.datasets.mimic_cxr.ms_cxr import PATTERN, no_boxes, place_boxes, read_boxes
from mmpkd.cohorts.datasets.mimic_cxr.ms_cxr import SOURCE as BOXES_SOURCE
from mmpkd.cohorts.datasets.mimic_cxr.studies import SOURCE as REPORTS_SOURCE
from mmpkd.cohorts.datasets.mimic_cxr.studies import (
    expert_labels,
    image_labels,
    read_reports,
    study_labels,
    study_path,
)
from mmpkd.cohorts.label_policy import BLANK, CHEXPERT_LABELS, UNCERTAIN, apply_policy, policy_table
from mmpkd.cohorts.listing import Listing, list_files
from mmpkd.cohorts.paths import existing, read_table, require_folder
from mmpkd.cohorts.tables import SPLITS, is_among, resolve

TABLES_SOURCE = "MIMIC-CXR's tables are at https://physionet.org/content/mimic-cxr-jpg/ (credentialed)"
LATERAL = r"\bLAT(?:ERAL)?\b|\bLATERALS\b"
# What MIMIC-CXR's ViewPosition says. Other words are not repeated in a reason: nobody knows what they hold.
OTHER_VIEWS: tuple[str, ...] = ("LATERAL", "LL", "RL", "LAO", "RAO", "LPO", "RPO", "AP AXIAL", "AP LLD", "AP RLD")
OTHER_VIEWS += ("PA LLD", "PA RLD", "SWIMMERS", "XTABLE LATERAL")


class MimicCxr(DataSet):
    """MIMIC-CXR below the cohort's root; its labels are CheXpert's."""

    RESTRICTED = True
    SOURCE = "MIMIC-CXR's images are at https://physionet.org/content/mimic-cxr/ (credentialed); set root to the folder"
    OPTIONS = {"uncertain": UNCERTAIN, "blank": BLANK, "expert_test_labels": True, "reports": True}
    FOLDERS = ("tables", "reports", "ms_cxr")
    SUFFIXES = (".dcm",)

    def needs(self) -> list[Need]:
        """Tables, images, reports and boxes."""
        needs = [
            Need(self._table("split"), "the published split", TABLES_SOURCE),
            Need(self._table("metadata"), "view and size of each image", TABLES_SOURCE),
            Need(self._table("chexpert"), "CheXpert labels of each study", TABLES_SOURCE),
        ]
        if self.option("expert_test_labels"):
            needs.append(Need(self._expert_table, "a radiologist's labels of test studies", TABLES_SOURCE, False))
        if self.cohort.images:
            needs.append(Need(self.root / "files", f"images ({self.SUFFIXES[0]})", self.SOURCE))
        if self.option("reports"):
            needs.append(Need(self.folder("reports") / "files", "reports (.txt)", REPORTS_SOURCE))
        needs.append(Need(self._box_folder / PATTERN, "MS-CXR boxes", BOXES_SOURCE, self._are_boxes_expected))
        return needs

    def list_images(self) -> pd.DataFrame:
        """The frontal images of studies that have labels."""
        uncertain = policy_table("uncertain", self.option("uncertain"), UNCERTAIN)
        blank = policy_table("blank", self.option("blank"), BLANK)
        known = self._known
        listed = self._listed_images()
        has_boxes = self._are_boxes_expected or self._box_folder.is_dir()
        self.boxes = read_boxes(self._box_folder) if has_boxes else no_boxes()
        boxed = is_among(listed["image_id"], self.boxes["image_id"])
        listed, moved = resolve(listed, set(listed.loc[boxed, "patient_id"]))
        self.notes |= moved
        chexpert = study_labels(self._table("chexpert"), known, self.rejections, TABLES_SOURCE)
        self.chexpert, self.expert = apply_policy(chexpert, uncertain, blank), None
        if self.option("expert_test_labels") and self._expert_table.is_file():
            self.expert = expert_labels(self._expert_table, known, self.rejections, TABLES_SOURCE)
        labelled = self.chexpert.index if self.expert is None else self.chexpert.index.union(self.expert.index)
        images = self._frontal(listed)
        unlabelled = ~is_among(images["study_id"], labelled)
        return self.set_aside(images, unlabelled, "image_id", "study is not in the CheXpert table")

    def image_files(self) -> Listing:
        """Images and reports, which lie in the same folders."""
        require_folder(self.root / "files", self.SOURCE)
        self.listing = self._listing(self.root)
        return self.listing

    def find_files(self, images: pd.DataFrame, files: Listing) -> pd.DataFrame:
        """An image lies in the folder of its study."""
        path = study_path(images["patient_id"], images["study_id"]) + "/" + images["image_id"] + self.SUFFIXES[0]
        return self.match(images, files.locate(path), files)

    def label_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """Each image has the labels of its study."""
        table, notes = image_labels(images, self.chexpert, self.expert)
        self.notes |= notes
        return table

    def roi_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The boxes of MS-CXR."""
        rois, notes = place_boxes(self.boxes, images, self._known, self.rejections)
        self.notes |= notes
        return rois

    def privileged_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """A report a study, unless the cohort is configured without them."""
        if not self.option("reports"):
            return super().privileged_table(images)
        folder = self.folder("reports")
        is_listed = self.cohort.images and folder == self.root
        listed = self.listing if is_listed else self._listing(folder)
        return read_reports(folder, listed, images, self.rejections, self.survey)

    @property
    def _known(self) -> list[str]:
        return [label for label in self.labels if label in CHEXPERT_LABELS]

    @property
    def _box_folder(self) -> Path:
        return self.folder("ms_cxr", self.root / "ms-cxr")

    @property
    def _are_boxes_expected(self) -> bool:
        return "ms_cxr" in self.cohort.folders

    @property
    def _expert_table(self) -> Path:
        return existing(self.folder("tables") / "mimic-cxr-2.1.0-test-set-labeled.csv")

    def _table(self, name: str) -> Path:
        """The file of a table; without .gz if it lies there unpacked."""
        folder = self.folder("tables")
        packed, plain = (existing(folder / f"mimic-cxr-2.0.0-{name}.csv{end}") for end in (".gz", ""))
        return plain if plain.is_file() and not packed.is_file() else packed

    def _listing(self, root: Path) -> Listing:
        """The images and reports in `files` below `root`, relative to `root`."""
        return list_files(root / "files", (*self.SUFFIXES, ".txt"), self.declared).under(root, "files")

    def _listed_images(self) -> pd.DataFrame:
        """One row per image of the split table, with what the metadata table says of it."""
        split = read_table(self._table("split"), ["dicom_id", "study_id", "subject_id", "split"], TABLES_SOURCE)
        metadata = read_table(
            self._table("metadata"),
            ["dicom_id", "viewposition", "rows", "columns"],
            TABLES_SOURCE,
            optional=["performedprocedurestepdescription", "viewcodesequence_codemeaning"],
        ).drop_duplicates()  # a repeated row says nothing new; one that contradicts is set aside
        repeated = metadata.duplicated("dicom_id")
        metadata = self.set_aside(metadata, repeated, "dicom_id", "second row of an image in the metadata table")
        repeated = split.duplicated("dicom_id")
        split = self.set_aside(split, repeated, "dicom_id", "second row of an image in the split table")
        # Identifiers become parts of paths, so they may hold nothing but what MIMIC-CXR's hold.
        malformed = ~(
            split["dicom_id"].str.fullmatch(r"[0-9a-f-]+")
            & split["study_id"].str.fullmatch(r"\d+")
            & split["subject_id"].str.fullmatch(r"\d+")
            & split["split"].isin(SPLITS)
        )
        split = self.set_aside(split, malformed, "dicom_id", "malformed identifier or split in the split table")
        images = split.merge(metadata, on="dicom_id", how="left", indicator=True)
        unknown = images["_merge"] != "both"
        images = self.set_aside(images, unknown, "dicom_id", "image is not in the metadata table")
        images = images.drop(columns="_merge")
        for name in ("rows", "columns"):
            images[name] = pd.to_numeric(images[name], errors="coerce").astype("Float64").round().astype("Int32")
        return images.rename(columns={"dicom_id": "image_id", "subject_id": "patient_id"})

    def _frontal(self, images: pd.DataFrame) -> pd.DataFrame:
        """The frontal images, with `view`: PA, AP, or `frontal` where only that is known."""
        blank = pd.Series("", index=images.index)
        position = images["viewposition"].str.upper()
        code = images.get("viewcodesequence_codemeaning", blank).str.lower()
        procedure = images.get("performedprocedurestepdescription", blank).str.upper()
        unstated = position == ""
        sideways = code.str.contains("lateral|oblique") | ((code == "") & procedure.str.contains(LATERAL))
        choices = {
            "PA": (position == "PA") | (unstated & (code == "postero-anterior")),
            "AP": (position == "AP") | (unstated & (code == "antero-posterior")),
            "frontal": unstated & ~sideways,
        }
        view = pd.Series(np.select(list(choices.values()), list(choices), default=""), index=images.index)
        named = position.where(position.isin(OTHER_VIEWS), "of another name")
        lateral = "view is not stated and lateral by its description"
        reason = ("view " + named + " is not frontal").where(~unstated, lateral)
        return self.set_aside(images.assign(view=view), view == "", "image_id", reason)


DATA_SET = MimicCxr
