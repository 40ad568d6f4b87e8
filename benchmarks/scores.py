"""What it costs to score attention maps, against a loop over images as one would write it.

Run from the repository's root: python -m benchmarks.scores [--images 3000] [--maps 5] [--looped 40] [--sizes 64 224]

One process, one thread; the time is the processor's, so that waiting for other work on the machine does not count. Maps
are random patch grids in float16 as they are exported (8 x 8 for 64 pixels, 14 x 14 for 224), ROI are ellipses of 0.3 %
to 25 % of the image. Candidates:

all       mmpkd.evaluation.localization.score_grids: upsampling and every score, those at a tuned threshold too
default   the same with the scores of the default study
loop      one image and map after the other with scikit-learn, scikit-image, SciPy and numpy, each score on its own, on
          maps that are upsampled already; timed on few images, scaled to all

Memory is the most that one map of every image needs at once beyond masks and grids (tracemalloc, in its own pass).
"""

import argparse
import platform
import time
import tracemalloc
from importlib.metadata import version

import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.filters import threshold_otsu
from sklearn.metrics import average_precision_score, roc_auc_score

from mmpkd.config.evaluation import Evaluation
from mmpkd.evaluation.localization import METRICS, score_grids, upsample
from mmpkd.evaluation.metrics import TOLERANCE

THRESHOLD = 0.5
PATCHES = {64: 8, 224: 14}


def sample(images: int, maps: int, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Grids, maps x images x g x g float16, and masks, images x size x size bool."""
    grids = np.exp(rng.normal(size=(maps, images, PATCHES[size], PATCHES[size])))
    grids = (grids / grids.sum(axis=(2, 3), keepdims=True)).astype(np.float16)
    radius = np.sqrt(rng.uniform(0.003, 0.25, images) / np.pi)
    centre = rng.uniform(radius, 1 - radius, (2, images))
    at = (np.arange(size) + 0.5) / size
    down, across = ((at - middle[:, None]) ** 2 for middle in centre)
    return grids, down[:, :, None] + across[:, None] <= radius[:, None, None] ** 2


def loop(values: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Every score of one map and one ROI, each from its textbook formula; ties are broken as they come."""
    truth, guess, area = mask.ravel(), values.ravel(), int(mask.sum())
    highest = np.zeros(guess.size, dtype=bool)
    highest[np.argsort(-guess)[:area]] = True
    shares = {"equal_area": highest.reshape(mask.shape), "otsu": values > threshold_otsu(values)}
    shares["tuned"] = (values - values.min()) / (values.max() - values.min()) >= THRESHOLD
    mass = values[mask].sum() / values.sum()
    at = np.unravel_index(values.argmax(), values.shape)
    scores = {
        "pixel_auroc": roc_auc_score(truth, guess),
        "average_precision": average_precision_score(truth, guess),
        "pointing_game": float(mask[at]),
        "hit_rate": float(mask[at]),
        "pointing_game_tolerant": float((distance_transform_edt(~mask) <= TOLERANCE * max(mask.shape))[at]),
        "mass_in_roi": mass,
        "relevance_mass_accuracy": mass,
        "mass_gain": mass - mask.mean(),
        "relevance_rank_accuracy": (highest & truth).sum() / area,
        "contrast_to_noise": (values[mask].mean() - values[~mask].mean())
        / np.sqrt(values[mask].var() + values[~mask].var()),
    }
    for name, chosen in shares.items():
        shared = (chosen & mask).sum()
        scores[f"iou_{name}"] = shared / (chosen | mask).sum()
        scores[f"dice_{name}"] = 2 * shared / (chosen.sum() + area)
    return scores


def held(grid: np.ndarray, masks: np.ndarray) -> float:
    """The most memory that scoring one map of every image needs, in MB."""
    tracemalloc.start()
    score_grids(grid, masks, np.arange(len(masks)), threshold=THRESHOLD)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1e6


def measure(images: int, maps: int, looped: int, size: int) -> None:
    """Prints the rows of one image size."""
    grids, masks = sample(images, maps, size, np.random.default_rng(0))
    every, seconds = np.arange(images), {}
    for name, metrics in (("default", Evaluation().scored), ("all", METRICS)):
        start = time.process_time()
        for grid in grids:
            scores = score_grids(grid, masks, every, metrics=metrics, threshold=THRESHOLD)
        seconds[name] = time.process_time() - start
    memory = held(grids[0], masks)
    few = upsample(grids[-1][:looped], size)
    start = time.process_time()
    slow = [loop(*pair) for pair in zip(few, masks[:looped], strict=True)]
    seconds["loop"] = (time.process_time() - start) * images * maps / looped
    worst = max(abs(scores[metric][row] - found[metric]) for row, found in enumerate(slow) for metric in METRICS)
    for name, value in seconds.items():
        columns = f"{value:.1f} | {1e3 * value / (images * maps):.2f} | {seconds['loop'] / value:.1f}"
        print(f"| {size} | {name} | {columns} | {'-' if name == 'loop' else f'{memory:.0f}'} |")
    print(f"| {size} | largest difference of a score, all against loop | {worst:.4f} | | | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--maps", type=int, default=5, help="maps per image")
    parser.add_argument("--looped", type=int, default=40, help="images that the loop is timed on")
    parser.add_argument("--sizes", type=int, nargs="+", choices=PATCHES, default=list(PATCHES))
    arguments = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "scikit-learn", "scikit-image"))
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {packages}")
    print(f"{arguments.images} images x {arguments.maps} maps\n")
    print("| size | candidate | processor seconds | ms per map | loop / candidate | MB |")
    print("|---|---|---|---|---|---|")
    for size in arguments.sizes:
        measure(arguments.images, arguments.maps, arguments.looped, size)


if __name__ == "__main__":
    main()
