"""CBIS-DDSM: digitised film mammograms with lesion masks, pathology and case descriptions.

Access: The Cancer Imaging Archive, open. https://www.cancerimagingarchive.net/collection/cbis-ddsm/
Licence: CC BY 3.0.
Citation: Lee et al., "A curated mammography data set for use in computer-aided detection and diagnosis research",
    Scientific Data 4:170177 (2017).

Layouts below root, told by what is on the disk (the two of DICOM may be mixed):
    {mass,calc}_case_description_{train,test}_set.csv                                    (folder `tables`; or in csv/)
    CBIS-DDSM/Mass-Training_P_00001_LEFT_CC/                                             (folder `images`)
        08-07-2016-DDSM-29304/1.000000-full mammogram images-17430/1-1.dcm               as the NBIA downloader names it
        <study UID>/<series UID>/000000.dcm                                              older, as the tables quote it
    CBIS-DDSM/Mass-Training_P_00001_LEFT_CC_1/<...>/                                     crop and mask of lesion 1
    jpeg/<series UID>/1-249.jpg and csv/dicom_info.csv                                   JPEG export that Kaggle offers
DICOM files are found by the name of the mammogram's or lesion's folder, at any depth and whatever is below it. Where a
mammogram's folder holds several, the file or the series that the table quotes decides. The JPEG export
(kaggle.com/datasets/awsaf49/cbis-ddsm-breast-cancer-image-dataset) is read where `images` has a folder `jpeg`; its
dicom_info.csv says which mammogram or lesion (`PatientID`) a picture (`image_path`) belongs to. These two columns and
the folders are as public code reads them (google-deepmind/dm_nevis), not seen in the original.

Yields a row an image: `P_00001_LEFT_CC`, the folder's name without Mass- or Calc- and the set. 71 of the 3,103 folders
repeat a mammogram of the other kind; it is one image here, its file that of the mass folder where there are two: 3,032
images. A study is a patient's breast. Labels: malignant (any lesion of the image is), mass, calcification. A mask a
lesion, labelled with its kind, and once more with `malignant` if it is. A privileged record a lesion (3,568 rows), its
columns named alike for both kinds, with its own targets and `official_set`, the set of its table (train or test).

Several lesions with different pathology: an image is malignant if any of its lesions is, and its ROI labelled
`malignant` are those of the malignant lesions alone.

Mask or crop is told by the header (the mask has 8 bits and the mammogram's size), and where that leaves a doubt by the
pixels (a mask has two values). With `survey` no image is opened: rows and columns stay unknown, and each lesion is
listed with the first of its files, be it crop or mask.

Split: 31 patients stand in the train set of one kind and the test set of the other: they go to test. There is no
published validation set.

Options:
    validation_share: share of the training patients that validate, chosen by a hash of the identifier.

Traps: some crops and masks are swapped, in the tables and in the series' names. Some masks differ in size from their
mammogram: they are scaled, or set aside when images are stored if the aspect differs by 1 % or more. The density is
`breast_density` in the tables of masses and `breast density` in those of calcifications. `assessment` leaks the
pathology. BENIGN_WITHOUT_CALLBACK is benign. Path cells end in line breaks. A path that is absolute, climbs with `..`
or leaves the images' folder through a link is refused with its row.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from mmpkd.cohorts.base import ChoiceError, Need, declared_folders, read_folders, read_options
from mmpkd.cohorts.datasets.cbis_ddsm.files import (
    PICTURES,
    Header,
    NotFoundError,
    choose_mammogram,
    choose_mask,
    exported_files,
    files_by_folder,
    try_header,
)
from mmpkd.cohorts.listing import Listing, MissingFilesError, distinct, list_files
from mmpkd.cohorts.paths import read_table, relative_below_all, require_folder
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.tables import IMAGE_COLUMNS, ROI_COLUMNS, CohortTables, empty, resolve, stable_share
from mmpkd.config.cohorts import Cohort
from mmpkd.logs import progress

RESTRICTED = False
OPTIONS = {"validation_share": 0.15}
FOLDERS = ("tables", "images")
LABELS = ("malignant", "mass", "calcification")
SOURCE = "CBIS-DDSM is at https://www.cancerimagingarchive.net/collection/cbis-ddsm/ (open)"
PATHS = ["image_file_path", "roi_mask_file_path"]
MALIGNANT = {"MALIGNANT": 1.0, "BENIGN": 0.0, "BENIGN_WITHOUT_CALLBACK": 0.0}
COLUMNS = [
    "patient_id",
    "breast_density",
    "left_or_right_breast",
    "image_view",
    "abnormality_id",
    "assessment",
    "pathology",
    "subtlety",
    *PATHS,
]
DESCRIPTORS = {"mass": ["mass_shape", "mass_margins"], "calc": ["calc_type", "calc_distribution"]}
METADATA = [
    "breast_density",
    "laterality",
    "view",
    "abnormality_id",
    "mass_shape",
    "mass_margins",
    "calc_type",
    "calc_distribution",
    "assessment",
    "subtlety",
    "pathology",
]
MAMMOGRAM = r"^(?P<mammogram>(?:Mass|Calc)-(?:Training|Test)_(?P<image_id>P_\d+_(?:LEFT|RIGHT)_(?:CC|MLO)))/"
LESION = r"^((?:Mass|Calc)-(?:Training|Test)_P_\d+_(?:LEFT|RIGHT)_(?:CC|MLO)_\d+)/"


def needs(cohort: Cohort) -> list[Need]:
    """The four tables and the folder of images."""
    folder, root = _table_folder(cohort), _image_root(cohort)
    tables = [
        Need(path, f"descriptions of the {kind} cases, {name} set", SOURCE) for path, kind, name in _tables(folder)
    ]
    if not cohort.images:
        return tables
    if (root / "jpeg").is_dir():
        return [*tables, Need(root / "csv" / "dicom_info.csv", "what each picture of the JPEG export shows", SOURCE)]
    return [*tables, Need(root, "mammograms, crops and masks", SOURCE)]


def read(cohort: Cohort, labels: list[str], *, survey: bool = False) -> CohortTables:
    """Reads CBIS-DDSM below `cohort.root`; it knows the labels malignant, mass and calcification.

    With `survey` no image is opened, so that masks are listed but not told from crops.

    Raises:
        FileNotFoundError: if a table, or every image, is missing.
        TableFileError: if a table cannot be read.
        ChoiceError: for an unknown option or folder, or a share outside 0 to 1.
    """
    options = read_options(cohort, OPTIONS)
    folder, root = _table_folder(cohort), _image_root(cohort)
    known = [label for label in LABELS if label in labels]
    rejections = Rejections()
    lesions = _lesions(folder, root, declared_folders(cohort), rejections)
    lesions, notes = _split(lesions, options["validation_share"])
    if cohort.images:
        listed, files = _files(root, declared_folders(cohort))
        rejections.count(listed.notes, root)
        if (len(lesions) or listed.remark) and not any(name in files for name in lesions["mammogram"]):
            raise MissingFilesError(
                f"{root}: holds no folder of the {lesions['mammogram'].nunique()} mammograms of the tables; "
                f"{listed.remark or f'set folders.images. {SOURCE}'}; {rejections.told}"
            )
        images = _with_files(_images(lesions), lesions, root, files, rejections, survey)
        orphans = ~lesions["image_id"].isin(images["image_id"])
        lesions = rejections.split_off(lesions, orphans, "record_id", "lesion of a mammogram that was left out")
        masks = _masks(lesions, images, root, files, rejections, survey)
        rois = _rois(lesions, masks, known)
    else:
        images, rois = _images(lesions), empty(ROI_COLUMNS)
    targets = lesions.groupby("image_id")[[f"target_{label}" for label in known]].max()
    targets.columns = known
    notes["images_in_mass_and_calcification_tables"] = int((lesions.groupby("image_id")["subset"].nunique() > 1).sum())
    return CohortTables(
        image_root=root,
        images=images[list(IMAGE_COLUMNS)],
        labels=targets.reindex(images["image_id"]).reset_index(),
        rois=rois,
        privileged=_records(lesions),
        rejected=rejections.table,
        key_name="image_id",
        notes={**notes, **rejections.notes},
    )


def _table_folder(cohort: Cohort) -> Path:
    below = cohort.root / "csv"
    return read_folders(cohort, FOLDERS).get("tables", below if below.is_dir() else cohort.root)


def _image_root(cohort: Cohort) -> Path:
    below = cohort.root / "CBIS-DDSM"
    return read_folders(cohort, FOLDERS).get("images", below if below.is_dir() else cohort.root)


def _tables(folder: Path) -> list[tuple[Path, str, str]]:
    """Each table's path, kind and official set."""
    return [
        (folder / f"{subset}_case_description_{official_set}_set.csv", subset, official_set)
        for subset in DESCRIPTORS
        for official_set in ("train", "test")
    ]


