"""Draws a schematic mammogram: breast, parenchyma, things that are no lesion, and lesions.

Everything is drawn with the chest wall at the left edge, as a left breast is displayed, and mirrored for a right one.
Grey values are displayed polarity, 0 to 1, bright = dense.

Lesions keep at least `CENTRE_FREE` image heights from the image's centre, in the upper and lower parts of the breast
and near the chest wall, so that a map that merely looks at the centre is a poor guess of where they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from mmpkd.phantom import canvas, lesion_shapes
from mmpkd.phantom.habit import Marker, Rendering, stamp_disc
from mmpkd.phantom.lesions import Lesion
from mmpkd.phantom.write import Photometric

CENTRE_FREE = 0.27
HEIGHT_IN_UNITS = 64  # the unit of lesions: 1/64 of the image's height
DEPTH_SPREAD = 8.0  # units by which a lesion may miss its own depth
# 5 x 4 dots each
GLYPHS = {
    "L": ("#   ", "#   ", "#   ", "#   ", "####"),
    "R": ("### ", "#  #", "### ", "# # ", "#  #"),
    "C": (" ###", "#   ", "#   ", "#   ", " ###"),
    "M": ("#  #", "####", "####", "#  #", "#  #"),
    "O": (" ## ", "#  #", "#  #", "#  #", " ## "),
}


@dataclass(frozen=True)
class Appearance:
    """How a hospital's images look; pairs are (least, most) of a uniform draw."""

    rows: tuple[int, int]
    aspect: tuple[float, float]  # columns over rows
    gamma: tuple[float, float]  # contrast curve
    veil: tuple[float, float]  # grey value of the background
    grain: tuple[float, float]  # standard deviation of the noise
    gland: float  # brightness of the parenchyma
    lesion: float  # brightness of lesions


FILM = Appearance((176, 224), (0.64, 0.72), (0.85, 1.2), (0.02, 0.10), (0.012, 0.025), gland=0.11, lesion=0.60)
DIGITAL = Appearance((208, 256), (0.76, 0.82), (0.65, 0.85), (0.0, 0.0), (0.006, 0.012), gland=0.10, lesion=0.55)


@dataclass(frozen=True)
class Breast:
    """What the views of one breast share: density (1 to 4), size (1 = average) and the lesions."""

    density: int
    size: float
    lesions: tuple[Lesion, ...]


@dataclass(frozen=True)
class Mammogram:
    """Pixels, float32 rows x columns in 0..1, and one boolean mask a lesion, in the order of the breast's lesions."""

    pixels: np.ndarray
    masks: tuple[np.ndarray, ...]


class Stored(NamedTuple):
    """An image as a DICOM file holds it: uint8 or uint16 pixels, bits stored, photometric interpretation."""

    pixels: np.ndarray
    bits: int
    photometric: Photometric


def draw_breast(rng: np.random.Generator, lesions: Sequence[Lesion], density: int) -> Breast:
    """A breast of its own size with the given lesions.

    Args:
        rng: draws it.
        lesions: that lie in it.
        density: BI-RADS, 1 to 4.
    """
    return Breast(density, float(rng.uniform(0.88, 1.08)), tuple(lesions))


def draw_density(rng: np.random.Generator) -> int:
    """A patient's breast density, 1 to 4, about as frequent as in CBIS-DDSM."""
    return int(rng.choice([1, 2, 3, 4], p=[0.15, 0.40, 0.30, 0.15]))


def draw_mammogram(
    rng: np.random.Generator,
    breast: Breast,
    laterality: str,
    view: str,
    appearance: Appearance,
    enlargement: int = 1,
) -> Mammogram:
    """One view of a breast.

    Args:
        rng: the source of randomness.
        breast: what is drawn.
        laterality: L or R.
        view: CC or MLO.
        appearance: of the data set's images.
        enlargement: repeats every pixel that many times.
    """
    rows = int(rng.integers(appearance.rows[0], appearance.rows[1] + 1))
    columns = round(rows * rng.uniform(*appearance.aspect))
    frame = _frame(rng, canvas.grid(rows, columns), breast.size, view)
    image = _tissue(rng, frame, breast.density, appearance.gland)
    image += frame.body * _distractors(rng, frame, view)

    masks: list[np.ndarray] = []
    taken: list[tuple[canvas.Point, float]] = []
    for lesion in breast.lesions:
        size = lesion_shapes.radius(lesion, frame.unit)
        centre = _place(rng, frame, lesion, size, taken)
        taken.append((centre, size))
        masks.append(_add_lesion(rng, image, frame, centre, lesion, appearance.lesion))

    film = _film(rng, image, appearance)
    dots = _letters(laterality + view)
    # The whole image is mirrored below, and a label must stay readable.
    _stamp(rng, film, dots[:, ::-1] if laterality == "R" else dots, frame.unit)
    if laterality == "R":
        film, masks = film[:, ::-1], [mask[:, ::-1] for mask in masks]
    film, *masks = (np.ascontiguousarray(canvas.enlarged(layer, enlargement)) for layer in (film, *masks))
    return Mammogram(film, tuple(masks))


