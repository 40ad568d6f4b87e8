"""The study of study.yaml twice: run locally, and through Slurm with faults on the way."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.checkout import Workflow, copy_repository
from tests.slurm.cluster import Cluster, missing

STUDY = ("--configfile", "studies/smoke.yaml", str(Path(__file__).with_name("study.yaml")), "--")
# Quicker than the profile, and with the arrays that it leaves to the site.
OPTIONS = (
    "--slurm-init-seconds-before-status-checks=2",
    "--latency-wait=5",
    "--slurm-array-jobs=preprocess",
)
MINUTES = 20  # after which a run is taken to hang
# Weights need about 0.6 GB: the first attempt is killed, the second fits.
TOO_SMALL = ("per_attempt(4000 + batch_mb(STUDY.training))", "per_attempt(400)")  # in the rule backbone


@dataclass
class Run:
    """What came of a run through Slurm."""

    folder: Path
    jobs: list[dict[str, str]]
    devices: dict[str, str]

    def jobs_of(self, rule: str) -> list[dict[str, str]]:
        """Slurm's records of the jobs of a rule or of a group of rules, in the order of submission."""
        return [job for job in self.jobs if job["Comment"].startswith(f"rule_{rule}")]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    if reason := missing():
        pytest.skip(reason)
    # More processors and memory than there may be, so that jobs do not wait for what they only ask for.
    with Cluster(tmp_path_factory.mktemp("cluster"), cpus=8, memory_mb=64000) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def local(cluster, tmp_path_factory) -> Path:
    """Results of the local run."""
    workflow = copy_repository(tmp_path_factory.mktemp("local") / "checkout")
    process = workflow.run(*STUDY, "all")
    assert process.returncode == 0, process.stdout[-8000:]
    return workflow.folder / "results/slurm"


@pytest.fixture(scope="session")
def run(cluster, local, tmp_path_factory) -> Run:
    """One run through the profile, in which a job is cancelled, the node fails and a job runs out of memory."""
    workflow = copy_repository(tmp_path_factory.mktemp("remote") / "checkout")
    rules = workflow.folder / "rules/students.smk"
    assert rules.read_text().count(TOO_SMALL[0]) == 1
    rules.write_text(rules.read_text().replace(*TOO_SMALL))
    log = workflow.folder / "snakemake.log"
    with log.open("w") as stream:
        process = _submit(workflow, cluster, stream)
        try:
            _disturb(cluster, process)
            process.wait(MINUTES * 60)
        finally:
            process.kill()
    assert process.returncode == 0, log.read_text()[-8000:]
    jobs = [job for job in cluster.jobs() if "Comment" in job]  # those of the plugin, not of test_generic.py
    return Run(workflow.folder / "results/slurm", jobs, cluster.devices())


def _submit(workflow: Workflow, cluster: Cluster, stream) -> subprocess.Popen:
    environment = {**cluster.environment, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    options = ["--workflow-profile", "profiles/slurm", *OPTIONS, "--config", "gpus=1", *STUDY, "all"]
    command = [sys.executable, "-m", "snakemake", *options]
    return subprocess.Popen(command, cwd=workflow.folder, env=environment, stdout=stream, stderr=subprocess.STDOUT)


def _disturb(cluster: Cluster, process: subprocess.Popen) -> None:
    """Cancels the first student in the middle of its training; takes the node down when the first attention runs."""

    def fail_node(job: dict[str, str]) -> None:
        cluster.set_node("down")
        time.sleep(2)
        cluster.set_node("resume")

    faults = {
        "rule_train_student": lambda job: cluster.ask("scancel", _number(job)),
        "rule_attention_wildcards": fail_node,
    }
    deadline = time.monotonic() + MINUTES * 60
    while faults and process.poll() is None and time.monotonic() < deadline:
        for rule in faults:
            running = [job for job in cluster.jobs() if job.get("Comment", "").startswith(rule) and _in_the_middle(job)]
            if running:
                faults.pop(rule)(running[0])
                break
        time.sleep(1)


def _in_the_middle(job: dict[str, str]) -> bool:
    return job["JobState"] == "RUNNING" and job["RunTime"] >= "00:00:04"


def _number(job: dict[str, str]) -> str:
    """One task of an array, whose first number would be the whole array."""
    return f"{job['ArrayJobId']}_{job['ArrayTaskId']}" if "ArrayJobId" in job else job["JobId"]
