"""Real images of public collections, in their own layouts, from their tables to the maps of a student."""

import csv
import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mmpkd.attention.export import export_maps
from mmpkd.cohorts.rejections import refuse_too_many
from mmpkd.config.cohorts import Cohort
from mmpkd.config.imaging import Breast, Imaging
from mmpkd.config.students import StudentConfig
from mmpkd.imaging.shards import write_shard
from mmpkd.imaging.store import ImageStore, noted, roi_masks
from mmpkd.privileged.records import build
from mmpkd.students.data import labelled_images
from mmpkd.students.vit import create
from tests import cohorts
from tests.contract.test_cohort_nih_chestxray14 import HEADER_2020, entries

DATA = Path(__file__).parents[3] / "shared" / "data"
REAL = DATA / "real"
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/real is not here")

MAMMOGRAPHY, CHEST = ["malignant", "abnormal"], ["COVID-19", "Pneumonia", "Lung Opacity", "Consolidation"]
METHODS = ["rollout", "last_layer"]


def read(labels, limit=0.0, **cohort):
    tables = cohorts.read(Cohort(**cohort), labels)
    refuse_too_many(tables.rejected["reason"], tables.kept, limit)
    return tables


def stored(tables, folder, size=224, breast=None):
    """The store and the ROI by (image, label), each the union of its masks."""
    write_shard(tables, Imaging(size=size), 0, 1, folder, breast, rejected_limit=0.0)
    table, masks = roi_masks([folder])
    groups = table.groupby(["image_id", "label"]).indices
    return ImageStore([folder]), {key: masks[rows].any(axis=0) for key, rows in groups.items()}


def explained(tables, store):
    """Maps of a small student on the test images."""
    arguments = {"patch_size": 14, "embed_dim": 32, "depth": 2, "num_heads": 2}
    student = create(StudentConfig(model="vit_tiny_patch16_224", arguments=arguments), store.size, ["a"], seed=0)
    images = labelled_images(tables, store, "test", [])
    return images, export_maps(student, images, METHODS, 4, torch.device("cpu"))


def assert_maps(tables, store):
    images, maps = explained(tables, store)
    side = store.size // 14
    assert len(images) and all(maps[method].shape == (len(images), side, side) for method in METHODS)
    assert all(np.isfinite(maps[method]).all() and (maps[method] >= 0).all() for method in METHODS)


def centre(mask):
    y, x = np.nonzero(mask)
    return x.mean() + 0.5, y.mean() + 0.5


def box(mask):
    y, x = np.nonzero(mask)
    return x.min(), y.min(), x.max() + 1, y.max() + 1


def test_mini_mias(tmp_path):
    tables = read(MAMMOGRAPHY, limit=0.95, adapter="mini_mias", root=REAL / "mini_mias")
    assert len(tables.images) == 12 and len(tables.rejected) == 310, "the table is whole, the images are not"
    assert len(build(tables, "tabular", MAMMOGRAPHY)) == 12
    store, rois = stored(tables, tmp_path)
    # mdb028: 338 314 56, from the bottom left of 1024 pixels: (338.5, 1024 - 314.5), and 224 / 1024 of all that.
    np.testing.assert_allclose(centre(rois["mdb028", "malignant"]), (74.05, 155.20), atol=0.5)
    np.testing.assert_allclose(rois["mdb028", "malignant"].sum(), np.pi * 12.25**2, rtol=0.03)
    # mdb001: 535 425 197
    np.testing.assert_allclose(centre(rois["mdb001", "abnormal"]), (117.14, 130.92), atol=0.5)
    assert not {image for image, _ in rois} & {"mdb059", "mdb216"}, "they have no circle"
    assert_maps(tables, store)


def test_mini_mias_cut_to_the_breast(tmp_path):
    """Letters and tape beside the breast are removed, and the circles stay on it."""
    tables = read(MAMMOGRAPHY, limit=0.95, adapter="mini_mias", root=REAL / "mini_mias")
    store, rois = stored(tables, tmp_path, 112, Breast(crop=True, chest_wall="left", remove_labels=True))
    assert noted([tmp_path]).empty, "a breast was found in each"
    assert {image for image, _ in rois} == {"mdb001", "mdb002", "mdb005", "mdb028"}
    for (image, _), roi in rois.items():
        pixels = store.pixels(store.positions([image]))[0]
        assert (pixels[roi] > 0).mean() > 0.95


def test_covid_chestxray(tmp_path):
    folders = {"segmentations": REAL / "covid_segmentations"}
    tables = read(CHEST, adapter="covid_chestxray", root=REAL / "covid_chestxray", folders=folders)
    assert len(tables.images) == 21 and tables.rejected.empty
    assert len(build(tables, "text", ["COVID-19"])) == 9
    store, rois = stored(tables, tmp_path)
    # 943 x 751 pixels become 224 x 178 below 23 rows of padding; a crop of 851 x 627 at (47, 38).
    found = box(rois["X-ray_of_cyst_in_pneumocystis_pneumonia_1.jpg", "Lung Opacity"])
    np.testing.assert_allclose(found, (11.16, 32.01, 213.31, 180.62), atol=1)
    # 790 x 631 become 224 x 179 below 22 rows of padding; a crop of 644 x 376 at (86, 137).
    found = box(rois["ARDSSevere.png", "Consolidation"])
    np.testing.assert_allclose(found, (24.38, 60.86, 206.99, 167.52), atol=1)
    assert_maps(tables, store)


def test_nih_chestxray14(tmp_path):
    """Ten of the 880 images with a box: the options say that this is a part."""
    boxes = DATA / "nih_chestxray14" / "BBox_List_2017.csv.gz"
    if not boxes.is_file():
        pytest.skip(f"{boxes} is absent")
    tmp_path.joinpath("tables").mkdir()
    shutil.copy(boxes, tmp_path / "tables")
    with gzip.open(boxes, "rt", newline="") as stream:
        names = {row[0].removesuffix(".png") for row in list(csv.reader(stream))[1:]}
    images = {name: ("No Finding", str(int(name[:8])), "PA") for name in sorted(names)}
    (tmp_path / "tables" / "Data_Entry_2017_v2020.csv").write_text("\n".join([HEADER_2020, *entries(images, "")]))
    cohort = {
        "adapter": "nih_chestxray14",
        "root": REAL / "nih_chestxray14",
        "folders": {"tables": tmp_path / "tables"},
    }
    tables = read(["Pneumonia", "Cardiomegaly", "Atelectasis"], options={"partial_download": True}, **cohort)
    assert len(tables.images) == 6 and tables.notes["images_not_downloaded"] == 874
    store, rois = stored(tables, tmp_path / "shard")
    for box_of in tables.rois.itertuples():
        edges = np.array([box_of.x0, box_of.y0, box_of.x1, box_of.y1]) * 224 / 1024
        np.testing.assert_allclose(box(rois[box_of.image_id, box_of.label]), edges, atol=0.5001)
    assert_maps(tables, store)
