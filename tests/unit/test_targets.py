"""The teacher's targets for a student's training images."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmpkd.config.students import LOSSES, Arm
from mmpkd.students.losses import Targets, arm_loss
from mmpkd.students.teaching import add_teacher, shuffle_among_patients, taught, taught_by_image, taught_by_mean
from mmpkd.students.vit import StudentOutput, create
from tests.training import CPU, SMALL, squares


@settings(deadline=None)
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
    data = add_teacher(data, targets, ["square"], np.arange(4))
    np.testing.assert_array_equal(data.teacher_logits[:, 0], [-2, np.nan, 2, np.nan])
    np.testing.assert_array_equal(data.teacher_embedding[:, 0], [3, np.nan, 1, np.nan])
    with pytest.raises(ValueError, match="no logits of"):
        add_teacher(data, targets, ["unheard of"], np.arange(4))


def test_the_shuffled_arm_takes_targets_of_other_patients_and_the_privileged_arm_its_own():
    data = squares(6, 0)
    targets = {
        "key": data.keys,
        "labels": np.array(["square"]),
        "logits": np.arange(6.0)[:, None],
        "embedding": np.arange(6.0)[:, None],
    }
    losses = {"label": 1.0, "logit": 1.0}
    own = taught(data, Arm(teacher="privileged", losses=losses), targets, ["square"], np.random.default_rng(0))
    others = taught(data, Arm(teacher="shuffled", losses=losses), targets, ["square"], np.random.default_rng(0))
    np.testing.assert_array_equal(own.teacher_logits[:, 0], np.arange(6))
    assert (others.teacher_logits != own.teacher_logits).all()
    assert sorted(others.teacher_logits[:, 0]) == list(range(6))
    assert data.teacher_logits is None


def test_an_image_teacher_says_of_each_image_what_the_student_that_it_is_says():
    data, teacher = squares(10, 0), create(SMALL, 32, ["square"], 5)
    images = taught_by_image(data, teacher, 4, CPU)
    with torch.no_grad():
        output = teacher.eval()(data.batch(np.arange(10)).images)
    np.testing.assert_allclose(images.teacher_logits, output.logits.numpy(), atol=1e-6)
    np.testing.assert_allclose(images.teacher_embedding, output.embedding.numpy(), atol=1e-6)


CONSTANT = Arm(teacher="constant", losses={"label": 1.0, "logit": 1.0})
NAN = float("nan")
KNOWN_IN_PART = np.array([[1, 1, 0, NAN], [0, 1, 0, NAN], [0, NAN, NAN, NAN], [0, 1, 0, NAN]], np.float32)


def test_the_constant_teacher_says_the_logit_of_the_base_rate_of_every_image():
    images = taught_by_mean(replace(squares(4, 0), labels=KNOWN_IN_PART), "multi_label")
    known = np.log([1 / 3, 5, 1 / 5])  # 1 of 4; 3 of 3 less half an image; 0 of 3 and half an image
    np.testing.assert_allclose(images.teacher_logits, np.tile([*known, NAN], (4, 1)), rtol=1e-6)
    assert images.teacher_embedding is None and images.batch(np.arange(2)).targets.teacher_embedding is None


def test_the_softmax_of_the_constant_teacher_is_the_share_of_each_class():
    labels = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    logits = taught_by_mean(replace(squares(4, 0), labels=labels), "single_label").teacher_logits
    np.testing.assert_allclose(torch.from_numpy(logits).softmax(1), np.tile([0.5, 0.25, 0.25], (4, 1)), rtol=1e-6)


def test_the_constant_teacher_depends_on_no_pixel_and_not_on_the_order_of_the_images():
    data = squares(20, 0)
    logits = taught_by_mean(data, "multi_label").teacher_logits
    other = replace(data, store=squares(20, 1).store, labels=data.labels[::-1], keys=None, patients=None)
    np.testing.assert_array_equal(logits, taught_by_mean(other, "multi_label").teacher_logits)


def gradient(arm: Arm, logits: torch.Tensor, labels: np.ndarray, teacher: np.ndarray) -> torch.Tensor:
    """Of the arm's loss, for each image and label."""
    logits = logits.clone().requires_grad_()
    targets = Targets(torch.from_numpy(labels).double(), torch.from_numpy(teacher).double())
    arm_loss(arm, StudentOutput(logits, None, None), targets, "multi_label")["loss"].backward()
    return logits.grad


def test_images_of_equal_logits_get_the_same_gradient_from_the_constant_teacher_whatever_they_show():
    data = squares(8, 0)
    assert len(np.unique(data.labels)) == 2
    teacher = taught_by_mean(data, "multi_label").teacher_logits
    arm = Arm(teacher="constant", losses={"logit": 1.0})
    found = gradient(arm, torch.full((8, 1), 0.7, dtype=torch.float64), data.labels, teacher)
    expected = (torch.sigmoid(torch.tensor(0.7)) - float(data.labels.mean())) / 8
    np.testing.assert_allclose(found, np.full((8, 1), expected), rtol=1e-6)


def test_with_the_label_loss_the_constant_teacher_is_smoothing_towards_the_base_rate():
    data, logits = squares(8, 0), torch.linspace(-2, 2, 8, dtype=torch.float64)[:, None]
    teacher = taught_by_mean(data, "multi_label").teacher_logits
    found = gradient(CONSTANT, logits, data.labels, teacher)
    smoothed = (data.labels + data.labels.mean()) / 2
    np.testing.assert_allclose(found, 2 * (logits.sigmoid().numpy() - smoothed) / 8, atol=1e-8)


@pytest.mark.parametrize("loss", [name for name, part in LOSSES.items() if part == "embedding"])
def test_a_loss_of_embeddings_finds_none_with_the_constant_teacher(loss):
    data = taught_by_mean(squares(4, 0), "multi_label")
    arm = Arm(teacher="privileged", losses={loss: 1.0})
    outputs = StudentOutput(torch.zeros(4, 1), torch.zeros(4, 2), torch.zeros(4, 2))
    with pytest.raises(ValueError, match="embedding, which this teacher has not"):
        arm_loss(arm, outputs, data.batch(np.arange(4)).targets, "multi_label")
