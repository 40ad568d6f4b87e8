"""`provenance.json`: what a finished run came from and what it made, by hash.

Nothing in it names a user, a host or a folder.
"""

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

from mmpkd.config.cohorts import Cohort
from mmpkd.provenance.inputs import combined, data_set, digests, sha256

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
RECORD = "provenance.json"
REPOSITORY = Path(__file__).parents[2]
CODE = ("Snakefile", "requirements.lock", "rules/*.smk", "workflow_scripts/*.py", "mmpkd/**/*")


class RecordError(ValueError):
    """There is no usable `provenance.json`; the message says what to do."""


def record(
    study: Mapping[str, Any],
    folder: Path,
    outputs: Iterable[str],
    cohorts: Mapping[str, Cohort],
    repository: Path = REPOSITORY,
) -> dict[str, Any]:
    """What is written to `provenance.json`: the origin, the code, the data sets, and every file that the run claims.

    It names no date, user, host or absolute path, so that the same run gives the same bytes. Code, packages and machine
    are those of the moment at which it is written, after the run's last job.

    Args:
        study: the configuration as plain values.
        folder: results of the study.
        outputs: the run's files, relative to `folder`.
        cohorts: the data sets, with `root` set for phantoms, too.
        repository: where the code lies.

    Raises:
        InputError: a data set cannot be read.
        FileNotFoundError: one of `outputs` is missing.
    """
    return {
        **origin(study, repository),
        "code_sha256": code_sha256(repository),
        "inputs": {name: data_set(name, cohort) for name, cohort in cohorts.items()},
        "outputs": digests(folder, outputs),
    }


def code_sha256(repository: Path = REPOSITORY) -> str:
    """One hash of workflow, scripts, library and lock file: it identifies the code where a commit does not."""
    found = {path for pattern in CODE for path in repository.glob(pattern) if path.is_file()}
    sources = [path for path in found if path.parent.name != "__pycache__"]
    return combined((path.relative_to(repository).as_posix(), sha256(path)) for path in sources)


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a run.

    Raises:
        RecordError: it is missing, no JSON, or not of this form; or a path in it leaves `folder`.
    """
    path = folder / RECORD
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = "the study is not finished, or this is no results folder" if folder.is_dir() else "no such folder"
        raise RecordError(f"{path}: {error.strerror}: {reason}") from None
    except ValueError:
        raise RecordError(f"{path}: no JSON; restore it, or delete it and let Snakemake make it again") from None
    if not _is_record(content):
        raise RecordError(f"{path}: not a record of this version; delete it and let Snakemake make it again")
    return content


def _is_record(content: Any) -> bool:
    if not isinstance(content, dict):
        return False
    outputs, inputs = content.get("outputs"), content.get("inputs")
    return (
        isinstance(content.get("study"), str)
        and isinstance(outputs, dict)
        and all(_stays_below(path) and _is_digest(entry) for path, entry in outputs.items())
        and isinstance(inputs, dict)
        and all(isinstance(entry, dict) and {"folders", "tables"} <= set(entry) for entry in inputs.values())
    )


def _is_digest(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("bytes"), int) and isinstance(entry.get("sha256"), str)


def _stays_below(path: str) -> bool:
    return not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


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
