"""Broken image files: each stands beside a whole one in a cohort of two, which `preprocess` stores."""

import os
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DigitalXRayImageStorageForPresentation,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from mmpkd.cohorts.tables import IMAGE_COLUMNS, CohortTables
from mmpkd.config.imaging import Imaging
from mmpkd.imaging.shards import write_shard
from mmpkd.imaging.store import ImageStore
from tests.bad_input.catalogue import Outcome, accepted, hold, over, set_aside, stops
from tests.dicom_files import image_dataset

HTML = b"<!DOCTYPE html>\n<html><body><h1>403 Forbidden</h1></body></html>\n" * 20
PATIENT = "Zebulon^Secret"
UNKNOWN_SYNTAX = "1.2.840.10008.1.2.4.100"  # MPEG2: no still image, and no decoder of it
PIXELS = np.random.default_rng(0).integers(0, 4096, (40, 30)).astype(np.uint16)


def radiograph(**elements) -> Dataset:
    """A whole radiograph of 40 x 30 pixels, with the given elements changed (None: deleted)."""
    sop_class = DigitalXRayImageStorageForPresentation
    dataset = image_dataset(PIXELS, bits=12, sop_class=sop_class, PatientName=PATIENT, Modality="DX")
    for keyword, value in elements.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    return dataset


def with_elements(**elements):
    return lambda path: dcmwrite(path, radiograph(**elements), enforce_file_format=True)


def constant(path):
    dcmwrite(path, radiograph(PixelData=np.full_like(PIXELS, 7).tobytes()), enforce_file_format=True)


def cut(share):
    """The file ends early."""

    def breaks(path):
        dcmwrite(path, radiograph(), enforce_file_format=True)
        os.truncate(path, int(share * path.stat().st_size))

    return breaks


def encoded(syntax, frame):
    """Pixels of another transfer syntax, which the frame is not in."""

    def breaks(path):
        dataset = radiograph(PixelData=encapsulate([frame]))
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dcmwrite(path, dataset, enforce_file_format=True)

    return breaks


def no_number(keyword, text):
    """A number of the header that is none, as some writers leave it."""

    def breaks(path):
        dcmwrite(path, radiograph(**{keyword: 1}), enforce_file_format=True)
        data, old = path.read_bytes(), dcmread(path, stop_before_pixels=True)[keyword]
        tag = struct.pack("<HH", old.tag.group, old.tag.element) + b"DS"
        start = data.index(tag)
        length = struct.unpack("<H", data[start + 6 : start + 8])[0]
        value = text.encode() + b" " * (len(text) % 2)
        path.write_bytes(data[: start + 6] + struct.pack("<H", len(value)) + value + data[start + 8 + length :])

    return breaks


def lut(descriptor):
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = descriptor, "US"
    item.add_new("LUTData", "OW", b"\0\1")
    return with_elements(ModalityLUTSequence=Sequence([item]))


def data_of(data):
    return lambda path: path.write_bytes(data)


def folder(path):
    path.mkdir()


def endless_link(path):
    path.symlink_to(path.name)


def of_format(name):
    return lambda path: Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(40, 30).astype(np.uint8)).save(
        path, name
    )


