"""Grey values to what a viewer shows: window, polarity, padding."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

WINDOWS = ("dicom", "minmax", "percentile")
PERCENTILES = (0.5, 99.5)
SAMPLE = 1_000_000  # pixels that suffice for percentiles; all 15 million of a mammogram would take 170 ms, not 12


class UnreadableImage(ValueError):
    """An image file gives no usable image; `reason` says why, `transfer_syntax` how the file was encoded, if known.

    The message names no file: paths hold identifiers, and the caller knows which file it asked for.
    """

    def __init__(self, reason: str, transfer_syntax: str | None = None) -> None:
        self.reason = reason
        self.transfer_syntax = transfer_syntax
        super().__init__(f"{reason} (transfer syntax: {transfer_syntax})" if transfer_syntax else reason)


@dataclass(frozen=True)
class GreyValues:
    """An image before windowing.

    values: float32 rows x columns, in the unit that the file's window is given in.
    valid: bool rows x columns, false for padding; None where every pixel counts.
    inverted: whether the smallest value is shown white.
    window: the file's own window, which takes values to 0..1 before any inversion; None where it has none.
    """

    values: np.ndarray
    valid: np.ndarray | None = None
    inverted: bool = False
    window: Callable[[np.ndarray], np.ndarray] | None = None


def to_display(grey: GreyValues, window: str) -> np.ndarray:
    """Windows an image and gives it the polarity that a viewer shows: float32 rows x columns of 0..1.

    Padding and values that are not finite are shown 0 and play no part in the range. `window` is one of WINDOWS;
    "dicom" without a window in the file, or with one that leaves a single grey value, is "percentile".

    Raises:
        UnreadableImage: the image is constant or holds padding alone.
        ValueError: unknown window.
    """
    if window not in WINDOWS:
        raise ValueError(f"window {window!r} is unknown; known are {', '.join(WINDOWS)}")
    valid = _valid(grey)
    low, high = _extremes(grey.values, valid)
    if not low < high:
        raise UnreadableImage("constant image" if low == high else "image without a valid pixel")
    shown = _own_window(grey, valid) if window == "dicom" else None
    if shown is None:
        if window != "minmax":
            low, high = _percentiles(grey.values, valid) or (low, high)
        shown = np.clip((grey.values - np.float32(low)) / np.float32(high - low), 0, 1)
    if grey.inverted:
        shown = 1 - shown
    if valid is not None:
        shown[~valid] = 0
    return shown


def linear_window(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """VOI LUT function LINEAR, to 0..1 (DICOM PS3.3, C.11.2.1.2.1). `width` is at least 1."""
    if width == 1:
        return (values > centre - 0.5).astype(np.float32)
    return np.clip((values - np.float32(centre - 0.5)) / np.float32(width - 1) + np.float32(0.5), 0, 1)


def linear_exact_window(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """VOI LUT function LINEAR_EXACT, to 0..1 (DICOM PS3.3, C.11.2.1.3.2). `width` is above 0."""
    return np.clip((values - np.float32(centre)) / np.float32(width) + np.float32(0.5), 0, 1)


def sigmoid_window(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """VOI LUT function SIGMOID, to 0..1 (DICOM PS3.3, C.11.2.1.3.1). `width` is above 0."""
    half = np.float32(2) * (values - np.float32(centre)) / np.float32(width)
    return (1 + np.tanh(half)) / 2  # the logistic function of twice the argument, without its overflow


def _valid(grey: GreyValues) -> np.ndarray | None:
    valid = np.isfinite(grey.values)
    if grey.valid is not None:
        valid &= grey.valid
    return None if valid.all() else valid


def _extremes(values: np.ndarray, valid: np.ndarray | None) -> tuple[float, float]:
    where = True if valid is None else valid
    return float(values.min(where=where, initial=np.inf)), float(values.max(where=where, initial=-np.inf))


def _percentiles(values: np.ndarray, valid: np.ndarray | None) -> tuple[float, float] | None:
    """The percentiles of every k-th row and column; None where they are equal or no pixel of these is valid."""
    step = max(1, int((values.size / SAMPLE) ** 0.5))
    sample = values[::step, ::step]
    if valid is not None:
        sample = sample[valid[::step, ::step]]
    if not sample.size:
        return None
    low, high = np.percentile(sample, PERCENTILES)
    return (float(low), float(high)) if low < high else None


def _own_window(grey: GreyValues, valid: np.ndarray | None) -> np.ndarray | None:
    if grey.window is None:
        return None
    values = grey.values if valid is None else np.where(valid, grey.values, np.float32(0))
    shown = grey.window(values)
    low, high = _extremes(shown, valid)
    return shown if low < high else None
