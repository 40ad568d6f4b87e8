"""Downloaded files: what lies below a root, and tables read with errors that name the file and the cure."""

import gzip
import os
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pandas as pd


class PathError(ValueError):
    """A path from a table points outside its root."""


class TableFileError(ValueError):
    """A table of a download cannot be read; the message names the file, the fault and the cure."""


def relative_below(root: Path, text: str) -> str:
    """The path `text`, as written in a table, relative to `root` and with forward slashes.

    It need not exist.

    Raises:
        PathError: if it is empty or absolute, climbs with `..`, or leaves `root` through a symbolic link.
    """
    cleaned = text.strip().replace("\\", "/")
    path = PurePosixPath(cleaned)
    if not cleaned or path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise PathError(f"{text!r} is not a path below the root; absolute paths and '..' are refused")
    if not (root / path).resolve().is_relative_to(root.resolve()):
        raise PathError(f"{text!r} leaves the root through a symbolic link")
    return str(path)


def list_files(root: Path, suffixes: tuple[str, ...]) -> list[str]:
    """Every file below `root` whose name ends in one of `suffixes` (lower case), sorted, relative to `root`.

    Each folder is read once, which is faster than asking for each file of a long table. Linked folders are not
    followed, and a linked file counts only if it stays below `root`.
    """
    found = []
    base = str(root)
    resolved = root.resolve()
    for folder, _, names in os.walk(base):
        below = os.path.relpath(folder, base)
        prefix = "" if below == "." else Path(below).as_posix() + "/"
        for name in names:
            if not name.lower().endswith(suffixes):
                continue
            file = Path(folder, name)
            if not file.is_symlink() or file.resolve().is_relative_to(resolved):
                found.append(prefix + name)
    return sorted(found)


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
