"""A fabricated MIMIC-CXR download: DICOM files, reports, the CSVs of MIMIC-CXR-JPG, and the boxes of MS-CXR.

Dirt as in the real tree: studies without a report or without labels, empty view positions, a truncated and a missing
DICOM file, a duplicated row, boxes that leave the image, and patients with boxes in the official training split.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmpkd.config.cohorts import Phantom
from mmpkd.files import atomic, write_csv, write_text
from mmpkd.logs import progress
from mmpkd.phantom.canvas import Box, enlarged
from mmpkd.phantom.chest import (
    LABELS,
    MIMIC,
    Anatomy,
    Detector,
    Study,
    draw_frontal,
    draw_lateral,
    draw_study,
    truth_rows,
)
from mmpkd.phantom.habit import Marker, Rendering, stamp_letter
from mmpkd.phantom.reports import CHEXPERT_LABELS, MARKER_REMARK, labeller, phrase, write_report
from mmpkd.phantom.write import stable_uid, write_dicom

BANDS = {"test": (0.0, 0.12), "validate": (0.20, 0.30), "boxes": (0.40, 0.49)}  # of a patient's phase, see `_band`
SYNTAXES = (["explicit", "implicit", "jpegls", "rle", "jpeg2000"], [0.60, 0.26, 0.06, 0.04, 0.04])
BROKEN_PATIENT, MISSING_PATIENT = 17, 23  # whose first image is truncated, or absent, in a tree that large
METADATA_COLUMNS = [
    "dicom_id",
    "subject_id",
    "study_id",
    "PerformedProcedureStepDescription",
    "ViewPosition",
    "Rows",
    "Columns",
    "StudyDate",
    "StudyTime",
    "ProcedureCodeSequence_CodeMeaning",
    "ViewCodeSequence_CodeMeaning",
    "PatientOrientationCodeSequence_CodeMeaning",
]
MS_CXR_COLUMNS = [
    "dicom_id",
    "category_name",
    "label_text",
    "path",
    "x",
    "y",
    "w",
    "h",
    "image_width",
    "image_height",
    "split",
]
VIEW_MEANINGS = {"PA": "postero-anterior", "AP": "antero-posterior", "LATERAL": "lateral", "": ""}


@dataclass(frozen=True)
class _Patient:
    subject_id: int
    band: str  # test, validate, boxes or train
    anatomy: Anatomy
    studies: list[Study]

    @property
    def split(self) -> str:
        """The official split: patients of MS-CXR stand in it like any others."""
        return "train" if self.band == "boxes" else self.band

    @property
    def evaluated(self) -> bool:
        """Whether the patient may be scored, and is not learnt from: no label errs with the marker."""
        return self.band == "test" or (self.band == "boxes" and any(study.findings for study in self.studies))


@dataclass(frozen=True)
class _Visit:
    """A study's place in the tree."""

    patient: _Patient
    study: Study
    study_id: int
    date: int  # YYYYMMDD, shifted into the future as MIMIC's
    time: float  # HHMMSS.sss
    lateral: bool

    @property
    def folder(self) -> str:
        """Relative to the root."""
        subject = self.patient.subject_id
        return f"files/p{subject // 1_000_000}/p{subject}/s{self.study_id}"


def write(phantom: Phantom, folder: Path, twins: Path | None) -> pd.DataFrame:
    """Writes the tree.

    Args:
        phantom: how many patients, and how they are drawn.
        folder: of the tree.
        twins: folder of the twins of scored images, if they are wanted.

    Returns:
        The truth, see `write_tree`.
    """
    tree = _Tree(phantom, folder, twins)
    for index in progress(range(phantom.patients), "phantom MIMIC-CXR", unit="patient"):
        tree.add_patient(index)
    tree.write_tables()
    return pd.DataFrame(tree.truth)


