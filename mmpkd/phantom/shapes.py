"""Grey pictures of generic shapes, on which a backbone is pretrained: nothing in them is medical."""

import numpy as np

from mmpkd.phantom.canvas import texture

KINDS = ("ellipse", "ring", "polygon", "bar", "blob", "stripes", "dots", "gradient")
BATCH = 128  # pictures drawn at once: few enough to stay in the cache


def draw_shapes(count: int, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws pictures of one to four shapes with soft edges on cluttered backgrounds.

    Args:
        count: of pictures.
        size: side in pixels.
        rng: the source of randomness.

    Returns:
        uint8 count x size x size, and float32 count x 8, 1 where a kind of KINDS is in the picture.

    Raises:
        ValueError: the size is below 16.
    """
    if size < 16:
        raise ValueError(f"size: {size} is too small for shapes; 16 is the least")
    pictures = np.empty((count, size, size), np.uint8)
    labels = np.zeros((count, len(KINDS)), np.float32)
    noise = np.stack([texture(rng, size, size, exponent) for exponent in rng.uniform(0.6, 1.8, 64).round(1)])
    for start in range(0, count, BATCH):
        stop = min(start + BATCH, count)
        labels[start:stop] = _draw_labels(rng, stop - start)
        pictures[start:stop] = _draw_batch(rng, labels[start:stop], size, noise)
    return pictures, labels


def _draw_labels(rng: np.random.Generator, count: int) -> np.ndarray:
    """One to four kinds a picture, each kind equally often."""
    order = rng.permuted(np.tile(np.arange(len(KINDS)), (count, 1)), axis=1)
    kept = np.arange(len(KINDS)) < rng.integers(1, 5, count)[:, None]
    labels = np.zeros((count, len(KINDS)), np.float32)
    np.put_along_axis(labels, order, kept.astype(np.float32), axis=1)
    return labels


def _draw_batch(rng: np.random.Generator, labels: np.ndarray, size: int, noise: np.ndarray) -> np.ndarray:
    count = len(labels)
    image = _background(rng, count, size, noise)
    for kind in rng.permutation(len(KINDS)):
        chosen = np.flatnonzero(labels[:, kind])
        if len(chosen):
            opacity = _opacity(rng, KINDS[kind], len(chosen), size)
            contrast = rng.uniform(0.15, 0.5, len(chosen)) * np.where(rng.random(len(chosen)) < 0.5, -1, 1)
            image[chosen] += opacity * contrast.astype(np.float32)[:, None, None]
    image += rng.uniform(0.01, 0.05, (count, 1, 1)).astype(np.float32) * rng.standard_normal(image.shape, np.float32)
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _background(rng: np.random.Generator, count: int, size: int, noise: np.ndarray) -> np.ndarray:
    """A grey level, tissue-like noise (turned and mirrored at random) and two straight scratches."""
    clutter = noise[rng.integers(len(noise), size=count)]
    clutter = np.where(rng.random((count, 1, 1)) < 0.5, clutter[:, ::-1], clutter)
    clutter = np.where(rng.random((count, 1, 1)) < 0.5, clutter[:, :, ::-1], clutter)
    image = rng.uniform(0.3, 0.7, (count, 1, 1)) + rng.uniform(0.02, 0.09, (count, 1, 1)) * clutter
    for _ in range(2):
        across, _ = _local(rng, count, size)
        image = image + rng.normal(0, 0.06, (count, 1, 1)) * _ramp((0.006 - np.abs(across)) * size)
    return image.astype(np.float32)


def _opacity(rng: np.random.Generator, kind: str, count: int, size: int) -> np.ndarray:
    """One shape of a kind in each of `count` pictures: opacity of 0 to 1, with edges one to four pixels wide."""
    across, down = _local(rng, count, size)
    radius = _column(rng.uniform(0.10, 0.24, count))
    stretch = _column(rng.uniform(0.6, 1.0, count))
    softness = _column(rng.uniform(1, 4, count))
    distance = np.hypot(across, down / stretch)
    if kind == "ellipse":
        inside = radius - distance
    elif kind == "ring":
        inside = 0.22 * radius - np.abs(distance - radius)
    elif kind == "polygon":
        inside = radius * 0.8 - _polygon_distance(rng, across, down, count)
    elif kind == "bar":
        inside = np.minimum(0.22 * radius - np.abs(down), 1.8 * radius - np.abs(across))
    elif kind == "blob":
        angle = np.arctan2(down, across)
        lobes = _column(rng.integers(3, 7, count))
        inside = radius * (0.85 + 0.3 * np.sin(lobes * angle + _column(rng.uniform(0, 6.28, count)))) - distance
    elif kind == "stripes":
        wave = 0.5 + 0.5 * np.cos(2 * np.pi * across * _column(rng.uniform(8, 14, count)))
        return _ramp((1.3 * radius - distance) * size / softness) * wave
    elif kind == "dots":
        pitch = 2 * np.pi * _column(rng.uniform(8, 12, count))
        dots = np.clip(np.cos(across * pitch) * np.cos(down * pitch) * 2 - 0.6, 0, 1)
        return _ramp((1.3 * radius - distance) * size / softness) * dots
    else:  # a gradient: bright on one side of its window, fading to the other
        return _ramp((1.4 * radius - np.maximum(np.abs(across), np.abs(down))) * size) * np.clip(
            0.5 + across / (2.8 * radius), 0, 1
        )
    return _ramp(inside * size / softness)


def _polygon_distance(rng: np.random.Generator, across: np.ndarray, down: np.ndarray, count: int) -> np.ndarray:
    """The largest of the distances to three to five evenly turned sides: a regular polygon's gauge."""
    sides = rng.integers(3, 6, count)
    gauge = np.full(across.shape, -np.inf, np.float32)
    for side in range(5):
        turn = 2 * np.pi * side / sides
        reach = across * _column(np.cos(turn)) + down * _column(np.sin(turn))
        gauge = np.maximum(gauge, np.where(_column(side < sides) > 0, reach, -np.inf))
    return gauge


def _local(rng: np.random.Generator, count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in image sides about a random centre, turned at random: (across, down), count x size x size."""
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    centre_y, centre_x = rng.uniform(0.2, 0.8, (2, count))
    turn = rng.uniform(0, 2 * np.pi, count)
    y, x = line[None, :, None] - _column(centre_y), line[None, None, :] - _column(centre_x)
    cosine, sine = _column(np.cos(turn)), _column(np.sin(turn))
    return x * cosine + y * sine, y * cosine - x * sine


def _column(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32)[:, None, None]


def _ramp(distance: np.ndarray) -> np.ndarray:
    return np.clip(distance + np.float32(0.5), 0, 1)
