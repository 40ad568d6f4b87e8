"""Who has what: the patients, studies and findings of the phantom chest radiographs, and how an image is composed.

The drawing of normal anatomy is here, that of findings and distractors in `chest_findings`. docs/phantom.md describes
what is drawn. Places are given in thorax coordinates: u runs from the midline (0) to the inner chest wall (1 at
the base), positive to the patient's left, which is the image's right; v from the lung apex (0) to the costophrenic
angle (1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mmpkd.phantom import canvas
from mmpkd.phantom.canvas import Box
from mmpkd.phantom.chest_findings import DISTRACTORS, LESIONS, Finding, Frame, Normal, lung
from mmpkd.phantom.write import Photometric

LABELS = ("Atelectasis", "Cardiomegaly", "Consolidation", "Pleural Effusion", "Pneumothorax")


@dataclass(frozen=True)
class Hospital:
    """What differs from one hospital to another. Pairs are the ends of uniform distributions."""

    prevalence: Mapping[str, float]
    rows: tuple[int, int] = (168, 224)
    aspect: tuple[float, float] = (0.82, 1.08)  # columns / rows
    lung_height: tuple[float, float] = (0.60, 0.68)  # of rows
    half_width: tuple[float, float] = (0.36, 0.41)  # of columns
    gamma: tuple[float, float] = (0.85, 1.2)
    gain: tuple[float, float] = (0.8, 1.0)
    noise: tuple[float, float] = (0.010, 0.025)
    tissue: float = 0.56  # grey value of soft tissue before the exposure; the lungs are darker by `air`
    air: float = 0.34
    devices: float = 0.10  # share of studies with each of the tube and the ECG leads


MIMIC = Hospital(
    {"Atelectasis": 0.22, "Cardiomegaly": 0.12, "Consolidation": 0.21, "Pleural Effusion": 0.22, "Pneumothorax": 0.17}
)
VINDR = Hospital(
    {"Atelectasis": 0.16, "Cardiomegaly": 0.14, "Consolidation": 0.18, "Pleural Effusion": 0.18, "Pneumothorax": 0.15},
    rows=(176, 224),
    aspect=(0.78, 0.98),
    lung_height=(0.60, 0.72),
    half_width=(0.36, 0.43),
    gamma=(0.65, 1.0),
    gain=(0.85, 1.0),
    noise=(0.018, 0.032),
    tissue=0.54,
    air=0.30,
    devices=0.06,
)


@dataclass(frozen=True)
class Anatomy:
    """A patient's body, the same in all of the patient's studies."""

    sex: str
    age: int
    lung_height: float
    half_width: float
    cardiothoracic_ratio: float  # of the heart without cardiomegaly
    heart_turn: float
    dome: float
    ribs: float  # rib pairs between apex and base
    rib_phase: float
    rib_contrast: float
    habitus: float  # 0 slim to 1 stout: haze over the lungs, less contrast

    @classmethod
    def draw(cls, rng: np.random.Generator, hospital: Hospital) -> "Anatomy":
        """A patient of `hospital`.

        Args:
            rng: draws it.
            hospital: its equipment and habits.
        """
        return cls(
            sex="F" if rng.random() < 0.48 else "M",
            age=int(np.clip(rng.normal(61, 16), 19, 91)),
            lung_height=rng.uniform(*hospital.lung_height),
            half_width=rng.uniform(*hospital.half_width),
            cardiothoracic_ratio=rng.uniform(0.38, 0.45),
            heart_turn=rng.uniform(-0.7, -0.3),
            dome=rng.uniform(0.08, 0.15),
            ribs=rng.uniform(7.5, 9.5),
            rib_phase=rng.random(),
            rib_contrast=rng.uniform(0.03, 0.07),
            habitus=rng.beta(1.5, 2.5),
        )


@dataclass(frozen=True)
class Study:
    """One visit: its view, what is drawn, and what became of the findings of the visit before."""

    view: str  # PA or AP
    findings: dict[str, Finding]
    distractors: dict[str, str] = field(default_factory=dict)  # name: side, or "" where it has none
    changes: dict[str, str] = field(default_factory=dict)  # label: new, larger, smaller, unchanged or resolved
    previous: dict[str, Finding] = field(default_factory=dict)
    follow_up: bool = False


def draw_study(rng: np.random.Generator, hospital: Hospital, anatomy: Anatomy, before: Study | None = None) -> Study:
    """The next study of a patient.

    Args:
        rng: the source of randomness.
        hospital: its prevalences.
        anatomy: the patient.
        before: the study before; each of its findings persists, changed, in half of the cases.
    """
    findings = {}
    for label, prevalence in hospital.prevalence.items():
        fresh = _draw_finding(rng, label)
        present, drift = rng.random() < prevalence, rng.normal(0, 0.2)
        persists = rng.random() < 0.5 or label == "Cardiomegaly"  # a heart does not shrink again
        known = before.findings.get(label) if before is not None else None
        if known is not None and persists:
            findings[label] = replace(known, severity=float(np.clip(known.severity + drift, 0.3, 1)))
        elif known is None and present:
            findings[label] = fresh
    devices = dict.fromkeys(("tube", "leads"), hospital.devices)
    rates = {"nipples": 0.1, "skin fold": 0.1, "granuloma": 0.08, "gastric bubble": 0.3, "clothing": 0.08} | devices
    rates["breasts"] = 0.5 if anatomy.sex == "F" else 0.05
    drawn = {name: (rng.random() < rate, rng.random() < 0.5) for name, rate in rates.items()}
    distractors = {name: "left" if left else "right" for name, (present, left) in drawn.items() if present}
    previous = before.findings if before is not None else {}
    return Study(
        view="AP" if rng.random() < 0.45 else "PA",
        findings=findings,
        distractors=distractors,
        changes=_changes(findings, previous) if before is not None else {},
        previous=dict(previous),
        follow_up=before is not None,
    )


def _draw_finding(rng: np.random.Generator, label: str) -> Finding:
    side = "left" if rng.random() < 0.5 else "right"
    zone = str(rng.choice(["upper", "middle", "lower"], p=[0.4, 0.25, 0.35]))
    seed = int(rng.integers(2**31))  # of the lesion's outline: a lesion that persists keeps its form
    severity = float(0.3 + 0.7 * rng.beta(1.2, 1.2))
    return Finding(label, severity, "" if label == "Cardiomegaly" else side, zone, seed)


def _changes(findings: Mapping[str, Finding], previous: Mapping[str, Finding]) -> dict[str, str]:
    changes = {label: "resolved" for label in previous if label not in findings}
    for label, finding in findings.items():
        growth = finding.severity - previous[label].severity if label in previous else np.nan
        changes[label] = (
            "new" if np.isnan(growth) else "larger" if growth > 0.12 else "smaller" if growth < -0.12 else "unchanged"
        )
    return changes


def draw_frontal(
    rng: np.random.Generator,
    hospital: Hospital,
    anatomy: Anatomy,
    study: Study,
    enlargement: int = 1,
) -> tuple[np.ndarray, dict[str, Box]]:
    """A frontal radiograph and the boxes of its findings.

    Args:
        rng: the source of randomness.
        hospital: its sizes, and how its images look.
        anatomy: the patient.
        study: what is drawn.
        enlargement: repeats every pixel that many times.

    Returns:
        float32 rows x columns in 0..1, bright = dense, and label: (x0, y0, x1, y1) in its pixels.
    """
    rows = int(rng.integers(hospital.rows[0], hospital.rows[1] + 1))
    columns = int(np.clip(round(rows * rng.uniform(*hospital.aspect)), 160, 224))
    frame = _place(rng, anatomy, study, rows, columns)
    image, normal = _draw_normal(rng, frame, hospital, anatomy, study)
    boxes: dict[str, Box] = {}
    for label in LABELS:
        if label in study.findings:
            finding = study.findings[label]
            image, extent = LESIONS[label](np.random.default_rng(finding.seed), frame, normal, image, finding)
            if (extent > 0.3).any():
                boxes[label] = canvas.bounds(extent, 0.3)
    for name in DISTRACTORS:
        if name in study.distractors:
            image = DISTRACTORS[name](rng, frame, normal, image, study.distractors[name])
    image = canvas.enlarged(_expose(rng, image, hospital), enlargement)
    return image, {label: _times(box, enlargement) for label, box in boxes.items()}


def _times(box: Box, factor: int) -> Box:
    x0, y0, x1, y1 = box
    return factor * x0, factor * y0, factor * x1, factor * y1


def truth_rows(image_id: str, patient_id: str, study: Study, boxes: Mapping[str, Box]) -> list[dict]:
    """What was drawn in one image, one row per label: the columns of `write.TRUTH_COLUMNS`.

    Args:
        image_id: of the image.
        patient_id: of its patient.
        study: what is there.
        boxes: around each finding, in pixels.
    """
    rows = []
    for label in LABELS:
        finding = study.findings.get(label)
        known: dict[str, Any] = {
            "present": finding is not None,
            "severity": finding.severity if finding is not None else 0.0,
        }
        corners = dict(zip(("x0", "y0", "x1", "y1"), boxes.get(label, (np.nan,) * 4), strict=True))
        rows.append({"image_id": image_id, "patient_id": patient_id, "label": label} | known | corners)
    return rows


def draw_lateral(rng: np.random.Generator, hospital: Hospital, anatomy: Anatomy) -> np.ndarray:
    """A schematic lateral radiograph, float32 rows x columns. No finding is drawn in it.

    Args:
        rng: draws what differs between patients.
        hospital: its equipment and habits.
        anatomy: of the patient.
    """
    rows = int(rng.integers(hospital.rows[0], hospital.rows[1] + 1))
    columns = int(np.clip(round(rows * rng.uniform(*hospital.aspect) * 0.85), 150, 200))
    grid = canvas.grid(rows, columns)
    y, x = grid[0] / rows, grid[1] / columns
    body = canvas.soft_ellipse(grid, (0.62 * rows, 0.5 * columns), (0.66 * rows, 0.42 * columns), softness=6)
    chest = canvas.soft_ellipse(grid, (0.5 * rows, 0.47 * columns), (0.36 * rows, 0.31 * columns), 0.1, softness=10)
    image = hospital.tissue * body - hospital.air * 0.9 * chest * canvas.ramp((0.76 + 0.06 * (x - 0.5) - y) * rows, 6)
    heart = canvas.soft_ellipse(grid, (0.6 * rows, 0.38 * columns), (0.15 * rows, 0.16 * columns), 0.6, softness=6)
    spine = canvas.ramp((0.06 - np.abs(x - 0.76 + 0.1 * (y - 0.5) ** 2)) * columns, 4) * body
    discs = 0.5 + 0.5 * np.cos(2 * np.pi * (y * 14 + anatomy.rib_phase))
    image = image + heart * 0.85 * np.maximum(hospital.tissue * 0.95 - image, 0) + spine * (0.08 + 0.08 * discs)
    ribs = np.cos(2 * np.pi * (anatomy.ribs * (y - 0.35 * (1 - x)) / anatomy.lung_height))
    image = image + 0.03 * np.clip(ribs, 0, 1) * chest + 0.012 * canvas.texture(rng, rows, columns, 1.5) * body
    return _expose(rng, image.astype(np.float32), hospital)


@dataclass(frozen=True)
class Detector:
    """How grey values are stored: they fill `span` of the range from `low` on, and are inverted for MONOCHROME1."""

    bits: int  # 12 to 16
    photometric: Photometric
    low: float
    span: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Detector":
        """One image's."""
        bits = int(rng.choice([12, 12, 12, 14, 15, 16]))
        photometric: Photometric = "MONOCHROME1" if rng.random() < 0.4 else "MONOCHROME2"
        return cls(bits, photometric, rng.uniform(0.0, 0.08), rng.uniform(0.75, 0.9))

    def digitise(self, image: np.ndarray) -> np.ndarray:
        """An image of 0..1 as uint16."""
        stored = self.low + self.span * (1 - image if self.photometric == "MONOCHROME1" else image)
        return np.rint(stored * (2**self.bits - 1)).astype(np.uint16)


