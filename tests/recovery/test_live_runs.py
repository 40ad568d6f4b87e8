"""`mmpkd recover` next to runs that are alive, however they were started and whether or not they can be seen.

Each case runs Snakemake with one job that waits, leaves what recovery would clean up, and runs the command: it must say
that somebody may be at work and change nothing, and the run must end well afterwards. Cases that need the right to make
namespaces, or to become another user, are skipped without it. `make faults` runs those that are marked as slow.
"""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from mmpkd.files import write_json
from mmpkd.presence import FOLDER, sign_in
from tests.checkout import ROOT

PYTHON = sys.executable
SNAKEMAKE = str(Path(PYTHON).with_name("snakemake"))
PACKAGES = sysconfig.get_path("purelib")
NOBODY = 65534
PATIENCE = 120.0
SNAKEFILE = """
from pathlib import Path
from mmpkd.presence import sign_in

for place in [Path(".snakemake"), *filter(Path.is_dir, [Path("results/demo")])]:
    sign_in(place, "run" if workflow.is_main_process else "job")

rule wait:
    output: "results/demo/out.txt"
    log: "results/demo/logs/wait.log"
    script: "wait.py"
"""
JOB = """
import time
from pathlib import Path
from mmpkd.logs import log_to

log_to(snakemake.log[0])
Path("started").touch()
while not Path("finish").exists():
    time.sleep(0.1)
Path(snakemake.output[0]).write_text("whole")
"""
API = """
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import OutputSettings, ResourceSettings

with SnakemakeApi(OutputSettings()) as api:
    flow = api.workflow(resource_settings=ResourceSettings(cores=1), snakefile=Path("Snakefile"))
    flow.dag().execute_workflow()
"""
ARGUMENTS = ["--cores", "1"]
MODULE = ["-m", "snakemake", *ARGUMENTS]
MAIN = f"from snakemake.cli import main; main({ARGUMENTS!r})"
RUNPY = f"import runpy, sys; sys.argv[1:] = {ARGUMENTS!r}; runpy.run_module('snake' + 'make', run_name='__main__')"
IN_NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc"]
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
AS_NOBODY += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]  # to read the checkout, nothing else
LONG = ["timeout", "600"]

# How a run is started: a command in its folder.
STARTS = {
    "module": [PYTHON, *MODULE],
    "-W ignore": [PYTHON, "-W", "ignore", *MODULE],
    "-u": [PYTHON, "-u", *MODULE],
    "-X and -I": [PYTHON, "-X", "utf8", "-I", *MODULE],
    "program": [SNAKEMAKE, *ARGUMENTS],
    "renamed program": ["./flow", *ARGUMENTS],
    "renamed interpreter": ["env", f"PYTHONPATH={PACKAGES}:{ROOT}", "./worker", "-u", *MODULE],
    "main function": [PYTHON, "-c", MAIN],
    "runpy": [PYTHON, "-c", RUNPY],
    "API": [PYTHON, "api.py"],
    "without a lock": [PYTHON, "-u", *MODULE, "--nolock"],
    "from elsewhere": ["sh", "-c", f"here=$PWD; cd / && exec {PYTHON} {' '.join(MODULE)} -s $here/Snakefile -d $here"],
    "in a session of its own": ["setsid", "--wait", "nice", PYTHON, "-c", MAIN],
    "under timeout": [*LONG, PYTHON, "-c", MAIN],
    "another user": [*AS_NOBODY, "env", "HOME=/tmp", PYTHON, "-c", MAIN],
    "PID namespace": [*IN_NAMESPACE, PYTHON, "-c", MAIN],
    "user namespace": ["unshare", "--user", "--map-root-user", "--pid", "--fork", PYTHON, "-c", MAIN],
    "other mount": ["unshare", "--mount", "sh", "-c", f"mount --bind . /mnt && cd /mnt && exec {PYTHON} api.py"],
}
# From where recovery looks.
VIEWS = {"here": [], "PID namespace": IN_NAMESPACE, "another user": [*AS_NOBODY, "env", "HOME=/tmp"]}
CASES = [(start, "here") for start in STARTS] + [
    ("module", "PID namespace"),
    ("API", "PID namespace"),
    ("module", "another user"),
    ("-u", "another user"),
]
QUICK = {("-W ignore", "here"), ("API", "here"), ("without a lock", "here"), ("module", "PID namespace")}
QUICK |= {("another user", "here"), ("user namespace", "here"), ("other mount", "here"), ("module", "another user")}


def slow(words: tuple[str, ...] | str, quick: set) -> Any:
    """The words as a test's parameters, marked as slow if they are not among the quick ones."""
    values = (words,) if isinstance(words, str) else words
    return pytest.param(*values, marks=() if words in quick else pytest.mark.slow, id="-".join(values))


