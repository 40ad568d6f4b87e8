"""Radiographs from DICOM files, and from PNG, JPEG and TIFF, as a viewer shows them."""

import io
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.pixels import apply_color_lut, get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
)

from mmpkd.files import StorageError, blame_storage
from mmpkd.imaging.codestream import CutError, first_frame, only_frame, refuse_cut, stated_size
from mmpkd.imaging.display import (
    WINDOWS,
    Display,
    GreyValues,
    Shading,
    UnreadableImage,
    linear_exact_window,
    linear_window,
    sigmoid_window,
    to_display,
)
from mmpkd.imaging.lookup import LookupTable
from mmpkd.imaging.position import Position
from mmpkd.imaging.stored import Reading, read, sides_are_exchanged

__all__ = ["UnreadableImage", "read_display", "read_header", "read_image", "read_mask"]

View = int | str

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "TIFF")  # whatever a picture's name: Pillow goes by content, and has decoders of many more
MOST_PIXELS = 400_000_000
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
HEADER = ("Rows", "Columns", "BitsAllocated", "PhotometricInterpretation")
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
WINDOW_FUNCTIONS = {"LINEAR": linear_window, "LINEAR_EXACT": linear_exact_window, "SIGMOID": sigmoid_window}
FASTEST = {JPEG2000Lossless: "pylibjpeg", JPEG2000: "pylibjpeg"}  # the decoder to try first, where it matters
# A broken file ends the process in the one, and keeps the other busy for 12 s at 100 x 100 pixels; others read it all.
UNSAFE = ("gdcm", "pyjpegls")
OWN_PRECISION = {*JPEG2000TransferSyntaxes, *JPEGLSTransferSyntaxes}
WORDS = (np.dtype("uint8"), np.dtype("<u2"), np.dtype(">u2"))
ITEM = b"\xfe\xff\x00\xe0"  # the tag that encapsulated pixels begin with
PIXEL_TAGS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
PLANES_NOTE = "the samples lie in the other order than PlanarConfiguration says; shown as they lie"
# Modalities that are certainly no radiographs. Others are let through: CR, DX and MG, and what scanners of film and
# converters write (SC, OT, RG, HC, ...).
NO_RADIOGRAPHS = ("BI", "CT", "ECG", "ES", "GM", "IVOCT", "IVUS", "MR", "NM", "OCT", "OP", "OPT", "PT", "SEG", "SM")
NO_RADIOGRAPHS += ("US", "XC")
WHITE_IS_ZERO = 0  # TIFF's photometric interpretation, tag 262
TIFF_PHOTOMETRIC = 262

