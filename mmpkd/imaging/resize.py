"""Resampling by area: a store pixel is the mean of the image under it, pixels cut by its edge by their share.

The same weights resize images and masks, so that a mask's value is exactly the share of the store pixel that it
covers. Shrinking needs no other anti-aliasing. Measured on 5000 x 3000 to 224 on one thread: 3 ms as two sparse
products, 33 ms with PIL (reducing_gap=2; 38 ms to 71 ms without), 27 ms with torch, 0.8 s with scikit-image.

An image is taken a block of rows at a time, small enough for the processor's cache, so that one that computes its grey
values (`mmpkd.imaging.display.Display`) never has all of them in memory.
"""

from functools import lru_cache
from math import ceil, floor
from typing import Any, Protocol

import numpy as np
from scipy import sparse

Span = tuple[float, float]
BLOCK = 1 << 19  # pixels: two MiB of float32


class Computed(Protocol):
    """An image whose grey values are computed where they are needed."""

    shape: tuple[int, int]

    def fill(self, part: Any, out: np.ndarray) -> None:
        """Puts the grey values of a part, rows and columns, into the float32 array `out`."""


Image = np.ndarray | Computed


@lru_cache(maxsize=256)
def area_weights(length: int, span: Span, count: int) -> sparse.csr_array:
    """The matrix, `count` x `length`, whose rows average a line of pixels over `count` equal cells of `span`.

    Pixel k of the line covers [k, k + 1). Every row sums to 1. Raises ValueError for a span that is empty or
    reaches out of the line.
    """
    start, stop = span
    if not 0 <= start < stop <= length:
        raise ValueError(f"span {start} to {stop} is empty or reaches out of a line of {length} pixels")
    edges = np.linspace(start, stop, count + 1)
    cuts = np.union1d(edges, np.arange(np.ceil(start), np.floor(stop) + 1))
    middles = (cuts[1:] + cuts[:-1]) / 2  # between two cuts lies one pixel and one cell
    cells = np.searchsorted(edges, middles, side="right") - 1
    weights = np.diff(cuts) * count / (stop - start)
    return sparse.csr_array(
        (weights.astype(np.float32), (cells, np.floor(middles).astype(np.int64))), shape=(count, length)
    )


def area_average(image: Image, y_span: Span, x_span: Span, shape: tuple[int, int]) -> np.ndarray:
    """Averages the part of `image` (rows x columns) within the spans over a grid of `shape`: float32 of `shape`.

    An image of more than one block that has a `line` (see `mmpkd.imaging.display.Line`) is averaged on it, which is
    the same but for rounding; with one block it would not be faster. Its grey values are within 0 and 1, and so are
    their means.
    """
    rows, columns = image.shape
    line = getattr(image, "line", None) if rows * columns > BLOCK else None
    if line is not None:
        shown = line.slope * area_average(line, y_span, x_span, shape) + line.offset
        return np.clip(shown, 0, 1).astype(np.float32)  # rounding may put a mean of black pixels at -1e-11
    left, right = max(floor(x_span[0]), 0), min(ceil(x_span[1]), columns)
    across_x = area_weights(right - left, (x_span[0] - left, x_span[1] - left), shape[1])
    across_y = np.empty((shape[0], right - left), dtype=np.float32)
    cells = max(1, int(BLOCK / (right - left) * shape[0] / (y_span[1] - y_span[0])))
    blocks = _blocks(rows, y_span, shape[0], cells)
    values = np.empty((max(weights.shape[1] for *_, weights in blocks), right - left), dtype=np.float32)
    for first, top, weights in blocks:
        block = values[: weights.shape[1]]
        part = slice(top, top + weights.shape[1]), slice(left, right)
        if isinstance(image, np.ndarray):
            block[...] = image[part]
        else:
            image.fill(part, block)
        across_y[first : first + weights.shape[0]] = weights @ block
    return (across_x @ across_y.T).T


@lru_cache(maxsize=64)
def _blocks(length: int, span: Span, count: int, cells: int) -> list[tuple[int, int, sparse.csr_array]]:
    """`area_weights` cut into blocks of `cells` cells: the first cell, the first pixel, the weights of the block."""
    weights = area_weights(length, span, count)
    blocks = []
    for first in range(0, count, cells):
        ends = weights.indptr[first : first + cells + 1]
        inside = slice(ends[0], ends[-1])
        pixels = weights.indices[inside]
        top, bottom = int(pixels.min()), int(pixels.max()) + 1
        part = (weights.data[inside], pixels - top, ends - ends[0])
        blocks.append((first, top, sparse.csr_array(part, shape=(len(ends) - 1, bottom - top))))
    return blocks
