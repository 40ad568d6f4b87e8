"""What a run needs around it and the check itself does not: interpreter, home, temporary folder, results, locale."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mmpkd.check.facts import Problem

SAFE = re.compile(r"[\w@%+=:,./-]+")  # what a shell takes as one word, and as it stands


def look_around(results: Path) -> Iterator[Problem]:
    """What would stop the run, or change what it reads.

    Args:
        results: the folder that the workflow writes to.
    """
    yield from _interpreter(sys.executable)
    yield from _caches()
    yield from _temporary_folder()
    yield from _results(results)
    encoding = sys.getfilesystemencoding()
    if encoding.lower().replace("-", "") != "utf8":
        message = f"files are named in {encoding} here: export PYTHONUTF8=1, or names with other letters are not found"
        yield Problem("warning", "locale", message)


def _interpreter(path: str) -> Iterator[Problem]:
    """Snakemake writes the interpreter's path into a command for the shell without quotation marks."""
    if not SAFE.fullmatch(path):
        message = (
            f"Snakemake cannot start jobs with the interpreter {path}, whose path has a blank or another character of "
            "the shell: clone the project into a folder without, or put the environment elsewhere: make VENV=/path all"
        )
        yield Problem("error", "python", message)


def _caches() -> Iterator[Problem]:
    """Snakemake cannot start without a folder for its caches."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        message = "no home folder is known, and Snakemake needs one: export HOME=/a/folder/of/yours"
        yield Problem("error", "home", message)
        return
    if not _is_writable(folder):
        message = f"Snakemake keeps files in {folder}, which cannot be written to: export HOME=/a/folder/of/yours"
        yield Problem("error", "home", message)


def _temporary_folder() -> Iterator[Problem]:
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        yield Problem(
            "error", "tmp", "no folder for temporary files can be written to: export TMPDIR=/a/folder/of/yours"
        )


def _results(folder: Path) -> Iterator[Problem]:
    if not _is_writable(folder):
        yield Problem(
            "error", "results", f"{folder} cannot be written to: change its permissions, or work in another folder"
        )


def _is_writable(folder: Path) -> bool:
    """Whether the folder, or the nearest above it that is there, is one that this user can write to."""
    folder = folder.absolute()
    place = next(place for place in (folder, *folder.parents) if place.exists())
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)
