"""What a run that was killed or broke leaves behind is found, and nothing else is touched."""

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from mmpkd.cli import main
from mmpkd.files import atomic, write_json
from mmpkd.presence import FOLDER, GATE, Worker, records, sign_in
from mmpkd.recovery.receipts import DamagedError, damaged, require_whole, write_receipt
from mmpkd.recovery.recover import recover
from mmpkd.recovery.runs import BusyError, remove_lock, workers_in

FILES = {"tables/claims.csv": "claim,verdict\n", "images/shard0/pixels.npy": "pixels" * 40, "report.html": "<html>"}


@pytest.fixture
def results(tmp_path) -> Path:
    """The results of two jobs, one of which wrote a folder."""
    results = tmp_path / "results" / "demo"
    for name, text in FILES.items():
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text(text)
    tree = results / "phantom/mimic_cxr/tree"
    (tree / "files/p10").mkdir(parents=True)
    (tree / "files/p10/image.dcm").write_text("image")
    write_receipt([str(results / name) for name in FILES], results / "logs/tables/all.log")
    write_receipt([tree], str(results / "logs/phantom/mimic_cxr.log"))
    return results


def test_what_is_as_it_was_written_is_whole(results):
    assert list(damaged(results)) == []
    (results / "phantom/mimic_cxr/tree/.snakemake_timestamp").touch()
    require_whole(results)


def test_what_is_gone_is_left_to_snakemake(results):
    (results / "report.html").unlink()
    assert list(damaged(results)) == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("size", [0, 3])
def test_a_truncated_file_is_found(results, name, size):
    os.truncate(results / name, size)
    assert list(damaged(results)) == [name]


def test_other_bytes_of_the_same_size_are_found_by_their_time(results):
    (results / "report.html").write_text("<HTML>")
    assert list(damaged(results)) == ["report.html"]


def test_a_copy_with_other_times_is_whole(results):
    for name in FILES:
        os.utime(results / name, ns=(1, 1))
    assert list(damaged(results)) == []


def test_a_file_in_place_of_a_folder_and_the_reverse_are_damaged(results):
    (results / "report.html").unlink()
    (results / "report.html").mkdir()
    tree = results / "phantom/mimic_cxr/tree"
    (tree / "files/p10/image.dcm").unlink()
    assert set(damaged(results)) == {"report.html", "phantom/mimic_cxr/tree"}


def test_a_damaged_receipt_is_dropped(results, caplog):
    receipt = results / "receipts/tables/all.json"
    os.truncate(receipt, 20)
    os.truncate(results / "report.html", 0)
    assert list(damaged(results)) == [] and not receipt.exists()
    assert "taken as they are" in caplog.text


def test_a_run_does_not_end_well_on_a_damaged_file(results):
    os.truncate(results / "tables/claims.csv", 4)
    with pytest.raises(DamagedError, match=r"1 of the run's files are not .*: tables/claims.csv; .*make all"):
        require_whole(results)


def test_a_receipt_needs_the_log_of_a_job(tmp_path):
    with pytest.raises(ValueError, match="not below a folder logs"):
        write_receipt([], tmp_path / "other/all.log")


def test_recovery_sets_aside_what_is_damaged_and_keeps_it(results, tmp_path):
    os.truncate(results / "report.html", 2)
    (results / "phantom/mimic_cxr/tree/files/p10/image.dcm").unlink()
    lines = list(recover(tmp_path, results))
    assert len(lines) == 2 and "report.html is not what its job wrote" in lines[1]
    assert not (results / "report.html").exists() and not (results / "phantom/mimic_cxr/tree").exists()
    assert (results / "damaged/report.html").read_text() == "<h"
    assert (results / "damaged/phantom/mimic_cxr/tree/files/p10").is_dir()
    assert list(recover(tmp_path, results)) == []


