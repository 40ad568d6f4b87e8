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
from mmpkd.device import spread
from mmpkd.students.data import Task, with_teacher
from mmpkd.students.loop import train
from mmpkd.students.vit import create, load, save
from tests.training import CPU, SMALL, squares

ROOT = Path(__file__).parents[2]
EVERY = {"label": 1.0, "logit": 1.0, "embedding_mse": 0.5, "relational_distance": 0.5}


def fit(folder: Path, processes: int, nodes: int = 1) -> None:
    """Losses that look at the batch as a whole, with unknown labels, so that a mean over halves would differ."""
    torch.set_num_threads(1)
    data = squares(128, 1)
    data.labels[::3] = np.nan
    data = with_teacher(data, 4 * np.nan_to_num(data.labels) - 2, np.random.default_rng(0).normal(size=(128, 5)))
    data.teacher_embedding[::5] = np.nan
    augmentation = {"shift": 1, "flip": 0.5, "contrast": 0.2, "brightness": 0.1}
    schedule = {"epochs": 2, "batch_size": 32, "learning_rate": 3e-3, "warmup": 0.2}
    course = Training(**schedule, **augmentation, processes=processes, nodes=nodes)
    spread(processes, nodes)
    arm = Arm(teacher="privileged", losses=EVERY)
    trained = train(create(SMALL, 32, ["square"], 0), Task(data, squares(64, 2), arm), course, 0, CPU)
    if trained.leads:
        save(trained.student, folder / "model.safetensors")
        trained.history.to_csv(folder / "history.csv", index=False)


if __name__ == "__main__":  # what the engine, or srun, starts again as the second process
    fit(Path(sys.argv[1]), processes=2, nodes=int(sys.argv[2]))

# What srun tells each task of a step, for two nodes of one task each; all of them are this machine.
SRUN = """#!{python}
import os, subprocess, sys
given = dict(argument[2:].split("=") for argument in sys.argv[1:] if argument.startswith("--"))
assert given == {{"nodes": "2", "ntasks": "2", "ntasks-per-node": "1"}}, given
command = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
step = {{"SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2", "SLURM_NNODES": "2", "SLURM_JOB_ID": "4711"}}
step |= {{"SLURM_NODELIST": "127.0.0.1", "SLURM_JOB_NAME": "student", "SLURM_LOCALID": "0"}}
step |= {{"SLURM_NTASKS_PER_NODE": given["ntasks-per-node"]}}
tasks = [
    subprocess.Popen(command, env={{**os.environ, **step, "SLURM_PROCID": str(rank), "SLURM_NODEID": str(rank)}})
    for rank in range(2)
]
sys.exit(max(task.wait() for task in tasks))
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    fit(folder, processes=1)
    return folder


@pytest.fixture(scope="module", params=[1, 2], ids=["one node", "two nodes"])
def both(request, alone, tmp_path_factory):
    together, programs = tmp_path_factory.mktemp("together"), tmp_path_factory.mktemp("programs")
    srun = programs / "srun"
    srun.write_text(SRUN.format(python=sys.executable))
    srun.chmod(0o755)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"
    command = [sys.executable, str(Path(__file__)), str(together), str(request.param)]
    subprocess.run(command, check=True, env=environment, timeout=300, cwd=ROOT)
    return alone, together


def test_several_nodes_need_a_launcher(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="training.nodes: 2 needs a job of Slurm"):
        spread(processes=2, nodes=2)


def test_the_histories_agree(both):
    alone, together = (pd.read_csv(folder / "history.csv") for folder in both)
    pd.testing.assert_frame_equal(alone, together, atol=1e-5, rtol=1e-4)


def test_the_weights_agree(both):
    alone, together = (load(folder / "model.safetensors").state_dict() for folder in both)
    start = create(SMALL, 32, ["square"], 0).state_dict()
    moved = max(float((alone[name] - start[name]).abs().max()) for name in alone)
    apart = max(float((alone[name] - together[name]).abs().max()) for name in alone)
    assert moved > 0.01 and apart < 1e-2 * moved  # Adam divides by small numbers
