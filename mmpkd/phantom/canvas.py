"""Soft-edged primitives and textures on float32 arrays, shared by all phantoms.

Coordinates are (y, x) in pixels, y downwards, pixel centres at half-integers, so that a shape drawn from 10 to 20
covers [10, 20). Every primitive returns an opacity of 0 to 1 over the grid; `softness` is the width of its edge in
pixels.
"""

from functools import lru_cache

import numpy as np

Grid = tuple[np.ndarray, np.ndarray]
Point = tuple[float, float]
Box = tuple[float, float, float, float]  # x0, y0, x1, y1, half-open
TEXTURE_STEP = 32  # textures are made on a grid rounded up to this, so that few spectra are cached and the FFT is fast
HARMONICS = np.arange(2, 6)  # of a blob's outline; 0 is its radius and 1 would only shift it


def grid(rows: int, columns: int) -> Grid:
    """Pixel centres.

    Args:
        rows: of the image.
        columns: of the image.

    Returns:
        Open arrays, y of rows x 1 and x of 1 x columns, that broadcast to rows x columns.
    """
    y = np.arange(rows, dtype=np.float32)[:, None] + np.float32(0.5)
    x = np.arange(columns, dtype=np.float32)[None, :] + np.float32(0.5)
    return y, x


def enlarged(image: np.ndarray, factor: int) -> np.ndarray:
    """The image with each pixel repeated `factor` times in both directions.

    Args:
        image: rows x columns.
        factor: a whole number.
    """
    return image if factor == 1 else image.repeat(factor, axis=0).repeat(factor, axis=1)


def ramp(distance: np.ndarray, softness: float) -> np.ndarray:
    """Opacity of a signed distance.

    Args:
        distance: in pixels, positive inside.
        softness: width of the edge in pixels.

    Returns:
        float32: 0.5 at the edge, 0 and 1 half a `softness` from it.
    """
    return np.clip(distance / np.float32(max(softness, 1e-3)) + np.float32(0.5), 0, 1).astype(np.float32, copy=False)


def soft_ellipse(
    grid: Grid, centre: Point, radii: Point | np.ndarray, angle: float = 0.0, softness: float = 1.0
) -> np.ndarray:
    """An ellipse with a soft edge.

    The distance to the edge is taken as (1 - q) times the geometric mean radius, q the normalised radius: exact for a
    circle, close enough for a soft edge.

    Args:
        grid: pixel centres.
        centre: (y, x) in pixels.
        radii: half-axes (y, x) in pixels.
        angle: by which it is turned, in radians.
        softness: width of the edge in pixels.

    Returns:
        Opacity, float32 rows x columns.
    """
    return ramp(
        (1 - _normalised_radius(grid, centre, radii, angle)) * np.float32(np.sqrt(radii[0] * radii[1])), softness
    )


def soft_ring(
    grid: Grid, centre: Point, radii: Point, width: float, angle: float = 0.0, softness: float = 1.0
) -> np.ndarray:
    """The outline of an ellipse; arguments as of `soft_ellipse`, and its `width` in pixels."""
    edge = np.abs(1 - _normalised_radius(grid, centre, radii, angle)) * np.float32(np.sqrt(radii[0] * radii[1]))
    return ramp(np.float32(width / 2) - edge, softness)


def line(grid: Grid, p: Point, q: Point, width: float, softness: float = 1.0) -> np.ndarray:
    """A straight segment with round ends.

    Args:
        grid: pixel centres.
        p: one end, (y, x) in pixels.
        q: the other end.
        width: in pixels.
        softness: width of the edge in pixels.

    Returns:
        Opacity, float32 rows x columns.
    """
    opacity = np.zeros((grid[0].shape[0], grid[1].shape[1]), np.float32)
    reach = width / 2 + softness  # there is nothing further from the segment than that
    near = tuple(
        slice(max(int(min(ends) - reach), 0), max(int(max(ends) + reach) + 2, 0)) for ends in zip(p, q, strict=True)
    )
    y, x = grid[0][near[0]], grid[1][:, near[1]]
    step_y, step_x = q[0] - p[0], q[1] - p[1]
    length = max(step_y**2 + step_x**2, 1e-6)
    along = np.clip(((y - p[0]) * step_y + (x - p[1]) * step_x) / length, 0, 1)
    distance = np.hypot(y - (p[0] + along * step_y), x - (p[1] + along * step_x))
    opacity[near] = ramp(np.float32(width / 2) - distance, softness)
    return opacity