@dataclass
class Run:
    """A run in its folder."""

    folder: Path
    process: subprocess.Popen

    def state(self) -> dict[str, bytes]:
        """What recovery must not touch: every file but those that a run at work writes itself."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.name != "gate"]
        return {str(path): path.read_bytes() for path in files if path.suffix not in (".log", ".pyc")}

    def tree(self) -> set[psutil.Process]:
        """Its processes."""
        top = psutil.Process(self.process.pid)
        return {top, *top.children(recursive=True)}


def possible(command: list[str]) -> bool:
    """Whether this machine allows the first word, with its options."""
    if command[:1] not in (["unshare"], ["setpriv"]):
        return True
    options = [command[0], *itertools.takewhile(lambda word: word.startswith("-"), command[1:])]
    try:
        return subprocess.run([*options, "true"], capture_output=True, timeout=20, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture
def start(tmp_path_factory):
    """Starts a run, waits for its job to begin, and leaves what recovery would clean up. Ends everything at last."""
    runs = []

    def start(command: list[str], link_results: Path | None = None) -> Run:
        folder = tmp_path_factory.mktemp("flow")
        for path in (folder, *folder.parents[:2]):
            path.chmod(0o777 if path == folder else 0o755)
        (folder / "Snakefile").write_text(SNAKEFILE)
        (folder / "wait.py").write_text(JOB)
        (folder / "api.py").write_text(API)
        (folder / "flow").write_bytes(Path(SNAKEMAKE).read_bytes())
        (folder / "flow").chmod(0o755)
        (folder / "worker").symlink_to(Path(PYTHON).resolve())
        if link_results:
            (folder / "results").symlink_to(link_results)
        results = folder / "results/demo"
        results.mkdir(parents=True, exist_ok=True)
        (results / ".claims-abcd_123.csv").write_text("unfinished")
        (results / "report.html").write_text("cut")
        write_json({"report.html": {"bytes": 7, "modified_ns": 1, "sha256": ""}}, results / "receipts/report.json")
        for path in (results.parent, results, results / "receipts"):
            path.chmod(0o777)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        run = Run(folder, process)
        runs.append(run)
        until(lambda: (folder / "started").exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()[0]
        return run

    yield start
    for run in runs:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in run.tree():
                process.kill()
        run.process.kill()
        run.process.communicate()


def until(condition) -> None:
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends, "waited too long"
        time.sleep(0.05)


def recover(folder: Path, view: str = "here") -> subprocess.CompletedProcess:
    command = [*VIEWS[view], PYTHON, "-m", "mmpkd", "recover"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize(("how", "view"), [slow(case, QUICK) for case in CASES])
def test_a_live_run_loses_nothing(start, how, view):
    if not possible(STARTS[how]) or not possible(VIEWS[view]):
        pytest.skip("not allowed on this machine")
    run = start(STARTS[how])
    before, processes = run.state(), run.tree()
    answer = recover(run.folder, view)
    assert answer.returncode == 1 and " at work in " in answer.stderr, answer
    assert run.state() == before and run.tree() == processes
    (run.folder / "finish").touch()
    assert run.process.wait(PATIENCE) == 0
    assert (run.folder / "results/demo/out.txt").read_text() == "whole"


def test_a_run_that_is_stopped_for_a_while_is_alive(start):
    run = start(STARTS["main function"])
    run.process.send_signal(signal.SIGSTOP)
    before = run.state()
    assert recover(run.folder).returncode == 1
    assert run.state() == before
    run.process.send_signal(signal.SIGCONT)
    (run.folder / "finish").touch()
    assert run.process.wait(PATIENCE) == 0


def test_a_run_of_another_clone_with_the_same_results_is_seen(start, tmp_path):
    run = start(STARTS["module"], link_results=tmp_path)
    (tmp_path.parent / "clone").mkdir()
    (tmp_path.parent / "clone/results").symlink_to(tmp_path)
    before = run.state()
    answer = recover(tmp_path.parent / "clone")
    assert answer.returncode == 1 and "at work in" in answer.stderr
    assert run.state() == before and run.process.poll() is None


def kill_run(run: Run) -> set[psutil.Process]:
    """SIGKILL to Snakemake alone; returns its jobs."""
    jobs = {process for process in run.tree() if any("/.snakemake/scripts/" in word for word in process.cmdline())}
    run.process.kill()
    run.process.wait()
    return jobs


@pytest.mark.parametrize("view", ["PID namespace", "another user"])
def test_an_orphan_that_cannot_be_seen_is_not_taken_for_dead(start, view):
    if not possible(VIEWS[view]):
        pytest.skip("not allowed on this machine")
    run = start(STARTS["module"])
    jobs = kill_run(run)
    try:
        before = run.state()
        answer = recover(run.folder, view)
        assert answer.returncode == 1 and " at work in " in answer.stderr, answer
        assert run.state() == before and all(job.is_running() for job in jobs)
    finally:
        for job in jobs:
            job.kill()


@pytest.mark.parametrize("how", [slow(how, {"API"}) for how in ("module", "-W ignore", "API", "renamed program")])
def test_what_a_killed_run_left_is_cleaned_up(start, how):
    run = start(STARTS[how])
    jobs = kill_run(run)
    answer = recover(run.folder)
    assert answer.returncode == 0, answer
    assert "jobs that a killed run had left" in answer.stdout and "removed the lock" in answer.stdout
    assert not any(job.is_running() and job.status() != psutil.STATUS_ZOMBIE for job in jobs)
    assert (
        not list((run.folder / ".snakemake").glob("locks/*")) and not (run.folder / "results/demo/report.html").exists()
    )
    assert not list(run.folder.rglob(f"{FOLDER}/*.json"))
    assert (
        subprocess.run([PYTHON, *MODULE, "--dry-run"], cwd=run.folder, capture_output=True, check=False).returncode == 0
    )


def test_an_editor_of_a_jobs_script_is_no_job(start):
    run = start(STARTS["module"])
    for job in kill_run(run):
        job.kill()
    script = run.folder / ".snakemake/scripts/tmp1.wait.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text("text")
    viewer = subprocess.Popen([shutil.which("tail"), "-f", str(script)], cwd=run.folder, stdout=subprocess.DEVNULL)
    try:
        assert recover(run.folder).returncode == 0
        assert viewer.poll() is None
    finally:
        viewer.kill()
        viewer.wait()


def test_this_process_counts_where_it_signed_in(tmp_path):
    sign_in(tmp_path / ".snakemake", "run")
    answer = recover(tmp_path)
    assert answer.returncode == 1 and f"process {os.getpid()} of" in answer.stderr
