"""Boxes of a table, clipped to their images."""

import pandas as pd

from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.tables import ROI_COLUMNS

CORNERS = ["x0", "y0", "x1", "y1"]


def box_rois(boxes: pd.DataFrame, rejections: Rejections) -> pd.DataFrame:
    """ROI rows from boxes with image_id, label, x0, y0, x1, y1 (text or numbers) and the image's rows and columns.

    A box is clipped to its image where rows and columns are known; one that is not a number or has no area left is set
    aside. A box that is stated twice for the same label of an image counts once. roi_id numbers the boxes of an image.
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
