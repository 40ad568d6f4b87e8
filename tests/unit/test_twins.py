"""Twins on their way from a phantom to the scores: tables, image store, and exports of several cohorts."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import binary_dilation

from mmpkd.attention.export import export_maps, export_twins
from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.cohorts import Cohort, Habit, Phantom
from mmpkd.config.demo import DEMO
from mmpkd.config.imaging import Imaging
from mmpkd.config.students import StudentConfig
from mmpkd.evaluation.reliance import Markers
from mmpkd.imaging.shards import write_shard
from mmpkd.imaging.store import ImageStore, roi_masks
from mmpkd.imaging.twins import MARKER, twin_tables
from mmpkd.phantom.write import write_tree
from mmpkd.students.data import labelled_images
from mmpkd.students.vit import create
from tests import cohorts

LABELS = ["Cardiomegaly"]
SIZE = 32


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[CohortTables, pd.DataFrame, CohortTables, ImageStore]:
    """The tables of a small cohort, its truth, the tables of its twins, and their store; on disk beside the truth."""
    folder = tmp_path_factory.mktemp("twins")
    phantom = Phantom(patients=30, seed=4, habit=Habit(marked=0.5))
    truth = write_tree("mimic_cxr", phantom, folder / "tree", folder / "twins")
    truth.to_parquet(folder / "truth.parquet")
    tables = cohorts.read(Cohort(adapter="mimic_cxr", root=folder / "tree"), LABELS)
    twins = twin_tables(tables, truth, folder / "twins")
    write_shard(twins, Imaging(size=SIZE), 0, 1, folder / "store", rejected_limit=0.0)
    return tables, truth, twins, ImageStore([folder / "store"])


def test_every_test_image_has_a_twin_and_a_marker_in_the_store(made):
    tables, truth, twins, store = made
    tested = tables.images.loc[tables.images["split"] == "test", "image_id"]
    assert set(twins.images["image_id"]) == set(tested) == set(store.image_ids) and len(tested) > 5
    assert set(twins.rois["label"]) == {MARKER} and len(twins.rois) == len(tested)
    boxes = truth.drop_duplicates("image_id").set_index("image_id").loc[twins.rois["image_id"]]
    assert (twins.rois["x0"].to_numpy() == boxes["marker_x0"].to_numpy()).all()


def test_the_marker_lies_where_image_and_twin_differ_in_the_store(made, tmp_path):
    tables, truth, twins, store = made
    write_shard(tables, Imaging(size=SIZE), 0, 1, tmp_path)
    images, (table, masks) = ImageStore([tmp_path]), roi_masks([twins.image_root.parent / "store"])
    for image_id, mask in zip(table["image_id"], masks, strict=True):
        here, there = (one.pixels(one.positions([image_id]))[0].astype(int) for one in (images, store))
        changed = np.abs(here - there) > 40
        assert changed.any() and not (changed & ~binary_dilation(mask != 0)).any()
    marked = Markers.read(twins.image_root.parent / "truth.parquet", twins.image_root.parent / "store").marked
    assert marked.index.is_unique and 0 < marked.mean() < 1


def test_twins_of_several_cohorts_are_exported_one_after_the_other(made):
    _, _, twins, store = made
    student = create(StudentConfig(**{**DEMO.student.model_dump(), "backbone": {"source": "none"}}), SIZE, LABELS, 1)
    images = labelled_images(twins, store, "test", [])
    exported = {"methods": ["rollout"], "batch_size": 4, "device": torch.device("cpu")}
    once, joined = (
        export_maps(student, images, **exported),
        export_twins(student, {"a": images, "b": images}, **exported),
    )
    assert joined["cohort"].tolist() == ["a"] * len(images) + ["b"] * len(images)
    assert joined["labels"].tolist() == LABELS
    for name in ("image_id", "logits", "rollout"):
        np.testing.assert_array_equal(joined[name], np.concatenate([once[name]] * 2))
    assert export_twins(student, {}, **exported)["cohort"].size == 0
