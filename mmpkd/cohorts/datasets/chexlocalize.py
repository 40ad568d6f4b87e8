"""CheXlocalize: radiologists' outlines of ten findings on CheXpert's validation and test sets, for evaluation alone.

Access: https://aimi.stanford.edu/datasets/chexlocalize (registration). The download holds the images and labels too.
Licence: Stanford University Dataset Research Use Agreement: non-commercial research; none of it may be passed on.
Citation: Saporta et al., "Benchmarking saliency methods for chest X-ray interpretation", Nature Machine Intelligence 4
    (2022), doi:10.1038/s42256-022-00536-x; Irvin et al., "CheXpert", AAAI 2019 (arXiv:1901.07031).

Layout below root:
    CheXpert/{val,test}/patient64541/study1/view1_frontal.jpg               (folder `chexpert`)
    CheXpert/{val,test}_labels.csv
    CheXlocalize/gt_{annotations,segmentations}_{val,test}.json             (folder `outlines`)
A CheXpert-v1.0 download, small or not, does as folder `chexpert` for the validation set: its names are valid.csv and
valid/. File names and contents as in https://github.com/rajpurkarlab/cheXlocalize (README.md, sample/).

Yields frontal radiographs, labels under CheXpert's names, and the outlines, each a polygon, or a mask as run lengths.
The validation set has 234 images of 200 patients, the test set 668 of 500. Pneumonia, Fracture, Pleural Other and No
Finding have labels, but no outlines.
There are no reports, so there is no privileged table.

Outlines:
    gt_annotations_<set>.json   image -> img_size: [rows, columns]; finding -> [contour, ...]; contour: [[x, y], ...]
    gt_segmentations_<set>.json image -> finding -> {size: [rows, columns], counts}: see `mmpkd.cohorts.rois`
The masks were drawn from the contours, all of one finding in one mask, and are listed for all ten findings of each
image, empty ones included. So the contours are taken, each as an ROI of its own, and the mask where they are missing.

Split: an external cohort is evaluated whole, so every image that is taken has the split `test`.

Options:
    sets: the published sets that are taken, val or test; test alone, as in the paper, unless it says otherwise.
    views: frontal, lateral; frontal alone, as in training, unless it says otherwise.

Traps: Lung Opacity is called `Airspace Opacity` in both files of outlines. The Path column starts with a folder that is
not that of the images (`CheXpert-v1.0/valid/...` for `val/...`), so only its last three parts count. The labels are
those of a panel of radiologists, none uncertain or blank; if there are any, they are masked and counted. A study's
label need not show in each of its views, and one image of the test set has positive labels and no outline at all:
positive labels without outline are counted. Outlines were drawn at full size: the store scales them where the images
are smaller.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmpkd.cohorts.base import DataSet, Need
from mmpkd.cohorts.label_policy import CHEXPERT_LABELS
from mmpkd.cohorts.listing import Listing
from mmpkd.cohorts.paths import TableFileError, existing, read_json, read_table, relative_below_all, snake_case
from mmpkd.cohorts.rois import RunLengths
from mmpkd.cohorts.tables import ROI_COLUMNS

SETS = {"val": ("val_labels.csv", "valid.csv"), "test": ("test_labels.csv",)}  # the names that its table may have
IMAGE_FOLDERS = {"val": ("val", "valid"), "test": ("test",)}
VIEWS = ("frontal", "lateral")
IMAGE_PATH = (
    r"(?:^|/)(?P<patient>patient\d+)/(?P<study>study\d+)/(?P<name>view\d+_(?P<side>frontal|lateral))\.(?i:jpg)$"
)
# The findings that were outlined where they were present.
OUTLINED = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Lung Lesion",
    "Lung Opacity",
    "Pleural Effusion",
    "Pneumothorax",
    "Support Devices",
)
NAMES = {snake_case(label): label for label in CHEXPERT_LABELS} | {"airspace_opacity": "Lung Opacity"}
OUTLINE_COLUMNS = ["image_id", "label", "kind", "polygon", "rows", "columns", "fault"]
SIZE = "img_size"


class CheXlocalize(DataSet):
    """CheXlocalize below the cohort's root; its labels are CheXpert's."""

    RESTRICTED = True
    SOURCE = "CheXlocalize is at https://aimi.stanford.edu/datasets/chexlocalize (registration)"
    OPTIONS = {"sets": ["test"], "views": ["frontal"]}
    FOLDERS = ("chexpert", "outlines")
    SUFFIXES = (".jpg",)

    def needs(self) -> list[Need]:
        """Labels, images and outlines of each set that is taken."""
        wanted = []
        for name in self.choices("sets", tuple(SETS)):
            wanted.append(Need(self._first_there(SETS[name]), f"CheXpert labels, {name} set", self.SOURCE))
            if self.cohort.images:
                wanted.append(Need(self._first_there(IMAGE_FOLDERS[name]), f"images, {name} set", self.SOURCE))
            wanted.append(Need(self._outlines / f"gt_*_{name}.json", f"outlines, {name} set", self.SOURCE))
        return wanted

    @property
    def image_root(self) -> Path:
        """The folder of images and labels."""
        return self.folder("chexpert", self.root / "CheXpert")

    @property
    def declared(self) -> tuple[Path, ...]:
        """Also the folder of images and labels, which may be a link itself."""
        return (self.image_root, *super().declared)

    def list_images(self) -> pd.DataFrame:
        """The images of the sets and views that are taken, with their labels as text."""
        self.sets, views = self.choices("sets", tuple(SETS)), self.choices("views", VIEWS)
        images = pd.concat([self._listed_images(name) for name in self.sets], ignore_index=True)
        images = self.set_aside(images, images.duplicated("image_id"), "image_id", "second row of an image")
        return self.set_aside(images, ~images["side"].isin(views), "image_id", "view is not one of options.views")

    def image_folders(self) -> list[Path]:
        """A folder per published set."""
        return [self._first_there(IMAGE_FOLDERS[name]) for name in self.sets]

    def find_files(self, images: pd.DataFrame, files: Listing) -> pd.DataFrame:
        """Paths are those of the table."""
        return self.match(images, files.locate(images["place"]), files)

    def review(self, images: pd.DataFrame) -> pd.DataFrame:
        """Reads the labels, and the sizes that the outlines state; sets images with another label aside."""
        self.known = [label for label in self.labels if label in images]
        text = images[self.known].fillna("")  # a label that one set's table lacks is unknown there
        values = text.apply(pd.to_numeric, errors="coerce")
        wrong = (~values.isin([1, 0, -1]) & (text != "")).any(axis=1)
        images = images.assign(**values.where(values.isin([1, 0])))
        images = self.set_aside(images, wrong, "image_id", "label is not 1, 0, -1 or blank")
        masked = images[self.known].isna().to_numpy()
        self.notes["labels_masked_as_uncertain_or_blank"] = int(masked.sum())
        tables = [read_outlines(self._outlines, name, self.SOURCE) for name in self.sets]
        self.outlines = pd.concat(tables, ignore_index=True)
        sizes = self.outlines.dropna(subset=["rows", "columns"]).drop_duplicates("image_id").set_index("image_id")
        sides = {side: images["image_id"].map(sizes[side]).astype("Int32") for side in ("rows", "columns")}
        return images.assign(**sides)

    def label_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The labels were read with the images."""
        return images[["image_id", *self.known]]

    def roi_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The outlines of known labels, each an ROI; what is left out without being wrong is counted."""
        outlines = self.outlines
        nameless = outlines["label"] == ""
        outlines = self.set_aside(outlines, nameless, "image_id", "outline of a finding that is no CheXpert label")
        requested = outlines["label"].isin(self.known)
        rois = outlines[requested]
        orphans = ~rois["image_id"].isin(images["image_id"])
        rois = self.set_aside(rois, orphans, "image_id", "outline on an image that was left out")
        rois = self.set_aside(rois, rois["fault"] != "", "image_id", rois["fault"])
        judged = images[["image_id", *self.known]].melt("image_id", var_name="label", value_name="present")
        rois = rois.merge(judged, on=["image_id", "label"], how="left")
        denied = rois["present"] == 0
        rois = self.set_aside(rois, denied, "image_id", "outline of a finding that its image's label denies")
        rois = rois.drop_duplicates(["image_id", "label", "polygon"])
        number = rois.groupby("image_id").cumcount().add(1).astype(str)
        rois = rois.assign(roi_id=rois["image_id"] + "_" + number, mask_path="", x0=None, y0=None, x1=None, y1=None)
        positive = judged[(judged["present"] == 1) & judged["label"].isin(OUTLINED)]
        outlined = positive.merge(rois[["image_id", "label"]].drop_duplicates(), on=["image_id", "label"])
        self.notes["outlines_of_other_labels"] = int((~requested).sum())
        self.notes["positive_labels_without_outline"] = len(positive) - len(outlined)
        return rois[list(ROI_COLUMNS)]

    @property
    def _outlines(self) -> Path:
        return self.folder("outlines", self.root / "CheXlocalize")

    def _first_there(self, names: tuple[str, ...]) -> Path:
        """The first of `names` that is beside the images; the first of all where none is."""
        paths = [self.image_root / name for name in names]
        return next((path for path in map(existing, paths) if path.exists()), paths[0])

    def _listed_images(self, name: str) -> pd.DataFrame:
        """One row per image of a published set, with its labels as text, under CheXpert's names."""
        path = self._first_there(SETS[name])
        table = read_table(path, ["path"], self.SOURCE, optional=["ap/pa", *NAMES]).rename(columns=NAMES)
        relative, refused = relative_below_all(self.image_root, table["path"], self.declared)
        table = self.set_aside(table.assign(relative=relative), refused, "path", f"path in {path.name} is refused")
        parts = table["relative"].str.extract(IMAGE_PATH)
        table = self.set_aside(table, parts["name"].isna(), "path", f"path in {path.name} is not CheXpert's")
        parts = parts.loc[table.index]
        study = parts["patient"] + "_" + parts["study"]
        folder = self._first_there(IMAGE_FOLDERS[name]).name
        position = table.get("ap/pa", pd.Series("", index=table.index)).str.upper()
        return table.drop(columns=["path", "relative", "ap/pa"], errors="ignore").assign(
            image_id=study + "_" + parts["name"],
            patient_id=parts["patient"],
            study_id=study,
            side=parts["side"],
            split="test",
            place=f"{folder}/" + parts["patient"] + "/" + parts["study"] + "/" + parts["name"] + ".jpg",
            view=position.where(position.isin(["AP", "PA"]) & (parts["side"] == "frontal"), parts["side"]),
        )


