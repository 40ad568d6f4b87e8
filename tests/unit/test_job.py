"""A job: its log from the first line, a receipt only of what is complete, its threads and its device."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmpkd.device import torch_job
from mmpkd.job import job

SCRIPTS = sorted((Path(__file__).parents[2] / "workflow_scripts").glob("*.py"))


@pytest.fixture
def snakemake(tmp_path, monkeypatch):
    """What Snakemake puts into a script; logging and its hook for uncaught errors are restored afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    yield SimpleNamespace(
        log=[str(tmp_path / "logs/scores/all.log")],
        output=[str(tmp_path / "scores.csv")],
        threads=4,
        params=SimpleNamespace(device="cpu"),
    )
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def threads():
    """The number of torch's threads, and whether its algorithms are deterministic, as they were."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(before[0])
    torch.use_deterministic_algorithms(before[1])


def test_a_job_leaves_its_log_and_a_receipt(snakemake, tmp_path):
    with job(snakemake):
        logging.getLogger("mmpkd").info("at work")
        Path(snakemake.output[0]).write_text("scores\n")
    log = Path(snakemake.log[0]).read_text()
    assert "set-up took" in log.splitlines()[0] and "at work" in log
    receipt = json.loads((tmp_path / "receipts/scores/all.json").read_text())
    assert receipt["scores.csv"]["bytes"] == len("scores\n")


@pytest.mark.parametrize("at", ["import", "work"])
def test_an_interrupted_job_ends_without_a_traceback(tmp_path, at):
    """At work its log says so; before that it has no log."""
    lines = [
        "from types import SimpleNamespace",
        f"snakemake = SimpleNamespace(log=['{tmp_path}/logs/all.log'], output=[])",
        "from mmpkd.job import job",
        "raise KeyboardInterrupt" if at == "import" else "with job(snakemake): raise KeyboardInterrupt",
    ]
    (tmp_path / "script.py").write_text("\n".join(lines))
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS[0].parents[1])}
    script = [sys.executable, str(tmp_path / "script.py")]
    ended = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode and ended.stderr == ""
    if at == "work":
        assert (tmp_path / "logs/all.log").read_text().splitlines()[-1].endswith("WARNING mmpkd: interrupted")


def test_a_job_that_fails_leaves_no_receipt(snakemake, tmp_path):
    with pytest.raises(ZeroDivisionError), job(snakemake):
        Path(snakemake.output[0]).write_text("sco")
        1 / 0  # noqa: B018
    assert not (tmp_path / "receipts").exists()


def test_processes_share_the_threads_of_their_job(snakemake, threads):
    Path(snakemake.output[0]).touch()
    with torch_job(snakemake) as device:
        assert device.type == "cpu" and torch.get_num_threads() == 4
        assert torch.are_deterministic_algorithms_enabled()
    with torch_job(snakemake, processes=2):
        assert torch.get_num_threads() == 2
    with torch_job(snakemake, processes=8):
        assert torch.get_num_threads() == 1


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_is_one_job(path):
    text = path.read_text()
    assert text.count("job(snakemake") == 1
    assert "log_to" not in text and "write_receipt" not in text and "use_threads" not in text


def test_importing_the_library_leaves_the_garbage_collector_alone():
    code = "import gc; before = gc.get_threshold(); import mmpkd, mmpkd.job; assert gc.get_threshold() == before"
    subprocess.run([sys.executable, "-c", code], check=True)
