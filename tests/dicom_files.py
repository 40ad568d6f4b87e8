"""DICOM files with known pixels, and where those of pydicom-data are."""

from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)


def data_files() -> Path:
    return Path(pytest.importorskip("data_store", reason="pydicom-data is not installed").__file__).parent / "data"


def find(name: str) -> Path:
    return next(data_files().rglob(name))


def image_dataset(
    pixels,
    photometric="MONOCHROME2",
    bits=None,
    signed=False,
    syntax=ExplicitVRLittleEndian,
    sop_class=ComputedRadiographyImageStorage,
    **elements,
) -> Dataset:
    """A whole image of `pixels`: unsigned 8 or 16 bit words, as they lie in the file."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["test"])
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.PatientID, dataset.Modality = "secret-7", "CR"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = 8 * pixels.itemsize
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(signed)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    little = syntax != ExplicitVRBigEndian
    data = pixels.astype(pixels.dtype.newbyteorder("<" if little else ">")).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    return dataset


def write(path, pixels, *settings, **named):
    """Writes `image_dataset(pixels, ...)`; returns the path."""
    dataset = image_dataset(pixels, *settings, **named)
    syntax = dataset.file_meta.TransferSyntaxUID
    pydicom.dcmwrite(
        path,
        dataset,
        enforce_file_format=True,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
    )
    return path


def transcode(source, target, name):
    """Writes the DICOM file `source` in another transfer syntax, by GDCM's name of it; returns the path."""
    gdcm = pytest.importorskip("gdcm")
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(source))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return target


def picture(bits=12, rows=60, columns=48, noise=0.002):
    """A smooth picture over the range of `bits`, with a little noise: words of 8 or 16 bits."""
    y, x = np.mgrid[:rows, :columns] / max(rows, columns)
    values = 0.5 + 0.3 * np.sin(5 * x + 2) * np.cos(7 * y) + 0.35 * (x + y - 0.9)
    values = (values - values.min()) / np.ptp(values)
    values += np.random.default_rng(0).normal(0, noise, values.shape)
    return np.rint(np.clip(values, 0, 1) * ((1 << bits) - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


def ramp(bits=12, dtype=np.uint16):
    """The values 0, 1/8, ..., 1 of a range of `bits`, in an array of 3 x 3."""
    return np.rint(np.linspace(0, (1 << bits) - 1, 9)).astype(dtype).reshape(3, 3)
