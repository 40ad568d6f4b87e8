"""What is done before a run goes on: after a kill, a full disk, a truncated file."""

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from mmpkd.presence import FOLDER, forget, gate, records
from mmpkd.provenance.record import RECORD
from mmpkd.recovery.receipts import damaged
from mmpkd.recovery.runs import STATE, BusyError, remove_lock, require_idle, require_known_lock, stop

SET_ASIDE = "damaged"  # folder of a study's results
REMAINS = re.compile(r"\..+-[a-z0-9_]{8}(\.\w+)?")  # temporary names of mmpkd.files.atomic


def recover(folder: Path, results: Path) -> Iterator[str]:
    """Makes a checkout ready for the next run; yields a line for each thing that it did.

    Jobs whose Snakemake was killed are stopped, its lock is removed, and so are temporary files. What is not as its job
    wrote it is moved to `<results>/damaged/`, and the record of the finished run with it: the job that writes the
    record reads every file of the study, so that Snakemake makes again what is missing, and what depends on it.
    No run or job can sign in meanwhile.

    Args:
        folder: where Snakemake is run.
        results: the study's results.

    Raises:
        BusyError: a run is at work in `folder`, or none can be ruled out; then nothing was changed.
    """
    with ExitStack() as gates:
        places = [place for place in (folder / STATE, results) if (place / FOLDER).is_dir()]
        try:
            for place in places:
                gates.enter_context(gate(place))
        except OSError as error:
            raise BusyError(
                f"{error.filename}: {error.strerror}, so it is unknown whether a run is at work in {folder}"
            ) from None
        yield from _recover(folder, results, places)


def _recover(folder: Path, results: Path, places: list[Path]) -> Iterator[str]:
    orphans = require_idle(folder, places)
    require_known_lock(folder)
    if orphans:
        stop(orphans)
        yield f"stopped {len(orphans)} jobs that a killed run had left"
        if left := require_idle(folder, places):
            raise BusyError(f"a job in {folder} does not end: process {left[0].pid}")
    if remove_lock(folder):
        yield "removed the lock of a run that is no more"
    for place in places:
        forget(records(place))
    if count := _remove_remains(results):
        yield f"removed {count} unfinished files"
    for path in list(damaged(results)):
        _set_aside(results, path)
        yield f"{path} is not what its job wrote: moved to {results / SET_ASIDE}, to be made again"
        (results / RECORD).unlink(missing_ok=True)


def _remove_remains(results: Path) -> int:
    """Removes what jobs that were killed had begun to write; returns how many files."""
    remains = [path for path in results.rglob(".*") if REMAINS.fullmatch(path.name) and path.is_file()]
    for path in remains:
        path.unlink()
    return len(remains)


def _set_aside(results: Path, path: str) -> None:
    target = results / SET_ASIDE / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        shutil.rmtree(target)
    (results / path).replace(target)
