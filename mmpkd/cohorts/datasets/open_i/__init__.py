"""Open-i's Indiana University collection: chest radiographs with reports, to train with a text teacher, open to all.

Access: National Library of Medicine, open. https://openi.nlm.nih.gov/faq#collection
    NLMCXR_reports.tgz (1 MB), and NLMCXR_png.tgz (1.4 GB) or NLMCXR_dcm.tgz (81 GB). Kaggle's copy of the images
    (raddar/chest-xrays-indiana-university) does as well, together with NLMCXR_reports.tgz.
Licence: CC BY-NC-ND 4.0 by common account (not verified): no redistribution of altered copies, no commercial use.
Citation: Demner-Fushman et al., "Preparing a collection of radiology examinations for distribution and retrieval",
    Journal of the American Medical Informatics Association 23(2):304-310 (2016), doi:10.1093/jamia/ocv080.

Layout below root:
    ecgen-radiology/1.xml ...                           reports; or NLMCXR_reports/ecgen-radiology  (folder `reports`)
    NLMCXR_png/CXR1_1_IM-0001-3001.png                  images, at any depth below root              (folder `images`)
    NLMCXR_dcm/1/1_IM-0001-3001.dcm                     or DICOM
    images/images_normalized/1_IM-0001-3001.dcm.png     or Kaggle's copy
    indiana_projections.csv                             which images are frontal, from Kaggle's copy (folder `tables`)
Where an image is there in several forms, the DICOM file is read.

Yields frontal images, labels and a report a study (3,955 reports, 7,470 images in all). Labels are read off the terms
that readers indexed the reports with (`open_i_labels.TERMS`), under CheXpert's names. There are no ROI, so this cohort
can train students but not score where they look: let the domain's further cohorts do that.

View: the reports do not tell it. Believed are, in this order, Kaggle's indiana_projections.csv (made by hand), the
header of a DICOM file, and the caption of a study with a single image (see `open_i_views`). An image whose view nothing
tells is set aside: of PNG files without Kaggle's table that is nearly every one, so fetch it.

Split: none is published. Patients go to test, validate or train by a hash of the identifier.

Options:
    test_share, validation_share: shares of the patients.
    uncertain: what a borderline finding counts as: ones, zeros or ignore, for all labels or a table of labels (see
        `label_policy`).

Traps: no patient is named, so each report counts as a patient of its own. De-identification left XXXX in the reports,
in the place of ordinary words too; it stays. Some reports have no images, some neither findings nor impression. Reports
that were not indexed (`No Indexing`) have their labels masked. The three archives name one image in three ways (see
`open_i_views.image_key`). Captions speak of the study, not of the image. The XML is not trusted (see `open_i_reports`).

The layout, the names and the terms are as public code and its tests show them (mlmed/torchxrayvision and others); the
original files were not seen.
"""

from pathlib import Path

import pandas as pd

from mmpkd.cohorts.base import ChoiceError, Need, declared_folders, read_folders, read_options
from mmpkd.cohorts.datasets.open_i.labels import TERMS, labels_of_terms
from mmpkd.cohorts.datasets.open_i.reports import Report, ReportError, has_text, read_report
from mmpkd.cohorts.datasets.open_i.views import (
    PROJECTIONS,
    PROJECTIONS_SOURCE,
    image_key,
    read_projections,
    views_of_captions,
    views_of_headers,
)
from mmpkd.cohorts.label_policy import UNCERTAIN, policy_table
from mmpkd.cohorts.listing import MissingFilesError, list_files, require_some
from mmpkd.cohorts.paths import require_folder
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.tables import IMAGE_COLUMNS, CohortTables, stable_share
from mmpkd.config.cohorts import Cohort
from mmpkd.logs import progress

RESTRICTED = False
OPTIONS = {"test_share": 0.2, "validation_share": 0.1, "uncertain": UNCERTAIN}
FOLDERS = ("reports", "images", "tables")
SOURCE = "Open-i's Indiana University collection is at https://openi.nlm.nih.gov/faq#collection (open)"
COLUMNS = ["image_id", "study_id", "caption"]


