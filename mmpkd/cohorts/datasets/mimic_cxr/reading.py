"""What MIMIC-CXR and MIMIC-CXR-JPG have in common: the same images, tables, reports and boxes, in two file formats.

View: ViewPosition where it is given. Where it is empty (15,769 images), the view code, and failing that the image is
taken for frontal unless the procedure's description names a lateral view.

Split: the published one, but patients with an MS-CXR box go to test with all their images, for no image that is scored
for localisation may have a patient in training. So does any patient who stands in several splits (`tables.resolve`).

Labels are a study's, the split is an image's: each image has the labels of its study.

Options:
    uncertain, blank: what CheXpert's -1 and blank count as: ones, zeros or ignore, for all labels or a table of labels
        (see `label_policy`).
    expert_test_labels: where the radiologists' labels of the test set are there, test images have these alone: a test
        study without them has its labels masked, MS-CXR patients included. False: CheXpert labels everywhere.
    reports: false: no reports are looked for, as an evaluation needs none.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmpkd.cohorts.base import Need, declared_folders, read_folders, read_options
from mmpkd.cohorts.datasets.mimic_cxr.labels import expert_labels, image_labels, study_labels
from mmpkd.cohorts.datasets.mimic_cxr.ms_cxr import PATTERN, no_boxes, place_boxes, read_boxes
from mmpkd.cohorts.datasets.mimic_cxr.ms_cxr import SOURCE as BOXES_SOURCE
from mmpkd.cohorts.datasets.mimic_cxr.reports import SOURCE as REPORTS_SOURCE
from mmpkd.cohorts.datasets.mimic_cxr.reports import read_reports, study_path
from mmpkd.cohorts.label_policy import BLANK, CHEXPERT_LABELS, UNCERTAIN, apply_policy, policy_table
from mmpkd.cohorts.listing import Listing, list_files, with_files
from mmpkd.cohorts.paths import existing, read_table, require_folder
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.tables import IMAGE_COLUMNS, SPLITS, CohortTables, is_among, resolve
from mmpkd.config.cohorts import Cohort

OPTIONS = {"uncertain": UNCERTAIN, "blank": BLANK, "expert_test_labels": True, "reports": True}
FOLDERS = ("tables", "reports", "ms_cxr")
TABLES_SOURCE = "MIMIC-CXR's tables are at https://physionet.org/content/mimic-cxr-jpg/ (credentialed)"
LATERAL = r"\bLAT(?:ERAL)?\b|\bLATERALS\b"
# What MIMIC-CXR's ViewPosition says. Other words are not repeated in a reason: nobody knows what they hold.
OTHER_VIEWS = ("LATERAL", "LL", "RL", "LAO", "RAO", "LPO", "RPO", "AP AXIAL", "AP LLD", "AP RLD", "PA LLD", "PA RLD")
OTHER_VIEWS += ("SWIMMERS", "XTABLE LATERAL")


@dataclass(frozen=True)
class Layout:
    """Which of the two data sets it is: the suffix of an image's file name, and where the images are to be had."""

    suffix: str
    source: str


class _Places:
    """Where a cohort's parts lie on the disk."""

    def __init__(self, cohort: Cohort) -> None:
        folders = read_folders(cohort, FOLDERS)
        self.files = cohort.root / "files"
        self.reports = folders.get("reports", cohort.root)
        self.boxes = folders.get("ms_cxr", cohort.root / "ms-cxr")
        self.boxes_expected = "ms_cxr" in folders
        self.tables = folders.get("tables", cohort.root)
        self.expert_labels = existing(self.tables / "mimic-cxr-2.1.0-test-set-labeled.csv")
        self._declared = declared_folders(cohort)
        self._listings: dict[Path, Listing] = {}

    def table(self, name: str) -> Path:
        """The file of a table; without .gz if it lies there unpacked."""
        packed, plain = (existing(self.tables / f"mimic-cxr-2.0.0-{name}.csv{end}") for end in (".gz", ""))
        return plain if plain.is_file() and not packed.is_file() else packed

    def listing(self, root: Path, layout: Layout) -> Listing:
        """The images and reports in `files` below `root`, relative to `root`. Each root is listed once."""
        if root not in self._listings:
            files = list_files(root / "files", (layout.suffix, ".txt"), self._declared)
            self._listings[root] = files.under(root, "files")
        return self._listings[root]


def mimic_needs(cohort: Cohort, layout: Layout) -> list[Need]:
    """See `mmpkd.cohorts.base`.

    Raises:
        ChoiceError: for an unknown option or folder.
    """
    options, places = read_options(cohort, OPTIONS), _Places(cohort)
    needs = [
        Need(places.table("split"), "the published split", TABLES_SOURCE),
        Need(places.table("metadata"), "view and size of each image", TABLES_SOURCE),
        Need(places.table("chexpert"), "CheXpert labels of each study", TABLES_SOURCE),
    ]
    if options["expert_test_labels"]:
        needs.append(Need(places.expert_labels, "a radiologist's labels of test studies", TABLES_SOURCE, False))
    if cohort.images:
        needs.append(Need(places.files, f"images ({layout.suffix})", layout.source))
    if options["reports"]:
        needs.append(Need(places.reports / "files", "reports (.txt)", REPORTS_SOURCE))
    needs.append(Need(places.boxes / PATTERN, "MS-CXR boxes", BOXES_SOURCE, places.boxes_expected))
    return needs


