"""Grey values to what a viewer shows: window, polarity, padding.

Pixels of 8 or 16 bits can only take 256 or 65536 values, so everything that happens to a value before resampling
(unused bits, modality LUT, window, inversion, padding) happens to a table of these, once an image. Its pixels are then
looked up a few rows at a time, when they are resampled: 1 ns per pixel, and no image of float32 is ever in memory.
Where the table is a line between two words and constant beyond them, as windows of linear shape make it, the words may
be clipped, averaged and only then put on the line, which takes a third of that: see `Display.line`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom import Dataset

from mmpkd.imaging.grey import GreyValues, Shading
from mmpkd.imaging.image_file import UnreadableImage

WINDOWS = ("dicom", "minmax", "percentile", "mimic_jpg")
PERCENTILES = (0.5, 99.5)
SAMPLE = 250_000  # pixels that suffice for percentiles: counting all 15 million of a mammogram would take 30 ms, not 2
ON_LINE = 2e-4  # how far from a line grey values (0 to 1) may be to be taken for it: a twentieth of a level of 255
DRAWING = 16  # grey values of a drawing or a mask
BETWEEN = 0.01  # share of pixels between black and white below which a window hides the image
CLIPPED_NOTE = "the file's window shows nearly all pixels black or white"
SIDES = {"L": "LEFT", "LEFT": "LEFT", "R": "RIGHT", "RIGHT": "RIGHT"}
VIEWS = {view: view for view in ("CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM", "FB", "SIO")}
# Code values of ViewCodeSequence, of SNOMED RT and SNOMED CT (DICOM PS3.16, CID 4014).
CODES = {"R-10242": "CC", "399162004": "CC", "R-10226": "MLO", "399368009": "MLO"}
CODES |= {"R-10224": "ML", "399260004": "ML", "R-10228": "LM", "399352003": "LM"}
BLOCK = 1 << 18  # pixels that are counted at a time: bincount makes 8 bytes of each, and these should stay in the cache


@dataclass(frozen=True)
class Position:
    """A mammographic view (CC, MLO, ...) and a side (LEFT, RIGHT); empty where nothing or no mammogram is stated."""

    view: str = ""
    side: str = ""

    @classmethod
    def of(cls, dataset: Dataset) -> "Position":
        """By ViewPosition, the view's code, and PatientOrientation, where CBIS-DDSM writes the view."""
        codes = [item.get("CodeValue") for item in dataset.get("ViewCodeSequence") or []]
        stated = [dataset.get("ViewPosition"), *(CODES.get(str(code)) for code in codes)]
        orientation = dataset.get("PatientOrientation")
        stated.append(orientation if isinstance(orientation, str) else None)
        return cls(_first(stated, VIEWS), _first([dataset.get("ImageLaterality"), dataset.get("Laterality")], SIDES))

    def differs_from(self, view: str, side: str) -> list[str]:
        """A note for each of the two that table and header both know and state differently.

        Args:
            view: that the table states, "" if none.
            side: laterality that the table states, "" if none.
        """
        pairs = {"view": (self.view, _first([view], VIEWS)), "laterality": (self.side, _first([side], SIDES))}
        return [
            f"the header states another {name} than the table"
            for name, (header, table) in pairs.items()
            if header and table and header != table
        ]