# pydicom logs element values that it finds odd, and those can be identifiers. What stops a file from being read it
# raises, and that is reported.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def read_display(path: str | Path, window: str, view: View = 0, *, radiograph: bool = False) -> Display:
    """Reads one radiograph in displayed polarity, bright where tissue is dense, as rows x columns of 0..1.

    Stored values go through the modality LUT or rescale, the window, and the inversion that MONOCHROME1 or the
    presentation LUT shape INVERSE asks for. Colour becomes luma. Overlays are not drawn. Padding is shown 0.

    Args:
        path: PNG, JPEG or TIFF by its suffix, else DICOM, with or without preamble.
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
    return _displayed(Path(path), window, view, radiograph)


def read_image(path: str | Path, window: str, view: View = 0) -> np.ndarray:
    """All of what `read_display` reads at once: float32 rows x columns."""
    return read_display(path, window, view)[:]


def read_mask(path: str | Path) -> np.ndarray:
    """Reads a mask, DICOM or picture: bool rows x columns, true above the middle between its two grey values.

    Raises UnreadableImage as `read_display` does; a mask that marks nothing or everything is a constant image.
    """
    return read_display(path, "minmax")[:] > 0.5


def read_header(path: str | Path) -> tuple[int, int]:
    """Reads (rows, columns) without the pixels. Raises UnreadableImage."""
    path = Path(path)
    with _reasons_for_failure(path):
        if path.suffix.lower() in PICTURES:
            with _File(path) as file, Image.open(file, formats=FORMATS) as picture:
                columns, rows = picture.size
        else:
            dataset = _read_dataset(path, stop_before_pixels=True)
            rows, columns = _rows_and_columns(dataset)
    return rows, columns


def _displayed(path: Path, window: str, view: View, radiograph: bool) -> Display:
    if path.suffix.lower() in PICTURES:
        with _reasons_for_failure(path):
            grey = _picture(path)
    else:
        with _reasons_for_failure(path):
            dataset = _read_dataset(path)
            syntax = _transfer_syntax(dataset)
        with _reasons_for_failure(path, syntax.name):
            grey = _grey_values(dataset, syntax, window, view)
            if radiograph and (modality := str(dataset.get("Modality") or "")) in NO_RADIOGRAPHS:
                raise UnreadableImage(f"no radiograph: its Modality is {modality}")
            display = to_display(grey, window)  # which looks values up in the file's VOI LUT
            display.position = Position.of(dataset)
            return display
    return to_display(grey, window)


@contextmanager
def _reasons_for_failure(path: Path, transfer_syntax: str | None = None) -> Iterator[None]:
    """Turns whatever goes wrong with one file into UnreadableImage, without the file's name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as with the log above
            yield
    except (MemoryError, StorageError):
        raise
    except UnreadableImage as error:
        raise UnreadableImage(error.reason, error.transfer_syntax or transfer_syntax) from None
    except OSError as error:
        blame_storage(error)
        reason = error.strerror or str(error)
        raise UnreadableImage(_without_name(reason, path), transfer_syntax) from None
    except Exception as error:  # decoders raise every kind, and one broken file must not end a run
        reason = f"{type(error).__name__}: {error}"
        raise UnreadableImage(_without_name(reason, path), transfer_syntax) from None