def read_mimic(cohort: Cohort, labels: list[str], layout: Layout, survey: bool) -> CohortTables:
    """Reads MIMIC-CXR in one of its layouts; `labels` are CheXpert names, others are not known to it.

    With `survey` reports are listed and a sample of them opened: their text is "", and most of the empty or unreadable
    ones are not found out.

    Raises:
        FileNotFoundError: if a table, or every image or report, is missing.
        TableFileError: if a table cannot be read.
        ChoiceError: for an unknown option, folder or policy.
    """
    options, places = read_options(cohort, OPTIONS), _Places(cohort)
    uncertain = policy_table("uncertain", options["uncertain"], UNCERTAIN)
    blank = policy_table("blank", options["blank"], BLANK)
    known = [label for label in labels if label in CHEXPERT_LABELS]
    rejections = Rejections()

    listed = _listed_images(places, rejections)
    boxes = read_boxes(places.boxes) if places.boxes_expected or places.boxes.is_dir() else no_boxes()
    boxed = is_among(listed["image_id"], boxes["image_id"])
    listed, notes = resolve(listed, set(listed.loc[boxed, "patient_id"]))

    chexpert = study_labels(places.table("chexpert"), known, rejections, TABLES_SOURCE)
    chexpert = apply_policy(chexpert, uncertain, blank)
    chosen = options["expert_test_labels"] and places.expert_labels.is_file()
    expert = expert_labels(places.expert_labels, known, rejections, TABLES_SOURCE) if chosen else None
    labelled = chexpert.index if expert is None else chexpert.index.union(expert.index)

    images = _frontal(listed, rejections)
    unlabelled = ~is_among(images["study_id"], labelled)
    images = rejections.split_off(images, unlabelled, "image_id", "study is not in the CheXpert table")
    images = _with_files(images, cohort, places, layout, rejections)

    table, label_notes = image_labels(images, chexpert, expert)
    rois, roi_notes = place_boxes(boxes, images, known, rejections)
    privileged = {}
    if options["reports"]:
        listed = places.listing(places.reports, layout)
        privileged["privileged"] = read_reports(places.reports, listed, images, rejections, survey)
    return CohortTables(
        image_root=cohort.root,
        images=images[list(IMAGE_COLUMNS)],
        labels=table,
        rois=rois,
        rejected=rejections.table,
        key_name="study_id",
        notes={**notes, **label_notes, **roi_notes, **rejections.notes},
        **privileged,
    )


def _listed_images(places: _Places, rejections: Rejections) -> pd.DataFrame:
    """One row an image of the split table, with what the metadata table says of it."""
    split = read_table(places.table("split"), ["dicom_id", "study_id", "subject_id", "split"], TABLES_SOURCE)
    metadata = read_table(
        places.table("metadata"),
        ["dicom_id", "viewposition", "rows", "columns"],
        TABLES_SOURCE,
        optional=["performedprocedurestepdescription", "viewcodesequence_codemeaning"],
    ).drop_duplicates()  # a repeated row says nothing new; one that contradicts is set aside
    metadata = rejections.split_off(
        metadata, metadata.duplicated("dicom_id"), "dicom_id", "second row of an image in the metadata table"
    )
    split = rejections.split_off(
        split, split.duplicated("dicom_id"), "dicom_id", "second row of an image in the split table"
    )
    # Identifiers become parts of paths, so they may hold nothing but what MIMIC-CXR's hold.
    malformed = ~(
        split["dicom_id"].str.fullmatch(r"[0-9a-f-]+")
        & split["study_id"].str.fullmatch(r"\d+")
        & split["subject_id"].str.fullmatch(r"\d+")
        & split["split"].isin(SPLITS)
    )
    split = rejections.split_off(split, malformed, "dicom_id", "malformed identifier or split in the split table")
    images = split.merge(metadata, on="dicom_id", how="left", indicator=True)
    images = rejections.split_off(
        images, images["_merge"] != "both", "dicom_id", "image is not in the metadata table"
    ).drop(columns="_merge")
    for name in ("rows", "columns"):
        images[name] = pd.to_numeric(images[name], errors="coerce").astype("Float64").round().astype("Int32")
    return images.rename(columns={"dicom_id": "image_id", "subject_id": "patient_id"})


def _frontal(images: pd.DataFrame, rejections: Rejections) -> pd.DataFrame:
    """The frontal images, with `view` (PA, AP, or `frontal` where only that is known) and `laterality`."""
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
    reason = ("view " + named + " is not frontal").where(~unstated, "view is not stated and lateral by its description")
    images = images.assign(view=view, laterality="")
    return rejections.split_off(images, view == "", "image_id", reason)


def _with_files(
    images: pd.DataFrame, cohort: Cohort, places: _Places, layout: Layout, rejections: Rejections
) -> pd.DataFrame:
    """Adds `path`; sets images aside that are not on the disk. Without images in the cohort, paths are empty."""
    if not cohort.images:
        return images.assign(path="")
    path = study_path(images["patient_id"], images["study_id"]) + "/" + images["image_id"] + layout.suffix
    require_folder(places.files, layout.source)
    return with_files(images, path, places.listing(cohort.root, layout), "tables", layout.source, rejections)