def png_header(rows, columns):
    """A PNG that states a size and holds no pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return data_of(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def as_whole(result):
    """The picture is that of the whole file beside it."""
    store = result
    return np.array_equal(store.pixels([0]), store.pixels([1]))


def stored(result):
    return len(result.image_ids) == 2


FILES = [
    set_aside("no file", lambda path: None, "No such file"),
    set_aside("folder in place of a file", folder, "Is a directory"),
    set_aside("endless link", endless_link, "symbolic links"),
    set_aside("zero bytes", data_of(b""), "not a DICOM file"),
    set_aside("HTML error page", data_of(HTML), "not a DICOM file"),
    set_aside("random bytes", data_of(np.random.default_rng(1).bytes(5000)), "not a DICOM file"),
    set_aside("preamble alone", data_of(b"\0" * 128 + b"DICM"), "no image: Rows or Columns is missing"),
    set_aside("truncated in the pixels", cut(0.7), "less than expected"),
    set_aside("truncated in the header", cut(0.08), "Rows or Columns is missing"),
    set_aside("no pixels", with_elements(PixelData=None), "no pixels"),
    set_aside("no size", with_elements(Rows=None), "Rows or Columns is missing"),
    set_aside("size of zero", with_elements(Columns=0), "Rows or Columns is missing or 0"),
    set_aside("absurd dimensions", with_elements(Rows=65535, Columns=65535), "more than 400 million"),
    set_aside("lying Rows, too large", with_elements(Rows=41), "less than expected"),
    set_aside("lying Rows, too small", with_elements(Rows=20), "more pixels than the 20 x 30"),
    set_aside("lying Columns, too small", with_elements(Columns=15), "more pixels than the 40 x 15"),
    set_aside("two values of Rows", with_elements(Rows=[40, 40]), "Rows has 2 values where one is expected"),
    set_aside("two values of HighBit", with_elements(HighBit=[11, 11]), "HighBit has 2 values where one"),
    set_aside("two photometrics", with_elements(PhotometricInterpretation=["RGB", "RGB"]), "has 2 values"),
    set_aside("1 x 1", with_elements(Rows=1, Columns=1, PixelData=b"\1\0"), "constant image"),
    set_aside("constant", constant, "constant image"),
    set_aside("padding alone", with_elements(PixelData=bytes(2400), PixelPaddingValue=0), "without a valid pixel"),
    set_aside("wrong modality", with_elements(Modality="CT"), "no radiograph: its Modality is CT"),
    set_aside("structured report", with_elements(Modality="SR", PixelData=None, Rows=None), "Rows or Columns"),
    set_aside("several frames", with_elements(NumberOfFrames=2, PixelData=PIXELS.tobytes() * 2), "2 frames"),
    set_aside("odd bits", with_elements(BitsAllocated=12), "Bits Allocated"),
    set_aside("no photometric interpretation", with_elements(PhotometricInterpretation=None), "Photometric"),
    set_aside(
        "unknown photometric interpretation",
        with_elements(PhotometricInterpretation="GREY"),
        "Photometric Interpretation",
    ),
    set_aside("lookup table without data", lut([4096, 0, 16]), "a lookup table of 1 entries", "says 4096"),
    set_aside("codec that does not exist", encoded(UNKNOWN_SYNTAX, b"\0" * 100), "transfer syntax"),
    set_aside("JPEG 2000 that is none", encoded(JPEG2000Lossless, b"\xff\x4f\xff\x51" + b"\0" * 200), "JPEG 2000"),
    set_aside("JPEG that is none", encoded(JPEGBaseline8Bit, HTML), "JPEG Baseline"),
    set_aside("run lengths that are none", encoded(RLELossless, b"\0" * 80), "RLE"),
    accepted("NaN as rescale slope", no_number("RescaleSlope", "nan"), as_whole),
    accepted("infinite rescale intercept", no_number("RescaleIntercept", "inf"), as_whole),
    accepted("rescale slope of 0", with_elements(RescaleSlope=0, RescaleIntercept=0), as_whole),
    accepted("padding after the pixels", with_elements(PixelData=PIXELS.tobytes() + b"\0\0"), as_whole),
    accepted("no modality", with_elements(Modality=None), as_whole),
    accepted("one column", with_elements(Rows=1200, Columns=1), stored),
]
PICTURES = [
    set_aside("PNG of zero bytes", data_of(b""), "cannot identify image file"),
    set_aside("PNG that is HTML", data_of(HTML), "cannot identify image file"),
    set_aside("GIF named PNG", of_format("GIF"), "cannot identify image file"),
    set_aside("JPEG 2000 named PNG", of_format("JPEG2000"), "cannot identify image file"),
    accepted("JPEG named PNG", of_format("JPEG"), stored),
    set_aside("PNG without pixels", png_header(40, 30), "image file is truncated"),
    set_aside("PNG of absurd dimensions", png_header(60_000, 60_000), "DecompressionBomb"),
    set_aside("constant PNG", lambda path: Image.fromarray(np.full((40, 30), 9, np.uint8)).save(path), "constant"),
]


def store_of(root, paths, **choices):
    names = [f"i{number}" for number in range(len(paths))]
    table = {"image_id": names, "patient_id": names, "study_id": names, "path": paths, "split": "test"}
    images = pd.DataFrame(table).assign(view="", laterality="", rows=pd.NA, columns=pd.NA, restricted=False)[
        list(IMAGE_COLUMNS)
    ]
    tables = CohortTables(root, images, pd.DataFrame({"image_id": names}))
    write_shard(tables, Imaging(size=16, window="minmax"), 0, 1, root / "out", **choices)
    rejected = pd.read_csv(root / "out" / "rejected.csv", dtype=str, keep_default_na=False)
    return Outcome(ImageStore([root / "out"]), tuple(rejected["reason"]))


def run(case, root, suffix):
    dcmwrite(root / "whole.dcm", radiograph(), enforce_file_format=True)
    case.breaks(root / f"broken{suffix}")
    return store_of(root, ["whole.dcm", f"broken{suffix}"])


@over(FILES)
def test_dicom(case, tmp_path):
    hold(case, lambda: run(case, tmp_path, ".dcm"), frozenset({"Zebulon", "secret-7", "broken.dcm"}))


@over(PICTURES)
def test_picture(case, tmp_path):
    hold(case, lambda: run(case, tmp_path, ".png"), frozenset({"broken.png"}))


def test_codec_missing(tmp_path, monkeypatch):
    """Where no decoder of a transfer syntax is installed, the file is set aside and says so."""
    case = set_aside("codec missing", encoded(JPEG2000Lossless, b"\0" * 100), "no decoder is installed", "JPEG 2000")
    decoder = get_decoder(JPEG2000Lossless)
    monkeypatch.setattr(decoder, "_available", {})
    hold(case, lambda: run(case, tmp_path, ".dcm"))


@pytest.mark.parametrize(
    ("limit", "case"),
    [
        (0.5, stops("most are broken", 3, "3 of 4 records", "rejected_limit", "3 x no pixels")),
        (0.8, set_aside("most are broken, and that is allowed", 3, "no pixels", count=3)),
        (1.0, stops("all are broken", 4, "none of the 4 images", "4 x no pixels", "root")),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_more_than_the_limit_stop_the_stage(limit, case, tmp_path):
    for number in range(4):
        broken = {"PixelData": None} if number < case.breaks else {}
        dcmwrite(tmp_path / f"{number}.dcm", radiograph(**broken), enforce_file_format=True)
    paths = [f"{number}.dcm" for number in range(4)]
    hold(case, lambda: store_of(tmp_path, paths, rejected_limit=limit))
    assert (tmp_path / "out" / "geometry.parquet").exists() == (case.answer != "stops")