def _files(root: Path, declared: tuple[Path, ...]) -> tuple[Listing, dict[str, list[str]]]:
    """The files of each mammogram's and lesion's folder: DICOM, or those of the JPEG export where there is one."""
    if (root / "jpeg").is_dir():
        contents = read_table(root / "csv" / "dicom_info.csv", ["patientid", "image_path"], SOURCE)
        listed = list_files(root / "jpeg", PICTURES, declared).under(root, "jpeg")
        return listed, exported_files(contents, listed)
    listed = list_files(require_folder(root, SOURCE), (".dcm",), declared)
    return listed, files_by_folder(listed)


def _lesions(folder: Path, root: Path, declared: tuple[Path, ...], rejections: Rejections) -> pd.DataFrame:
    """One row a lesion of the four tables: their columns, record_id, image_id, subset, official_set and the targets."""
    parts = [
        read_table(path, COLUMNS + DESCRIPTORS[subset], SOURCE).assign(subset=subset, official_set=official_set)
        for path, subset, official_set in _tables(folder)
    ]
    lesions = pd.concat(parts, ignore_index=True).fillna("")
    lesions = lesions.rename(columns={"left_or_right_breast": "laterality", "image_view": "view"})
    stated = lesions["patient_id"] + "_" + lesions["laterality"] + "_" + lesions["view"]
    lesions["stated"] = stated + ", lesion " + lesions["abnormality_id"]
    for column in PATHS:
        lesions[column], refused = relative_below_all(root, lesions[column], declared)
        lesions = rejections.split_off(lesions, refused, "stated", f"{column} does not stay below the images' folder")
    lesions = lesions.join(lesions["image_file_path"].str.extract(MAMMOGRAM))
    lesions["record_id"] = lesions["roi_mask_file_path"].str.extract(LESION, expand=False)
    unnamed = lesions["image_id"].isna() | lesions["record_id"].isna()
    lesions = rejections.split_off(lesions, unnamed, "stated", "its paths name no mammogram or no lesion")
    other = lesions["image_id"] != stated[lesions.index]
    lesions = rejections.split_off(lesions, other, "record_id", "its paths name another patient, breast or view")
    unknown = ~lesions["pathology"].isin(MALIGNANT)
    lesions = rejections.split_off(lesions, unknown, "record_id", "pathology is missing or not known")
    repeated = lesions.duplicated("record_id")
    lesions = rejections.split_off(lesions, repeated, "record_id", "second row of a lesion")
    return lesions.assign(
        target_malignant=lesions["pathology"].map(MALIGNANT),
        target_mass=(lesions["subset"] == "mass").astype("float64"),
        target_calcification=(lesions["subset"] == "calc").astype("float64"),
    )


