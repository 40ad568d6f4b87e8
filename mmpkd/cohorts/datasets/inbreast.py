"""INbreast: full-field digital mammograms with contours of findings, for evaluation alone.

Access: on request to its authors (Breast Research Group, INESC TEC, Porto); copies circulate, under the same terms.
Licence: its own, for research; not to be passed on.
Citation: Moreira et al., "INbreast: Toward a Full-field Digital Mammographic Database", Academic Radiology
    19(2):236-248 (2012).

Layout below root, or below root/INbreast Release 1.0:
    INbreast.xls, or INbreast.xlsx or INbreast.csv (semicolons or commas); of several the first     (folder `tables`)
    AllDICOMs/<image>_<patient>_MG_<L or R>_<CC or ML>_ANON.dcm, at any depth below root            (folder `images`)
    AllXML/<image>.xml                                                                              (folder `contours`)
Names of columns, files and ROI are as public code that reads the release has them (the KP-AROB, gan_compare and many
other readers of INbreast.xls agree); the release itself was not at hand.

Yields a row an image (410 from 115 examinations), the labels mass, calcification and malignant, and contours of masses
and calcifications. `Patient ID` is blanked ("removed") in the table, so that the patient is the token in the file's
name; a study is a patient and month. There is no privileged table: the release has reports of some examinations, which
this project does not read.

Labels: mass and calcification are 1 where a contour is so called, or where the table has an X under Mass or Micros; 0
where the image has contours and none is; also 0 in an image without a file of contours whose BI-RADS is 1, since there
was nothing to mark. Else they are masked: no file of contours though BI-RADS is not 1, an unreadable one, or one
with a finding whose name does not tell what it is (`Unnamed`, `Point 1`, `Point 3`). A spiculated region belongs to its
mass, a cluster is of calcifications; asymmetries, distortions and the pectoral muscle are left out and counted.

`malignant` is derived from BI-RADS, an assessment and no pathology (not every finding was biopsied): 4 (4a, 4b, 4c), 5
and 6 are 1, 1 and 2 are 0, 3 follows the option, anything else is masked. BI-RADS is of the image, not of a finding, so
no ROI is labelled `malignant`.

ROI are polygons. A contour without area, as that of a calcification marked by one point, becomes the box around its
points, at least `point_side` pixels a side.

Split: an external cohort is evaluated whole, so every image has the split `test`.

Options:
    malignant_from_birads: false: `malignant` is not known to this cohort.
    birads_3: what BI-RADS 3 counts as for `malignant`: ones, zeros or ignore (masked).
    point_side: side in pixels of the box that stands for a point; 7 pixels of 70 micrometres are half a millimetre, the
        usual upper size of a microcalcification.

Traps: BI-RADS cells have letters and trailing blanks (`4a`, `4b `). The last rows of the sheet are sums without a File
Name; they are counted and left out. The header `Mass ` ends in a blank. The view ML in file names is the table's MLO.
With `images: false` no patient is known, so each image counts as one. `survey` changes nothing: the files of contours
are a few hundred at most, read in seconds, and no image is opened either way.
"""

import json
from pathlib import Path

import pandas as pd

from mmpkd.cohorts.base import ChoiceError, Need, declared_folders, read_folders, read_options
from mmpkd.cohorts.inbreast_files import ContourFileError, read_contours, read_sheet
from mmpkd.cohorts.label_policy import VALUES
from mmpkd.cohorts.listing import distinct, list_files, with_named_files
from mmpkd.cohorts.paths import existing, require_folder
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.tables import IMAGE_COLUMNS, ROI_COLUMNS, CohortTables, empty
from mmpkd.config.cohorts import Cohort
from mmpkd.logs import progress

RESTRICTED = True
OPTIONS = {"malignant_from_birads": True, "birads_3": "ignore", "point_side": 7.0}
FOLDERS = ("tables", "images", "contours")
SOURCE = "INbreast is had from its authors on request (Moreira et al., Academic Radiology 2012)"
RELEASE = "INbreast Release 1.0"
SHEETS = ("INbreast.xls", "INbreast.xlsx", "INbreast.csv")
COLUMNS = ["file_name", "laterality", "view", "bi-rads"]
MARKS = {"mass": "mass", "calcification": "micros"}  # label: column of the table with an X where it is present
FILE_NAME = r"\d{8}"
DICOM_NAME = (
    r"(?:^|/)(?P<image_id>\d{8})_(?P<patient_id>[0-9A-Za-z]+)_MG_(?P<side>[LR])_(?P<projection>[A-Z]+)_ANON\.(?i:dcm)$"
)
CONTOUR_NAME = rf"(?:^|/)({FILE_NAME})\.(?i:xml)$"
SIDES = {"L": "LEFT", "R": "RIGHT"}
VIEWS = {"ML": "MLO"}


