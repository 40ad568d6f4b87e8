"""A fabricated VinDr-Mammo: another hospital's full-field digital mammograms, four views per study.

Findings are marked by boxes in `finding_annotations.csv` if they are at least probably benign (BI-RADS 3), as in the
real data set, whose pathology is not known. Four studies in five have a finding here, far more than in screening, and
four in five are in the official test set, so that a small tree has enough regions of interest.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmpkd.config.cohorts import Phantom
from mmpkd.files import write_csv
from mmpkd.logs import progress
from mmpkd.phantom import canvas, mammogram
from mmpkd.phantom.habit import Marker, habit_stream
from mmpkd.phantom.lesions import Lesion, draw_lesion
from mmpkd.phantom.mammogram import DIGITAL, Breast, Stored
from mmpkd.phantom.write import stable_uid, write_dicom

STUDIES_WITH_FINDINGS = 0.8
BOTH_BREASTS = 0.15
MORE_FINDINGS = [0.85, 0.15]
TEST_SHARE = 0.8
KIND_SHARES = {"mass": 0.46, "calcification": 0.40, "other": 0.14}
LEAST_RISK = 0.1  # more clearly benign findings are BI-RADS 2 and not marked, so not drawn
# form: category of the finding; every other form of a mass is a Mass
OTHER_CATEGORIES = {
    "ARCHITECTURAL_DISTORTION": "Architectural Distortion",
    "FOCAL_ASYMMETRIC_DENSITY": "Focal Asymmetry",
    "ASYMMETRIC_BREAST_TISSUE": "Asymmetry",
    "LYMPH_NODE": "Suspicious Lymph Node",
}
LABELS = {"mass": "Mass", "calcification": "Suspicious Calcification"}
IMAGE_COLUMNS = ["study_id", "series_id", "image_id", "laterality", "view_position", "height", "width"]
BREAST_COLUMNS = [*IMAGE_COLUMNS, "breast_birads", "breast_density", "split"]
FINDING_COLUMNS = [
    *(*IMAGE_COLUMNS, "breast_birads", "breast_density", "finding_categories", "finding_birads"),
    *("xmin", "ymin", "xmax", "ymax", "split"),
]
VENDORS = [("SIEMENS", "Mammomat Inspiration"), ("Planmed", "Planmed Nuance"), ("IMS s.r.l.", "Giotto Image 3DL")]


def write(phantom: Phantom, folder: Path, twins: Path | None) -> pd.DataFrame:
    """Writes the tree; its labels are mass and calcification.

    Args:
        phantom: how many patients, and how they are drawn.
        folder: of the tree.
        twins: folder of the twins of test images, if they are wanted.

    Returns:
        The truth, see `write_tree`.
    """
    breasts, findings, metadata, truth = [], [], [], []
    for index in progress(range(phantom.patients), "phantom vindr_mammo", unit="studies"):
        rng, habits = np.random.default_rng([phantom.seed, index]), habit_stream(phantom.seed, index)
        study = {"study_id": _identifier(rng), "series_id": _identifier(rng)}
        study["split"] = "test" if rng.random() < TEST_SHARE else "training"
        place = folder / "images" / study["study_id"]
        place.mkdir(parents=True, exist_ok=True)
        vendor = VENDORS[rng.integers(len(VENDORS))]
        for side, breast in _breasts(rng, phantom.label_noise).items():
            for view in ("CC", "MLO"):
                image = mammogram.draw_mammogram(rng, breast, side, view, DIGITAL, phantom.enlargement(index))
                rendering = mammogram.render(image, side, Marker.draw(habits, phantom.habit))
                stored, twin = mammogram.encode(rng, rendering.image, rendering.twin)
                row = study | {"image_id": _identifier(rng), "laterality": side, "view_position": view}
                row["height"], row["width"] = stored.pixels.shape
                row["breast_birads"] = f"BI-RADS {max((_birads(lesion) for lesion in breast.lesions), default=1)}"
                row["breast_density"] = f"DENSITY {'ABCD'[breast.density - 1]}"
                place_of_twin = twins if study["split"] == "test" else None
                pictures = {place / f"{row['image_id']}.dicom": stored}
                pictures |= {place_of_twin / f"{row['image_id']}.dcm": twin} if place_of_twin else {}
                metadata.append(_write_images(rng, pictures, row, vendor))
                breasts.append(row)
                findings += _findings(row, breast.lesions, image.masks)
                marked = rendering.truth(f"{row['image_id']}.dcm" if place_of_twin else "")
                known = mammogram.truth_rows(row["image_id"], row["study_id"], _shown(breast.lesions, image.masks))
                truth += [entry | marked for entry in known]
    write_csv(pd.DataFrame(breasts, columns=BREAST_COLUMNS), folder / "breast-level_annotations.csv")
    write_csv(pd.DataFrame(findings, columns=FINDING_COLUMNS), folder / "finding_annotations.csv")
    write_csv(pd.DataFrame(metadata), folder / "metadata.csv")
    return pd.DataFrame(truth)


def category(lesion: Lesion) -> str:
    """What VinDr-Mammo calls a lesion."""
    return OTHER_CATEGORIES.get(lesion.form, LABELS[lesion.kind])


def _breasts(rng: np.random.Generator, label_noise: float) -> dict[str, Breast]:
    """Both breasts of a study; mostly one of them has findings."""
    density = mammogram.draw_density(rng)
    affected = [str(rng.choice(["L", "R"]))] if rng.random() < STUDIES_WITH_FINDINGS else []
    if affected and rng.random() < BOTH_BREASTS:
        affected = ["L", "R"]
    breasts = {}
    for side in ("L", "R"):
        count = 1 + rng.choice(len(MORE_FINDINGS), p=MORE_FINDINGS) if side in affected else 0
        lesions = [_finding(rng, density, label_noise) for _ in range(count)]
        breasts[side] = mammogram.draw_breast(rng, lesions, density)
    return breasts


def _finding(rng: np.random.Generator, density: int, label_noise: float) -> Lesion:
    """A lesion that VinDr-Mammo would mark."""
    kind = str(rng.choice(list(KIND_SHARES), p=list(KIND_SHARES.values())))
    if kind == "other":
        return draw_lesion(rng, "mass", density, label_noise, form=str(rng.choice(list(OTHER_CATEGORIES))))
    while True:
        lesion = draw_lesion(rng, "mass" if kind == "mass" else "calcification", density, label_noise)
        if lesion.risk >= LEAST_RISK and lesion.form not in OTHER_CATEGORIES:
            return lesion


def _birads(lesion: Lesion) -> int:
    """BI-RADS 3 to 5 by the risk of malignancy."""
    return 3 + int(lesion.risk > 0.3) + int(lesion.risk > 0.85)


def _write_images(
    rng: np.random.Generator, pictures: dict[Path, Stored], row: dict[str, Any], vendor: tuple[str, str]
) -> dict[str, Any]:
    """Writes an image and its twin; returns the row of metadata.csv, where a window is the text of a list."""
    stored = next(iter(pictures.values()))  # bits and polarity of both
    top = 1 << stored.bits
    elements = {
        "SOPInstanceUID": stable_uid(row["image_id"]),
        "StudyInstanceUID": stable_uid(row["study_id"]),
        "SeriesInstanceUID": stable_uid(row["series_id"]),
        "PatientID": "",
        "Manufacturer": vendor[0],
        "ManufacturerModelName": vendor[1],
        "ImageLaterality": row["laterality"],
        "ViewPosition": row["view_position"],
        "WindowCenter": top // 2,
        "WindowWidth": top,
        "PresentationLUTShape": "INVERSE" if stored.photometric == "MONOCHROME1" else "IDENTITY",
    }
    syntax = mammogram.draw_transfer_syntax(rng)
    for path, picture in pictures.items():
        write_dicom(
            path,
            picture.pixels,
            modality="MG",
            photometric=picture.photometric,
            bits_stored=picture.bits,
            transfer_syntax=syntax,
            elements=elements,
        )
    return {
        "Series Instance UID": row["series_id"],
        "SOP Instance UID": row["image_id"],
        "Manufacturer": vendor[0],
        "Manufacturer's Model Name": vendor[1],
        "Photometric Interpretation": stored.photometric,
        "Bits Stored": stored.bits,
        "View Position": row["view_position"],
        "Image Laterality": row["laterality"],
        "Window Center": f"[{top // 2}]",
        "Window Width": f"[{top}]",
    }


def _findings(row: dict[str, Any], lesions: tuple[Lesion, ...], masks: tuple[np.ndarray, ...]) -> list[dict[str, Any]]:
    """The image's rows of finding_annotations.csv: one a finding, or one that says that there is none."""
    rows = []
    for lesion, mask in zip(lesions, masks, strict=True):
        box = dict(zip(("xmin", "ymin", "xmax", "ymax"), canvas.bounds(mask), strict=True))
        marks = {"finding_categories": str([category(lesion)]), "finding_birads": f"BI-RADS {_birads(lesion)}"}
        rows.append(row | marks | box)
    return rows or [row | {"finding_categories": "['No Finding']"}]


def _shown(lesions: tuple[Lesion, ...], masks: tuple[np.ndarray, ...]) -> dict[str, list[tuple[float, np.ndarray]]]:
    """The severities (contrasts) and masks of each label."""
    pairs = list(zip(lesions, masks, strict=True))
    return {
        label: [(lesion.contrast, mask) for lesion, mask in pairs if category(lesion) == name]
        for label, name in LABELS.items()
    }


def _identifier(rng: np.random.Generator) -> str:
    """32 hexadecimal digits."""
    return rng.bytes(16).hex()
