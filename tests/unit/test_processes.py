"""Two processes that train one student together (gloo, on the CPU) end in the student of one, within rounding."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mmpkd.config.students import Arm, Training
from mmpkd.models.student import create, load, save
from mmpkd.training.data import with_teacher
from mmpkd.training.loop import train
from tests.training import CPU, SMALL, squares

ROOT = Path(__file__).parents[2]
EVERY = {"label": 1.0, "logit": 1.0, "embedding_mse": 0.5, "relational_distance": 0.5}


def fit(folder: Path, processes: int) -> None:
    """Losses that look at the batch as a whole, with unknown labels, so that a mean over halves would differ."""
    torch.set_num_threads(1)
    data = squares(128, 1)
    data.labels[::3] = np.nan
    data = with_teacher(data, 4 * np.nan_to_num(data.labels) - 2, np.random.default_rng(0).normal(size=(128, 5)))
    data.teacher_embedding[::5] = np.nan
    course = Training(epochs=2, batch_size=32, learning_rate=3e-3, shift=1, flip=0.5, ema=0.0, processes=processes)
    arm = Arm(teacher="privileged", losses=EVERY)
    trained = train(create(SMALL, 32, ["square"], 0), data, squares(64, 2), arm, course, 0, CPU)
    if trained.leads:
        save(trained.student, folder / "model.safetensors")
        trained.history.to_csv(folder / "history.csv", index=False)


if __name__ == "__main__":  # what the engine starts again as the second process
    fit(Path(sys.argv[1]), processes=2)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    alone, together = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")
    fit(alone, processes=1)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(Path(__file__)), str(together)]
    subprocess.run(command, check=True, env=environment, timeout=300, cwd=ROOT)
    return alone, together


def test_the_histories_agree(both):
    alone, together = (pd.read_csv(folder / "history.csv") for folder in both)
    pd.testing.assert_frame_equal(alone, together, atol=1e-5, rtol=1e-4)


def test_the_weights_agree(both):
    alone, together = (load(folder / "model.safetensors").state_dict() for folder in both)
    start = create(SMALL, 32, ["square"], 0).state_dict()
    moved = max(float((alone[name] - start[name]).abs().max()) for name in alone)
    apart = max(float((alone[name] - together[name]).abs().max()) for name in alone)
    assert moved > 0.01 and apart < 1e-2 * moved  # Adam divides by small numbers