def read_outlines(folder: Path, name: str, source: str) -> pd.DataFrame:
    """The outlines of a published set: image_id, label, kind (polygon, rle), polygon (JSON), rows, columns, fault.

    `label` is CheXpert's name, "" for a finding that it has none for. `fault` says why an outline is of no use, "" for
    a good one. rows and columns are those of the image, <NA> where the file does not say.

    Args:
        folder: of the outlines.
        name: of the published set, which begins the names of its files.
        source: where to get them, for the message.

    Raises:
        FileNotFoundError: if there is neither file; the message names `source`, where to get it.
        TableFileError: if a file cannot be read.
    """
    files = [existing(folder / f"gt_{kind}_{name}.json") for kind in ("annotations", "segmentations")]
    if not any(path.is_file() for path in files):
        raise FileNotFoundError(f"{folder}: neither {' nor '.join(path.name for path in files)}; {source}")
    contours, masks = (_load(path, source) for path in files)
    polygons = _table(row for image, findings in contours.items() for row in _polygons(image, findings))
    lengths = _table(row for image, findings in masks.items() for row in _masks(image, findings))
    outlined = pd.MultiIndex.from_frame(polygons.loc[polygons["fault"] == "", ["image_id", "label"]])
    needed = ~pd.MultiIndex.from_frame(lengths[["image_id", "label"]]).isin(outlined)
    return pd.concat([polygons, lengths[needed]], ignore_index=True)