class Display:
    """A picture as a viewer shows it, float32 of 0..1, computed where it is indexed: `display[top:bottom]`.

    Attributes:
        shape: (rows, columns).
        note: why this is not what the window "dicom" and the wanted view ask for; empty where it is.
        notes: what else a reader of the image should know: where its header is not believed, or hides most of it.
        position: view and side that the header states.
    """

    shape: tuple[int, int]
    note: str
    notes: tuple[str, ...]
    position: Position

    def __init__(self, grey: GreyValues, shading: Shading, note: str, notes: tuple[str, ...] = ()) -> None:
        self.shape, self.note, self.notes = grey.pixels.shape, note, (*grey.notes, *notes)
        self.position = Position()
        self._pixels, self._shading = grey.pixels, shading
        self._table = None if grey.levels is None else shading(grey.levels)

    def __getitem__(self, part: Any) -> np.ndarray:
        out = np.empty(self._pixels[part].shape, dtype=np.float32)
        self.fill(part, out)
        return out

    def fill(self, part: Any, out: np.ndarray) -> None:
        """Puts `self[part]` into an array: memory that is used again need not be mapped again.

        Args:
            part: rows and columns.
            out: float32, of the part's shape.
        """
        if self._table is None:
            out[...] = self._shading(self._pixels[part])
        else:  # no word lies outside of the table; "wrap" only spares numpy the buffer that "raise" needs
            np.take(self._table, self._pixels[part], out=out, mode="wrap")

    @property
    def line(self) -> "Line | None":
        """The picture as clipped words on a line, if it is one: means of the words are then on the line too."""
        table = self._table
        if table is None:
            return None
        return self._line_between(table, 0, len(table) - 1) or self._line_between(
            table, int(self._pixels.min()), int(self._pixels.max())
        )

    def _line_between(self, table: np.ndarray, first: int, last: int) -> "Line | None":
        """The line, if there is one from the word `first` to the word `last`."""
        shown = table[first : last + 1].astype(np.float64)
        rising = np.flatnonzero(np.diff(shown))
        if not len(rising):
            return None
        low, high = int(rising[0]), int(rising[-1]) + 1
        # The range may begin and end between two words. The line is that of the words inside, so that only clipped
        # words are off it, by less than a word.
        inside = (low + 1, high - 1) if high - low > 2 else (low, high)
        slope = (shown[inside[1]] - shown[inside[0]]) / (inside[1] - inside[0])
        offset = shown[inside[0]] - slope * inside[0]
        if np.abs(np.clip(np.arange(len(shown)), low, high) * slope + offset - shown).max() > ON_LINE:
            return None
        return Line(self._pixels, first + low, first + high, slope, offset - slope * first)


@dataclass(frozen=True)
class Line:
    """A picture whose grey values are `slope` x word + `offset`, with words clipped to `low` and `high`."""

    words: np.ndarray
    low: int
    high: int
    slope: float
    offset: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.words.shape

    def fill(self, part: Any, out: np.ndarray) -> None:
        """Puts the clipped words of a part into the float32 array `out`."""
        low, high = (self.words.dtype.type(bound) for bound in (self.low, self.high))
        np.clip(self.words[part], low, high, out=out)


def to_display(grey: GreyValues, window: str) -> Display:
    """Windows an image and gives it the polarity that a viewer shows.

    Padding and values that are not finite are shown 0 and play no part in the range. `window` is one of WINDOWS;
    "dicom" without a window in the file, or with one that leaves a single grey value, is "percentile".

    Args:
        grey: values with their window and padding.
        window: one of WINDOWS.

    Raises:
        UnreadableImage: the image is constant or holds padding alone.
        ValueError: unknown window.
    """
    if window not in WINDOWS:
        raise ValueError(f"window {window!r} is unknown; known are {', '.join(WINDOWS)}")
    sample = _sample(grey)
    if not len(sample[0]) or sample[0][0] == sample[0][-1]:  # words apart may stand for one value
        _refuse_constant(grey)
    if window == "mimic_jpg":
        return Display(grey, _mimic_jpg(grey), "")
    note = ""
    if window == "dicom":
        if grey.window is not None and _tells_apart(grey, grey.window, sample):
            notes = (CLIPPED_NOTE,) if _clips_nearly_all(grey.window, *sample) else ()
            return Display(grey, _shading(grey.window, grey.inverted), grey.note, notes)
        note = "the file's window leaves one grey value" if grey.window else grey.note or "the file has no window"
    span = None if window == "minmax" else _percentiles(*sample)
    low, high = span or _extremes(grey)
    return Display(grey, _shading(_range_window(low, high), grey.inverted), note)


def equalized(histogram: np.ndarray) -> np.ndarray:
    """The table by which OpenCV's `equalizeHist` maps an image.

    As in modules/imgproc/src/histogram.cpp: single precision, the first occupied level goes to 0.

    Args:
        histogram: of the image, 256 counts; it must have two grey levels at least.

    Returns:
        256 whole numbers, float32.
    """
    first = np.flatnonzero(histogram)[0]
    scale = np.float32(255) / np.float32(histogram.sum() - histogram[first])
    above_first = np.cumsum(histogram) - histogram[first]
    return np.clip(np.rint(np.maximum(above_first, 0).astype(np.float32) * scale), 0, 255)


def _range_window(low: float, high: float) -> Shading:
    return lambda values: np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)


def _shading(window: Shading, inverted: bool) -> Shading:
    """The window with the polarity, and 0 for what is not finite."""

    def shade(values: np.ndarray) -> np.ndarray:
        valid = np.isfinite(values)
        shown = window(values if valid.all() else np.where(valid, values, np.float32(0)))
        if inverted:
            shown = 1 - shown
        shown[~valid] = 0
        return shown

    return shade