def _place(rng: np.random.Generator, anatomy: Anatomy, study: Study, rows: int, columns: int) -> Frame:
    """The thorax in the image: offset by up to 8 % of a side either way, slightly tilted, less inspired when AP."""
    offset_y, offset_x = np.clip(rng.normal(0, 0.02, 2), -0.08, 0.08)
    height = anatomy.lung_height * rows * (0.94 if study.view == "AP" else 1.0)
    width = anatomy.half_width * columns
    tilt = rng.normal(0, 0.015)
    grid = canvas.grid(rows, columns)
    apex = (0.48 + offset_y) * rows - height / 2
    centre = (0.5 + offset_x) * columns
    v = (grid[0] - np.float32(apex)) / np.float32(height)
    u = (grid[1] - np.float32(centre) - np.float32(tilt) * (grid[0] - np.float32(rows / 2))) / np.float32(width)
    return Frame(grid, u, v, apex=apex, centre=centre, tilt=tilt, height=height, width=width, dome=anatomy.dome)


def _draw_normal(
    rng: np.random.Generator, frame: Frame, hospital: Hospital, anatomy: Anatomy, study: Study
) -> tuple[np.ndarray, Normal]:
    """The body without findings, and the masks and levels that findings are drawn with."""
    u, v, rows, columns = frame.u, frame.v, *frame.shape
    lungs = {side: lung(frame, side) for side in ("left", "right")}
    both = lungs["left"] + lungs["right"]
    reach = np.abs(u)
    outline = np.interp(v, [-0.35, -0.2, -0.1, 0.05, 0.2, 0.6, 1.4], [0.32, 0.36, 0.9, 1.45, 1.2, 1.14, 1.22])
    body = canvas.ramp((outline.astype(np.float32) - reach) * frame.width, 5)
    haze = np.float32(0.10 * anatomy.habitus)
    air = np.float32(hospital.air) * (1 - haze * 2)
    vessels = canvas.texture(rng, rows, columns, 1.4)
    image = body * np.float32(hospital.tissue) - both * air
    image += np.float32(0.10) * body * canvas.ramp((v - 0.95) * frame.height, 0.2 * frame.height) * (1 - both)
    image += np.float32(0.07) * body * canvas.ramp((0.13 - reach) * frame.width, 5) * (1 - both)  # spine
    image -= np.float32(0.10) * canvas.ramp((0.055 - reach) * frame.width, 3) * canvas.ramp((0.3 - v) * frame.height, 9)
    for side in ("left", "right"):
        hilum = frame.ellipse(side, 0.27, 0.46, 0.10, 0.09, softness=10)
        image += np.float32(0.13) * hilum
        image += np.float32(0.10) * frame.line(side, (0.10, 0.09), (1.0, -0.03), 0.035)  # clavicle
    image += _ribs(frame, anatomy) * canvas.ramp((1.05 - reach) * frame.width, 4) * np.float32(anatomy.rib_contrast)
    image += vessels * (np.float32(0.030) * both * (1 - 0.5 * np.minimum(reach, 1)) + np.float32(0.008) * body)
    normal = Normal(lungs=lungs, both=both, body=body, vessels=vessels, tissue=hospital.tissue, air=float(air))
    enlarged = "Cardiomegaly" in study.findings
    if not enlarged:
        ratio = anatomy.cardiothoracic_ratio * (1.04 if study.view == "AP" else 1.0)
        image = normal.dense(image, frame.heart(ratio, anatomy.heart_turn), 0.92)
    image = normal.dense(image, frame.ellipse("left", 0.17, 0.24, 0.13, 0.08, softness=5), 0.8)  # aortic knob
    return image, normal


