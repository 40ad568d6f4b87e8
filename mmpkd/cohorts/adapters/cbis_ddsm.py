"""CBIS-DDSM: digitised film mammograms with lesion masks, pathology and case descriptions.

Access: The Cancer Imaging Archive, open. https://www.cancerimagingarchive.net/collection/cbis-ddsm/
Licence: CC BY 3.0.
Citation: Lee et al., "A curated mammography data set for use in computer-aided detection and diagnosis research",
    Scientific Data 4:170177 (2017).

Layout below root:
    {mass,calc}_case_description_{train,test}_set.csv                                                (folder `tables`)
    CBIS-DDSM/Mass-Training_P_00001_LEFT_CC/<...>/1-1.dcm      full mammogram                        (folder `images`)
    CBIS-DDSM/Mass-Training_P_00001_LEFT_CC_1/<...>/1-*.dcm    crop and mask of lesion 1, in either order
Files are found by the name of the mammogram's or lesion's folder, at any depth, so that the names that the NBIA
downloader makes and the older ones that the tables quote (<study UID>/<series UID>/000000.dcm) both do.

Yields a row an image: `P_00001_LEFT_CC`, the folder's name without Mass- or Calc- and the set. 71 of the 3,103 folders
repeat a mammogram of the other kind; it is one image here, its file that of the mass folder where there are two: 3,032
images. A study is a patient's breast. Labels: malignant (any lesion of the image is), mass, calcification. A mask a
lesion, labelled with its kind, and once more with `malignant` if it is. A privileged record a lesion (3,568 rows), its
columns named alike for both kinds, with its own targets and `official_set`, the set of its table (train or test).

Mask or crop is told by the header (the mask has 8 bits and the mammogram's size), and where that leaves a doubt by the
pixels (a mask has two values).

Split: 31 patients stand in the train set of one kind and the test set of the other: they go to test. There is no
published validation set.

Options:
    validation_share: share of the training patients that validate, chosen by a hash of the identifier.

Traps: some crops and masks are swapped, in the tables and in the series' names. Some masks differ in size from their
mammogram. `assessment` leaks the pathology. BENIGN_WITHOUT_CALLBACK is benign. Path cells end in line breaks.
"""

from pathlib import Path

import pandas as pd

from mmpkd.cohorts.cbis_files import Header, NotFoundError, choose_mammogram, choose_mask, files_by_folder, try_header
from mmpkd.cohorts.choices import ChoiceError, read_folders, read_options
from mmpkd.cohorts.paths import list_files, read_table, require_folder
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.splits import resolve, stable_share
from mmpkd.cohorts.tables import IMAGE_COLUMNS, ROI_COLUMNS, CohortTables, empty
from mmpkd.config.cohorts import Cohort
from mmpkd.logs import progress

OPTIONS = {"validation_share": 0.15}
FOLDERS = ("tables", "images")
LABELS = ("malignant", "mass", "calcification")
SOURCE = "CBIS-DDSM is at https://www.cancerimagingarchive.net/collection/cbis-ddsm/ (open)"
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
    "image_file_path",
    "roi_mask_file_path",
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


def read(cohort: Cohort, labels: list[str]) -> CohortTables:
    """Reads CBIS-DDSM below `cohort.root`; it knows the labels malignant, mass and calcification.

    Raises:
        FileNotFoundError: if a table, or every image, is missing.
        TableFileError: if a table cannot be read.
        ChoiceError: for an unknown option or folder, or a share outside 0 to 1.
    """
    options, folders = read_options(cohort, OPTIONS), read_folders(cohort, FOLDERS)
    known = [label for label in LABELS if label in labels]
    rejections = Rejections()
    lesions = _lesions(folders.get("tables", cohort.root), rejections)
    lesions, notes = _split(lesions, options["validation_share"])
    image_root = folders.get("images") or _image_root(cohort.root)
    if cohort.images:
        files = files_by_folder(list_files(require_folder(image_root, SOURCE), (".dcm",)))
        images = _with_files(_images(lesions), lesions, image_root, files, rejections)
        orphans = ~lesions["image_id"].isin(images["image_id"])
        lesions = rejections.split_off(lesions, orphans, "record_id", "lesion of a mammogram that was left out")
        rois = _rois(lesions, images, image_root, files, known, rejections)
    else:
        images, rois = _images(lesions), empty(ROI_COLUMNS)
    targets = lesions.groupby("image_id")[[f"target_{label}" for label in known]].max()
    targets.columns = known
    notes["images_in_mass_and_calcification_tables"] = int((lesions.groupby("image_id")["subset"].nunique() > 1).sum())
    return CohortTables(
        image_root=image_root,
        images=images[list(IMAGE_COLUMNS)],
        labels=targets.reindex(images["image_id"]).reset_index(),
        rois=rois,
        privileged=_records(lesions),
        rejected=rejections.table,
        key_name="image_id",
        notes=notes,
    )


