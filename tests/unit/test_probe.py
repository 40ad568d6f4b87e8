from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.evaluation import Evaluation, Probe
from mmpkd.evaluation.probe import ProbeTask, class_tokens, drawn, probe_logits, probe_scores
from mmpkd.evaluation.scores import COLUMNS, concatenate
from mmpkd.models.student import Student, create
from mmpkd.tables.probe import table
from mmpkd.training.data import ArrayStore, LabelledImages
from tests.training import SMALL

COUNT = 80
CPU = torch.device("cpu")


def tiny_student(seed: int = 0) -> Student:
    return create(SMALL, 16, ["none"], seed)


def images_with(labels: np.ndarray, seed: int) -> LabelledImages:
    """Images whose grey value tells the first label; the second is told by nothing."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 40, (len(labels), 16, 16)) + np.where(labels[:, 0] == 1, 160, 20)[:, None, None]
    names = np.array([f"{seed}-{k}" for k in range(len(labels))])
    store = ArrayStore(pixels.astype(np.uint8))
    return LabelledImages(store, np.arange(len(labels)), labels.astype(np.float32), image_ids=names)


@pytest.fixture
def task() -> ProbeTask:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (2, COUNT, 2)).astype(float)
    train, test = (images_with(part, seed) for seed, part in enumerate(labels))
    images = pd.DataFrame({"image_id": test.image_ids, "patient_id": [f"p{k // 2}" for k in range(COUNT)]}).assign(
        study_id=test.image_ids, split="test", path="x", view="", laterality="", rows=16, columns=16
    )
    targets = pd.DataFrame(test.labels, columns=["bright", "noise"]).assign(image_id=test.image_ids)
    return ProbeTask(CohortTables(Path("."), images, targets), ["bright", "noise"], train, test)


def test_a_probe_finds_what_the_features_know_and_no_more(task):
    logits = probe_logits(tiny_student(), task.train, task.test, 0.01, 32, CPU)
    bright = task.test.labels[:, 0] == 1
    assert logits[bright, 0].min() > logits[~bright, 0].max()
    assert abs(np.corrcoef(logits[:, 1], task.test.labels[:, 1])[0, 1]) < 0.35  # about 3 standard errors of 80 images


def test_a_label_that_no_training_image_knows_has_no_probe(task):
    labels = task.train.labels.copy()
    labels[:, 1] = np.nan
    scores = probe_scores(
        tiny_student(),
        {"other": replace(task, train=replace(task.train, labels=labels))},
        Probe(),
        32,
        CPU,
        domain="cxr",
        arm="mmpkd",
        seed=3,
    )
    assert list(scores.columns) == COLUMNS
    assert set(scores["metric"].unique()) == {"probe_logit", "probe_target"} and set(scores["label"]) == {"bright"}
    assert len(scores) == 2 * COUNT and set(scores["seed"]) == {3} and set(scores["cohort"]) == {"other"}


def test_features_do_not_depend_on_the_batch(task):
    student = tiny_student()
    features = class_tokens(student, task.test, COUNT, CPU)
    np.testing.assert_allclose(class_tokens(student, task.test, 7, CPU), features, atol=1e-5)
    assert features.shape == (COUNT, student.vit.embed_dim)


def test_training_images_are_drawn_once_each_by_the_generator(task):
    few, same, other = (drawn(task.train, 30, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert len(set(few.positions)) == 30
    np.testing.assert_array_equal(few.positions, same.positions)
    assert set(few.positions) != set(other.positions)
    np.testing.assert_array_equal(few.labels, task.train.labels[few.positions])
    assert drawn(task.train, COUNT, np.random.default_rng(0)) is task.train


def test_the_table_has_the_controls_beside_the_arms(task):
    scores = [
        probe_scores(tiny_student(seed), {"other": task}, Probe(), 32, CPU, domain=domain, arm=arm, seed=seed)
        for domain, arm in (("cxr", "baseline"), ("cxr", "mmpkd"), ("control", "untrained"))
        for seed in (0, 1)
    ]
    result, caption = table(concatenate(scores), Evaluation())
    assert set(result["domain"]) == {"cxr"} and set(result["arm"]) == {"baseline", "mmpkd", "untrained"}
    auroc = result[(result["metric"] == "auroc") & (result["label"] == "bright")].set_index("arm")
    assert (auroc["estimate"] == 1).all() and auroc.loc["mmpkd", "gain"] == 0
    assert auroc.loc["untrained", "n_seeds"] == 2 and "no domain" in caption


def test_a_study_of_one_domain_has_an_empty_table():
    result, caption = table(concatenate([]), Evaluation())
    assert result.empty and "No probe was made" in caption
