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

Yields a row per image (410 from 115 examinations), the labels mass, calcification and malignant, and contours of masses
and calcifications. `Patient ID` is blanked ("removed") in the table, so that the patient is the token in the file's
name; a study is a patient and month. There is no privileged table: the release has reports of some examinations, which
this project does not read.

Labels: mass and calcification are 1 where a contour is so called, or where the table has an X under Mass or Micros; 0
where the image has contours and none is; also 0 in an image without a file of contours whose BI-RADS is 1, since there
was nothing to mark. Else they are masked: no file of contours though BI-RADS is not 1, an unreadable one, or one
with a finding whose name does not say what it is (`Unnamed`, `Point 1`, `Point 3`). A spiculated region belongs to its
mass, a cluster is of calcifications; asymmetries, distortions and the pectoral muscle are left out and counted.

`malignant` is derived from BI-RADS, an assessment and no pathology (not every finding was biopsied): 4 (4a, 4b, 4c), 5
and 6 are 1, 1 and 2 are 0, 3 follows the option, anything else is masked. BI-RADS is of the image, not of a finding, so
no ROI is labelled `malignant`.

Contours were exported by OsiriX, one property list per image: `Images` > `ROIs` > `Name`, `Point_px`, whose points are
texts such as "(1234.5, 678.9)", x first, in pixels of the original image; a calcification too small for a contour is
one point. Names are spelt in several ways. ROI are polygons. A contour without area, as that of a calcification marked
by one point, becomes the box around its points, at least `point_side` pixels per side. Several thousand calcifications
have a contour each: at 224 pixels their masks take about 0.35 GB in the image store.

Split: an external cohort is evaluated whole, so every image has the split `test`.

Options:
    malignant_from_birads: false: `malignant` is not known to this cohort.
    birads_3: what BI-RADS 3 counts as for `malignant`: ones, zeros or ignore (masked).
    point_side: side in pixels of the box that stands for a point; 7 pixels of 70 micrometres are half a millimetre, the
        usual upper size of a microcalcification.

