"""Where the breast is in a mammogram: for the crop, the side of the chest wall, and what is not breast.

The breast is the largest connected part brighter than the background, found on the image shrunk to SIDE pixels. The
threshold is the lower one of Otsu's for three classes (air, breast, and what is dense: otherwise the pectoral muscle
would push fat to the air), on the square root of the grey values and after smoothing; an opening cuts view markers and
film edges off before the parts are compared. The side of the chest wall is read from the picture and not from the
laterality in the header, because scanned films lie either way round.

A frame around a scanned film is cut off where it is thinner than the opening, 2.7 % of the longer side. Next to the
breast a rim of it stays.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_multiotsu
from skimage.morphology import disk

from mmpkd.config.imaging import Breast
from mmpkd.imaging.geometry import Image, area_average

SIDE = 256  # pixels of the longer side on which the breast is looked for
OPENING = disk(3)  # what is thinner than 7 pixels of these is cut off: letters and frames, 2.7 % of the longer side
RIM = disk(4)  # pixels that the opening, and a threshold above the skin's faint edge, may have cost the breast
NOISE = 1.0  # standard deviation of the smoothing, in pixels of these
LEAST = 0.02  # a part smaller than this share of the image is no breast


@dataclass(frozen=True)
class Found:
    """The breast in an image of `rows` x `columns`.

    Attributes:
        mask: bool, the image shrunk to SIDE pixels: true on the breast and a rim around it.
    """

    mask: np.ndarray
    rows: int
    columns: int

    def crop(self, margin: float) -> tuple[float, float, float, float]:
        """The smallest box around the breast, in image pixels (x0, y0, x1, y1), widened by `margin` longer sides."""
        sides = []
        rim = margin * max(self.rows, self.columns)
        for axis, length in ((0, self.columns), (1, self.rows)):
            occupied = np.flatnonzero(self.mask.any(axis=axis))
            scale = length / self.mask.shape[1 - axis]
            low, high = occupied[0] * scale - rim, (occupied[-1] + 1) * scale + rim
            sides.append((float(np.clip(np.floor(low), 0, length)), float(np.clip(np.ceil(high), 0, length))))
        (x0, x1), (y0, y1) = sides
        return x0, y0, x1, y1

    @property
    def chest_wall(self) -> str:
        """The side, left or right, that has more of the breast."""
        share = self.mask.mean(axis=0)
        half = len(share) // 2
        return "left" if share[:half].sum() >= share[-half:].sum() else "right"


@dataclass(frozen=True)
class Framing:
    """The part of an image that is stored, and whether it is mirrored, for `Geometry.fit`; as it is by default.

    Attributes:
        crop: in image pixels (x0, y0, x1, y1); None for all of it.
        found: the breast; None where none was found or looked for.
    """

    crop: tuple[float, float, float, float] | None = None
    flip: bool = False
    found: Found | None = None


def find(image: Image) -> Found | None:
    """Finds the breast in an image of 0..1, bright where tissue is dense; None where nothing looks like one."""
    rows, columns = image.shape
    scale = min(1.0, SIDE / max(rows, columns))
    shape = max(1, round(rows * scale)), max(1, round(columns * scale))
    small = np.sqrt(area_average(image, (0.0, float(rows)), (0.0, float(columns)), shape))
    small = ndimage.gaussian_filter(small, NOISE)
    try:
        threshold = threshold_multiotsu(small, classes=3)[0]
    except ValueError:  # fewer than three grey values: a drawing, or an image of one grey
        threshold = (small.min() + small.max()) / 2
    # Nothing is beyond the edge of an image. If it went on there, the frame of a film would be as thick as the breast.
    parts, count = ndimage.label(ndimage.binary_opening(small > threshold, OPENING))
    if not count:
        return None
    sizes = np.bincount(parts.ravel())[1:]
    if sizes.max() < LEAST * parts.size:
        return None
    breast = ndimage.binary_fill_holes(parts == 1 + sizes.argmax())
    return Found(ndimage.binary_dilation(breast, RIM), rows, columns)


def framing(image: Image, wanted: Breast) -> Framing:
    """How an image is framed, by the breast in it; an image without one is stored as it is.

    Args:
        image: grey values of a mammogram.
        wanted: what the configuration asks for.
    """
    found = find(image)
    if found is None:
        return Framing()
    crop = found.crop(wanted.margin) if wanted.crop else None
    return Framing(crop, flip=wanted.chest_wall not in ("as_is", found.chest_wall), found=found)
