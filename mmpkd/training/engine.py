"""One process or several: the engine is Lightning Fabric, and a student comes out the same within rounding.

Every process holds the whole student and sees a part of each batch. The losses look at the batch as a whole (the count
of known labels, the distances between images), so the outputs are gathered before the loss, and each process follows
the gradient through its own part.
"""

import logging

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment

from mmpkd.config.students import Training
from mmpkd.training.device import launched
from mmpkd.training.learner import Learner
from mmpkd.training.losses import Outputs

for _talkative in ("lightning_fabric.utilities.rank_zero", "lightning_fabric.utilities.seed"):
    logging.getLogger(_talkative).setLevel(logging.WARNING)


def start(training: Training, device: torch.device) -> Fabric:
    """Starts `training.processes` processes on GPUs, or on CPUs, and gives each of them its engine.

    On one node the others are copies of this very script. Where srun (see `mmpkd.training.device.spread`) or torchrun
    has already started them all, on one node or several, they are taken as they are.
    """
    fabric = Fabric(
        accelerator="cuda" if device.type == "cuda" else "cpu",
        devices=training.processes // training.nodes,
        num_nodes=training.nodes,
        strategy="ddp_find_unused_parameters_true" if training.processes > 1 else "auto",
        precision="bf16-mixed" if training.precision == "bf16" else "32-true",
        plugins=None if launched(training.processes) else [LightningEnvironment()],
    )
    fabric.launch()
    return fabric


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