def needs(cohort: Cohort) -> list[Need]:
    """The folder of reports, the folder of images, and Kaggle's table of views."""
    wanted = [Need(_report_folder(cohort), "reports (NLMCXR_reports.tgz)", SOURCE)]
    if cohort.images:
        wanted.append(Need(_image_root(cohort), "images (NLMCXR_png.tgz or NLMCXR_dcm.tgz)", SOURCE))
    table = _table_folder(cohort) / PROJECTIONS
    return [*wanted, Need(table, "which images are frontal", PROJECTIONS_SOURCE, required=False)]


def read(cohort: Cohort, labels: list[str], *, survey: bool = False) -> CohortTables:
    """Reads the collection below `cohort.root`; `labels` are CheXpert names, those of `TERMS` are known to it.

    With `survey` no image is opened: those whose view only a header could tell are kept, with an unknown view. Reports
    are read all the same, for they alone name the images; they are small.

    Raises:
        FileNotFoundError: if the reports or every image are missing, or if nothing tells the view of any image.
        TableFileError: if the table of views cannot be read.
        ChoiceError: for an unknown option, folder or policy, or shares that leave nothing to train on.
    """
    options = read_options(cohort, OPTIONS)
    known = [label for label in labels if label in TERMS]
    rejections = Rejections()
    reports = _reports(_report_folder(cohort), declared_folders(cohort), rejections)
    listed = _with_files(_listed_images(reports), cohort, rejections)
    images = _frontal(listed, cohort, survey, rejections)
    images = _with_splits(images, reports, options["test_share"], options["validation_share"])
    uncertain = policy_table("uncertain", options["uncertain"], UNCERTAIN)
    of_study = labels_of_terms([report.terms for report in reports.values()], uncertain, known)
    table = of_study.set_axis(list(reports)).reindex(images["study_id"]).set_axis(images.index)
    table.insert(0, "image_id", images["image_id"])
    return CohortTables(
        image_root=_image_root(cohort),
        images=images[list(IMAGE_COLUMNS)],
        labels=table,
        privileged=_records(images, reports, rejections),
        rejected=rejections.table,
        key_name="study_id",
        notes={
            "reports_without_images": sum(not report.images for report in reports.values()),
            "studies_without_a_frontal_image": len({*listed["study_id"]} - {*images["study_id"]}),
            "images_whose_view_was_not_looked_up": int((images["view"] == "").sum()),
            "images_whose_report_was_not_indexed": int(table[known].isna().all(axis=1).sum()) if known else 0,
            **rejections.notes,
        },
    )


def _report_folder(cohort: Cohort) -> Path:
    unpacked = [cohort.root / "ecgen-radiology", cohort.root / "NLMCXR_reports" / "ecgen-radiology"]
    found = next((folder for folder in unpacked if folder.is_dir()), unpacked[0])
    return read_folders(cohort, FOLDERS).get("reports", found)


def _image_root(cohort: Cohort) -> Path:
    return read_folders(cohort, FOLDERS).get("images", cohort.root)


def _table_folder(cohort: Cohort) -> Path:
    return read_folders(cohort, FOLDERS).get("tables", cohort.root)


def _reports(folder: Path, declared: tuple[Path, ...], rejections: Rejections) -> dict[str, Report]:
    """The reports by study, in the order of their numbers; those that cannot be used are set aside.

    Raises:
        MissingFilesError: if no report is there, or none of them can be used; the message counts the reasons.
    """
    files = list_files(require_folder(folder, SOURCE), (".xml",), declared)
    require_some(len(files), files, "no report", SOURCE, rejections)
    reports, reasons = {}, {}
    in_order = sorted(files, key=lambda name: (len(name), name))  # 2.xml before 10.xml
    for name in progress(in_order, "reports", unit="report"):
        try:
            report = read_report(folder / name)
        except ReportError as error:
            reasons[name] = str(error)
            continue
        if report.study_id in reports:
            reasons[name] = "second report of a study"
        else:
            reports[report.study_id] = report
    rejections.add(reasons, reasons.values())
    if not reports:
        raise MissingFilesError(f"{folder}: none of its {len(files)} reports can be used; {rejections.told}")
    return dict(sorted(reports.items(), key=lambda item: int(item[0].removeprefix("CXR"))))


