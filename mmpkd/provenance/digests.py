"""The hash of a file, of many files, and of what a folder lists."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmpkd.logs import Bar, progress


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(path: Path) -> dict[str, Any]:
    """Size in bytes and SHA-256 of a file."""
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def digests(folder: Path, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """`digest` of the files at `paths` below `folder`, by path."""
    paths = sorted(set(paths))
    return {path: digest(folder / path) for path in progress(paths, "hashing", unit="files")}


def combined(contents: Iterable[tuple[str, str]]) -> str:
    """One SHA-256 for the pairs of a path and what stands for its content, whatever their order."""
    lines = sorted(os.fsencode(path) + b"\0" + content.encode() + b"\n" for path, content in contents)
    return hashlib.sha256(b"".join(lines)).hexdigest()


def listing(folder: Path, without: str | None = None) -> dict[str, Any]:
    """Number, bytes and one SHA-256 of the paths and sizes of all files below `folder`; no file is read.

    `without`: the path of a file, relative to `folder`, that does not count.

    Linked folders are not entered, as the adapters do not; a linked file counts with the size of what it points to.

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
