"""Radiographs from DICOM files, and from PNG, JPEG and TIFF, as a viewer shows them."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, get_decoder
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mmpkd.imaging.display import (
    GreyValues,
    UnreadableImage,
    linear_exact_window,
    linear_window,
    sigmoid_window,
    to_display,
)

__all__ = ["UnreadableImage", "read_header", "read_image", "read_mask"]

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
MOST_PIXELS = 400_000_000
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
HEADER = ("Rows", "Columns", "BitsAllocated", "PhotometricInterpretation")
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
WINDOW_FUNCTIONS = {"LINEAR": linear_window, "LINEAR_EXACT": linear_exact_window, "SIGMOID": sigmoid_window}
WHITE_IS_ZERO = 0  # TIFF's photometric interpretation, tag 262
TIFF_PHOTOMETRIC = 262

# pydicom logs element values that it finds odd, and those can be identifiers. What stops a file from being read it
# raises, and that is reported.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def read_image(path: str | Path, window: str) -> np.ndarray:
    """Reads one radiograph in displayed polarity, bright where tissue is dense: float32 rows x columns of 0..1.

    Stored values go through the modality LUT or rescale, the window, and the inversion that MONOCHROME1 or the
    presentation LUT shape INVERSE asks for. Colour becomes luma. Overlays are not drawn. Padding is shown 0.

    Args:
        path: PNG, JPEG or TIFF by its suffix, else DICOM, with or without preamble.
        window: "dicom" (the file's VOI LUT, else its first window, else percentiles), "minmax" or "percentile"
            (0.5th to 99.5th).

    Raises:
        UnreadableImage: no such file, no image in it, no decoder can read it, several frames, more than 400 million
            pixels, or a constant image. For a failed decoding, the reason of every decoder that was tried.
        ValueError: unknown window.
    """
    return to_display(_read_grey(Path(path)), window)


def read_mask(path: str | Path) -> np.ndarray:
    """Reads a mask, DICOM or picture: bool rows x columns, true above the middle between its two grey values.

    Raises UnreadableImage as `read_image` does; a mask that marks nothing or everything is a constant image.
    """
    return to_display(_read_grey(Path(path)), "minmax") > 0.5


def read_header(path: str | Path) -> tuple[int, int]:
    """Reads (rows, columns) without the pixels. Raises UnreadableImage."""
    path = Path(path)
    with _reasons_for_failure(path):
        if path.suffix.lower() in PICTURES:
            with Image.open(path) as picture:
                columns, rows = picture.size
        else:
            dataset = _read_dataset(path, stop_before_pixels=True)
            rows, columns = _rows_and_columns(dataset)
    return rows, columns


def _read_grey(path: Path) -> GreyValues:
    if path.suffix.lower() in PICTURES:
        with _reasons_for_failure(path):
            return _picture(path)
    with _reasons_for_failure(path):
        dataset = _read_dataset(path)
        syntax = _transfer_syntax(dataset)
    with _reasons_for_failure(path, syntax.name):
        return _grey_values(dataset, syntax)


@contextmanager
def _reasons_for_failure(path: Path, transfer_syntax: str | None = None) -> Iterator[None]:
    """Turns whatever goes wrong with one file into UnreadableImage, without the file's name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as with the log above
            yield
    except MemoryError:
        raise
    except UnreadableImage as error:
        raise UnreadableImage(error.reason, error.transfer_syntax or transfer_syntax) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableImage(_without_name(reason, path), transfer_syntax) from None
    except Exception as error:  # decoders raise every kind, and one broken file must not end a run
        reason = f"{type(error).__name__}: {error}"
        raise UnreadableImage(_without_name(reason, path), transfer_syntax) from None


def _without_name(reason: str, path: Path) -> str:
    return " ".join(reason.replace(str(path), "the file").split())


# DICOM


def _read_dataset(path: Path, stop_before_pixels: bool = False) -> Dataset:
    try:
        dataset = dcmread(path, stop_before_pixels=stop_before_pixels)
    except InvalidDicomError:
        dataset = dcmread(path, stop_before_pixels=stop_before_pixels, force=True)
        if not all(keyword in dataset for keyword in HEADER):
            raise UnreadableImage("not a DICOM file: neither a preamble nor the header of an image") from None
    return dataset


def _transfer_syntax(dataset: Dataset) -> UID:
    """The stated transfer syntax; without one, the uncompressed one that the elements were found to be encoded in."""
    stated = getattr(dataset, "file_meta", Dataset()).get("TransferSyntaxUID")
    if stated:
        return UID(stated)
    implicit, little = dataset.original_encoding
    if not little:
        return ExplicitVRBigEndian
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian


def _rows_and_columns(dataset: Dataset) -> tuple[int, int]:
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    if rows < 1 or columns < 1:
        raise UnreadableImage("no image: Rows or Columns is missing or 0")
    return rows, columns


def _grey_values(dataset: Dataset, syntax: UID) -> GreyValues:
    rows, columns = _rows_and_columns(dataset)
    _refuse_huge(rows, columns)
    if not any(dataset.get(keyword) is not None for keyword in PIXELS):
        raise UnreadableImage("no pixels")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        raise UnreadableImage(f"{frames} frames where one is wanted")
    # The decoder tries every installed plugin and, if all fail, raises with the reason of each. It ignores bits above
    # BitsStored, where old files keep overlays.
    stored, properties = get_decoder(syntax).as_array(dataset, index=0)
    photometric = properties["photometric_interpretation"]
    if photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
    if stored.ndim == 3:
        return GreyValues(stored[..., :3].astype(np.float32) @ LUMA)
    return GreyValues(
        values=_after_modality_lut(stored, dataset),
        valid=_not_padding(stored, dataset),
        # DX asks MONOCHROME1 to come with INVERSE: together they invert once.
        inverted=photometric == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE",
        window=_own_window(dataset),
    )


def _after_modality_lut(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    if dataset.get("ModalityLUTSequence"):
        return apply_modality_lut(stored, dataset).astype(np.float32)
    values = stored.astype(np.float32)
    slope, intercept = _first(dataset, "RescaleSlope"), _first(dataset, "RescaleIntercept")
    if slope:
        values *= np.float32(slope)
    if intercept:
        values += np.float32(intercept)
    return values


def _not_padding(stored: np.ndarray, dataset: Dataset) -> np.ndarray | None:
    """False from PixelPaddingValue to PixelPaddingRangeLimit; both are stored values."""
    value = _first(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = _first(dataset, "PixelPaddingRangeLimit")
    low, high = sorted(_as_stored(number, stored.dtype) for number in (value, value if limit is None else limit))
    return (stored < low) | (stored > high)


def _as_stored(number: float, dtype: np.dtype) -> float:
    """Reads -2000 written as 63536 (VR US for signed pixels), or the other way round, as the pixels' type has it."""
    if dtype.kind not in "iu":
        return number
    bits, number = 8 * dtype.itemsize, int(number)
    number %= 1 << bits
    return number - (1 << bits) if dtype.kind == "i" and number >> (bits - 1) else number


def _own_window(dataset: Dataset) -> Callable[[np.ndarray], np.ndarray] | None:
    """The file's first VOI LUT, else its first window, else None."""
    if dataset.get("VOILUTSequence"):
        return partial(_voi_lut, dataset=dataset)
    centre, width = _first(dataset, "WindowCenter"), _first(dataset, "WindowWidth")
    name = str(dataset.get("VOILUTFunction") or "LINEAR")
    if centre is None or width is None or name not in WINDOW_FUNCTIONS or width < (name == "LINEAR") or width <= 0:
        return None
    return partial(WINDOW_FUNCTIONS[name], centre=centre, width=width)


def _voi_lut(values: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Looks values up with the table's largest entry as 1: some files state more bits an entry than they use."""
    entries, first, _ = dataset.VOILUTSequence[0].LUTDescriptor
    entries = entries or 1 << 16  # 0 stands for 65536, which the field cannot hold
    table = apply_voi(np.arange(first, first + entries), dataset, index=0).astype(np.float32)
    inputs = np.rint(values).astype(np.int64) - first
    return table[np.clip(inputs, 0, entries - 1)] / max(table.max(), np.float32(1))


def _first(dataset: Dataset, keyword: str) -> float | None:
    """The first value of a number, None where it is missing, empty or not finite."""
    value = np.ravel(dataset.get(keyword))[:1]
    number = float(value[0]) if value.size and value[0] is not None else None
    return number if number is not None and np.isfinite(number) else None


# pictures


def _picture(path: Path) -> GreyValues:
    with Image.open(path) as picture:
        _refuse_huge(picture.height, picture.width)
        if getattr(picture, "n_frames", 1) != 1:
            raise UnreadableImage(f"{picture.n_frames} frames where one is wanted")
        deep = picture.mode in ("I", "F") or picture.mode.startswith("I;16")
        # Pillow turns white-is-zero round for 8 bits and fewer, not for more.
        tags = getattr(picture, "tag_v2", {})
        inverted = deep and tags.get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO
        if deep or picture.mode == "L":
            return GreyValues(np.asarray(picture, dtype=np.float32), inverted=inverted)
        return GreyValues(np.asarray(picture.convert("RGB"), dtype=np.float32) @ LUMA)


def _refuse_huge(rows: int, columns: int) -> None:
    if rows * columns > MOST_PIXELS:
        raise UnreadableImage(f"{rows} x {columns} pixels are more than {MOST_PIXELS // 1_000_000} million")
