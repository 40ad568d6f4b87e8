"""Files of images, DICOM and pictures: how they are opened, and what is known of an image before it is decoded.

Whatever goes wrong with an open file becomes UnreadableImage, and no message of it holds the file's name.
"""

import io
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mmpkd.files import StorageError, blame_storage

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm")
FORMATS = ("PNG", "JPEG", "TIFF")  # whatever a picture's name: Pillow goes by content, and has decoders of many more
HEADER = ("Rows", "Columns", "BitsAllocated", "PhotometricInterpretation")
OF_ONE_VALUE = (
    *HEADER,
    "BitsStored",
    "HighBit",
    "NumberOfFrames",
    "PixelRepresentation",
    "PlanarConfiguration",
    "SamplesPerPixel",
)
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
PIXEL_TAGS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")

# pydicom logs element values that it finds odd, and those can be identifiers. What stops a file from being read it
# raises, and that is reported.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


class UnreadableImage(ValueError):
    """An image file gives no usable image; `reason` says why, `transfer_syntax` how the file was encoded, if known.

    The message names no file: paths hold identifiers, and the caller knows which file it asked for.
    """

    def __init__(self, reason: str, transfer_syntax: str | None = None) -> None:
        self.reason = reason
        self.transfer_syntax = transfer_syntax
        super().__init__(f"{reason} (transfer syntax: {transfer_syntax})" if transfer_syntax else reason)


@dataclass(frozen=True)
class ImageFile:
    """One image in an open file, not decoded.

    Attributes:
        header: the elements of a DICOM file, the pixels among them as they are stored; empty for a picture.
        syntax: the transfer syntax; None for a picture, and for a file that is opened for its header alone.
        picture: what Pillow opened; None for DICOM.
    """

    file: "BoundedFile"
    header: Dataset = field(default_factory=Dataset)
    syntax: UID | None = None
    picture: Image.Image | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns) as stated.

        Raises:
            UnreadableImage: they are not.
        """
        if self.picture is not None:
            return self.picture.height, self.picture.width
        rows, columns = int(self.header.get("Rows") or 0), int(self.header.get("Columns") or 0)
        if rows < 1 or columns < 1:
            raise UnreadableImage("no image: Rows or Columns is missing or 0")
        return rows, columns

    @property
    def frames(self) -> int:
        """How many frames are stated."""
        if self.picture is not None:
            return getattr(self.picture, "n_frames", 1)
        return int(self.header.get("NumberOfFrames") or 1)

    @property
    def modality(self) -> str:
        """What made the image, such as CR or MG; empty where it is not stated."""
        return str(self.header.get("Modality") or "")

    @property
    def content(self) -> bytes:
        """All bytes of the file."""
        self.file.seek(0)
        return self.file.read()


class BoundedFile(io.BufferedReader):
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
        """At most `size` bytes, and no more than the file has."""
        return super().read(size if size is None else min(size, self._size))


@contextmanager
def open_image(path: Path, *, header_only: bool = False) -> Iterator[ImageFile]:
    """Opens a picture by its suffix, else DICOM, with or without preamble.

    Args:
        path: of the file.
        header_only: read a DICOM file up to its pixels.

    Yields:
        The open file.

    Raises:
        UnreadableImage: whatever goes wrong with the file while it is open, here or where it is used; a fault of the
            storage or a lack of memory stays what it is.
    """
    syntax = None
    try:
        with warnings.catch_warnings(), BoundedFile(path) as file:
            warnings.simplefilter("ignore")  # as with the log above
            if path.suffix.lower() in PICTURES:
                formats = ("PPM",) if path.suffix.lower() == ".pgm" else FORMATS
                with Image.open(file, formats=formats) as picture:
                    yield ImageFile(file, picture=picture)
            else:
                dataset = _read_dataset(file, header_only)
                syntax = None if header_only else _transfer_syntax(dataset)
                yield ImageFile(file, dataset, syntax)
    except (MemoryError, StorageError):
        raise
    except UnreadableImage as error:
        raise UnreadableImage(error.reason, error.transfer_syntax or _name(syntax)) from None
    except OSError as error:
        blame_storage(error)
        raise UnreadableImage(_without_name(error.strerror or str(error), path), _name(syntax)) from None
    except Exception as error:  # decoders raise every kind, and one broken file must not end a run
        raise UnreadableImage(_without_name(f"{type(error).__name__}: {error}", path), _name(syntax)) from None


def has_pixels(dataset: Dataset) -> bool:
    """Whether any of the elements that hold pixels is there."""
    return any(dataset.get(keyword) is not None for keyword in PIXELS)


def _read_dataset(file: BoundedFile, header_only: bool) -> Dataset:
    try:
        dataset = dcmread(file, stop_before_pixels=header_only)
    except InvalidDicomError:
        file.seek(0)
        dataset = dcmread(file, stop_before_pixels=header_only, force=True)
        if not all(keyword in dataset for keyword in HEADER):
            raise UnreadableImage("not a DICOM file: neither a preamble nor the header of an image") from None
    for keyword in OF_ONE_VALUE:
        if isinstance(values := dataset.get(keyword), (MultiValue, list)):
            raise UnreadableImage(f"{keyword} has {len(values)} values where one is expected")
    if not header_only and not has_pixels(dataset):
        file.seek(0)  # pydicom returns nothing, or what is before, where an element has no end
        data = file.read()
        if any(tag in data for tag in PIXEL_TAGS):
            raise UnreadableImage("the file ends within its pixels")
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


def _name(syntax: UID | None) -> str | None:
    return None if syntax is None else syntax.name


def _without_name(reason: str, path: Path) -> str:
    return " ".join(reason.replace(str(path), "the file").split())