def _split(lesions: pd.DataFrame, validation_share: float) -> tuple[pd.DataFrame, dict[str, int]]:
    """Resolves patients of both official sets, and lets a share of the training patients validate."""
    if not 0 <= validation_share < 1:
        raise ChoiceError(f"options.validation_share is {validation_share}; it must be at least 0 and below 1")
    lesions, notes = resolve(lesions.assign(split=lesions["official_set"]))
    training = lesions.loc[lesions["split"] == "train", "patient_id"].unique()
    chosen = stable_share(training, validation_share)
    lesions["split"] = lesions["split"].mask(lesions["patient_id"].isin(chosen), "validate")
    return lesions, {**notes, "patients_validating": len(chosen)}


def _images(lesions: pd.DataFrame) -> pd.DataFrame:
    """One row a mammogram, in the order of the tables, without its file."""
    images = lesions.drop_duplicates("image_id")[["image_id", "patient_id", "split", "view", "laterality"]]
    size = pd.Series(pd.NA, index=images.index, dtype="Int32")
    study = images["patient_id"] + "_" + images["laterality"]
    return images.assign(study_id=study, path="", rows=size, columns=size)


def _with_files(
    images: pd.DataFrame,
    lesions: pd.DataFrame,
    root: Path,
    files: dict[str, list[str]],
    rejections: Rejections,
    survey: bool,
) -> pd.DataFrame:
    """Adds path, rows and columns; sets images aside whose mammogram is missing or no image that can be read."""
    folders = lesions.drop_duplicates("mammogram").sort_values("mammogram", ascending=False)  # Mass before Calc
    candidates = {
        image_id: list(zip(group["mammogram"], group["image_file_path"], strict=True))
        for image_id, group in folders.groupby("image_id")
    }
    found, reasons = {}, {}
    for image_id in progress(images["image_id"], "mammograms", unit="image"):
        folder, quoted = next((one for one in candidates[image_id] if one[0] in files), ("", ""))
        try:
            found[image_id] = _mammogram(root, choose_mammogram(distinct(root, files.get(folder, [])), quoted), survey)
        except NotFoundError as reason:
            reasons[image_id] = str(reason)
    rejections.add(reasons, reasons.values())
    images = images[images["image_id"].isin(found)].copy()
    files_found = [found[image_id] for image_id in images["image_id"]]
    columns = ["path", "rows", "columns"]
    images[columns] = pd.DataFrame(files_found, columns=columns, index=images.index, dtype=object)
    return images


