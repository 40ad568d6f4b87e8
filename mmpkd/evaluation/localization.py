"""How well an attention map points at a region of interest (ROI): five scores, from one sort of the map's pixels.

No score has a threshold to choose. What is undefined is NaN, never a hit and never zero:

- an ROI that is empty or fills the image: every score;
- a map with a NaN or infinite pixel: every score;
- a map without positive mass: `mass_in_roi`.

A constant map is defined: pixel AUROC 0.5, and all other scores equal the ROI's share of the image's area (IoU: what k
pixels placed blindly are expected to share). Pixels of equal value are never put in an arbitrary order.
"""

from dataclasses import dataclass

import numpy as np

TITLES = {
    "pixel_auroc": "pixel AUROC",
    "average_precision": "average precision",
    "pointing_game": "pointing game",
    "mass_in_roi": "mass in ROI",
    "iou_equal_area": "IoU at equal area",
}
METRICS = tuple(TITLES)
CHUNK_PIXELS = 1 << 20  # pixels sorted at once: bounds memory, and stays in the processor's cache


@dataclass
class _SortedMaps:
    """Pixels of N maps in descending order, P = S * S each."""

    values: np.ndarray  # N x P, as given
    order: np.ndarray  # N x P, pixel at each position
    first: np.ndarray  # N x P, first position of the run of equal values that a position lies in
    last: np.ndarray  # N x P, last one
    valid: np.ndarray  # N, every pixel finite


