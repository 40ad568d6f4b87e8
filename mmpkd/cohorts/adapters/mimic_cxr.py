"""MIMIC-CXR: chest radiographs with reports, CheXpert labels and, by MS-CXR, boxes.

Access: PhysioNet, credentialed account with training and a signed data use agreement. None of it may be passed on.
    https://physionet.org/content/mimic-cxr/ (DICOM, and mimic-cxr-reports.zip, to be unpacked), mimic-cxr-jpg (tables),
    ms-cxr (boxes).
Licence: PhysioNet Credentialed Health Data License 1.5.0.
Citation: Johnson et al., "MIMIC-CXR, a de-identified publicly available database of chest radiographs with free-text
    reports", Scientific Data 6:317 (2019); Johnson et al., "MIMIC-CXR-JPG", arXiv:1901.07042; Boecking et al., "Making
    the Most of Text Semantics to Improve Biomedical Vision-Language Processing", ECCV 2022 (MS-CXR).

Layout below root:
    files/p10/p10000032/s50414267/<dicom_id>.dcm      images
    files/p10/p10000032/s50414267.txt                 reports                                       (folder `reports`)
    mimic-cxr-2.0.0-{split,metadata,chexpert}.csv.gz  tables; mimic-cxr-2.1.0-test-set-labeled.csv  (folder `tables`)
    ms-cxr/MS_CXR_Local_Alignment*.csv                boxes, if there; the last version by name     (folder `ms_cxr`)

Yields frontal images (PA, AP); a report a study; boxes of the requested labels on these images.

View: ViewPosition where it is given. Where it is empty (15,769 images), the view code, and failing that the image is
taken for frontal unless the procedure's description names a lateral view.

Split: the published one, but patients with an MS-CXR box go to test with all their images, for no image that is scored
for localisation may have a patient in training. So does any patient who stands in several splits (`splits.resolve`).

Options:
    uncertain, blank: what CheXpert's -1 and blank count as: ones, zeros or ignore, for all labels or a table of labels
        (see `label_policy`).
    expert_test_labels: where the radiologists' labels of the test set are there, test images have these alone: a test
        study without them has its labels masked, MS-CXR patients included. False: CheXpert labels everywhere.

Traps: CheXpert labels are read off the very reports that a text teacher reads. The radiologists' table calls Lung
Opacity `Airspace Opacity`. MS-CXR's own split column is not that of MIMIC-CXR and is ignored. MS-CXR repeats a box for
each sentence on it: it counts once. Boxes of labels that are not requested are left out, but hold their patients out.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from mmpkd.cohorts.boxes import box_rois
from mmpkd.cohorts.choices import read_folders, read_options
from mmpkd.cohorts.label_policy import BLANK, CHEXPERT_LABELS, UNCERTAIN, apply_policy, policy_table
from mmpkd.cohorts.paths import list_files, read_table, require_folder, snake_case
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.splits import resolve
from mmpkd.cohorts.tables import IMAGE_COLUMNS, SPLITS, CohortTables
from mmpkd.config.cohorts import Cohort
from mmpkd.logs import progress

OPTIONS = {"uncertain": UNCERTAIN, "blank": BLANK, "expert_test_labels": True}
FOLDERS = ("tables", "reports", "ms_cxr")
SOURCE = "MIMIC-CXR's tables are at https://physionet.org/content/mimic-cxr-jpg/ (credentialed)"
IMAGE_SOURCE = (
    "MIMIC-CXR's images are at https://physionet.org/content/mimic-cxr/ (credentialed); set root to the folder"
)
MS_CXR_SOURCE = "MS-CXR is at https://physionet.org/content/ms-cxr/ (credentialed)"
EXPERT_NAMES = {"airspace_opacity": "lung_opacity"}
LATERAL = r"\bLAT(?:ERAL)?\b|\bLATERALS\b"


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
    boxes = _boxes(cohort.root, folders)
    boxed = listed["image_id"].isin(boxes["image_id"])
    listed, notes = resolve(listed, set(listed.loc[boxed, "patient_id"]))

    chexpert = _study_labels(tables / "mimic-cxr-2.0.0-chexpert.csv.gz", known, rejections)
    chexpert = apply_policy(chexpert, uncertain, blank)
    expert = _expert_labels(tables, known, rejections) if options["expert_test_labels"] else None
    labelled = chexpert.index if expert is None else chexpert.index.union(expert.index)

    images = _frontal(listed, rejections)
    unlabelled = ~images["study_id"].isin(labelled)
    images = rejections.split_off(images, unlabelled, "image_id", "study is not in the CheXpert table")
    images = _with_files(images, cohort, rejections)

    table, label_notes = _image_labels(images, chexpert, expert)
    rois, roi_notes = _rois(boxes, images, known, rejections)
    reports = _reports(folders.get("reports", cohort.root), images, rejections)
    return CohortTables(
        image_root=cohort.root,
        images=images[list(IMAGE_COLUMNS)],
        labels=table,
        rois=rois,
        privileged=reports,
        rejected=rejections.table,
        key_name="study_id",
        notes={**notes, **label_notes, **roi_notes},
    )


def _listed_images(tables: Path, rejections: Rejections) -> pd.DataFrame:
    """One row an image of the split table, with what the metadata table says of it."""
    split = read_table(tables / "mimic-cxr-2.0.0-split.csv.gz", ["dicom_id", "study_id", "subject_id", "split"], SOURCE)
    metadata = read_table(
        tables / "mimic-cxr-2.0.0-metadata.csv.gz",
        ["dicom_id", "viewposition", "rows", "columns"],
        SOURCE,
        optional=["performedprocedurestepdescription", "viewcodesequence_codemeaning"],
    ).drop_duplicates("dicom_id")
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
    reason = ("view " + position + " is not frontal").where(
        ~unstated, "view is not stated and lateral by its description"
    )
    images = images.assign(view=view, laterality="")
    return rejections.split_off(images, view == "", "image_id", reason)


def _with_files(images: pd.DataFrame, cohort: Cohort, rejections: Rejections) -> pd.DataFrame:
    """Adds `path`; sets images aside that are not on the disk. Without images in the cohort, paths are empty."""
    if not cohort.images:
        return images.assign(path="")
    path = _study_path(images["patient_id"], images["study_id"]) + "/" + images["image_id"] + ".dcm"
    files = require_folder(cohort.root / "files", IMAGE_SOURCE)
    there = path.isin({f"files/{name}" for name in list_files(files, (".dcm",))})
    if len(path) and not there.any():
        raise FileNotFoundError(f"{files}: holds none of the {len(path)} images of the tables; {IMAGE_SOURCE}")
    return rejections.split_off(images.assign(path=path), ~there, "image_id", "image file is missing")


def _study_path(patients: pd.Series, studies: pd.Series) -> pd.Series:
    return "files/p" + patients.str[:2] + "/p" + patients + "/s" + studies


def _study_labels(path: Path, labels: list[str], rejections: Rejections, partial: bool = False) -> pd.DataFrame:
    """Labels a study (index study_id): 1, 0, -1 (uncertain), NaN (blank). `partial`: the table may lack some."""
    names = {snake_case(label): label for label in labels}
    required, optional = (["study_id"], [*names, *EXPERT_NAMES]) if partial else (["study_id", *names], [])
    table = read_table(path, required, SOURCE, optional=optional).rename(columns=EXPERT_NAMES)
    table = table[["study_id", *(name for name in names if name in table)]]
    table = rejections.split_off(
        table, table.duplicated("study_id"), "study_id", f"second row of a study in {path.name}"
    )
    values = table.drop(columns="study_id").apply(
        lambda cells: pd.to_numeric(cells.replace("", "nan"), errors="coerce")
    )
    wrong = (~values.isin([1, 0, -1]) & (table[values.columns] != "")).any(axis=1)
    values.index = table["study_id"]
    rejections.add(table.loc[wrong, "study_id"], f"label in {path.name} is not 1, 0, -1 or blank")
    return values[~wrong.to_numpy()].rename(columns=names)


def _expert_labels(tables: Path, labels: list[str], rejections: Rejections) -> pd.DataFrame | None:
    """The radiologists' labels of test studies, None without their table.

    Where even they were uncertain the label is masked, for nothing is scored against a guess; a blank is an absent
    finding.
    """
    path = tables / "mimic-cxr-2.1.0-test-set-labeled.csv"
    if not path.is_file():
        return None
    given = _study_labels(path, labels, rejections, partial=True)
    return apply_policy(given, dict.fromkeys(labels, "ignore"), dict.fromkeys(labels, "zeros")).reindex(columns=labels)


def _image_labels(
    images: pd.DataFrame, chexpert: pd.DataFrame, expert: pd.DataFrame | None
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Labels in the order of `images`, and how many test studies have labels of which source."""
    table = chexpert.reindex(images["study_id"]).set_axis(images.index)
    in_test = images["split"] == "test"
    tested = images.loc[in_test, "study_id"]
    judged = tested[tested.isin(expert.index)] if expert is not None else tested.iloc[:0]
    notes = {
        "test_studies_with_radiologists_labels": judged.nunique(),
        "test_studies_masked": tested.nunique() - judged.nunique() if expert is not None else 0,
    }
    if expert is not None:
        table.loc[in_test] = expert.reindex(columns=table.columns).reindex(tested).to_numpy()
    table.insert(0, "image_id", images["image_id"])
    return table, notes