def _mammogram(root: Path, path: str, survey: bool) -> tuple[str, Any, Any]:
    """Path, rows and columns of a mammogram. Raises NotFoundError if it cannot be read."""
    if survey:
        return path, pd.NA, pd.NA
    header = try_header(root / path)
    if header is None:
        raise NotFoundError("mammogram is no readable image")
    return path, header.rows, header.columns


def _masks(
    lesions: pd.DataFrame,
    images: pd.DataFrame,
    root: Path,
    files: dict[str, list[str]],
    rejections: Rejections,
    survey: bool,
) -> dict[str, str]:
    """The mask of each lesion (with `survey`, any of its files). Lesions without one are set aside."""
    sizes = {} if survey else {row.image_id: Header(row.rows, row.columns, 16) for row in images.itertuples()}
    masks, reasons = {}, {}
    pairs = list(zip(lesions["record_id"], lesions["image_id"], strict=True))
    for record_id, image_id in progress(pairs, "masks", unit="lesion"):
        try:
            masks[record_id] = choose_mask(root, files.get(record_id, []), sizes.get(image_id))
        except NotFoundError as reason:
            reasons[record_id] = f"ROI: {reason}"
    rejections.add(reasons, reasons.values())
    return masks


def _rois(lesions: pd.DataFrame, masks: dict[str, str], labels: list[str]) -> pd.DataFrame:
    """A row a lesion that has a mask, and label: its kind, and malignant if it is."""
    parts = [
        lesions.loc[lesions[f"target_{label}"] == 1, ["record_id", "image_id"]].assign(label=label) for label in labels
    ]
    if not parts:
        return empty(ROI_COLUMNS)
    rois = pd.concat(parts, ignore_index=True)
    rois = rois[rois["record_id"].isin(masks)]
    return rois.assign(
        roi_id=rois["record_id"] + "_" + rois["label"],
        kind="mask",
        mask_path=rois["record_id"].map(masks),
        polygon="",
        **dict.fromkeys(("x0", "y0", "x1", "y1"), float("nan")),
    )[list(ROI_COLUMNS)]


def _records(lesions: pd.DataFrame) -> pd.DataFrame:
    """The privileged table: one row a lesion."""
    columns = ["record_id", "image_id", "patient_id", "split", "subset", "official_set", *METADATA]
    targets = [f"target_{label}" for label in LABELS]
    return lesions[columns + targets].rename(columns={"image_id": "key"})
