"""The radiologists' outlines of CheXlocalize: contours, or masks as run lengths where there is no contour.

gt_annotations_<set>.json   image -> img_size: [rows, columns]; finding -> [contour, ...]; contour: [[x, y], ...]
gt_segmentations_<set>.json image -> finding -> {size: [rows, columns], counts}: see `mmpkd.cohorts.rois`

The masks were drawn from the contours, all of one finding in one mask, and stand there for all ten findings of each
image, empty ones included. So the contours are taken, each as an ROI of its own, and the mask where they are missing.
Lung Opacity is called `Airspace Opacity` in both.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmpkd.cohorts.label_policy import CHEXPERT_LABELS
from mmpkd.cohorts.paths import TableFileError, existing, read_json, snake_case
from mmpkd.cohorts.rois import RunLengths

NAMES = {snake_case(label): label for label in CHEXPERT_LABELS} | {"airspace_opacity": "Lung Opacity"}
COLUMNS = ["image_id", "label", "kind", "polygon", "rows", "columns", "fault"]
SIZE = "img_size"


def read_outlines(folder: Path, name: str, source: str) -> pd.DataFrame:
    """The outlines of a published set: image_id, label, kind (polygon, rle), polygon (JSON), rows, columns, fault.

    `label` is CheXpert's name, "" for a finding that it has none for. `fault` says why an outline is of no use, "" for
    a good one. rows and columns are those of the image, <NA> where the file does not tell.

    Raises:
        FileNotFoundError: if there is neither file; the message tells `source`, where they are to be had.
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
    kinds = {name: "Int32" if name in ("rows", "columns") else "str" for name in COLUMNS}
    return pd.DataFrame(rows, columns=COLUMNS).astype(kinds)


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
    """The rows and columns of an image, <NA> where the file tells none that can be."""
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
