"""The training data, the shuffled teacher and the one training loop."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmpkd.config.students import Arm, Student, Training
from mmpkd.models.student import create
from mmpkd.training.data import ArrayStore, LabelledImages, add_teacher, augment, shuffle_among_patients
from mmpkd.training.loop import learning_rate_factor, train

SMALL = Student(arguments={"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2})
CPU = torch.device("cpu")


def squares(count: int, seed: int) -> LabelledImages:
    """Noise, with a bright square somewhere in one half of the images: the label."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, 32, 32)).astype(np.uint8)
    present = rng.random(count) < 0.5
    for number in np.flatnonzero(present):
        row, column = rng.integers(0, 24, 2)
        images[number, row : row + 8, column : column + 8] = 220
    labels = present[:, None].astype(np.float32)
    names = np.array([f"image{k}" for k in range(count)])
    return LabelledImages(ArrayStore(images), np.arange(count), labels, image_ids=names, patients=names, keys=names)


def fit(arm: Arm, seed: int = 0, epochs: int = 3, data: LabelledImages | None = None):
    data = data or squares(192, 1)
    training = Training(epochs=epochs, batch_size=32, learning_rate=3e-3, shift=1)
    student = create(SMALL, 32, ["square"], seed)
    return train(student, data, squares(64, 2), arm, training, seed, CPU)


def test_a_student_learns_what_is_learnable():
    trained = fit(Arm(), epochs=8)
    assert trained.history["validation_auroc"].max() > 0.95
    assert trained.history["selected"].sum() == 1


def test_same_seed_same_weights_and_another_seed_others():
    first, second, other = fit(Arm()), fit(Arm()), fit(Arm(), seed=1)
    states = [t.student.state_dict() for t in (first, second, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])
    pd.testing.assert_frame_equal(first.history, second.history)


def test_arms_share_data_order_and_augmentation():
    def drawn(data):
        generator = torch.Generator().manual_seed(3)
        return torch.cat([b.images for b in data.training_batches(Training(batch_size=32), generator)])

    plain, taught = squares(64, 1), squares(64, 1)
    taught.teacher_logits = np.ones((64, 1), np.float32)
    assert torch.equal(drawn(plain), drawn(taught))


def test_the_teacher_outweighs_noisy_labels():
    """Half of the labels are wrong; the teacher knows better, a teacher of other patients does not."""
    data = squares(192, 1)
    truth = data.labels.copy()
    flip = np.random.default_rng(0).random(truth.shape) < 0.5
    data.labels = np.where(flip, 1 - truth, truth)
    arm = Arm(teacher="privileged", logits_weight=3.0)
    data.teacher_logits = (8 * truth - 4).astype(np.float32)
    taught = fit(arm, epochs=6, data=data).history["validation_auroc"].iloc[-1]
    rows = shuffle_among_patients(data.patients, np.random.default_rng(0))
    data.teacher_logits = data.teacher_logits[rows]
    misled = fit(arm, epochs=6, data=data).history["validation_auroc"].iloc[-1]
    assert taught > 0.9 > misled


def test_the_selected_epoch_is_the_best_on_validation_and_its_weights_are_kept():
    trained = fit(Arm(), epochs=4)
    history = trained.history
    assert history["validation_auroc"][history["selected"]].item() == history["validation_auroc"].max()


def test_embedding_distillation_trains_a_projector_but_leaves_the_student_as_it_is():
    data = squares(64, 1)
    data.teacher_embedding = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)
    arm = Arm(teacher="privileged", embedding_weight=1.0)
    trained = fit(arm, data=data, epochs=1)
    assert set(trained.student.state_dict()) == set(create(SMALL, 32, ["square"], 0).state_dict())
    assert "embedding_distillation" in trained.history


@given(st.lists(st.integers(0, 5), min_size=2, max_size=40).filter(lambda p: len(set(p)) > 1), st.integers(0, 99))
def test_shuffled_rows_are_always_another_patients(patients, seed):
    patients = np.array(patients)
    rows = shuffle_among_patients(patients, np.random.default_rng(seed))
    assert (patients[rows] != patients).all()


def test_shuffling_uses_every_row_when_patients_are_alike():
    rows = shuffle_among_patients(np.repeat(np.arange(10), 2), np.random.default_rng(0))
    assert sorted(rows) == list(range(20))


def test_shuffling_one_patient_is_refused():
    with pytest.raises(ValueError, match="two training patients"):
        shuffle_among_patients(np.zeros(4), np.random.default_rng(0))


def test_targets_reach_their_images_by_key_and_label():
    data = squares(4, 0)
    targets = {
        "key": np.array(["image2", "image0"]),
        "labels": np.array(["other", "square"]),
        "logits": np.array([[9.0, 2.0], [9.0, -2.0]]),
        "embedding": np.array([[1.0], [3.0]]),
    }
    add_teacher(data, targets, ["square"], np.arange(4))
    np.testing.assert_array_equal(data.teacher_logits[:, 0], [-2, np.nan, 2, np.nan])
    np.testing.assert_array_equal(data.teacher_embedding[:, 0], [3, np.nan, 1, np.nan])
    with pytest.raises(ValueError, match="no logits of"):
        add_teacher(data, targets, ["unheard of"], np.arange(4))


def test_augmentation_shifts_by_whole_pixels_and_stays_in_range():
    images = torch.zeros(8, 1, 16, 16)
    images[:, 0, 8, 8] = 1.0
    only_shift = Training(shift=3, contrast=0.0, brightness=0.0)
    shifted = augment(images, only_shift, torch.Generator().manual_seed(0))
    assert (shifted.sum(dim=(1, 2, 3)) == 1).all()
    rows = shifted[:, 0].amax(dim=2).argmax(dim=1)
    assert rows.min() >= 5 and rows.max() <= 11 and len(rows.unique()) > 1
    strong = augment(torch.rand(8, 1, 16, 16), Training(contrast=0.9, brightness=0.9), torch.Generator().manual_seed(0))
    assert strong.min() >= 0 and strong.max() <= 1


def test_learning_rate_rises_then_falls_to_zero():
    training = Training(warmup=0.1)
    factors = [learning_rate_factor(step, 100, training) for step in range(100)]
    assert factors[9] == 1 and factors[0] == pytest.approx(0.1)
    assert all(a >= b for a, b in zip(factors[9:], factors[10:], strict=False))
    assert learning_rate_factor(100, 100, training) == pytest.approx(0)
