"""Grey values of an image: its stored numbers through what the header says of them.

Palette or luma, modality LUT or rescale, padding and polarity, and the file's own windows, which are not applied here.
Where the pixels are words of 8 or 16 bits, all of it happens to the numbers of the 256 or 65536 words.

pydicom indexes a lookup table of 8 bits per entry with a number of 8 bits, so that longer ones become a sawtooth, and
takes its data for words though they may be packed in pairs. Here the data decide how they are stored, and the
descriptor is refused if it does not fit them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels import apply_color_lut

from mmpkd.imaging.image_file import UnreadableImage
from mmpkd.imaging.stored import Stored

View = int | str
Shading = Callable[[np.ndarray], np.ndarray]

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
WORD = 1 << 16  # the field for a lookup table's first number holds it modulo this


@dataclass(frozen=True)
class GreyValues:
    """An image before windowing.

    Attributes:
        pixels: rows x columns of float32 values, or of uint8 or uint16 words that `levels` gives a meaning.
        levels: float32, the value of each of the 256 or 65536 words, in the unit that the file's window is given in;
            not a number where the word is padding. None where the pixels are the values.
        inverted: whether the smallest value is shown white.
        window: the file's own window, which takes values to 0..1 before any inversion; None where it has none.
        note: why `window` is not the one that was asked for; empty where it is.
        notes: where the header is not believed because the pixels show something else.
    """

    pixels: np.ndarray
    levels: np.ndarray | None = None
    inverted: bool = False
    window: Shading | None = None
    note: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LookupTable:
    """A number n is shown as entries[n - first]; one outside of the table as the nearest entry."""

    first: int
    entries: np.ndarray  # float32

    @classmethod
    def parse(cls, descriptor: Sequence[int], data: Any, span: tuple[float, float], little: bool) -> "LookupTable":
        """A table from LUT Descriptor (entries, first number, bits per entry) and LUT Data.

        Args:
            descriptor: its bits per entry are not used: some files state more than they use, or fewer than they have.
            data: bytes, of words or of pairs of 8-bit entries, or numbers.
            span: the least and the largest number that may be looked up, because a descriptor may hold a
                negative first number as an unsigned one.
            little: whether words in bytes have the low byte first.

        Raises:
            UnreadableImage: descriptor and data do not fit together.
        """
        if len(descriptor) != 3:
            raise UnreadableImage("a lookup table whose descriptor has not three numbers")
        count, first = int(descriptor[0]) % WORD or WORD, int(descriptor[1])
        return cls(_nearest(first, count, span), _entries(data, count, little).astype(np.float32))

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """The entries of whole or rounded numbers: float32."""
        places = np.rint(numbers).astype(np.int64) - self.first
        return self.entries[np.clip(places, 0, len(self.entries) - 1)]


def grey_values(stored: Stored, header: Dataset, window: str, view: View) -> GreyValues:
    """The grey values of stored pixels.

    Args:
        stored: the decoded pixels.
        header: of the file; that of a picture is empty.
        window: one of `mmpkd.imaging.display.WINDOWS`.
        view: with "dicom", names one of the file's own windows.

    Raises:
        UnreadableImage: descriptor and data of a lookup table do not fit together.
    """
    pixels = _through_palette(stored.pixels, header) if stored.photometric == "PALETTE COLOR" else stored.pixels
    if pixels.ndim == 3:
        return GreyValues(pixels[..., :3].astype(np.float32) @ LUMA, notes=stored.notes)
    numbers = pixels if stored.numbers is None else stored.numbers
    inverted, own, note = stored.photometric == "MONOCHROME1", None, ""
    if window == "mimic_jpg":  # its makers saw the stored numbers and MONOCHROME1, and nothing else
        values = numbers.astype(np.float32)
    else:
        values = _after_modality_lut(numbers, header)
        values[_padding(numbers, stored.dtype or pixels.dtype, header)] = np.nan
        # DX asks MONOCHROME1 to come with INVERSE: together they invert once.
        inverted = inverted or header.get("PresentationLUTShape") == "INVERSE"
    if window == "dicom":
        own, note = _own_window(header, view, values)
    if stored.numbers is None:
        return GreyValues(values, None, inverted, own, note, stored.notes)
    return GreyValues(pixels, values, inverted, own, note, stored.notes)


def linear_window(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """VOI LUT function LINEAR (DICOM PS3.3, C.11.2.1.2.1).

    Args:
        values: grey values.
        centre: of the window.
        width: of the window, at least 1.

    Returns:
        float32, 0 to 1.
    """
    if width == 1:
        return (values > centre - 0.5).astype(np.float32)
    return np.clip((values - np.float32(centre - 0.5)) / np.float32(width - 1) + np.float32(0.5), 0, 1)


def linear_exact_window(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """VOI LUT function LINEAR_EXACT, as `linear_window` (DICOM PS3.3, C.11.2.1.3.2). `width` is above 0.

    Args:
        values: to be windowed.
        centre: of the window.
        width: of the window, above 0.
    """
    return np.clip((values - np.float32(centre)) / np.float32(width) + np.float32(0.5), 0, 1)


def sigmoid_window(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """VOI LUT function SIGMOID, as `linear_window` (DICOM PS3.3, C.11.2.1.3.1). `width` is above 0.

    Args:
        values: to be windowed.
        centre: of the window.
        width: of the window, above 0.
    """
    half = np.float32(2) * (values - np.float32(centre)) / np.float32(width)
    return (1 + np.tanh(half)) / 2  # the logistic function of twice the argument, without its overflow


WINDOW_FUNCTIONS = {"LINEAR": linear_window, "LINEAR_EXACT": linear_exact_window, "SIGMOID": sigmoid_window}


def _table(descriptor: Any, data: Any, numbers: np.ndarray, dataset: Dataset) -> LookupTable:
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
    tables = (_table(dataset.get(f"{name}Descriptor"), dataset.get(f"{name}Data"), stored, dataset) for name in names)
    return np.stack([table(stored) for table in tables], axis=-1)


def _after_modality_lut(numbers: np.ndarray, dataset: Dataset) -> np.ndarray:
    if luts := dataset.get("ModalityLUTSequence"):
        return _table(luts[0].get("LUTDescriptor"), luts[0].get("LUTData"), numbers, dataset)(numbers)
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
        partial(_voi_lut, table=_table(item.get("LUTDescriptor"), item.get("LUTData"), values, dataset))
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
    """Looks values up with the table's largest entry as 1: some files state more bits per entry than they use."""
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


def _entries(data: Any, count: int, little: bool) -> np.ndarray:
    """`count` entries, from words or from bytes; one more is padding to an even length."""
    if isinstance(data, bytes):
        words = np.frombuffer(data[: len(data) // 2 * 2], dtype="<u2" if little else ">u2")
    else:
        words = np.atleast_1d(np.asarray([] if data is None else data, dtype=np.int64))
    if 0 <= len(words) - count <= 1:
        return words[:count]
    if len(words) == (count + 1) // 2:  # two entries of 8 bits in a word, the low byte first
        return np.stack([words & 0xFF, words >> 8 & 0xFF], axis=1).ravel()[:count]
    raise UnreadableImage(f"a lookup table of {len(words)} entries whose descriptor says {count}")


def _nearest(first: int, count: int, span: tuple[float, float]) -> int:
    """The first number, or the one that the field holds likewise if only that table reaches what is looked up."""
    for candidate in (first, first - WORD, first + WORD):
        if candidate <= span[1] and candidate + count > span[0]:
            return candidate
    return first
