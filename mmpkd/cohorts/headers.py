"""Headers of images, DICOM or pictures, for adapters that compare sizes."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from mmpkd.files import blame_storage

PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
FORMATS = ("JPEG", "PNG", "TIFF")  # that a file so named may hold; Pillow has decoders of many more
UNREADABLE = (
    *(InvalidDicomError, OSError, ValueError, RuntimeError, NotImplementedError, AttributeError, KeyError),
    Image.DecompressionBombError,
)


@dataclass(frozen=True)
class Header:
    """What an image's header says: its size in pixels and the bits that a pixel takes."""

    rows: int
    columns: int
    bits: int


def try_header(path: Path) -> Header | None:
    """The header of a picture or DICOM file, None if it cannot be read."""
    try:
        if path.suffix.lower() in PICTURES:
            with Image.open(path, formats=FORMATS) as picture:
                return Header(picture.height, picture.width, 8)
        data = dcmread(path, stop_before_pixels=True, specific_tags=["Rows", "Columns", "BitsAllocated"])
        return Header(int(data.Rows), int(data.Columns), int(data.BitsAllocated))
    except UNREADABLE as error:
        blame_storage(error)
        return None
