"""Fabricated downloads: trees of further data sets, images of real dimensions, and what `mmpkd fabricate` writes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydicom import dcmread
from skimage.io import imread

from mmpkd.cli import main
from mmpkd.config.cohorts import ENLARGEMENT, Cohort, Phantom
from mmpkd.phantom.write import write_tree
from tests import cohorts

ROOT = Path(__file__).parents[2]
CHEST = ["Atelectasis", "Cardiomegaly", "Pleural Effusion", "Pneumothorax"]


def read(adapter: str, root: Path, labels: list[str], **further):
    return cohorts.read(Cohort(adapter=adapter, root=root, **further), labels)


def test_the_reports_and_terms_of_open_i_describe_what_is_drawn(tmp_path):
    truth = write_tree("open_i", Phantom(patients=40, seed=3), tmp_path)
    tables = read("open_i", tmp_path, CHEST)
    assert len(tables.images) == truth["image_id"].nunique() == 39, "one report has no image"
    drawn = truth.pivot(index="image_id", columns="label", values="present").loc[tables.images["image_id"], CHEST]
    found = tables.labels.set_index("image_id")[CHEST]
    unindexed = found.isna().all(axis=1)
    assert unindexed.sum() == 1
    assert (found[~unindexed] == drawn[~unindexed]).all(axis=None)
    assert set(tables.images["split"]) == {"train", "validate", "test"}
    assert tables.privileged["report"].str.contains("FINDINGS|IMPRESSION").all()


def test_the_boxes_of_nih_hold_what_is_drawn(tmp_path):
    truth = write_tree("nih_chestxray14", Phantom(patients=14, seed=3), tmp_path)
    tables = read("nih_chestxray14", tmp_path, CHEST)
    picture = imread(tmp_path / tables.images["path"].iloc[0])
    assert picture.shape == (1024, 1024) and picture.dtype == np.uint8
    merged = tables.rois.merge(truth, on=["image_id", "label"], suffixes=("", "_true"))
    assert len(merged) == len(tables.rois) > 5
    for edge in ("x0", "y0", "x1", "y1"):
        assert np.allclose(merged[edge], merged[f"{edge}_true"], atol=1e-3)
    assert any("missing" in reason for reason in tables.rejected["reason"])


def test_the_tables_of_own_images_hold_what_is_drawn(tmp_path):
    truth = write_tree("own", Phantom(patients=12, seed=3), tmp_path)
    tables = read("own", tmp_path, CHEST)
    assert len(tables.images) == truth["image_id"].nunique() - 1 == 11, "one file is missing"
    drawn = truth.pivot(index="image_id", columns="label", values="present").loc[tables.images["image_id"], CHEST]
    assert (tables.labels.set_index("image_id")[CHEST] == drawn).all(axis=None)
    merged = tables.rois.merge(truth, on=["image_id", "label"], suffixes=("", "_true"))
    assert len(merged) == len(tables.rois) == drawn.sum().sum() > 5
    for edge in ("x0", "y0", "x1", "y1"):
        assert np.allclose(merged[edge], merged[f"{edge}_true"], atol=1e-3)
    assert len(tables.privileged) == 10, "one study has no text"


TREES = ["mimic_cxr", "vindr_cxr", "cbis_ddsm", "vindr_mammo"]


@pytest.mark.parametrize("adapter", TREES)
def test_images_of_real_dimensions_show_the_same_as_small_ones(adapter, tmp_path):
    small = write_tree(adapter, Phantom(patients=4, seed=2), tmp_path / "small")
    large = write_tree(adapter, Phantom(patients=4, seed=2, large=1), tmp_path / "large")
    assert (small[["image_id", "label", "present"]] == large[["image_id", "label", "present"]]).all(axis=None)
    files = sorted(path.relative_to(tmp_path / "small") for path in (tmp_path / "small").rglob("*.d*m"))
    grown = 0
    for file in (file for file in files if "cropped" not in str(file) and "ROI" not in str(file)):
        before, after = (dcmread(tmp_path / tree / file) for tree in ("small", "large"))
        if after.Rows != before.Rows:
            assert (after.Rows, after.Columns) == (ENLARGEMENT * before.Rows, ENLARGEMENT * before.Columns)
            assert max(after.Rows, after.Columns) > 2000
            assert np.array_equal(after.pixel_array[::ENLARGEMENT, ::ENLARGEMENT], before.pixel_array)
            grown += 1
    assert 0 < grown < len(files)
    ratio = (large[["x0", "y0", "x1", "y1"]] / small[["x0", "y0", "x1", "y1"]]).stack()
    assert set(ratio.dropna().round(6)) <= {1.0, float(ENLARGEMENT)}


def test_a_tree_without_large_images_is_what_it_was(tmp_path):
    """Nothing of a tree depends on a setting that is off."""
    write_tree("vindr_cxr", Phantom(patients=4, seed=2), tmp_path / "a")
    write_tree("vindr_cxr", Phantom(patients=4, seed=2, large=0), tmp_path / "b")
    for path in (tmp_path / "a").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


# mmpkd fabricate

STUDY = """
extends: null
study: mine
cohorts:
  chest:
    adapter: mimic_cxr
    root: {root}/mimic
    folders: {{tables: {root}/jpg, ms_cxr: {root}/boxes, reports: {root}/reports}}
