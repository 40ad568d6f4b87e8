"""MS-CXR: radiologists' boxes on images of MIMIC-CXR, from its CSV file or from its COCO JSON file.

The JSON file is the original: `images` (id, file_name, path, width, height), `categories` (id, name), `annotations`
(image_id, category_id, label_text, bbox: x, y, width, height); the stem of file_name is the dicom_id. The CSV file was
made from it by a script of the data set, which drops the fractions of a bbox and groups the rows by image. Both are
read to the same rows here. Of several files in a folder the last version by name counts, and of one version the CSV.
"""

from pathlib import Path, PurePosixPath

import pandas as pd

from mmpkd.cohorts.label_policy import CHEXPERT_LABELS
from mmpkd.cohorts.paths import TableFileError, read_json, read_table, require_folder, snake_case, tables_like
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.rois import box_rois
from mmpkd.redaction import redact

PATTERN = "MS_CXR_Local_Alignment_v*"
SOURCE = "MS-CXR is at https://physionet.org/content/ms-cxr/ (credentialed)"
SIZES = ["x", "y", "w", "h", "image_width", "image_height"]


def read_boxes(folder: Path) -> pd.DataFrame:
    """The rows of MS-CXR in `folder`, as text: image_id, category_name, x, y, w, h, image_width and image_height.

    Raises:
        FileNotFoundError: if there is no such folder, or no file of MS-CXR in it.
        TableFileError: if the file cannot be read.
    """
    files = tables_like(require_folder(folder, SOURCE), PATTERN)
    if not files:
        raise FileNotFoundError(f"{folder}: no {PATTERN}.csv or .json; {SOURCE}")
    path = max(files, key=lambda file: (file.stem, file.suffix.lower() == ".csv"))
    if path.suffix.lower() == ".json":
        return _from_coco(path)
    table = read_table(path, ["dicom_id", "category_name", *SIZES], SOURCE)
    return table.rename(columns={"dicom_id": "image_id"})


def no_boxes() -> pd.DataFrame:
    """What `read_boxes` returns for a file without rows."""
    return pd.DataFrame(columns=["image_id", "category_name", *SIZES], dtype="str")


def _from_coco(path: Path) -> pd.DataFrame:
    """The rows of the JSON file, in the order in which the published script writes them."""
    try:
        release = read_json(path)
        images = {image["id"]: image for image in release["images"]}
        names = {category["id"]: category["name"] for category in release["categories"]}
        rows = [_row(annotation, images, names) for annotation in release["annotations"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        fault = redact(f"{type(error).__name__}: {error}")
        raise TableFileError(f"{path}: not the COCO file of MS-CXR ({fault}); download it again: {SOURCE}") from None
    table = pd.DataFrame(rows, columns=["image_id", "category_name", *SIZES]).astype("str")
    by_image = pd.factorize(table["image_id"])[0].argsort(kind="stable")
    return table.iloc[by_image].reset_index(drop=True)


def _row(annotation: dict, images: dict, names: dict) -> tuple:
    image = images[annotation["image_id"]]
    box = [int(number) for number in annotation["bbox"]]  # as the published script does
    if len(box) != 4:
        raise ValueError(f"a bbox of {len(box)} numbers")
    identifier = PurePosixPath(image["file_name"]).stem
    return (identifier, names[annotation["category_id"]], *box, image["width"], image["height"])


def place_boxes(
    boxes: pd.DataFrame, images: pd.DataFrame, labels: list[str], rejections: Rejections
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The ROI of boxes.

    Args:
        boxes: as MS-CXR lists them.
        images: of the cohort, with rows and columns.
        labels: those that are wanted.
        rejections: takes what is set aside.

    Returns:
        ROI rows of `boxes` of `labels` on `images`, and the count of boxes of other labels.
    """
    names = {snake_case(label): label for label in CHEXPERT_LABELS}
    boxes = boxes.assign(label=boxes["category_name"].map(lambda text: names.get(snake_case(text), "")))
    boxes = rejections.split_off(boxes, boxes["label"] == "", "image_id", "box of a category that is no CheXpert label")
    requested = boxes["label"].isin(labels)
    placed = boxes[requested].merge(images[["image_id", "rows", "columns"]], on="image_id", how="left", indicator=True)
    placed = rejections.split_off(placed, placed["_merge"] != "both", "image_id", "box on an image that was left out")
    numbers = placed[SIZES].apply(pd.to_numeric, errors="coerce")
    other_size = (numbers["image_width"] != placed["columns"]) | (numbers["image_height"] != placed["rows"])
    other_size = other_size.fillna(False).astype(bool)
    placed = placed.assign(
        x0=numbers["x"], y0=numbers["y"], x1=numbers["x"] + numbers["w"], y1=numbers["y"] + numbers["h"]
    )
    placed = rejections.split_off(placed, other_size, "image_id", "box was drawn on an image of another size")
    return box_rois(placed, rejections), {"boxes_of_other_labels": int((~requested).sum())}
