"""A stage's log file and its progress bar."""

import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 30.0


def log_to(path: str | Path) -> None:
    """Sends the log, warnings and an uncaught exception's traceback of this process to the file `path`."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=str(path),
        filemode="w",
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
    logging.captureWarnings(True)
    shown = sys.excepthook

    def log_and_show(kind, error, traceback):
        logging.getLogger("mmpkd").critical("stopped", exc_info=(kind, error, traceback))
        shown(kind, error, traceback)

    sys.excepthook = log_and_show


def progress(items: Iterable[Item], description: str, total: int | None = None, unit: str = "it") -> Iterator[Item]:
    """Iterates over `items` with a bar on a terminal, and with a line in the log every half minute.

    Both tell the count, the rate and the time left.
    """
    log = logging.getLogger("mmpkd.progress")
    bar = tqdm(items, desc=description, total=total, unit=unit, leave=False, disable=None, file=sys.stderr)
    total = total if total is not None else (len(items) if hasattr(items, "__len__") else None)
    started = last = monotonic()
    for done, item in enumerate(bar, start=1):
        yield item
        now = monotonic()
        if now - last >= SECONDS_BETWEEN_LINES or done == total:
            rate = done / max(now - started, 1e-9)
            left = "" if total is None else f", {(total - done) / rate:.0f} s left"
            log.info("%s: %d%s %s, %.1f/s%s", description, done, f"/{total}" if total else "", unit, rate, left)
            last = now
