"""Paths from tables, kept below their root, and tables read with errors that name the file and the fix."""

import json
import os
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from mmpkd.cohorts.tables import is_among
from mmpkd.files import blame_storage
from mmpkd.text import TextError, read_text


class TableFileError(ValueError):
    """A table of a download cannot be read; the message names the file, the fault and the fix."""


def relative_below_all(root: Path, texts: pd.Series, declared: Iterable[Path] = ()) -> tuple[pd.Series, pd.Series]:
    """Paths as a table writes them, relative to `root` and with forward slashes; they need not exist.

    A path is refused if it is empty or absolute, climbs with `..`, or leaves `root` and the `declared` folders by a
    symbolic link. Each folder on the way is read once, however many rows name it.

    Args:
        root: that they start from.
        texts: one per row of a table.
        declared: further folders that links may lead to.

    Returns:
        The relative paths, "" where one is refused, and the mask of the refused ones, both with the index of `texts`.
    """
    links = _Links(str(root), real_folders(root, declared))
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


def real_folders(root: Path | str, declared: Iterable[Path]) -> tuple[str, ...]:
    """The places of `root` and the declared folders without links, each with a slash at its end.

    Args:
        root: of a cohort.
        declared: its further folders.
    """
    return tuple(dict.fromkeys(f"{os.path.realpath(folder).rstrip('/')}/" for folder in (root, *declared)))


def is_below(folders: tuple[str, ...], real_path: str) -> bool:
    """Whether a path without links lies below one of `real_folders`, or is one of them.

    Args:
        folders: what `real_folders` returned.
        real_path: of a file, without links.
    """
    return f"{real_path}/".startswith(folders)


class _Links:
    """The symbolic links below a root, found by reading each folder once."""

    def __init__(self, root: str, inside: tuple[str, ...]) -> None:
        self._root, self._inside = root, inside
        self._names: dict[str, frozenset[str] | None] = {}  # of the links in a folder, None where it is unknown
        self._passed: dict[str, bool] = {}  # whether the way to a folder may pass a link

    def lead_outside(self, path: str) -> bool:
        """Whether `path` ends outside the root. Without a link on its way it cannot."""
        folder, _, name = path.rpartition("/")
        if folder not in self._passed:
            self._passed[folder] = self._passes(folder)
        if not self._passed[folder] and not self._may_link(folder, name):
            return False
        return not is_below(self._inside, os.path.realpath(os.path.join(self._root, path)))

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


def require_folder(folder: Path, source: str) -> Path:
    """Returns `folder`.

    Args:
        folder: that must be there.
        source: where to get it.

    Raises:
        FileNotFoundError: if there is no such folder; the message names `source`, where to get it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; {source}")
    return folder


def existing(path: Path) -> Path:
    """The path as it is on the disk: its own name, or the only file whose name differs by case alone."""
    if path.exists():
        return path
    try:
        alike = [name for name in os.listdir(path.parent) if name.lower() == path.name.lower()]
    except (OSError, ValueError):
        return path
    return path.with_name(alike[0]) if len(alike) == 1 else path


def tables_like(folder: Path, pattern: str) -> list[Path]:
    """The CSV and JSON files of a name pattern, packed or not, sorted.

    What a browser has not finished, an editor's backups and hidden files are none.

    Args:
        folder: that holds them.
        pattern: such as `BBox_List_2017*`.
    """
    return sorted(
        path
        for path in folder.glob(pattern)
        if path.is_file() and path.name.lower().endswith((".csv", ".csv.gz", ".json"))
    )


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no text or no JSON.
    """
    return json.loads(read_text(path).content)


def snake_case(name: str) -> str:
    """A column name in lower case with single underscores: `breast density` and `Breast_Density` become one."""
    return "_".join(name.strip().lower().replace("_", " ").split())


def read_table(path: Path, columns: Iterable[str], source: str, optional: Iterable[str] = ()) -> pd.DataFrame:
    """Reads a CSV file (gzipped if it ends in .gz) as text, with its column names in snake case.

    Cells lose the white space around them, line breaks included; an empty cell is "". Its encoding may be any that
    `mmpkd.text` reads, and its suffix of any case.

    Args:
        path: the file.
        columns: columns that it must have, in snake case.
        source: where to get it, for the error message.
        optional: columns to keep if there are any.

    Raises:
        FileNotFoundError: if there is no such file.
        TableFileError: if it is no readable CSV file, or if it lacks a column or has it twice.
    """
    path = existing(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {source}")
    columns = list(columns)
    wanted = {*columns, *optional}
    try:
        table = pd.read_csv(
            StringIO(read_text(path).content),
            dtype=str,
            keep_default_na=False,
            index_col=False,
            usecols=lambda name: snake_case(name) in wanted,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, TextError, OSError) as error:
        raise TableFileError(f"{path}: not a readable CSV file ({error}); download it again: {source}") from error
    table.columns = [snake_case(name) for name in table.columns]
    repeated = sorted(set(table.columns[table.columns.duplicated()]))
    missing = [name for name in columns if name not in table.columns]
    if repeated or missing:
        fault = f"column(s) {', '.join(missing)} missing" if missing else f"column(s) {', '.join(repeated)} twice"
        raise TableFileError(f"{path}: {fault}; is it the file of another version? {source}")
    return table.fillna("").apply(lambda cells: cells.str.strip())
