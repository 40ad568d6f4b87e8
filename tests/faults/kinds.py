"""What can befall a run at work: one function a kind.

It returns when the cause is gone; the run has ended then, or may go on as if nothing were.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from tests.faults.study import POLL_SECONDS, Run, Study

FILLER = "filler"
BLOCK = bytes(1 << 16)
SOURCES = (".dcm", ".txt", ".csv", ".csv.gz")


class MissedError(RuntimeError):
    """The run or the job had ended before the fault could strike."""


@dataclass
class Target:
    """A run at work, the rule whose job is to suffer, and the moment: a share of the job's seconds.

    `finished`: the undisturbed study, which tells what a job writes and how long it takes.
    """

    finished: Study
    run: Run
    rule: str
    share: float
    rng: np.random.Generator

    @property
    def study(self) -> Study:
        return self.run.study

    def started(self) -> psutil.Process:
        """The job's process, as soon as it is there."""
        process = self.run.await_job(self.rule)
        if process is None:
            raise MissedError(f"the run ended without the job: {self.run.log.read_text()[-2000:]}")
        return process

    def in_the_middle(self) -> psutil.Process:
        """The job's process, at the moment."""
        process = self.started()
        time.sleep(self.share * self.finished.seconds(self.finished.drawn(self.rng, self.rule)))
        return process


def kill_snakemake(target: Target) -> None:
    """SIGKILL to Snakemake alone: its jobs go on without it, and its lock stays."""
    target.in_the_middle()
    if (process := target.run.snakemake()) is None:
        raise MissedError("Snakemake had ended")
    process.kill()
    target.run.wait()


def kill_job(target: Target) -> None:
    """SIGKILL to the process of the job."""
    _kill(target.in_the_middle())
    target.run.wait()


def kill_step(target: Target) -> None:
    """SIGKILL to a training, after the first of its steps and before the last."""
    process = target.started()
    students = target.study.results / "students"
    while not any(students.rglob("checkpoint.safetensors")):
        if not _alive(process):
            raise MissedError("the training had ended")
        time.sleep(POLL_SECONDS)
    time.sleep(0.3 * target.share)
    _kill(process)
    target.run.wait()


def fill_disk(target: Target) -> None:
    """Takes all the space of the study's file system, and what becomes free, until the run has ended."""
    target.in_the_middle()
    filler = target.study.folder / FILLER
    with filler.open("wb", buffering=0) as stream:
        while target.run.going_on:
            try:
                stream.write(BLOCK)
            except OSError:  # no space is left
                time.sleep(POLL_SECONDS)
    filler.unlink()


def make_read_only(target: Target) -> None:
    """The folder of a stage, to which the job writes, takes no file until the run has ended."""
    target.in_the_middle()
    stage = Path(target.finished.outputs(target.finished.drawn(target.rng, target.rule))[0]).parts[0]
    with read_only(target.study.results / stage):
        target.run.wait()


def remove_source(target: Target) -> None:
    """A file of a data set is gone, while a job reads one."""
    target.in_the_middle()
    trees = sorted((target.study.results / "phantom").glob("*/tree"))
    files = [path for tree in trees for path in sorted(tree.rglob("*")) if path.name.endswith(SOURCES)]
    files[target.rng.integers(len(files))].unlink()


def truncate_input(target: Target) -> None:
    """Something that an earlier job wrote is cut, while the job may be reading it."""
    target.in_the_middle()
    job = target.finished.drawn(target.rng, "cohort", "preprocess", "backbone")
    truncate(target.study, target.finished.outputs(job), target.rng)


def truncate(study: Study, outputs: list[str], rng: np.random.Generator) -> None:
    """One of the outputs, or a file in it if it is a folder, is cut somewhere; nothing if none is there."""
    paths = [study.results / output for output in outputs]
    files = sorted(file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]))
    files = [file for file in files if file.is_file() and file.stat().st_size]
    if files:
        file = files[rng.integers(len(files))]
        os.truncate(file, rng.integers(file.stat().st_size))


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be written to `folder`. Modes do not bind root: for it, the folder is mounted on itself."""
    if os.geteuid():
        mode = folder.stat().st_mode
        folder.chmod(0o555)
        yield
        folder.chmod(mode)
        return
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _kill(process: psutil.Process) -> None:
    if not _alive(process):
        raise MissedError("the job had ended")
    process.kill()


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
