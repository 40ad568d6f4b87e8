"""Whole files or none: every output is written beside its place and moved there when complete."""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import numpy as np
import pandas as pd

# Faults of a disk, a network file system or the machine, which say nothing of the file that was to be read.
NAMES = "EIO ESTALE ETIMEDOUT ENOTCONN EHOSTDOWN EREMOTEIO ENODEV EMFILE ENFILE ENOMEM"
OF_THE_STORAGE = {getattr(errno, name) for name in NAMES.split() if hasattr(errno, name)}


class StorageError(RuntimeError):
    """The storage failed while a file was read: the file is not to blame, and the job can be run again."""


def blame_storage(error: BaseException) -> None:
    """Tells a fault of the storage from one of a file; called where a file that cannot be read would be set aside.

    Else a network file system that is away for a minute would cost a study thousands of its images.

    Raises:
        StorageError: the error is one of the storage.
    """
    if isinstance(error, OSError) and error.errno in OF_THE_STORAGE:
        raise StorageError(f"the storage failed while data were read: {error.strerror}; run the study again") from None


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path in the folder of `path`; moves it to `path` on success, removes it on error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes it private; results follow the user's umask
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(text: str, path: str | Path) -> None:
    """Writes `text` as UTF-8.

    Args:
        text: the content.
        path: of the file, whose folder is created if absent.
    """
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(value: Any, path: str | Path) -> None:
    """Writes `value` as indented JSON with sorted keys.

    Args:
        value: plain values.
        path: of the file, whose folder is created if absent.
    """
    write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", path)


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Writes `table` without its index.

    Args:
        table: the content.
        path: of the file, whose folder is created if absent.
    """
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def write_parquet(table: pd.DataFrame, path: str | Path) -> None:
    """Writes `table` without its index.

    Args:
        table: the content.
        path: of the file, whose folder is created if absent.
    """
    with atomic(path) as temporary:
        table.to_parquet(temporary, index=False)


def write_npz(arrays: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Writes named arrays, without pickle: strings must be of a fixed-width dtype.

    Args:
        arrays: by name.
        path: of the file, whose folder is created if absent.
    """
    with atomic(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """Reads named arrays, refusing pickled content."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
