"""The scores of an attention map against a region of interest (ROI): formula, source, and what each leaves undefined.

Notation: v a pixel's value, P the pixels of the image, A those of the ROI, "in" and "out" its inside and outside. Each
score takes R pairs and returns R float64; a value that is not finite counts as undefined. `score_maps` adds what holds
for all: an ROI that is empty or fills the image, or a map with a NaN or infinite pixel, has no score.

A constant map has a value where chance has one: pixel AUROC 0.5; mass gain 0; average precision, mass, pointing game
and equal area A / P or what it implies. It has no threshold and no contrast: Otsu, tuned and contrast-to-noise are NaN.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from mmpkd.evaluation.pairs import Pairs

TOLERANCE = 0.03  # share of the image's longer side: 15 pixels of the 500 that photographs of PASCAL VOC have
SPREAD = 1e-12  # regions whose standard deviation is below this share of the map's range are constant within rounding
MetricFunction = Callable[[Pairs], np.ndarray]


def pixel_auroc(pairs: Pairs) -> np.ndarray:
    """Probability that a pixel inside has a higher value than one outside, ties counting one half.

    From the rank sum, U / (A (P - A)) (Mann and Whitney, Ann. Math. Stat. 18, 1947).
    """
    area, pixels = pairs.area, pairs.pixels
    # mid-ranks from the top, counted from zero; the lower the ROI's, the better
    rank_sum = np.where(pairs.hit, pairs.first + pairs.last, 0).sum(axis=1, dtype=np.float64) / 2
    pairs_won = area * (pixels - 1.0) - rank_sum - area * (area - 1.0) / 2
    return pairs_won / (area * (pixels - area))


def average_precision(pairs: Pairs) -> np.ndarray:
    """Sum over thresholds t of (recall_t - recall_{t-1}) * precision_t, without interpolation.

    Equal values share a threshold: the definition of scikit-learn's `average_precision_score`.
    """
    return np.where(pairs.hit, pairs.precision, 0).sum(axis=1) / pairs.area


def pointing_game(pairs: Pairs) -> np.ndarray:
    """The pointing game: whether the maximum lies inside.

    Zhang et al., Int. J. Comput. Vis. 126, 2018, without their tolerance of 15 pixels.

    Returns:
        R values: 1 if the maximum lies inside; where several pixels are maximal, the share of them that do.
    """
    return pairs.precision[:, 0]


def pointing_game_tolerant(pairs: Pairs, tolerance: float) -> np.ndarray:
    """The pointing game with a margin: maxima near the ROI are hits.

    Zhang et al. allow 15 pixels in photographs of about 500 x 375, whatever their size; a share of the side means the
    same at every resolution. Distances are between pixel centres.

    Args:
        pairs: maps and ROI.
        tolerance: the largest distance of a hit from the ROI, in longer image sides.
    """
    near = dilate(pairs.inside.reshape(-1, *pairs.shape), tolerance * max(pairs.shape)).reshape(pairs.inside.shape)
    maximal = (pairs.maps.values == pairs.maps.ordered[:, :1])[pairs.row]
    return (near & maximal).sum(axis=1) / maximal.sum(axis=1)


def hit_rate(pairs: Pairs) -> np.ndarray:
    """1 if the first maximal pixel, in reading order, lies inside (Saporta et al., Nat. Mach. Intell. 4, 2022).

    This is the pointing game as CheXlocalize computes it: the two differ where several pixels are maximal. Of a
    constant map it asks about the upper left pixel.
    """
    at = pairs.maps.values.argmax(axis=1)[pairs.row]
    return pairs.inside[np.arange(len(at)), at].astype(np.float64)


def mass_in_roi(pairs: Pairs) -> np.ndarray:
    """Sum of max(v, 0) inside over its sum in the image. Undefined without positive values."""
    return pairs.mass_share


def mass_gain(pairs: Pairs) -> np.ndarray:
    """Mass in the ROI minus A / P, which a uniform map has: 0 is chance at every ROI size."""
    return pairs.mass_share - pairs.area / pairs.pixels


def relevance_mass_accuracy(pairs: Pairs) -> np.ndarray:
    """Arras, Osman and Samek, Inf. Fusion 81, 2022: positive relevance inside over all. Equal to `mass_in_roi`."""
    return pairs.mass_share


def relevance_rank_accuracy(pairs: Pairs) -> np.ndarray:
    """Arras, Osman and Samek, 2022: share of the A highest pixels that lie inside.

    Pixels equal to the last of them share the places left in proportion. Equal to Dice at equal area.
    """
    return pairs.shared_at_equal_area / pairs.area


def iou_equal_area(pairs: Pairs) -> np.ndarray:
    """Intersection over union of the ROI and the A highest pixels: h / (2A - h) with h hits.

    Pixels equal to the last of them share the places left in proportion.
    """
    shared = pairs.shared_at_equal_area
    return shared / (2 * pairs.area - shared)


def iou_otsu(pairs: Pairs) -> np.ndarray:
    """Intersection over union of the ROI and the pixels above Otsu's threshold (IEEE Trans. SMC 9, 1979).

    The threshold is the cut between two values of the map with the largest variance between the classes; over all cuts,
    so that it needs no histogram.
    """
    return _iou(pairs, pairs.otsu_count)


def dice_otsu(pairs: Pairs) -> np.ndarray:
    """Dice coefficient, 2h / (A + k), of the ROI and the k pixels above Otsu's threshold."""
    return _dice(pairs, pairs.otsu_count)