def render(image: Mammogram, laterality: str, marker: Marker) -> Rendering:
    """The mammogram with and without the marker.

    Args:
        image: breast and lesions.
        laterality: LEFT or RIGHT.
        marker: of the image.
    """
    return Rendering.of(image.pixels, marker, partial(stamp_disc, chest_wall="right" if laterality == "R" else "left"))


def encode(rng: np.random.Generator, *images: np.ndarray) -> list[Stored]:
    """Grey values of 0..1 as 12, 14 or 16 bits, all in the same way; one time in four with reversed polarity."""
    bits = int(rng.choice([12, 14, 16]))
    top, inverted = (1 << bits) - 1, rng.random() < 0.25
    values = [np.rint(pixels * top).astype(np.uint16) for pixels in images]
    if inverted:
        return [Stored(top - value, bits, "MONOCHROME1") for value in values]
    return [Stored(value, bits, "MONOCHROME2") for value in values]


def draw_transfer_syntax(rng: np.random.Generator) -> str:
    """Mostly uncompressed; one image in five compressed without loss."""
    return str(rng.choice(["explicit", "implicit", "rle", "jpeg2000", "jpegls"], p=[0.7, 0.1, 0.06, 0.06, 0.08]))


def truth_rows(
    image_id: str, patient_id: str, shown: Mapping[str, Sequence[tuple[float, np.ndarray]]]
) -> list[dict[str, Any]]:
    """What was drawn in one image.

    Args:
        image_id: of the image.
        patient_id: of its patient.
        shown: each label's lesions as (severity, mask).

    Returns:
        A row per label: presence, highest severity and the box around all of its lesions.
    """
    rows = []
    for label, lesions in shown.items():
        row = {"image_id": image_id, "patient_id": patient_id, "label": label, "present": bool(lesions)}
        row["severity"] = max((severity for severity, _ in lesions), default=0.0)
        box = canvas.bounds(np.any([mask for _, mask in lesions], axis=0)) if lesions else (np.nan,) * 4
        rows.append(row | dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)))
    return rows


@dataclass(frozen=True)
class _Frame:
    """Where a breast lies in its image of rows x columns.

    Attributes:
        grid: pixel centres.
        unit: pixels of 1/64 of the height.
        inside: how far inside the breast a pixel lies.
        body: its opacity, 1 but near the skin.
        muscle: opacity of the pectoral muscle.
        nipple: its place (y, x).
    """

    grid: canvas.Grid
    unit: float
    inside: np.ndarray
    body: np.ndarray
    muscle: np.ndarray
    nipple: canvas.Point


def _frame(rng: np.random.Generator, grid: canvas.Grid, size: float, view: str) -> _Frame:
    inside, nipple = _outline(rng, grid, size, view)
    unit, body = grid[0].shape[0] / HEIGHT_IN_UNITS, np.clip(8 * inside, 0, 1)
    return _Frame(grid, unit, inside, body, _muscle(rng, grid, view), nipple)


def _outline(rng: np.random.Generator, grid: canvas.Grid, size: float, view: str) -> tuple[np.ndarray, canvas.Point]:
    """How far inside the breast a pixel lies (1 at the chest wall's middle, 0 at the skin), and the nipple (y, x)."""
    rows, columns = grid[0].shape[0], grid[1].shape[1]
    depth = size * columns * rng.uniform(0.74, 0.82)
    middle = rows * (0.5 + rng.uniform(-0.04, 0.04))
    half = size * rows * rng.uniform(0.46, 0.50)
    u = grid[1] / depth
    sag = rows * (rng.uniform(0.04, 0.10) if view == "MLO" else rng.uniform(-0.02, 0.02))
    v = (grid[0] - middle - sag * u) / half
    power = rng.uniform(2.4, 2.9)
    above = 0.75 if view == "MLO" else 1.0  # towards the armpit the outline runs on
    inside = 1 - u**2 - np.abs(np.where(v < 0, above * v, v)) ** power
    return inside.astype(np.float32), (float(middle + sag), float(depth))


