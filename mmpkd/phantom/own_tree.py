"""A fabricated folder of one's own: small PNG files, and the tables that `mmpkd.cohorts.datasets.own` reads.

One image per patient. Dirt: a row without a file, and a study without a text.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from skimage.io import imsave

from mmpkd.config.cohorts import Phantom
from mmpkd.files import atomic, write_csv
from mmpkd.logs import progress
from mmpkd.phantom.chest import LABELS, MIMIC, Anatomy, draw_frontal, draw_study, truth_rows
from mmpkd.phantom.reports import write_report

WITHOUT_FILE, WITHOUT_TEXT = 5, 8  # indices of patients, in a tree that large
CORNERS = ("x0", "y0", "x1", "y1")


def write(phantom: Phantom, folder: Path) -> pd.DataFrame:
    """Writes the tree to `folder` and returns the truth: one row per image and label.

    Args:
        phantom: size and seed.
        folder: of the tree.
    """
    images, regions, truth = [], [], []
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    for index in progress(range(phantom.patients), "phantom own", unit="patient"):
        bodies, texts = np.random.default_rng([phantom.seed, index]).spawn(2)
        anatomy = Anatomy.draw(bodies, MIMIC)
        study = draw_study(bodies, MIMIC, anatomy)
        image, boxes = draw_frontal(bodies, MIMIC, anatomy, study, enlargement=phantom.enlargement(index))
        name, patient = f"film{index + 1:04d}", f"person{index + 1:04d}"
        if index != WITHOUT_FILE:
            with atomic(folder / "pictures" / f"{name}.png") as temporary:
                imsave(temporary, np.rint(255 * image).astype(np.uint8), check_contrast=False)
        report = write_report(texts, anatomy, study, False, phantom.label_noise)
        text = "" if index == WITHOUT_TEXT else report.text
        labels = {label: int(label in study.findings) for label in LABELS}
        row = {"path": f"pictures/{name}.png", "patient": patient, "view": study.view, "sex": anatomy.sex}
        images.append({**row, "age": anatomy.age, **labels, "report": text})
        regions += [
            {"image": name, "label": label, **dict(zip(CORNERS, box, strict=True))} for label, box in boxes.items()
        ]
        truth += truth_rows(name, patient, study, boxes)
    write_csv(pd.DataFrame(images), folder / "images.csv")
    write_csv(pd.DataFrame(regions, columns=["image", "label", *CORNERS]), folder / "rois.csv")
    return pd.DataFrame(truth)