def blob(
    rng: np.random.Generator, grid: Grid, centre: Point, radius: float, irregularity: float, softness: float
) -> np.ndarray:
    """A star-shaped blob: radius (1 + irregularity * f(angle)), f a random sum of low harmonics of unit variance.

    The outline never falls below a fifth of `radius`.

    Args:
        rng: the source of randomness.
        grid: pixel centres.
        centre: (y, x) in pixels.
        radius: in pixels.
        irregularity: 0 is a circle, 0.1 to 0.2 a lobulated outline.
        softness: width of the edge in pixels.

    Returns:
        Opacity, float32 rows x columns.
    """
    y, x = grid
    phases = rng.uniform(0, 2 * np.pi, len(HARMONICS))
    sizes = rng.normal(size=len(HARMONICS)) / HARMONICS
    sizes /= max(np.sqrt(np.sum(sizes**2) / 2), 1e-6)
    # The outline is tabulated once: a lookup is far cheaper than harmonics of an angle in every pixel.
    angles = np.linspace(-np.pi, np.pi, 257)
    wave = np.sum(sizes[:, None] * np.cos(HARMONICS[:, None] * angles + phases[:, None]), axis=0)
    outline = np.maximum(radius * (1 + irregularity * wave), radius / 5).astype(np.float32)
    dy, dx = y - np.float32(centre[0]), x - np.float32(centre[1])
    position = (np.arctan2(dy, dx) + np.float32(np.pi)) * np.float32(256 / (2 * np.pi))
    return ramp(outline[np.rint(position).astype(np.intp)] - np.hypot(dy, dx), softness)


def texture(rng: np.random.Generator, rows: int, columns: int, exponent: float) -> np.ndarray:
    """Noise whose amplitude falls as 1/f**exponent. White noise is filtered in the Fourier domain.

    Args:
        rng: the source of randomness.
        rows: of the result.
        columns: of the result.
        exponent: 0 is white noise, 1 to 2 the look of tissue.

    Returns:
        float32 rows x columns, zero mean, unit variance.
    """
    padded = tuple(-(-side // TEXTURE_STEP) * TEXTURE_STEP for side in (rows, columns))
    white = rng.standard_normal(padded, dtype=np.float32)
    noise = np.fft.irfft2(np.fft.rfft2(white) * _amplitude(*padded, float(exponent)), s=padded)[:rows, :columns]
    noise = noise - noise.mean()
    return (noise / max(noise.std(), 1e-12)).astype(np.float32)


def bounds(opacity: np.ndarray, threshold: float = 0.5) -> Box:
    """The box around the pixels above `threshold`.

    Args:
        opacity: rows x columns.
        threshold: that a pixel of the box exceeds.

    Raises:
        IndexError: there are none.
    """
    above = opacity > threshold
    rows, columns = np.flatnonzero(above.any(axis=1)), np.flatnonzero(above.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _normalised_radius(grid: Grid, centre: Point, radii: Point | np.ndarray, angle: float) -> np.ndarray:
    y, x = grid
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    dy, dx = y - np.float32(centre[0]), x - np.float32(centre[1])
    if angle == 0:
        return np.sqrt((dy / np.float32(radii[0])) ** 2 + (dx / np.float32(radii[1])) ** 2)
    across = (dx * cosine + dy * sine) / np.float32(radii[1])
    down = (dy * cosine - dx * sine) / np.float32(radii[0])
    return np.sqrt(down**2 + across**2)


@lru_cache(maxsize=64)
def _amplitude(rows: int, columns: int, exponent: float) -> np.ndarray:
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :])
    frequency[0, 0] = np.inf  # no mean
    return (frequency**-exponent if exponent else np.isfinite(frequency)).astype(np.float32)