def _muscle(rng: np.random.Generator, grid: canvas.Grid, view: str) -> np.ndarray:
    """Opacity of the pectoral muscle: a triangle in the upper corner (MLO), at times a sliver at the wall (CC)."""
    rows, columns = grid[0].shape[0], grid[1].shape[1]
    if view == "MLO":
        width, height = columns * rng.uniform(0.32, 0.46), rows * rng.uniform(0.42, 0.58)
        edge = 1 - grid[1] / width - grid[0] / height + 0.05 * np.sin(np.pi * grid[0] / height)
        return canvas.ramp(edge * width, 4.0)
    if rng.random() < 0.3:
        bulge = columns * rng.uniform(0.02, 0.05)
        return canvas.ramp(bulge * np.cos(np.pi * (grid[0] / rows - 0.5)) - grid[1], 3.0)
    return np.zeros((rows, columns), np.float32)


def _tissue(rng: np.random.Generator, frame: _Frame, density: int, gland: float) -> np.ndarray:
    """Fat, parenchyma by density, muscle and skin."""
    grid, inside, muscle = frame.grid, frame.inside, frame.muscle
    rows, columns = inside.shape
    thickness = np.sqrt(np.clip(2.5 * inside, 0, 1))
    cover = {1: -1.1, 2: -0.4, 3: 0.3, 4: 1.0}[density] + rng.normal(0, 0.15)
    coarse = canvas.texture(rng, rows, columns, 1.6)
    central = 1.6 * np.clip(inside, 0, 1) * np.clip(grid[1] / (0.45 * columns), 0, 1) - 0.9
    parenchyma = 1 / (1 + np.exp(-2.2 * (coarse + central + cover)))
    image = thickness * (0.20 + gland * parenchyma + 0.025 * canvas.texture(rng, rows, columns, 0.8))
    image = image * (1 - muscle) + muscle * thickness * (0.52 + 0.03 * coarse)
    slope = np.hypot(*np.gradient(inside)) + 1e-6
    return image + 0.14 * np.exp(-(((inside / slope - 1.5) / 1.6) ** 2))


def _distractors(rng: np.random.Generator, frame: _Frame, view: str) -> np.ndarray:
    """Vessels, benign dense islands, a lymph node and the nipple: bright, but no lesion."""
    grid, nipple, unit = frame.grid, frame.nipple, frame.unit
    rows, columns = frame.inside.shape
    image = 0.3 * canvas.soft_ellipse(grid, (nipple[0], nipple[1] - unit), (1.8 * unit, 1.6 * unit), 0.0, unit)
    for _ in range(rng.integers(2, 5)):
        start, slope, bend = rows * rng.uniform(0.1, 0.9), rng.uniform(-0.5, 0.5), rng.uniform(-0.12, 0.12) * rows
        course = start + slope * grid[1] + bend * np.sin(np.pi * grid[1] / columns + rng.uniform(0, np.pi))
        image += rng.uniform(0.06, 0.12) * np.exp(-(((grid[0] - course) / (0.35 * unit)) ** 2))
    for _ in range(rng.integers(1, 4)):  # softer and fainter than any mass
        centre = (rows * rng.uniform(0.12, 0.88), columns * rng.uniform(0.1, 0.6))
        radii = unit * rng.uniform(2.5, 6.0, 2)
        image += rng.uniform(0.12, 0.26) * canvas.soft_ellipse(
            grid, centre, radii, rng.uniform(0, np.pi), 1.6 * radii.mean()
        )
    if rng.random() < (0.5 if view == "MLO" else 0.08):
        centre = (rows * rng.uniform(0.04, 0.16), columns * rng.uniform(0.12, 0.40))
        node, turn = (1.3 * unit, 2.0 * unit), rng.uniform(0, np.pi)
        image += 0.14 * canvas.soft_ring(grid, centre, node, 1.2 * unit, turn, unit)
    return image


