"""Every image of pydicom, pydicom-data and shared/data."""

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from mmpkd.imaging.image_file import UnreadableImage
from mmpkd.imaging.reading import read_header, read_image
from tests.dicom_files import data_files, find

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "dicom"
PYDICOM = Path(pydicom.data.__file__).parent / "test_files"
BROKEN = {  # files of pydicom with one frame that hold no whole image that any decoder reads, and the reason to report
    "JPEG-lossy.dcm": "pillow: .*; pylibjpeg: ",
    "JPEG2000-embedded-sequence-delimiter.dcm": "a frame of 1024 x 3722445056 where",
    "MR_truncated.dcm": "bytes of pixel data is less than expected",
    "badVR.dcm": "invalid literal",
}


def single_frame_images(folder: Path) -> list[Path]:
    """The DICOM files below `folder` whose header is that of an image with one frame."""
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.startswith("DICOMDIR"):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                header = pydicom.dcmread(path, stop_before_pixels=True, force=path.suffix == ".dcm")
            except pydicom.errors.InvalidDicomError:
                continue
            frames = str(header.get("NumberOfFrames") or 1)
        if "Rows" in header and frames in ("1", "1A"):
            found.append(path)
    return found


@pytest.mark.parametrize(
    ("folder", "least"),
    [(lambda: PYDICOM, 70), (data_files, 30), (lambda: SHARED, 2)],
    ids=["pydicom", "data", "shared"],
)
def test_every_image_of_others_is_read(folder, least):
    folder = folder()
    if not folder.is_dir():
        pytest.skip(f"{folder.name} is not here")
    paths = single_frame_images(folder)
    assert len(paths) >= least
    for path in paths:  # one test a folder: a hundred names in the report of a passing run help nobody
        if path.name in BROKEN:
            with pytest.raises(UnreadableImage, match=BROKEN[path.name]):
                read_image(path, "dicom")
            continue
        shown = read_image(path, "dicom")
        assert shown.dtype == np.float32 and shown.ndim == 2, path.name
        assert np.isfinite(shown).all() and shown.min() >= 0 and shown.max() <= 1, path.name
        assert shown.min() < shown.max(), path.name
        assert read_header(path) == shown.shape, path.name


@pytest.mark.parametrize("name", ["RG1", "RG3"])
def test_lossless_variants_of_a_radiograph_are_equal_to_the_bit_and_lossy_ones_close(name):
    plain = read_image(find(f"{name}_UNCR.dcm"), "minmax")
    assert np.array_equal(plain, read_image(find(f"{name}_J2KR.dcm"), "minmax"))
    source = read_image(find(f"{name}_UNCI.dcm"), "minmax")
    assert np.abs(source - read_image(find(f"{name}_J2KI.dcm"), "minmax")).mean() < 0.01


@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", "RG3_UNCR.dcm", "vlut_04.dcm", "mlut_18.dcm", "dx_image.dcm"])
def test_window_and_polarity_agree_with_pydicom(name):
    path = SHARED / name if name == "dx_image.dcm" else find(name)
    if not path.is_file():
        pytest.skip(f"{path.name} is not here")
    dataset = pydicom.dcmread(path)
    shown = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset).astype(float)
    if "VOILUTSequence" in dataset:
        low, high = 0, np.max(dataset.VOILUTSequence[0].LUTData)
    elif "WindowWidth" in dataset:
        low, high = 0, (1 << dataset.BitsStored) - 1
        if dataset.get("RescaleSlope") is not None:
            low = float(dataset.RescaleIntercept or 0)
            high = high * float(dataset.RescaleSlope) + low
    else:
        low, high = np.percentile(shown, (0.5, 99.5))
    expected = np.clip((shown - low) / (high - low), 0, 1)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        expected = 1 - expected
    assert np.allclose(read_image(path, "dicom"), expected, atol=2e-5)


def test_the_chest_radiograph_has_dark_lungs_beside_a_bright_spine():
    shown = read_image(find("RG1_UNCR.dcm"), "percentile")
    rows, columns = shown.shape
    middle = shown[int(0.35 * rows) : int(0.5 * rows)]
    spine = middle[:, int(0.47 * columns) : int(0.53 * columns)].mean()
    lungs = [middle[:, int(low * columns) : int((low + 0.1) * columns)].mean() for low in (0.25, 0.68)]
    assert max(lungs) < spine - 0.1


def test_the_dogs_thorax_is_bright_in_dark_air():
    path = SHARED / "dx_image.dcm"
    if not path.is_file():
        pytest.skip("shared/data/dicom is not here")
    shown = read_image(path, "percentile")  # the animal lies across the image, its neck to the left
    rows, columns = shown.shape
    air = shown[: rows // 20, columns // 2 :], shown[-rows // 20 :, columns // 2 :]
    assert max(part.mean() for part in air) < 0.1
    assert shown[rows // 3 : 2 * rows // 3].mean() > 0.3
