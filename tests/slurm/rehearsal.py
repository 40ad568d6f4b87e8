"""The rehearsal of the paper's study through Slurm, compared with the local one: `python -m tests.slurm.rehearsal`.

Run it after `make rehearsal`, as root on a machine with Debian's Slurm. A copy of the repository runs the study with
`--workflow-profile profiles/slurm` on a cluster of one node with pretended GPUs. One student's job is cancelled in the
middle of its training, and the first attempt of the rule `backbone` runs out of memory.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.checkout import ROOT, copy_repository
from tests.slurm.cluster import Cluster, missing

RESULTS = "results/rehearsal"
COMPARED = ("tables/*", "figures/*.png", "evaluation/*.parquet", "students/*/*/*/model.safetensors", "images/*/*/*.npy")
DIFFERENT = ("tables/runtime",)  # seconds of the jobs
OPTIONS = ("--slurm-init-seconds-before-status-checks=2", "--latency-wait=5", "--config", "gpus=1")
TOO_SMALL = "backbone:mem_mb=300*attempt"  # reading and fitting the weights takes about 0.5 GB
CPUS, MEMORY_MB = 4, 64_000


def main() -> int:
    """Runs the study and prints what happened to its jobs and which files differ; 0 if none does."""
    if reason := missing():
        print(reason)
        return 1
    if not (ROOT / RESULTS / "provenance.json").is_file():
        print(f"there is no {RESULTS}: run `make rehearsal` first")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        checkout = copy_repository(Path(folder) / "checkout").folder
        (checkout / "data").symlink_to(ROOT / "data")
        with Cluster(Path(folder) / "cluster", CPUS, MEMORY_MB) as cluster:
            code = run(checkout, cluster)
            report(cluster)
        if code:
            print((checkout / "snakemake.log").read_text()[-6000:])
            return code
        return compare(ROOT / RESULTS, checkout / RESULTS)


def run(checkout: Path, cluster: Cluster) -> int:
    """Submits the study, cancels the first student that is training, and waits; Snakemake's exit code."""
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm", "--set-resources", TOO_SMALL]
    command += [*OPTIONS, "--configfile", "studies/rehearsal.yaml", "--", "all"]
    environment = {**cluster.environment, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    cancelled = False
    with (checkout / "snakemake.log").open("w") as log:
        process = subprocess.Popen(command, cwd=checkout, env=environment, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            training = [job for job in cluster.jobs() if job.get("Comment", "").startswith("rule_train_student")]
            running = [job for job in training if job["JobState"] == "RUNNING" and job["RunTime"] >= "00:00:20"]
            if running and not cancelled:
                cluster.ask("scancel", running[0]["JobId"])
                cancelled = True
            time.sleep(2)
    return process.returncode


def report(cluster: Cluster) -> None:
    """Prints the jobs that did not end well, and how many did."""
    jobs = [job for job in cluster.jobs() if "Comment" in job]
    for job in jobs:
        if job["JobState"] != "COMPLETED":
            print(f"{job['Comment'].split('_wildcards')[0]}: {job['JobState']}, {job['MinMemoryNode']} of memory")
    print(f"{sum(job['JobState'] == 'COMPLETED' for job in jobs)} of {len(jobs)} submissions completed")


def compare(local: Path, remote: Path) -> int:
    """Prints which of the files of both runs differ; 1 if any does."""
    names = {path.relative_to(root) for root in (local, remote) for glob in COMPARED for path in root.glob(glob)}
    names = sorted(name for name in names if not name.as_posix().startswith(DIFFERENT))
    different = [name for name in names if not same(local / name, remote / name)]
    for name in different:
        print(f"differs: {name}")
    print(f"{len(names) - len(different)} of {len(names)} files are the same")
    return int(bool(different) or not names)


def same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