def needs(cohort: Cohort) -> list[Need]:
    """The table, the contours and the images."""
    table, images, contours = _places(cohort)
    wanted = [
        Need(table, "the table, INbreast.xls or .csv", SOURCE),
        Need(contours, "contours of the findings", SOURCE),
    ]
    return [*wanted, Need(images, "the mammograms", SOURCE)] if cohort.images else wanted


def read(cohort: Cohort, labels: list[str], *, survey: bool = False) -> CohortTables:
    """Reads INbreast below `cohort.root`; it knows the labels malignant, mass and calcification.

    `survey` is accepted for the sake of the other adapters.

    Raises:
        FileNotFoundError: if the table, the contours' folder, or every image, is missing.
        TableFileError: if the table cannot be read.
        ChoiceError: for an unknown option, folder or policy, or a side that is not positive.
    """
    options = _options(cohort)
    table, image_folder, contour_folder = _places(cohort)
    rejections = Rejections()
    images, notes = _images(table, rejections)
    images = _with_files(images, image_folder, cohort, rejections, notes)
    contours, unknown = _contours(contour_folder, declared_folders(cohort), images, rejections, notes)
    rois = _rois(contours, options["point_side"], rejections)
    known = [label for label in _labels_of(options) if label in labels]
    return CohortTables(
        image_root=image_folder,
        images=images[list(IMAGE_COLUMNS)],
        labels=_labels(images, contours, unknown, options["birads_3"])[["image_id", *known]],
        rois=rois[rois["label"].isin(known)],
        rejected=rejections.table,
        notes={**notes, **rejections.notes},
    )


def _options(cohort: Cohort) -> dict:
    options = read_options(cohort, OPTIONS)
    if options["birads_3"] not in VALUES:
        raise ChoiceError(f"options.birads_3 is {options['birads_3']!r}; known are {', '.join(VALUES)}")
    if options["point_side"] <= 0:
        raise ChoiceError(f"options.point_side is {options['point_side']}; it must be positive")
    return options


def _labels_of(options: dict) -> tuple[str, ...]:
    return ("malignant", "mass", "calcification") if options["malignant_from_birads"] else ("mass", "calcification")


def _places(cohort: Cohort) -> tuple[Path, Path, Path]:
    """The table, the folder of images and the folder of contours; the table that would be wanted if there is none."""
    release = cohort.root / RELEASE
    root = release if release.is_dir() else cohort.root
    folders = read_folders(cohort, FOLDERS)
    sheets = [existing(folders.get("tables", root) / name) for name in SHEETS]
    sheet = next((path for path in sheets if path.is_file()), sheets[0])
    return sheet, folders.get("images", root), folders.get("contours", root / "AllXML")


def _images(path: Path, rejections: Rejections) -> tuple[pd.DataFrame, dict[str, int]]:
    """One row an image of the table: image_id, view, laterality, birads (Int32), acquisition_date, and the marks."""
    table = read_sheet(path, COLUMNS, SOURCE, ["acquisition_date", *MARKS.values()])
    sums = table["file_name"] == ""
    images = table[~sums].rename(columns={"file_name": "image_id"})
    malformed = ~images["image_id"].str.fullmatch(FILE_NAME)
    images = rejections.split_off(images, malformed, "image_id", "malformed File Name")
    images = rejections.split_off(images, images.duplicated("image_id"), "image_id", "second row of an image")
    birads = images["bi-rads"].str.lower().str.extract(r"^([0-6])[abc]?$", expand=False)
    for column in ("acquisition_date", *MARKS.values()):
        images[column] = images.get(column, "")
    images = images.assign(
        birads=pd.to_numeric(birads).astype("Int32"),
        view=images["view"].str.upper().replace(VIEWS),
        laterality=images["laterality"].str.upper().replace(SIDES),
        split="test",
        rows=pd.Series(pd.NA, index=images.index, dtype="Int32"),
        columns=pd.Series(pd.NA, index=images.index, dtype="Int32"),
    )
    return images, {"rows_without_file_name": int(sums.sum()), "images_without_birads": int(birads.isna().sum())}


