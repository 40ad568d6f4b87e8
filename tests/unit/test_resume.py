"""A run that is stopped at any moment and started again ends in the same bytes as one that was left alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mmpkd.config.students import Arm, Training
from mmpkd.students import progress as run_module
from mmpkd.students.checkpoint import Checkpoint, identity_of
from mmpkd.students.data import Task, with_teacher
from mmpkd.students.loop import train
from mmpkd.students.vit import create, save
from tests.training import CPU, SMALL, squares

ARM = Arm(
    teacher="privileged", losses={"label": 1.0, "logit": 1.0, "embedding_cosine": 0.5}, ramp=0.5, projector="orthogonal"
)
COURSE = Training(epochs=3, batch_size=32, learning_rate=3e-3, shift=1, ema=0.9, checkpoint_minutes=0.0, workers=1)
DROPPING = SMALL.model_copy(update={"arguments": {**SMALL.arguments, "drop_path_rate": 0.2}})


def fit(folder: Path, identity: str = "this", course: Training = COURSE):
    """Trains with a checkpoint after every step; writes weights and history as the workflow does."""
    data = squares(160, 1)
    data = with_teacher(data, 4 * data.labels - 2, np.random.default_rng(0).normal(size=(160, 5)))
    checkpoint = Checkpoint(folder / "checkpoint.safetensors", identity, course.checkpoint_minutes)
    student = create(DROPPING, 32, ["square"], 0)
    trained = train(student, Task(data, squares(64, 2), ARM), course, 0, CPU, checkpoint=checkpoint)
    save(trained.student, folder / "model.safetensors")
    trained.history.to_csv(folder / "history.csv", index=False)
    return trained


def results(folder: Path) -> tuple[bytes, str]:
    return (folder / "model.safetensors").read_bytes(), (folder / "history.csv").read_text()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    fit(folder, course=COURSE.model_copy(update={"checkpoint_minutes": 1e9, "workers": 0}))
    return results(folder)


@pytest.mark.parametrize("steps", [1, 4, 5, 6, 11, 14])
def test_a_run_that_is_stopped_after_any_step_ends_in_the_same_bytes(steps, tmp_path, undisturbed, monkeypatch):
    keep, kept = run_module.Run.keep, []

    def keep_and_stop(self, checkpoint):
        keep(self, checkpoint)
        kept.append(self.step)
        if len(kept) == steps:
            raise KeyboardInterrupt

    monkeypatch.setattr(run_module.Run, "keep", keep_and_stop)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path)
    monkeypatch.undo()
    fit(tmp_path)
    assert results(tmp_path) == undisturbed


def test_a_process_that_is_killed_at_random_moments_ends_in_the_same_bytes(tmp_path, undisturbed):
    script = f"from pathlib import Path; from tests.unit.test_resume import fit; fit(Path({str(tmp_path)!r}))"
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}  # more threads sum in another order
    rng, kills = np.random.default_rng(7), 0
    while True:
        process = subprocess.Popen([sys.executable, "-c", script], env=environment)
        before = _time_of(tmp_path / "checkpoint.safetensors")
        while kills < 2 and process.poll() is None and _time_of(tmp_path / "checkpoint.safetensors") == before:
            time.sleep(0.002)  # until it trains
        time.sleep(rng.uniform(0, 0.1))
        if kills < 2 and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        if process.wait() == 0:
            break
    assert kills == 2
    assert results(tmp_path) == undisturbed


def _time_of(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0


def test_a_checkpoint_of_another_run_is_not_taken_up(tmp_path, undisturbed, caplog):
    other = COURSE.model_copy(update={"epochs": 1, "learning_rate": 0.1})
    fit(tmp_path, identity="another", course=other)
    assert (tmp_path / "checkpoint.safetensors").is_file()
    fit(tmp_path)
    assert "of another run" in caplog.text
    assert results(tmp_path) == undisturbed


@pytest.mark.parametrize("damage", [b"", b"\x08\0\0\0\0\0\0\0{}{}{}{}", b"not a checkpoint at all, but long enough"])
def test_a_damaged_checkpoint_is_reported_and_not_taken_up(tmp_path, undisturbed, caplog, damage):
    (tmp_path / "checkpoint.safetensors").write_bytes(damage)
    fit(tmp_path)
    assert "starting again" in caplog.text
    assert results(tmp_path) == undisturbed


def test_a_checkpoint_gives_back_what_was_put_in(tmp_path):
    checkpoint = Checkpoint(tmp_path / "c.safetensors", "this", 0.0)
    assert checkpoint.read() is None
    tensors = {"a/b": torch.randn(3, 2), "c": torch.tensor(7), "d": torch.zeros(0)}
    facts = {"best": float("nan"), "rows": [{"loss": 0.1 + 0.2, "epoch": 1}]}
    checkpoint.write(tensors, facts)
    read, told = checkpoint.read()
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())
    assert told["rows"] == facts["rows"] and np.isnan(told["best"])
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]
    checkpoint.remove()
    assert checkpoint.read() is None


def test_a_checkpoint_is_due_after_its_minutes(tmp_path):
    assert Checkpoint(tmp_path / "c", "this", 0.0).due()
    assert not Checkpoint(tmp_path / "c", "this", 1.0).due()


def test_an_identity_tells_data_settings_and_files_apart(tmp_path):
    file = tmp_path / "data.parquet"
    file.write_bytes(b"one")
    parts = [{"epochs": 3}, np.arange(4.0), file]
    same = identity_of(parts)
    assert identity_of(parts) == same
    assert identity_of([{"epochs": 4}, *parts[1:]]) != same
    assert identity_of([parts[0], np.arange(4.0) + 1, file]) != same
    file.write_bytes(b"three")
    assert identity_of(parts) != same


def test_the_history_of_a_run_without_any_auroc_selects_its_first_epoch(tmp_path):
    data = squares(64, 1)
    validation = squares(8, 2)
    validation.labels[:] = 1
    trained = train(create(SMALL, 32, ["square"], 0), Task(data, validation), COURSE, 0, CPU)
    assert trained.history["selected"].tolist() == [True, False, False]
    assert pd.isna(trained.history["validation_auroc"]).all()
