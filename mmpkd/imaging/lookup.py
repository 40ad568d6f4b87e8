"""Lookup tables of DICOM: modality LUT, VOI LUT and palette, as descriptor and data have them.

pydicom indexes a table of 8 bits an entry with a number of 8 bits, so that longer ones become a sawtooth, and takes its
data for words though they may be packed in pairs. Here the data decide how they are stored, and the descriptor is
refused if it does not fit them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmpkd.imaging.display import UnreadableImage

WORD = 1 << 16  # the field for the first number holds it modulo this


@dataclass(frozen=True)
class LookupTable:
    """A number n is shown as entries[n - first]; one outside of the table as the nearest entry."""

    first: int
    entries: np.ndarray  # float32

    @classmethod
    def parse(cls, descriptor: Sequence[int], data: Any, span: tuple[float, float], little: bool) -> "LookupTable":
        """A table from LUT Descriptor (entries, first number, bits an entry) and LUT Data.

        Args:
            descriptor: its bits an entry are not used: some files state more than they use, or fewer than they have.
            data: bytes, of words or of pairs of 8-bit entries, or numbers.
            span: the least and the largest number that may be looked up, because a descriptor may hold a
                negative first number as an unsigned one.
            little: whether words in bytes have the low byte first.

        Raises UnreadableImage where descriptor and data do not fit together.
        """
        if len(descriptor) != 3:
            raise UnreadableImage("a lookup table whose descriptor has not three numbers")
        count, first = int(descriptor[0]) % WORD or WORD, int(descriptor[1])
        return cls(_nearest(first, count, span), _entries(data, count, little).astype(np.float32))

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """The entries of whole or rounded numbers: float32."""
        places = np.rint(numbers).astype(np.int64) - self.first
        return self.entries[np.clip(places, 0, len(self.entries) - 1)]


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
