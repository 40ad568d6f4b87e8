"""The files of a data set as they lie on a user's disk: the one listing that all adapters use.

Hidden files and folders, and what operating systems put beside the files of others, are no data: a Mac's resource files
(`._1-1.dcm`, `__MACOSX`), thumbnails and bins. Suffixes count in any case. Links are followed as far as they stay in
the folders that the configuration declares; those that leave them are counted and named, and nothing behind them is
read.
"""

import logging
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from mmpkd.cohorts.paths import is_below, real_folders
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.tables import is_among
from mmpkd.files import blame_storage
from mmpkd.redaction import redact

READERS = 8  # folders that are read at a time
MOST_WAYS = 8  # to one folder, through links
MOST_NAMED = 3
SAMPLE = 65_536  # bytes of a file's start, and of its end, by which copies are recognised
FOREIGN = {"__macosx", "@eadir", "$recycle.bin", "lost+found", "system volume information", "thumbs.db"}

log = logging.getLogger("mmpkd.listing")


@dataclass
class Listing:
    """Files below a root, relative to it and sorted, and what was passed over.

    Attributes:
        hidden: files and folders that are no data.
        outside: links that leave the declared folders.
        broken: links to nothing, or to themselves.
        unreadable: folders.
    """

    root: Path
    paths: list[str] = field(default_factory=list)
    hidden: int = 0
    outside: list[str] = field(default_factory=list)
    broken: int = 0
    unreadable: int = 0
    _by_key: dict[str, str] | None = None

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def locate(self, wanted: pd.Series) -> pd.Series:
        """The listed paths of a column of paths whose suffix may be of another case; "" for what is not listed."""
        if self._by_key is None:
            self._by_key = {key(path): path for path in reversed(self.paths)}
        exact = is_among(wanted, self.paths)
        found = wanted.where(exact, wanted.map(lambda path: self._by_key.get(key(path), "")))
        return found.astype("str")

    def under(self, root: Path, prefix: str) -> "Listing":
        """The same files with paths that start from `root`, where this listing's own root is called `prefix`.

        Args:
            root: of the new paths.
            prefix: what this listing's root is called from there.
        """
        moved = [f"{prefix}/{path}" for path in self.paths]
        outside = [f"{prefix}/{path}" for path in self.outside]
        return Listing(root, moved, self.hidden, outside, self.broken, self.unreadable)

    def __add__(self, other: "Listing") -> "Listing":
        """The files of both, which have one root."""
        return Listing(
            self.root,
            sorted([*self.paths, *other.paths]),
            self.hidden + other.hidden,
            sorted([*self.outside, *other.outside]),
            self.broken + other.broken,
            self.unreadable + other.unreadable,
        )

    @property
    def notes(self) -> dict[str, int]:
        """What was passed over and may be missed, by kind; resource files are not missed."""
        counts = {
            "links_that_leave_the_declared_folders": len(self.outside),
            "links_to_nothing": self.broken,
            "folders_that_cannot_be_read": self.unreadable,
        }
        return {name: count for name, count in counts.items() if count}

    @property
    def remark(self) -> str:
        """What to do about that, as the beginning of a sentence's next part; "" if nothing was passed over."""
        parts = []
        if self.outside:
            names = ", ".join(redact(name) for name in self.outside[:MOST_NAMED])
            more = ", ..." if len(self.outside) > MOST_NAMED else ""
            parts.append(
                f"{len(self.outside)} links leave the folders that the configuration declares ({names}{more}) and were "
                "not followed: name the folder that they lead to as folders.linked"
            )
        if self.broken:
            parts.append(f"{self.broken} links lead to nothing: is the disk that they lead to mounted?")
        if self.unreadable:
            parts.append(f"{self.unreadable} folders cannot be read: check their permissions")
        return "; ".join(parts)


class MissingFilesError(FileNotFoundError):
    """None of the files that tables name is there; the message says what was looked for, where, and what to do."""


def require_some(found: int, files: Listing, what: str, source: str, rejections: Rejections) -> None:
    """Counts what was passed over, and raises MissingFilesError if nothing of `what` was found.

    Args:
        found: how much was.
        files: where it was looked for.
        what: such as `none of the 12 images of the tables`.
        source: where to get it, named unless links or permissions are the cause.
        rejections: what was set aside before.
    """
    rejections.count(files.notes, files.root)
    if not found:
        reasons = f"; {rejections.summary}" if len(rejections.table) else ""
        raise MissingFilesError(f"{files.root}: holds {what}; {files.remark or source}{reasons}")


def key(path: str) -> str:
    """A path with its suffix in lower case."""
    head, dot, suffix = path.rpartition(".")
    return f"{head}{dot}{suffix.lower()}" if dot else path


def is_data(name: str) -> bool:
    """Whether a file or folder of that name can be part of a data set."""
    return not name.startswith(".") and name.lower() not in FOREIGN


