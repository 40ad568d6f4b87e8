"""What the stored pixels of a DICOM image stand for: bits and sign of a word, the order of its bytes and of samples.

The header says it, and sometimes wrongly: HighBit of another writer, too few BitsStored, a PixelRepresentation that
turns the brightest pixels black. The pixels show it. The header is believed unless another reading of the same words is
right beyond doubt; which one is taken is noted. Everything is judged on a sample of whole rows.

Bits above the stored ones are no part of the number: old files keep overlays there. An overlay makes the picture of all
bits rough, bits that the header forgot make it smooth. Roughness is the mean difference between neighbours, relative to
that between distant pixels: near 1 for noise and for the bytes of a word in the wrong order, far below for pictures.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from pydicom import Dataset
from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes

from mmpkd.imaging.image_file import UnreadableImage

OWN_PRECISION = {*JPEG2000TransferSyntaxes, *JPEGLSTransferSyntaxes}  # these leave no bits above the stored ones
SAMPLE = 1 << 16  # pixels that are looked at
SMOOTHER = 0.5  # another reading is right if its roughness is below this share of the header's
LEAST = 1024  # pixels without which an image shows nothing of this
DOWNWARDS = 1 << 12  # pixels that are compared with the one below
ROUGH = 0.4  # roughness of what may be no picture
NEAR = 1 / 32  # neighbours whose numbers differ by less than this share of the range are of one surface
CROSSINGS = 1e-4  # share of neighbours that run over the end of the range where the sign is wrong
LEVELS = 8  # numbers on either side of it: a drawing has fewer
BITS_NOTE = "the pixels have other bits than BitsStored and HighBit say; shown as the pixels have them"
SIGN_NOTE = "the pixels run over the range of PixelRepresentation; shown with the other sign"
BYTES_NOTE = (
    "the pixels have their bytes in the other order than the transfer syntax says; shown as the pixels have them"
)
PLANES_NOTE = "the samples lie in the other order than PlanarConfiguration says; shown as they lie"


@dataclass(frozen=True)
class Stored:
    """The decoded pixels of an image, before modality LUT and window.

    Attributes:
        pixels: rows x columns of numbers, or of uint8 or uint16 words that `numbers` gives a meaning; rows x columns x
            samples where they are in colour.
        photometric: the photometric interpretation of these pixels.
        numbers: the number of each of the 256 or 65536 words; None where the pixels are the numbers.
        dtype: the type of the numbers as they are stored; None: that of `pixels`.
        notes: what the header says wrongly.
    """

    pixels: np.ndarray
    photometric: str
    numbers: np.ndarray | None = None
    dtype: np.dtype | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """A number is `used` bits of the word, from the bit `low` on, in two's complement if `signed`."""

    low: int
    used: int
    signed: bool

    @classmethod
    def stated(cls, bits: int, stored: int | None, high: int | None, signed: bool) -> "Reading":
        """What the header says of words; missing or impossible values count as the usual ones.

        Args:
            bits: of a word.
            stored: BitsStored, if there is one.
            high: HighBit, if there is one.
            signed: whether the numbers have a sign.
        """
        used = stored if stored and 1 <= stored <= bits else bits
        low = (used - 1 if high is None else high) + 1 - used
        return cls(low if 0 <= low <= bits - used else 0, used, signed)

    @lru_cache(maxsize=16)  # noqa: B019 (of a few readings, which hold two numbers)
    def numbers(self, bits: int) -> np.ndarray:
        """The number of each of the words of `bits`: int32, not to be written to."""
        numbers = (np.arange(1 << bits, dtype=np.int32) >> self.low) & ((1 << self.used) - 1)
        if self.signed:
            numbers -= (numbers >> (self.used - 1)) << self.used
        numbers.flags.writeable = False
        return numbers

    @lru_cache(maxsize=16)  # noqa: B019
    def whole(self, bits: int) -> np.ndarray:
        """Bool: the words of which no set bit is left out, except for copies of the sign."""
        words = np.arange(1 << bits, dtype=np.int32)
        field = ((1 << self.used) - 1) << self.low
        return (words & ~field == 0) | ((self.numbers(bits) << self.low) & ((1 << bits) - 1) == words)