class _File(io.BufferedReader):
    """A file that is asked for no more bytes than it has: broken lengths are long, and Python takes memory first."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    @property
    def name(self) -> str:
        """What messages call it; pydicom adds it to some, which a path is not made for."""
        return "the file"

    def __repr__(self) -> str:
        return self.name

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size if size is None else min(size, self._size))


def _without_name(reason: str, path: Path) -> str:
    return " ".join(reason.replace(str(path), "the file").split())


# DICOM


def _read_dataset(path: Path, stop_before_pixels: bool = False) -> Dataset:
    with _File(path) as file:
        try:
            dataset = dcmread(file, stop_before_pixels=stop_before_pixels)
        except InvalidDicomError:
            file.seek(0)
            dataset = dcmread(file, stop_before_pixels=stop_before_pixels, force=True)
            if not all(keyword in dataset for keyword in HEADER):
                raise UnreadableImage("not a DICOM file: neither a preamble nor the header of an image") from None
        if not stop_before_pixels and not _has_pixels(dataset):
            file.seek(0)  # pydicom returns nothing, or what is before, where an element has no end
            data = file.read()
            if any(tag in data for tag in PIXEL_TAGS):
                raise UnreadableImage("the file ends within its pixels")
        return dataset


def _has_pixels(dataset: Dataset) -> bool:
    return any(dataset.get(keyword) is not None for keyword in PIXELS)


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


def _grey_values(dataset: Dataset, syntax: UID, window: str, view: View) -> GreyValues:
    rows, columns = _rows_and_columns(dataset)
    _refuse_huge(rows, columns)
    if not _has_pixels(dataset):
        raise UnreadableImage("no pixels")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        raise UnreadableImage(f"{frames} frames where one is wanted")
    _refuse_other_encoding(dataset, syntax)
    _refuse_surplus(dataset, syntax, rows, columns)
    _refuse_other_frame(dataset, syntax, rows, columns)
    stored, photometric = _decoded(dataset, syntax)
    if photometric == "PALETTE COLOR":
        stored = _through_palette(stored, dataset)
    if stored.ndim == 3:
        stored, notes = _by_planes(stored, dataset, syntax)
        return GreyValues(stored[..., :3].astype(np.float32) @ LUMA, notes=notes)
    pixels, numbers, dtype, notes = _words(stored, dataset, syntax)
    if window == "mimic_jpg":  # its makers saw the stored numbers and MONOCHROME1, and nothing else
        return _grey(pixels, numbers.astype(np.float32), photometric == "MONOCHROME1", notes=notes)
    values = _after_modality_lut(numbers, dataset)
    values[_padding(numbers, dtype, dataset)] = np.nan
    # DX asks MONOCHROME1 to come with INVERSE: together they invert once.
    inverted = photometric == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE"
    own, note = _own_window(dataset, view, values) if window == "dicom" else (None, "")
    return _grey(pixels, values, inverted, own, note, notes)


def _refuse_other_encoding(dataset: Dataset, syntax: UID) -> None:
    """Refuses compressed pixels under a transfer syntax of uncompressed ones: they would be shown as noise."""
    if not syntax.is_encapsulated and dataset.get("PixelData", b"")[:4] == ITEM:
        raise UnreadableImage("compressed pixels where the transfer syntax says that they are not")


def _refuse_surplus(dataset: Dataset, syntax: UID, rows: int, columns: int) -> None:
    """Refuses native grey pixels that are more than Rows x Columns: a part of the image, or a sheared one, would show.

    Less than a row and less than a column too much, or zeros, are padding.
    """
    bits = int(dataset.get("BitsAllocated") or 0)
    if syntax.is_encapsulated or dataset.get("SamplesPerPixel", 1) != 1 or bits % 8 or "PixelData" not in dataset:
        return
    row, column = columns * bits // 8, rows * bits // 8
    surplus = dataset.PixelData[rows * row :]
    if len(surplus) >= min(row, column) > 0 and any(surplus):
        raise UnreadableImage(f"more pixels than the {rows} x {columns} that its Rows and Columns say")


def _refuse_other_frame(dataset: Dataset, syntax: UID, rows: int, columns: int) -> None:
    """Refuses a compressed frame of another size, before a decoder takes memory and time for it, or one that is cut."""
    if not syntax.is_encapsulated or "PixelData" not in dataset:
        return
    size = stated_size(first_frame(dataset.PixelData))
    if size not in (None, (rows, columns)):
        raise UnreadableImage(f"a frame of {size[0]} x {size[1]} where Rows and Columns say {rows} x {columns}")
    _refuse_cut(only_frame(dataset.PixelData))


def _grey(pixels: np.ndarray | None, values: np.ndarray, *rest: Any, **named: Any) -> GreyValues:
    """Grey values: `values` one a pixel, or one a word of `pixels`."""
    return GreyValues(*((values, None) if pixels is None else (pixels, values)), *rest, **named)


def _decoded(dataset: Dataset, syntax: UID) -> tuple[np.ndarray, str]:
    """The stored pixels, from the first decoder that can read them, and their photometric interpretation.

    Grey pixels may be a view of the file's bytes, and bits above BitsStored are still in them. Raises UnreadableImage
    with the reason of each decoder.
    """
    decoder = get_decoder(syntax)
    grey = dataset.get("SamplesPerPixel", 1) == 1 and dataset.get("PhotometricInterpretation") != "PALETTE COLOR"
    options = {"index": 0, "view_only": True, "correct_unused_bits": False} if grey else {"index": 0}
    if not syntax.is_encapsulated:
        stored, properties = decoder.as_array(dataset, **options)
        return stored, properties["photometric_interpretation"]
    reasons = []
    safe = [name for name in decoder.available_plugins if name not in UNSAFE]
    for name in sorted(safe, key=lambda name: name != FASTEST.get(syntax)):
        try:
            stored, properties = decoder.as_array(dataset, decoding_plugin=name, **options)
        except MemoryError:
            raise
        except Exception as error:  # decoders raise every kind; what each says is reported
            reasons.append(f"{name}: {str(error).rpartition(f'{name}: ')[2]}")
        else:
            return stored, properties["photometric_interpretation"]
    raise UnreadableImage(" ".join("; ".join(reasons).split()) or "no decoder is installed for it")


def _words(
    stored: np.ndarray, dataset: Dataset, syntax: UID
) -> tuple[np.ndarray | None, np.ndarray, np.dtype, tuple[str, ...]]:
    """Pixels of 8 or 16 bits as unsigned words, and the number that each word stands for; others as None and numbers.

    Also the type of the numbers as they are stored, and notes of what the header says wrongly. Codecs that state a
    precision of their own leave no bits above it.
    """
    kind, bits = stored.dtype.kind, 8 * stored.dtype.itemsize
    if kind not in "iu" or bits > 16:
        return None, stored, stored.dtype, ()
    if not syntax.is_encapsulated and sides_are_exchanged(stored):
        raise UnreadableImage("Rows and Columns are exchanged, as the pixels lie")
    own_precision = syntax in OWN_PRECISION
    stated = Reading.stated(
        bits,
        None if own_precision else int(dataset.get("BitsStored") or bits),
        None if own_precision or dataset.get("HighBit") is None else int(dataset.HighBit),
        kind == "i",
    )
    words = stored.view(stored.dtype.str.replace("i", "u"))
    words, reading, notes = read(words, stated, check_bytes=not syntax.is_encapsulated)
    return words, reading.numbers(bits), np.dtype(f"{'i' if reading.signed else 'u'}{stored.dtype.itemsize}"), notes


def _by_planes(stored: np.ndarray, dataset: Dataset, syntax: UID) -> tuple[np.ndarray, tuple[str, ...]]:
    """Colour pixels, rows x columns x 3; by the other PlanarConfiguration if only that makes them the grey they are."""
    if syntax.is_encapsulated or dataset.get("PhotometricInterpretation") != "RGB" or _is_grey(stored):
        return stored, ()
    rows, columns, samples = stored.shape
    if int(dataset.get("PlanarConfiguration") or 0):
        other = stored.transpose(2, 0, 1).reshape(rows, columns, samples)
    else:
        other = stored.reshape(samples, rows, columns).transpose(1, 2, 0)
    return (other, (PLANES_NOTE,)) if _is_grey(other) else (stored, ())


def _is_grey(stored: np.ndarray) -> bool:
    return bool((stored == stored[..., :1]).all())


def _lookup(descriptor: Any, data: Any, numbers: np.ndarray, dataset: Dataset) -> LookupTable:
    """A table for `numbers`, of which those that are no number do not count."""
    _, little = dataset.original_encoding
    return LookupTable.parse(
        list(descriptor or ()), data, (np.nanmin(numbers), np.nanmax(numbers)), little is not False
    )


def _through_palette(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Rows x columns x 3 of a palette's entries."""
    colours = ("Red", "Green", "Blue")
    if "RedPaletteColorLookupTableData" not in dataset:
        return apply_color_lut(stored, dataset)  # segments, or a palette by its name
    names = [f"{colour}PaletteColorLookupTable" for colour in colours]
    tables = (_lookup(dataset.get(f"{name}Descriptor"), dataset.get(f"{name}Data"), stored, dataset) for name in names)
    return np.stack([table(stored) for table in tables], axis=-1)


