"""The data sets of a run: what can be said of them without reading every image or giving a name away.

Hashing the DICOM files of MIMIC-CXR alone would read 5 TB, so the content of images and reports is not hashed here. It
is pinned behind the first stage: the hashes of the image store's `pixels.npy` and of the cohort's `privileged.parquet`
are among those of the run's own files. Of each folder the number, the bytes and one hash of all paths and sizes are
kept, and the hash of each table by the name that the adapter looks for: such a name is that of the public download.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmpkd.cohorts.base import Need, find_data_set
from mmpkd.config.cohorts import Cohort
from mmpkd.logs import Bar, progress


class InputError(OSError):
    """A folder of a data set cannot be read; the message says of which cohort, not where it lies."""


def data_set(name: str, cohort: Cohort) -> dict[str, Any]:
    """What is on record of the data set `name`, whose `root` is set.

    Args:
        name: of the cohort.
        cohort: as configured.

    Returns:
        adapter, phantom, restricted; `folders`: number, bytes and listing of the files by folder; `tables`: bytes and
        hash by `<folder>/<path in it>`.

    Raises:
        InputError: a folder is missing or cannot be read.
    """
    data_set = find_data_set(cohort.adapter)(cohort)
    folders, needs = {"root": data_set.root, **cohort.folders}, data_set.needs()
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


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(path: Path) -> dict[str, Any]:
    """Size in bytes and SHA-256 of a file."""
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def digests(folder: Path, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """`digest` of the files at `paths` below `folder`, by path.

    Args:
        folder: that the paths start from.
        paths: of the files.
    """
    paths = sorted(set(paths))
    return {path: digest(folder / path) for path in progress(paths, "hashing", unit="files")}


def combined(contents: Iterable[tuple[str, str]]) -> str:
    """One SHA-256 for the pairs of a path and what stands for its content, whatever their order."""
    lines = sorted(os.fsencode(path) + b"\0" + content.encode() + b"\n" for path, content in contents)
    return hashlib.sha256(b"".join(lines)).hexdigest()


def listing(folder: Path, without: str = "") -> dict[str, Any]:
    """Number, bytes and one SHA-256 of the paths and sizes of all files below `folder`; no file is read.

    `without`: the path of a file, relative to `folder`, that does not count.

    Linked folders are not entered, as the adapters do not; a linked file counts with the size of what it points to.

    Args:
        folder: whose files count.
        without: path of a file that does not, relative to `folder`.

    Raises:
        OSError: a folder cannot be read.
    """
    with Bar("listing", None, "files") as bar:
        sizes = {}
        for path, size in _sizes(str(folder)):
            sizes[path] = size
            bar.advance()
    sizes.pop(without, None)
    digest_of_all = combined((path, str(size)) for path, size in sizes.items())
    return {"files": len(sizes), "bytes": sum(sizes.values()), "listing_sha256": digest_of_all}


def _sizes(root: str) -> Iterator[tuple[str, int]]:
    """Path relative to `root` and bytes of every file. Paths are strings: an object for each would take most time."""
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with os.scandir(os.path.join(root, prefix)) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{prefix}{entry.name}/")
                elif entry.is_file():
                    yield prefix + entry.name, entry.stat().st_size
