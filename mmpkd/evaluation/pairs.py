"""Pairs of an attention map and a region of interest (ROI), brought into the form that all scores are made from.

A map's pixels are sorted once, and every score that depends on their order, or on a threshold, is read off that: the
pixels above a threshold are the first k, and the ROI pixels among them are an entry of a running sum.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

CHUNK_PIXELS = 1 << 20  # pixels sorted at once: bounds memory, and stays in the processor's cache


@dataclass(frozen=True)
class SortedMaps:
    """Pixels of N maps in descending order, P = H * W each."""

    values: np.ndarray  # N x P, as given
    order: np.ndarray  # N x P, pixel at each position
    ordered: np.ndarray  # N x P, value at each position
    first: np.ndarray  # N x P, first position of the run of equal values that a position lies in
    last: np.ndarray  # N x P, last one
    valid: np.ndarray  # N, every pixel finite

    @classmethod
    def sort(cls, values: np.ndarray) -> "SortedMaps":
        """Sorts N x P values."""
        valid = np.isfinite(values).all(axis=1)
        order = np.argsort(-np.where(valid[:, None], values, 0), axis=1)
        ordered = np.take_along_axis(values, order, axis=1)
        position = np.broadcast_to(np.arange(values.shape[1], dtype=np.int32), values.shape)
        new = np.ones(values.shape, dtype=bool)
        new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        end = np.ones(values.shape, dtype=bool)
        end[:, :-1] = new[:, 1:]
        first = np.maximum.accumulate(np.where(new, position, 0), axis=1)
        last = np.minimum.accumulate(np.where(end, position, values.shape[1])[:, ::-1], axis=1)[:, ::-1]
        return cls(values, order, ordered, first, last, valid)


@dataclass(frozen=True)
class Pairs:
    """R pairs: ROI r goes with map row[r]. Everything derived is computed when a score first asks for it."""

    maps: SortedMaps
    inside: np.ndarray  # R x P bool
    row: np.ndarray  # R
    shape: tuple[int, int]  # H, W

    @property
    def pixels(self) -> int:
        """P, the pixels of a map."""
        return self.inside.shape[1]

    @cached_property
    def area(self) -> np.ndarray:
        """R: pixels of each ROI."""
        return self.inside.sum(axis=1)

    @cached_property
    def defined(self) -> np.ndarray:
        """R: the map is finite, and the ROI neither empty nor the whole image."""
        return self.maps.valid[self.row] & (self.area > 0) & (self.area < self.pixels)

    @cached_property
    def first(self) -> np.ndarray:
        """R x P: first position of the run of equal values that a position lies in."""
        return self.maps.first[self.row]

    @cached_property
    def last(self) -> np.ndarray:
        """R x P: last position of that run."""
        return self.maps.last[self.row]

    @cached_property
    def hit(self) -> np.ndarray:
        """R x P: whether the pixel at a position lies in the ROI."""
        return np.take_along_axis(self.inside, self.maps.order[self.row], axis=1)

    @cached_property
    def hits(self) -> np.ndarray:
        """R x P: ROI pixels among the highest 1, 2, ..."""
        return np.cumsum(self.hit, axis=1, dtype=np.int32)

    @cached_property
    def precision(self) -> np.ndarray:
        """R x P: share of ROI pixels among those as high as a position, or higher."""
        return np.take_along_axis(self.hits, self.last, axis=1) / (self.last + 1.0)

    @cached_property
    def shared_at_equal_area(self) -> np.ndarray:
        """R: ROI pixels expected among the `area` highest when equal values are drawn in random order."""
        rows = np.arange(len(self.area))
        at = np.maximum(self.area - 1, 0)
        start, stop = self.first[rows, at], self.last[rows, at]
        before = np.where(start > 0, self.hits[rows, np.maximum(start - 1, 0)], 0)
        return before + (self.hits[rows, stop] - before) * (self.area - start) / (stop - start + 1)

    @cached_property
    def mass_share(self) -> np.ndarray:
        """R: positive mass in the ROI over that in the image; not finite without any."""
        mass = np.maximum(self.maps.values[self.row], 0).astype(np.float64)
        return np.where(self.inside, mass, 0).sum(axis=1) / mass.sum(axis=1)

    @cached_property
    def otsu_count(self) -> np.ndarray:
        """R: pixels above Otsu's threshold; 0 for a constant map. See `mmpkd.evaluation.metrics.iou_otsu`."""
        ordered = self.maps.ordered.astype(np.float64)
        ordered -= ordered.mean(axis=1, keepdims=True)
        count = np.arange(1, self.pixels)
        between = np.cumsum(ordered, axis=1, out=ordered)[:, :-1]  # less the mean, so that it ends at 0
        between *= between
        between /= count * (self.pixels - count)
        between[self.maps.last[:, :-1] != count - 1] = -1  # equal values are never divided
        best = between.max(axis=1, keepdims=True, initial=-1)
        tied = between >= best * (1 - 1e-12)  # of cuts that are equally good the lowest, as scikit-image chooses
        chosen = self.pixels - 1 - tied[:, ::-1].argmax(axis=1)
        return np.where(best[:, 0] > 0, chosen, 0)[self.row]

    def count_at(self, threshold: float) -> np.ndarray:
        """R: pixels of the map, scaled to 0..1, that reach the threshold; 0 for a constant map."""
        highest, lowest = self.maps.ordered[:, :1].astype(np.float64), self.maps.ordered[:, -1:].astype(np.float64)
        reached = self.maps.ordered >= lowest + threshold * (highest - lowest)
        return np.where(highest > lowest, reached, False).sum(axis=1)[self.row]

    def hits_among(self, count: np.ndarray) -> np.ndarray:
        """R: ROI pixels among the `count` highest of each pair, for counts that divide no run of equal values."""
        return np.where(count > 0, self.hits[np.arange(len(count)), np.maximum(count - 1, 0)], 0)


def chunks(maps: np.ndarray, masks: np.ndarray, map_of_mask: np.ndarray) -> Iterator[tuple[np.ndarray, Pairs]]:
    """The pairs of maps and masks a part at a time. Each map is sorted once.

    Args:
        maps: N x H x W.
        masks: M x H x W, nonzero inside.
        map_of_mask: M indices into `maps`.

    Yields:
        Rows of `masks`, and their pairs.
    """
    shape = maps.shape[1:]
    pixels = int(np.prod(shape))
    values, inside = maps.reshape(len(maps), pixels), masks.reshape(len(masks), pixels) != 0
    step = max(CHUNK_PIXELS // max(pixels, 1), 1)
    by_map = np.argsort(map_of_mask, kind="stable")
    bounds = np.searchsorted(map_of_mask[by_map], np.arange(0, len(maps) + step, step))
    for number, (start, stop) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        if start == stop:
            continue
        sorted_maps = SortedMaps.sort(values[number * step : (number + 1) * step])
        for at in range(start, stop, step):  # a map may have many ROI: bound those too
            rows = by_map[at : min(at + step, stop)]
            yield rows, Pairs(sorted_maps, inside[rows], map_of_mask[rows] - number * step, shape)