def _after_modality_lut(numbers: np.ndarray, dataset: Dataset) -> np.ndarray:
    if luts := dataset.get("ModalityLUTSequence"):
        return _lookup(luts[0].get("LUTDescriptor"), luts[0].get("LUTData"), numbers, dataset)(numbers)
    values = numbers.astype(np.float32)
    slope, intercept = _first(dataset, "RescaleSlope"), _first(dataset, "RescaleIntercept")
    if slope:
        values *= np.float32(slope)
    if intercept:
        values += np.float32(intercept)
    return values


def _padding(numbers: np.ndarray, dtype: np.dtype, dataset: Dataset) -> np.ndarray:
    """True from PixelPaddingValue to PixelPaddingRangeLimit; both are stored numbers."""
    value = _first(dataset, "PixelPaddingValue")
    if value is None:
        return np.zeros(numbers.shape, dtype=bool)
    limit = _first(dataset, "PixelPaddingRangeLimit")
    low, high = sorted(_as_stored(number, dtype) for number in (value, value if limit is None else limit))
    return (numbers >= low) & (numbers <= high)


def _as_stored(number: float, dtype: np.dtype) -> float:
    """Reads -2000 written as 63536 (VR US for signed pixels), or the other way round, as the pixels' type has it."""
    if dtype.kind not in "iu":
        return number
    bits, number = 8 * dtype.itemsize, int(number)
    number %= 1 << bits
    return number - (1 << bits) if dtype.kind == "i" and number >> (bits - 1) else number


