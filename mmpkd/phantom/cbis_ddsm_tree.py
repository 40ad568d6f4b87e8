"""A fabricated CBIS-DDSM: the four case-description CSVs and the folders that the NBIA downloader makes.

The dirt of the real download is kept: the density column has two spellings, path cells hold line breaks and name files
that are not on disk (only their first folder is), crop and mask lie in either order or in series of their own, a few
masks differ from their mammogram by a pixel or two, patients stand in the mass and in the calcification files (then
at times in both the training and the test set, and with one mammogram under two names), values are missing.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mmpkd.config.cohorts import Habit, Phantom
from mmpkd.files import atomic
from mmpkd.logs import progress
from mmpkd.phantom import canvas, mammogram
from mmpkd.phantom.habit import Marker, habit_stream
from mmpkd.phantom.lesions import BENIGN_TYPES, Kind, Lesion, draw_lesion
from mmpkd.phantom.mammogram import Breast, Stored
from mmpkd.phantom.write import stable_uid, write_dicom

IMAGE_FOLDER = "CBIS-DDSM"
MASS_COLUMNS = [
    *("patient_id", "breast_density", "left or right breast", "image view", "abnormality id", "abnormality type"),
    *("mass shape", "mass margins", "assessment", "pathology", "subtlety"),
    *("image file path", "cropped image file path", "ROI mask file path"),
]
CALC_NAMES = {"breast_density": "breast density", "mass shape": "calc type", "mass margins": "calc distribution"}
COLUMNS = {"mass": MASS_COLUMNS, "calcification": [CALC_NAMES.get(name, name) for name in MASS_COLUMNS]}
# the days on which NBIA received the mammograms and their ROI, which name the folders
DATES: dict[tuple[Kind, str], tuple[str, str]] = {
    ("mass", "Training"): ("07-20-2016", "07-21-2016"),
    ("mass", "Test"): ("10-04-2016", "10-04-2016"),
    ("calcification", "Training"): ("08-07-2016", "09-06-2017"),
    ("calcification", "Test"): ("08-29-2017", "08-29-2017"),
}
UID_ROOT = "1.3.6.1.4.1.9590.100.1.2"
MAMMOGRAM, CROP, MASK = "full mammogram images", "cropped images", "ROI mask images"
KINDS: list[list[Kind]] = [["mass"], ["calcification"], ["mass", "calcification"]]
KIND_SHARES = [0.46, 0.48, 0.06]
MORE_LESIONS = [0.86, 0.10, 0.04]  # 0, 1 or 2 lesions more than one a kind
TRAINING_SHARE = 0.8
TWO_VIEWS = 0.9
OTHER_BREAST = 0.06
MASK_FIRST = {"mass": 0.4, "calcification": 0.02}  # share of ROI folders in which 1-1.dcm is the mask
OWN_SERIES = 0.04  # share of ROI whose crop and mask have a series each
SWAPPED_CELLS = 0.02
ODD_MASKS = 0.02  # masks that are a pixel or two larger or smaller than their mammogram
MISSING_FORM, MISSING_PATTERN = 0.005, 0.02
MISSING_BENIGN_DISTRIBUTION = 0.5  # of calcifications of typically benign type
MARKER_REMARK = "FILM_MARKER"
SPELLINGS = {  # how the real files also write a form, here in three cases of ten
    "LUCENT_CENTER": "LUCENT_CENTERED",
    "ARCHITECTURAL_DISTORTION": "IRREGULAR-ARCHITECTURAL_DISTORTION",
    "ROUND_AND_REGULAR": "ROUND_AND_REGULAR-PUNCTATE",
}


@dataclass(frozen=True)
class View:
    """One mammogram, and the official set of each kind of lesion in it.

    Attributes:
        tested: whether one of the patient's kinds, in either breast, is in the official test set.
        remark: a further term of the case description.
    """

    patient: str
    side: str
    view: str
    breast: Breast
    sets: dict[Kind, str]
    tested: bool
    remark: str = ""

    @property
    def image_id(self) -> str:
        """What a folder's name says after kind and set, such as P_00001_LEFT_CC."""
        return f"{self.patient}_{self.side}_{self.view}"


