"""The data sets of a run: what can be said of them without reading every image or giving a name away.

Hashing the DICOM files of MIMIC-CXR alone would read 5 TB, so the content of images and reports is not hashed here. It
is pinned behind the first stage: the hashes of the image store's `pixels.npy` and of the cohort's `privileged.parquet`
are among those of the run's own files. Of each folder the number, the bytes and one hash of all paths and sizes are
kept, and the hash of each table by the name that the adapter looks for: such a name is that of the public download.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmpkd.cohorts.base import Need, find_data_set
from mmpkd.config.cohorts import Cohort
from mmpkd.provenance.digests import digest, listing


class InputError(OSError):
    """A folder of a data set cannot be read; the message says of which cohort, not where it lies."""


def data_set(name: str, cohort: Cohort) -> dict[str, Any]:
    """What is on record of the data set `name`, whose `root` is set.

    Returns:
        adapter, phantom, restricted; `folders`: number, bytes and listing of the files by folder; `tables`: bytes and
        hash by `<folder>/<path in it>`.

    Raises:
        InputError: a folder is missing or cannot be read.
    """
    folders = {"root": cohort.root, **cohort.folders}
    needs = find_data_set(cohort.adapter)(cohort).needs()
    try:
        return {
            "adapter": cohort.adapter,
            "phantom": cohort.phantom is not None,
            "restricted": cohort.restricted,
            "folders": {key: listing(folder) for key, folder in folders.items()},
            "tables": {_label(path, folders): digest(path) for path in _tables(needs)},
        }
    except OSError as error:
        raise InputError(f"cohort {name}: a folder or a table of it cannot be read: {error.strerror}") from None


def _tables(needs: list[Need]) -> list[Path]:
    """The files that the adapter reads by name; folders of images and reports are among its needs, too."""
    return sorted({path for need in needs for path in need.files if path.is_file()})


def _label(path: Path, folders: Mapping[str, Path]) -> str:
    """The name of the folder that `path` lies in most directly, and the way from there."""
    ways = [(path.relative_to(folder), key) for key, folder in folders.items() if path.is_relative_to(folder)]
    way, key = min(ways, key=lambda pair: len(pair[0].parts))
    return f"{key}/{way.as_posix()}"
