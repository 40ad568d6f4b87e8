"""What a run needs of this machine: disk, GPU, decoders, interpreter, folders and locale."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from itertools import takewhile
from pathlib import Path

from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from mmpkd.check.facts import CohortFacts, DiskFacts, MachineFacts, Problem, StudentFacts
from mmpkd.check.headers import can_decode
from mmpkd.config.study import Study

SAFE = re.compile(r"[\w@%+=:,./-]+")  # what a shell takes as one word, and as it stands
SYNTAXES = {
    "JPEG baseline": JPEGBaseline8Bit,
    "JPEG extended": JPEGExtended12Bit,
    "JPEG lossless": JPEGLosslessSV1,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000,
    "JPEG 2000 lossless": JPEG2000Lossless,
    "RLE": RLELossless,
    "deflated": DeflatedExplicitVRLittleEndian,
}
BYTES_A_MAP_VALUE = 2


def look_at_machine(device: str) -> MachineFacts:
    """GPUs as the driver lists them, the version of torch and the decoders; torch is not imported."""
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = None
    return MachineFacts(device, _gpus(), torch, {name: can_decode(syntax) for name, syntax in SYNTAXES.items()})


def look_at_disk(
    study: Study, cohorts: dict[str, CohortFacts], student: StudentFacts | None, folder: Path
) -> DiskFacts:
    """What the study will write below `folder`, estimated from the counts, and what is free there.

    Args:
        study: the configuration.
        cohorts: what was counted of each.
        student: None where the study trains none.
        folder: where results go.
    """
    needed = {
        "phantom trees": sum(facts.phantom_bytes for facts in cohorts.values()),
        "image store": sum(facts.store_bytes for facts in cohorts.values()),
        "students": student.file_bytes * (len(study.students) + 1) if student else 0,  # and the backbone
        "attention maps": _map_bytes(study, cohorts, student.grid) if student else 0,
    }
    there = folder / study.study
    written = sum(_bytes_below(there / name) for name in ("phantom", "images", "students", "attention"))
    return DiskFacts(str(folder), needed, written, shutil.disk_usage(_existing(folder)).free)


def _gpus() -> int:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    chosen = None if visible is None else [*takewhile(lambda name: name not in ("", "-1"), visible.split(","))]
    if chosen == [] or shutil.which("nvidia-smi") is None:
        return 0
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    count = sum(line.startswith("GPU ") for line in listed.splitlines())
    return count if chosen is None else min(count, len(chosen))


def _map_bytes(study: Study, cohorts: dict[str, CohortFacts], grid: int) -> int:
    """Maps of every test image by every student, by the untrained ones and the pretrained one."""
    images = sum(facts.counts.get("images", {}).get("test", 0) for facts in cohorts.values() if facts.images_wanted)
    exports = len(study.students) + len(study.seeds) + 1
    return images * exports * grid**2 * len(study.evaluation.methods) * BYTES_A_MAP_VALUE


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _bytes_below(folder: Path) -> int:
    return sum(
        os.path.getsize(os.path.join(place, name))
        for place, _, names in os.walk(folder)
        for name in names
        if not os.path.islink(os.path.join(place, name))
    )


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
