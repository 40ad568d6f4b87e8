"""The teacher's targets for a student's training images."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmpkd.config.students import Arm
from mmpkd.students.teaching import add_teacher, shuffle_among_patients, taught, taught_by_image
from mmpkd.students.vit import create
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
