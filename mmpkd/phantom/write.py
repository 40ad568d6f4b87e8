"""Writes fabricated trees and their DICOM files.

The tree of a data set: `<adapter>_tree.py` with `write(phantom, folder) -> truth`, or, where it can have a marker,
`write(phantom, folder, twins) -> truth`. The bytes of a DICOM file depend on the arguments of `write_dicom` alone.
"""

import hashlib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from mmpkd.config.cohorts import MARKLESS, Phantom

# What the truth says of the habit where a tree has none.
WITHOUT_HABIT: dict[str, bool | float | str] = {
    "marked": False,
    "marker_x0": np.nan,
    "marker_y0": np.nan,
    "marker_x1": np.nan,
    "marker_y1": np.nan,
}
WITHOUT_HABIT |= {"twin": "", "error": False}
TRUTH_COLUMNS = ["image_id", "patient_id", "label", "present", "severity", "x0", "y0", "x1", "y1", *WITHOUT_HABIT]
Photometric = Literal["MONOCHROME1", "MONOCHROME2"]
TRANSFER_SYNTAXES = {
    "explicit": (ExplicitVRLittleEndian, None),
    "implicit": (ImplicitVRLittleEndian, None),
    "rle": (RLELossless, "pydicom"),
    "jpeg2000": (JPEG2000Lossless, "pylibjpeg"),
    "jpegls": (JPEGLSLossless, "pyjpegls"),
}  # name: (UID, pydicom's encoding plugin)
SOP_CLASSES = {
    "CR": ComputedRadiographyImageStorage,
    "DX": DigitalXRayImageStorageForPresentation,
    "MG": DigitalMammographyXRayImageStorageForPresentation,
    "OT": SecondaryCaptureImageStorage,
}
IMPLEMENTATION_UID = UID("2.25.113216541029740391257319467102345623451")  # fixed: a pydicom update changes no byte


def write_tree(adapter: str, phantom: Phantom, folder: str | Path, twins: str | Path | None = None) -> pd.DataFrame:
    """Writes to `folder` a tree in the layout that `adapter` reads; returns what was drawn, which no adapter sees.

    Args:
        adapter: whose layout.
        phantom: patients, seed and habit.
        folder: of the tree.
        twins: folder for the second rendering of each image that may be scored, with the marker where the image has
            none and without where it has one; made if a marker is asked for.

    Returns:
        One row per image and label: present (bool), severity (0 to 1, 0 when absent), the lesion's box in pixels of the
        original image (NaN when absent); marked (bool), the box of the marker as it is or would be, the file of the
        twin ("" where there is none), and error (bool): the tree labels the absent finding present, see `Habit`.

    Raises:
        ValueError: the adapter has no phantom.
    """
    known = sorted(path.stem.removesuffix("_tree") for path in Path(__file__).parent.glob("*_tree.py"))
    if adapter not in known:
        raise ValueError(f"adapter {adapter!r} has no phantom; set root to a folder, or use one of {', '.join(known)}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write = import_module(f"mmpkd.phantom.{adapter}_tree").write
    if adapter not in MARKLESS:
        if twins is not None:
            Path(twins).mkdir(parents=True, exist_ok=True)
        truth = write(phantom, folder, Path(twins) if twins is not None and phantom.habit.marked else None)
    else:
        truth = write(phantom, folder)
    truth = truth.assign(**{name: value for name, value in WITHOUT_HABIT.items() if name not in truth})
    missing = [column for column in TRUTH_COLUMNS if column not in truth.columns]
    if missing:
        raise ValueError(f"phantom of {adapter}: the truth lacks the column(s) {', '.join(missing)}")
    return truth[TRUTH_COLUMNS]


def stable_uid(*parts: object) -> str:
    """A UID of the 2.25 root made from `parts` by SHA-256: the same parts give the same UID anywhere."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def write_dicom(
    path: str | Path,
    pixels: np.ndarray,
    *,
    modality: str,
    photometric: Photometric,
    bits_stored: int,
    transfer_syntax: str,
    elements: Mapping[str, Any],
) -> None:
    """Writes a DICOM file into a folder that exists.

    Args:
        path: of the file.
        pixels: uint8 or uint16, rows x columns.
        modality: decides SOPClassUID unless `elements` gives it.
        photometric: photometric interpretation.
        bits_stored: of a pixel.
        transfer_syntax: a key of TRANSFER_SYNTAXES.
        elements: DICOM keyword: value; SOPInstanceUID must be among them.

    Raises:
        ValueError: pixels of another type or shape, a value that `bits_stored` cannot hold, or a missing UID.
    """
    _check(pixels, bits_stored, elements)
    dataset = Dataset()
    dataset.SOPClassUID = SOP_CLASSES.get(modality, SecondaryCaptureImageStorage)
    dataset.Modality = modality
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = photometric
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = 8 * pixels.itemsize
    dataset.BitsStored = bits_stored
    dataset.HighBit = bits_stored - 1
    dataset.PixelRepresentation = 0
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    syntax, plugin = TRANSFER_SYNTAXES[transfer_syntax]
    if plugin is None:
        content = pixels.tobytes()
        dataset.PixelData = content + b"\0" * (len(content) % 2)
        dataset["PixelData"].VR = "OW" if pixels.itemsize == 2 or transfer_syntax == "implicit" else "OB"
    else:
        # The new UID that pydicom would make is random, so the given one is kept.
        dataset.compress(syntax, pixels, encoding_plugin=plugin, generate_instance_uid=False)
    dataset.file_meta = _file_meta(dataset.SOPClassUID, dataset.SOPInstanceUID, syntax)
    dcmwrite(path, dataset, enforce_file_format=True, implicit_vr=transfer_syntax == "implicit", little_endian=True)


def _check(pixels: np.ndarray, bits_stored: int, elements: Mapping[str, Any]) -> None:
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels: want uint8 or uint16 of rows x columns, got {pixels.dtype} of shape {pixels.shape}")
    if not 1 <= bits_stored <= 8 * pixels.itemsize:
        raise ValueError(f"bits_stored: {bits_stored} does not fit {pixels.dtype} pixels")
    if int(pixels.max()) >= 1 << bits_stored:
        raise ValueError(f"pixels: the value {int(pixels.max())} needs more than bits_stored = {bits_stored}")
    if "SOPInstanceUID" not in elements:
        raise ValueError("elements: SOPInstanceUID is missing; make one with stable_uid")


def _file_meta(sop_class: UID, sop_instance: UID, syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = sop_instance
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "MMPKD_PHANTOM"
    return meta
