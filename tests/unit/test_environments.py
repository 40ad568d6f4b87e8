"""The environments of envs/ install the lock file."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_conda_installs_the_lock_file():
    environment = yaml.safe_load((ROOT / "envs/mmpkd.yaml").read_text())
    [packages] = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert packages == (ROOT / "requirements.lock").read_text().split()


def test_apptainer_installs_the_lock_file():
    definition = (ROOT / "envs/mmpkd.def").read_text()
    assert "requirements.lock /opt/mmpkd/requirements.lock" in definition
    assert "--requirement /opt/mmpkd/requirements.lock" in definition