def iou_tuned(pairs: Pairs, threshold: float) -> np.ndarray:
    """Intersection over union of the ROI and the pixels that reach a threshold of the map scaled to 0..1.

    Args:
        pairs: maps and ROI.
        threshold: one for all images, from others (`mmpkd.evaluation.localization.tuned_threshold`), as in Saporta et
            al., 2022.
    """
    return _iou(pairs, pairs.count_at(threshold))


def dice_tuned(pairs: Pairs, threshold: float) -> np.ndarray:
    """Dice coefficient of the ROI and the pixels that reach a threshold of the map scaled to 0..1.

    Args:
        pairs: maps and masks.
        threshold: share of the map's range, 0 to 1.
    """
    return _dice(pairs, pairs.count_at(threshold))


def contrast_to_noise(pairs: Pairs) -> np.ndarray:
    """(mean in - mean out) / sqrt(variance in + variance out), variances over the region's pixels.

    Boecking et al., ECCV 2022, take the absolute difference; here it keeps its sign, or a map that avoids the ROI would
    score as one that finds it. Undefined where both regions are constant.
    """
    # Less the highest value, so that rounding is relative to the map's range: a constant map is 0 everywhere.
    highest, lowest = (pairs.maps.ordered[:, [end]].astype(np.float64) for end in (0, -1))
    values, inside, area = (pairs.maps.values - highest)[pairs.row], pairs.inside, pairs.area
    outside = pairs.pixels - area
    sum_in = (values * inside).sum(axis=1)
    mean_in, mean_out = sum_in / area, (values.sum(axis=1) - sum_in) / outside
    values -= np.where(inside, mean_in[:, None], mean_out[:, None])
    values *= values
    squares_in = (values * inside).sum(axis=1)
    variance = squares_in / area + (values.sum(axis=1) - squares_in) / outside
    extent = (highest - lowest)[pairs.row, 0]
    return (mean_in - mean_out) / np.where(variance > (SPREAD * extent) ** 2, np.sqrt(variance), np.nan)


def dilate(masks: np.ndarray, radius: float) -> np.ndarray:
    """Masks widened by a distance, between pixel centres.

    A disk is a stack of runs of pixels, and widening by a run is a difference of running sums.

    Args:
        masks: R x H x W bool.
        radius: in pixels.

    Returns:
        The pixels at most `radius` away from a mask, R x H x W bool.
    """
    count, height, width = masks.shape
    reach = int(radius)
    running = np.zeros((count, height, width + 2 * reach + 1), dtype=np.int32)
    np.cumsum(np.pad(masks, ((0, 0), (0, 0), (reach, reach))), axis=2, out=running[:, :, 1:])
    grown = np.zeros_like(masks)
    for down in range(min(reach, height - 1) + 1):
        half = int(np.sqrt(radius**2 - down**2))
        stop, start = reach + half + 1, reach - half
        widened = running[:, :, stop : stop + width] > running[:, :, start : start + width]
        grown[:, down:] |= widened[:, : height - down]
        grown[:, : height - down] |= widened[:, down:]
    return grown


def _iou(pairs: Pairs, count: np.ndarray) -> np.ndarray:
    shared = pairs.hits_among(count)
    return np.where(count > 0, shared / (pairs.area + count - shared), np.nan)


def _dice(pairs: Pairs, count: np.ndarray) -> np.ndarray:
    return np.where(count > 0, 2 * pairs.hits_among(count) / (pairs.area + count), np.nan)


PLAIN: Mapping[str, MetricFunction] = {
    score.__name__: score
    for score in (
        pixel_auroc,
        average_precision,
        pointing_game,
        mass_in_roi,
        iou_equal_area,
        mass_gain,
        iou_otsu,
        dice_otsu,
        contrast_to_noise,
        hit_rate,
        relevance_mass_accuracy,
        relevance_rank_accuracy,
    )
} | {"dice_equal_area": relevance_rank_accuracy}
TUNED: Mapping[str, Callable[..., np.ndarray]] = {"iou_tuned": iou_tuned, "dice_tuned": dice_tuned}
UNDEFINED_IF_CONSTANT = ("iou_otsu", "dice_otsu", *TUNED, "contrast_to_noise")


def scores_of(tolerance: float = TOLERANCE, threshold: float | None = None) -> dict[str, MetricFunction]:
    """Every score by name.

    Args:
        tolerance: of `pointing_game_tolerant`, in longer image sides.
        threshold: of the scores at a tuned threshold, 0 to 1; they are there only if it is given.
    """
    tuned = {} if threshold is None else {name: partial(score, threshold=threshold) for name, score in TUNED.items()}
    return {**PLAIN, "pointing_game_tolerant": partial(pointing_game_tolerant, tolerance=tolerance), **tuned}
