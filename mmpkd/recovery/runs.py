"""Who works in a folder: a Snakemake that is alive, jobs whose Snakemake was killed, or the lock that it left."""

import platform
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SECONDS_TO_STOP = 10.0
STATE = Path(".snakemake")
SCRIPTS = f"/{STATE}/scripts/"
HOST = re.compile(r"\s*host: (\S+)", re.IGNORECASE)  # a line in the head of Snakemake's log


class BusyError(RuntimeError):
    """A run is at work in the folder, or may be; the message tells where."""


@dataclass
class Workers:
    """Processes of this machine that work in a folder: Snakemakes, and jobs none of them waits for."""

    snakemakes: list[psutil.Process] = field(default_factory=list)
    orphans: list[psutil.Process] = field(default_factory=list)


def workers_in(folder: Path) -> Workers:
    """The processes of Snakemake and of its jobs whose working directory is `folder`."""
    found, jobs = Workers(), []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE or Path(process.cwd()) != folder.resolve():
                continue
            command = process.cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if _is_job(command):
            jobs.append(process)
        elif _is_snakemake(command):
            found.snakemakes.append(process)
    alive = set(found.snakemakes)
    found.orphans = [job for job in jobs if not alive & set(_parents(job))]
    return found


def stop(processes: list[psutil.Process]) -> None:
    """Asks the processes to end, and ends those that do not."""
    for process in processes:
        _tell(process.terminate)
    _, left = psutil.wait_procs(processes, timeout=SECONDS_TO_STOP)
    for process in left:
        _tell(process.kill)
    psutil.wait_procs(left, timeout=SECONDS_TO_STOP)


def remove_lock(folder: Path) -> bool:
    """Removes the lock of a Snakemake that is no more; False if there is none.

    Raises:
        BusyError: the last run was on another machine, whose processes cannot be seen from here.
    """
    locks = folder / STATE / "locks"
    if not locks.is_dir() or not any(locks.iterdir()):
        return False
    host = _last_host(folder)
    if host not in (None, platform.node()):
        raise BusyError(
            f"{folder} is locked by a run on {host}. If it is still going on, wait for it; if not, run this command "
            f"there, or remove {locks}"
        )
    shutil.rmtree(locks)
    return True


def _is_job(command: list[str]) -> bool:
    return any(SCRIPTS in part for part in command) or ("subprocess" in command and _is_snakemake(command))


def _is_snakemake(command: list[str]) -> bool:
    return any(Path(part).name == "snakemake" for part in command[:3])


def _parents(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.parents()
    except psutil.NoSuchProcess:
        return []


def _tell(signal) -> None:
    try:
        signal()
    except psutil.NoSuchProcess:
        return


def _last_host(folder: Path) -> str | None:
    """The machine of the newest run that left a log; None if there is none."""
    for path in sorted((folder / STATE / "log").glob("*.snakemake.log"), reverse=True):
        with path.open(encoding="utf-8", errors="replace") as stream:
            for line, _ in zip(stream, range(40), strict=False):
                if found := HOST.match(line):
                    return found[1]
    return None
