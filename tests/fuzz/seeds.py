"""What the fuzzer starts from: small files and texts, made here or named from pydicom's."""

import gzip
import io
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pydicom.data
from PIL import Image
from pydicom import dcmread, dcmwrite
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
)

from mmpkd.phantom import chest, reports
from mmpkd.phantom.write import stable_uid, write_dicom
from tests.fuzz.mutation import WITH_LONG_LENGTH, DicomFile, Element

# Of pydicom: every radiograph of 16 x 16 pixels, and a small file of each other kind of header and pixels.
PYDICOM_FILES = [
    "dicomdirtests/77654033/CR1/6154",
    "dicomdirtests/77654033/CR2/6247",
    "dicomdirtests/77654033/CR3/6278",
    "JPEGLSNearLossless_08.dcm",
    "JPEGLSNearLossless_16.dcm",
    "SC_rgb_jls_lossy_sample.dcm",
    "SC_rgb_small_odd.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "rtdose_1frame.dcm",
    "rtdose_expb_1frame.dcm",
    "rtdose_rle_1frame.dcm",
    "nested_priv_SQ.dcm",
    "meta_missing_tsyntax.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_gdcm_KY.dcm",
]


def pixels(bits: int, rows: int = 9, columns: int = 8) -> np.ndarray:
    """A ramp of all values with some noise."""
    values = np.linspace(0, (1 << bits) - 1, rows * columns).reshape(rows, columns)
    noise = np.random.default_rng(bits).normal(0, 1 << (bits - 5), values.shape)
    return np.clip(values + noise, 0, (1 << bits) - 1).astype(np.uint8 if bits <= 8 else np.uint16)


def lookup_table(first: int, entries: int, kind: str) -> Dataset:
    item = Dataset()
    item.LUTDescriptor, item.LUTExplanation = [entries, first, 16], "NORMAL"
    if kind == "modality":
        item.ModalityLUTType = "OD"
    item.add_new("LUTData", "US", [index * 7 % 4096 for index in range(entries)])
    return item


def headers() -> list[dict]:
    """Elements that change how pixels are shown."""
    return [
        {},
        {"WindowCenter": 100, "WindowWidth": 180, "RescaleSlope": 2, "RescaleIntercept": -10, "RescaleType": "US"},
        {
            "WindowCenter": [90, 5],
            "WindowWidth": [150, 1],
            "WindowCenterWidthExplanation": ["NORMAL", "HARD"],
            "VOILUTFunction": "SIGMOID",
            "PixelPaddingValue": 0,
            "PixelPaddingRangeLimit": 3,
            "PresentationLUTShape": "INVERSE",
        },
        {"VOILUTSequence": [lookup_table(0, 16, "voi")], "NumberOfFrames": 1},
        {"ModalityLUTSequence": [lookup_table(1, 12, "modality")], "VOILUTFunction": "LINEAR_EXACT"},
    ]


