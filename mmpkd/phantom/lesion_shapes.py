"""Draws a lesion's descriptors: what the words of `lesions.py` look like.

Lengths are in units of 1/64 of the image's height (`unit` original pixels each), so that a descriptor that is visible
in the original is still visible after the image was shrunk. For the same reason a word sets brightness and number as
well as outline: suspicious words are denser and have more particles. Opacities go from 0 to about 1.
"""

import numpy as np
from scipy.spatial import ConvexHull
from skimage.draw import polygon2mask

from mmpkd.phantom import canvas
from mmpkd.phantom.lesions import ASYMMETRIES, Lesion

RADIUS = (5.0, 8.0)  # smallest and largest, in units
MARGIN = 0.6  # units that a reader's outline leaves around a lesion

# outline of a mass: (lowest harmonic, highest harmonic, amplitude)
OUTLINES = {
    "ROUND": (2, 3, 0.02),
    "OVAL": (2, 3, 0.02),
    "LOBULATED": (3, 4, 0.14),
    "IRREGULAR": (2, 7, 0.30),
    "ARCHITECTURAL_DISTORTION": (2, 5, 0.2),
    "LYMPH_NODE": (2, 3, 0.02),
    "FOCAL_ASYMMETRIC_DENSITY": (2, 5, 0.15),
    "ASYMMETRIC_BREAST_TISSUE": (2, 5, 0.15),
}
# margins of a mass: (width of the edge in radii, brightness of the core); OBSCURED is sharp on one side only
MARGINS = {
    "CIRCUMSCRIBED": (0.1, 0.62),
    "OBSCURED": (0.5, 0.58),
    "ILL_DEFINED": (1.0, 0.90),
    "MICROLOBULATED": (0.12, 0.95),
    "SPICULATED": (0.6, 1.15),
}
# a type's particles: number, width (units) and brightness, each as (least, most)
PARTICLES = {
    "PUNCTATE": ((4, 7), (0.48, 0.54), (0.60, 0.70)),
    "AMORPHOUS": ((14, 20), (0.60, 0.80), (0.40, 0.50)),
    "PLEOMORPHIC": ((18, 28), (0.40, 0.80), (0.8, 1.4)),
    "FINE_LINEAR_BRANCHING": ((9, 13), (0.40, 0.46), (1.0, 1.3)),
    "COARSE": ((2, 3), (1.0, 1.3), (0.75, 0.85)),
    "ROUND_AND_REGULAR": ((3, 4), (0.70, 0.85), (0.65, 0.75)),
    "LUCENT_CENTER": ((1, 2), (0.42, 0.46), (0.60, 0.70)),
    "VASCULAR": ((1, 1), (0.46, 0.50), (0.55, 0.65)),
}


def radius(lesion: Lesion, unit: float) -> float:
    """The lesion's nominal radius in original pixels.

    Args:
        lesion: what is drawn.
        unit: original pixels per unit of length, see the top of this module.
    """
    return unit * (RADIUS[0] + (RADIUS[1] - RADIUS[0]) * lesion.size)


def reach(lesion: Lesion, unit: float) -> float:
    """How far from its centre the lesion's drawing goes, in original pixels.

    Args:
        lesion: what is drawn.
        unit: original pixels per unit of length, see the top of this module.
    """
    if lesion.kind == "mass":
        return 2.3 * radius(lesion, unit) + 2 * unit
    return (2.0 if {"REGIONAL", "DIFFUSELY_SCATTERED"} & set(lesion.pattern) else 1.5) * radius(lesion, unit) + 3 * unit