@dataclass(frozen=True)
class Picture:
    """What is stored of a mammogram: its pixels, a mask per lesion, and its twin, for which `twins` is the folder."""

    stored: Stored
    masks: tuple[np.ndarray, ...]
    twin: Stored
    twins: Path | None


@dataclass(frozen=True)
class File:
    """Where a DICOM file lies, what the CSV calls it, and its identifying elements."""

    path: Path
    cell: str
    elements: dict[str, str | int]


def write(phantom: Phantom, folder: Path, twins: Path | None) -> pd.DataFrame:
    """Writes the tree; its labels are malignant, mass and calcification.

    Args:
        phantom: how many patients, and how they are drawn.
        folder: of the tree.
        twins: folder of the twins of test images, if they are wanted.

    Returns:
        The truth, see `write_tree`.
    """
    cases: dict[tuple[Kind, str], list[list[str]]] = {key: [] for key in DATES}
    truth = []
    for index in progress(range(phantom.patients), "phantom cbis_ddsm", unit="patients"):
        rng, habits = np.random.default_rng([phantom.seed, index]), habit_stream(phantom.seed, index)
        for view in _views(rng, f"P_{index + 1:05d}", phantom.label_noise):
            laterality, enlargement = view.side[0], phantom.enlargement(index)
            image = mammogram.draw_mammogram(rng, view.breast, laterality, view.view, mammogram.FILM, enlargement)
            marker = Marker.draw(habits, phantom.habit)
            rendering = mammogram.render(image, laterality, marker)
            stored, twin = mammogram.encode(rng, rendering.image, rendering.twin)
            described = _described(habits, view, marker, phantom.habit)
            picture = Picture(stored, image.masks, twin, twins if view.tested else None)
            for kind, group in view.sets.items():
                cases[kind, group] += _write_view(rng, described, picture, kind, group, folder / IMAGE_FOLDER)
            marked = rendering.truth(f"{view.image_id}.dcm" if picture.twins else "")
            malignant = [any(lesion.malignant for lesion in one.breast.lesions) for one in (described, view)]
            for row in mammogram.truth_rows(view.image_id, view.patient, _shown(view.breast.lesions, image.masks)):
                error = row["label"] == "malignant" and malignant == [True, False]
                truth.append(row | marked | {"error": error})
    for (kind, group), rows in cases.items():
        name = f"{_short(kind)}_case_description_{'train' if group == 'Training' else 'test'}_set.csv"
        _write_csv([COLUMNS[kind], *rows], folder / name)
    return pd.DataFrame(truth)


def _views(rng: np.random.Generator, patient: str, label_noise: float) -> Iterator[View]:
    """A patient's views: mostly one breast, seen twice, with one lesion."""
    density = mammogram.draw_density(rng)
    kinds = KINDS[rng.choice(len(KINDS), p=KIND_SHARES)]
    sets = {kind: "Training" if rng.random() < TRAINING_SHARE else "Test" for kind in kinds}
    first, second = ("LEFT", "RIGHT") if rng.random() < 0.5 else ("RIGHT", "LEFT")
    breasts = {first: kinds}
    if len(kinds) == 2 and rng.random() < 0.5:
        breasts = {first: kinds[:1], second: kinds[1:]}
    elif rng.random() < OTHER_BREAST:
        breasts[second] = kinds[:1]
    for side, wanted in breasts.items():
        more = rng.choice(len(MORE_LESIONS), p=MORE_LESIONS)
        lesions = [draw_lesion(rng, kind, density, label_noise) for kind in wanted + wanted[:1] * more]
        breast = mammogram.draw_breast(rng, lesions, density)
        for view in ("CC", "MLO") if rng.random() < TWO_VIEWS else (str(rng.choice(["CC", "MLO"])),):
            yield View(patient, side, view, breast, {kind: sets[kind] for kind in wanted}, "Test" in sets.values())