def _table(rows: Iterable[tuple]) -> pd.DataFrame:
    kinds = {name: "Int32" if name in ("rows", "columns") else "str" for name in OUTLINE_COLUMNS}
    return pd.DataFrame(rows, columns=OUTLINE_COLUMNS).astype(kinds)


def _load(path: Path, source: str) -> dict[str, dict[str, Any]]:
    """A file's mapping of images to mappings; empty if there is no such file."""
    if not path.is_file():
        return {}
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise TableFileError(f"{path}: not a readable JSON file ({error}); download it again: {source}") from error
    if not isinstance(content, dict) or not all(isinstance(findings, dict) for findings in content.values()):
        raise TableFileError(f"{path}: not a file of CheXlocalize; {source}")
    return content


def _polygons(image: str, findings: dict[str, Any]) -> Iterator[tuple]:
    """The rows of an image's contours."""
    size = _size(findings.get(SIZE))
    for finding, contours in findings.items():
        if finding == SIZE:
            continue
        if not isinstance(contours, list):
            yield image, _label(finding), "polygon", "", *size, "outline that is no list of contours"
            continue
        for contour in contours:
            yield image, _label(finding), "polygon", json.dumps(contour), *size, _contour_fault(contour, *size)


def _label(finding: str) -> str:
    return NAMES.get(snake_case(finding), "")


def _size(size: Any) -> tuple[Any, Any]:
    """The rows and columns of an image, <NA> where the file states none that can be."""
    if isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size):
        return size[0], size[1]
    return pd.NA, pd.NA


def _contour_fault(contour: Any, rows: Any, columns: Any) -> str:
    try:
        points = np.array(contour, dtype=np.float64)
    except (TypeError, ValueError):
        return "outline that is no list of points"
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        return "outline that is no list of points"
    if len(points) < 3:
        return "outline of fewer than three points"
    low, high = points.min(axis=0), points.max(axis=0)
    if not pd.isna(rows) and ((high <= 0).any() or low[0] >= columns or low[1] >= rows):
        return "outline outside its image"
    return ""


def _masks(image: str, findings: dict[str, Any]) -> Iterator[tuple]:
    """The rows of an image's masks; an empty mask stands for no finding and gives none."""
    for finding, coco in findings.items():
        try:
            mask = RunLengths.from_coco(coco)
        except ValueError as error:
            yield image, _label(finding), "rle", "", pd.NA, pd.NA, f"outline: {error}"
            continue
        if mask.area:
            yield image, _label(finding), "rle", json.dumps(coco), mask.rows, mask.columns, ""


DATA_SET = CheXlocalize
