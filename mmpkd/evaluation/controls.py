"""Maps that know nothing of the image: what any attention map has to beat."""

import numpy as np


def uniform_map(size: int) -> np.ndarray:
    """A constant map, size x size, of mass one."""
    return np.full((size, size), 1 / size**2, dtype=np.float32)


def centre_map(size: int, sigma: float) -> np.ndarray:
    """A Gaussian around the middle of the image, size x size, of mass one; `sigma` in image sides.

    Raises:
        ValueError: sigma is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}")
    distance = (np.arange(size) + 0.5) / size - 0.5
    profile = np.exp(-0.5 * (distance / sigma) ** 2)
    centred = np.outer(profile, profile)
    return (centred / centred.sum()).astype(np.float32)
