"""Regions of interest: boxes of a table, clipped to their images, and masks as run lengths.

Run lengths are in COCO's format, as pycocotools writes them: {"size": [rows, columns], "counts": ...}. The mask is read
column by column, from the top of the left one; the runs are of pixels outside and inside by turns, the first one
outside. `counts` lists them, or is a text: each run is written as a number of 5 bits a character, the lowest first,
character code 48 + 32 if more follow + the bits, the last of them with its sign; from the fourth run on the number is
the difference to the run before the last (github.com/cocodataset/cocoapi, common/maskApi.c).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.tables import ROI_COLUMNS

CORNERS = ["x0", "y0", "x1", "y1"]
MOST_PIXELS = 400_000_000  # of a mask, as of an image
BITS = 60  # of a run: more are no number of pixels, and as many as a text has would take minutes


def box_rois(boxes: pd.DataFrame, rejections: Rejections) -> pd.DataFrame:
    """ROI rows from boxes.

    A box is clipped to its image where rows and columns are known; one that is not a number or has no area left is set
    aside. A box that is stated twice for the same label of an image counts once. roi_id numbers the boxes of an image.

    Args:
        boxes: image_id, label, x0, y0, x1, y1 (text or numbers) and the image's rows and columns.
        rejections: takes what is set aside.
    """
    boxes = boxes.copy()
    boxes[CORNERS] = boxes[CORNERS].apply(pd.to_numeric, errors="coerce").astype("float64")
    boxes = rejections.split_off(
        boxes, boxes[CORNERS].isna().any(axis=1), "image_id", "box whose corners are not numbers"
    )
    for low, high, size in (("x0", "x1", "columns"), ("y0", "y1", "rows")):
        limit = boxes[size].astype("Float64").fillna(float("inf")).astype("float64")
        for corner in (low, high):
            boxes[corner] = boxes[corner].clip(lower=0).clip(upper=limit)
    flat = (boxes["x1"] <= boxes["x0"]) | (boxes["y1"] <= boxes["y0"])
    boxes = rejections.split_off(boxes, flat, "image_id", "box without area inside its image")
    boxes = boxes.drop_duplicates(["image_id", "label", *CORNERS])
    number = boxes.groupby("image_id").cumcount().add(1).astype(str)
    rois = boxes.assign(roi_id=boxes["image_id"] + "_" + number, kind="box", polygon="", mask_path="")
    return rois[list(ROI_COLUMNS)]


@dataclass(frozen=True)
class RunLengths:
    """A mask of rows x columns pixels; `runs` alternate between outside and inside."""

    rows: int
    columns: int
    runs: np.ndarray

    @classmethod
    def from_coco(cls, mask: Mapping[str, Any]) -> "RunLengths":
        """Reads the mapping that pycocotools writes.

        Raises:
            ValueError: it is none, or does not fit its size.
        """
        try:
            rows, columns = (int(number) for number in mask["size"])
            counts = mask["counts"]
            runs = np.array(_decode(counts) if isinstance(counts, str) else counts, dtype=np.int64)
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"run lengths without size or counts ({type(error).__name__})") from error
        if rows * columns > MOST_PIXELS:
            raise ValueError(f"run lengths of more than {MOST_PIXELS // 1_000_000} million pixels")
        fits = rows > 0 < columns and runs.ndim == 1 and ((runs >= 0) & (runs <= rows * columns)).all()
        if not fits or runs.sum() != rows * columns:  # the sum of longer runs would wrap round
            raise ValueError("run lengths do not fit the size of their mask")
        return cls(rows, columns, runs)

    @classmethod
    def from_mask(cls, mask: np.ndarray) -> "RunLengths":
        """Measures a mask, bool rows x columns."""
        pixels = np.concatenate([[False], mask.T.ravel()])  # what comes first counts as outside
        changes = np.flatnonzero(np.diff(pixels))
        rows, columns = mask.shape
        return cls(rows, columns, np.diff([0, *changes, mask.size]))

    def to_coco(self) -> dict[str, list[int]]:
        """The mapping that `from_coco` reads, its counts as a list."""
        return {"size": [self.rows, self.columns], "counts": self.runs.tolist()}

    @property
    def area(self) -> int:
        """The number of pixels inside."""
        return int(self.runs[1::2].sum())

    def mask(self) -> np.ndarray:
        """The mask, bool rows x columns."""
        inside = np.arange(len(self.runs)) % 2 == 1
        return np.repeat(inside, self.runs).reshape(self.columns, self.rows).T


def _decode(text: str) -> list[int]:
    """The runs of a compressed text. Raises ValueError where it ends within a number or holds other characters."""
    runs: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError("run lengths hold a character that is none of theirs")
        number |= (bits & 31) << shift
        shift += 5
        if shift > BITS:
            raise ValueError("run lengths hold a number that is none of theirs")
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = shift = 0
    if shift:
        raise ValueError("run lengths end within a number")
    return runs
