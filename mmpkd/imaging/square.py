"""The path of one image from its file to the square that a student sees: grey values, crop, resizing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpkd.config.imaging import Breast, Imaging
from mmpkd.imaging.breast import Framing, framing
from mmpkd.imaging.display import Display
from mmpkd.imaging.geometry import Geometry
from mmpkd.imaging.reading import read_display
from mmpkd.imaging.store import NO_BREAST


@dataclass(frozen=True)
class Square:
    """An image as a student sees it.

    Attributes:
        pixels: uint8, size x size.
        geometry: the way from the image to the square.
        display: the image as a viewer shows it.
        notes: what a reader should know: no breast in it, another window, a header that is not believed.
    """

    pixels: np.ndarray
    geometry: Geometry
    display: Display
    notes: list[str]


def read_square(path: Path, imaging: Imaging, breast: Breast) -> Square:
    """Reads one radiograph.

    Args:
        path: of the file.
        imaging: window, size and aspect.
        breast: what is done to a mammogram besides; all of it may be off.

    Raises:
        UnreadableImage: the file gives no usable image.
    """
    display = read_display(path, imaging.window, imaging.view, radiograph=True)
    framed = framing(display, breast) if breast.active else Framing()
    geometry = Geometry.fit(*display.shape, imaging.size, imaging.keep_aspect, framed.crop, framed.flip)
    pixels = geometry.image_to_store(display)
    if framed.found is not None and breast.remove_labels:
        pixels[~geometry.resampled(*framed.found.mask.shape).mask_to_store(framed.found.mask)] = 0
    notes = list(display.notes)
    if framed.found is None and breast.active:
        notes.append(NO_BREAST)
    if display.note:
        notes.append(f"window {imaging.window}: {display.note}")
    return Square(pixels, geometry, display, notes)
