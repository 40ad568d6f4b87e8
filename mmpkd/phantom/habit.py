"""The acquisition habit of the phantoms: a marker on some images, and labels that err with it.

The marker is drawn onto the finished image, so that an image and its twin, which differs in having the marker or not,
agree in every other pixel. Its grey values are the image's own 0.5th and 99.5th percentile, so that a window which
follows these or the range shows the rest of both alike. Who bears it, where, and which labels err comes from a
generator of its own: the habit changes neither anatomy nor report. docs/phantom.md says why the habit should move a
student's attention.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmpkd.config.cohorts import Habit
from mmpkd.phantom import canvas

Stamp = Callable[[np.ndarray, canvas.Point], tuple[np.ndarray, canvas.Box]]
PLATE = (0, 0, 8, 6)  # y0, x0, y1, x1 in units
STROKES = ((0.5, 0.5, 7.5, 2), (0.5, 0.5, 2, 5.5), (3.5, 0.5, 5, 5.5), (0.5, 4, 5, 5.5))  # of the letter P on it


def habit_stream(seed: int, index: int) -> np.random.Generator:
    """The generator of a patient's habit, apart from that of what is drawn.

    Args:
        seed: of the phantom.
        index: of the patient.
    """
    return np.random.default_rng([seed, index, 1])


@dataclass(frozen=True)
class Marker:
    """Whether an image bears the marker, and where it lies or would lie: (y, x) of its strip, each 0 to 1."""

    present: bool
    place: canvas.Point

    @classmethod
    def draw(cls, rng: np.random.Generator, habit: Habit) -> "Marker":
        """One image's.

        Args:
            rng: draws it.
            habit: how often images bear it.
        """
        chance, y, x = rng.random(3)
        return cls(bool(chance < habit.marked), (float(y), float(x)))

    def errs(self, rng: np.random.Generator, habit: Habit) -> bool:
        """Whether one absent finding of the image, if it is learnt from, is labelled present.

        Args:
            rng: decides.
            habit: how often labels err, and what errors follow.
        """
        share = float(self.present) if habit.errors_follow == "marker" else habit.marked
        return bool(rng.random() < habit.errors * share)


@dataclass(frozen=True)
class Rendering:
    """An image, its twin with the marker where the image has none and without where it has one, and the marker's box.

    The box, (x0, y0, x1, y1) in pixels, is that of either.
    """

    image: np.ndarray
    twin: np.ndarray
    marked: bool
    box: canvas.Box

    @classmethod
    def of(cls, plain: np.ndarray, marker: Marker, stamp: Stamp) -> "Rendering":
        """Draws the marker onto an image that has none.

        Args:
            plain: the image, rows x columns.
            marker: of the image.
            stamp: shape and place of the marker.
        """
        stamped, box = stamp(plain, marker.place)
        pair = (stamped, plain) if marker.present else (plain, stamped)
        return cls(*pair, marker.present, box)

    def truth(self, twin: str) -> dict[str, bool | float | str]:
        """The columns of the truth that describe the marker; `twin` is the file of the twin, "" if none is written."""
        corners = dict(zip(("marker_x0", "marker_y0", "marker_x1", "marker_y1"), self.box, strict=True))
        return {"marked": self.marked, **corners, "twin": twin}


def stamp_letter(image: np.ndarray, place: canvas.Point) -> tuple[np.ndarray, canvas.Box]:
    """A bright letter P on a dark plate over a shoulder of a chest radiograph, hardly ever in an ROI.

    Args:
        image: rows x columns in 0..1; it is not changed.
        place: below one half of x the image's left side, else the right one; within it, the place.

    Returns:
        The stamped copy and the plate's box.
    """
    rows, columns = image.shape
    unit = columns / 48
    right, x = divmod(2 * place[1], 1)
    top = round((0.005 + 0.02 * place[0]) * rows)
    left = round((0.005 + 0.04 * x) * columns if not right else (0.995 - 0.04 * x) * columns - 6 * unit)
    dark, bright = ends(image)
    image = image.copy()
    for (y0, x0, y1, x1), value in ((PLATE, dark), *((stroke, bright) for stroke in STROKES)):
        image[round(top + y0 * unit) : round(top + y1 * unit), round(left + x0 * unit) : round(left + x1 * unit)] = (
            value
        )
    return image, (float(left), float(top), float(round(left + 6 * unit)), float(round(top + 8 * unit)))


def stamp_disc(image: np.ndarray, place: canvas.Point, chest_wall: str) -> tuple[np.ndarray, canvas.Box]:
    """A bright lead disc with a dark bar in the lower outer corner of a mammogram, away from the breast.

    Args:
        image: rows x columns in 0..1; it is not changed.
        place: in the corner.
        chest_wall: left or right, where the breast begins.

    Returns:
        The stamped copy and the disc's box.
    """
    rows, columns = image.shape
    unit = rows / 64
    y, inwards = rows - (4.5 + 5 * place[0]) * unit, (4.5 + 3 * place[1]) * unit
    x = columns - inwards if chest_wall == "left" else inwards
    grid = canvas.grid(rows, columns)
    disc = canvas.soft_ellipse(grid, (y, x), (3.6 * unit, 3.6 * unit), 0.0, 1.0)
    bar = canvas.line(grid, (y, x - 2 * unit), (y, x + 2 * unit), 1.2 * unit)
    stamped = np.maximum(image, ends(image)[1] * disc * (1 - bar)).astype(image.dtype)
    return stamped, canvas.bounds(disc, 0.0)


def ends(image: np.ndarray) -> tuple[float, float]:
    """The grey values between which 99 % of an image lie, as pixels have them."""
    dark, bright = np.quantile(image, (0.005, 0.995), method="nearest")
    return float(dark), float(bright)