domains:
  cxr:
    training: chest
    labels: [Atelectasis]
    teacher: {{kind: text, encoder: {{source: folder, name: {root}/models/bert}}, tuning: full}}
student: {{model: vit_tiny_patch16_224, backbone: {{source: file, path: {root}/models/vit.safetensors}}}}
"""


def test_everything_that_a_study_names_is_fabricated_and_checked(tmp_path, capsys, monkeypatch):
    root, overlay = tmp_path / "data", tmp_path / "mine.yaml"
    overlay.write_text(STUDY.format(root=root))
    monkeypatch.chdir(tmp_path)
    assert main(["fabricate", str(root), str(overlay), "--large", "0"]) == 0
    assert main(["convert", str(root / "downloads/bert"), str(root / "models/bert")]) == 0
    assert {path.name for path in (root / "jpg").iterdir()} >= {"mimic-cxr-2.0.0-split.csv.gz"}
    assert not list((root / "mimic").rglob("*.txt")) and list((root / "reports/files").rglob("*.txt"))
    capsys.readouterr()
    assert main(["check", str(overlay)]) == 0
    told = capsys.readouterr().out
    assert "The study can run: 0 errors" in told and "MISSING" not in told
    tables = read("mimic_cxr", root / "mimic", CHEST, folders={"tables": root / "jpg", "reports": root / "reports"})
    assert len(tables.privileged) > 30


@pytest.mark.parametrize("place", ["root: {root}/../elsewhere", "root: {root}/there"])
def test_nothing_is_fabricated_where_real_data_may_be(place, tmp_path, capsys):
    root, overlay = tmp_path / "data", tmp_path / "mine.yaml"
    (root / "there").mkdir(parents=True)
    overlay.write_text(STUDY.replace("root: {root}/mimic", place).format(root=root))
    assert main(["fabricate", str(root), str(overlay)]) == 2
    told = capsys.readouterr().err
    assert "cohorts.chest.root" in told and ("is not below" in told or "is there already" in told)
    assert [path.name for path in root.iterdir()] == ["there"]


def test_a_study_of_phantoms_needs_nothing(tmp_path, capsys):
    assert main(["fabricate", str(tmp_path / "data"), str(ROOT / "studies/smoke.yaml")]) == 0
    assert capsys.readouterr().out.strip() == "" and not (tmp_path / "data").exists()


def test_the_truth_of_a_tree_is_complete(tmp_path):
    for adapter in ("open_i", "nih_chestxray14", "own"):
        truth = write_tree(adapter, Phantom(patients=4, seed=2), tmp_path / adapter)
        assert isinstance(truth, pd.DataFrame) and truth.groupby("image_id").size().eq(5).all()