def _boxes(root: Path, folders: dict[str, Path]) -> pd.DataFrame:
    """The rows of MS-CXR, none if there is no such folder: image_id, category, corners and the size of the image."""
    folder = folders.get("ms_cxr", root / "ms-cxr")
    columns = ["dicom_id", "category_name", "x", "y", "w", "h", "image_width", "image_height"]
    if "ms_cxr" not in folders and not folder.is_dir():
        return pd.DataFrame(columns=["image_id", *columns[1:]], dtype="str")
    files = sorted(require_folder(folder, MS_CXR_SOURCE).glob("MS_CXR_Local_Alignment*.csv"))
    if not files:
        raise FileNotFoundError(f"{folder}: no MS_CXR_Local_Alignment*.csv; {MS_CXR_SOURCE}")
    return read_table(files[-1], columns, MS_CXR_SOURCE).rename(columns={"dicom_id": "image_id"})


def _rois(
    boxes: pd.DataFrame, images: pd.DataFrame, labels: list[str], rejections: Rejections
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Boxes of `labels` on `images`, and the count of boxes of other labels."""
    names = {snake_case(label): label for label in CHEXPERT_LABELS}
    boxes = boxes.assign(label=boxes["category_name"].map(lambda text: names.get(snake_case(text), "")))
    boxes = rejections.split_off(boxes, boxes["label"] == "", "image_id", "box of a category that is no CheXpert label")
    requested = boxes["label"].isin(labels)
    placed = boxes[requested].merge(images[["image_id", "rows", "columns"]], on="image_id", how="left", indicator=True)
    placed = rejections.split_off(placed, placed["_merge"] != "both", "image_id", "box on an image that was left out")
    numbers = placed[["x", "y", "w", "h", "image_width", "image_height"]].apply(pd.to_numeric, errors="coerce")
    other_size = (numbers["image_width"] != placed["columns"]) | (numbers["image_height"] != placed["rows"])
    other_size = other_size.fillna(False).astype(bool)
    placed = placed.assign(
        x0=numbers["x"], y0=numbers["y"], x1=numbers["x"] + numbers["w"], y1=numbers["y"] + numbers["h"]
    )
    placed = rejections.split_off(placed, other_size, "image_id", "box was drawn on an image of another size")
    return box_rois(placed, rejections), {"boxes_of_other_labels": int((~requested).sum())}


def _reports(folder: Path, images: pd.DataFrame, rejections: Rejections) -> pd.DataFrame:
    """One row a study of `images` with its report as it stands in the file."""
    studies = images.drop_duplicates("study_id")[["study_id", "patient_id", "split"]]
    paths = _study_path(studies["patient_id"], studies["study_id"]) + ".txt"
    texts, broken = {}, {}
    for study, path in progress(list(zip(studies["study_id"], paths, strict=True)), "reports", unit="report"):
        try:
            texts[study] = (folder / path).read_text(encoding="utf-8")
        except FileNotFoundError:
            broken[study] = "report is missing"
        except (OSError, UnicodeDecodeError) as error:
            broken[study] = f"report cannot be read ({type(error).__name__})"
    broken |= {study: "report is empty" for study, text in texts.items() if not text.strip()}
    if len(studies) and len(broken) == len(studies):
        raise FileNotFoundError(
            f"{folder}: holds no report of {len(studies)} studies; unpack mimic-cxr-reports.zip there, "
            "or set folders.reports"
        )
    rejections.add([f"s{study}.txt" for study in broken], broken.values())
    reports = studies[~studies["study_id"].isin(broken)].rename(columns={"study_id": "record_id"})
    return reports.assign(key=reports["record_id"], report=reports["record_id"].map(texts))
