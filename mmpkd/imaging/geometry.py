"""The way from an image's pixels to the store's square and back: crop, scale, pad, flip.

Coordinates are continuous, x to the right and y downwards. A pixel covers [k, k + 1), so that its centre lies at a
half-integer, in the image and in the store alike.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from skimage.draw import polygon as polygon_pixels

from mmpkd.imaging.resize import Image, area_average

SAMPLES = 8  # sub-pixels a side on which a polygon is drawn: its coverage is known to about 1/64
TIE = 1e-6  # coverages this close are equal: rounding must not decide
FARTHEST = 1e9  # image pixels: farther corners of a polygon are drawn here, as integers cannot hold them all
HALF = 0.5 - TIE  # a store pixel belongs to an ROI that covers half of it


@dataclass(frozen=True)
class Geometry:
    """Maps an image of `rows` x `columns` to a square of `size` pixels a side.

    The crop [crop_x0, crop_x1) x [crop_y0, crop_y1), in image pixels, is scaled by `scale_x` and `scale_y` (store
    pixels an image pixel), moved by `pad_left` and `pad_top` (store pixels) and, with `flip`, mirrored left to right.
    """

    rows: int
    columns: int
    crop_x0: float
    crop_y0: float
    crop_x1: float
    crop_y1: float
    scale_x: float
    scale_y: float
    pad_left: int
    pad_top: int
    flip: bool
    size: int

    @classmethod
    def fit(
        cls,
        rows: int,
        columns: int,
        size: int,
        keep_aspect: bool,
        crop: tuple[float, float, float, float] | None = None,
        flip: bool = False,
    ) -> "Geometry":
        """The geometry that shows the crop (x0, y0, x1, y1; None: the whole image) as large as the square allows.

        With `keep_aspect` the picture is centred and the rest is padding; else it is stretched. Either way its sides
        are whole store pixels, so that kept aspects are exact to half a store pixel. Raises ValueError for
        sizes below 1 and for a crop that is empty or reaches out of the image.
        """
        if min(rows, columns, size) < 1:
            raise ValueError(f"an image of {rows} x {columns} pixels cannot be fitted to a square of {size}")
        x0, y0, x1, y1 = crop or (0.0, 0.0, float(columns), float(rows))
        inside = 0 <= x0 < x1 <= columns and 0 <= y0 < y1 <= rows
        if not inside or size / min(x1 - x0, y1 - y0) == np.inf:
            raise ValueError(f"crop {(x0, y0, x1, y1)} is empty or reaches out of an image of {rows} x {columns}")
        width = height = size
        if keep_aspect:
            scale = size / max(x1 - x0, y1 - y0)
            width, height = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
        return cls(
            rows=int(rows),
            columns=int(columns),
            crop_x0=float(x0),
            crop_y0=float(y0),
            crop_x1=float(x1),
            crop_y1=float(y1),
            scale_x=width / (x1 - x0),
            scale_y=height / (y1 - y0),
            pad_left=(size - width) // 2,
            pad_top=(size - height) // 2,
            flip=bool(flip),
            size=int(size),
        )

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Geometry":
        """The geometry in a row of `geometry.parquet`; other columns are passed over."""
        kinds = cls.__annotations__
        return cls(**{name: kind(row[name]) for name, kind in kinds.items()})

    def to_row(self) -> dict[str, Any]:
        """The columns that `from_row` reads."""
        return asdict(self)

    def resampled(self, rows: int, columns: int) -> "Geometry":
        """The geometry that shows the same part of the same picture if it has `rows` x `columns` pixels instead."""
        x, y = columns / self.columns, rows / self.rows
        return replace(
            self,
            rows=int(rows),
            columns=int(columns),
            crop_x0=self.crop_x0 * x,
            crop_y0=self.crop_y0 * y,
            crop_x1=min(self.crop_x1 * x, float(columns)),  # rounding must not reach out of the image
            crop_y1=min(self.crop_y1 * y, float(rows)),
            scale_x=self.scale_x / x,
            scale_y=self.scale_y / y,
        )

    @property
    def content(self) -> tuple[slice, slice]:
        """The store pixels, by row and column, that show the image; the rest is padding."""
        height = round((self.crop_y1 - self.crop_y0) * self.scale_y)
        width = round((self.crop_x1 - self.crop_x0) * self.scale_x)
        left = self.size - self.pad_left - width if self.flip else self.pad_left
        return slice(self.pad_top, self.pad_top + height), slice(left, left + width)

    def points_to_store(self, points: np.ndarray) -> np.ndarray:
        """Maps image points, N x 2 (x, y), to the store: float64 N x 2. Points outside the crop are mapped likewise."""
        points = _points(points)
        store = (points - (self.crop_x0, self.crop_y0)) * (self.scale_x, self.scale_y) + (self.pad_left, self.pad_top)
        return self._mirrored(store)

    def image_to_store(self, image: Image) -> np.ndarray:
        """Resamples an image, an array or a `Display` of rows x columns in 0..1, by area: uint8 size x size, padding 0.

        Raises ValueError for an image of another shape.
        """
        return np.rint(np.clip(self._averaged(image), 0, 1) * 255).astype(np.uint8)

    def mask_to_store(self, mask: np.ndarray) -> np.ndarray:
        """Resamples a mask, bool rows x columns: bool size x size, true where it covers half of a store pixel.

        A mask too small for that keeps the store pixel that it covers most. Raises ValueError for another shape.
        """
        return _half_covered(self._averaged(np.asarray(mask, dtype=bool)))

    def box_to_store_mask(self, x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
        """The box [x0, x1) x [y0, y1) in image pixels, clipped to the crop, as `mask_to_store` would show it.

        Empty where box and crop are apart. Raises ValueError for a box that is empty or not finite.
        """
        if not (x0 < x1 and y0 < y1 and np.isfinite([x0, y0, x1, y1]).all()):
            raise ValueError("box is empty or not finite")
        x = np.clip([x0, x1], self.crop_x0, self.crop_x1)
        y = np.clip([y0, y1], self.crop_y0, self.crop_y1)
        corners = self.points_to_store(np.stack([x, y], axis=1))
        edges = np.arange(self.size + 1)
        covered_x, covered_y = (np.diff(np.clip(edges, *np.sort(corners[:, axis]))) for axis in (0, 1))
        return _half_covered(np.outer(covered_y, covered_x))

    def polygon_to_store_mask(self, points: np.ndarray) -> np.ndarray:
        """The polygon with the vertices `points`, N x 2 (x, y) in image pixels, as `mask_to_store` would show it.

        The inside follows the even-odd rule. A polygon too thin to be drawn is shown by its bounding box. Raises
        ValueError for fewer than three points or one that is not finite.
        """
        points = _points(points)
        if len(points) < 3 or not np.isfinite(points).all():
            raise ValueError("polygon has fewer than three points or one that is not finite")
        points = np.clip(points, -FARTHEST, FARTHEST)
        x, y = self.points_to_store(points).T * SAMPLES - 0.5  # skimage puts pixel centres at integers
        side = self.size * SAMPLES
        drawn = np.zeros((side, side), dtype=bool)
        drawn[polygon_pixels(y, x, shape=drawn.shape)] = True
        coverage = np.zeros((self.size, self.size))
        blocks = drawn.reshape(self.size, SAMPLES, self.size, SAMPLES)
        coverage[self.content] = blocks.mean(axis=(1, 3))[self.content]
        if coverage.any():
            return _half_covered(coverage)
        return self.box_to_store_mask(*points.min(axis=0), *points.max(axis=0))

    def _averaged(self, image: Image) -> np.ndarray:
        if image.shape != (self.rows, self.columns):
            raise ValueError(f"array of shape {image.shape} does not fit a geometry of {self.rows} x {self.columns}")
        store = np.zeros((self.size, self.size), dtype=np.float32)
        rows, columns = self.content
        shape = rows.stop - rows.start, columns.stop - columns.start
        content = area_average(image, (self.crop_y0, self.crop_y1), (self.crop_x0, self.crop_x1), shape)
        store[rows, columns] = content[:, ::-1] if self.flip else content
        return store

    def _mirrored(self, store: np.ndarray) -> np.ndarray:
        return np.stack([self.size - store[:, 0], store[:, 1]], axis=1) if self.flip else store


def _points(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points must be an N x 2 array of x and y, not one of shape {points.shape}")
    return points


def _half_covered(coverage: np.ndarray) -> np.ndarray:
    mask = coverage >= HALF
    if not mask.any() and coverage.max() > 0:
        mask.flat[np.argmax(coverage >= coverage.max() - TIE)] = True
    return mask