def stored_pixels(pixels: np.ndarray, photometric: str, dataset: Dataset, syntax: UID) -> Stored:
    """What decoded pixels stand for.

    Args:
        pixels: rows x columns, or rows x columns x samples.
        photometric: their photometric interpretation.
        dataset: the header.
        syntax: the transfer syntax.

    Raises:
        UnreadableImage: Rows and Columns are exchanged.
    """
    if pixels.ndim == 3 or photometric == "PALETTE COLOR":
        pixels, notes = _by_planes(pixels, dataset, syntax)
        return Stored(pixels, photometric, notes=notes)
    kind, bits = pixels.dtype.kind, 8 * pixels.dtype.itemsize
    if kind not in "iu" or bits > 16:
        return Stored(pixels, photometric)
    if not syntax.is_encapsulated and sides_are_exchanged(pixels):
        raise UnreadableImage("Rows and Columns are exchanged, as the pixels lie")
    own_precision = syntax in OWN_PRECISION
    stated = Reading.stated(
        bits,
        None if own_precision else int(dataset.get("BitsStored") or bits),
        None if own_precision or dataset.get("HighBit") is None else int(dataset.HighBit),
        kind == "i",
    )
    words = pixels.view(pixels.dtype.str.replace("i", "u"))
    words, reading, notes = read(words, stated, check_bytes=not syntax.is_encapsulated)
    dtype = np.dtype(f"{'i' if reading.signed else 'u'}{pixels.dtype.itemsize}")
    return Stored(words, photometric, reading.numbers(bits), dtype, notes)