def _with_files(
    images: pd.DataFrame, folder: Path, cohort: Cohort, rejections: Rejections, notes: dict[str, int]
) -> pd.DataFrame:
    """Adds path, patient_id and study_id from the names of the files; sets images aside that have none."""
    if not cohort.images:
        return images.assign(path="", patient_id=images["image_id"], study_id=images["image_id"])
    files = list_files(require_folder(folder, SOURCE), (".dcm",), declared_folders(cohort))
    listed = pd.DataFrame({"path": files.paths}, dtype="str")
    named = listed.join(listed["path"].str.extract(DICOM_NAME)).dropna(subset="image_id")
    candidates = named.groupby("image_id")["path"].agg(list).to_dict()
    images = with_named_files(images, candidates, files, "table", SOURCE, rejections)
    images = images.merge(named.drop(columns="image_id"), on="path", how="left")
    named_otherwise = (images["side"].map(SIDES) != images["laterality"]) | (
        images["projection"].replace(VIEWS) != images["view"]
    )
    notes["images_whose_name_states_another_side_or_view"] = int(named_otherwise.sum())
    return images.assign(study_id=(images["patient_id"] + "_" + images["acquisition_date"]).str.rstrip("_"))


def _contours(
    folder: Path,
    declared: tuple[Path, ...],
    images: pd.DataFrame,
    rejections: Rejections,
    notes: dict[str, int],
) -> tuple[pd.DataFrame, set[str]]:
    """One row a contour of a mass or calcification, with roi_id, image_id, label, contour; and the doubtful images.

    Those may hold more: their contours are missing or unreadable, or one is of a finding whose name tells nothing.
    """
    files = list_files(require_folder(folder, SOURCE), (".xml",), declared)
    rejections.count(files.notes, folder)
    names = pd.Series(files.paths, dtype="str")
    named = names.groupby(names.str.extract(CONTOUR_NAME, expand=False)).agg(list)
    paths = {image_id: distinct(folder, several) for image_id, several in named.items()}
    has_file, is_negative = images["image_id"].isin(set(paths)), (images["birads"] == 1).fillna(False)
    unmarked = set(images.loc[~has_file & ~is_negative, "image_id"])
    rows, unread = [], set()
    for image_id in progress(images.loc[has_file, "image_id"], "contours", unit="image"):
        try:
            if len(paths[image_id]) > 1:
                raise ContourFileError("several files of contours that differ")
            contours = read_contours(folder / paths[image_id][0])
        except ContourFileError as reason:
            unread.add(image_id)
            rejections.add([image_id], f"ROI: {reason}")
            continue
        rows += [(f"{image_id}_{number}", image_id, one.kind, one) for number, one in enumerate(contours, start=1)]
    table = pd.DataFrame(rows, columns=["roi_id", "image_id", "label", "contour"])
    nameless, other = table["label"].isna(), table["label"] == ""
    notes["contours_of_other_findings"] = int(other.sum())
    notes["images_without_contours_though_birads_is_not_1"] = len(unmarked)
    unknown = unmarked | unread | set(table.loc[nameless, "image_id"])
    rejections.add(table.loc[nameless, "roi_id"], "ROI: its name tells no kind of finding")
    return table[~nameless & ~other], unknown


def _rois(contours: pd.DataFrame, point_side: float, rejections: Rejections) -> pd.DataFrame:
    """The polygons. A contour whose points cannot be read is set aside; one that is stated twice counts once."""
    pointless = contours["contour"].map(lambda contour: contour.points is None).astype(bool)
    contours = rejections.split_off(contours, pointless, "roi_id", "ROI: its points cannot be read")
    if contours.empty:
        return empty(ROI_COLUMNS)
    polygons = contours["contour"].map(lambda contour: json.dumps(contour.polygon(point_side)))
    corners = dict.fromkeys(("x0", "y0", "x1", "y1"), float("nan"))
    rois = contours.assign(kind="polygon", polygon=polygons, mask_path="", **corners)
    return rois.drop_duplicates(["image_id", "label", "polygon"])[list(ROI_COLUMNS)]


def _labels(images: pd.DataFrame, contours: pd.DataFrame, unknown: set[str], birads_3: str) -> pd.DataFrame:
    """All three labels, a row an image; see the module for the rules."""
    labels = images[["image_id"]].copy()
    category = images["birads"].astype("Float64").astype("float64")
    malignant = category.map({1: 0.0, 2: 0.0, 3: VALUES[birads_3], 4: 1.0, 5: 1.0, 6: 1.0})
    labels["malignant"] = malignant.astype("float64")
    for label, column in MARKS.items():
        marked = images[column].str.upper() == "X"
        present = marked | images["image_id"].isin(contours.loc[contours["label"] == label, "image_id"])
        labels[label] = present.astype("float64").mask(~present & images["image_id"].isin(unknown))
    return labels
