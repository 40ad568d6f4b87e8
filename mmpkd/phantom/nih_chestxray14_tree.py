"""A fabricated NIH ChestX-ray14: PNG files of 1024 x 1024 pixels, mined labels, and boxes on images with a finding.

Dirt as in the real tables: a header of the boxes with more columns than the rows, and a row without a file. `large`
changes nothing: every image has the real dimensions.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from skimage.io import imsave
from skimage.transform import resize

from mmpkd.config.cohorts import Phantom
from mmpkd.files import atomic, write_text
from mmpkd.logs import progress
from mmpkd.phantom.canvas import Box
from mmpkd.phantom.chest import VINDR, Anatomy, draw_frontal, draw_study, truth_rows

SIDE = 1024
NAMES = {"Pleural Effusion": "Effusion"}  # where NIH's name is another one than CheXpert's
ENTRY_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
MISSING_FILE = 5  # index of a patient whose image is not there, in a tree that large


def write(phantom: Phantom, folder: Path) -> pd.DataFrame:
    """Writes the tree to `folder` and returns the truth: one row per image and label.

    Args:
        phantom: size and seed.
        folder: of the tree.
    """
    entries, rows, truth = [ENTRY_HEADER], [BOX_HEADER], []
    place = folder / "images_001" / "images"
    place.mkdir(parents=True, exist_ok=True)
    for index in progress(range(phantom.patients), "phantom ChestX-ray14", unit="patient"):
        rng = np.random.default_rng([phantom.seed, index])
        anatomy = Anatomy.draw(rng, VINDR)
        study = draw_study(rng, VINDR, anatomy)
        image, drawn = draw_frontal(rng, VINDR, anatomy, study)
        height, width = image.shape
        boxes = {label: _scaled(box, SIDE / width, SIDE / height) for label, box in drawn.items()}
        image_id = f"{index + 1:08d}_000"
        if index != MISSING_FILE:
            with atomic(place / f"{image_id}.png") as temporary:
                imsave(temporary, _pixels(image), check_contrast=False)
        findings = "|".join(NAMES.get(label, label) for label in study.findings) or "No Finding"
        entries.append(
            f"{image_id}.png,{findings},0,{index + 1},{anatomy.age},{anatomy.sex},{study.view},2682,2749,0.143,0.143"
        )
        for label, (x0, y0, x1, y1) in boxes.items():
            edges = ",".join(f"{value:.6f}" for value in (x0, y0, x1 - x0, y1 - y0))
            rows.append(f"{image_id}.png,{NAMES.get(label, label)},{edges}")
        truth += truth_rows(image_id, f"{index + 1:08d}", study, boxes)
    write_text("\n".join([*entries, ""]), folder / "Data_Entry_2017_v2020.csv")
    write_text("\n".join([*rows, ""]), folder / "BBox_List_2017.csv")
    return pd.DataFrame(truth)


def _scaled(box: Box, across: float, down: float) -> Box:
    x0, y0, x1, y1 = box
    return x0 * across, y0 * down, x1 * across, y1 * down


def _pixels(image: np.ndarray) -> np.ndarray:
    """uint8 of SIDE x SIDE."""
    return np.rint(255 * np.clip(resize(image, (SIDE, SIDE), order=1), 0, 1)).astype(np.uint8)
