from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mmpkd.attention.export import class_tokens, drawn, export_features, probe_images
from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.evaluation import Evaluation
from mmpkd.evaluation.probe import known_labels, probe_logits, probe_scores
from mmpkd.evaluation.scores import COLUMNS, concatenate
from mmpkd.outputs import table_probe
from mmpkd.students.data import ArrayStore, LabelledImages
from mmpkd.students.vit import Student, create
from tests.outputs import make
from tests.synthetic import DESIGN
from tests.training import SMALL

COUNT = 80
LABELS = {"other": ["bright", "noise"]}
CPU = torch.device("cpu")


def tiny_student(seed: int = 0) -> Student:
    return create(SMALL, 16, ["none"], seed)


class Store(ArrayStore):
    """Images by name, whose grey value tells the first label; the second is told by nothing."""

    def __init__(self, labels: np.ndarray) -> None:
        bright = np.where(labels[:, 0] == 1, 160, 20)[:, None, None]
        super().__init__((np.random.default_rng(0).integers(0, 40, (len(labels), 16, 16)) + bright).astype(np.uint8))
        self.image_ids = np.array([f"image{k}" for k in range(len(labels))])

    def positions(self, image_ids: np.ndarray) -> np.ndarray:
        return np.array([int(name.removeprefix("image")) for name in image_ids])


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 2, (2 * COUNT, 2)).astype(float)


@pytest.fixture
def store(labels) -> Store:
    return Store(labels)


@pytest.fixture
def tables(store, labels) -> CohortTables:
    """The first half of the images is for training, the second for the test; two images per patient."""
    splits = np.repeat(["train", "test"], COUNT)
    patients = [f"p{k // 2}" for k in range(2 * COUNT)]
    images = pd.DataFrame({"image_id": store.image_ids, "patient_id": patients, "split": splits}).assign(
        study_id=store.image_ids, path="x", view="", laterality="", rows=16, columns=16
    )
    targets = pd.DataFrame(labels, columns=LABELS["other"]).assign(image_id=store.image_ids)
    return CohortTables(Path("."), images, targets)


@pytest.fixture
def examined(store) -> LabelledImages:
    rows = np.arange(COUNT, 2 * COUNT)
    return LabelledImages(store, rows, np.zeros((COUNT, 0), np.float32), image_ids=store.image_ids[rows])


@pytest.fixture
def scored(tables, store, examined):
    """Rows of a student's probe, by its names."""

    def score(student: Student, cohort: CohortTables = tables, **names: str | int) -> pd.DataFrame:
        learnt = probe_images({"other": cohort}, {"other": store}, ["other"], 1000, 0)
        tested = {
            "image_id": examined.image_ids,
            "embedding": class_tokens(student, examined, 32, CPU),
        }
        features = export_features(student, learnt, 32, CPU)
        return probe_scores(features, {"other": tested}, {"other": cohort}, LABELS, 0.01, **names)

    return score


def test_a_probe_finds_what_the_features_know_and_no_more(scored):
    rows = scored(tiny_student(), domain="cxr", arm="mmpkd", seed=0)
    wide = rows.pivot(index="image_id", columns=["label", "metric"], values="value")
    bright, noise = wide["bright"], wide["noise"]
    present = bright["probe_target"] == 1
    assert bright["probe_logit"][present].min() > bright["probe_logit"][~present].max()
    # about 3 standard errors of 80 images
    assert abs(np.corrcoef(noise["probe_logit"], noise["probe_target"])[0, 1]) < 0.35


def test_a_label_that_no_training_image_knows_has_no_probe(scored, tables, labels):
    labels[:COUNT, 1] = np.nan
    targets = pd.DataFrame(labels, columns=LABELS["other"]).assign(image_id=tables.images["image_id"])
    unknown = CohortTables(Path("."), tables.images, targets)
    scores = scored(tiny_student(), unknown, domain="cxr", arm="mmpkd", seed=3)
    assert list(scores.columns) == COLUMNS
    assert set(scores["metric"].unique()) == {"probe_logit", "probe_target"} and set(scores["label"]) == {"bright"}
    assert len(scores) == 2 * COUNT and set(scores["seed"]) == {3} and set(scores["cohort"]) == {"other"}