Traps: BI-RADS cells have letters and trailing blanks (`4a`, `4b `). The last rows of the sheet are sums without a File
Name; they are counted and left out. The header `Mass ` ends in a blank. The view ML in file names is the table's MLO.
With `images: false` no patient is known, so each image counts as one. A survey opens the files of contours, too: they
are a few hundred at most, read in seconds.
"""

import json
import plistlib
import re
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from xml.parsers.expat import ExpatError

import numpy as np
import pandas as pd

from mmpkd.cohorts.base import ChoiceError, DataSet, Need
from mmpkd.cohorts.label_policy import VALUES
from mmpkd.cohorts.listing import Listing, distinct
from mmpkd.cohorts.paths import TableFileError, existing, snake_case
from mmpkd.cohorts.tables import ROI_COLUMNS, empty
from mmpkd.files import blame_storage
from mmpkd.logs import progress
from mmpkd.text import read_text

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
# What annotators called a finding, in lower case, and what it is here; "" is a finding of neither label.
KINDS = {
    "mass": "mass",
    "spiculated region": "mass",
    "espiculated region": "mass",
    "calcification": "calcification",
    "calcifications": "calcification",
    "cluster": "calcification",
    "asymmetry": "",
    "assymetry": "",
    "distortion": "",
    "pectoral muscle": "",
}
UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError, ExpatError, RecursionError)
DECLARATION = re.compile(r"^<\?xml[^>]*\?>")  # names an encoding, which the text has no more
LEAST_AREA = 1.0  # square pixels, below which a contour is a point or a line


class ContourFileError(ValueError):
    """A file of contours cannot be read; the message is the reason."""


@dataclass(frozen=True)
class Contour:
    """One marked finding: its name as written, and its points, N x 2 (x, y); None if they cannot be read."""

    name: str
    points: np.ndarray | None

    @property
    def kind(self) -> str | None:
        """mass, calcification, "" for a finding that is neither, None where the name does not say."""
        return KINDS.get(" ".join(self.name.lower().split()))

    def polygon(self, least_side: float) -> list[list[float]]:
        """The contour; where it has no area, the box around its points, at least `least_side` pixels per side."""
        assert self.points is not None  # such a contour was set aside
        if _area(self.points) >= LEAST_AREA:
            return self.points.tolist()
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        wider = np.maximum(least_side - (high - low), 0) / 2
        (x0, y0), (x1, y1) = (low - wider).tolist(), (high + wider).tolist()
        return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


class Inbreast(DataSet):
    """INbreast below the cohort's root; its labels are malignant, mass and calcification."""

    RESTRICTED = True
    SOURCE = "INbreast is available from its authors on request (Moreira et al., Academic Radiology 2012)"
    OPTIONS = {"malignant_from_birads": True, "birads_3": "ignore", "point_side": 7.0}
    FOLDERS = ("tables", "images", "contours")
    SUFFIXES = (".dcm",)
    NAMED_BY = "table"

    def needs(self) -> list[Need]:
        """The table, the contours and the images."""
        wanted = [
            Need(self._sheet, "the table, INbreast.xls or .csv", self.SOURCE),
            Need(self._contour_folder, "contours of the findings", self.SOURCE),
        ]
        return [*wanted, Need(self.image_root, "the mammograms", self.SOURCE)] if self.cohort.images else wanted

    @property
    def image_root(self) -> Path:
        """The folder with images at any depth."""
        return self.folder("images", self._release)

    def list_images(self) -> pd.DataFrame:
        """The images of the table, with birads (Int32), acquisition_date, and the marks."""
        self._check_options()
        table = read_sheet(self._sheet, COLUMNS, self.SOURCE, ["acquisition_date", *MARKS.values()])
        sums = table["file_name"] == ""
        images = table[~sums].rename(columns={"file_name": "image_id"})
        malformed = ~images["image_id"].str.fullmatch(FILE_NAME)
        images = self.set_aside(images, malformed, "image_id", "malformed File Name")
        images = self.set_aside(images, images.duplicated("image_id"), "image_id", "second row of an image")
        birads = images["bi-rads"].str.lower().str.extract(r"^([0-6])[abc]?$", expand=False)
        for column in ("acquisition_date", *MARKS.values()):
            images[column] = images.get(column, "")
        self.notes["rows_without_file_name"] = int(sums.sum())
        self.notes["images_without_birads"] = int(birads.isna().sum())
        return images.assign(
            patient_id=images["image_id"],
            study_id=images["image_id"],
            birads=pd.to_numeric(birads).astype("Int32"),
            view=images["view"].str.upper().replace(VIEWS),
            laterality=images["laterality"].str.upper().replace(SIDES),
            split="test",
        )

    def find_files(self, images: pd.DataFrame, files: Listing) -> pd.DataFrame:
        """The files' names begin with the identifier and name the patient; patient and month make a study."""
        listed = pd.DataFrame({"path": files.paths}, dtype="str")
        named = listed.join(listed["path"].str.extract(DICOM_NAME)).dropna(subset="image_id")
        candidates = named.groupby("image_id")["path"].agg(list).to_dict()
        images = self.match_names(images, candidates, files)
        images = images.drop(columns="patient_id").merge(named.drop(columns="image_id"), on="path", how="left")
        named_otherwise = (images["side"].map(SIDES) != images["laterality"]) | (
            images["projection"].replace(VIEWS) != images["view"]
        )
        self.notes["images_whose_name_states_another_side_or_view"] = int(named_otherwise.sum())
        return images.assign(study_id=(images["patient_id"] + "_" + images["acquisition_date"]).str.rstrip("_"))

    def label_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The labels by the rules at the top of this module."""
        self.contours, unknown = self._contours(images)
        labels = images[["image_id"]].copy()
        policy = {3: VALUES[self.option("birads_3")]}
        category = images["birads"].astype("Float64").astype("float64")
        labels["malignant"] = category.map({1: 0.0, 2: 0.0, 4: 1.0, 5: 1.0, 6: 1.0} | policy).astype("float64")
        for label, column in MARKS.items():
            marked = images[column].str.upper() == "X"
            contoured = self.contours.loc[self.contours["label"] == label, "image_id"]
            present = marked | images["image_id"].isin(contoured)
            labels[label] = present.astype("float64").mask(~present & images["image_id"].isin(unknown))
        return labels[["image_id", *self._known]]

    def roi_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The polygons. A contour whose points cannot be read is set aside; one that is stated twice counts once."""
        pointless = self.contours["contour"].map(lambda contour: contour.points is None).astype(bool)
        contours = self.set_aside(self.contours, pointless, "roi_id", "ROI: its points cannot be read")
        if contours.empty:
            return empty(ROI_COLUMNS)
        side = self.option("point_side")
        polygons = contours["contour"].map(lambda contour: json.dumps(contour.polygon(side)))
        corners = dict.fromkeys(("x0", "y0", "x1", "y1"), float("nan"))
        rois = contours.assign(kind="polygon", polygon=polygons, mask_path="", **corners)
        rois = rois.drop_duplicates(["image_id", "label", "polygon"])
        return rois.loc[rois["label"].isin(self._known), list(ROI_COLUMNS)]

    @property
    def _release(self) -> Path:
        folder = self.root / RELEASE
        return folder if folder.is_dir() else self.root

    @property
    def _sheet(self) -> Path:
        """The table; the one that would be wanted if there is none."""
        sheets = [existing(self.folder("tables", self._release) / name) for name in SHEETS]
        return next((path for path in sheets if path.is_file()), sheets[0])

    @property
    def _contour_folder(self) -> Path:
        return self.folder("contours", self._release / "AllXML")

    @property
    def _known(self) -> list[str]:
        known = ["mass", "calcification"]
        known = ["malignant", *known] if self.option("malignant_from_birads") else known
        return [label for label in known if label in self.labels]

    def _check_options(self) -> None:
        birads_3, side = self.option("birads_3"), self.option("point_side")
        if birads_3 not in VALUES:
            raise ChoiceError(f"options.birads_3 is {birads_3!r}; known are {', '.join(VALUES)}")
        if side <= 0:
            raise ChoiceError(f"options.point_side is {side}; it must be positive")

    def _contours(self, images: pd.DataFrame) -> tuple[pd.DataFrame, set[str]]:
        """One row a contour of a mass or calcification, with roi_id, image_id, label, contour; and doubtful images.

        Those may hold more: their contours are missing or unreadable, or one is of a finding whose name says nothing.
        """
        folder = self._contour_folder
        files = self.files_below(folder, (".xml",))
        self.rejections.count(files.notes, folder)
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
                self.rejections.add([image_id], f"ROI: {reason}")
                continue
            rows += [(f"{image_id}_{number}", image_id, one.kind, one) for number, one in enumerate(contours, start=1)]
        table = pd.DataFrame(rows, columns=["roi_id", "image_id", "label", "contour"])
        nameless, other = table["label"].isna(), table["label"] == ""
        self.notes["contours_of_other_findings"] = int(other.sum())
        self.notes["images_without_contours_though_birads_is_not_1"] = len(unmarked)
        unknown = unmarked | unread | set(table.loc[nameless, "image_id"])
        self.rejections.add(table.loc[nameless, "roi_id"], "ROI: its name does not say which kind of finding it is")
        return table[~nameless & ~other], unknown


