"""A stage's log file and its progress bar."""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import suppress
from pathlib import Path
from time import monotonic, time
from types import TracebackType
from typing import TypeVar

import psutil
from tqdm import tqdm

from mmpkd.presence import sign_in

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_NOTES = 1.0
FOLDER = "logs"  # of a study's results
SET_UP = "set-up took {:.2f} s"  # the first line of a log: interpreter and imports, before the stage's own work


def log_to(path: str | Path) -> None:
    """Sends the log, warnings and an uncaught exception's traceback of this process to a file.

    The job signs in to the study's results. A script calls this first, after its imports: the log begins with the time
    that the process took until then.

    Args:
        path: of the log, `<results>/logs/<job>.log`.
    """
    if rank := int(os.environ.get("LOCAL_RANK", 0)):  # a further process of a job that trains with several
        path = f"{path}.rank{rank}"
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    for folder in Path(path).parents:
        if folder.name == FOLDER:
            sign_in(folder.parent, "job")
    logging.basicConfig(
        filename=str(path),
        filemode="w",
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
    logging.captureWarnings(True)
    with suppress(psutil.Error):  # a process namespace without a /proc of its own knows no times
        logging.getLogger("mmpkd").info(SET_UP.format(time() - psutil.Process().create_time()))
    shown = sys.excepthook

    def log_and_show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            logging.getLogger("mmpkd").warning("interrupted")
        else:
            logging.getLogger("mmpkd").critical("stopped", exc_info=(kind, error, traceback))
        shown(kind, error, traceback)

    sys.excepthook = log_and_show


class Bar:
    """A bar on a terminal, and a line in the log every half minute: the count, the rate and the time left.

    A context: it is cleared at the end.
    """

    def __init__(
        self,
        description: str,
        total: int | None,
        unit: str,
        done: int = 0,
        note: Callable[[], str] | None = None,
    ) -> None:
        """`done`: of an earlier run. `note`: further words, asked for only when they are shown."""
        self.description, self.total, self.unit, self.done, self.note = description, total, unit, done, note
        self._bar = tqdm(
            desc=description, total=total, unit=unit, initial=done, leave=False, disable=None, file=sys.stderr
        )
        self._first, self._started = done, monotonic()
        self._shown = self._logged = self._started

    def advance(self, count: int = 1) -> None:
        """`count` more are done."""
        self.done += count
        now = monotonic()
        if self.note and not self._bar.disable and now - self._shown >= SECONDS_BETWEEN_NOTES:
            self._bar.set_postfix_str(self.note(), refresh=False)
            self._shown = now
        self._bar.update(count)
        if now - self._logged >= SECONDS_BETWEEN_LINES or self.done == self.total:
            self._log(now)
            self._logged = now

    def _log(self, now: float) -> None:
        rate = (self.done - self._first) / max(now - self._started, 1e-9)
        of, left = (
            ("", "") if self.total is None else (f"/{self.total}", f", {(self.total - self.done) / rate:.0f} s left")
        )
        note = f", {self.note()}" if self.note else ""
        line = f"{self.description}: {self.done}{of} {self.unit}, {rate:.1f}/s{left}{note}"
        logging.getLogger("mmpkd.progress").info("%s", line)

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def progress(items: Iterable[Item], description: str, total: int | None = None, unit: str = "it") -> Iterator[Item]:
    """Iterates over `items` under a `Bar`.

    Args:
        items: that are worked on.
        description: of the bar.
        total: number of items; None if it is not known.
        unit: of an item.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Bar(description, total, unit) as bar:
        for item in items:
            yield item
            bar.advance()