def draw(
    rng: np.random.Generator, grid: canvas.Grid, centre: canvas.Point, lesion: Lesion, unit: float, nipple: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a lesion.

    Args:
        rng: the source of randomness.
        grid: pixel centres.
        centre: (y, x) in pixels.
        lesion: what is drawn.
        unit: pixels of 1/64 of the image's height.
        nipple: the direction (radians, from the x axis towards y) in which ducts run to the nipple.

    Returns:
        The lesion's opacity and its outline as a boolean mask, both over `grid`.
    """
    if lesion.kind == "mass":
        return _mass(rng, grid, centre, lesion, radius(lesion, unit), unit)
    points, widths, brightness = _particles(rng, lesion, radius(lesion, unit), unit, nipple)
    points += centre - points.mean(axis=0)  # centred, so that the outline holds a pixel of the breast in any case
    opacity = specks(grid, points, widths, brightness)
    return opacity, _hull(opacity.shape, grid, points, margins=MARGIN * unit + 1.6 * widths)


def specks(grid: canvas.Grid, points: np.ndarray, widths: np.ndarray, brightness: np.ndarray) -> np.ndarray:
    """The sum of round Gaussians, clipped at 1.2; separable, so one matrix product.

    Args:
        grid: pixel centres.
        points: N x 2: y, x.
        widths: N, standard deviations in pixels.
        brightness: N.
    """
    y, x = grid
    across_y = np.exp(-0.5 * ((y.T - points[:, :1]) / widths[:, None]) ** 2)
    across_x = np.exp(-0.5 * ((x - points[:, 1:]) / widths[:, None]) ** 2)
    return np.minimum((across_y * brightness[:, None]).T @ across_x, 1.2).astype(np.float32)


def _mass(
    rng: np.random.Generator, grid: canvas.Grid, centre: canvas.Point, lesion: Lesion, size: float, unit: float
) -> tuple[np.ndarray, np.ndarray]:
    shape, margins = lesion.form, lesion.pattern
    y, x = grid[0] - centre[0], grid[1] - centre[1]
    turn = rng.uniform(0, np.pi)
    stretch = rng.uniform(1.35, 1.6) if shape in ("OVAL", "LYMPH_NODE") else 1.0
    along, across = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    along, across = along / np.sqrt(stretch), across * np.sqrt(stretch)
    angle, distance = np.arctan2(across, along), np.hypot(along, across)

    outline = size * (1 + _wave(rng, angle, *OUTLINES[shape]))
    if "MICROLOBULATED" in margins:
        outline = outline * (1 + _wave(rng, angle, 9, 11, 0.13))
    edge, brightness = np.mean([MARGINS[word] for word in margins], axis=0)
    if "OBSCURED" in margins:  # overlying tissue hides about half of the edge
        edge = np.where(np.cos(angle - rng.uniform(-np.pi, np.pi)) > 0, 0.15, 1.4)
    body = brightness * np.clip((outline - distance) / (edge * size) + 0.5, 0, 1)
    mask = distance < outline + MARGIN * unit
    if shape == "ARCHITECTURAL_DISTORTION":
        body = 0.35 * body
    elif shape == "LYMPH_NODE":  # its hilum is fat
        body = body * (1 - 0.8 * np.clip(1.2 - distance / (0.5 * size), 0, 1))
    elif shape in ASYMMETRIES:
        body = 0.7 * body
    if "SPICULATED" in margins or shape == "ARCHITECTURAL_DISTORTION":
        body = np.maximum(body, _spicules(rng, grid, centre, size, unit))
        mask |= np.hypot(y, x) < 1.45 * size
    return body.astype(np.float32), mask


def _wave(rng: np.random.Generator, angle: np.ndarray, lowest: int, highest: int, amplitude: float) -> np.ndarray:
    """A random periodic function of the angle with harmonics lowest..highest and the given root mean square."""
    harmonics = np.arange(lowest, highest + 1)
    phases = rng.uniform(0, 2 * np.pi, len(harmonics))
    # Tabulated: a lookup is far cheaper than harmonics of an angle in every pixel.
    turns = np.linspace(-np.pi, np.pi, 257)
    table = np.cos(harmonics[:, None] * turns + phases[:, None]).sum(axis=0) * amplitude * np.sqrt(2 / len(harmonics))
    table = np.maximum(table, -0.6)
    return table[np.rint((angle + np.pi) * (256 / (2 * np.pi))).astype(np.intp)]


def _spicules(
    rng: np.random.Generator, grid: canvas.Grid, centre: canvas.Point, size: float, unit: float
) -> np.ndarray:
    """Fine lines that radiate from the centre and fade outwards."""
    count = int(rng.integers(8, 13))
    turns = 2 * np.pi * (np.arange(count) + rng.uniform(-0.3, 0.3, count)) / count
    lengths = size * rng.uniform(1.5, 2.1, count)
    steps = np.linspace(0.3, 1.0, 20)
    directions = np.stack([np.sin(turns), np.cos(turns)], axis=1)
    points = centre + (lengths[:, None, None] * steps[None, :, None] * directions[:, None, :]).reshape(-1, 2)
    fade = np.tile(0.9 * (1.15 - steps), count)
    return np.minimum(specks(grid, points, np.full(len(points), 0.4 * unit), fade), 1.0)


def _particles(
    rng: np.random.Generator, lesion: Lesion, size: float, unit: float, nipple: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (around 0, 0), widths and brightness of the Gaussians that make a calcification."""
    kind = lesion.form
    (least, most), width, light = PARTICLES[kind]
    count = int(rng.integers(least, most + 1))
    points = _spread(rng, lesion.pattern[0], count, size, nipple)
    widths, brightness = rng.uniform(*width, count) * unit, rng.uniform(*light, count)
    if kind == "FINE_LINEAR_BRANCHING":
        strokes = [_branch(rng, 1.5 * unit) for _ in range(count)]
    elif kind == "LUCENT_CENTER":
        turns = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        strokes = [rng.uniform(1.2, 1.6) * unit * np.stack([np.sin(turns), np.cos(turns)], axis=1)] * count
    elif kind == "VASCULAR":
        points, strokes = np.zeros((count, 2)), [_track(rng, size, unit, nipple)] * count
    else:
        return points, widths, brightness
    repeats = [len(stroke) for stroke in strokes]
    points = np.repeat(points, repeats, axis=0) + np.concatenate(strokes)
    return points, np.repeat(widths, repeats), 0.6 * np.repeat(brightness, repeats)


def _spread(rng: np.random.Generator, distribution: str, count: int, size: float, nipple: float) -> np.ndarray:
    """Positions of a distribution around 0, 0: a cluster, a line, a wedge towards the nipple, or a wide region."""
    if distribution in ("LINEAR", "SEGMENTAL"):
        along = np.sort(rng.uniform(-1.2, 1.2, count))
        narrow = 0.12 if distribution == "LINEAR" else 0.12 + 0.3 * (1.2 - along)
        across = rng.uniform(-1, 1, count) * narrow
        direction = np.array([np.sin(nipple), np.cos(nipple)])
        return size * (along[:, None] * direction + across[:, None] * direction[::-1] * [1, -1])
    wide = {"CLUSTERED": 0.75, "REGIONAL": 1.4, "DIFFUSELY_SCATTERED": 1.9}[distribution]
    turns, radii = rng.uniform(0, 2 * np.pi, count), wide * size * np.sqrt(rng.random(count))
    return radii[:, None] * np.stack([np.sin(turns), np.cos(turns)], axis=1)


def _branch(rng: np.random.Generator, length: float) -> np.ndarray:
    """A short stroke that forks: points along a Y, N x 2."""
    turn = rng.uniform(0, 2 * np.pi)
    steps = np.linspace(0, 1, 5)[:, None]
    arms = [np.array([np.sin(turn + fork), np.cos(turn + fork)]) for fork in (np.pi, 0.5, -0.5)]
    return np.concatenate([length * steps * arm for arm in arms])


def _track(rng: np.random.Generator, size: float, unit: float, nipple: float) -> np.ndarray:
    """The two walls of a calcified artery: parallel curved rows of points."""
    along = np.linspace(-1.3, 1.3, 16)
    bend = rng.uniform(-0.35, 0.35)
    direction = np.array([np.sin(nipple), np.cos(nipple)])
    normal = direction[::-1] * [1, -1]
    middle = size * (along[:, None] * direction + bend * (along[:, None] ** 2 - 0.8) * normal)
    return np.concatenate([middle + 0.8 * unit * normal, middle - 0.8 * unit * normal])


def _hull(shape: tuple[int, ...], grid: canvas.Grid, points: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """The convex hull of the particles, each grown by its margin, as a reader outlines a group."""
    turns = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    circle = np.stack([np.sin(turns), np.cos(turns)], axis=1)
    around = (points[:, None, :] + margins[:, None, None] * circle).reshape(-1, 2)
    corners = around[ConvexHull(around).vertices]
    return polygon2mask(shape, corners - (grid[0][0, 0], grid[1][0, 0]))
