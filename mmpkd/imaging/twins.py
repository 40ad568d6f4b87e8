"""The twins of a phantom's scored images, as tables of a cohort whose regions of interest are the markers."""

from pathlib import Path

import pandas as pd

from mmpkd.cohorts.tables import ROI_COLUMNS, CohortTables

MARKER = "marker"  # the label of these regions
EDGES = {"x0": "marker_x0", "y0": "marker_y0", "x1": "marker_x1", "y1": "marker_y1"}


def twin_tables(tables: CohortTables, truth: pd.DataFrame, folder: Path) -> CohortTables:
    """Test images that have a twin, with the twin's file, and the box of the marker in each.

    Args:
        tables: of the cohort.
        truth: what was drawn in it, see `mmpkd.phantom.write.write_tree`.
        folder: of the twins' files.
    """
    drawn = truth[truth["twin"] != ""].drop_duplicates("image_id")
    images = tables.images[tables.images["split"] == "test"].drop(columns="path")
    images = images.merge(drawn[["image_id", "twin"]].rename(columns={"twin": "path"}), on="image_id")
    boxes = images[["image_id"]].merge(drawn[["image_id", *EDGES.values()]], on="image_id")
    boxes = boxes.rename(columns={name: edge for edge, name in EDGES.items()})
    boxes = boxes.assign(roi_id=boxes["image_id"], label=MARKER, kind="box", polygon="", mask_path="")
    labels = images[["image_id"]].merge(tables.labels, on="image_id")
    return CohortTables(folder, images, labels, boxes[list(ROI_COLUMNS)], key_name=tables.key_name)
