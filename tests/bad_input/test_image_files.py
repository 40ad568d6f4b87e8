"""Image files that are cut, or whose header says something else than their pixels, beside a whole one in a cohort."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from mmpkd.cohorts.tables import IMAGE_COLUMNS, CohortTables
from mmpkd.config.imaging import Breast, Imaging
from mmpkd.imaging.shards import write_shard
from mmpkd.imaging.store import NO_BREAST, ImageStore, noted
from tests.bad_input.catalogue import Outcome, accepted, hold, over, set_aside
from tests.dicom_files import image_dataset, picture, transcode, write

PIXELS = picture(12)
EIGHT = picture(8)
CURVE = [round(255 * (number / 4095) ** 0.5) for number in range(4096)]
OTHER_BITS = "other bits than BitsStored"
OTHER_SIGN = "run over the range of PixelRepresentation"
OTHER_BYTES = "bytes in the other order"
FULL = {"WindowCenter": 128, "WindowWidth": 256}
CUT = "the compressed frame is cut"


def radiograph(words=PIXELS, bits=12, syntax=ExplicitVRLittleEndian, **elements):
    """Writes a file of the words; of the elements those that are None are deleted."""

    def make(path):
        given = {keyword: value for keyword, value in elements.items() if value is not None}
        write(path, words, bits=bits, syntax=syntax, PatientName="Zebulon^Secret", **given)
        missing = [keyword for keyword, value in elements.items() if value is None]
        if missing:
            dataset = dcmread(path)
            for keyword in missing:
                del dataset[keyword]
            dcmwrite(path, dataset, enforce_file_format=True)

    return make


def lut(data=CURVE, descriptor=(4096, 0, 8), sequence="VOILUTSequence", **elements):
    """A radiograph with a lookup table, whose entries are written as numbers or, as bytes, as they are."""
    item = Dataset()
    if descriptor:
        item.add_new("LUTDescriptor", "US", list(descriptor))
    if sequence == "ModalityLUTSequence":
        item.ModalityLUTType = "US"
    if data is not None:
        item.add_new("LUTData", "OW" if isinstance(data, bytes) else "US", data)
    return radiograph(**{sequence: [item]}, **elements)


def pairs():
    """The entries of 8 bits, two in a word."""
    return bytes(CURVE)


def colour(configuration, planes):
    """Grey in three samples, written pixel by pixel or plane by plane."""

    def make(path):
        samples = np.repeat(EIGHT[..., None], 3, axis=2)
        dataset = image_dataset(samples, "RGB", PlanarConfiguration=configuration)
        dataset.PixelData = (samples.transpose(2, 0, 1) if planes else samples).tobytes()
        dcmwrite(path, dataset, enforce_file_format=True)

    return make


def compressed(syntax, change=lambda frame: [frame], eight=False, table=False, **elements):
    """A radiograph in another transfer syntax (pydicom's or GDCM's name of it), its one frame changed to others."""

    def make(path):
        radiograph(EIGHT if eight else PIXELS, 8 if eight else 12)(path)
        if isinstance(syntax, str) and "." not in syntax:
            transcode(path, path, syntax)
        else:
            encoder = {RLELossless: "pydicom", JPEGLSLossless: "pyjpegls", JPEG2000Lossless: "pylibjpeg"}[syntax]
            dataset = dcmread(path)
            dataset.compress(syntax, encoding_plugin=encoder)
            dcmwrite(path, dataset, enforce_file_format=True)
        dataset = dcmread(path)
        length = int.from_bytes(dataset.PixelData[12:16], "little")
        frame = dataset.PixelData[16 : 16 + length] if dataset.PixelData[4:8] == bytes(4) else dataset.PixelData[20:]
        dataset.PixelData = encapsulate(change(frame), has_bot=table)
        dataset["PixelData"].is_undefined_length = True
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        dcmwrite(path, dataset, enforce_file_format=True)

    return make


def half(frame):
    return [frame[: len(frame) // 2]]


def zeros(frame):
    return [frame[: len(frame) // 2] + bytes(len(frame) - len(frame) // 2)]


def without_end(frame):
    return [frame[: frame.rindex(b"\xff\xd9")]]


def twice(frame):
    return [frame, frame]


def cut_file(make, share):
    """The file itself ends early."""

    def breaks(path):
        make(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return breaks


def deflated(path):
    radiograph()(path)
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dcmwrite(path, dataset, enforce_file_format=True)


def encapsulated_under_native(path):
    radiograph()(path)
    dataset = dcmread(path)
    dataset.PixelData = encapsulate([PIXELS.tobytes()])
    dcmwrite(path, dataset, enforce_file_format=True)


def as_whole(note=""):
    """The picture is that of the whole file beside it, and the one note begins or goes on with these words."""

    def check(store):
        notes = store.geometry["notes"].tolist()
        close = np.abs(store.pixels([0]).astype(int) - store.pixels([1])).max() <= 2  # of 8 bits and 12
        return close and notes[0] == "" and (note in notes[1] if note else notes[1] == "")

    return check


def curved(store):
    """The picture is the whole one through the curve."""
    expected = 255 * np.sqrt(store.pixels([0]) / 255)
    return np.abs(expected - store.pixels([1])).mean() < 3 and store.geometry["notes"].tolist()[1] == ""


def stored_with(note):
    return lambda store: len(store) == 2 and note in store.geometry["notes"].tolist()[1]


HEADERS = [
    accepted("HighBit 15, numbers in the upper bits", radiograph(PIXELS << 4, HighBit=15), as_whole()),
    accepted("HighBit 15, overlays below", radiograph(PIXELS << 4 | PIXELS >> 9, HighBit=15), as_whole()),
    accepted("HighBit 15, numbers in the lower bits", radiograph(HighBit=15), as_whole(OTHER_BITS)),
    accepted("HighBit 11, numbers in the upper bits", radiograph(PIXELS << 4), as_whole(OTHER_BITS)),
    accepted("HighBit below BitsStored", radiograph(HighBit=3), as_whole()),
    accepted("HighBit beyond the word", radiograph(HighBit=200), as_whole()),
    accepted("no HighBit", radiograph(HighBit=None), as_whole()),
    accepted("BitsStored too few", radiograph(bits=9), as_whole(OTHER_BITS)),
    accepted("BitsStored 8 in words of 16", radiograph(bits=8), as_whole(OTHER_BITS)),
    accepted("BitsStored too many", radiograph(bits=16), as_whole()),
    accepted("overlay above BitsStored", radiograph(PIXELS | (PIXELS > 2000) * np.uint16(1 << 14)), as_whole()),
    set_aside("BitsStored more than BitsAllocated", radiograph(bits=20), "Bits Stored"),
    set_aside("BitsStored of 0", radiograph(BitsStored=0), "Bits Stored"),
    accepted("unsigned pixels called signed", radiograph(signed=True), as_whole(OTHER_SIGN)),
    accepted("signed pixels called unsigned", radiograph(PIXELS - np.uint16(2048), bits=16), as_whole(OTHER_SIGN)),
    accepted("signed pixels of 12 bits called unsigned", radiograph(PIXELS - np.uint16(2048)), as_whole(OTHER_SIGN)),
    set_aside("PixelRepresentation 2", radiograph(PixelRepresentation=2), "Pixel Representation"),
    accepted("bytes in the other order", radiograph(PIXELS.byteswap()), as_whole(OTHER_BYTES)),
    accepted(
        "big-endian syntax, little-endian words",
        radiograph(PIXELS.byteswap(), syntax=ExplicitVRBigEndian),
        as_whole(OTHER_BYTES),
    ),
    set_aside("Rows and Columns exchanged", radiograph(Rows=48, Columns=60), "Rows and Columns are exchanged"),
    set_aside("Columns one too few", radiograph(picture(12, 48, 60), Columns=59), "more pixels than the 48 x 59"),
    set_aside("BitsAllocated 8 of 16", radiograph(BitsAllocated=8, BitsStored=8, HighBit=7), "more pixels than"),
    set_aside("BitsAllocated 16 of 8", radiograph(EIGHT, 8, BitsAllocated=16, BitsStored=16), "less than expected"),
    accepted("planes called pixels", colour(0, planes=True), as_whole("PlanarConfiguration")),
    accepted("pixels called planes", colour(1, planes=False), as_whole("PlanarConfiguration")),
    accepted("planes", colour(1, planes=True), as_whole()),
    set_aside("no PlanarConfiguration", colour(None, planes=False), "Planar Configuration"),
    set_aside("three samples called grey", radiograph(SamplesPerPixel=3, PlanarConfiguration=0), "less than expected"),
    accepted("NumberOfFrames of 0", radiograph(NumberOfFrames=0), as_whole()),
    set_aside("compressed pixels under a native syntax", encapsulated_under_native, "compressed pixels where"),
]
LUTS = [
    accepted("VOI LUT of 8 bits", lut(), curved),
    accepted("VOI LUT of 8 bits, implicit", lut(syntax=ImplicitVRLittleEndian), curved),
    accepted("VOI LUT of 8 bits, big-endian", lut(syntax=ExplicitVRBigEndian), curved),
    accepted("VOI LUT of 8 bits in pairs", lut(pairs()), curved),
    accepted("VOI LUT of 8 bits called 16", lut(descriptor=(4096, 0, 16)), curved),
    accepted("VOI LUT of 13 bits called 9", lut([n * 32 for n in CURVE], (4096, 0, 9)), curved),
    accepted(
        "VOI LUT from -2048 on, as unsigned",
        lut(descriptor=(4096, 65536 - 2048, 8), words=PIXELS - np.uint16(2048), bits=16, signed=True),
        curved,
    ),
    accepted("modality LUT of 8 bits", lut(sequence="ModalityLUTSequence", **FULL), curved),
    accepted("modality LUT of 8 bits in pairs", lut(pairs(), sequence="ModalityLUTSequence", **FULL), curved),
    set_aside("VOI LUT shorter than stated", lut(CURVE[:1000]), "lookup table of 1000 entries", "says 4096"),
    set_aside("VOI LUT longer than stated", lut(descriptor=(100, 0, 8)), "lookup table of 4096 entries", "says 100"),
    set_aside("VOI LUT without data", lut(None), "lookup table of 0 entries"),
    set_aside("VOI LUT without descriptor", lut(descriptor=None), "descriptor has not three numbers"),
    set_aside("VOI LUT with two numbers of three", lut(descriptor=(4096, 0)), "descriptor has not three numbers"),
    set_aside("modality LUT longer than stated", lut(descriptor=(7, 0, 8), sequence="ModalityLUTSequence"), "says 7"),
    set_aside("VOI LUT of one value", lut([7] * 4096, sequence="ModalityLUTSequence"), "constant image"),
    accepted(
        "window that hides the image",
        radiograph(WindowCenter=2000, WindowWidth=5),
        stored_with("the file's window shows nearly all pixels black or white"),
    ),
    accepted("window of another unit", radiograph(WindowCenter=0.5, WindowWidth=1), stored_with("black or white")),
    accepted("window of yet another", radiograph(WindowCenter=9999, WindowWidth=5), stored_with("one grey value")),
]
CODESTREAMS = [
    *(
        set_aside(f"{name}, {told}", compressed(syntax, change, eight), CUT)
        for name, syntax, eight in (
            ("JPEG baseline", "JPEGBaselineProcess1", True),
            ("JPEG extended", "JPEGExtendedProcess2_4", True),
            ("JPEG lossless", "JPEGLosslessProcess14_1", False),
            ("JPEG-LS", JPEGLSLossless, False),
            ("JPEG-LS near lossless", "JPEGLSNearLossless", False),
            ("JPEG 2000", JPEG2000Lossless, False),
        )
        for told, change in (("cut in half", half), ("zeros from the half on", zeros))
    ),
    set_aside("JPEG-LS without its end", compressed(JPEGLSLossless, without_end), CUT),
    set_aside("JPEG 2000 without its end", compressed(JPEG2000Lossless, without_end), "JPEG 2000"),
    accepted("JPEG-LS with padding", compressed(JPEGLSLossless, lambda frame: [frame + bytes(6)]), as_whole()),
    set_aside("run lengths cut in half", compressed(RLELossless, half), "expected amount"),
    set_aside("two JPEG-LS images", compressed(JPEGLSLossless, twice), "several compressed images"),
    set_aside("two JPEG 2000 images", compressed(JPEG2000Lossless, twice), "several compressed images"),
    set_aside("two run-length images", compressed(RLELossless, twice), "2 frames where one is expected"),
    set_aside("two frames, NumberOfFrames 1", compressed(RLELossless, twice, table=True, NumberOfFrames=1), "2 frames"),
    set_aside("file cut in JPEG 2000", cut_file(compressed(JPEG2000Lossless), 0.7), "the file ends within its pixels"),
    set_aside("file cut in JPEG-LS", cut_file(compressed(JPEGLSLossless), 0.7), "the file ends within its pixels"),
    set_aside("file cut in run lengths", cut_file(compressed(RLELossless), 0.7), "the file ends within its pixels"),
    set_aside("deflated file cut", cut_file(deflated, 0.7), "incomplete or truncated stream"),
    accepted("deflated", deflated, as_whole()),
]


def saved(kind, share=1.0, filled=False, **options):
    """A picture of which a share is there, the rest zeros if `filled`."""

    def breaks(path):
        Image.fromarray(EIGHT).save(path, kind, **options)
        data = path.read_bytes()
        piece = data[: int(share * len(data))]
        path.write_bytes(piece + bytes(len(data) - len(piece)) * filled)

    return breaks


PICTURES = [
    set_aside("JPEG cut", saved("JPEG", 0.6), "is cut"),
    set_aside("JPEG, zeros from its middle on", saved("JPEG", 0.6, filled=True), "is cut"),
    set_aside("progressive JPEG cut", saved("JPEG", 0.6, progressive=True), "is cut"),
    set_aside("PNG cut", saved("PNG", 0.6), "is cut or damaged"),
    set_aside("PNG, zeros from its middle on", saved("PNG", 0.6, filled=True), "is cut or damaged"),
    set_aside("TIFF cut", saved("TIFF", 0.6), "file"),
    set_aside("PGM under another name", saved("PPM", 1), "cannot identify"),
]


def store_of(root, names, window="minmax", breast=None, **columns):
    ids = [f"i{number}" for number in range(len(names))]
    table = {"image_id": ids, "patient_id": ids, "study_id": ids, "path": names, "split": "test"}
    images = (
        pd.DataFrame(table)
        .assign(view="", laterality="", rows=pd.NA, columns=pd.NA, restricted=False)
        .assign(**columns)
    )
    tables = CohortTables(root, images[list(IMAGE_COLUMNS)], pd.DataFrame({"image_id": ids}))
    write_shard(tables, Imaging(size=32, window=window), 0, 1, root / "out", breast)
    rejected = pd.read_csv(root / "out" / "rejected.csv", dtype=str, keep_default_na=False)
    return Outcome(ImageStore([root / "out"]), tuple(rejected["reason"]))


def run(case, root, suffix=".dcm", **choices):
    radiograph(WindowCenter=2048, WindowWidth=4096)(root / "whole.dcm")
    case.breaks(root / f"broken{suffix}")
    return store_of(root, ["whole.dcm", f"broken{suffix}"], **choices)


SECRETS = frozenset({"Zebulon", "secret-7", "broken.dcm", "broken.png"})


@over(HEADERS)
def test_header(case, tmp_path):
    hold(case, lambda: run(case, tmp_path), SECRETS)


@over(LUTS)
def test_lookup_table(case, tmp_path):
    hold(case, lambda: run(case, tmp_path, window="dicom"), SECRETS)


@over(CODESTREAMS)
def test_codestream(case, tmp_path):
    hold(case, lambda: run(case, tmp_path), SECRETS)


@over(PICTURES)
def test_picture(case, tmp_path):
    hold(case, lambda: run(case, tmp_path, ".png"), SECRETS)


GREY_MAPS = [
    set_aside("PGM cut", saved("PPM", 0.6), "truncated"),
    set_aside("PGM without pixels", lambda path: path.write_bytes(b"P5 4000 3000 255\n"), "truncated"),
    set_aside("PNG under that name", saved("PNG", 1), "cannot identify"),
]


@over(GREY_MAPS)
def test_grey_map(case, tmp_path):
    hold(case, lambda: run(case, tmp_path, ".pgm"), SECRETS)


MAMMOGRAMS = [
    accepted("header of the other side", {"ImageLaterality": "R"}, stored_with("another laterality than the table")),
    accepted("header of the other side, Laterality", {"Laterality": "r"}, stored_with("another laterality")),
    accepted("header of another view", {"ViewPosition": "MLO"}, stored_with("another view than the table")),
    accepted("view where CBIS-DDSM has it", {"PatientOrientation": "MLO"}, stored_with("another view")),
    accepted("header of the same", {"ViewPosition": "cc ", "ImageLaterality": "L"}, stored_with("")),
    accepted("header of both breasts", {"ImageLaterality": "B", "ViewPosition": "XX"}, stored_with("")),
]


@over(MAMMOGRAMS)
def test_position(case, tmp_path):
    radiograph()(tmp_path / "whole.dcm")
    radiograph(**case.breaks)(tmp_path / "broken.dcm")
    names = ["whole.dcm", "broken.dcm"]
    hold(case, lambda: store_of(tmp_path, names, view="CC", laterality="LEFT"), SECRETS)
    count = sum("another" in note for note in noted([tmp_path / "out"])["note"])
    assert count == ("of another" in case.name or "other side" in case.name or "where" in case.name)


def test_a_mammogram_without_a_breast_is_noted(tmp_path):
    path = tmp_path / "noise.dcm"
    write(path, np.eye(300, dtype=np.uint16) * 4095, bits=12)
    store_of(tmp_path, ["noise.dcm"], breast=Breast(crop=True))
    assert noted([tmp_path / "out"]).to_dict("records") == [{"image_id": "i0", "note": NO_BREAST}]


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_reasons_of_two_runs_are_equal(tmp_path, syntax):
    """Objects of a decoder's message lie elsewhere in each run."""
    reasons = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        radiograph()(folder / "whole.dcm")
        dataset = image_dataset(PIXELS, bits=12)
        dataset.PixelData = encapsulate([b"<html>" * 50])
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset["PixelData"].is_undefined_length = True
        dcmwrite(folder / "broken.dcm", dataset, enforce_file_format=True)
        kept = [bytes(1000) for _ in range(1000 * number)]  # so that what follows lies elsewhere
        reasons.append(store_of(folder, ["whole.dcm", "broken.dcm"]).reasons)
        del kept
    assert reasons[0] == reasons[1] and " at 0x" not in reasons[0][0]
