"""What lies around a run: an interpreter, a home, folders and a locale that would stop it are told with what to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmpkd.check.machine import look_around, look_at_machine
from mmpkd.cli import main
from tests.checkout import ROOT

FOREIGN = "dätän"


def problems(results: Path = Path("results")) -> dict[str, str]:
    return {problem.where: f"{problem.level}: {problem.message}" for problem in look_around(results)}


def test_nothing_is_wrong_here():
    assert problems() == {}


@pytest.mark.parametrize(
    "place", ["/home/me/my clone/.venv/bin/python", "/data/a&b/python", "/data/it's/python", "/a/$b"]
)
def test_an_interpreter_that_a_shell_would_not_find(monkeypatch, place):
    monkeypatch.setattr(sys, "executable", place)
    assert "error: Snakemake cannot start jobs" in problems()["python"] and place in problems()["python"]


def test_letters_of_any_alphabet_are_no_fault_of_an_interpreter(monkeypatch):
    monkeypatch.setattr(sys, "executable", f"/home/müller/{FOREIGN}/.venv/bin/python3.11")
    assert problems() == {}


def test_snakemake_needs_a_home(monkeypatch, tmp_path):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert problems()["home"].startswith("error: no home folder is known") and "export HOME=" in problems()["home"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert problems() == {}
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "cannot be written to: export HOME=" in problems()["home"]


def test_results_and_temporary_files_need_a_place(monkeypatch, tmp_path):
    (tmp_path / "results").touch()
    assert "error: " in problems(tmp_path / "results" / "demo")["results"]

    def refuse():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", refuse)
    assert "export TMPDIR=" in problems()["tmp"]


def test_a_locale_that_names_no_file_of_other_letters(monkeypatch):
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    assert "warning: files are named in ascii" in problems()["locale"] and "PYTHONUTF8=1" in problems()["locale"]


@pytest.mark.parametrize(
    ("visible", "seen"), [("", 0), ("-1", 0), ("0", 1), ("0,1", 2), ("1,-1,0", 1), ("0,1,2,3,4", 3), ("GPU-1a", 1)]
)
def test_gpus_that_the_environment_hides_are_not_counted(monkeypatch, tmp_path, visible, seen):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nfor i in 0 1 2; do echo GPU $i: a card; done\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert look_at_machine("auto").gpus == seen


def check(folder: Path, text: str, **environment: str) -> subprocess.CompletedProcess:
    """The command in a process of its own, whose environment is what is given."""
    (folder / "o.yaml").write_text(text, encoding="utf-8")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [sys.executable, "-m", "mmpkd", "check", "o.yaml"]
    return subprocess.run(command, cwd=folder, env=kept | environment, capture_output=True, check=False)


LOCALES = {
    "C": {"LC_ALL": "C"},
    "terminal of ASCII": {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
    "no UTF-8 anywhere": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "terminal of Latin-1": {"PYTHONIOENCODING": "latin-1"},
}


@pytest.mark.parametrize("name", LOCALES)
def test_the_check_ends_well_on_every_terminal(name, tmp_path):
    text = f"cohorts:\n  vindr_cxr: {{phantom: null, root: /nowhere/{FOREIGN}/影像, restricted: true}}\n"
    answer = check(tmp_path, text, **LOCALES[name])
    assert answer.returncode == 1 and answer.stderr == b""
    assert b"there is no folder /nowhere/d" in answer.stdout
    answer = check(tmp_path, f"study: {FOREIGN}\n", **LOCALES[name])
    assert (
        answer.returncode == 2 and b"Traceback" not in answer.stderr and b"study: String should match" in answer.stderr
    )


def test_a_home_that_is_none_is_reported_before_snakemake_fails(tmp_path):
    answer = check(tmp_path, "study: a\n", HOME=str(tmp_path / "o.yaml"), XDG_CACHE_HOME="")
    assert answer.returncode == 1 and b"Snakemake keeps files in" in answer.stdout


# Folders and values of the configuration


def told(folder: Path, capsys, root: str) -> str:
    (folder / "o.yaml").write_text(f"cohorts:\n  vindr_cxr: {{phantom: null, root: {root}, restricted: true}}\n")
    assert main(["check", str(folder / "o.yaml")]) == 1
    return " ".join(capsys.readouterr().out.split())


def test_a_folder_that_is_not_there_is_reported_with_its_cause(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "gone").symlink_to("/mnt/unmounted")
    (tmp_path / "vindr.zip").touch()
    causes = {
        "~/vindr": f"there is no folder {tmp_path}/home/vindr; download",
        "$DATA/vindr": "variables of the shell are not replaced",
        "'/data/${USER}/vindr'": "variables of the shell are not replaced",
        "'/data/vindr '": "begins or ends with a blank",
        str(tmp_path / "gone"): "a link to nothing: is the disk",
        str(tmp_path / "vindr.zip"): "it is a file: unpack it",
        "vindr": "relative to the folder where the command is run",
        r"'D:\data\vindr'": "a path of Windows",
        "/nowhere/vindr": "download the data set there or correct the path",
    }
    assert {root: cause for root, cause in causes.items() if cause not in told(tmp_path, capsys, root)} == {}


def test_a_folder_below_home_is_found(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "vindr").mkdir()
    assert "there is no folder" not in told(tmp_path, capsys, "~/vindr")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter every folder")
def test_a_folder_that_may_not_be_entered(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "closed").mkdir(mode=0)
    assert "ask for permission" in told(tmp_path, capsys, str(tmp_path / "closed/vindr"))


# The environment of `make`

MAKE = shutil.which("make")


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    command = [MAKE, f"PYTHON={sys.executable}", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["a clone", "it's", "a&b", "a(1)"])
def test_a_clone_where_no_interpreter_can_live_is_refused_before_anything_is_installed(name, tmp_path):
    answer = make(tmp_path / name, "all")
    assert answer.returncode == 2 and "Snakemake cannot start jobs" in answer.stderr and "make VENV=" in answer.stderr
    assert not (tmp_path / name / ".venv").exists() and "127" not in answer.stderr


def test_the_environment_may_lie_elsewhere(tmp_path):
    answer = make(tmp_path / "a clone", "--dry-run", f"VENV={tmp_path}/env", "all")
    assert answer.returncode == 0 and f"-m venv {tmp_path}/env" in answer.stdout
    assert f"{tmp_path}/env/bin/python -m snakemake" in answer.stdout
    answer = make(tmp_path / "a clone", "VENV=/a b", "all")
    assert answer.returncode == 2 and "one path without blanks" in answer.stderr
