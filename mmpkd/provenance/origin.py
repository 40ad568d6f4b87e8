"""Code, machine, packages and configuration of a run, without anything that names a user, a host or a folder."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
PACKAGES = (
    "matplotlib",
    "numpy",
    "pandas",
    "pydicom",
    "scikit-image",
    "scikit-learn",
    "scipy",
    "snakemake",
    "timm",
    "torch",
    "transformers",
)


def origin(study: Mapping[str, Any], repository: Path = REPOSITORY) -> dict[str, Any]:
    """What a run came from: seeds, code, packages, machine and configuration.

    Of a path outside the repository only the last part is kept. There is no date, so that the same run gives the same
    values.

    Args:
        study: the configuration as plain values.
        repository: where the commit is asked for.
    """
    return {
        "study": study["study"],
        "seeds": list(study["seeds"]),
        "git": git_state(repository),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "platform": {"system": platform.system(), "machine": platform.machine(), "cpus": os.cpu_count()},
        "configuration": without_folders(study),
    }


def git_state(repository: Path) -> dict[str, Any] | None:
    """Commit, and whether tracked files differ from it; None where there is no git or no checkout of this project."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(repository), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != repository.resolve():
            return None
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def without_folders(value: Any) -> Any:
    """Of a path that is absolute or climbs the last part alone: where data lie on a machine is nobody's business."""
    if isinstance(value, Mapping):
        return {key: without_folders(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(entry) for entry in value]
    if isinstance(value, Path) or (isinstance(value, str) and value.startswith(("/", "~", "../"))):
        path = Path(value).expanduser()
        if not path.is_absolute() and ".." not in path.parts:
            return str(path)
        return "..." if path.name in ("", "..", Path.home().name) else f".../{path.name}"
    return value


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
