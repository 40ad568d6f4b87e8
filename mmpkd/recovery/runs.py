"""Who works in a folder: a run that is alive, jobs whose Snakemake was killed, or nobody but the lock of a dead run.

"Not visible" does not mean "not there". Processes are looked at where they can be seen, but what decides is whether
each run and job that signed in (`mmpkd.presence`) certainly ended. Where that is unknown, nothing may be changed.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from mmpkd.presence import Record, records

SECONDS_TO_STOP = 10.0
STATE = Path(".snakemake")
SCRIPTS = f"/{STATE}/scripts/"
INTERPRETER = re.compile(r"(?:python|bash|dash|zsh|sh)[\d.]*")  # of a job; an editor that shows its script is none


class BusyError(RuntimeError):
    """A run is at work in the folder, or may be; the message says where."""


@dataclass
class Workers:
    """Processes that are seen to work in a folder: those of runs, and jobs that none of them waits for."""

    runs: list[psutil.Process] = field(default_factory=list)
    orphans: list[psutil.Process] = field(default_factory=list)


def workers_in(folder: Path) -> Workers:
    """The processes of runs and of their jobs whose working directory is `folder`, as far as they can be seen.

    A process that named Snakemake on its command line counts as a run, and so does one that started a job, whatever it
    is called: Snakemake can be run from a program.
    """
    own = {psutil.Process(), *psutil.Process().parents()}
    inside = {process: command for process, command in _commands(folder) if process not in own}
    jobs = [process for process, command in inside.items() if _is_job(command)]
    starters = {parent for job in jobs for parent in _parents(job)} & set(inside)
    runs = [one for one in inside if one not in jobs and (one in starters or _names_snakemake(inside[one]))]
    return Workers(runs, [job for job in jobs if not set(runs) & set(_parents(job))])


def require_idle(folder: Path, places: Iterable[Path]) -> list[psutil.Process]:
    """The orphaned jobs in `folder`, if it is certain that nobody else works there.

    Args:
        folder: where Snakemake is run.
        places: where runs and jobs sign in.

    Raises:
        BusyError: a run is at work, or one cannot be ruled out from here.
    """
    workers = workers_in(folder)
    if workers.runs:
        raise BusyError(f"a run is at work in {folder}: process {workers.runs[0].pid}; wait for it, or stop it")
    for place in places:
        for record in records(place):
            _require_ended(folder, record, workers.orphans)
    return workers.orphans


def stop(processes: list[psutil.Process]) -> None:
    """Asks the processes to end, and ends those that do not."""
    for process in processes:
        _tell(process.terminate)
    _, left = psutil.wait_procs(processes, timeout=SECONDS_TO_STOP)
    for process in left:
        _tell(process.kill)
    psutil.wait_procs(left, timeout=SECONDS_TO_STOP)


def require_known_lock(folder: Path) -> None:
    """Checks that the lock in `folder`, if there is one, was left by a run that signed in.

    Raises:
        BusyError: it is unknown whose lock it is.
    """
    if _is_locked(folder) and not records(folder / STATE):
        raise BusyError(
            f"{folder} is locked by a run that did not sign in, so it is unknown whether it is still at work, "
            "here or on another machine. If it is, wait for it; if nobody works in the folder, run snakemake --unlock "
            "there, and this command again"
        )


def remove_lock(folder: Path) -> bool:
    """Removes the lock of a Snakemake that is no more; False if there is none."""
    if not _is_locked(folder):
        return False
    shutil.rmtree(folder / STATE / "locks")
    return True


def _require_ended(folder: Path, record: Record, orphans: list[psutil.Process]) -> None:
    """Raises BusyError unless the worker ended, or is a job that can be stopped."""
    if record.alive is False:
        return
    if record.alive is None:
        raise BusyError(
            f"{record} signed in to {folder}, and it is unknown from here whether it is still at work in it. If it "
            f"is, wait for it; if not, run this command on that machine, or remove {record.path}"
        )
    kind = "run" if record.worker is None else record.worker.kind
    if kind == "run":
        raise BusyError(f"a run is at work in {folder}: {record}; wait for it, or stop it")
    if not any(_has_open(process, record.path) for process in orphans):
        raise BusyError(
            f"a job is at work in {folder}: {record}, which cannot be seen or stopped from here (another user, "
            "container or machine); wait for it, or stop it there"
        )


def _has_open(process: psutil.Process, path: Path) -> bool:
    try:
        return any(file.path == str(path.resolve()) for file in process.open_files())
    except (psutil.Error, OSError):
        return False


def _is_locked(folder: Path) -> bool:
    locks = folder / STATE / "locks"
    return locks.is_dir() and any(locks.iterdir())


def _commands(folder: Path) -> Iterable[tuple[psutil.Process, list[str]]]:
    """The processes whose working directory is `folder`, with their command lines."""
    there = os.stat(folder)
    for process in psutil.process_iter():
        try:
            inside = process.status() != psutil.STATUS_ZOMBIE and _works_at(process, folder, there)
            if inside and (command := process.cmdline()):
                yield process, command
        except psutil.Error:
            continue


def _works_at(process: psutil.Process, folder: Path, there: os.stat_result) -> bool:
    """Whether a process works in the folder itself: in a container, a path of the same name is another folder."""
    try:
        return os.path.samestat(os.stat(f"/proc/{process.pid}/cwd"), there)
    except PermissionError:
        return False
    except OSError:  # no /proc, or no such process any more
        return Path(process.cwd()) == folder.resolve()


def _is_job(command: list[str]) -> bool:
    if "subprocess" in command and _names_snakemake(command):
        return True
    return bool(INTERPRETER.fullmatch(Path(command[0]).name)) and any(SCRIPTS in part for part in command[1:])


def _names_snakemake(command: list[str]) -> bool:
    """Whether any word names Snakemake: the interpreter's options, and its name, may be any."""
    return any(Path(part).name == "snakemake" for part in command)


def _parents(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.parents()
    except psutil.Error:
        return []


def _tell(signal: Callable[[], None]) -> None:
    try:
        signal()
    except psutil.NoSuchProcess:
        return
