"""From the store's pixels back to those of the image."""

import numpy as np
from scipy.ndimage import map_coordinates

from mmpkd.imaging.geometry import Geometry


def points_to_image(geometry: Geometry, points: np.ndarray) -> np.ndarray:
    """Store points, N x 2 (x, y), in the image: the inverse of `Geometry.points_to_store`."""
    store = np.array(points, dtype=np.float64)
    if geometry.flip:
        store[:, 0] = geometry.size - store[:, 0]
    scaled = (store - (geometry.pad_left, geometry.pad_top)) / (geometry.scale_x, geometry.scale_y)
    return scaled + (geometry.crop_x0, geometry.crop_y0)


def to_original(grid: np.ndarray, geometry: Geometry) -> np.ndarray:
    """A map on the store's patch grid, g x h, as the original image shows it: rows x columns, NaN outside the crop.

    Each pixel gets the value of the bilinear map at its centre.
    """
    y, x = (axis.ravel() + 0.5 for axis in np.indices((geometry.rows, geometry.columns)))
    store = geometry.points_to_store(np.stack([x, y], axis=1))
    places = [store[:, 1 - axis] * length / geometry.size - 0.5 for axis, length in enumerate(grid.shape)]
    values = map_coordinates(grid.astype(np.float64), places, order=1, mode="nearest")
    inside = (x >= geometry.crop_x0) & (x <= geometry.crop_x1) & (y >= geometry.crop_y0) & (y <= geometry.crop_y1)
    return np.where(inside, values, np.nan).reshape(geometry.rows, geometry.columns)