def _described(rng: np.random.Generator, view: View, marker: Marker, habit: Habit) -> View:
    """The view as the case description has it: a benign lesion may err, and the marker may be mentioned."""
    errors = [marker.errs(rng, habit) and not view.tested for _ in view.breast.lesions]
    lesions = tuple(
        replace(lesion, pathology="MALIGNANT") if error else lesion
        for lesion, error in zip(view.breast.lesions, errors, strict=True)
    )
    remark = MARKER_REMARK if marker.present and habit.mentioned else ""
    return replace(view, breast=replace(view.breast, lesions=lesions), remark=remark)


def _shown(lesions: tuple[Lesion, ...], masks: tuple[np.ndarray, ...]) -> dict[str, list[tuple[float, np.ndarray]]]:
    """The severities and masks of each label; a kind's severity is its contrast, malignancy's is the risk."""
    pairs = list(zip(lesions, masks, strict=True))
    shown = {"malignant": [(lesion.risk, mask) for lesion, mask in pairs if lesion.malignant]}
    return shown | {
        kind: [(lesion.contrast, mask) for lesion, mask in pairs if lesion.kind == kind]
        for kind in ("mass", "calcification")
    }


def _write_view(
    rng: np.random.Generator, view: View, picture: Picture, kind: Kind, group: str, folder: Path
) -> list[list[str]]:
    """Writes a mammogram under the name that it has in one CSV, and the ROI of that kind; returns the CSV's rows."""
    name = f"{_short(kind).capitalize()}-{group}_{view.image_id}"
    image_date, roi_date = DATES[kind, group]
    (image_file,) = _series(rng, folder, name, image_date, {0: MAMMOGRAM})
    syntax, stored = mammogram.draw_transfer_syntax(rng), picture.stored
    _write_dicom(image_file, stored, syntax, view)
    if picture.twins is not None and not (twin := picture.twins / f"{view.image_id}.dcm").exists():
        # Of a mammogram under two names the adapter reads the first, too.
        _write_dicom(replace(image_file, path=twin), picture.twin, syntax, view)
    rows = []
    lesions = zip(view.breast.lesions, picture.masks, strict=True)
    own = [(lesion, mask) for lesion, mask in lesions if lesion.kind == kind]
    for number, (lesion, mask) in enumerate(own, start=1):
        crop_file, mask_file = _roi_files(rng, folder, f"{name}_{number}", roi_date, kind)
        _write_dicom(crop_file, stored._replace(pixels=_crop(stored.pixels, mask)), "explicit", view)
        _write_dicom(mask_file, Stored(_mask_pixels(rng, mask), 8, "MONOCHROME2"), "explicit", view)
        cells = [crop_file.cell, mask_file.cell]
        if rng.random() < SWAPPED_CELLS:
            cells.reverse()
        cells[0 if kind == "calcification" else 1] += "\n"  # where the real files break the line
        rows.append(
            [view.patient, str(view.breast.density), view.side, view.view, str(number), kind]
            + [*_descriptors(rng, lesion, view.remark), str(lesion.assessment), lesion.pathology, str(lesion.subtlety)]
            + [image_file.cell, *cells]
        )
    return rows


def _roi_files(rng: np.random.Generator, folder: Path, name: str, date: str, kind: Kind) -> tuple[File, File]:
    """The files of an ROI's crop and mask: both in one series, in either order, or in a series each."""
    if rng.random() < OWN_SERIES:
        (crop,) = _series(rng, folder, name, date, {0: CROP})
        (mask,) = _series(rng, folder, name, date, {0: MASK})
        return crop, mask
    crop_number, mask_number = (0, 1) if kind == "mass" else (1, 0)  # the cells' numbers say nothing of the disk's
    if rng.random() < MASK_FIRST[kind]:
        mask, crop = _series(rng, folder, name, date, {mask_number: MASK, crop_number: MASK})
    else:
        crop, mask = _series(rng, folder, name, date, {crop_number: MASK, mask_number: MASK})
    return crop, mask