def list_files(root: Path, suffixes: tuple[str, ...], declared: Iterable[Path] = ()) -> Listing:
    """Every file below `root` whose name ends in one of `suffixes` (lower case).

    Each folder is read once, which is faster than asking for each file of a long table, and several are read at a
    time, which hides the latency of a disk in the network.

    Args:
        root: folder, which may be a link itself.
        suffixes: such as `.dcm`.
        declared: further folders that links may lead into.
    """
    walk = _Walk(root, suffixes, real_folders(root, declared))
    waiting = [_Folder("", (walk.real_root,))]
    with ThreadPoolExecutor(READERS) as pool:
        while waiting:  # one level of the tree after the other
            size = -(-len(waiting) // (4 * READERS))
            parts = [waiting[first : first + size] for first in range(0, len(waiting), size)]
            waiting = [folder for folders in pool.map(walk.read, parts) for folder in walk.enter(folders)]
    listing = walk.listing
    listing.paths.sort()
    listing.outside.sort()
    if listing.notes:
        log.warning("passed over: %s", ", ".join(f"{name}: {count}" for name, count in listing.notes.items()))
    return listing


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder relative to the root, and the real places of the root and of the links on the way."""

    path: str
    way: tuple[str, ...]
    linked: bool = False


class _Walk:
    """Collects the files below a root. Paths are strings: an object for each of 400,000 files would take most time."""

    def __init__(self, root: Path, suffixes: tuple[str, ...], inside: tuple[str, ...]) -> None:
        self._root, self._suffixes, self._inside = str(root), suffixes, inside
        self.real_root = os.path.realpath(root)
        self.listing = Listing(root)
        self._ways: dict[str, int] = {}

    def read(self, folders: list[_Folder]) -> list[_Folder]:
        """Notes the files in `folders` and returns the folders in them."""
        return [below for folder in folders for below in self._read_one(folder)]

    def enter(self, folders: list[_Folder]) -> Iterator[_Folder]:
        """Those of the folders that are to be read: no link leads out, or back, or to one place again and again."""
        for folder in folders:
            if not folder.linked:
                yield folder
                continue
            real = os.path.realpath(os.path.join(self._root, folder.path))
            if not is_below(self._inside, real):
                self.listing.outside.append(folder.path)
            elif not any(f"{place}/".startswith(f"{real}/") for place in self._places(folder)):
                self._ways[real] = self._ways.get(real, 0) + 1
                if self._ways[real] <= MOST_WAYS:
                    yield _Folder(folder.path, (*folder.way, real))

    def _places(self, folder: _Folder) -> tuple[str, ...]:
        """The real places on the way to a linked folder: a link to one of them, or to one above it, leads back."""
        parent = os.path.dirname(os.path.join(self._root, folder.path))
        return (*folder.way, os.path.realpath(parent))

    def _read_one(self, folder: _Folder) -> list[_Folder]:
        prefix = f"{folder.path}/" if folder.path else ""
        below = []
        try:
            with os.scandir(os.path.join(self._root, folder.path)) as entries:
                for entry in entries:
                    if not is_data(entry.name):
                        self.listing.hidden += 1
                    elif entry.is_symlink():
                        below += self._link(entry, prefix + entry.name, folder)
                    elif entry.is_dir(follow_symlinks=False):
                        below.append(_Folder(prefix + entry.name, folder.way))
                    elif entry.name.lower().endswith(self._suffixes):
                        self.listing.paths.append(prefix + entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            blame_storage(error)
            self.listing.unreadable += 1
        return below

    def _link(self, entry: os.DirEntry, path: str, folder: _Folder) -> list[_Folder]:
        """Notes a linked file; returns a linked folder."""
        if os.path.isdir(entry.path):
            return [_Folder(path, folder.way, linked=True)]
        if not os.path.exists(entry.path):
            self.listing.broken += 1  # or endless
        elif entry.name.lower().endswith(self._suffixes):
            inside = is_below(self._inside, os.path.realpath(entry.path))
            (self.listing.paths if inside else self.listing.outside).append(path)
        return []


def distinct(root: Path, paths: list[str]) -> list[str]:
    """The files without copies of each other, in their order: by size, start and end of their content.

    Args:
        root: that the paths start from.
        paths: of the files.
    """
    if len(paths) < 2:
        return list(paths)
    return list({_content(root / path): path for path in reversed(paths)}.values())[::-1]


def _content(path: Path) -> tuple[int, bytes, bytes] | str:
    """What copies have in common; the path of a file that cannot be read or is empty."""
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if not size:
                return str(path)
            start = stream.read(SAMPLE)
            stream.seek(max(size - SAMPLE, 0))
            return size, start, stream.read(SAMPLE)
    except OSError as error:
        blame_storage(error)
        return str(path)
