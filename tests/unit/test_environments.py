"""The environments of envs/ install the lock file."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
# An interpreter that says it is of another version; it makes no environment.
PYTHON = """\
#!{python}
import sys
sys.version_info = {version}
if sys.argv[1] == "-m":
    sys.exit("an environment is made")
code, sys.argv = sys.argv[2], [sys.argv[1], *sys.argv[3:]]
exec(code)
"""


def test_conda_installs_the_lock_file():
    environment = yaml.safe_load((ROOT / "envs/mmpkd.yaml").read_text())
    [packages] = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert packages == (ROOT / "requirements.lock").read_text().split()


def test_apptainer_installs_the_lock_file():
    definition = (ROOT / "envs/mmpkd.def").read_text()
    assert "requirements.lock /opt/mmpkd/requirements.lock" in definition
    assert "--requirement /opt/mmpkd/requirements.lock" in definition


@pytest.mark.parametrize(
    ("version", "accepted"), [((3, 10), False), ((3, 11), True), ((3, 12), True), ((3, 13), True), ((3, 14), False)]
)
def test_make_accepts_some_versions_of_python_and_names_the_others(tmp_path, version, accepted):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(PYTHON.format(python=sys.executable, version=version))
    python.chmod(0o755)
    command = ["make", ".venv/.installed", f"PYTHON={python}"]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode != 0
    message = f"Python 3.11 to 3.13 is needed, {python} is {version[0]}.{version[1]}"
    assert (message in process.stderr, "an environment is made" in process.stderr) == (not accepted, accepted)


def test_the_package_accepts_the_same_versions_of_python():
    text = (ROOT / "pyproject.toml").read_text()
    assert re.findall(r'"Programming Language :: Python :: ([\d.]+)"', text) == ["3.11", "3.12", "3.13"]
    assert 'requires-python = ">=3.11,<3.14"' in text