def read_contours(path: Path) -> list[Contour]:
    """The contours of one file, in its order.

    `plistlib` refuses entity declarations, so that no file can name another one or grow when it is read.

    Raises:
        ContourFileError: if it is no property list of images with ROI.
    """
    try:
        content = DECLARATION.sub("", read_text(path).content.lstrip())
        images = plistlib.loads(content.encode(), fmt=plistlib.FMT_XML)["Images"]
        marks = [mark for image in images for mark in image["ROIs"]]
        return [Contour(str(mark.get("Name", "")), _points(mark.get("Point_px"))) for mark in marks]
    except UNREADABLE as error:
        blame_storage(error)
        raise ContourFileError("file of contours cannot be read") from error


def read_sheet(path: Path, columns: list[str], source: str, optional: list[str]) -> pd.DataFrame:
    """Reads INbreast.xls, .xlsx or .csv (commas or semicolons) as text, with its column names in snake case.

    Cells lose the white space around them; an empty cell is "", and a whole number has no decimals.

    Args:
        path: of the table; its suffix decides how it is read.
        columns: that it must have, in snake case.
        source: where to get it, for the message.
        optional: columns that it may have.

    Raises:
        FileNotFoundError: if there is no such file.
        TableFileError: if it cannot be read, or if it lacks one of `columns`; `optional` ones are kept where there.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {source}")
    try:
        table = _read_csv(path) if path.suffix.lower() == ".csv" else _read_excel(path)
    except ImportError as error:
        raise TableFileError(f"{path}: {error}; or save the sheet as INbreast.csv beside it") from error
    except Exception as error:  # the readers of spreadsheets raise every kind
        raise TableFileError(f"{path}: not a readable table ({type(error).__name__}); {source}") from error
    table.columns = [snake_case(str(name)) for name in table.columns]
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise TableFileError(f"{path}: column(s) {', '.join(missing)} missing; is it INbreast's table? {source}")
    table = table[[name for name in [*columns, *optional] if name in table.columns]]
    return table.fillna("").apply(lambda cells: cells.str.strip().str.replace(r"^(\d+)\.0+$", r"\1", regex=True))


def _read_excel(path: Path) -> pd.DataFrame:
    """The first sheet. Calamine reads .xls and .xlsx alike, and is what pandas is moving to from xlrd."""
    return pd.read_excel(path, sheet_name=0, dtype=str, engine="calamine")


def _read_csv(path: Path) -> pd.DataFrame:
    """A table saved from a spreadsheet: its first line shows the separator."""
    content = read_text(path).content
    first = content.partition("\n")[0]
    separator = ";" if first.count(";") > first.count(",") else ","
    return pd.read_csv(StringIO(content), sep=separator, dtype=str, index_col=False)


def _points(texts: list[str] | None) -> np.ndarray | None:
    """N x 2 numbers of texts such as "(1.5, 2.0)"; None if there is none, or one is no pair of finite numbers."""
    try:
        points = np.array([[float(number) for number in text.strip(" ()").split(",")] for text in texts or ()])
    except (ValueError, TypeError, AttributeError):
        return None
    return points if points.ndim == 2 and points.shape[1] == 2 and np.isfinite(points).all() else None


def _area(points: np.ndarray) -> float:
    """The area inside a contour, by the shoelace formula about its first point."""
    x, y = (points - points[0]).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


DATA_SET = Inbreast