def test_labels_follow_the_images_and_unknown_ones_are_no_number(tables, labels):
    found = known_labels(tables, np.array(["image3", "image1"]), ["noise", "unheard of"])
    np.testing.assert_array_equal(found, [[labels[3, 1], np.nan], [labels[1, 1], np.nan]])


def test_features_are_standardised_and_a_constant_one_does_no_harm():
    x = np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0], [3.0, 5.0]], dtype=np.float32)
    targets = np.array([[0.0], [0.0], [1.0], [1.0]])
    logits = probe_logits(x, targets, x, 1.0)
    scaled = probe_logits(1000 * x, targets, 1000 * x, 1.0)
    np.testing.assert_allclose(scaled, logits, atol=1e-4)
    np.testing.assert_allclose(logits[:, 0], -logits[::-1, 0], atol=1e-4)
    rounded = np.array([[0.0, 0.1], [1.0, 0.1], [2.0, 0.1]])  # the mean of three times 0.1 is not 0.1
    without = probe_logits(rounded[:, :1], targets[1:], rounded[:, :1], 1.0)
    np.testing.assert_allclose(probe_logits(rounded, targets[1:], rounded, 1.0), without, atol=1e-9)


def test_features_do_not_depend_on_the_batch(examined):
    student = tiny_student()
    features = class_tokens(student, examined, COUNT, CPU)
    np.testing.assert_allclose(class_tokens(student, examined, 7, CPU), features, atol=1e-5)
    assert features.shape == (COUNT, student.vit.embed_dim)


def test_training_images_are_drawn_once_each_by_the_generator(examined):
    few, same, other = (drawn(examined, 30, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert len(set(few.positions)) == 30
    np.testing.assert_array_equal(few.positions, same.positions)
    assert set(few.positions) != set(other.positions)
    assert few.image_ids.tolist() == [f"image{position}" for position in few.positions]
    assert drawn(examined, COUNT, np.random.default_rng(0)) is examined


def test_features_of_several_cohorts_are_told_apart(tables, store):
    cohorts = ("first", "second")
    learnt = probe_images(dict.fromkeys(cohorts, tables), dict.fromkeys(cohorts, store), ["second", "first"], 5, 0)
    found = export_features(tiny_student(), learnt, 2, CPU)
    assert found["cohort"].tolist() == ["second"] * 5 + ["first"] * 5
    assert found["embedding"].dtype == np.float32 and found["embedding"].shape == (10, tiny_student().vit.embed_dim)
    train = set(tables.images.loc[tables.images["split"] == "train", "image_id"])
    assert set(found["image_id"]) <= train and len(set(found["image_id"])) == 5, "one seed draws alike in each"


def test_the_table_has_the_controls_beside_the_arms(scored):
    scores = [
        scored(tiny_student(seed), domain=domain, arm=arm, seed=seed)
        for domain, arm in (("cxr", "baseline"), ("cxr", "mmpkd"), ("control", "untrained"))
        for seed in (0, 1)
    ]
    result, caption = make(table_probe, concatenate(scores), Evaluation(), DESIGN)
    assert set(result["domain"]) == {"cxr"} and set(result["arm"]) == {"baseline", "mmpkd", "untrained"}
    auroc = result[(result["metric"] == "auroc") & (result["label"] == "bright")].set_index("arm")
    assert (auroc["estimate"] == 1).all() and auroc.loc["mmpkd", "gain"] == 0
    assert auroc.loc["untrained", "n_seeds"] == 2 and "no domain" in caption


def test_a_study_of_one_domain_has_an_empty_table():
    result, caption = make(table_probe, concatenate([]), Evaluation(), DESIGN)
    assert result.empty and "No probe was made" in caption