def test_recovery_removes_unfinished_files_alone(results, tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic(results / "tables/claims.csv") as temporary:
        left = temporary.with_name(temporary.name[:-12] + "abcd_123.csv")
        left.write_text("claim,ver")
        raise KeyboardInterrupt
    kept = results / "tables/.keep-me.csv"
    kept.write_text("by a user")
    assert list(recover(tmp_path, results)) == ["removed 1 unfinished files"]
    assert kept.exists() and not left.exists()


def lock(folder: Path, **further: str) -> Path:
    """What a killed Snakemake leaves; its record says what `further` does instead of what is true here."""
    state = folder / ".snakemake"
    (state / "locks").mkdir(parents=True)
    (state / "locks/0.output.lock").write_text("results/demo/report.html\n")
    (state / FOLDER).mkdir()
    (state / FOLDER / GATE).touch()
    worker = {**asdict(Worker.here("run")), "pid": 1, **further}
    write_json(worker, state / FOLDER / "a.json")
    return state / "locks"


GONE = {
    "here": {},
    "before the machine was started again": {"boot": "earlier"},
    "in another container of the same machine": {"host": "7f3e", "namespace": "pid:[1]"},
}
UNKNOWN = {
    "another machine": {"host": "login2", "boot": "other", "machine": "other"},
    "another machine of the same name": {"boot": "other", "machine": "other"},
    "a machine that has no identity": {"boot": "other", "machine": ""},
    "another container, without locks": {"namespace": "pid:[1]", "locked": False},
    "a record of nothing": {"pid": [], "more": 1},
}


@pytest.mark.parametrize("where", GONE)
def test_a_lock_that_nobody_holds_is_removed(results, tmp_path, where, monkeypatch):
    monkeypatch.setattr("mmpkd.presence.MACHINE", str(tmp_path / "machine-id"))
    (tmp_path / "machine-id").write_text("1234\n")
    locks = lock(tmp_path, **GONE[where])
    assert list(recover(tmp_path, results)) == ["removed the lock of a run that is no more"]
    assert not locks.exists() and not remove_lock(tmp_path)
    assert not list((tmp_path / ".snakemake" / FOLDER).glob("*.json"))


@pytest.mark.parametrize("where", UNKNOWN)
def test_a_lock_is_left_where_it_cannot_be_known_whether_its_run_is_alive(results, tmp_path, where):
    locks = lock(tmp_path, **UNKNOWN[where])
    os.truncate(results / "report.html", 2)
    with pytest.raises(BusyError, match=r"it is unknown from here whether it is still at work .* remove .*a\.json"):
        list(recover(tmp_path, results))
    assert any(locks.iterdir()) and (results / "report.html").exists()


@pytest.mark.parametrize(
    ("kind", "options", "shared"),
    [
        ("nfs4", "rw,vers=4.2,local_lock=none", True),
        ("nfs", "rw,vers=3,local_lock=all", False),
        ("nfs", "rw,vers=3,nolock", False),
        ("lustre", "rw,flock", True),
        ("lustre", "rw,localflock", False),
        ("lustre", "rw", False),
        ("ceph", "rw", True),
        ("ext4", "rw", False),
        ("fuse.sshfs", "rw", False),
    ],
)
def test_locks_of_another_machine_count_where_shared(results, tmp_path, monkeypatch, kind, options, shared):
    partition = type("Partition", (), {"mountpoint": "/", "fstype": kind, "opts": options})
    monkeypatch.setattr("mmpkd.presence.psutil.disk_partitions", lambda all: [partition])
    locks = lock(tmp_path, **UNKNOWN["another machine"])
    if shared:
        list(recover(tmp_path, results))
        assert not locks.exists()
    else:
        with pytest.raises(BusyError):
            list(recover(tmp_path, results))
        assert locks.exists()


def test_without_locks_a_process_of_this_machine_is_looked_at(tmp_path):
    lock(tmp_path, locked=False)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    path = tmp_path / ".snakemake" / FOLDER / "a.json"
    for pid, alive in ((ended.pid, False), (os.getpid(), None)):
        write_json({**json.loads(path.read_text()), "pid": pid}, path)
        assert [record.alive for record in records(tmp_path / ".snakemake")] == [alive]


def test_a_lock_without_a_record_is_left(results, tmp_path):
    locks = lock(tmp_path)
    (tmp_path / ".snakemake" / FOLDER / "a.json").unlink()
    with pytest.raises(BusyError, match="did not sign in.* snakemake --unlock"):
        list(recover(tmp_path, results))
    assert any(locks.iterdir())


def test_who_signs_in_is_alive_and_removes_the_records_of_the_dead(tmp_path):
    lock(tmp_path)
    sign_in(tmp_path / ".snakemake", "job")
    (record,) = records(tmp_path / ".snakemake")
    assert record.alive and record.worker == Worker.here("job")


def test_signing_in_waits_for_recovery(results, tmp_path):
    sign_in(tmp_path / ".snakemake", "run")
    for record in records(tmp_path / ".snakemake"):
        record.path.unlink()
    command = [sys.executable, "-c", "from mmpkd.presence import *; sign_in(Path('.snakemake'), 'run')"]
    os.truncate(results / "report.html", 2)
    steps = recover(tmp_path, results)
    next(steps)
    process = subprocess.Popen(command, cwd=tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)
    assert not list(steps) and process.wait(30) == 0


def test_a_folder_that_nobody_may_write_to_needs_no_record(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    sign_in(tmp_path, "run")
    assert records(tmp_path) == []


@pytest.fixture
def sleeper(tmp_path):
    """Starts a process in a folder, named as one of Snakemake's."""
    started = []

    def start(name: str, folder: Path = tmp_path, parent: bool = False) -> psutil.Process:
        script = folder / name
        script.parent.mkdir(parents=True, exist_ok=True)
        inner = folder / ".snakemake/scripts/tmp1.train_student.py"
        inner.parent.mkdir(parents=True, exist_ok=True)
        inner.write_text("import time; time.sleep(60)")
        child = f"subprocess.Popen([sys.executable, {str(inner)!r}])" if parent else ""
        if script != inner:
            script.write_text(f"import subprocess, sys, time; {child}; time.sleep(60)")
        process = subprocess.Popen([sys.executable, str(script)], cwd=folder)
        started.append(process)
        while not psutil.Process(process.pid).cmdline():
            time.sleep(0.01)
        return psutil.Process(process.pid)

    yield start
    for process in started:
        for child in psutil.Process(process.pid).children() if process.poll() is None else ():
            child.kill()
        process.kill()
        process.wait()


def test_jobs_without_a_snakemake_are_stopped(results, tmp_path, sleeper):
    orphan = sleeper(".snakemake/scripts/tmp1.train_student.py")
    elsewhere = sleeper(".snakemake/scripts/tmp1.train_student.py", tmp_path / "other")
    assert [process.pid for process in workers_in(tmp_path).orphans] == [orphan.pid]
    assert list(recover(tmp_path, results)) == ["stopped 1 jobs that a killed run had left"]
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    assert elsewhere.status() != psutil.STATUS_ZOMBIE


def test_a_run_at_work_is_left_alone(results, tmp_path, sleeper, monkeypatch, capsys):
    run = sleeper("bin/snakemake", parent=True)
    while not run.children():
        time.sleep(0.01)
    os.truncate(results / "report.html", 2)
    with pytest.raises(BusyError, match=f"process {run.pid}"):
        list(recover(tmp_path, results))
    assert (results / "report.html").exists() and workers_in(tmp_path).orphans == []
    monkeypatch.chdir(tmp_path)
    assert main(["recover"]) == 1
    assert "a run is at work" in capsys.readouterr().err


def test_the_command_reports_what_it_did(results, tmp_path, monkeypatch, capsys):
    write_json({"other/file": {"bytes": 1}}, results / "receipts/other/all.json")
    os.truncate(results / "report.html", 2)
    monkeypatch.chdir(tmp_path)
    assert main(["recover"]) == 0
    assert capsys.readouterr().out.startswith("report.html is not what its job wrote: moved to results/demo/damaged")
    assert main(["recover", "absent.yaml"]) == 2