def read(words: np.ndarray, stated: Reading, check_bytes: bool) -> tuple[np.ndarray, Reading, tuple[str, ...]]:
    """Finds out how words are to be read.

    Args:
        words: rows x columns of uint8 or uint16.
        stated: what the header says.
        check_bytes: whether the order of the bytes comes from the header and not from a decoder.

    Returns:
        The words, how they are read, and notes of where the header is not believed.
    """
    if words.size < LEAST:
        return words, stated, ()
    notes = []
    bits = 8 * words.itemsize
    sample = words[:: max(1, words.size // SAMPLE)]
    occupied = _occupied(sample, bits)
    reading = _bits(sample, occupied, stated, bits)
    as_read = roughness(reading.numbers(bits)[sample]) if check_bytes and bits == 16 else 0.0
    if as_read > ROUGH:
        swapped = sample.byteswap()
        occupied_if_swapped = _occupied(swapped, bits)
        reading_if_swapped = _bits(swapped, occupied_if_swapped, stated, bits)
        if roughness(reading_if_swapped.numbers(bits)[swapped]) < SMOOTHER * as_read:
            notes.append(BYTES_NOTE)
            words, sample, occupied, reading = words.byteswap(), swapped, occupied_if_swapped, reading_if_swapped
    if reading != stated:
        notes.append(BITS_NOTE)
    if _runs_over(sample, occupied, reading, bits):
        notes.append(SIGN_NOTE)
        reading = replace(reading, signed=not reading.signed)
    return words, reading, tuple(notes)


def sides_are_exchanged(stored: np.ndarray) -> bool:
    """Whether the pixels, rows x columns as the header says, are smooth downwards only if the two are exchanged."""
    rows, columns = stored.shape
    if rows == columns or min(rows, columns) < 2 or stored.size < LEAST:
        return False
    flat = stored.ravel()
    at = np.linspace(0, flat.size - 1 - max(rows, columns), min(flat.size, DOWNWARDS)).astype(np.int64)
    here, below, otherwise, distant = (
        flat[places].astype(np.int32) for places in (at, at + columns, at + rows, at[::-1])
    )
    as_stated, exchanged, scale = (np.abs(here - other).mean() for other in (below, otherwise, distant))
    return bool(as_stated > ROUGH * scale and exchanged < SMOOTHER * as_stated)


def roughness(numbers: np.ndarray) -> float:
    """Mean difference between neighbours in a row over that between distant pixels; 1 for a constant picture."""
    numbers = numbers.astype(np.float32)
    rows, columns = numbers.shape
    distant = np.abs(numbers - np.roll(numbers, (rows // 2, columns // 2), axis=(0, 1))).mean()
    return float(np.abs(np.diff(numbers, axis=1)).mean() / distant) if distant > 0 and columns > 1 else 1.0


def _by_planes(pixels: np.ndarray, dataset: Dataset, syntax: UID) -> tuple[np.ndarray, tuple[str, ...]]:
    """Colour pixels, rows x columns x 3; by the other PlanarConfiguration if only that makes them the grey they are."""
    if syntax.is_encapsulated or dataset.get("PhotometricInterpretation") != "RGB" or _is_grey(pixels):
        return pixels, ()
    rows, columns, samples = pixels.shape
    if int(dataset.get("PlanarConfiguration") or 0):
        other = pixels.transpose(2, 0, 1).reshape(rows, columns, samples)
    else:
        other = pixels.reshape(samples, rows, columns).transpose(1, 2, 0)
    return (other, (PLANES_NOTE,)) if _is_grey(other) else (pixels, ())


def _is_grey(pixels: np.ndarray) -> bool:
    return bool((pixels == pixels[..., :1]).all())


def _bits(sample: np.ndarray, occupied: np.ndarray, stated: Reading, bits: int) -> Reading:
    """The reading that leaves no bit out, where the stated one does and cannot be right."""
    if stated.whole(bits)[occupied].all():
        return stated
    present = int(np.bitwise_or.reduce(np.flatnonzero(occupied)))
    right, left = replace(stated, low=0), replace(stated, low=bits - stated.used)
    if right != stated and right.whole(bits)[occupied].all():
        return right  # the stated one drops the lowest bits and begins above the highest
    as_stated = None
    for other in (left, Reading(0, bits if stated.signed else present.bit_length(), stated.signed)):
        if other != stated and other.whole(bits)[occupied].all():
            as_stated = as_stated or roughness(stated.numbers(bits)[sample])
            if roughness(other.numbers(bits)[sample]) < SMOOTHER * as_stated:
                return other
    return stated


def _occupied(sample: np.ndarray, bits: int) -> np.ndarray:
    """Bool: the words of `bits` that occur."""
    return np.bincount(sample.ravel(), minlength=1 << bits) > 0


def _runs_over(sample: np.ndarray, occupied: np.ndarray, reading: Reading, bits: int) -> bool:
    """Whether surfaces run over the end of the range, from the largest number to the smallest, as the sign reads them.

    Only of numbers of more than 8 bits: in the few of a drawing white is next to black, and no image is signed there.
    """
    if reading.used <= 8:
        return False
    as_read, other = (replace(reading, signed=sign).numbers(bits) for sign in (reading.signed, not reading.signed))
    upper = as_read >= (0 if reading.signed else 1 << (reading.used - 1))
    if min(np.count_nonzero(occupied & side) for side in (upper, ~upper)) < LEVELS:
        return False
    crossings = _crossings(as_read[sample], reading.used)
    return crossings > CROSSINGS * sample.size and crossings > 4 * _crossings(other[sample], reading.used)


def _crossings(numbers: np.ndarray, used: int) -> int:
    """Neighbours in a row that are near to each other only beyond the end of the range of `used` bits.

    None if few numbers are among them: white letters on black are no surface.
    """
    left, right = numbers[:, :-1], numbers[:, 1:]
    far = np.abs(right - left) > (1 - NEAR) * (1 << used)
    ends = np.sort([left[far], right[far]], axis=0)
    return int(far.sum()) if min(len(set(end.tolist())) for end in ends) >= LEVELS else 0