def _mimic_jpg(grey: GreyValues) -> Shading:
    """The grey values of MIMIC-CXR-JPG: full range to 8 bits, cut off not rounded, inversion, equalisation.

    As its maker states them in MIT-LCP/mimic-cxr, issue 16; the JPEG compression itself is left out.
    """
    low, high = _extremes(grey)

    def to_bytes(values: np.ndarray) -> np.ndarray:
        share = np.clip((values.astype(np.float64) - low) / (high - low), 0, 1)
        shown = (np.nan_to_num(share) * 255).astype(np.uint8)
        return 255 - shown if grey.inverted else shown

    if grey.levels is None:
        histogram = np.bincount(to_bytes(grey.pixels[np.isfinite(grey.pixels)]), minlength=256)
    else:
        histogram = np.bincount(to_bytes(grey.levels), weights=_histogram(grey.pixels), minlength=256)
    table = equalized(histogram) / np.float32(255)
    return _shading(lambda values: table[to_bytes(values)], inverted=False)


# what values there are


def _histogram(words: np.ndarray, step: int = 1) -> np.ndarray:
    """How often each of the 256 or 65536 words stands in every `step`-th row and column."""
    counts = np.zeros(1 << (8 * words.itemsize), dtype=np.int64)
    rows = max(1, BLOCK * step // words.shape[1]) * step
    for start in range(0, len(words), rows):
        counts += np.bincount(words[start : start + rows : step, ::step].ravel(), minlength=len(counts))
    return counts


def _sample(grey: GreyValues, most: int = SAMPLE) -> tuple[np.ndarray, np.ndarray]:
    """The finite values, ascending, of every k-th row and column, about `most` in all, and how many have each."""
    step = max(1, int((grey.pixels.size / most) ** 0.5))
    if grey.levels is None:
        values = grey.pixels[::step, ::step]
        return np.unique(values[np.isfinite(values)], return_counts=True)
    counts = _histogram(grey.pixels, step)
    present = np.flatnonzero((counts > 0) & np.isfinite(grey.levels))
    present = present[np.argsort(grey.levels[present], kind="stable")]
    return grey.levels[present], counts[present]


def _percentiles(values: np.ndarray, counts: np.ndarray) -> tuple[float, float] | None:
    """The percentiles of values that occur so often, interpolated linearly; None where they are equal."""
    if not len(values):
        return None
    last = np.cumsum(counts)
    ranks = np.array(PERCENTILES) / 100 * (last[-1] - 1)
    below = np.floor(ranks)
    lower, upper = (
        values[np.searchsorted(last, np.minimum(rank, last[-1] - 1), side="right")].astype(np.float64)
        for rank in (below, below + 1)
    )
    low, high = (lower + (upper - lower) * (ranks - below)).tolist()
    return (low, high) if low < high else None


def _extremes(grey: GreyValues) -> tuple[float, float]:
    """The smallest and largest finite value of all pixels; infinity and minus infinity where none is."""
    if grey.levels is not None:
        span = grey.levels[int(grey.pixels.min()) : int(grey.pixels.max()) + 1]
        if np.isfinite(span).all() and ((span[1:] >= span[:-1]).all() or (span[1:] <= span[:-1]).all()):
            return min(float(span[0]), float(span[-1])), max(float(span[0]), float(span[-1]))
    values, _ = _sample(grey, most=grey.pixels.size)
    return (float(values[0]), float(values[-1])) if len(values) else (np.inf, -np.inf)


def _tells_apart(grey: GreyValues, window: Shading, sample: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether the window shows any two pixels in different grey; a rare one may not be in the sample."""
    shown = window(sample[0])
    if not len(shown) or shown.min() == shown.max():
        shown = window(_sample(grey, most=grey.pixels.size)[0])
    return bool(shown.min() < shown.max())


def _clips_nearly_all(window: Shading, values: np.ndarray, counts: np.ndarray) -> bool:
    """Whether the window shows nearly all pixels of an image that is no drawing black or white."""
    shown = window(values)
    between = counts[(shown > 0) & (shown < 1)].sum()
    return len(values) > DRAWING and between < BETWEEN * counts.sum()


def _refuse_constant(grey: GreyValues) -> None:
    low, high = _extremes(grey)
    if not low < high:
        raise UnreadableImage("constant image" if low == high else "image without a valid pixel")


def _first(stated: Iterable[Any], known: dict[str, str]) -> str:
    """The first word that is known, in the spelling of the tables."""
    words = (known.get(str(word or "").strip().upper()) for word in stated)
    return next((word for word in words if word), "")
