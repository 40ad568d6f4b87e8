"""Disk, GPU and decoders of this machine."""

import os
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
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

from mmpkd.check.facts import CohortFacts, DiskFacts, MachineFacts
from mmpkd.check.headers import can_decode
from mmpkd.check.vit import VitShape
from mmpkd.config.study import Study

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
BYTES_A_WEIGHT = 4
BYTES_A_MAP_VALUE = 2


def look_at_machine(device: str) -> MachineFacts:
    """GPUs as the driver lists them, the version of torch and the decoders; torch is not imported."""
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = None
    return MachineFacts(device, _gpus(), torch, {name: can_decode(syntax) for name, syntax in SYNTAXES.items()})


def look_at_disk(study: Study, cohorts: dict[str, CohortFacts], trains: bool, folder: Path) -> DiskFacts:
    """What the study will write below `folder`, estimated from the counts, and what is free there."""
    needed = {
        "phantom trees": sum(facts.phantom_bytes for facts in cohorts.values()),
        "image store": sum(facts.store_bytes for facts in cohorts.values()),
        "students": _student_bytes(study) if trains else 0,
        "attention maps": _map_bytes(study, cohorts) if trains else 0,
    }
    there = folder / study.study
    written = sum(_bytes_below(there / name) for name in ("phantom", "images", "students", "attention"))
    return DiskFacts(str(folder), needed, written, shutil.disk_usage(_existing(folder)).free)


def _gpus() -> int:
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "" or shutil.which("nvidia-smi") is None:
        return 0
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in listed.splitlines())


def _student_bytes(study: Study) -> int:
    shape = VitShape.of(study.student, study.imaging.size)
    files = len(study.students) + 1  # and the backbone
    return 0 if shape is None else files * shape.parameters * BYTES_A_WEIGHT


def _map_bytes(study: Study, cohorts: dict[str, CohortFacts]) -> int:
    """Maps of every test image by every student, by the untrained ones and the pretrained one."""
    shape = VitShape.of(study.student, study.imaging.size)
    images = sum(facts.counts.get("images", {}).get("test", 0) for facts in cohorts.values() if facts.images_wanted)
    exports = len(study.students) + len(study.seeds) + 1
    values = 0 if shape is None else shape.grid**2 * len(study.evaluation.methods)
    return images * exports * values * BYTES_A_MAP_VALUE


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
