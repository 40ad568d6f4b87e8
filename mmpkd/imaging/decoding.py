"""The stored pixels of an image, from the first decoder that can read them."""

from typing import Any

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.pixels import get_decoder
from pydicom.uid import JPEG2000, UID, JPEG2000Lossless

from mmpkd.imaging.image_file import ImageFile, UnreadableImage
from mmpkd.imaging.stored import Stored, stored_pixels

FASTEST = {JPEG2000Lossless: "pylibjpeg", JPEG2000: "pylibjpeg"}  # the decoder to try first, where it matters
# A broken file ends the process in the one, and keeps the other busy for 12 s at 100 x 100 pixels; others read it all.
UNSAFE = ("gdcm", "pyjpegls")
WORDS = (np.dtype("uint8"), np.dtype("<u2"), np.dtype(">u2"))
WHITE_IS_ZERO = 0  # TIFF's photometric interpretation, tag 262
TIFF_PHOTOMETRIC = 262


def decode(image: ImageFile) -> Stored:
    """Decodes the one frame of an image.

    Raises:
        UnreadableImage: with the reason of each decoder that was tried.
    """
    if image.picture is not None:
        return _from_picture(image.picture)
    assert image.syntax is not None  # the file was opened for more than its header
    pixels, photometric = _from_dicom(image.header, image.syntax)
    return stored_pixels(pixels, photometric, image.header, image.syntax)


def _from_picture(picture: Image.Image) -> Stored:
    deep = picture.mode in ("I", "F") or picture.mode.startswith("I;16")
    if not deep and picture.mode != "L":
        return Stored(np.asarray(picture.convert("RGB")), "RGB")
    # Pillow turns white-is-zero round for 8 bits and fewer, not for more.
    inverted = deep and getattr(picture, "tag_v2", {}).get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO
    pixels = np.asarray(picture)
    numbers = np.arange(1 << 8 * pixels.itemsize, dtype=np.int32) if pixels.dtype in WORDS else None
    return Stored(pixels, "MONOCHROME1" if inverted else "MONOCHROME2", numbers)


def _from_dicom(dataset: Dataset, syntax: UID) -> tuple[np.ndarray, str]:
    """The decoded pixels and their photometric interpretation.

    Grey pixels may be a view of the file's bytes, and bits above BitsStored are still in them.
    """
    decoder = get_decoder(syntax)
    grey = dataset.get("SamplesPerPixel", 1) == 1 and dataset.get("PhotometricInterpretation") != "PALETTE COLOR"
    options: dict[str, Any] = {"index": 0, "view_only": True, "correct_unused_bits": False} if grey else {"index": 0}
    if not syntax.is_encapsulated:
        pixels, properties = decoder.as_array(dataset, **options)
        return pixels, str(properties["photometric_interpretation"])
    reasons = []
    safe = [name for name in decoder.available_plugins if name not in UNSAFE]
    for name in sorted(safe, key=lambda name: name != FASTEST.get(syntax)):
        try:
            pixels, properties = decoder.as_array(dataset, decoding_plugin=name, **options)
        except MemoryError:
            raise
        except Exception as error:  # decoders raise every kind; what each says is reported
            reasons.append(f"{name}: {str(error).rpartition(f'{name}: ')[2]}")
        else:
            return pixels, str(properties["photometric_interpretation"])
    raise UnreadableImage(" ".join("; ".join(reasons).split()) or "no decoder is installed for it")