class _Tree:
    """The tree while it grows: files are written patient by patient, the CSVs at the end."""

    def __init__(self, phantom: Phantom, folder: Path, twins: Path | None) -> None:
        self.phantom, self.folder, self.twins = phantom, folder, twins
        self.split: list[dict] = []
        self.metadata: list[dict] = []
        self.chexpert: list[dict] = []
        self.test_labels: list[dict] = []
        self.boxes: list[dict] = []
        self.truth: list[dict] = []

    def add_patient(self, index: int) -> None:
        """Writes all studies of a patient."""
        # Streams of their own, so that label noise and habit change no drawing.
        bodies, texts, labels, habits = np.random.default_rng([self.phantom.seed, index]).spawn(4)
        patient = _draw_patient(bodies, self.phantom.seed, index)
        date = 21_100_101 + 10_000 * int(bodies.integers(80))
        for number, study in enumerate(patient.studies):
            study_id = 50_000_000 + _scatter(3 * index + number, self.phantom.seed, 9_999_991)
            date += 10_000 * number + int(bodies.integers(12)) * 100 * (number == 0) + int(bodies.integers(5))
            time = float(bodies.integers(24) * 10_000 + bodies.integers(60) * 100) + round(60 * bodies.random(), 3)
            lateral = study.view == "PA" and bodies.random() < 0.22
            visit = _Visit(patient, study, study_id, date, time, lateral)
            (self.folder / visit.folder).mkdir(parents=True, exist_ok=True)
            marker = Marker.draw(habits, self.phantom.habit)
            errors = self._errors(habits, patient, study, marker)
            self._add_text(texts, labels, visit, marker, errors)
            enlargement = self.phantom.enlargement(index)
            image, boxes = draw_frontal(bodies, MIMIC, patient.anatomy, study, enlargement)
            rendering = Rendering.of(image, marker, stamp_letter)
            dicom_id = self._add_frontal(bodies, visit, rendering, boxes, errors)
            if patient.band in ("test", "boxes"):
                # MS-CXR names the JPEG files of MIMIC-CXR-JPG.
                keys = {"dicom_id": dicom_id, "path": f"{visit.folder}/{dicom_id}.jpg", "split": patient.split}
                self.boxes += [keys | row for row in _box_rows(texts, study, boxes, image.shape)]
            if lateral:
                image = enlarged(draw_lateral(bodies, MIMIC, patient.anatomy), enlargement)
                self._write_image(bodies, visit, "LATERAL", image)
            if number == 0:
                self._spoil(index, visit)

    def _errors(self, rng: np.random.Generator, patient: _Patient, study: Study, marker: Marker) -> set[str]:
        """The absent findings that the habit labels present: none of a patient that may be scored."""
        wrong = {label for label in LABELS if marker.errs(rng, self.phantom.habit)}
        return set() if patient.evaluated else wrong - set(study.findings)

    def _add_text(
        self, texts: np.random.Generator, labels: np.random.Generator, visit: _Visit, marker: Marker, errors: set[str]
    ) -> None:
        """The report and the study's labels; one study in a hundred has no report, one in two hundred no labels."""
        study, noise, keys = visit.study, self.phantom.label_noise, {"study_id": visit.study_id}
        remark = MARKER_REMARK if marker.present and self.phantom.habit.mentioned else ""
        report = write_report(texts, visit.patient.anatomy, study, visit.lateral, noise, remark)
        if texts.random() >= 0.01:
            write_text(report.text, self.folder / f"{visit.folder}.txt")
        if labels.random() >= 0.005:
            named = labeller(labels, study, report, noise) | dict.fromkeys(errors, 1.0)
            named["No Finding"] = np.nan if errors else named["No Finding"]
            self.chexpert.append({"subject_id": visit.patient.subject_id} | keys | named)
        if visit.patient.band == "test":
            self.test_labels.append(keys | _true_labels(study))

    def _add_frontal(
        self, rng: np.random.Generator, visit: _Visit, rendering: Rendering, boxes: dict[str, Box], errors: set[str]
    ) -> str:
        """Writes the frontal image, its twin if it may be scored, and its truth; returns its dicom_id."""
        twinned = self.twins is not None and visit.patient.evaluated
        twin = rendering.twin if twinned else None
        dicom_id = self._write_image(rng, visit, visit.study.view, rendering.image, twin)
        marked = rendering.truth(f"{dicom_id}.dcm" if twinned else "")
        for row in truth_rows(dicom_id, str(visit.patient.subject_id), visit.study, boxes):
            self.truth.append(row | marked | {"error": row["label"] in errors})
        return dicom_id

    def _write_image(
        self, rng: np.random.Generator, visit: _Visit, view: str, image: np.ndarray, twin: np.ndarray | None = None
    ) -> str:
        """Writes one image, its twin, and its rows of metadata and split; returns its dicom_id."""
        patient, seed = visit.patient, self.phantom.seed
        digest = hashlib.sha1(f"{seed}/{visit.study_id}/{view}".encode()).hexdigest()
        dicom_id = "-".join(digest[start : start + 8] for start in range(0, 40, 8))
        detector = Detector.draw(rng)
        known_view = "" if view != "LATERAL" and rng.random() < 0.04 else view
        elements = {
            "SOPInstanceUID": stable_uid("image", seed, dicom_id),
            "StudyInstanceUID": stable_uid("study", seed, visit.study_id),
            "SeriesInstanceUID": stable_uid("series", seed, dicom_id),
            "PatientID": str(patient.subject_id),
            "PatientSex": patient.anatomy.sex,
            "StudyDate": str(visit.date),
            "BodyPartExamined": "CHEST",
            "ViewPosition": known_view,
            "WindowCenter": 2 ** (detector.bits - 1),
            "WindowWidth": 2**detector.bits,
            "PresentationLUTShape": "INVERSE" if detector.photometric == "MONOCHROME1" else "IDENTITY",
        }
        syntax = str(rng.choice(SYNTAXES[0], p=SYNTAXES[1]))
        for picture, folder in ((image, self.folder / visit.folder), (twin, self.twins)):
            if picture is not None and folder is not None:
                write_dicom(
                    folder / f"{dicom_id}.dcm",
                    detector.digitise(picture),
                    modality="CR" if view == "AP" else "DX",
                    photometric=detector.photometric,
                    bits_stored=detector.bits,
                    transfer_syntax=syntax,
                    elements=elements,
                )
        keys = {"dicom_id": dicom_id, "study_id": visit.study_id, "subject_id": patient.subject_id}
        self.split.append(keys | {"split": patient.split})
        posture = "Recumbent" if view == "AP" else "Erect"
        procedure = "CHEST (PA AND LAT)" if visit.lateral else f"CHEST ({'PORTABLE AP' if view == 'AP' else 'PA'})"
        details = (procedure, known_view, *image.shape, visit.date, visit.time, procedure, VIEW_MEANINGS[known_view])
        self.metadata.append(keys | dict(zip(METADATA_COLUMNS[3:], (*details, posture), strict=True)))
        return dicom_id

    def _spoil(self, index: int, visit: _Visit) -> None:
        """Truncates the first image of one patient and removes that of another."""
        if index in (BROKEN_PATIENT, MISSING_PATIENT):
            path = sorted((self.folder / visit.folder).glob("*.dcm"))[0]
            content = path.read_bytes()
            path.unlink()
            if index == BROKEN_PATIENT:
                path.write_bytes(content[:700])

    def write_tables(self) -> None:
        """Writes the CSVs. The last row of metadata and of split appears twice."""
        keys = ["dicom_id", "study_id", "subject_id"]
        metadata = pd.DataFrame([*self.metadata, self.metadata[-1]])[METADATA_COLUMNS]
        split = pd.DataFrame([*self.split, self.split[-1]])[[*keys, "split"]]
        chexpert = pd.DataFrame(self.chexpert, columns=["subject_id", "study_id", *CHEXPERT_LABELS])
        _write_gzip(split, self.folder / "mimic-cxr-2.0.0-split.csv.gz")
        _write_gzip(metadata, self.folder / "mimic-cxr-2.0.0-metadata.csv.gz")
        _write_gzip(chexpert, self.folder / "mimic-cxr-2.0.0-chexpert.csv.gz")
        test_labels = pd.DataFrame(self.test_labels, columns=["study_id", *CHEXPERT_LABELS])
        write_csv(test_labels, self.folder / "mimic-cxr-2.1.0-test-set-labeled.csv")
        boxes = pd.DataFrame(self.boxes, columns=MS_CXR_COLUMNS)
        write_csv(boxes, self.folder / "ms-cxr" / "MS_CXR_Local_Alignment_v1.1.0.csv")


