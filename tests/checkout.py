"""A copy of the repository, and how to run Snakemake in it."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = ("Makefile", "Snakefile", "config.yaml", "rules", "workflow_scripts", "mmpkd")
PARTS += ("studies", "profiles", "envs", "docs")
SMOKE = ("--configfile=studies/smoke.yaml",)


@dataclass
class Workflow:
    """A checkout, and how to run Snakemake in it."""

    folder: Path
    said: str = ""  # by the run that made the results that are there

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs Snakemake; its output is in `stdout`, both streams together."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment.pop("PYTHONPATH", None)
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def planned(self, *arguments: str) -> dict[str, int]:
        """The jobs per rule that a dry run would run; empty when nothing is to be done."""
        process = self.run("--dry-run", *arguments)
        assert process.returncode == 0, process.stdout
        stats = process.stdout.partition("Job stats:")[2].partition("total")[0]
        return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", stats, re.MULTILINE)}


def copy_repository(folder: Path) -> Workflow:
    """The parts of the repository that a study needs."""
    folder.mkdir(parents=True)
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    return Workflow(folder)
