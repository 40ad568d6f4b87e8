"""The library works where it is installed without the rest of the project."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.checkout import ROOT, copy_repository

IMPORT_ALL = """
import pkgutil, sys, mmpkd
names = [module.name for module in pkgutil.walk_packages(mmpkd.__path__, "mmpkd.")]
print(mmpkd.__file__, *(name for name in names if __import__(name)), sep="\\n")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the package alone, not linked to the checkout; what it depends on is that of the environment."""
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("setuptools is not installed, and no network is asked for it")
    checkout = copy_repository(tmp_path_factory.mktemp("source") / "mmpkd").folder
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, checkout / name)
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    process = subprocess.run([*command, "--target", folder, checkout], capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    shutil.rmtree(checkout)
    return folder


@pytest.fixture
def run(installed, tmp_path):
    """Runs a program with the installed package, in an empty folder."""

    def run(*command) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1", "COLUMNS": "1000"}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return run


def files_of(library: Path) -> set[str]:
    paths = [path for path in library.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(library).as_posix() for path in paths}


def test_every_file_of_the_library_is_installed(installed):
    files = files_of(installed / "mmpkd")
    assert files == files_of(ROOT / "mmpkd") and {"report/template.html", "own.yaml"} <= files
    assert {path.name.partition("-")[0] for path in installed.iterdir()} == {"mmpkd", "bin"}


def test_every_module_is_imported_from_there(run, installed):
    process = run(sys.executable, "-c", IMPORT_ALL)
    assert process.returncode == 0, process.stderr
    place, *names = process.stdout.splitlines()
    assert Path(place) == installed / "mmpkd/__init__.py"
    assert {"mmpkd.students.vit", "mmpkd.report.page", "mmpkd.cohorts.datasets.own", "mmpkd.reference"} <= set(names)


def test_the_command_begins_and_checks_a_study(run, installed, tmp_path):
    version = run(installed / "bin/mmpkd", "--version").stdout
    assert version == run(sys.executable, "-m", "mmpkd", "--version").stdout
    assert f'version = "{version.split()[1]}"' in (ROOT / "pyproject.toml").read_text()
    (tmp_path / "films").mkdir()
    for name in ("a", "b"):
        Image.new("L", (8, 6)).save(tmp_path / f"films/{name}.png")
    process = run(sys.executable, "-m", "mmpkd", "init", "films", "--images", "*.png")
    assert process.returncode == 0 and "images.csv: 2 images" in process.stdout, process.stderr
    checked = run(sys.executable, "-m", "mmpkd", "check", "films/study.yaml")
    assert checked.returncode == 1 and "films" in checked.stdout and not checked.stderr, checked.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mmpkd", "check"], "config.yaml is not part of the installed library: run `python -m mmpkd` in a checkout"),
        (["mmpkd.reference"], "docs/reference/ is not part of the installed library"),
    ],
)
def test_what_needs_a_checkout_says_so_in_one_line(run, arguments, message):
    process = run(sys.executable, "-m", *arguments)
    assert process.returncode != 0 and process.stderr.count("\n") == 1
    assert process.stderr.startswith(message)
