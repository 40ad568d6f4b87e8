"""Draws the five findings of the phantom chest radiographs, and distractors that resemble them.

Each lesion takes an image (float32 rows x columns, bright = dense), returns the changed image and the opacity of the
lesion's extent, from which its box is made. `severity` sets both size and contrast, so that mild findings are hard.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmpkd.phantom import canvas

SIGN = {"left": 1.0, "right": -1.0}  # the patient's left is the image's right
ZONE_HEIGHT = {"upper": 0.27, "middle": 0.5, "lower": 0.72}  # v of a consolidation's centre
ZONE_REACH = {"upper": 0.62, "middle": 0.72, "lower": 0.76}  # its u, near the chest wall


@dataclass(frozen=True)
class Finding:
    """One finding of one study."""

    label: str
    severity: float  # 0 to 1
    side: str  # left, right, or "" for the heart
    zone: str  # upper, middle, lower: of a consolidation
    seed: int  # of its outline


@dataclass(frozen=True)
class Frame:
    """Where the thorax lies in the image: thorax coordinates of every pixel, and their units in pixels."""

    grid: canvas.Grid
    u: np.ndarray  # rows x columns
    v: np.ndarray  # rows x 1
    apex: float
    centre: float
    tilt: float
    height: float
    width: float
    dome: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.u.shape

    def point(self, side: str, u: float, v: float) -> canvas.Point:
        """Thorax coordinates in pixels.

        Args:
            side: left or right.
            u: away from the midline on `side`.
            v: down from the apex.

        Returns:
            (y, x) in pixels.
        """
        y = self.apex + v * self.height
        return y, self.centre + SIGN[side] * u * self.width + self.tilt * (y - self.shape[0] / 2)

    def ellipse(
        self, side: str, u: float, v: float, du: float, dv: float, softness: float, angle: float = 0.0
    ) -> np.ndarray:
        """A soft ellipse of half-axes `du`, `dv` in thorax units.

        Args:
            side: of the lung.
            u: of the centre, from the midline outwards.
            v: of the centre, from the apex downwards.
            du: half-axis across.
            dv: half-axis along.
            softness: of the edge.
            angle: of the axes, in radians.
        """
        radii = (dv * self.height, du * self.width)
        return canvas.soft_ellipse(self.grid, self.point(side, u, v), radii, angle * SIGN[side], softness)

    def line(self, side: str, p: tuple[float, float], q: tuple[float, float], width: float) -> np.ndarray:
        """A soft line between (u, v) points, `width` in lung heights.

        Args:
            side: of the lung.
            p: one end, (u, v).
            q: the other end, (u, v).
            width: in lung heights.
        """
        ends = (self.point(side, *p), self.point(side, *q))
        return canvas.line(self.grid, *ends, width=width * self.height, softness=2)

    def heart(self, ratio: float, turn: float) -> np.ndarray:
        """The heart's shadow at a cardiothoracic ratio: two thirds of its width lie left of the midline.

        Args:
            ratio: cardiothoracic.
            turn: of the heart's axis.
        """
        return self.ellipse("left", 0.3 * ratio, 0.80, 0.97 * ratio, 0.155 + 0.16 * ratio, softness=5, angle=turn * 0.6)


@dataclass(frozen=True)
class Normal:
    """What the normal body offers to findings: masks, the texture of vessels, grey levels."""

    lungs: Mapping[str, np.ndarray]
    both: np.ndarray
    body: np.ndarray
    vessels: np.ndarray
    tissue: float
    air: float

    def dense(self, image: np.ndarray, opacity: np.ndarray, share: float, over: float = 0.04) -> np.ndarray:
        """Raises the image by `share` of what is missing to `over` more than soft tissue.

        Args:
            image: rows x columns.
            opacity: 0 to 1, of the same shape.
            share: of the difference.
            over: above soft tissue, in grey values.
        """
        missing = np.maximum(np.float32(self.tissue + over) - image, 0)
        return image + opacity * missing * np.float32(share)


def lung(frame: Frame, side: str) -> np.ndarray:
    """The opacity mask of one lung: medial and lateral edges over v, the diaphragm's dome over u.

    Args:
        frame: of the thorax.
        side: which lung.
    """
    along = np.float32(SIGN[side]) * frame.u
    return (
        canvas.ramp((along - _medial(frame.v)) * frame.width, 5)
        * canvas.ramp((_lateral(frame.v) - along) * frame.width, 4)
        * canvas.ramp((_diaphragm(frame, side, along) - frame.v) * frame.height, 5)
    )


def _lateral(v: np.ndarray) -> np.ndarray:
    return np.float32(0.42) + np.float32(0.56) * (1 - (1 - np.clip(v, 0, 1)) ** 2.2) ** np.float32(0.6)


def _medial(v: np.ndarray) -> np.ndarray:
    v = np.clip(v, 0, 1)
    return np.float32(0.42) - np.float32(0.27) * (1 - (1 - v) ** 4) + np.float32(0.08) * v**3


def _diaphragm(frame: Frame, side: str, along: np.ndarray) -> np.ndarray:
    lift = np.float32(frame.dome + (0.03 if side == "right" else 0.0))
    return 1 - lift * np.clip(1 - ((along - 0.48) / 0.5) ** 2, 0, 1)


def draw_effusion(
    rng: np.random.Generator, frame: Frame, normal: Normal, image: np.ndarray, finding: Finding
) -> tuple[np.ndarray, np.ndarray]:
    """Fluid in the costophrenic angle with a meniscus that climbs the chest wall; severity: its height and density."""
    along = np.float32(SIGN[finding.side]) * frame.u
    height = 0.24 + 0.30 * finding.severity
    climb = np.clip(along, 0, 1) ** 3
    level = 0.3 + 0.25 * finding.severity  # a low level hides behind the dome, so that mild fluid is a wedge
    surface = 1.02 - height * (level + (1 - level) * climb)
    hollow = np.minimum(normal.lungs[finding.side] * 3, 1)  # fluid blurs the diaphragm's outline
    fluid = canvas.ramp((frame.v - surface) * frame.height, 4 + 6 * (1 - finding.severity)) * hollow
    return normal.dense(image, fluid, 0.7 + 0.3 * finding.severity, 0.32), fluid


def draw_pneumothorax(
    rng: np.random.Generator, frame: Frame, normal: Normal, image: np.ndarray, finding: Finding
) -> tuple[np.ndarray, np.ndarray]:
    """A dark rim without vessels at apex and lateral wall, and the pleural line; severity: its width and length."""
    along = np.float32(SIGN[finding.side]) * frame.u
    depth = 0.14 + 0.24 * finding.severity
    end = 0.34 + 0.42 * finding.severity
    taper = np.sqrt(np.clip(1 - (np.maximum(frame.v, 0) / end) ** 2, 0, 1)).astype(np.float32)
    edge = np.minimum(_lateral(frame.v) - depth * taper, 1.2)
    # Above the collapsed apex the whole width of the pleural space is air.
    below = canvas.ramp((frame.v - 0.6 * depth) * frame.height, 1.5)
    collapsed = canvas.ramp((edge - along) * frame.width, 1.5) * below
    space = canvas.ramp((end - frame.v) * frame.height, 4) * normal.lungs[finding.side]
    free = (1 - collapsed) * space
    rim = 4 * collapsed * (1 - collapsed) * space
    darker = np.float32(0.18 + 0.14 * finding.severity)
    image = image - free * (darker + np.float32(0.030) * normal.vessels * (1 - 0.5 * np.minimum(np.abs(frame.u), 1)))
    return image + rim * np.float32(0.10 + 0.08 * finding.severity), free


def draw_atelectasis(
    rng: np.random.Generator, frame: Frame, normal: Normal, image: np.ndarray, finding: Finding
) -> tuple[np.ndarray, np.ndarray]:
    """One to three plate-like bands at the lung base; severity: their number, length and density."""
    bands = 1 + int(finding.severity > 0.35) + int(finding.severity > 0.75)
    reach, level = rng.uniform(0.55, 0.68), rng.uniform(0.64, 0.72)
    half = 0.19 + 0.15 * finding.severity
    slope = rng.uniform(-0.12, 0.12)
    extent = np.zeros(frame.shape, np.float32)
    for band in range(bands):
        v = level + band * rng.uniform(0.075, 0.095)
        p, q = (reach - half, v - slope * half), (reach + half, v + slope * half)
        extent = np.maximum(
            extent, frame.line(finding.side, p, q, rng.uniform(0.038, 0.048) + 0.012 * finding.severity)
        )
    extent = extent * normal.lungs[finding.side]
    return normal.dense(image, extent, 0.55 + 0.45 * finding.severity, 0.32), extent


def draw_consolidation(
    rng: np.random.Generator, frame: Frame, normal: Normal, image: np.ndarray, finding: Finding
) -> tuple[np.ndarray, np.ndarray]:
    """A patchy blob near the chest wall of one zone; severity: its radius and density."""
    reach = ZONE_REACH[finding.zone] + rng.uniform(-0.06, 0.06)
    level = ZONE_HEIGHT[finding.zone] + rng.uniform(-0.05, 0.05)
    radius = (0.11 + 0.09 * finding.severity) * frame.height
    centre = frame.point(finding.side, reach, level)
    extent = canvas.blob(rng, frame.grid, centre, radius, 0.16, softness=radius * 0.55) * normal.lungs[finding.side]
    patchy = extent * np.clip(1 + np.float32(0.3) * normal.vessels, 0, 1.5)
    return normal.dense(image, patchy, 0.5 + 0.45 * finding.severity, 0.38), extent


def draw_cardiomegaly(
    rng: np.random.Generator, frame: Frame, normal: Normal, image: np.ndarray, finding: Finding
) -> tuple[np.ndarray, np.ndarray]:
    """A heart of cardiothoracic ratio 0.56 to 0.74 in place of the normal one; the extent is the whole heart."""
    heart = frame.heart(0.56 + 0.18 * finding.severity, rng.uniform(-0.7, -0.3))
    return normal.dense(image, heart, 0.92, 0.05 + 0.10 * finding.severity), heart  # thicker, so denser


LESIONS = {
    "Cardiomegaly": draw_cardiomegaly,
    "Atelectasis": draw_atelectasis,
    "Consolidation": draw_consolidation,
    "Pneumothorax": draw_pneumothorax,
    "Pleural Effusion": draw_effusion,
}


def draw_breasts(rng: np.random.Generator, frame: Frame, normal: Normal, image: np.ndarray, side: str) -> np.ndarray:
    """Symmetrical haze over both lower zones, with an edge that resembles a fluid level."""
    reach, level, haze = rng.uniform(0.52, 0.68), rng.uniform(0.78, 0.92), rng.uniform(0.03, 0.07)
    for each in ("left", "right"):
        image = image + np.float32(haze) * frame.ellipse(each, reach, level, 0.46, 0.26, softness=9) * normal.body
    return image


def draw_nipples(rng: np.random.Generator, frame: Frame, normal: Normal, image: np.ndarray, side: str) -> np.ndarray:
    """A small round density in one or both lower zones."""
    reach, level = rng.uniform(0.5, 0.7), rng.uniform(0.66, 0.8)
    for each in ("left", "right") if rng.random() < 0.5 else (side,):
        image = image + np.float32(0.13) * frame.ellipse(each, reach, level, 0.045, 0.03, softness=3)
    return image


def draw_skin_fold(rng: np.random.Generator, frame: Frame, normal: Normal, image: np.ndarray, side: str) -> np.ndarray:
    """A line along the lateral chest like a pleural line, but with lung markings on both sides and no dark rim."""
    reach = rng.uniform(0.6, 0.85)
    fold = frame.line(side, (reach - 0.12, rng.uniform(0.0, 0.15)), (reach + 0.08, rng.uniform(0.6, 1.0)), 0.018)
    return image + np.float32(0.09) * fold


def draw_granuloma(rng: np.random.Generator, frame: Frame, normal: Normal, image: np.ndarray, side: str) -> np.ndarray:
    """A tiny calcified nodule anywhere in one lung."""
    place = (rng.uniform(0.35, 0.8), rng.uniform(0.2, 0.75))
    return image + np.float32(0.25) * frame.ellipse(side, *place, 0.02, 0.014, softness=2) * normal.lungs[side]


def draw_gastric_bubble(
    rng: np.random.Generator, frame: Frame, normal: Normal, image: np.ndarray, side: str
) -> np.ndarray:
    """Air below the left dome."""
    size = rng.uniform(0.10, 0.18)
    bubble = frame.ellipse("left", rng.uniform(0.4, 0.6), 1.04, size * 1.4, size * 0.5, softness=5)
    return image - np.float32(0.14) * bubble * (1 - normal.both)


def draw_clothing(rng: np.random.Generator, frame: Frame, normal: Normal, image: np.ndarray, side: str) -> np.ndarray:
    """A fold of cloth: a faint broad band across one shoulder and upper zone."""
    start, end = (rng.uniform(0.2, 0.5), -0.15), (rng.uniform(0.7, 1.1), rng.uniform(0.3, 0.6))
    return image + np.float32(0.05) * frame.line(side, start, end, rng.uniform(0.05, 0.09))


def draw_leads(rng: np.random.Generator, frame: Frame, normal: Normal, image: np.ndarray, side: str) -> np.ndarray:
    """Three ECG electrodes with their wires."""
    for each, u, v in (("left", 0.62, 0.12), ("right", 0.62, 0.12), (side, 0.7, 0.85)):
        place = (u + rng.uniform(-0.1, 0.1), v + rng.uniform(-0.06, 0.06))
        image = image + np.float32(0.28) * frame.ellipse(each, *place, 0.04, 0.026, softness=2)
        image = image + np.float32(0.10) * frame.line(each, place, (place[0] + 0.35, place[1] + 0.5), 0.010)
    return image


def draw_tube(rng: np.random.Generator, frame: Frame, normal: Normal, image: np.ndarray, side: str) -> np.ndarray:
    """An endotracheal tube in the midline, or a central line from one side's clavicle to the heart."""
    if rng.random() < 0.5:
        return image + np.float32(0.16) * frame.line(side, (0.01, -0.3), (0.0, rng.uniform(0.18, 0.3)), 0.02)
    bend = (0.13, rng.uniform(0.12, 0.2))
    image = image + np.float32(0.18) * frame.line(side, (0.6, -0.05), bend, 0.012)
    return image + np.float32(0.18) * frame.line(side, bend, (0.12, rng.uniform(0.4, 0.6)), 0.012)


DISTRACTORS = {
    "breasts": draw_breasts,
    "nipples": draw_nipples,
    "skin fold": draw_skin_fold,
    "granuloma": draw_granuloma,
    "gastric bubble": draw_gastric_bubble,
    "clothing": draw_clothing,
    "leads": draw_leads,
    "tube": draw_tube,
}