def score_maps(maps: np.ndarray, masks: np.ndarray, map_of_mask: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Every metric of each pair of a map and an ROI.

    pixel_auroc: probability that a pixel of the ROI has a higher value than one outside, ties counting one half; from
        the rank sum U / (n_in * n_out) (Mann and Whitney, Ann. Math. Stat. 18, 1947).
    average_precision: sum over thresholds of (recall_t - recall_{t-1}) * precision_t, without interpolation; equal
        values share a threshold (the definition of scikit-learn's `average_precision_score`).
    pointing_game: 1 if the maximum lies in the ROI (Zhang et al., Int. J. Comput. Vis. 126, 2018, without their
        tolerance of 15 pixels); where several pixels are maximal, the share of them that lie inside.
    mass_in_roi: sum of max(map, 0) in the ROI over its sum in the image (relevance mass accuracy, Arras et al.,
        Inf. Fusion 81, 2022).
    iou_equal_area: the k highest pixels against the ROI, k its area: hits / (2k - hits); pixels equal to the k-th
        share the places left in proportion. As k is the ROI's area, hits / k is Arras et al.'s relevance rank accuracy.

    Args:
        maps: N x S x S, higher is more attention.
        masks: M x S x S, nonzero inside the ROI.
        map_of_mask: M indices into `maps`; by default M = N and mask i goes with map i.

    Returns:
        For each name of METRICS, M values as float64.

    Raises:
        ValueError: shapes do not go together.
    """
    maps, masks, map_of_mask = _checked(maps, masks, map_of_mask)
    pixels = int(np.prod(maps.shape[1:]))
    values, inside = maps.reshape(len(maps), pixels), masks.reshape(len(masks), pixels) != 0
    scores = {metric: np.full(len(masks), np.nan) for metric in METRICS}
    step = max(CHUNK_PIXELS // max(pixels, 1), 1)
    by_map = np.argsort(map_of_mask, kind="stable")
    bounds = np.searchsorted(map_of_mask[by_map], np.arange(0, len(maps) + step, step))
    for number, (start, stop) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        sorted_maps = _sort(values[number * step : (number + 1) * step]) if stop > start else None
        for at in range(start, stop, step):  # a map may have many ROI: bound those too
            rows = by_map[at : min(at + step, stop)]
            part = _score(sorted_maps, inside[rows], map_of_mask[rows] - number * step)
            for metric in METRICS:
                scores[metric][rows] = part[metric]
    return scores


def upsample(maps: np.ndarray, size: int) -> np.ndarray:
    """Bilinear interpolation of N x g x h maps to N x size x size, as a product with two fixed matrices.

    Pixel centres are at half-integers and the border is extended: torch's `interpolate(mode="bilinear",
    align_corners=False)`. Computed in float64 and returned as float32, so that equal patches stay exactly equal.
    """
    maps = np.asarray(maps, dtype=np.float64)
    down, across = (_interpolation(length, size) for length in maps.shape[1:])
    return np.matmul(np.matmul(down, maps), across.T).astype(np.float32)


def _checked(maps, masks, map_of_mask) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arguments of `score_maps` as arrays that go together; raises ValueError."""
    maps, masks = np.asarray(maps), np.asarray(masks)
    if map_of_mask is None:
        map_of_mask = np.arange(len(maps))
        if len(masks) != len(maps):
            raise ValueError(f"{len(maps)} maps and {len(masks)} masks; say which map goes with which mask")
    map_of_mask = np.asarray(map_of_mask, dtype=np.int64)
    if maps.ndim != 3 or masks.ndim != 3 or maps.shape[1:] != masks.shape[1:] or len(map_of_mask) != len(masks):
        raise ValueError(f"maps {maps.shape}, masks {masks.shape} and {len(map_of_mask)} indices do not go together")
    if len(masks) and not (map_of_mask.min() >= 0 and map_of_mask.max() < len(maps)):
        raise ValueError(f"map_of_mask points outside the {len(maps)} maps")
    if not np.issubdtype(maps.dtype, np.floating):
        maps = maps.astype(np.float64)
    return maps, masks, map_of_mask


def _interpolation(length: int, size: int) -> np.ndarray:
    """size x length weights: each row has at most two neighbours, and sums to one."""
    position = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
    return np.maximum(1 - np.abs(position[:, None] - np.arange(length)), 0)


def _sort(values: np.ndarray) -> _SortedMaps:
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
    return _SortedMaps(values, order, first, last, valid)


def _score(maps: _SortedMaps, inside: np.ndarray, row: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of R masks (R x P), mask r against map row[r]."""
    pixels = inside.shape[1]
    area = inside.sum(axis=1)
    first, last = maps.first[row], maps.last[row]
    hit = np.take_along_axis(inside, maps.order[row], axis=1)
    hits = np.cumsum(hit, axis=1, dtype=np.int32)  # ROI pixels among the highest 1, 2, ...
    hits_to_last = np.take_along_axis(hits, last, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        # mid-ranks from the top, counted from zero; the lower the ROI's, the better
        rank_sum = np.where(hit, first + last, 0).sum(axis=1, dtype=np.float64) / 2
        pairs_won = area * (pixels - 1.0) - rank_sum - area * (area - 1.0) / 2
        precision = hits_to_last / (last + 1.0)
        mass = np.maximum(maps.values[row], 0).astype(np.float64)
        shared = _hits_among_highest(area, hits, hits_to_last, first, last)
        scores = {
            "pixel_auroc": pairs_won / (area * (pixels - area)),
            "average_precision": np.where(hit, precision, 0).sum(axis=1) / area,
            "pointing_game": precision[:, 0],
            "mass_in_roi": np.where(inside, mass, 0).sum(axis=1) / mass.sum(axis=1),
            "iou_equal_area": shared / (2 * area - shared),
        }
    defined = maps.valid[row] & (area > 0) & (area < pixels)
    return {metric: np.where(defined & np.isfinite(value), value, np.nan) for metric, value in scores.items()}


def _hits_among_highest(area, hits, hits_to_last, first, last) -> np.ndarray:
    """ROI pixels expected among the `area` highest when equal values are drawn in random order."""
    rows = np.arange(len(area))
    at = np.maximum(area - 1, 0)
    start, stop = first[rows, at], last[rows, at]
    before = np.where(start > 0, hits[rows, np.maximum(start - 1, 0)], 0)
    return before + (hits_to_last[rows, at] - before) * (area - start) / (stop - start + 1)
