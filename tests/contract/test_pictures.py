"""Images and masks that are no DICOM files, and masks that are."""

import numpy as np
import pytest
from PIL import Image

from mmpkd.imaging.image_file import UnreadableImage
from mmpkd.imaging.reading import read_header, read_image, read_mask
from tests.dicom_files import write


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("a.png", np.array([[0, 51], [102, 255]], dtype=np.uint8)),
        ("a.png", np.array([[0, 13107], [26214, 65535]], dtype=np.uint16)),
        ("a.PGM", np.array([[0, 51], [102, 255]], dtype=np.uint8)),
        ("a.pgm", np.array([[0, 13107], [26214, 65535]], dtype=np.uint16)),
        ("a.tif", np.array([[0, 13107], [26214, 65535]], dtype=np.uint16)),
        ("a.TIFF", np.array([[0, 0.2], [0.4, 1]], dtype=np.float32)),
    ],
)
def test_pictures(tmp_path, name, values):
    Image.fromarray(values).save(tmp_path / name)
    assert np.allclose(read_image(tmp_path / name, "minmax"), [[0, 0.2], [0.4, 1]], atol=1e-6)
    assert read_header(tmp_path / name) == (2, 2)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_is_zero_in_a_tiff_is_turned_round(tmp_path, dtype):
    values = (np.array([[0, 51], [102, 255]]) * (np.iinfo(dtype).max // 255)).astype(dtype)
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path, tiffinfo={262: 1})
    assert np.allclose(read_image(path, "minmax"), [[0, 0.2], [0.4, 1]], atol=1e-6)
    data = bytearray(path.read_bytes())
    tag = data.index((262).to_bytes(2, "little") + (3).to_bytes(2, "little"))
    data[tag + 8 : tag + 10] = (0).to_bytes(2, "little")
    path.write_bytes(data)
    assert np.allclose(read_image(path, "minmax"), [[1, 0.8], [0.6, 0]], atol=1e-6)


def test_jpeg_rgb_palette_and_bilevel_pictures(tmp_path):
    grey = np.repeat(np.repeat(np.array([[0, 64], [128, 255]], dtype=np.uint8), 16, 0), 16, 1)
    for name, mode in (("a.jpg", "L"), ("b.jpeg", "RGB"), ("c.png", "P"), ("d.png", "RGBA"), ("e.png", "LA")):
        Image.fromarray(grey).convert(mode).save(tmp_path / name)
        assert np.abs(read_image(tmp_path / name, "minmax") - grey / 255).max() < 0.03
    Image.fromarray(grey > 100).save(tmp_path / "f.png")
    assert np.array_equal(read_image(tmp_path / "f.png", "minmax"), grey > 100)


def test_masks_of_every_kind(tmp_path):
    mask = np.zeros((5, 7), dtype=bool)
    mask[1:3, 2:6] = True
    assert np.array_equal(read_mask(write(tmp_path / "a.dcm", mask.astype(np.uint8) * 255)), mask)
    assert np.array_equal(read_mask(write(tmp_path / "b.dcm", mask.astype(np.uint16) * 65535)), mask)
    assert np.array_equal(read_mask(write(tmp_path / "c.dcm", mask.astype(np.uint8))), mask)
    Image.fromarray(mask).save(tmp_path / "d.png")
    assert np.array_equal(read_mask(tmp_path / "d.png"), mask)
    with pytest.raises(UnreadableImage, match="constant"):
        read_mask(write(tmp_path / "e.dcm", np.zeros((5, 7), np.uint8)))
