"""What each job wrote, by size and hash: what was truncated, edited or emptied since is found and made again.

Snakemake trusts a file that is there and not older than its inputs, whatever is in it.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmpkd.files import write_json
from mmpkd.provenance.inputs import digest, listing, sha256
from mmpkd.results import Results

log = logging.getLogger("mmpkd.recovery")

TIMESTAMP = ".snakemake_timestamp"  # Snakemake puts it into a folder when its job has ended


class DamagedError(RuntimeError):
    """Files of the run are not what their jobs wrote; the message names them."""


def write_receipt(outputs: Iterable[str | Path], log_file: str | Path) -> None:
    """Notes what a job wrote, at its very end.

    Of a file: bytes, SHA-256 and modification time. Of a folder: number, bytes and one hash of its paths and sizes.

    Args:
        outputs: files and folders.
        log_file: `<results>/logs/<job>.log`, which identifies results and job.
    """
    results, receipt = Results.of_log(log_file)
    entries = {Path(output).relative_to(results.root).as_posix(): _entry(Path(output)) for output in outputs}
    write_json(entries, receipt)


def damaged(results: Path) -> Iterator[str]:
    """Finds what is there and not as its job left it.

    A file with the size and modification time of its receipt is taken for whole; another is hashed.

    Yields:
        Paths of files and folders, relative to `results`.
    """
    for receipt in sorted(Path(Results(str(results)).receipts).rglob("*.json")):
        for path, entry in _read(receipt).items():
            if (results / path).exists() and not _agrees(results / path, entry):
                yield path


def require_whole(results: Path) -> None:
    """Makes sure that nothing was damaged while the run went on, so that it does not end as if nothing were.

    Raises:
        DamagedError: something was.
    """
    if found := sorted(damaged(results)):
        more = ", ..." if len(found) > 3 else ""
        raise DamagedError(
            f"{len(found)} of the run's files are not what their jobs wrote: {', '.join(found[:3])}{more}; what was "
            "made of them may be wrong. Run `make all` (or `mmpkd recover`, then snakemake) once more: they, and what "
            "depends on them, are made again"
        )


def _entry(path: Path) -> dict[str, Any]:
    return _listing(path) if path.is_dir() else {**digest(path), "modified_ns": path.stat().st_mtime_ns}


def _listing(folder: Path) -> dict[str, Any]:
    return listing(folder, without=TIMESTAMP)


def _agrees(path: Path, entry: Mapping[str, Any]) -> bool:
    if "listing_sha256" in entry:
        return path.is_dir() and _listing(path) == entry
    if not path.is_file() or path.stat().st_size != entry["bytes"]:
        return False
    return path.stat().st_mtime_ns == entry["modified_ns"] or sha256(path) == entry["sha256"]


def _read(receipt: Path) -> dict[str, Any]:
    """The entries; none of a receipt that is damaged itself, which is removed."""
    try:
        return dict(json.loads(receipt.read_text(encoding="utf-8")))
    except ValueError:
        log.warning("%s is damaged and was removed; its files are taken as they are", receipt)
        receipt.unlink()
        return {}