def _image_root(root: Path) -> Path:
    below = root / "CBIS-DDSM"
    return below if below.is_dir() else root


def _lesions(folder: Path, rejections: Rejections) -> pd.DataFrame:
    """One row a lesion of the four tables: their columns, record_id, image_id, subset, official_set and the targets."""
    parts = []
    for subset, descriptors in DESCRIPTORS.items():
        for official_set in ("train", "test"):
            path = folder / f"{subset}_case_description_{official_set}_set.csv"
            parts.append(
                read_table(path, COLUMNS + descriptors, SOURCE).assign(subset=subset, official_set=official_set)
            )
    lesions = pd.concat(parts, ignore_index=True).fillna("")
    lesions = lesions.join(lesions["image_file_path"].str.extract(MAMMOGRAM))
    lesions["record_id"] = lesions["roi_mask_file_path"].str.extract(LESION, expand=False)
    lesions = lesions.rename(columns={"left_or_right_breast": "laterality", "image_view": "view"})
    stated = lesions["patient_id"] + "_" + lesions["laterality"] + "_" + lesions["view"]
    lesions["stated"] = stated + ", lesion " + lesions["abnormality_id"]
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
    images: pd.DataFrame, lesions: pd.DataFrame, root: Path, files: dict[str, list[str]], rejections: Rejections
) -> pd.DataFrame:
    """Adds path, rows and columns; sets images aside whose mammogram is missing or no DICOM image."""
    folders = lesions.drop_duplicates("mammogram").sort_values("mammogram", ascending=False)  # Mass before Calc
    candidates = {
        image_id: list(zip(group["mammogram"], group["image_file_path"], strict=True))
        for image_id, group in folders.groupby("image_id")
    }
    if not any(folder in files for folder in folders["mammogram"]):
        raise FileNotFoundError(
            f"{root}: holds no folder of the {len(folders)} mammograms of the tables; set folders.images. {SOURCE}"
        )
    found, reasons = {}, {}
    for image_id in progress(images["image_id"], "mammograms", unit="image"):
        folder, quoted = next((one for one in candidates[image_id] if one[0] in files), ("", ""))
        try:
            path = choose_mammogram(files.get(folder, []), quoted)
        except NotFoundError as reason:
            reasons[image_id] = str(reason)
            continue
        header = try_header(root / path)
        if header is None:
            reasons[image_id] = "mammogram is no readable DICOM image"
        else:
            found[image_id] = (path, header.rows, header.columns)
    rejections.add(reasons, reasons.values())
    images = images[images["image_id"].isin(found)].copy()
    images[["path", "rows", "columns"]] = [found[image_id] for image_id in images["image_id"]]
    return images


def _rois(
    lesions: pd.DataFrame,
    images: pd.DataFrame,
    root: Path,
    files: dict[str, list[str]],
    labels: list[str],
    rejections: Rejections,
) -> pd.DataFrame:
    """A row a lesion and label: its kind, and malignant if it is. Lesions without a mask are set aside."""
    sizes = {row.image_id: Header(row.rows, row.columns, 16) for row in images.itertuples()}
    masks, reasons = {}, {}
    pairs = list(zip(lesions["record_id"], lesions["image_id"], strict=True))
    for record_id, image_id in progress(pairs, "masks", unit="lesion"):
        try:
            masks[record_id] = choose_mask(root, files.get(record_id, []), sizes[image_id])
        except NotFoundError as reason:
            reasons[record_id] = f"ROI: {reason}"
    rejections.add(reasons, reasons.values())
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
