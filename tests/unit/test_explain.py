"""A student on new images: the numbers are those of its study, and maps lie where the image shows it."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from pydicom import dcmread

from mmpkd.cli import main
from mmpkd.config.demo import DEMO
from mmpkd.config.imaging import Breast, Imaging
from mmpkd.explain import Explainer, map_in_image, overlay
from mmpkd.imaging.geometry import Geometry
from mmpkd.imaging.square import read_square
from mmpkd.students.vit import create, load, save
from tests.dicom_files import picture, write

PAGE = Path(__file__).parents[2] / "docs" / "explain.md"
LABELS = ["Atelectasis", "Cardiomegaly"]
PREPARED = {"imaging": DEMO.imaging.model_dump(mode="json"), "breast": None, "problem": "multi_label"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    file = tmp_path_factory.mktemp("student") / "model.safetensors"
    save(create(DEMO.student, DEMO.imaging.size, LABELS, seed=1), file, **PREPARED)
    return file


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    files = []
    for name, shape in (("wide", (60, 90)), ("high", (300, 200)), ("small", (20, 20))):
        files.append(tmp_path / f"{name}.png")
        Image.fromarray(rng.integers(0, 255, shape, dtype=np.uint8)).save(files[-1])
    return files


def test_probabilities_are_those_of_the_student_on_the_stores_pixels(model, pictures, tmp_path, capsys):
    assert main(["explain", str(model), *map(str, pictures), "--out", str(tmp_path / "out"), "--batch-size", "2"]) == 0
    assert "3 of 3 images explained" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "out/probabilities.csv")
    pixels = np.stack([read_square(file, DEMO.imaging, Breast()).pixels for file in pictures])
    with torch.no_grad():
        expected = load(model)(torch.from_numpy(pixels)[:, None].float() / 255).logits.sigmoid().numpy()
    np.testing.assert_allclose(table[LABELS], expected, atol=2e-6)
    for row, file in zip(table.itertuples(), pictures, strict=True):
        drawn, image = np.load(tmp_path / "out" / row.map), Image.open(file)
        assert drawn.shape == (image.height, image.width) == Image.open(tmp_path / "out" / row.overlay).size[::-1]
        assert drawn.mean() == pytest.approx(1, abs=0.2), "multiples of a uniform map"
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["model_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert [image["file"] for image in manifest["images"]] == list(map(str, pictures))


def test_an_unreadable_file_is_named_and_the_others_go_on(model, pictures, tmp_path, capsys):
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"no image")
    files = [str(broken), str(tmp_path / "absent.png"), str(pictures[0])]
    assert main(["explain", str(model), *files, "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert "1 of 3 images explained" in printed.out
    assert printed.err.count("broken.dcm: ") == printed.err.count("absent.png: ") == 1
    table = pd.read_csv(tmp_path / "out/probabilities.csv")
    assert table["unreadable"].notna().tolist() == [True, True, False]
    assert table["Atelectasis"].notna().tolist() == [False, False, True]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("patch", [(0, 0), (2, 5), (6, 3)])
def test_the_peak_of_a_map_lies_on_the_patch_that_it_came_from(patch, flip):
    """The crop is 50 x 70 pixels of an image of 100 x 200, off centre; a store of 56 pixels has 7 x 7 patches."""
    geometry = Geometry.fit(100, 200, 56, keep_aspect=False, crop=(30, 20, 80, 90), flip=flip)
    grid = np.zeros((7, 7))
    grid[patch] = 1
    drawn = map_in_image(grid, geometry)
    y, x = np.unravel_index(drawn.argmax(), drawn.shape)
    store = geometry.points_to_store(np.array([[x + 0.5, y + 0.5]]))[0]
    assert np.abs(store / 8 - 0.5 - patch[::-1]).max() < 0.5, "less than half a patch from its centre"
    outside = np.ones_like(drawn, dtype=bool)
    outside[20:90, 30:80] = False
    assert not drawn[outside].any() and drawn[~outside].any()


def test_the_overlay_of_a_large_image_is_small_and_grey_where_nothing_is_looked_at(tmp_path):
    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(0, 255, (3000, 1500), dtype=np.uint8)).save(tmp_path / "large.png")
    grid = np.zeros((7, 7))
    grid[0, 3] = 1
    picture = overlay(read_square(tmp_path / "large.png", Imaging(size=56), Breast()), grid)
    assert picture.size == (512, 1024)
    colours = np.asarray(picture).astype(int)
    assert np.ptp(colours[600:], axis=2).max() == 0 and np.ptp(colours[:100, 200:300], axis=2).max() > 50


def test_dicom_objects_show_the_map_and_what_has_none_is_named(model, pictures, tmp_path, capsys):
    pytest.importorskip("highdicom", reason="highdicom is not installed")
    study = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4"}
    files = [write(tmp_path / "scan.dcm", picture(), **study), write(tmp_path / "nameless.dcm", picture()), pictures[0]]
    out = tmp_path / "out"
    assert main(["explain", str(model), *map(str, files), "--out", str(out), "--dicom"]) == 1
    printed = capsys.readouterr()
    assert printed.out == f"3 of 3 images explained in {out}, 2 of them without DICOM objects\n"
    assert "nameless.dcm: its header has no SeriesInstanceUID, StudyInstanceUID" in printed.err
    assert "wide.png: the image is no DICOM file" in printed.err
    table = pd.read_csv(out / "probabilities.csv")
    assert table["no_dicom"].notna().tolist() == [False, True, True] and table["overlay"].notna().all()
    names = [f"00001_scan_{kind}.dcm" for kind in ("binary", "fractional", "overlay")]
    assert sorted(file.name for file in out.glob("*.dcm")) == names
    binary, fractional, shown = (dcmread(out / name).pixel_array for name in names)
    drawn = np.load(out / "00001_scan.npy").astype(np.float32)
    np.testing.assert_array_equal(binary, drawn > np.quantile(drawn, 0.9))
    np.testing.assert_array_equal(fractional, np.rint(drawn / drawn.max() * 255))
    np.testing.assert_array_equal(shown, np.asarray(Image.open(out / "00001_scan.png")))


def test_dicom_without_its_package_is_refused_with_a_fix(model, pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    assert main(["explain", str(model), str(pictures[0]), "--out", str(tmp_path / "out"), "--dicom"]) == 2
    assert capsys.readouterr().err == "--dicom needs the package highdicom: pip install 'mmpkd[dicom]'\n"


def test_what_is_no_student_is_refused_with_a_fix(model, pictures, tmp_path, capsys):
    for name, file in (("is not there", tmp_path / "absent"), ("no whole safetensors file", pictures[0])):
        assert main(["explain", str(file), str(pictures[0]), "--out", str(tmp_path / "out")]) == 2
        assert name in capsys.readouterr().err
    old = tmp_path / "old.safetensors"
    save(create(DEMO.student, 56, LABELS, seed=1), old)
    with pytest.raises(ValueError, match="does not say how its images were prepared"):
        Explainer.load(old, "rollout", torch.device("cpu"))
    with pytest.raises(ValueError, match="unknown attention methods"):
        Explainer.load(model, "sideways", torch.device("cpu"))


def test_a_student_is_a_model_of_plain_timm(model, tmp_path):
    """The lines in docs/explain.md, in a process of their own: the file needs nothing else of this project."""
    [lines] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    images = torch.rand(2, 1, 56, 56, generator=torch.Generator().manual_seed(1))
    np.save(tmp_path / "images.npy", images.numpy())
    program = [
        "import sys, numpy, torch, mmpkd.torchvision_schema",
        lines,
        "images = torch.from_numpy(numpy.load(sys.argv[1] + '/images.npy'))",
        "images = (images - facts['config']['mean']) / facts['config']['std']",
        "numpy.save(sys.argv[1] + '/logits.npy', vit.eval()(images).detach().numpy())",
        "print({name for name in sys.modules if name.startswith('mmpkd')})",
    ]
    found = subprocess.run(
        [sys.executable, "-c", "\n".join(program), str(tmp_path)],
        cwd=model.parent,
        env={**os.environ, "PYTHONPATH": str(PAGE.parents[1])},
        check=True,
        capture_output=True,
        text=True,
    )
    assert set(eval(found.stdout)) == {"mmpkd", "mmpkd.interrupts", "mmpkd.torchvision_schema"}
    with torch.no_grad():
        expected = load(model)(images).logits.numpy()
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, atol=1e-5)
