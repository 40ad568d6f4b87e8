"""Radiographs, masks and ROI from DICOM files, and from PNG, JPEG, TIFF and PGM.

An image is read in five steps, one module each: its file is opened (`image_file`), its frame is checked (`frame`) and
decoded (`decoding`, which asks `stored` what the words stand for), the numbers become grey values (`grey`), and these a
picture as a viewer shows it (`display`).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmpkd.cohorts.rois import RunLengths
from mmpkd.imaging.decoding import decode
from mmpkd.imaging.display import WINDOWS, Display, Position, to_display
from mmpkd.imaging.frame import refuse_faulty_frame
from mmpkd.imaging.geometry import Geometry
from mmpkd.imaging.grey import View, grey_values
from mmpkd.imaging.image_file import UnreadableImage, open_image

# Modalities that are certainly no radiographs. Others are let through: CR, DX and MG, and what scanners of film and
# converters write (SC, OT, RG, HC, ...).
NO_RADIOGRAPHS: tuple[str, ...] = ("BI", "CT", "ECG", "ES", "GM", "IVOCT", "IVUS", "MR", "NM", "OCT", "OP", "OPT")
NO_RADIOGRAPHS += ("PT", "SEG", "SM", "US", "XC")


class RoiError(ValueError):
    """An ROI cannot be shown on its image; the message says why."""


def read_display(path: str | Path, window: str, view: View = 0, *, radiograph: bool = False) -> Display:
    """Reads one radiograph in displayed polarity, bright where tissue is dense, as rows x columns of 0..1.

    Stored values go through the modality LUT or rescale, the window, and the inversion that MONOCHROME1 or the
    presentation LUT shape INVERSE asks for. Colour becomes luma. Overlays are not drawn. Padding is shown 0.

    Args:
        path: PNG, JPEG, TIFF or PGM by its suffix, else DICOM, with or without preamble.
        window: "dicom" (the file's VOI LUT, else its window, else percentiles), "minmax", "percentile" (0.5th to
            99.5th), or "mimic_jpg" (the full range of the stored numbers to 8 bits, inverted where MONOCHROME1,
            histogram equalised).
        view: "dicom" where a file has several views: which, by its number from 0 on (VOI LUTs before windows) or by
            its explanation; a file that has it not is shown by its first.
        radiograph: refuse a DICOM file that says that it is of another kind, such as CT.

    Raises:
        UnreadableImage: no such file, no image in it, no decoder can read it, several frames, more than 400 million
            pixels, more pixels than Rows and Columns say, or a constant image. For a failed decoding, the reason of
            every decoder that was tried.
        ValueError: unknown window.
    """
    if window not in WINDOWS:
        raise ValueError(f"window {window!r} is unknown; known are {', '.join(WINDOWS)}")
    with open_image(Path(path)) as image:
        refuse_faulty_frame(image)
        stored = decode(image)
        grey = grey_values(stored, image.header, window, view)
        if radiograph and image.modality in NO_RADIOGRAPHS:
            raise UnreadableImage(f"no radiograph: its Modality is {image.modality}")
        display = to_display(grey, window)  # which looks values up in the file's VOI LUT
        display.position = Position.of(image.header)
    return display


def read_image(path: str | Path, window: str, view: View = 0) -> np.ndarray:
    """All of what `read_display` reads at once: float32 rows x columns.

    Args:
        path: of the file.
        window: one of WINDOWS.
        view: which of several the header offers.
    """
    return read_display(path, window, view)[:]


def read_mask(path: str | Path) -> np.ndarray:
    """Reads a mask, DICOM or picture.

    Returns:
        bool, rows x columns, true above the middle between its two grey values.

    Raises:
        UnreadableImage: as for `read_display`; a mask that marks nothing or everything is a constant image.
    """
    return read_display(path, "minmax")[:] > 0.5


def read_header(path: str | Path) -> tuple[int, int]:
    """Reads the size of an image without its pixels.

    Returns:
        (rows, columns).

    Raises:
        UnreadableImage: as for `read_display`.
    """
    with open_image(Path(path), header_only=True) as image:
        return image.size


def read_roi(roi: Any, image: Any, root: Path, geometry: Geometry) -> np.ndarray:
    """The mask of an ROI in the store, through the geometry of its image.

    Args:
        roi: a row of the table of ROI.
        image: the row of its image. A box or a polygon is drawn on the rows and columns that this states.
        root: the folder that a mask's path starts from.
        geometry: of the image.

    Returns:
        bool, size x size.

    Raises:
        RoiError: the ROI cannot be read or lies outside the crop.
    """
    try:
        shown = _shown(roi, image, root, geometry)
    except RecursionError:
        raise RoiError("its outline is nested too deeply to be one") from None
    except (ValueError, TypeError) as error:  # TypeError: a polygon that is JSON, but no list of points
        raise RoiError(str(error)) from None
    if not shown.any():
        raise RoiError("lies outside its image, or outside of the crop")
    return shown


def _shown(roi: Any, image: Any, root: Path, geometry: Geometry) -> np.ndarray:
    if roi.kind in ("mask", "rle"):
        mask = _drawn_mask(roi, root, (geometry.rows, geometry.columns))
        return geometry.of_drawing(*mask.shape).mask_to_store(mask)
    if not (pd.isna(image.rows) or pd.isna(image.columns)):
        geometry = geometry.of_drawing(image.rows, image.columns)
    if roi.kind == "box":
        return geometry.box_to_store_mask(roi.x0, roi.y0, roi.x1, roi.y1)
    return geometry.polygon_to_store_mask(json.loads(roi.polygon))


def _drawn_mask(roi: Any, root: Path, shape: tuple[int, int]) -> np.ndarray:
    """The mask of an ROI; one that was cropped from an image of `shape` is put where it was."""
    if roi.kind == "rle":
        return RunLengths.from_coco(json.loads(roi.polygon)).mask()
    mask = read_mask(root / roi.mask_path)
    if pd.isna(roi.x0) or pd.isna(roi.y0):
        return mask
    left, top = round(roi.x0), round(roi.y0)
    mask = mask[max(-top, 0) :, max(-left, 0) :]
    whole = np.zeros(shape, dtype=bool)
    place = whole[max(top, 0) :, max(left, 0) :]
    rows, columns = min(len(mask), len(place)), min(mask.shape[1], place.shape[1])
    place[:rows, :columns] = mask[:rows, :columns]
    return whole
