"""Who works in a folder: locks that end with their process show it, however it was started and wherever it can be seen.

A list of processes shows neither those of another container nor a Snakemake whose command line does not say so. A run
and its jobs therefore sign in: each holds the lock of a record in `<folder>/.at_work/` as long as it lives. The kernel
releases the lock with the process. A lock that is free proves that its process ended on the same machine (identified by
the kernel's boot) and, on file systems that share their locks, on any other one. Elsewhere it proves nothing.
"""

import errno
import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO, Literal
from uuid import uuid4

import psutil

FOLDER = ".at_work"
GATE = "gate"
UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
SUFFIX = ".json"
# File systems whose locks hold on all machines that mount them, and the mount options that take that away, or grant it.
SHARED = {"nfs", "nfs4", "ceph", "gpfs"}
LOCAL = {"local_lock=all", "local_lock=flock", "nolock"}
BOOT, MACHINE, NAMESPACE = "/proc/sys/kernel/random/boot_id", "/etc/machine-id", "/proc/self/ns/pid"

Kind = Literal["run", "job"]
_held: list[IO[str]] = []  # closing a record would release its lock


@dataclass(frozen=True)
class Worker:
    """A process that signed in.

    Attributes:
        boot: of its kernel.
        machine: its installation.
        namespace: what `pid` is counted in.
        locked: whether the file system gave it a lock.
    """

    kind: Kind
    pid: int
    host: str
    boot: str
    machine: str
    namespace: str
    locked: bool = True

    @classmethod
    def here(cls, kind: Kind) -> "Worker":
        """This process."""
        return cls(kind, os.getpid(), platform.node(), _boot(), _read(MACHINE), _namespace())


@dataclass(frozen=True)
class Record:
    """A worker's file.

    Attributes:
        worker: None if the file cannot be read.
        alive: None where that is unknown from here.
    """

    path: Path
    worker: Worker | None
    alive: bool | None

    def __str__(self) -> str:
        one = self.worker
        return "a process that left an unreadable record" if one is None else f"process {one.pid} of {one.host}"


def sign_in(folder: Path, kind: Kind) -> None:
    """Notes that this process works in `folder` until it ends; waits while `mmpkd recover` works there.

    Records of processes that certainly ended are removed. A folder that this process cannot write to needs no record.

    Args:
        folder: of the results of a study.
        kind: what this process is.
    """
    try:
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        with gate(folder):
            forget(record for record in records(folder) if record.alive is False)
            _write(folder / FOLDER / f"{uuid4().hex}{SUFFIX}", Worker.here(kind))
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise


@contextmanager
def gate(folder: Path) -> Iterator[None]:
    """Nobody signs in to `folder` meanwhile, as far as its file system has locks."""
    with (folder / FOLDER / GATE).open("a") as stream:
        _lock(stream, fcntl.LOCK_EX)
        yield


def records(folder: Path) -> list[Record]:
    """The records of `folder`, by name; none where nobody ever signed in."""
    return [_examine(path) for path in sorted((folder / FOLDER).glob(f"[!.]*{SUFFIX}"))]


def forget(gone: Iterator[Record] | list[Record]) -> None:
    """Removes records."""
    for record in gone:
        record.path.unlink(missing_ok=True)


def _write(path: Path, worker: Worker) -> None:
    """Writes a record whole, and keeps its lock."""
    temporary = path.with_name(f".{path.name}")
    stream = temporary.open("w", encoding="utf-8")
    locked = _lock(stream, fcntl.LOCK_EX)
    json.dump({**asdict(worker), "locked": locked}, stream)
    stream.flush()
    temporary.replace(path)
    _held.append(stream)


def _lock(stream: IO[str], how: int) -> bool:
    """Takes a lock; False on a file system without any. Raises BlockingIOError if it is not to be waited for."""
    try:
        fcntl.flock(stream, how)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def _examine(path: Path) -> Record:
    try:
        with path.open(encoding="utf-8") as stream:
            try:
                free = _lock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return Record(path, _parse(stream.read()), alive=True)
            worker = _parse(stream.read())
    except FileNotFoundError:
        return Record(path, None, alive=False)
    except OSError:
        return Record(path, None, alive=None)
    return Record(path, worker, alive=_may_live(worker, free and worker is not None and worker.locked, path))


def _parse(text: str) -> Worker | None:
    try:
        return Worker(**json.loads(text))
    except (ValueError, TypeError):
        return None


def _may_live(worker: Worker | None, released: bool, path: Path) -> bool | None:
    """Whether a worker lives whose lock is free: False if it certainly ended, None where that is unknown."""
    if worker is None:
        return None
    if worker.boot != _boot():
        rebooted = bool(worker.machine) and (worker.machine, worker.host) == (_read(MACHINE), platform.node())
        return False if rebooted or (released and _shares_locks(path.parent)) else None
    if released:
        return False
    return None if worker.namespace != _namespace() or psutil.pid_exists(worker.pid) else False


@cache
def _boot() -> str:
    return _read(BOOT) or f"{platform.node()} {psutil.boot_time():.0f}"


def _namespace() -> str:
    try:
        return os.readlink(NAMESPACE)
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _shares_locks(folder: Path) -> bool:
    """Whether other machines that mount the folder's file system see the same locks."""
    where = os.path.realpath(folder)
    above = [
        one for one in psutil.disk_partitions(all=True) if f"{where}/".startswith(f"{one.mountpoint.rstrip('/')}/")
    ]
    if not above:
        return False
    mount = max(above, key=lambda one: len(one.mountpoint))
    options = set(mount.opts.split(","))
    return (mount.fstype in SHARED and not options & LOCAL) or (mount.fstype == "lustre" and "flock" in options)
