"""MIMIC-CXR: chest radiographs with reports, CheXpert labels and, by MS-CXR, boxes.

Access: PhysioNet, credentialed account with training and a signed data use agreement. None of it may be passed on.
    https://physionet.org/content/mimic-cxr/ (DICOM, and mimic-cxr-reports.zip, to be unpacked), mimic-cxr-jpg (tables),
    ms-cxr (boxes).
Licence: PhysioNet Credentialed Health Data License 1.5.0.
Citation: Johnson et al., "MIMIC-CXR, a de-identified publicly available database of chest radiographs with free-text
    reports", Scientific Data 6:317 (2019); Johnson et al., "MIMIC-CXR-JPG", arXiv:1901.07042; Boecking et al., "Making the
    Most of Text Semantics to Improve Biomedical Vision-Language Processing", ECCV 2022 (MS-CXR).

Layout below root:
    files/p10/p10000032/s50414267/<dicom_id>.dcm      images
    files/p10/p10000032/s50414267.txt                 reports                                       (folder `reports`)
    mimic-cxr-2.0.0-{split,metadata,chexpert}.csv.gz  tables; mimic-cxr-2.1.0-test-set-labeled.csv  (folder `tables`)
    ms-cxr/MS_CXR_Local_Alignment*.csv                boxes, if there; the last version by name     (folder `ms_cxr`)

Yields frontal images (PA, AP); a report a study; boxes of the requested labels on these images.

View: ViewPosition where it is given. Where it is empty (15,769 images), the view code, and failing that the image is taken for
frontal unless the procedure's description names a lateral view.

Split: the published one, but patients with an MS-CXR box go to test with all their images, for no image that is scored for
localisation may have a patient in training. So may any patient who stands in several splits (see `splits.resolve`).

Options:
    uncertain, blank: what CheXpert's -1 and blank count as: ones, zeros or ignore, for all labels or a table of labels
        (see `label_policy`).
    expert_test_labels: where the radiologists' labels of the test set are there, test images have these alone: a test study
        without them has its labels masked, MS-CXR patients included. False: CheXpert labels everywhere.

Traps: CheXpert labels are read off the very reports that a text teacher reads. The radiologists' table calls Lung Opacity
`Airspace Opacity` and lacks No Finding. MS-CXR's own split column is not that of MIMIC-CXR and is ignored. MS-CXR repeats a
box for each sentence on it: it counts once. Boxes of labels that are not requested are left out, but hold their patients out.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from mmpkd.cohorts.boxes import box_rois
from mmpkd.cohorts.choices import read_folders, read_options
from mmpkd.cohorts.label_policy import BLANK, CHEXPERT_LABELS, UNCERTAIN, apply_policy, policy_table
from mmpkd.cohorts.paths import list_files, read_table, require_folder, snake_case
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.splits import resolve
from mmpkd.cohorts.tables import PRIVILEGED_COLUMNS, ROI_COLUMNS, SPLITS, CohortTables, empty
from mmpkd.config.cohorts import Cohort
from mmpkd.logs import progress

OPTIONS = {"uncertain": UNCERTAIN, "blank": BLANK, "expert_test_labels": True}
FOLDERS = ("tables", "reports", "ms_cxr")
SOURCE = "MIMIC-CXR's tables are at https://physionet.org/content/mimic-cxr-jpg/ (credentialed)"
IMAGE_SOURCE = "MIMIC-CXR's images are at https://physionet.org/content/mimic-cxr/ (credentialed); set root to the folder"
MS_CXR_SOURCE = "MS-CXR is at https://physionet.org/content/ms-cxr/ (credentialed)"
EXPERT_NAMES = {"airspace_opacity": "lung_opacity"}
LATERAL = r"\bLAT(?:ERAL)?\b|\bLATERALS\b"

log = logging.getLogger("mmpkd.cohorts")


def read(cohort: Cohort, labels: list[str]) -> CohortTables:
    """Reads MIMIC-CXR below `cohort.root`; `labels` are CheXpert names, others are not known to it.

    Raises:
        FileNotFoundError: if a table, or every image, is missing.
        TableFileError: if a table cannot be read.
        ChoiceError: for an unknown option, folder or policy.
    """
    options, folders = read_options(cohort, OPTIONS), read_folders(cohort, FOLDERS)
    uncertain = policy_table("uncertain", options["uncertain"], UNCERTAIN)
    blank = policy_table("blank", options["blank"], BLANK)
    known = [label for label in labels if label in CHEXPERT_LABELS]
    tables = folders.get("tables", cohort.root)
    rejections = Rejections()

    listed = _listed_images(tables, rejections)
    boxes = _boxes(_ms_cxr_folder(cohort.root, folders), rejections)
    boxed = listed["image_id"].isin(boxes["image_id"])
    listed, notes = resolve(listed, set(listed.loc[boxed, "patient_id"]))
    chexpert = _study_labels(tables / "mimic-cxr-2.0.0-chexpert.csv.gz", known, rejections)
    expert = _expert_labels(tables, known, rejections) if options["expert_test_labels"] else None
    labelled = set(chexpert.index) if expert is None else {*chexpert.index, *expert.index}

    images = _frontal(listed, rejections)
    unlabelled = ~images["study_id"].isin(labelled)
    images = rejections.split_off(images, unlabelled, "image_id", "study is not in the CheXpert table")
    images = _with_files(images, cohort, rejections)
    table, label_notes = _label_table(images, apply_policy(chexpert, uncertain, blank), expert, uncertain, blank)
    rois, box_notes = _rois(boxes, images, known, rejections)
    reports = _reports(folders.get("reports", cohort.root), images, rejections)
    notes |= {f"split_{name}": count for name, count in label_notes.items()} if False else label_notes
    notes |= box_notes
    log.info("%d images, %d reports, %d boxes, %d set aside", len(images), len(reports), len(rois), len(rejections.table))
    return CohortTables(cohort.root, images, table, rois, reports, rejections.table, "study_id", notes)
