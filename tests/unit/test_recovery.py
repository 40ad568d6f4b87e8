"""What a run that was killed or broke leaves behind is found, and nothing else is touched."""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mmpkd.cli import main
from mmpkd.files import atomic, write_json
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


def lock(folder: Path, host: str | None) -> Path:
    """What a killed Snakemake leaves."""
    state = folder / ".snakemake"
    (state / "locks").mkdir(parents=True)
    (state / "locks/0.output.lock").write_text("results/demo/report.html\n")
    if host:
        (state / "log").mkdir()
        (state / "log/2026-01-01T000000.1.snakemake.log").write_text("SNAKEMAKE\n  Host: elsewhere\n")
        (state / "log/2026-01-02T000000.1.snakemake.log").write_text(f"SNAKEMAKE\n  Date: today\n  Host: {host}\n")
    return state / "locks"


@pytest.mark.parametrize("host", [None, platform.node()])
def test_a_lock_that_nobody_holds_is_removed(results, tmp_path, host):
    locks = lock(tmp_path, host)
    assert list(recover(tmp_path, results)) == ["removed the lock of a run that is no more"]
    assert not locks.exists() and not remove_lock(tmp_path)


def test_the_lock_of_another_machine_is_left(results, tmp_path):
    locks = lock(tmp_path, "login2")
    with pytest.raises(BusyError, match="locked by a run on login2"):
        list(recover(tmp_path, results))
    assert any(locks.iterdir())


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


def test_the_command_tells_what_it_did(results, tmp_path, monkeypatch, capsys):
    write_json({"other/file": {"bytes": 1}}, results / "receipts/other/all.json")
    os.truncate(results / "report.html", 2)
    monkeypatch.chdir(tmp_path)
    assert main(["recover"]) == 0
    assert capsys.readouterr().out.startswith("report.html is not what its job wrote: moved to results/demo/damaged")
    assert main(["recover", "absent.yaml"]) == 2
