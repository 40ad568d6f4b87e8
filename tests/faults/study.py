"""A copy of the finished smoke study, in which jobs are undone, run again with `make all`, and compared."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

OVERLAY = "studies/smoke.yaml"
RESULTS = Path("results/smoke")
# What tells of the course of the run and not of its result: times, sizes in memory, the order of attempts.
OF_THE_COURSE = (".at_work/", "logs/", "benchmarks/", "receipts/", "damaged/", "cache/", "tables/runtime.")
WITH_THE_COURSE = ("report.html", "provenance.json", "ro-crate-metadata.json")  # they repeat or hash the runtime table
POLL_SECONDS = 0.03  # each look costs a share of a core
MINUTES = 15  # after which a run is taken to hang


@dataclass(frozen=True)
class Job:
    """A job of the study, by its rule and what is its own in the names of log, receipt and benchmark."""

    rule: str
    name: str

    @property
    def path(self) -> Path:
        return Path(self.rule, self.name)


class Study:
    """A checkout with results; `make all` in it is the one command by which a run starts and goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / RESULTS

    def copied_to(self, folder: Path) -> "Study":
        """A copy with the same times, so that nothing in it is to be done that is done here."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        return Study(folder)

    def jobs(self, rule: str) -> list[Job]:
        receipts = self.results / "receipts"
        return [
            Job(rule, path.relative_to(receipts / rule).with_suffix("").as_posix())
            for path in sorted((receipts / rule).rglob("*.json"))
        ]

    def drawn(self, rng: np.random.Generator, *rules: str) -> Job:
        """One of the jobs of the rules."""
        jobs = [job for rule in rules for job in self.jobs(rule)]
        return jobs[rng.integers(len(jobs))]

    def outputs(self, job: Job) -> list[str]:
        """What the job wrote, relative to the results."""
        return list(json.loads((self.results / "receipts" / job.path.with_suffix(".json")).read_text()))

    def seconds(self, job: Job) -> float:
        """How long the job took, from its benchmark."""
        return float(pd.read_csv(self.results / "benchmarks" / job.path.with_suffix(".tsv"), sep="\t")["s"][0])

    def forget(self, outputs: list[str]) -> None:
        """Removes what a job wrote, and the record that reads every file, so that the next run has to run the job."""
        for path in {self.results / name for name in [*outputs, "provenance.json"]}:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def has(self, outputs: list[str]) -> bool:
        return all((self.results / name).exists() for name in outputs)

    def files(self) -> dict[str, bytes]:
        """Every file that the study's results consist of, by its path."""
        paths = (path for path in self.results.rglob("*") if path.is_file())
        names = {path.relative_to(self.results).as_posix(): path for path in paths}
        left_out = OF_THE_COURSE + WITH_THE_COURSE
        return {name: path.read_bytes() for name, path in names.items() if not name.startswith(left_out)}

    def differences(self, other: "Study") -> list[str]:
        """Files that only one of two studies has, or that are not the same byte for byte."""
        here, there = self.files(), other.files()
        differences = [f"{name} is in one alone" for name in sorted(set(here) ^ set(there))]
        differences += [f"{name} differs" for name in sorted(set(here) & set(there)) if here[name] != there[name]]
        missing = [name for name in WITH_THE_COURSE if not (other.results / name).is_file()]
        return differences + [f"{name} is missing" for name in missing]


class Run:
    """A `make all` on its way; what it says is in `log`."""

    def __init__(self, study: Study, cores: int = 2, environment: Mapping[str, str] | None = None) -> None:
        self.study = study
        self.log = study.folder / "run.log"
        # The interpreter of the tests, whatever a `.venv` of the copy would hold.
        command = ["make", "-o", ".venv/.installed", f"BIN={Path(sys.executable).parent}"]
        with self.log.open("w") as stream:
            self._process = subprocess.Popen(
                [*command, "all", f"STUDY={OVERLAY}", f"CORES={cores}"],
                cwd=study.folder,
                env={**os.environ, **(environment or {})},
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        self._deadline = time.monotonic() + 60 * MINUTES

    @property
    def going_on(self) -> bool:
        if time.monotonic() > self._deadline:
            self.kill()
            raise TimeoutError(f"the run takes more than {MINUTES} minutes: {self.log.read_text()[-2000:]}")
        return self._process.poll() is None

    def wait(self) -> int:
        """The exit code; what `make` started and left is not waited for."""
        while self.going_on:
            time.sleep(POLL_SECONDS)
        return self._process.returncode

    def snakemake(self) -> psutil.Process | None:
        """The process of Snakemake, once it is there."""
        return next((process for process in self._children() if "snakemake" in _command(process)), None)

    def await_job(self, rule: str) -> psutil.Process | None:
        """The process of the rule's first job, once it has started; None if the run ends without one."""
        while self.going_on:
            for process in self._children():
                if any(_runs(rule, part) for part in _command(process)):
                    return process
            time.sleep(POLL_SECONDS)
        return None

    def stop(self) -> None:
        """As a user does: Snakemake is asked to end, and ends its jobs."""
        if process := self.snakemake():
            process.terminate()
        self.wait()

    def kill(self) -> None:
        for process in [*self._children(), self._process]:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue

    def _children(self) -> Iterator[psutil.Process]:
        try:
            yield from psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return


def _runs(rule: str, part: str) -> bool:
    """Whether a word of a command is the script of a rule's job. One script makes all tables and figures."""
    if part.endswith(f".{rule}.py"):
        return True
    if not part.endswith(".output.py"):
        return False
    with contextlib.suppress(OSError):  # the job has ended
        return f"/logs/{rule}/" in Path(part).read_text(errors="replace")
    return False


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