def _own_window(dataset: Dataset, view: View, values: np.ndarray) -> tuple[Shading | None, str]:
    """The wanted one of the file's views, its VOI LUTs first and then its windows, and why it is another if it is.

    A view is wanted by its number or by its explanation. A file without it is shown by its first. `values` are those
    that it is looked up for.
    """
    luts = dataset.get("VOILUTSequence") or []
    views: list[Shading | None] = [
        partial(_voi_lut, table=_lookup(item.get("LUTDescriptor"), item.get("LUTData"), values, dataset))
        for item in luts
    ]
    names = [str(item.get("LUTExplanation") or "") for item in luts]
    centres, widths, explanations = (
        _all(dataset, keyword) for keyword in ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation")
    )
    pairs = list(zip(centres, widths, strict=False))
    views += [_window(dataset, centre, width) for centre, width in pairs]
    names += [str(name) for name in (explanations + [""] * len(pairs))[: len(pairs)]]
    if not views:
        return None, "the file has no window"
    if isinstance(view, str):
        wanted = [_folded(name) for name in names]
        found = wanted.index(_folded(view)) if _folded(view) in wanted else None
    else:
        found = view if view < len(views) else None
    own = views[found or 0]
    if own is None:
        return None, "the file's window is not usable"
    return own, "" if found is not None else "the file has not the wanted view, its first is shown"


def _window(dataset: Dataset, centre: Any, width: Any) -> Shading | None:
    name = str(dataset.get("VOILUTFunction") or "LINEAR")
    centre, width = _number(centre), _number(width)
    if centre is None or width is None or name not in WINDOW_FUNCTIONS or width < (name == "LINEAR") or width <= 0:
        return None
    return partial(WINDOW_FUNCTIONS[name], centre=centre, width=width)


def _voi_lut(values: np.ndarray, table: LookupTable) -> np.ndarray:
    """Looks values up with the table's largest entry as 1: some files state more bits an entry than they use."""
    return table(values) / max(table.entries.max(), np.float32(1))


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def _all(dataset: Dataset, keyword: str) -> list[Any]:
    """The values of an element: none, one or several."""
    value = dataset.get(keyword)
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list | tuple | MultiValue) else [value]


def _first(dataset: Dataset, keyword: str) -> float | None:
    """The first value of a number, None where it is missing, empty or not finite."""
    values = _all(dataset, keyword)
    return _number(values[0]) if values else None


def _number(value: Any) -> float | None:
    number = None if value is None or value == "" else float(value)
    return number if number is not None and np.isfinite(number) else None


# pictures


def _picture(path: Path) -> GreyValues:
    with _File(path) as file, Image.open(file, formats=FORMATS) as picture:
        _refuse_huge(picture.height, picture.width)
        if getattr(picture, "n_frames", 1) != 1:
            raise UnreadableImage(f"{picture.n_frames} frames where one is wanted")
        file.seek(0)
        _refuse_cut(file.read())
        deep = picture.mode in ("I", "F") or picture.mode.startswith("I;16")
        # Pillow turns white-is-zero round for 8 bits and fewer, not for more.
        tags = getattr(picture, "tag_v2", {})
        inverted = deep and tags.get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO
        if deep or picture.mode == "L":
            stored = np.asarray(picture)
            table = np.arange(1 << 8 * stored.itemsize, dtype=np.float32) if stored.dtype in WORDS else None
            return GreyValues(stored if table is not None else stored.astype(np.float32), table, inverted)
        return GreyValues(np.asarray(picture.convert("RGB"), dtype=np.float32) @ LUMA)


def _refuse_cut(frame: bytes) -> None:
    try:
        refuse_cut(frame)
    except CutError as error:
        raise UnreadableImage(str(error)) from None


def _refuse_huge(rows: int, columns: int) -> None:
    if rows * columns > MOST_PIXELS:
        raise UnreadableImage(f"{rows} x {columns} pixels are more than {MOST_PIXELS // 1_000_000} million")
