"""Where and how a process computes."""

import fcntl
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import torch

from mmpkd.job import job

log = logging.getLogger("mmpkd.device")
VISIBLE = "CUDA_VISIBLE_DEVICES"
# A claim lasts as long as its open file, so that it ends with the process, however that ends.
_claims: list[TextIO] = []


@contextmanager
def torch_job(snakemake: Any, processes: int = 1, nodes: int = 1) -> Iterator[torch.device]:
    """A `mmpkd.job.job` that computes with torch: sets its threads, and yields its device.

    Args:
        snakemake: the object that Snakemake puts into a script; its parameter `device` is that of the configuration.
        processes: processes, over all nodes, that compute together; they share the job's threads.
        nodes: machines that they are spread over, see `spread`.

    Raises:
        ValueError: see `resolve_device`.
        RuntimeError, SystemExit: see `spread`.
    """
    with job(snakemake):
        spread(processes, nodes)
        use_threads(max(snakemake.threads // processes, 1))
        yield resolve_device(snakemake.params.device, processes // nodes)


def resolve_device(device: str, count: int = 1) -> torch.device:
    """`auto` is a GPU where there is one. On GPUs, `count` of them are claimed for this process, see `claim_gpus`.

    Args:
        device: auto, cpu or cuda.
        count: GPUs that this process uses.

    Raises:
        ValueError: cuda was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda is configured, and torch sees no GPU here; set device: auto or cpu")
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    claim_gpus(count)
    return torch.device("cuda")


def claim_gpus(count: int = 1) -> None:
    """Makes the first `count` GPUs visible that no other process of this project has claimed on this machine.

    Snakemake counts the GPUs of local jobs and does not say which is whose; a scheduler such as Slurm does, and its
    word, CUDA_VISIBLE_DEVICES, is left as it is. To be called before a GPU is used. Where too few are free, all stay
    visible.
    """
    if VISIBLE in os.environ:
        return
    folder = Path(tempfile.gettempdir()) / f"mmpkd-gpus-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    claimed: list[int] = []
    for number in range(torch.cuda.device_count()):
        if len(claimed) < count and _claim(folder / str(number)):
            claimed.append(number)
    if len(claimed) == count:
        os.environ[VISIBLE] = ",".join(map(str, claimed))
    else:
        log.warning("GPUs asked for: %d, free: %d; jobs share them; lower --resources gpu", count, len(claimed))


def _claim(path: Path) -> bool:
    stream = path.open("w")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return False
    _claims.append(stream)
    return True


def use_threads(threads: int) -> None:
    """Computes on `threads` threads, with algorithms whose result does not change from run to run."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)


def spread(processes: int, nodes: int) -> None:
    """Where a job computes on several nodes: srun starts this very script on all of them, and this process ends.

    To be called before any work. Does nothing on one node, and in the processes that a launcher has started.

    Args:
        processes: that train together, over all nodes.
        nodes: on which they run.

    Raises:
        RuntimeError: there is no srun here.
        SystemExit: with srun's exit status, when all processes have ended.
    """
    if nodes == 1 or launched(processes):
        return
    if shutil.which("srun") is None:
        raise RuntimeError(f"training.nodes: {nodes} needs a job of Slurm, and there is no srun here; set 1")
    srun = ["srun", f"--nodes={nodes}", f"--ntasks={processes}", f"--ntasks-per-node={processes // nodes}"]
    raise SystemExit(subprocess.call([*srun, sys.executable, *sys.argv]))


def launched(processes: int) -> bool:
    """Whether a launcher has started all processes. A job of Slurm alone is no launcher: it runs its script once."""
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    return processes > 1 and (tasks == processes or "TORCHELASTIC_RUN_ID" in os.environ)