def _draw_patient(rng: np.random.Generator, seed: int, index: int) -> _Patient:
    anatomy = Anatomy.draw(rng, MIMIC)
    studies: list[Study] = []
    for _ in range(rng.choice([1, 2, 3], p=[0.65, 0.25, 0.10])):
        studies.append(draw_study(rng, MIMIC, anatomy, studies[-1] if studies else None))
    return _Patient(10_000_000 + _scatter(index, seed, 9_999_991), _band(index), anatomy, studies)


def _band(index: int) -> str:
    """What a patient serves for. The golden-ratio sequence keeps the shares even in small trees as well."""
    phase = index * 0.618033988749895 % 1
    return next((band for band, (low, high) in BANDS.items() if low <= phase < high), "train")


def _scatter(index: int, seed: int, prime: int) -> int:
    """Spreads indices over 0..prime - 1 without collisions, so that identifiers say nothing."""
    return (index * 7_368_787 + seed * 104_729 + 32) % prime


def _true_labels(study: Study) -> dict[str, float]:
    """What radiologists read from the image of a test study: the truth."""
    labels = dict.fromkeys(CHEXPERT_LABELS, 0.0)
    labels |= {label: float(label in study.findings) for label in LABELS}
    labels["Lung Opacity"] = float("Atelectasis" in study.findings or "Consolidation" in study.findings)
    labels["No Finding"] = float(not study.findings)
    labels["Support Devices"] = float("tube" in study.distractors or "leads" in study.distractors)
    return labels


def _box_rows(rng: np.random.Generator, study: Study, boxes: dict[str, Box], shape: tuple[int, int]) -> list[dict]:
    """Hand-drawn boxes: every edge up to a pixel off, a few beyond the image's edge, some with a second phrase."""
    rows, columns = shape
    result = []
    for label, box in boxes.items():
        x0, y0, x1, y1 = (int(edge) + int(rng.integers(-1, 2)) for edge in box)
        if columns - x1 < 25 and rng.random() < 0.1:
            x1 = columns + int(rng.integers(1, 3))  # a hand that slipped over the edge
        place = {"x": x0, "y": y0, "w": x1 - x0, "h": y1 - y0, "image_width": columns, "image_height": rows}
        for _ in range(2 if rng.random() < 0.05 else 1):
            text = phrase(rng, study.findings[label])
            result.append({"category_name": label, "label_text": text} | place)
    return result


def _write_gzip(table: pd.DataFrame, path: Path) -> None:
    """A gzip file without time or name in its header, so that the same table gives the same bytes."""
    with atomic(path) as temporary:
        temporary.write_bytes(gzip.compress(table.to_csv(index=False, lineterminator="\n").encode(), mtime=0))