@cache
def dicom_files() -> list[DicomFile]:
    """Files of the phantom's writer in each of its transfer syntaxes, others made of them, and those of pydicom."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "seed.dcm"
        files = []
        for number, syntax in enumerate(["explicit", "implicit", "rle", "jpeg2000", "jpegls"] * 3):
            bits = (8, 12, 16)[number // 5]
            size = (32, 33) if syntax == "jpeg2000" else (9, 8)  # the encoder's least
            _write(path, pixels(bits, *size), bits, syntax, headers()[number % 5 if number < 10 else 0])
            files.append(cut_at_elements(path))
        for syntax in (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLosslessSV1, JPEG2000, DeflatedExplicitVRLittleEndian):
            _write(path, pixels(8, 32, 33), 8, "explicit", {})
            _transcode(path, syntax)
            files.append(cut_at_elements(path))
    test_files = Path(pydicom.data.__file__).parent / "test_files"
    return files + [cut_at_elements(test_files / name) for name in PYDICOM_FILES]


def _write(path: Path, stored: np.ndarray, bits: int, syntax: str, elements: dict) -> None:
    write_dicom(
        path,
        stored,
        modality="DX",
        photometric="MONOCHROME1" if bits == 12 else "MONOCHROME2",
        bits_stored=bits,
        transfer_syntax=syntax,
        elements={"SOPInstanceUID": stable_uid(syntax, bits), "PatientID": "secret-7", **elements},
    )


def _transcode(path: Path, syntax: UID) -> None:
    """Other encodings of 8 bits. The frame of "lossless" JPEG is none: its decoders meet a JPEG of another process."""
    dataset = dcmread(path)
    if syntax == JPEG2000:
        dataset.compress(syntax, encoding_plugin="pylibjpeg", j2k_cr=[4], generate_instance_uid=False)
    elif syntax.is_encapsulated:
        dataset.PixelData = encapsulate([_saved(Image.fromarray(dataset.pixel_array), "JPEG")])
        dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    dcmwrite(path, dataset, enforce_file_format=True)


def cut_at_elements(path: Path) -> DicomFile:
    """The file cut at the elements of its top level; in one piece if it is deflated."""
    data, dataset = path.read_bytes(), dcmread(path)
    implicit, little = dataset.original_encoding
    order = "little" if little else "big"
    if dataset.file_meta.get("TransferSyntaxUID", "").endswith(".1.99"):
        return DicomFile(data, (), order)
    found = []  # where each element starts and its value does
    for part, without_representation in ((dataset.file_meta, False), (dataset, implicit)):
        for tag in sorted(part.keys()):
            item = part.get_item(tag)
            raw = isinstance(item, RawDataElement)
            kind = item.VR if item.VR else dictionary_VR(tag)
            value = item.value_tell if raw else item.file_tell
            short = without_representation or kind not in WITH_LONG_LENGTH
            found.append((value - (8 if short else 12), value, str(kind)))
    found.sort()
    ends = [start for start, _, _ in found[1:]] + [len(data)]
    elements = [Element(data[a:b], data[b:end], kind) for (a, b, kind), end in zip(found, ends, strict=True)]
    return DicomFile(data[: found[0][0]], tuple(elements), order)


@cache
def pictures() -> list[bytes]:
    """PNG, JPEG and TIFF of 1, 8 and 16 bits and of 32-bit floats, grey, coloured and with a palette."""
    grey, deep = Image.fromarray(pixels(8)), Image.fromarray(pixels(16))
    colour = Image.merge("RGB", [grey, grey.rotate(90, expand=True).resize(grey.size), grey.rotate(180)])
    floats = Image.fromarray(pixels(8).astype(np.float32))
    made = [("PNG", picture) for picture in (grey, deep, colour, colour.quantize(16), grey.convert("1"))]
    made += [("PNG", colour.convert("RGBA")), ("JPEG", grey), ("JPEG", colour), ("JPEG", colour.convert("CMYK"))]
    made += [("TIFF", picture) for picture in (grey, deep, colour, floats, grey.convert("1"))]
    encoded = [_saved(picture, kind) for kind, picture in made]
    encoded += [_saved(grey, "JPEG", progressive=True), _saved(grey, "TIFF", compression="tiff_lzw")]
    return encoded + [
        _saved(deep, "TIFF", compression="tiff_adobe_deflate"),
        _saved(grey, "TIFF", compression="packbits"),
    ]


def _saved(picture: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


ODD_REPORTS = (
    "",
    " \n \n",
    "no header at all",
    "FINDINGS:\nIMPRESSION:\n",
    "\n CHEST, PA LATERAL:\n \n INDICATION:  Cough.\n \n IMPRESSION:  Normal.\n",
    "\n INDICATION:  Cough.\n \n COMPARISON:  None.\n \n The lungs are clear.\n \n No effusion.\n",
    "\n RECOMMENDATION(S):  One.\n \n NOTIFICATION:  Two.\n \n TECHNIQUE:  Three.\n \n NOTE: Four.\n HISTORY: Five.\n",
    "FINDINGS: one\r\n\r\nFINDING: two\rWET READ: three\r\n",
    "BEFUND:\n Kein Nachweis eines Pneumothorax.\n\nBEURTEILUNG:\n Kein Infiltrat.",
    "检查所见:心影不大。\n诊断:未见异常。",
    " (-):  a\n /: b\n ,,, : c\n:\n : \n",
)


@cache
def report_texts() -> list[str]:
    """Reports of the phantom and odd ones."""
    texts = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        anatomy = chest.Anatomy.draw(rng, chest.MIMIC)
        study = chest.draw_study(rng, chest.MIMIC, anatomy)
        texts.append(reports.write_report(rng, anatomy, study, lateral=seed % 2 == 0, noise=0.5).text)
    return [*texts, *ODD_REPORTS]


XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation>
   <uId id="CXR1"/>
   <MedlineCitation><Article><Abstract>
     <AbstractText Label="COMPARISON">None.</AbstractText><AbstractText Label="INDICATION"/>
     <AbstractText Label="FINDINGS">Streaky opacity.\n HEART: enlarged,\nno XXXX of effusion &amp; no <i>pneumothorax</i>.</AbstractText>
     <AbstractText Label="IMPRESSION">Normal chest.</AbstractText><AbstractText>No label.</AbstractText>
   </Abstract></Article></MedlineCitation>
   <MeSH><major>Opacity/lung/base/left </major><major/><automatic>opacity</automatic></MeSH>
   <parentImage id="CXR1_1_IM-0001-3001"><figureId>F1</figureId><caption>Xray Chest PA and Lateral</caption></parentImage>
   <parentImage id="CXR1_1_IM-0001-4001"><caption/></parentImage>
</eCitation>
"""  # noqa: E501


def xml_reports() -> list[bytes]:
    """Reports of Open-i: as they are, in another encoding, with an entity, and deeply nested."""
    entity = XML.replace("<eCitation>", '<!DOCTYPE e [<!ENTITY a "b">]><eCitation>', 1).replace("None.", "&a;")
    nested = XML.replace("Normal", "<b>" * 500 + "Normal" + "</b>" * 500)
    texts = [XML, XML.replace("utf-8", "utf-16"), entity, nested, XML.replace("CXR1", "CXR23"), "<eCitation/>"]
    return [text.encode() for text in texts] + [XML.encode("utf-8-sig"), XML.encode("utf-16")]


TABLE_COLUMNS = ("image_id", "label")
CSV = 'Image ID,label,Further\ni1, mass ,1\ni2,"calci\nfication",2\ni3,,\n'


def csv_files() -> list[bytes]:
    """Tables as text, with other line ends, with a byte-order mark, and gzipped."""
    texts = [CSV, CSV.replace("\n", "\r\n"), CSV.replace("Further", "Label"), CSV.replace(",", ";"), "image_id,label\n"]
    files = [text.encode() for text in texts] + [CSV.encode("utf-8-sig")]
    return files + [gzip.compress(CSV.encode(), mtime=0)]


RUN_LENGTHS = (
    {"size": [7, 9], "counts": "?430<MJ5M"},
    {"size": [3, 2], "counts": "06"},
    {"size": [2320, 2828], "counts": "PVWX6"},
    {"size": [2, 3], "counts": [1, 2, 3]},
    {"size": [2, 3], "counts": [0, 6]},
)