def _listed_images(reports: dict[str, Report]) -> pd.DataFrame:
    rows = [(image, study, caption) for study, report in reports.items() for image, caption in report.images]
    return pd.DataFrame(rows, columns=COLUMNS, dtype="str").drop_duplicates("image_id", ignore_index=True)


def _with_files(images: pd.DataFrame, cohort: Cohort, rejections: Rejections) -> pd.DataFrame:
    """Adds the view that its study's caption tells, and `path`; sets images aside that are not on the disk."""
    images = images.assign(path="", view=views_of_captions(images))
    if not cohort.images:
        return images
    root = _image_root(cohort)
    files = list_files(require_folder(root, SOURCE), (".png", ".dcm"), declared_folders(cohort))
    by_key = {image_key(file): file for file in sorted(files, key=lambda file: file.lower().endswith(".dcm"))}
    path = images["image_id"].map(lambda image_id: by_key.get(image_key(image_id), ""))
    missing = f"none of the {len(images)} images of the reports"
    require_some((path != "").sum() or not len(images), files, missing, SOURCE, rejections)
    return rejections.split_off(images.assign(path=path), path == "", "image_id", "image file is missing")


def _frontal(images: pd.DataFrame, cohort: Cohort, survey: bool, rejections: Rejections) -> pd.DataFrame:
    """The frontal images; the others are set aside. Without images, or in a survey, an unknown view is no reason."""
    table = read_projections(_table_folder(cohort))
    told = images["image_id"].map(lambda image_id: table.get(image_key(image_id), "")).astype("str")
    by_header = images["path"].str.lower().str.endswith(".dcm") & (told == "")
    if not survey:
        told.loc[by_header] = views_of_headers(_image_root(cohort) / path for path in images.loc[by_header, "path"])
    images = images.assign(view=told.mask(told == "", images["view"]), laterality="", by_header=by_header)
    images = rejections.split_off(images, images["view"] == "lateral", "image_id", "view is lateral")
    if not cohort.images:
        return images
    untold = (images["view"] == "") & ~(images["by_header"] & survey)
    if len(images) and untold.all():
        raise FileNotFoundError(
            f"{_table_folder(cohort) / PROJECTIONS}: needed, for nothing else tells which of {len(images)} images are "
            f"frontal; {PROJECTIONS_SOURCE}"
        )
    return rejections.split_off(
        images, untold, "image_id", "view is told by no table of views, no header and no caption"
    )


def _with_splits(
    images: pd.DataFrame, reports: dict[str, Report], test_share: float, validation_share: float
) -> pd.DataFrame:
    """Adds the further columns of images, the split by a hash of the patient."""
    if not (test_share >= 0 and validation_share >= 0 and test_share + validation_share < 1):
        raise ChoiceError(
            f"options.test_share is {test_share} and options.validation_share {validation_share}; "
            "they must not be negative, and together below 1"
        )
    test = stable_share(reports, test_share)
    held_out = stable_share(reports, test_share + validation_share)  # holds `test`, for the hashes are the same
    study = images["study_id"]
    size = pd.Series(pd.NA, index=images.index, dtype="Int32")
    split = pd.Series("train", index=images.index, dtype="str").mask(study.isin(held_out), "validate")
    return images.assign(
        patient_id=study, split=split.mask(study.isin(test), "test"), rows=size, columns=size
    ).reset_index(drop=True)


def _records(images: pd.DataFrame, reports: dict[str, Report], rejections: Rejections) -> pd.DataFrame:
    """The privileged table: one row a study of `images` with its report."""
    studies = images.drop_duplicates("study_id")[["study_id", "patient_id", "split"]]
    silent = ~studies["study_id"].map(lambda study: has_text(reports[study])).astype(bool)
    studies = rejections.split_off(studies, silent, "study_id", "report has neither findings nor impression")
    studies = studies.rename(columns={"study_id": "record_id"})
    report = studies["record_id"].map(lambda study: reports[study].text).astype("str")
    return studies.assign(key=studies["record_id"], report=report)
