"""Downloaded files: what lies below a root, and tables read with errors that name the file and the cure."""

import gzip
import logging
import os
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from mmpkd.cohorts.membership import is_among
from mmpkd.files import blame_storage

READERS = 8  # folders that are read at a time

log = logging.getLogger("mmpkd.paths")


class TableFileError(ValueError):
    """A table of a download cannot be read; the message names the file, the fault and the cure."""


def relative_below_all(root: Path, texts: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Paths as a table writes them, relative to `root` and with forward slashes; they need not exist.

    A path is refused if it is empty or absolute, climbs with `..`, or leaves `root` through a symbolic link. Each
    folder on the way is read once, however many rows name it.

    Returns:
        The relative paths, "" where one is refused, and the mask of the refused ones, both with the index of `texts`.
    """
    links = _Links(str(root))
    relative = {text: _relative(text) for text in set(texts)}
    refused = {text for text, path in relative.items() if not path or links.lead_outside(path)}
    mask = is_among(texts, refused)
    return texts.map(relative).astype("str").mask(mask, ""), mask


def _relative(text: str) -> str:
    """The path in one spelling; "" for one that is empty, absolute, or climbs, whatever is on the disk."""
    cleaned = text.strip().replace("\\", "/")
    parts = [part for part in cleaned.split("/") if part not in ("", ".")]
    if not parts or cleaned.startswith("/") or parts[0].endswith(":") or ".." in parts or "\0" in cleaned:
        return ""
    return "/".join(parts)


def _is_below(real_root: str, real_path: str) -> bool:
    return real_path.startswith(real_root.rstrip("/") + "/")


class _Links:
    """The symbolic links below a root, found by reading each folder once."""

    def __init__(self, root: str) -> None:
        self._root, self._real_root = root, os.path.realpath(root)
        self._names: dict[str, frozenset[str] | None] = {}  # of the links in a folder, None where it cannot be told
        self._passed: dict[str, bool] = {}  # whether the way to a folder may pass a link

    def lead_outside(self, path: str) -> bool:
        """Whether `path` ends outside the root. Without a link on its way it cannot."""
        folder, _, name = path.rpartition("/")
        if folder not in self._passed:
            self._passed[folder] = self._passes(folder)
        if not self._passed[folder] and not self._may_link(folder, name):
            return False
        return not _is_below(self._real_root, os.path.realpath(os.path.join(self._root, path)))

    def _passes(self, folder: str) -> bool:
        way = ""
        for name in folder.split("/") if folder else []:
            if self._may_link(way, name):
                return True
            way = f"{way}/{name}" if way else name
        return False

    def _may_link(self, folder: str, name: str) -> bool:
        if folder not in self._names:
            self._names[folder] = self._read(os.path.join(self._root, folder))
        links = self._names[folder]
        return links is None or name in links

    @staticmethod
    def _read(folder: str) -> frozenset[str] | None:
        try:
            with os.scandir(folder) as entries:
                return frozenset(entry.name for entry in entries if entry.is_symlink())
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()
        except OSError as error:
            blame_storage(error)
            return None


def list_files(root: Path, suffixes: tuple[str, ...]) -> list[str]:
    """Every file below `root` whose name ends in one of `suffixes` (lower case), sorted, relative to `root`.

    Each folder is read once, which is faster than asking for each file of a long table, and several are read at a
    time, which hides the latency of a disk in the network. Linked folders are not followed, and a linked file counts
    only if it stays below `root`. What is left out, and folders that cannot be read, are counted in the log.
    """
    listing = _Listing(str(root), suffixes)
    waiting = [""]
    with ThreadPoolExecutor(READERS) as pool:
        while waiting:  # one level of the tree after the other
            size = -(-len(waiting) // (4 * READERS))
            parts = (waiting[first : first + size] for first in range(0, len(waiting), size))
            waiting = [folder for folders in pool.map(listing.read, parts) for folder in folders]
    if listing.unreadable or listing.outside:
        log.warning(
            "%d folders cannot be read and %d links leave the root: what is in them counts as missing",
            listing.unreadable,
            listing.outside,
        )
    return sorted(listing.files)


class _Listing:
    """Collects the files below a root. Paths are strings: an object for each of 400,000 files would take most time."""

    def __init__(self, root: str, suffixes: tuple[str, ...]) -> None:
        self._root, self._real_root, self._suffixes = root, os.path.realpath(root), suffixes
        self.files: list[str] = []
        self.unreadable = 0
        self.outside = 0

    def read(self, folders: list[str]) -> list[str]:
        """Notes the files in `folders`, relative to the root ("" is the root), and returns the folders in them."""
        return [below for folder in folders for below in self._read_one(folder)]

    def _read_one(self, folder: str) -> list[str]:
        prefix = f"{folder}/" if folder else ""
        below = []
        try:
            with os.scandir(os.path.join(self._root, folder)) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        below.append(prefix + entry.name)
                    elif entry.name.lower().endswith(self._suffixes) and self._counts(entry):
                        self.files.append(prefix + entry.name)
        except OSError as error:
            blame_storage(error)
            self.unreadable += 1
        return below

    def _counts(self, entry: os.DirEntry) -> bool:
        if not entry.is_symlink():
            return True
        inside = _is_below(self._real_root, os.path.realpath(entry.path))
        self.outside += not inside
        return inside and os.path.isfile(entry.path)  # a broken or endless link is none


def require_folder(folder: Path, source: str) -> Path:
    """Returns `folder`.

    Raises:
        FileNotFoundError: if there is no such folder; the message tells `source`, where it is to be had.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; {source}")
    return folder


def snake_case(name: str) -> str:
    """A column name in lower case with single underscores: `breast density` and `Breast_Density` become one."""
    return "_".join(name.strip().lower().replace("_", " ").split())


def read_table(path: Path, columns: Iterable[str], source: str, optional: Iterable[str] = ()) -> pd.DataFrame:
    """Reads a CSV file (gzipped if it ends in .gz) as text, with its column names in snake case.

    Cells lose the white space around them, line breaks included; an empty cell is "". A byte-order mark is dropped.

    Args:
        path: the file.
        columns: columns that it must have, in snake case.
        source: where the file is to be had, for the error message.
        optional: columns to keep if there are any.

    Raises:
        FileNotFoundError: if there is no such file.
        TableFileError: if it is no readable CSV file, or if it lacks a column or has it twice.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {source}")
    columns = list(columns)
    wanted = {*columns, *optional}
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            table = pd.read_csv(
                stream,
                dtype=str,
                encoding="utf-8-sig",
                keep_default_na=False,
                index_col=False,
                usecols=lambda name: snake_case(name) in wanted,
            )
    except (
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
        UnicodeDecodeError,
        EOFError,
        OSError,
        zlib.error,
    ) as error:
        raise TableFileError(f"{path}: not a readable CSV file ({error}); download it again: {source}") from error
    table.columns = [snake_case(name) for name in table.columns]
    repeated = sorted(set(table.columns[table.columns.duplicated()]))
    missing = [name for name in columns if name not in table.columns]
    if repeated or missing:
        fault = f"column(s) {', '.join(missing)} missing" if missing else f"column(s) {', '.join(repeated)} twice"
        raise TableFileError(f"{path}: {fault}; is it the file of another version? {source}")
    return table.fillna("").apply(lambda cells: cells.str.strip())
