"""Broken regions of interest: each is drawn on an image of 40 x 20 pixels that is whole."""

import json

import numpy as np
import pandas as pd
from PIL import Image

from mmpkd.cohorts.tables import IMAGE_COLUMNS, ROI_COLUMNS, CohortTables
from mmpkd.config.imaging import Imaging
from mmpkd.imaging.geometry import Geometry
from mmpkd.imaging.shards import write_shard
from mmpkd.imaging.store import roi_masks
from tests.bad_input.catalogue import Outcome, accepted, hold, over, set_aside

ROWS, COLUMNS, SIZE = 40, 20, 16
BOW_TIE = [[0, 0], [20, 40], [20, 0], [0, 40]]  # two triangles that meet in the middle
TWICE = [[0, 0], [10, 0], [10, 40], [0, 40]] * 2
WHOLE = np.zeros((ROWS, COLUMNS), bool)
WHOLE[10:30, 5:15] = True


def box(x0, y0, x1, y1):
    return {"kind": "box", "x0": x0, "y0": y0, "x1": x1, "y1": y1}


def polygon(points):
    return {"kind": "polygon", "polygon": points if isinstance(points, str) else json.dumps(points)}


def mask(array):
    """A mask in a file; None: there is no file; bytes: what the file holds."""
    return {"kind": "mask", "mask_path": "mask.png", "array": array}


def run_lengths(size, counts):
    return {"kind": "rle", "polygon": json.dumps({"size": size, "counts": counts})}


def share(expected, tolerance=0.02):
    """The share of the image that the stored region covers."""
    content = Geometry.fit(ROWS, COLUMNS, SIZE, True).content
    return lambda masks: len(masks) == 1 and abs(masks[0][content].mean() - expected) <= tolerance


CASES = [
    set_aside("box outside", box(20, 0, 30, 10), "lies outside its image"),
    set_aside("box before the image", box(-9, -9, 0, 0), "lies outside its image"),
    set_aside("box of zero area", box(5, 5, 5, 9), "box is empty"),
    set_aside("box reversed", box(9, 9, 5, 5), "box is empty"),
    set_aside("box of no numbers", box(np.nan, 0, 5, 5), "box is empty or not finite"),
    set_aside("infinite box", box(-np.inf, 0, np.inf, 5), "box is empty or not finite"),
    set_aside("polygon outside", polygon([[30, 0], [35, 0], [35, 9]]), "lies outside its image"),
    set_aside("polygon of two points", polygon([[0, 0], [9, 9]]), "fewer than three points"),
    set_aside("polygon of one place", polygon([[5, 5]] * 4), "box is empty"),
    set_aside("polygon without points", polygon([]), "points must be"),
    set_aside("polygon of words", polygon([["a", "b"]] * 3), "could not convert string to float"),
    set_aside("polygon with NaN", polygon("[[0, 0], [9, NaN], [9, 9]]"), "not finite"),
    set_aside("polygon of three dimensions", polygon([[0, 0, 0]] * 3), "points must be an N x 2 array"),
    set_aside("polygon of ragged points", polygon([[0, 0], [1], [2, 2]]), "inhomogeneous"),
    set_aside("polygon that is no list", polygon({"x": 1}), "not 'dict'"),
    set_aside("polygon in broken JSON", polygon("[[0, 0], [9"), "delimiter"),
    set_aside("polygon nested too deeply", polygon("[" * 100_000), "nested too deeply"),
    set_aside("no mask", mask(None), "No such file"),
    set_aside("mask of zero bytes", mask(b""), "cannot identify image file"),
    set_aside("empty mask", mask(np.zeros((ROWS, COLUMNS), bool)), "constant image"),
    set_aside("mask of everything", mask(np.ones((ROWS, COLUMNS), bool)), "constant image"),
    set_aside("mask of another shape", mask(np.eye(40, dtype=bool)), "drawn on 40 x 40 pixels", "40 x 20"),
    set_aside("run lengths of another shape", run_lengths([20, 40], [100, 700]), "drawn on 20 x 40 pixels"),
    set_aside("run lengths that do not add up", run_lengths([40, 20], [1, 2]), "do not fit the size"),
    set_aside("negative run length", run_lengths([40, 20], [-1, 801]), "do not fit the size"),
    set_aside("run lengths without a size", {"kind": "rle", "polygon": '{"counts": [1]}'}, "without size or counts"),
    set_aside("run lengths of other characters", run_lengths([40, 20], "\u00e9"), "character"),
    set_aside("run lengths of absurd size", run_lengths([2_000_000, 1_000_000], [0, 2 * 10**12]), "400 million"),
    accepted("box that reaches out", box(-50, -50, 10, 20), share(0.25)),
    accepted("absurdly large box", box(-1e300, -1e300, 1e300, 1e300), share(1.0)),
    accepted("self-crossing polygon", polygon(BOW_TIE), share(0.5, 0.08)),
    accepted("polygon that reaches out", polygon([[-50, -50], [10, -50], [10, 90], [-50, 90]]), share(0.5)),
    accepted(
        "polygon drawn twice round",
        polygon([[0, 0], [10, 0], [10, 40], [0, 40]] * 2 + [[0, 0]]),
        lambda masks: len(masks) == 1,
    ),
    accepted("mask of another size", mask(np.kron(WHOLE, np.ones((2, 2), bool))), share(0.25)),
    accepted("unknown label", {**box(0, 0, 10, 20), "label": "Bones"}, share(0.25)),
]


def run(case, root):
    noise = np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS)).astype(np.uint8)
    Image.fromarray(noise).save(root / "image.png")
    roi = {"roi_id": "r", "image_id": "i", "label": "mass", "polygon": "", "mask_path": "", **case.breaks}
    array = roi.pop("array", None)
    if isinstance(array, bytes):
        (root / "mask.png").write_bytes(array)
    elif array is not None:
        Image.fromarray(array).save(root / "mask.png")
    images = dict.fromkeys(IMAGE_COLUMNS, "") | {"image_id": "i", "split": "test", "path": "image.png"}
    images = pd.DataFrame([images]).assign(rows=pd.NA, columns=pd.NA)
    rois = pd.DataFrame([roi]).reindex(columns=list(ROI_COLUMNS))
    tables = CohortTables(root, images, pd.DataFrame({"image_id": ["i"]}), rois=rois)
    write_shard(tables, Imaging(size=SIZE, window="minmax"), 0, 1, root / "out", rejected_limit=0.5)
    rejected = pd.read_csv(root / "out" / "rejected.csv", dtype=str)
    return Outcome(roi_masks([root / "out"])[1], tuple(rejected["reason"]))


@over(CASES)
def test_region(case, tmp_path):
    hold(case, lambda: run(case, tmp_path))