def _ribs(frame: Frame, anatomy: Anatomy) -> np.ndarray:
    """Posterior ribs that fall away from the spine, and fainter anterior ones that rise to the side."""
    reach = np.abs(frame.u)
    inside = canvas.ramp((frame.v + 0.02) * frame.height, 6) * canvas.ramp((1.12 - frame.v) * frame.height, 12)
    turn = np.float32(2 * np.pi)
    posterior = np.cos(turn * (anatomy.ribs * (frame.v - 0.16 * reach * reach + 0.02 * reach) + anatomy.rib_phase))
    anterior = np.cos(turn * (anatomy.ribs * 0.8 * (frame.v + 0.22 * reach) + anatomy.rib_phase))
    return (np.clip(posterior * 1.6 - 0.3, 0, 1) + 0.5 * np.clip(anterior * 1.6 - 0.5, 0, 1)) * inside


def _expose(rng: np.random.Generator, image: np.ndarray, hospital: Hospital) -> np.ndarray:
    """Exposure: a tilted plane of brightness, quantum noise, the detector's curve."""
    rows, columns = image.shape
    y, x = canvas.grid(rows, columns)
    slope_y, slope_x = rng.normal(0, 0.04, 2).astype(np.float32)
    image = image + slope_y * (y / rows - 0.5) + slope_x * (x / columns - 0.5)
    image = image + np.float32(rng.uniform(*hospital.noise)) * rng.standard_normal(image.shape, dtype=np.float32)
    image = np.clip(image + np.float32(0.04), 0, 1) ** np.float32(rng.uniform(*hospital.gamma))
    return np.clip(image * np.float32(rng.uniform(*hospital.gain)), 0, 1)
