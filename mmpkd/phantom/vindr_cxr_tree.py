"""A fabricated VinDr-CXR download: another hospital's frontal radiographs with radiologists' boxes.

One image a patient, no patient identifier, a fifth of the images for training. Three radiologists read each training
image, each with boxes of their own; the test set holds one consensus.
"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from mmpkd.config.cohorts import Phantom
from mmpkd.files import write_csv
from mmpkd.logs import progress
from mmpkd.phantom.canvas import Box
from mmpkd.phantom.chest import LABELS, VINDR, Anatomy, Detector, draw_frontal, draw_study, truth_rows
from mmpkd.phantom.habit import Marker, Rendering, stamp_letter
from mmpkd.phantom.write import stable_uid, write_dicom

LOCAL_LABELS = (
    "Aortic enlargement",
    "Atelectasis",
    "Calcification",
    "Cardiomegaly",
    "Clavicle fracture",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Enlarged PA",
    "ILD",
    "Infiltration",
    "Lung Opacity",
    "Lung cavity",
    "Lung cyst",
    "Mediastinal shift",
    "Nodule/Mass",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary fibrosis",
    "Rib fracture",
    "Other lesion",
)
GLOBAL_LABELS = ("COPD", "Lung tumor", "Pneumonia", "Tuberculosis")
OTHER = {"train": "Other diseases", "test": "Other disease"}  # the two files differ in this name
NO_FINDING = "No finding"
SPELLING = {label: label for label in LABELS} | {"Pleural Effusion": "Pleural effusion"}
RADIOLOGISTS = tuple(f"R{number}" for number in range(1, 18))
BOX_COLUMNS = ["class_name", "x_min", "y_min", "x_max", "y_max"]
SYNTAXES = (["explicit", "jpegls", "jpeg2000"], [0.85, 0.08, 0.07])


def write(phantom: Phantom, folder: Path, twins: Path | None) -> pd.DataFrame:
    """Writes the tree.

    Args:
        phantom: how many patients, and how they are drawn.
        folder: of the tree.
        twins: folder of the twins of test images, if they are wanted.

    Returns:
        The truth, see `write_tree`.
    """
    annotations: dict[str, list[dict]] = {"train": [], "test": []}
    image_labels: dict[str, list[dict]] = {"train": [], "test": []}
    truth = []
    for split in annotations:
        (folder / split).mkdir(parents=True, exist_ok=True)
    for index in progress(range(phantom.patients), "phantom VinDr-CXR", unit="patient"):
        bodies, readers, habits = np.random.default_rng([phantom.seed, index]).spawn(3)
        split = "train" if index % 5 == 1 else "test"
        anatomy = Anatomy.draw(bodies, VINDR)
        study = draw_study(bodies, VINDR, anatomy)
        image, boxes = draw_frontal(bodies, VINDR, anatomy, study, phantom.enlargement(index))
        rendering = Rendering.of(image, Marker.draw(habits, phantom.habit), stamp_letter)
        image_id = hashlib.md5(f"{phantom.seed}/{index}".encode()).hexdigest()
        pictures = {folder / split / f"{image_id}.dicom": rendering.image}
        if twins is not None and split == "test":
            pictures[twins / f"{image_id}.dcm"] = rendering.twin
        _write_images(bodies, phantom, pictures, image_id, anatomy)
        marked = rendering.truth(f"{image_id}.dcm" if len(pictures) > 1 else "")
        truth += [row | marked for row in truth_rows(image_id, image_id, study, boxes)]  # VinDr-CXR names no patient
        if split == "test":
            rows, labels = _read(readers, boxes, image.shape, 0.0)
            annotations[split] += [{"image_id": image_id} | row for row in rows]
            image_labels[split].append({"image_id": image_id} | dict.fromkeys(labels, 1))
            continue
        for number in sorted(readers.choice(len(RADIOLOGISTS), 3, replace=False)):
            rows, labels = _read(readers, boxes, image.shape, phantom.label_noise)
            keys = {"image_id": image_id, "rad_id": RADIOLOGISTS[number]}
            annotations[split] += [keys | row for row in rows]
            image_labels[split].append(keys | dict.fromkeys(labels, 1))
    _write_tables(annotations, image_labels, folder / "annotations")
    return pd.DataFrame(truth)


def _read(
    rng: np.random.Generator, boxes: dict[str, Box], shape: tuple[int, int], noise: float
) -> tuple[list[dict], list[str]]:
    """One reading: rows of boxes, each edge up to 4 % of its side off, and the labels. Noise: small ones are missed."""
    rows = []
    for label, (x0, y0, x1, y1) in boxes.items():
        area = (x1 - x0) * (y1 - y0) / (shape[0] * shape[1])
        offsets = rng.uniform(-0.04, 0.04, 4) * [x1 - x0, y1 - y0, x1 - x0, y1 - y0]
        if rng.random() < noise * max(0.0, 0.6 - 20 * area):
            continue
        edges = np.clip(np.add((x0, y0, x1, y1), offsets), 0, [shape[1], shape[0]] * 2).round(3)
        rows.append(dict(zip(BOX_COLUMNS, (SPELLING[label], *edges.tolist()), strict=True)))
    if not rows:
        return [dict.fromkeys(BOX_COLUMNS, np.nan) | {"class_name": NO_FINDING}], [NO_FINDING]
    return rows, [row["class_name"] for row in rows]


def _write_images(
    rng: np.random.Generator, phantom: Phantom, pictures: dict[Path, np.ndarray], image_id: str, anatomy: Anatomy
) -> None:
    """Writes an image and its twin in the same way."""
    detector = Detector.draw(rng)
    elements = {
        "SOPInstanceUID": stable_uid("image", phantom.seed, image_id),
        "StudyInstanceUID": stable_uid("study", phantom.seed, image_id),
        "SeriesInstanceUID": stable_uid("series", phantom.seed, image_id),
        "PatientSex": anatomy.sex,
        "PatientAge": f"{anatomy.age:03d}Y",
        "WindowCenter": 2 ** (detector.bits - 1),
        "WindowWidth": 2**detector.bits,
    }
    syntax = str(rng.choice(SYNTAXES[0], p=SYNTAXES[1]))
    for path, image in pictures.items():
        write_dicom(
            path,
            detector.digitise(image),
            modality="DX",
            photometric=detector.photometric,
            bits_stored=detector.bits,
            transfer_syntax=syntax,
            elements=elements,
        )


def _write_tables(annotations: dict[str, list[dict]], image_labels: dict[str, list[dict]], folder: Path) -> None:
    for split in annotations:
        keys = ["image_id", "rad_id"] if split == "train" else ["image_id"]
        boxes = pd.DataFrame(annotations[split], columns=keys + BOX_COLUMNS)
        names = [*LOCAL_LABELS, *GLOBAL_LABELS, OTHER[split], NO_FINDING]
        labels = pd.DataFrame(image_labels[split], columns=keys + names)
        labels[names] = labels[names].fillna(0).astype(int)
        write_csv(boxes, folder / f"annotations_{split}.csv")
        write_csv(labels, folder / f"image_labels_{split}.csv")
