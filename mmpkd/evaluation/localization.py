"""How well attention maps point at regions of interest (ROI): from maps on the patch grid to scores.

The scores, their formulas and sources are in `mmpkd.evaluation.metrics`. What is undefined is NaN, never a hit and
never zero:

- an ROI that is empty or fills the image: every score;
- a map with a NaN or infinite pixel: every score;
- a map without positive mass: the scores of mass;
- a constant map: the scores at a threshold, and contrast-to-noise. All others are then what chance gives.

Pixels of equal value are never put in an arbitrary order, save by `hit_rate`, which is defined so.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from mmpkd.evaluation.metrics import TOLERANCE, TUNED, iou_tuned, scores_of
from mmpkd.evaluation.pairs import chunks

TITLES = {
    "pixel_auroc": "pixel AUROC",
    "average_precision": "average precision",
    "pointing_game": "pointing game",
    "mass_in_roi": "mass in ROI",
    "iou_equal_area": "IoU at equal area",
    "pointing_game_tolerant": "pointing game with tolerance",
    "hit_rate": "hit rate",
    "mass_gain": "mass in ROI over area",
    "dice_equal_area": "Dice at equal area",
    "iou_otsu": "IoU at Otsu's threshold",
    "dice_otsu": "Dice at Otsu's threshold",
    "iou_tuned": "IoU at the tuned threshold",
    "dice_tuned": "Dice at the tuned threshold",
    "contrast_to_noise": "contrast-to-noise ratio",
    "relevance_mass_accuracy": "relevance mass accuracy",
    "relevance_rank_accuracy": "relevance rank accuracy",
}
METRICS = tuple(TITLES)
THRESHOLDS = tuple(np.arange(1, 20) / 20)
HELD_PIXELS = 1 << 22  # of the maps that are held at the size of the masks at once: 50 MB
Part = tuple[np.ndarray, np.ndarray, np.ndarray]  # rows of the masks, maps, and which of these goes with which row


def score_maps(
    maps: np.ndarray,
    masks: np.ndarray,
    map_of_mask: np.ndarray | None = None,
    metrics: Sequence[str] | None = None,
    tolerance: float = TOLERANCE,
    threshold: float | None = None,
) -> dict[str, np.ndarray]:
    """Scores of each pair of a map and an ROI.

    Args:
        maps: N x H x W, higher is more attention.
        masks: M x H x W, nonzero inside the ROI.
        map_of_mask: M indices into `maps`; by default M = N and mask i goes with map i.
        metrics: names of METRICS; by default all, but those at the tuned threshold only if it is given.
        tolerance: of `pointing_game_tolerant`, in longer image sides.
        threshold: of `iou_tuned` and `dice_tuned`, in 0..1 (see `tuned_threshold`).

    Returns:
        For each metric, in the order of METRICS, M values as float64.

    Raises:
        ValueError: shapes do not go together, a metric is unknown, or its threshold is missing.
    """
    maps, masks, map_of_mask = _checked(maps, masks, map_of_mask)
    known = scores_of(tolerance, threshold)
    wanted = set(known if metrics is None else metrics)
    if absent := sorted(wanted - set(known)):
        fix = "give the tuned threshold" if set(absent) <= set(TUNED) else f"known are {', '.join(METRICS)}"
        raise ValueError(f"no score {', '.join(absent)}: {fix}")
    scores = {metric: np.full(len(masks), np.nan) for metric in METRICS if metric in wanted}
    for rows, pairs in chunks(maps, masks, map_of_mask):
        with np.errstate(invalid="ignore", divide="ignore"):
            for metric, values in scores.items():
                value = known[metric](pairs)
                values[rows] = np.where(pairs.defined & np.isfinite(value), value, np.nan)
    return scores


def score_grids(
    grids: np.ndarray, masks: np.ndarray, map_of_mask: np.ndarray, **settings: Any
) -> dict[str, np.ndarray]:
    """Scores of maps on the patch grid, each upsampled bilinearly to the size of the masks, a part of them at a time.

    Args:
        grids: N x g x h.
        masks: M x S x S, nonzero inside the ROI.
        map_of_mask: M indices into `grids`.
        settings: metrics, tolerance and threshold, as for `score_maps`.

    Returns:
        As `score_maps`.
    """
    size = masks.shape[-1]
    parts = in_parts(lambda part: upsample(grids[part], size), len(grids), map_of_mask, size)
    return score_parts(parts, masks, **settings)


def score_parts(parts: Iterable[Part], masks: np.ndarray, **settings: Any) -> dict[str, np.ndarray]:
    """As `score_maps`, of maps that are made a part at a time.

    Args:
        parts: maps, with the rows of the masks that they belong to.
        masks: M x S x S.
        **settings: as of `score_maps`.
    """
    empty = score_maps(np.zeros((0, *masks.shape[1:])), masks[:0], **settings)
    scores = {metric: np.full(len(masks), np.nan) for metric in empty}
    for rows, maps, map_of_mask in parts:
        for metric, values in score_maps(maps, masks[rows], map_of_mask, **settings).items():
            scores[metric][rows] = values
    return scores


def in_parts(make: Callable[[slice], np.ndarray], count: int, map_of_mask: np.ndarray, size: int) -> Iterator[Part]:
    """Some of the maps at a time, at most `HELD_PIXELS` of them.

    Args:
        make: the maps of a part of the `count` ones, n x size x size.
        count: maps in all.
        map_of_mask: for each mask the number of its map.
        size: pixels per side.
    """
    step = max(HELD_PIXELS // max(size * size, 1), 1)
    for start in range(0, count, step):
        rows = np.flatnonzero((map_of_mask >= start) & (map_of_mask < start + step))
        yield rows, make(slice(start, start + step)), map_of_mask[rows] - start


def tuned_threshold(
    maps: np.ndarray,
    masks: np.ndarray,
    map_of_mask: np.ndarray | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
) -> float:
    """The threshold of maps scaled to 0..1 with the highest mean IoU; the lowest of those that are equally good.

    To be called with images that are not scored, as Saporta et al. (Nat. Mach. Intell. 4, 2022) tune on validation.

    Args:
        maps: as for `score_maps`.
        masks: as for `score_maps`.
        map_of_mask: as for `score_maps`.
        thresholds: what is tried.

    Raises:
        ValueError: shapes do not go together, or no pair of a map and an ROI has a score.
    """
    maps, masks, map_of_mask = _checked(maps, masks, map_of_mask)
    return tuned_in_parts([(np.arange(len(masks)), maps, map_of_mask)], masks, thresholds)


def tuned_in_parts(parts: Iterable[Part], masks: np.ndarray, thresholds: Sequence[float] = THRESHOLDS) -> float:
    """As `tuned_threshold`, of maps that are made a part at a time.

    Args:
        parts: maps, with the rows of the masks that they belong to.
        masks: M x S x S.
        thresholds: from which one is chosen.
    """
    total, count = np.zeros(len(thresholds)), 0
    pairs_of_parts = (chunks(*_checked(maps, masks[rows], map_of_mask)) for rows, maps, map_of_mask in parts)
    for _, pairs in chain.from_iterable(pairs_of_parts):
        with np.errstate(invalid="ignore", divide="ignore"):
            overlap = np.stack([iou_tuned(pairs, threshold) for threshold in thresholds], axis=1)
        usable = pairs.defined & np.isfinite(overlap).all(axis=1)
        total, count = total + overlap[usable].sum(axis=0), count + usable.sum()
    if not count:
        raise ValueError("no threshold can be tuned: no map with an ROI, or every map is constant")
    return float(thresholds[int(total.argmax())])


def upsample(maps: np.ndarray, size: int) -> np.ndarray:
    """Bilinear interpolation of maps, as a product with two fixed matrices.

    Pixel centres are at half-integers and the border is extended: torch's `interpolate(mode="bilinear",
    align_corners=False)`. Computed in float64 and returned as float32, so that equal patches stay exactly equal.

    Args:
        maps: N x g x h.
        size: side of the result in pixels.

    Returns:
        N x size x size, float32.
    """
    maps = np.asarray(maps, dtype=np.float64)
    down, across = (interpolation((np.arange(size) + 0.5) * length / size - 0.5, length) for length in maps.shape[1:])
    return np.matmul(np.matmul(down, maps), across.T).astype(np.float32)


def _checked(
    maps: np.ndarray, masks: np.ndarray, map_of_mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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


def interpolation(position: np.ndarray, length: int) -> np.ndarray:
    """Weights of patches at points between them: two each at most, whose sum is one.

    Args:
        position: N points, in patches; 0 is the first one's centre.
        length: number of patches.

    Returns:
        N x length.
    """
    position = np.clip(position, 0, length - 1)
    return np.maximum(1 - np.abs(position[:, None] - np.arange(length)), 0)