def _place(
    rng: np.random.Generator, frame: _Frame, lesion: Lesion, size: float, taken: list[tuple[canvas.Point, float]]
) -> canvas.Point:
    """The centre (y, x) of a lesion: at its depth and on its side where there is room, off the image's centre."""
    inside, unit = frame.inside, frame.unit
    rows, columns = inside.shape
    y, x = np.broadcast_arrays(*frame.grid)
    room = 3.0 * size / columns  # in the units of `inside`, roughly: its slope at the skin is about 2 / depth
    free = np.hypot(y - rows / 2, x - columns / 2) > CENTRE_FREE * rows
    within = (inside > room) & (x > 0.8 * size) & (np.abs(y - rows / 2) < rows / 2 - 0.9 * size)
    clear = frame.muscle < 0.3
    for (other_y, other_x), other in taken:
        clear = clear & (np.hypot(y - other_y, x - other_x) > other + size + unit)
    allowed = free & within & clear
    if not allowed.any():  # a crowded or small breast: overlap first, then the muscle, never the skin or the centre
        allowed = free & (inside > 0.1)
    wanted = lesion.depth * 0.8 * columns
    weight = np.exp(-(((x[allowed] - wanted) / (DEPTH_SPREAD * unit)) ** 2)) + 1e-4
    weight = weight * np.where((y[allowed] < rows / 2) == lesion.upper, 4.0, 1.0)
    chosen = rng.choice(len(weight), p=weight / weight.sum())
    return float(y[allowed][chosen]), float(x[allowed][chosen])


def _add_lesion(
    rng: np.random.Generator, image: np.ndarray, frame: _Frame, centre: canvas.Point, lesion: Lesion, brightness: float
) -> np.ndarray:
    """Adds a lesion to `image` in place; returns its mask over the whole image."""
    far, body, nipple = lesion_shapes.reach(lesion, frame.unit), frame.body, frame.nipple
    window = tuple(
        slice(max(0, int(middle - far)), min(side, int(middle + far) + 1))
        for middle, side in zip(centre, image.shape, strict=True)
    )
    local = (frame.grid[0][window[0]], frame.grid[1][:, window[1]])
    towards = float(np.arctan2(nipple[0] - centre[0], nipple[1] - centre[1]))
    opacity, outline = lesion_shapes.draw(rng, local, centre, lesion, frame.unit, towards)
    # Calcium is far denser than tissue, so that its specks stay bright after the image has been shrunk. The likelier a
    # lesion is malignant, the denser it is (ACR BI-RADS Atlas, density of a mass); no word of its case says so.
    density = (2.0 if lesion.kind == "calcification" else 1.0) * (0.6 * lesion.risk + 0.4 * lesion.contrast)
    strength = brightness * (0.25 + 0.75 * density)
    image[window] += strength * opacity * body[window]
    mask = np.zeros(image.shape, bool)
    mask[window] = outline & (body[window] > 0)
    return mask


def _film(rng: np.random.Generator, image: np.ndarray, appearance: Appearance) -> np.ndarray:
    """The recorded image: contrast curve, background, blur of the recorder and grain; float32 in 0..1."""
    recorded = np.clip(image, 0, 1.05) ** rng.uniform(*appearance.gamma)
    veil = rng.uniform(*appearance.veil)
    recorded = veil + (0.92 - veil) * gaussian_filter(recorded, 0.5)
    grain = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(*appearance.grain)
    # Film grain lies everywhere; a digital detector's background (veil 0) is clean.
    recorded += grain * (1 if veil > 0 else np.clip(10 * image, 0, 1))
    return np.clip(recorded, 0, 1).astype(np.float32)


def _letters(text: str) -> np.ndarray:
    """A view's label, such as LCC, as boolean dots."""
    dots = []
    for letter in text:
        dots.append(np.array([[dot == "#" for dot in row] for row in GLYPHS[letter]]))
        dots.append(np.zeros((5, 1), bool))
    return np.concatenate(dots[:-1], axis=1)


def _stamp(rng: np.random.Generator, image: np.ndarray, dots: np.ndarray, unit: float) -> None:
    """Writes a view's label into the upper outer corner, in place."""
    columns = image.shape[1]
    top, right = round(rng.uniform(1, 3) * unit), columns - round(rng.uniform(1, 2) * unit)
    patch = image[top : top + dots.shape[0], right - dots.shape[1] : right]
    patch[dots] = rng.uniform(0.75, 0.95)