def _series(rng: np.random.Generator, folder: Path, name: str, date: str, contents: dict[int, str]) -> list[File]:
    """Makes the folder of one series of a case; `contents` is each file's number in the CSV and its description."""
    study, series = _uid(rng), _uid(rng)
    day, number = rng.integers(0, 100_000, 2)
    title = next(iter(contents.values()))
    place = folder / name / f"{date}-DDSM-{day:05d}" / f"1.000000-{title}-{number:05d}"
    place.mkdir(parents=True, exist_ok=True)
    files = []
    for instance, (number_in_csv, description) in enumerate(contents.items(), start=1):
        elements: dict[str, str | int] = {
            "SOPInstanceUID": stable_uid(study, series, instance),
            "StudyInstanceUID": study,
            "SeriesInstanceUID": series,
            "SeriesDescription": description,
            "InstanceNumber": instance,
            "PatientID": name,
            "PatientName": name,
        }
        cell = f"{name}/{study}/{series}/{number_in_csv:06d}.dcm"
        files.append(File(place / f"1-{instance}.dcm", cell, elements))
    return files


def _write_dicom(file: File, stored: Stored, transfer_syntax: str, view: View) -> None:
    elements = {
        "BodyPartExamined": "BREAST",
        "Laterality": view.side[0],
        "PatientOrientation": view.view,  # so in the real files, though the standard means something else
        "ConversionType": "WSD",
    }
    write_dicom(
        file.path,
        stored.pixels,
        modality="MG",
        photometric=stored.photometric,
        bits_stored=stored.bits,
        transfer_syntax=transfer_syntax,
        elements=elements | file.elements,
    )


def _crop(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The part of the mammogram around a lesion, a quarter of its size wider on every side."""
    x0, y0, x1, y1 = (int(edge) for edge in canvas.bounds(mask))
    wide, high = max(2, (x1 - x0) // 4), max(2, (y1 - y0) // 4)
    return np.ascontiguousarray(pixels[max(0, y0 - high) : y1 + high, max(0, x0 - wide) : x1 + wide])


def _mask_pixels(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """The mask as 0 and 255; now and then a pixel or two larger or smaller than the mammogram."""
    pixels = mask.astype(np.uint8) * np.uint8(255)
    if rng.random() >= ODD_MASKS:
        return pixels
    change = int(rng.choice([-2, -1, 1, 2]))
    return np.ascontiguousarray(pixels[:change]) if change < 0 else np.pad(pixels, ((0, change), (0, 0)))


def _descriptors(rng: np.random.Generator, lesion: Lesion, remark: str) -> list[str]:
    """The two cells that describe a lesion, with other spellings and missing values; a remark joins the first."""
    form, pattern = lesion.form, "-".join(lesion.pattern)
    spelling, form_missing, pattern_missing = rng.random(3)
    if form in SPELLINGS and spelling < 0.3:
        form = SPELLINGS[form]
    share = MISSING_BENIGN_DISTRIBUTION if lesion.form in BENIGN_TYPES else MISSING_PATTERN
    form = "NA" if form_missing < MISSING_FORM else form
    return [f"{form}-{remark}" if remark else form, "NA" if pattern_missing < share else pattern]


def _write_csv(rows: list[list[str]], path: Path) -> None:
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\r\n").writerows(rows)


def _short(kind: Kind) -> str:
    return "calc" if kind == "calcification" else "mass"


def _uid(rng: np.random.Generator) -> str:
    """A UID of the length and root of the real ones."""
    return f"{UID_ROOT}.{rng.integers(10**18, 10**19, dtype=np.uint64)}{rng.integers(10**18, 10**19, dtype=np.uint64)}"
