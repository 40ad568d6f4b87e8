"""One process or several: the engine is Lightning Fabric, and a student comes out the same within rounding.

Every process holds the whole student and sees a part of each batch. The losses look at the batch as a whole (the count
of known labels, the distances between images), so the outputs are gathered before the loss, and each process follows
the gradient through its own part.
"""

import logging
import os
import shutil
import subprocess
import sys

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment

from mmpkd.config.students import Training
from mmpkd.training.learner import Learner
from mmpkd.training.losses import Outputs

for _talkative in ("lightning_fabric.utilities.rank_zero", "lightning_fabric.utilities.seed"):
    logging.getLogger(_talkative).setLevel(logging.WARNING)


def spread(training: Training) -> None:
    """Where a student is trained on several nodes: srun starts this very script on all of them, and this process ends.

    To be called before any work. Does nothing on one node, and in the processes that a launcher has started.

    Raises:
        RuntimeError: there is no srun here.
        SystemExit: with srun's exit status, when all processes have ended.
    """
    if training.nodes == 1 or _launched(training):
        return
    if shutil.which("srun") is None:
        raise RuntimeError(f"training.nodes: {training.nodes} needs a job of Slurm, and there is no srun here; set 1")
    each = training.processes // training.nodes
    srun = ["srun", f"--nodes={training.nodes}", f"--ntasks={training.processes}", f"--ntasks-per-node={each}"]
    raise SystemExit(subprocess.call([*srun, sys.executable, *sys.argv]))


def start(training: Training, device: torch.device) -> Fabric:
    """Starts `training.processes` processes on GPUs, or on CPUs, and gives each of them its engine.

    On one node the others are copies of this very script. Where srun (see `spread`) or torchrun has already started
    them all, on one node or several, they are taken as they are.
    """
    fabric = Fabric(
        accelerator="cuda" if device.type == "cuda" else "cpu",
        devices=training.processes // training.nodes,
        num_nodes=training.nodes,
        strategy="ddp_find_unused_parameters_true" if training.processes > 1 else "auto",
        precision="bf16-mixed" if training.precision == "bf16" else "32-true",
        plugins=None if _launched(training) else [LightningEnvironment()],
    )
    fabric.launch()
    return fabric


def _launched(training: Training) -> bool:
    """Whether a launcher has started all processes. A job of Slurm alone is no launcher: it runs its script once."""
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    return training.processes > 1 and (tasks == training.processes or "TORCHELASTIC_RUN_ID" in os.environ)


def wrapped(fabric: Fabric, learner: Learner, training: Training) -> torch.nn.Module:
    """The learner as the engine runs it: on its device, compiled if configured, synchronised with other processes."""
    return fabric.setup_module(torch.compile(learner) if training.compile else learner)


def gathered(fabric: Fabric, outputs: Outputs) -> Outputs:
    """The outputs of the whole batch, in its order; the gradient goes through this process's own part.

    Raises:
        RuntimeError: the processes hold different numbers of images (by torch.distributed).
    """
    if fabric.world_size == 1:
        return outputs
    return Outputs(*(None if part is None else _interleaved(fabric, part) for part in vars(outputs).values()))


def _interleaved(fabric: Fabric, own: torch.Tensor) -> torch.Tensor:
    parts = list(fabric.all_gather(own.detach()))
    parts[fabric.global_rank] = own
    return torch.stack(parts, dim=1).flatten(0, 1)  # image i of process r is image i * processes + r of the batch
