"""The faults that the study is shown to survive: one by one in a finished study, or many in one run from the start."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.checkout import copy_repository
from tests.faults import kinds
from tests.faults.kinds import MissedError, Target
from tests.faults.study import POLL_SECONDS, Run, Study

ATTEMPTS = 4
LATEST = 0.8  # share of a job's seconds up to which a fault strikes
DISK = "600m"  # a file system for the faults that fill it: the finished study takes 60 MB
CHAINS = 6
MOUNT = ("mount", "-t", "tmpfs", "-o")

# By stage, so that those of one run strike one after the other: rule, and what befalls its jobs.
PLAN: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("backbone", ("kill_job", "truncate")),
    ("phantom", ("kill_snakemake", "kill_job", "fill_disk", "truncate")),
    ("cohort", ("kill_job", "make_read_only", "remove_source", "truncate")),
    ("privileged", ("kill_job", "truncate")),
    ("preprocess", ("kill_snakemake", "kill_job", "fill_disk", "make_read_only", "remove_source", "truncate")),
    ("teacher", ("kill_snakemake", "kill_job", "fill_disk", "truncate")),
    ("train_student", ("kill_snakemake", "kill_job", *["kill_step"] * 4, "fill_disk", "make_read_only", "truncate")),
    ("attention_controls", ("kill_job",)),
    ("attention", ("kill_snakemake", "kill_job", "fill_disk", "truncate_input", "truncate")),
    ("evaluate", ("kill_job", "make_read_only", "truncate_input")),
    ("probe", ("kill_snakemake", "kill_job")),
    ("scores", ("kill_job", "truncate")),
    ("table_claims", ("kill_snakemake", "truncate")),
    ("table_classification", ("fill_disk",)),
    ("table_localization", ("kill_job",)),
    ("figure_localization", ("make_read_only",)),
    ("report", ("kill_job",)),
    ("provenance", ("kill_job",)),
)


@dataclass(frozen=True)
class Fault:
    """`number` seeds all that is left to chance: the job of the rule, the moment, the file.

    `truncate` befalls an output of the rule while no run is at work, all else a run.
    """

    number: int
    kind: str
    rule: str

    def __str__(self) -> str:
        return f"{self.number} {self.kind} {self.rule}"

    @property
    def strike(self) -> Callable[[Target], None]:
        return getattr(kinds, self.kind)

    @property
    def impossible(self) -> str | None:
        """Why this machine cannot have the fault: a full disk takes a mount, and so does what root cannot write to."""
        mounts = self.kind == "fill_disk" or (self.kind == "make_read_only" and os.geteuid() == 0)
        return no_mounts() if mounts else None

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.number)


@dataclass
class Outcome:
    """What a study that was struck came to: the last run's exit code, what differs, what struck, and seconds."""

    code: int
    differences: list[str]
    seconds: float
    struck: list[Fault] = field(default_factory=list)
    missed: list[Fault] = field(default_factory=list)
    said: str = ""

    @property
    def survived(self) -> bool:
        return self.code == 0 and not self.differences


def all_faults() -> list[Fault]:
    pairs = [(kind, rule) for rule, names in PLAN for kind in names]
    return [Fault(number, kind, rule) for number, (kind, rule) in enumerate(pairs)]


def chains() -> list[list[Fault]]:
    """The faults of each run from the start, in the order of the stages."""
    return [all_faults()[first::CHAINS] for first in range(CHAINS)]


def suffer(faults: list[Fault], finished: Study, scratch: Path, afresh: bool = True) -> Outcome:
    """Runs the study while the faults strike, goes on after each, and compares with the undisturbed one.

    afresh: from an empty checkout, else in a copy of the finished study in which a job is undone for each fault.
    """
    began = time.monotonic()
    with _file_system(scratch / "study") as folder:
        study = (
            Study(copy_repository(folder / "checkout").folder) if afresh else finished.copied_to(folder / "checkout")
        )
        struck, missed = _strike_all(faults, finished, study)
        run = Run(study)
        code = run.wait()
        differences = finished.differences(study)
        return Outcome(code, differences, time.monotonic() - began, struck, missed, run.log.read_text())


def _strike_all(faults: list[Fault], finished: Study, study: Study) -> tuple[list[Fault], list[Fault]]:
    struck, missed, run = [], [], None
    for fault in faults:
        run = _until_struck(fault, finished, study, run)
        (missed if run is None else struck).append(fault)
    if run is not None and run.going_on:
        run.wait()
    return struck, missed


def _until_struck(fault: Fault, finished: Study, study: Study, run: Run | None) -> Run | None:
    """The run that the fault struck; None if in all attempts the job or the run had ended before."""
    rng = fault.rng()
    if fault.kind == "truncate":
        return _truncate_at_rest(finished.outputs(finished.drawn(rng, fault.rule)), study, run, rng)
    for attempt in range(1, ATTEMPTS + 1):
        run = _at_work_before(fault.rule, finished, study, run, rng)
        try:
            fault.strike(Target(finished, run, fault.rule, rng.uniform(0, LATEST / attempt), rng))
            return run
        except MissedError:
            run.stop()
    return None


def _truncate_at_rest(outputs: list[str], study: Study, run: Run | None, rng: np.random.Generator) -> Run:
    """Goes on until the outputs are there, stops, and cuts one of them."""
    if run is None or not (run.going_on or study.has(outputs)):
        run = Run(study)
    while run.going_on and not study.has(outputs):
        time.sleep(POLL_SECONDS)
    run.stop()
    kinds.truncate(study, outputs, rng)
    return run


def _at_work_before(rule: str, finished: Study, study: Study, run: Run | None, rng: np.random.Generator) -> Run:
    """A run in which the rule has a job to do; if none is left, one is undone."""
    outputs = [finished.outputs(job) for job in finished.jobs(rule)]
    if all(map(study.has, outputs)):
        if run is not None and run.going_on:
            run.stop()
        study.forget(outputs[rng.integers(len(outputs))])
    return run if run is not None and run.going_on else Run(study)


@cache
def no_mounts() -> str | None:
    """Why no file system can be mounted here, as in a container without that right; None if one can."""
    with TemporaryDirectory() as folder:
        try:
            subprocess.run([*MOUNT, "size=1m", "mmpkd_faults", folder], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return "a file system of its own cannot be mounted here"
        subprocess.run(["umount", folder], check=True)
    return None


@contextmanager
def _file_system(folder: Path) -> Iterator[Path]:
    """An empty folder with a small file system of its own, where that can be had."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    small = no_mounts() is None
    if small:
        subprocess.run([*MOUNT, f"size={DISK}", "mmpkd_faults", folder], check=True)
    try:
        yield folder
    finally:
        if small:
            subprocess.run(["umount", "--lazy", folder], check=True)
        shutil.rmtree(folder, ignore_errors=True)
